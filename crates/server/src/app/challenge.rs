//! What every change of a challenge has in common: it is asked, and it comes to its end, with all that follows from it.

pub(super) mod words;

use countersign_domain::{
    application::{Application, Mobile},
    audit,
    authorization::Answer,
    challenge::{
        self as challenges, Cancellation, Challenge, Denial, Effect, Event, Number, Person,
        Question, Shown, State,
    },
    device::Device,
    flow::{self, Flow},
    id::Id,
    mfa,
    mfa_policy::{MfaPolicy, PushRules},
    outbox::Content,
    push_limit::PushLimit,
    user::User,
};
use countersign_protocol::{
    challenge::Origin, jwk::Thumbprint, mobile_payload::PushService, time::Timestamp,
};
use countersign_store::{
    StoreError, Topic, Tx, Versioned, application, challenge, device, flow as flows, mfa_policy,
    push_limit, user, wakes,
};

use super::{
    Call, Fault,
    fault::faults,
    lockout::count_attempt,
    run_flow::{Seen, tell},
};

/// Why a challenge did not come to this end.
#[derive(Debug, thiserror::Error)]
pub(super) enum EndError {
    #[error(transparent)]
    Refused(#[from] challenges::Refusal),
    #[error(transparent)]
    Fault(Fault),
}

faults!(EndError);

/// A question that a flow puts to a device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub challenge: Id<Challenge>,
    pub device: Id<Device>,
    pub visible: bool,
    pub until: Timestamp,
}

/// Puts a question to a device: what an [`flow::Effect::Ask`] stands for.
pub(super) async fn ask(
    tx: &mut Tx<'_>,
    call: &Call,
    flow: &Flow,
    seen: &Seen,
    asked: Asked,
) -> Result<(), Fault> {
    let gone = || Fault::broken("a flow asks a device that is gone");
    let device = match seen.devices.iter().find(|device| device.id == asked.device) {
        Some(device) => device.clone(),
        None => {
            device::load(tx, flow.environment, asked.device).await?.ok_or_else(gone)?.into_value()
        }
    };
    let policy =
        seen.policy.as_ref().ok_or_else(|| Fault::broken("a flow asks without a policy"))?;
    let native = device.installation.application;
    let question = if asked.visible {
        supersede(tx, call, device.user, native).await?;
        Question::Visible(Box::new(shown(tx, call, flow, seen, (&device, policy)).await?))
    } else {
        Question::Silent
    };
    let challenge = Challenge {
        id: asked.challenge,
        environment: flow.environment,
        user: device.user,
        device: device.id,
        installation: device.installation.thumbprint,
        application: native,
        policy: policy.id,
        flow: flow.id,
        question,
        created_at: call.now,
        answer_until: asked.until,
        state: State::Pending,
    };
    challenge::insert(tx, &challenge).await?;
    let reason = if asked.visible { "push" } else { "silent_push" };
    let event = audit::Event::of(audit::Action::NotificationCreated, Some(reason));
    let event = event.about(device.user).on(&device).through(flow.request.application);
    call.audit(tx, event.within(flow.id)).await?;
    notify(tx, call, &device, Content::Challenge { challenge: challenge.id, until: asked.until })
        .await
}

/// A user is asked one visible question at a time by an application. The one before is over.
async fn supersede(
    tx: &mut Tx<'_>,
    call: &Call,
    user: Id<User>,
    application: Id<Application>,
) -> Result<(), Fault> {
    match challenge::find_visible(tx, user, application).await? {
        Some(old) => cancel(tx, call, &old, Cancellation::Superseded).await,
        None => Ok(()),
    }
}

async fn shown(
    tx: &mut Tx<'_>,
    call: &Call,
    flow: &Flow,
    seen: &Seen,
    (device, policy): (&Device, &MfaPolicy),
) -> Result<Shown, Fault> {
    let client = load_application(tx, flow, seen, flow.request.application).await?;
    let native = device.installation.application;
    let rules = policy.application(native).map(|rules| rules.push).unwrap_or_default();
    let number = if rules.number_matching {
        let mobile: Option<Mobile> = load_application(tx, flow, seen, native).await?.mobile;
        Some(Number::draw(mobile.unwrap_or_default().number_matching, call.entropy.as_ref()))
    } else {
        None
    };
    let locale = device.installation.device.locale.as_deref().unwrap_or_default();
    let words = words::of(locale, flow.request.template.as_deref(), &client.name);
    // A back end that asks is not where the person is: it tells that by its own context.
    let is_worker = flow.request.answer == Answer::Worker;
    let origin = if is_worker { Origin::default() } else { call.origin.seen() };
    Ok(Shown {
        person: person(tx, flow, seen, device.user).await?,
        application: client.name,
        title: words.title,
        message: words.message,
        client_context: flow.request.client_context.clone(),
        origin,
        number,
    })
}

