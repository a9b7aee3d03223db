//! Form members as OAuth reads them: each at most once, an empty one as absent (RFC 6749, section 3.1).

use std::{borrow::Cow, collections::BTreeMap};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{StatusCode, header},
};
use countersign_protocol::secret::Secret;

/// The members of a query or a form body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members(BTreeMap<String, Secret<String>>);

/// The most members: several times what any of our requests has.
const MAX_MEMBERS: usize = 64;

/// Why members could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    #[error("{0} must not be repeated")]
    Repeated(String),
    #[error("there must be at most {MAX_MEMBERS} members")]
    TooMany,
    #[error("the body must be application/x-www-form-urlencoded")]
    MediaType,
    #[error("the body is too large")]
    TooLarge,
}

impl FormError {
    /// The status that says the same.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Repeated(_) | Self::TooMany => StatusCode::BAD_REQUEST,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}

impl Members {
    /// Reads members from their encoded form.
    pub fn parse(encoded: &[u8]) -> Result<Self, FormError> {
        let mut members = BTreeMap::new();
        for (place, (name, value)) in form_urlencoded::parse(encoded).enumerate() {
            if place >= MAX_MEMBERS {
                return Err(FormError::TooMany);
            }
            if value.is_empty() {
                continue;
            }
            let name = name.into_owned();
            if members.insert(name.clone(), Secret::new(Cow::into_owned(value))).is_some() {
                // The name is the caller's: keep it short.
                return Err(FormError::Repeated(name.chars().take(64).collect()));
            }
        }
        Ok(Self(members))
    }

    /// A member that is no secret.
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| value.expose().clone())
    }

    /// A member that is a secret.
    pub fn secret(&self, name: &str) -> Option<Secret<String>> {
        self.0.get(name).cloned()
    }
}

impl<S: Send + Sync> FromRequest<S> for Members {
    type Rejection = FormError;

    async fn from_request(request: Request, state: &S) -> Result<Self, FormError> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let essence = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
        if !essence.is_some_and(|e| e.eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
            return Err(FormError::MediaType);
        }
        let body = Bytes::from_request(request, state).await.map_err(|_| FormError::TooLarge)?;
        Self::parse(&body)
    }
}

impl axum::response::IntoResponse for FormError {
    fn into_response(self) -> axum::response::Response {
        super::problem::Problem::new(self.status(), "INVALID_REQUEST", self.to_string())
            .into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_member_is_refused_and_an_empty_one_is_absent() {
        let repeated = Members::parse(b"a=1&b=2&a=3").err();
        assert_eq!(repeated, Some(FormError::Repeated("a".to_owned())));
        let members = Members::parse(b"a=&a=1&c=x%20y+z").unwrap();
        assert_eq!(members.text("a").as_deref(), Some("1"));
        assert_eq!(members.text("c").as_deref(), Some("x y z"));
        assert_eq!(members.text("b"), None);
    }

    #[test]
    fn a_name_is_repeated_however_it_is_written() {
        for encoded in ["client_id=1&client%5Fid=2", "a+b=1&a%20b=2", "%FF=1&%FE=2"] {
            assert!(matches!(Members::parse(encoded.as_bytes()), Err(FormError::Repeated(_))));
        }
    }

    #[test]
    fn more_members_than_any_request_has_are_refused() {
        let members = |count: usize| {
            let pairs: Vec<String> = (0..count).map(|number| format!("m{number}=")).collect();
            Members::parse(pairs.join("&").as_bytes()).map(|_| ())
        };
        assert_eq!((members(64), members(65)), (Ok(()), Err(FormError::TooMany)));
    }
}
