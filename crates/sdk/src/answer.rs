//! What an answer of the platform means: a pure function of status, headers and body.

use countersign_protocol::device_api::{
    CORRELATION_HEADER, DetailCode, ErrorBody, ErrorCode, ErrorDetail,
};
use countersign_protocol::json;
use serde::de::DeserializeOwned;

use crate::error::{CodeRefusal, Error, PairingRefusal};
use crate::platform::{MAX_BODY_BYTES, Response, TransportError};

/// Why a proof did not lead to the answer asked for.
#[derive(Debug)]
pub enum Failure {
    /// The platform's clock says something else; the text is its signed time.
    Skew(String),
    /// Anything that sending another proof does not mend.
    Error(Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

impl Failure {
    /// The error, when the clock has been corrected already.
    pub fn into_error(self) -> Error {
        match self {
            Self::Skew(_) => Error::Clock,
            Self::Error(error) => error,
        }
    }
}

/// Reads the body of a 2xx answer as `T`, any other answer as the failure it stands for.
pub fn read<T: DeserializeOwned>(response: &Response) -> Result<T, Failure> {
    if response.body.len() > MAX_BODY_BYTES {
        return Err(TransportError::TooLong.into());
    }
    if (200..300).contains(&response.status) {
        return json::parse(&response.body)
            .map_err(|error| Error::Answer(error.to_string()).into());
    }
    Err(failure(response))
}

fn failure(response: &Response) -> Failure {
    let status = response.status;
    let body = json::parse::<ErrorBody>(&response.body).ok();
    let correlation_id = body
        .as_ref()
        .map(|body| body.id.clone())
        .or_else(|| response.header(CORRELATION_HEADER).map(str::to_owned));
    match status {
        429 | 503 => {
            let retry_after_seconds =
                response.header("Retry-After").and_then(|text| text.trim().parse().ok());
            return Error::Unavailable { status, retry_after_seconds, correlation_id }.into();
        }
        500.. => return Error::Server { status, correlation_id }.into(),
        _ => {}
    }
    let Some(body) = body else {
        return Error::Answer(format!("HTTP {status} without an error body")).into();
    };
    if body.code == ErrorCode::DeviceNotPaired {
        return Error::NotPaired { correlation_id }.into();
    }
    if let Some(server_time) = body.details.iter().find_map(server_time) {
        return Failure::Skew(server_time.to_owned());
    }
    let mut details = body.details.iter();
    if let Some(error) = details.find_map(|detail| refusal(detail.code, correlation_id.as_deref()))
    {
        return error.into();
    }
    let detail = body.details.first().map(|detail| detail.message.as_str());
    let message = detail.unwrap_or(&body.message).to_owned();
    Error::Rejected { status, message, correlation_id }.into()
}

fn server_time(detail: &ErrorDetail) -> Option<&str> {
    let inner = detail.inner_error.as_ref().filter(|_| detail.code == DetailCode::ClockSkew)?;
    inner.server_time.as_deref()
}

/// What the platform refuses, although the proof is good.
fn refusal(code: DetailCode, correlation_id: Option<&str>) -> Option<Error> {
    let correlation_id = correlation_id.map(str::to_owned);
    if let Some(reason) = code_refusal(code) {
        return Some(Error::CodeRefused { reason, correlation_id });
    }
    let reason = match code {
        DetailCode::TicketInvalid => PairingRefusal::TicketInvalid,
        DetailCode::TicketExpired => PairingRefusal::TicketExpired,
        DetailCode::TicketSpent => PairingRefusal::TicketSpent,
        DetailCode::LimitExceeded => PairingRefusal::LimitExceeded,
        DetailCode::PairingDisabled => PairingRefusal::PairingDisabled,
        DetailCode::DeviceCompromised => PairingRefusal::DeviceCompromised,
        DetailCode::AlreadyPaired => PairingRefusal::AlreadyPaired,
        DetailCode::PairingKeyInvalid => PairingRefusal::KeyInvalid,
        DetailCode::PairingKeyExpired => PairingRefusal::KeyExpired,
        DetailCode::PairingKeyClaimed => PairingRefusal::KeyClaimed,
        DetailCode::PairingKeyOtherApplication => PairingRefusal::OtherApplication,
        DetailCode::ChallengeInvalid => return Some(Error::ChallengeInvalid { correlation_id }),
        DetailCode::ChallengeExpired => return Some(Error::ChallengeExpired { correlation_id }),
        DetailCode::ChallengeCancelled => {
            return Some(Error::ChallengeCancelled { correlation_id });
        }
        DetailCode::ChallengeAnswered => return Some(Error::ChallengeAnswered { correlation_id }),
        DetailCode::InvalidValue
        | DetailCode::RequiredValue
        | DetailCode::ClockSkew
        | DetailCode::Replayed
        | DetailCode::CodeInvalid
        | DetailCode::CodeOtherApplication
        | DetailCode::CodeExpired
        | DetailCode::CodeClaimed
        | DetailCode::CodeEnded
        | DetailCode::DeviceBarred
        | DetailCode::Unknown => return None,
    };
    Some(Error::PairingRefused { reason, correlation_id })
}

const fn code_refusal(code: DetailCode) -> Option<CodeRefusal> {
    match code {
        DetailCode::CodeInvalid => Some(CodeRefusal::Invalid),
        DetailCode::CodeOtherApplication => Some(CodeRefusal::OtherApplication),
        DetailCode::CodeExpired => Some(CodeRefusal::Expired),
        DetailCode::CodeClaimed => Some(CodeRefusal::Claimed),
        DetailCode::CodeEnded => Some(CodeRefusal::Ended),
        DetailCode::DeviceBarred => Some(CodeRefusal::DeviceBarred),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
