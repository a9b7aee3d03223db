//! The MFA step: who passes by itself, who is asked for what, who is refused.

use countersign_protocol::{mobile_payload::PushService, time::Timestamp};

use crate::{
    application::Application,
    authenticator::{AnyDevice, Authenticator},
    device::{Device, State as DeviceState},
    flow::Identity,
    id::Id,
    installation::Installation,
    mfa_policy::{DeviceSelection, ExtraVerification, MfaPolicy, MobileApplication},
    sign_on_policy::NoDevicesMode,
    user::User,
};

/// What decides an MFA step.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The MFA policy of the step.
    pub policy: &'a MfaPolicy,
    /// What happens to a user without a device that the policy accepts.
    pub no_devices_mode: NoDevicesMode,
    /// Whether an earlier step of this flow has authenticated the user.
    pub authenticated: bool,
    /// Whether a back end vouches for the user, and nobody is signed on.
    pub vouched: bool,
    /// The device on which the user has approved the authentication code of this flow.
    pub scanned: Option<Id<Device>>,
    /// What the session that the flow goes on has proved of the user.
    pub resumed: Option<&'a Identity>,
    /// The application of the flow.
    pub application: &'a Application,
    /// The phone on which the user signs in, if the request carried a mobile payload.
    pub installation: Option<&'a Installation>,
    /// Who signs in.
    pub user: &'a User,
    /// The device that the application has named, which goes before the policy's choice.
    pub named: Option<Id<Device>>,
    /// The user's phones, in their order.
    pub devices: &'a [Device],
    /// What else the user can be asked for. What [`decide_at_once`] decides does not look at it.
    pub authenticators: &'a [Authenticator],
    /// How far pushes reach.
    pub reach: &'a Reach,
}

/// Which applications can be reached by push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The push services for which an application has credentials.
    pub services: Vec<(Id<Application>, PushService)>,
    /// The applications whose pushes to this user are stopped, because too many went without a yes.
    pub stopped: Vec<Id<Application>>,
}

impl Reach {
    /// Whether a message can be brought to a device.
    #[must_use]
    pub fn covers(&self, device: &Device) -> bool {
        let Some(push) = device.installation.push.as_ref().filter(|push| push.enabled) else {
            return false;
        };
        let known = match push.service {
            // The platform itself needs no credentials.
            PushService::Direct => true,
            PushService::Apns | PushService::Fcm | PushService::Hms | PushService::WebPush => {
                self.services.contains(&(device.installation.application, push.service))
            }
        };
        known && device.address.is_live()
    }

    fn is_stopped(&self, device: &Device) -> bool {
        self.stopped.contains(&device.installation.application)
    }
}

/// What comes of an MFA step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The session has passed a step under the same policy, or the user has signed on by an authentication code with a device
    /// that the policy accepts.
    Continue,
    /// The paired phone passes the step by itself.
    Authorize { device: Id<Device>, verification: Verification },
    /// The user has no device that the policy accepts, and the policy lets that pass.
    Bypass,
    /// The paired phone passes the step, once it has answered a silent push.
    Verify { device: Id<Device>, mode: ExtraVerification },
    /// The user is asked on this device, for so many seconds.
    Push { device: Id<Device>, seconds: u16 },
    /// The user is asked for a passcode of this device.
    Passcode { device: Id<Device> },
    /// The user is sent a passcode to this device.
    Message { device: Id<Device> },
    /// The user chooses among these devices.
    Select { devices: Vec<Id<Device>> },
    /// The step fails.
    Block(Reason),
}

/// What a device authorization rests on beside the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The policy asks for nothing more.
    NotAsked,
    /// The policy asks for a silent push, permissively, and none could be sent.
    Impossible,
    /// The phone has answered a silent push.
    Acknowledged,
    /// The policy asks for a silent push, permissively, and the phone has not answered in time.
    Unanswered,
}

/// Why an MFA step fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No device that the policy accepts.
    NoUsableDevice,
    /// An administrator has blocked the user's devices.
    DeviceBlocked,
    /// Wrong passcodes have locked the user's devices.
    DeviceLocked,
    /// Wrong passcodes over all devices have locked the user, or an administrator has disabled the user.
    UserLocked,
    /// The user's MFA is disabled, and the policy refuses such users.
    MfaDisabled,
    /// The phone says that it is rooted, and the application cares.
    Compromised,
    /// The policy insists on a silent push, and none could be sent, or it was not answered in time.
    ExtraVerificationFailed,
    /// The person has said no on the phone, or has given the wrong number.
    PushDenied,
    /// Too many pushes went without a yes, and the user has no other way.
    PushesStopped,
}

