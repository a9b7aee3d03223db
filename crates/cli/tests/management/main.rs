//! Tools of PingOne's administrators, unchanged but for the hosts, against the real server: by TLS with a private authority, and
//! behind a proxy that leads nowhere else. What they do is in `interop/` at the top of the repository.

#![cfg(test)]

mod go;
mod platform;
mod proxy;
mod terraform;

use std::path::{Path, PathBuf};

/// The folder of the clients, with what `cargo xtask test` installs for them. Nothing if this run goes without, by request.
fn clients(part: &str, libraries: &str) -> Option<PathBuf> {
    if is_skipped(part) {
        return None;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop");
    let folder = root.canonicalize().unwrap().join(part);
    assert!(
        folder.join(libraries).exists(),
        "{libraries} is not installed: use `cargo xtask test`, or set COUNTERSIGN_TEST_SKIP={part}"
    );
    Some(folder)
}

#[expect(clippy::disallowed_methods, reason = "the test harness reads the environment")]
fn is_skipped(part: &str) -> bool {
    let skipped = std::env::var("COUNTERSIGN_TEST_SKIP").unwrap_or_default();
    skipped.split(',').any(|skipped| skipped == part)
}
