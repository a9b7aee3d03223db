//! How pushes to an application fare: what the services have complained of, and whether automatic unpairing goes on.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use countersign_domain::{application::Application, id::Id, push_health::PushHealth};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    administrator::Administrator,
    hal::{Links, Reference, link, time},
    media::Media,
    refusal::Refusal,
};
use crate::app::App;

type Answer = Result<Response, Refusal>;

/// How pushes to an application fare.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PushHealth")]
pub(super) struct View {
    #[serde(rename = "_links")]
    links: Links,
    environment: Reference,
    application: Reference,
    /// Since when automatic unpairing is stopped, since too many phones seemed to be gone at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_at: Option<String>,
    /// When somebody last let it go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed_at: Option<String>,
    /// What is wrong, the latest last; at most 20.
    warnings: Vec<WarningView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PushWarning")]
struct WarningView {
    /// `apns`, `fcm`, `hms`, `web_push`.
    service: String,
    /// The word of the service, or of the guard.
    reason: String,
    first_at: String,
    last_at: String,
    /// How often it has shown.
    count: u64,
}

fn view(administrator: &Administrator, health: &PushHealth) -> Response {
    let address = administrator.address();
    let links = Links::from([
        link("self", address.list.clone()),
        link("environment", address.environment(health.environment)),
    ]);
    let warnings = health.warnings.iter().map(|warning| WarningView {
        service: serde_json::to_value(warning.service)
            .ok()
            .and_then(|word| word.as_str().map(str::to_owned))
            .unwrap_or_default(),
        reason: warning.reason.clone(),
        first_at: time(warning.first_at),
        last_at: time(warning.last_at),
        count: warning.count,
    });
    let view = View {
        links,
        environment: health.environment.into(),
        application: health.application.into(),
        stopped_at: health.stopped_at.map(time),
        resumed_at: health.resumed_at.map(time),
        warnings: warnings.collect(),
    };
    Json(view).into_response()
}

/// The application of the address, which must be there.
async fn application(app: &App, administrator: &Administrator) -> Result<Application, Refusal> {
    let id: Id<Application> = administrator.id("application")?;
    Ok(app.get(administrator.environment()?, id).await?)
}

/// `GET .../pushHealth`
pub(super) async fn read(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let of = application(&app, &administrator).await?;
    let health = app.push_health(of.environment, of.id).await?;
    Ok(view(&administrator, &health))
}

/// `POST .../pushHealth`: what the media type says.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    media: Media,
) -> Answer {
    media.action(&["pushHealth.resume"])?;
    let of = application(&app, &administrator).await?;
    let resume = app.resume_unpairing(of.environment, of.id);
    let health = administrator.act(resume).await?;
    Ok(view(&administrator, &health))
}