/// Decides an MFA step.
///
/// A user whose only devices are blocked or locked is refused even where users without a device pass: else three wrong
/// passcodes, or the theft that made an administrator block the phone, would switch the second factor off.
#[must_use]
pub fn decide(facts: Facts<'_>, now: Timestamp) -> Decision {
    decide_at_once(facts, now).unwrap_or_else(|| device_selection(facts, now))
}

/// Decides an MFA step where that takes no look at what the user has beside phones. The paired phone on which somebody signs
/// on is the common case, and needs nothing else to be read.
#[must_use]
pub fn decide_at_once(facts: Facts<'_>, now: Timestamp) -> Option<Decision> {
    let locked = is_locked_out(facts.policy, facts.user, now);
    if locked || is_disabled(facts.policy, facts.user, facts.vouched) {
        return Some(Decision::Block(Reason::UserLocked));
    }
    if !facts.user.mfa_enabled {
        if facts.policy.block_users_with_disabled_mfa {
            return Some(Decision::Block(Reason::MfaDisabled));
        }
        return Some(without_device(facts));
    }
    if is_passed_in_session(facts) || is_passed_by_code(facts, now) {
        return Some(Decision::Continue);
    }
    device_authorization(facts, now)
}

/// Whether the session has given a second factor under this very policy: another one may accept other devices.
fn is_passed_in_session(facts: Facts<'_>) -> bool {
    facts.resumed.is_some_and(|identity| {
        identity.has_possession() && identity.mfa_policy == Some(facts.policy.id)
    })
}

/// Whether the person has used a device of this policy already, to sign on by an authentication code.
fn is_passed_by_code(facts: Facts<'_>, now: Timestamp) -> bool {
    let device = facts.scanned.and_then(|id| facts.devices.iter().find(|device| device.id == id));
    device.is_some_and(|device| {
        device.is_usable(now) && facts.policy.application(device.installation.application).is_some()
    })
}

/// Whether wrong passcodes over all devices bar the user under this policy.
#[must_use]
pub fn is_locked_out(policy: &MfaPolicy, user: &User, now: Timestamp) -> bool {
    user.mfa_lockout.locked_until(now).is_some() && !policy.ignore_user_lock
}

/// Whether an administrator bars the user under this policy, by disabling or locking. Some back ends may go on with users who are
/// disabled; nobody signs on as one.
#[must_use]
pub const fn is_disabled(policy: &MfaPolicy, user: &User, vouched: bool) -> bool {
    let disabled = !user.enabled && (policy.block_disabled_users || !vouched);
    disabled || user.locked_at.is_some()
}

/// The step passed by the phone on which the user signs in, or nothing if it does not come to that.
fn device_authorization(facts: Facts<'_>, now: Timestamp) -> Option<Decision> {
    let installation = facts.installation.filter(|i| i.application == facts.application.id)?;
    let own = |device: &&Device| {
        device.installation.thumbprint == installation.thumbprint
            && device.installation.application == facts.application.id
            && device.is_usable(now)
    };
    let device = facts.devices.iter().find(own)?;
    let rules = facts.policy.application(facts.application.id)?.device_authorization?;
    let cares = facts.application.mobile.as_ref().is_some_and(|m| m.integrity_detection);
    if cares && installation.device.rooted == Some(true) {
        return Some(Decision::Block(Reason::Compromised));
    }
    Some(match rules.extra_verification {
        None => authorize(device, Verification::NotAsked),
        Some(mode) if facts.reach.covers(device) => Decision::Verify { device: device.id, mode },
        Some(ExtraVerification::Permissive) => authorize(device, Verification::Impossible),
        Some(ExtraVerification::Restrictive) => Decision::Block(Reason::ExtraVerificationFailed),
    })
}

const fn authorize(device: &Device, verification: Verification) -> Decision {
    Decision::Authorize { device: device.id, verification }
}

/// A device that the user can be asked for, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usable<'a> {
    /// The device.
    pub device: AnyDevice<'a>,
    /// For how many seconds it is asked by push, if it is.
    pub push_seconds: Option<u16>,
    /// Whether its passcodes count.
    pub passcode: bool,
    /// Whether they are sent.
    pub message: bool,
}

impl Usable<'_> {
    /// How the user is asked first: a push needs no typing.
    fn decision(&self) -> Decision {
        let device = self.device.id();
        match self.push_seconds {
            Some(seconds) => Decision::Push { device, seconds },
            None if self.message => Decision::Message { device },
            None => Decision::Passcode { device },
        }
    }
}

/// What a user has: phones and the rest.
pub type Devices<'a> = (&'a [Device], &'a [Authenticator]);

