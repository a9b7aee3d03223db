//! Checks a one-time passcode of a device. Each counts once, and wrong ones lock.

use std::sync::Arc;

use countersign_domain::{
    authorization::Answer,
    flow::{Event, Flow, State},
    mfa,
    mfa_policy::MfaPolicy,
};
use countersign_protocol::secret::Secret;
use countersign_store::{Tx, Work, flow as flows, mfa_policy, push_limit, user};

use super::{
    App, Call, Fault, FlowHandle, FlowView, Realm,
    asked_device::AskedDevice,
    challenge::cancel_of_device,
    fault::faults,
    lockout::count_attempt,
    read_flow::view,
    run_flow::{Seen, load_own, run, run_errors, user_of},
};

/// A passcode for a flow.
#[derive(Clone, Debug)]
pub struct CheckPasscode {
    /// The flow.
    pub handle: FlowHandle,
    /// Six digits.
    pub passcode: Secret<String>,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// What became of it.
#[derive(Debug)]
pub enum PasscodeOutcome {
    /// Right: the flow has moved.
    Accepted(FlowView),
    /// Wrong or used before. The flow may have moved on to another device, or failed.
    Refused(FlowView),
}

/// Why it was not checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckPasscodeError {
    /// There is no such flow of this browser.
    #[error("no such flow")]
    NotFound,
    /// The flow waits for something else.
    #[error("the flow does not wait for a passcode")]
    NotNow,
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(CheckPasscodeError);
run_errors!(CheckPasscodeError);

impl App {
    /// Checks a passcode and moves the flow.
    pub async fn check_passcode(
        self: &Arc<Self>,
        realm: &Arc<Realm>,
        request: CheckPasscode,
    ) -> Result<PasscodeOutcome, CheckPasscodeError> {
        let call = self.call(realm.environment, &request.correlation);
        let (app, realm) = (Arc::clone(self), Arc::clone(realm));
        self.store.write(Check { app, realm, call, request }).await
    }
}

struct Check {
    app: Arc<App>,
    realm: Arc<Realm>,
    call: Call,
    request: CheckPasscode,
}

impl Work for Check {
    type Output = PasscodeOutcome;
    type Error = CheckPasscodeError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<PasscodeOutcome, CheckPasscodeError> {
        let now = self.call.now;
        let old = load_own(tx, &self.realm, &self.request.handle, now).await?;
        let old = old.ok_or(CheckPasscodeError::NotFound)?;
        let (State::Passcode { identity, device, .. }
        | State::Push { identity, device, .. }
        | State::PushTimedOut { identity, device, .. }) = &old.state
        else {
            return Err(CheckPasscodeError::NotNow);
        };
        let mut flow = (*old).clone();
        let whose = (*device, identity.user);
        let device = AskedDevice::load(tx, flow.environment, whose).await?;
        let mut seen = Seen::default();
        let checked = if let Some(device) = &device {
            self.check(tx, &mut flow, device, &mut seen).await?
        } else {
            // Removed since it was chosen: the step is decided anew.
            run(tx, &self.call, &mut flow, Event::DeviceLost, &mut seen).await?;
            Checked::Wrong
        };
        flows::swap(tx, &old, &flow).await?;
        if let (Checked::WrongAndLocked, Some(AskedDevice::Phone(device))) = (checked, &device) {
            // Other flows may wait for an answer on it. They go on once this one is stored, since what they ask next may take
            // the place of what it asks.
            Box::pin(cancel_of_device(tx, &self.call, device)).await?;
            if let Some(moved) = flows::load(tx, flow.environment, flow.id, now).await? {
                flow = moved.into_value();
            }
        }
        let view = view(tx, flow, now, seen).await?;
        Ok(match checked {
            Checked::Right => PasscodeOutcome::Accepted(view),
            Checked::Wrong | Checked::WrongAndLocked => PasscodeOutcome::Refused(view),
        })
    }
}

/// What a passcode was.
#[derive(Clone, Copy)]
enum Checked {
    /// The right one.
    Right,
    /// Wrong, or of a device that takes none any more.
    Wrong,
    /// The one wrong passcode too many.
    WrongAndLocked,
}

impl Check {
    async fn check(
        &self,
        tx: &mut Tx<'_>,
        flow: &mut Flow,
        device: &AskedDevice,
        seen: &mut Seen,
    ) -> Result<Checked, CheckPasscodeError> {
        let now = self.call.now;
        let policy = policy_of(tx, flow).await?;
        let rules = device.rules(tx, &policy).await?;
        if rules.is_none() && !matches!(flow.state, State::Passcode { .. }) {
            return Err(CheckPasscodeError::NotNow);
        }
        let user = match user_of(&flow.state) {
            Some(user) => user::load(tx, flow.environment, user).await?,
            None => None,
        };
        let vouched = flow.request.answer == Answer::Worker;
        let user = user.filter(|user| {
            !mfa::is_disabled(&policy, user, vouched) && !mfa::is_locked_out(&policy, user, now)
        });
        let (Some(rules), Some(user), true) = (rules, user, device.any().is_usable(now)) else {
            run(tx, &self.call, flow, Event::DeviceLost, seen).await?;
            return Ok(Checked::Wrong);
        };
        let place = (&*self.app, &*self.realm);
        let passcode = &self.request.passcode;
        let matching = device.matching(place, (rules, flow.id), passcode, now)?;
        let counted = device.count(tx, &self.call, flow, (matching, rules.limit)).await?;
        let (accepted, device_goes_on) = counted;
        let through = (flow.request.application, flow.id);
        let user_goes_on = count_attempt(tx, &self.call, &user, through, !accepted).await?;
        if accepted {
            run(tx, &self.call, flow, Event::PasscodeAccepted, seen).await?;
            if let AskedDevice::Phone(phone) = device {
                // The person is there. This comes last, since a question that is withdrawn for the passcode has counted.
                let (user, application) = (phone.user, phone.installation.application);
                push_limit::clear(tx, push_limit::Subject { user, application }).await?;
            }
        } else if !(device_goes_on && user_goes_on) {
            run(tx, &self.call, flow, Event::DeviceLost, seen).await?;
        }
        Ok(match (accepted, device_goes_on) {
            (true, _) => Checked::Right,
            (false, true) => Checked::Wrong,
            (false, false) => Checked::WrongAndLocked,
        })
    }
}

/// The MFA policy that the step of this flow was decided under, as it is now.
pub(super) async fn policy_of(tx: &mut Tx<'_>, flow: &Flow) -> Result<MfaPolicy, Fault> {
    let gone = || Fault::broken("the MFA policy of a flow is gone");
    let (State::Passcode { identity, .. }
    | State::Push { identity, .. }
    | State::PushTimedOut { identity, .. }) = &flow.state
    else {
        return Err(gone());
    };
    let id = identity.mfa_policy.ok_or_else(gone)?;
    Ok(mfa_policy::load(tx, flow.environment, id).await?.ok_or_else(gone)?.into_value())
}
