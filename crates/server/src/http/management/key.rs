//! Signing keys on the wire, and how they follow each other (docs/keys.md).
//!
//! The platform API tells of certificates. These keys have none: who verifies takes them from the key set.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_domain::{
    id::Id,
    invalid::{Check, Invalid, Rule},
    signing_key::{Rules, SigningKey, State as KeyState},
};
use countersign_protocol::jose::Algorithm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    administrator::Administrator,
    hal::{Address, Links, Page, Reference, Shown, Wanted, link, time},
    media::Media,
    refusal::{Refusal, not_found, parse},
};
use crate::{
    app::{App, Rotation},
    http::problem::Problem,
};

/// A key that an environment signs with, or did, or will.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Key")]
pub(super) struct Body {
    /// The algorithm and the day on which it was made.
    name: String,
    #[serde(flatten)]
    what: What,
    /// Whether it signs now. Of each algorithm one does.
    default: bool,
    /// `NOT_YET_VALID` until it signs, then `VALID` as long as it is published.
    status: &'static str,
    /// `NEXT`, `CURRENT` or `RETIRED`.
    state: &'static str,
    /// When it began to sign, or begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<String>,
    /// Until when it is published, of one that signs no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// The public half, as the key set has it (RFC 7517).
    jwk: Value,
}

/// What a key is, by its algorithm.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "KeyAlgorithm")]
struct What {
    /// `RSA` or `EC`.
    algorithm: &'static str,
    /// Bits: 2,048 or 256.
    key_length: u16,
    /// `SHA256withRSA` or `SHA256withECDSA`.
    signature_algorithm: &'static str,
    /// `SIGNING`.
    usage_type: &'static str,
}

/// Which key is to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "NewKey")]
pub(super) struct New {
    /// `RSA` or `EC`.
    algorithm: String,
    /// 2,048 for `RSA`, 256 for `EC`.
    key_length: Option<u16>,
    /// `SHA256withRSA` for `RSA`, `SHA256withECDSA` for `EC`.
    signature_algorithm: Option<String>,
    /// `SIGNING`.
    usage_type: Option<String>,
}

/// The keys of an environment.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "KeyCollection")]
pub(super) struct All {
    #[serde(rename = "_embedded")]
    embedded: Embedded,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "KeyCollectionEmbedded")]
struct Embedded {
    keys: Vec<Shown<Body>>,
}

/// How the keys of an algorithm follow each other.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "KeyRotationPolicy")]
pub(super) struct Policy {
    /// The algorithm, as JOSE names it.
    name: &'static str,
    #[serde(flatten)]
    what: What,
    /// Days after which a key is replaced by itself; 0: never. Set in the configuration of the server, for all environments.
    rotation_period: u32,
    /// The key that signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    current_key_id: Option<String>,
    /// The key that will, once everybody knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_key_id: Option<String>,
    /// When the present key began to sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotated_at: Option<String>,
}

/// The policies of an environment.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "KeyRotationPolicyCollection")]
pub(super) struct Policies {
    #[serde(rename = "_embedded")]
    embedded: EmbeddedPolicies,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "KeyRotationPolicyCollectionEmbedded")]
struct EmbeddedPolicies {
    key_rotation_policies: Vec<Shown<Policy>>,
}

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];

const fn what(algorithm: Algorithm) -> What {
    let (name, key_length, signature_algorithm) = match algorithm {
        Algorithm::Rs256 => ("RSA", 2_048, "SHA256withRSA"),
        Algorithm::Es256 => ("EC", 256, "SHA256withECDSA"),
    };
    What { algorithm: name, key_length, signature_algorithm, usage_type: "SIGNING" }
}