/// The devices that the user can be asked for, in the user's order.
#[must_use]
pub fn usable<'a>(
    policy: &MfaPolicy,
    (phones, authenticators): Devices<'a>,
    reach: &Reach,
    now: Timestamp,
) -> Vec<Usable<'a>> {
    let ways = |device: AnyDevice<'a>| {
        let (push_seconds, passcode) = match device {
            AnyDevice::Phone(phone) => {
                let rules = policy.application(phone.installation.application)?;
                let asked = can_be_asked(rules, phone, reach) && !reach.is_stopped(phone);
                (asked.then_some(rules.push.timeout_seconds), rules.passcode_enabled)
            }
            AnyDevice::Authenticator(authenticator) => (None, is_accepted(policy, authenticator)),
        };
        let counts = (push_seconds.is_some() || passcode) && device.is_usable(now);
        counts.then_some(Usable { device, push_seconds, passcode, message: device.is_sent_to() })
    };
    AnyDevice::all(phones, authenticators).into_iter().filter_map(ways).collect()
}

/// Whether a policy has a method for an authenticator.
fn is_accepted(policy: &MfaPolicy, authenticator: &Authenticator) -> bool {
    authenticator.counts() && policy.authenticators.limit_of(&authenticator.kind).is_some()
}

/// Whether a visible push can be brought to a device, and answered there.
fn can_be_asked(rules: &MobileApplication, device: &Device, reach: &Reach) -> bool {
    rules.push.enabled && device.verification.is_some() && reach.covers(device)
}

fn device_selection(facts: Facts<'_>, now: Timestamp) -> Decision {
    let devices = (facts.devices, facts.authenticators);
    let usable = usable(facts.policy, devices, facts.reach, now);
    let Some(first) = usable.first() else { return no_usable_device(facts, now) };
    if let Some(named) = usable.iter().find(|usable| Some(usable.device.id()) == facts.named) {
        return named.decision();
    }
    let ask = match facts.policy.device_selection {
        DeviceSelection::DefaultToFirst => false,
        // What is for the day on which all else is lost makes nobody choose each day.
        DeviceSelection::PromptToSelect => {
            usable.iter().filter(|usable| !usable.device.is_last_resort()).count() > 1
        }
        DeviceSelection::AlwaysDisplayDevices => true,
    };
    if ask {
        Decision::Select { devices: usable.iter().map(|usable| usable.device.id()).collect() }
    } else {
        first.decision()
    }
}

fn no_usable_device(facts: Facts<'_>, now: Timestamp) -> Decision {
    let all = AnyDevice::all(facts.devices, facts.authenticators);
    // The reason is that of the default device, the first.
    let mut barred = all.into_iter().filter_map(|device| match device {
        AnyDevice::Phone(phone) => {
            let rules = facts.policy.application(phone.installation.application)?;
            let silent = is_out_of_reach(rules, phone, facts.reach);
            bar(device, facts.reach, now).or(silent.then_some(Reason::NoUsableDevice))
        }
        AnyDevice::Authenticator(authenticator) => is_accepted(facts.policy, authenticator)
            .then(|| bar(device, facts.reach, now))
            .flatten(),
    });
    barred.next().map_or_else(|| without_device(facts), Decision::Block)
}

/// What keeps a device from being asked, for those that the policy has a method for.
#[must_use]
pub fn bar(device: AnyDevice<'_>, reach: &Reach, now: Timestamp) -> Option<Reason> {
    let is_stopped = match device {
        AnyDevice::Phone(phone) => reach.is_stopped(phone),
        AnyDevice::Authenticator(_) => false,
    };
    match device.state()?.settled(now) {
        DeviceState::Blocked { .. } => Some(Reason::DeviceBlocked),
        DeviceState::Locked { .. } => Some(Reason::DeviceLocked),
        DeviceState::Active { .. } if is_stopped => Some(Reason::PushesStopped),
        DeviceState::Active { .. } | DeviceState::Removed { .. } => None,
    }
}

/// Whether a device would be asked by push, if a message could be brought to where the phone says that it is. Such a user has
/// a device: what a push service says of it, or credentials that are gone, switch no second factor off.
fn is_out_of_reach(rules: &MobileApplication, device: &Device, reach: &Reach) -> bool {
    let wants = device.installation.push.as_ref().is_some_and(|push| push.enabled);
    rules.push.enabled && device.verification.is_some() && wants && !reach.covers(device)
}

fn without_device(facts: Facts<'_>) -> Decision {
    match facts.no_devices_mode {
        NoDevicesMode::Bypass if facts.authenticated => Decision::Bypass,
        NoDevicesMode::Bypass | NoDevicesMode::Block => Decision::Block(Reason::NoUsableDevice),
    }
}

#[cfg(test)]
mod tests;
