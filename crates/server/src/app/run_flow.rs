//! Runs a flow inside a transaction: applies an event, commits its effects, and decides MFA steps on the way.

use countersign_domain::{
    application::Application,
    audit,
    authenticator::{AnyDevice, Authenticator},
    authorization::Answer,
    claims,
    device::Device,
    environment::Environment,
    flow::{self, Effect, Event, Failure, Flow, Identity, Known, Method, Notice, State, Step},
    grant::{self, Grant},
    id::Id,
    mfa::{self, Decision, Verification},
    mfa_policy::MfaPolicy,
    sign_on_policy::ActionKind,
    user::User,
};
use countersign_protocol::time::Timestamp;
use countersign_store::{
    Labels, StoreError, Tx, Versioned, application, device, flow as flows, grant as grants,
    password as passwords, user,
};

use super::{
    Call, Fault, FlowHolder, Realm,
    admit::admits,
    challenge::{Asked, ask, withdraw},
    fault::faults,
    phone_sign_on,
    scene::{Ground, Scene},
    send_passcode, session,
};
use crate::telemetry::MFA_DECISIONS;

/// Why a flow did not move.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error(transparent)]
    Refused(#[from] flow::Refusal),
    #[error(transparent)]
    Fault(Fault),
}

faults!(RunError);

/// Lets `?` turn a flow that did not move into the `NotNow` or the `Fault` of a use case's error.
macro_rules! run_errors {
    ($($error:ty),+) => {$(
        impl From<$crate::app::run_flow::RunError> for $error {
            fn from(error: $crate::app::run_flow::RunError) -> Self {
                use countersign_domain::flow::Refusal;
                match error {
                    $crate::app::run_flow::RunError::Refused(
                        Refusal::NotNow | Refusal::OtherUser,
                    ) => Self::NotNow,
                    $crate::app::run_flow::RunError::Fault(fault) => Self::Fault(fault),
                }
            }
        }
    )+};
}

pub(super) use run_errors;

/// What a transaction has read around a flow already, so that nothing is read twice.
#[derive(Default)]
pub(super) struct Seen {
    /// The application of the flow.
    pub application: Option<Application>,
    /// The user that the flow is about.
    pub user: Option<User>,
    /// The phones of the user.
    pub devices: Vec<Device>,
    /// What else the user can be asked for.
    pub authenticators: Vec<Authenticator>,
    /// The MFA policy of the step.
    pub policy: Option<MfaPolicy>,
    /// The flow has been completed in this transaction, so nobody can have redeemed its code.
    pub granted: bool,
}

impl Seen {
    /// The event with the names of those whom it is about, as far as they were read.
    fn name(&self, mut event: audit::Event) -> audit::Event {
        if let Some(application) = &self.application {
            event = event.through(application);
        }
        if let Some(user) = &self.user {
            event = event.about(user);
        }
        let named = event.device.as_ref().map(|mention| mention.id);
        let phone = self.devices.iter().find(|device| Some(device.id) == named);
        let other = || self.authenticators.iter().find(|known| Some(known.id) == named);
        match phone.map(AnyDevice::Phone).or_else(|| other().map(AnyDevice::Authenticator)) {
            Some(device) => event.on(device),
            None => event,
        }
    }

    /// The application of a flow, given away.
    pub async fn application(
        &mut self,
        tx: &mut Tx<'_>,
        flow: &Flow,
    ) -> Result<Option<Application>, StoreError> {
        let id = flow.request.application;
        if let Some(seen) = self.application.take_if(|seen| seen.id == id) {
            return Ok(Some(seen));
        }
        Ok(application::load(tx, flow.environment, id).await?.map(Versioned::into_value))
    }

    /// A user of the environment of a flow, given away.
    pub async fn user(
        &mut self,
        tx: &mut Tx<'_>,
        flow: &Flow,
        id: Id<User>,
    ) -> Result<Option<User>, StoreError> {
        if let Some(seen) = self.user.take_if(|seen| seen.id == id) {
            return Ok(Some(seen));
        }
        Ok(user::load(tx, flow.environment, id).await?.map(Versioned::into_value))
    }
}

