//! A private PostgreSQL for one run of the tests or benchmarks, which no failure and no Ctrl-C leaves behind.
//!
//! The server belongs to a second process of this program, the keeper (`keep`), outside the process
//! group of the terminal. The keeper waits at the end of a pipe. However the first process ends, the
//! pipe closes, and the keeper stops the server and removes its folder.

mod cluster;
mod programs;

use crate::{Outcome, bench::on_load_core};
use cluster::Cluster;
use programs::Programs;
use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Where the tests look for the address of the database.
pub const URL: &str = "TEST_DATABASE_URL";

/// A database that the tests may fill.
pub struct Postgres {
    pub url: String,
    programs: PathBuf,
    _keeper: Option<Keeper>,
}

impl Postgres {
    /// The one named by `TEST_DATABASE_URL`, else a new one that lives as long as this value.
    pub fn given_or_private() -> Outcome<Self> {
        if let Some(url) = env::var(URL).ok().filter(|url| !url.is_empty()) {
            println!("{URL} is set: the tests use that database");
            return Ok(Self { url, programs: PathBuf::new(), _keeper: None });
        }
        let programs = Programs::find_or_install()?;
        let keeper = Command::new(env::current_exe()?);
        Self::private(keeper, &programs, &[])
    }

    /// A new one that keeps what it has committed, for measuring, on the core of the load.
    pub fn durable() -> Outcome<Self> {
        let programs = Programs::find_or_install()?;
        let keeper = on_load_core(env::current_exe()?);
        Self::private(keeper, &programs, &["--durable"])
    }

    fn private(keeper: Command, programs: &Programs, options: &[&str]) -> Outcome<Self> {
        let (keeper, url) = Keeper::start(keeper, programs.folder(), options)?;
        println!("PostgreSQL from {} serves {url}", programs.folder().display());
        Ok(Self { url, programs: programs.folder().to_owned(), _keeper: Some(keeper) })
    }

    /// The shell commands that take a private server away from under its clients, as a crash would, and bring it back.
    pub fn outage(&self) -> Outcome<[String; 2]> {
        let socket = self.url.split_once('@').and_then(|(_, rest)| rest.split_once('/'));
        let (socket, _) = socket.ok_or("the address of PostgreSQL names no folder")?;
        let folder = socket.replace("%2F", "/");
        let owner = fs::metadata(&folder)?.uid();
        let own = fs::metadata("/proc/self")?.uid();
        let account = format!("setpriv --reuid={owner} --clear-groups ");
        let account = if owner == own { "" } else { &account };
        let control = format!("cd {folder} && {account}{}/pg_ctl -D data", self.programs.display());
        let stop = format!("{control} stop --mode=immediate --silent");
        Ok([stop, format!("{control} start --wait --silent --log=/dev/null")])
    }
}

struct Keeper(Child);

impl Keeper {
    fn start(mut program: Command, programs: &Path, options: &[&str]) -> Outcome<(Self, String)> {
        let mut child = program
            .arg("keep-postgres")
            .arg(programs)
            .args(options)
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
pub fn keep(programs: &Path, durable: bool) -> Outcome {
    let cluster = Cluster::start(Programs::at(programs)?, durable)?;
    writeln!(io::stdout(), "{}", cluster.url())?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
