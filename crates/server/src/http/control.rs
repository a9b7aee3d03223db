//! What operators ask of a server that runs: JSON over a socket in the folder of the data, which only the owner of the
//! folder can open.

mod push;

use std::{path::PathBuf, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use countersign_domain::{
    role::{Role, Scope},
    signing_key::SigningKey,
};
use countersign_protocol::secret::{self, Secret};
use countersign_store::backup::{BackupError, Report};
use serde::{Deserialize, Serialize};

pub use self::push::{Application, DeletePushCredentials, KeptPushCredentials, PutPushCredentials};
use crate::app::{AdministerError, App, CreatedWorker, Diagnosis, OneTimePassword, Rotation};

/// An administrator, by name.
#[derive(Debug, Serialize, Deserialize)]
pub struct Administrator {
    /// The user name.
    pub username: String,
}

/// A worker application that is to have a role, by the names.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewWorker {
    /// The name of the application.
    pub name: String,
    /// The name of the role.
    pub role: Role,
    /// Id or name of the environment in which it counts; none: everywhere.
    pub environment: Option<String>,
}

/// A worker application that was made, to be shown once.
#[derive(Debug, Serialize, Deserialize)]
pub struct MadeWorker {
    /// The environment that it lives in, where it gets its tokens.
    pub environment: String,
    /// The `client_id`.
    pub client_id: String,
    /// The `client_secret`.
    #[serde(serialize_with = "secret::reveal")]
    pub client_secret: Secret<String>,
}

/// A password that was made, to be shown once.
#[derive(Debug, Serialize, Deserialize)]
pub struct Made {
    /// The user name.
    pub username: String,
    /// The password.
    #[serde(serialize_with = "secret::reveal")]
    pub password: Secret<String>,
}

/// Where a backup is to be written, on the machine of the server.
#[derive(Debug, Serialize, Deserialize)]
pub struct BackUp {
    /// Absolute path of a file that does not exist.
    pub to: PathBuf,
}

/// What is in a backup.
#[derive(Debug, Serialize, Deserialize)]
pub struct BackedUp {
    /// Version of the schema.
    pub schema: i64,
    /// Rows of each table.
    pub tables: Vec<(String, u64)>,
    /// Length of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub digest: String,
}

/// What a server found when it examined itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct Examined {
    /// Version of the schema.
    pub schema: i64,
    /// What is wrong with the database file.
    pub damage: Option<String>,
    /// How far the clock of the database is ahead, in milliseconds.
    pub skew_ms: Option<i64>,
    /// Whether what is sealed opens.
    pub keys_open: bool,
}

/// An environment whose signing keys are asked for.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeysOf {
    /// Its id or its name.
    pub environment: String,
}

/// An environment whose signing keys are to be replaced.
#[derive(Debug, Serialize, Deserialize)]
pub struct RotateKeys {
    /// Its id or its name.
    pub environment: String,
    /// Seconds after which the old keys are withdrawn; none: in order, so that nobody notices.
    pub withdraw_after_seconds: Option<i64>,
}

/// A signing key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Key {
    /// Its name in tokens and in the JWKS.
    pub kid: String,
    /// What it signs with.
    pub algorithm: String,
    /// How far it has come: `next`, `current` or `retired`.
    pub state: String,
}

/// Why nothing was done.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refused {
    /// In words, for the person at the terminal.
    pub error: String,
}

/// The routes. They have no callers to tell apart: whoever can open the socket is the operator.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/examination", get(examine))
        .route("/administrators", post(create_administrator))
        .route("/administrators/reset", post(reset_administrator))
        .route("/workers", post(create_worker))
        .route("/keys", post(list_keys))
        .route("/keys/rotate", post(rotate_keys))
        .route("/backups", post(back_up))
        .merge(push::router())
        .with_state(app)
}

type Answer<T> = Result<Json<T>, Refusal>;

/// An error with everything beneath it: an operator may see it all.
struct Refusal(StatusCode, String);

impl Refusal {
    fn new(status: StatusCode, error: &dyn std::error::Error) -> Self {
        let sources = std::iter::successors(error.source(), |error| error.source());
        let text = sources.fold(error.to_string(), |line, source| format!("{line}: {source}"));
        Self(status, text)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, error) = self;
        (status, Json(Refused { error })).into_response()
    }
}

