//! A person who has signed in for a device allows it or refuses (RFC 8628, section 5.4: whoever was lured here by somebody
//! else's code must be able to see that and say no).

use std::sync::Arc;

use countersign_domain::{
    audit,
    authorization::Answer,
    device_code::{self, DeviceCode, Effect, Event, State},
    flow::{Identity, State as FlowState},
    id::Id,
};
use countersign_protocol::time::Timestamp;
use countersign_store::{Tx, Work, device_code as codes};

use super::{
    App, Call, Fault, FlowHandle, FlowView, Realm,
    fault::faults,
    read_flow::view,
    run_flow::{Seen, is_outdated, load_own},
};

/// A decision; none: only to see how it stands.
#[derive(Clone, Debug)]
pub struct DecideDevice {
    /// The flow in which the person has signed in.
    pub handle: FlowHandle,
    /// Whether the device may have tokens.
    pub allow: Option<bool>,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// How it stands.
#[derive(Debug)]
pub enum DeviceDecision {
    /// The person has not signed in yet.
    SigningOn(Box<FlowView>),
    /// The sign-on failed.
    Failed,
    /// The person must decide.
    Asked(Box<FlowView>),
    /// The device gets its tokens.
    Allowed,
    /// It does not.
    Refused,
    /// It asks no longer.
    Over,
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum DecideDeviceError {
    /// There is no such flow of this browser, or it is not for a device.
    #[error("no such flow")]
    NotFound,
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(DecideDeviceError);

impl App {
    /// Decides, or tells how it stands.
    pub async fn decide_device(
        &self,
        realm: &Arc<Realm>,
        request: DecideDevice,
    ) -> Result<DeviceDecision, DecideDeviceError> {
        let call = self.call(realm.environment, &request.correlation);
        let work = Decide { realm: Arc::clone(realm), call, request };
        match work.request.allow {
            Some(_) => self.store.write(work).await,
            None => self.store.read(work).await,
        }
    }
}

struct Decide {
    realm: Arc<Realm>,
    call: Call,
    request: DecideDevice,
}

impl Work for Decide {
    type Output = DeviceDecision;
    type Error = DecideDeviceError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<DeviceDecision, DecideDeviceError> {
        let now = self.call.now;
        let flow = load_own(tx, &self.realm, &self.request.handle, now).await?;
        let flow = flow.ok_or(DecideDeviceError::NotFound)?.into_value();
        let Answer::Device { device_code } = flow.request.answer else {
            return Err(DecideDeviceError::NotFound);
        };
        let identity = match &flow.state {
            // The password may have been set anew since the sign-on.
            FlowState::Completed { identity } if is_outdated(tx, identity).await? => {
                return Ok(DeviceDecision::Failed);
            }
            FlowState::Completed { identity } => identity.clone(),
            FlowState::Failed { .. } => return Ok(DeviceDecision::Failed),
            FlowState::Identifier { .. }
            | FlowState::Login { .. }
            | FlowState::Password { .. }
            | FlowState::AuthenticationCode { .. }
            | FlowState::PasswordChange { .. }
            | FlowState::Deciding { .. }
            | FlowState::DeviceSelection { .. }
            | FlowState::Passcode { .. }
            | FlowState::Verification { .. }
            | FlowState::Push { .. }
            | FlowState::PushTimedOut { .. } => {
                return Ok(DeviceDecision::SigningOn(Box::new(
                    view(tx, flow, now, Seen::default()).await?,
                )));
            }
        };
        let acr = flow.acr.clone();
        Ok(match self.decide(tx, device_code, identity, acr).await? {
            Some(State::Pending { .. }) => {
                DeviceDecision::Asked(Box::new(view(tx, flow, now, Seen::default()).await?))
            }
            Some(State::Approved { .. } | State::Redeemed { .. }) => DeviceDecision::Allowed,
            Some(State::Denied) => DeviceDecision::Refused,
            None => DeviceDecision::Over,
        })
    }
}

impl Decide {
    /// The state of the device code, after the decision if there is one.
    async fn decide(
        &self,
        tx: &mut Tx<'_>,
        id: Id<DeviceCode>,
        identity: Identity,
        acr: String,
    ) -> Result<Option<State>, DecideDeviceError> {
        let now: Timestamp = self.call.now;
        let Some(old) = codes::load(tx, self.realm.environment, id, now).await? else {
            return Ok(None);
        };
        let user = identity.user;
        let event = match self.request.allow {
            Some(true) => Event::Approve { identity, acr },
            Some(false) => Event::Deny { identity },
            None => return Ok(Some(old.into_value().state)),
        };
        // Who decides again is told how it stands.
        let Ok(step) = device_code::apply(&old, &event, now) else {
            return Ok(Some(old.into_value().state));
        };
        let new = DeviceCode { state: step.state, ..(*old).clone() };
        codes::swap(tx, &old, &new).await?;
        for effect in step.effects {
            match effect {
                Effect::Audit { action, reason } => {
                    let event = audit::Event::of(action, Some(reason)).through(old.application);
                    self.call.audit(tx, event.about(user)).await?;
                }
                Effect::IssueTokens { .. } | Effect::TellPending | Effect::TellSlowDown => {
                    return Err(Fault::broken("a decision on a device answers a poll").into());
                }
            }
        }
        Ok(Some(new.state))
    }
}
