//! Moves a flow by what the person chooses: a user name, a device, another start, the end.

use std::sync::Arc;

use countersign_domain::{
    audit,
    authorization::Answer,
    device::Device,
    flow::{Ask, Event, Flow, State},
    id::Id,
    user::User,
};
use countersign_store::{Tx, Work, flow as flows};

use super::{
    App, Call, Fault, FlowHandle, FlowView, Realm,
    fault::faults,
    phone_sign_on,
    read_flow::{Choosable, choices, view},
    run_flow::{Seen, identify, load_own, run, run_errors, user_of},
};

/// A choice for a flow.
#[derive(Clone, Debug)]
pub struct AdvanceFlow {
    /// The flow.
    pub handle: FlowHandle,
    /// The choice.
    pub choice: Choice,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// What a person can choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This is my user name.
    Identify { username: String },
    /// This device.
    Device { device: Id<Device> },
    /// A passcode of the device, instead of an answer on it.
    Passcode,
    /// Another device than the one that is asked, by whatever way.
    AnotherDevice,
    /// Another device than the one that a question was sent to. `why` is a word for the audit log.
    CancelPush { why: &'static str },
    /// With a phone that reads an authentication code: a new one.
    Phone,
    /// From the start, maybe as somebody else.
    Reset,
    /// Not at all.
    Cancel,
}

/// Why the flow did not move.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// There is no such flow of this browser.
    #[error("no such flow")]
    NotFound,
    /// The flow waits for something else.
    #[error("the flow does not wait for this")]
    NotNow,
    /// Nobody can have this user name.
    #[error("username must have at most 128 printable characters")]
    ImpossibleUsername,
    /// The device is not among those that can be chosen.
    #[error("device.id must be one of the devices of the flow")]
    UnknownDevice,
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(AdvanceError);
run_errors!(AdvanceError);

impl App {
    /// Moves a flow by a choice.
    pub async fn advance_flow(
        &self,
        realm: &Arc<Realm>,
        request: AdvanceFlow,
    ) -> Result<FlowView, AdvanceError> {
        let call = self.call(realm.environment, &request.correlation);
        self.store.write(Advance { realm: Arc::clone(realm), call, request }).await
    }
}

/// Whether a flow waits for a device to be chosen, or for one that can be changed for another.
const fn chooses_device(state: &State) -> bool {
    matches!(
        state,
        State::DeviceSelection { .. }
            | State::Passcode { .. }
            | State::Push { .. }
            | State::PushTimedOut { .. }
    )
}

struct Advance {
    realm: Arc<Realm>,
    call: Call,
    request: AdvanceFlow,
}

impl Work for Advance {
    type Output = FlowView;
    type Error = AdvanceError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<FlowView, AdvanceError> {
        let now = self.call.now;
        let old = load_own(tx, &self.realm, &self.request.handle, now).await?;
        let old = old.ok_or(AdvanceError::NotFound)?;
        let mut seen = Seen::default();
        let event = match &self.request.choice {
            Choice::Identify { username } if !User::is_username(username) => {
                return Err(AdvanceError::ImpossibleUsername);
            }
            Choice::Identify { username } => {
                identify(tx, old.environment, username.clone(), &mut seen).await?
            }
            Choice::Device { device } => {
                if !chooses_device(&old.state) {
                    return Err(AdvanceError::NotNow);
                }
                let choices = choices(tx, &old, now, &mut seen).await?;
                let chosen = choices.iter().find(|choice| choice.device.id == *device);
                let chosen = chosen.ok_or(AdvanceError::UnknownDevice)?;
                let ask = match chosen.push_seconds {
                    Some(seconds) => Ask::Push { challenge: self.call.new_id(), seconds },
                    None if chosen.message => Ask::Message,
                    None => Ask::Passcode,
                };
                Event::DeviceChosen { device: *device, ask }
            }
            Choice::Passcode => {
                let choices = choices(tx, &old, now, &mut seen).await?;
                let (State::Push { device, .. } | State::PushTimedOut { device, .. }) = &old.state
                else {
                    return Err(AdvanceError::NotNow);
                };
                let takes = |choice: &&Choosable| choice.device.id == *device && choice.passcode;
                choices.iter().find(takes).ok_or(AdvanceError::NotNow)?;
                Event::DeviceChosen { device: *device, ask: Ask::Passcode }
            }
            Choice::CancelPush { .. } => {
                if !matches!(old.state, State::Push { .. } | State::PushTimedOut { .. }) {
                    return Err(AdvanceError::NotNow);
                }
                Event::AnotherDevice
            }
            Choice::AnotherDevice => Event::AnotherDevice,
            Choice::Phone => {
                let shown = phone_sign_on::show(tx, (&self.realm, &self.call), &old).await?;
                Event::CodeShown { code: shown.ok_or(AdvanceError::NotNow)? }
            }
            Choice::Reset => Event::Reset,
            Choice::Cancel => Event::Cancelled,
        };
        let mut flow = (*old).clone();
        if flow.request.answer == Answer::Worker {
            self.tell(tx, &flow).await?;
        }
        run(tx, &self.call, &mut flow, event, &mut seen).await?;
        flows::swap(tx, &old, &flow).await?;
        Ok(view(tx, flow, now, seen).await?)
    }
}

impl Advance {
    /// What a worker application has chosen. What people choose shows in what follows from it.
    async fn tell(&self, tx: &mut Tx<'_>, flow: &Flow) -> Result<(), Fault> {
        let (reason, device) = match self.request.choice {
            Choice::Device { device } => ("device_selected", Some(device)),
            Choice::CancelPush { why } => (why, None),
            Choice::Passcode => ("passcode", None),
            Choice::Identify { .. }
            | Choice::AnotherDevice
            | Choice::Phone
            | Choice::Reset
            | Choice::Cancel => {
                return Ok(());
            }
        };
        let event = audit::Event::of(audit::Action::AuthenticationUpdated, Some(reason));
        let event = event.through(flow.request.application).about(user_of(&flow.state)).on(device);
        Ok(self.call.audit(tx, event.within(flow.id)).await?)
    }
}
