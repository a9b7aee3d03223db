//! Every column in which ciphertexts rest, for whoever encrypts them anew. A new one is added here, or it is lost when the
//! key-encryption key changes.

use countersign_domain::sealed::Sealed;
use countersign_protocol::encoding;
use serde_json::Value as Json;

use crate::{Row, StoreError, Tx};

pub(crate) const STATEMENTS: &[&str] = &[
    DEVICES.list,
    DEVICES.swap,
    AUTHENTICATORS.list,
    AUTHENTICATORS.swap,
    APPLICATIONS.list,
    APPLICATIONS.swap,
    SIGNING_KEYS.list,
    SIGNING_KEYS.swap,
    ENVIRONMENT_KEYS.list,
    ENVIRONMENT_KEYS.swap,
    PUSH_CREDENTIALS.list,
    PUSH_CREDENTIALS.swap,
    SUBSCRIPTIONS.list,
    SUBSCRIPTIONS.swap,
];

/// All of them.
pub const COLUMNS: [Column; 8] = [
    DEVICES,
    AUTHENTICATORS,
    APPLICATIONS,
    PREVIOUS_SECRETS,
    SIGNING_KEYS,
    ENVIRONMENT_KEYS,
    PUSH_CREDENTIALS,
    SUBSCRIPTIONS,
];

const DEVICES: Column = Column {
    name: "devices.seed",
    member: Some("/seed"),
    list: "SELECT id, data FROM devices WHERE id > $1 ORDER BY id LIMIT $2",
    swap: "UPDATE devices SET data = $3 WHERE id = $1 AND data = $2",
};

const AUTHENTICATORS: Column = Column {
    name: "authenticators.seed",
    member: Some("/kind/seed"),
    list: "SELECT id, data FROM authenticators WHERE id > $1 ORDER BY id LIMIT $2",
    swap: "UPDATE authenticators SET data = $3 WHERE id = $1 AND data = $2",
};

const APPLICATIONS: Column = Column {
    name: "applications.secret",
    member: Some("/secret"),
    list: "SELECT id, data FROM applications WHERE id > $1 ORDER BY id LIMIT $2",
    swap: "UPDATE applications SET data = $3 WHERE id = $1 AND data = $2",
};

const PREVIOUS_SECRETS: Column = Column {
    name: "applications.previous_secret",
    member: Some("/previous_secret/secret"),
    list: APPLICATIONS.list,
    swap: APPLICATIONS.swap,
};

const SIGNING_KEYS: Column = Column {
    name: "signing_keys.private",
    member: Some("/state/private"),
    list: "SELECT id, data FROM signing_keys WHERE id > $1 ORDER BY id LIMIT $2",
    swap: "UPDATE signing_keys SET data = $3 WHERE id = $1 AND data = $2",
};

const PUSH_CREDENTIALS: Column = Column {
    name: "push_credentials.secret",
    member: Some("/secret"),
    list: "SELECT id, data FROM push_credentials WHERE id > $1 ORDER BY id LIMIT $2",
    swap: "UPDATE push_credentials SET data = $3 WHERE id = $1 AND data = $2",
};

const SUBSCRIPTIONS: Column = Column {
    name: "subscriptions.headers",
    member: Some("/headers"),
    list: "SELECT id, data FROM subscriptions WHERE id > $1 ORDER BY id LIMIT $2",
    swap: "UPDATE subscriptions SET data = $3 WHERE id = $1 AND data = $2",
};

const ENVIRONMENT_KEYS: Column = Column {
    name: "environment_keys.mac",
    member: None,
    list: "SELECT environment_id, mac FROM environment_keys \
         WHERE environment_id > $1 ORDER BY environment_id LIMIT $2",
    swap: "UPDATE environment_keys SET mac = $3 WHERE environment_id = $1 AND mac = $2",
};

/// A column of ciphertexts.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The name to which its ciphertexts are bound.
    pub name: &'static str,
    /// Where the ciphertext is in the document of a row (RFC 6901); none: it is the column itself.
    member: Option<&'static str>,
    list: &'static str,
    swap: &'static str,
}

/// A row of such a column.
pub struct Resting {
    /// Primary key, to which the ciphertext is bound.
    pub id: [u8; 16],
    /// The ciphertext, if the row has one.
    pub sealed: Option<Sealed>,
    held: Held,
}

enum Held {
    Document { text: String, json: Json, member: &'static str },
    Bytes(Vec<u8>),
}

/// A page of the rows of a column, by id, after the row `after`.
pub async fn list(
    tx: &mut Tx<'_>,
    column: Column,
    after: [u8; 16],
    limit: u32,
) -> Result<Vec<Resting>, StoreError> {
    let rows = tx.query(column.list, &[after.into(), i64::from(limit).into()]).await?;
    rows.iter().map(|row| resting(column, row)).collect()
}

fn resting(column: Column, row: &Row) -> Result<Resting, StoreError> {
    let id = row.bytes(0)?;
    let Some(member) = column.member else {
        let bytes = row.blob(1)?.to_vec();
        return Ok(Resting {
            id,
            sealed: Some(Sealed::new(bytes.clone())),
            held: Held::Bytes(bytes),
        });
    };
    let (text, json): (_, Json) = (row.text(1)?.to_owned(), row.json(1)?);
    let corrupt = || StoreError::corrupt(column.name);
    let sealed = match json.pointer(member) {
        None | Some(Json::Null) => None,
        Some(value) => {
            let text = value.as_str().ok_or_else(corrupt)?;
            Some(Sealed::new(encoding::decode(text).map_err(|_| corrupt())?))
        }
    };
    Ok(Resting { id, sealed, held: Held::Document { text, json, member } })
}

/// Replaces the ciphertext of a row that nobody has changed since it was read. The version of the row stays: to everybody else it
/// says what it said.
pub async fn swap(
    tx: &mut Tx<'_>,
    column: Column,
    old: &Resting,
    new: &Sealed,
) -> Result<(), StoreError> {
    match &old.held {
        Held::Bytes(bytes) => {
            tx.swap(column.swap, &[old.id.into(), bytes.into(), new.ciphertext().into()]).await
        }
        Held::Document { text, json, member } => {
            let mut json = json.clone();
            if let Some(value) = json.pointer_mut(member) {
                *value = encoding::encode(new.ciphertext()).into();
            }
            tx.swap(column.swap, &[old.id.into(), text.into(), json.to_string().into()]).await
        }
    }
}
