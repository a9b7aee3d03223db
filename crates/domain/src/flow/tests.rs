//! What holds of every flow, whatever happens to it.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    fixture::{MFA, NOW, Named, id},
    mfa::{Reason, Verification},
};

/// A flow from its beginning: what was taken, in order.
#[derive(Debug)]
struct Run {
    actions: Vec<ActionKind>,
    taken: Vec<Taken>,
}

#[derive(Debug)]
struct Taken {
    before: State,
    event: Event,
    step: Step,
}

fn plan(actions: &[ActionKind]) -> Plan<'_> {
    Plan { actions, user: None, judge: None }
}

impl Run {
    fn of(actions: Vec<ActionKind>, events: Vec<(Event, i64)>) -> Self {
        let (mut state, mut now, mut taken) = (Flow::first(&actions), NOW, Vec::new());
        for (event, gap) in events {
            now = now.plus_seconds(gap);
            if let Ok(step) = apply(plan(&actions), &state, event.clone(), now) {
                taken.push(Taken { before: state, event, step: step.clone() });
                state = step.state;
            }
        }
        Self { actions, taken }
    }

    fn end(&self) -> State {
        self.taken.last().map_or_else(|| Flow::first(&self.actions), |t| t.step.state.clone())
    }

    /// What was taken since the person last began again.
    fn since_reset(&self) -> impl Iterator<Item = &Taken> {
        let reset = self.taken.iter().rposition(|taken| taken.event == Event::Reset);
        self.taken.iter().skip(reset.map_or(0, |reset| reset + 1))
    }
}

impl Taken {
    /// Who proved something by this, and at which step.
    fn proof(&self) -> Option<(usize, Id<User>)> {
        match (&self.before, &self.event) {
            (
                State::Login { step } | State::Password { step, .. },
                Event::PasswordAccepted { user, .. },
            ) => Some((*step, *user)),
            (
                State::Passcode { step, identity, .. }
                | State::Push { step, identity, .. }
                | State::PushTimedOut { step, identity, .. },
                Event::PasscodeAccepted,
            )
            | (
                State::Deciding { step, identity },
                Event::Decided { decision: Decision::Authorize { .. }, .. },
            )
            | (
                State::Push { step, identity, .. },
                Event::Answered { outcome: Outcome::Approved(_), .. },
            )
            | (
                State::Verification { step, identity, .. },
                Event::Answered { outcome: Outcome::Acknowledged, .. },
            )
            | (
                State::Verification { step, identity, mode: ExtraVerification::Permissive, .. },
                Event::Answered { outcome: Outcome::Unanswered | Outcome::Undeliverable, .. },
            ) => Some((*step, identity.user)),
            // No MFA step passes by that alone.
            (State::AuthenticationCode { .. }, Event::CodeApproved { by, .. }) => {
                Some((usize::MAX, by.user))
            }
            _ => None,
        }
    }

    /// The MFA step that was skipped by this.
    fn bypass(&self) -> Option<usize> {
        match (&self.before, &self.event) {
            (
                State::Deciding { step, identity },
                Event::Decided { decision: Decision::Bypass, .. },
            ) if identity.authenticated_at.is_some() => Some(*step),
            (
                State::Deciding { step, identity },
                Event::Decided { decision: Decision::Continue, .. },
            ) if identity.has_possession() => Some(*step),
            _ => None,
        }
    }
}

fn methods(state: &State) -> &[Method] {
    match state {
        State::Identifier { .. }
        | State::Login { .. }
        | State::Password { proved: None, .. }
        | State::AuthenticationCode { .. }
        | State::Failed { .. } => &[],
        State::Password { proved: Some(identity), .. }
        | State::PasswordChange { identity, .. }
        | State::Deciding { identity, .. }
        | State::DeviceSelection { identity, .. }
        | State::Passcode { identity, .. }
        | State::Verification { identity, .. }
        | State::Push { identity, .. }
        | State::PushTimedOut { identity, .. }
        | State::Completed { identity } => &identity.methods,
    }
}

fn users() -> impl Strategy<Value = Id<User>> {
    prop_oneof![3 => Just(id(1)), 1 => Just(id(2))]
}

