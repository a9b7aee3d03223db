//! Flows: one run of authorize, from request to code or error. The sign-on policy as it runs.

mod judge;
mod machine;

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::judge::{Conditions, Judge};
pub use self::machine::{apply, begin};
use self::machine::{failed, first};
use crate::{
    access_control::AccessControl,
    application::AttributeMapping,
    audit,
    authentication_code::{AuthenticationCode, Candidate},
    authorization::AuthorizationRequest,
    challenge::{Challenge, Outcome},
    device::Device,
    environment::Environment,
    id::Id,
    installation::Installation,
    mfa::{Decision, Reason},
    mfa_policy::{ExtraVerification, MfaPolicy},
    password::Password,
    session::Session,
    sign_on_policy::ActionKind,
    user::User,
};

/// How long a flow waits for the person, in seconds. Each step begins it anew.
pub const IDLE_SECONDS: i64 = 900;

/// How long a flow may last in all, in seconds: what was proved in it does not stay true for ever.
pub const LIFE_SECONDS: i64 = 3_600;

/// One run of authorize.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Its id.
    pub id: Id<Flow>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// What the application asked for.
    pub request: AuthorizationRequest,
    /// Name of the sign-on policy.
    pub acr: String,
    /// Its steps as they were when the flow began, so that a change of the policy does not shift a running flow.
    pub actions: Vec<ActionKind>,
    /// When they run, if some of them do not always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Box<Conditions>>,
    /// The claims without which its application takes nobody, as they were when it began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_claims: Vec<AttributeMapping>,
    /// Which users its application takes, as it was when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_control: Option<AccessControl>,
    /// The phone that signed the mobile payload of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation: Option<Installation>,
    /// The session that it began in, and the one that it has completed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Id<Session>>,
    /// What that session had proved when the flow began, if that counts here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<Identity>,
    /// Keyed hash of the cookie of the browser or app that began it, base64url.
    pub browser: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
    /// When it is forgotten: [`IDLE_SECONDS`] after its last step, [`LIFE_SECONDS`] after its first at the latest.
    pub expires_at: Timestamp,
    /// How far it has come.
    pub state: State,
    /// What happened without the person's doing on the way here, so that the next page can say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<Notice>,
}

/// What happens to a flow without the person's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// The device that was asked can no longer answer, so the flow went on without it.
    DeviceGone,
}

/// How far a flow has come. `step` counts the actions of the policy from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Waits for a user name.
    Identifier { step: usize },
    /// Waits for a user name and a password.
    Login { step: usize },
    /// Waits for the password of a user name, which may be nobody's. `proved` is there when steps before this one have
    /// proved something of the user.
    Password {
        step: usize,
        username: String,
        user: Option<Id<User>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proved: Option<Identity>,
    },
    /// Shows a code, by which a person signs on with a paired phone instead of a user name and a password.
    AuthenticationCode { step: usize, code: Id<AuthenticationCode> },
    /// Waits for another password: the one that was given serves only to choose it.
    PasswordChange { step: usize, identity: Identity },
    /// Waits for the decision on the MFA step. Never stored: the transaction that comes here goes on.
    Deciding { step: usize, identity: Identity },
    /// Waits for the choice of a device.
    DeviceSelection { step: usize, identity: Identity },
    /// Waits for a passcode of a device.
    Passcode { step: usize, identity: Identity, device: Id<Device> },
    /// Waits, until that time, for the phone on which the person signs on to answer a silent push.
    Verification {
        step: usize,
        identity: Identity,
        device: Id<Device>,
        challenge: Id<Challenge>,
        until: Timestamp,
        mode: ExtraVerification,
    },
    /// Waits, until that time, for the person to answer on a device.
    Push {
        step: usize,
        identity: Identity,
        device: Id<Device>,
        challenge: Id<Challenge>,
        until: Timestamp,
    },
    /// The person has not answered on the device in time, and can choose what now.
    PushTimedOut { step: usize, identity: Identity, device: Id<Device> },
    /// Done: the application gets a code.
    Completed { identity: Identity },
    /// Done: the application gets an error.
    Failed { user: Option<Id<User>>, why: Failure },
}

