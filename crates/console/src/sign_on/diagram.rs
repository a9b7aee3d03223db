//! A sequence as an image: four lanes, and messages between them with their times.

use askama::Template;
use countersign_protocol::time::Timestamp;

use super::message;
use crate::item::Item;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    App,
    Platform,
    PushService,
    Phone,
}

impl Lane {
    const ALL: [(Self, &str); 4] = [
        (Self::App, "App or browser"),
        (Self::Platform, "Platform"),
        (Self::PushService, "Push service"),
        (Self::Phone, "Phone (SDK)"),
    ];

    /// The middle of the lane.
    const fn x(self) -> i32 {
        match self {
            Self::App => 170,
            Self::Platform => 400,
            Self::PushService => 630,
            Self::Phone => 860,
        }
    }
}

/// Something that is said.
pub(super) struct Message {
    pub from: Lane,
    pub to: Lane,
    pub text: String,
    /// Why.
    pub note: String,
    pub failed: bool,
    pub at: Timestamp,
}

/// The image.
#[derive(Template)]
#[template(path = "diagram.html", whitespace = "minimize")]
pub(super) struct Diagram {
    height: i32,
    lanes: Vec<(i32, &'static str)>,
    rows: Vec<Row>,
    /// What to ask while the sign-on runs.
    renewed: Option<String>,
    /// The same in words, for those who do not see it.
    told: String,
}

/// A message in its place.
struct Row {
    y: i32,
    time: String,
    from: i32,
    to: i32,
    /// Where the words are.
    middle: i32,
    text: String,
    note: String,
    class: &'static str,
}

const ROW: i32 = 52;
const TOP: i32 = 56;

impl Diagram {
    pub fn of(records: &[Item], renewed: Option<String>) -> Self {
        let messages: Vec<Message> = records.iter().map(message).collect();
        let began = messages.first().map(|first| first.at);
        let rows = messages.iter().zip(0_i32..).map(|(message, place)| {
            let millis = began.map_or(0, |began| (message.at.micros() - began.micros()) / 1_000);
            let (from, to) = (message.from.x(), message.to.x());
            let class = match (message.failed, from == to) {
                (true, _) => "failed",
                (false, true) => "within",
                (false, false) => "said",
            };
            Row {
                y: TOP + 40 + place * ROW,
                time: elapsed(millis),
                from,
                to,
                middle: i32::midpoint(from, to),
                text: message.text.clone(),
                note: message.note.clone(),
                class,
            }
        });
        let rows: Vec<Row> = rows.collect();
        let told: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        let told = told.join("; ");
        let count = i32::try_from(rows.len()).unwrap_or(i32::MAX / ROW - 10);
        let lanes = Lane::ALL.iter().map(|(lane, name)| (lane.x(), *name)).collect();
        Self { height: TOP + 30 + count * ROW, lanes, rows, renewed, told }
    }
}

/// A time since the beginning, for people.
fn elapsed(millis: i64) -> String {
    if millis < 1_000 {
        return format!("+{millis} ms");
    }
    let (seconds, tenths) = (millis / 1_000, millis % 1_000 / 100);
    format!("+{seconds}.{tenths} s")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sign_on_is_drawn_between_its_lanes_with_times() {
        let record = |at: &str, action: &str, status: &str| {
            Item(
                json!({ "createdAt": at, "action": { "type": action }, "result": { "status": status } }),
            )
        };
        let records = [
            record("2030-01-01T00:00:00.000Z", "FLOW.CREATED", "SUCCESS"),
            record("2030-01-01T00:00:01.250Z", "NOTIFICATION.CREATED", "SUCCESS"),
            record("2030-01-01T00:00:02.000Z", "USER.ACCESS_DENIED", "FAILED"),
        ];
        let diagram = Diagram::of(&records, None);
        let rows: Vec<_> = diagram
            .rows
            .iter()
            .map(|row| (row.time.as_str(), row.from, row.to, row.class))
            .collect();
        assert_eq!(
            rows,
            [
                ("+0 ms", 170, 400, "said"),
                ("+1.2 s", 400, 630, "said"),
                ("+2.0 s", 400, 170, "failed")
            ]
        );
        assert!(!diagram.render().unwrap().contains("style="));
    }
}
