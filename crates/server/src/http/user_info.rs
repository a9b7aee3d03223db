//! `/{environment}/as/userinfo` (OIDC Core, section 5.3).

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};

use super::{
    caller::{At, Scheme, TokenHolder, challenged, told},
    dpop::Dpop,
    problem::FaultResponse,
};
use crate::app::{App, DpopRefusal, ProvenRequest, ReadUserInfoError, Realm, UserInfo};

/// `GET|POST /{environment}/as/userinfo`
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    At(realm): At,
    holder: TokenHolder,
    Dpop(proof): Dpop,
    method: Method,
) -> Response {
    // A proof beside a bearer token is none of this request's: its token is not bound to a key.
    let scheme = holder.scheme;
    let proof = match scheme {
        Scheme::Bearer => None,
        Scheme::Dpop => Some(proof.unwrap_or_default()),
    };
    match answer(&app, &realm, &holder, proof.as_deref(), &method).await {
        Ok(info) => Json(info).into_response(),
        Err(error) => refused(error, scheme),
    }
}

async fn answer(
    app: &Arc<App>,
    realm: &Arc<Realm>,
    holder: &TokenHolder,
    proof: Option<&str>,
    method: &Method,
) -> Result<UserInfo, ReadUserInfoError> {
    let (address, token) = (format!("{}/userinfo", realm.issuer), holder.token.expose());
    let verify = |proof| {
        let access_token = Some(token.as_str());
        let (method, address) = (method.as_str(), address.as_str());
        app.verify_dpop(realm, ProvenRequest { proof, method, address, access_token })
    };
    let dpop = proof.map(verify).transpose()?;
    app.read_user_info(realm, token, dpop).await
}

/// RFC 6750, section 3.1; RFC 9449, section 7.1.
fn refused(error: ReadUserInfoError, scheme: Scheme) -> Response {
    let description = error.to_string();
    let status = match error {
        ReadUserInfoError::InsufficientScope => StatusCode::FORBIDDEN,
        _ => StatusCode::UNAUTHORIZED,
    };
    let (code, nonce) = match error {
        ReadUserInfoError::Fault(fault) | ReadUserInfoError::Dpop(DpopRefusal::Fault(fault)) => {
            return FaultResponse(fault).into_response();
        }
        ReadUserInfoError::InvalidToken => ("invalid_token", None),
        ReadUserInfoError::InsufficientScope => ("insufficient_scope", None),
        ReadUserInfoError::Dpop(DpopRefusal::Nonce(nonce)) => ("use_dpop_nonce", Some(nonce)),
        ReadUserInfoError::Dpop(
            DpopRefusal::Proof(_) | DpopRefusal::Used | DpopRefusal::Required,
        ) => ("invalid_dpop_proof", None),
    };
    let mut told = told(code, &description);
    if status == StatusCode::FORBIDDEN {
        told.push_str(", scope=\"openid\"");
    }
    challenged(status.into_response(), &scheme.challenge(&told), nonce)
}
