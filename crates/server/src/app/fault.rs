//! What can go wrong in any use case, sorted by what the caller can do.

use countersign_store::StoreError;

use crate::{keys::KeyError, passwords::PasswordError};

/// A use case that could not decide. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// As many callers wait as may, or the disk is full: come back later.
    #[error("the service is busy")]
    Busy(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Our fault: logged where it becomes a response.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Fault {
    /// Something that the program holds to be impossible.
    #[must_use]
    pub fn broken(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(what.into())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy
            | StoreError::Full { .. }
            | StoreError::Unavailable { .. }
            | StoreError::Conflict => Self::Busy(error.into()),
            StoreError::Duplicate { .. } | StoreError::Corrupt { .. } | StoreError::Bug { .. } => {
                Self::Internal(error.into())
            }
        }
    }
}

impl From<KeyError> for Fault {
    fn from(error: KeyError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<PasswordError> for Fault {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Busy(error.into()),
            PasswordError::Broken => Self::Internal(error.into()),
        }
    }
}

/// Lets `?` turn faults and what they come from into the `Fault` variant of a use case's error.
macro_rules! faults {
    ($($error:ty),+) => {$(
        impl From<$crate::app::Fault> for $error {
            fn from(fault: $crate::app::Fault) -> Self {
                Self::Fault(fault)
            }
        }
        impl From<countersign_store::StoreError> for $error {
            fn from(error: countersign_store::StoreError) -> Self {
                Self::Fault(error.into())
            }
        }
        impl From<$crate::keys::KeyError> for $error {
            fn from(error: $crate::keys::KeyError) -> Self {
                Self::Fault(error.into())
            }
        }
    )+};
}

pub(super) use faults;
