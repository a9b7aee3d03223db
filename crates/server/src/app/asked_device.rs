//! The device that a person is asked a passcode of: which passcodes are right, and what becomes of the device.

use countersign_domain::{
    audit,
    authenticator::{self as authenticators, AnyDevice, Authenticator, Kind, RecoveryCode},
    device::{self as devices, Device, Effect, Event},
    environment::Environment,
    flow::Flow,
    id::Id,
    lockout::Limit,
    mfa_policy::MfaPolicy,
    user::User,
};
use countersign_protocol::{
    otp::{self, DEFAULT_STEP_SECONDS},
    secret::Secret,
    time::Timestamp,
};
use countersign_store::{StoreError, Tx, Versioned, application, authenticator, device};

use super::{App, Call, Fault, Realm, installation::open_seed};
use crate::keys::{KeyError, Place, Vault};

/// A device that is asked.
pub(super) enum AskedDevice {
    Phone(Box<Versioned<Device>>),
    Authenticator(Box<Versioned<Authenticator>>),
}

/// How passcodes of a device count under a policy.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// Wrong ones in a row that lock it.
    pub limit: Limit,
    /// How many before and after the present one count too.
    pub grace_steps: u8,
    /// How long one that was sent is good.
    pub life_seconds: u32,
}

/// A passcode that fits.
pub(super) struct Matching {
    /// Of which step it is. It counts if none of this or a later step has.
    pub step: i64,
    /// What an authenticator is without it.
    pub rest: Option<Kind>,
}

impl AskedDevice {
    /// A device of this user.
    pub async fn load(
        tx: &mut Tx<'_>,
        environment: Id<Environment>,
        (id, user): (Id<Device>, Id<User>),
    ) -> Result<Option<Self>, StoreError> {
        let phone = device::load(tx, environment, id).await?;
        if let Some(phone) = phone {
            return Ok((phone.user == user).then(|| Self::Phone(Box::new(phone))));
        }
        let found = authenticator::load(tx, environment, id).await?;
        let found = found.filter(|found| found.user == user);
        Ok(found.map(|found| Self::Authenticator(Box::new(found))))
    }

