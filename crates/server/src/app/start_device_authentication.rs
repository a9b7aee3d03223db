//! Begins a device authentication (platform API, section 10.1): a flow of one MFA step, for a user whom a worker application
//! has authenticated itself.

use std::sync::Arc;

use countersign_domain::{
    application::Application,
    audit,
    authorization::{Answer, AuthorizationRequest},
    device::Device,
    flow::{Failure, Flow, Identity, Known, State},
    id::Id,
    installation::Installation,
    mfa::Reason,
    mfa_policy::MfaPolicy,
    sign_on_policy::{ActionKind, NoDevicesMode},
    user::User,
};
use countersign_protocol::mobile_payload;
use countersign_store::{Tx, Versioned, Work, application, flow as flows, mfa_policy, user};

use super::{
    App, Call, Fault, FlowView, Realm, Worker,
    fault::faults,
    mobile_payload::{Presented, take},
    read_flow::view,
    run_flow::{RunError, Seen, begin},
};

/// What a worker application asks for.
#[derive(Clone, Debug)]
pub struct StartDeviceAuthentication {
    /// Who shall be authenticated.
    pub user: Id<User>,
    /// The device that is to be asked.
    pub device: Option<Id<Device>>,
    /// The MFA policy; none named means the default of the environment.
    pub policy: Option<Id<MfaPolicy>>,
    /// The application that the user signs on to; none named means the worker itself.
    pub application: Option<Id<Application>>,
    /// What the phone has signed on which the user signs on.
    pub mobile_payload: Option<String>,
    /// Which words a notification uses, as JSON.
    pub template: Option<String>,
    /// What the app shows beside a question, as JSON.
    pub client_context: Option<String>,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// Why it has not begun.
#[derive(Debug, thiserror::Error)]
pub enum StartDeviceAuthenticationError {
    /// There is no such user.
    #[error("user.id must be the id of a user of this environment")]
    UnknownUser,
    /// There is no such policy.
    #[error("policy.id must be the id of an MFA policy of this environment")]
    UnknownPolicy,
    /// There is no such application.
    #[error("application.id must be the id of an enabled application of this environment")]
    UnknownApplication,
    /// A payload says nothing without the application that it is for.
    #[error("application.id is required with mobilePayload")]
    ApplicationRequired,
    /// The device is not the user's, or cannot be asked now.
    #[error("selectedDevice.id must be a device of the user that can be used now")]
    UnusableDevice,
    /// The payload does not count.
    #[error("{0}")]
    Payload(String),
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

use StartDeviceAuthenticationError as StartError;

faults!(StartDeviceAuthenticationError);

impl App {
    /// Begins a device authentication, and runs it until it waits for somebody or ends.
    pub async fn start_device_authentication(
        &self,
        realm: &Arc<Realm>,
        worker: &Worker,
        request: StartDeviceAuthentication,
    ) -> Result<FlowView, StartError> {
        let call = self.call(realm.environment, &request.correlation);
        let payload = request.mobile_payload.as_ref();
        if payload.is_some() && request.application.is_none() {
            return Err(StartError::ApplicationRequired);
        }
        // The signature is checked before the transaction, which must not wait for it.
        let payload = payload.map(|jws| mobile_payload::verify(jws, &realm.issuer, call.now));
        let application = request.application.unwrap_or(worker.application.id);
        self.store.write(Start { call, request, application, payload }).await?
    }
}

struct Start {
    call: Call,
    request: StartDeviceAuthentication,
    application: Id<Application>,
    payload: Option<Presented>,
}

impl Work for Start {
    /// A refusal that is told to the audit log is committed with it.
    type Output = Result<FlowView, StartError>;
    type Error = StartError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Result<FlowView, StartError>, StartError> {
        let (call, environment) = (&self.call, self.call.environment);
        let application = application::load(tx, environment, self.application).await?;
        let application = application
            .map(Versioned::into_value)
            .filter(|application| application.enabled)
            .ok_or(StartError::UnknownApplication)?;
        let user = user::load(tx, environment, self.request.user).await?;
        let user = user.ok_or(StartError::UnknownUser)?.into_value();
        let policy = self.policy(tx).await?;
        let installation = match &self.payload {
            None => None,
            Some(payload) => {
                match take(tx, call, payload, (application.id, "application.id")).await? {
                    Ok(installation) => Some(installation),
                    Err(refusal) => return Ok(Err(StartError::Payload(refusal))),
                }
            }
        };
        let mut flow = self.flow(&policy, installation);
        let created = audit::Event::succeeded(audit::Action::AuthenticationCreated);
        let created = created.through(&application).about(&user).within(flow.id);
        call.audit(tx, created).await?;
        let mut seen = Seen { application: Some(application), user: Some(user), ..Seen::default() };
        // The worker vouches for the user by its word, which is no method.
        let authenticated_at = Some(call.now);
        let known = Identity { authenticated_at, ..Identity::named(self.request.user) };
        begin(tx, call, &mut flow, Known::Proved(known), &mut seen).await?;
        if !heeds_choice(&flow) {
            return Err(StartError::UnusableDevice);
        }
        flows::insert(tx, &flow).await?;
        Ok(Ok(view(tx, flow, call.now, seen).await?))
    }
}

impl Start {
    async fn policy(&self, tx: &mut Tx<'_>) -> Result<MfaPolicy, StartError> {
        let environment = self.call.environment;
        let policy = if let Some(id) = self.request.policy {
            let named = mfa_policy::load(tx, environment, id).await?;
            named.ok_or(StartError::UnknownPolicy)?
        } else {
            let none = || Fault::broken("an environment has no MFA policy");
            mfa_policy::load_default(tx, environment).await?.ok_or_else(none)?
        };
        Ok(policy.into_value())
    }

