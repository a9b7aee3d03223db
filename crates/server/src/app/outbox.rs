//! Sends what is in the outbox: leases messages, tries each, and settles what becomes of it.

use countersign_domain::{
    audit,
    outbox::{Content, GivenUp, Next, Outcome},
};
use countersign_protocol::{entropy::random, time::Timestamp};
use countersign_store::{
    Engine, StoreError, Tx, Work,
    outbox::{self as messages, Depth, Leased},
};

use super::{
    App, Call, Fault,
    deliver_push::{Delivery, Report, give_up, settle},
};

/// What a worker has to do, and when it must look again at the latest.
pub(crate) struct Due {
    /// Messages that are this worker's now.
    pub leased: Vec<Leased>,
    /// When the next of the others is due, or the lease of one ends.
    pub next_at: Option<Timestamp>,
}

impl App {
    /// How much there is to be sent, and how old the oldest is.
    pub async fn outbox_depth(&self) -> Result<Depth, StoreError> {
        self.store.read(ReadDepth).await
    }

    /// Sends what is due now, and returns how many messages that were once all of them are settled. For tests, and for programs
    /// without workers.
    pub async fn send_due(&self) -> Result<usize, Fault> {
        let mut sent = 0;
        loop {
            let due = self.lease_messages(self.settings.outbox_concurrency).await?;
            if due.leased.is_empty() {
                return Ok(sent);
            }
            for leased in due.leased {
                self.send_message(leased).await?;
                sent += 1;
            }
        }
    }

    /// Takes over what a process of before has left, where no other can be at it.
    pub(crate) async fn take_over_messages(&self) -> Result<u64, StoreError> {
        match self.store.engine() {
            Engine::Sqlite => self.store.write(Release { now: self.now() }).await,
            Engine::Postgres => Ok(0),
        }
    }

    /// Takes at most `limit` of the messages that are due. One look is a read: only who finds something writes.
    pub(crate) async fn lease_messages(&self, limit: u32) -> Result<Due, StoreError> {
        let (now, rules) = (self.now(), &self.settings.outbox);
        let next_at = self.store.read(FirstDue).await?;
        if next_at.is_none_or(|at| at > now) {
            return Ok(Due { leased: Vec::new(), next_at });
        }
        self.store.write(Lease { now, until: rules.leased_until(now), limit }).await
    }

    /// Tries to send a message, and settles what becomes of it. If this is dropped on its way, the lease runs out and the
    /// message is sent again.
    pub(crate) async fn send_message(&self, leased: Leased) -> Result<(), Fault> {
        let (message, rules) = (&leased.message, &self.settings.outbox);
        let mut report = None;
        let tried = message.may_be_tried(leased.attempt, rules, self.now());
        let next = if let Err(given_up) = tried {
            Next::GiveUp(given_up)
        } else {
            let delivery = self.attempt(&leased).await;
            let random = u64::from_be_bytes(random(self.entropy.as_ref()));
            report = delivery.report;
            message.after((leased.attempt, delivery.outcome), rules, self.now(), random)
        };
        if let Next::GiveUp(why) = next {
            let (kind, why) = (message.content.name(), why.name());
            tracing::warn!(kind, why, correlation = %message.correlation, message = %message.id, "gave up a message");
        }
        let call = self.call(message.environment, &message.correlation);
        let is_ours = self.store.write(Settle { call, leased, next, report }).await?;
        if !is_ours {
            tracing::warn!("a message took longer than its lease, and may have been sent twice");
        }
        Ok(())
    }

    /// One attempt. What the server itself cannot do now is tried again like what the receiver cannot.
    async fn attempt(&self, leased: &Leased) -> Delivery {
        let message = &leased.message;
        let delivered = match message.content {
            Content::LogoutToken { application, user, session } => {
                let session = (user, session);
                let sent = self.send_logout_token(message.environment, application, session).await;
                sent.map(|outcome| Delivery { outcome, report: None })
            }
            Content::Challenge { challenge, .. } | Content::Cancellation { challenge } => {
                self.deliver_push(message, challenge).await
            }
            Content::Passcode { device, sending, .. } => {
                let sent = self.deliver_passcode(message, (device, sending)).await;
                sent.map(|outcome| Delivery { outcome, report: None })
            }
            Content::Unpairing { device, since, .. } => {
                let call = self.call(message.environment, &message.correlation);
                let ended = self.end_grace(call, (device, since)).await;
                ended.map(|()| Delivery { outcome: Outcome::Delivered, report: None })
            }
            Content::Unpairings { application } => {
                let call = self.call(message.environment, &message.correlation);
                let done = self.unpair_all(call, application).await;
                done.map(|()| Delivery { outcome: Outcome::Delivered, report: None })
            }
        };
        delivered.unwrap_or_else(|error| {
            let (kind, attempt) = (message.content.name(), leased.attempt);
            tracing::warn!(%error, kind, attempt, message = %message.id, "cannot send a message");
            Delivery { outcome: Outcome::Failed, report: None }
        })
    }
}

struct Release {
    now: Timestamp,
}

impl Work for Release {
    type Output = u64;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, StoreError> {
        messages::release(tx, self.now).await
    }
}

struct ReadDepth;

impl Work for ReadDepth {
    type Output = Depth;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Depth, StoreError> {
        messages::depth(tx).await
    }
}

struct FirstDue;

impl Work for FirstDue {
    type Output = Option<Timestamp>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Timestamp>, StoreError> {
        messages::first_due(tx).await
    }
}

struct Lease {
    now: Timestamp,
    until: Timestamp,
    limit: u32,
}

impl Work for Lease {
    type Output = Due;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Due, StoreError> {
        let leased = messages::lease(tx, (self.now, self.until), self.limit).await?;
        let next_at = messages::first_due(tx).await?;
        Ok(Due { leased, next_at })
    }
}

struct Settle {
    call: Call,
    leased: Leased,
    next: Next,
    report: Option<Report>,
}

/// The output says whether the message was still this worker's. If not, nothing is told: another settles it.
impl Work for Settle {
    type Output = bool;
    type Error = Fault;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        let is_ours = match self.next {
            Next::Forget | Next::GiveUp(_) => messages::delete(tx, &self.leased).await?,
            Next::Retry { at } => messages::postpone(tx, &self.leased, at).await?,
        };
        if is_ours {
            let over = !matches!(self.next, Next::Retry { .. });
            if let Some(report) = &self.report {
                settle(tx, &self.call, report, over).await?;
            }
            if let Next::GiveUp(why) = self.next {
                self.tell(tx, why).await?;
            }
        }
        Ok(is_ours)
    }
}

impl Settle {
    async fn tell(&self, tx: &mut Tx<'_>, why: GivenUp) -> Result<(), Fault> {
        match self.leased.message.content {
            Content::LogoutToken { application, user, .. } => {
                let failed = audit::Event::failed(audit::Action::LogoutTokenFailed, why.name());
                Ok(self.call.audit(tx, failed.through(application).about(user)).await?)
            }
            Content::Passcode { device, .. } => {
                let failed = audit::Event::failed(audit::Action::NotificationRejected, why.name());
                Ok(self.call.audit(tx, failed.on(device)).await?)
            }
            Content::Challenge { challenge, .. } => give_up(tx, &self.call, challenge).await,
            // A question that is over, and phones that may be asked once more or by nobody: no one waits for them.
            Content::Cancellation { .. }
            | Content::Unpairing { .. }
            | Content::Unpairings { .. } => Ok(()),
        }
    }
}
