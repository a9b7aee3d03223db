//! Reads a flow, for those who show it.

use std::sync::Arc;

use countersign_domain::{
    authentication_code::AuthenticationCode,
    authenticator::{AnyDevice, Authenticator},
    authorization::Answer,
    challenge::{Challenge, Number},
    flow::{Flow, State},
    grant::{Grant, State as GrantState},
    id::Id,
    mfa::{self, Reason},
    sign_on_policy::ActionKind,
    user::Name,
    user::User,
};
use countersign_protocol::{secret::Secret, time::Timestamp};
use countersign_store::{StoreError, Tx, Work, challenge, grant as grants};
use tokio::time::Duration;

use super::{
    App, Fault, Realm,
    challenge::flow_topic,
    fault::faults,
    phone_sign_on::{self, ShownCode},
    run_flow::{Seen, load_own, user_of},
    scene::Scene,
    seen_device::SeenDevice,
};

/// Names a flow, with what shows that it is the caller's.
#[derive(Clone, Debug)]
pub struct FlowHandle {
    /// Which flow.
    pub flow: Id<Flow>,
    /// Who calls.
    pub holder: FlowHolder,
}

/// Whose a flow can be.
#[derive(Clone, Debug)]
pub enum FlowHolder {
    /// The browser's that began it, or the app's in its place, which shows its cookie.
    Browser {
        /// The cookie.
        cookie: Option<Secret<String>>,
    },
    /// The worker applications' of its environment, one of which has shown who it is.
    Worker,
}

impl FlowHandle {
    /// A flow of a browser.
    #[must_use]
    pub const fn of_browser(flow: Id<Flow>, cookie: Option<Secret<String>>) -> Self {
        Self { flow, holder: FlowHolder::Browser { cookie } }
    }

    /// A device authentication.
    #[must_use]
    pub const fn of_worker(flow: Id<Flow>) -> Self {
        Self { flow, holder: FlowHolder::Worker }
    }
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
    pub devices: Vec<Choosable>,
    /// The other devices, in the flow of a worker application. Nobody else is told of them.
    pub barred: Vec<Barred>,
    /// Whether the passcode that it waits for was not sent, since too many were lately.
    pub unsent: bool,
    /// The number that the person must find or type on the phone.
    pub number: Option<Number>,
    /// Whether the person can sign on with a phone instead, by an authentication code.
    pub phone_sign_on: bool,
    /// The authentication code that is shown.
    pub code: Option<ShownCode>,
}

/// Which code a flow shows, if any, and whether a phone has claimed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeStage(Option<(Id<AuthenticationCode>, bool)>);

/// A device that can be chosen.
#[derive(Clone, Debug)]
pub struct Choosable {
    /// The device.
    pub device: SeenDevice,
    /// For how many seconds it is asked by push, if it is.
    pub push_seconds: Option<u16>,
    /// Whether its passcodes count.
    pub passcode: bool,
    /// Whether they are sent.
    pub message: bool,
}

/// A device that cannot be used now.
#[derive(Clone, Debug)]
pub struct Barred {
    /// The device.
    pub device: SeenDevice,
    /// What keeps it from being used; none: the policy has no method for it.
    pub why: Option<Reason>,
}

impl FlowView {
    /// How far the code is that it shows.
    #[must_use]
    pub fn code_stage(&self) -> CodeStage {
        CodeStage(self.code.as_ref().map(|shown| (shown.code.id, shown.is_claimed())))
    }

