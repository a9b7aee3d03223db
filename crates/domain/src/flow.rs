//! Flows: one run of authorize, from request to code or error. The sign-on policy as it runs.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    application::AttributeMapping,
    audit,
    authorization::AuthorizationRequest,
    challenge::{Challenge, Outcome, SILENT_SECONDS},
    device::Device,
    environment::Environment,
    id::Id,
    installation::Installation,
    mfa::{Decision, Reason, Verification},
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
    /// The claims without which its application takes nobody, as they were when it began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_claims: Vec<AttributeMapping>,
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
    /// When it is forgotten: [`IDLE_SECONDS`] after its last step, [`LIFE_SECONDS`] after its first at the latest.
    pub expires_at: Timestamp,
    /// How far it has come.
    pub state: State,
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
    /// The user has no value for one of the required claims of the flow, counted from 0.
    MissingClaim { place: usize },
}

/// What a flow follows from its beginning to its end.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The steps of the sign-on policy.
    pub actions: &'a [ActionKind],
    /// The only user that it may complete for, if the application has named one.
    pub user: Option<Id<User>>,
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
    /// The question needs no answer any more.
    Withdraw { challenge: Id<Challenge> },
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

    /// What it follows.
    #[must_use]
    pub fn plan(&self) -> Plan<'_> {
        Plan { actions: &self.actions, user: self.request.user }
    }

    /// How a flow begins when nothing is known of the person.
    #[must_use]
    pub fn first(actions: &[ActionKind]) -> State {
        match actions.first() {
            Some(ActionKind::Login) | None => State::Login { step: 0 },
            // Before a device can be asked for, it must be known whose.
            Some(ActionKind::IdentifierFirst | ActionKind::MultiFactorAuthentication { .. }) => {
                State::Identifier { step: 0 }
            }
        }
    }
}

/// How a flow begins. What the session has proved is not asked for again; each MFA step is decided anew all the same.
#[must_use]
pub fn begin(plan: Plan<'_>, known: Known) -> Step {
    match known {
        Known::Nobody => Step::to(Flow::first(plan.actions)),
        Known::Named { user, username } => identified(plan, 0, username, Some(user)),
        Known::Proved(identity) => next(plan, 0, identity),
    }
}

