//! Automation for this repository, run as `cargo xtask COMMAND`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a command line tool talks to a terminal, reads the environment and times its steps"
)]

mod architecture;
mod bench;
mod browser;
mod configuration;
mod crash;
mod deb;
mod interop;
mod postgres;
mod suite;
mod workspace;

use clap::{Parser, Subcommand};
use std::{error::Error, path::PathBuf, process::ExitCode};
use workspace::Workspace;

/// What every step gives: nothing, or the reason to show to the person at the terminal.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

#[derive(Parser)]
#[command(about, bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Do all set-up for the tests and run them all
    Test(suite::Options),
    /// Hold the source against the rules of the architecture
    CheckArchitecture,
    /// Measure the server against its targets
    Bench(bench::Options),
    /// Kill the server under load, and more, and see that it keeps its word
    Crash(crash::Options),
    /// Build a Debian package
    Deb(deb::Options),
    /// Write the generated documents anew
    Docs,
    /// Keep a private PostgreSQL until standard input ends (started by `test` and `bench`)
    #[command(hide = true)]
    KeepPostgres {
        programs: PathBuf,
        #[arg(long)]
        durable: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Outcome {
    match command {
        Command::Test(options) => suite::run(&Workspace::find()?, &options),
        Command::CheckArchitecture => architecture::check(&Workspace::find()?),
        Command::Bench(options) => bench::run(&Workspace::find()?, &options),
        Command::Crash(options) => crash::run(&Workspace::find()?, &options),
        Command::Deb(options) => deb::build(&Workspace::find()?, &options),
        Command::Docs => write_documents(&Workspace::find()?),
        Command::KeepPostgres { programs, durable } => postgres::keep(&programs, durable),
    }
}

/// The documents under `docs/state-machines` are rendered by the tests that guard them.
fn write_documents(workspace: &Workspace) -> Outcome {
    let mut tests =
        workspace.cargo(&["test", "--package", "countersign-domain", "--test", "state_machines"]);
    workspace::succeed(tests.env("UPDATE_DOCS", "1"))
}
