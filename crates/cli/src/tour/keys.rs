//! The steps in which a phone is paired by a key that its owner types in.

use countersign_domain::{mfa_settings::MfaSettings, user::User};
use countersign_emulator::{Backend, Reply};
use countersign_protocol::pairing_key::KeyFormat;
use countersign_sdk::{Error, PairingRefusal};
use reqwest::Method;
use serde_json::json;

use super::{
    Seen,
    stage::{Stage, text},
    steps::require,
};
use crate::{Broken, setup};

/// How long a key lives.
const LIFE_SECONDS: i64 = 600;

/// After how long one address may ask as often as ever.
const REFILL_SECONDS: i64 = 60;

/// How many keys of a user can be used at a time.
const MOST_KEYS: usize = 20;

/// A key that a back end shows.
struct Key {
    path: String,
    code: String,
}

async fn make(stage: &Stage, backend: &Backend, user: &User) -> Result<Reply, Broken> {
    let wanted = json!({ "policy": { "id": stage.bank.mfa_policy.id } });
    Ok(backend.send(Method::POST, &keys_of(backend, user), Some(&wanted)).await?)
}

async fn key(stage: &Stage, backend: &Backend, user: &User) -> Result<Key, Broken> {
    let reply = make(stage, backend, user).await?;
    let of = |pointer| text(&reply.body, pointer);
    match (reply.status, of("/id"), of("/code")) {
        (201, Some(id), Some(code)) => {
            Ok(Key { path: format!("{}/{id}", keys_of(backend, user)), code })
        }
        _ => Err(Broken::new(format!("no key: {} {}", reply.status, reply.body))),
    }
}

fn keys_of(backend: &Backend, user: &User) -> String {
    format!("/v1/environments/{}/users/{}/pairingKeys", backend.environment(), user.id)
}

async fn must_be(backend: &Backend, key: &Key, status: &str) -> Result<(), Broken> {
    let body = backend.send(Method::GET, &key.path, None).await?.body;
    let found = text(&body, "/status").unwrap_or_default();
    require(found == status, &format!("the key must be {status}, not {found}"))
}

fn refusal<T>(result: Result<T, Error>) -> Result<PairingRefusal, Broken> {
    match result {
        Err(Error::PairingRefused { reason, .. }) => Ok(reason),
        Err(other) => Err(other.into()),
        Ok(_) => Err(Broken::new("the key must be refused")),
    }
}

/// A key of digits, and one of digits and letters.
pub async fn typed(stage: &Stage, backend: &Backend) -> Seen<()> {
    let (app, environment) = (stage.platform.app(), stage.bank.environment.id);
    // The guesses of before have used up what one address may ask.
    stage.clock.advance(REFILL_SECONDS);
    let mut seen = Vec::new();
    for (format, name, length) in
        [(KeyFormat::Numeric, "tess", 12), (KeyFormat::Alphanumeric, "uma", 16)]
    {
        let settings = MfaSettings { pairing_key_format: format, ..MfaSettings::default() };
        app.put_mfa_settings(environment, settings).await?;
        let user = setup::user(app, &stage.bank, name).await?;
        let key = key(stage, backend, &user).await?;
        require(key.code.len() == length, "the key must have the length of its format")?;
        let info = stage.new_phone(name).await?.sdk().pair(&key.code).await?;
        require(info.user.username.as_deref() == Some(name), "the phone must be the user's")?;
        must_be(backend, &key, "CLAIMED").await?;
        seen.push(format!("{name} by {}", key.code));
    }
    app.put_mfa_settings(environment, MfaSettings::default()).await?;
    Ok(((), format!("{}; both CLAIMED", seen.join(", "))))
}

/// A key that nobody used in time, and one that was used.
pub async fn spent(stage: &Stage, backend: &Backend) -> Seen<()> {
    let user = setup::user(stage.platform.app(), &stage.bank, "vera").await?;
    let late = key(stage, backend, &user).await?;
    stage.clock.advance(LIFE_SECONDS);
    let phone = stage.new_phone("vera").await?;
    let expired = refusal(phone.sdk().pair(&late.code).await)?;
    require(expired == PairingRefusal::KeyExpired, "a late phone must hear why")?;
    let good = key(stage, backend, &user).await?;
    phone.sdk().pair(&good.code).await?;
    let again = stage.new_phone("thief").await?.sdk().pair(&good.code).await;
    require(refusal(again)? == PairingRefusal::KeyClaimed, "a second phone must hear why")?;
    Ok(((), format!("refused after {LIFE_SECONDS} s, and after another phone")))
}

/// One key too many.
pub async fn too_many(stage: &Stage, backend: &Backend) -> Seen<()> {
    let user = setup::user(stage.platform.app(), &stage.bank, "walt").await?;
    for _ in 0..MOST_KEYS {
        key(stage, backend, &user).await?;
    }
    let reply = make(stage, backend, &user).await?;
    let code = text(&reply.body, "/details/0/code").unwrap_or_default();
    require((reply.status, &*code) == (400, "LIMIT_EXCEEDED"), "the 21st key must be refused")?;
    Ok(((), format!("{MOST_KEYS} keys, the next one: {} {code}", reply.status)))
}
