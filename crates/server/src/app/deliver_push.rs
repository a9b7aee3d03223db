//! Brings a message to a phone by its push service, and settles what the service's answer means.

use std::sync::Arc;

use countersign_domain::{
    application::Application,
    challenge::{Cancellation, Challenge, Question, State},
    device::Device,
    environment::Environment,
    id::Id,
    outbox::{self, Content, Message},
    push_credentials::PushCredentials,
};
use countersign_protocol::{
    jose,
    mobile_payload::PushService,
    push::{Hint, PushMessage},
    time::Timestamp,
};
use countersign_push::{Answer, Gateway, Outcome, Push, Raw, Style, Trouble};
use countersign_store::{
    StoreError, Tx, Versioned, Work, application, challenge, device, push_credentials,
};

use super::{
    App, Call, Fault, Realm,
    challenge::{cancel, words},
    push_credentials::open,
    unpair_device::{Statement, judge_answer},
};

/// What became of a message: for the outbox, and for the device.
pub(super) struct Delivery {
    /// For the outbox.
    pub outcome: outbox::Outcome,
    /// What is to be settled with it, unless there was nothing to say.
    pub report: Option<Report>,
}

/// What a push service has said of a device.
#[derive(Clone)]
pub(super) struct Report {
    pub device: Id<Device>,
    pub application: Id<Application>,
    pub service: PushService,
    /// The address that the message was sent to.
    pub address: String,
    /// When the message was made.
    pub sent_at: Timestamp,
    /// The question that it was about.
    pub challenge: Id<Challenge>,
    pub answer: Answer,
}

/// What a message is about, and whom it is for.
struct Target {
    challenge: Challenge,
    to: Recipient,
}

impl App {
    /// Tries to bring a message to the phone of a challenge.
    pub(super) async fn deliver_push(
        &self,
        message: &Message,
        id: Id<Challenge>,
    ) -> Result<Delivery, Fault> {
        let environment = message.environment;
        let Some(target) = self.store.read(Find { environment, id }).await? else {
            return Ok(Delivery { outcome: outbox::Outcome::Unwanted, report: None });
        };
        let waits = target.challenge.state == State::Pending;
        let cancels = matches!(message.content, Content::Cancellation { .. });
        if waits == cancels {
            return Ok(Delivery { outcome: outbox::Outcome::Unwanted, report: None });
        }
        let realm = self.realm(environment).await?;
        let realm = realm.ok_or_else(|| Fault::broken("a message has no environment"))?;
        let answer = self.push(&realm, message, &target).await?;
        let outcome = outcome(&answer.outcome);
        let Target { challenge, to: Recipient { device, .. } } = target;
        let report = device.installation.push.map(|push| Report {
            device: device.id,
            application: device.installation.application,
            service: push.service,
            address: push.address,
            sent_at: message.created_at,
            challenge: challenge.id,
            answer,
        });
        Ok(Delivery { outcome, report })
    }

    async fn push(
        &self,
        realm: &Realm,
        message: &Message,
        target: &Target,
    ) -> Result<Answer, Fault> {
        let Target { challenge, to } = target;
        let locale = to.device.installation.device.locale.as_deref().unwrap_or_default();
        let (title, body) = words::hint(locale);
        let id = challenge.id.to_string();
        let (hint, style) = match (message.content, &challenge.question) {
            (Content::Cancellation { .. }, _) => (Hint::Cancelled { id }, Style::Cancel),
            (_, Question::Silent) => {
                let nonce = realm.push_nonce(challenge.id);
                (Hint::Silent { id, nonce }, Style::Silent)
            }
            (_, Question::Visible(_)) => {
                let style = Style::Visible { title, body, category: CATEGORY };
                (Hint::Challenge { id }, style)
            }
        };
        let expires_at = message.expires_at();
        self.send_hint(to, hint, style, expires_at).await
    }

    /// Sends a hint to a device. That there is no way to it is an answer too.
    pub(super) async fn send_hint(
        &self,
        to: &Recipient,
        hint: Hint,
        style: Style<'_>,
        expires_at: Timestamp,
    ) -> Result<Answer, Fault> {
        let own = |reason| {
            let outcome = Outcome::Misconfigured(Trouble::Address);
            Answer { outcome, raw: Raw::new(None, reason) }
        };
        let Some(address) = to.device.installation.push.as_ref() else {
            return Ok(own(MISSING_DEVICE_TOKEN));
        };
        if !address.enabled {
            return Ok(own(PUSH_DISABLED));
        }
        let Some(credentials) = &to.credentials else {
            return Ok(own(MISSING_PUSH_CREDENTIALS));
        };
        let gateway = self.gateway(&to.application, credentials)?;
        // The same for each attempt, so that a service or a phone that sees both knows.
        let named = format!("{hint:?} {}", address.address);
        let mut id = [0; 16];
        id.iter_mut().zip(jose::sha256(named.as_bytes())).for_each(|(to, from)| *to = from);
        let message = PushMessage::new(hint);
        let collapse = to.device.id.to_string();
        let push = Push { id, address, message: &message, style, collapse: &collapse, expires_at };
        Ok(gateway.send(&push).await)
    }