/// The whole life of a flow.
#[expect(
    clippy::too_many_lines,
    reason = "the machine is read as one, and each refusal is written down"
)]
pub fn apply(plan: Plan<'_>, state: &State, event: Event, now: Timestamp) -> Result<Step, Refusal> {
    match state {
        State::Identifier { step } => match event {
            Event::Identified { username, user } => Ok(identified(plan, *step, username, user)),
            Event::Reset => Ok(Step::to(Flow::first(plan.actions))),
            Event::Cancelled => Ok(cancelled(None)),
            Event::PasswordAccepted { .. }
            | Event::Decided { .. }
            | Event::DeviceChosen { .. }
            | Event::AnotherDevice
            | Event::PasscodeAccepted
            | Event::DeviceLost
            | Event::Answered { .. }
            | Event::PasswordChanged => Err(Refusal::NotNow),
        },
        State::Login { step } => match event {
            Event::PasswordAccepted { user, must_change } => {
                let identity = Identity::named(user).proved(Method::Pwd, now);
                Ok(password_accepted(plan, *step, identity, must_change))
            }
            Event::Reset => Ok(Step::to(Flow::first(plan.actions))),
            Event::Cancelled => Ok(cancelled(None)),
            Event::Identified { .. }
            | Event::Decided { .. }
            | Event::DeviceChosen { .. }
            | Event::AnotherDevice
            | Event::PasscodeAccepted
            | Event::DeviceLost
            | Event::Answered { .. }
            | Event::PasswordChanged => Err(Refusal::NotNow),
        },
        State::Password { step, user: expected, proved, .. } => match event {
            Event::PasswordAccepted { user, must_change } if Some(user) == *expected => {
                let identity = proved.clone().unwrap_or_else(|| Identity::named(user));
                let identity = identity.proved(Method::Pwd, now);
                Ok(password_accepted(plan, *step, identity, must_change))
            }
            Event::PasswordAccepted { .. } => Err(Refusal::OtherUser),
            Event::Reset => Ok(Step::to(Flow::first(plan.actions))),
            Event::Cancelled => Ok(cancelled(*expected)),
            Event::Identified { .. }
            | Event::Decided { .. }
            | Event::DeviceChosen { .. }
            | Event::AnotherDevice
            | Event::PasscodeAccepted
            | Event::DeviceLost
            | Event::Answered { .. }
            | Event::PasswordChanged => Err(Refusal::NotNow),
        },
        State::PasswordChange { step, identity } => match event {
            // Proved anew, since what rests on an older password than the present one does not count.
            Event::PasswordChanged => {
                let mut changed = next(plan, step + 1, identity.proved(Method::Pwd, now));
                changed.effects.insert(0, Effect::audit(audit::Action::PasswordReset, None));
                Ok(changed)
            }
            Event::Reset => Ok(Step::to(Flow::first(plan.actions))),
            Event::Cancelled => Ok(cancelled(Some(identity.user))),
            Event::Identified { .. }
            | Event::PasswordAccepted { .. }
            | Event::Decided { .. }
            | Event::DeviceChosen { .. }
            | Event::AnotherDevice
            | Event::PasscodeAccepted
            | Event::DeviceLost
            | Event::Answered { .. } => Err(Refusal::NotNow),
        },
        State::Deciding { step, identity } => match event {
            Event::Decided { policy, decision, challenge } => {
                let identity = Identity { mfa_policy: Some(policy), ..identity.clone() };
                Ok(decided(plan, (*step, identity), &decision, challenge, now))
            }
            Event::Identified { .. }
            | Event::PasswordAccepted { .. }
            | Event::DeviceChosen { .. }
            | Event::AnotherDevice
            | Event::PasscodeAccepted
            | Event::DeviceLost
            | Event::Answered { .. }
            | Event::PasswordChanged
            | Event::Reset
            | Event::Cancelled => Err(Refusal::NotNow),
        },
        State::DeviceSelection { step, identity } => match event {
            Event::DeviceChosen { device, ask } => Ok(asked(*step, identity, device, ask, now)),
            Event::Reset => Ok(Step::to(Flow::first(plan.actions))),
            Event::Cancelled => Ok(cancelled(Some(identity.user))),
            Event::AnotherDevice
            | Event::Identified { .. }
            | Event::PasswordAccepted { .. }
            | Event::Decided { .. }
            | Event::PasscodeAccepted
            | Event::DeviceLost
            | Event::Answered { .. }
            | Event::PasswordChanged => Err(Refusal::NotNow),
        },
        State::Passcode { step, identity, .. } | State::PushTimedOut { step, identity, .. } => {
            device_step(plan, (*step, identity), event, now)
        }
        State::Push { step, identity, challenge, .. } => match event {
            Event::Answered { challenge: answered, outcome } if answered == *challenge => {
                push_ended(plan, state, outcome, now)
            }
            event => Ok(device_step(plan, (*step, identity), event, now)?.withdrawing(*challenge)),
        },
        State::Verification { step, identity, challenge, .. } => match event {
            Event::Answered { challenge: answered, outcome } if answered == *challenge => {
                verification_ended(plan, state, outcome, now)
            }
            Event::DeviceLost => Ok(deciding(*step, identity).withdrawing(*challenge)),
            Event::Reset => Ok(Step::to(Flow::first(plan.actions)).withdrawing(*challenge)),
            Event::Cancelled => Ok(cancelled(Some(identity.user)).withdrawing(*challenge)),
            Event::Identified { .. }
            | Event::PasswordAccepted { .. }
            | Event::PasswordChanged
            | Event::Decided { .. }
            | Event::DeviceChosen { .. }
            | Event::AnotherDevice
            | Event::PasscodeAccepted
            | Event::Answered { .. } => Err(Refusal::NotNow),
        },
        State::Completed { .. } | State::Failed { .. } => match event {
            Event::Identified { .. }
            | Event::PasswordAccepted { .. }
            | Event::Decided { .. }
            | Event::DeviceChosen { .. }
            | Event::AnotherDevice
            | Event::PasscodeAccepted
            | Event::DeviceLost
            | Event::Answered { .. }
            | Event::PasswordChanged
            | Event::Reset
            | Event::Cancelled => Err(Refusal::NotNow),
        },
    }
}

/// What a person can do who is asked for a device, by whatever way.
fn device_step(
    plan: Plan<'_>,
    (step, identity): (usize, &Identity),
    event: Event,
    now: Timestamp,
) -> Result<Step, Refusal> {
    match event {
        Event::PasscodeAccepted => Ok(next(plan, step + 1, identity.proved(Method::Otp, now))),
        Event::DeviceChosen { device, ask } => Ok(asked(step, identity, device, ask, now)),
        Event::AnotherDevice => {
            Ok(Step::to(State::DeviceSelection { step, identity: identity.clone() }))
        }
        Event::DeviceLost => Ok(deciding(step, identity)),
        Event::Reset => Ok(Step::to(Flow::first(plan.actions))),
        Event::Cancelled => Ok(cancelled(Some(identity.user))),
        Event::Identified { .. }
        | Event::PasswordAccepted { .. }
        | Event::PasswordChanged
        | Event::Decided { .. }
        | Event::Answered { .. } => Err(Refusal::NotNow),
    }
}