async fn person(tx: &mut Tx<'_>, flow: &Flow, seen: &Seen, id: Id<User>) -> Result<Person, Fault> {
    let found = match seen.user.as_ref().filter(|user| user.id == id) {
        Some(user) => Some(user.clone()),
        None => user::load(tx, flow.environment, id).await?.map(Versioned::into_value),
    };
    let User { username, name, .. } = found.ok_or_else(|| Fault::broken("a device has no user"))?;
    Ok(Person { username, name })
}

async fn load_application(
    tx: &mut Tx<'_>,
    flow: &Flow,
    seen: &Seen,
    id: Id<Application>,
) -> Result<Application, Fault> {
    if let Some(seen) = seen.application.as_ref().filter(|seen| seen.id == id) {
        return Ok(seen.clone());
    }
    let found = application::load(tx, flow.environment, id).await?;
    Ok(found.ok_or_else(|| Fault::broken("a flow has no application"))?.into_value())
}

/// Brings a message to a device: by its push service, and at once where the phone waits.
async fn notify(
    tx: &mut Tx<'_>,
    call: &Call,
    device: &Device,
    content: Content,
) -> Result<(), Fault> {
    wakes::wake(tx, phone_topic(device.installation.thumbprint), call.now).await?;
    let push = device.installation.push.as_ref();
    if push.is_some_and(|push| push.service != PushService::Direct) {
        call.send(tx, content).await?;
    }
    Ok(())
}

/// What a phone waits for: challenges of its installation.
pub(super) fn phone_topic(thumbprint: Thumbprint) -> Topic {
    let mut name = [0; 16];
    name.iter_mut().zip(thumbprint.as_bytes()).for_each(|(to, from)| *to = *from);
    Topic::new(name)
}

/// What those wait for who wait for a flow.
pub(super) fn flow_topic(flow: Id<Flow>) -> Topic {
    Topic::new(*flow.as_bytes())
}

/// Ends a question that needs no answer any more, if it has not ended.
pub(super) async fn cancel(
    tx: &mut Tx<'_>,
    call: &Call,
    old: &Versioned<Challenge>,
    why: Cancellation,
) -> Result<(), Fault> {
    match end(tx, call, old, &Event::Cancel { why }).await {
        Ok(_) => Ok(()),
        Err(EndError::Refused(_)) => Err(Fault::broken("a question cannot be cancelled")),
        Err(EndError::Fault(fault)) => Err(fault),
    }
}

/// Ends the questions to a device that can no longer answer. The flows that wait go on without it.
pub(super) async fn cancel_of_device(
    tx: &mut Tx<'_>,
    call: &Call,
    device: &Device,
) -> Result<(), Fault> {
    for listed in challenge::list_of_user(tx, device.user).await? {
        if listed.device != device.id {
            continue;
        }
        // Read anew: a flow that goes on to another device may have taken the place of this question by its own.
        if let Some(old) = challenge::load(tx, device.environment, listed.id).await? {
            cancel(tx, call, &old, Cancellation::DeviceGone).await?;
        }
    }
    Ok(())
}

/// Ends the question of a flow that goes another way: what an [`flow::Effect::Withdraw`] stands for.
pub(super) async fn withdraw(
    tx: &mut Tx<'_>,
    call: &Call,
    flow: &Flow,
    id: Id<Challenge>,
) -> Result<(), Fault> {
    match challenge::load(tx, flow.environment, id).await? {
        Some(old) => cancel(tx, call, &old, Cancellation::Withdrawn).await,
        None => Ok(()),
    }
}

/// Applies an event to a challenge and commits all that follows from it. What it returns is the state that it has now.
pub(super) async fn end(
    tx: &mut Tx<'_>,
    call: &Call,
    old: &Versioned<Challenge>,
    event: &Event,
) -> Result<State, EndError> {
    let step = challenges::apply(old, event, call.now)?;
    if step.state == old.state {
        return Ok(step.state);
    }
    challenge::swap(tx, old, &Challenge { state: step.state.clone(), ..(**old).clone() }).await?;
    for effect in step.effects {
        commit(tx, call, old, effect).await?;
    }
    if let State::Denied { why: Denial::Fraud, .. } = step.state {
        deny_others(tx, call, old).await?;
    }
    Ok(step.state)
}

async fn commit(
    tx: &mut Tx<'_>,
    call: &Call,
    old: &Challenge,
    effect: Effect,
) -> Result<(), Fault> {
    match effect {
        Effect::Audit { action, reason } => {
            let event = audit::Event::of(action, Some(reason)).about(old.user).on(old.device);
            Ok(call.audit(tx, event.through(old.application).within(old.flow)).await?)
        }
        Effect::TellFlow(outcome) => {
            let outcome = silence(tx, call, old, outcome).await?;
            tell_flow(tx, call, old, outcome).await
        }
        Effect::TellPhone => tell_phone(tx, call, old).await,
        Effect::CountAgainstPushes => count_push(tx, call, old).await,
        Effect::CountUserFailure => count_user(tx, call, old, true).await,
        Effect::ClearCounts => {
            let subject = subject(old);
            push_limit::clear(tx, subject).await?;
            count_user(tx, call, old, false).await
        }
    }
}

