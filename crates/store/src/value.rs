//! What goes into a statement and what comes out of it.

use std::borrow::Cow;

use countersign_domain::id::Id;
use countersign_protocol::time::Timestamp;
use serde::de::DeserializeOwned;

use crate::StoreError;

/// A value of a column, borrowed where it can be. The portable kinds and no others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value<'a> {
    /// No value, of any kind.
    Null,
    /// `BIGINT`: numbers, and times in microseconds.
    Int(i64),
    /// `BOOLEAN`; `SQLite` stores 0 or 1.
    Bool(bool),
    /// `TEXT`, without NUL.
    Text(Cow<'a, str>),
    /// `BYTEA`: ids in 16 bytes, hashes, sealed secrets.
    Blob(Cow<'a, [u8]>),
}

impl Value<'_> {
    /// The same, borrowed from nothing.
    pub(crate) fn to_owned(&self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Int(number) => Value::Int(*number),
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Text(text) => Value::Text(Cow::Owned(text.clone().into_owned())),
            Self::Blob(bytes) => Value::Blob(Cow::Owned(bytes.clone().into_owned())),
        }
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(at: Timestamp) -> Self {
        Self::Int(at.micros())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Text(Cow::Owned(value))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Blob(Cow::Borrowed(value))
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(value: &'a Vec<u8>) -> Self {
        Self::Blob(Cow::Borrowed(value))
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(Cow::Owned(value))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(value: &'a [u8; N]) -> Self {
        Self::Blob(Cow::Borrowed(value))
    }
}

impl<const N: usize> From<[u8; N]> for Value<'_> {
    fn from(value: [u8; N]) -> Self {
        Self::Blob(Cow::Owned(value.to_vec()))
    }
}

impl<'a, T> From<&'a Id<T>> for Value<'a> {
    fn from(id: &'a Id<T>) -> Self {
        id.as_bytes().into()
    }
}

impl<T> From<Id<T>> for Value<'_> {
    fn from(id: Id<T>) -> Self {
        (*id.as_bytes()).into()
    }
}

impl<'a, V: Into<Value<'a>>> From<Option<V>> for Value<'a> {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of an answer. Columns count from 0; one of another kind than asked for is [`StoreError::Corrupt`].
#[derive(Debug)]
pub struct Row {
    sql: &'static str,
    values: Vec<Value<'static>>,
}

impl Row {
    pub(crate) fn new(sql: &'static str, values: Vec<Value<'static>>) -> Self {
        Self { sql, values }
    }

    /// A `BIGINT`.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.read(column, "a number", int)
    }

    /// A `BIGINT` that may be null.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        self.read_opt(column, "a number", int)
    }

    /// A `BOOLEAN`.
    pub fn bool(&self, column: usize) -> Result<bool, StoreError> {
        self.read(column, "a truth value", bool)
    }

    /// A `BOOLEAN` that may be null.
    pub fn opt_bool(&self, column: usize) -> Result<Option<bool>, StoreError> {
        self.read_opt(column, "a truth value", bool)
    }

    /// A `TEXT`.
    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        self.read(column, "text", text)
    }

    /// A `TEXT` that may be null.
    pub fn opt_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        self.read_opt(column, "text", text)
    }

    /// A `BYTEA`.
    pub fn blob(&self, column: usize) -> Result<&[u8], StoreError> {
        self.read(column, "bytes", blob)
    }

    /// A `BYTEA` that may be null.
    pub fn opt_blob(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        self.read_opt(column, "bytes", blob)
    }

    /// A `BYTEA` of exactly `N` bytes.
    pub fn bytes<const N: usize>(&self, column: usize) -> Result<[u8; N], StoreError> {
        self.read(column, "bytes of the right length", bytes)
    }

    /// A `BYTEA` of exactly `N` bytes that may be null.
    pub fn opt_bytes<const N: usize>(&self, column: usize) -> Result<Option<[u8; N]>, StoreError> {
        self.read_opt(column, "bytes of the right length", bytes)
    }

    /// An id: a `BYTEA` of 16 bytes.
    pub fn id<T>(&self, column: usize) -> Result<Id<T>, StoreError> {
        self.bytes(column).map(Id::from_bytes)
    }

    /// An id that may be null.
    pub fn opt_id<T>(&self, column: usize) -> Result<Option<Id<T>>, StoreError> {
        Ok(self.opt_bytes(column)?.map(Id::from_bytes))
    }

    /// A point in time: a `BIGINT` of microseconds.
    pub fn time(&self, column: usize) -> Result<Timestamp, StoreError> {
        self.int(column).map(Timestamp::from_micros)
    }

    /// A point in time that may be null.
    pub fn opt_time(&self, column: usize) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.opt_int(column)?.map(Timestamp::from_micros))
    }

    /// A `TEXT` that is the JSON of a `T`.
    pub fn json<T: DeserializeOwned>(&self, column: usize) -> Result<T, StoreError> {
        self.read(column, "the expected JSON", json)
    }

    /// A `TEXT` that is the JSON of a `T`, or null.
    pub fn opt_json<T: DeserializeOwned>(&self, column: usize) -> Result<Option<T>, StoreError> {
        self.read_opt(column, "the expected JSON", json)
    }

    /// The message names the statement and the column, never the value: it may be personal.
    fn read<'r, T>(
        &'r self,
        column: usize,
        wanted: &str,
        decode: impl FnOnce(&'r Value<'static>) -> Option<T>,
    ) -> Result<T, StoreError> {
        self.values.get(column).and_then(decode).ok_or_else(|| {
            StoreError::corrupt(format!("column {column} of `{}` is not {wanted}", self.sql))
        })
    }

    fn read_opt<'r, T>(
        &'r self,
        column: usize,
        wanted: &str,
        decode: impl FnOnce(&'r Value<'static>) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        match self.values.get(column) {
            Some(Value::Null) => Ok(None),
            _ => self.read(column, wanted, decode).map(Some),
        }
    }
}

fn int(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        _ => None,
    }
}

/// `SQLite` has no truth values of its own.
fn bool(value: &Value<'_>) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Int(0) => Some(false),
        Value::Int(1) => Some(true),
        _ => None,
    }
}

fn text<'r>(value: &'r Value<'_>) -> Option<&'r str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn blob<'r>(value: &'r Value<'_>) -> Option<&'r [u8]> {
    match value {
        Value::Blob(bytes) => Some(bytes),
        _ => None,
    }
}

fn bytes<const N: usize>(value: &Value<'_>) -> Option<[u8; N]> {
    blob(value)?.try_into().ok()
}

fn json<T: DeserializeOwned>(value: &Value<'_>) -> Option<T> {
    serde_json::from_str(text(value)?).ok()
}
