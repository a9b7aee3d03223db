//! What comes to a phone by itself: push messages, and what waits when its app starts.

use std::{sync::Arc, time::Duration};

use countersign_emulator::push_service::installation::{Installation, State as Registered};
use countersign_protocol::{
    mobile_payload::PushEnvironment,
    time::{Clock, SystemClock, Timestamp},
};
use countersign_sdk::{NotificationObject, RemoteNotification};
use serde_json::Value;

use super::{Handset, kept::Gone};
use crate::DemoError;

/// How long one wait for a push message lasts. Then it is waited again.
const WAIT: Duration = Duration::from_mins(1);

impl Handset {
    /// Runs the phone: starts the app in the background, then takes what is pushed to it.
    pub async fn run(self: Arc<Self>) {
        self.wake().await;
        loop {
            let moved = self.readdressed.notified();
            let Some(token) = self.read(|state| state.kept.token.clone()) else {
                moved.await;
                continue;
            };
            tokio::select! {
                () = moved => {}
                message = self.installations().receive(&token, WAIT) => {
                    if let Some(message) = message {
                        self.take(&message.delivered).await;
                    }
                }
            }
        }
    }

    /// Lets the push service know the apps of earlier runs again.
    pub(super) fn adopt(&self) -> Result<(), DemoError> {
        let (token, gone, online) = self.read(|state| {
            let kept = &state.kept;
            (kept.token.clone(), kept.gone.clone(), !(kept.airplane || kept.deaf))
        });
        for Gone { token, at_micros } in gone {
            let state = Registered::Uninstalled { at: Timestamp::from_micros(at_micros) };
            self.installations().adopt(&token, self.registered(state, false))?;
        }
        if let Some(token) = token {
            self.installations().adopt(&token, self.registered(Registered::Installed, online))?;
        }
        Ok(())
    }

    fn registered(&self, state: Registered, online: bool) -> Installation {
        let environment = self.push_environment().unwrap_or(PushEnvironment::Production);
        Installation { app: self.push_name().to_owned(), environment, state, online }
    }

    /// What an app does at its start: goes on with a pairing whose answer was lost, tells its push address, and looks what waits.
    pub(super) async fn wake(&self) {
        let Some(sdk) = self.sdk() else { return };
        if let Ok(Some(paired)) = sdk.resume_pairing().await {
            self.note("resume_pairing", format!("paired to {}", self.name_of(&paired.user.id)));
        }
        let known = self.read(|state| state.kept.token.clone());
        let token = match known {
            Some(token) => token,
            None => match self.installations().install(self.push_name()) {
                Ok(token) => token,
                Err(error) => return self.note("set_device_token", error.to_string()),
            },
        };
        self.change(|state| state.kept.token = Some(token.clone()));
        self.tune();
        self.readdressed.notify_one();
        let result = sdk.set_device_token(self.service, &token, self.push_environment()).await;
        let short: String = token.chars().take(8).collect();
        let told = result.map_or_else(|error| error.to_string(), |()| format!("{short}…"));
        self.note("set_device_token", told);
        self.look().await;
    }

    /// Lets push messages come or not, as the switches say.
    pub(super) fn tune(&self) {
        let (token, online) = self
            .read(|state| (state.kept.token.clone(), !(state.kept.airplane || state.kept.deaf)));
        if let Some(token) = token {
            // It was installed under this token, or adopted.
            let _ = self.installations().set_online(&token, online);
        }
    }

    /// Asks the platform what waits for an answer: push is a hint that may be lost.
    pub(super) async fn look(&self) {
        let Some(sdk) = self.sdk() else { return };
        if let Ok(waiting) = sdk.pending_notifications().await {
            for question in waiting {
                self.ask(question);
            }
        }
    }

    async fn take(&self, delivered: &Value) {
        const CALL: &str = "process_remote_notification";
        let Some(sdk) = self.sdk() else { return };
        match sdk.process_remote_notification(delivered).await {
            Ok(RemoteNotification::Silent) => {
                self.note(CALL, "silent: answered by itself");
            }
            Ok(RemoteNotification::Notification(question)) => {
                self.note(CALL, "a question for the user");
                self.ask(question);
            }
            Ok(RemoteNotification::Cancelled { id }) => {
                self.note(CALL, "cancelled: take the question down");
                self.change(|state| state.questions.retain(|one| one.challenge() != id));
            }
            Ok(RemoteNotification::Test { .. }) => self.note(CALL, "test: push works"),
            Ok(RemoteNotification::NotOurs) => self.note(CALL, "not ours"),
            Err(error) => self.note(CALL, error.to_string()),
        }
    }

    fn ask(&self, question: NotificationObject) {
        self.change(|state| {
            state.questions.retain(|one| {
                one.challenge() != question.challenge() && one.timeout_duration() > 0
            });
            state.questions.push(Arc::new(question));
        });
    }

    /// The app goes from the phone. Nobody is told: the push service finds out.
    pub(super) fn remove(&self) {
        let at = SystemClock.now();
        let token = self.change(|state| {
            let token = state.kept.token.clone();
            state.forget();
            state.lines.clear();
            state.phone = None;
            state.kept.remove(at);
            token
        });
        if let Some(token) = token {
            // It was installed under this token, or adopted.
            let _ = self.installations().uninstall(&token);
        }
        self.readdressed.notify_one();
    }
}
