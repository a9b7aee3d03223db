//! `countersign admin`: further administrators, a way back in for those who forgot their password, and workers for the
//! management API.

use std::process::ExitCode;

use clap::Subcommand;
use countersign_domain::role::Role;
use countersign_server::control::{Made, MadeWorker, NewWorker};

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
    /// Make a worker application for the management API and show its secret.
    Worker {
        /// The name of the application.
        name: String,
        /// What it may do, by the name of the role.
        #[arg(long, default_value = "Organization Admin")]
        role: String,
        /// The environment in which the role counts, by id or name; everywhere if none is named.
        #[arg(long)]
        environment: Option<String>,
        #[command(flatten)]
        place: Place,
    },
}

/// Does it, by the server if one runs.
pub async fn run(command: AdminCommand) -> Result<ExitCode, Broken> {
    log_to_stderr(QUIET)?;
    let (AdminCommand::Create { place, .. }
    | AdminCommand::Reset { place, .. }
    | AdminCommand::Worker { place, .. }) = &command;
    let operator = Operator::open(&place.resolve()?).await?;
    let done = match &command {
        AdminCommand::Create { name, .. } => {
            operator.create_administrator(name).await.map(show_password)
        }
        AdminCommand::Reset { name, .. } => {
            operator.reset_administrator(name).await.map(show_password)
        }
        AdminCommand::Worker { name, role, environment, .. } => {
            let (name, environment) = (name.clone(), environment.clone());
            let new = NewWorker { name, role: role_named(role)?, environment };
            operator.create_worker(&new).await.map(|made| show_worker(&made, &new))
        }
    };
    operator.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

fn role_named(name: &str) -> Result<Role, Broken> {
    let found = Role::ALL.iter().copied().find(|role| role.name().eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let names: Vec<_> = Role::ALL.iter().map(|role| role.name()).collect();
        Broken::new(format!("--role must be one of: {}", names.join(", ")))
    })
}

fn show_password(made: Made) {
    let Made { username, password } = made;
    say(&format!("user name          {username}"));
    say(&format!("one-time password  {}", password.expose()));
    say("The password is shown this once and must be changed at the next sign-on.");
}

fn show_worker(made: &MadeWorker, new: &NewWorker) {
    say(&format!("environment    {}", made.environment));
    say(&format!("client id      {}", made.client_id));
    say(&format!("client secret  {}", made.client_secret.expose()));
    let place = new.environment.as_deref().unwrap_or("every environment");
    say(&format!("It is {} of {place}. The secret is shown this once.", new.role.name()));
}
