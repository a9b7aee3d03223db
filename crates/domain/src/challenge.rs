//! Challenges: one question put to one device, with one answer.
//!
//! A silent one asks whether a message reaches the app; the app answers by itself. A visible one asks the person.

use countersign_protocol::{
    challenge::{NumberMatching, Origin, RefusalReason},
    entropy::{Entropy, random},
    jwk::Thumbprint,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    application::{Application, NumberMatchingKind},
    audit,
    device::Device,
    environment::Environment,
    flow::{Flow, Method},
    id::Id,
    mfa_policy::MfaPolicy,
    user::{Name, User},
};

/// How long a challenge is remembered after its end, in seconds: a phone that comes late shall hear why.
pub const REMEMBERED_SECONDS: i64 = 3_600;

/// How long a phone has to acknowledge a silent push, in seconds.
pub const SILENT_SECONDS: i64 = 20;

/// One question put to one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Its id.
    pub id: Id<Challenge>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// Whose device is asked.
    pub user: Id<User>,
    /// The device.
    pub device: Id<Device>,
    /// Its installation.
    pub installation: Thumbprint,
    /// The native application on it.
    pub application: Id<Application>,
    /// The MFA policy under which it is asked.
    pub policy: Id<MfaPolicy>,
    /// The flow that waits for the answer.
    pub flow: Id<Flow>,
    /// What is asked.
    pub question: Question,
    /// When it was asked.
    pub created_at: Timestamp,
    /// From when on an answer is too late.
    pub answer_until: Timestamp,
    /// How far it has come.
    pub state: State,
}

impl Challenge {
    /// When it is forgotten.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.answer_until.plus_seconds(REMEMBERED_SECONDS)
    }

    /// What the person is shown, if anything.
    #[must_use]
    pub fn shown(&self) -> Option<&Shown> {
        match &self.question {
            Question::Silent => None,
            Question::Visible(shown) => Some(shown),
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Question {
    /// Whether a message arrives.
    Silent,
    /// Whether the person agrees.
    Visible(Box<Shown>),
}

/// What the person is shown, and what is not shown on the phone: the number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Whose sign-on it is.
    pub person: Person,
    /// Name of the application that the person signs on to.
    pub application: String,
    /// Title.
    pub title: String,
    /// Text.
    pub message: String,
    /// What the application wants shown: the text of a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_context: Option<String>,
    /// From where it is asked.
    #[serde(default, skip_serializing_if = "Origin::is_empty")]
    pub origin: Origin,
    /// The number that must be matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Number>,
}

/// Whose sign-on it is, by the names of the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The user name.
    pub username: String,
    /// The name.
    pub name: Name,
}

/// A number that the sign-on page shows, and that has to come back from the phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// The right one.
    pub value: u32,
    /// How it comes into the phone.
    pub matching: NumberMatching,
}

/// Digits of a number that is typed: a guess is right once in a million (NIST SP 800-63B, section 3.1.3).
const TYPED_DIGITS: u8 = 6;

/// How many numbers there are to pick from.
const OPTIONS: usize = 3;

impl Number {
    /// Draws a number.
    #[must_use]
    pub fn draw(kind: NumberMatchingKind, entropy: &dyn Entropy) -> Self {
        match kind {
            NumberMatchingKind::EnterManually => {
                let value = below(10_u32.pow(TYPED_DIGITS.into()), entropy);
                Self { value, matching: NumberMatching::EnterManually { digits: TYPED_DIGITS } }
            }
            NumberMatchingKind::SelectNumber => {
                let mut options = Vec::with_capacity(OPTIONS);
                while options.len() < OPTIONS {
                    let option = 10 + below(90, entropy);
                    if !options.contains(&option) {
                        options.push(option);
                    }
                }
                // Which of them is right is drawn too, so their order says nothing.
                let place = below(3, entropy) as usize;
                let value = options.get(place).copied().unwrap_or_default();
                Self { value, matching: NumberMatching::SelectNumber { options } }
            }
        }
    }

    /// As the sign-on page shows it.
    #[must_use]
    pub fn text(&self) -> String {
        match self.matching {
            NumberMatching::SelectNumber { .. } => self.value.to_string(),
            NumberMatching::EnterManually { digits } => {
                format!("{:0width$}", self.value, width = usize::from(digits))
            }
        }
    }
}

/// A number below `bound`, each as likely as any other, as far as 64 bits divide evenly.
fn below(bound: u32, entropy: &dyn Entropy) -> u32 {
    let drawn = u64::from_be_bytes(random(entropy)) % u64::from(bound);
    u32::try_from(drawn).unwrap_or_default()
}

