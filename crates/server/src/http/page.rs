//! The pages that a browser is shown during a sign-on: a value in, HTML text out.
//!
//! No page needs JavaScript, and none says whether a user exists. The markup is in `templates`.

mod account;
pub(crate) mod asset;
mod problem;
mod qr;
#[cfg(test)]
mod tests;

use std::fmt;

use askama::Template;
use countersign_domain::flow::Notice;

pub use self::{
    account::{
        Account, AddAuthenticator, AddDevice, AddTarget, Bar, Done, OwnDevice, RecoveryCodes,
        RemoveDevice, SignOn, Standing,
    },
    asset::{Asset, asset},
    problem::Problem,
    qr::Qr,
};

/// One page.
#[derive(Template)]
#[template(path = "page.html", whitespace = "minimize")]
pub struct Page<'a> {
    /// The name of the application that asks, so that the person sees it; empty if it is not known.
    pub application: &'a str,
    /// What happened without the person's doing, said first.
    pub notice: Option<Notice>,
    /// What the page says or asks.
    pub screen: Screen<'a>,
}

/// Where a form goes.
#[derive(Clone, Copy)]
pub struct Form<'a> {
    /// The URL that it is posted to.
    pub action: &'a str,
    /// The value of its hidden field `token`, which only this browser's page can know.
    pub token: &'a str,
}

