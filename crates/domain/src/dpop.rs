//! `DPoP` (RFC 9449): a proof that whoever sends a request holds the key that its tokens are bound to.

use countersign_protocol::{encoding, jose, jwk::Thumbprint, time::Timestamp};
use url::Url;

use crate::{
    client_jwt::{Algorithm, Claims, Jws, LEEWAY_SECONDS, Refusal},
    client_key::{ClientKey, Jwk, KeyError},
    spent_jwt::SpentJwt,
};

/// How long after it was made a proof counts, in seconds (RFC 9449, section 11.1).
pub const MAX_AGE_SECONDS: i64 = 60;

/// `typ` of a proof (RFC 9449, section 4.2).
const TYP: &str = "dpop+jwt";

/// What a proof must be about.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// The address of the request, without query and fragment.
    pub address: &'a str,
    /// The access token that is sent with it, if one is.
    pub access_token: Option<&'a str>,
    /// When it came.
    pub now: Timestamp,
}

/// A verified proof. It counts once: [`DpopProof::spent`] must be stored with what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DpopProof {
    /// The key that made it, as `cnf.jkt` and `dpop_jkt` name it.
    pub key: Thumbprint,
    /// The nonce that it repeats, which only the server can judge.
    pub nonce: Option<String>,
    /// What is remembered of it.
    pub spent: SpentJwt,
}

/// Why a proof does not count. All of them are `invalid_dpop_proof` on the wire; the description tells which.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DpopError {
    /// The JWT or one of its claims.
    #[error("the DPoP proof: {0}")]
    Jwt(#[from] Refusal),
    /// `jwk` is missing in the header.
    #[error("the DPoP proof: jwk must be in the header")]
    NoKey,
    /// `jwk` is not a public key.
    #[error("the DPoP proof: jwk: {0}")]
    Key(#[from] KeyError),
}

impl DpopProof {
    /// Verifies a proof (RFC 9449, section 4.3).
    ///
    /// # Errors
    /// A [`DpopError`] if it is not of type `dpop+jwt`, not signed by the public key in its own header, if `htm` and `htu`
    /// are not method and address of the request, if `iat` is not within [`MAX_AGE_SECONDS`] before now (give or take
    /// [`LEEWAY_SECONDS`]), if `jti` is missing, or if `ath` is not the hash of the access token.
    pub fn verify(jwt: &str, expected: Expected<'_>) -> Result<Self, DpopError> {
        let mut jws = Jws::read(jwt)?;
        jws.require_typ(&[TYP], false, TYP)?;
        let (key, algorithm) = own_key(&mut jws)?;
        if !jws.is_signed_by(&key, algorithm) {
            return Err(Refusal::Signature.into());
        }
        let claims = jws.claims()?;
        claims.require("htm", expected.method, "must be the method of the request")?;
        let htu = claims.text("htu")?.unwrap_or_default();
        if !is_same_address(htu, expected.address) {
            let rule = "must be the address of the request, without query and fragment";
            return Err(Refusal::claim("htu", rule).into());
        }
        let until = require_fresh(&claims, expected.now)?;
        require_access_token(&claims, expected.access_token)?;
        let jti = claims.jti()?.ok_or(Refusal::claim("jti", "must be given"))?;
        let thumbprint = key.thumbprint();
        let spent = SpentJwt::named(until, "dpop", &thumbprint.to_string(), jti);
        let nonce = claims.text("nonce")?.map(str::to_owned);
        Ok(Self { key: thumbprint, nonce, spent })
    }
}

/// The key of the header. It is the proof's own word, and becomes of worth by what is bound to it.
fn own_key(jws: &mut Jws) -> Result<(ClientKey, Algorithm), DpopError> {
    let jwk = jws.header.jwk.take().ok_or(DpopError::NoKey)?;
    let jwk: Jwk = serde_json::from_value(jwk).map_err(|_| KeyError::Kind)?;
    let key = ClientKey::try_from(jwk)?;
    let expected = "that of a signature by the kind of key in jwk";
    let algorithm = Algorithm::parse(&jws.header.alg).filter(|algorithm| key.fits(*algorithm));
    Ok((key, algorithm.ok_or(Refusal::Algorithm { expected })?))
}

/// Requires `iat` to be now, more or less. Returns when the proof is refused by its age alone.
fn require_fresh(claims: &Claims, now: Timestamp) -> Result<Timestamp, Refusal> {
    let made_at = claims.time("iat")?.ok_or(Refusal::claim("iat", "must be given"))?;
    if made_at > now.plus_seconds(LEEWAY_SECONDS) {
        return Err(Refusal::claim("iat", "must not be in the future"));
    }
    let until = made_at.plus_seconds(MAX_AGE_SECONDS + LEEWAY_SECONDS);
    if until <= now {
        return Err(Refusal::claim("iat", "must not be longer than a minute ago"));
    }
    Ok(until)
}

/// Requires `ath` to be the hash of the access token where one is sent (RFC 9449, section 4.2).
fn require_access_token(claims: &Claims, access_token: Option<&str>) -> Result<(), Refusal> {
    let Some(access_token) = access_token else { return Ok(()) };
    let hash = encoding::encode(jose::digest(access_token));
    claims.require("ath", &hash, "must be the SHA-256 hash of the access token in base64url")
}

/// Whether two addresses are the same once scheme, host, port and path have their usual spelling (RFC 9449, section 4.3,
/// check 9). Query and fragment of `claimed` are looked away from, as clients send them although they must not.
fn is_same_address(claimed: &str, address: &str) -> bool {
    let normal = |text: &str| {
        let mut url = Url::parse(text).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    };
    match (normal(claimed), normal(address)) {
        (Some(claimed), Some(address)) => claimed == address,
        (Some(_) | None, Some(_) | None) => false,
    }
}

#[cfg(test)]
mod tests;
