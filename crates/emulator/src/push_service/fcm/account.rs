//! Who may send: service accounts, the assertions that they sign, and the access tokens that they get for them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use countersign_protocol::entropy::{Entropy, random};
use countersign_protocol::time::Timestamp;
use countersign_protocol::{encoding, jose, json};
use serde::Deserialize;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SCOPES: [&str; 2] = [
    "https://www.googleapis.com/auth/firebase.messaging",
    "https://www.googleapis.com/auth/cloud-platform",
];

/// An assertion is good for so long.
const MAX_LIFE_SECONDS: i64 = 3_600;

/// Clocks may differ by so much.
const LEEWAY_SECONDS: i64 = 60;

/// So many access tokens are known at a time. The oldest are forgotten.
const MAX_TOKENS: usize = 1_000;

/// An account that may send to the phones of its project.
#[derive(Debug, Clone)]
pub struct ServiceAccount {
    /// The id of the project.
    pub project: String,
    /// Its name.
    pub client_email: String,
    /// Names its key.
    pub key_id: String,
    /// The `RSAPublicKey` of RFC 8017 appendix A.1.1, in DER.
    pub public_key: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    scope: String,
    aud: String,
    iat: i64,
    exp: i64,
}

/// Why there is no access token: the OAuth error, and what Google says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthError(pub &'static str, pub &'static str);

const BAD_TIMES: OAuthError = OAuthError(
    "invalid_grant",
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.",
);

/// Checks the form of a token request (RFC 7523 section 2.1), and gives the account that has signed it.
pub fn check<'a>(
    form: &[u8],
    accounts: &'a [ServiceAccount],
    token_uri: &str,
    now: Timestamp,
) -> Result<&'a ServiceAccount, OAuthError> {
    let fields: BTreeMap<_, _> = form_urlencoded::parse(form).collect();
    if fields.get("grant_type").is_none_or(|kind| kind != GRANT_TYPE) {
        return Err(OAuthError("unsupported_grant_type", "Invalid grant_type"));
    }
    let assertion = fields.get("assertion").map(AsRef::as_ref).unwrap_or_default();
    let unreadable = OAuthError("invalid_grant", "Invalid JWT");
    let jws = jose::split(assertion).map_err(|_| unreadable.clone())?;
    let header: Header = json::parse(&jws.header).map_err(|_| unreadable.clone())?;
    let claims: Claims = json::parse(&jws.claims).map_err(|_| unreadable)?;
    let account = accounts
        .iter()
        .find(|account| account.client_email == claims.iss)
        .ok_or(OAuthError("invalid_grant", "Invalid grant: account not found"))?;
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &account.public_key);
    if header.alg != "RS256"
        || header.kid.is_some_and(|kid| kid != account.key_id)
        || public.verify(jws.signing_input.as_bytes(), &jws.signature).is_err()
    {
        return Err(OAuthError("invalid_grant", "Invalid JWT Signature."));
    }
    if claims.aud != token_uri {
        return Err(OAuthError("invalid_grant", "Invalid JWT: Failed audience check."));
    }
    let (iat, exp) = (claims.iat, claims.exp);
    let now = now.unix_seconds();
    if exp.saturating_sub(iat) > MAX_LIFE_SECONDS || exp <= now || iat > now + LEEWAY_SECONDS {
        return Err(BAD_TIMES);
    }
    if !claims.scope.split(' ').any(|scope| SCOPES.contains(&scope)) {
        return Err(OAuthError(
            "invalid_scope",
            "Invalid OAuth scope or ID token audience provided.",
        ));
    }
    Ok(account)
}

/// The access tokens that were given out.
#[derive(Default)]
pub struct AccessTokens(Mutex<BTreeMap<String, Granted>>);

struct Granted {
    project: String,
    expires_at: Timestamp,
}

impl AccessTokens {
    /// A new one for the project of the account.
    pub fn grant(
        &self,
        account: &ServiceAccount,
        expires_at: Timestamp,
        entropy: &dyn Entropy,
    ) -> String {
        let token = format!("ya29.{}", encoding::encode(random::<48>(entropy)));
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_TOKENS {
            let oldest = tokens.iter().min_by_key(|(_, granted)| granted.expires_at);
            let oldest = oldest.map(|(token, _)| token.clone());
            oldest.and_then(|token| tokens.remove(&token));
        }
        tokens.insert(token.clone(), Granted { project: account.project.clone(), expires_at });
        token
    }

    /// The project that the token is for, if it is still good.
    pub fn project(&self, token: &str, now: Timestamp) -> Option<String> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let granted = tokens.get(token)?;
        (now < granted.expires_at).then(|| granted.project.clone())
    }
}