    fn gateway(
        &self,
        application: &Application,
        credentials: &Versioned<PushCredentials>,
    ) -> Result<Arc<dyn Gateway>, Fault> {
        let gateways = self.gateways()?;
        let (id, version) = (credentials.id.to_string(), credentials.version());
        if let Some(gateway) = gateways.find(&id, version) {
            return Ok(gateway);
        }
        let topic = application.mobile.as_ref().and_then(|mobile| mobile.bundle_id.as_deref());
        let opened = open(&self.vault, credentials)?.with_topic(topic.unwrap_or_default());
        let gateway = gateways.open(&id, version, &opened);
        gateway.map_err(|error| Fault::broken(format!("push credentials are bad: {error}")))
    }
}

/// Who gets a message, and by what.
pub(super) struct Recipient {
    device: Device,
    application: Application,
    credentials: Option<Versioned<PushCredentials>>,
}

impl Recipient {
    /// Reads what it takes to reach a device. `None`: its application is gone.
    pub async fn of(tx: &mut Tx<'_>, device: Device) -> Result<Option<Self>, StoreError> {
        let native = device.installation.application;
        let Some(application) = application::load(tx, device.environment, native).await? else {
            return Ok(None);
        };
        let credentials = match &device.installation.push {
            Some(push) => push_credentials::find(tx, native, push.service).await?,
            None => None,
        };
        Ok(Some(Self { device, application: application.into_value(), credentials }))
    }
}

/// What the app has not given.
pub(super) const MISSING_DEVICE_TOKEN: &str = "MissingDeviceToken";
/// The app has switched push off.
pub(super) const PUSH_DISABLED: &str = "PushDisabled";
/// What the administrator has not given.
pub(super) const MISSING_PUSH_CREDENTIALS: &str = "MissingPushCredentials";

/// Which buttons a visible message has: approve and deny.
const CATEGORY: &str = "countersign.challenge";

/// What the outbox does with an answer. The challenge is over when the message is given up, so nothing is tried for long.
fn outcome(answer: &Outcome) -> outbox::Outcome {
    match answer {
        Outcome::Accepted => outbox::Outcome::Delivered,
        Outcome::Retry { after: Some(after) } => {
            let seconds = u32::try_from(after.as_secs()).unwrap_or(u32::MAX);
            outbox::Outcome::Later { seconds }
        }
        Outcome::Retry { after: None } | Outcome::Unreachable => outbox::Outcome::Failed,
        Outcome::Unregistered { .. } | Outcome::Expired => outbox::Outcome::Unwanted,
        Outcome::Misconfigured(_) | Outcome::Rejected(_) => outbox::Outcome::Refused,
    }
}

struct Find {
    environment: Id<Environment>,
    id: Id<Challenge>,
}

impl Work for Find {
    type Output = Option<Target>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Target>, StoreError> {
        let Some(challenge) = challenge::load(tx, self.environment, self.id).await? else {
            return Ok(None);
        };
        let Some(device) = device::load(tx, self.environment, challenge.device).await? else {
            return Ok(None);
        };
        let to = Recipient::of(tx, device.into_value()).await?;
        Ok(to.map(|to| Target { challenge: challenge.into_value(), to }))
    }
}

/// Settles what a push service has said, in the transaction in which the outbox forgets or keeps the message. `over`: it is not
/// tried again.
pub(super) async fn settle(
    tx: &mut Tx<'_>,
    call: &Call,
    report: &Report,
    over: bool,
) -> Result<(), Fault> {
    let Report { device, application, service, address, sent_at, challenge: id, answer } = report;
    let said = Statement {
        device: *device,
        application: *application,
        service: *service,
        address,
        sent_at: *sent_at,
        raw: &answer.raw,
    };
    judge_answer(tx, call, said, &answer.outcome).await?;
    let reached = matches!(answer.outcome, Outcome::Accepted);
    if over && !reached {
        give_up(tx, call, *id).await?;
    }
    Ok(())
}

/// No message comes to the device. A silent question is over by that; a visible one may be found by the phone itself.
pub(super) async fn give_up(tx: &mut Tx<'_>, call: &Call, id: Id<Challenge>) -> Result<(), Fault> {
    let Some(old) = challenge::load(tx, call.environment, id).await? else { return Ok(()) };
    match (&old.question, &old.state) {
        (Question::Silent, State::Pending) => {
            cancel(tx, call, &old, Cancellation::Undeliverable).await
        }
        _ => Ok(()),
    }
}
