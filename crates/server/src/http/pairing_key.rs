//! `/v1/environments/{environment}/users/{user}/pairingKeys`: back ends make keys by which phones are paired (platform API,
//! section 9.5), and `D/pairing-keys`: where phones show them.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_domain::{
    id::Id,
    pairing::NoOffer,
    pairing_key::{MAX_KEYS, PairingKey, State as KeyState},
    user::User,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    action::{self, Reference, Refusal, invalid, parse, preferred_wait, required},
    caller::{At, Installation, require_json, too_large},
    correlation::Correlation,
    device::{json_text, pair_error},
    problem::{Detail, Problem},
};
use crate::app::{App, NewPairingKey, PairError, PairingKeyError, PairingKeyView, Realm, Worker};

/// `POST /v1/environments/{environment}/users/{user}/pairingKeys`
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    At(realm): At,
    worker: Worker,
    Path((_, user)): Path<(String, String)>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let correlation = Correlation::of(&parts);
    if let Err(problem) = require_json(&parts) {
        return problem.into_response();
    }
    let Ok(user) = user.parse() else { return not_found(&PairingKeyError::UnknownUser) };
    let Ok(body) = Bytes::from_request(Request::from_parts(parts, body), &app).await else {
        return too_large().into_response();
    };
    let new = match parse::<Wanted>(&body).and_then(|wanted| wanted.key_of(user, correlation)) {
        Ok(new) => new,
        Err(refusal) => return refusal.into_response(),
    };
    match worker.act(app.create_pairing_key(&realm, new)).await {
        Ok(view) => {
            let location = [(header::LOCATION, address(&realm, &view.key))];
            (StatusCode::CREATED, location, Json(json_of(&realm, &view))).into_response()
        }
        Err(error) => refused(error),
    }
}

/// `GET /v1/environments/{environment}/users/{user}/pairingKeys/{key}`. With `Prefer: wait=SECONDS` it is answered once the status
/// has changed, or when the time is over.
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    At(realm): At,
    _worker: Worker,
    Path((_, user, key)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let Some(named) = named(&user, &key) else { return not_found(&PairingKeyError::NotFound) };
    let read = match preferred_wait(&headers) {
        Some(wait) => {
            let most = wait.min(app.settings().longest_wait());
            app.await_pairing_key(&realm, named, most).await
        }
        None => app.read_pairing_key(&realm, named).await,
    };
    match read {
        Ok(view) => Json(json_of(&realm, &view)).into_response(),
        Err(error) => refused(error),
    }
}

/// `DELETE /v1/environments/{environment}/users/{user}/pairingKeys/{key}`
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    At(realm): At,
    worker: Worker,
    Correlation(correlation): Correlation,
    Path((_, user, key)): Path<(String, String, String)>,
) -> Response {
    let Some(named) = named(&user, &key) else { return not_found(&PairingKeyError::NotFound) };
    match worker.act(app.delete_pairing_key(&realm, named, &correlation)).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refused(error),
    }
}

fn named(user: &str, key: &str) -> Option<(Id<User>, Id<PairingKey>)> {
    Some((user.parse().ok()?, key.parse().ok()?))
}

fn not_found(error: &PairingKeyError) -> Response {
    Problem::not_found(error.to_string()).into_response()
}

fn refused(error: PairingKeyError) -> Response {
    let message = error.to_string();
    let failed = |detail| {
        let problem = Problem::request_failed(message.clone());
        problem.with(detail).into_response()
    };
    match error {
        PairingKeyError::NotFound | PairingKeyError::UnknownUser => not_found(&error),
        PairingKeyError::UnknownPolicy => {
            invalid("INVALID_VALUE", "policy.id", &message, None).into_response()
        }
        PairingKeyError::Application { place } => {
            let target = format!("applications[{place}].id");
            invalid("INVALID_VALUE", &target, &message, None).into_response()
        }
        PairingKeyError::NoApplication => {
            failed(Detail::new("CONSTRAINT_VIOLATION", "policy.id", message.clone()))
        }
        PairingKeyError::TooMany => {
            let detail = Detail::new("LIMIT_EXCEEDED", "pairingKeys", message.clone());
            failed(detail.with_inner(json!({ "maximumAllowed": MAX_KEYS })))
        }
        PairingKeyError::Fault(fault) => Refusal::Fault(fault).into_response(),
    }
}

#[derive(Default, Deserialize)]
#[serde(expecting = "an object")]
struct Wanted {
    #[serde(default)]
    applications: Vec<Reference>,
    policy: Option<Reference>,
}

