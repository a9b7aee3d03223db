//! A customer of the bank: one phone, and a ledger of what the platform has said about it.

use std::collections::BTreeSet;

use countersign_domain::id::Id;
use countersign_emulator::{Browser, Phone};
use countersign_protocol::time::Timestamp;
use countersign_server::app::{App, ChangeDeviceError, DeviceChange};
use fastrand::Rng;
use serde_json::Value;

use super::{
    Progress,
    asking::Waiting,
    session::{Session, Unanswered, browser, code_of, id_token_of, refresh_token_of, status},
    site::Site,
};
use crate::LoadError;

/// What the phone is to the platform, as far as the platform has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not paired.
    Unpaired,
    /// Paired as this device.
    Paired { device: String },
    /// Paired as this device, which an administrator has blocked.
    Blocked { device: String },
    /// Asked to be paired, and never answered.
    Pairing,
    /// Paired as this device, and the app was removed without a word.
    Uninstalled { device: String },
    /// Asked to be unpaired from this device, and never answered.
    Unpairing { device: String },
}

/// A code that the customer holds.
pub(super) struct Code {
    pub session: Session,
    pub code: String,
}

/// The refresh tokens that came of one code, one after another.
pub(super) struct Family {
    pub session: Session,
    /// The last that was given.
    pub current: String,
    /// Those that were used before it.
    pub spent: Vec<String>,
    /// Whether the last was presented and not answered.
    pub is_in_doubt: bool,
}

/// What was said since the last server was looked at.
#[derive(Default)]
pub(super) struct Ledger {
    /// Payloads that began a flow.
    pub payloads: Vec<String>,
    /// Payloads that were sent and not answered.
    pub unanswered_payloads: Vec<String>,
    /// Codes that gave tokens.
    pub codes: Vec<Code>,
    /// Codes that were not presented, so that they must still count.
    pub fresh_codes: Vec<Code>,
    /// Codes that were presented and not answered.
    pub unanswered_codes: Vec<Code>,
    /// Passcodes that counted.
    pub passcodes: Vec<String>,
    /// How often the phone was paired and unpaired.
    pub pairings: u64,
    pub unpairings: u64,
    /// What should not have been.
    pub violations: Vec<String>,
}

pub(super) struct Customer {
    pub site: Site,
    pub username: String,
    pub phone: Phone,
    pub browser: Browser,
    pub standing: Standing,
    pub ledger: Ledger,
    /// The refresh tokens of the last code. The check of the next server ends them, because it presents the code again.
    pub family: Option<Family>,
    /// The token of the phone at the push service; empty without one.
    pub token: String,
    /// Flows that were told to wait for the phone. They outlive servers.
    pub waiting: Vec<Waiting>,
    /// The ids of all flows that were begun so.
    pub asked: BTreeSet<String>,
    /// Only a phone that stays paired into the next period shows a passcode that counts.
    unpairs: bool,
    /// From when on the passcode was good that was tried last, or shown at pairing: none counts twice.
    tried: Option<Timestamp>,
    pub rng: Rng,
    pub progress: Progress,
}

/// There was no answer: the server is gone.
pub(super) struct Gone;

impl From<Unanswered> for Gone {
    fn from(_: Unanswered) -> Self {
        Self
    }
}

pub(super) type Step<T = ()> = Result<T, Gone>;

impl Customer {
    pub fn new(
        site: &Site,
        username: String,
        (phone, token): (Phone, String),
        (mut rng, progress): (Rng, Progress),
    ) -> Result<Self, LoadError> {
        Ok(Self {
            site: site.clone(),
            username,
            phone,
            browser: browser()?,
            standing: Standing::Unpaired,
            ledger: Ledger::default(),
            family: None,
            token,
            waiting: Vec::new(),
            asked: BTreeSet::new(),
            unpairs: rng.bool(),
            tried: None,
            rng,
            progress,
        })
    }

    /// Does one thing after another until the server is gone.
    pub async fn run(mut self) -> Self {
        while self.step().await.is_ok() {}
        self
    }