/// Moves a flow by an event, and on until it waits for somebody or ends. The caller stores it.
///
/// A flow that rests on a password of before begins again instead of going on. This is asked at each proof, so that a second
/// factor cannot make up for the first.
pub(super) async fn run(
    tx: &mut Tx<'_>,
    call: &Call,
    flow: &mut Flow,
    event: Event,
    seen: &mut Seen,
) -> Result<(), RunError> {
    let notice = Notice::after(&event);
    let who = match &event {
        Event::PasswordAccepted { user, .. } => Some(*user),
        Event::CodeApproved { by, .. } => Some(by.user),
        _ => user_of(&flow.state),
    };
    let judged = judged(tx, flow, who, seen).await?;
    let plan = flow.plan(judged.as_deref(), call.now);
    let mut next = flow::apply(plan, &flow.state, event, call.now)?;
    let fails = matches!(next.state, State::Failed { .. });
    if let Some(identity) = waits_for_device(&flow.state).filter(|_| !fails)
        && is_outdated(tx, identity).await?
    {
        next = flow::apply(plan, &flow.state, Event::Reset, call.now)?;
    }
    flow.notice = notice;
    commit(tx, call, flow, next, seen).await?;
    settle(tx, call, flow, seen).await
}

/// Who a flow is about that waits for a device.
const fn waits_for_device(state: &State) -> Option<&Identity> {
    match state {
        State::DeviceSelection { identity, .. }
        | State::Passcode { identity, .. }
        | State::Verification { identity, .. }
        | State::Push { identity, .. }
        | State::PushTimedOut { identity, .. } => Some(identity),
        State::Identifier { .. }
        | State::Login { .. }
        | State::Password { .. }
        | State::AuthenticationCode { .. }
        | State::PasswordChange { .. }
        | State::Deciding { .. }
        | State::Completed { .. }
        | State::Failed { .. } => None,
    }
}

/// Whether a person has proved to be somebody by a password that is no longer the one.
pub(super) async fn is_outdated(tx: &mut Tx<'_>, identity: &Identity) -> Result<bool, StoreError> {
    if !identity.methods.contains(&Method::Pwd) {
        return Ok(false);
    }
    let password = passwords::load(tx, identity.user).await?;
    Ok(password.is_some_and(|password| identity.is_outdated_by(&password)))
}

/// Begins a flow with what is known of the person, and runs it until it waits for somebody or ends. The caller stores it.
pub(super) async fn begin(
    tx: &mut Tx<'_>,
    call: &Call,
    flow: &mut Flow,
    known: Known,
    seen: &mut Seen,
) -> Result<(), RunError> {
    let who = match &known {
        Known::Nobody => None,
        Known::Named { user, .. } => Some(*user),
        Known::Proved(identity) => Some(identity.user),
    };
    let judged = judged(tx, flow, who, seen).await?;
    let first = flow::begin(flow.plan(judged.as_deref(), call.now), known);
    commit(tx, call, flow, first, seen).await?;
    settle(tx, call, flow, seen).await
}

/// Moves a stored flow by an event that comes from elsewhere, if it still waits for that. Says whether it did.
pub(super) async fn tell(
    tx: &mut Tx<'_>,
    call: &Call,
    id: Id<Flow>,
    event: Event,
) -> Result<bool, Fault> {
    let Some(old) = flows::load(tx, call.environment, id, call.now).await? else {
        return Ok(false);
    };
    let mut flow = (*old).clone();
    match run(tx, call, &mut flow, event, &mut Seen::default()).await {
        Ok(()) => {
            flows::swap(tx, &old, &flow).await?;
            Ok(true)
        }
        Err(RunError::Refused(_)) => Ok(false),
        Err(RunError::Fault(fault)) => Err(fault),
    }
}

