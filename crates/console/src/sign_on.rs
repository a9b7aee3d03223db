//! The flow explorer: one sign-on, drawn as what app, platform, push service and phone said to each other.

mod diagram;

use countersign_domain::{flow::Flow, id::Id};
use countersign_protocol::time::Timestamp;
use serde_json::json;

use self::diagram::{Diagram, Message};
use crate::{
    Outcome, Visit,
    api::{Refused, query},
    audit::{self, second},
    frame::{Frame, Page},
    item::Item,
    part::{Cell, Facts, Heading},
};

/// For how long after it began something of a sign-on may happen, in seconds.
const LIFE_SECONDS: i64 = 7_200;

pub(crate) async fn route(visit: &Visit<'_>, frame: &Frame<'_>, flow: &str) -> Outcome {
    let id: Id<Flow> = flow.parse().map_err(|_| Refused::not_found())?;
    let began = began_at(id);
    let filter = format!(
        "internalCorrelation.transactionId eq {} and recordedAt gt {} and recordedAt lt {}",
        json!(flow),
        json!(began.minus_seconds(2).to_rfc3339_millis()),
        json!(began.plus_seconds(LIFE_SECONDS).to_rfc3339_millis()),
    );
    let members = query(&[("limit", "200"), ("order", "ASC"), ("filter", &filter)]);
    let path = frame.api(&format!("/activities?{members}"));
    // A time that no log can be asked for is that of no sign-on.
    let found = visit.api.get(path.clone()).await;
    let found = found
        .map_err(|refused| if refused.is_mendable() { Refused::not_found() } else { refused })?;
    let records = found.entries("activities");
    let first = records.first().ok_or_else(Refused::not_found)?;
    let is_over = records.iter().any(|record| ends(&record.text("action.type")));
    let title = match first_name(&records) {
        name if name.is_empty() => "A sign-on".to_owned(),
        name => format!("A sign-on of {name}"),
    };
    let facts = Facts(vec![
        ("Began", Cell::text(format!("{} UTC", second(first)))),
        ("Application", Cell::text(some(&records, "actors.client.name"))),
        ("Ended", outcome(&records)),
        ("Address", Cell::text(some(&records, "source.ipAddress"))),
        ("Browser or app", Cell::text(some(&records, "source.userAgent"))),
    ]);
    let is_young = visit.request.now.seconds_since(began) < LIFE_SECONDS;
    let renewed = (!is_over && is_young).then(|| visit.request.path.to_owned());
    let diagram = Diagram::of(&records, renewed);
    let text = "Each line is a record of the audit log.";
    let table = audit::table(frame, &records, None);
    Page::new(frame, title)
        .below("/audit", "Audit")
        .with(&facts)
        .with(&diagram)
        .with(&Heading { id: "records", title: "Records", text })
        .with(&table)
        .same_as(path, &found, None)
        .reply()
}

/// When a flow began: ids are ordered by time (RFC 9562, section 5.7).
fn began_at(id: Id<Flow>) -> Timestamp {
    let millis =
        id.as_bytes().iter().take(6).fold(0_i64, |time, byte| (time << 8) | i64::from(*byte));
    Timestamp::from_micros(millis * 1_000)
}

fn ends(action: &str) -> bool {
    matches!(action, "USER.ACCESS_ALLOWED" | "USER.ACCESS_DENIED")
}

fn some(records: &[Item], path: &str) -> String {
    records.iter().map(|record| record.text(path)).find(|text| !text.is_empty()).unwrap_or_default()
}

fn first_name(records: &[Item]) -> String {
    some(records, "actors.user.name")
}

fn outcome(records: &[Item]) -> Cell {
    use crate::part::Tone;
    match records.iter().find(|record| ends(&record.text("action.type"))) {
        None => Cell::mark("Not yet", Tone::Quiet),
        Some(end) if end.text("action.type") == "USER.ACCESS_ALLOWED" => {
            Cell::mark("Signed in", Tone::Good)
        }
        Some(end) => Cell::mark(format!("Refused: {}", end.text("result.description")), Tone::Bad),
    }
}

/// What a record is in the conversation.
fn message(record: &Item) -> Message {
    use diagram::Lane::{App, Phone, Platform, PushService};
    let action = record.text("action.type");
    let reason = record.text("result.reason").replace('_', " ");
    let (from, to, text) = match action.as_str() {
        "FLOW.CREATED" => (App, Platform, "Authorize: who is it?"),
        "AUTHENTICATION.CREATED" => (App, Platform, "A back end asks for a device"),
        "AUTHENTICATION.UPDATED" => (Platform, Platform, "A step was decided"),
        "PASSWORD.CHECK_SUCCEEDED" => (App, Platform, "Password: right"),
        "PASSWORD.CHECK_FAILED" => (App, Platform, "Password: wrong"),
        "OTP.CHECK_SUCCESS" => (App, Platform, "Passcode: right"),
        "OTP.CHECK_FAILED" => (App, Platform, "Passcode: wrong"),
        "DEVICE_PAYLOAD.CHECK_SUCCESS" => (App, Platform, "Mobile payload: the phone vouches"),
        "DEVICE_PAYLOAD.CHECK_INVALID" => (App, Platform, "Mobile payload: refused"),
        "NOTIFICATION.CREATED" => (Platform, PushService, "Push"),
        "NOTIFICATION.REJECTED" => (PushService, Platform, "Not delivered"),
        "NOTIFICATION.UPDATED" => (Phone, Platform, "Answer of the phone"),
        "DEVICE.FRAUD_REPORTED" => (Phone, Platform, "“That was not me”"),
        "DEVICE.CREATED" => (Phone, Platform, "The phone is trusted"),
        "DEVICE.DELETED" => (PushService, Platform, "The app is gone: unpaired"),
        "AUTHENTICATION_CODE.CREATED" => (Platform, App, "A QR code is shown"),
        "AUTHENTICATION_CODE.UPDATED" => (Phone, Platform, "The code was scanned"),
        "USER.ACCESS_ALLOWED" => (Platform, App, "Signed in"),
        "USER.ACCESS_DENIED" => (Platform, App, "Refused"),
        "GRANT.ANSWERED" => (App, Platform, "Code exchanged for tokens"),
        "SESSION.CREATED" => (Platform, Platform, "A session begins"),
        "SESSION.UPDATED" => (Platform, Platform, "The session knows more"),
        _ => (Platform, Platform, ""),
    };
    let text = if text.is_empty() { record.text("action.description") } else { text.to_owned() };
    let at = record.text("createdAt");
    let at = Timestamp::parse_rfc3339(&at).unwrap_or_else(|| Timestamp::from_micros(0));
    Message { from, to, text, note: reason, failed: record.text("result.status") == "FAILED", at }
}
