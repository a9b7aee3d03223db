//! What the owner of a phone does: taps in the bank's app, and what is done to the phone itself.

use std::{collections::HashMap, sync::Arc};

use countersign_emulator::Phone;
use countersign_sdk::{Error, PairingOutcome, PairingRefusal};

use super::{
    Handset, Outcome, Stage, Tab,
    kept::{Account, remove_app},
    sign_in::{SignIn, Step, subject},
};
use crate::DemoError;

/// The fields of a form.
pub type Fields = HashMap<String, String>;

/// The most characters of a phone's name.
const MAX_NAME_CHARACTERS: usize = 40;

/// One thing that the owner does.
#[derive(Debug, PartialEq, Eq)]
pub enum Act {
    /// Opens the app.
    Open,
    /// Goes back to the home screen.
    Close,
    /// Goes to another part of the app.
    Show(Tab),
    /// Reads what was said, and goes on.
    Dismiss,
    /// Signs in.
    SignIn { username: String, password: String },
    /// Gives a passcode in a sign-on.
    Passcode(String),
    /// Gives a sign-on up.
    CancelSignIn,
    /// Answers "Trust this phone?".
    Trust(bool),
    /// Signs out of the app.
    SignOut,
    /// Reads a code, or a pairing key.
    Scan(String),
    /// Answers what a code asks, for this user.
    AnswerCode { user: Option<String>, approve: bool },
    /// Approves a question, with this number.
    Approve { challenge: String, number: Option<u32> },
    /// Says no to a question, or that somebody else asks.
    Deny { challenge: String, fraud: bool },
    /// Takes the trust of a user away.
    Unpair(String),
    /// Takes the network away, or gives it back.
    Airplane(bool),
    /// Holds push messages back, or lets them come.
    Deaf(bool),
    /// Ends the app and starts it again.
    Restart,
    /// Removes the app.
    Uninstall,
    /// Installs the app.
    Install,
    /// Calls the phone so.
    Rename(String),
}

impl Act {
    /// What a form of this name says.
    pub fn of(name: &str, fields: &Fields) -> Option<Self> {
        let text = |field: &str| fields.get(field).map(|value| value.trim().to_owned());
        let is_on = || fields.get("on").map(String::as_str) == Some("yes");
        Some(match name {
            "open" => Self::Open,
            "close" => Self::Close,
            "show" => Self::Show(Tab::named(fields.get("tab")?)?),
            "dismiss" => Self::Dismiss,
            "sign-in" => Self::SignIn {
                username: text("username")?,
                password: fields.get("password")?.clone(),
            },
            "passcode" => Self::Passcode(text("passcode")?),
            "cancel" => Self::CancelSignIn,
            "trust" => Self::Trust(is_on()),
            "sign-out" => Self::SignOut,
            "scan" => Self::Scan(text("code")?),
            "code" => Self::AnswerCode {
                user: text("user").filter(|user| !user.is_empty()),
                approve: is_on(),
            },
            "approve" => Self::Approve {
                challenge: text("challenge")?,
                number: text("number").and_then(|number| number.parse().ok()),
            },
            "deny" => Self::Deny { challenge: text("challenge")?, fraud: is_on() },
            "unpair" => Self::Unpair(text("user")?),
            "airplane" => Self::Airplane(is_on()),
            "deaf" => Self::Deaf(is_on()),
            "restart" => Self::Restart,
            "uninstall" => Self::Uninstall,
            "install" => Self::Install,
            "rename" => Self::Rename(text("name")?),
            _ => return None,
        })
    }
}