/// What a page says or asks.
///
/// What a form sends has the member `action`, which names the button pressed. All have `cancel`.
#[derive(Clone, Copy)]
pub enum Screen<'a> {
    /// Asks for `username` and `password`. Action: `login`.
    Login { form: Form<'a>, username: &'a str, phone: bool, problem: Option<Problem> },
    /// Asks for `username`. Action: `identify`.
    Identifier { form: Form<'a>, username: &'a str, phone: bool, problem: Option<Problem> },
    /// Asks for `password`. Actions: `password`, and `reset` to begin as another user.
    Password { form: Form<'a>, username: &'a str, phone: bool, problem: Option<Problem> },
    /// Asks for `new_password` and once more for the same as `repeated_password`. Actions: `new_password`, and `reset` to
    /// begin as another user.
    PasswordChange {
        form: Form<'a>,
        username: &'a str,
        min_characters: u8,
        problem: Option<Problem>,
    },
    /// Asks for `device`, one of the ids. Action: `device`.
    DeviceSelection { form: Form<'a>, devices: &'a [DeviceChoice], problem: Option<Problem> },
    /// Asks for `passcode` of the device with this name. Actions: `passcode`, those of `others`, and `reset`.
    Passcode {
        form: Form<'a>,
        device: &'a str,
        source: Source,
        others: Others,
        problem: Option<Problem>,
    },
    /// A phone is asked. Actions: those of `others`, and `reset`.
    Waiting {
        form: Form<'a>,
        device: &'a str,
        question: Question<'a>,
        wait: Wait<'a>,
        others: Others,
        problem: Option<Problem>,
    },
    /// Shows an authentication code to a phone. Actions: `phone`, which makes a new one, and `reset`.
    Scan { form: Form<'a>, code: ShownCode<'a>, problem: Option<Problem> },
    /// The phone has not answered in time. Actions: those of `others`, where `push` asks once more, and `reset`.
    TimedOut { form: Form<'a>, device: &'a str, others: Others, problem: Option<Problem> },
    /// Asks for `user_code`, the code that a device shows. Action: `verify`, and no `cancel`: nothing has begun.
    UserCode { form: Form<'a>, user_code: &'a str, problem: Option<Problem> },
    /// Asks whether a device may act for this user. Actions: `allow` and `refuse`.
    DeviceConsent { form: Form<'a>, username: &'a str },
    /// The person has decided; the device knows.
    DeviceDone { allowed: bool },
    /// The sign-on is over without success; `continue_url` takes that back to the application.
    Failed { reason: FailureText, continue_url: &'a str },
    /// The request has no answer that may go to its sender: unknown client, foreign redirect URI.
    Refused { description: &'a str, correlation: &'a str },
    /// Too many requests came from where this one does; the next is answered in so many seconds.
    TooMany { seconds: u32 },
    /// Asks whether to sign off. Action: `signoff`.
    SignOff { form: Form<'a>, members: &'a [(&'a str, &'a str)] },
    /// Nobody is signed in any more.
    SignedOff,
    /// Asks what to do with the own devices.
    Account(Account<'a>),
    /// Asks whether a device shall go.
    RemoveDevice(RemoveDevice<'a>),
    /// Shows the key by which a phone is paired.
    AddDevice(AddDevice<'a>),
    /// Shows the seed of an authenticator app.
    AddAuthenticator(AddAuthenticator<'a>),
    /// Asks for a passcode that was sent to an address or number.
    AddTarget(AddTarget<'a>),
    /// Shows recovery codes.
    RecoveryCodes(RecoveryCodes<'a>),
    /// The pages of the own account are switched off.
    AccountOff,
    /// The sign-on is unknown or too old.
    Gone,
    /// The answer to the application as a form (OAuth 2.0 Form Post Response Mode, section 2),
    /// which sends itself.
    FormPost { action: &'a str, members: &'a [(&'a str, &'a str)] },
}

/// What a phone is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question<'a> {
    /// Whether it is there. It answers by itself.
    Silent,
    /// For a yes.
    Approve,
    /// To pick this number out of several.
    Pick(&'a str),
    /// To type this number.
    Type(&'a str),
}

/// An authentication code on a page.
#[derive(Clone, Copy)]
pub struct ShownCode<'a> {
    /// As a phone reads it.
    pub picture: &'a Qr,
    /// As a person reads it.
    pub characters: &'a str,
    /// What opens the app where the page is read on the phone itself.
    pub link: Option<&'a str>,
    /// How far it has come.
    pub stage: Stage<'a>,
    /// The name of that, with the code itself: what [`Self::events`] tells for as long as the page is true.
    pub state: &'a str,
    /// Where changes are told.
    pub events: &'a str,
    /// How many seconds are left.
    pub seconds: i64,
}

/// How far an authentication code on a page has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage<'a> {
    /// A phone shall read it.
    Unclaimed,
    /// A phone has it; the person decides there, maybe by typing or picking this number.
    Claimed(Question<'a>),
    /// The person said no, or brought another number.
    Denied,
    /// It is too old.
    Expired,
}

impl Stage<'_> {
    /// Whether it can still change without the person's doing here.
    const fn is_open(self) -> bool {
        matches!(self, Self::Unclaimed | Self::Claimed(_))
    }
}

/// How long a page is true that waits.
#[derive(Clone, Copy)]
pub struct Wait<'a> {
    /// Where the status of the flow is read. It is `PUSH_CONFIRMATION_REQUIRED` for as long as the page is true.
    pub status: &'a str,
    /// How many seconds are left for an answer.
    pub seconds: i64,
}

/// The other ways to go on from a page that asks for a device.
#[derive(Clone, Copy, Default)]
pub struct Others {
    /// The device can be asked by push. Action: `push`.
    pub push: bool,
    /// A passcode of the device counts. Action: `use_passcode`.
    pub passcode: bool,
    /// There is another device. Action: `devices`.
    pub device: bool,
}

/// Where a person finds a passcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the app of a paired phone.
    Phone,
    /// In an authenticator app.
    Authenticator,
    /// On the list of recovery codes.
    RecoveryCodes,
    /// In a mail.
    Email,
    /// In a text message.
    Sms,
    /// In a phone call.
    Voice,
}

impl Source {
    /// How a device of this kind answers.
    const fn text(self) -> &'static str {
        match self {
            Self::Phone | Self::Authenticator => "Shows you a passcode",
            Self::RecoveryCodes => "Each of them counts once",
            Self::Email => "Gets a mail with a passcode",
            Self::Sms => "Gets a text message with a passcode",
            Self::Voice => "Gets a call that tells a passcode",
        }
    }
}

/// A device that the person may choose.
#[derive(Clone, Debug)]
pub struct DeviceChoice {
    /// What the form sends.
    pub id: String,
    /// What the person calls it.
    pub name: String,
    /// Whether it is asked by push, or for a passcode.
    pub push: bool,
    /// Where its passcodes are found.
    pub source: Source,
    /// What tells it from another of the same name, such as the model; may be empty.
    pub detail: String,
}

/// Why a sign-on ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureText {
    /// The user has no device that the policy accepts.
    NoUsableDevice,
    /// An administrator has blocked the user's devices.
    DeviceBlocked,
    /// Wrong passcodes have locked the user's devices.
    DeviceLocked,
    /// Wrong passcodes over all devices have locked the user.
    UserLocked,
    /// The user's MFA is off, and the policy refuses such users.
    MfaDisabled,
    /// The phone says that it is rooted.
    Compromised,
    /// The person has said no on the phone, or has given the wrong number.
    PushDenied,
    /// Too many pushes went without a yes.
    PushesStopped,
    /// The phone did not answer the silent push that the policy insists on.
    ExtraVerificationFailed,
    /// The person gave up.
    Cancelled,
    /// The application asked for somebody else.
    OtherUser,
    /// The sign-on policy has no steps.
    NoSteps,
    /// The user has no value for a claim that the application requires.
    MissingClaim,
    /// The application does not take the user.
    NotAdmitted,
}

impl<'a> Page<'a> {
    /// A page on which nothing is to be said first.
    #[must_use]
    pub const fn new(application: &'a str, screen: Screen<'a>) -> Self {
        Self { application, notice: None, screen }
    }

    /// The page as HTML.
    pub fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }

    fn notice(&self) -> Option<&'static str> {
        self.notice.map(notice_text)
    }

    /// The letter that stands for the application; nothing if the application is not known.
    fn monogram(&self) -> Option<String> {
        let first = self.application.chars().find(|char| char.is_alphanumeric());
        first.or(self.application.chars().next()).map(|char| char.to_uppercase().collect())
    }
}

