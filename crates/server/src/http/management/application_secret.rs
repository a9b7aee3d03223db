//! The secret of an application on the wire (platform API, section 3.4).

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_domain::{
    application::Application,
    id::Id,
    invalid::{Invalid, Rule},
};
use countersign_protocol::{secret::Secret, time::Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    administrator::Administrator,
    hal::{Links, Reference, link, time},
    refusal::{Refusal, parse},
};
use crate::app::{App, ApplicationSecret};

type Answer = Result<Response, Refusal>;

/// The secret of an application.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApplicationSecret")]
pub(super) struct Body {
    #[serde(rename = "_links")]
    links: Links,
    environment: Reference,
    /// The secret.
    #[serde(serialize_with = "countersign_protocol::secret::reveal")]
    #[schemars(with = "String")]
    secret: Secret<String>,
    /// The one before it, while it still counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<Previous>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PreviousApplicationSecret")]
struct Previous {
    #[serde(serialize_with = "countersign_protocol::secret::reveal")]
    #[schemars(with = "String")]
    secret: Secret<String>,
    /// It counts until then.
    expires_at: String,
}

/// What becomes of the secret that is replaced.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "ApplicationSecretRotation")]
pub(super) struct Rotation {
    /// None: it counts no longer.
    previous: Option<Until>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PreviousApplicationSecretLife")]
struct Until {
    /// It counts until then: from 1 minute to 30 days from now.
    expires_at: Option<String>,
}

fn shown(administrator: &Administrator, secret: ApplicationSecret) -> Answer {
    let environment = administrator.environment()?;
    let address = administrator.address();
    let links = Links::from([
        link("self", address.list.clone()),
        link("environment", address.environment(environment)),
    ]);
    let previous =
        secret.previous.map(|(secret, until)| Previous { secret, expires_at: time(until) });
    let body = Body { links, environment: environment.into(), secret: secret.secret, previous };
    // RFC 6749, section 5.1, of tokens: what is secret is in no cache.
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

fn application(administrator: &Administrator) -> Result<Id<Application>, Refusal> {
    Ok(administrator.id("application")?)
}

/// `GET .../secret`
pub(super) async fn read(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let (environment, id) = (administrator.environment()?, application(&administrator)?);
    let read = app.read_secret(&administrator.authority, environment, id);
    let secret = administrator.act(read).await?;
    shown(&administrator, secret)
}

/// `POST .../secret`
pub(super) async fn rotate(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let rotation: Rotation = if body.is_empty() { Rotation::default() } else { parse(&body)? };
    let until = match rotation.previous.and_then(|previous| previous.expires_at) {
        None => None,
        Some(text) => Some(Timestamp::parse_rfc3339(&text).ok_or_else(|| {
            let form = "a time as RFC 3339 writes it";
            Refusal::from(Invalid::new("previous.expires_at", Rule::Form { form }))
        })?),
    };
    let of = (administrator.environment()?, application(&administrator)?);
    let rotate = app.rotate_secret(&administrator.authority, of, until);
    let secret = administrator.act(rotate).await?;
    shown(&administrator, secret)
}

/// `DELETE .../secret`: the previous one goes, the present one stays.
pub(super) async fn forget_previous(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Answer {
    let (environment, id) = (administrator.environment()?, application(&administrator)?);
    let forget = app.forget_previous_secret(&administrator.authority, environment, id);
    administrator.act(forget).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