impl Handset {
    /// Does it.
    pub async fn act(self: &Arc<Self>, act: Act) -> Result<(), DemoError> {
        match act {
            Act::Open => self.bring_to_front().await,
            Act::Close => self.change(|state| state.open = false),
            Act::Show(tab) => self.show(tab).await,
            Act::Dismiss => self.change(|state| {
                (state.outcome, state.notice, state.problem) = (None, None, None);
            }),
            Act::SignIn { username, password } => self.sign_in(&username, &password).await,
            Act::Passcode(passcode) => self.check_passcode(&passcode).await,
            Act::CancelSignIn => self.change(|state| state.stage = Stage::Idle),
            Act::Trust(trusted) => self.trust(trusted).await,
            Act::SignOut => self.change(|state| {
                (state.kept.account, state.stage, state.notice) = (None, Stage::Idle, None);
            }),
            Act::Scan(code) => self.scan(&code).await,
            Act::AnswerCode { user, approve } => self.answer_code(user.as_deref(), approve).await,
            Act::Approve { challenge, number } => self.approve(&challenge, number).await,
            Act::Deny { challenge, fraud } => self.deny(&challenge, fraud).await,
            Act::Unpair(user) => self.unpair(&user).await,
            Act::Airplane(on) => self.switch_airplane(on).await,
            Act::Deaf(on) => {
                self.change(|state| state.kept.deaf = on);
                self.tune();
            }
            Act::Restart => self.restart().await?,
            Act::Uninstall => {
                self.remove();
                remove_app(&self.folder)?;
            }
            Act::Install => self.install().await?,
            Act::Rename(name) => {
                let name: String = name.chars().take(MAX_NAME_CHARACTERS).collect();
                if !name.is_empty() {
                    self.change(|state| state.kept.name = name);
                }
            }
        }
        Ok(())
    }

    async fn bring_to_front(&self) {
        self.change(|state| state.open = state.phone.is_some());
        if let Some(sdk) = self.sdk() {
            // The platform may have unpaired it meanwhile. Without a network the app shows what it knew.
            let _ = sdk.info().await;
        }
        self.look().await;
    }

    async fn show(&self, tab: Tab) {
        self.change(|state| {
            (state.open, state.tab) = (state.phone.is_some(), tab);
            (state.problem, state.notice, state.outcome) = (None, None, None);
        });
        if tab == Tab::Trust
            && let Some(sdk) = self.sdk()
        {
            let told = match sdk.info().await {
                Ok(users) => format!("{} paired", users.len()),
                Err(error) => error.to_string(),
            };
            self.note("info", told);
        }
    }

    async fn sign_in(self: &Arc<Self>, username: &str, password: &str) {
        if self.radio.is_off() {
            return self.complain("No connection. Airplane mode is on.");
        }
        let Some(sdk) = self.sdk() else { return };
        self.change(|state| (state.problem, state.notice) = (None, None));
        let payload = match sdk.generate_mobile_payload().await {
            Ok(payload) => payload,
            Err(error) => return self.complain(&error.to_string()),
        };
        self.note("generate_mobile_payload", format!("{} bytes, signed", payload.len()));
        let client_id = self.native.to_string();
        let credentials = (username, password);
        match SignIn::begin(&self.issuer, &client_id, &payload, credentials).await {
            Ok((flow, step)) => self.arrive(Arc::new(flow), step).await,
            Err(error) => self.complain(&error.to_string()),
        }
    }

    async fn check_passcode(self: &Arc<Self>, passcode: &str) {
        let flow = self.read(|state| match &state.stage {
            Stage::Passcode(flow) => Some(Arc::clone(flow)),
            _ => None,
        });
        let Some(flow) = flow else { return };
        match flow.check_passcode(passcode).await {
            Ok(step) => self.arrive(flow, step).await,
            Err(error) => self.complain(&error.to_string()),
        }
    }

    /// Goes on with a sign-on that has come this far.
    async fn arrive(self: &Arc<Self>, flow: Arc<SignIn>, step: Step) {
        match step {
            Step::Done { id_token } => self.finish(&id_token).await,
            Step::Passcode => self.change(|state| {
                (state.stage, state.problem) = (Stage::Passcode(flow), None);
            }),
            Step::Waiting { number } => {
                let waiting = Stage::Waiting { flow: Arc::clone(&flow), number };
                self.change(|state| state.stage = waiting);
                self.follow(flow);
            }
            Step::Problem(why) => self.change(|state| {
                // Where nothing is asked again there is nothing more to wait for.
                if state.waits_for(&flow) {
                    state.stage = Stage::Idle;
                }
                state.problem = Some(sentence(&why));
            }),
            Step::Refused(why) => self.change(|state| {
                (state.stage, state.problem) = (Stage::Idle, Some(sentence(&why)));
            }),
        }
    }