fn codes() -> impl Strategy<Value = Id<AuthenticationCode>> {
    prop_oneof![3 => Just(id(1)), 1 => Just(id(2))]
}

fn decisions() -> impl Strategy<Value = Decision> {
    let device = id(1);
    prop_oneof![
        Just(Decision::Authorize { device, verification: Verification::NotAsked }),
        Just(Decision::Authorize { device, verification: Verification::Impossible }),
        Just(Decision::Verify { device, mode: ExtraVerification::Permissive }),
        Just(Decision::Verify { device, mode: ExtraVerification::Restrictive }),
        Just(Decision::Push { device, seconds: 40 }),
        Just(Decision::Continue),
        Just(Decision::Bypass),
        Just(Decision::Passcode { device }),
        Just(Decision::Select { devices: vec![device] }),
        Just(Decision::Block(Reason::NoUsableDevice)),
    ]
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Acknowledged),
        Just(Outcome::Approved(Method::Fpt)),
        Just(Outcome::Approved(Method::User)),
        Just(Outcome::Denied),
        Just(Outcome::Unanswered),
        Just(Outcome::Undeliverable),
        Just(Outcome::DeviceGone),
    ]
}

fn decided(decision: Decision) -> Event {
    Event::Decided { policy: id(1), decision, challenge: id(1) }
}

fn events() -> impl Strategy<Value = Event> {
    let username = "ann".to_owned();
    prop_oneof![
        4 => prop::option::weighted(0.8, users())
            .prop_map(move |user| Event::Identified { username: username.clone(), user }),
        4 => (users(), prop::bool::weighted(0.3))
            .prop_map(|(user, must_change)| Event::PasswordAccepted { user, must_change }),
        1 => codes().prop_map(|code| Event::CodeShown { code }),
        4 => (codes(), users()).prop_map(|(code, user)| {
            Event::CodeApproved { code, by: Candidate { user, device: id(1) } }
        }),
        2 => Just(Event::PasswordChanged),
        8 => decisions().prop_map(decided),
        1 => Just(Event::DeviceChosen { device: id(2), ask: Ask::Passcode }),
        1 => Just(Event::DeviceChosen {
            device: id(2),
            ask: Ask::Push { challenge: id(1), seconds: 40 },
        }),
        4 => (outcomes(), prop::bool::weighted(0.2)).prop_map(|(outcome, other)| {
            Event::Answered { challenge: id(if other { 2 } else { 1 }), outcome }
        }),
        1 => Just(Event::AnotherDevice),
        4 => Just(Event::PasscodeAccepted),
        1 => Just(Event::DeviceLost),
        1 => Just(Event::Reset),
        1 => Just(Event::Cancelled),
    ]
}

fn runs() -> impl Strategy<Value = Run> {
    let action = prop_oneof![
        1 => Just(ActionKind::Login),
        1 => Just(ActionKind::IdentifierFirst),
        2 => Just(MFA),
    ];
    let events = vec((events(), 0_i64..100), 0..60);
    (vec(action, 1..5), events).prop_map(|(actions, events)| Run::of(actions, events))
}

