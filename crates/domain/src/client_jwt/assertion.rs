//! Client assertions: JWTs by which a client proves itself (RFC 7523, section 3; OIDC Core, section 9).

use countersign_protocol::time::Timestamp;

use super::{Jws, Keys, LEEWAY_SECONDS, Refusal};
use crate::{application::Application, client_jwt::Algorithm, id::Id, spent_jwt::SpentJwt};

/// How far ahead the end of an assertion may lie, in seconds. Common libraries make assertions that live for an hour.
pub const MAX_SECONDS: i64 = 3_600;

/// A verified assertion. It counts once: [`Assertion::spent`] must be stored with what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// Who proved itself.
    pub client: Id<Application>,
    /// The algorithm, which tells `client_secret_jwt` from `private_key_jwt`.
    pub algorithm: Algorithm,
    /// What is remembered of it.
    pub spent: SpentJwt,
}

/// Who an assertion says that it is from, before anything is verified, so that the keys can be looked up.
pub fn asserted_client(jwt: &str) -> Result<String, Refusal> {
    let claims = Jws::read(jwt)?.claims()?;
    let subject = claims.text("sub")?.ok_or(Refusal::claim("sub", "must be given"))?;
    Ok(subject.to_owned())
}

/// Verifies an assertion of `client` that is meant for one of `audiences`: the issuer or the address it was sent to.
///
/// # Errors
/// A [`Refusal`] if it is not signed with `keys`, if `iss` or `sub` are not `client`, if `aud` names somebody else, if
/// `exp` is missing, has passed or lies more than `MAX_SECONDS` ahead, or if `jti` is missing.
pub fn assertion(
    jwt: &str,
    client: Id<Application>,
    keys: Keys<'_>,
    audiences: &[&str],
    now: Timestamp,
) -> Result<Assertion, Refusal> {
    let jws = Jws::read(jwt)?;
    jws.require_typ(&["JWT", "client-authentication+jwt"], true, "JWT, or absent")?;
    let opened = jws.verify(keys)?;
    let expected = Refusal::Algorithm { expected: "that of a signature" };
    let algorithm = opened.algorithm.ok_or(expected)?;
    let claims = opened.claims;
    let id = client.to_string();
    claims.require("iss", &id, "must be the client_id")?;
    claims.require("sub", &id, "must be the client_id")?;
    let rule = "must be the issuer, or the address that the assertion is sent to, and no other";
    claims.require_only_audiences(audiences, rule)?;
    let rule = "must be at most one hour ahead";
    let expires_at = claims.require_time(now, MAX_SECONDS, rule)?;
    let expires_at = expires_at.ok_or(Refusal::claim("exp", "must be given"))?;
    let jti = claims.jti()?.ok_or(Refusal::claim("jti", "must be given"))?;
    let until = expires_at.plus_seconds(LEEWAY_SECONDS);
    let spent = SpentJwt::named(until, "assertion", &id, jti);
    Ok(Assertion { client, algorithm, spent })
}