    fn flow(&self, policy: &MfaPolicy, installation: Option<Installation>) -> Flow {
        let StartDeviceAuthentication { user, device, template, client_context, .. } =
            self.request.clone();
        // Without a device there is nothing that the worker does not know already, so nobody passes without one.
        let actions = vec![ActionKind::MultiFactorAuthentication {
            mfa_policy: Some(policy.id),
            no_devices_mode: NoDevicesMode::Block,
        }];
        let now = self.call.now;
        Flow {
            id: self.call.new_id(),
            environment: self.call.environment,
            request: AuthorizationRequest {
                user: Some(user),
                device,
                template,
                client_context,
                ..AuthorizationRequest::without_code(self.application, Answer::Worker)
            },
            acr: policy.name.clone(),
            state: Flow::first(&actions),
            actions,
            conditions: None,
            required_claims: Vec::new(),
            // A back end answers for whom it asks.
            access_control: None,
            installation,
            session: None,
            resumed: None,
            notice: None,
            // No browser has begun it, and none can go on with it.
            browser: String::new(),
            created_at: now,
            updated_at: now,
            expires_at: Flow::expiry(now, now),
        }
    }
}

/// Whether the device that the application has named is asked, or nobody needs to be, or the user is refused whatever device
/// is named.
fn heeds_choice(flow: &Flow) -> bool {
    let Some(named) = flow.request.device else { return true };
    match &flow.state {
        State::Passcode { device, .. } | State::Push { device, .. } => *device == named,
        State::Failed { why: Failure::Mfa(reason), .. } => match reason {
            Reason::NoUsableDevice
            | Reason::DeviceBlocked
            | Reason::DeviceLocked
            | Reason::PushesStopped => false,
            Reason::UserLocked
            | Reason::MfaDisabled
            | Reason::Compromised
            | Reason::ExtraVerificationFailed
            | Reason::PushDenied => true,
        },
        State::Completed { .. } | State::Verification { .. } | State::Failed { .. } => true,
        State::Identifier { .. }
        | State::Login { .. }
        | State::Password { .. }
        | State::AuthenticationCode { .. }
        | State::PasswordChange { .. }
        | State::Deciding { .. }
        | State::DeviceSelection { .. }
        | State::PushTimedOut { .. } => false,
    }
}

impl From<RunError> for StartDeviceAuthenticationError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Refused(_) => Fault::broken("a new flow refuses its first event").into(),
            RunError::Fault(fault) => Self::Fault(fault),
        }
    }
}
