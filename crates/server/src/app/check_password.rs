//! Checks a password: the hash is computed between two transactions, and only the second decides whether it counts.
//!
//! A name that nobody has, a user who is disabled and one who has no password get the same reads, the same hash, the same
//! count and the same answers as a user whose password is wrong.

use std::sync::Arc;

use countersign_domain::{
    audit,
    flow::{Event, State},
    id::Id,
    lockout::Lockout,
    password::{self, Attempt, Password, PasswordHash},
    user::User,
};
use countersign_protocol::{secret::Secret, time::Timestamp};
use countersign_store::{
    Tx, Versioned, Work, flow as flows,
    lockout::{self, Subject},
    password as passwords, user,
};

use super::{
    App, Call, Fault, FlowHandle, FlowView, Realm,
    attempts::Owner,
    fault::faults,
    read_flow::view,
    run_flow::{Seen, load_own, run, run_errors},
};
use crate::limits::Limited;

/// A user name and a password for a flow.
#[derive(Clone, Debug)]
pub struct CheckPassword {
    /// The flow.
    pub handle: FlowHandle,
    /// The user name; not needed where the flow knows it.
    pub username: Option<String>,
    /// The password.
    pub password: Secret<String>,
    /// The cookie that says who has given the password in this browser before, if there is one.
    pub known_browser: Option<Secret<String>>,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// What became of it.
#[derive(Debug)]
pub enum PasswordOutcome {
    /// Right: the flow has moved, and the browser is known from now on by this cookie.
    Accepted { view: FlowView, known_browser: Secret<String> },
    /// Wrong, or nobody's.
    Refused(FlowView),
    /// Too many were wrong under this name. This one may be right or not.
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
    /// Too many attempts under this name.
    #[error(transparent)]
    Limited(Limited),
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
        let CheckPassword { handle, username, password, known_browser, correlation } = request;
        let call = self.call(realm.environment, &correlation);
        let realm = Arc::clone(realm);
        let claim = Claim { realm, handle, username, known_browser, now: call.now };
        let claimed = self.store.read(claim.clone()).await?;
        let limited = self.limits.user(&claimed.attempts.hash, call.now);
        limited.map_err(CheckPasswordError::Limited)?;
        let stored = claimed.owner.map(|(_, password)| password.hash.clone());
        let locked = claimed.counted.is_some_and(|count| count.locked_until(call.now).is_some());
        // What is locked is not compared, whoever has the name: guesses that cannot count cost no hash.
        let matches = !locked
            && self.passwords.verify(password, stored.clone()).await.map_err(Fault::from)?;
        let compared = stored.filter(|_| matches);
        self.store.write(Check { call, claim, compared }).await
    }
}

/// Who is claimed to sign in, read twice: before the hash and in the transaction that decides.
#[derive(Clone)]
struct Claim {
    realm: Arc<Realm>,
    handle: FlowHandle,
    username: Option<String>,
    known_browser: Option<Secret<String>>,
    now: Timestamp,
}

struct Claimed {
    /// The user, if there is one who may sign in by password.
    owner: Option<(Id<User>, Versioned<Password>)>,
    /// What the attempt counts as.
    attempts: Subject,
    /// What was counted before.
    counted: Option<Versioned<Lockout>>,
}

impl Work for Claim {
    type Output = Claimed;
    type Error = CheckPasswordError;
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Claimed, CheckPasswordError> {
        let flow = load_own(tx, &self.realm, &self.handle, self.now).await?;
        self.claimed(tx, &flow.ok_or(CheckPasswordError::NotFound)?.state).await
    }
}

impl Claim {
    async fn claimed(&self, tx: &mut Tx<'_>, state: &State) -> Result<Claimed, CheckPasswordError> {
        let (user, username) = self.named(tx, state).await?;
        let user = user.filter(|user| user.may_sign_in());
        // Read for nobody too, so that the work is the same.
        let id = user.as_ref().map_or(Owner::NOBODY.user, |user| user.id);
        let password = passwords::load(tx, id).await?;
        let owner = password.map(|password| (id, password));
        let by = owner.as_ref().map_or(Owner::NOBODY, of);
        let cookie = self.known_browser();
        let browser = self.realm.known_browser(cookie, by);
        let attempts = self.realm.attempts(&username, browser);
        let counted = lockout::load(tx, &attempts, self.now).await?;
        Ok(Claimed { owner, attempts, counted })
    }