impl<'a> Question<'a> {
    const fn number(self) -> Option<&'a str> {
        match self {
            Self::Silent | Self::Approve => None,
            Self::Pick(number) | Self::Type(number) => Some(number),
        }
    }
}

impl Wait<'_> {
    /// What is left, in words; `wait.js` says the same.
    fn left(self) -> String {
        match self.seconds {
            ..=180 => format!("{} s left", self.seconds),
            more => format!("{} min left", (more + 59) / 60),
        }
    }
}

impl Others {
    /// Whether there is none.
    const fn is_empty(self) -> bool {
        !(self.push || self.passcode || self.device)
    }
}

impl Screen<'_> {
    /// Whether the page goes on by itself.
    pub const fn waits(&self) -> bool {
        match self {
            Self::Waiting { .. } | Self::AddDevice(_) => true,
            Self::Scan { code, .. } => code.stage.is_open(),
            _ => false,
        }
    }

    const fn heading(&self) -> &'static str {
        match self {
            Self::Login { .. } | Self::Identifier { .. } => "Sign in",
            Self::Password { .. } => "Enter your password",
            Self::PasswordChange { .. } => "Choose a new password",
            Self::DeviceSelection { .. } => "Choose a device",
            Self::Passcode { .. } => "Enter your passcode",
            Self::Waiting { question: Question::Silent, .. } => "Checking your phone",
            Self::Waiting { .. } => "Check your phone",
            Self::Scan { code: ShownCode { stage: Stage::Claimed(_), .. }, .. } => {
                "Continue on your phone"
            }
            Self::Scan { .. } => "Sign in with your phone",
            Self::TimedOut { .. } => "No answer from your phone",
            Self::UserCode { .. } => "Connect a device",
            Self::DeviceConsent { .. } => "Allow this device?",
            Self::DeviceDone { allowed: true } => "You can go back to your device",
            Self::DeviceDone { allowed: false } => "You refused",
            Self::Failed { reason: FailureText::Cancelled, .. } => "You cancelled",
            Self::Failed { .. } => "You are not signed in",
            Self::Refused { .. } => "This request cannot be answered",
            Self::TooMany { .. } => "One moment, please",
            Self::SignOff { .. } => "Sign out?",
            Self::SignedOff => "You are signed out",
            Self::Account(_) => "Your account",
            Self::RemoveDevice(_) => "Remove this device?",
            Self::AddDevice(_) => "Add a phone",
            Self::AddAuthenticator(_) => "Add an authenticator app",
            Self::AddTarget(_) => "Enter the passcode",
            Self::RecoveryCodes(_) => "Your recovery codes",
            Self::AccountOff => "There is nothing to see here",
            Self::Gone => "This sign-on has ended",
            Self::FormPost { .. } => "One moment",
        }
    }

    const fn problem(&self) -> Option<Problem> {
        match self {
            Self::Login { problem, .. }
            | Self::Identifier { problem, .. }
            | Self::Password { problem, .. }
            | Self::PasswordChange { problem, .. }
            | Self::DeviceSelection { problem, .. }
            | Self::Passcode { problem, .. }
            | Self::Waiting { problem, .. }
            | Self::Scan { problem, .. }
            | Self::TimedOut { problem, .. }
            | Self::UserCode { problem, .. }
            | Self::Account(Account { problem, .. })
            | Self::AddAuthenticator(AddAuthenticator { problem, .. })
            | Self::AddTarget(AddTarget { problem, .. }) => *problem,
            Self::DeviceConsent { .. }
            | Self::DeviceDone { .. }
            | Self::Failed { .. }
            | Self::Refused { .. }
            | Self::SignOff { .. }
            | Self::SignedOff
            | Self::TooMany { .. }
            | Self::RemoveDevice(_)
            | Self::AddDevice(_)
            | Self::RecoveryCodes(_)
            | Self::AccountOff
            | Self::Gone
            | Self::FormPost { .. } => None,
        }
    }
}

