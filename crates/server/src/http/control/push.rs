//! What operators ask about push: an application's credentials, how its pushes fare, and what is wrong with any of them.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use countersign_domain::{
    application::Application as DomainApplication, environment::Environment, id::Id,
    push_credentials::PushCredentials, push_health::PushHealth,
};
use countersign_protocol::{mobile_payload::PushService, time::Timestamp};
use serde::{Deserialize, Serialize};

use super::{Answer, Refusal};
use crate::app::{App, Fault, NewPushCredentials, PushCredentialsError, PushDiagnosis};

/// An application.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Application {
    /// The id or the name of its environment.
    pub environment: String,
    /// Its id or its name.
    pub application: String,
}

/// Credentials for an application.
#[derive(Debug, Serialize, Deserialize)]
pub struct PutPushCredentials {
    /// The application.
    pub of: Application,
    /// The credentials.
    pub credentials: NewPushCredentials,
}

/// The credentials of an application at a service.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeletePushCredentials {
    /// The application.
    pub of: Application,
    /// The service.
    pub service: PushService,
}

/// Credentials that an application has, without the secret.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeptPushCredentials {
    /// The service.
    pub service: PushService,
    /// When the first were given.
    pub created_at: Timestamp,
    /// When these were given.
    pub updated_at: Timestamp,
}

impl From<PushCredentials> for KeptPushCredentials {
    fn from(kept: PushCredentials) -> Self {
        let PushCredentials { service, created_at, updated_at, .. } = kept;
        Self { service, created_at, updated_at }
    }
}

impl From<PushCredentialsError> for Refusal {
    fn from(error: PushCredentialsError) -> Self {
        let status = match error {
            PushCredentialsError::Invalid(_) | PushCredentialsError::BundleIdRequired => {
                StatusCode::BAD_REQUEST
            }
            PushCredentialsError::NotFound | PushCredentialsError::NotNative => {
                StatusCode::NOT_FOUND
            }
            PushCredentialsError::Fault(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, &error)
    }
}

impl From<Fault> for Refusal {
    fn from(error: Fault) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, &error)
    }
}

pub(super) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/push-credentials", post(list))
        .route("/push-credentials/put", post(put))
        .route("/push-credentials/delete", post(delete))
        .route("/push-health", post(health))
        .route("/push-health/resume", post(resume))
        .route("/push-examination", get(examine))
}

async fn find(
    app: &App,
    of: &Application,
) -> Result<(Id<Environment>, Id<DomainApplication>), Refusal> {
    let named = |name: &str, error| {
        let Refusal(status, error) = Refusal::from(error);
        Refusal(status, format!("{name}: {error}"))
    };
    let environment = app.find_environment(&of.environment).await;
    let environment = environment.map_err(|error| named("--environment", error))?;
    let application = app.find_application(environment, &of.application).await;
    Ok((environment, application.map_err(|error| named("--application", error))?))
}

async fn list(
    State(app): State<Arc<App>>,
    Json(of): Json<Application>,
) -> Answer<Vec<KeptPushCredentials>> {
    let (environment, application) = find(&app, &of).await?;
    let kept = app.list_push_credentials(environment, application).await?;
    Ok(Json(kept.into_iter().map(KeptPushCredentials::from).collect()))
}

async fn put(
    State(app): State<Arc<App>>,
    Json(PutPushCredentials { of, credentials }): Json<PutPushCredentials>,
) -> Answer<KeptPushCredentials> {
    let (environment, application) = find(&app, &of).await?;
    Ok(Json(app.put_push_credentials(environment, application, credentials).await?.into()))
}

async fn delete(
    State(app): State<Arc<App>>,
    Json(DeletePushCredentials { of, service }): Json<DeletePushCredentials>,
) -> Answer<()> {
    let (environment, application) = find(&app, &of).await?;
    Ok(Json(app.delete_push_credentials(environment, application, service).await?))
}

async fn health(State(app): State<Arc<App>>, Json(of): Json<Application>) -> Answer<PushHealth> {
    let (environment, application) = find(&app, &of).await?;
    Ok(Json(app.push_health(environment, application).await?))
}

async fn resume(State(app): State<Arc<App>>, Json(of): Json<Application>) -> Answer<PushHealth> {
    let (environment, application) = find(&app, &of).await?;
    Ok(Json(app.resume_unpairing(environment, application).await?))
}

async fn examine(State(app): State<Arc<App>>) -> Answer<PushDiagnosis> {
    Ok(Json(app.examine_push().await?))
}