    /// Looks again and again how far a sign-on has come that waits for a phone.
    fn follow(self: &Arc<Self>, flow: Arc<SignIn>) {
        const TICK: std::time::Duration = std::time::Duration::from_millis(250);
        let handset = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(TICK).await;
                if !handset.read(|state| state.waits_for(&flow)) {
                    return;
                }
                match flow.read().await {
                    Ok(Step::Waiting { .. }) => {}
                    Ok(step) => return handset.arrive(flow, step).await,
                    Err(error) => {
                        handset.change(|state| state.stage = Stage::Idle);
                        return handset.complain(&error.to_string());
                    }
                }
            }
        });
    }

    async fn finish(&self, id_token: &str) {
        const CALL: &str = "process_id_token";
        let Some(sdk) = self.sdk() else { return };
        let offer = match sdk.process_id_token(id_token).await {
            Ok(offer) => offer,
            Err(error) => {
                self.note(CALL, error.to_string());
                return self.complain(&error.to_string());
            }
        };
        // The SDK has just verified it.
        let id = subject(id_token).unwrap_or_default();
        let account = Account { name: self.name_of(&id), id };
        if let Some(offer) = offer {
            self.note(CALL, "an offer to pair");
            let stage = Stage::Offer { offer: Arc::new(offer), account };
            return self.change(|state| state.stage = stage);
        }
        let (told, notice) = told(sdk.pairing_outcome());
        self.note(CALL, told);
        self.change(|state| {
            (state.stage, state.tab) = (Stage::Idle, Tab::Bank);
            state.kept.account = Some(account);
            state.notice = Some(notice.to_owned());
        });
    }

    async fn trust(&self, trusted: bool) {
        let offered = self.read(|state| match &state.stage {
            Stage::Offer { offer, account } => Some((Arc::clone(offer), account.clone())),
            _ => None,
        });
        let Some((offer, account)) = offered else { return };
        let result = if trusted { offer.approve().await.map(|_| ()) } else { offer.deny().await };
        let call = if trusted { "PairingObject::approve" } else { "PairingObject::deny" };
        match result {
            Ok(()) => {
                self.note(call, if trusted { "paired" } else { "refused" });
                self.change(|state| {
                    (state.stage, state.tab) = (Stage::Idle, Tab::Bank);
                    state.kept.account = Some(account);
                    state.notice = Some(if trusted {
                        "This phone is trusted now. Sign out and in again: nothing more is asked."
                            .to_owned()
                    } else {
                        "You are signed in. This phone is not trusted.".to_owned()
                    });
                });
            }
            Err(error) => {
                self.note(call, error.to_string());
                let is_over = !error.is_retriable();
                self.change(|state| {
                    if is_over {
                        state.stage = Stage::Idle;
                    }
                    state.problem = Some(words(&error));
                });
            }
        }
    }

    async fn unpair(&self, user: &str) {
        let Some(sdk) = self.sdk() else { return };
        match sdk.unpair(Some(user)).await {
            Ok(()) => {
                self.note("unpair", self.name_of(user));
                self.change(|state| state.problem = None);
            }
            Err(error) => {
                self.note("unpair", error.to_string());
                self.complain(&words(&error));
            }
        }
    }

    async fn switch_airplane(&self, on: bool) {
        self.radio.switch(on);
        self.change(|state| (state.kept.airplane, state.problem) = (on, None));
        self.tune();
        if !on {
            self.look().await;
        }
    }

    async fn restart(&self) -> Result<(), DemoError> {
        if !self.read(|state| state.kept.installed) {
            return Ok(());
        }
        let phone = Phone::new(self.config.clone()).await?;
        self.change(|state| {
            state.forget();
            state.lines.clear();
            (state.phone, state.open) = (Some(phone), true);
        });
        self.note("Countersign::open", "everything is as it was");
        self.wake().await;
        Ok(())
    }

    async fn install(&self) -> Result<(), DemoError> {
        if self.read(|state| state.kept.installed) {
            return Ok(());
        }
        let phone = Phone::new(self.config.clone()).await?;
        self.change(|state| {
            state.forget();
            (state.phone, state.kept.installed) = (Some(phone), true);
        });
        self.note("Countersign::open", "a new installation, with new keys");
        self.wake().await;
        Ok(())
    }

    pub(super) fn complain(&self, why: &str) {
        self.change(|state| state.problem = Some(why.to_owned()));
    }

    pub(super) fn tell(&self, good: bool, title: &str, text: &str) {
        let (title, text) = (title.to_owned(), text.to_owned());
        self.change(|state| state.outcome = Some(Outcome { good, title, text }));
    }
}

