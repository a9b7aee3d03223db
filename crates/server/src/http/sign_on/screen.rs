//! Which screen a flow is at, and how its devices are called there.

use countersign_domain::{
    authentication_code::State as CodeState,
    challenge::Number,
    device::Device,
    flow::{Failure, State},
    id::Id,
    mfa::Reason,
};
use countersign_protocol::{challenge::NumberMatching, time::Timestamp};

use crate::{
    app::{Choosable, FlowView, Realm, SeenKind, ShownCode},
    http::{
        authentication_code::status_name,
        page::{
            self, DeviceChoice, FailureText, Form, Others, Problem, Qr, Question, Screen, Source,
            Stage, Wait,
        },
    },
};

/// What a screen is made of.
#[derive(Clone, Copy)]
pub(super) struct Facts<'a> {
    pub view: &'a FlowView,
    pub form: Form<'a>,
    /// Where a flow that has ended goes on.
    pub continue_url: &'a str,
    /// How long a new password must be.
    pub min_characters: u8,
    pub now: Timestamp,
}

/// What a screen says in words that are not there yet.
pub(super) struct Words {
    devices: Vec<DeviceChoice>,
    number: Option<String>,
    status_url: String,
    code: Option<CodeWords>,
}

/// An authentication code in words.
struct CodeWords {
    picture: Qr,
    characters: String,
    link: Option<String>,
    state: String,
    events_url: String,
}

impl Words {
    pub fn of(view: &FlowView, realm: &Realm) -> Self {
        let only = view.devices.len() == 1;
        Self {
            devices: (1..).zip(&view.devices).map(|placed| named(placed, only)).collect(),
            number: view.number.as_ref().map(Number::text),
            status_url: format!("/{}/flows/{}", view.flow.environment, view.flow.id),
            code: view.code.as_ref().and_then(|shown| CodeWords::of(view, shown, realm)),
        }
    }

    fn name_of(&self, device: Id<Device>) -> &str {
        let id = device.to_string();
        let known = self.devices.iter().find(|choice| choice.id == id);
        known.map_or("your phone", |choice| choice.name.as_str())
    }

    fn source_of(&self, device: Id<Device>) -> Source {
        let id = device.to_string();
        let known = self.devices.iter().find(|choice| choice.id == id);
        known.map_or(Source::Phone, |choice| choice.source)
    }

    fn question(&self, view: &FlowView) -> Question<'_> {
        let matching = view.number.as_ref().map(|number| &number.matching);
        match (matching, self.number.as_deref()) {
            (Some(NumberMatching::SelectNumber { .. }), Some(number)) => Question::Pick(number),
            (Some(NumberMatching::EnterManually { .. }), Some(number)) => Question::Type(number),
            (None, _) | (_, None) => Question::Approve,
        }
    }

    fn code(&self, view: &FlowView, now: Timestamp) -> Option<page::ShownCode<'_>> {
        let (words, shown) = self.code.as_ref().zip(view.code.as_ref())?;
        Some(page::ShownCode {
            picture: &words.picture,
            characters: &words.characters,
            link: words.link.as_deref(),
            stage: match shown.code.state {
                CodeState::Unclaimed => Stage::Unclaimed,
                CodeState::Claimed { .. } => Stage::Claimed(self.question(view)),
                CodeState::Denied { .. } => Stage::Denied,
                CodeState::Expired { .. } | CodeState::Completed { .. } => Stage::Expired,
            },
            state: &words.state,
            events: &words.events_url,
            seconds: seconds_until(shown.code.expires_at(), now),
        })
    }

    fn wait(&self, until: Timestamp, now: Timestamp) -> Wait<'_> {
        Wait { status: &self.status_url, seconds: seconds_until(until, now) }
    }
}

impl CodeWords {
    fn of(view: &FlowView, shown: &ShownCode, realm: &Realm) -> Option<Self> {
        let uri = shown.uri(realm);
        let flow = &view.flow;
        Some(Self {
            picture: Qr::new(uri.expose(), "QR code for the app on your phone")?,
            characters: shown.characters(realm).expose().to_owned(),
            link: shown.opens_app().then(|| uri.expose().to_owned()),
            state: state_word(view),
            events_url: format!("/{}/signon/events?flowId={}", flow.environment, flow.id),
        })
    }
}

/// What a page of a code stands for: as long as this is the same, the page is true.
pub(super) fn state_word(view: &FlowView) -> String {
    match &view.code {
        Some(shown) => format!("{} {}", shown.code.id, status_name(&shown.code.state)),
        None => "MOVED".to_owned(),
    }
}

fn seconds_until(until: Timestamp, now: Timestamp) -> i64 {
    (until.micros() - now.micros()).max(0) / 1_000_000
}

