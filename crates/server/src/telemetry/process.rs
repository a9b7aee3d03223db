//! What the operating system says of this process. Where it has no `/proc`, nothing is told.

use std::fs;

use super::family::{Family, number};

/// Ticks of the CPU times in `/proc`, per second: the kernel's interface has had this value on all its platforms of today.
const TICKS: f64 = 100.0;

pub(super) fn families(started_at_seconds: f64) -> Vec<Family> {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let open = fs::read_dir("/proc/self/fd").ok().map(|entries| number(entries.count() as u64));
    let cpu = Family::counter("process_cpu_seconds_total", "CPU time used, in seconds.");
    let memory = Family::gauge("process_resident_memory_bytes", "Memory in use, in bytes.");
    let fds = Family::gauge("process_open_fds", "File descriptors that are open.");
    let max_fds = Family::gauge("process_max_fds", "File descriptors that may be open.");
    let since = Family::gauge("process_start_time_seconds", "When it started, in Unix time.");
    vec![
        told(cpu, cpu_seconds(&stat)),
        told(memory, resident_bytes(&status)),
        told(fds, open),
        told(max_fds, max_open(&limits)),
        since.is(started_at_seconds),
    ]
}

fn told(family: Family, value: Option<f64>) -> Family {
    match value {
        Some(value) => family.is(value),
        None => family,
    }
}

/// Time in user and kernel mode: fields 14 and 15 of `proc_pid_stat(5)`. The second is a name that may hold blanks.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    let (user, kernel) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some(number(user + kernel) / TICKS)
}

/// `VmRSS` of `proc_pid_status(5)`, which is in KiB.
fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(number(kib * 1024))
}

/// The soft limit of `proc_pid_limits(5)`.
fn max_open(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let limit: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(number(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_kernel_are_read() {
        let stat = "7 (a) b) c) S 1 7 7 0 -1 4 5 0 0 0 150 50 0 0 20 0 9 0 1 2 3";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t    2048 kB\n"), Some(2_097_152.0));
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files   1024  4096  files\n";
        assert_eq!(max_open(limits), Some(1024.0));
    }

    #[test]
    fn what_cannot_be_read_is_not_told() {
        for text in ["", "nonsense", "VmRSS:", "7 (a) S", "Max open files unlimited"] {
            assert_eq!((cpu_seconds(text), resident_bytes(text)), (None, None), "{text}");
            assert_eq!(max_open(text), None, "{text}");
        }
    }
}
