//! The requests to FCM.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use countersign_protocol::entropy::random;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::{Body, Frame, Incoming};
use serde_json::{Value, json};

use super::super::fault::{Fault, RetryAfter, Stage};
use super::super::installation::State;
use super::super::mailbox::Message;
use super::Fcm;
use super::account::{self, OAuthError};
use super::error::{ErrorCode, Refusal, retry_after};
use super::message::{self, Sending};

/// A body may have so many bytes.
const MAX_BODY: usize = 64 * 1_024;

/// And must be complete within this time.
const BODY_LIMIT: Duration = Duration::from_secs(30);

/// Google's wait when the quota is exceeded.
const QUOTA_WAIT: RetryAfter = RetryAfter::Seconds(60);

type Answer = Response<Either<Full<Bytes>, Unending>>;

/// A body of which nothing ever comes.
pub struct Unending;

impl Body for Unending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

/// The stream is to be reset.
#[derive(Debug, thiserror::Error)]
#[error("the stream is reset on purpose")]
pub struct Reset;

impl Fcm {
    pub fn token_uri(&self) -> String {
        format!("{}/token", self.base_url)
    }

    /// Answers one request.
    pub async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer, Reset> {
        let (parts, body) = request.into_parts();
        let body = tokio::time::timeout(BODY_LIMIT, Limited::new(body, MAX_BODY).collect()).await;
        let body = body.map_err(|_| Reset)?.map(http_body_util::Collected::to_bytes);
        let path: Vec<_> = parts.uri.path().split('/').skip(1).collect();
        match (&parts.method, path.as_slice(), body) {
            (_, _, Err(_)) => {
                let why = "The body cannot be read or is too large.".to_owned();
                Ok(refused(&Refusal::unreadable("", why), &self.host.clock))
            }
            (&Method::POST, ["token"], Ok(form)) => Ok(self.token(&form)),
            (&Method::POST, ["v1", "projects", project, "messages:send"], Ok(body)) => {
                self.send(project, &parts.headers, &body).await
            }
            _ => Ok(html(404, "<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>")),
        }
    }

    fn token(&self, form: &[u8]) -> Answer {
        if let Some(Fault::TokenRefused { status, error }) =
            self.faults.take(Stage::TokenRequest, None)
        {
            return json(status, &json!({ "error": error, "error_description": "Ordered." }));
        }
        let now = self.host.clock.now();
        match account::check(form, &self.settings.accounts, &self.token_uri(), now) {
            Ok(account) => {
                let life = self.settings.access_token_seconds;
                let expires_at = now.plus_seconds(life);
                let token = self.tokens.grant(account, expires_at, &*self.host.entropy);
                let body =
                    json!({ "access_token": token, "expires_in": life, "token_type": "Bearer" });
                json(200, &body)
            }
            Err(OAuthError(error, description)) => {
                json(400, &json!({ "error": error, "error_description": description }))
            }
        }
    }

    async fn send(&self, project: &str, headers: &HeaderMap, body: &[u8]) -> Result<Answer, Reset> {
        let fault = self.faults.take(Stage::Request, token_of(body).as_deref());
        match fault {
            Some(Fault::Error { code, retry_after }) => {
                let refusal = Refusal::from(code).retry_after(retry_after);
                return Ok(refused(&refusal, &self.host.clock));
            }
            Some(Fault::Answer { status, content_type, body }) => {
                let mut answer = html(status, &body);
                answer.headers_mut().remove(header::CONTENT_TYPE);
                if let Some(text) = content_type.and_then(|text| text.parse().ok()) {
                    answer.headers_mut().insert(header::CONTENT_TYPE, text);
                }
                return Ok(answer);
            }
            Some(Fault::Reset { .. }) => return Err(Reset),
            Some(Fault::Hang { headers: true }) => {
                return Ok(Response::new(Either::Right(Unending)));
            }
            // Dropped when the client gives up.
            Some(Fault::Hang { headers: false }) => return std::future::pending().await,
            Some(Fault::Delay { milliseconds }) => {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            }
            Some(_) | None => {}
        }
        Ok(match self.push(project, headers, body) {
            Ok(name) => json(200, &json!({ "name": name })),
            Err(refusal) => refused(&refusal, &self.host.clock),
        })
    }

    /// Checks a message and delivers it. Gives its name.
    fn push(&self, project: &str, headers: &HeaderMap, body: &[u8]) -> Result<String, Refusal> {
        self.authenticate(project, headers)?;
        let sending = message::read(body)?;
        let id = u64::from_be_bytes(random(&*self.host.entropy));
        let name = format!("projects/{project}/messages/0:{id:020}");
        let found = self.installations.find(&sending.token);
        let found = found.ok_or(ErrorCode::Unregistered)?;
        if found.app != project {
            return Err(ErrorCode::SenderIdMismatch.into());
        }
        if found.state != State::Installed {
            return Err(ErrorCode::Unregistered.into());
        }
        if sending.validate_only {
            return Ok(name);
        }
        let limit = self.settings.messages_per_minute;
        if limit.is_some_and(|limit| !self.installations.count(&sending.token, limit)) {
            return Err(Refusal::from(ErrorCode::QuotaExceeded).retry_after(Some(QUOTA_WAIT)));
        }
        self.deliver(&name, sending);
        Ok(name)
    }

    fn deliver(&self, name: &str, sending: Sending) {
        let now = self.host.clock.now();
        let fault = self.faults.take(Stage::Delivery, Some(&sending.token));
        let storing = sending.storing(now);
        let message = Message {
            id: name.to_owned(),
            accepted_at: now,
            kind: sending.kind,
            headers: sending.options,
            delivered: sending.data,
            sent: sending.sent,
        };
        self.installations.accept(&sending.token, message, storing, fault.as_ref());
    }

    fn authenticate(&self, project: &str, headers: &HeaderMap) -> Result<(), Refusal> {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .ok_or_else(|| Refusal::unauthenticated("CREDENTIALS_MISSING"))?
            .1;
        let granted = self.tokens.project(token, self.host.clock.now());
        let granted = granted.ok_or_else(|| Refusal::unauthenticated("ACCESS_TOKEN_EXPIRED"))?;
        if granted == project {
            return Ok(());
        }
        let exists = self.settings.accounts.iter().any(|account| account.project == project);
        Err(if exists { ErrorCode::PermissionDenied } else { ErrorCode::NotFound }.into())
    }
}

/// The token that a body names, whatever else is in it.
fn token_of(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(
        body.pointer("/message/token")
            .or_else(|| body.pointer("/message/fid"))?
            .as_str()?
            .to_owned(),
    )
}

fn refused(refusal: &Refusal, clock: &Arc<dyn countersign_protocol::time::Clock>) -> Answer {
    let mut answer = json(refusal.code.status().0, &refusal.body());
    let wait = refusal.retry_after.map(|wait| retry_after(wait, clock.now()));
    if let Some(wait) = wait.and_then(|text| text.parse().ok()) {
        answer.headers_mut().insert(header::RETRY_AFTER, wait);
    }
    answer
}

fn json(status: u16, body: &Value) -> Answer {
    let mut answer = html(status, &body.to_string());
    let json = HeaderValue::from_static("application/json; charset=UTF-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

fn html(status: u16, body: &str) -> Answer {
    let mut answer = Response::new(Either::Left(Full::from(body.to_owned())));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let html = HeaderValue::from_static("text/html; charset=UTF-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, html);
    answer
}
