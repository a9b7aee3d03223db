//! What the answers of APNs mean (Apple: Handling notification responses from APNs).

use std::time::Duration;

use countersign_protocol::time::Timestamp;

use crate::answer::{Answer, Outcome, Trouble};
use crate::reply::{Reply, text_at};

/// After an error of the server, Apple asks not to come back before this.
const AFTER_SERVER_ERROR: Duration = Duration::from_mins(15);

/// The reason that a new provider token remedies.
pub(super) const EXPIRED_PROVIDER_TOKEN: &str = "ExpiredProviderToken";

/// The reason that a new connection remedies, beside `IdleTimeout`.
pub(super) const SHUTDOWN: &str = "Shutdown";

/// Of a connection that nothing was sent on for long.
pub(super) const IDLE_TIMEOUT: &str = "IdleTimeout";

/// Judges a reply of APNs. Reasons are an open set: of one that is not known, the status decides.
#[must_use]
pub fn classify(reply: &Reply) -> Answer {
    let body = reply.json();
    let reason = text_at(&body, "/reason");
    // Milliseconds since the epoch.
    let timestamp = body.get("timestamp").and_then(serde_json::Value::as_i64);
    let as_of = timestamp.map(|millis| Timestamp::from_micros(millis.saturating_mul(1_000)));
    reply.answer(outcome(reply, reason, as_of), reason)
}

