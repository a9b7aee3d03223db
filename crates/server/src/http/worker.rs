//! Worker applications as callers: an access token of their own lets them in (platform API, section 1.8).

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};

use super::{
    caller::{At, Scheme, TokenHolder, challenged, told},
    dpop::Dpop,
    limit::Surface,
    problem::{FaultResponse, Problem},
};
use crate::app::{App, DpopRefusal, Fault, ProvenRequest, Realm, Worker, WorkerError};

/// Where the tokens of workers open something, in challenges.
const REALM: &str = "realm=\"platform\"";

impl FromRequestParts<Arc<App>> for Worker {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let At(realm) = At::from_request_parts(parts, app).await?;
        authenticated(app, parts, async |_| Ok(Some(realm))).await
    }
}

/// The worker whose access token a request shows, in the environment that `realm_of` says the token is of.
pub(super) async fn authenticated(
    app: &Arc<App>,
    parts: &mut Parts,
    realm_of: impl AsyncFnOnce(&str) -> Result<Option<Arc<Realm>>, Fault>,
) -> Result<Worker, Response> {
    let Some(holder) = TokenHolder::of(parts) else {
        let message = "an access token of a worker application is required";
        return Err(unauthorized(message, &Scheme::Bearer.challenge(REALM), None));
    };
    let scheme = holder.scheme;
    let realm = realm_of(holder.token.expose()).await.map_err(WorkerError::Fault);
    let realm = realm.and_then(|realm| realm.ok_or(WorkerError::InvalidToken));
    let realm = realm.map_err(|error| refused(error, scheme))?;
    // Infallible: a proof that cannot be read is an empty one.
    let Ok(Dpop(proof)) = Dpop::from_request_parts(parts, app).await;
    let authenticated = authenticate(app, &realm, (&holder, proof), parts).await;
    authenticated.map_err(|error| refused(error, scheme))
}

async fn authenticate(
    app: &App,
    realm: &Arc<Realm>,
    (holder, proof): (&TokenHolder, Option<String>),
    parts: &Parts,
) -> Result<Worker, WorkerError> {
    // A proof beside a bearer token is none of this request's: its token is not bound to a key.
    let proof = match holder.scheme {
        Scheme::Bearer => None,
        Scheme::Dpop => Some(proof.unwrap_or_default()),
    };
    let address = format!("{}{}", app.settings().base_url, parts.uri.path());
    let token = holder.token.expose();
    let verify = |proof: String| {
        let (method, address, access_token) =
            (parts.method.as_str(), address.as_str(), Some(token.as_str()));
        let proof = proof.as_str();
        app.verify_dpop(realm, ProvenRequest { proof, method, address, access_token })
    };
    let dpop = proof.map(verify).transpose()?;
    app.authenticate_worker(realm, token, dpop).await
}

fn unauthorized(message: &str, challenge: &str, nonce: Option<String>) -> Response {
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "INVALID_TOKEN", message);
    challenged(problem.into_response(), challenge, nonce)
}

/// RFC 6750, section 3.1; RFC 9449, section 7.1; in the envelope.
fn refused(error: WorkerError, scheme: Scheme) -> Response {
    let description = error.to_string();
    let (code, nonce) = match error {
        WorkerError::Fault(fault) | WorkerError::Dpop(DpopRefusal::Fault(fault)) => {
            return FaultResponse(fault).into_response();
        }
        WorkerError::Limited(limited) => return Surface::Envelope.refuse(limited),
        WorkerError::NotAWorker => {
            return Problem::new(StatusCode::FORBIDDEN, "ACCESS_FAILED", description)
                .into_response();
        }
        WorkerError::InvalidToken => ("invalid_token", None),
        WorkerError::Dpop(DpopRefusal::Nonce(nonce)) => ("use_dpop_nonce", Some(nonce)),
        WorkerError::Dpop(DpopRefusal::Proof(_) | DpopRefusal::Used | DpopRefusal::Required) => {
            ("invalid_dpop_proof", None)
        }
    };
    let challenge = scheme.challenge(&format!("{REALM}, {}", told(code, &description)));
    unauthorized(&description, &challenge, nonce)
}