/// The screen that a flow is at. None: it has none, or none any more.
pub(super) fn screen<'a>(
    facts: &Facts<'a>,
    words: &'a Words,
    problem: Option<Problem>,
) -> Option<Screen<'a>> {
    let Facts { view, form, continue_url, min_characters, now } = *facts;
    let phone = view.phone_sign_on;
    let hint = view.flow.request.login_hint.as_deref().unwrap_or_default();
    let known = view.user.as_ref().map(|user| user.username.as_str()).unwrap_or_default();
    Some(match &view.flow.state {
        State::Login { .. } => Screen::Login { form, username: hint, phone, problem },
        State::Identifier { .. } => Screen::Identifier { form, username: hint, phone, problem },
        State::Password { username, .. } => {
            let username = if username.is_empty() { known } else { username };
            Screen::Password { form, username, phone, problem }
        }
        State::AuthenticationCode { .. } => {
            Screen::Scan { form, code: words.code(view, now)?, problem }
        }
        State::PasswordChange { .. } => {
            Screen::PasswordChange { form, username: known, min_characters, problem }
        }
        State::DeviceSelection { .. } => {
            Screen::DeviceSelection { form, devices: &words.devices, problem }
        }
        State::Passcode { device, .. } => {
            let others = Others { passcode: false, ..others(view, *device) };
            let (device, source) = (words.name_of(*device), words.source_of(*device));
            let problem = problem.or(view.unsent.then_some(Problem::TooManyPasscodes));
            Screen::Passcode { form, device, source, others, problem }
        }
        State::Verification { device, until, .. } => {
            let (device, question) = (words.name_of(*device), Question::Silent);
            let (wait, others) = (words.wait(*until, now), Others::default());
            Screen::Waiting { form, device, question, wait, others, problem }
        }
        State::Push { device, until, .. } => {
            let others = Others { push: false, ..others(view, *device) };
            let (question, wait) = (words.question(view), words.wait(*until, now));
            let device = words.name_of(*device);
            Screen::Waiting { form, device, question, wait, others, problem }
        }
        State::PushTimedOut { device, .. } => {
            let others = others(view, *device);
            Screen::TimedOut { form, device: words.name_of(*device), others, problem }
        }
        State::Failed { why, .. } => Screen::Failed { reason: failure_text(*why), continue_url },
        State::Completed { .. } | State::Deciding { .. } => return None,
    })
}

/// How to go on otherwise than by what a device is asked for.
fn others(view: &FlowView, device: Id<Device>) -> Others {
    let chosen = view.devices.iter().find(|choice| choice.device.id == device);
    Others {
        push: chosen.is_some_and(|choice| choice.push_seconds.is_some()),
        passcode: chosen.is_some_and(|choice| choice.passcode),
        device: view.devices.iter().any(|choice| choice.device.id != device),
    }
}

/// A device as a person knows it. A phone without a name needs a number only where there are several.
fn named((place, choosable): (u32, &Choosable), only: bool) -> DeviceChoice {
    let Choosable { device, push_seconds, .. } = choosable;
    let (id, push) = (device.id.to_string(), push_seconds.is_some());
    let source = match device.kind {
        SeenKind::Phone { .. } => Source::Phone,
        SeenKind::Totp => Source::Authenticator,
        SeenKind::RecoveryCodes { .. } => Source::RecoveryCodes,
        SeenKind::Email { .. } => Source::Email,
        SeenKind::Sms { .. } => Source::Sms,
        SeenKind::Voice { .. } => Source::Voice,
    };
    let known = device.nickname.as_deref().or_else(|| device.label());
    let Some(name) = known.map(str::to_owned) else {
        let name = if only { "your phone".to_owned() } else { format!("Device {place}") };
        return DeviceChoice { id, name, push, source, detail: String::new() };
    };
    let paired = device.created_at.to_rfc3339_millis();
    let day = paired.split('T').next().unwrap_or_default();
    let detail = match source {
        Source::Phone => format!("Paired {day}"),
        Source::Authenticator
        | Source::RecoveryCodes
        | Source::Email
        | Source::Sms
        | Source::Voice => format!("Added {day}"),
    };
    DeviceChoice { id, name, push, source, detail }
}

const fn failure_text(why: Failure) -> FailureText {
    match why {
        Failure::Cancelled => FailureText::Cancelled,
        Failure::OtherUser => FailureText::OtherUser,
        Failure::NoSteps => FailureText::NoSteps,
        Failure::MissingClaim { .. } => FailureText::MissingClaim,
        Failure::NotAdmitted => FailureText::NotAdmitted,
        Failure::Mfa(reason) => match reason {
            Reason::NoUsableDevice => FailureText::NoUsableDevice,
            Reason::DeviceBlocked => FailureText::DeviceBlocked,
            Reason::DeviceLocked => FailureText::DeviceLocked,
            Reason::UserLocked => FailureText::UserLocked,
            Reason::MfaDisabled => FailureText::MfaDisabled,
            Reason::Compromised => FailureText::Compromised,
            Reason::ExtraVerificationFailed => FailureText::ExtraVerificationFailed,
            Reason::PushDenied => FailureText::PushDenied,
            Reason::PushesStopped => FailureText::PushesStopped,
        },
    }
}
