//! What can go wrong in the store, sorted by what the caller can do about it.

use std::{error::Error, sync::Arc};

/// What a driver said. Shared, because one failed commit answers every caller of its group.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why a read or a write did not happen. Nothing of it was kept, except where a variant says otherwise.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The row is not as it was when it was read, or a row that it needs is gone: somebody else was first.
    #[error("somebody else was first")]
    Conflict,
    /// Another row has the same key. `constraint` is `table_pkey`, or `table_column_column_key`.
    #[error("a row with the same {constraint} exists")]
    Duplicate { constraint: String },
    /// A stored row does not say what the program expects of it.
    #[error("stored data is malformed: {what}")]
    Corrupt { what: String },
    /// The disk is full. Reads go on, and so do writes as soon as there is space.
    #[error("the disk is full")]
    Full {
        #[source]
        source: Option<Cause>,
    },
    /// As many callers wait as may; a later try can succeed.
    #[error("too many callers wait for the store")]
    Busy,
    /// The engine cannot be reached or has given up. A write whose commit was on its way may have been kept.
    #[error("the store is not available: {what}")]
    Unavailable {
        what: String,
        #[source]
        source: Option<Cause>,
    },
    /// The program is wrong: a malformed statement, a body that panics, waits or ignores a failed statement.
    #[error("defect in the program: {what}")]
    Bug {
        what: String,
        #[source]
        source: Option<Cause>,
    },
}

impl StoreError {
    /// A stored row is malformed; `what` names the place and never the value.
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }

    pub(crate) fn unavailable(what: impl Into<String>) -> Self {
        Self::Unavailable { what: what.into(), source: None }
    }

    pub(crate) fn bug(what: impl Into<String>) -> Self {
        Self::Bug { what: what.into(), source: None }
    }
}
