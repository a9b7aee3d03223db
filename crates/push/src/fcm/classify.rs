//! What the answers of FCM mean (Google: FCM HTTP v1, `ErrorCode`).

use std::time::Duration;

use serde_json::Value;

use crate::answer::{Answer, Outcome, Trouble};
use crate::reply::{Reply, text_at};

/// When FCM does not say how long to wait: first after ten seconds, as Google asks.
const AFTER_SERVER_ERROR: Duration = Duration::from_secs(10);
/// When FCM does not say how long to wait after too many messages.
const AFTER_QUOTA: Duration = Duration::from_mins(1);

/// The status that a new access token remedies.
pub(super) const UNAUTHENTICATED: u16 = 401;

/// Judges a reply of FCM: by the code in its `FcmError`, else by the HTTP status.
#[must_use]
pub fn classify(reply: &Reply) -> Answer {
    let body = reply.json();
    if reply.status == 200 {
        return reply.answer(Outcome::Accepted, text_at(&body, "/name"));
    }
    let code = fcm_error(&body).unwrap_or_default();
    let reason = if code.is_empty() { text_at(&body, "/error/status") } else { code };
    reply.answer(outcome(reply, code, &body), reason)
}

/// Whether FCM refused the access token, rather than what it was given for.
pub(super) fn is_token_refused(reply: &Reply) -> bool {
    reply.status == UNAUTHENTICATED && fcm_error(&reply.json()).is_none()
}

fn outcome(reply: &Reply, code: &str, body: &Value) -> Outcome {
    let after =
        |otherwise| Outcome::Retry { after: Some(reply.retry_after().unwrap_or(otherwise)) };
    match (reply.status, code) {
        // A wrong project is 404 as well, but without the code.
        (404, "UNREGISTERED" | "UNREGISTERED_FID") => Outcome::Unregistered { as_of: None },
        (_, "SENDER_ID_MISMATCH") => Outcome::Misconfigured(Trouble::Address),
        (_, "THIRD_PARTY_AUTH_ERROR" | "APNS_AUTH_ERROR") => {
            Outcome::Misconfigured(Trouble::Credentials)
        }
        (400, _) if blames_address(body) => Outcome::Misconfigured(Trouble::Address),
        (401, _) => Outcome::Misconfigured(Trouble::Credentials),
        (403 | 404, _) => Outcome::Misconfigured(Trouble::Permission),
        (413, _) => Outcome::Rejected(Trouble::TooLarge),
        (429, _) => after(AFTER_QUOTA),
        (500.., _) => after(AFTER_SERVER_ERROR),
        _ => Outcome::Rejected(Trouble::Request),
    }
}

fn fcm_error(body: &Value) -> Option<&str> {
    let detail = details(body).find(|detail| text_at(detail, "/@type").ends_with("FcmError"))?;
    detail.get("errorCode")?.as_str()
}

/// Whether what FCM found wrong is the token. It says so in a field violation, or in words only. A token can be misspelt by a
/// mistake of ours, so this is never taken for an address that is dead.
fn blames_address(body: &Value) -> bool {
    let violations = details(body).filter_map(|detail| detail.get("fieldViolations")?.as_array());
    let mut fields = violations.flatten().map(|violation| text_at(violation, "/field"));
    fields.any(|field| matches!(field, "message.token" | "message.fid"))
        || text_at(body, "/error/message").contains("registration token")
}

