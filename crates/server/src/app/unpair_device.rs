//! Automatic unpairing: what the answers of push services do to devices and to the health of their application.

use countersign_domain::{
    application::Application,
    audit::{Action, Event},
    device::{AddressState, Device, Event as DeviceEvent},
    id::Id,
    outbox::Content,
    push_health::PushHealth,
    unpairing::{self, Facts, Hold, UnpairingRules, Verdict},
};
use countersign_protocol::{mobile_payload::PushService, time::Timestamp};
use countersign_push::{Outcome, Raw};
use countersign_store::{
    Tx, Versioned, Work, application, device, push_health, push_health::Count,
};

use super::{
    App, Call, ChangeDeviceError, Fault,
    change_device::{Said, change_as_said},
};
use crate::telemetry::PUSHES;

/// What a push service has said of a device.
#[derive(Clone, Copy)]
pub(super) struct Statement<'a> {
    pub device: Id<Device>,
    pub application: Id<Application>,
    pub service: PushService,
    pub address: &'a str,
    pub sent_at: Timestamp,
    pub raw: &'a Raw,
}

impl Statement<'_> {
    /// Word for word, for the audit log.
    fn words(&self) -> String {
        match self.raw.status {
            Some(status) => format!("{status} {}", self.raw.reason),
            None => self.raw.reason.clone(),
        }
    }
}

/// Counts an answer, and does what it means.
pub(super) async fn judge_answer(
    tx: &mut Tx<'_>,
    call: &Call,
    said: Statement<'_>,
    outcome: &Outcome,
) -> Result<(), Fault> {
    tx.tally(PUSHES, [service_name(said.service), outcome_name(outcome), ""]);
    if said.raw.status.is_some() {
        let unregistered = i64::from(matches!(outcome, Outcome::Unregistered { .. }));
        let count = Count { sends: 1, unregistered, unpaired: 0 };
        push_health::count(tx, (said.application, said.service), count, call.now).await?;
    }
    match outcome {
        Outcome::Accepted | Outcome::Retry { .. } | Outcome::Unreachable | Outcome::Expired => {
            Ok(())
        }
        Outcome::Misconfigured(_) | Outcome::Rejected(_) => {
            refused(tx, call, said).await?;
            warn(tx, call, said, &said.raw.reason, false).await
        }
        Outcome::Unregistered { as_of } => unregistered(tx, call, said, *as_of).await,
    }
}

async fn refused(tx: &mut Tx<'_>, call: &Call, said: Statement<'_>) -> Result<(), Fault> {
    let event = Event::of(Action::NotificationRejected, Some("refused_by_push_service"));
    let event = event.on(said.device).through(said.application).as_said(&said.words());
    Ok(call.audit(tx, event).await?)
}

async fn unregistered(
    tx: &mut Tx<'_>,
    call: &Call,
    said: Statement<'_>,
    as_of: Option<Timestamp>,
) -> Result<(), Fault> {
    let Some(device) = device::load(tx, call.environment, said.device).await? else {
        return Ok(());
    };
    let rules = rules(tx, call, said.application).await?;
    let health = push_health::load(tx, said.application).await?;
    let statement = unpairing::Statement { address: said.address, as_of, sent_at: said.sent_at };
    let of = (said.application, said.service);
    let since = health.as_ref().and_then(|health| health.resumed_at);
    let facts = Facts {
        rules: &rules,
        stopped: health.as_ref().is_some_and(|health| health.stopped_at.is_some()),
        hour: push_health::answers(tx, of, since, call.now).await?,
        unpaired: push_health::unpaired(tx, said.application, call.now).await?,
    };
    match unpairing::judge(&device, statement, facts, call.now) {
        Verdict::Stale => Ok(()),
        Verdict::Unpair => unpair(tx, call, &device, said.service, &said.words()).await,
        Verdict::UnpairAt(at) => {
            suspect(tx, call, &device, (said, "push_address_suspect"), Some(at)).await?;
            let content = Content::Unpairing { device: device.id, since: call.now, at };
            Ok(call.send(tx, content).await?)
        }
        Verdict::Hold(hold) => {
            suspect(tx, call, &device, (said, hold.name()), None).await?;
            warn(tx, call, said, hold.name(), hold == Hold::Storm).await
        }
    }
}

async fn rules(
    tx: &mut Tx<'_>,
    call: &Call,
    application: Id<Application>,
) -> Result<UnpairingRules, Fault> {
    let application = application::load(tx, call.environment, application).await?;
    let mobile = application.as_ref().and_then(|application| application.mobile.as_ref());
    Ok(mobile.map(|mobile| mobile.unpairing).unwrap_or_default())
}