    async fn step(&mut self) -> Step {
        match (&self.standing, self.rng.u8(0..10)) {
            (Standing::Unpaired, _) => self.enrol().await,
            (Standing::Paired { .. }, 0..2) if self.unpairs => self.unpair().await,
            (Standing::Paired { .. }, 2..4) => self.use_passcode().await,
            (Standing::Paired { .. }, 4..7) if self.family.is_some() => self.refresh().await,
            (Standing::Paired { .. }, 7..9) if self.site.push.is_some() => self.ask().await,
            (Standing::Paired { .. } | Standing::Blocked { .. }, _) => self.sign_on().await,
            // Only the next server can tell.
            (Standing::Pairing | Standing::Uninstalled { .. } | Standing::Unpairing { .. }, _) => {
                Err(Gone)
            }
        }
    }

    fn session(&self, is_native: bool) -> Session {
        Session::new(&self.browser, &self.site, is_native)
    }

    /// Signs on at the native app. Gives the code, where the flow comes to one.
    async fn code(&mut self) -> Step<Option<Code>> {
        let session = self.session(true);
        let payload = self.payload().await?;
        let flow = self.begin(&session, Some(payload)).await?;
        let done = session.password(&flow, &self.username).await?;
        Ok(code_of(&done).map(|code| Code { session, code }))
    }

    pub(super) async fn payload(&self) -> Step<String> {
        self.phone.sdk().generate_mobile_payload().await.map_err(|_| Gone)
    }

    /// Begins a flow, and notes what became of the payload, if there is one.
    pub(super) async fn begin(
        &mut self,
        session: &Session,
        payload: Option<String>,
    ) -> Step<Value> {
        let Ok(flow) = session.begin(payload.as_deref()).await else {
            self.ledger.unanswered_payloads.extend(payload);
            return Err(Gone);
        };
        if status(&flow) != "USERNAME_PASSWORD_REQUIRED" {
            self.ledger.violations.push(format!("a new sign-on is refused: {flow}"));
            return Err(Gone);
        }
        self.ledger.payloads.extend(payload);
        self.progress.advance();
        Ok(flow)
    }

    async fn enrol(&mut self) -> Step {
        let Some(code) = self.code().await? else {
            self.ledger.violations.push("a user without a device does not pass".to_owned());
            return Err(Gone);
        };
        let id_token = self.redeem_once(code).await?;
        let sdk = self.phone.sdk();
        let offer = match sdk.process_id_token(&id_token).await {
            Ok(Some(offer)) => offer,
            Ok(None) => {
                let why = sdk.pairing_outcome();
                self.ledger.violations.push(format!("an unpaired phone has no offer: {why:?}"));
                return Err(Gone);
            }
            // The keys of the platform could not be fetched.
            Err(_) => return Err(Gone),
        };
        self.standing = Standing::Pairing;
        let paired = offer.approve().await.map_err(|_| Gone)?;
        self.is_paired(paired.device);
        Ok(())
    }

    /// Notes that the phone is paired.
    pub fn is_paired(&mut self, device: String) {
        self.standing = Standing::Paired { device };
        self.ledger.pairings += 1;
        self.progress.advance();
        // The passcode of the moment of pairing never counts.
        self.tried = self.phone.sdk().one_time_passcode().ok().map(|shown| shown.valid_from);
    }

    async fn sign_on(&mut self) -> Step {
        let is_blocked = matches!(self.standing, Standing::Blocked { .. });
        match self.code().await? {
            Some(_) if is_blocked => {
                self.ledger.violations.push("a blocked phone passes".to_owned());
                Err(Gone)
            }
            None if is_blocked => Ok(()),
            None => {
                self.ledger.violations.push("a paired phone does not pass".to_owned());
                Err(Gone)
            }
            Some(code) if self.rng.bool() => self.redeem_once(code).await.map(drop),
            Some(code) => self.redeem_twice(code).await,
        }
    }

    async fn redeem_once(&mut self, code: Code) -> Step<String> {
        if self.rng.u8(0..10) == 0 && self.standing != Standing::Unpaired {
            // Kept, to be presented to whoever serves next.
            self.ledger.fresh_codes.push(code);
            return Ok(String::new());
        }
        let Ok(answer) = code.session.redeem(&code.code).await else {
            self.ledger.unanswered_codes.push(code);
            return Err(Gone);
        };
        self.family = refresh_token_of(&answer).map(|current| Family {
            session: code.session.clone(),
            current,
            spent: Vec::new(),
            is_in_doubt: false,
        });
        self.ledger.codes.push(code);
        self.progress.advance();
        id_token_of(&answer).ok_or_else(|| {
            self.ledger.violations.push(format!("a new code gives no tokens: {answer}"));
            Gone
        })
    }

