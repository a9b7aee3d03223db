//! What a call to the receiver of a subscription says: records in one of three formats, no more than it takes at a time.

use countersign_domain::{
    audit::Record,
    id::Id,
    subscription::{Encoding, Format, MAX_EVENTS, PayloadLimit, Subscription},
};
use serde_json::{Value, json};

use super::Activity;

/// The body of one call.
#[derive(Debug)]
pub(super) struct Body {
    /// The records in it.
    pub ids: Vec<Id<Record>>,
    pub text: String,
    pub media_type: &'static str,
}

/// The bodies by which a subscription is told of records, in their order.
pub(super) fn bodies(of: &Subscription, records: &[Record], base_url: &str) -> Vec<Body> {
    let (most, bytes) = match of.payload.limit {
        PayloadLimit::Events(most) => (most, usize::MAX),
        PayloadLimit::Kilobytes(size) => (MAX_EVENTS, size as usize * 1_024),
    };
    let frame = Frame::of(of);
    let mut bodies = Vec::new();
    let (mut ids, mut texts) = (Vec::new(), Vec::new());
    let mut length = frame.length();
    for record in records {
        let text = frame.written(record, of, base_url);
        let added = text.len() + frame.between.len();
        let is_full = ids.len() >= most as usize || length.saturating_add(added) > bytes;
        if is_full && !ids.is_empty() {
            bodies.push(frame.body(std::mem::take(&mut ids), &std::mem::take(&mut texts)));
            length = frame.length();
        }
        length += added;
        ids.push(record.id);
        texts.push(text);
    }
    if !ids.is_empty() {
        bodies.push(frame.body(ids, &texts));
    }
    bodies
}

/// What is around and between records.
struct Frame {
    before: &'static str,
    between: &'static str,
    after: &'static str,
    media_type: &'static str,
    is_pretty: bool,
}

impl Frame {
    fn of(subscription: &Subscription) -> Self {
        const JSON: &str = "application/json";
        let is_pretty = subscription.payload.pretty_print;
        let frame = |before, between, after, media_type, is_pretty| Self {
            before,
            between,
            after,
            media_type,
            is_pretty,
        };
        match (subscription.format, subscription.payload.encoding) {
            (Format::Activity, Encoding::JsonArray) => frame("[", ",", "]", JSON, is_pretty),
            // A record a line leaves no room for lines in it.
            (Format::Activity, Encoding::NdJson) => {
                frame("", "\n", "\n", "application/x-ndjson", false)
            }
            // Events follow each other, without an array around them.
            (Format::Splunk, _) => frame("", "\n", "", JSON, false),
            (Format::NewRelic, _) => frame("[{\"logs\":[", ",", "]}]", JSON, false),
        }
    }

    const fn length(&self) -> usize {
        self.before.len() + self.after.len()
    }

    fn body(&self, ids: Vec<Id<Record>>, texts: &[String]) -> Body {
        let text = format!("{}{}{}", self.before, texts.join(self.between), self.after);
        Body { ids, text, media_type: self.media_type }
    }

    fn written(&self, record: &Record, of: &Subscription, base_url: &str) -> String {
        let filter = &of.filter;
        let activity = Activity::of(record, base_url)
            .exposing(filter.ip_address_exposed, filter.user_agent_exposed);
        let activity = serde_json::to_value(activity).unwrap_or_default();
        let value = in_format(of.format, record, activity, base_url);
        if self.is_pretty { format!("{value:#}") } else { value.to_string() }
    }
}

fn in_format(format: Format, record: &Record, activity: Value, base_url: &str) -> Value {
    let millis = record.recorded_at.micros().div_euclid(1_000);
    match format {
        Format::Activity => activity,
        Format::Splunk => {
            let (seconds, rest) = (millis.div_euclid(1_000), millis.rem_euclid(1_000));
            json!({
                "time": format!("{seconds}.{rest:03}"),
                "host": base_url.split_once("://").map_or(base_url, |(_, host)| host),
                "source": record.event.action.name(),
                "sourcetype": "_json",
                "event": activity,
            })
        }
        Format::NewRelic => json!({
            "timestamp": millis,
            "message": record.event.action.name(),
            "attributes": activity,
        }),
    }
}
