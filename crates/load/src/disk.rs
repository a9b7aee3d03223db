//! How often a second the disk makes four kilobytes durable: the limit of commits that are not grouped.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
    time::Duration,
};

use serde::Serialize;

use crate::{
    LoadError,
    figures::{Latencies, Quantiles, real},
    stopwatch::Stopwatch,
};

const BLOCK: usize = 4_096;
const BLOCKS: u64 = 256;

/// What a disk does.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Disk {
    /// Overwrites of a block that exists, each made durable by `fdatasync`.
    pub syncs_per_second: f64,
    /// What they took.
    #[serde(flatten)]
    pub latency: Quantiles,
}

/// Measures in a folder, for so long.
pub fn measure(folder: &Path, time: Duration) -> Result<Disk, LoadError> {
    let path = folder.join("sync-rate");
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    let block = [7; BLOCK];
    for place in 0..BLOCKS {
        file.write_all_at(&block, place * BLOCK as u64)?;
    }
    file.sync_all()?;
    let mut latencies = Latencies::default();
    let watch = Stopwatch::start();
    let mut count = 0;
    while watch.elapsed() < time {
        let single = Stopwatch::start();
        file.write_all_at(&block, count % BLOCKS * BLOCK as u64)?;
        file.sync_data()?;
        latencies.push(single.micros());
        count += 1;
    }
    let syncs_per_second = real(count) / watch.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(Disk { syncs_per_second, latency: latencies.quantiles() })
}
