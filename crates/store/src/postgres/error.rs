//! What PostgreSQL's errors mean: SQLSTATE codes, appendix A of its manual.

use std::{io, sync::Arc};

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio_postgres::error::{DbError, Error, SqlState};

use crate::{
    Cause, StoreError,
    tx::{Fault, FaultKind},
};

/// What the server says of an error, without the detail, which repeats the values of the row.
#[derive(Debug, thiserror::Error)]
#[error("{}: {message}", code.code())]
struct Refusal {
    code: SqlState,
    message: String,
}

/// A statement has failed.
pub(super) fn fault(error: Error) -> Fault {
    match error.as_db_error() {
        Some(refused) => refusal(refused),
        None if is_broken(&error) => Fault { error: unavailable(error), kind: FaultKind::Lost },
        None => StoreError::Bug {
            what: "a statement does not fit PostgreSQL".to_owned(),
            source: Some(Arc::new(error)),
        }
        .into(),
    }
}

fn refusal(refused: &DbError) -> Fault {
    let cause: Cause =
        Arc::new(Refusal { code: refused.code().clone(), message: refused.message().to_owned() });
    let (error, kind) = match *refused.code() {
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => {
            (StoreError::Conflict, FaultKind::Collision)
        }
        SqlState::UNIQUE_VIOLATION => {
            let constraint = refused.constraint().unwrap_or_default().to_owned();
            (StoreError::Duplicate { constraint }, FaultKind::Statement)
        }
        SqlState::FOREIGN_KEY_VIOLATION => (StoreError::Conflict, FaultKind::Statement),
        SqlState::READ_ONLY_SQL_TRANSACTION => (refuses(cause), FaultKind::ReadOnly),
        SqlState::DISK_FULL => (StoreError::Full { source: Some(cause) }, FaultKind::Statement),
        ref code => match code.code().get(..2) {
            // Connection exceptions; a shutdown is 57P01 to 57P03.
            Some("08") => (fails(cause), FaultKind::Lost),
            _ if code.code().starts_with("57P") => (fails(cause), FaultKind::Lost),
            // Transaction rollback, insufficient resources, object not in prerequisite state, operator
            // intervention, system error.
            Some("40" | "53" | "55" | "57" | "58") => (fails(cause), FaultKind::Statement),
            _ => (refuses(cause), FaultKind::Statement),
        },
    };
    Fault { error, kind }
}

/// A commit has failed. Unless the server says that it refuses it, nobody knows whether it happened: then it must not run
/// again.
pub(super) fn commit_fault(error: Error) -> Fault {
    let is_refused = error.code().is_some_and(|code| {
        // Integrity constraint violation, transaction rollback, insufficient resources.
        matches!(code.code().get(..2), Some("23" | "40" | "53"))
            && *code != SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
    });
    if is_refused {
        return fault(error);
    }
    StoreError::Unavailable {
        what: "nobody knows whether a commit happened".to_owned(),
        source: Some(Arc::new(fault(error).error)),
    }
    .into()
}

/// No connection could be had.
pub(super) fn pool_error(error: PoolError) -> StoreError {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => StoreError::Busy,
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            unavailable(error)
        }
        error => StoreError::unavailable(error.to_string()),
    }
}

fn is_broken(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    error.is_closed() || source.and_then(|source| source.downcast_ref::<io::Error>()).is_some()
}

fn unavailable(error: Error) -> StoreError {
    StoreError::Unavailable {
        what: "no connection to PostgreSQL".to_owned(),
        source: Some(Arc::new(error)),
    }
}

fn fails(cause: Cause) -> StoreError {
    StoreError::Unavailable { what: "PostgreSQL failed".to_owned(), source: Some(cause) }
}

fn refuses(cause: Cause) -> StoreError {
    StoreError::Bug { what: "PostgreSQL refuses a statement".to_owned(), source: Some(cause) }
}
