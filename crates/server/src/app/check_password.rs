//! Checks a password: the hash is computed between two transactions, and only the second decides whether it counts.

use std::sync::Arc;

use countersign_domain::{
    audit,
    flow::{Event, State},
    id::Id,
    password::{Attempt, Password},
    user::User,
};
use countersign_protocol::{secret::Secret, time::Timestamp};
use countersign_store::{Tx, Versioned, Work, flow as flows, password as passwords, user};

use super::{
    App, Call, Fault, FlowHandle, FlowView, Realm,
    fault::faults,
    read_flow::view,
    run_flow::{load_own, run, run_errors},
};

/// A user name and a password for a flow.
#[derive(Clone, Debug)]
pub struct CheckPassword {
    /// The flow.
    pub handle: FlowHandle,
    /// The user name; not needed where the flow knows it.
    pub username: Option<String>,
    /// The password.
    pub password: Secret<String>,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// What became of it.
#[derive(Debug)]
pub enum PasswordOutcome {
    /// Right: the flow has moved.
    Accepted(FlowView),
    /// Wrong, or nobody's.
    Refused(FlowView),
    /// Locked, right or not.
    LockedOut { view: FlowView, seconds_until_unlock: i64 },
}

/// Why it was not checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckPasswordError {
    /// There is no such flow of this browser.
    #[error("no such flow")]
    NotFound,
    /// The flow waits for something else.
    #[error("the flow does not wait for a password")]
    NotNow,
    /// The user name is needed here.
    #[error("username is required")]
    UsernameRequired,
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(CheckPasswordError);
run_errors!(CheckPasswordError);

impl App {
    /// Checks a password and moves the flow if it is right.
    pub async fn check_password(
        &self,
        realm: &Arc<Realm>,
        request: CheckPassword,
    ) -> Result<PasswordOutcome, CheckPasswordError> {
        let CheckPassword { handle, username, password, correlation } = request;
        let call = self.call(realm.environment, &correlation);
        let attempt = Claim { realm: Arc::clone(realm), handle, username, now: call.now };
        let claimed = self.store.read(attempt.clone()).await?;
        let stored = claimed.as_ref().map(|claimed| claimed.password.clone());
        let hash = stored.as_ref().map(|password| password.hash.clone());
        let matches = self.passwords.verify(password, hash).await.map_err(Fault::from)?;
        self.store.write(Check { call, claim: attempt, stored, matches }).await
    }
}

/// Who is claimed to sign in, read twice: before the hash and in the transaction that decides.
#[derive(Clone)]
struct Claim {
    realm: Arc<Realm>,
    handle: FlowHandle,
    username: Option<String>,
    now: Timestamp,
}

struct Claimed {
    user: Id<User>,
    password: Versioned<Password>,
}

impl Work for Claim {
    type Output = Option<Claimed>;
    type Error = CheckPasswordError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Claimed>, CheckPasswordError> {
        let flow = load_own(tx, &self.realm, &self.handle, self.now).await?;
        self.claimed(tx, &flow.ok_or(CheckPasswordError::NotFound)?.state).await
    }
}

impl Claim {
    /// The user that is claimed and may sign in by password, if there is one.
    async fn claimed(
        &self,
        tx: &mut Tx<'_>,
        state: &State,
    ) -> Result<Option<Claimed>, CheckPasswordError> {
        let environment = self.realm.environment;
        let user = match state {
            State::Login { .. } => {
                let username =
                    self.username.as_ref().ok_or(CheckPasswordError::UsernameRequired)?;
                user::find_by_username(tx, environment, username).await?
            }
            State::Password { user: Some(id), .. } => user::load(tx, environment, *id).await?,
            State::Password { user: None, .. } => None,
            State::Identifier { .. }
            | State::Deciding { .. }
            | State::DeviceSelection { .. }
            | State::Passcode { .. }
            | State::Completed { .. }
            | State::Failed { .. } => return Err(CheckPasswordError::NotNow),
        };
        let same = |user: &Versioned<User>| match (&self.username, state) {
            (Some(named), State::Password { .. }) => {
                User::username_key(named) == User::username_key(&user.username)
            }
            _ => true,
        };
        let Some(user) = user.filter(|user| user.enabled && same(user)) else { return Ok(None) };
        let password = passwords::load(tx, user.id).await?;
        Ok(password.map(|password| Claimed { user: user.id, password }))
    }
}

struct Check {
    call: Call,
    claim: Claim,
    stored: Option<Versioned<Password>>,
    matches: bool,
}

impl Work for Check {
    type Output = PasswordOutcome;
    type Error = CheckPasswordError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<PasswordOutcome, CheckPasswordError> {
        let (call, now) = (&self.call, self.call.now);
        let old = load_own(tx, &self.claim.realm, &self.claim.handle, now).await?;
        let old = old.ok_or(CheckPasswordError::NotFound)?;
        let claimed = self.claim.claimed(tx, &old.state).await?;
        let application = old.request.application;
        let failed = |reason: &str| {
            let failed = audit::Event::failed(audit::Action::PasswordCheckFailed, reason);
            failed.through(application).within(old.id)
        };
        let Some(Claimed { user, password }) = claimed else {
            call.audit(tx, failed("unknown_user")).await?;
            return Ok(PasswordOutcome::Refused(view(tx, old.into_value(), now).await?));
        };
        // A password that was changed meanwhile is not the one that was compared.
        let same = self.stored.as_ref().is_some_and(|stored| stored.hash == password.hash);
        let (changed, attempt) = password.attempt(self.matches && same, now);
        if changed != *password {
            passwords::swap(tx, user, &password, &changed).await?;
        }
        match attempt {
            Attempt::Accepted => {
                let succeeded = audit::Event::succeeded(audit::Action::PasswordCheckSucceeded);
                call.audit(tx, succeeded.through(application).about(user).within(old.id)).await?;
                let mut flow = (*old).clone();
                run(tx, call, &mut flow, Event::PasswordAccepted { user }).await?;
                flows::swap(tx, &old, &flow).await?;
                Ok(PasswordOutcome::Accepted(view(tx, flow, now).await?))
            }
            Attempt::Refused => {
                call.audit(tx, failed("wrong_password").about(user)).await?;
                Ok(PasswordOutcome::Refused(view(tx, old.into_value(), now).await?))
            }
            Attempt::LockedOut { until } => {
                call.audit(tx, failed("locked_out").about(user)).await?;
                let seconds_until_unlock = until.seconds_since(now);
                let view = view(tx, old.into_value(), now).await?;
                Ok(PasswordOutcome::LockedOut { view, seconds_until_unlock })
            }
        }
    }
}
