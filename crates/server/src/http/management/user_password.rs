//! The password of a user on the wire (platform API, section 2.6).

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use countersign_domain::invalid::{Invalid, Rule};
use countersign_protocol::secret::Secret;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{
    administrator::Administrator,
    hal::{Links, link, time},
    media::Media,
    refusal::{Refusal, parse},
    user::PasswordBody,
};
use crate::app::App;

type Answer = Result<Response, Refusal>;

/// `GET .../users/{id}/password`
pub(super) async fn read(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let (environment, id) = (administrator.environment()?, administrator.id("id")?);
    let state = app.read_password_state(environment, id).await?;
    let user = administrator.address().of(id);
    let own = format!("{user}/password");
    let names = ["self", "password.set", "password.check", "password.reset", "password.unlock"];
    let links: Links = names.into_iter().map(|name| link(name, own.clone())).collect();
    Ok(Json(json!({
        "_links": links,
        "environment": { "id": environment },
        "user": { "id": id },
        "status": state.status,
        "lastChangedAt": state.changed_at.map(time),
    }))
    .into_response())
}

/// A password to be tried.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Tried {
    #[schemars(with = "String")]
    password: Secret<String>,
}

/// A password that its owner replaces.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Replaced {
    #[schemars(with = "String")]
    current_password: Secret<String>,
    #[schemars(with = "String")]
    new_password: Secret<String>,
}

/// `PUT .../users/{id}/password`: what the media type says.
pub(super) async fn put(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    media: Media,
    body: Bytes,
) -> Answer {
    let (environment, id) = (administrator.environment()?, administrator.id("id")?);
    let (value, force_change) =
        if media.action(&["password.set", "password.reset"])? == "password.set" {
            let PasswordBody { value, force_change } = parse(&body)?;
            (value.ok_or_else(|| Invalid::new("value", Rule::Required))?, force_change)
        } else {
            let Replaced { current_password, new_password } = parse(&body)?;
            app.try_password(environment, id, &current_password).await?;
            (new_password, false)
        };
    let set = app.set_password_for(environment, id, &value, force_change);
    administrator.act(set).await?;
    read(State(app), administrator).await
}

/// `POST .../users/{id}/password`: what the media type says.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    media: Media,
    body: Bytes,
) -> Answer {
    let (environment, id) = (administrator.environment()?, administrator.id("id")?);
    let actions = ["password.check", "password.unlock", "password.forceChange"];
    match media.action(&actions)? {
        "password.check" => {
            let Tried { password } = parse(&body)?;
            administrator.act(app.try_password(environment, id, &password)).await?;
        }
        "password.unlock" => administrator.act(app.unlock_password(environment, id)).await?,
        _ => administrator.act(app.force_password_change(environment, id)).await?,
    }
    read(State(app), administrator).await
}