/// Who signs in, and what is proved of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Who.
    pub user: Id<User>,
    /// How, in the order in which it happened.
    pub methods: Vec<Method>,
    /// When the last proof was given; none: the user is only named.
    pub authenticated_at: Option<Timestamp>,
    /// The MFA policy that the last MFA step ran under.
    pub mfa_policy: Option<Id<MfaPolicy>>,
    /// When the user last gave a password, or what took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_on_at: Option<Timestamp>,
    /// What was last shown that the user has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub possession: Option<Possession>,
    /// The device on which the person has approved an authentication code. That takes the place of a password, and MFA steps that
    /// accept the device ask no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanned: Option<Id<Device>>,
}

/// A device that has vouched for its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Possession {
    /// Which.
    pub device: Id<Device>,
    /// When.
    pub at: Timestamp,
}

/// A way to prove who one is: the values of `amr` (RFC 8176).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Password.
    Pwd,
    /// One-time passcode.
    Otp,
    /// Possession of a key. Software or hardware is not known without attestation, so the weaker is said.
    Swk,
    /// More than one channel: a message of a push service has arrived too.
    Mca,
    /// The person was there.
    User,
    /// Fingerprint, as the app says.
    Fpt,
    /// Face, as the app says.
    Face,
    /// PIN, as the app says.
    Pin,
    /// More than one factor.
    Mfa,
}

impl State {
    /// The device that is asked now.
    #[must_use]
    pub const fn asked_device(&self) -> Option<Id<Device>> {
        match self {
            Self::Passcode { device, .. }
            | Self::Verification { device, .. }
            | Self::Push { device, .. }
            | Self::PushTimedOut { device, .. } => Some(*device),
            Self::Identifier { .. }
            | Self::Login { .. }
            | Self::Password { .. }
            | Self::AuthenticationCode { .. }
            | Self::PasswordChange { .. }
            | Self::Deciding { .. }
            | Self::DeviceSelection { .. }
            | Self::Completed { .. }
            | Self::Failed { .. } => None,
        }
    }
}

impl Method {
    /// What an app says of how it has verified its user. For words that are not of RFC 8176, that somebody was there.
    #[must_use]
    pub fn of_app(word: &str) -> Self {
        match word {
            "fpt" => Self::Fpt,
            "face" => Self::Face,
            "pin" => Self::Pin,
            _ => Self::User,
        }
    }

    /// Its name in `amr`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pwd => "pwd",
            Self::Otp => "otp",
            Self::Swk => "swk",
            Self::Mca => "mca",
            Self::User => "user",
            Self::Fpt => "fpt",
            Self::Face => "face",
            Self::Pin => "pin",
            Self::Mfa => "mfa",
        }
    }
}

/// Why a flow failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The MFA step failed.
    Mfa(Reason),
    /// The person gave up.
    Cancelled,
    /// Somebody else signed in than the application asked for.
    OtherUser,
    /// The sign-on policy has no steps, so nobody can prove anything.
    NoSteps,
    /// The user has no value for one of the required claims of the flow, counted from 0.
    MissingClaim { place: usize },
    /// The application does not take the user.
    NotAdmitted,
}

/// What a flow follows from its beginning to its end.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The steps of the sign-on policy.
    pub actions: &'a [ActionKind],
    /// The only user that it may complete for, if the application has named one.
    pub user: Option<Id<User>>,
    /// What decides which of the steps run; none: all do.
    pub judge: Option<Judge<'a>>,
}

/// What is known of the person when a flow begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    Nobody,
    /// Who it should be, by an ID token of before: a name, which proves nothing.
    Named { user: Id<User>, username: String },
    /// Who it is, by a session or by the word of the application.
    Proved(Identity),
}