/// Unpairs a device by the word of its push service. One that is barred stays, so that a thief cannot lift the bar by removing
/// the app.
async fn unpair(
    tx: &mut Tx<'_>,
    call: &Call,
    device: &Versioned<Device>,
    service: PushService,
    words: &str,
) -> Result<(), Fault> {
    let event = DeviceEvent::Unpair { reason: "push_unregistered" };
    match change_as_said(tx, call, device, event, Said(Some(words))).await {
        Ok(()) => {
            let count = Count { unpaired: 1, ..Count::default() };
            let of = (device.installation.application, service);
            Ok(push_health::count(tx, of, count, call.now).await?)
        }
        Err(ChangeDeviceError::Refused(_)) => Ok(()),
        Err(ChangeDeviceError::NotFound) => Err(Fault::broken("a stored device is gone")),
        Err(ChangeDeviceError::Fault(fault)) => Err(fault),
    }
}

/// The device stays, and is not asked by push until the phone is heard of.
async fn suspect(
    tx: &mut Tx<'_>,
    call: &Call,
    device: &Versioned<Device>,
    (said, reason): (Statement<'_>, &'static str),
    remove_at: Option<Timestamp>,
) -> Result<(), Fault> {
    let address = AddressState::Suspect { since: call.now, remove_at };
    device::swap(tx, device, &Device { address, ..(**device).clone() }).await?;
    let event = Event::of(Action::DeviceUpdated, Some(reason)).about(device.user).on(&**device);
    let event = event.through(said.application).as_said(&said.words());
    Ok(call.audit(tx, event).await?)
}

/// Tells the administrator of the application. A storm stops automatic unpairing.
async fn warn(
    tx: &mut Tx<'_>,
    call: &Call,
    said: Statement<'_>,
    reason: &str,
    storm: bool,
) -> Result<(), Fault> {
    let old = push_health::load(tx, said.application).await?;
    let fresh = PushHealth::new(call.environment, said.application);
    let before = old.as_deref().cloned().unwrap_or(fresh);
    let warned = before.warned(said.service, reason, call.now);
    let health = if storm { warned.stopped(call.now) } else { warned };
    push_health::put(tx, old.as_ref(), &health).await?;
    if storm && before.stopped_at.is_none() {
        let (application, service) = (said.application, service_name(said.service));
        tracing::error!(%application, service, "automatic unpairing has stopped: too many addresses at once are said to be nobody's");
        let event = Event::of(Action::PushHealthUpdated, Some("unpairing_storm"));
        call.audit(tx, event.through(application).as_said(&said.words())).await?;
    }
    Ok(())
}

impl App {
    /// The grace period of a device is over: it goes, if it was not heard of and no guard holds it.
    pub(super) async fn end_grace(
        &self,
        call: Call,
        (device, since): (Id<Device>, Timestamp),
    ) -> Result<(), Fault> {
        self.store.write(EndGrace { call, device, since }).await
    }
}

struct EndGrace {
    call: Call,
    device: Id<Device>,
    since: Timestamp,
}

impl Work for EndGrace {
    type Output = ();
    type Error = Fault;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let call = &self.call;
        let Some(old) = device::load(tx, call.environment, self.device).await? else {
            return Ok(());
        };
        let AddressState::Suspect { since, remove_at: Some(_) } = old.address else {
            return Ok(());
        };
        if since != self.since {
            return Ok(());
        }
        let application = old.installation.application;
        let service = old.installation.push.as_ref().map(|push| push.service);
        let Some(service) = service else { return Ok(()) };
        let rules = rules(tx, call, application).await?;
        let health = push_health::load(tx, application).await?;
        let resumed_at = health.as_ref().and_then(|health| health.resumed_at);
        let facts = Facts {
            rules: &rules,
            stopped: health.as_ref().is_some_and(|health| health.stopped_at.is_some()),
            hour: push_health::answers(tx, (application, service), resumed_at, call.now).await?,
            unpaired: push_health::unpaired(tx, application, call.now).await?,
        };
        if rules.enabled && unpairing::guards(facts).is_none() {
            return unpair(tx, call, &old, service, "the grace period is over").await;
        }
        let address = AddressState::Suspect { since, remove_at: None };
        tx.needs_no_audit("that it is suspect was told, and it still is");
        Ok(device::swap(tx, &old, &Device { address, ..(*old).clone() }).await?)
    }
}

/// The name of a service, in metrics.
pub(super) const fn service_name(service: PushService) -> &'static str {
    match service {
        PushService::Apns => "apns",
        PushService::Fcm => "fcm",
        PushService::Hms => "hms",
        PushService::WebPush => "web_push",
        PushService::Direct => "direct",
    }
}

const fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted => "accepted",
        Outcome::Retry { .. } => "retry",
        Outcome::Unregistered { .. } => "unregistered",
        Outcome::Misconfigured(_) => "misconfigured",
        Outcome::Rejected(_) => "rejected",
        Outcome::Unreachable => "unreachable",
        Outcome::Expired => "expired",
    }
}
