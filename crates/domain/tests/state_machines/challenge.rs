//! The challenge as a page.

use countersign_domain::challenge::{
    Cancellation, Challenge, Denial, Effect, Event, Outcome, Question, Refusal, State, apply,
};

use crate::{
    fixture::{NOW, Named, assert_complete, challenge},
    page::{Answer, Machine, Samples, audited},
};

pub fn page() -> String {
    let (states, events) = (states(), events());
    assert_complete(states.iter().map(|(_, challenge)| &challenge.state));
    assert_complete(events.iter().map(|(_, event)| event));
    Machine {
        title: "Challenge",
        about: "One question put to one device: silent, or to the person.",
        begins: vec!["Pending"],
        states,
        events,
        refusals: Refusal::NAMES,
        name: |challenge| challenge.state.name(),
        apply: answer,
    }
    .page()
}

fn states() -> Samples<Challenge> {
    let silent = |challenge| Challenge { question: Question::Silent, ..challenge };
    let late = |challenge| Challenge { answer_until: NOW, ..challenge };
    let pending = || challenge(State::Pending);
    vec![
        ("silent", silent(pending())),
        ("silent, late", late(silent(pending()))),
        ("visible, with a number", pending()),
        ("visible, late", late(pending())),
        ("", silent(challenge(State::Acknowledged { at: NOW }))),
        ("", challenge(State::Approved { at: NOW, method: "fpt".to_owned() })),
        ("", challenge(State::Denied { at: NOW, why: Denial::ByUser })),
        ("", challenge(State::TimedOut)),
        ("", challenge(State::Cancelled { at: NOW, why: Cancellation::Withdrawn })),
    ]
}

fn events() -> Samples<Event> {
    let approve = |number| Event::Approve { number, method: "fpt".to_owned() };
    let deny = |why| Event::Deny { why };
    let cancel = |why| Event::Cancel { why };
    let denials = [Denial::ByUser, Denial::Fraud, Denial::BiometricsRejected, Denial::WrongNumber];
    assert_complete(&denials);
    let cancellations = [
        Cancellation::Withdrawn,
        Cancellation::Superseded,
        Cancellation::Undeliverable,
        Cancellation::DeviceGone,
    ];
    assert_complete(&cancellations);
    vec![
        ("", Event::Acknowledge),
        ("with the right number", approve(Some(42))),
        ("with a wrong number", approve(Some(43))),
        ("without a number", approve(None)),
        ("", deny(Denial::ByUser)),
        ("with a fraud report", deny(Denial::Fraud)),
        ("", Event::Tick),
        ("withdrawn", cancel(Cancellation::Withdrawn)),
        ("superseded", cancel(Cancellation::Superseded)),
        ("undeliverable", cancel(Cancellation::Undeliverable)),
        ("device gone", cancel(Cancellation::DeviceGone)),
    ]
}

fn answer(challenge: &Challenge, event: &Event) -> Answer {
    match apply(challenge, event, NOW) {
        Ok(step) => {
            let effects = step.effects.iter().map(told).collect();
            Answer::step(&challenge.state, &step.state, effects)
        }
        Err(refusal) => Answer::refusal(&refusal),
    }
}

fn told(effect: &Effect) -> String {
    match effect {
        Effect::Audit { action, reason } => audited(*action, Some(reason)),
        Effect::TellFlow(outcome) => format!("TellFlow {}", Outcome::name(outcome)),
        Effect::TellPhone
        | Effect::CountAgainstPushes
        | Effect::CountUserFailure
        | Effect::ClearCounts => effect.name().to_owned(),
    }
}
