//! `/{environment}/device/v1/challenges` and what belongs to it: what phones are asked, what they answer, where they are woken.

use std::sync::Arc;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countersign_domain::{
    challenge::{Challenge, Refusal},
    id::Id,
};

use super::{
    caller::{At, Installation},
    device::{call_error, json_text},
    problem::{Detail, Problem},
};
use crate::app::{AnswerError, App};

/// The segments of an address that names a challenge.
type Named = Result<Path<(String, String)>, PathRejection>;

/// `POST D/challenges`
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    At(realm): At,
    Installation(call): Installation,
) -> Response {
    match app.list_challenges(&realm, call).await {
        Ok(answer) => json_text(StatusCode::OK, answer),
        Err(error) => call_error(error),
    }
}

/// `POST D/challenges/{challenge}/acknowledge`
pub(crate) async fn acknowledge(
    State(app): State<Arc<App>>,
    At(realm): At,
    named: Named,
    Installation(call): Installation,
) -> Response {
    let Some(id) = id(named) else { return answer_error(AnswerError::Unknown) };
    answered(app.acknowledge(&realm, id, call).await)
}

/// `POST D/challenges/{challenge}/approve`
pub(crate) async fn approve(
    State(app): State<Arc<App>>,
    At(realm): At,
    named: Named,
    Installation(call): Installation,
) -> Response {
    let Some(id) = id(named) else { return answer_error(AnswerError::Unknown) };
    answered(app.approve_challenge(&realm, id, call).await)
}

/// `POST D/challenges/{challenge}/deny`
pub(crate) async fn deny(
    State(app): State<Arc<App>>,
    At(realm): At,
    named: Named,
    Installation(call): Installation,
) -> Response {
    let Some(id) = id(named) else { return answer_error(AnswerError::Unknown) };
    answered(app.deny_challenge(&realm, id, call).await)
}

/// `POST D/push-address`
pub(crate) async fn change_push_address(
    State(app): State<Arc<App>>,
    At(realm): At,
    Installation(call): Installation,
) -> Response {
    match app.change_push_address(&realm, call).await {
        Ok(answer) => json_text(StatusCode::OK, answer),
        Err(error) => call_error(error),
    }
}

/// `POST D/push-tests`
pub(crate) async fn test_push(
    State(app): State<Arc<App>>,
    At(realm): At,
    Installation(call): Installation,
) -> Response {
    match app.test_push(&realm, call).await {
        Ok(answer) => json_text(StatusCode::OK, answer),
        Err(error) => call_error(error),
    }
}

fn id(named: Named) -> Option<Id<Challenge>> {
    named.ok().and_then(|Path((_, id))| id.parse().ok())
}

fn answered(result: Result<String, AnswerError>) -> Response {
    match result {
        Ok(answer) => json_text(StatusCode::OK, answer),
        Err(error) => answer_error(error),
    }
}

fn answer_error(error: AnswerError) -> Response {
    let message = error.to_string();
    let failed = |code| {
        let detail = Detail::new(code, "challenge", message.clone());
        Problem::request_failed(message.clone()).with(detail).into_response()
    };
    let invalid = |code, target| {
        let detail = Detail::new(code, target, message.clone());
        Problem::invalid_request(message.clone()).with(detail).into_response()
    };
    match error {
        AnswerError::Call(error) => call_error(error),
        AnswerError::Unknown => failed("CHALLENGE_INVALID"),
        AnswerError::OtherShown => invalid("INVALID_VALUE", "proof.shown"),
        AnswerError::WrongNonce => invalid("INVALID_VALUE", "proof.nonce"),
        AnswerError::Refused(refusal) => match refusal {
            Refusal::Expired => failed("CHALLENGE_EXPIRED"),
            Refusal::Cancelled => failed("CHALLENGE_CANCELLED"),
            Refusal::Answered => failed("CHALLENGE_ANSWERED"),
            Refusal::OtherQuestion => failed("CHALLENGE_INVALID"),
            Refusal::NumberRequired => invalid("REQUIRED_VALUE", "proof.number"),
        },
    }
}
