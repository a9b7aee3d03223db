//! Whether files are there, for their owner alone, with space to grow.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::Finding;
use crate::config::{KeySource, Resolved};

/// Bytes below which a disk is nearly full.
const LITTLE_SPACE: u64 = 1 << 30;

/// Bytes below which writing may fail at any moment.
const NO_SPACE: u64 = 64 << 20;

pub(super) fn look(configuration: &Resolved) -> Vec<Finding> {
    let data = &configuration.data;
    if !data.exists() {
        let what = format!("data: there is no {} yet", data.display());
        return vec![Finding::warning(what, "`countersign serve` makes it at the first start")];
    }
    let mut findings = vec![private("data", data), space(data)];
    if let KeySource::File(key) = &configuration.key {
        findings.push(private("key-encryption key", key));
    }
    if let Some(tls) = &configuration.tls {
        findings.push(private("key of the certificate", &tls.key));
    }
    findings
}

/// What everybody may do with a file.
const OTHERS: u32 = 0o007;

/// Whether only the owner can read it. A group may be given the key of a certificate by those who renew it.
fn private(what: &str, path: &Path) -> Finding {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(found) if found.permissions().mode() & OTHERS == 0 => {
            Finding::ok(format!("{what}: {shown} is private"))
        }
        Ok(_) => Finding::error(
            format!("{what}: everybody on this machine can read {shown}"),
            format!("chmod o= {shown}, and think of it as known to others"),
        ),
        Err(error) => Finding::error(
            format!("{what}: {shown} cannot be read: {error}"),
            "put it there, or run this command as the user of the server",
        ),
    }
}

fn space(folder: &Path) -> Finding {
    let shown = folder.display();
    let mend = "make room, or move the folder to a larger disk";
    match rustix::fs::statvfs(folder) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let what = format!("disk: {} MiB are free for {shown}", free >> 20);
            match free {
                0..NO_SPACE => Finding::error(what, mend),
                NO_SPACE..LITTLE_SPACE => Finding::warning(what, mend),
                LITTLE_SPACE.. => Finding::ok(what),
            }
        }
        Err(error) => Finding::warning(format!("disk: {shown} cannot be measured: {error}"), mend),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_file_that_others_can_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        assert_eq!(private("key", &path).level, Level::Error);
        fs::write(&path, "x").unwrap();
        for (mode, level) in [(0o600, Level::Ok), (0o640, Level::Ok), (0o604, Level::Error)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(private("key", &path).level, level, "{mode:o}");
        }
    }
}
