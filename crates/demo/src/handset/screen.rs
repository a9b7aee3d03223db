//! What is on the screen of a phone, as values for its page.

use countersign_protocol::{challenge::Origin, otp::Passcode as Digits};
use countersign_sdk::{AuthenticationObject, NotificationObject};
use serde_json::Value;

use super::{Handset, Stage, State};

/// A part of the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    /// Signing in, and the account.
    Bank,
    /// Reading a code.
    Scan,
    /// The passcode.
    Passcode,
    /// Who trusts this phone.
    Trust,
}

impl Tab {
    /// All, in their order.
    pub const ALL: [Self; 4] = [Self::Bank, Self::Scan, Self::Passcode, Self::Trust];

    /// Its name in forms.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Bank => "bank",
            Self::Scan => "scan",
            Self::Passcode => "passcode",
            Self::Trust => "trust",
        }
    }

    /// Its name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Bank => "Account",
            Self::Scan => "Scan",
            Self::Passcode => "Passcode",
            Self::Trust => "Trust",
        }
    }

    /// The one of this name.
    pub fn named(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tab| tab.key() == key)
    }
}

/// What is on the screen.
pub enum Screen {
    /// The home screen.
    Home { installed: bool, banner: Option<Banner> },
    /// A question that a push has brought.
    Question(Question),
    /// A question that a code has brought.
    Code { question: Question, users: Vec<(String, String)> },
    /// How something ended.
    Outcome { good: bool, title: String, text: String },
    /// Nobody is signed in.
    SignIn { problem: Option<String> },
    /// A passcode is asked for.
    SecondStep { problem: Option<String> },
    /// A phone is asked.
    Waiting { number: Option<String> },
    /// "Trust this phone?"
    Offer { name: String, problem: Option<String> },
    /// Somebody is signed in.
    Account(SignedIn),
    /// A code is to be read.
    Scan { problem: Option<String> },
    /// The passcodes of those who trust this phone.
    Passcodes { passcodes: Vec<Passcode> },
    /// Those who trust this phone: id and name.
    Trust { users: Vec<(String, String)>, problem: Option<String> },
}

/// What a push shows while the app is not in front.
pub struct Banner {
    /// Its title.
    pub title: String,
    /// Its text, which names nobody.
    pub text: &'static str,
}

/// What the person is asked.
pub struct Question {
    /// Its id.
    pub challenge: String,
    /// What is asked.
    pub title: String,
    /// In more words.
    pub message: String,
    /// What the person should know, each with what it is.
    pub facts: Vec<(String, String)>,
    /// The numbers to pick from; none: a yes is enough.
    pub numbers: Vec<u32>,
    /// Seconds that are left.
    pub seconds: i64,
}

/// Somebody who is signed in.
pub struct SignedIn {
    /// Id of the user.
    pub id: String,
    /// What the person is called.
    pub name: String,
    /// What has just happened.
    pub notice: Option<String>,
    /// Whether this phone vouches for the person.
    pub trusted: bool,
}

/// A passcode.
pub struct Passcode {
    /// Whose it is.
    pub name: String,
    /// Three digits, and three more.
    pub digits: (String, String),
    /// Seconds that are left.
    pub seconds: i64,
    /// Seconds in all.
    pub step: i64,
}

impl Screen {
    /// The part of the app that it is in; nothing where there is no way to another.
    pub const fn tab(&self) -> Option<Tab> {
        match self {
            Self::SignIn { .. } | Self::Account(_) => Some(Tab::Bank),
            Self::Scan { .. } => Some(Tab::Scan),
            Self::Passcodes { .. } => Some(Tab::Passcode),
            Self::Trust { .. } => Some(Tab::Trust),
            Self::Home { .. }
            | Self::Question(_)
            | Self::Code { .. }
            | Self::Outcome { .. }
            | Self::SecondStep { .. }
            | Self::Waiting { .. }
            | Self::Offer { .. } => None,
        }
    }

    /// After how many seconds it is no longer true by itself.
    pub fn lasts(&self) -> Option<i64> {
        match self {
            Self::Question(question) | Self::Code { question, .. } => Some(question.seconds),
            Self::Passcodes { passcodes } => passcodes.iter().map(|one| one.seconds).min(),
            _ => None,
        }
    }
}

/// The screen of a phone in this state.
pub fn of(handset: &Handset, state: &State) -> Screen {
    let waiting = state.questions.iter().rev().find(|one| one.timeout_duration() > 0);
    if !state.open || !state.kept.installed {
        let banner = waiting.map(|question| Banner {
            title: question.title().to_owned(),
            text: "Tap to see who asks.",
        });
        return Screen::Home { installed: state.kept.installed, banner };
    }
    if let Some(outcome) = &state.outcome {
        let (title, text) = (outcome.title.clone(), outcome.text.clone());
        return Screen::Outcome { good: outcome.good, title, text };
    }
    if let Some(question) = waiting {
        return Screen::Question(question_of(question));
    }
    if let Some(code) = state.code.as_ref().filter(|code| code.timeout_duration() > 0) {
        return code_of(code);
    }
    let problem = state.problem.clone();
    match state.tab {
        Tab::Bank => bank(state),
        Tab::Scan => Screen::Scan { problem },
        Tab::Passcode => Screen::Passcodes { passcodes: passcodes(handset, state) },
        Tab::Trust => {
            let users = state.sdk().map(|sdk| sdk.paired_users()).unwrap_or_default();
            let named = users.into_iter().map(|user| (user.id.clone(), handset.name_of(&user.id)));
            Screen::Trust { users: named.collect(), problem }
        }
    }
}

