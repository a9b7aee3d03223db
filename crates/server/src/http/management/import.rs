//! Many users in one request: a stream of lines in, a stream of answers out, both read and written as they go.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use countersign_domain::{environment::Environment, id::Id};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    administrator::Administrator,
    refusal::{Refusal, parse},
    user::{Body as UserBody, new_user},
};
use crate::app::{App, NewUser, Origin};

/// The media type of both streams.
pub(super) const LINES: &str = "application/x-ndjson";

/// Users of one transaction.
const PORTION: usize = 500;

/// The longest line.
const MAX_LINE: usize = 64 * 1_024;

/// Portions of answers that wait for a reader. A client that does not read is not written for.
const WAITING: usize = 4;

/// Reads users and makes them; each line is answered by one with its number, and the last tells how many there were.
pub(super) fn import(
    app: Arc<App>,
    administrator: Administrator,
    environment: Id<Environment>,
    body: Body,
) -> Response {
    let (answers, told) = mpsc::channel::<Bytes>(WAITING);
    let origin = Origin::current();
    tokio::spawn(origin.scope(async move {
        let mut import = Import { app, administrator, environment, answers, counts: (0, 0) };
        import.run(body).await;
    }));
    let lines = stream::unfold(told, async |mut told| {
        let line = told.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(line), told))
    });
    ([(header::CONTENT_TYPE, LINES)], Body::from_stream(lines)).into_response()
}

struct Import {
    app: Arc<App>,
    administrator: Administrator,
    environment: Id<Environment>,
    answers: mpsc::Sender<Bytes>,
    /// Imported and refused.
    counts: (u64, u64),
}

/// A user, or why the line is none, with the number of the line.
type Line = (u64, Result<NewUser, Value>);

impl Import {
    async fn run(&mut self, body: Body) {
        let mut chunks = body.into_data_stream();
        let (mut rest, mut number, mut portion) = (Vec::new(), 0, Vec::new());
        while let Some(chunk) = chunks.next().await {
            // Who sends has gone: what was answered is done.
            let Ok(chunk) = chunk else { return };
            rest.extend_from_slice(&chunk);
            let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let lines: Vec<u8> = rest.drain(..whole).collect();
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                number += 1;
                portion.extend(read(number, line));
                if portion.len() >= PORTION && !self.make(std::mem::take(&mut portion)).await {
                    return;
                }
            }
            if rest.len() > MAX_LINE {
                let error = json!({ "code": "INVALID_REQUEST", "message": too_long() });
                let line = json!({ "line": number + 1, "error": error });
                if self.make(portion).await {
                    self.tell(&[line]).await;
                }
                return;
            }
        }
        portion.extend(read(number + 1, &rest));
        if self.make(portion).await {
            let (imported, refused) = self.counts;
            self.tell(&[json!({ "imported": imported, "refused": refused })]).await;
        }
    }

    /// Makes a portion. `false` if it cannot go on.
    async fn make(&mut self, portion: Vec<Line>) -> bool {
        let users: Vec<NewUser> =
            portion.iter().filter_map(|(_, user)| user.as_ref().ok().cloned()).collect();
        let made = self.app.import_users(self.environment, users);
        let mut made = match self.administrator.act(made).await {
            Ok(made) => made.into_iter(),
            Err(error) => {
                let error = Refusal::from(error).envelope();
                self.tell(&[json!({ "error": error })]).await;
                return false;
            }
        };
        let mut lines = Vec::with_capacity(portion.len());
        for (number, user) in portion {
            let answer = match user {
                Err(error) => Err(error),
                Ok(_) => match made.next() {
                    Some(Ok(id)) => Ok(id),
                    Some(Err(error)) => Err(Refusal::from(error).envelope()),
                    None => continue,
                },
            };
            lines.push(match answer {
                Ok(id) => {
                    self.counts.0 += 1;
                    json!({ "line": number, "id": id })
                }
                Err(error) => {
                    self.counts.1 += 1;
                    json!({ "line": number, "error": error })
                }
            });
        }
        self.tell(&lines).await
    }

    async fn tell(&self, lines: &[Value]) -> bool {
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.to_string());
            text.push('\n');
        }
        self.answers.send(Bytes::from(text)).await.is_ok()
    }
}

/// The user of a line; nothing on an empty one.
fn read(number: u64, line: &[u8]) -> Option<Line> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return None;
    }
    if line.len() > MAX_LINE {
        return Some((number, Err(json!({ "code": "INVALID_REQUEST", "message": too_long() }))));
    }
    let user = parse::<UserBody>(line).and_then(|body| Ok(new_user(body, true)?));
    Some((number, user.map_err(|refusal| refusal.envelope())))
}

fn too_long() -> String {
    format!("a line must not have more than {MAX_LINE} bytes")
}
