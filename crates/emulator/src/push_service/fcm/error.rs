//! How FCM says no.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::fault::RetryAfter;

/// The errors of FCM, spelled as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// The app is not there any more.
    Unregistered,
    /// The request is wrong.
    InvalidArgument,
    /// The token is of another project.
    SenderIdMismatch,
    /// Too many messages.
    QuotaExceeded,
    /// Overloaded.
    Unavailable,
    /// Broken.
    Internal,
    /// What Google needs to push further, to Apple or a browser, is wrong.
    ThirdPartyAuthError,
    /// Nothing more is known.
    UnspecifiedError,
    /// The access token is wrong. Google's front says so, without a detail of FCM.
    Unauthenticated,
    /// The account has no right to the project. Without a detail of FCM.
    PermissionDenied,
    /// There is no such project. Without a detail of FCM.
    NotFound,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Unregistered,
        Self::InvalidArgument,
        Self::SenderIdMismatch,
        Self::QuotaExceeded,
        Self::Unavailable,
        Self::Internal,
        Self::ThirdPartyAuthError,
        Self::UnspecifiedError,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::NotFound,
    ];

    /// The status of HTTP, and that of Google's APIs.
    #[must_use]
    pub const fn status(self) -> (u16, &'static str) {
        match self {
            Self::Unregistered | Self::NotFound => (404, "NOT_FOUND"),
            Self::InvalidArgument => (400, "INVALID_ARGUMENT"),
            Self::SenderIdMismatch | Self::PermissionDenied => (403, "PERMISSION_DENIED"),
            Self::QuotaExceeded => (429, "RESOURCE_EXHAUSTED"),
            Self::Unavailable => (503, "UNAVAILABLE"),
            Self::Internal | Self::UnspecifiedError => (500, "INTERNAL"),
            Self::ThirdPartyAuthError | Self::Unauthenticated => (401, "UNAUTHENTICATED"),
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Unregistered | Self::NotFound => "Requested entity was not found.",
            Self::InvalidArgument => "Request contains an invalid argument.",
            Self::SenderIdMismatch => "SenderId mismatch",
            Self::QuotaExceeded => "Quota exceeded for the project.",
            Self::Unavailable => "The service is currently unavailable.",
            Self::Internal => "Internal error encountered.",
            Self::ThirdPartyAuthError => "Auth error from APNS or Web Push Service",
            Self::UnspecifiedError => "Unknown error.",
            Self::Unauthenticated => {
                "Request had invalid authentication credentials. Expected OAuth 2 access token."
            }
            Self::PermissionDenied => {
                "Permission 'cloudmessaging.messages.create' denied on resource."
            }
        }
    }

    const fn is_of_fcm(self) -> bool {
        !matches!(self, Self::Unauthenticated | Self::PermissionDenied | Self::NotFound)
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub code: ErrorCode,
    message: String,
    details: Vec<Value>,
    pub retry_after: Option<RetryAfter>,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        let detail = code.is_of_fcm().then(|| fcm_error(code));
        Self {
            code,
            message: code.message().to_owned(),
            details: detail.into_iter().collect(),
            retry_after: None,
        }
    }
}

impl Refusal {
    /// Google's front could not read the request: FCM has not seen it, and says nothing.
    pub fn unreadable(field: &str, description: String) -> Self {
        let violation = violation(field, &description);
        let code = ErrorCode::InvalidArgument;
        Self { code, message: description, details: vec![violation], retry_after: None }
    }

    /// FCM has read the request and refuses a field.
    pub fn invalid(field: &str, description: &str) -> Self {
        let code = ErrorCode::InvalidArgument;
        Self {
            code,
            message: description.to_owned(),
            details: vec![fcm_error(code), violation(field, description)],
            retry_after: None,
        }
    }

    /// The access token is missing, unknown or old.
    pub fn unauthenticated(reason: &str) -> Self {
        let detail = json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "googleapis.com",
        });
        Self { details: vec![detail], ..ErrorCode::Unauthenticated.into() }
    }

    /// The same, with when to try again.
    pub fn retry_after(self, wait: Option<RetryAfter>) -> Self {
        Self { retry_after: wait, ..self }
    }

    /// As Google's APIs write it.
    pub fn body(&self) -> Value {
        let (code, status) = self.code.status();
        let mut error = json!({ "code": code, "message": self.message, "status": status });
        if let (Some(error), false) = (error.as_object_mut(), self.details.is_empty()) {
            error.insert("details".to_owned(), Value::from(self.details.clone()));
        }
        json!({ "error": error })
    }
}

fn fcm_error(code: ErrorCode) -> Value {
    json!({ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code })
}

fn violation(field: &str, description: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{ "field": field, "description": description }],
    })
}

/// The text of `Retry-After`.
pub fn retry_after(value: RetryAfter, now: Timestamp) -> String {
    match value {
        RetryAfter::Seconds(seconds) => seconds.to_string(),
        RetryAfter::DateIn(seconds) => {
            let at = now.plus_seconds(i64::from(seconds)).unix_seconds();
            let since_epoch = std::time::Duration::from_secs(u64::try_from(at).unwrap_or(0));
            httpdate::fmt_http_date(std::time::UNIX_EPOCH + since_epoch)
        }
    }
}