proptest! {
    #[test]
    fn a_flow_completes_only_for_a_user_who_proved_something(run in runs()) {
        if let State::Completed { identity } = run.end() {
            let mut proofs = run.since_reset().filter_map(Taken::proof);
            prop_assert!(proofs.any(|(_, user)| user == identity.user));
        }
    }

    #[test]
    fn all_proofs_of_a_completed_flow_are_of_one_user(run in runs()) {
        if let State::Completed { identity } = run.end() {
            let mut proofs = run.since_reset().filter_map(Taken::proof);
            prop_assert!(proofs.all(|(_, user)| user == identity.user));
        }
    }

    #[test]
    fn no_mfa_step_of_a_completed_flow_was_passed_over(run in runs()) {
        if let State::Completed { .. } = run.end() {
            let proved = run.since_reset().filter_map(Taken::proof).map(|(step, _)| step);
            let passed: Vec<_> = proved.chain(run.since_reset().filter_map(Taken::bypass)).collect();
            let asked = |(_, action): &(usize, &ActionKind)| **action == MFA;
            for (step, _) in run.actions.iter().enumerate().filter(asked) {
                prop_assert!(passed.contains(&step), "step {}", step);
            }
        }
    }

    #[test]
    fn a_password_that_must_be_changed_opens_nothing_until_it_is(run in runs()) {
        let mut waits = false;
        for taken in &run.taken {
            match &taken.event {
                Event::PasswordAccepted { must_change, .. } => waits = *must_change,
                Event::PasswordChanged => {
                    prop_assert!(waits, "{:?}", taken);
                    waits = false;
                }
                Event::Reset | Event::Cancelled => waits = false,
                Event::Identified { .. }
                | Event::CodeShown { .. }
                | Event::CodeApproved { .. }
                | Event::Decided { .. }
                | Event::DeviceChosen { .. }
                | Event::AnotherDevice
                | Event::PasscodeAccepted
                | Event::Answered { .. }
                | Event::DeviceLost => prop_assert!(!waits, "{:?}", taken),
            }
            prop_assert_eq!(waits, taken.step.state.name() == "PasswordChange");
            if waits {
                prop_assert_eq!(&taken.step.effects, &[]);
            }
        }
    }

    #[test]
    fn what_has_ended_stays_ended(run in runs(), event in events()) {
        if let end @ (State::Completed { .. } | State::Failed { .. }) = run.end() {
            prop_assert_eq!(apply(plan(&run.actions), &end, event, NOW), Err(Refusal::NotNow));
        }
    }

    #[test]
    fn a_grant_is_issued_once_and_only_on_completion(run in runs()) {
        let grants = |taken: &Taken| {
            taken.step.effects.iter().filter(|effect| **effect == Effect::IssueGrant).count()
        };
        for taken in &run.taken {
            let completes = taken.step.state.name() == "Completed";
            prop_assert_eq!(grants(taken), usize::from(completes));
        }
        prop_assert!(run.taken.iter().map(grants).sum::<usize>() <= 1);
    }

    #[test]
    fn amr_says_mfa_exactly_with_two_kinds_of_factors(run in runs()) {
        for taken in &run.taken {
            let methods = methods(&taken.step.state);
            let has = |method| methods.contains(&method);
            let two = has(Method::Pwd) && (has(Method::Otp) || has(Method::Swk));
            prop_assert_eq!(has(Method::Mfa), two);
            let once = methods.iter().all(|m| methods.iter().filter(|n| *n == m).count() == 1);
            prop_assert!(once, "{:?}", methods);
        }
    }

    #[test]
    fn what_was_proved_is_kept_until_the_person_begins_again(run in runs()) {
        let kept = |taken: &&Taken| {
            taken.event != Event::Reset && !matches!(taken.step.state, State::Failed { .. })
        };
        for taken in run.taken.iter().filter(kept) {
            let after = methods(&taken.step.state);
            for method in methods(&taken.before) {
                prop_assert!(after.contains(method), "{:?}", taken);
            }
        }
    }

    #[test]
    fn only_the_newest_question_is_waited_for_and_one_that_was_not_answered_is_withdrawn(
        run in runs()
    ) {
        let asked = |state: &State| {
            let (State::Verification { challenge, .. } | State::Push { challenge, .. }) = state
            else {
                return None;
            };
            Some(*challenge)
        };
        for taken in &run.taken {
            let asks = |effect: &Effect| {
                let Effect::Ask { challenge, .. } = effect else { return None };
                Some(*challenge)
            };
            let newest = taken.step.effects.iter().rev().find_map(asks);
            prop_assert_eq!(newest, asked(&taken.step.state), "{:?}", taken);
            let answered = matches!(taken.event, Event::Answered { .. });
            let withdraws = taken.step.effects.iter().any(|e| matches!(e, Effect::Withdraw { .. }));
            let was_asked = asked(&taken.before).is_some();
            prop_assert_eq!(withdraws, was_asked && !answered, "{:?}", taken);
        }
    }

    #[test]
    fn restrictively_only_an_acknowledgement_passes(run in runs()) {
        for taken in &run.taken {
            let State::Verification { mode: ExtraVerification::Restrictive, identity, .. } =
                &taken.before
            else {
                continue;
            };
            let acknowledged =
                matches!(taken.event, Event::Answered { outcome: Outcome::Acknowledged, .. });
            let more = methods(&taken.step.state).len() > identity.methods.len();
            prop_assert!(acknowledged || !more, "{:?}", taken);
        }
    }

    #[test]
    fn beginning_again_forgets_everything(run in runs()) {
        for taken in run.taken.iter().filter(|taken| taken.event == Event::Reset) {
            prop_assert_eq!(&taken.step.state, &Flow::first(&run.actions));
            let withdraws = |effect: &Effect| {
                matches!(effect, Effect::Withdraw { .. } | Effect::WithdrawCode { .. })
            };
            prop_assert!(taken.step.effects.iter().all(withdraws));
        }
    }
}

