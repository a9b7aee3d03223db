//! What the answers of Web Push services mean (RFC 8030).

use std::time::Duration;

use crate::answer::{Answer, Outcome, Trouble};
use crate::reply::Reply;

/// When the service does not say how long to wait.
const AFTER_SERVER_ERROR: Duration = Duration::from_secs(10);

/// What Google's service says with a status of 500 that will not pass.
const PERMANENT: &str = "permanent internal error";

/// Judges a reply of a Web Push service. Of the body only the number of an error is shown on: the address was chosen by a client,
/// and what it answers must not be read out through us.
#[must_use]
pub fn classify(reply: &Reply) -> Answer {
    let number = reply.json().get("errno").and_then(serde_json::Value::as_u64);
    let reason = number.map(|number| format!("errno {number}"));
    reply.answer(outcome(reply), &reason.unwrap_or_default())
}

fn outcome(reply: &Reply) -> Outcome {
    let after =
        || Outcome::Retry { after: Some(reply.retry_after().unwrap_or(AFTER_SERVER_ERROR)) };
    match reply.status {
        200..=299 => Outcome::Accepted,
        // A redirect is not followed (it could lead inside), so the app must bring the new address.
        300..=399 => Outcome::Misconfigured(Trouble::Address),
        // RFC 8030 section 7.3 says 404; services in use say 410.
        404 | 410 => Outcome::Unregistered { as_of: None },
        401 | 403 => Outcome::Misconfigured(Trouble::Credentials),
        400 => Outcome::Misconfigured(Trouble::Request),
        413 => Outcome::Rejected(Trouble::TooLarge),
        500.. if is_permanent(reply) => Outcome::Rejected(Trouble::Request),
        429 | 500.. => after(),
        _ => Outcome::Rejected(Trouble::Request),
    }
}

fn is_permanent(reply: &Reply) -> bool {
    String::from_utf8_lossy(&reply.body).to_ascii_lowercase().contains(PERMANENT)
}

#[cfg(test)]
mod tests {
    use http::header::RETRY_AFTER;
    use proptest::prelude::*;

    use super::*;
    use crate::reply::reply;

    #[test]
    fn every_status_has_its_meaning() {
        let retry = Outcome::Retry { after: Some(AFTER_SERVER_ERROR) };
        for (status, body, expected) in [
            (201, "", Outcome::Accepted),
            (202, "", Outcome::Accepted),
            (200, "", Outcome::Accepted),
            (307, "", Outcome::Misconfigured(Trouble::Address)),
            (400, "", Outcome::Misconfigured(Trouble::Request)),
            (401, "", Outcome::Misconfigured(Trouble::Credentials)),
            (403, "", Outcome::Misconfigured(Trouble::Credentials)),
            (404, "", Outcome::Unregistered { as_of: None }),
            (410, r#"{"errno":106}"#, Outcome::Unregistered { as_of: None }),
            (413, "", Outcome::Rejected(Trouble::TooLarge)),
            (418, "", Outcome::Rejected(Trouble::Request)),
            (429, "", retry),
            (500, "", retry),
            (
                500,
                "Permanent internal error encountered, do not retry",
                Outcome::Rejected(Trouble::Request),
            ),
            (503, "", retry),
        ] {
            assert_eq!(classify(&reply(status, body)).outcome, expected, "{status} {body}");
        }
        let mut busy = reply(429, "");
        busy.headers.insert(RETRY_AFTER, "3".parse().unwrap());
        let after = Some(Duration::from_secs(3));
        assert_eq!(classify(&busy).outcome, Outcome::Retry { after });
    }

    #[test]
    fn nothing_but_a_number_of_the_body_is_shown_on() {
        let secret = classify(&reply(410, r#"{"errno":106,"message":"db password: 1234"}"#));
        assert_eq!(secret.raw.reason, "errno 106");
        assert_eq!(classify(&reply(200, "db password: 1234")).raw.reason, "");
    }

    proptest! {
        #[test]
        fn the_body_never_makes_an_address_dead(status: u16, body: Vec<u8>) {
            let dead = matches!(classify(&reply(status, body)).outcome, Outcome::Unregistered { .. });
            prop_assert_eq!(dead, status == 404 || status == 410);
        }
    }
}
