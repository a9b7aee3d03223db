//! What the answers of Huawei's Push Kit mean (HMS Core: Push Kit REST API, result codes).

use std::time::Duration;

use serde_json::Value;

use crate::answer::{Answer, Outcome, Trouble};
use crate::reply::{Reply, text_at};

/// When Huawei does not say how long to wait.
const AFTER_SERVER_ERROR: Duration = Duration::from_secs(10);

/// The code that a new access token remedies.
pub(super) const EXPIRED_ACCESS_TOKEN: &str = "80200003";

/// Judges a reply of Push Kit to a message for so many `tokens`. Status 200 does not mean success: the code in the body counts.
#[must_use]
pub fn classify(reply: &Reply, tokens: usize) -> Answer {
    let body = reply.json();
    let code = text_at(&body, "/code");
    let outcome = match reply.status {
        200 | 400 => by_code(code, tokens, &body).unwrap_or_else(|| by_status(reply)),
        _ => by_status(reply),
    };
    reply.answer(outcome, code)
}

fn by_code(code: &str, tokens: usize, body: &Value) -> Option<Outcome> {
    Some(match code {
        "80000000" => Outcome::Accepted,
        "80100000" if success(body) > 0 => Outcome::Accepted,
        // "All tokens are invalid": of several, one that belongs elsewhere spoils the others.
        "80300007" if tokens == 1 => Outcome::Unregistered { as_of: None },
        "80100000" | "80300007" => Outcome::Misconfigured(Trouble::Address),
        "80200001" | EXPIRED_ACCESS_TOKEN => Outcome::Misconfigured(Trouble::Credentials),
        "80300002" => Outcome::Misconfigured(Trouble::Permission),
        "80300008" => Outcome::Rejected(Trouble::TooLarge),
        "80100001" | "80100003" | "80100016" | "80300010" => Outcome::Rejected(Trouble::Request),
        _ => return None,
    })
}

/// To how many tokens it went when it did not go to all: `msg` is JSON in a text.
fn success(body: &Value) -> u64 {
    let counts: Value = serde_json::from_str(text_at(body, "/msg")).unwrap_or_default();
    counts.get("success").and_then(Value::as_u64).unwrap_or_default()
}

fn by_status(reply: &Reply) -> Outcome {
    match reply.status {
        401 | 403 => Outcome::Misconfigured(Trouble::Credentials),
        404 => Outcome::Misconfigured(Trouble::Permission),
        413 => Outcome::Rejected(Trouble::TooLarge),
        429 | 500.. => {
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

    const ADDRESS: Outcome = Outcome::Misconfigured(Trouble::Address);
    const CREDENTIALS: Outcome = Outcome::Misconfigured(Trouble::Credentials);
    const PERMISSION: Outcome = Outcome::Misconfigured(Trouble::Permission);
    const REQUEST: Outcome = Outcome::Rejected(Trouble::Request);
    const DEAD: Outcome = Outcome::Unregistered { as_of: None };
    const RETRY: Outcome = Outcome::Retry { after: Some(AFTER_SERVER_ERROR) };

    fn body(code: &str, msg: &str) -> String {
        json!({ "code": code, "msg": msg, "requestId": "r" }).to_string()
    }

    #[test]
    fn every_code_that_huawei_documents_has_its_meaning() {
        for (code, expected) in [
            ("80000000", Outcome::Accepted),
            ("80100001", REQUEST),
            ("80100003", REQUEST),
            ("80100016", REQUEST),
            ("80200001", CREDENTIALS),
            ("80200003", CREDENTIALS),
            ("80300002", PERMISSION),
            ("80300007", DEAD),
            ("80300008", Outcome::Rejected(Trouble::TooLarge)),
            ("80300010", REQUEST),
            ("89999999", REQUEST),
        ] {
            let answer = classify(&reply(200, body(code, "m")), 1);
            assert_eq!(answer.outcome, expected, "{code}");
            assert_eq!(answer.raw.reason, code);
        }
    }

    #[test]
    fn every_status_without_a_code_has_its_meaning() {
        for (status, expected) in [
            (200, REQUEST),
            (400, REQUEST),
            (401, CREDENTIALS),
            (404, PERMISSION),
            (500, RETRY),
            (502, RETRY),
            (503, RETRY),
        ] {
            assert_eq!(classify(&reply(status, ""), 1).outcome, expected, "{status}");
        }
    }

    #[test]
    fn a_partial_success_says_which_part() {
        let sent = r#"{"success":1,"failure":1,"illegal_tokens":["b"]}"#;
        let none = r#"{"success":0,"failure":1,"illegal_tokens":["a"]}"#;
        let answer = |msg| classify(&reply(200, body("80100000", msg)), 1).outcome;
        assert_eq!(answer(sent), Outcome::Accepted);
        assert_eq!(answer(none), ADDRESS);
        assert_eq!(answer("none of it is JSON"), ADDRESS);
    }

    #[test]
    fn all_tokens_invalid_counts_for_a_single_token_only() {
        assert_eq!(classify(&reply(200, body("80300007", "")), 2).outcome, ADDRESS);
    }

    proptest! {
        #[test]
        fn only_a_reply_with_its_code_says_unregistered(
            status in 100_u16..700,
            code in prop_oneof![Just("80300007".to_owned()), "8[0-9]{7}", ".{0,9}"],
            tokens in 1_usize..3,
        ) {
            let outcome = classify(&reply(status, body(&code, "")), tokens).outcome;
            let expected = matches!(status, 200 | 400) && code == "80300007" && tokens == 1;
            prop_assert_eq!(outcome == DEAD, expected);
        }

        #[test]
        fn no_garbage_is_taken_for_unregistered(status: u16, body: Vec<u8>) {
            prop_assert!(classify(&reply(status, body), 1).outcome != DEAD);
        }
    }
}