/// What it means for the flow that a silent question stays without an answer. A policy may let that pass, but nobody who was
/// barred while the question waited: the step is decided anew.
async fn silence(
    tx: &mut Tx<'_>,
    call: &Call,
    challenge: &Challenge,
    outcome: challenges::Outcome,
) -> Result<challenges::Outcome, StoreError> {
    use challenges::Outcome::{DeviceGone, Unanswered, Undeliverable};
    let is_silence = matches!(outcome, Unanswered | Undeliverable) && challenge.shown().is_none();
    if is_silence && !may_answer(tx, call, challenge).await? {
        return Ok(DeviceGone);
    }
    Ok(outcome)
}

/// Whether device and user are still what they were when the question was asked. What bars the device ends its questions;
/// this is for what bars the user, and for what has run in between.
pub(super) async fn may_answer(
    tx: &mut Tx<'_>,
    call: &Call,
    challenge: &Challenge,
) -> Result<bool, StoreError> {
    let device = device::load(tx, challenge.environment, challenge.device).await?;
    let user = user::load(tx, challenge.environment, challenge.user).await?;
    let policy = mfa_policy::load(tx, challenge.environment, challenge.policy).await?;
    let (Some(device), Some(user), Some(policy)) = (device, user, policy) else {
        return Ok(false);
    };
    let locked = mfa::is_locked_out(&policy, &user, call.now);
    let disabled = !user.may_sign_in() && {
        let flow = flows::load(tx, challenge.environment, challenge.flow, call.now).await?;
        let vouched = flow.is_some_and(|flow| flow.request.answer == Answer::Worker);
        mfa::is_disabled(&policy, &user, vouched)
    };
    Ok(device.is_usable(call.now) && !disabled && user.mfa_enabled && !locked)
}

/// The flow that waits goes on, if it still waits for this.
async fn tell_flow(
    tx: &mut Tx<'_>,
    call: &Call,
    challenge: &Challenge,
    outcome: challenges::Outcome,
) -> Result<(), Fault> {
    let event = flow::Event::Answered { challenge: challenge.id, outcome };
    // A flow that goes on may ask the next question, which may end another one: boxed, since it comes back to here.
    if Box::pin(tell(tx, call, challenge.flow, event)).await? {
        wakes::wake(tx, flow_topic(challenge.flow), call.now).await?;
    }
    Ok(())
}

/// The phone that shows the question shall show it no longer.
async fn tell_phone(tx: &mut Tx<'_>, call: &Call, challenge: &Challenge) -> Result<(), Fault> {
    match device::load(tx, challenge.environment, challenge.device).await? {
        Some(device) => {
            notify(tx, call, &device, Content::Cancellation { challenge: challenge.id }).await
        }
        None => Ok(()),
    }
}

const fn subject(challenge: &Challenge) -> push_limit::Subject {
    push_limit::Subject { user: challenge.user, application: challenge.application }
}

async fn count_push(tx: &mut Tx<'_>, call: &Call, challenge: &Challenge) -> Result<(), Fault> {
    let policy = mfa_policy::load(tx, challenge.environment, challenge.policy).await?;
    let rules = policy.as_ref().and_then(|policy| policy.application(challenge.application));
    let PushRules { limit: rules, .. } = rules.map(|rules| rules.push).unwrap_or_default();
    let old = push_limit::load(tx, subject(challenge)).await?;
    let before = old.as_deref().cloned().unwrap_or_default();
    let after: PushLimit = before.failed(&rules, call.now);
    push_limit::put(tx, subject(challenge), (old.as_ref(), &after), &rules, call.now).await?;
    if after.locked_until(call.now).is_some() && before.locked_until(call.now).is_none() {
        let event = audit::Event::succeeded(audit::Action::PushesStopped);
        let event = event.about(challenge.user).through(challenge.application);
        call.audit(tx, event.within(challenge.flow)).await?;
    }
    Ok(())
}

async fn count_user(
    tx: &mut Tx<'_>,
    call: &Call,
    challenge: &Challenge,
    failed: bool,
) -> Result<(), Fault> {
    let Some(user) = user::load(tx, challenge.environment, challenge.user).await? else {
        return Ok(());
    };
    let through = (challenge.application, challenge.flow);
    count_attempt(tx, call, &user, through, failed).await.map(drop)
}

/// Whoever reports fraud says no to all that is asked at the time.
async fn deny_others(tx: &mut Tx<'_>, call: &Call, reported: &Challenge) -> Result<(), EndError> {
    for other in challenge::list_of_user(tx, reported.user).await? {
        if other.id != reported.id && other.shown().is_some() && call.now < other.answer_until {
            Box::pin(end(tx, call, &other, &Event::Deny { why: Denial::ByUser })).await?;
        }
    }
    Ok(())
}