impl New {
    fn algorithm(&self) -> Result<Algorithm, Invalid> {
        let named = |algorithm: &Algorithm| what(*algorithm).algorithm == self.algorithm;
        let unknown = || Invalid::new("algorithm", Rule::OneOf { words: &["RSA", "EC"] });
        let algorithm = ALGORITHMS.into_iter().find(named).ok_or_else(unknown)?;
        let What { key_length, signature_algorithm, usage_type, .. } = what(algorithm);
        let is =
            |told: &Option<String>, known: &str| told.as_ref().is_none_or(|told| told == known);
        let mut check = Check::default();
        check.range(
            self.key_length.unwrap_or(key_length).into(),
            "key_length",
            key_length.into(),
            key_length.into(),
        );
        let words: &'static [&'static str] = match algorithm {
            Algorithm::Rs256 => &["SHA256withRSA"],
            Algorithm::Es256 => &["SHA256withECDSA"],
        };
        let fits = is(&self.signature_algorithm, signature_algorithm);
        check.require(fits, "signature_algorithm", Rule::OneOf { words });
        let fits = is(&self.usage_type, usage_type);
        check.require(fits, "usage_type", Rule::OneOf { words: &["SIGNING"] });
        check.finish()?;
        Ok(algorithm)
    }
}

fn show(key: &SigningKey, address: &Address, rules: &Rules) -> Shown<Body> {
    let (state, starts_at, expires_at) = match &key.state {
        KeyState::Next { at, .. } => ("NEXT", Some(at.plus_seconds(rules.publish_seconds)), None),
        KeyState::Current { at, .. } => ("CURRENT", Some(*at), None),
        KeyState::Retired { until } => ("RETIRED", None, Some(*until)),
        KeyState::Removed => ("REMOVED", None, None),
    };
    let created_at = time(key.created_at);
    let day = created_at.split('T').next().unwrap_or_default();
    Shown {
        links: Links::from([
            link("self", address.of(key.id)),
            link("environment", address.environment(key.environment)),
        ]),
        id: key.id.to_string(),
        environment: key.environment.into(),
        body: Body {
            name: format!("{} of {day}", key.algorithm().name()),
            what: what(key.algorithm()),
            default: key.is_current(),
            status: if state == "NEXT" { "NOT_YET_VALID" } else { "VALID" },
            state,
            starts_at: starts_at.map(time),
            expires_at: expires_at.map(time),
            jwk: serde_json::to_value(&key.public).unwrap_or_default(),
        },
        created_at: Some(created_at),
        updated_at: None,
    }
}

type Answer = Result<Response, Refusal>;

/// An environment has few, which are listed whole.
fn require_whole(query: Option<&str>) -> Result<(), Refusal> {
    let Wanted { cursor, filter, .. } = Wanted::parse(query)?;
    if cursor.is_some() || filter.is_some() {
        return Err(Refusal::invalid_request("filter, cursor: this list comes whole"));
    }
    Ok(())
}

/// `GET .../keys`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    RawQuery(query): RawQuery,
) -> Answer {
    require_whole(query.as_deref())?;
    let (address, rules) = (administrator.address(), &app.settings().keys);
    let keys = app.list_keys(administrator.environment()?).await?;
    let items = keys.iter().map(|key| show(key, address, rules)).collect();
    Ok(Page::whole("keys", items, address).into_response())
}

async fn found(app: &App, administrator: &Administrator) -> Result<SigningKey, Refusal> {
    let id: Id<SigningKey> = administrator.id("id")?;
    let keys = app.list_keys(administrator.environment()?).await?;
    Ok(keys.into_iter().find(|key| key.id == id).ok_or_else(not_found)?)
}

/// `GET .../keys/{id}`
pub(super) async fn read(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let key = found(&app, &administrator).await?;
    Ok(Json(show(&key, administrator.address(), &app.settings().keys)).into_response())
}