    /// The device, whatever it is.
    pub fn any(&self) -> AnyDevice<'_> {
        match self {
            Self::Phone(phone) => AnyDevice::Phone(phone),
            Self::Authenticator(authenticator) => AnyDevice::Authenticator(authenticator),
        }
    }

    /// How its passcodes count; nothing if they do not.
    pub async fn rules(
        &self,
        tx: &mut Tx<'_>,
        policy: &MfaPolicy,
    ) -> Result<Option<Rules>, StoreError> {
        match self {
            Self::Phone(phone) => {
                let id = phone.installation.application;
                let counts = policy.application(id).is_some_and(|rules| rules.passcode_enabled);
                let application = application::load(tx, phone.environment, id).await?;
                let mobile = application.and_then(|application| application.mobile.clone());
                Ok(mobile.filter(|_| counts).map(|mobile| Rules {
                    limit: policy.mobile.passcode_limit,
                    grace_steps: mobile.passcode_grace_steps,
                    life_seconds: 0,
                }))
            }
            Self::Authenticator(authenticator) => {
                let limit = policy.authenticators.limit_of(&authenticator.kind);
                let totp = policy.authenticators.totp.as_ref();
                let grace_steps = totp.map_or(0, |totp| totp.grace_steps);
                let messages = policy.authenticators.messages(&authenticator.kind);
                let life_seconds = messages.map_or(0, |rules| rules.life_seconds);
                Ok(limit.map(|limit| Rules { limit, grace_steps, life_seconds }))
            }
        }
    }

    /// Whether a passcode is one of its own.
    pub fn matching(
        &self,
        (app, realm): (&App, &Realm),
        (rules, flow): (Rules, Id<Flow>),
        passcode: &Secret<String>,
        now: Timestamp,
    ) -> Result<Option<Matching>, KeyError> {
        let text = passcode.expose().trim();
        match self {
            Self::Phone(phone) => {
                let seed = open_seed(&app.vault, phone)?;
                let step = phone.passcode_step_seconds.into();
                let step = otp::matching_step(seed.expose(), step, rules.grace_steps, text, now);
                Ok(step.map(|step| Matching { step, rest: None }))
            }
            Self::Authenticator(of) => match &of.kind {
                Kind::Totp { .. } => {
                    let step = matching_step((&app.vault, of), rules.grace_steps, text, now)?;
                    Ok(step.map(|step| Matching { step, rest: None }))
                }
                Kind::RecoveryCodes { hashes } => {
                    let Ok(code) = text.parse::<RecoveryCode>() else { return Ok(None) };
                    let hash = realm.recovery_code_hash(of.id, &code);
                    if !hashes.contains(&hash) {
                        return Ok(None);
                    }
                    let hashes = hashes.iter().filter(|known| **known != hash).cloned().collect();
                    let rest = Some(Kind::RecoveryCodes { hashes });
                    Ok(Some(Matching { step: of.next_step(), rest }))
                }
                Kind::Email(target) | Kind::Sms(target) | Kind::Voice(target) => {
                    let sending = target.good_for(flow, rules.life_seconds, now);
                    let right = sending.filter(|sending| realm.is_sent_passcode(sending, text));
                    Ok(right.map(|sending| {
                        let rest = Some(of.kind.with_target(target.without(sending.id)));
                        Matching { step: of.next_step(), rest }
                    }))
                }
            },
        }
    }

    /// Lets a passcode count, or be one that was wrong. A code that has counted before is as wrong as any other. Says whether it
    /// was right, and whether the flow can go on waiting for the device.
    pub async fn count(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        flow: &Flow,
        (matching, limit): (Option<Matching>, Limit),
    ) -> Result<(bool, bool), Fault> {
        let wrong = Event::PasscodeWrong { limit };
        let (event, rest) = match matching {
            Some(Matching { step, rest }) => (Event::PasscodeMatched { step }, rest),
            None => (wrong, None),
        };
        let refused = || Fault::broken("a usable device refuses a passcode");
        let (effects, goes_on) = match self {
            Self::Phone(old) => {
                let step = devices::apply(&old.state, event, call.now)
                    .or_else(|_| devices::apply(&old.state, wrong, call.now))
                    .map_err(|_| refused())?;
                let new = Device { state: step.state, ..(***old).clone() };
                device::swap(tx, old, &new).await?;
                (step.effects, new.is_usable(call.now))
            }
            Self::Authenticator(old) => {
                let matched = authenticators::apply(&old.state, event, call.now);
                let kind = rest.filter(|_| matched.is_ok()).unwrap_or_else(|| old.kind.clone());
                let step = matched
                    .or_else(|_| authenticators::apply(&old.state, wrong, call.now))
                    .map_err(|_| refused())?;
                let locked = Effect::Audit { action: audit::Action::DeviceLocked, reason: None };
                let locks = step.effects.contains(&locked);
                let kind = if locks { kind.without_passcodes() } else { kind };
                let new = Authenticator { kind, state: step.state, ..(***old).clone() };
                authenticator::swap(tx, old, &new).await?;
                // A lock may be over as soon as it begins. What was sent before it counts no more all the same.
                let is_usable = AnyDevice::Authenticator(&new).is_usable(call.now);
                (step.effects, is_usable && !locks)
            }
        };
        let accepted = !effects.contains(&Effect::CountUserFailure);
        self.tell(tx, call, flow, effects).await?;
        Ok((accepted, goes_on))
    }

    async fn tell(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        flow: &Flow,
        effects: Vec<Effect>,
    ) -> Result<(), Fault> {
        let user = match self {
            Self::Phone(phone) => phone.user,
            Self::Authenticator(authenticator) => authenticator.user,
        };
        for effect in effects {
            match effect {
                Effect::Audit { action, reason } => {
                    let event = audit::Event::of(action, reason).about(user).on(self.any());
                    let event = event.within(flow.id).through(flow.request.application);
                    call.audit(tx, event).await?;
                }
                // Counted by the caller, who has the user.
                Effect::CountUserFailure => {}
                Effect::Delete => return Err(Fault::broken("a passcode deletes a device")),
            }
        }
        Ok(())
    }
}

const SEED: &str = "authenticators.seed";

/// Where the seed of an authenticator app rests.
pub(super) const fn totp_place(id: &Id<Device>) -> Place<'_> {
    Place { column: SEED, row: id.as_bytes() }
}

/// The time step whose passcode this is, of an authenticator app.
pub(super) fn matching_step(
    (vault, of): (&Vault, &Authenticator),
    grace_steps: u8,
    passcode: &str,
    now: Timestamp,
) -> Result<Option<i64>, KeyError> {
    let Kind::Totp { seed } = &of.kind else { return Ok(None) };
    let seed = vault.open(totp_place(&of.id), seed)?;
    // Apps show the six digits in two groups, and some people type them so.
    let digits: String = passcode.chars().filter(|c| !c.is_whitespace()).collect();
    let step = DEFAULT_STEP_SECONDS;
    Ok(otp::matching_step(seed.expose(), step, grace_steps, &digits, now))
}