fn bank(state: &State) -> Screen {
    let problem = state.problem.clone();
    match &state.stage {
        Stage::Passcode(_) => Screen::SecondStep { problem },
        Stage::Waiting { number, .. } => Screen::Waiting { number: number.clone() },
        Stage::Offer { account, .. } => Screen::Offer { name: account.name.clone(), problem },
        Stage::Idle => match &state.kept.account {
            None => Screen::SignIn { problem },
            Some(account) => {
                let users = state.sdk().map(|sdk| sdk.paired_users()).unwrap_or_default();
                Screen::Account(SignedIn {
                    id: account.id.clone(),
                    name: account.name.clone(),
                    notice: state.notice.clone(),
                    trusted: users.iter().any(|user| user.id == account.id),
                })
            }
        },
    }
}

fn passcodes(handset: &Handset, state: &State) -> Vec<Passcode> {
    let Some(sdk) = state.sdk() else { return Vec::new() };
    let of_user = |id: &str| {
        let passcode = sdk.one_time_passcode_for(id).ok()?;
        Some(Passcode {
            name: handset.name_of(id),
            digits: halves(&passcode.passcode),
            seconds: passcode.seconds_remaining,
            step: passcode.step_seconds,
        })
    };
    sdk.paired_users().iter().filter_map(|user| of_user(&user.id)).collect()
}

fn halves(passcode: &Digits) -> (String, String) {
    let text = passcode.expose();
    let (first, second) = text.split_at_checked(3).unwrap_or((text, ""));
    (first.to_owned(), second.to_owned())
}

fn question_of(question: &NotificationObject) -> Question {
    let user = question.user();
    let mut facts = vec![("Where".to_owned(), question.application().to_owned())];
    if let Some(username) = &user.username {
        facts.push(("User".to_owned(), username.clone()));
    }
    facts.extend(origin(question.origin()));
    facts.extend(context(question.client_context()));
    Question {
        challenge: question.challenge().to_owned(),
        title: question.title().to_owned(),
        message: question.message().to_owned(),
        facts,
        numbers: question.number_matching_options().to_vec(),
        seconds: question.timeout_duration(),
    }
}

fn code_of(code: &AuthenticationObject) -> Screen {
    let mut facts = vec![("Where".to_owned(), code.application().to_owned())];
    facts.extend(origin(code.origin()));
    facts.extend(context(code.client_context()));
    let name = |user: &countersign_sdk::CodeUser| {
        let Some(given) = &user.name.given else { return user.username.clone() };
        format!("{given} {}", user.name.family.as_deref().unwrap_or_default())
    };
    let users = code.users().iter().map(|user| (user.id.clone(), name(user))).collect();
    let question = Question {
        challenge: code.request().to_owned(),
        title: "Sign in on another screen?".to_owned(),
        message: "Only if you have the other screen in front of you.".to_owned(),
        facts,
        numbers: code.number_matching_options().to_vec(),
        seconds: code.timeout_duration(),
    };
    Screen::Code { question, users }
}

/// From where it is asked.
fn origin(origin: &Origin) -> Vec<(String, String)> {
    let browser =
        origin.browser.as_ref().map(|browser| ("Browser".to_owned(), browser_name(browser)));
    let place = origin.address.as_ref().map(|address| {
        let here = matches!(&**address, "127.0.0.1" | "::1");
        let place = if here { format!("This computer ({address})") } else { address.clone() };
        ("Place".to_owned(), place)
    });
    browser.into_iter().chain(place).collect()
}

/// The name of a browser and its system, as far as its own words give them away.
fn browser_name(agent: &str) -> String {
    let browsers =
        [("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari")];
    let systems = [
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let find = |known: &[(&str, &'static str)]| {
        known.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
    };
    match (find(&browsers), find(&systems)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        _ => agent.chars().take(40).collect(),
    }
}

/// What the bank's back end has said for the person: the members of an object, in their order.
fn context(json: Option<&str>) -> Vec<(String, String)> {
    let parsed = json.and_then(|json| serde_json::from_str::<Value>(json).ok());
    let Some(Value::Object(members)) = parsed else { return Vec::new() };
    let shown = members.into_iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, text)),
        Value::Number(number) => Some((name, number.to_string())),
        _ => None,
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_called_by_its_name() {
        for (agent, name) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36",
                "Chrome on Linux",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 14) Version/17 Safari/605.1",
                "Safari on macOS",
            ),
            ("Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Firefox/131.0", "Firefox on Windows"),
            ("curl/8", "curl/8"),
        ] {
            assert_eq!(browser_name(agent), name);
        }
    }

    #[test]
    fn the_context_of_a_question_is_its_texts_and_numbers() {
        let shown = context(Some(r#"{"To":"Mill","Amount":"£5","n":[1]}"#));
        let shown: Vec<_> = shown.iter().map(|(name, text)| (&**name, &**text)).collect();
        assert_eq!(shown.len(), 2);
        assert!(shown.contains(&("To", "Mill")) && shown.contains(&("Amount", "£5")));
        assert_eq!(context(Some("[1]")), []);
        assert_eq!(context(None), []);
    }
}
