//! Request objects: authorization requests as signed JWTs (RFC 9101; OIDC Core, section 6.1; platform API, section 7.4).

use std::collections::BTreeMap;

use countersign_protocol::time::Timestamp;
use serde_json::Value;

use super::{Jws, Keys, Refusal};
use crate::{application::Application, client_jwt::Algorithm};

/// How far ahead the end of a request object may lie, in seconds.
pub const MAX_SECONDS: i64 = 86_400;

/// The claims that are about the JWT itself and no parameters of the request.
const OWN_CLAIMS: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// A verified request object.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestObject {
    /// Who vouches for it.
    pub signed_by: SignedBy,
    /// The parameters of the request, with `client_id`, as JSON values.
    pub parameters: BTreeMap<String, Value>,
}

/// What shows that a request object is the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedBy {
    /// Nothing.
    Nobody,
    /// An HMAC with the client secret. It proves nothing where the application does not
    /// [keep secrets](Application::keeps_secrets).
    Secret(Algorithm),
    /// A key of the client's own.
    Key(Algorithm),
}

impl RequestObject {
    /// A parameter as it would be written in a query (RFC 9101, section 4): text as it is, numbers and booleans as they are
    /// written, objects and lists as JSON.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        match self.parameters.get(name)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Some(other.to_string())
            }
        }
    }
}

/// Verifies the `request` of an application, which is meant for `issuer`.
///
/// # Errors
/// A [`Refusal`] if it is not signed with `keys` (or not signed at all, unless the application may send such), if `iss` or
/// `client_id` are not the application, if `aud` does not contain `issuer`, if it has expired, lies in the future or lives
/// longer than `MAX_SECONDS`, or if it contains another request object.
pub fn request_object(
    jwt: &str,
    application: &Application,
    keys: Keys<'_>,
    issuer: &str,
    now: Timestamp,
) -> Result<RequestObject, Refusal> {
    let jws = Jws::read(jwt)?;
    jws.require_typ(
        &["oauth-authz-req+jwt", "JWT"],
        true,
        "oauth-authz-req+jwt or JWT, or absent",
    )?;
    let opened = if jws.is_unsigned() {
        let rules = application.oidc.request_objects;
        if !rules.unsigned_allowed || rules.signature_required {
            let expected = "that of a signature: the application must sign its request objects";
            return Err(Refusal::Algorithm { expected });
        }
        jws.unsigned()?
    } else {
        jws.verify(keys)?
    };
    let signed_by = match opened.algorithm {
        None => SignedBy::Nobody,
        Some(algorithm) if algorithm.is_symmetric() => SignedBy::Secret(algorithm),
        Some(algorithm) => SignedBy::Key(algorithm),
    };
    let claims = opened.claims;
    let id = application.id.to_string();
    // OIDC Core, section 6.1: iss and aud are required where it is signed.
    if signed_by != SignedBy::Nobody || claims.get("iss").is_some() {
        claims.require("iss", &id, "must be the client_id")?;
    }
    if signed_by != SignedBy::Nobody || claims.get("aud").is_some() {
        claims.require_audience(issuer, "must be the issuer, or a list that contains it")?;
    }
    // RFC 9101, section 10.8: or it could be taken for a client assertion elsewhere.
    if claims.text("sub")? == Some(&id) {
        return Err(Refusal::claim("sub", "must not be the client_id in a request object"));
    }
    claims.require_time(now, MAX_SECONDS, "must be at most one day ahead")?;
    claims.jti()?;
    if claims.get("client_id").is_some() {
        claims.require("client_id", &id, "must be the client_id of the request")?;
    }
    for name in ["request", "request_uri"] {
        if claims.get(name).is_some() {
            return Err(Refusal::claim(name, "must not be in a request object"));
        }
    }
    let members = claims.into_members().into_iter();
    let parameters =
        members.filter(|(name, value)| !value.is_null() && !OWN_CLAIMS.contains(&name.as_str()));
    Ok(RequestObject { signed_by, parameters: parameters.collect() })
}
