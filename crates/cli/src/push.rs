//! `countersign push-credentials` and `countersign push-health`: by what an application reaches its phones, and how that fares.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand, ValueEnum};
use countersign_domain::push_health::PushHealth;
use countersign_protocol::{mobile_payload::PushService, secret::Secret, time::Timestamp};
use countersign_server::{
    app::NewPushCredentials,
    control::{Application, KeptPushCredentials},
};

use crate::{
    Broken,
    config::Place,
    operator::Operator,
    say,
    telemetry::{QUIET, log_to_stderr},
};

/// No service gives files that are larger.
const MOST_BYTES: u64 = 64 * 1024;

#[derive(Subcommand)]
pub enum PushCredentialsCommand {
    /// Give an application credentials of a push service, in place of those that it had.
    Put(Box<Put>),
    /// List the services of which an application has credentials.
    List {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        place: Place,
    },
    /// Take the credentials of a push service from an application: its phones are no longer woken.
    Delete {
        #[command(flatten)]
        of: Of,
        /// The service.
        #[arg(long = "type", value_name = "SERVICE")]
        service: Service,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Subcommand)]
pub enum PushHealthCommand {
    /// Show what push services have complained of, and whether automatic unpairing goes on.
    Show {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        place: Place,
    },
    /// Let automatic unpairing go on after a storm has stopped it, and forget the warnings.
    Resume {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        place: Place,
    },
}

/// An application.
#[derive(Args, Clone)]
pub struct Of {
    /// The id or the name of its environment.
    #[arg(long)]
    environment: String,
    /// Its id or its name.
    #[arg(long)]
    application: String,
}

impl From<Of> for Application {
    fn from(Of { environment, application }: Of) -> Self {
        Self { environment, application }
    }
}

/// Credentials, as their service gives them.
#[derive(Args)]
pub struct Put {
    #[command(flatten)]
    of: Of,
    /// The service.
    #[arg(long = "type", value_name = "SERVICE")]
    service: Service,
    /// The file with the secret: the `.p8` file of Apple, the JSON file of Google, the secret of Huawei's app, or the private
    /// key for Web Push (32 bytes, base64url).
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Of apns: the id of the key.
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    /// Of apns: the id of the team.
    #[arg(long, value_name = "ID")]
    team_id: Option<String>,
    /// Of hms: the id of the app.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// Of web-push: a `mailto:` or `https:` address of who runs the platform.
    #[arg(long, value_name = "ADDRESS")]
    subject: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// A push service that wants credentials.
#[derive(Clone, Copy, ValueEnum)]
pub enum Service {
    /// Apple Push Notification service.
    Apns,
    /// Firebase Cloud Messaging.
    Fcm,
    /// Huawei Push Kit.
    Hms,
    /// Web Push and `UnifiedPush`.
    WebPush,
}

impl From<Service> for PushService {
    fn from(service: Service) -> Self {
        match service {
            Service::Apns => Self::Apns,
            Service::Fcm => Self::Fcm,
            Service::Hms => Self::Hms,
            Service::WebPush => Self::WebPush,
        }
    }
}

/// What a service is called at the command line.
pub const fn name(service: PushService) -> &'static str {
    match service {
        PushService::Apns => "apns",
        PushService::Fcm => "fcm",
        PushService::Hms => "hms",
        PushService::WebPush => "web-push",
        PushService::Direct => "direct",
    }
}