/// What can happen to a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The person gave a user name; `user` is whose it is, if anybody's.
    Identified { username: String, user: Option<Id<User>> },
    /// The password of this user was right. `must_change`: it serves only to choose another one.
    PasswordAccepted { user: Id<User>, must_change: bool },
    /// The person wants to sign on by this code, with a phone.
    CodeShown { code: Id<AuthenticationCode> },
    /// A user has approved the code, verified by the phone.
    CodeApproved { code: Id<AuthenticationCode>, by: Candidate },
    /// The user has another password, which was chosen in this flow.
    PasswordChanged,
    /// The MFA step was decided under this policy. `challenge` is the id of the question that follows, if one does.
    Decided { policy: Id<MfaPolicy>, decision: Decision, challenge: Id<Challenge> },
    /// The person chose one of the usable devices, and is asked for it in this way.
    DeviceChosen { device: Id<Device>, ask: Ask },
    /// The person wants another device than the one that is asked.
    AnotherDevice,
    /// A passcode of the chosen device was right.
    PasscodeAccepted,
    /// The chosen device can no longer be used.
    DeviceLost,
    /// The question to the device has come to an end.
    Answered { challenge: Id<Challenge>, outcome: Outcome },
    /// The person begins again, maybe as another user.
    Reset,
    /// The person gives up.
    Cancelled,
}

/// How the person is asked for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// For a passcode.
    Passcode,
    /// For a passcode that is sent there.
    Message,
    /// On the device itself, by this question, for so many seconds.
    Push { challenge: Id<Challenge>, seconds: u16 },
}

/// The next state and what must be committed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The next state.
    pub state: State,
    /// What must be committed with it.
    pub effects: Vec<Effect>,
}

/// What must be committed with a change of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A line in the audit log.
    Audit { action: audit::Action, reason: Option<&'static str>, device: Option<Id<Device>> },
    /// The grant comes to be, and with it the code.
    IssueGrant,
    /// A question is put to a device.
    Ask { challenge: Id<Challenge>, device: Id<Device>, visible: bool, until: Timestamp },
    /// A passcode is sent to a device.
    Send { device: Id<Device> },
    /// The question needs no answer any more.
    Withdraw { challenge: Id<Challenge> },
    /// The code is shown no more.
    WithdrawCode { code: Id<AuthenticationCode> },
}

/// Why an event does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The flow waits for something else.
    #[error("the flow does not wait for this")]
    NotNow,
    /// The password is that of another user than the one that the flow is about.
    #[error("the flow is about another user")]
    OtherUser,
}

impl Flow {
    /// When a flow that moves now is forgotten.
    #[must_use]
    pub fn expiry(created_at: Timestamp, now: Timestamp) -> Timestamp {
        now.plus_seconds(IDLE_SECONDS).min(created_at.plus_seconds(LIFE_SECONDS))
    }

    /// The phone that signed the mobile payload, as long as that says something about now.
    #[must_use]
    pub fn fresh_installation(&self, now: Timestamp) -> Option<&Installation> {
        let fresh = now < self.created_at.plus_seconds(IDLE_SECONDS);
        self.installation.as_ref().filter(|_| fresh)
    }

    /// What it follows. `user` is who signs in, where conditions are about it.
    #[must_use]
    pub fn plan<'a>(&'a self, user: Option<&'a User>, now: Timestamp) -> Plan<'a> {
        let judge = self.conditions.as_ref().map(|conditions| Judge {
            conditions,
            resumed: self.resumed.as_ref(),
            user,
            now,
        });
        Plan { actions: &self.actions, user: self.request.user, judge }
    }

    /// How a flow begins when nothing is known of the person, and all its steps run.
    #[must_use]
    pub fn first(actions: &[ActionKind]) -> State {
        first(Plan { actions, user: None, judge: None })
    }
}

impl Notice {
    /// What there is to say after an event.
    #[must_use]
    pub const fn after(event: &Event) -> Option<Self> {
        match event {
            Event::Answered { outcome: Outcome::DeviceGone, .. } => Some(Self::DeviceGone),
            Event::Answered {
                outcome:
                    Outcome::Acknowledged
                    | Outcome::Approved(_)
                    | Outcome::Denied
                    | Outcome::Unanswered
                    | Outcome::Undeliverable,
                ..
            }
            | Event::Identified { .. }
            | Event::PasswordAccepted { .. }
            | Event::PasswordChanged
            | Event::CodeShown { .. }
            | Event::CodeApproved { .. }
            | Event::Decided { .. }
            | Event::DeviceChosen { .. }
            | Event::AnotherDevice
            | Event::PasscodeAccepted
            | Event::DeviceLost
            | Event::Reset
            | Event::Cancelled => None,
        }
    }
}