#[test]
fn a_phone_before_the_password_counts_as_much_as_one_after_it() {
    let actions = vec![MFA, ActionKind::Login];
    let decision = Decision::Authorize { device: id(1), verification: Verification::NotAsked };
    let events = vec![
        Event::Identified { username: "ann".to_owned(), user: Some(id(1)) },
        Event::Decided { policy: id(7), decision, challenge: id(1) },
        Event::PasswordAccepted { user: id(1), must_change: false },
    ];
    let run = Run::of(actions, events.into_iter().map(|event| (event, 1)).collect());
    let State::Completed { identity } = run.end() else { panic!("{run:?}") };
    assert_eq!(identity.methods, [Method::Swk, Method::Pwd, Method::Mfa]);
    assert_eq!(identity.mfa_policy, Some(id(7)));
    assert_eq!(identity.authenticated_at, Some(NOW.plus_seconds(3)));
}

#[test]
fn somebody_who_is_only_named_passes_no_step_by_bypass() {
    let named = Event::Identified { username: "ann".to_owned(), user: Some(id(1)) };
    let bypass = decided(Decision::Bypass);
    let run = Run::of(vec![MFA], vec![(named, 0), (bypass, 0)]);
    let why = Failure::Mfa(Reason::NoUsableDevice);
    assert_eq!(run.end(), State::Failed { user: Some(id(1)), why });
}

#[test]
fn nobody_is_asked_for_a_password_like_everybody() {
    let named = Event::Identified { username: "eve".to_owned(), user: None };
    let run = Run::of(vec![ActionKind::IdentifierFirst], vec![(named, 0)]);
    let (step, username) = (0, "eve".to_owned());
    assert_eq!(run.end(), State::Password { step, username, user: None, proved: None });
    let refused = apply(
        plan(&run.actions),
        &run.end(),
        Event::PasswordAccepted { user: id(1), must_change: false },
        NOW,
    );
    assert_eq!(refused, Err(Refusal::OtherUser));
}

#[test]
fn a_session_is_asked_only_for_what_it_has_not_proved() {
    let password = Identity::named(id(1)).proved(Method::Pwd, NOW);
    let begun =
        |actions: &[ActionKind]| begin(plan(actions), Known::Proved(password.clone())).state;
    let identity = || password.clone();
    assert_eq!(begun(&[ActionKind::Login]), State::Completed { identity: identity() });
    assert_eq!(begun(&[ActionKind::IdentifierFirst]), State::Completed { identity: identity() });
    let deciding = |step| State::Deciding { step, identity: identity() };
    assert_eq!(begun(&[ActionKind::Login, MFA]), deciding(1));
    assert_eq!(begun(&[MFA, ActionKind::Login]), deciding(0));
}

#[test]
fn the_word_of_an_application_does_not_stand_in_for_a_password() {
    let vouched = Identity { authenticated_at: Some(NOW), ..Identity::named(id(1)) };
    let begun = |actions: &[ActionKind]| begin(plan(actions), Known::Proved(vouched.clone())).state;
    let asked = State::Password {
        step: 0,
        username: String::new(),
        user: Some(id(1)),
        proved: Some(vouched.clone()),
    };
    assert_eq!(begun(&[ActionKind::Login]), asked);
    assert_eq!(begun(&[MFA]), State::Deciding { step: 0, identity: vouched.clone() });
}