/// Decides the MFA steps that are next.
async fn settle(
    tx: &mut Tx<'_>,
    call: &Call,
    flow: &mut Flow,
    seen: &mut Seen,
) -> Result<(), RunError> {
    // Each decision passes, skips or ends a step, so there are at most as many as steps.
    for _ in 0..=flow.actions.len() {
        let State::Deciding { step: place, identity } = &flow.state else { return Ok(()) };
        let Some(ActionKind::MultiFactorAuthentication { mfa_policy, no_devices_mode }) =
            flow.actions.get(*place).copied()
        else {
            return Err(Fault::broken("a flow decides a step that is not MFA").into());
        };
        let mut scene = Scene::load(tx, flow, identity.user, (mfa_policy, call.now), seen).await?;
        if has_news(flow, &scene, call.now) {
            // Boxed, since most sign-ons tell nothing new and would carry its room about.
            Box::pin(refresh_contact(tx, call, flow, &mut scene)).await?;
        }
        let ground = Ground { flow, identity, place: *place, no_devices_mode };
        let at_once = mfa::decide_at_once(ground.facts(&scene, call.now), call.now);
        let decision = if let Some(decision) = at_once {
            decision
        } else {
            // What is there beside phones is read only where it matters: sign-ons from paired phones end before.
            Box::pin(scene.read_authenticators(tx)).await?;
            mfa::decide(ground.facts(&scene, call.now), call.now)
        };
        tx.tally(MFA_DECISIONS, words(&decision));
        let (policy, challenge) = (scene.policy.id, call.new_id());
        let event = Event::Decided { policy, decision, challenge };
        scene.remember(seen);
        step(tx, call, flow, event, seen).await?;
    }
    Err(Fault::broken("a flow does not come to rest").into())
}

/// The user whom conditions of a flow are about. Costs nothing where none is about a user.
async fn judged(
    tx: &mut Tx<'_>,
    flow: &Flow,
    who: Option<Id<User>>,
    seen: &mut Seen,
) -> Result<Option<Box<User>>, StoreError> {
    let mention_user = flow.conditions.as_ref().is_some_and(|all| all.mention_user());
    let Some(who) = who.filter(|_| mention_user) else { return Ok(None) };
    let user = Box::pin(seen.user(tx, flow, who)).await?;
    seen.user.clone_from(&user);
    Ok(user.map(Box::new))
}

/// A decision in words that are counted.
const fn words(decision: &Decision) -> Labels<'static> {
    match decision {
        Decision::Authorize { verification: Verification::NotAsked, .. } => ["authorize", "", ""],
        Decision::Authorize { verification: Verification::Impossible, .. } => {
            ["authorize", "push_impossible", ""]
        }
        // A decision is made before there is an answer.
        Decision::Authorize { verification: Verification::Acknowledged, .. } => {
            ["authorize", "acknowledged", ""]
        }
        Decision::Authorize { verification: Verification::Unanswered, .. } => {
            ["authorize", "unanswered", ""]
        }
        Decision::Verify { .. } => ["verify", "", ""],
        Decision::Push { .. } => ["push", "", ""],
        Decision::Continue => ["continue", "", ""],
        Decision::Bypass => ["bypass", "", ""],
        Decision::Passcode { .. } => ["passcode", "", ""],
        Decision::Message { .. } => ["message", "", ""],
        Decision::Select { .. } => ["select", "", ""],
        Decision::Block(reason) => ["block", Failure::Mfa(*reason).name(), ""],
    }
}

async fn step(
    tx: &mut Tx<'_>,
    call: &Call,
    flow: &mut Flow,
    event: Event,
    seen: &mut Seen,
) -> Result<(), RunError> {
    let judged = judged(tx, flow, user_of(&flow.state), seen).await?;
    let next = flow::apply(flow.plan(judged.as_deref(), call.now), &flow.state, event, call.now)?;
    commit(tx, call, flow, next, seen).await
}

