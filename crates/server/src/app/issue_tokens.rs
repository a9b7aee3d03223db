//! Makes tokens of what a transaction has decided: access tokens (RFC 9068), ID tokens (OIDC Core, section 2) and refresh
//! tokens (RFC 6749, section 1.5).

use countersign_domain::{
    application::Application,
    authorization::Scope,
    claims::{self, Claims},
    grant::{Grant, TOKEN_SECONDS, Terms},
    id::Id,
    session::Session,
    user::User,
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
    protected_resource::Held,
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
    /// Life of the access token.
    pub access_seconds: u32,
    /// Generation of the refresh token.
    pub refresh: Option<u32>,
    /// The algorithm of the ID token.
    pub algorithm: Algorithm,
    /// What the ID token says of the user.
    pub claims: Claims,
    /// What the ID token says about pairing.
    pub pairing: Option<PairingClaim>,
    /// The key that the access token is bound to.
    pub key: Option<Thumbprint>,
    /// The resource that the access token is for; none: the OpenID provider.
    pub target: Option<Target>,
}

/// The resource that an access token is for.
pub(super) struct Target {
    /// What its `aud` says.
    pub audience: String,
    /// Names of scopes of the resource.
    pub scopes: Vec<String>,
    /// What it says of the user.
    pub claims: Claims,
}

impl Target {
    /// A resource, with the scopes that an application has of it; the token is about this user, if it is about one.
    pub(super) fn of(held: Held, user: Option<&User>) -> Self {
        let Held { resource, scopes } = held;
        Self { audience: resource.audience().to_owned(), scopes, claims: resource.claims(user) }
    }
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
    #[serde(skip_serializing_if = "Option::is_none")]
    at_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    c_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<Id<Session>>,
    env: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    countersign_pairing: Option<&'a PairingClaim>,
    #[serde(flatten)]
    claims: &'a Claims,
}

impl Issue {
    /// All that a grant gives.
    pub(super) fn whole(
        grant: Grant,
        application: &Application,
        user: &User,
        refresh: Option<u32>,
    ) -> Self {
        Self {
            claims: claims::of_id_token(application, &grant.scopes, user, false),
            grant,
            access_seconds: Terms::of(application).access_seconds,
            refresh,
            algorithm: application.id_token_algorithm,
            pairing: None,
            key: None,
            target: None,
        }
    }

    /// The same, with an access token for a resource, if the application has any scopes of one.
    pub(super) fn at(self, held: Option<Held>, user: &User) -> Self {
        let Some(held) = held else { return self };
        let access_seconds = held.token_seconds();
        Self { access_seconds, target: Some(Target::of(held, Some(user))), ..self }
    }

    /// Whether there is anything left to issue of a grant for a resource that the application has no scopes of any more.
    pub(super) fn is_empty(&self) -> bool {
        self.grant.scopes.is_empty() && self.grant.access.is_some() && self.target.is_none()
    }

    /// Signs the tokens. Only after the commit: a code that is spent can lose its tokens, but never give them twice.
    pub(super) fn sign(
        &self,
        realm: &Realm,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Tokens, KeyError> {
        let access = self.access(realm, now, entropy);
        let (token_type, scope) = (access.token_type(), self.scope());
        let access_token = access.sign(realm)?;
        let id_token = if self.grant.scopes.contains(&Scope::OpenId) {
            Some(self.id_token(realm, now, (Some(&access_token), None))?)
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

    /// The scopes on the wire.
    pub(super) fn scope(&self) -> String {
        let own = self.grant.scopes.iter().map(|scope| scope.name());
        let of_target =
            self.target.iter().flat_map(|target| target.scopes.iter().map(String::as_str));
        own.chain(of_target).collect::<Vec<_>>().join(" ")
    }

    /// An access token, not yet signed.
    pub(super) fn access(
        &self,
        realm: &Realm,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> AccessToken {
        let Grant { identity, application, acr, .. } = &self.grant;
        let audience = self.target.as_ref().map_or(&realm.issuer, |target| &target.audience);
        AccessToken {
            iss: realm.issuer.clone(),
            sub: identity.user.to_string(),
            aud: vec![audience.clone()],
            client_id: *application,
            scope: Some(self.scope()),
            iat: now.unix_seconds(),
            exp: now.plus_seconds(self.access_seconds.into()).unix_seconds(),
            jti: access_token::id_of(self.grant.id, random(entropy)),
            auth_time: identity.authenticated_at.map(Timestamp::unix_seconds),
            acr: Some(acr.clone()),
            sid: self.grant.session,
            env: realm.environment,
            cnf: self.key.map(|jkt| Confirmation { jkt }),
            claims: self.target.as_ref().map(|target| target.claims.clone()).unwrap_or_default(),
        }
    }

    /// An ID token, bound to the access token and the code that come with it.
    pub(super) fn id_token(
        &self,
        realm: &Realm,
        now: Timestamp,
        (access_token, code): (Option<&Secret<String>>, Option<&Secret<String>>),
    ) -> Result<Secret<String>, KeyError> {
        let Grant { identity, application, acr, .. } = &self.grant;
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
            at_hash: access_token.map(half_hash),
            c_hash: code.map(half_hash),
            sid: self.grant.session,
            env: realm.environment.to_string(),
            countersign_pairing: self.pairing.as_ref(),
            claims: &self.claims,
        };
        realm.keys.sign(self.algorithm, id_token::TYP, &claims).map(Secret::new)
    }
}

/// `at_hash` and `c_hash`: the left half of the hash (OIDC Core, section 3.3.2.11).
fn half_hash(token: &Secret<String>) -> String {
    let hash = jose::digest(token.expose());
    let (half, _) = hash.split_at(hash.len() / 2);
    encoding::encode(half)
}
