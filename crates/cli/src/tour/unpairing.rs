//! The steps in which a push service says that an app is gone: it is, or the service is wrong.

use std::time::Duration;

use countersign_domain::{
    audit::Action, mfa_policy::PushRules, push_health::PushHealth, unpairing::UnpairingRules,
};
use countersign_emulator::push_service::fault::Fault;
use countersign_protocol::mobile_payload::PushService;

use super::{
    Seen,
    crowd::{Crowd, PHONES},
    push::{Owner, ask, begin_there, records},
    stage::Stage,
    steps::require,
};
use crate::Broken;

/// How long a worker may take for what it does by itself. It takes milliseconds, and seconds for a crowd.
const PATIENCE: Duration = Duration::from_mins(1);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until something has happened by itself.
async fn until(
    what: &str,
    mut holds: impl AsyncFnMut() -> Result<bool, Broken>,
) -> Result<(), Broken> {
    let looks = async {
        while !holds().await? {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    };
    let late = |_| Broken::new(format!("{what} has not happened in time"));
    tokio::time::timeout(PATIENCE, looks).await.map_err(late)?
}

async fn devices(stage: &Stage, owner: &Owner) -> Result<usize, Broken> {
    let environment = stage.bank.environment.id;
    Ok(stage.platform.app().list_devices(environment, owner.user.id).await?.len())
}

/// The owner removes the app. The next push finds out, and nobody has to tidy up.
pub async fn removed(stage: &Stage, owner: &Owner) -> Seen<()> {
    ask(stage, PushRules::default()).await?;
    // Apple's word counts only for the time after the phone was last heard of.
    stage.clock.advance(60);
    stage.services.installations(owner.service).uninstall(&owner.token)?;
    let (site, flow) = begin_there(stage, owner).await?;
    let gone = async || Ok(devices(stage, owner).await? == 0);
    until("that the device goes from the list", gone).await?;
    if let Some(flow) = flow {
        site.read(&flow).await?.id_token()?;
    }
    let told = records(stage, stage.bank.environment.id, Action::DeviceDeleted).await?;
    let event = told.into_iter().next().map(|record| record.entry.event);
    let event = event.ok_or_else(|| Broken::new("the audit log does not tell of the removal"))?;
    let (reason, said) = (event.reason.unwrap_or_default(), event.said.unwrap_or_default());
    require(reason == "push_unregistered", "the audit log must say why")?;
    Ok(((), format!("the service said {said:?}; no device left, the sign-on went on")))
}

/// APNs does not like a token: that is how a wrong configuration looks, so it proves nothing.
pub async fn bad_token(stage: &Stage) -> Seen<()> {
    ask(stage, PushRules::default()).await?;
    let hugo = Owner::pair(stage, "hugo", PushService::Apns).await?;
    let reason = "BadDeviceToken";
    let fault = Fault::Reason { reason: reason.to_owned(), status: None, timestamp: None };
    stage.services.apns.faults().order(fault)?;
    let (site, flow) = begin_there(stage, &hugo).await?;
    let flow = flow.ok_or_else(|| Broken::new("the sign-on must wait for the phone"))?;
    let warned = async || {
        let health = health(stage).await?;
        Ok(health.warnings.iter().any(|warning| warning.reason == reason))
    };
    until("a warning for the administrator", warned).await?;
    require(devices(stage, &hugo).await? == 1, "the device must stay")?;
    // The phone finds the question without a push.
    let found = hugo.phone.sdk().pending_notifications().await?;
    let question = found.first().ok_or_else(|| Broken::new("the phone finds no question"))?;
    question.approve("user", None).await?;
    site.read(&flow).await?.id_token()?;
    Ok(((), format!("{reason}: a warning; the phone looked by itself, and approved")))
}

async fn health(stage: &Stage) -> Result<PushHealth, Broken> {
    let bank = &stage.bank;
    Ok(stage.platform.app().push_health(bank.environment.id, bank.native.id).await?)
}

/// FCM is wrong about three tokens of ten, within a minute.
pub async fn storm(stage: &Stage) -> Seen<()> {
    let crowd = Crowd::gather(stage).await?;
    let app = stage.platform.app();
    let began = app.now();
    let mut dead = 0;
    for batch in crowd.batches() {
        dead += batch.iter().filter(|phone| phone.is_dead).count();
        crowd.sign_in(stage, batch).await?;
        let sent = async || Ok(app.outbox_depth().await?.messages == 0);
        until("that all pushes are sent", sent).await?;
        // As fast as one address may ask.
        stage.clock.advance(5);
    }
    let seconds = app.now().seconds_since(began);
    let (environment, native) = (crowd.environment, crowd.native.id);
    let stopped = app.push_health(environment, native).await?.stopped_at.is_some();
    require(stopped, "automatic unpairing must stop")?;
    let unpaired = records(stage, environment, Action::DeviceDeleted).await?.len();
    let rules = UnpairingRules::default();
    let most = rules.breaker_count.min(rules.daily_cap) as usize;
    require(unpaired <= most, "more were unpaired than the guards allow")?;
    let resumed = app.resume_unpairing(environment, native).await?;
    require(resumed.stopped_at.is_none(), "an administrator must be able to let it go on")?;
    let what = format!(
        "{dead} of {PHONES} tokens said dead in {seconds} s: {unpaired} unpaired, then it stopped; an administrator let it go on"
    );
    Ok(((), what))
}
