//! Pushed authorization requests (RFC 9126): sent by the application itself, and used once by its user's browser.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    application::Application, authorization::Parameters, environment::Environment, id::Id,
};

/// A request that waits for the browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedRequest {
    /// The secret part of `request_uri` is a keyed hash of it.
    pub id: Id<PushedRequest>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// Who sent it.
    pub application: Id<Application>,
    /// What it asks for, with the members of its request object in their place.
    pub parameters: Parameters,
    /// When it is forgotten.
    pub expires_at: Timestamp,
    /// Whether it waits.
    pub state: State,
}

/// Whether a pushed request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has come with it.
    Waiting,
    /// A flow has begun with it.
    Used,
}

/// Why it does not count. Shown to the person: there is nobody to answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another application's.
    #[error("request_uri was made for another client_id")]
    OtherApplication,
    /// Too old.
    #[error("request_uri has expired")]
    Expired,
    /// A flow has begun with it. RFC 9126, section 7.3: else it could be replayed.
    #[error("request_uri was used already")]
    Used,
}

impl PushedRequest {
    /// The request as it is once a flow of this application has begun with it.
    pub fn take(&self, application: Id<Application>, now: Timestamp) -> Result<Self, Refusal> {
        match self.state {
            _ if self.application != application => Err(Refusal::OtherApplication),
            _ if now >= self.expires_at => Err(Refusal::Expired),
            State::Used => Err(Refusal::Used),
            State::Waiting => Ok(Self { state: State::Used, ..self.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{NOW, id};

    #[test]
    fn a_pushed_request_counts_once_in_time_and_for_its_application() {
        let request = PushedRequest {
            id: id(1),
            environment: id(1),
            application: id(1),
            parameters: Parameters::default(),
            expires_at: NOW.plus_seconds(60),
            state: State::Waiting,
        };
        let late = NOW.plus_seconds(60);
        assert_eq!(request.take(id(2), NOW), Err(Refusal::OtherApplication));
        assert_eq!(request.take(id(1), late), Err(Refusal::Expired));
        let used = request.take(id(1), late.minus_seconds(1)).unwrap();
        assert_eq!(used.take(id(1), NOW), Err(Refusal::Used));
        assert_eq!(used.take(id(2), NOW), Err(Refusal::OtherApplication), "nothing is given away");
    }
}