fn details(body: &Value) -> impl Iterator<Item = &Value> {
    body.pointer("/error/details").and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use http::header::RETRY_AFTER;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::reply::reply;

    fn body(status: &str, code: Option<&str>) -> String {
        let kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
        let details: Vec<_> =
            code.map(|code| json!({ "@type": kind, "errorCode": code })).into_iter().collect();
        json!({ "error": { "code": 0, "message": "m", "status": status, "details": details } })
            .to_string()
    }

    const ADDRESS: Outcome = Outcome::Misconfigured(Trouble::Address);
    const CREDENTIALS: Outcome = Outcome::Misconfigured(Trouble::Credentials);
    const PERMISSION: Outcome = Outcome::Misconfigured(Trouble::Permission);
    const REQUEST: Outcome = Outcome::Rejected(Trouble::Request);

    fn retry(seconds: u64) -> Outcome {
        Outcome::Retry { after: Some(Duration::from_secs(seconds)) }
    }

    #[test]
    fn every_error_that_google_documents_has_its_meaning() {
        let dead = Outcome::Unregistered { as_of: None };
        for (http, status, code, expected) in [
            (404, "NOT_FOUND", Some("UNREGISTERED"), dead),
            (404, "NOT_FOUND", Some("UNREGISTERED_FID"), dead),
            (404, "NOT_FOUND", None, PERMISSION),
            (400, "INVALID_ARGUMENT", Some("INVALID_ARGUMENT"), REQUEST),
            (403, "PERMISSION_DENIED", Some("SENDER_ID_MISMATCH"), ADDRESS),
            (403, "PERMISSION_DENIED", None, PERMISSION),
            (429, "RESOURCE_EXHAUSTED", Some("QUOTA_EXCEEDED"), retry(60)),
            (503, "UNAVAILABLE", Some("UNAVAILABLE"), retry(10)),
            (500, "INTERNAL", Some("INTERNAL"), retry(10)),
            (401, "UNAUTHENTICATED", Some("THIRD_PARTY_AUTH_ERROR"), CREDENTIALS),
            (401, "UNAUTHENTICATED", Some("APNS_AUTH_ERROR"), CREDENTIALS),
            (401, "UNAUTHENTICATED", None, CREDENTIALS),
            (500, "UNKNOWN", Some("UNSPECIFIED_ERROR"), retry(10)),
            (400, "UNKNOWN", Some("UNSPECIFIED_ERROR"), REQUEST),
            (502, "BAD_GATEWAY", None, retry(10)),
            (413, "", None, Outcome::Rejected(Trouble::TooLarge)),
        ] {
            let answer = classify(&reply(http, body(status, code)));
            assert_eq!(answer.outcome, expected, "{http} {status} {code:?}");
            assert_eq!(answer.raw.reason, code.unwrap_or(status));
        }
        let accepted = classify(&reply(200, r#"{"name":"projects/p/messages/1"}"#));
        assert_eq!(accepted.outcome, Outcome::Accepted);
        assert_eq!(accepted.raw.reason, "projects/p/messages/1");
    }

    #[test]
    fn a_token_that_fcm_cannot_read_is_a_matter_for_the_administrator() {
        let violation = json!({ "error": { "status": "INVALID_ARGUMENT", "details": [
            { "@type": "type.googleapis.com/google.rpc.BadRequest",
              "fieldViolations": [{ "field": "message.token", "description": "Invalid" }] }
        ] } });
        let words = json!({ "error": { "status": "INVALID_ARGUMENT",
            "message": "The registration token is not a valid FCM registration token" } });
        for body in [violation, words] {
            assert_eq!(classify(&reply(400, body.to_string())).outcome, ADDRESS);
        }
    }

    #[test]
    fn fcm_says_how_long_to_wait() {
        let mut refused = reply(429, body("RESOURCE_EXHAUSTED", Some("QUOTA_EXCEEDED")));
        refused.headers.insert(RETRY_AFTER, "7".parse().unwrap());
        assert_eq!(classify(&refused).outcome, retry(7));
    }

    proptest! {
        #[test]
        fn only_status_404_with_its_code_says_unregistered(
            status in 100_u16..700,
            code in prop_oneof![
                Just("UNREGISTERED".to_owned()), Just("SENDER_ID_MISMATCH".to_owned()), ".{0,20}",
            ],
            detailed: bool,
        ) {
            let body = body("NOT_FOUND", detailed.then_some(code.as_str()));
            let dead = matches!(classify(&reply(status, body)).outcome, Outcome::Unregistered { .. });
            prop_assert_eq!(dead, status == 404 && detailed && code == "UNREGISTERED");
        }

        #[test]
        fn no_garbage_is_taken_for_unregistered(status: u16, body: Vec<u8>) {
            let outcome = classify(&reply(status, body)).outcome;
            let dead = matches!(outcome, Outcome::Unregistered { .. });
            prop_assert!(!dead);
        }
    }
}
