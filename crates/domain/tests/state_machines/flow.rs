//! The flow as a page.

use countersign_domain::{
    authentication_code::Candidate,
    challenge::Outcome,
    flow::{Ask, Effect, Event, Failure, Flow, Identity, Method, Plan, Refusal, State, apply},
    mfa::{Decision, Reason, Verification},
    mfa_policy::ExtraVerification,
    sign_on_policy::ActionKind,
};

use crate::{
    fixture::{MFA, NOW, Named, assert_complete, id, identity},
    page::{Answer, Machine, Samples, audited},
};

/// A state under a policy.
struct Run {
    actions: &'static [ActionKind],
    state: State,
}

const PASSWORD: &[ActionKind] = &[ActionKind::Login];
const PASSWORD_AND_DEVICE: &[ActionKind] = &[ActionKind::Login, MFA];
const PASSWORD_AND_TWO_DEVICES: &[ActionKind] = &[ActionKind::Login, MFA, MFA];
const NAME_AND_PASSWORD: &[ActionKind] = &[ActionKind::IdentifierFirst];
const NAME_PASSWORD_AND_DEVICE: &[ActionKind] = &[ActionKind::IdentifierFirst, MFA];
const DEVICE_AND_PASSWORD: &[ActionKind] = &[MFA, ActionKind::Login];

pub fn page() -> String {
    let (states, events) = (states(), events());
    assert_complete(states.iter().map(|(_, run)| &run.state));
    assert_complete(events.iter().map(|(_, event)| event));
    let policies = [PASSWORD, NAME_AND_PASSWORD];
    Machine {
        title: "Flow",
        about: "One run of authorize: the steps of a sign-on policy, from request to code or error.",
        begins: policies.iter().map(|actions| Flow::first(actions).name()).collect(),
        states,
        events,
        refusals: Refusal::NAMES,
        name: |run| run.state.name(),
        apply: answer,
    }
    .page()
}

fn states() -> Samples<Run> {
    let run = |actions, state| Run { actions, state };
    let (last, more, password) =
        ("as the last step", "before another MFA step", "before a password");
    let name = State::Identifier { step: 0 };
    let login = State::Login { step: 0 };
    let asked = |user| State::Password { step: 0, username: "ann".to_owned(), user, proved: None };
    let code = || State::AuthenticationCode { step: 0, code: id(1) };
    let change = |step| State::PasswordChange { step, identity: identity() };
    let deciding = |step, identity| State::Deciding { step, identity };
    let passcode = |step, identity| State::Passcode { step, identity, device: id(1) };
    let (challenge, until) = (id(1), NOW.plus_seconds(20));
    let verification = |mode| {
        let (step, identity, device) = (1, identity(), id(1));
        State::Verification { step, identity, device, challenge, until, mode }
    };
    let push = || State::Push { step: 1, identity: identity(), device: id(1), challenge, until };
    let timed_out = State::PushTimedOut { step: 1, identity: identity(), device: id(1) };
    vec![
        (password, run(NAME_AND_PASSWORD, name.clone())),
        ("before a device", run(DEVICE_AND_PASSWORD, name)),
        (last, run(PASSWORD, login.clone())),
        ("before an MFA step", run(PASSWORD_AND_DEVICE, login)),
        (last, run(NAME_AND_PASSWORD, asked(Some(id(1))))),
        ("before an MFA step", run(NAME_PASSWORD_AND_DEVICE, asked(Some(id(1))))),
        ("for nobody", run(NAME_AND_PASSWORD, asked(None))),
        (last, run(PASSWORD, code())),
        ("before an MFA step", run(PASSWORD_AND_DEVICE, code())),
        ("in the place of an MFA step", run(DEVICE_AND_PASSWORD, code())),
        (last, run(PASSWORD, change(0))),
        ("before an MFA step", run(PASSWORD_AND_DEVICE, change(0))),
        (last, run(PASSWORD_AND_DEVICE, deciding(1, identity()))),
        (more, run(PASSWORD_AND_TWO_DEVICES, deciding(1, identity()))),
        (password, run(DEVICE_AND_PASSWORD, deciding(0, only_named()))),
        ("", run(PASSWORD_AND_DEVICE, State::DeviceSelection { step: 1, identity: identity() })),
        (last, run(PASSWORD_AND_DEVICE, passcode(1, identity()))),
        (more, run(PASSWORD_AND_TWO_DEVICES, passcode(1, identity()))),
        (password, run(DEVICE_AND_PASSWORD, passcode(0, only_named()))),
        ("permissive", run(PASSWORD_AND_DEVICE, verification(ExtraVerification::Permissive))),
        ("restrictive", run(PASSWORD_AND_DEVICE, verification(ExtraVerification::Restrictive))),
        (last, run(PASSWORD_AND_DEVICE, push())),
        (last, run(PASSWORD_AND_DEVICE, timed_out)),
        ("", run(PASSWORD, State::Completed { identity: identity() })),
        ("", run(PASSWORD, State::Failed { user: None, why: Failure::Cancelled })),
    ]
}

