//! How commands reach the platform: through the server if one runs on this data, else by opening the database themselves.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use countersign_domain::{
    application::Application as DomainApplication, environment::Environment, id::Id,
    push_health::PushHealth,
};
use countersign_protocol::mobile_payload::PushService;
use countersign_server::{
    app::{App, NewPushCredentials, PushDiagnosis, Rotation},
    control::{
        Administrator, Application, BackUp, BackedUp, DeletePushCredentials, Examined,
        KeptPushCredentials, Key, KeysOf, Made, MadeWorker, NewWorker, PutPushCredentials, Refused,
        RotateKeys,
    },
};
use reqwest::{Client, Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Broken, config::Resolved, key_file, serve::open_app};

/// The name of the control socket in the folder of the data.
const SOCKET: &str = "control.sock";

/// How long a server may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// The control socket of the platform in this folder.
pub fn socket(data: &Path) -> PathBuf {
    data.join(SOCKET)
}

async fn open_alone(configuration: &Resolved) -> Result<Arc<App>, Broken> {
    if key_file::find(&configuration.key)?.is_none() {
        let data = configuration.data.display();
        let why = format!("there is no platform in {data} yet: `countersign serve` makes one");
        return Err(Broken::new(why));
    }
    open_app(configuration, configuration.settings(configuration.listen)).await
}

/// The platform, one way or the other.
pub enum Operator {
    /// A server runs.
    Server(Control),
    /// Nobody else has it open, or nobody who can be asked.
    Alone(Arc<App>),
}

impl Operator {
    /// Reaches a platform that has been started before.
    pub async fn open(configuration: &Resolved) -> Result<Self, Broken> {
        if let Some(control) = Control::find(&configuration.data).await? {
            return Ok(Self::Server(control));
        }
        Ok(Self::Alone(open_alone(configuration).await?))
    }

    /// Makes an administrator.
    pub async fn create_administrator(&self, username: &str) -> Result<Made, Broken> {
        match self {
            Self::Server(control) => control.post("administrators", &named(username)).await,
            Self::Alone(app) => {
                app.ensure_administrators().await?;
                Ok(app.create_administrator(username).await?.into())
            }
        }
    }

    /// Gives an administrator a new password.
    pub async fn reset_administrator(&self, username: &str) -> Result<Made, Broken> {
        match self {
            Self::Server(control) => control.post("administrators/reset", &named(username)).await,
            Self::Alone(app) => Ok(app.reset_administrator(username).await?.into()),
        }
    }

    /// Makes a worker application with a role.
    pub async fn create_worker(&self, new: &NewWorker) -> Result<MadeWorker, Broken> {
        match self {
            Self::Server(control) => control.post("workers", new).await,
            Self::Alone(app) => {
                app.ensure_administrators().await?;
                Ok(new.make(app).await?)
            }
        }
    }

    /// Writes a backup to a file that does not exist.
    pub async fn back_up(&self, to: &Path) -> Result<BackedUp, Broken> {
        // The server may have been started elsewhere.
        let to = std::path::absolute(to)?;
        match self {
            Self::Server(control) => control.post("backups", &BackUp { to }).await,
            Self::Alone(app) => Ok(app.back_up(&to).await?.into()),
        }
    }

    /// The signing keys of an environment, by its id or its name.
    pub async fn list_keys(&self, environment: String) -> Result<Vec<Key>, Broken> {
        match self {
            Self::Server(control) => control.post("keys", &KeysOf { environment }).await,
            Self::Alone(app) => {
                let environment = app.find_environment(&environment).await?;
                Ok(app.list_keys(environment).await?.into_iter().map(Key::from).collect())
            }
        }
    }

    /// Replaces the signing keys of an environment, and withdraws the old ones if told when.
    pub async fn rotate_keys(
        &self,
        environment: String,
        withdraw_after_seconds: Option<i64>,
    ) -> Result<Vec<Key>, Broken> {
        match self {
            Self::Server(control) => {
                let body = RotateKeys { environment, withdraw_after_seconds };
                control.post("keys/rotate", &body).await
            }
            Self::Alone(app) => {
                let environment = app.find_environment(&environment).await?;
                let rotation = withdraw_after_seconds
                    .map_or(Rotation::InOrder, |withdraw_after_seconds| Rotation::AtOnce {
                        withdraw_after_seconds,
                    });
                let keys = app.rotate_keys(environment, None, rotation).await?;
                Ok(keys.into_iter().map(Key::from).collect())
            }
        }
    }

    /// Gives an application credentials of a push service.
    pub async fn put_push_credentials(
        &self,
        of: Application,
        credentials: NewPushCredentials,
    ) -> Result<KeptPushCredentials, Broken> {
        match self {
            Self::Server(control) => {
                control.post("push-credentials/put", &PutPushCredentials { of, credentials }).await
            }
            Self::Alone(app) => {
                let (environment, application) = find(app, &of).await?;
                let kept = app.put_push_credentials(environment, application, credentials);
                Ok(kept.await?.into())
            }
        }
    }

