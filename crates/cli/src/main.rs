//! The `countersign` command.

mod admin;
mod audit;
mod backup;
mod config;
mod demo;
mod doctor;
mod emulator;
mod key_file;
mod keys;
mod operator;
mod platform;
mod push;
mod push_services;
mod serve;
mod setup;
mod telemetry;
mod tour;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    admin::AdminCommand,
    audit::AuditCommand,
    config::Place,
    demo::Demo,
    emulator::Emulator,
    keys::KeysCommand,
    push::{PushCredentialsCommand, PushHealthCommand},
    telemetry::{QUIET, SILENT},
};

/// Let your own app be the second factor.
#[derive(Parser)]
#[command(name = "countersign", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the platform in production. The first start sets everything up and shows the administrator's password.
    Serve(Place),
    /// Make an administrator, or give one a new password.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// List or replace the signing keys of an environment, or change the key-encryption key.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Give an application what it needs to reach its phones by APNs, FCM, HMS or Web Push, or take it away.
    #[command(subcommand)]
    PushCredentials(PushCredentialsCommand),
    /// See how an application's pushes fare, and let automatic unpairing go on after a storm.
    #[command(subcommand)]
    PushHealth(PushHealthCommand),
    /// Verify or export the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Write a consistent copy of everything into a file, while the server runs or not.
    Backup {
        /// The file, which must not exist yet.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Put a backup into a database that holds nothing, on either engine.
    Restore {
        /// The file.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Look at everything that tends to be wrong, and say what to mend.
    Doctor {
        /// Only say whether a server runs on this data and its database answers.
        #[arg(long)]
        live: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Show the example of a configuration, or check one.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Try everything on this machine: the platform, a bank's web site, push services, and phones in the browser.
    Demo(Demo),
    /// Walk through enrolment and device authorization step by step, with an emulated phone. Fails if one step does.
    Tour {
        /// `postgres://...` or `sqlite:PATH`; without it a temporary `SQLite`.
        #[arg(long)]
        database: Option<String>,
        /// One JSON object a line instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Be APNs and FCM on this machine, with phones that are managed by HTTP and with faults on demand.
    ///
    /// A folder is filled with what an operator would download from Apple and Google, and with the certificate to trust, so that
    /// a platform can push to phones that do not exist. docs/emulator.md describes phones and faults.
    Emulator(Emulator),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print every setting with its unit and its default, ready to be a configuration file.
    Example,
    /// Read a configuration as `serve` does, and say what is wrong with it.
    Check(Place),
}

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the runtime does not start");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match Arguments::parse().command {
            Command::Serve(place) => serve::run(place.resolve()?).await,
            Command::Admin(command) => admin::run(command).await,
            Command::Keys(command) => keys::run(command).await,
            Command::PushCredentials(command) => push::run_credentials(command).await,
            Command::PushHealth(command) => push::run_health(command).await,
            Command::Audit(command) => audit::run(command).await,
            Command::Backup { to, place } => backup::back_up(&place, &to).await,
            Command::Restore { from, place } => backup::restore(&place, &from).await,
            Command::Doctor { live: true, place } => doctor::is_alive(&place).await,
            Command::Doctor { live: false, place } => doctor::run(&place).await,
            Command::Config(ConfigCommand::Example) => {
                print(config::EXAMPLE);
                Ok(ExitCode::SUCCESS)
            }
            Command::Config(ConfigCommand::Check(place)) => check_config(&place),
            Command::Demo(demo) => {
                telemetry::log_to_stderr(QUIET)?;
                Box::pin(demo.run()).await
            }
            Command::Tour { database, json } => {
                // It provokes what a server warns of; a step that fails says why.
                telemetry::log_to_stderr(SILENT)?;
                tour::run(database, json).await
            }
            Command::Emulator(emulator) => {
                telemetry::log_to_stderr(QUIET)?;
                emulator.run().await
            }
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

fn check_config(place: &Place) -> Result<ExitCode, Broken> {
    let configuration = place.resolve()?;
    match configuration.file {
        Some(file) => say(&format!("{} can be used.", file.display())),
        None => say("There is no configuration file: everything has its default."),
    }
    Ok(ExitCode::SUCCESS)
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

/// A text for the person at the terminal, or for a file.
#[expect(clippy::print_stdout, reason = "this is a command: its lines are its result")]
fn print(text: &str) {
    print!("{text}");
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