/// What the app tells its user of a sign-on that offers nothing: for the protocol of calls, and for people.
const fn told(outcome: PairingOutcome) -> (&'static str, &'static str) {
    match outcome {
        PairingOutcome::AlreadyPaired => {
            ("nothing to do: already paired", "Signed in. This phone vouched for you.")
        }
        PairingOutcome::LimitReached => {
            ("no offer: limit reached", "Signed in. You have as many trusted phones as allowed.")
        }
        PairingOutcome::Disabled => {
            ("no offer: pairing is switched off", "Signed in. Phones cannot be trusted now.")
        }
        PairingOutcome::Compromised => {
            ("no offer: the phone is compromised", "Signed in. This phone cannot be trusted.")
        }
        PairingOutcome::NotRequested | PairingOutcome::Offered => ("nothing to do", "Signed in."),
    }
}

/// An error of the SDK, as the app says it.
pub fn words(error: &Error) -> String {
    match error {
        Error::Transport(_) => "No connection. Try again when there is one.".to_owned(),
        Error::NotPaired { .. } => {
            "Nobody trusts this phone yet. Sign in and trust it first.".to_owned()
        }
        Error::PairingRefused { reason: PairingRefusal::KeyExpired, .. } => {
            "This key has expired. Ask for a new one.".to_owned()
        }
        Error::PairingRefused { reason: PairingRefusal::KeyInvalid, .. } => {
            "This key does not count. Look whether it is typed as shown.".to_owned()
        }
        other => sentence(&other.to_string()),
    }
}

/// A text with a capital letter and a full stop.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String =
        letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(name: &str, fields: &[(&str, &str)]) -> Option<Act> {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Act::of(name, &fields.collect())
    }

    #[test]
    fn a_form_says_what_is_done() {
        let (challenge, number) = ("c".to_owned(), Some(7));
        for (name, fields, expected) in [
            ("open", vec![], Some(Act::Open)),
            ("show", vec![("tab", "scan")], Some(Act::Show(Tab::Scan))),
            ("show", vec![("tab", "attic")], None),
            ("trust", vec![("on", "yes")], Some(Act::Trust(true))),
            ("trust", vec![("on", "no")], Some(Act::Trust(false))),
            ("scan", vec![("code", " 7F45HGF5 ")], Some(Act::Scan("7F45HGF5".to_owned()))),
            ("scan", vec![], None),
            (
                "approve",
                vec![("challenge", "c"), ("number", "07")],
                Some(Act::Approve { challenge: challenge.clone(), number }),
            ),
            (
                "deny",
                vec![("challenge", "c"), ("on", "yes")],
                Some(Act::Deny { challenge, fraud: true }),
            ),
            ("explode", vec![], None),
        ] {
            assert_eq!(act(name, &fields), expected, "{name} {fields:?}");
        }
    }

    #[test]
    fn a_sentence_begins_large_and_ends() {
        assert_eq!(sentence("the code is old"), "The code is old.");
        assert_eq!(sentence("Done."), "Done.");
    }
}
