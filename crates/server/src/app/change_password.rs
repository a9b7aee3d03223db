//! Replaces a password that must be changed, in the flow that it has opened: the hashes are computed between two transactions, and
//! only the second decides whether the new one counts.

use std::sync::Arc;

use countersign_domain::{
    flow::{Event, State},
    id::Id,
    password::{Password, PasswordHash, Unmet},
    user::User,
};
use countersign_protocol::{secret::Secret, time::Timestamp};
use countersign_store::{Tx, Versioned, Work, flow as flows, password as passwords, user};

use super::{
    App, Call, Fault, FlowHandle, FlowView, Realm,
    fault::faults,
    read_flow::view,
    run_flow::{Seen, load_own, run, run_errors},
    session,
};

/// Another password for the user of a flow.
#[derive(Clone, Debug)]
pub struct ChangePassword {
    /// The flow.
    pub handle: FlowHandle,
    /// The password that must be changed, where it is asked for again.
    pub current: Option<Secret<String>>,
    /// The other one.
    pub new: Secret<String>,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// Why the password was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangePasswordError {
    /// There is no such flow of this browser.
    #[error("no such flow")]
    NotFound,
    /// The flow waits for something else, or the password has been set anew since it was given in it.
    #[error("the flow does not wait for another password")]
    NotNow,
    /// The current password is another one.
    #[error("the current password is wrong")]
    WrongPassword,
    /// The new password cannot be one.
    #[error("the new password {0}")]
    Unmet(#[from] Unmet),
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(ChangePasswordError);
run_errors!(ChangePasswordError);

impl App {
    /// Replaces the password, ends the sessions of the user, and moves the flow on.
    pub async fn change_password(
        &self,
        realm: &Arc<Realm>,
        request: ChangePassword,
    ) -> Result<FlowView, ChangePasswordError> {
        let ChangePassword { handle, current, new, correlation } = request;
        let call = self.call(realm.environment, &correlation);
        let claim = Claim { realm: Arc::clone(realm), handle, now: call.now };
        let Claimed { user, password } = self.store.read(claim.clone()).await?;
        self.settings.new_passwords.check(new.expose(), &user)?;
        let old = password.hash.clone();
        if let Some(current) = current
            && !self.is_password(current, &old).await?
        {
            return Err(ChangePasswordError::WrongPassword);
        }
        if self.is_password(new.clone(), &old).await? {
            return Err(Unmet::SameAsBefore.into());
        }
        let hash = self.passwords.hash(new, self.entropy.as_ref()).await.map_err(Fault::from)?;
        let user = user.id;
        let (view, more) =
            self.store.write(Change { call: call.clone(), claim, old, hash }).await?;
        if more {
            self.end_sessions(&call, user).await?;
        }
        Ok(view)
    }

    async fn is_password(
        &self,
        password: Secret<String>,
        stored: &PasswordHash,
    ) -> Result<bool, ChangePasswordError> {
        let verified = self.passwords.verify(password, Some(stored.clone())).await;
        Ok(verified.map_err(Fault::from)?)
    }
}

/// Whose password is to be changed, read twice: before the hashes and in the transaction that decides.
#[derive(Clone)]
struct Claim {
    realm: Arc<Realm>,
    handle: FlowHandle,
    now: Timestamp,
}

struct Claimed {
    user: User,
    password: Versioned<Password>,
}

impl Work for Claim {
    type Output = Claimed;
    type Error = ChangePasswordError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Claimed, ChangePasswordError> {
        let flow = load_own(tx, &self.realm, &self.handle, self.now).await?;
        self.claimed(tx, &flow.ok_or(ChangePasswordError::NotFound)?.state).await
    }
}

impl Claim {
    /// The user, and the password that was given in the flow, as long as it is still the one to be changed.
    async fn claimed(
        &self,
        tx: &mut Tx<'_>,
        state: &State,
    ) -> Result<Claimed, ChangePasswordError> {
        let State::PasswordChange { identity, .. } = state else {
            return Err(ChangePasswordError::NotNow);
        };
        let user = user::load(tx, self.realm.environment, identity.user).await?;
        let user = user.filter(|user| user.may_sign_in()).ok_or(ChangePasswordError::NotNow)?;
        let given = |password: &Versioned<Password>| {
            password.must_change && Some(password.changed_at) <= identity.authenticated_at
        };
        let password = passwords::load(tx, user.id).await?.filter(given);
        let password = password.ok_or(ChangePasswordError::NotNow)?;
        Ok(Claimed { user: user.into_value(), password })
    }
}

struct Change {
    call: Call,
    claim: Claim,
    old: PasswordHash,
    hash: PasswordHash,
}

/// The output says whether there are more sessions to end.
impl Work for Change {
    type Output = (FlowView, bool);
    type Error = ChangePasswordError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(FlowView, bool), ChangePasswordError> {
        let (call, now) = (&self.call, self.call.now);
        let old = load_own(tx, &self.claim.realm, &self.claim.handle, now).await?;
        let old = old.ok_or(ChangePasswordError::NotFound)?;
        let Claimed { user, password } = self.claim.claimed(tx, &old.state).await?;
        // A password that was set anew meanwhile is not the one that the new one was compared with.
        if password.hash != self.old {
            return Err(ChangePasswordError::NotNow);
        }
        let id: Id<User> = user.id;
        let new = Password { hash: self.hash.clone(), changed_at: now, must_change: false };
        passwords::swap(tx, id, &password, &new).await?;
        // Before the flow goes on, which may begin a session by the new one.
        let more = session::end_some_of(tx, call, id).await?;
        let mut flow = (*old).clone();
        let mut seen = Seen::default();
        run(tx, call, &mut flow, Event::PasswordChanged, &mut seen).await?;
        flows::swap(tx, &old, &flow).await?;
        Ok((view(tx, flow, now, seen).await?, more))
    }
}
