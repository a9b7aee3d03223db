//! Fixed time, fixed randomness and keys for the tests of this crate.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::entropy::Entropy;
use crate::jose;
use crate::private_key::EcPrivateKey;
use crate::time::Timestamp;

/// 2026-01-05T09:00:00Z.
pub const NOW: Timestamp = Timestamp::from_unix_seconds(1_767_603_600);
pub const ISSUER: &str = "https://id.example/0190c1d2-0000-7000-8000-000000000001/as";
pub const DEVICE_BASE: &str = "https://id.example/0190c1d2-0000-7000-8000-000000000001/device/v1";

/// The same bytes in every run: hashes of a seed and a counter.
pub struct Seeded {
    seed: u64,
    drawn: AtomicU64,
}

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: AtomicU64::new(0) }
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let count = self.drawn.fetch_add(1, Ordering::Relaxed);
            let block = jose::sha256(format!("{} {count}", self.seed).as_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

pub fn private_key(seed: u64) -> EcPrivateKey {
    EcPrivateKey::generate(&Seeded::new(seed))
}
