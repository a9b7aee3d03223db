//! Makes tokens of what a transaction has decided: access tokens (RFC 9068) and ID tokens (OIDC Core, section 2).

use countersign_domain::{
    authorization::Scope,
    grant::{Grant, TOKEN_SECONDS},
};
use countersign_protocol::{
    encoding, id_token,
    jose::{self, Algorithm},
    pairing::PairingClaim,
    secret::Secret,
    time::Timestamp,
};
use serde::Serialize;

use super::Realm;
use crate::keys::KeyError;

/// What the application gets (RFC 6749, section 5.1; OIDC Core, section 3.1.3.3).
#[derive(Clone, Debug)]
pub struct Tokens {
    /// For userinfo.
    pub access_token: Secret<String>,
    /// Who signed in.
    pub id_token: Secret<String>,
    /// Life of the access token.
    pub expires_in_seconds: i64,
    /// What was granted.
    pub scope: String,
}

/// What is signed once it is committed.
pub(super) struct Issue {
    /// What the tokens stand for.
    pub grant: Grant,
    /// The algorithm of the ID token.
    pub algorithm: Algorithm,
    /// What the ID token says about pairing.
    pub pairing: Option<PairingClaim>,
}

/// `typ` of access tokens (RFC 9068, section 2.1), which keeps them from passing as ID tokens.
pub(super) const ACCESS_TOKEN_TYP: &str = "at+jwt";

#[derive(Serialize)]
struct AccessTokenClaims<'a> {
    iss: &'a str,
    sub: String,
    aud: [&'a str; 1],
    client_id: String,
    scope: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
    auth_time: Option<i64>,
    acr: &'a str,
    env: String,
}

#[derive(Serialize)]
struct IdTokenClaims<'a> {
    iss: &'a str,
    sub: String,
    aud: String,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    acr: &'a str,
    amr: Vec<&'static str>,
    at_hash: String,
    env: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    countersign_pairing: Option<&'a PairingClaim>,
}

impl Issue {
    /// Signs the tokens. Only after the commit: a code that is spent can lose its tokens, but never give them twice.
    pub(super) fn sign(&self, realm: &Realm, now: Timestamp) -> Result<Tokens, KeyError> {
        let Grant { identity, application, scopes, acr, .. } = &self.grant;
        let (iat, exp) = (now.unix_seconds(), now.plus_seconds(TOKEN_SECONDS).unix_seconds());
        let auth_time = identity.authenticated_at.map(Timestamp::unix_seconds);
        let (iss, env) = (realm.issuer.as_str(), realm.environment.to_string());
        let scope = Scope::join(scopes);
        let access = AccessTokenClaims {
            iss,
            sub: identity.user.to_string(),
            aud: [iss],
            client_id: application.to_string(),
            scope: &scope,
            iat,
            exp,
            jti: self.grant.id.to_string(),
            auth_time,
            acr,
            env: env.clone(),
        };
        let access_token = realm.keys.sign(Algorithm::Es256, ACCESS_TOKEN_TYP, &access)?;
        // OIDC Core, section 3.1.3.6: the left half of the hash.
        let hash = jose::digest(&access_token);
        let (half, _) = hash.split_at(hash.len() / 2);
        let id = IdTokenClaims {
            iss,
            sub: identity.user.to_string(),
            aud: application.to_string(),
            iat,
            exp,
            auth_time,
            nonce: self.grant.nonce.as_deref(),
            acr,
            amr: identity.methods.iter().map(|method| method.name()).collect(),
            at_hash: encoding::encode(half),
            env,
            countersign_pairing: self.pairing.as_ref(),
        };
        let id_token = realm.keys.sign(self.algorithm, id_token::TYP, &id)?;
        Ok(Tokens {
            access_token: Secret::new(access_token),
            id_token: Secret::new(id_token),
            expires_in_seconds: TOKEN_SECONDS,
            scope,
        })
    }
}