    /// Gets the next refresh token for the last.
    async fn refresh(&mut self) -> Step {
        let Some(family) = &mut self.family else { return Ok(()) };
        family.is_in_doubt = true;
        let answer = family.session.refresh(&family.current).await?;
        family.is_in_doubt = false;
        let Some(next) = refresh_token_of(&answer) else {
            let violation = format!("a refresh token that was given does not count: {answer}");
            self.ledger.violations.push(violation);
            return Err(Gone);
        };
        family.spent.push(std::mem::replace(&mut family.current, next));
        self.progress.advance();
        Ok(())
    }

    /// Presents a code twice at the same moment: it counts once at most.
    async fn redeem_twice(&mut self, code: Code) -> Step {
        let Code { session, code: text } = &code;
        let answers = tokio::join!(session.redeem(text), session.redeem(text));
        let answers = [answers.0, answers.1];
        let tokens = answers.iter().flatten().filter_map(id_token_of).count();
        if tokens > 1 {
            self.ledger.violations.push("one code gave tokens twice".to_owned());
        }
        if tokens == 0 {
            // The answer that had them may be the one that is lost.
            self.ledger.unanswered_codes.push(code);
            return Err(Gone);
        }
        self.ledger.codes.push(code);
        self.progress.advance();
        Ok(())
    }

    /// Signs on at the web site with a passcode, if the phone shows one that was not used.
    async fn use_passcode(&mut self) -> Step {
        let Ok(shown) = self.phone.sdk().one_time_passcode() else { return Ok(()) };
        if self.tried.is_some_and(|tried| shown.valid_from <= tried) {
            return self.sign_on().await;
        }
        let session = self.session(false);
        let flow = session.begin(None).await?;
        let flow = session.password(&flow, &self.username).await?;
        if status(&flow) != "OTP_REQUIRED" {
            self.ledger.violations.push(format!("no passcode is asked for: {flow}"));
            return Err(Gone);
        }
        self.tried = Some(shown.valid_from);
        let passcode = shown.passcode.expose().to_owned();
        let done = session.passcode(&flow, &passcode).await?;
        if status(&done) == "COMPLETED" {
            self.ledger.passcodes.push(passcode);
            self.progress.advance();
        }
        Ok(())
    }

    async fn unpair(&mut self) -> Step {
        let Standing::Paired { device } = &self.standing else { return Ok(()) };
        self.standing = Standing::Unpairing { device: device.clone() };
        self.phone.sdk().unpair(None).await.map_err(|_| Gone)?;
        self.standing = Standing::Unpaired;
        self.ledger.unpairings += 1;
        self.progress.advance();
        Ok(())
    }

    /// As an administrator: blocks the phone, or lifts the block. Says whether there was something to do.
    pub async fn change_block(&mut self, app: &App) -> Result<bool, LoadError> {
        let (device, change) = match &self.standing {
            Standing::Paired { device } => (device.clone(), DeviceChange::Block),
            Standing::Blocked { device } => (device.clone(), DeviceChange::Unblock),
            Standing::Unpaired
            | Standing::Pairing
            | Standing::Uninstalled { .. }
            | Standing::Unpairing { .. } => return Ok(false),
        };
        let id: Id<_> = device.parse().map_err(|_| LoadError::other("a device id is none"))?;
        match app.change_device(self.site.environment, id, change).await {
            Ok(()) => {}
            Err(ChangeDeviceError::NotFound) => {
                self.ledger.violations.push("a paired device is gone".to_owned());
            }
            Err(error) => return Err(LoadError::other(error.to_string())),
        }
        self.standing = match change {
            DeviceChange::Block => Standing::Blocked { device },
            DeviceChange::Unblock | DeviceChange::Unlock | DeviceChange::Remove => {
                Standing::Paired { device }
            }
        };
        Ok(true)
    }
}