impl fmt::Display for FailureText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUsableDevice => {
                "Signing in takes a second step, and you have no device that can be used for it now. \
                 Ask your administrator how to add one, or start again in a while."
            }
            Self::DeviceBlocked => {
                "Your device is blocked. Ask your administrator to unblock it, then start again."
            }
            Self::DeviceLocked => {
                "Your device is locked for a while after several wrong passcodes. \
                 Wait a little, then start again."
            }
            Self::UserLocked => {
                "Your account is locked for a while after several wrong passcodes. \
                 Wait a little, then start again."
            }
            Self::MfaDisabled => {
                "Signing in takes a second step, and it is switched off for your account. \
                 Ask your administrator to switch it on."
            }
            Self::Compromised => {
                "Your phone's system seems to have been changed, so it cannot vouch for you. \
                 Use another phone, or ask your administrator for help."
            }
            Self::ExtraVerificationFailed => {
                "We could not reach your phone to check that it is you. \
                 Make sure that it is online, then start again."
            }
            Self::PushDenied => {
                "The answer from your phone was no, or its number was not the one shown here. \
                 If that was not you, tell your administrator. If it was a mistake, start again."
            }
            Self::PushesStopped => {
                "Your phone was asked several times without a yes, so it is not asked for a while. \
                 Wait a little, then start again."
            }
            Self::NoSteps => {
                "This application cannot sign anybody in at the moment. Please tell the people who run it."
            }
            Self::OtherUser => {
                "The application asked for another user. Start again and sign in as that one."
            }
            Self::MissingClaim => {
                "The application needs to know something that your account does not say. \
                 Ask your administrator to complete it, then start again."
            }
            Self::NotAdmitted => {
                "Your account may not use this application. Ask your administrator if you need it."
            }
            Self::Cancelled => "Nobody was signed in. You can start again whenever you like.",
        })
    }
}

const fn notice_text(notice: Notice) -> &'static str {
    match notice {
        Notice::DeviceGone => {
            "The phone that we asked can no longer be used to sign in. \
             The app may be gone from it, or somebody unpaired or blocked it."
        }
    }
}
