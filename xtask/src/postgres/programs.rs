//! Where the programs of PostgreSQL are, and how to get them.

use crate::{Outcome, workspace::succeed};
use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

const OLDEST_VERSION: u32 = 15;
const NEEDED: [&str; 3] = ["initdb", "pg_ctl", "postgres"];
/// Folders with one folder per version: Debian and its kin, the RPM packages, Homebrew on both Macs.
const PACKAGES: [&str; 4] = ["/usr/lib/postgresql", "/usr", "/opt/homebrew/opt", "/usr/local/opt"];

/// A folder with `initdb`, `pg_ctl` and `postgres` of a version that is new enough.
pub struct Programs(PathBuf);

impl Programs {
    pub fn find_or_install() -> Outcome<Self> {
        if let Some(found) = Self::find() {
            return Ok(found);
        }
        install()?;
        Self::find().ok_or_else(|| how_to_get_it().into())
    }

    pub fn at(folder: &Path) -> Outcome<Self> {
        if is_suitable(folder) {
            return Ok(Self(folder.to_owned()));
        }
        Err(format!("{} has no PostgreSQL {OLDEST_VERSION} or newer", folder.display()).into())
    }

    pub fn folder(&self) -> &Path {
        &self.0
    }

    pub fn command(&self, program: &str) -> Command {
        Command::new(self.0.join(program))
    }

    fn find() -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let on_path = env::split_paths(&path);
        on_path.chain(configured()).chain(packaged()).find(|folder| is_suitable(folder)).map(Self)
    }
}

/// What `pg_config` says, where it is installed.
fn configured() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(folder.trim_end()))
}

/// The folders of the usual packages, newest version first.
fn packaged() -> Vec<PathBuf> {
    let children = PACKAGES.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let mut folders: Vec<(u32, PathBuf)> = children
        .filter_map(|child| {
            let child = child.ok()?;
            let version = package_version(child.file_name().to_str()?)?;
            Some((version, child.path().join("bin")))
        })
        .collect();
    folders.sort_by(|a, b| b.cmp(a));
    folders.into_iter().map(|(_, folder)| folder).collect()
}

/// `17`, `pgsql-17` or `postgresql@17`.
fn package_version(folder: &str) -> Option<u32> {
    let version = ["pgsql-", "postgresql@"].iter().find_map(|prefix| folder.strip_prefix(prefix));
    version.unwrap_or(folder).parse().ok()
}

fn is_suitable(folder: &Path) -> bool {
    NEEDED.iter().all(|program| folder.join(program).is_file())
        && Command::new(folder.join("postgres"))
            .arg("--version")
            .output()
            .ok()
            .and_then(|output| version(&String::from_utf8_lossy(&output.stdout)))
            .is_some_and(|version| version >= OLDEST_VERSION)
}

/// The major version in `postgres (PostgreSQL) 15.8 (Debian 15.8-1)` or `postgres (PostgreSQL) 18beta1`.
fn version(text: &str) -> Option<u32> {
    let number = text.split_once("(PostgreSQL) ")?.1;
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number.get(..end)?.parse().ok()
}

/// Installs the distribution's package where that needs no question: as root on Debian and its kin.
fn install() -> Outcome {
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !is_root || !Path::new("/usr/bin/apt-get").is_file() {
        return Err(how_to_get_it().into());
    }
    println!("PostgreSQL is missing: installing it with apt-get");
    let install: &[&str] = &["install", "--yes", "--no-install-recommends", "postgresql"];
    for arguments in [&["update"], install] {
        let mut command = Command::new("apt-get");
        succeed(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
            .map_err(|error| format!("{error}. {}", how_to_get_it()))?;
    }
    Ok(())
}

fn how_to_get_it() -> String {
    format!(
        "PostgreSQL {OLDEST_VERSION} or newer is missing. Install it (Debian: `apt-get install \
         postgresql`, Fedora: `dnf install postgresql-server`, macOS: `brew install postgresql`), \
         or set TEST_DATABASE_URL to a server whose databases may be filled, or go without by \
         `--skip postgres`."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_says() {
        assert_eq!(version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(version("postgres (PostgreSQL) 17"), Some(17));
        assert_eq!(version("postgres (EnterpriseDB)"), None);
    }

    #[test]
    fn folders_of_packages_tell_their_version() {
        assert_eq!(package_version("15"), Some(15));
        assert_eq!(package_version("pgsql-16"), Some(16));
        assert_eq!(package_version("postgresql@17"), Some(17));
        assert_eq!(package_version("postgresql"), None);
        assert_eq!(package_version("share"), None);
    }
}
