//! What a process has used, as Linux tells it under `/proc`.

use std::fs;

use serde::Serialize;

use crate::LoadError;

/// Ticks in a second of `/proc/PID/stat`: `USER_HZ`, which is 100 wherever Linux runs.
const TICKS_PER_SECOND: u64 = 100;

/// A process that is watched.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    id: u32,
}

/// What a process keeps in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Resident now, in KiB.
    pub resident_kib: u64,
    /// Resident at its height, in KiB.
    pub peak_kib: u64,
}

impl Process {
    /// The process of this id.
    #[must_use]
    pub const fn new(id: u32) -> Self {
        Self { id }
    }

    /// This process.
    #[must_use]
    pub fn own() -> Self {
        Self::new(std::process::id())
    }

    /// CPU time of all its threads so far, in microseconds, with a grain of 10 ms.
    pub fn cpu_us(&self) -> Result<u64, LoadError> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.id))?;
        let ticks = cpu_ticks(&text)
            .ok_or_else(|| LoadError::other("/proc/PID/stat has another form than expected"))?;
        Ok(ticks * (1_000_000 / TICKS_PER_SECOND))
    }

    /// What it keeps in memory.
    pub fn memory(&self) -> Result<Memory, LoadError> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id))?;
        let read = |name: &str| {
            kib(&text, name)
                .ok_or_else(|| LoadError::other(format!("/proc/PID/status lacks {name}")))
        };
        Ok(Memory { resident_kib: read("VmRSS:")?, peak_kib: read("VmHWM:")? })
    }
}

/// `utime` and `stime`: the 14th and 15th word, of which the second may contain spaces and ends with the last `)`.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut words = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || words.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_proc_are_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 900 0 0 0 31 11 0 0 20 0 4 0 99 1 2";
        assert_eq!(cpu_ticks(stat), Some(42));
        assert_eq!(cpu_ticks("7 (a"), None);
        let status = "Name:\ta\nVmHWM:\t    5120 kB\nVmRSS:\t    4096 kB\n";
        assert_eq!((kib(status, "VmRSS:"), kib(status, "VmHWM:")), (Some(4096), Some(5120)));
        assert_eq!(kib(status, "VmSwap:"), None);
    }
}