impl Identity {
    /// A user who is named, and has proved nothing.
    #[must_use]
    pub const fn named(user: Id<User>) -> Self {
        Self {
            user,
            methods: Vec::new(),
            authenticated_at: None,
            mfa_policy: None,
            signed_on_at: None,
            possession: None,
            scanned: None,
        }
    }

    /// Whether it rests on a password that was changed since, or must be: who knew that one may be somebody else.
    #[must_use]
    pub fn is_outdated_by(&self, password: &Password) -> bool {
        let changed = Some(password.changed_at) > self.authenticated_at;
        self.methods.contains(&Method::Pwd) && (password.must_change || changed)
    }

    /// Whether the user has given a password, or approved an authentication code in its place.
    #[must_use]
    pub fn has_signed_on(&self) -> bool {
        self.methods.contains(&Method::Pwd) || self.scanned.is_some()
    }

    /// Whether it was shown that the user has something.
    #[must_use]
    pub fn has_possession(&self) -> bool {
        self.methods.iter().any(|method| match method {
            Method::Otp | Method::Swk => true,
            Method::Pwd
            | Method::Mfa
            | Method::Mca
            | Method::User
            | Method::Fpt
            | Method::Face
            | Method::Pin => false,
        })
    }

    /// After a proof that a device has given.
    fn vouched_by(self, device: Id<Device>, now: Timestamp) -> Self {
        Self { possession: Some(Possession { device, at: now }), ..self }
    }

    /// After one more proof. Two factors of different kinds make it multi-factor.
    fn proved(&self, method: Method, now: Timestamp) -> Self {
        let mut methods = self.methods.clone();
        methods.retain(|known| *known != method && *known != Method::Mfa);
        methods.push(method);
        let mut identity = Self { methods, authenticated_at: Some(now), ..self.clone() };
        if method == Method::Pwd {
            identity.signed_on_at = Some(now);
        }
        if identity.methods.contains(&Method::Pwd) && identity.has_possession() {
            identity.methods.push(Method::Mfa);
        }
        identity
    }
}

impl Failure {
    /// Its name in audit records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled_by_user",
            Self::OtherUser => "other_user",
            Self::NoSteps => "policy_without_steps",
            Self::MissingClaim { .. } => "missing_claim",
            Self::NotAdmitted => "not_admitted",
            Self::Mfa(reason) => match reason {
                Reason::NoUsableDevice => "no_usable_device",
                Reason::DeviceBlocked => "device_blocked",
                Reason::DeviceLocked => "device_locked",
                Reason::UserLocked => "user_locked",
                Reason::MfaDisabled => "mfa_disabled",
                Reason::Compromised => "device_compromised",
                Reason::ExtraVerificationFailed => "extra_verification_failed",
                Reason::PushDenied => "push_denied",
                Reason::PushesStopped => "pushes_stopped",
            },
        }
    }
}

impl Step {
    /// The step with a failure in the place of its completion. What happened before that has happened.
    #[must_use]
    pub fn failed_instead(mut self, user: Id<User>, why: Failure) -> Self {
        self.effects.retain(|effect| match effect {
            Effect::IssueGrant => false,
            Effect::Audit { action, .. } => *action != audit::Action::AccessAllowed,
            Effect::Ask { .. }
            | Effect::Send { .. }
            | Effect::Withdraw { .. }
            | Effect::WithdrawCode { .. } => true,
        });
        let failed = failed(Some(user), why);
        self.effects.extend(failed.effects);
        Self { state: failed.state, ..self }
    }

    const fn to(state: State) -> Self {
        Self { state, effects: Vec::new() }
    }

    /// The step, and this code is shown no more.
    fn withdrawing_code(mut self, code: Id<AuthenticationCode>) -> Self {
        self.effects.insert(0, Effect::WithdrawCode { code });
        self
    }

    /// The step, and nobody waits for the answer to this question any more.
    fn withdrawing(mut self, challenge: Id<Challenge>) -> Self {
        self.effects.insert(0, Effect::Withdraw { challenge });
        self
    }
}

impl Effect {
    const fn audit(action: audit::Action, reason: Option<&'static str>) -> Self {
        Self::Audit { action, reason, device: None }
    }
}

#[cfg(test)]
mod tests;
