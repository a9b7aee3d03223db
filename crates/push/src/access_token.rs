//! Access tokens (RFC 6749) that FCM and Push Kit ask for, kept until shortly before they expire.

use std::sync::Arc;

use countersign_protocol::secret::Secret;
use countersign_protocol::time::{Clock, Timestamp};
use reqwest::Client;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use crate::answer::{Answer, Outcome, Raw, Trouble};
use crate::call::{self, Limits};
use crate::gateway::Push;
use crate::reply::Reply;

/// Of a token's life, so much is used.
const USED_PERCENT: i64 = 80;
/// A life that nobody needs to be told more exactly than this.
const MAX_LIFE_SECONDS: i64 = 86_400;
/// How long a refusal is remembered, so that not every push asks again.
const REFUSAL_SECONDS: i64 = 30;

/// The token of one account. One caller asks for it, and the others wait.
#[derive(Default)]
pub struct AccessTokens {
    kept: Mutex<Kept>,
}

#[derive(Default)]
enum Kept {
    #[default]
    Nothing,
    Token {
        token: AccessToken,
        renew_at: Timestamp,
    },
    Refused {
        answer: Answer,
        until: Timestamp,
    },
}

/// A token that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken(Arc<Secret<String>>);

impl AccessToken {
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// How a token is asked for.
pub struct TokenRequest<'a> {
    pub client: &'a Client,
    pub url: &'a Url,
    /// Writes the form. Called only when a token is needed, since signing an assertion takes a while.
    pub form: &'a (dyn Fn() -> Option<Vec<(&'static str, String)>> + Sync),
    pub limits: &'a Limits,
}

impl AccessTokens {
    /// The token to use now, and not `refused`.
    pub async fn get(
        &self,
        refused: Option<&AccessToken>,
        request: &TokenRequest<'_>,
        push: &Push<'_>,
        clock: &dyn Clock,
    ) -> Result<AccessToken, Answer> {
        let mut kept = self.kept.lock().await;
        match &*kept {
            Kept::Token { token, renew_at }
                if clock.now() < *renew_at && Some(token) != refused =>
            {
                return Ok(token.clone());
            }
            Kept::Refused { answer, until } if clock.now() < *until => return Err(answer.clone()),
            Kept::Nothing | Kept::Token { .. } | Kept::Refused { .. } => (),
        }
        match ask(request, push, clock).await {
            Ok((token, renew_at)) => {
                *kept = Kept::Token { token: token.clone(), renew_at };
                Ok(token)
            }
            Err(answer) => {
                if matches!(answer.outcome, Outcome::Misconfigured(_)) {
                    let until = clock.now().plus_seconds(REFUSAL_SECONDS);
                    *kept = Kept::Refused { answer: answer.clone(), until };
                }
                Err(answer)
            }
        }
    }
}

async fn ask(
    request: &TokenRequest<'_>,
    push: &Push<'_>,
    clock: &dyn Clock,
) -> Result<(AccessToken, Timestamp), Answer> {
    let form = (request.form)().ok_or_else(|| {
        Answer::rejected(Trouble::Credentials, "the assertion could not be signed")
    })?;
    let asked_at = clock.now();
    let post = request.client.post(request.url.clone()).form(&form);
    let reply = call::call(post, push, clock, request.limits).await?;
    read(&reply, asked_at)
}

fn read(reply: &Reply, asked_at: Timestamp) -> Result<(AccessToken, Timestamp), Answer> {
    #[derive(Deserialize)]
    struct Granted {
        access_token: Secret<String>,
        expires_in: i64,
    }
    if reply.status != 200 {
        return Err(refusal(reply));
    }
    let granted: Granted = serde_json::from_slice(&reply.body).map_err(|_| {
        let raw = Raw::new(Some(reply.status), "the answer of the token endpoint has no token");
        Answer { outcome: Outcome::Retry { after: None }, raw }
    })?;
    let life = granted.expires_in.clamp(0, MAX_LIFE_SECONDS);
    let token = AccessToken(Arc::new(granted.access_token));
    Ok((token, asked_at.plus_seconds(life * USED_PERCENT / 100)))
}

/// RFC 6749 section 5.2: the service says `invalid_grant` or `invalid_client`. Huawei adds a number.
fn refusal(reply: &Reply) -> Answer {
    let body = reply.json();
    let reason = match body.get("error") {
        Some(Value::String(code)) => code.clone(),
        Some(Value::Number(code)) => code.to_string(),
        _ => String::new(),
    };
    let outcome = match reply.status {
        429 | 500.. => Outcome::Retry { after: reply.retry_after() },
        _ => Outcome::Misconfigured(Trouble::Credentials),
    };
    reply.answer(outcome, &format!("token endpoint: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::reply;

    #[test]
    fn a_token_is_used_for_four_fifths_of_its_life() {
        let asked_at = Timestamp::from_unix_seconds(1_000);
        let body = r#"{"access_token":"t","expires_in":3600,"token_type":"Bearer"}"#;
        let (token, renew_at) = read(&reply(200, body), asked_at).unwrap();
        assert_eq!((token.expose(), renew_at), ("t", asked_at.plus_seconds(2_880)));
        let (_, renew_at) =
            read(&reply(200, r#"{"access_token":"t","expires_in":-5}"#), asked_at).unwrap();
        assert_eq!(renew_at, asked_at);
        assert!(!format!("{token:?}").contains('t') || format!("{token:?}").contains("***"));
    }

    #[test]
    fn refusals_are_told_from_passing_trouble() {
        let at = Timestamp::from_unix_seconds(0);
        let credentials = Outcome::Misconfigured(Trouble::Credentials);
        for (status, body, expected, reason) in [
            (400, r#"{"error":"invalid_grant"}"#, credentials, "token endpoint: invalid_grant"),
            (401, r#"{"error":1101,"sub_error":20001}"#, credentials, "token endpoint: 1101"),
            (302, "", credentials, "token endpoint: "),
            (503, "<html>", Outcome::Retry { after: None }, "token endpoint: "),
            (
                200,
                "<html>",
                Outcome::Retry { after: None },
                "the answer of the token endpoint has no token",
            ),
        ] {
            let answer = read(&reply(status, body), at).unwrap_err();
            assert_eq!((answer.outcome, answer.raw.reason.as_str()), (expected, reason));
        }
    }
}
