//! Reads a flow, for those who show it.

use std::sync::Arc;

use countersign_domain::{
    authorization::Answer,
    device::Device,
    flow::{Flow, State},
    grant::{Grant, State as GrantState},
    id::Id,
    mfa,
    sign_on_policy::ActionKind,
    user::Name,
    user::User,
};
use countersign_protocol::{secret::Secret, time::Timestamp};
use countersign_store::{Tx, Work, grant as grants};

use super::{
    App, Fault, Realm,
    fault::faults,
    run_flow::{Scene, Seen, load_own, user_of},
};

/// Names a flow, with what shows that the caller is the browser or app that began it.
#[derive(Clone, Debug)]
pub struct FlowHandle {
    /// Which flow.
    pub flow: Id<Flow>,
    /// The cookie.
    pub cookie: Option<Secret<String>>,
}

/// A flow with what people see of it.
#[derive(Clone, Debug)]
pub struct FlowView {
    /// The flow.
    pub flow: Flow,
    /// Name of the application.
    pub application: String,
    /// Who signs in. Nobody, as long as nothing is proved: a user name alone gives nothing away.
    pub user: Option<Person>,
    /// Whether the code of the flow was redeemed: the flow has given its answer.
    pub answered: bool,
    /// The devices that can be chosen now.
    pub devices: Vec<Device>,
}

/// What is shown of a user.
#[derive(Clone, Debug)]
pub struct Person {
    /// The id.
    pub id: Id<User>,
    /// The user name.
    pub username: String,
    /// The name.
    pub name: Name,
}

/// Why a flow is not shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadFlowError {
    /// There is none of this id, it has run out, or it is another browser's.
    #[error("no such flow")]
    NotFound,
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(ReadFlowError);

impl App {
    /// Reads a flow of this browser or app.
    pub async fn read_flow(
        &self,
        realm: &Arc<Realm>,
        handle: FlowHandle,
    ) -> Result<FlowView, ReadFlowError> {
        let (realm, now) = (Arc::clone(realm), self.now());
        self.store.read(Read { realm, handle, now }).await
    }
}

struct Read {
    realm: Arc<Realm>,
    handle: FlowHandle,
    now: Timestamp,
}

impl Work for Read {
    type Output = FlowView;
    type Error = ReadFlowError;
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<FlowView, ReadFlowError> {
        let flow = load_own(tx, &self.realm, &self.handle, self.now).await?;
        let flow = flow.ok_or(ReadFlowError::NotFound)?;
        Ok(view(tx, flow.into_value(), self.now, Seen::default()).await?)
    }
}

/// A flow with what people see of it.
pub(super) async fn view(
    tx: &mut Tx<'_>,
    flow: Flow,
    now: Timestamp,
    mut seen: Seen,
) -> Result<FlowView, Fault> {
    let mut devices = choices(tx, &flow, now, &mut seen).await?;
    let application = seen.application(tx, &flow).await?;
    let application = application.map(|application| application.name).unwrap_or_default();
    let user = match user_of(&flow.state).filter(|_| is_proved(&flow.state)) {
        Some(id) => seen.user(tx, &flow, id).await?,
        None => None,
    };
    let user = user.map(|User { id, username, name, .. }| Person { id, username, name });
    let answered = match flow.state {
        // Its answer is not a code that could be taken twice.
        State::Completed { .. } if matches!(flow.request.answer, Answer::Device { .. }) => false,
        State::Completed { .. } if seen.granted => false,
        State::Completed { .. } => {
            let id: Id<Grant> = flow.id.cast();
            let grant = grants::load(tx, flow.environment, id, now).await?;
            grant.is_none_or(|grant| grant.state != GrantState::Issued)
        }
        _ => false,
    };
    if !is_proved(&flow.state) {
        devices.iter_mut().for_each(conceal);
    }
    Ok(FlowView { flow, application, user, answered, devices })
}

fn is_proved(state: &State) -> bool {
    match state {
        State::Identifier { .. } | State::Login { .. } | State::Failed { .. } => false,
        State::Password { proved, .. } => proved.is_some(),
        State::PasswordChange { identity, .. }
        | State::Deciding { identity, .. }
        | State::DeviceSelection { identity, .. }
        | State::Passcode { identity, .. }
        | State::Completed { identity } => identity.authenticated_at.is_some(),
    }
}

/// Whoever has only named a user can choose among that user's devices, and learns nothing about them.
fn conceal(device: &mut Device) {
    device.nickname = None;
    device.installation.device.model = None;
}

/// The devices that can be chosen now.
pub(super) async fn choices(
    tx: &mut Tx<'_>,
    flow: &Flow,
    now: Timestamp,
    seen: &mut Seen,
) -> Result<Vec<Device>, Fault> {
    let (State::DeviceSelection { step, identity } | State::Passcode { step, identity, .. }) =
        &flow.state
    else {
        return Ok(Vec::new());
    };
    let Some(ActionKind::MultiFactorAuthentication { mfa_policy, .. }) = flow.actions.get(*step)
    else {
        return Ok(Vec::new());
    };
    let scene = Scene::load(tx, flow, identity.user, *mfa_policy, seen).await?;
    let usable = mfa::usable(&scene.policy, &scene.devices, now).into_iter().cloned().collect();
    (seen.application, seen.user) = (Some(scene.application), Some(scene.user));
    Ok(usable)
}
