//! Sign-ons that ask a phone by push, silently or visibly, and what must become of them when the server dies at any moment:
//! before the message is sent, while it is, before it is settled, before the answer counts, after it.

use std::{ops::Bound, time::Duration};

use countersign_protocol::{mobile_payload::PushService as Service, push::PushMessage};
use countersign_sdk::RemoteNotification;
use serde_json::Value;

use super::{
    Verdict,
    customer::{Customer, Gone, Standing, Step},
    session::{Session, answered, code_of, status},
};
use crate::{LoadError, stopwatch::Stopwatch};

/// How long a phone waits for its message before its user gives up, so that a lost one does not hold up the others.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a person has to answer, and a phone to acknowledge.
const VISIBLE: Duration = Duration::from_secs(40);
const SILENT: Duration = Duration::from_secs(20);

/// How much later than the time for an answer a flow may still wait.
const GRACE: Duration = Duration::from_secs(5);

/// After this the message of a server that died is sent again by the next: the lease, an attempt that fails on a busy machine,
/// and its pause, with room.
const SENT_AGAIN: Duration = Duration::from_secs(25);

/// How a phone is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Question {
    /// The phone answers by itself.
    Silent,
    /// The person answers.
    Visible,
}

/// A flow that was told to wait for the phone, or may have been.
pub(super) struct Waiting {
    session: Session,
    flow: Value,
    /// When it was begun.
    since: Stopwatch,
    question: Question,
    /// The server has said that the phone is asked.
    is_asked: bool,
    /// The phone has got the message.
    is_delivered: bool,
    /// The server has said yes to the phone's answer.
    is_answered: bool,
}

impl Waiting {
    fn limit(&self) -> Duration {
        match self.question {
            Question::Silent => SILENT,
            Question::Visible => VISIBLE,
        }
    }

    /// The id of the flow, which sorts by time, as that of its question does.
    fn id(&self) -> &str {
        let id = self.flow.get("id").and_then(Value::as_str);
        id.unwrap_or_default()
    }
}

impl Customer {
    /// Signs on in a way that asks the phone, which may answer or not.
    pub(super) async fn ask(&mut self) -> Step {
        let silent = self.rng.bool();
        if self.rng.u8(0..40) == 0 {
            self.uninstall()?;
        }
        let session = Session::asking(&self.browser, &self.site, silent);
        let payload = if silent { Some(self.payload().await?) } else { None };
        let flow = self.begin(&session, payload).await?;
        let (since, is_asked) = (Stopwatch::start(), false);
        let (is_delivered, is_answered) = (false, false);
        let waiting = Waiting {
            session: session.clone(),
            flow: flow.clone(),
            since,
            question: if silent { Question::Silent } else { Question::Visible },
            is_asked,
            is_delivered,
            is_answered,
        };
        self.asked.insert(waiting.id().to_owned());
        self.waiting.push(waiting);
        let asked = session.password(&flow, &self.username).await?;
        if status(&asked) != "PUSH_CONFIRMATION_REQUIRED" {
            // Pushes are stopped for a while after too many without an answer, and a phone that is gone is not asked.
            self.waiting.pop();
            return Ok(());
        }
        if let Some(waiting) = self.waiting.last_mut() {
            waiting.is_asked = true;
        }
        self.progress.advance();
        if self.rng.u8(0..8) == 0 || matches!(self.standing, Standing::Uninstalled { .. }) {
            return Ok(());
        }
        self.answer().await
    }