impl From<AdministerError> for Refusal {
    fn from(error: AdministerError) -> Self {
        let status = match error {
            AdministerError::Invalid(_) => StatusCode::BAD_REQUEST,
            AdministerError::NotFound => StatusCode::NOT_FOUND,
            AdministerError::InUse { .. } | AdministerError::Kept { .. } => StatusCode::CONFLICT,
            AdministerError::Forbidden { .. } => StatusCode::FORBIDDEN,
            AdministerError::Fault(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, &error)
    }
}

impl From<OneTimePassword> for Made {
    fn from(made: OneTimePassword) -> Self {
        let OneTimePassword { username, password } = made;
        Self { username, password }
    }
}

impl From<CreatedWorker> for MadeWorker {
    fn from(made: CreatedWorker) -> Self {
        let CreatedWorker { application, secret } = made;
        Self {
            environment: application.environment.to_string(),
            client_id: application.id.to_string(),
            client_secret: secret,
        }
    }
}

impl NewWorker {
    /// Makes it.
    pub async fn make(&self, app: &App) -> Result<MadeWorker, AdministerError> {
        let scope = match &self.environment {
            None => Scope::Organization,
            Some(named) => Scope::Environment(app.find_environment(named).await?),
        };
        Ok(app.create_worker(&self.name, self.role, scope).await?.into())
    }
}

impl From<SigningKey> for Key {
    fn from(key: SigningKey) -> Self {
        Self {
            algorithm: key.algorithm().name().to_owned(),
            state: key.state.name().to_owned(),
            kid: key.public.kid,
        }
    }
}

impl From<Report> for BackedUp {
    fn from(report: Report) -> Self {
        let Report { schema, tables, bytes, digest } = report;
        Self { schema, tables, bytes, digest }
    }
}

impl From<Diagnosis> for Examined {
    fn from(found: Diagnosis) -> Self {
        let Diagnosis { database, skew_ms, keys_open } = found;
        Self { schema: database.schema, damage: database.damage, skew_ms, keys_open }
    }
}

async fn health(State(app): State<Arc<App>>) -> Result<StatusCode, Refusal> {
    let unavailable = |error| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, &error);
    app.store().ping().await.map_err(unavailable)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn examine(State(app): State<Arc<App>>) -> Answer<Examined> {
    let failed = |error| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, &error);
    Ok(Json(app.examine().await.map_err(failed)?.into()))
}

async fn create_administrator(
    State(app): State<Arc<App>>,
    Json(Administrator { username }): Json<Administrator>,
) -> Answer<Made> {
    Ok(Json(app.create_administrator(&username).await?.into()))
}

async fn reset_administrator(
    State(app): State<Arc<App>>,
    Json(Administrator { username }): Json<Administrator>,
) -> Answer<Made> {
    Ok(Json(app.reset_administrator(&username).await?.into()))
}

async fn create_worker(
    State(app): State<Arc<App>>,
    Json(new): Json<NewWorker>,
) -> Answer<MadeWorker> {
    Ok(Json(new.make(&app).await?))
}

async fn list_keys(
    State(app): State<Arc<App>>,
    Json(KeysOf { environment }): Json<KeysOf>,
) -> Answer<Vec<Key>> {
    let environment = app.find_environment(&environment).await?;
    Ok(Json(app.list_keys(environment).await?.into_iter().map(Key::from).collect()))
}

async fn rotate_keys(
    State(app): State<Arc<App>>,
    Json(RotateKeys { environment, withdraw_after_seconds }): Json<RotateKeys>,
) -> Answer<Vec<Key>> {
    let environment = app.find_environment(&environment).await?;
    let rotation = withdraw_after_seconds.map_or(Rotation::InOrder, |withdraw_after_seconds| {
        Rotation::AtOnce { withdraw_after_seconds }
    });
    let keys = app.rotate_keys(environment, None, rotation).await?;
    Ok(Json(keys.into_iter().map(Key::from).collect()))
}

async fn back_up(
    State(app): State<Arc<App>>,
    Json(BackUp { to }): Json<BackUp>,
) -> Answer<BackedUp> {
    let report = app
        .back_up(&to)
        .await
        .map_err(|error: BackupError| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, &error))?;
    Ok(Json(report.into()))
}
