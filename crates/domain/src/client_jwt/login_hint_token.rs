//! `login_hint_token`: an application tells whom it has authenticated already (platform API, section 7.3).

use countersign_protocol::{secret::Secret, time::Timestamp};

use super::{Jws, Keys, LEEWAY_SECONDS, Refusal};
use crate::{
    application::Application, client_jwt::Algorithm, id::Id, spent_jwt::SpentJwt, user::User,
};

/// How far ahead the end of a token may lie, in seconds.
pub const MAX_SECONDS: i64 = 3_600;

/// A verified token. It counts once: [`LoginHintToken::spent`] must be stored with what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginHintToken {
    /// Who was authenticated.
    pub user: Id<User>,
    /// When it was made, if it says so.
    pub issued_at: Option<Timestamp>,
    /// What is remembered of it.
    pub spent: SpentJwt,
}

/// Verifies the `login_hint_token` of an application, which is meant for `issuer`.
///
/// # Errors
/// A [`Refusal`] if the application does not [keep secrets](Application::keeps_secrets), or the token is not an HS256 JWT
/// under `secret` with `iss` the application, `sub` the id of a user, `aud` the issuer and an `exp` at most
/// `MAX_SECONDS` ahead.
pub fn login_hint_token(
    jwt: &str,
    application: &Application,
    secret: Option<&Secret<Vec<u8>>>,
    issuer: &str,
    now: Timestamp,
) -> Result<LoginHintToken, Refusal> {
    let expected = "HS256 with the secret of an application that runs on a server";
    // Each copy of an app has the same secret: whoever takes it out could be any user.
    if !application.keeps_secrets() || secret.is_none() {
        return Err(Refusal::Algorithm { expected });
    }
    let jws = Jws::read(jwt)?;
    jws.require_typ(&["JWT"], true, "JWT, or absent")?;
    let opened = jws.verify(Keys { secret, set: None })?;
    if opened.algorithm != Some(Algorithm::Hs256) {
        return Err(Refusal::Algorithm { expected });
    }
    let claims = opened.claims;
    let id = application.id.to_string();
    claims.require("iss", &id, "must be the client_id")?;
    claims.require_audience(issuer, "must be the issuer, or a list that contains it")?;
    let rule = "must be the id of a user";
    let subject = claims.text("sub")?.ok_or(Refusal::claim("sub", rule))?;
    let user = subject.parse().map_err(|_| Refusal::claim("sub", rule))?;
    let expires_at = claims.require_time(now, MAX_SECONDS, "must be at most one hour ahead")?;
    let expires_at = expires_at.ok_or(Refusal::claim("exp", "must be given"))?;
    let until = expires_at.plus_seconds(LEEWAY_SECONDS);
    let spent = match claims.jti()? {
        Some(jti) => SpentJwt::named(until, "login_hint_token", &id, jti),
        None => SpentJwt::signed(until, "login_hint_token", &id, &opened.digest),
    };
    Ok(LoginHintToken { user, issued_at: claims.time("iat")?, spent })
}
