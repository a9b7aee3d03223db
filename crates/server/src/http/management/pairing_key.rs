//! Pairing keys on the wire (platform API, section 9.5): back ends make keys by which phones are paired.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_domain::{
    invalid::{Invalid, Rule},
    pairing_key::{MAX_KEYS, PairingKey, State as KeyState},
    role::{Area, Permission},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    administrator::Administrator,
    hal::{Links, Page, Reference, Shown, Wanted, link, time},
    refusal::{Refusal, not_found, parse},
    resource::id_in,
};
use crate::{
    app::{App, NewPairingKey, PairingKeyError, PairingKeyView, Realm},
    http::{
        action::preferred_wait,
        pairing_key::code_of,
        problem::{Detail, Problem},
    },
};

/// A key by which a phone is paired to a user.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PairingKey")]
pub(super) struct Body {
    /// To whom.
    user: Reference,
    /// What the person types or scans. Told only to who may manage users, since whoever has it pairs a phone.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// `UNCLAIMED`, `CLAIMED` or `FAILED`.
    status: &'static str,
    /// Why the last phone was refused, or that the time is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Why>,
    /// The applications whose phones may be paired.
    applications: Vec<Reference>,
    /// The MFA policy that must allow it.
    policy: Reference,
    /// The device that was paired.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<Reference>,
    /// Until when a phone may be paired.
    expires_at: String,
}

/// Why no phone was paired.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PairingKeyFailure")]
struct Why {
    code: &'static str,
    message: String,
}

/// Which phones may be paired.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object", default)]
#[schemars(rename = "NewPairingKey")]
pub(super) struct New {
    /// Native applications, at most 100; none: all that the policy lets be paired.
    applications: Vec<Reference>,
    /// The MFA policy; none: the default one.
    policy: Option<Reference>,
}

