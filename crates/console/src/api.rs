//! The management API, as the pages ask it.

use async_trait::async_trait;
use serde_json::Value;

use crate::item::Item;

/// Answers calls of the management API in the name of the person at the console.
#[async_trait]
pub trait Api: Send + Sync {
    /// Makes one call.
    async fn call(&self, call: ApiCall) -> ApiAnswer;
}

/// Members as the query of an address; empty ones are left out.
pub(crate) fn query(members: &[(&str, &str)]) -> String {
    let told = members.iter().filter(|(_, value)| !value.is_empty());
    form_urlencoded::Serializer::new(String::new()).extend_pairs(told).finish()
}

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Looks.
    Get,
    /// Makes, or acts.
    Post,
    /// Replaces.
    Put,
    /// Changes members.
    Patch,
    /// Deletes.
    Delete,
}

impl Method {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A call.
#[derive(Clone, Debug)]
pub struct ApiCall {
    /// The method.
    pub method: Method,
    /// Path and query, from `/v1`.
    pub path: String,
    /// The media type of the body, which says what is to be done where several things can be.
    pub media_type: &'static str,
    /// The body.
    pub body: Option<Body>,
}

/// The body of a call.
#[derive(Clone, Debug)]
pub enum Body {
    /// JSON.
    Json(Value),
    /// JSON, one value a line.
    Lines(String),
}

impl std::fmt::Display for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(value) => value.fmt(f),
            Self::Lines(lines) => f.write_str(lines),
        }
    }
}

/// What a call is answered.
#[derive(Clone, Debug)]
pub struct ApiAnswer {
    /// The status of HTTP.
    pub status: u16,
    /// The body; null if there is none.
    pub body: Value,
}

/// A refusal of the API, in its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub status: u16,
    pub message: String,
    /// Members and what is wrong with them.
    pub details: Vec<(String, String)>,
}

impl Refused {
    pub fn not_found() -> Self {
        let message = "There is nothing at this address.".to_owned();
        Self { status: 404, message, details: Vec::new() }
    }

    /// A page that cannot be written.
    pub fn broken() -> Self {
        let message = "The page could not be made.".to_owned();
        Self { status: 500, message, details: Vec::new() }
    }

    /// Whether what was sent is to be mended, and not the caller's rights or the platform.
    pub const fn is_mendable(&self) -> bool {
        matches!(self.status, 400 | 409 | 413)
    }

    /// All that it says, in one line.
    pub fn told(&self) -> String {
        match self.details.as_slice() {
            [] => self.message.clone(),
            details => details.iter().map(|(_, told)| told.as_str()).collect::<Vec<_>>().join("; "),
        }
    }

    fn of(answer: &ApiAnswer) -> Self {
        let body = Item(answer.body.clone());
        let detail = |detail: Item| (detail.text("target"), detail.text("message"));
        let message = match body.text("message") {
            told if told.is_empty() => {
                format!("The platform answered with status {}.", answer.status)
            }
            told => told,
        };
        Self {
            status: answer.status,
            message,
            details: body.items("details").into_iter().map(detail).collect(),
        }
    }
}

const JSON: &str = "application/json";

impl dyn Api + '_ {
    async fn ask(
        &self,
        (method, media_type): (Method, &'static str),
        path: impl Into<String>,
        body: Option<Body>,
    ) -> Result<Item, Refused> {
        let call = ApiCall { method, path: path.into(), media_type, body };
        let answer = self.call(call).await;
        if (200..300).contains(&answer.status) {
            Ok(Item(answer.body))
        } else {
            Err(Refused::of(&answer))
        }
    }

    pub(crate) async fn get(&self, path: impl Into<String>) -> Result<Item, Refused> {
        self.ask((Method::Get, JSON), path, None).await
    }

    /// What is at an address, or nothing where the person may not look or there is nothing.
    pub(crate) async fn find(&self, path: impl Into<String>) -> Item {
        self.get(path).await.unwrap_or_default()
    }

    pub(crate) async fn post(&self, path: impl Into<String>, body: Value) -> Result<Item, Refused> {
        self.ask((Method::Post, JSON), path, Some(Body::Json(body))).await
    }

    pub(crate) async fn put(&self, path: impl Into<String>, body: Value) -> Result<Item, Refused> {
        self.ask((Method::Put, JSON), path, Some(Body::Json(body))).await
    }

    /// Does what a media type says.
    pub(crate) async fn act(
        &self,
        method: Method,
        media_type: &'static str,
        path: impl Into<String>,
        body: Body,
    ) -> Result<Item, Refused> {
        self.ask((method, media_type), path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: impl Into<String>) -> Result<Item, Refused> {
        self.ask((Method::Delete, JSON), path, None).await
    }
}
