//! `countersign admin`: further administrators, and a way back in for those who forgot their password.

use std::process::ExitCode;

use clap::Subcommand;
use countersign_server::control::Made;

use crate::{
    Broken,
    config::Place,
    operator::Operator,
    say,
    telemetry::{QUIET, log_to_stderr},
};

#[derive(Subcommand)]
pub enum AdminCommand {
    /// Make an administrator and show a one-time password.
    Create {
        /// The user name.
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// Give an administrator a new one-time password; the old one no longer counts, and locks end.
    Reset {
        /// The user name.
        name: String,
        #[command(flatten)]
        place: Place,
    },
}

/// Does it, by the server if one runs.
pub async fn run(command: AdminCommand) -> Result<ExitCode, Broken> {
    log_to_stderr(QUIET)?;
    let (AdminCommand::Create { place, .. } | AdminCommand::Reset { place, .. }) = &command;
    let operator = Operator::open(&place.resolve()?).await?;
    let made = match &command {
        AdminCommand::Create { name, .. } => operator.create_administrator(name).await,
        AdminCommand::Reset { name, .. } => operator.reset_administrator(name).await,
    };
    operator.close().await;
    let Made { username, password } = made?;
    say(&format!("user name          {username}"));
    say(&format!("one-time password  {}", password.expose()));
    say("The password is shown this once and must be changed at the next sign-on.");
    Ok(ExitCode::SUCCESS)
}