/// A question to the person has come to an end.
fn push_ended(
    plan: Plan<'_>,
    state: &State,
    outcome: Outcome,
    now: Timestamp,
) -> Result<Step, Refusal> {
    let State::Push { step, identity, device, .. } = state else { return Err(Refusal::NotNow) };
    match outcome {
        Outcome::Approved(method) => {
            let methods = [Method::Swk, Method::Mca, method];
            let prove = |identity: Identity, method| identity.proved(method, now);
            Ok(next(plan, step + 1, methods.into_iter().fold(identity.clone(), prove)))
        }
        Outcome::Denied => Ok(failed(Some(identity.user), Failure::Mfa(Reason::PushDenied))),
        Outcome::Unanswered | Outcome::Undeliverable => {
            let (step, identity, device) = (*step, identity.clone(), *device);
            Ok(Step::to(State::PushTimedOut { step, identity, device }))
        }
        Outcome::DeviceGone => Ok(deciding(*step, identity)),
        Outcome::Acknowledged => Err(Refusal::NotNow),
    }
}

/// A silent push has come to an end: what is said in the table of the policy's extra verification.
fn verification_ended(
    plan: Plan<'_>,
    state: &State,
    outcome: Outcome,
    now: Timestamp,
) -> Result<Step, Refusal> {
    let State::Verification { step, identity, device, mode, .. } = state else {
        return Err(Refusal::NotNow);
    };
    let verification = match outcome {
        Outcome::Acknowledged => Verification::Acknowledged,
        Outcome::Unanswered => Verification::Unanswered,
        Outcome::Undeliverable => Verification::Impossible,
        Outcome::DeviceGone => return Ok(deciding(*step, identity)),
        Outcome::Approved(_) | Outcome::Denied => return Err(Refusal::NotNow),
    };
    let passes = match mode {
        ExtraVerification::Permissive => true,
        ExtraVerification::Restrictive => verification == Verification::Acknowledged,
    };
    if passes {
        return Ok(authorized(plan, (*step, identity), *device, verification, now));
    }
    let why = Failure::Mfa(Reason::ExtraVerificationFailed);
    Ok(failed(Some(identity.user), why))
}

/// The phone on which the person signs on passes the step.
fn authorized(
    plan: Plan<'_>,
    (step, identity): (usize, &Identity),
    device: Id<Device>,
    verification: Verification,
    now: Timestamp,
) -> Step {
    let proved = identity.proved(Method::Swk, now);
    let (reason, proved) = match verification {
        Verification::NotAsked => ("device_authorized", proved),
        Verification::Impossible => ("device_authorized_unverified", proved),
        Verification::Unanswered => ("device_authorized_unanswered", proved),
        Verification::Acknowledged => {
            ("device_authorized_verified", proved.proved(Method::Mca, now))
        }
    };
    let mut passed = next(plan, step + 1, proved);
    let action = audit::Action::DeviceAuthorized;
    let (reason, device) = (Some(reason), Some(device));
    passed.effects.insert(0, Effect::Audit { action, reason, device });
    passed
}

/// The person is asked for a device.
fn asked(step: usize, identity: &Identity, device: Id<Device>, ask: Ask, now: Timestamp) -> Step {
    let identity = identity.clone();
    match ask {
        Ask::Passcode => Step::to(State::Passcode { step, identity, device }),
        Ask::Push { challenge, seconds } => {
            let until = now.plus_seconds(seconds.into());
            let ask = Effect::Ask { challenge, device, visible: true, until };
            let state = State::Push { step, identity, device, challenge, until };
            Step { state, effects: vec![ask] }
        }
    }
}

fn deciding(step: usize, identity: &Identity) -> Step {
    Step::to(State::Deciding { step, identity: identity.clone() })
}

fn identified(plan: Plan<'_>, step: usize, username: String, user: Option<Id<User>>) -> Step {
    let device_first =
        matches!(plan.actions.get(step), Some(ActionKind::MultiFactorAuthentication { .. }));
    match user {
        Some(user) if device_first => {
            Step::to(State::Deciding { step, identity: Identity::named(user) })
        }
        // Nobody has no device: the same answer as for somebody without one.
        None if device_first => failed(None, Failure::Mfa(Reason::NoUsableDevice)),
        // Nobody is asked for a password too, so that user names cannot be found out here.
        Some(_) | None => Step::to(State::Password { step, username, user, proved: None }),
    }
}

fn password_accepted(plan: Plan<'_>, step: usize, identity: Identity, must_change: bool) -> Step {
    if must_change {
        return Step::to(State::PasswordChange { step, identity });
    }
    next(plan, step + 1, identity)
}

