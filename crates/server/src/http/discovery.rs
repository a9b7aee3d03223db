//! What an OIDC client reads before it begins (OIDC Discovery 1.0; RFC 8414).

use axum::{
    Json,
    http::header,
    response::{IntoResponse, Response},
};
use countersign_domain::{authorization::Scope, signing_key::CACHE_SECONDS};
use serde_json::json;

use super::caller::{Anyone, At};

/// Keys and addresses change rarely, and a key is in the set for longer than this before it signs and after.
fn cache() -> [(header::HeaderName, String); 1] {
    [(header::CACHE_CONTROL, format!("public, max-age={CACHE_SECONDS}"))]
}

/// `GET /{environment}/as/.well-known/openid-configuration`
pub(crate) async fn configuration(_: Anyone, At(realm): At) -> Response {
    let at = |path: &str| format!("{}/{path}", realm.issuer);
    let document = json!({
        "issuer": realm.issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "userinfo_endpoint": at("userinfo"),
        "jwks_uri": at("jwks"),
        "scopes_supported": Scope::ALL.map(Scope::name),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post", "pi.flow"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "token_endpoint_auth_methods_supported":
            ["none", "client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash",
            "name", "given_name", "family_name", "preferred_username", "updated_at", "email"
        ],
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "authorization_response_iss_parameter_supported": true,
    });
    (cache(), Json(document)).into_response()
}

/// `GET /{environment}/as/jwks`
pub(crate) async fn jwks(_: Anyone, At(realm): At) -> Response {
    (cache(), Json(realm.keys.public())).into_response()
}
