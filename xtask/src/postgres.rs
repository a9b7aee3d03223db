//! A private PostgreSQL for one run of the tests, which no failure and no Ctrl-C leaves behind.
//!
//! The server belongs to a second process of this program, the keeper (`keep`), outside the process
//! group of the terminal. The keeper waits at the end of a pipe. However the first process ends, the
//! pipe closes, and the keeper stops the server and removes its folder.

mod cluster;
mod programs;

use crate::Outcome;
use cluster::Cluster;
use programs::Programs;
use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

/// Where the tests look for the address of the database.
pub const URL: &str = "TEST_DATABASE_URL";

/// A database that the tests may fill.
pub struct Postgres {
    pub url: String,
    _keeper: Option<Keeper>,
}

impl Postgres {
    /// The one named by `TEST_DATABASE_URL`, else a new one that lives as long as this value.
    pub fn given_or_private() -> Outcome<Self> {
        if let Some(url) = env::var(URL).ok().filter(|url| !url.is_empty()) {
            println!("{URL} is set: the tests use that database");
            return Ok(Self { url, _keeper: None });
        }
        let programs = Programs::find_or_install()?;
        let (keeper, url) = Keeper::start(programs.folder())?;
        println!("PostgreSQL from {} serves {url}", programs.folder().display());
        Ok(Self { url, _keeper: Some(keeper) })
    }
}

struct Keeper(Child);

impl Keeper {
    fn start(programs: &Path) -> Outcome<(Self, String)> {
        let mut child = Command::new(env::current_exe()?)
            .arg("keep-postgres")
            .arg(programs)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is meant for the tests; the keeper must outlive it to clean up.
            .process_group(0)
            .spawn()?;
        let stdout = child.stdout.take();
        let keeper = Self(child);
        let mut url = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut url)?;
        }
        if url.is_empty() {
            return Err("PostgreSQL did not start".into());
        }
        Ok((keeper, url.trim_end().to_owned()))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Waiting closes the pipe first, which is the signal to stop.
        if let Err(error) = self.0.wait() {
            eprintln!("cannot wait for PostgreSQL to stop: {error}");
        }
    }
}

/// Starts a server, says its address on standard output, and keeps it until standard input ends.
pub fn keep(programs: &Path) -> Outcome {
    let cluster = Cluster::start(Programs::at(programs)?)?;
    writeln!(io::stdout(), "{}", cluster.url())?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