/// From this step on: the first that still asks for something, or the end.
fn next(plan: Plan<'_>, step: usize, identity: Identity) -> Step {
    let rest = plan.actions.iter().enumerate().skip(step);
    for (step, action) in rest {
        match action {
            // The user is known and has given a password, or a device that the policy puts before it.
            ActionKind::Login | ActionKind::IdentifierFirst
                if identity.methods.contains(&Method::Pwd) => {}
            ActionKind::Login | ActionKind::IdentifierFirst => {
                let (username, user) = (String::new(), Some(identity.user));
                return Step::to(State::Password { step, username, user, proved: Some(identity) });
            }
            ActionKind::MultiFactorAuthentication { .. } => {
                return Step::to(State::Deciding { step, identity });
            }
        }
    }
    if plan.user.is_some_and(|user| user != identity.user) {
        return failed(Some(identity.user), Failure::OtherUser);
    }
    let allowed = Effect::audit(audit::Action::AccessAllowed, None);
    Step { state: State::Completed { identity }, effects: vec![allowed, Effect::IssueGrant] }
}

fn decided(
    plan: Plan<'_>,
    (step, identity): (usize, Identity),
    decision: &Decision,
    challenge: Id<Challenge>,
    now: Timestamp,
) -> Step {
    match decision {
        Decision::Authorize { device, verification } => {
            authorized(plan, (step, &identity), *device, *verification, now)
        }
        Decision::Verify { device, mode } => {
            let (device, mode, until) = (*device, *mode, now.plus_seconds(SILENT_SECONDS));
            let ask = Effect::Ask { challenge, device, visible: false, until };
            let state = State::Verification { step, identity, device, challenge, until, mode };
            Step { state, effects: vec![ask] }
        }
        Decision::Push { device, seconds } => {
            let ask = Ask::Push { challenge, seconds: *seconds };
            asked(step, &identity, *device, ask, now)
        }
        // Whoever has proved nothing cannot skip a proof, whatever was decided.
        Decision::Continue if !identity.has_possession() => {
            failed(Some(identity.user), Failure::Mfa(Reason::NoUsableDevice))
        }
        Decision::Bypass if identity.authenticated_at.is_none() => {
            failed(Some(identity.user), Failure::Mfa(Reason::NoUsableDevice))
        }
        Decision::Continue | Decision::Bypass => next(plan, step + 1, identity),
        Decision::Passcode { device } => asked(step, &identity, *device, Ask::Passcode, now),
        Decision::Select { .. } => Step::to(State::DeviceSelection { step, identity }),
        Decision::Block(reason) => {
            let mut end = failed(Some(identity.user), Failure::Mfa(*reason));
            // Whoever has only named a user hears what a name that nobody has gets. The audit log has the reason.
            if identity.authenticated_at.is_none() {
                let why = Failure::Mfa(Reason::NoUsableDevice);
                end.state = State::Failed { user: Some(identity.user), why };
            }
            end
        }
    }
}

fn cancelled(user: Option<Id<User>>) -> Step {
    failed(user, Failure::Cancelled)
}

fn failed(user: Option<Id<User>>, why: Failure) -> Step {
    let denied = Effect::audit(audit::Action::AccessDenied, Some(why.name()));
    Step { state: State::Failed { user, why }, effects: vec![denied] }
}

impl Identity {
    /// A user who is named, and has proved nothing.
    #[must_use]
    pub const fn named(user: Id<User>) -> Self {
        Self { user, methods: Vec::new(), authenticated_at: None, mfa_policy: None }
    }

    /// Whether it rests on a password that was changed since, or must be: who knew that one may be somebody else.
    #[must_use]
    pub fn is_outdated_by(&self, password: &Password) -> bool {
        let changed = Some(password.changed_at) > self.authenticated_at;
        self.methods.contains(&Method::Pwd) && (password.must_change || changed)
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

    /// After one more proof. Two factors of different kinds make it multi-factor.
    fn proved(&self, method: Method, now: Timestamp) -> Self {
        let mut methods = self.methods.clone();
        methods.retain(|known| *known != method && *known != Method::Mfa);
        methods.push(method);
        let mut identity = Self { methods, authenticated_at: Some(now), ..self.clone() };
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
            Self::MissingClaim { .. } => "missing_claim",
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
            Effect::Ask { .. } | Effect::Withdraw { .. } => true,
        });
        let failed = failed(Some(user), why);
        self.effects.extend(failed.effects);
        Self { state: failed.state, ..self }
    }

    const fn to(state: State) -> Self {
        Self { state, effects: Vec::new() }
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