#[test]
fn a_flow_that_is_for_one_user_does_not_complete_for_another() {
    let actions = [ActionKind::Login];
    let plan = Plan { actions: &actions, user: Some(id(1)), judge: None };
    let named = Known::Named { user: id(1), username: "ann".to_owned() };
    let begun = begin(plan, named).state;
    let accepted = |user| Event::PasswordAccepted { user, must_change: false };
    assert_eq!(apply(plan, &begun, accepted(id(2)), NOW), Err(Refusal::OtherUser));
    let again = apply(plan, &begun, Event::Reset, NOW).unwrap().state;
    let other = apply(plan, &again, accepted(id(2)), NOW).unwrap();
    let why = Failure::OtherUser;
    assert_eq!(other.state, State::Failed { user: Some(id(2)), why });
    assert!(!other.effects.contains(&Effect::IssueGrant));
    let ann = apply(plan, &again, accepted(id(1)), NOW).unwrap();
    assert!(ann.effects.contains(&Effect::IssueGrant));
}

#[test]
fn a_user_without_a_required_claim_gets_nothing_and_what_was_proved_is_still_told() {
    let actions = [ActionKind::Login, MFA];
    let deciding =
        State::Deciding { step: 1, identity: Identity::named(id(1)).proved(Method::Pwd, NOW) };
    let verification = Verification::NotAsked;
    let decision = Decision::Authorize { device: id(1), verification };
    let event = decided(decision);
    let step = apply(plan(&actions), &deciding, event, NOW).unwrap();
    let why = Failure::MissingClaim { place: 0 };
    let Step { state, effects } = step.failed_instead(id(1), why);
    assert_eq!(state, State::Failed { user: Some(id(1)), why });
    let audited = |effect: &Effect| match effect {
        Effect::Audit { action, .. } => Some(*action),
        Effect::IssueGrant
        | Effect::Ask { .. }
        | Effect::Send { .. }
        | Effect::Withdraw { .. }
        | Effect::WithdrawCode { .. } => None,
    };
    let told: Vec<_> = effects.iter().map(audited).collect();
    assert_eq!(told, [Some(audit::Action::DeviceAuthorized), Some(audit::Action::AccessDenied)]);
}

#[test]
fn a_code_that_a_phone_approves_is_the_password_of_a_flow_and_names_the_device() {
    let actions = [ActionKind::Login, MFA];
    let shown =
        apply(plan(&actions), &State::Login { step: 0 }, Event::CodeShown { code: id(5) }, NOW);
    let shown = shown.unwrap().state;
    let by = Candidate { user: id(1), device: id(2) };
    let approved = |code| apply(plan(&actions), &shown, Event::CodeApproved { code, by }, NOW);
    assert_eq!(approved(id(6)), Err(Refusal::NotNow), "that is another code");
    let State::Deciding { step: 1, identity } = approved(id(5)).unwrap().state else {
        panic!("the MFA step is decided")
    };
    assert_eq!((identity.user, identity.scanned), (by.user, Some(by.device)));
    assert_eq!(identity.methods, [Method::Swk, Method::User]);
    assert_eq!(identity.authenticated_at, Some(NOW));
}

#[test]
fn a_code_is_withdrawn_when_the_flow_goes_another_way() {
    let shown = State::AuthenticationCode { step: 0, code: id(5) };
    let withdrawn = Effect::WithdrawCode { code: id(5) };
    for event in [Event::CodeShown { code: id(6) }, Event::Reset, Event::Cancelled] {
        let step = apply(plan(&[ActionKind::Login]), &shown, event, NOW).unwrap();
        assert_eq!(step.effects.first(), Some(&withdrawn));
    }
}

#[test]
fn what_is_proved_of_a_user_is_not_given_up_for_a_code() {
    let proved = Some(Identity::named(id(1)).proved(Method::Otp, NOW));
    let password = State::Password { step: 1, username: String::new(), user: Some(id(1)), proved };
    let event = Event::CodeShown { code: id(5) };
    let actions = [MFA, ActionKind::Login];
    assert_eq!(apply(plan(&actions), &password, event, NOW), Err(Refusal::NotNow));
}
