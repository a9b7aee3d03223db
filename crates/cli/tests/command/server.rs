//! A server that a test starts by `countersign serve`, as an operator would.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

/// The command on the data in a folder.
pub fn countersign(arguments: &[&str], data: &Path) -> Output {
    command(arguments, data).output().unwrap()
}

/// What a command that succeeded said.
#[track_caller]
pub fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a command that failed complained of.
#[track_caller]
pub fn complaint(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn command(arguments: &[&str], data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(arguments).arg("--data").arg(data);
    command
}

/// Writes a configuration with hashes that cost nothing and a port that nobody has.
pub fn configure(folder: &Path, more: &str) -> std::path::PathBuf {
    let file = folder.join("countersign.toml");
    let text = format!("[passwords]\nmemory_kib = 64\npasses = 1\n[log]\nlevel = \"warn\"\n{more}");
    std::fs::write(&file, text).unwrap();
    file
}

/// A server that runs. It is killed with the value.
pub struct Serve {
    child: Child,
    lines: BufReader<ChildStdout>,
    /// Everything that it has said so far.
    pub text: String,
}

impl Serve {
    /// Starts one.
    pub fn spawn(config: &Path, data: &Path) -> Self {
        Self::from(command(&["serve"], data).arg("--config").arg(config))
    }

    /// Starts it as this command does.
    pub fn from(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines, text: String::new() }
    }

    /// Reads until it has said this, or has ended.
    pub fn read_until(&mut self, word: &str) -> bool {
        while !self.text.contains(word) {
            if self.lines.read_line(&mut self.text).unwrap() == 0 {
                return false;
            }
        }
        true
    }

    /// Waits until it serves.
    pub fn ready(mut self) -> Self {
        assert!(self.read_until("Countersign is listening on "), "{}", self.text);
        self
    }

    /// The password that it has shown.
    pub fn password(&self) -> Option<&str> {
        let (_, rest) = self.text.split_once("one-time password")?;
        rest.split_whitespace().next()
    }

    /// As `kill -9` does. Gives the password that was shown before.
    pub fn kill(mut self) -> Option<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.read_to_string(&mut self.text).unwrap();
        self.password().map(str::to_owned)
    }

    /// Asks it to end, and waits until it has.
    pub fn end(mut self) -> bool {
        self.signal("TERM");
        self.child.wait().unwrap().success()
    }

    /// Sends a signal.
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // Nothing is left of it after `kill` or `end`; this is for a test that fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