/// Does it, by the server if one runs.
pub async fn run_credentials(command: PushCredentialsCommand) -> Result<ExitCode, Broken> {
    log_to_stderr(QUIET)?;
    match command {
        PushCredentialsCommand::Put(put) => {
            let credentials = read(&put)?;
            let operator = Operator::open(&put.place.resolve()?).await?;
            let kept = operator.put_push_credentials(put.of.into(), credentials).await;
            operator.close().await;
            tell(&kept?);
        }
        PushCredentialsCommand::List { of, place } => {
            let operator = Operator::open(&place.resolve()?).await?;
            let kept = operator.list_push_credentials(of.into()).await;
            operator.close().await;
            let kept = kept?;
            if kept.is_empty() {
                say("The application has no push credentials.");
            }
            kept.iter().for_each(tell);
        }
        PushCredentialsCommand::Delete { of, service, place } => {
            let operator = Operator::open(&place.resolve()?).await?;
            let deleted = operator.delete_push_credentials(of.into(), service.into()).await;
            operator.close().await;
            deleted?;
            say(&format!(
                "The application has no credentials of {} any more.",
                name(service.into())
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Does it, by the server if one runs.
pub async fn run_health(command: PushHealthCommand) -> Result<ExitCode, Broken> {
    log_to_stderr(QUIET)?;
    let (PushHealthCommand::Show { place, .. } | PushHealthCommand::Resume { place, .. }) =
        &command;
    let operator = Operator::open(&place.resolve()?).await?;
    let health = match command {
        PushHealthCommand::Show { of, .. } => operator.push_health(of.into()).await,
        PushHealthCommand::Resume { of, .. } => operator.resume_unpairing(of.into()).await,
    };
    operator.close().await;
    tell_health(&health?);
    Ok(ExitCode::SUCCESS)
}

fn tell(KeptPushCredentials { service, created_at, updated_at }: &KeptPushCredentials) {
    let at = |time: &Timestamp| time.to_rfc3339_millis();
    let (first, last) = (at(created_at), at(updated_at));
    say(&format!("{:<8}  since {first}, last replaced {last}", name(*service)));
}

fn tell_health(health: &PushHealth) {
    say(&match health.stopped_at {
        Some(at) => format!("Automatic unpairing is STOPPED since {}.", at.to_rfc3339_millis()),
        None => "Automatic unpairing goes on.".to_owned(),
    });
    if health.warnings.is_empty() {
        say("There are no warnings.");
    }
    for warning in &health.warnings {
        let (service, last) = (name(warning.service), warning.last_at.to_rfc3339_millis());
        say(&format!("{service:<8}  {}  {} times, last {last}", warning.reason, warning.count));
    }
}

/// The credentials, with the secret from its file.
fn read(put: &Put) -> Result<NewPushCredentials, Broken> {
    let given = [
        ("--key-id", put.key_id.is_some(), PushService::Apns),
        ("--team-id", put.team_id.is_some(), PushService::Apns),
        ("--client-id", put.client_id.is_some(), PushService::Hms),
        ("--subject", put.subject.is_some(), PushService::WebPush),
    ];
    let service = PushService::from(put.service);
    for (flag, is_given, of) in given {
        if is_given != (of == service) {
            let must = if is_given { "must not" } else { "must" };
            return Err(Broken::new(format!("{flag} {must} be given for {}", name(service))));
        }
    }
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let file = secret(&put.file)?;
    // Editors end a line that the secret does not have.
    let line = || Secret::new(file.expose().trim().to_owned());
    Ok(match put.service {
        Service::Apns => NewPushCredentials::Apns {
            key_id: text(&put.key_id),
            team_id: text(&put.team_id),
            private_key: file,
        },
        Service::Fcm => NewPushCredentials::Fcm { service_account: file },
        Service::Hms => {
            NewPushCredentials::Hms { client_id: text(&put.client_id), client_secret: line() }
        }
        Service::WebPush => {
            NewPushCredentials::WebPush { private_key: line(), subject: text(&put.subject) }
        }
    })
}

fn secret(path: &Path) -> Result<Secret<String>, Broken> {
    let shown = path.display();
    let unreadable = |error| Broken::new(format!("--file: {shown} cannot be read: {error}"));
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(Broken::new(format!("--file: {shown} must have at most {MOST_BYTES} bytes")));
    }
    Ok(Secret::new(text))
}
