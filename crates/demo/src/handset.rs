//! A phone of the demo: a real SDK, the bank's app around it, and what its owner can do to it.

mod act;
mod answer;
mod camera;
mod kept;
mod radio;
mod receive;
mod screen;
mod sign_in;

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use countersign_domain::{application::Application, id::Id};
use countersign_emulator::{Phone, PhoneConfig, push_service::installation::Installations};
use countersign_protocol::{
    mobile_payload::{PushEnvironment, PushService},
    time::{Clock, SystemClock, Timestamp},
};
use countersign_sdk::{AuthenticationObject, Countersign, NotificationObject, PairingObject};
use countersign_server::app::App;
use tokio::sync::Notify;

pub use self::{
    act::{Act, Fields, sentence},
    camera::find_code,
    screen::{Screen, Tab},
};
use self::{
    kept::{Account, Kept},
    radio::Radio,
    sign_in::SignIn,
};
use crate::{BUNDLE_ID, Bank, DemoError, Push, feed::Feed};

/// What a phone is, before anybody has used it.
struct Make {
    key: &'static str,
    name: &'static str,
    maker: &'static str,
    model: &'static str,
    service: PushService,
}

const MAKES: [Make; 3] = [
    Make {
        key: "ann",
        name: "Ann’s phone",
        maker: "Lumen",
        model: "Lumen 5",
        service: PushService::Apns,
    },
    Make {
        key: "ben",
        name: "Ben’s phone",
        maker: "Fieldwork",
        model: "Fieldwork Two",
        service: PushService::Fcm,
    },
    Make {
        key: "spare",
        name: "Spare phone",
        maker: "Fieldwork",
        model: "Fieldwork Mini",
        service: PushService::Fcm,
    },
];

/// The most lines that are kept of what the SDK did.
const LINES: usize = 14;

/// A phone.
pub struct Handset {
    /// Its name in addresses.
    pub key: &'static str,
    /// Its model.
    pub model: &'static str,
    /// Who wakes it.
    pub service: PushService,
    /// Tells open pages of it that they are no longer true.
    pub feed: Feed,
    folder: PathBuf,
    issuer: String,
    native: Id<Application>,
    bank: Arc<Bank>,
    push: Push,
    config: PhoneConfig,
    radio: Arc<Radio>,
    readdressed: Notify,
    state: Mutex<State>,
}

/// What changes about a phone.
struct State {
    kept: Kept,
    /// The app, while it is installed.
    phone: Option<Phone>,
    /// Whether the app is in front.
    open: bool,
    tab: Tab,
    stage: Stage,
    code: Option<Arc<AuthenticationObject>>,
    questions: Vec<Arc<NotificationObject>>,
    outcome: Option<Outcome>,
    problem: Option<String>,
    notice: Option<String>,
    lines: VecDeque<Line>,
}

/// How far a sign-on in the app has come.
#[derive(Default)]
enum Stage {
    /// Nobody is signing in: whether somebody is signed in says the account.
    #[default]
    Idle,
    /// A passcode is asked for.
    Passcode(Arc<SignIn>),
    /// A phone is asked, this one silently or another one visibly.
    Waiting { flow: Arc<SignIn>, number: Option<String> },
    /// "Trust this phone?"
    Offer { offer: Arc<PairingObject>, account: Account },
}

/// The end of something, which stays on the screen until it is read.
struct Outcome {
    good: bool,
    title: String,
    text: String,
}

/// One thing that the SDK did.
#[derive(Clone)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// The call, as app developers write it.
    pub call: &'static str,
    /// What came of it.
    pub result: String,
}

/// What the owner can see of a phone beside its screen.
pub struct Facts {
    /// What its owner calls it.
    pub name: String,
    /// Whether the app is on it.
    pub installed: bool,
    /// Whether it has no network.
    pub airplane: bool,
    /// Whether push messages do not reach it.
    pub deaf: bool,
    /// The push address of its app.
    pub token: Option<String>,
    /// The latest first.
    pub lines: Vec<Line>,
    /// Who trusts it, as the SDK knows.
    pub trusted_by: Vec<String>,
}

/// All phones of the demo, as they were left.
pub async fn all(
    folder: &Path,
    app: &App,
    bank: &Arc<Bank>,
    push: &Push,
) -> Result<Vec<Arc<Handset>>, DemoError> {
    let mut phones = Vec::new();
    for make in &MAKES {
        let folder = folder.join(make.key);
        phones.push(Arc::new(Handset::open(make, folder, (app, bank, push)).await?));
    }
    Ok(phones)
}

