//! The overview: how sign-ons, pairings and pushes went of late, and what needs somebody.

use std::collections::BTreeMap;

use askama::Template;
use countersign_domain::role::Area;
use serde_json::json;

use crate::{
    Outcome, Visit,
    api::query,
    chart::{Chart, Series},
    frame::{Frame, Page},
    item::Item,
    part::{Empty, Table},
};

/// Over what time, and how long a bar is, in seconds.
struct Span {
    word: &'static str,
    name: &'static str,
    seconds: i64,
    bar: i64,
}

const SPANS: [Span; 3] = [
    Span { word: "hour", name: "Hour", seconds: 3_600, bar: 120 },
    Span { word: "day", name: "Day", seconds: 86_400, bar: 3_600 },
    Span { word: "week", name: "Week", seconds: 7 * 86_400, bar: 6 * 3_600 },
];

/// The most records that are looked at.
const MAX_RECORDS: usize = 5_000;

/// What is counted: the actions, their places in charts.
const COUNTED: [&str; 8] = [
    "USER.ACCESS_ALLOWED",
    "USER.ACCESS_DENIED",
    "DEVICE.CREATED",
    "DEVICE.DELETED",
    "NOTIFICATION.CREATED",
    "NOTIFICATION.UPDATED",
    "NOTIFICATION.REJECTED",
    "DEVICE_PAYLOAD.CHECK_SUCCESS",
];

/// Something that needs somebody: what it is, and where to go.
struct Warning {
    text: String,
    link: String,
    action: &'static str,
}