    /// Answers all that arrives, until the flow that was begun last goes on.
    async fn answer(&mut self) -> Step {
        let Some(push) = self.site.push.clone() else { return Ok(()) };
        while let Some(message) = push.receive(&self.token, PATIENCE).await {
            let Some(challenge) = challenge_of(&message.delivered) else { continue };
            self.note(&challenge, |waiting| waiting.is_delivered = true);
            let done = self.phone.sdk().process_remote_notification(&message.delivered).await;
            match done {
                Ok(RemoteNotification::Silent) => {}
                Ok(RemoteNotification::Notification(question)) => {
                    match question.approve("fpt", None).await {
                        Ok(()) => {}
                        Err(error) if error.is_retriable() => return Err(Gone),
                        // A later question has taken its place.
                        Err(_) => continue,
                    }
                }
                Err(error) if error.is_retriable() => return Err(Gone),
                Ok(_) | Err(_) => continue,
            }
            let last = self.waiting.last().map(|waiting| waiting.id().to_owned());
            // The SDK is content when a silent question is over, so its yes counts in time only, and for the flow that is under way.
            self.note(&challenge, |waiting| {
                let is_last = last.as_deref() == Some(waiting.id());
                let is_in_time = is_last && waiting.since.elapsed() < waiting.limit();
                waiting.is_answered |= waiting.question == Question::Visible || is_in_time;
            });
            self.progress.advance();
            if self.waiting.last().is_some_and(|waiting| waiting.is_answered) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Changes the flow that put this question, if it still waits: the last that was begun before it.
    fn note(&mut self, challenge: &str, change: impl FnOnce(&mut Waiting)) {
        let asker = self.asker(challenge).map(str::to_owned);
        let waiting =
            self.waiting.iter_mut().find(|waiting| Some(waiting.id()) == asker.as_deref());
        if let Some(waiting) = waiting {
            change(waiting);
        }
    }

    /// The flow that put this question. A message may come again after its flow has ended, so all of them are remembered.
    fn asker(&self, challenge: &str) -> Option<&str> {
        let before = (Bound::Unbounded, Bound::Excluded(challenge));
        self.asked.range::<str, _>(before).next_back().map(String::as_str)
    }

    /// The app is gone, and nobody has told the platform.
    fn uninstall(&mut self) -> Step {
        let Standing::Paired { device } = self.standing.clone() else { return Ok(()) };
        let Some(push) = &self.site.push else { return Ok(()) };
        push.uninstall(&self.token).map_err(|_| Gone)?;
        self.standing = Standing::Uninstalled { device };
        Ok(())
    }

    /// Answers that were acknowledged count, and no flow waits longer than it may. All are waited for when the `last` server has
    /// begun: only that one lives long enough for what its predecessors have left.
    pub(super) async fn verify_waiting(
        &mut self,
        verdict: &mut Verdict,
        last: Option<Stopwatch>,
    ) -> Result<(), LoadError> {
        for waiting in std::mem::take(&mut self.waiting) {
            let over = waiting.limit() + GRACE;
            let must_arrive = last.is_some_and(|last| {
                let age = Duration::from_micros(waiting.since.micros_until(last));
                waiting.is_asked
                    && waiting.question == Question::Visible
                    && age + SENT_AGAIN < VISIBLE
            });
            if waiting.is_answered {
                let flow = answered(waiting.session.look(&waiting.flow).await)?;
                if code_of(&flow).is_none() {
                    verdict.violations.push(format!("an answer that counted is lost: {flow}"));
                }
                verdict.push_answers += 1;
            } else if last.is_some() || waiting.since.elapsed() >= over {
                tokio::time::sleep(over.saturating_sub(waiting.since.elapsed())).await;
                self.verify_overdue(waiting, must_arrive, verdict).await?;
            } else {
                self.waiting.push(waiting);
            }
        }
        Ok(())
    }

    async fn verify_overdue(
        &mut self,
        waiting: Waiting,
        must_arrive: bool,
        verdict: &mut Verdict,
    ) -> Result<(), LoadError> {
        let flow = answered(waiting.session.look(&waiting.flow).await)?;
        if status(&flow) == "PUSH_CONFIRMATION_REQUIRED" {
            verdict.violations.push(format!("a flow waits for ever: {flow}"));
        }
        verdict.push_timeouts += 1;
        let arrived = waiting.is_delivered || self.has_arrived(&waiting);
        if !arrived {
            verdict.pushes_expired += 1;
        }
        let was_there = matches!(self.standing, Standing::Paired { .. });
        if must_arrive && !arrived && was_there && status(&flow) == "PUSH_CONFIRMATION_TIMED_OUT" {
            verdict.violations.push(format!("a message was never sent: {flow}"));
        }
        Ok(())
    }

    /// Whether a message of this flow lies in the mailbox: one about its question.
    fn has_arrived(&self, waiting: &Waiting) -> bool {
        let messages = self.site.push.as_ref().map(|push| push.messages(&self.token));
        let mut challenges =
            messages.into_iter().flatten().filter_map(|message| challenge_of(&message.delivered));
        challenges.any(|challenge| self.asker(&challenge) == Some(waiting.id()))
    }

    /// Whether the platform still knows the phone as this device.
    async fn is_known(&self, device: &str) -> Result<bool, LoadError> {
        let users = self.phone.sdk().info().await;
        let users = users.map_err(|error| LoadError::other(error.to_string()))?;
        Ok(users.iter().any(|user| user.device.id == device))
    }

    /// A phone whose address is dead is unpaired once a push has found that out; then its owner installs the app again.
    pub(super) async fn verify_uninstalled(
        &mut self,
        device: &str,
        verdict: &mut Verdict,
    ) -> Result<(), LoadError> {
        let Some(push) = self.site.push.clone() else { return Ok(()) };
        let must_go = self.waiting.iter().any(|waiting| {
            waiting.is_asked && waiting.since.elapsed() + SENT_AGAIN < waiting.limit()
        });
        if must_go {
            // The phone asks once: a phone that is heard of again and again is not gone.
            tokio::time::sleep(SENT_AGAIN).await;
        }
        if self.is_known(device).await? && must_go {
            verdict.violations.push("a phone whose address is dead stays paired".to_owned());
        }
        self.token = push.install()?;
        let set = self.phone.sdk().set_device_token(Service::Fcm, &self.token, None).await;
        set.map_err(|error| LoadError::other(error.to_string()))?;
        // A push to the dead address may have been answered until just now; from now on it says nothing of this phone.
        self.standing = if self.is_known(device).await? {
            Standing::Paired { device: device.to_owned() }
        } else {
            verdict.push_unpairings += 1;
            Standing::Unpaired
        };
        Ok(())
    }
}

/// The question that a message is about; none for those that take one back.
fn challenge_of(delivered: &Value) -> Option<String> {
    use countersign_protocol::push::Hint;
    match PushMessage::find(delivered)?.hint {
        Hint::Silent { id, .. } | Hint::Challenge { id } => Some(id),
        Hint::Cancelled { .. } | Hint::Test { .. } => None,
    }
}
