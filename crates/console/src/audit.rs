//! The audit log: filtered, followed live, and each event with its story.

use askama::Template;
use serde_json::json;

use crate::{
    Outcome, Visit,
    api::{Refused, query},
    frame::{Frame, Page},
    item::Item,
    part::{Cell, Empty, Facts, Table, Text, Tone},
    user::cursor_of,
};

pub(crate) async fn route(visit: &Visit<'_>, frame: &Frame<'_>, segments: &[&str]) -> Outcome {
    match segments {
        [] => list(visit, frame).await,
        [record] => one(visit, frame, record).await,
        _ => Err(Refused::not_found()),
    }
}

/// What one looks for, by what people look for.
const ACTIONS: [(&str, &str); 9] = [
    ("", "Everything"),
    ("USER.ACCESS_ALLOWED USER.ACCESS_DENIED", "Sign-ons"),
    ("USER.ACCESS_DENIED", "Sign-ons that failed"),
    (
        "DEVICE.CREATED DEVICE.DELETED DEVICE.BLOCKED DEVICE.UNBLOCKED DEVICE.LOCKED DEVICE.UNLOCKED",
        "Devices",
    ),
    (
        "NOTIFICATION.CREATED NOTIFICATION.UPDATED NOTIFICATION.REJECTED DEVICE.FRAUD_REPORTED",
        "Pushes",
    ),
    ("PASSWORD.CHECK_FAILED OTP.CHECK_FAILED DEVICE_PAYLOAD.CHECK_INVALID", "What was refused"),
    (
        "APPLICATION.CREATED APPLICATION.UPDATED APPLICATION.DELETED POLICY.CREATED POLICY.UPDATED POLICY.DELETED DEVICE_AUTHENTICATION_POLICY.CREATED DEVICE_AUTHENTICATION_POLICY.UPDATED DEVICE_AUTHENTICATION_POLICY.DELETED MFA_SETTINGS.UPDATED",
        "Configuration",
    ),
    ("ROLE_ASSIGNMENT.CREATED ROLE_ASSIGNMENT.DELETED", "Roles"),
    ("KEY.CREATED KEY.ROTATED KEY.DELETED", "Keys"),
];

#[derive(Template)]
#[template(path = "audit_filter.html", whitespace = "minimize")]
struct Filter<'a> {
    action: String,
    user: &'a str,
    is_live: bool,
    live: String,
    actions: Vec<(&'static str, &'static str, bool)>,
}

/// The records, renewed while one looks if that is wanted.
#[derive(Template)]
#[template(path = "records.html", whitespace = "minimize")]
struct Records<'a> {
    table: &'a Table,
    renewed: Option<String>,
}

async fn list(visit: &Visit<'_>, frame: &Frame<'_>) -> Outcome {
    let request = visit.request;
    let chosen = request.query("show").unwrap_or_default();
    let user = request.query("user").unwrap_or_default();
    let is_live = request.query("live").is_some();
    let mut filters = Vec::new();
    let actions = chosen.split(' ').filter(|word| !word.is_empty());
    let actions: Vec<String> =
        actions.map(|word| format!("action.type eq {}", json!(word))).collect();
    if !actions.is_empty() {
        filters.push(format!("({})", actions.join(" or ")));
    }
    if let Some(id) = find_user(visit, frame, user).await {
        filters.push(format!("(actors.user.id eq {} or resources.id eq {})", json!(id), json!(id)));
    }
    let cursor = request.query("cursor").unwrap_or_default();
    let members = query(&[("limit", "50"), ("filter", &filters.join(" and ")), ("cursor", cursor)]);
    let path = frame.api(&format!("/activities?{members}"));
    let found = visit.api.get(path.clone()).await?;
    let here = |more: (&str, &str)| {
        let members = query(&[("show", chosen), ("user", user), more]);
        format!("{}?{members}", frame.page("/audit"))
    };
    let next = cursor_of(&found.text("_links.next.href")).map(|cursor| here(("cursor", &cursor)));
    let table = table(frame, &found.entries("activities"), next.filter(|_| !is_live));
    let live = if is_live { here(("", "")) } else { here(("live", "on")) };
    let actions = ACTIONS.iter().map(|(value, label)| (*value, *label, *value == chosen));
    let actions = actions.collect();
    let filter = Filter { action: frame.page("/audit"), user, is_live, live, actions };
    let records = Records { table: &table, renewed: is_live.then(|| here(("live", "on"))) };
    let lead = "What happened, who did it, and how it ended. Nobody can change it unnoticed.";
    Page::new(frame, "Audit")
        .with(&Text::lead(lead))
        .with(&filter)
        .with(&records)
        .same_as(path, &found, None)
        .reply()
}

