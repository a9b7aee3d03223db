//! The real browser of the tests of the hosted pages.

use std::process::{Command, Stdio};

/// Its names, as the tests look for it too.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Why there is none, if there is none.
pub fn missing() -> Option<String> {
    let is_there = |name: &str| {
        let mut command = Command::new(name);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = NAMES.iter().any(|name| is_there(name));
    (!found).then(|| "not on this machine: chromium (Debian: apt-get install chromium)".to_owned())
}