fn only_named() -> Identity {
    Identity::named(id(1))
}

fn events() -> Samples<Event> {
    let named = |user| Event::Identified { username: "ann".to_owned(), user };
    let accepted = |user, must_change| Event::PasswordAccepted { user: id(user), must_change };
    let decided =
        |(what, decision)| (what, Event::Decided { policy: id(1), decision, challenge: id(1) });
    let answered = |outcome| Event::Answered { challenge: id(1), outcome };
    let push = Ask::Push { challenge: id(1), seconds: 40 };
    let by = Candidate { user: id(1), device: id(1) };
    assert_complete(&[Ask::Passcode, Ask::Message, push]);
    let mut events = vec![
        ("of a user", named(Some(id(1)))),
        ("of nobody", named(None)),
        ("of this user", accepted(1, false)),
        ("of this user, to be changed", accepted(1, true)),
        ("of another user", accepted(2, false)),
        ("", Event::CodeShown { code: id(2) }),
        ("", Event::CodeApproved { code: id(1), by }),
        ("of another code", Event::CodeApproved { code: id(2), by }),
        ("", Event::PasswordChanged),
        ("for a passcode", Event::DeviceChosen { device: id(2), ask: Ask::Passcode }),
        ("for one that is sent", Event::DeviceChosen { device: id(2), ask: Ask::Message }),
        ("by push", Event::DeviceChosen { device: id(2), ask: push }),
        ("", Event::AnotherDevice),
        ("", Event::PasscodeAccepted),
        ("", Event::DeviceLost),
        ("Acknowledged", answered(Outcome::Acknowledged)),
        ("Approved", answered(Outcome::Approved(Method::Fpt))),
        ("Denied", answered(Outcome::Denied)),
        ("Unanswered", answered(Outcome::Unanswered)),
        ("Undeliverable", answered(Outcome::Undeliverable)),
        ("DeviceGone", answered(Outcome::DeviceGone)),
        ("to another question", Event::Answered { challenge: id(2), outcome: Outcome::Denied }),
        ("", Event::Reset),
        ("", Event::Cancelled),
    ];
    events.extend(decisions().into_iter().map(decided));
    events
}

fn decisions() -> Samples<Decision> {
    let authorize = |verification| Decision::Authorize { device: id(1), verification };
    let decisions = vec![
        ("Continue", Decision::Continue),
        ("Authorize", authorize(Verification::NotAsked)),
        ("Authorize unverified", authorize(Verification::Impossible)),
        ("Verify", Decision::Verify { device: id(1), mode: ExtraVerification::Permissive }),
        ("Push", Decision::Push { device: id(1), seconds: 40 }),
        ("Bypass", Decision::Bypass),
        ("Passcode", Decision::Passcode { device: id(1) }),
        ("Message", Decision::Message { device: id(1) }),
        ("Select", Decision::Select { devices: vec![id(1)] }),
        ("Block", Decision::Block(Reason::DeviceBlocked)),
    ];
    assert_complete(decisions.iter().map(|(_, decision)| decision));
    decisions
}

fn answer(run: &Run, event: &Event) -> Answer {
    let plan = Plan { actions: run.actions, user: None, judge: None };
    match apply(plan, &run.state, event.clone(), NOW) {
        Ok(step) => Answer::step(&run.state, &step.state, step.effects.iter().map(told).collect()),
        Err(refusal) => Answer::refusal(&refusal),
    }
}

fn told(effect: &Effect) -> String {
    match effect {
        Effect::Audit { action, reason, .. } => audited(*action, *reason),
        Effect::IssueGrant
        | Effect::Ask { .. }
        | Effect::Send { .. }
        | Effect::Withdraw { .. }
        | Effect::WithdrawCode { .. } => effect.name().to_owned(),
    }
}
