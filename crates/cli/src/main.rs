//! The `countersign` command.

mod audit;
mod demo;
mod platform;
mod setup;
mod tour;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Let your own app be the second factor.
#[derive(Parser)]
#[command(name = "countersign", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Verify or export the audit log of a platform that is not running.
    Audit {
        /// Where its data is.
        #[arg(long)]
        folder: PathBuf,
        #[command(subcommand)]
        command: audit::Command,
    },
    /// Set up a platform with a native app, policies and a user, and serve it on this machine.
    Demo {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:8080")]
        listen: std::net::SocketAddr,
        /// Keep the data here; without it everything is gone at the end.
        #[arg(long)]
        folder: Option<PathBuf>,
    },
    /// Walk through enrolment and device authorization step by step, with an emulated phone. Fails if one step does.
    Tour {
        /// `postgres://...` or `sqlite:PATH`; without it a temporary `SQLite`.
        #[arg(long)]
        database: Option<String>,
        /// One JSON object a line instead of text.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the runtime does not start");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match Arguments::parse().command {
            Command::Audit { folder, command } => {
                let app = platform::open_folder(&folder).await?;
                audit::run(&app, command).await
            }
            Command::Demo { listen, folder } => demo::run(listen, folder).await,
            Command::Tour { database, json } => tour::run(database, json).await,
        }
    });
    match done {
        Ok(code) => code,
        Err(broken) => {
            complain(&format!("countersign: {broken}"));
            ExitCode::FAILURE
        }
    }
}

/// What went wrong, in words.
#[derive(Debug)]
struct Broken(String);

impl Broken {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// An error with everything beneath it, in one line.
impl<E: std::error::Error> From<E> for Broken {
    fn from(error: E) -> Self {
        let mut line = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !line.ends_with(&text) {
                line = format!("{line}: {text}");
            }
            source = error.source();
        }
        Self(line)
    }
}

/// A line for the person at the terminal.
#[expect(clippy::print_stdout, reason = "this is a command: its lines are its result")]
fn say(line: &str) {
    println!("{line}");
}

/// A line about what went wrong, apart from the results.
#[expect(clippy::print_stderr, reason = "this is a command: its complaints are for the terminal")]
fn complain(line: &str) {
    eprintln!("{line}");
}