/// How far a challenge has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Waits for an answer.
    Pending,
    /// The silent push has arrived.
    Acknowledged { at: Timestamp },
    /// The person has agreed.
    Approved { at: Timestamp, method: String },
    /// The person has not agreed.
    Denied { at: Timestamp, why: Denial },
    /// Nobody answered in time.
    TimedOut,
    /// It needs no answer any more.
    Cancelled { at: Timestamp, why: Cancellation },
}

/// Why a challenge was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denial {
    /// The person said no.
    ByUser,
    /// The person said that somebody else is at it.
    Fraud,
    /// The phone could not verify the person.
    BiometricsRejected,
    /// The number was wrong. There is one try, else it could be guessed.
    WrongNumber,
}

impl From<RefusalReason> for Denial {
    fn from(reason: RefusalReason) -> Self {
        match reason {
            RefusalReason::None => Self::ByUser,
            RefusalReason::ReportFraud => Self::Fraud,
            RefusalReason::BiometricsRejected => Self::BiometricsRejected,
        }
    }
}

impl Denial {
    /// Its name in audit records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ByUser => "denied_by_user",
            Self::Fraud => "fraud_reported",
            Self::BiometricsRejected => "biometrics_rejected",
            Self::WrongNumber => "wrong_number",
        }
    }
}

/// Why a challenge needs no answer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cancellation {
    /// The sign-on goes another way, or has ended.
    Withdrawn,
    /// A later sign-on of the same user asks the same app.
    Superseded,
    /// No message can be brought to the device.
    Undeliverable,
    /// The device is no longer paired.
    DeviceGone,
}

impl Cancellation {
    /// Its name in audit records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Withdrawn => "withdrawn",
            Self::Superseded => "superseded",
            Self::Undeliverable => "undeliverable",
            Self::DeviceGone => "device_gone",
        }
    }
}

/// What can happen to a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The app shows that the message has arrived.
    Acknowledge,
    /// The person agrees, verified by this method.
    Approve { number: Option<u32>, method: String },
    /// The person does not agree.
    Deny { why: Denial },
    /// Time passes.
    Tick,
    /// It needs no answer any more.
    Cancel { why: Cancellation },
}

/// The next state and what must be committed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The next state.
    pub state: State,
    /// What must be committed with it.
    pub effects: Vec<Effect>,
}

/// What must be committed with a change of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A line in the audit log.
    Audit { action: audit::Action, reason: &'static str },
    /// The flow that waits hears of it.
    TellFlow(Outcome),
    /// The phone hears that it need not ask any more.
    TellPhone,
    /// One more that was not agreed to, for the limit of pushes.
    CountAgainstPushes,
    /// One more failure on the user's count over all devices.
    CountUserFailure,
    /// Somebody agreed: the counts begin anew.
    ClearCounts,
}

/// What a flow hears of the challenge that it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The message has arrived.
    Acknowledged,
    /// The person has agreed, verified by this method.
    Approved(Method),
    /// The person has not agreed.
    Denied,
    /// There was no answer in time, or there will be none.
    Unanswered,
    /// No message can be brought to the device.
    Undeliverable,
    /// The device is no longer paired.
    DeviceGone,
}

/// Why an event does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The time for an answer is over.
    #[error("the answer comes too late")]
    Expired,
    /// The question was withdrawn.
    #[error("the question was withdrawn")]
    Cancelled,
    /// Another answer has counted.
    #[error("the question was answered already")]
    Answered,
    /// A silent question is acknowledged, a visible one approved or denied.
    #[error("the question is not one for this answer")]
    OtherQuestion,
    /// A number must be matched, and none came.
    #[error("the question needs the number that the sign-on page shows")]
    NumberRequired,
}

/// The whole life of a challenge.
pub fn apply(challenge: &Challenge, event: &Event, now: Timestamp) -> Result<Step, Refusal> {
    let late = now >= challenge.answer_until;
    match &challenge.state {
        State::Pending => match event {
            Event::Tick if late => Ok(timed_out(&challenge.question)),
            Event::Tick => Ok(Step { state: State::Pending, effects: Vec::new() }),
            Event::Cancel { why } => Ok(cancelled(&challenge.question, *why, now)),
            Event::Acknowledge | Event::Approve { .. } | Event::Deny { .. } if late => {
                Err(Refusal::Expired)
            }
            Event::Acknowledge => match challenge.question {
                Question::Silent => Ok(acknowledged(now)),
                Question::Visible(_) => Err(Refusal::OtherQuestion),
            },
            Event::Approve { number, method } => match &challenge.question {
                Question::Silent => Err(Refusal::OtherQuestion),
                Question::Visible(shown) => approved(shown, *number, method, now),
            },
            Event::Deny { why } => match challenge.question {
                Question::Silent => Err(Refusal::OtherQuestion),
                Question::Visible(_) => Ok(denied(*why, now)),
            },
        },
        State::Acknowledged { .. } | State::Approved { .. } | State::Denied { .. } => {
            ended(challenge, event, Refusal::Answered)
        }
        State::TimedOut => ended(challenge, event, Refusal::Expired),
        State::Cancelled { .. } => ended(challenge, event, Refusal::Cancelled),
    }
}

