//! What an OIDC client reads before it begins (OIDC Discovery 1.0; RFC 8414).

use axum::{
    Json,
    http::header,
    response::{IntoResponse, Response},
};
use countersign_domain::{authorization::Scope, client_jwt::Algorithm, signing_key::CACHE_SECONDS};
use serde_json::json;

use super::{
    caller::{Anyone, At},
    token::GRANT_TYPES,
};

/// Keys and addresses change rarely, and a key is in the set for longer than this before it signs and after.
fn cache() -> [(header::HeaderName, String); 1] {
    [(header::CACHE_CONTROL, format!("public, max-age={CACHE_SECONDS}"))]
}

/// How clients prove themselves; who proves nothing learns nothing of tokens by introspection.
const AUTH_METHODS: [&str; 5] =
    ["none", "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"];

/// What is offered; each application must be allowed what goes beyond `code`.
const RESPONSE_TYPES: [&str; 6] =
    ["code", "id_token", "token id_token", "code id_token", "code token", "code token id_token"];

/// The algorithms of what clients sign, after others.
fn all(others: &[&'static str]) -> Vec<&'static str> {
    let signed = Algorithm::SYMMETRIC.into_iter().chain(Algorithm::ASYMMETRIC).map(Algorithm::name);
    others.iter().copied().chain(signed).collect()
}

/// `GET /{environment}/as/.well-known/openid-configuration`
/// and `GET /.well-known/oauth-authorization-server/{environment}/as`
pub(crate) async fn configuration(_: Anyone, At(realm): At) -> Response {
    let at = |path: &str| format!("{}/{path}", realm.issuer);
    let document = json!({
        "issuer": realm.issuer,
        "authorization_endpoint": at("authorize"),
        "pushed_authorization_request_endpoint": at("par"),
        "token_endpoint": at("token"),
        "userinfo_endpoint": at("userinfo"),
        "device_authorization_endpoint": at("device_authorization"),
        "introspection_endpoint": at("introspect"),
        "revocation_endpoint": at("revoke"),
        "end_session_endpoint": at("signoff"),
        "jwks_uri": at("jwks"),
        "scopes_supported": Scope::ALL.map(Scope::name),
        "response_types_supported": RESPONSE_TYPES,
        "response_modes_supported": ["query", "fragment", "form_post", "pi.flow"],
        "grant_types_supported": GRANT_TYPES.into_iter().chain(["implicit"]).collect::<Vec<_>>(),
        "subject_types_supported": ["public"],
        "prompt_values_supported": ["none", "login", "select_account", "consent"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "request_object_signing_alg_values_supported": all(&["none"]),
        "token_endpoint_auth_methods_supported": AUTH_METHODS,
        "token_endpoint_auth_signing_alg_values_supported": all(&[]),
        "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": all(&[]),
        "introspection_endpoint_auth_methods_supported": AUTH_METHODS.get(1..),
        "introspection_endpoint_auth_signing_alg_values_supported": all(&[]),
        "dpop_signing_alg_values_supported": Algorithm::ASYMMETRIC.map(Algorithm::name),
        "code_challenge_methods_supported": ["S256"],
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "c_hash",
            "sid",
            "name", "given_name", "family_name", "preferred_username", "updated_at", "email"
        ],
        "claims_parameter_supported": false,
        "request_parameter_supported": true,
        "request_uri_parameter_supported": false,
        "require_request_uri_registration": false,
        "require_pushed_authorization_requests": false,
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    });
    (cache(), Json(document)).into_response()
}

/// `GET /{environment}/as/jwks`
pub(crate) async fn jwks(_: Anyone, At(realm): At) -> Response {
    (cache(), Json(realm.keys.public())).into_response()
}
