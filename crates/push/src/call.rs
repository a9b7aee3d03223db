//! One call to a push service that is reached by ordinary HTTP.

use std::time::Duration;

use countersign_protocol::time::Clock;
use reqwest::{RequestBuilder, Response};

use crate::answer::Answer;
use crate::egress::Forbidden;
use crate::gateway::Push;
use crate::reply::Reply;

/// How often a call is made again that could not be connected, so that nothing was sent.
const MAX_RESENDS: u32 = 2;

/// What a call may take.
pub struct Limits {
    /// Time for one attempt.
    pub timeout: Duration,
    /// The most of a body that is read.
    pub max_body_bytes: usize,
}

/// Makes a call as long as the push lives. Where no connection comes about, it is tried again at once.
pub async fn call(
    request: RequestBuilder,
    push: &Push<'_>,
    clock: &dyn Clock,
    limits: &Limits,
) -> Result<Reply, Answer> {
    let mut resends = 0;
    loop {
        let left = push.remaining(clock).ok_or_else(Answer::expired)?;
        let attempt = request.try_clone().ok_or_else(|| Answer::unreachable("it is a stream"))?;
        let sent = attempt.timeout(left.min(limits.timeout)).send().await;
        match sent {
            Ok(response) => return read(response, clock, limits.max_body_bytes).await,
            Err(error) if Forbidden::is_cause_of(&error) => {
                return Err(Answer::foreign_address("the address must not be called"));
            }
            Err(error) if error.is_connect() && resends < MAX_RESENDS => resends += 1,
            Err(error) => return Err(Answer::unreachable(&shown(error))),
        }
    }
}

async fn read(
    mut response: Response,
    clock: &dyn Clock,
    max_bytes: usize,
) -> Result<Reply, Answer> {
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let mut body = Vec::new();
    // What a service has answered counts, even if the rest of its words is too long or gets lost.
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = max_bytes.saturating_sub(body.len());
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if body.len() >= max_bytes {
            break;
        }
    }
    Ok(Reply { status, headers, body, received_at: clock.now() })
}

/// An error with its causes and without its address, which may be a phone's.
pub fn shown(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
