//! Runs a flow inside a transaction: applies an event, commits its effects, and decides MFA steps on the way.

use countersign_domain::{
    application::Application,
    audit,
    authorization::Answer,
    device::Device,
    environment::Environment,
    flow::{self, Effect, Event, Flow, Known, State, Step},
    grant::{self, Grant},
    id::Id,
    mfa,
    mfa_policy::MfaPolicy,
    sign_on_policy::ActionKind,
    user::User,
};
use countersign_protocol::time::Timestamp;
use countersign_store::{
    StoreError, Tx, Versioned, application, device, flow as flows, grant as grants, mfa_policy,
    user,
};

use super::{Call, Fault, Realm, fault::faults, session};

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

/// Moves a flow by an event, and on until it waits for somebody or ends. The caller stores it.
pub(super) async fn run(
    tx: &mut Tx<'_>,
    call: &Call,
    flow: &mut Flow,
    event: Event,
) -> Result<(), RunError> {
    step(tx, call, flow, event, None).await?;
    settle(tx, call, flow).await
}

/// Begins a flow with what is known of the person, and runs it until it waits for somebody or ends. The caller stores it.
pub(super) async fn begin(
    tx: &mut Tx<'_>,
    call: &Call,
    flow: &mut Flow,
    known: Known,
) -> Result<(), RunError> {
    let first = flow::begin(flow.plan(), known);
    commit(tx, call, flow, first, None).await?;
    settle(tx, call, flow).await
}

/// Decides the MFA steps that are next.
async fn settle(tx: &mut Tx<'_>, call: &Call, flow: &mut Flow) -> Result<(), RunError> {
    // Each decision passes, skips or ends a step, so there are at most as many as steps.
    for _ in 0..=flow.actions.len() {
        let State::Deciding { step: place, identity } = &flow.state else { return Ok(()) };
        let Some(ActionKind::MultiFactorAuthentication { mfa_policy, no_devices_mode }) =
            flow.actions.get(*place).copied()
        else {
            return Err(Fault::broken("a flow decides a step that is not MFA").into());
        };
        let scene = Scene::load(tx, flow, identity.user, mfa_policy).await?;
        let facts = mfa::Facts {
            policy: &scene.policy,
            no_devices_mode,
            authenticated: identity.authenticated_at.is_some(),
            resumed: flow.resumed.as_ref().filter(|resumed| resumed.user == identity.user),
            application: &scene.application,
            installation: flow.fresh_installation(call.now),
            user: &scene.user,
            devices: &scene.devices,
        };
        let decision = mfa::decide(facts, call.now);
        let decided = Event::Decided { policy: scene.policy.id, decision };
        step(tx, call, flow, decided, Some(&scene)).await?;
    }
    Err(Fault::broken("a flow does not come to rest").into())
}

/// One step. The scene, if it was read, has the names for the audit log.
async fn step(
    tx: &mut Tx<'_>,
    call: &Call,
    flow: &mut Flow,
    event: Event,
    scene: Option<&Scene>,
) -> Result<(), RunError> {
    let next = flow::apply(flow.plan(), &flow.state, event, call.now)?;
    commit(tx, call, flow, next, scene).await
}

async fn commit(
    tx: &mut Tx<'_>,
    call: &Call,
    flow: &mut Flow,
    next: Step,
    scene: Option<&Scene>,
) -> Result<(), RunError> {
    flow.state = next.state;
    flow.expires_at = Flow::expiry(flow.created_at, call.now);
    for effect in next.effects {
        match effect {
            Effect::Audit { action, reason, device } => {
                let event = audit::Event::of(action, reason)
                    .through(flow.request.application)
                    .about(user_of(&flow.state))
                    .on(device)
                    .within(flow.id);
                call.audit(tx, scene.map_or(event.clone(), |scene| scene.name(event))).await?;
            }
            Effect::IssueGrant => issue_grant(tx, call, flow).await?,
        }
    }
    Ok(())
}

async fn issue_grant(tx: &mut Tx<'_>, call: &Call, flow: &mut Flow) -> Result<(), RunError> {
    let State::Completed { identity } = &flow.state else {
        return Err(Fault::broken("only a completed flow gives a grant").into());
    };
    flow.session = session::join(tx, call, flow, identity).await?;
    let request = &flow.request;
    // A device gets its grant when it asks for it, after the person has allowed it.
    if let Answer::Device { .. } = request.answer {
        return Ok(());
    }
    let grant = Grant {
        id: flow.id.cast(),
        environment: flow.environment,
        application: request.application,
        identity: identity.clone(),
        scopes: request.scopes.clone(),
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
        State::Identifier { .. } | State::Login { .. } => None,
        State::Password { user, .. } | State::Failed { user, .. } => *user,
        State::Deciding { identity, .. }
        | State::DeviceSelection { identity, .. }
        | State::Passcode { identity, .. }
        | State::Completed { identity } => Some(identity.user),
    }
}

/// What an MFA step looks at.
pub(super) struct Scene {
    pub policy: MfaPolicy,
    pub application: Application,
    pub user: User,
    pub devices: Vec<Device>,
}

impl Scene {
    /// The event with the names of those whom it is about.
    fn name(&self, event: audit::Event) -> audit::Event {
        let device = event
            .device
            .as_ref()
            .and_then(|mention| self.devices.iter().find(|device| device.id == mention.id));
        let event = event.through(&self.application).about(&self.user);
        match device {
            Some(device) => event.on(device),
            None => event,
        }
    }

    /// Reads it; no policy named means the default of the environment.
    pub async fn load(
        tx: &mut Tx<'_>,
        flow: &Flow,
        user: Id<User>,
        policy: Option<Id<MfaPolicy>>,
    ) -> Result<Self, Fault> {
        let environment = flow.environment;
        let policy = match policy {
            Some(id) => mfa_policy::load(tx, environment, id).await?,
            None => mfa_policy::load_default(tx, environment).await?,
        };
        let application = application::load(tx, environment, flow.request.application).await?;
        let user = user::load(tx, environment, user).await?;
        let gone = || Fault::broken("a flow refers to something that is gone");
        let user = user.ok_or_else(gone)?.into_value();
        let devices = device::list_of_user(tx, user.id).await?;
        Ok(Self {
            policy: policy.ok_or_else(gone)?.into_value(),
            application: application.ok_or_else(gone)?.into_value(),
            user,
            devices,
        })
    }
}

/// What a flow is told when somebody gives a user name: whose it is, if that user may sign in.
pub(super) async fn identify(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    username: String,
) -> Result<Event, StoreError> {
    let found = user::find_by_username(tx, environment, &username).await?;
    let user = found.filter(|user| user.enabled).map(|user| user.id);
    Ok(Event::Identified { username, user })
}

/// The flow of this id, if it is this browser's and has not run out.
pub(super) async fn load_own(
    tx: &mut Tx<'_>,
    realm: &Realm,
    handle: &super::FlowHandle,
    now: Timestamp,
) -> Result<Option<Versioned<Flow>>, StoreError> {
    let Some(cookie) = &handle.cookie else { return Ok(None) };
    let Some(flow) = flows::load(tx, realm.environment, handle.flow, now).await? else {
        return Ok(None);
    };
    let own = realm.owns_browser(cookie.expose(), &flow.browser);
    Ok(own.then_some(flow))
}
