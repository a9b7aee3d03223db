//! What a push message, or asking for it, brings the app.

use std::sync::{Arc, Mutex};

use countersign_protocol::challenge::{
    Acknowledgement, ChallengeRequest, ChallengeResponse, ChallengesRequest, ChallengesResponse,
    MAX_KNOWN, MAX_WAIT_SECONDS, PendingChallenge, Statement,
};
use countersign_protocol::device_api::DeviceRequest;
use countersign_protocol::push::{Hint, PushMessage, PushNonce};
use serde_json::Value;

use crate::client::Countersign;
use crate::error::Error;
use crate::installation::{Installation, lock};
use crate::notification::{NotificationObject, is_over};
use crate::push_address;

/// The most characters of the id of a challenge or test.
const MAX_ID_CHARACTERS: usize = 64;

/// What a message of the platform means for the app.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "few exist at a time, and apps match without a box")]
pub enum RemoteNotification {
    /// It is not of the platform: let other parts of the app have it. (`PingOne`: 10002.)
    NotOurs,
    /// The platform wanted to know whether the message arrives, and has been answered. Nothing to do.
    Silent,
    /// There is a question for the person.
    Notification(NotificationObject),
    /// Nobody waits for the answer any more: it was withdrawn, was given elsewhere, or comes too late. Take down what is
    /// shown of it.
    Cancelled {
        /// Id of the challenge.
        id: String,
    },
    /// The message of [`Countersign::test_remote_notification`] has arrived. Nothing to do.
    Test {
        /// Id of the test.
        id: String,
    },
}

impl Countersign {
    /// Handles a push message, exactly as the push service has delivered it: the payload of APNs, the data of FCM or HMS,
    /// the clear text of Web Push.
    ///
    /// The message itself proves nothing and says next to nothing: the question is fetched from the platform, and is
    /// believed for its signature only. After an error that [`Error::is_retriable`], call it again with the same message.
    pub async fn process_remote_notification(
        &self,
        delivered: &Value,
    ) -> Result<RemoteNotification, Error> {
        let found = PushMessage::find(delivered).filter(|message| is_id(id_of(&message.hint)));
        let Some(PushMessage { hint, .. }) = found else {
            return Ok(RemoteNotification::NotOurs);
        };
        match hint {
            Hint::Silent { id, nonce } => {
                acknowledge(&self.installation, &id, nonce).await?;
                Ok(RemoteNotification::Silent)
            }
            Hint::Challenge { id } => self.fetch_notification(id).await,
            Hint::Cancelled { id } => {
                self.installation.shown.remove(&id);
                Ok(RemoteNotification::Cancelled { id })
            }
            Hint::Test { id } => {
                self.installation.push_tests.receive(&id);
                Ok(RemoteNotification::Test { id })
            }
        }
    }

    /// All questions that wait for an answer of this phone, whether or not a push message told of them. Push is a hint that
    /// may be late or lost: call it whenever the app comes to the front.
    pub async fn pending_notifications(&self) -> Result<Vec<NotificationObject>, Error> {
        let told = self.pull(0, &[]).await?;
        Ok(told
            .into_iter()
            .filter_map(|one| match one {
                RemoteNotification::Notification(notification) => Some(notification),
                RemoteNotification::NotOurs
                | RemoteNotification::Silent
                | RemoteNotification::Cancelled { .. }
                | RemoteNotification::Test { .. } => None,
            })
            .collect())
    }

    /// Waits up to `wait_seconds`, of which more than 25 count as 25, for anything that this app has not been given yet, by
    /// this call or another. Empty: nothing happened, so call it again.
    ///
    /// [`Self::notifications`] does it again and again, and better where there is a socket. Silent messages are answered
    /// inside.
    /// The transport must be able to wait so long: see [`crate::Request::wait_seconds`].
    pub async fn wait_for_notifications(
        &self,
        wait_seconds: u8,
    ) -> Result<Vec<RemoteNotification>, Error> {
        let known = self.installation.shown.ids();
        self.pull(wait_seconds.min(MAX_WAIT_SECONDS), &known).await
    }

    async fn fetch_notification(&self, id: String) -> Result<RemoteNotification, Error> {
        let answer = ask(&self.installation, ChallengesRequest::default()).await?;
        let believed = match answer.challenges.iter().find(|pending| pending.id == id) {
            Some(pending) => believe(&self.installation, pending).await?,
            None => None,
        };
        // What has ended while the hint was under way needs no answer any more.
        let Some(notification) = believed else {
            self.installation.shown.remove(&id);
            return Ok(RemoteNotification::Cancelled { id });
        };
        self.installation.shown.add(id);
        Ok(RemoteNotification::Notification(notification))
    }

    async fn pull(&self, wait: u8, known: &[String]) -> Result<Vec<RemoteNotification>, Error> {
        push_address::register_quietly(&self.installation).await;
        let answer = ask(&self.installation, ChallengesRequest { wait, known: known.to_vec() });
        let answer = answer.await?;
        self.follow(answer, known, self.installation.shown.ids()).await
    }

