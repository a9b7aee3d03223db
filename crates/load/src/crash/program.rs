//! The server as a process that can be killed.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use crate::{LoadError, stopwatch::Stopwatch};

/// What the server says once it answers; an address follows.
const READY: &str = "Countersign is listening on ";

/// How the server is started.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// A server that runs. It is killed at the latest when this value goes.
pub struct Running {
    child: Child,
    /// Held open, because a program that cannot print ends.
    _said: BufReader<ChildStdout>,
    /// From the start of the process until it said that it listens.
    pub started_in: Duration,
}

impl Program {
    /// Starts it and waits until it answers. Meanwhile the clients see that the connections to its predecessor are closed:
    /// none of them must be taken for one to the new server.
    pub async fn start(&self) -> Result<Running, LoadError> {
        let program = self.clone();
        let started = tokio::task::spawn_blocking(move || program.launch()).await;
        started.map_err(|error| LoadError::other(error.to_string()))?
    }

    fn launch(&self) -> Result<Running, LoadError> {
        let watch = Stopwatch::start();
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let said = child.stdout.take().ok_or_else(|| LoadError::other("no output"))?;
        let mut said = BufReader::new(said);
        let mut line = String::new();
        while !line.starts_with(READY) {
            line.clear();
            if said.read_line(&mut line)? == 0 {
                return Err(LoadError::other(format!("the server ended: {}", child.wait()?)));
            }
        }
        Ok(Running { child, _said: said, started_in: watch.elapsed() })
    }
}

impl Running {
    /// As `kill -9` does: nothing is flushed, nobody is told.
    pub fn kill(mut self) -> Result<(), LoadError> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing is left of it after `kill`; this is for a run that fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