    /// Whether it waits for a phone.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.waits_until().is_some()
    }

    /// Until when it waits for a phone, if it does.
    fn waits_until(&self) -> Option<Timestamp> {
        let code = self.code.as_ref().filter(|shown| shown.code.is_open());
        match waits_until(&self.flow.state) {
            Some((_, until)) => Some(until),
            None => code.map(|shown| shown.code.expires_at()),
        }
    }

    /// Whether a passcode of the chosen device counts now.
    #[must_use]
    pub fn takes_passcode(&self) -> bool {
        let chosen = match &self.flow.state {
            State::Passcode { .. } => return true,
            State::Push { device, .. } | State::PushTimedOut { device, .. } => device,
            _ => return false,
        };
        self.devices.iter().any(|choice| choice.device.id == *chosen && choice.passcode)
    }
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
        let now = self.now();
        let read = Read { realm: Arc::clone(realm), handle, now };
        let view = self.store.read(read.clone()).await?;
        match waits_until(&view.flow.state) {
            Some((challenge, until)) if until <= now => {
                self.end_overdue(view.flow.environment, challenge).await?;
                self.store.read(read).await
            }
            Some(_) | None => Ok(view),
        }
    }

    /// Reads a flow of this browser or app once it waits for no phone, or a phone has taken the first of two steps, though at the
    /// latest after this long. What other nodes change wakes it too.
    pub async fn await_flow(
        &self,
        realm: &Arc<Realm>,
        handle: FlowHandle,
        most: Duration,
    ) -> Result<FlowView, ReadFlowError> {
        self.await_flow_beyond(realm, handle, None, most).await
    }

    /// The same, for who has seen a code of the flow at this stage already.
    pub async fn await_flow_beyond(
        &self,
        realm: &Arc<Realm>,
        handle: FlowHandle,
        seen: Option<CodeStage>,
        most: Duration,
    ) -> Result<FlowView, ReadFlowError> {
        let topic = flow_topic(handle.flow);
        let look = || self.read_flow(realm, handle.clone());
        let mut first = seen;
        self.await_change((topic, most), look, |view| {
            let until = view.waits_until()?;
            // A code is claimed before it is approved, and may be shown anew: who waits is told of that too.
            let stage = view.code_stage();
            let is_news = *first.get_or_insert(stage) != stage;
            (!is_news).then_some(until)
        })
        .await
    }
}

/// The question that a flow waits for, and until when.
fn waits_until(state: &State) -> Option<(Id<Challenge>, Timestamp)> {
    match state {
        State::Verification { challenge, until, .. } | State::Push { challenge, until, .. } => {
            Some((*challenge, *until))
        }
        _ => None,
    }
}

#[derive(Clone)]
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
    let is_worker = flow.request.answer == Answer::Worker;
    let (mut devices, mut barred, mut unsent) = (Vec::new(), Vec::new(), false);
    if let Some(scene) = scene_of_choice(tx, &flow, now, &mut seen).await? {
        devices = choosable(&scene, now);
        if is_worker {
            barred = not_choosable(&scene, now);
        }
        unsent = is_unsent(&flow, &scene.authenticators);
        scene.remember(&mut seen);
    }
    let application = seen.application(tx, &flow).await?;
    let (phone_sign_on, code) = match &flow.state {
        State::AuthenticationCode { code, .. } => {
            (true, phone_sign_on::shown(tx, &flow, *code, now).await?)
        }
        state => {
            let native =
                application.as_ref().and_then(|application| application.oidc.phone_sign_on);
            let offers = phone_sign_on::is_possible(state) && native.is_some();
            (offers && phone_sign_on::reader(tx, &flow, native).await?.is_some(), None)
        }
    };
    let application = application.map(|application| application.name).unwrap_or_default();
    let user = match user_of(&flow.state).filter(|_| is_proved(&flow.state)) {
        Some(id) => seen.user(tx, &flow, id).await?,
        None => None,
    };
    let user = user.map(|User { id, username, name, .. }| Person { id, username, name });
    let answered = match flow.state {
        // Its answer is not a code that could be taken twice.
        State::Completed { .. } if seen.granted || !flow.request.answer.is_awaited() => false,
        State::Completed { .. } => {
            let id: Id<Grant> = flow.id.cast();
            let grant = grants::load(tx, flow.environment, id, now).await?;
            grant.is_none_or(|grant| grant.state != GrantState::Issued)
        }
        _ => false,
    };
    if !is_worker && !is_proved(&flow.state) {
        for choice in &mut devices {
            choice.device.conceal();
        }
    }
    let claimed = code.as_ref().filter(|shown| shown.is_claimed());
    let number = match &flow.state {
        State::AuthenticationCode { .. } => claimed.and_then(|shown| shown.code.number.clone()),
        State::Push { challenge, .. } => number(tx, &flow, *challenge).await?,
        _ => None,
    };
    Ok(FlowView {
        flow,
        application,
        user,
        answered,
        devices,
        barred,
        unsent,
        number,
        phone_sign_on,
        code,
    })
}