    /// What an answer tells an app that has been given the challenges `known`. Of those that are `expected`, the missing ones
    /// are over.
    pub(crate) async fn follow(
        &self,
        answer: ChallengesResponse,
        known: &[String],
        expected: Vec<String>,
    ) -> Result<Vec<RemoteNotification>, Error> {
        let ChallengesResponse { challenges, hints } = answer;
        let (mut told, mut gone) = self.follow_hints(hints).await?;
        for pending in challenges.iter().filter(|pending| !known.contains(&pending.id)) {
            let believed = believe(&self.installation, pending).await?;
            told.extend(believed.map(RemoteNotification::Notification));
        }
        gone.extend(expected);
        gone.retain(|id| challenges.iter().all(|pending| pending.id != *id));
        gone.sort_unstable();
        gone.dedup();
        // Not before everything is believed: after an error the app has been given nothing.
        for id in &gone {
            self.installation.shown.remove(id);
        }
        for pending in challenges {
            self.installation.shown.add(pending.id);
        }
        told.extend(gone.into_iter().map(|id| RemoteNotification::Cancelled { id }));
        Ok(told)
    }

    /// What the hints mean, and the ids of the challenges that they call off. Of questions the list of challenges says more
    /// than they do.
    async fn follow_hints(
        &self,
        hints: Vec<PushMessage>,
    ) -> Result<(Vec<RemoteNotification>, Vec<String>), Error> {
        let (mut told, mut gone, mut failed) = (Vec::new(), Vec::new(), None);
        for PushMessage { hint, .. } in hints.into_iter().filter(|one| is_id(id_of(&one.hint))) {
            match hint {
                Hint::Silent { id, nonce } => {
                    match acknowledge(&self.installation, &id, nonce).await {
                        Ok(()) => told.push(RemoteNotification::Silent),
                        Err(error) => failed = failed.or(Some(error)),
                    }
                }
                Hint::Challenge { .. } => {}
                Hint::Cancelled { id } => gone.push(id),
                Hint::Test { id } => {
                    self.installation.push_tests.receive(&id);
                    told.push(RemoteNotification::Test { id });
                }
            }
        }
        failed.map_or(Ok((told, gone)), Err)
    }
}

async fn ask(
    installation: &Installation,
    request: ChallengesRequest,
) -> Result<ChallengesResponse, Error> {
    let address = ChallengesRequest::address(&installation.settings.device_base);
    let wait_seconds = request.wait;
    installation.state_to(&address, request, wait_seconds).await
}

/// The question, when it is the platform's to this installation. `None`: it is too late for an answer.
async fn believe(
    installation: &Arc<Installation>,
    pending: &PendingChallenge,
) -> Result<Option<NotificationObject>, Error> {
    let aud = installation.thumbprint().await?;
    let issuer = installation.settings.issuer.as_str();
    let (statement, shown) = installation
        .with_platform_keys(|keys| Statement::verify(pending, keys, (issuer, aud)))
        .await?;
    let is_alive = installation.now() < statement.exp;
    Ok(is_alive.then(|| NotificationObject::new(Arc::clone(installation), (statement, shown))))
}

/// Shows the platform that the silent push has arrived. That nobody waits for it any more is not the app's concern.
async fn acknowledge(
    installation: &Installation,
    challenge: &str,
    nonce: PushNonce,
) -> Result<(), Error> {
    let address = Acknowledgement::address(&installation.settings.device_base, challenge);
    let answer: Result<ChallengeResponse, _> =
        installation.state_to(&address, Acknowledgement { nonce }, 0).await;
    match answer {
        Err(error) if !is_over(&error) => Err(error),
        _ => Ok(()),
    }
}

fn id_of(hint: &Hint) -> &str {
    match hint {
        Hint::Silent { id, .. }
        | Hint::Challenge { id }
        | Hint::Cancelled { id }
        | Hint::Test { id } => id,
    }
}

/// Anybody who can push to the app can invent an id, and it becomes part of an address that this installation signs for. So
/// it must not reach out of its place there.
fn is_id(text: &str) -> bool {
    (1..=MAX_ID_CHARACTERS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Ids of the questions that the app has been given and that wait, as far as this side knows. Gone with the process.
#[derive(Default)]
pub struct ShownNotifications(Mutex<Vec<String>>);

impl ShownNotifications {
    pub fn ids(&self) -> Vec<String> {
        lock(&self.0).clone()
    }

    fn add(&self, id: String) {
        let mut ids = lock(&self.0);
        if !ids.contains(&id) {
            ids.push(id);
        }
        // More cannot be told to the platform; the oldest is over first.
        if ids.len() > MAX_KNOWN {
            ids.remove(0);
        }
    }

    pub fn remove(&self, id: &str) {
        lock(&self.0).retain(|other| other != id);
    }

    pub fn clear(&self) {
        lock(&self.0).clear();
    }
}
