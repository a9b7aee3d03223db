//! Pairing: whether a phone is offered to be trusted, and the ticket that carries the offer.

use countersign_protocol::{
    jwk::{EcPublicKey, Thumbprint},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    application::Application,
    audit,
    authenticator::Authenticator,
    device::{Device, State as DeviceState},
    environment::Environment,
    id::Id,
    installation::Installation,
    mfa_policy::MfaPolicy,
    mfa_settings::MfaSettings,
    user::User,
};

/// Life of a pairing ticket, in seconds.
pub const TICKET_SECONDS: i64 = 600;

/// What decides whether a phone is offered to be paired.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The MFA policy of the flow; none: the sign-on policy had no MFA step.
    pub policy: Option<&'a MfaPolicy>,
    /// The application of the flow.
    pub application: &'a Application,
    /// The phone.
    pub installation: &'a Installation,
    /// Who signed in.
    pub user: &'a User,
    /// What speaks for the person at the phone.
    pub voucher: Voucher,
    /// The user's phones.
    pub devices: &'a [Device],
    /// What else the user can be asked for.
    pub authenticators: &'a [Authenticator],
    /// The limits of the environment.
    pub settings: &'a MfaSettings,
}

/// What speaks for the person at the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voucher {
    /// A sign-on from the phone itself, to which the platform answers with an offer.
    SignOn {
        /// Whether it was multi-factor.
        multi_factor: bool,
    },
    /// A pairing key, which somebody who may has made for the user.
    Key {
        /// Whether it is for the very first device alone.
        first_only: bool,
    },
}

/// Why a phone is not offered to be paired, or not paired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum NoOffer {
    /// It is paired to this user.
    #[error("the installation is already paired to this user")]
    AlreadyPaired,
    /// The policy does not offer it, an administrator has blocked this very phone, or the user has another device and has not
    /// used it to sign in.
    #[error("pairing is switched off for this application or user")]
    Disabled,
    /// The phone says that it is rooted, and the application cares.
    #[error("the device does not meet the integrity requirements of the application")]
    Compromised,
    /// The user has as many devices as allowed.
    #[error("the user has the maximum number of devices")]
    LimitReached { maximum: u8 },
}

impl NoOffer {
    /// Its name in audit records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AlreadyPaired => "already_paired",
            Self::Disabled => "pairing_disabled",
            Self::Compromised => "device_compromised",
            Self::LimitReached { .. } => "limit_reached",
        }
    }
}

/// What the user's devices alone say against an offer: this phone is one of them. So it is after every enrolment, and nothing
/// else needs to be read then.
#[must_use]
pub fn known(installation: &Installation, devices: &[Device]) -> Option<NoOffer> {
    let own = |device: &&Device| device.installation.thumbprint == installation.thumbprint;
    match devices.iter().find(own)?.state {
        DeviceState::Active { .. } | DeviceState::Locked { .. } => Some(NoOffer::AlreadyPaired),
        // A blocked phone must not come back by a new pairing.
        DeviceState::Blocked { .. } => Some(NoOffer::Disabled),
        DeviceState::Removed { .. } => None,
    }
}

/// Whether this phone may be paired to this user. Asked when an offer is made, when it is taken, and when a pairing key is.
pub fn check(facts: Facts<'_>) -> Result<(), NoOffer> {
    if let Some(no_offer) = known(facts.installation, facts.devices) {
        return Err(no_offer);
    }
    let others = facts.authenticators.iter().filter(|authenticator| authenticator.counts()).count();
    let has_none = facts.devices.is_empty() && others == 0;
    let vouched = match facts.voucher {
        // A second phone needs more than the password: else the policy's bypass would enrol whoever knows it.
        Voucher::SignOn { multi_factor } => has_none || multi_factor,
        Voucher::Key { first_only } => has_none || !first_only,
    };
    if !vouched || !facts.user.enabled || !facts.application.enabled {
        return Err(NoOffer::Disabled);
    }
    let mobile = facts.application.mobile.as_ref().ok_or(NoOffer::Disabled)?;
    let rules = facts.policy.and_then(|policy| policy.application(facts.application.id));
    let rules = rules.filter(|rules| match facts.voucher {
        Voucher::SignOn { .. } => rules.auto_enrollment && !rules.pairing_disabled,
        Voucher::Key { .. } => !rules.pairing_disabled,
    });
    rules.filter(|_| facts.user.mfa_enabled).ok_or(NoOffer::Disabled)?;
    if mobile.integrity_detection && facts.installation.device.rooted == Some(true) {
        return Err(NoOffer::Compromised);
    }
    let maximum = facts.settings.max_allowed_devices;
    if facts.devices.len() + others >= usize::from(maximum) {
        return Err(NoOffer::LimitReached { maximum });
    }
    Ok(())
}

