//! What the figures were measured on: nobody can judge them without.

use super::ground::Ground;
use crate::Outcome;
use std::{fs, process::Command};

/// Lines of a Markdown list.
pub fn describe(ground: &Ground) -> Outcome<Vec<String>> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = value(&cpu, "model name").unwrap_or("unknown");
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let memory = fs::read_to_string("/proc/meminfo")?;
    let memory = value(&memory, "MemTotal").unwrap_or("unknown");
    let load = fs::read_to_string("/proc/loadavg")?;
    let disk = ground.load(&["disk", "--folder", &ground.path("")])?;
    Ok(vec![
        format!("CPU: {model}, {cores} cores, {memory} of memory"),
        format!("System: {}", said("uname", &["-srm"])?),
        format!(
            "Disk: {:.0} writes of 4 KiB with fdatasync a second, median {} us, 99th percentile {} us",
            disk.number("syncs_per_second")?,
            disk.number("p50_us")?,
            disk.number("p99_us")?
        ),
        format!("Load of the machine before the run: {}", load.trim()),
        format!("Commit: {}", said("git", &["log", "-1", "--format=%h of %cs"])?),
        format!("Compiler: {}", said("rustc", &["--version"])?),
    ])
}

fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

fn said(program: &str, arguments: &[&str]) -> Outcome<String> {
    let output = Command::new(program).args(arguments).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