/// Whether a flow waits for a passcode that was to be sent, and was not.
fn is_unsent(flow: &Flow, authenticators: &[Authenticator]) -> bool {
    let State::Passcode { device, .. } = &flow.state else { return false };
    let asked = authenticators.iter().find(|known| known.id == *device);
    let target = asked.and_then(|asked| asked.kind.target());
    target.is_some_and(|target| target.sendings.iter().all(|sending| sending.flow != flow.id))
}

/// The number of the question that a flow waits for.
async fn number(
    tx: &mut Tx<'_>,
    flow: &Flow,
    id: Id<Challenge>,
) -> Result<Option<Number>, StoreError> {
    let challenge = challenge::load(tx, flow.environment, id).await?;
    let shown = challenge.as_ref().and_then(|challenge| challenge.shown());
    Ok(shown.and_then(|shown| shown.number.clone()))
}

fn is_proved(state: &State) -> bool {
    match state {
        State::Identifier { .. }
        | State::Login { .. }
        | State::AuthenticationCode { .. }
        | State::Failed { .. } => false,
        State::Password { proved, .. } => proved.is_some(),
        State::PasswordChange { identity, .. }
        | State::Deciding { identity, .. }
        | State::DeviceSelection { identity, .. }
        | State::Passcode { identity, .. }
        | State::Verification { identity, .. }
        | State::Push { identity, .. }
        | State::PushTimedOut { identity, .. }
        | State::Completed { identity } => identity.authenticated_at.is_some(),
    }
}

/// The devices that can be chosen now.
pub(super) async fn choices(
    tx: &mut Tx<'_>,
    flow: &Flow,
    now: Timestamp,
    seen: &mut Seen,
) -> Result<Vec<Choosable>, Fault> {
    let Some(scene) = scene_of_choice(tx, flow, now, seen).await? else { return Ok(Vec::new()) };
    let choices = choosable(&scene, now);
    scene.remember(seen);
    Ok(choices)
}

/// What there is to choose from, where something can be chosen. A worker application sees it as long as the flow has not
/// completed.
async fn scene_of_choice(
    tx: &mut Tx<'_>,
    flow: &Flow,
    now: Timestamp,
    seen: &mut Seen,
) -> Result<Option<Scene>, Fault> {
    let is_worker = flow.request.answer == Answer::Worker;
    let (step, user) = match &flow.state {
        State::DeviceSelection { step, identity }
        | State::Passcode { step, identity, .. }
        | State::Push { step, identity, .. }
        | State::PushTimedOut { step, identity, .. } => (*step, identity.user),
        State::Verification { step, identity, .. } if is_worker => (*step, identity.user),
        State::Failed { user: Some(id), .. } if is_worker => {
            // The user may be gone since.
            seen.user = seen.user(tx, flow, *id).await?;
            if seen.user.is_none() {
                return Ok(None);
            }
            (0, *id)
        }
        _ => return Ok(None),
    };
    let Some(ActionKind::MultiFactorAuthentication { mfa_policy, .. }) = flow.actions.get(step)
    else {
        return Ok(None);
    };
    let mut scene = Scene::load(tx, flow, user, (*mfa_policy, now), seen).await?;
    scene.read_authenticators(tx).await?;
    Ok(Some(scene))
}

fn choosable(scene: &Scene, now: Timestamp) -> Vec<Choosable> {
    let devices = (scene.devices.as_slice(), scene.authenticators.as_slice());
    let usable = mfa::usable(&scene.policy, devices, &scene.reach, now);
    let choosable = |usable: &mfa::Usable<'_>| {
        let mfa::Usable { device, push_seconds, passcode, message } = *usable;
        Some(Choosable { device: SeenDevice::of(device)?, push_seconds, passcode, message })
    };
    usable.iter().filter_map(choosable).collect()
}

fn not_choosable(scene: &Scene, now: Timestamp) -> Vec<Barred> {
    let (phones, authenticators) = (scene.devices.as_slice(), scene.authenticators.as_slice());
    let usable = mfa::usable(&scene.policy, (phones, authenticators), &scene.reach, now);
    let is_usable =
        |device: &AnyDevice<'_>| usable.iter().any(|usable| usable.device.id() == device.id());
    let all = AnyDevice::all(phones, authenticators).into_iter();
    let told = |device: AnyDevice<'_>| {
        let why = mfa::bar(device, &scene.reach, now);
        Some(Barred { device: SeenDevice::of(device)?, why })
    };
    all.filter(|device| device.counts() && !is_usable(device)).filter_map(told).collect()
}