/// The offer to pair, bound to the user, the application and the key of the phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// First half of the value that the phone sees.
    pub id: Id<Ticket>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// To whom the phone would be paired.
    pub user: Id<User>,
    /// The native application.
    pub application: Id<Application>,
    /// The possession key of the phone.
    pub key: EcPublicKey,
    /// The MFA policy under which the offer was made.
    pub mfa_policy: Id<MfaPolicy>,
    /// Whether the sign-on in which it was made was multi-factor.
    pub multi_factor: bool,
    /// Keyed hash of the other half of the value, base64url.
    pub secret_hash: String,
    /// When it was made.
    pub issued_at: Timestamp,
    /// How far it has come.
    pub state: State,
}

impl Ticket {
    /// When it can no longer be used.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.issued_at.plus_seconds(TICKET_SECONDS)
    }
}

/// How far a ticket has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// The person has not decided.
    Open,
    /// The phone is paired.
    Claimed { device: Id<Device>, at: Timestamp },
    /// The person said no.
    Denied { at: Timestamp },
    /// Nobody decided in time.
    Expired,
}

/// What can happen to a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A phone takes the offer; `device` is the id that the new device would get.
    Approve { thumbprint: Thumbprint, device: Id<Device> },
    /// A phone declines it.
    Deny { thumbprint: Thumbprint },
    /// Time passes.
    Tick,
}

/// The next state and what must be committed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The next state.
    pub state: State,
    /// What must be committed with it.
    pub effects: Vec<Effect>,
}

/// What must be committed with a change of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The device comes to be.
    CreateDevice(Id<Device>),
    /// A line in the audit log.
    Audit { action: audit::Action, reason: Option<&'static str> },
}

/// Why an event does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Made for another phone.
    #[error("the ticket was made for another installation")]
    OtherInstallation,
    /// Older than [`TICKET_SECONDS`].
    #[error("the ticket has expired")]
    Expired,
    /// Taken or declined before.
    #[error("the ticket was used already")]
    Spent,
}

/// The whole life of a ticket.
pub fn apply(ticket: &Ticket, event: &Event, now: Timestamp) -> Result<Step, Refusal> {
    let own = ticket.key.thumbprint();
    match event {
        Event::Approve { thumbprint, .. } | Event::Deny { thumbprint } if *thumbprint != own => {
            return Err(Refusal::OtherInstallation);
        }
        Event::Approve { .. } | Event::Deny { .. } | Event::Tick => {}
    }
    let late = now >= ticket.expires_at();
    match &ticket.state {
        State::Open => match event {
            Event::Approve { .. } | Event::Deny { .. } if late => Err(Refusal::Expired),
            Event::Approve { device, .. } => {
                let created = Effect::audit(audit::Action::DeviceCreated, "auto_enrollment");
                let effects = vec![Effect::CreateDevice(*device), created];
                Ok(Step { state: State::Claimed { device: *device, at: now }, effects })
            }
            Event::Deny { .. } => {
                let denied = Effect::audit(audit::Action::DeviceActivationFailed, "denied_by_user");
                Ok(Step { state: State::Denied { at: now }, effects: vec![denied] })
            }
            Event::Tick if late => Ok(Step { state: State::Expired, effects: Vec::new() }),
            Event::Tick => Ok(Step::unchanged(&ticket.state)),
        },
        // A phone that lost the answer asks again, and is told the same.
        State::Claimed { .. } => match event {
            Event::Approve { .. } if late => Err(Refusal::Expired),
            Event::Approve { .. } | Event::Tick => Ok(Step::unchanged(&ticket.state)),
            Event::Deny { .. } => Err(Refusal::Spent),
        },
        State::Denied { .. } => match event {
            Event::Deny { .. } | Event::Tick => Ok(Step::unchanged(&ticket.state)),
            Event::Approve { .. } => Err(Refusal::Spent),
        },
        State::Expired => match event {
            Event::Approve { .. } | Event::Deny { .. } => Err(Refusal::Expired),
            Event::Tick => Ok(Step::unchanged(&ticket.state)),
        },
    }
}

impl Step {
    fn unchanged(state: &State) -> Self {
        Self { state: state.clone(), effects: Vec::new() }
    }
}

impl Effect {
    const fn audit(action: audit::Action, reason: &'static str) -> Self {
        Self::Audit { action, reason: Some(reason) }
    }
}

#[cfg(test)]
mod tests;
