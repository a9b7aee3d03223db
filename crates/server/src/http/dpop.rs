//! The `DPoP` header of a request, and what is answered where its proof does not count (RFC 9449, sections 4.1, 5 and 7).

use axum::{
    extract::FromRequestParts,
    http::{HeaderName, request::Parts},
};
use countersign_domain::dpop::DpopProof;

use super::oauth_error::OAuthError;
use crate::app::{App, DpopRefusal, ProvenRequest, Realm};

/// The header of a proof.
pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The header in which a nonce is handed out.
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The proof of a request, if there is one. Several, or one that is not text, are as good as an empty one, which does not
/// verify.
pub(crate) struct Dpop(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for Dpop {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let mut headers = parts.headers.get_all(DPOP).into_iter();
        Ok(Self(match (headers.next(), headers.next()) {
            (None, _) => None,
            (Some(only), None) => Some(only.to_str().unwrap_or_default().to_owned()),
            (Some(_), Some(_)) => Some(String::new()),
        }))
    }
}

impl Dpop {
    /// Verifies the proof of a form that was posted to this address.
    pub fn verify(
        &self,
        app: &App,
        realm: &Realm,
        address: &str,
    ) -> Result<Option<DpopProof>, OAuthError> {
        let Some(proof) = &self.0 else { return Ok(None) };
        let request = ProvenRequest { proof, method: "POST", address, access_token: None };
        Ok(Some(app.verify_dpop(realm, request)?))
    }
}

impl From<DpopRefusal> for OAuthError {
    fn from(refusal: DpopRefusal) -> Self {
        let description = refusal.to_string();
        match refusal {
            DpopRefusal::Proof(_) | DpopRefusal::Used => {
                Self::new("invalid_dpop_proof", description)
            }
            DpopRefusal::Nonce(nonce) => {
                Self::new("use_dpop_nonce", description).with_dpop_nonce(nonce)
            }
            DpopRefusal::Required => Self::invalid_request(description),
            DpopRefusal::Fault(fault) => fault.into(),
        }
    }
}