async fn commit(
    tx: &mut Tx<'_>,
    call: &Call,
    flow: &mut Flow,
    next: Step,
    seen: &mut Seen,
) -> Result<(), RunError> {
    let next = hold_to_access(tx, flow, next).await?;
    let next = hold_to_claims(tx, flow, next, seen).await?;
    flow.state = next.state;
    flow.updated_at = call.now;
    flow.expires_at = Flow::expiry(flow.created_at, call.now);
    for effect in next.effects {
        match effect {
            Effect::Audit { action, reason, device } => {
                let device = match action {
                    audit::Action::AccessAllowed => vouching_device(flow),
                    _ => device,
                };
                let event = audit::Event::of(action, reason)
                    .through(flow.request.application)
                    .about(user_of(&flow.state))
                    .on(device)
                    .within(flow.id);
                call.audit(tx, seen.name(event)).await?;
            }
            Effect::IssueGrant => {
                issue_grant(tx, call, flow).await?;
                seen.granted = true;
            }
            Effect::Ask { challenge, device, visible, until } => {
                let asked = Asked { challenge, device, visible, until };
                // Boxed, since most flows never come here and would carry its room about.
                Box::pin(ask(tx, call, flow, seen, asked)).await?;
            }
            Effect::Send { device } => {
                Box::pin(send_passcode::send(tx, call, flow, device)).await?;
            }
            Effect::Withdraw { challenge } => {
                Box::pin(withdraw(tx, call, flow, challenge)).await?;
            }
            Effect::WithdrawCode { code } => {
                Box::pin(phone_sign_on::withdraw(tx, call, flow, code)).await?;
            }
        }
    }
    Ok(())
}

/// The device that has vouched in a flow that is completed, and not in the session before it.
fn vouching_device(flow: &Flow) -> Option<Id<Device>> {
    let State::Completed { identity } = &flow.state else { return None };
    let possession = identity.possession.filter(|possession| possession.at >= flow.created_at);
    let scanned = identity.scanned.filter(|_| flow.resumed.is_none());
    possession.map(|possession| possession.device).or(scanned)
}

/// A flow does not complete for a user whom its application does not take.
async fn hold_to_access(tx: &mut Tx<'_>, flow: &Flow, next: Step) -> Result<Step, RunError> {
    let State::Completed { identity } = &next.state else { return Ok(next) };
    let id = identity.user;
    if admits(tx, flow.access_control.as_ref(), id).await? {
        return Ok(next);
    }
    Ok(next.failed_instead(id, Failure::NotAdmitted))
}

/// A flow does not complete for a user who has no value for a claim that the application requires. Costs nothing where it
/// requires none.
async fn hold_to_claims(
    tx: &mut Tx<'_>,
    flow: &Flow,
    next: Step,
    seen: &mut Seen,
) -> Result<Step, RunError> {
    let State::Completed { identity } = &next.state else { return Ok(next) };
    if flow.required_claims.is_empty() {
        return Ok(next);
    }
    let id = identity.user;
    let user = seen.user(tx, flow, id).await?;
    let user = user.ok_or_else(|| Fault::broken("a flow refers to something that is gone"))?;
    let missing = claims::first_missing(&flow.required_claims, &user);
    seen.user = Some(user);
    Ok(match missing {
        Some(place) => next.failed_instead(id, Failure::MissingClaim { place }),
        None => next,
    })
}

async fn issue_grant(tx: &mut Tx<'_>, call: &Call, flow: &mut Flow) -> Result<(), RunError> {
    let State::Completed { identity } = &flow.state else {
        return Err(Fault::broken("only a completed flow gives a grant").into());
    };
    if flow.request.answer == Answer::Worker {
        return Ok(());
    }
    flow.session = session::join(tx, call, flow, identity).await?;
    let request = &flow.request;
    // A device gets its grant when it asks for it, after the person has allowed it; our own pages need none.
    if !request.answer.is_awaited() {
        return Ok(());
    }
    let grant = Grant {
        id: flow.id.cast(),
        environment: flow.environment,
        application: request.application,
        identity: identity.clone(),
        scopes: request.scopes.clone(),
        access: request.access.clone(),
        acr: flow.acr.clone(),
        nonce: request.nonce.clone(),
        redirect_uri: request.answer.redirect_uri().map(str::to_owned),
        code_challenge: request.code_challenge.clone(),
        installation: flow.installation.clone(),
        session: flow.session,
        confirmation: request.dpop_jkt,
        issued_at: call.now,
        state: grant::State::Issued,
    };
    Ok(grants::insert(tx, &grant).await?)
}

