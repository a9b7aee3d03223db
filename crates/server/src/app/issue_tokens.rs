//! Makes tokens of what a transaction has decided: access tokens (RFC 9068), ID tokens (OIDC Core, section 2) and refresh
//! tokens (RFC 6749, section 1.5).

use countersign_domain::{
    application::Application,
    authorization::Scope,
    grant::{Grant, TOKEN_SECONDS, Terms},
    id::Id,
    session::Session,
};
use countersign_protocol::{
    encoding,
    entropy::{Entropy, random},
    id_token,
    jose::{self, Algorithm},
    jwk::Thumbprint,
    pairing::PairingClaim,
    secret::Secret,
    time::Timestamp,
};
use serde::Serialize;

use super::{
    Realm,
    access_token::{self, AccessToken, Confirmation},
};
use crate::keys::KeyError;

/// What the application gets (RFC 6749, section 5.1; OIDC Core, section 3.1.3.3).
#[derive(Clone, Debug)]
pub struct Tokens {
    /// For userinfo.
    pub access_token: Secret<String>,
    /// Who signed in, if `openid` was granted.
    pub id_token: Option<Secret<String>>,
    /// For new ones, if the application may have it.
    pub refresh_token: Option<Secret<String>>,
    /// How the access token is sent: `Bearer` or `DPoP`.
    pub token_type: &'static str,
    /// Life of the access token.
    pub expires_in_seconds: i64,
    /// What was granted; empty if the tokens are about no user.
    pub scope: String,
}

/// What is signed once it is committed.
pub(super) struct Issue {
    /// What the tokens stand for.
    pub grant: Grant,
    /// What of it they open.
    pub scopes: Vec<Scope>,
    /// Life of the access token.
    pub access_seconds: u32,
    /// Generation of the refresh token.
    pub refresh: Option<u32>,
    /// The algorithm of the ID token.
    pub algorithm: Algorithm,
    /// What the ID token says about pairing.
    pub pairing: Option<PairingClaim>,
    /// The key that the access token is bound to.
    pub key: Option<Thumbprint>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<Id<Session>>,
    env: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    countersign_pairing: Option<&'a PairingClaim>,
}

impl Issue {
    /// All that a grant gives.
    pub(super) fn whole(grant: Grant, application: &Application, refresh: Option<u32>) -> Self {
        Self {
            scopes: grant.scopes.clone(),
            grant,
            access_seconds: Terms::of(application).access_seconds,
            refresh,
            algorithm: application.id_token_algorithm,
            pairing: None,
            key: None,
        }
    }

    /// Signs the tokens. Only after the commit: a code that is spent can lose its tokens, but never give them twice.
    pub(super) fn sign(
        &self,
        realm: &Realm,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Tokens, KeyError> {
        let scope = Scope::join(&self.scopes);
        let Grant { identity, application, acr, .. } = &self.grant;
        let access = AccessToken {
            iss: realm.issuer.clone(),
            sub: identity.user.to_string(),
            aud: vec![realm.issuer.clone()],
            client_id: *application,
            scope: Some(scope.clone()),
            iat: now.unix_seconds(),
            exp: now.plus_seconds(self.access_seconds.into()).unix_seconds(),
            jti: access_token::id_of(self.grant.id, random(entropy)),
            auth_time: identity.authenticated_at.map(Timestamp::unix_seconds),
            acr: Some(acr.clone()),
            sid: self.grant.session,
            env: realm.environment,
            cnf: self.key.map(|jkt| Confirmation { jkt }),
        };
        let token_type = access.token_type();
        let access_token = access.sign(realm)?;
        let id_token = if self.scopes.contains(&Scope::OpenId) {
            Some(self.id_token(realm, now, &access_token)?)
        } else {
            None
        };
        let refresh_token =
            self.refresh.map(|generation| realm.refresh_token(self.grant.id, generation));
        Ok(Tokens {
            access_token,
            id_token,
            refresh_token,
            token_type,
            expires_in_seconds: self.access_seconds.into(),
            scope,
        })
    }

    fn id_token(
        &self,
        realm: &Realm,
        now: Timestamp,
        access_token: &Secret<String>,
    ) -> Result<Secret<String>, KeyError> {
        let Grant { identity, application, acr, .. } = &self.grant;
        // OIDC Core, section 3.1.3.6: the left half of the hash.
        let hash = jose::digest(access_token.expose());
        let (half, _) = hash.split_at(hash.len() / 2);
        let claims = IdTokenClaims {
            iss: &realm.issuer,
            sub: identity.user.to_string(),
            aud: application.to_string(),
            iat: now.unix_seconds(),
            exp: now.plus_seconds(TOKEN_SECONDS).unix_seconds(),
            auth_time: identity.authenticated_at.map(Timestamp::unix_seconds),
            nonce: self.grant.nonce.as_deref(),
            acr,
            amr: identity.methods.iter().map(|method| method.name()).collect(),
            at_hash: encoding::encode(half),
            sid: self.grant.session,
            env: realm.environment.to_string(),
            countersign_pairing: self.pairing.as_ref(),
        };
        realm.keys.sign(self.algorithm, id_token::TYP, &claims).map(Secret::new)
    }
}
