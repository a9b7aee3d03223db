//! Access tokens (RFC 9068): what they say, and whether one counts.

use countersign_domain::{
    application::Application, claims::Claims, environment::Environment, grant::Grant, id::Id,
    session::Session,
};
use countersign_protocol::{
    encoding, jose::Algorithm, jwk::Thumbprint, secret::Secret, time::Timestamp,
};
use countersign_store::{
    StoreError, Tx, Versioned, grant as grants,
    revoked_token::{self, Key},
};
use serde::{Deserialize, Serialize};

use super::{App, Realm};
use crate::keys::KeyError;

/// `typ` (RFC 9068, section 2.1), which keeps access tokens from passing as ID tokens.
const TYP: &str = "at+jwt";

/// The claims of an access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// The issuer.
    pub iss: String,
    /// The user, or the application itself where there is none.
    pub sub: String,
    /// For whom it is.
    pub aud: Vec<String>,
    /// Who got it.
    pub client_id: Id<Application>,
    /// What it opens of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// When it was made.
    pub iat: i64,
    /// When it ends.
    pub exp: i64,
    /// Its own id. It begins with that of the grant, if it came of one.
    pub jti: String,
    /// When the user signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// Name of the sign-on policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// The session in which the user signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<Id<Session>>,
    /// The tenant.
    pub env: Id<Environment>,
    /// The key that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// What the resource that it is for wants to be told.
    #[serde(flatten)]
    pub claims: Claims,
}

/// The key that a token is bound to (RFC 9449, section 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Its thumbprint.
    pub jkt: Thumbprint,
}

/// The `jti` of an access token that came of a grant: the grant, and what no other token of it has.
pub(super) fn id_of(grant: Id<Grant>, unique: [u8; 8]) -> String {
    format!("{grant}.{}", encoding::encode(unique))
}

#[derive(Deserialize)]
struct Home {
    env: Id<Environment>,
}

impl AccessToken {
    /// The environment that a token says it is of. Nothing is verified yet: it only tells with whose keys to.
    #[must_use]
    pub fn environment_of(token: &str) -> Option<Id<Environment>> {
        let claims = token.split('.').nth(1)?;
        let Home { env } = serde_json::from_slice(&encoding::decode(claims).ok()?).ok()?;
        Some(env)
    }

    /// Signs it.
    pub(super) fn sign(&self, realm: &Realm) -> Result<Secret<String>, KeyError> {
        realm.keys.sign(Algorithm::Es256, TYP, self).map(Secret::new)
    }

    /// The claims of a token that this realm made and that has not expired.
    pub(super) async fn verify(
        app: &App,
        token: &str,
        realm: &Realm,
        now: Timestamp,
    ) -> Option<Self> {
        let claims: Self = app.verify_own(realm, token, TYP).await?;
        let own = claims.iss == realm.issuer && claims.env == realm.environment;
        (own && now.unix_seconds() < claims.exp).then_some(claims)
    }

    /// How it is sent: `Bearer`, or `DPoP` if it is bound to a key.
    pub(super) const fn token_type(&self) -> &'static str {
        if self.cnf.is_some() { "DPoP" } else { "Bearer" }
    }

    /// Whether it may be sent like this: with a proof by the key that it is bound to, or without one if it is bound to none
    /// (RFC 9449, section 7.1).
    pub(super) fn may_come_with(&self, key: Option<Thumbprint>) -> bool {
        self.cnf.map(|confirmation| confirmation.jkt) == key
    }

    /// The grant that it came of; none: the application asked for itself.
    pub(super) fn grant(&self) -> Option<Id<Grant>> {
        self.jti.split_once('.')?.0.parse().ok()
    }

    /// Its name in the list of revoked ones.
    pub(super) fn key(&self) -> Key<'_> {
        Key {
            environment: self.env,
            expires_at: Timestamp::from_unix_seconds(self.exp),
            token_id: &self.jti,
        }
    }

    /// Whether it was neither revoked itself nor with what it came of. The grant, if it came of one.
    pub(super) async fn load_live(
        &self,
        tx: &mut Tx<'_>,
        now: Timestamp,
    ) -> Result<Option<Live>, StoreError> {
        if revoked_token::exists(tx, self.key()).await? {
            return Ok(None);
        }
        let Some(id) = self.grant() else { return Ok(Some(Live::Application)) };
        let grant = grants::load(tx, self.env, id, now).await?;
        let grant = grant.filter(|grant| grant.is_live()).map(Versioned::into_value);
        Ok(grant.map(|grant| Live::Grant(Box::new(grant))))
    }
}

/// What an access token that counts stands for.
pub(super) enum Live {
    /// What a user's sign-on gave.
    Grant(Box<Grant>),
    /// The application itself.
    Application,
}
