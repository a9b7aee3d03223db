//! The flow as a machine: how it begins, and what each event makes of each state.

use countersign_protocol::time::Timestamp;

use super::{Ask, Effect, Event, Failure, Identity, Known, Method, Plan, Refusal, State, Step};
use crate::{
    audit,
    authentication_code::{AuthenticationCode, Candidate},
    challenge::{Challenge, Outcome, SILENT_SECONDS},
    device::Device,
    id::Id,
    mfa::{Decision, Reason, Verification},
    mfa_policy::ExtraVerification,
    sign_on_policy::ActionKind,
    user::User,
};

/// How a flow begins. What the session has proved is not asked for again; each MFA step is decided anew all the same.
#[must_use]
pub fn begin(plan: Plan<'_>, known: Known) -> Step {
    if plan.actions.is_empty() {
        return failed(None, Failure::NoSteps);
    }
    match known {
        Known::Nobody => Step::to(first(plan)),
        Known::Named { user, username } => identified(plan, first_step(plan), username, Some(user)),
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
            Event::CodeShown { code } => Ok(shown(*step, code)),
            Event::Reset => Ok(Step::to(first(plan))),
            Event::Cancelled => Ok(cancelled(None)),
            Event::PasswordAccepted { .. }
            | Event::CodeApproved { .. }
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
            Event::CodeShown { code } => Ok(shown(*step, code)),
            Event::Reset => Ok(Step::to(first(plan))),
            Event::Cancelled => Ok(cancelled(None)),
            Event::Identified { .. }
            | Event::CodeApproved { .. }
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
            // What is proved already is of a user, and a phone could vouch for another one.
            Event::CodeShown { code } if proved.is_none() => Ok(shown(*step, code)),
            Event::Reset => Ok(Step::to(first(plan))),
            Event::Cancelled => Ok(cancelled(*expected)),
            Event::Identified { .. }
            | Event::CodeShown { .. }
            | Event::CodeApproved { .. }
            | Event::Decided { .. }
            | Event::DeviceChosen { .. }
            | Event::AnotherDevice
            | Event::PasscodeAccepted
            | Event::DeviceLost
            | Event::Answered { .. }
            | Event::PasswordChanged => Err(Refusal::NotNow),
        },
        State::AuthenticationCode { step, code } => match event {
            Event::CodeApproved { code: approved, by } if approved == *code => {
                Ok(code_approved(plan, *step, by, now))
            }
            Event::CodeShown { code: new } => Ok(shown(*step, new).withdrawing_code(*code)),
            Event::Reset => Ok(Step::to(first(plan)).withdrawing_code(*code)),
            Event::Cancelled => Ok(cancelled(None).withdrawing_code(*code)),
            Event::Identified { .. }
            | Event::PasswordAccepted { .. }
            | Event::PasswordChanged
            | Event::CodeApproved { .. }
            | Event::Decided { .. }
            | Event::DeviceChosen { .. }
            | Event::AnotherDevice
            | Event::PasscodeAccepted
            | Event::DeviceLost
            | Event::Answered { .. } => Err(Refusal::NotNow),
        },
        State::PasswordChange { step, identity } => match event {
            // Proved anew, since what rests on an older password than the present one does not count.
            Event::PasswordChanged => {
                let mut changed = next(plan, step + 1, identity.proved(Method::Pwd, now));
                changed.effects.insert(0, Effect::audit(audit::Action::PasswordReset, None));
                Ok(changed)
            }
            Event::Reset => Ok(Step::to(first(plan))),
            Event::Cancelled => Ok(cancelled(Some(identity.user))),
            Event::Identified { .. }
            | Event::PasswordAccepted { .. }
            | Event::CodeShown { .. }
            | Event::CodeApproved { .. }
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
            | Event::CodeShown { .. }
            | Event::CodeApproved { .. }
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
            Event::Reset => Ok(Step::to(first(plan))),
            Event::Cancelled => Ok(cancelled(Some(identity.user))),
            Event::AnotherDevice
            | Event::Identified { .. }
            | Event::PasswordAccepted { .. }
            | Event::CodeShown { .. }
            | Event::CodeApproved { .. }
            | Event::Decided { .. }
            | Event::PasscodeAccepted
            | Event::DeviceLost
            | Event::Answered { .. }
            | Event::PasswordChanged => Err(Refusal::NotNow),
        },
        State::Passcode { step, identity, device }
        | State::PushTimedOut { step, identity, device } => {
            device_step(plan, (*step, identity, *device), &event, now)
        }
        State::Push { step, identity, device, challenge, .. } => {
            if let Event::Answered { challenge: answered, outcome } = event
                && answered == *challenge
            {
                return push_ended(plan, state, outcome, now);
            }
            let asked = (*step, identity, *device);
            Ok(device_step(plan, asked, &event, now)?.withdrawing(*challenge))
        }
        State::Verification { step, identity, challenge, .. } => match event {
            Event::Answered { challenge: answered, outcome } if answered == *challenge => {
                verification_ended(plan, state, outcome, now)
            }
            Event::DeviceLost => Ok(deciding(*step, identity).withdrawing(*challenge)),
            Event::Reset => Ok(Step::to(first(plan)).withdrawing(*challenge)),
            Event::Cancelled => Ok(cancelled(Some(identity.user)).withdrawing(*challenge)),
            Event::Identified { .. }
            | Event::PasswordAccepted { .. }
            | Event::PasswordChanged
            | Event::CodeShown { .. }
            | Event::CodeApproved { .. }
            | Event::Decided { .. }
            | Event::DeviceChosen { .. }
            | Event::AnotherDevice
            | Event::PasscodeAccepted
            | Event::Answered { .. } => Err(Refusal::NotNow),
        },
        State::Completed { .. } | State::Failed { .. } => match event {
            Event::Identified { .. }
            | Event::PasswordAccepted { .. }
            | Event::CodeShown { .. }
            | Event::CodeApproved { .. }
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

/// The first step that runs while nobody is known. Somebody must prove something, so where none does, it is the very first.
fn first_step(plan: Plan<'_>) -> usize {
    let runs = |step: &usize| plan.judge.is_none_or(|judge| judge.runs(*step, None));
    (0..plan.actions.len()).find(runs).unwrap_or(0)
}

/// How a flow begins when nothing is known of the person.
pub(super) fn first(plan: Plan<'_>) -> State {
    let step = first_step(plan);
    match plan.actions.get(step) {
        Some(ActionKind::Login) | None => State::Login { step },
        // Before a device can be asked for, it must be known whose.
        Some(ActionKind::IdentifierFirst | ActionKind::MultiFactorAuthentication { .. }) => {
            State::Identifier { step }
        }
    }
}

/// What a person can do who is asked for a device, by whatever way.
fn device_step(
    plan: Plan<'_>,
    (step, identity, device): (usize, &Identity, Id<Device>),
    event: &Event,
    now: Timestamp,
) -> Result<Step, Refusal> {
    match event {
        Event::PasscodeAccepted => {
            let proved = identity.proved(Method::Otp, now).vouched_by(device, now);
            Ok(next(plan, step + 1, proved))
        }
        Event::DeviceChosen { device, ask } => Ok(asked(step, identity, *device, *ask, now)),
        Event::AnotherDevice => {
            Ok(Step::to(State::DeviceSelection { step, identity: identity.clone() }))
        }
        Event::DeviceLost => Ok(deciding(step, identity)),
        Event::Reset => Ok(Step::to(first(plan))),
        Event::Cancelled => Ok(cancelled(Some(identity.user))),
        Event::Identified { .. }
        | Event::PasswordAccepted { .. }
        | Event::PasswordChanged
        | Event::CodeShown { .. }
        | Event::CodeApproved { .. }
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
            let proved = methods.into_iter().fold(identity.clone(), prove);
            Ok(next(plan, step + 1, proved.vouched_by(*device, now)))
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
    let proved = identity.proved(Method::Swk, now).vouched_by(device, now);
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

fn shown(step: usize, code: Id<AuthenticationCode>) -> Step {
    Step::to(State::AuthenticationCode { step, code })
}

/// The phone and whom it has verified take the place of a user name and a password. An MFA step is decided.
fn code_approved(plan: Plan<'_>, step: usize, by: Candidate, now: Timestamp) -> Step {
    let identity = Identity::named(by.user).proved(Method::Swk, now).proved(Method::User, now);
    let (scanned, signed_on_at) = (Some(by.device), Some(now));
    let identity = Identity { signed_on_at, scanned, ..identity };
    next(plan, step, identity)
}

/// The person is asked for a device.
fn asked(step: usize, identity: &Identity, device: Id<Device>, ask: Ask, now: Timestamp) -> Step {
    let identity = identity.clone();
    match ask {
        Ask::Passcode => Step::to(State::Passcode { step, identity, device }),
        Ask::Message => {
            let state = State::Passcode { step, identity, device };
            Step { state, effects: vec![Effect::Send { device }] }
        }
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
        let judge = plan.judge;
        if judge.is_some_and(|judge| !judge.runs(step, Some(identity.user))) {
            continue;
        }
        let renews = judge.is_some_and(|judge| judge.renews(step, &identity));
        match action {
            // The user is known and has given a password, or what takes its place.
            ActionKind::Login | ActionKind::IdentifierFirst
                if identity.has_signed_on() && !renews => {}
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
    // Steps that do not run prove nothing.
    if identity.authenticated_at.is_none() {
        return failed(Some(identity.user), Failure::Mfa(Reason::NoUsableDevice));
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
        Decision::Message { device } => asked(step, &identity, *device, Ask::Message, now),
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

pub(super) fn failed(user: Option<Id<User>>, why: Failure) -> Step {
    let denied = Effect::audit(audit::Action::AccessDenied, Some(why.name()));
    Step { state: State::Failed { user, why }, effects: vec![denied] }
}