/// The id of a user who was named by user name or id. Whoever is not known is nobody.
async fn find_user(visit: &Visit<'_>, frame: &Frame<'_>, named: &str) -> Option<String> {
    if named.is_empty() {
        return None;
    }
    let filter = format!("username eq {}", json!(named));
    let members = query(&[("filter", &filter)]);
    let found = visit.api.find(frame.api(&format!("/users?{members}"))).await;
    let id = found.entries("users").first().map(Item::id);
    Some(id.unwrap_or_else(|| named.to_owned()))
}

/// Records in a table, each with a way to its story.
pub(crate) fn table(frame: &Frame<'_>, records: &[Item], next: Option<String>) -> Table {
    let rows = records.iter().map(|record| {
        let failed = record.text("result.status") == "FAILED";
        let tone = if failed { Tone::Bad } else { Tone::Quiet };
        let flow = record.text("internalCorrelation.transactionId");
        vec![
            Cell::text(second(record)),
            Cell::link(
                frame.page(&format!("/audit/{}", record.id())),
                record.text("action.description").trim_end_matches('.'),
            ),
            Cell::text(who(record)),
            match record.text("result.reason") {
                reason if reason.is_empty() => {
                    Cell::mark(if failed { "Failed" } else { "OK" }, tone)
                }
                reason => Cell::mark(reason.replace('_', " "), tone),
            },
            if flow.is_empty() {
                Cell::Nothing
            } else {
                Cell::link(frame.page(&format!("/sign-ons/{flow}")), "Sign-on")
            },
        ]
    });
    Table {
        columns: vec!["Time", "What", "Who", "Result", ""],
        rows: rows.collect(),
        empty: Empty::new("Nothing of this kind has happened."),
        next,
    }
}

/// The time of a record, to the second.
pub(crate) fn second(record: &Item) -> String {
    let at = record.text("recordedAt");
    at.get(..19).map(|at| at.replace('T', " ")).unwrap_or(at)
}

/// Who did it.
pub(crate) fn who(record: &Item) -> String {
    let names = ["actors.user.name", "actors.client.name", "actors.platform"];
    let known: Vec<String> =
        names.iter().map(|path| record.text(path)).filter(|it| !it.is_empty()).collect();
    known.join(", ")
}

async fn one(visit: &Visit<'_>, frame: &Frame<'_>, id: &str) -> Outcome {
    let path = frame.api(&format!("/activities/{id}"));
    let record = visit.api.get(path.clone()).await?;
    let resource = |it: &Item| {
        [it.text("type").to_lowercase().replace('_', " "), it.text("name"), it.id()].join(" ")
    };
    let things: Vec<String> = record.items("resources").iter().map(resource).collect();
    let flow = record.text("internalCorrelation.transactionId");
    let mut facts = vec![
        ("Time", Cell::text(format!("{} UTC", second(&record)))),
        ("What", Cell::text(record.text("action.description"))),
        ("Type", Cell::text(record.text("action.type"))),
        ("Who", Cell::text(who(&record))),
        ("To what", Cell::text(things.join(", "))),
        (
            "Result",
            Cell::text(
                [record.text("result.status"), record.text("result.description")].join(": "),
            ),
        ),
        ("Address", Cell::text(record.text("source.ipAddress"))),
        ("Browser or app", Cell::text(record.text("source.userAgent"))),
        ("The service said", Cell::text(record.text("answer"))),
        ("Request", Cell::text(record.text("correlationId"))),
    ];
    facts.retain(
        |(_, cell)| !matches!(cell, Cell::Text(text) if text.trim().trim_matches(':').is_empty()),
    );
    if !flow.is_empty() {
        facts.push((
            "Its whole story",
            Cell::link(
                frame.page(&format!("/sign-ons/{flow}")),
                "The sign-on that it is a part of",
            ),
        ));
    }
    Page::new(frame, record.text("action.description").trim_end_matches('.').to_owned())
        .below("/audit", "Audit")
        .with(&Facts(facts))
        .same_as(path, &record, None)
        .reply()
}
