//! Begins a flow: the authorization request, the mobile payload that it may carry, the sign-on policy that will run.

use countersign_domain::{
    application::Application,
    audit,
    authorization::{self, Answer, AuthorizationRequest, ErrorCode, Parameters, Refusal},
    flow::{Flow, State},
    id::Id,
    installation::Installation,
    sign_on_policy::{ActionKind, SignOnPolicy},
};
use countersign_protocol::{
    encoding,
    entropy::random,
    mobile_payload::{self, MobilePayload},
    proof::{ProofError, Verified},
    secret::Secret,
};
use countersign_store::{
    Tx, Work, application, flow as flows, sign_on_policy, spent_proof, spent_proof::Spending,
};

use super::{
    App, Call, Fault, FlowView, Realm,
    fault::faults,
    read_flow::view,
    run_flow::{RunError, identify, run},
};

/// An authorization request as it came.
#[derive(Clone, Debug)]
pub struct StartFlow {
    /// `client_id`
    pub client_id: Option<String>,
    /// The members of RFC 6749, RFC 7636 and OIDC Core.
    pub parameters: Parameters,
    /// `mobilePayload`
    pub mobile_payload: Option<String>,
    /// The cookie of the browser or app, if it has one.
    pub cookie: Option<Secret<String>>,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// A flow that has begun.
#[derive(Debug)]
pub struct Started {
    /// How far it has come.
    pub view: FlowView,
    /// The cookie that the browser or app must send with it.
    pub cookie: Secret<String>,
}

/// Why no flow has begun.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Shown to the person: there is nobody to answer to.
    #[error("{description}")]
    Untrusted { description: String },
    /// Told to the application.
    #[error("{description}")]
    Answered { answer: Answer, state: Option<String>, error: ErrorCode, description: String },
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(StartError);

impl App {
    /// Begins a flow and runs it until it waits for somebody or ends.
    pub async fn start_flow(
        &self,
        realm: &std::sync::Arc<Realm>,
        request: StartFlow,
    ) -> Result<Started, StartError> {
        let untrusted =
            |description: &str| StartError::Untrusted { description: description.to_owned() };
        let client_id = request.client_id.ok_or_else(|| untrusted("client_id is required"))?;
        let client_id = client_id.parse().map_err(|_| untrusted(UNKNOWN_CLIENT))?;
        let call = self.call(realm.environment, &request.correlation);
        // The signature is checked before the transaction, which must not wait for it.
        let payload =
            request.mobile_payload.map(|jws| mobile_payload::verify(&jws, &realm.issuer, call.now));
        let cookie = request
            .cookie
            .unwrap_or_else(|| Secret::new(encoding::encode(random::<32>(self.entropy.as_ref()))));
        let browser = realm.browser_hash(cookie.expose());
        let parameters = request.parameters;
        let view =
            self.store.write(Start { call, client_id, parameters, payload, browser }).await??;
        Ok(Started { view, cookie })
    }
}

const UNKNOWN_CLIENT: &str = "client_id is not that of an application in this environment";

struct Start {
    call: Call,
    client_id: Id<Application>,
    parameters: Parameters,
    payload: Option<Result<Verified<MobilePayload>, ProofError>>,
    browser: String,
}

impl Work for Start {
    /// A refusal that is told to the audit log is committed with it.
    type Output = Result<FlowView, StartError>;
    type Error = StartError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Result<FlowView, StartError>, StartError> {
        let application = application::load(tx, self.call.environment, self.client_id).await?;
        let application = application
            .filter(|application| application.enabled)
            .ok_or_else(|| StartError::Untrusted { description: UNKNOWN_CLIENT.to_owned() })?;
        let request = authorization::check(&application, &self.parameters)?;
        let installation = match self.installation(tx, &request).await? {
            Ok(installation) => installation,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let policy = policy_of(tx, &application).await?;
        let actions: Vec<ActionKind> = policy.actions.iter().map(|action| action.kind).collect();
        let mut flow = Flow {
            id: self.call.new_id(),
            environment: self.call.environment,
            state: Flow::first(&actions),
            request,
            acr: policy.name,
            actions,
            installation,
            browser: self.browser.clone(),
            created_at: self.call.now,
            expires_at: Flow::expiry(self.call.now, self.call.now),
        };
        let created = audit::Event::succeeded(audit::Action::FlowCreated);
        self.call.audit(tx, created.through(&*application).within(flow.id)).await?;
        self.identify_by_hint(tx, &mut flow).await?;
        flows::insert(tx, &flow).await?;
        Ok(Ok(view(tx, flow, self.call.now).await?))
    }
}

impl Start {
    /// The phone that signed the mobile payload. A payload that does not count is never taken for none.
    async fn installation(
        &self,
        tx: &mut Tx<'_>,
        request: &AuthorizationRequest,
    ) -> Result<Result<Option<Installation>, StartError>, StartError> {
        let refuse = |description: String| StartError::Answered {
            answer: request.answer.clone(),
            state: request.state.clone(),
            error: ErrorCode::InvalidRequest,
            description,
        };
        let payload = match &self.payload {
            None => return Ok(Ok(None)),
            Some(Err(error)) => return Ok(Err(refuse(format!("mobilePayload: {error}")))),
            Some(Ok(payload)) => payload,
        };
        let installation = Installation::of(payload.clone())
            .filter(|installation| installation.application == request.application);
        let Some(installation) = installation else {
            let description = "mobilePayload: proof.app.id must equal client_id";
            return Ok(Err(refuse(description.to_owned())));
        };
        let key = spent_proof::Key::of(self.call.environment, payload);
        match spent_proof::spend(tx, &key).await? {
            Spending::First => Ok(Ok(Some(installation))),
            Spending::Again { .. } | Spending::Clash => {
                let refused = audit::Action::DevicePayloadRefused;
                let event = audit::Event::failed(refused, "replayed").through(request.application);
                self.call.audit(tx, event).await?;
                Ok(Err(refuse("mobilePayload: proof.jti was used already".to_owned())))
            }
        }
    }

    /// A policy that begins with a device needs to know whose. `login_hint` tells it; other policies only show it.
    async fn identify_by_hint(&self, tx: &mut Tx<'_>, flow: &mut Flow) -> Result<(), StartError> {
        let device_first =
            matches!(flow.actions.first(), Some(ActionKind::MultiFactorAuthentication { .. }));
        let State::Identifier { .. } = flow.state else { return Ok(()) };
        let Some(username) = flow.request.login_hint.clone().filter(|_| device_first) else {
            return Ok(());
        };
        let event = identify(tx, flow.environment, username).await?;
        Ok(run(tx, &self.call, flow, event).await?)
    }
}

async fn policy_of(tx: &mut Tx<'_>, application: &Application) -> Result<SignOnPolicy, StartError> {
    let policy = match sign_on_policy::load_assigned(tx, application.id).await? {
        Some(policy) => Some(policy),
        None => sign_on_policy::load_default(tx, application.environment).await?,
    };
    let policy = policy.ok_or_else(|| Fault::broken("an environment has no sign-on policy"))?;
    Ok(policy.into_value())
}

impl From<Refusal> for StartError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Untrusted { description } => {
                Self::Untrusted { description: description.to_owned() }
            }
            Refusal::Answered { answer, state, error, description } => {
                Self::Answered { answer, state, error, description: description.to_owned() }
            }
        }
    }
}

impl From<RunError> for StartError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Refused(_) => Fault::broken("a new flow refuses its first event").into(),
            RunError::Fault(fault) => Self::Fault(fault),
        }
    }
}