/// The user that a flow is about, as far as it knows.
pub(super) fn user_of(state: &State) -> Option<Id<User>> {
    match state {
        State::Identifier { .. } | State::Login { .. } | State::AuthenticationCode { .. } => None,
        State::Password { user, .. } | State::Failed { user, .. } => *user,
        State::PasswordChange { identity, .. }
        | State::Deciding { identity, .. }
        | State::DeviceSelection { identity, .. }
        | State::Passcode { identity, .. }
        | State::Verification { identity, .. }
        | State::Push { identity, .. }
        | State::PushTimedOut { identity, .. }
        | State::Completed { identity } => Some(identity.user),
    }
}

/// Whether the phone on which the person signs on says something new of its push address.
fn has_news(flow: &Flow, scene: &Scene, now: Timestamp) -> bool {
    let Some(installation) = flow.fresh_installation(now) else { return false };
    let own = |device: &&Device| device.installation.thumbprint == installation.thumbprint;
    scene.devices.iter().find(own).is_some_and(|known| known.seen(installation, now).is_some())
}

/// What the phone on which the person signs on says of its push address, which its signature vouches for.
async fn refresh_contact(
    tx: &mut Tx<'_>,
    call: &Call,
    flow: &Flow,
    scene: &mut Scene,
) -> Result<(), Fault> {
    let Some(installation) = flow.fresh_installation(call.now) else { return Ok(()) };
    let own = |device: &&mut Device| device.installation.thumbprint == installation.thumbprint;
    let Some(known) = scene.devices.iter_mut().find(own) else { return Ok(()) };
    let Some(seen) = known.seen(installation, call.now) else { return Ok(()) };
    let old = device::find_of_user(tx, known.user, installation.thumbprint).await?;
    let Some(old) = old.filter(|old| old.id == known.id) else { return Ok(()) };
    if seen.installation.push == known.installation.push {
        tx.needs_no_audit("a contact changes nothing that anybody has decided");
    } else {
        let event = audit::Event::of(audit::Action::DeviceUpdated, Some("push_address_changed"));
        let event = event.through(flow.request.application).about(known.user).on(&*known);
        call.audit(tx, event.within(flow.id)).await?;
    }
    device::swap(tx, &old, &seen).await?;
    *known = seen;
    Ok(())
}

/// What a flow is told when somebody gives a user name: whose it is, if that user may sign in.
pub(super) async fn identify(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    username: String,
    seen: &mut Seen,
) -> Result<Event, StoreError> {
    let found = user::find_by_username(tx, environment, &username).await?;
    seen.user = found.filter(|user| user.may_sign_in()).map(Versioned::into_value);
    Ok(Event::Identified { username, user: seen.user.as_ref().map(|user| user.id) })
}

/// The flow of this id, if it is this holder's and has not run out.
pub(super) async fn load_own(
    tx: &mut Tx<'_>,
    realm: &Realm,
    handle: &super::FlowHandle,
    now: Timestamp,
) -> Result<Option<Versioned<Flow>>, StoreError> {
    if let FlowHolder::Browser { cookie: None } = handle.holder {
        return Ok(None);
    }
    let flow = flows::load(tx, realm.environment, handle.flow, now).await?;
    Ok(flow.filter(|flow| match (&handle.holder, &flow.request.answer) {
        (FlowHolder::Worker, answer) => *answer == Answer::Worker,
        (FlowHolder::Browser { .. }, Answer::Worker) => false,
        (FlowHolder::Browser { cookie }, _) => {
            cookie.as_ref().is_some_and(|cookie| realm.owns_browser(cookie.expose(), &flow.browser))
        }
    }))
}