/// An end is an end: time and withdrawal change nothing, and answers are refused.
fn ended(challenge: &Challenge, event: &Event, refusal: Refusal) -> Result<Step, Refusal> {
    match event {
        Event::Tick | Event::Cancel { .. } => {
            Ok(Step { state: challenge.state.clone(), effects: Vec::new() })
        }
        Event::Acknowledge | Event::Approve { .. } | Event::Deny { .. } => Err(refusal),
    }
}

fn acknowledged(now: Timestamp) -> Step {
    let told = Effect::Audit { action: audit::Action::NotificationUpdated, reason: "acknowledged" };
    let effects = vec![told, Effect::TellFlow(Outcome::Acknowledged)];
    Step { state: State::Acknowledged { at: now }, effects }
}

fn approved(
    shown: &Shown,
    number: Option<u32>,
    method: &str,
    now: Timestamp,
) -> Result<Step, Refusal> {
    match (&shown.number, number) {
        (Some(_), None) => return Err(Refusal::NumberRequired),
        (Some(right), Some(given)) if right.value != given => {
            return Ok(denied(Denial::WrongNumber, now));
        }
        (Some(_) | None, _) => {}
    }
    let told = Effect::Audit { action: audit::Action::NotificationUpdated, reason: "approved" };
    let outcome = Outcome::Approved(Method::of_app(method));
    let effects = vec![told, Effect::ClearCounts, Effect::TellFlow(outcome)];
    Ok(Step { state: State::Approved { at: now, method: method.to_owned() }, effects })
}

fn denied(why: Denial, now: Timestamp) -> Step {
    let action = match why {
        Denial::Fraud => audit::Action::DeviceFraudReported,
        Denial::ByUser | Denial::BiometricsRejected | Denial::WrongNumber => {
            audit::Action::NotificationRejected
        }
    };
    let effects = vec![
        Effect::Audit { action, reason: why.name() },
        Effect::CountAgainstPushes,
        Effect::CountUserFailure,
        Effect::TellFlow(Outcome::Denied),
    ];
    Step { state: State::Denied { at: now, why }, effects }
}

fn timed_out(question: &Question) -> Step {
    let action = audit::Action::NotificationRejected;
    let mut effects = vec![Effect::Audit { action, reason: "timed_out" }];
    // Nobody has ignored what nobody was shown.
    if let Question::Visible(_) = question {
        effects.push(Effect::CountAgainstPushes);
    }
    effects.push(Effect::TellFlow(Outcome::Unanswered));
    Step { state: State::TimedOut, effects }
}

fn cancelled(question: &Question, why: Cancellation, now: Timestamp) -> Step {
    let action = audit::Action::NotificationRejected;
    let mut effects = vec![Effect::Audit { action, reason: why.name() }];
    // The phone has shown it, whatever became of the sign-on: else whoever asks could ask without end.
    if let Question::Visible(_) = question {
        effects.push(Effect::CountAgainstPushes);
    }
    match why {
        // The flow has said so itself.
        Cancellation::Withdrawn => {}
        Cancellation::Superseded => effects.push(Effect::TellFlow(Outcome::Unanswered)),
        Cancellation::Undeliverable => effects.push(Effect::TellFlow(Outcome::Undeliverable)),
        Cancellation::DeviceGone => effects.push(Effect::TellFlow(Outcome::DeviceGone)),
    }
    match (question, why) {
        (Question::Visible(_), Cancellation::Withdrawn | Cancellation::Superseded) => {
            effects.push(Effect::TellPhone);
        }
        // There is nobody to tell, or nothing that anybody has seen.
        (Question::Visible(_), Cancellation::Undeliverable | Cancellation::DeviceGone)
        | (Question::Silent, _) => {}
    }
    Step { state: State::Cancelled { at: now, why }, effects }
}

#[cfg(test)]
mod tests;