    /// The services of which an application has credentials.
    pub async fn list_push_credentials(
        &self,
        of: Application,
    ) -> Result<Vec<KeptPushCredentials>, Broken> {
        match self {
            Self::Server(control) => control.post("push-credentials", &of).await,
            Self::Alone(app) => {
                let (environment, application) = find(app, &of).await?;
                let kept = app.list_push_credentials(environment, application).await?;
                Ok(kept.into_iter().map(KeptPushCredentials::from).collect())
            }
        }
    }

    /// Takes the credentials of a push service from an application.
    pub async fn delete_push_credentials(
        &self,
        of: Application,
        service: PushService,
    ) -> Result<(), Broken> {
        match self {
            Self::Server(control) => {
                let body = DeletePushCredentials { of, service };
                control.post("push-credentials/delete", &body).await
            }
            Self::Alone(app) => {
                let (environment, application) = find(app, &of).await?;
                Ok(app.delete_push_credentials(environment, application, service).await?)
            }
        }
    }

    /// How pushes to an application fare.
    pub async fn push_health(&self, of: Application) -> Result<PushHealth, Broken> {
        match self {
            Self::Server(control) => control.post("push-health", &of).await,
            Self::Alone(app) => {
                let (environment, application) = find(app, &of).await?;
                Ok(app.push_health(environment, application).await?)
            }
        }
    }

    /// Lets automatic unpairing go on, and forgets the warnings.
    pub async fn resume_unpairing(&self, of: Application) -> Result<PushHealth, Broken> {
        match self {
            Self::Server(control) => control.post("push-health/resume", &of).await,
            Self::Alone(app) => {
                let (environment, application) = find(app, &of).await?;
                Ok(app.resume_unpairing(environment, application).await?)
            }
        }
    }

    /// Examines push credentials, and how pushes fare.
    pub async fn examine_push(&self) -> Result<PushDiagnosis, Broken> {
        match self {
            Self::Server(control) => control.get("push-examination").await,
            Self::Alone(app) => Ok(app.examine_push().await?),
        }
    }

    /// Examines the database and the keys.
    pub async fn examine(&self) -> Result<Examined, Broken> {
        match self {
            Self::Server(control) => control.get("examination").await,
            Self::Alone(app) => Ok(app.examine().await?.into()),
        }
    }

    /// Closes what was opened.
    pub async fn close(self) {
        if let Self::Alone(app) = self {
            app.store().close().await;
        }
    }
}

async fn find(
    app: &App,
    of: &Application,
) -> Result<(Id<Environment>, Id<DomainApplication>), Broken> {
    let environment = app.find_environment(&of.environment).await;
    let missing = |what, error| Broken::new(format!("{what}: {}", Broken::from(error)));
    let environment = environment.map_err(|error| missing("--environment", error))?;
    let application = app.find_application(environment, &of.application).await;
    Ok((environment, application.map_err(|error| missing("--application", error))?))
}

fn named(username: &str) -> Administrator {
    Administrator { username: username.to_owned() }
}

/// A server that runs, at the other end of its control socket.
pub struct Control(Client);

impl Control {
    /// The server that runs on the data in this folder, if one does.
    pub async fn find(data: &Path) -> Result<Option<Self>, Broken> {
        let path = socket(data);
        if !path.exists() {
            return Ok(None);
        }
        let control = Self(Client::builder().unix_socket(path).build()?);
        let asked = control.0.get(address("health")).timeout(PATIENCE).send().await;
        match asked {
            Ok(answer) if answer.status() == StatusCode::NO_CONTENT => Ok(Some(control)),
            Ok(answer) => Err(refusal(answer).await),
            // The socket of a process that is gone.
            Err(error) if error.is_connect() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Broken> {
        self.ask::<(), T>(Method::GET, path, None).await
    }

    async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Broken> {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn ask<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, Broken> {
        let mut request = self.0.request(method, address(path));
        if let Some(body) = body {
            let json = serde_json::to_vec(body)?;
            request = request.header("content-type", "application/json").body(json);
        }
        let answer = request.send().await?;
        if !answer.status().is_success() {
            return Err(refusal(answer).await);
        }
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }
}

fn address(path: &str) -> String {
    format!("http://countersign/{path}")
}

async fn refusal(answer: reqwest::Response) -> Broken {
    let status = answer.status();
    let body = answer.bytes().await.unwrap_or_default();
    let refused = serde_json::from_slice::<Refused>(&body);
    refused.map_or_else(
        |_| Broken::new(format!("the server answered with {status}")),
        |Refused { error }| Broken::new(error),
    )
}