/// The pairing keys of a user.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PairingKeyCollection")]
pub(super) struct All {
    #[serde(rename = "_embedded")]
    embedded: Embedded,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PairingKeyCollectionEmbedded")]
#[serde(rename_all = "camelCase")]
struct Embedded {
    pairing_keys: Vec<Shown<Body>>,
}

/// An MFA policy lists no more.
const MAX_APPLICATIONS: usize = 100;

impl From<PairingKeyError> for Refusal {
    fn from(error: PairingKeyError) -> Self {
        let message = error.to_string();
        let failed = |detail| Problem::request_failed(message.clone()).with(detail).into();
        match error {
            PairingKeyError::NotFound | PairingKeyError::UnknownUser => {
                Problem::not_found(message).into()
            }
            PairingKeyError::UnknownPolicy => Invalid::new("policy.id", Rule::Unknown).into(),
            PairingKeyError::Application { place } => {
                let target = format!("applications[{place}].id");
                Problem::invalid_data(Detail::new("INVALID_VALUE", target, message)).into()
            }
            PairingKeyError::NoApplication => {
                failed(Detail::new("CONSTRAINT_VIOLATION", "policy.id", message.clone()))
            }
            PairingKeyError::TooMany => {
                let detail = Detail::new("LIMIT_EXCEEDED", "pairingKeys", message.clone());
                failed(detail.with_inner(json!({ "maximumAllowed": MAX_KEYS })))
            }
            PairingKeyError::Fault(fault) => fault.into(),
        }
    }
}

impl New {
    fn key_of(self, administrator: &Administrator) -> Result<NewPairingKey, Refusal> {
        if self.applications.len() > MAX_APPLICATIONS {
            let rule = Rule::Form { form: "a list of at most 100" };
            return Err(Invalid::new("applications", rule).into());
        }
        let applications = self.applications.iter().enumerate();
        let applications = applications
            .map(|(place, wanted)| id_in(&wanted.id, format!("applications[{place}].id")))
            .collect::<Result<_, _>>()?;
        let policy = self.policy.map(|policy| id_in(&policy.id, "policy.id"));
        Ok(NewPairingKey {
            user: administrator.id("user")?,
            applications,
            mfa_policy: policy.transpose()?,
            first_only: false,
            correlation: String::new(),
        })
    }
}

/// The key as it is answered.
fn show(view: &PairingKeyView, administrator: &Administrator) -> Shown<Body> {
    let PairingKeyView { key, characters } = view;
    let address = administrator.address();
    let user = address.list.trim_end_matches("/pairingKeys").to_owned();
    let (status, refused, device) = match &key.state {
        KeyState::Unclaimed { refused } => ("UNCLAIMED", *refused, None),
        KeyState::Claimed { device, .. } => ("CLAIMED", None, Some(Reference::from(*device))),
        // The platform API has no word for a key whose time is over: it did not do what it was made for.
        KeyState::Expired { refused } => ("FAILED", *refused, None),
    };
    let expired = || Why { code: "EXPIRED", message: "the pairing key has expired".to_owned() };
    let is_over = matches!(key.state, KeyState::Expired { .. });
    let refused = refused.map(|refused| refused.why);
    let refused = refused.map(|why| Why { code: code_of(why), message: why.to_string() });
    let may_pair = Permission::manage(Area::Users);
    let may_pair = administrator.authority.allows(may_pair, Some(key.environment));
    let links = Links::from([
        link("self", address.of(key.id)),
        link("environment", address.environment(key.environment)),
        link("user", user),
    ]);
    Shown {
        links,
        id: key.id.to_string(),
        environment: key.environment.into(),
        body: Body {
            user: key.user.into(),
            code: may_pair.then(|| characters.expose().clone()),
            status,
            error: refused.or_else(|| is_over.then(expired)),
            applications: key.applications.iter().copied().map(Reference::from).collect(),
            policy: key.mfa_policy.into(),
            device,
            expires_at: time(key.expires_at()),
        },
        created_at: Some(time(key.created_at)),
        updated_at: Some(time(key.updated_at)),
    }
}

type Answer = Result<Response, Refusal>;

async fn realm(app: &App, administrator: &Administrator) -> Result<Arc<Realm>, Refusal> {
    let realm = app.realm(administrator.environment()?).await?;
    Ok(realm.ok_or_else(not_found)?)
}

/// `GET .../pairingKeys`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    RawQuery(query): RawQuery,
) -> Answer {
    let wanted = Wanted::parse(query.as_deref())?;
    if wanted.filter.is_some() {
        return Err(Refusal::invalid_request("filter: pairing keys are listed whole"));
    }
    let (realm, user) = (realm(&app, &administrator).await?, administrator.id("user")?);
    let listed = app.list_pairing_keys(&realm, user, wanted.range()).await?;
    let items = listed.items.iter().map(|view| show(view, &administrator)).collect();
    let address = administrator.address();
    Ok(Page::part("pairingKeys", items, &listed, &wanted, address).into_response())
}

/// `POST .../pairingKeys`
pub(super) async fn create(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    // Who leaves everything to the policy may leave out the body.
    let new = if body.is_empty() { New::default() } else { parse(&body)? };
    let new = new.key_of(&administrator)?;
    let realm = realm(&app, &administrator).await?;
    let view = administrator.act(app.create_pairing_key(&realm, new)).await?;
    let location = [(header::LOCATION, administrator.address().of(view.key.id))];
    Ok((StatusCode::CREATED, location, Json(show(&view, &administrator))).into_response())
}

/// `GET .../pairingKeys/{id}`. With `Prefer: wait=SECONDS` it is answered once the status has changed, or when the time is over.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    headers: HeaderMap,
) -> Answer {
    let named = (administrator.id("user")?, administrator.id::<PairingKey>("id")?);
    let realm = realm(&app, &administrator).await?;
    let view = match preferred_wait(&headers) {
        Some(wait) => {
            let most = wait.min(app.settings().longest_wait());
            app.await_pairing_key(&realm, named, most).await?
        }
        None => app.read_pairing_key(&realm, named).await?,
    };
    Ok(Json(show(&view, &administrator)).into_response())
}

/// `DELETE .../pairingKeys/{id}`
pub(super) async fn delete(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let named = (administrator.id("user")?, administrator.id::<PairingKey>("id")?);
    let realm = realm(&app, &administrator).await?;
    administrator.act(app.delete_pairing_key(&realm, named, "")).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
