//! Storage in sealed files, and in memory for tests.

mod file;
mod memory;

pub use file::FileStorage;
pub use memory::MemoryStorage;