fn outcome(reply: &Reply, reason: &str, as_of: Option<Timestamp>) -> Outcome {
    match (reply.status, reason) {
        (200, _) => Outcome::Accepted,
        (410, "ExpiredToken") => Outcome::Unregistered { as_of: None },
        // Without its timestamp it cannot be held against what the app said later, so it does not count.
        (410, "Unregistered") => as_of.map_or(Outcome::Misconfigured(Trouble::Address), |as_of| {
            Outcome::Unregistered { as_of: Some(as_of) }
        }),
        (410, _) | (400, "BadDeviceToken" | "DeviceTokenNotForTopic") => {
            Outcome::Misconfigured(Trouble::Address)
        }
        (400, "TopicDisallowed") => Outcome::Misconfigured(Trouble::Permission),
        (400, IDLE_TIMEOUT) | (503, SHUTDOWN) => Outcome::Retry { after: None },
        (401 | 403, _) => Outcome::Misconfigured(Trouble::Credentials),
        (413, _) => Outcome::Rejected(Trouble::TooLarge),
        (429, _) => Outcome::Retry { after: reply.retry_after() },
        (500.., _) => {
            Outcome::Retry { after: Some(reply.retry_after().unwrap_or(AFTER_SERVER_ERROR)) }
        }
        _ => Outcome::Rejected(Trouble::Request),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::reply::reply;

    const RETRY_LATER: Outcome = Outcome::Retry { after: Some(AFTER_SERVER_ERROR) };
    const RETRY: Outcome = Outcome::Retry { after: None };
    const CREDENTIALS: Outcome = Outcome::Misconfigured(Trouble::Credentials);
    const ADDRESS: Outcome = Outcome::Misconfigured(Trouble::Address);
    const REQUEST: Outcome = Outcome::Rejected(Trouble::Request);

    #[test]
    fn every_reason_that_apple_documents_has_its_meaning() {
        for (status, reason, expected) in [
            (400, "BadCollapseId", REQUEST),
            (400, "BadExpirationDate", REQUEST),
            (400, "BadMessageId", REQUEST),
            (400, "BadPriority", REQUEST),
            (400, "BadTopic", REQUEST),
            (400, "DuplicateHeaders", REQUEST),
            (400, "InvalidPushType", REQUEST),
            (400, "MissingDeviceToken", REQUEST),
            (400, "MissingTopic", REQUEST),
            (400, "PayloadEmpty", REQUEST),
            (400, "BadDeviceToken", ADDRESS),
            (400, "DeviceTokenNotForTopic", ADDRESS),
            (400, "IdleTimeout", RETRY),
            (400, "TopicDisallowed", Outcome::Misconfigured(Trouble::Permission)),
            (403, "BadCertificate", CREDENTIALS),
            (403, "BadCertificateEnvironment", CREDENTIALS),
            (403, "Forbidden", CREDENTIALS),
            (403, "ExpiredProviderToken", CREDENTIALS),
            (403, "InvalidProviderToken", CREDENTIALS),
            (403, "MissingProviderToken", CREDENTIALS),
            (403, "UnrelatedKeyIdInToken", CREDENTIALS),
            (403, "BadEnvironmentKeyIdInToken", CREDENTIALS),
            (403, "BadEnvironmentKeyInToken", CREDENTIALS),
            (404, "BadPath", REQUEST),
            (405, "MethodNotAllowed", REQUEST),
            (410, "ExpiredToken", Outcome::Unregistered { as_of: None }),
            (413, "PayloadTooLarge", Outcome::Rejected(Trouble::TooLarge)),
            (429, "TooManyProviderTokenUpdates", RETRY),
            (429, "TooManyRequests", RETRY),
            (500, "InternalServerError", RETRY_LATER),
            (503, "ServiceUnavailable", RETRY_LATER),
            (503, "Shutdown", RETRY),
            // Not documented: the status decides.
            (400, "FeatureNotEnabled", REQUEST),
            (403, "NeverHeardOf", CREDENTIALS),
            (410, "NeverHeardOf", ADDRESS),
            (502, "NeverHeardOf", RETRY_LATER),
        ] {
            let answer = classify(&reply(status, json!({ "reason": reason }).to_string()));
            assert_eq!(answer.outcome, expected, "{status} {reason}");
            assert_eq!((answer.raw.status, answer.raw.reason.as_str()), (Some(status), reason));
        }
        assert_eq!(classify(&reply(200, "")).outcome, Outcome::Accepted);
    }

    #[test]
    fn an_address_is_dead_as_of_the_time_that_apple_gives() {
        let body = r#"{"reason":"Unregistered","timestamp":1767600000123}"#;
        let as_of = Some(Timestamp::from_micros(1_767_600_000_123_000));
        assert_eq!(classify(&reply(410, body)).outcome, Outcome::Unregistered { as_of });
    }

    #[test]
    fn unregistered_without_its_time_or_its_status_does_not_count() {
        for (status, body) in [
            (410, r#"{"reason":"Unregistered"}"#),
            (410, r#"{"reason":"Unregistered","timestamp":"yesterday"}"#),
            (410, r#"{"reason":7,"timestamp":1}"#),
            (410, "<html>Gone</html>"),
            (410, ""),
            (400, r#"{"reason":"Unregistered","timestamp":1}"#),
            (403, r#"{"reason":"Unregistered","timestamp":1}"#),
            (500, r#"{"reason":"ExpiredToken"}"#),
        ] {
            let outcome = classify(&reply(status, body)).outcome;
            assert!(!matches!(outcome, Outcome::Unregistered { .. }), "{status} {body}");
        }
    }

    proptest! {
        #[test]
        fn only_status_410_with_its_reason_says_unregistered(
            status in 100_u16..700,
            reason in prop_oneof![
                Just("Unregistered".to_owned()), Just("ExpiredToken".to_owned()),
                Just("BadDeviceToken".to_owned()), ".{0,20}",
            ],
            timestamp: Option<i64>,
        ) {
            let body = json!({ "reason": reason, "timestamp": timestamp }).to_string();
            let dead = matches!(classify(&reply(status, body)).outcome, Outcome::Unregistered { .. });
            let known = reason == "ExpiredToken" || reason == "Unregistered" && timestamp.is_some();
            prop_assert_eq!(dead, status == 410 && known);
        }

        #[test]
        fn no_garbage_is_taken_for_unregistered(status: u16, body: Vec<u8>) {
            let outcome = classify(&reply(status, body)).outcome;
            let dead = matches!(outcome, Outcome::Unregistered { .. });
            prop_assert!(!dead);
        }
    }
}
