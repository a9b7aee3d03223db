//! The sessions of a user on the wire: the browsers in which somebody is signed in.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countersign_domain::session::{Session, State as SessionState};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    administrator::Administrator,
    hal::{Address, Links, Page, Reference, Shown, Wanted, link, time},
    refusal::Refusal,
};
use crate::app::App;

/// A browser in which a user is signed in.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Session")]
pub(super) struct Body {
    /// Who.
    user: Reference,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sign_on: Option<SignOn>,
    /// The applications that have tokens of it and must be told of its end.
    applications: Vec<Reference>,
    /// When it ends by itself, unless somebody signs on in it before.
    expires_at: String,
}

/// How the person has proved who they are.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionSignOn")]
struct SignOn {
    /// When the last proof was given.
    at: String,
    /// By what, as `amr` has it (RFC 8176).
    authenticators: Vec<&'static str>,
}

/// The sessions of a user.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionCollection")]
pub(super) struct All {
    #[serde(rename = "_embedded")]
    embedded: Embedded,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionCollectionEmbedded")]
struct Embedded {
    sessions: Vec<Shown<Body>>,
}

fn show(session: &Session, address: &Address) -> Shown<Body> {
    let user = address.list.trim_end_matches("/sessions").to_owned();
    let links = Links::from([
        link("self", address.of(session.id)),
        link("environment", address.environment(session.environment)),
        link("user", user),
    ]);
    let (last_sign_on, applications) = match &session.state {
        SessionState::Active { identity, participants } => {
            let authenticators = || identity.methods.iter().map(|method| method.name()).collect();
            let sign_on = |at| SignOn { at: time(at), authenticators: authenticators() };
            let applications = participants.iter().map(|part| part.application.into()).collect();
            (identity.authenticated_at.map(sign_on), applications)
        }
        SessionState::Ended { .. } => (None, Vec::new()),
    };
    Shown {
        links,
        id: session.id.to_string(),
        environment: session.environment.into(),
        body: Body {
            user: session.user().into(),
            last_sign_on,
            applications,
            expires_at: time(session.expires_at),
        },
        created_at: Some(time(session.created_at)),
        updated_at: None,
    }
}

type Answer = Result<Response, Refusal>;

/// `GET .../sessions`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    RawQuery(query): RawQuery,
) -> Answer {
    let wanted = Wanted::parse(query.as_deref())?;
    if wanted.filter.is_some() {
        return Err(Refusal::invalid_request("filter: sessions are listed whole"));
    }
    let (environment, user) = (administrator.environment()?, administrator.id("user")?);
    let listed = app.sessions_of(environment, user, wanted.range()).await?;
    let address = administrator.address();
    let items = listed.items.iter().map(|session| show(session, address)).collect();
    Ok(Page::part("sessions", items, &listed, &wanted, address).into_response())
}

/// `GET .../sessions/{id}`
pub(super) async fn read(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let (environment, user) = (administrator.environment()?, administrator.id("user")?);
    let found = app.session_of(environment, user, administrator.id("id")?).await?;
    Ok(Json(show(&found, administrator.address())).into_response())
}

/// `DELETE .../sessions/{id}`: signs the person off there.
pub(super) async fn end(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let (environment, user) = (administrator.environment()?, administrator.id("user")?);
    administrator.act(app.end_session_of(environment, user, administrator.id("id")?)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `DELETE .../sessions`: signs the person off everywhere.
pub(super) async fn end_all(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let (environment, user) = (administrator.environment()?, administrator.id("user")?);
    administrator.act(app.end_sessions_of(environment, user)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
