//! Lets a worker application in that shows an access token of its own (RFC 6749, section 4.4; RFC 6750; RFC 9449, section 7.1).

use std::sync::Arc;

use countersign_domain::{
    application::{Application, GrantType, Kind},
    audit::{Actors, Mentionable},
    dpop::DpopProof,
};
use countersign_protocol::time::Timestamp;
use countersign_store::{Tx, Versioned, Work, application};

use super::{
    App, Fault, Origin, Realm,
    access_token::{AccessToken, Live},
    check_dpop::{self, DpopRefusal},
    fault::faults,
};
use crate::limits::{Group, Limited};

/// A worker application that has shown who it is.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The application.
    pub application: Application,
}

impl Worker {
    /// Makes calls in its name: the audit log tells that it was the worker.
    pub async fn act<F: Future>(&self, calls: F) -> F::Output {
        let client = (&self.application).mention();
        let by = Actors { client, user: None, platform: None };
        Origin::current().by(by).scope(calls).await
    }
}

/// Why it is not let in.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Not an access token that an application of this environment got for itself, or no longer.
    #[error(
        "the access token must be a valid one that a worker application of this environment got for itself"
    )]
    InvalidToken,
    /// The application is none that acts for the environment.
    #[error("the application must be a worker that may use client credentials")]
    NotAWorker,
    /// The proof that came with the token does not count.
    #[error(transparent)]
    Dpop(#[from] DpopRefusal),
    /// The application asks too much.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(WorkerError);

impl App {
    /// The worker application that an access token was made for.
    pub async fn authenticate_worker(
        &self,
        realm: &Arc<Realm>,
        access_token: &str,
        dpop: Option<DpopProof>,
    ) -> Result<Worker, WorkerError> {
        let now = self.now();
        let token = AccessToken::verify(self, access_token, realm, now)
            .await
            .filter(|token| token.aud.contains(&realm.platform_base))
            .filter(|token| token.may_come_with(dpop.as_ref().map(|proof| proof.key)))
            .filter(|token| token.grant().is_none())
            .ok_or(WorkerError::InvalidToken)?;
        let client_id = token.client_id.to_string();
        self.limits().application(Group::Token, realm.environment, &client_id, now)?;
        let (writes, work) = (dpop.is_some(), Authenticate { token, dpop, now });
        if writes { self.store.write(work).await } else { self.store.read(work).await }
    }
}

struct Authenticate {
    token: AccessToken,
    dpop: Option<DpopProof>,
    now: Timestamp,
}

impl Work for Authenticate {
    type Output = Worker;
    type Error = WorkerError;
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Worker, WorkerError> {
        let environment = self.token.env;
        check_dpop::spend(tx, environment, self.dpop.as_ref()).await?;
        let Some(Live::Application) = self.token.load_live(tx, self.now).await? else {
            return Err(WorkerError::InvalidToken);
        };
        let application = application::load(tx, environment, self.token.client_id).await?;
        // What it may do is asked at each call: a token outlives the right for which it was made.
        let application = application
            .map(Versioned::into_value)
            .filter(|application| application.enabled)
            .ok_or(WorkerError::InvalidToken)?;
        if application.kind != Kind::Worker || !application.may(GrantType::ClientCredentials) {
            return Err(WorkerError::NotAWorker);
        }
        Ok(Worker { application })
    }
}
