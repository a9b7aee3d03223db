//! How pushes to an application fare: its warnings, and the answers of push services by the minute.

use countersign_domain::{
    application::Application, id::Id, push_health::PushHealth, unpairing::Answers,
};
use countersign_protocol::{mobile_payload::PushService, time::Timestamp};

use crate::{StoreError, Tx, Versioned, document, push_credentials::name};

pub(crate) const STATEMENTS: &[&str] =
    &[LOAD, LIST, PUT, SWAP, COUNT, ANSWERS, UNPAIRED, FORGET, DELETE_EXPIRED];

const LOAD: &str = "SELECT data, version FROM push_health WHERE application_id = $1";
const LIST: &str = "SELECT data, version FROM push_health ORDER BY application_id LIMIT $1";
const PUT: &str = "INSERT INTO push_health (application_id, environment_id, version, data) \
     VALUES ($1, $2, 1, $3) ON CONFLICT (application_id) DO NOTHING";
const SWAP: &str = "UPDATE push_health SET version = version + 1, data = $3 \
     WHERE application_id = $1 AND version = $2";
// Minutes are counted from 1970, so that the rows of an hour are few and the sum of them is cheap.
const COUNT: &str = "INSERT INTO push_answers (minute, application_id, service, sends, unregistered, unpaired) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (minute, application_id, service) DO UPDATE SET \
     sends = push_answers.sends + excluded.sends, \
     unregistered = push_answers.unregistered + excluded.unregistered, \
     unpaired = push_answers.unpaired + excluded.unpaired";
const ANSWERS: &str = "SELECT CAST(COALESCE(SUM(sends), 0) AS BIGINT), \
     CAST(COALESCE(SUM(unregistered), 0) AS BIGINT) FROM push_answers \
     WHERE minute > $1 AND application_id = $2 AND service = $3";
const UNPAIRED: &str = "SELECT CAST(COALESCE(SUM(unpaired), 0) AS BIGINT) FROM push_answers \
     WHERE minute > $1 AND application_id = $2";
const FORGET: &str = "DELETE FROM push_health WHERE application_id = $1";
const DELETE_EXPIRED: &str = "DELETE FROM push_answers WHERE (minute, application_id, service) IN \
     (SELECT minute, application_id, service FROM push_answers WHERE minute <= $1 \
      ORDER BY minute, application_id, service LIMIT $2)";

const MINUTE_SECONDS: i64 = 60;

/// How long answers are kept, in minutes: two days, of which the last counts.
const KEPT_MINUTES: i64 = 2 * 24 * 60;

/// How an application fares, if anything is known of it.
pub async fn load(
    tx: &mut Tx<'_>,
    application: Id<Application>,
) -> Result<Option<Versioned<PushHealth>>, StoreError> {
    document::find(tx, LOAD, &[application.into()]).await
}

/// Forgets how an application fares that is to be deleted.
pub async fn forget_application(
    tx: &mut Tx<'_>,
    application: Id<Application>,
) -> Result<(), StoreError> {
    tx.execute(FORGET, &[application.into()]).await.map(drop)
}

/// How applications fare of which anything is known, the oldest applications first.
pub async fn list(tx: &mut Tx<'_>, limit: u32) -> Result<Vec<Versioned<PushHealth>>, StoreError> {
    document::list(tx, LIST, &[i64::from(limit).into()]).await
}

/// Replaces what is known, if nobody has since it was read.
pub async fn put(
    tx: &mut Tx<'_>,
    old: Option<&Versioned<PushHealth>>,
    new: &PushHealth,
) -> Result<(), StoreError> {
    let data = document::encode(new)?;
    match old {
        None => {
            let row = [new.application.into(), new.environment.into(), data.into()];
            tx.swap(PUT, &row).await
        }
        Some(old) => {
            tx.swap(SWAP, &[new.application.into(), old.version().into(), data.into()]).await
        }
    }
}

/// What is added to the answers of a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Answers of the service.
    pub sends: i64,
    /// Those that an address is nobody's.
    pub unregistered: i64,
    /// Devices that were unpaired by it.
    pub unpaired: i64,
}

/// Counts answers of a service for an application.
pub async fn count(
    tx: &mut Tx<'_>,
    (application, service): (Id<Application>, PushService),
    count: Count,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = [
        minute(now).into(),
        application.into(),
        name(service).into(),
        count.sends.into(),
        count.unregistered.into(),
        count.unpaired.into(),
    ];
    tx.execute(COUNT, &row).await.map(drop)
}

/// The answers of a service for an application in the last hour, though not of before `since`.
pub async fn answers(
    tx: &mut Tx<'_>,
    (application, service): (Id<Application>, PushService),
    since: Option<Timestamp>,
    now: Timestamp,
) -> Result<Answers, StoreError> {
    let from = (minute(now) - 60).max(since.map_or(i64::MIN, minute));
    let row = [from.into(), application.into(), name(service).into()];
    let row = tx.query_one(ANSWERS, &row).await?;
    let row = row.ok_or_else(|| StoreError::bug("a sum has no row"))?;
    let number = |column| row.int(column).map(i64::unsigned_abs);
    Ok(Answers { sends: number(0)?, unregistered: number(1)? })
}

/// How many devices of an application were unpaired by push services in the last day.
pub async fn unpaired(
    tx: &mut Tx<'_>,
    application: Id<Application>,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let from = minute(now) - 24 * 60;
    let row = tx.query_one(UNPAIRED, &[from.into(), application.into()]).await?;
    let row = row.ok_or_else(|| StoreError::bug("a sum has no row"))?;
    row.int(0).map(i64::unsigned_abs)
}

/// Forgets at most `limit` rows of answers that count no more. Returns how many.
pub async fn delete_expired(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<u64, StoreError> {
    tx.execute(DELETE_EXPIRED, &[(minute(now) - KEPT_MINUTES).into(), limit.into()]).await
}

const fn minute(time: Timestamp) -> i64 {
    time.unix_seconds().div_euclid(MINUTE_SECONDS)
}