/// An MFA policy lists no more.
const MAX_APPLICATIONS: usize = 100;

impl Wanted {
    fn key_of(self, user: Id<User>, correlation: String) -> Result<NewPairingKey, Refusal> {
        let Self { applications, policy } = self;
        if applications.len() > MAX_APPLICATIONS {
            let message = format!("applications must be a list of at most {MAX_APPLICATIONS}");
            return Err(invalid("INVALID_VALUE", "applications", &message, None));
        }
        let application = |(place, wanted): (usize, Reference)| {
            let target = format!("applications[{place}].id");
            action::id(&required(wanted.id, &target)?, &target)
        };
        let applications = applications.into_iter().enumerate().map(application);
        let applications = applications.collect::<Result<_, _>>()?;
        let policy =
            policy.map(|wanted| action::id(&required(wanted.id, "policy.id")?, "policy.id"));
        let (mfa_policy, first_only) = (policy.transpose()?, false);
        Ok(NewPairingKey { user, applications, mfa_policy, first_only, correlation })
    }
}

fn address(realm: &Realm, key: &PairingKey) -> String {
    let PairingKey { id, environment, user, .. } = key;
    let base = &realm.platform_base;
    format!("{base}/environments/{environment}/users/{user}/pairingKeys/{id}")
}

/// The resource (platform API, section 9.5).
fn json_of(realm: &Realm, view: &PairingKeyView) -> Value {
    let key = &view.key;
    let (status, error) = match &key.state {
        KeyState::Unclaimed { refused } => ("UNCLAIMED", refused.map(|refused| refused.why)),
        KeyState::Claimed { .. } => ("CLAIMED", None),
        // The platform API has no word for a key whose time is over: it did not do what it was made for.
        KeyState::Expired { refused } => ("FAILED", refused.map(|refused| refused.why)),
    };
    let is_over = matches!(key.state, KeyState::Expired { .. });
    let error = error.map(|why| (code_of(why), why.to_string()));
    let error =
        error.or_else(|| is_over.then(|| ("EXPIRED", "the pairing key has expired".to_owned())));
    let reference = |id| json!({ "id": id });
    let applications: Vec<_> = key.applications.iter().map(reference).collect();
    let mut body = json!({
        "_links": { "self": { "href": address(realm, key) } },
        "id": key.id,
        "environment": { "id": key.environment },
        "user": { "id": key.user },
        "code": view.characters.expose(),
        "status": status,
        "applications": applications,
        "policy": { "id": key.mfa_policy },
        "createdAt": key.created_at.to_rfc3339_millis(),
        "updatedAt": key.updated_at.to_rfc3339_millis(),
        "expiresAt": key.expires_at().to_rfc3339_millis(),
    });
    let mut set = |name: &str, value: Value| {
        if let Some(members) = body.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    };
    if let Some((code, message)) = error {
        set("error", json!({ "code": code, "message": message }));
    }
    if let KeyState::Claimed { device, .. } = &key.state {
        set("device", json!({ "id": device }));
    }
    body
}

const fn code_of(why: NoOffer) -> &'static str {
    match why {
        NoOffer::AlreadyPaired => "ALREADY_PAIRED",
        NoOffer::Disabled => "PAIRING_DISABLED",
        NoOffer::Compromised => "DEVICE_COMPROMISED",
        NoOffer::LimitReached { .. } => "LIMIT_EXCEEDED",
    }
}

/// `POST D/pairing-keys/claims`
pub(crate) async fn claim(
    State(app): State<Arc<App>>,
    At(realm): At,
    Installation(call): Installation,
) -> Response {
    match app.claim_pairing_key(&realm, call).await {
        Ok(answer) => json_text(StatusCode::CREATED, answer),
        Err(PairError::NoOffer(why)) => not_paired(why),
        Err(error) => pair_error(error),
    }
}

/// The key is good, and yet the phone may not be paired by it.
fn not_paired(why: NoOffer) -> Response {
    let message = why.to_string();
    let detail = Detail::new(code_of(why), "proof.key", message.clone());
    let detail = match why {
        NoOffer::LimitReached { maximum } => {
            detail.with_inner(json!({ "maximumAllowed": maximum }))
        }
        NoOffer::AlreadyPaired | NoOffer::Disabled | NoOffer::Compromised => detail,
    };
    let problem = Problem::request_failed(message);
    problem.with(detail).into_response()
}
