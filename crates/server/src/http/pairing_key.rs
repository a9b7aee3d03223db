//! `D/pairing-keys`: where phones show the keys by which they are paired.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countersign_domain::pairing::NoOffer;
use serde_json::json;

use super::{
    caller::{At, Installation},
    device::{json_text, pair_error},
    problem::{Detail, Problem},
};
use crate::app::{App, PairError};

/// The word for a refusal in answers.
pub(super) const fn code_of(why: NoOffer) -> &'static str {
    match why {
        NoOffer::AlreadyPaired => "ALREADY_PAIRED",
        NoOffer::Disabled => "PAIRING_DISABLED",
        NoOffer::Compromised => "DEVICE_COMPROMISED",
        NoOffer::LimitReached { .. } => "LIMIT_EXCEEDED",
    }
}

/// `POST D/pairing-keys/claims`
pub(crate) async fn claim(
    State(app): State<Arc<App>>,
    At(realm): At,
    Installation(call): Installation,
) -> Response {
    match app.claim_pairing_key(&realm, call).await {
        Ok(answer) => json_text(StatusCode::CREATED, answer),
        Err(PairError::NoOffer(why)) => not_paired(why),
        Err(error) => pair_error(error),
    }
}

/// The key is good, and yet the phone may not be paired by it.
fn not_paired(why: NoOffer) -> Response {
    let message = why.to_string();
    let detail = Detail::new(code_of(why), "proof.key", message.clone());
    let detail = match why {
        NoOffer::LimitReached { maximum } => {
            detail.with_inner(json!({ "maximumAllowed": maximum }))
        }
        NoOffer::AlreadyPaired | NoOffer::Disabled | NoOffer::Compromised => detail,
    };
    let problem = Problem::request_failed(message);
    problem.with(detail).into_response()
}