#[derive(Template)]
#[template(path = "overview.html", whitespace = "minimize")]
struct Overview {
    warnings: Vec<Warning>,
    figures: Vec<(&'static str, String, String)>,
    charts: Vec<Chart>,
    spans: Vec<(String, &'static str, bool)>,
    /// Whether there was more than was looked at.
    is_cut: bool,
}

pub(crate) async fn route(visit: &Visit<'_>, frame: &Frame<'_>) -> Outcome {
    let word = visit.request.query("span").unwrap_or("day");
    let span = SPANS.iter().find(|span| span.word == word).unwrap_or(&SPANS[1]);
    let (records, is_cut) = if visit.may_read(&frame.id(), Area::Audit) {
        records(visit, frame, span).await
    } else {
        (Vec::new(), false)
    };
    let figures = figures(&records);
    let charts = charts(visit, span, &records);
    let spans = SPANS
        .iter()
        .map(|it| (frame.page(&format!("?span={}", it.word)), it.name, it.word == span.word));
    let warnings = warnings(visit, frame, &records).await;
    let overview = Overview { warnings, figures, charts, spans: spans.collect(), is_cut };
    let mut page = Page::new(frame, "Overview").with(&overview);
    if visit.may_read(&frame.id(), Area::Audit) {
        let filter =
            "action.type eq \"USER.ACCESS_ALLOWED\" or action.type eq \"USER.ACCESS_DENIED\"";
        let members = query(&[("limit", "8"), ("filter", filter)]);
        let newest = visit.api.find(frame.api(&format!("/activities?{members}"))).await;
        let mut table: Table = crate::audit::table(frame, &newest.entries("activities"), None);
        table.empty = Empty::new("Nobody has signed in yet. Sign-ons appear here as they happen.");
        page = page
            .with(&crate::part::Heading { id: "newest", title: "Newest sign-ons", text: "" })
            .with(&table);
    }
    page.same_as(frame.api(""), &frame.environment, Some("pingone_environment")).reply()
}

async fn records(visit: &Visit<'_>, frame: &Frame<'_>, span: &Span) -> (Vec<Item>, bool) {
    let since = visit.request.now.minus_seconds(span.seconds).to_rfc3339_millis();
    let actions = COUNTED.map(|action| format!("action.type eq \"{action}\"")).join(" or ");
    let filter = format!("({actions}) and recordedAt gt {}", json!(since));
    let members = query(&[("limit", "1000"), ("filter", &filter)]);
    let mut path = Some(frame.api(&format!("/activities?{members}")));
    let mut records = Vec::new();
    while let Some(next) = path.take().filter(|_| records.len() < MAX_RECORDS) {
        let found = visit.api.find(next).await;
        records.extend(found.entries("activities"));
        let next = found.text("_links.next.href");
        path = next.find("/v1/").and_then(|at| next.get(at..)).map(str::to_owned);
    }
    (records, path.is_some())
}

fn count(records: &[Item], action: &str) -> usize {
    records.iter().filter(|record| record.text("action.type") == action).count()
}

fn share(part: usize, whole: usize) -> String {
    match (part * 100).checked_div(whole) {
        Some(percent) => format!("{percent} %"),
        None => "–".to_owned(),
    }
}

fn figures(records: &[Item]) -> Vec<(&'static str, String, String)> {
    let [allowed, denied, paired, unpaired, pushed, answered, rejected, vouched] =
        COUNTED.map(|action| count(records, action));
    let latency = latency(records).map_or_else(
        || "–".to_owned(),
        |millis| {
            if millis < 1_000 {
                format!("{millis} ms")
            } else {
                format!("{}.{} s", millis / 1_000, millis % 1_000 / 100)
            }
        },
    );
    vec![
        (
            "Sign-ons",
            allowed.to_string(),
            format!("{} succeeded", share(allowed, allowed + denied)),
        ),
        (
            "Passed by the phone itself",
            vouched.to_string(),
            format!("{} of all", share(vouched, allowed)),
        ),
        ("Phones trusted", paired.to_string(), format!("{unpaired} removed")),
        ("Pushes", pushed.to_string(), format!("{answered} answered, {rejected} not delivered")),
        ("Until a push is answered", latency, "half of them sooner".to_owned()),
    ]
}

/// The median time between a push and its answer, in milliseconds.
fn latency(records: &[Item]) -> Option<i64> {
    let mut asked = BTreeMap::new();
    let mut took = Vec::new();
    for record in records.iter().rev() {
        let at = countersign_protocol::time::Timestamp::parse_rfc3339(&record.text("createdAt"))?;
        let flow = record.text("internalCorrelation.transactionId");
        match record.text("action.type").as_str() {
            "NOTIFICATION.CREATED" => {
                asked.insert(flow, at);
            }
            "NOTIFICATION.UPDATED" => {
                took.extend(
                    asked.remove(&flow).map(|asked| (at.micros() - asked.micros()) / 1_000),
                );
            }
            _ => {}
        }
    }
    took.sort_unstable();
    took.get(took.len() / 2).copied()
}

fn charts(visit: &Visit<'_>, span: &Span, records: &[Item]) -> Vec<Chart> {
    let series = |name, class, action| {
        Series::of(records, (name, class), action, (visit.request.now, span.seconds, span.bar))
    };
    vec![
        Chart::new(
            "Sign-ons",
            &[
                series("Succeeded", "good", "USER.ACCESS_ALLOWED"),
                series("Failed", "bad", "USER.ACCESS_DENIED"),
            ],
            span.seconds,
        ),
        Chart::new(
            "Phones",
            &[
                series("Trusted", "good", "DEVICE.CREATED"),
                series("Removed", "bad", "DEVICE.DELETED"),
            ],
            span.seconds,
        ),
        Chart::new(
            "Pushes",
            &[
                series("Answered", "good", "NOTIFICATION.UPDATED"),
                series("Not delivered", "bad", "NOTIFICATION.REJECTED"),
            ],
            span.seconds,
        ),
    ]
}

async fn warnings(visit: &Visit<'_>, frame: &Frame<'_>, records: &[Item]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let applications =
        visit.api.find(frame.api("/applications?limit=200")).await.entries("applications");
    let native: Vec<&Item> =
        applications.iter().filter(|it| it.text("type") == "NATIVE_APP").collect();
    if native.is_empty() && !applications.is_empty() {
        warnings.push(Warning {
            text: "There is no native app yet, so no phone can be trusted.".to_owned(),
            link: frame.page("/applications/new/native"),
            action: "Add your app",
        });
    }
    for application in native {
        let id = application.id();
        let credentials =
            visit.api.find(frame.api(&format!("/applications/{id}/pushCredentials"))).await;
        if credentials.entries("pushCredentials").is_empty() {
            warnings.push(Warning {
                text: format!("{} has no push credentials: its phones learn of questions only while the app is open.", application.text("name")),
                link: frame.page(&format!("/applications/{id}/push")),
                action: "Add credentials",
            });
        }
        let health = visit.api.find(frame.api(&format!("/applications/{id}/pushHealth"))).await;
        if health.has("stoppedAt") || !health.items("warnings").is_empty() {
            let what = if health.has("stoppedAt") {
                "automatic unpairing is stopped"
            } else {
                "its push service complains"
            };
            warnings.push(Warning {
                text: format!("{}: {what}.", application.text("name")),
                link: frame.page(&format!("/applications/{id}/push#health")),
                action: "See why",
            });
        }
    }
    let rejected = count(records, "NOTIFICATION.REJECTED");
    if rejected > 0 {
        warnings.push(Warning {
            text: format!("{rejected} pushes could not be delivered. The records say what the service answered."),
            link: frame.page("/audit?show=NOTIFICATION.REJECTED"),
            action: "See them",
        });
    }
    warnings
}