impl Handset {
    async fn open(
        make: &Make,
        folder: PathBuf,
        (app, bank, push): (&App, &Arc<Bank>, &Push),
    ) -> Result<Self, DemoError> {
        let issuer = bank.issuer(app);
        let kept = Kept::read(&folder, &issuer, make.name)?;
        let radio = Arc::new(Radio::new(kept.airplane)?);
        let config =
            PhoneConfig::new(make.key, &folder.join("app"), &issuer, &bank.native.to_string(), b"")
                .map_err(|error| DemoError::Network(error.to_string()))?;
        let config = PhoneConfig {
            manufacturer: make.maker.to_owned(),
            model: make.model.to_owned(),
            package: BUNDLE_ID.to_owned(),
            transport: Arc::<Radio>::clone(&radio) as _,
            ..config
        };
        let phone = if kept.installed { Some(Phone::new(config.clone()).await?) } else { None };
        let handset = Self {
            key: make.key,
            model: make.model,
            service: make.service,
            feed: Feed::new(),
            native: bank.native,
            bank: Arc::clone(bank),
            push: push.clone(),
            readdressed: Notify::new(),
            state: Mutex::new(State::new(kept, phone)),
            folder,
            issuer,
            config,
            radio,
        };
        handset.adopt()?;
        Ok(handset)
    }

    /// What can be said of it beside its screen.
    pub fn facts(&self) -> Facts {
        self.read(|state| {
            let trusted = state.sdk().map(|sdk| sdk.paired_users()).unwrap_or_default();
            Facts {
                name: state.kept.name.clone(),
                installed: state.kept.installed,
                airplane: state.kept.airplane,
                deaf: state.kept.deaf,
                token: state.kept.token.clone(),
                lines: state.lines.iter().rev().cloned().collect(),
                trusted_by: trusted.iter().map(|user| self.name_of(&user.id)).collect(),
            }
        })
    }

    /// What is on its screen.
    pub fn screen(&self) -> Screen {
        self.read(|state| screen::of(self, state))
    }

    /// The name of a customer; of others their id.
    fn name_of(&self, user: &str) -> String {
        self.bank.person(user).map_or_else(|| user.to_owned(), |person| person.name.clone())
    }

    const fn installations(&self) -> &Arc<Installations> {
        match self.service {
            PushService::Apns => &self.push.apns,
            _ => &self.push.fcm,
        }
    }

    /// What the push service knows the app by.
    fn push_name(&self) -> &str {
        match self.service {
            PushService::Apns => BUNDLE_ID,
            _ => &self.push.project,
        }
    }

    fn push_environment(&self) -> Option<PushEnvironment> {
        (self.service == PushService::Apns).then_some(PushEnvironment::Production)
    }

    fn sdk(&self) -> Option<Countersign> {
        self.read(State::sdk)
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes it, keeps what must outlast a restart, and tells open pages.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.kept.clone();
        let result = change(&mut state);
        if state.kept != before
            && let Err(error) = state.kept.write(&self.folder)
        {
            tracing::error!(%error, phone = self.key, "the phone's state cannot be kept");
        }
        drop(state);
        self.feed.bump();
        result
    }

    fn note(&self, call: &'static str, result: impl Into<String>) {
        let line = Line { at: SystemClock.now(), call, result: result.into() };
        self.change(|state| {
            if state.lines.len() == LINES {
                state.lines.pop_front();
            }
            state.lines.push_back(line);
        });
    }
}

impl State {
    fn new(kept: Kept, phone: Option<Phone>) -> Self {
        Self {
            kept,
            phone,
            open: false,
            tab: Tab::Bank,
            stage: Stage::Idle,
            code: None,
            questions: Vec::new(),
            outcome: None,
            problem: None,
            notice: None,
            lines: VecDeque::new(),
        }
    }

    fn sdk(&self) -> Option<Countersign> {
        self.phone.as_ref().map(|phone| phone.sdk().clone())
    }

    /// Only what is kept is left, as when the system has ended the app.
    fn forget(&mut self) {
        (self.open, self.tab, self.stage) = (false, Tab::Bank, Stage::Idle);
        (self.code, self.outcome, self.problem, self.notice) = (None, None, None, None);
        self.questions.clear();
    }

    /// Whether this sign-on is the one that is waited for.
    fn waits_for(&self, flow: &Arc<SignIn>) -> bool {
        matches!(&self.stage, Stage::Waiting { flow: now, .. } if Arc::ptr_eq(now, flow))
    }
}