    /// The user that is claimed, if there is one, and the name that is claimed in any case.
    async fn named(
        &self,
        tx: &mut Tx<'_>,
        state: &State,
    ) -> Result<(Option<Versioned<User>>, String), CheckPasswordError> {
        let environment = self.realm.environment;
        match state {
            State::Login { .. } => {
                let username = self.username.clone().ok_or(CheckPasswordError::UsernameRequired)?;
                let user = user::find_by_username(tx, environment, &username).await?;
                Ok((user, username))
            }
            State::Password { user, username, .. } => {
                let id = user.unwrap_or(Owner::NOBODY.user);
                let user = user::load(tx, environment, id).await?;
                let known = user.as_ref().map(|user| user.username.clone());
                let expected = known.unwrap_or_else(|| username.clone());
                match &self.username {
                    Some(other) if User::username_key(other) != User::username_key(&expected) => {
                        Ok((None, other.clone()))
                    }
                    Some(_) | None => Ok((user, expected)),
                }
            }
            State::Identifier { .. }
            | State::AuthenticationCode { .. }
            | State::PasswordChange { .. }
            | State::Deciding { .. }
            | State::DeviceSelection { .. }
            | State::Passcode { .. }
            | State::Verification { .. }
            | State::Push { .. }
            | State::PushTimedOut { .. }
            | State::Completed { .. }
            | State::Failed { .. } => Err(CheckPasswordError::NotNow),
        }
    }

    fn known_browser(&self) -> &str {
        self.known_browser.as_ref().map(|cookie| cookie.expose().as_str()).unwrap_or_default()
    }
}

fn of((user, password): &(Id<User>, Versioned<Password>)) -> Owner {
    Owner { user: *user, password_changed_at: password.changed_at }
}

struct Check {
    call: Call,
    claim: Claim,
    /// The hash that the password was found to have.
    compared: Option<PasswordHash>,
}

impl Work for Check {
    type Output = PasswordOutcome;
    type Error = CheckPasswordError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<PasswordOutcome, CheckPasswordError> {
        let (call, now) = (&self.call, self.call.now);
        let old = load_own(tx, &self.claim.realm, &self.claim.handle, now).await?;
        let old = old.ok_or(CheckPasswordError::NotFound)?;
        let Claimed { owner, attempts, counted } = self.claim.claimed(tx, &old.state).await?;
        // A password that was changed meanwhile is not the one that was compared.
        let right = owner.as_ref().filter(|(_, password)| {
            self.compared.as_ref().is_some_and(|compared| *compared == password.hash)
        });
        let before = counted.as_deref().copied().unwrap_or_default();
        let (count, attempt) = password::attempt(before, right.is_some(), now);
        lockout::put(tx, &attempts, counted.as_ref(), &count, now).await?;
        let user = owner.as_ref().map(|(user, _)| *user);
        let event = match (attempt, user) {
            (Attempt::Accepted, _) => {
                audit::Event::succeeded(audit::Action::PasswordCheckSucceeded)
            }
            (Attempt::LockedOut { .. }, _) => failed("locked_out"),
            (Attempt::Refused, Some(_)) => failed("wrong_password"),
            (Attempt::Refused, None) => failed("unknown_user"),
        };
        call.audit(tx, event.through(old.request.application).about(user).within(old.id)).await?;
        match (attempt, right) {
            (Attempt::Accepted, Some(owner)) => {
                let mut flow = (*old).clone();
                let mut seen = Seen::default();
                let (user, must_change) = (owner.0, owner.1.must_change);
                let accepted = Event::PasswordAccepted { user, must_change };
                run(tx, call, &mut flow, accepted, &mut seen).await?;
                flows::swap(tx, &old, &flow).await?;
                let view = view(tx, flow, now, seen).await?;
                let (realm, cookie) = (&self.claim.realm, self.claim.known_browser());
                let entropy = call.entropy.as_ref();
                let known_browser = realm.remember_browser(cookie, of(owner), entropy);
                Ok(PasswordOutcome::Accepted { view, known_browser })
            }
            (Attempt::LockedOut { until }, _) => {
                let seconds_until_unlock = until.seconds_since(now);
                let view = view(tx, old.into_value(), now, Seen::default()).await?;
                Ok(PasswordOutcome::LockedOut { view, seconds_until_unlock })
            }
            (Attempt::Refused | Attempt::Accepted, _) => Ok(PasswordOutcome::Refused(
                view(tx, old.into_value(), now, Seen::default()).await?,
            )),
        }
    }
}

fn failed(reason: &'static str) -> audit::Event {
    audit::Event::failed(audit::Action::PasswordCheckFailed, reason)
}
