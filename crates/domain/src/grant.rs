//! Grants: what an authorization code stands for (RFC 6749, section 4.1). A code is redeemed at most once.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    application::Application, audit, authorization::Scope, environment::Environment,
    flow::Identity, id::Id, installation::Installation, session::Session,
};

/// Life of an authorization code, in seconds (FAPI 2.0 Security Profile, section 5.3.2.1: at most 60).
pub const CODE_SECONDS: i64 = 60;

/// Life of access and ID tokens, in seconds.
pub const TOKEN_SECONDS: i64 = 3_600;

/// The longest life of a token that an application may have, in seconds. The key that signed it is published for longer.
pub const MAX_TOKEN_SECONDS: i64 = 86_400;

/// What a completed flow gives to its application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Shares its bits with the id of the flow.
    pub id: Id<Grant>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// Who may redeem the code.
    pub application: Id<Application>,
    /// Who signed in, when and how.
    pub identity: Identity,
    /// What was asked for.
    pub scopes: Vec<Scope>,
    /// Name of the sign-on policy.
    pub acr: String,
    /// Goes into the ID token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// What the token request must repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// RFC 7636, S256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_challenge: Option<String>,
    /// The phone on which the user signed in, if the request carried a mobile payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation: Option<Installation>,
    /// The session in which the flow completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Id<Session>>,
    /// When the code was made.
    pub issued_at: Timestamp,
    /// How far it has come.
    pub state: State,
}

/// How far a grant has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// The code waits.
    Issued,
    /// The code was redeemed.
    Redeemed { at: Timestamp },
    /// The code came a second time: what it gave no longer counts (RFC 6749, section 4.1.2).
    Revoked { at: Timestamp },
}

/// What can happen to a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The application presents the code.
    Redeem {
        /// Who presents it.
        application: Id<Application>,
        /// `redirect_uri` of the token request.
        redirect_uri: Option<String>,
        /// S256 of the `code_verifier` of the token request.
        code_challenge: Option<String>,
    },
}

/// The next state and what must be committed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The next state.
    pub state: State,
    /// What must be committed with it.
    pub effects: Vec<Effect>,
}

/// What must be committed with a change of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Tokens may be made. Without it the request is refused, although the state changes.
    IssueTokens,
    /// A line in the audit log.
    Audit(audit::Action),
}

/// Why a code does not count. All of them are `invalid_grant` on the wire; the description tells which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Older than [`CODE_SECONDS`].
    #[error("code has expired")]
    Expired,
    /// Made for another application.
    #[error("code was made for another client_id")]
    OtherApplication,
    /// Not what the authorization request said.
    #[error("redirect_uri must be the one of the authorization request")]
    OtherRedirectUri,
    /// Missing, superfluous or wrong.
    #[error("code_verifier does not match the code_challenge of the authorization request")]
    WrongVerifier,
    /// Presented a second time before.
    #[error("code was used already")]
    Revoked,
}

/// The whole life of a grant.
pub fn apply(grant: &Grant, event: &Event, now: Timestamp) -> Result<Step, Refusal> {
    match event {
        Event::Redeem { application, redirect_uri, code_challenge } => {
            if *application != grant.application {
                return Err(Refusal::OtherApplication);
            }
            match grant.state {
                State::Issued if now >= grant.issued_at.plus_seconds(CODE_SECONDS) => {
                    Err(Refusal::Expired)
                }
                State::Issued if *redirect_uri != grant.redirect_uri => {
                    Err(Refusal::OtherRedirectUri)
                }
                State::Issued if *code_challenge != grant.code_challenge => {
                    Err(Refusal::WrongVerifier)
                }
                State::Issued => {
                    let effects = vec![Effect::IssueTokens];
                    Ok(Step { state: State::Redeemed { at: now }, effects })
                }
                State::Redeemed { .. } => {
                    let effects = vec![Effect::Audit(audit::Action::GrantReused)];
                    Ok(Step { state: State::Revoked { at: now }, effects })
                }
                State::Revoked { .. } => Err(Refusal::Revoked),
            }
        }
    }
}

#[cfg(test)]
mod tests;
