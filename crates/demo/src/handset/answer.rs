//! What the person says to questions: to a push, and to what a code asks.

use std::sync::Arc;

use countersign_sdk::{AuthenticationObject, CodeStatus, DenyReason, Error, NotificationObject};

use super::{Handset, Tab, act::words};

impl Handset {
    fn question(&self, challenge: &str) -> Option<Arc<NotificationObject>> {
        self.read(|state| state.questions.iter().find(|one| one.challenge() == challenge).cloned())
    }

    /// Approves a question. The finger that unlocks the key of a real phone is always there.
    pub(super) async fn approve(&self, challenge: &str, number: Option<u32>) {
        const CALL: &str = "NotificationObject::approve";
        let Some(question) = self.question(challenge) else { return };
        let result = question.approve("fpt", number).await;
        match &result {
            Ok(()) => {
                self.note(CALL, "approved");
                self.tell(true, "Approved", "The other screen goes on.");
            }
            Err(Error::WrongNumber) => {
                self.note(CALL, "wrong number");
                let text = "That was not the number on the other screen, so nobody is signed in.";
                self.tell(false, "Not approved", text);
            }
            Err(error) => {
                self.note(CALL, error.to_string());
                self.tell(false, "Not approved", &words(error));
            }
        }
        self.take_down(&question, result.as_ref().err());
    }

    /// Says no to a question, or that somebody else asks.
    pub(super) async fn deny(&self, challenge: &str, fraud: bool) {
        const CALL: &str = "NotificationObject::deny";
        let Some(question) = self.question(challenge) else { return };
        let reason = if fraud { DenyReason::ReportFraud } else { DenyReason::None };
        let result = question.deny(reason).await;
        match &result {
            Ok(()) if fraud => {
                self.note(CALL, "reported as fraud");
                let text = "Nobody is signed in, and the bank has been told.";
                self.tell(true, "Reported", text);
            }
            Ok(()) => {
                self.note(CALL, "denied");
                self.tell(true, "Denied", "Nobody is signed in.");
            }
            Err(error) => {
                self.note(CALL, error.to_string());
                self.tell(false, "That did not work", &words(error));
            }
        }
        self.take_down(&question, result.as_ref().err());
    }

    fn take_down(&self, question: &NotificationObject, error: Option<&Error>) {
        if error.is_none_or(|error| !error.is_retriable()) {
            let challenge = question.challenge();
            self.change(|state| state.questions.retain(|one| one.challenge() != challenge));
        }
    }

    /// Reads what a camera has seen or a person has typed: a code to sign on with, else a pairing key.
    pub(super) async fn scan(&self, text: &str) {
        let Some(sdk) = self.sdk() else { return };
        self.change(|state| (state.open, state.tab, state.problem) = (true, Tab::Scan, None));
        match sdk.authenticate(text).await {
            Ok(code) => self.claimed(Arc::new(code)),
            Err(Error::NoCode(_)) => self.pair(text).await,
            Err(error) => {
                self.note("authenticate", error.to_string());
                self.complain(&words(&error));
            }
        }
    }

    fn claimed(&self, code: Arc<AuthenticationObject>) {
        const CALL: &str = "authenticate";
        match code.status() {
            CodeStatus::Completed => {
                self.note(CALL, "signed in elsewhere");
                self.tell(true, "Signed in", "The other screen goes on.");
            }
            CodeStatus::Claimed => {
                self.note(CALL, "claimed: the user decides");
                self.change(|state| state.code = Some(code));
            }
            status => {
                self.note(CALL, format!("{status:?}"));
                self.complain("This code does not count any more. Ask for a new one.");
            }
        }
    }

    async fn pair(&self, key: &str) {
        const CALL: &str = "pair";
        let Some(sdk) = self.sdk() else { return };
        match sdk.pair(key).await {
            Ok(paired) => {
                let name = self.name_of(&paired.user.id);
                self.note(CALL, format!("paired to {name}"));
                let text = format!("This phone vouches for {name} from now on.");
                self.tell(true, "Phone added", &text);
            }
            Err(Error::NoPairingKey(_)) => {
                self.complain("There is no code in this. Try another picture, or type the code.");
            }
            Err(error) => {
                self.note(CALL, error.to_string());
                self.complain(&words(&error));
            }
        }
    }

    /// Answers what a code asks.
    pub(super) async fn answer_code(&self, user: Option<&str>, approve: bool) {
        let Some(code) = self.read(|state| state.code.clone()) else { return };
        let (call, result) = if approve {
            ("AuthenticationObject::approve", code.approve(user, None).await)
        } else {
            ("AuthenticationObject::deny", code.deny(user).await)
        };
        let is_over = result.as_ref().err().is_none_or(|error| !error.is_retriable());
        match result {
            Ok(()) if approve => {
                self.note(call, "signed in elsewhere");
                self.tell(true, "Signed in", "The other screen goes on.");
            }
            Ok(()) => {
                self.note(call, "denied");
                self.tell(true, "Denied", "Nobody is signed in.");
            }
            Err(error) => {
                self.note(call, error.to_string());
                self.tell(false, "That did not work", &words(&error));
            }
        }
        if is_over {
            self.change(|state| state.code = None);
        }
    }
}
