//! Time that stands still until a test moves it, and random bytes that are the same in every run.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use countersign_protocol::{
    entropy::Entropy,
    time::{Clock, Timestamp},
};

/// When every test begins: 2026-01-05T09:00:00Z.
pub const START: Timestamp = Timestamp::from_unix_seconds(1_767_603_600);

/// The time of everybody in a world: server, applications and phones.
pub struct SetClock(AtomicI64);

impl SetClock {
    pub const fn new(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.micros()))
    }

    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// `SplitMix64`, by Sebastiano Vigna: well mixed, and predictable.
pub struct Seeded(AtomicU64);

impl Seeded {
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn next(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15_u64;
        let state = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_be_bytes()[..chunk.len()]);
        }
    }
}