/// `POST .../keys`: a successor of the key that signs, published now.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let algorithm = parse::<New>(&body)?.algorithm()?;
    let environment = administrator.environment()?;
    let before = app.list_keys(environment).await?;
    let turned = app.rotate_keys(environment, Some(algorithm), Rotation::InOrder);
    let turned = administrator.act(turned).await?;
    let is_new = |key: &&SigningKey| before.iter().all(|old| old.id != key.id);
    let message = "a key of this algorithm waits already, and signs once everybody knows it";
    let made = turned.iter().find(is_new).ok_or_else(|| Problem::request_failed(message))?;
    let address = administrator.address();
    let location = [(header::LOCATION, address.of(made.id))];
    let shown = show(made, address, &app.settings().keys);
    Ok((StatusCode::CREATED, location, Json(shown)).into_response())
}

/// `DELETE .../keys/{id}`: of one that does not sign.
pub(super) async fn delete(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let (environment, id) = (administrator.environment()?, administrator.id("id")?);
    administrator.act(app.withdraw_key(environment, id)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The ids of the policies, the same in every environment.
const fn policy_id(algorithm: Algorithm) -> Id<Policy> {
    let mut id = [0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 4, 0];
    id[15] = match algorithm {
        Algorithm::Rs256 => 1,
        Algorithm::Es256 => 2,
    };
    Id::from_bytes(id)
}

fn show_policy(
    algorithm: Algorithm,
    keys: &[SigningKey],
    administrator: &Administrator,
    rules: &Rules,
) -> Result<Shown<Policy>, Refusal> {
    let (address, environment) = (administrator.address(), administrator.environment()?);
    let own = || keys.iter().filter(|key| key.algorithm() == algorithm);
    let next = own().find(|key| matches!(key.state, KeyState::Next { .. }));
    let current = own().find(|key| key.is_current());
    let rotated_at = current.and_then(|key| match &key.state {
        KeyState::Current { at, .. } => Some(time(*at)),
        KeyState::Next { .. } | KeyState::Retired { .. } | KeyState::Removed => None,
    });
    let id = policy_id(algorithm);
    let mut links = Links::from([
        link("self", address.of(id)),
        link("environment", address.environment(environment)),
    ]);
    if next.is_none() {
        links.extend([link("keyRotationPolicy.rotate", address.of(id))]);
    }
    Ok(Shown {
        links,
        id: id.to_string(),
        environment: Reference::from(environment),
        body: Policy {
            name: algorithm.name(),
            what: what(algorithm),
            rotation_period: rules.rotate_after_days,
            current_key_id: current.map(|key| key.id.to_string()),
            next_key_id: next.map(|key| key.id.to_string()),
            rotated_at,
        },
        created_at: None,
        updated_at: None,
    })
}

/// `GET .../keyRotationPolicies`
pub(super) async fn list_policies(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    RawQuery(query): RawQuery,
) -> Answer {
    require_whole(query.as_deref())?;
    let keys = app.list_keys(administrator.environment()?).await?;
    let rules = &app.settings().keys;
    let show = |algorithm| show_policy(algorithm, &keys, &administrator, rules);
    let items = ALGORITHMS.into_iter().map(show).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::whole("keyRotationPolicies", items, administrator.address()).into_response())
}

/// The algorithm of the policy that the address names.
fn named(administrator: &Administrator) -> Result<Algorithm, Refusal> {
    let id = administrator.id("id")?;
    let found = ALGORITHMS.into_iter().find(|algorithm| policy_id(*algorithm) == id);
    Ok(found.ok_or_else(not_found)?)
}

/// `GET .../keyRotationPolicies/{id}`
pub(super) async fn read_policy(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Answer {
    let algorithm = named(&administrator)?;
    let keys = app.list_keys(administrator.environment()?).await?;
    Ok(Json(show_policy(algorithm, &keys, &administrator, &app.settings().keys)?).into_response())
}

/// `POST .../keyRotationPolicies/{id}`: the key of the algorithm is replaced in order.
pub(super) async fn rotate(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    media: Media,
) -> Answer {
    media.action(&["keyRotationPolicy.rotate"])?;
    let (environment, algorithm) = (administrator.environment()?, named(&administrator)?);
    let turned = app.rotate_keys(environment, Some(algorithm), Rotation::InOrder);
    administrator.act(turned).await?;
    read_policy(State(app), administrator).await
}
