//! `/{environment}/device/v1`: the device API, for the SDK (`docs/device-protocol.md`).

use std::{str::FromStr, sync::Arc};

use axum::{
    Json,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{self, IntoResponse, Response},
};
use countersign_domain::{
    pairing::{NoOffer, Refusal},
    pairing_key::Refusal as KeyRefusal,
};
use countersign_protocol::{
    device_api::{NonceResponse, TimeResponse},
    encoding::EncodingError,
};
use serde_json::json;

use super::{
    caller::{Anyone, At, Installation},
    form::Members,
    limit::Surface,
    problem::{Detail, FaultResponse, Problem},
};
use crate::app::{App, DeviceCallError, PairError};

/// `GET D/nonce`
pub(crate) async fn nonce(
    State(app): State<Arc<App>>,
    At(realm): At,
    _: Anyone,
) -> Json<NonceResponse> {
    Json(app.nonce(&realm))
}

/// `GET D/time`
pub(crate) async fn time(
    State(app): State<Arc<App>>,
    At(realm): At,
    _: Anyone,
    RawQuery(query): RawQuery,
) -> response::Result<Json<TimeResponse>> {
    let members = Members::parse(query.unwrap_or_default().as_bytes())?;
    let question = (required(&members, "kid")?, required(&members, "jti")?);
    Ok(Json(app.time(&realm, question).map_err(FaultResponse)?))
}

/// A member of a query, in its only form.
fn required<T: FromStr<Err = EncodingError>>(members: &Members, name: &str) -> Result<T, Problem> {
    let refused = |code, message: String| {
        Problem::invalid_request(message.clone()).with(Detail::new(code, name, message))
    };
    let text = members
        .text(name)
        .ok_or_else(|| refused("REQUIRED_VALUE", format!("{name} is missing")))?;
    text.parse().map_err(|error| refused("INVALID_VALUE", format!("{name} {error}")))
}

/// `POST D/pairings`
pub(crate) async fn approve_pairing(
    State(app): State<Arc<App>>,
    At(realm): At,
    Installation(call): Installation,
) -> Response {
    match app.approve_pairing(&realm, call).await {
        Ok(answer) => json_text(StatusCode::CREATED, answer),
        Err(error) => pair_error(error),
    }
}

/// `POST D/pairings/denials`
pub(crate) async fn deny_pairing(
    State(app): State<Arc<App>>,
    At(realm): At,
    Installation(call): Installation,
) -> Response {
    match app.deny_pairing(&realm, call).await {
        Ok(answer) => json_text(StatusCode::OK, answer),
        Err(error) => pair_error(error),
    }
}

/// `POST D/info`
pub(crate) async fn info(
    State(app): State<Arc<App>>,
    At(realm): At,
    Installation(call): Installation,
) -> Response {
    match app.read_installation(&realm, call).await {
        Ok(answer) => json_text(StatusCode::OK, answer),
        Err(error) => call_error(error),
    }
}

/// `POST D/unpairings`
pub(crate) async fn unpair(
    State(app): State<Arc<App>>,
    At(realm): At,
    Installation(call): Installation,
) -> Response {
    match app.unpair_installation(&realm, call).await {
        Ok(answer) => json_text(StatusCode::OK, answer),
        Err(error) => call_error(error),
    }
}

/// `POST D/logs`
pub(crate) async fn receive_log(
    State(app): State<Arc<App>>,
    At(realm): At,
    Installation(call): Installation,
) -> Response {
    match app.receive_log(&realm, call).await {
        Ok(answer) => json_text(StatusCode::OK, answer),
        Err(error) => call_error(error),
    }
}

/// An answer as it was kept with its proof.
pub(super) fn json_text(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

pub(super) fn call_error(error: DeviceCallError) -> Response {
    let message = error.to_string();
    let invalid = |code, target: &str| {
        let detail = Detail::new(code, target, message.clone());
        Problem::invalid_request(message.clone()).with(detail).into_response()
    };
    match error {
        DeviceCallError::Proof { error, server_time: Some(time) } => {
            let detail = Detail::new("CLOCK_SKEW", error.target(), message.clone());
            let detail = detail.with_inner(json!({ "serverTime": time }));
            Problem::invalid_request(message).with(detail).into_response()
        }
        DeviceCallError::Proof { error, server_time: None } => {
            invalid("INVALID_VALUE", error.target())
        }
        DeviceCallError::Nonce => invalid("INVALID_VALUE", "proof.nonce"),
        DeviceCallError::UserId => invalid("INVALID_VALUE", "proof.user"),
        DeviceCallError::NotPaired => {
            Problem::new(StatusCode::UNAUTHORIZED, "DEVICE_NOT_PAIRED", message).into_response()
        }
        DeviceCallError::Clash => Problem::new(StatusCode::CONFLICT, "CONFLICT", message.clone())
            .with(Detail::new("REPLAYED", "proof.jti", message))
            .into_response(),
        DeviceCallError::Fault(fault) => FaultResponse(fault).into_response(),
    }
}

pub(super) fn pair_error(error: PairError) -> Response {
    let message = error.to_string();
    let (code, target) = match &error {
        PairError::Call(_) | PairError::Limited(_) => ("", ""),
        PairError::UnknownTicket | PairError::Ticket(Refusal::OtherInstallation) => {
            ("TICKET_INVALID", "proof.ticket")
        }
        PairError::OtherApplication => ("INVALID_VALUE", "proof.app.id"),
        PairError::Verification(_) => ("INVALID_VALUE", "proof.verification"),
        PairError::Ticket(Refusal::Expired) => ("TICKET_EXPIRED", "proof.ticket"),
        PairError::Ticket(Refusal::Spent) | PairError::NoOffer(NoOffer::AlreadyPaired) => {
            ("TICKET_SPENT", "proof.ticket")
        }
        PairError::NoOffer(NoOffer::Disabled | NoOffer::Compromised) => {
            ("PAIRING_DISABLED", "proof.ticket")
        }
        PairError::NoOffer(NoOffer::LimitReached { .. }) => ("LIMIT_EXCEEDED", "proof.ticket"),
        PairError::UnknownKey => ("PAIRING_KEY_INVALID", "proof.key"),
        PairError::Key(KeyRefusal::OtherApplication) => {
            ("PAIRING_KEY_OTHER_APPLICATION", "proof.app.id")
        }
        PairError::Key(KeyRefusal::Expired) => ("PAIRING_KEY_EXPIRED", "proof.key"),
        PairError::Key(KeyRefusal::Claimed) => ("PAIRING_KEY_CLAIMED", "proof.key"),
    };
    let detail = Detail::new(code, target, message.clone());
    let detail = match &error {
        PairError::NoOffer(NoOffer::LimitReached { maximum }) => {
            detail.with_inner(json!({ "maximumAllowed": maximum }))
        }
        _ => detail,
    };
    match error {
        PairError::Call(error) => call_error(error),
        PairError::Limited(limited) => Surface::Envelope.refuse(limited),
        _ => Problem::request_failed(message).with(detail).into_response(),
    }
}
