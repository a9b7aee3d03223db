//! Begins a flow: the authorization request, the mobile payload that it may carry, the sign-on policy that will run.

use std::sync::Arc;

use countersign_domain::{
    application::Application,
    audit,
    authorization::{self, Answer, AuthorizationRequest, ErrorCode, Parameters, Prompt, Refusal},
    flow::{Conditions, Flow, Identity, Known, State},
    id::Id,
    installation::Installation,
    sign_on_policy::{ActionKind, SignOnPolicy},
    user::User,
};
use countersign_protocol::{mobile_payload, secret::Secret, time::Timestamp};
use countersign_store::{StoreError, Tx, Work, application, flow as flows, sign_on_policy, user};

use super::{
    App, Call, Fault, FlowView, Realm,
    challenge::withdraw,
    fault::faults,
    mobile_payload::{Presented, take},
    protected_resource,
    read_flow::view,
    resolve_request::Resolved,
    run_flow::{RunError, Seen, begin, identify, is_outdated, run},
    session::{self, Found},
};

/// An authorization request as it came.
#[derive(Clone, Debug)]
pub struct StartFlow {
    /// Its members.
    pub parameters: Parameters,
    /// The cookie of the browser or app, if it has one.
    pub cookie: Option<Secret<String>>,
    /// The cookie of its session, if it has one.
    pub session: Option<Secret<String>>,
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
        realm: &Arc<Realm>,
        request: StartFlow,
    ) -> Result<Started, StartError> {
        let call = self.call(realm.environment, &request.correlation);
        let resolved = self.resolve_request(realm, &call, request.parameters).await?;
        // The signature is checked before the transaction, which must not wait for it.
        let payload = resolved.parameters.mobile_payload.as_ref();
        let payload = payload.map(|jws| mobile_payload::verify(jws, &realm.issuer, call.now));
        let cookie = request.cookie.unwrap_or_else(|| self.new_cookie());
        let (realm, session) = (Arc::clone(realm), request.session);
        let view = self.store.write(Start {
            realm,
            call,
            resolved,
            payload,
            browser: cookie.clone(),
            session,
        });
        Ok(Started { view: view.await??, cookie })
    }
}

struct Start {
    realm: Arc<Realm>,
    call: Call,
    resolved: Resolved,
    payload: Option<Presented>,
    browser: Secret<String>,
    session: Option<Secret<String>>,
}

impl Work for Start {
    /// A refusal that is told to the audit log is committed with it.
    type Output = Result<FlowView, StartError>;
    type Error = StartError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Result<FlowView, StartError>, StartError> {
        let (call, environment) = (&self.call, self.call.environment);
        let application = application::load(tx, environment, self.resolved.application).await?;
        let application = application
            .filter(|application| application.enabled)
            .ok_or_else(|| StartError::untrusted(UNKNOWN_CLIENT))?;
        self.resolved.take(tx, call, &application).await?;
        let parameters = &self.resolved.parameters;
        let scope = parameters.scope.as_deref();
        let access = protected_resource::access(tx, &application, scope).await?;
        let mut request = authorization::check(&application, parameters, access)?;
        request.user = self.resolved.named;
        let installation = match self.installation(tx, &request).await? {
            Ok(installation) => installation,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let browser = self.realm.browser_hash(self.browser.expose());
        let mut flow = new_flow(tx, call, &application, request, browser).await?;
        flow.installation = installation;
        let (realm, vouched) = (&*self.realm, self.resolved.vouched);
        let session = (self.session.as_ref(), vouched);
        let known = known(tx, (realm, call), session, &application, &mut flow).await?;
        let mut seen = Seen { application: Some(application.into_value()), ..Seen::default() };
        begin(tx, call, &mut flow, known, &mut seen).await?;
        self.identify_by_hint(tx, &mut flow, &mut seen).await?;
        if let Some(refusal) = unanswered(&flow) {
            // There is no flow that could hear an answer, so nobody is asked.
            if let State::Push { challenge, .. } | State::Verification { challenge, .. } =
                flow.state
            {
                Box::pin(withdraw(tx, call, &flow, challenge)).await?;
            }
            return Ok(Err(refusal));
        }
        flows::insert(tx, &flow).await?;
        Ok(Ok(view(tx, flow, call.now, seen).await?))
    }
}

impl Start {
    /// The phone that signed the mobile payload. A payload that does not count is never taken for none.
    async fn installation(
        &self,
        tx: &mut Tx<'_>,
        request: &AuthorizationRequest,
    ) -> Result<Result<Option<Installation>, StartError>, StartError> {
        let refuse = |description: String| {
            StartError::answered(request, ErrorCode::InvalidRequest, description)
        };
        let Some(payload) = &self.payload else { return Ok(Ok(None)) };
        let taken = take(tx, &self.call, payload, (request.application, "client_id")).await?;
        Ok(taken.map(Some).map_err(refuse))
    }

    /// A policy that begins with a device needs to know whose. `login_hint` tells it; other policies only show it.
    async fn identify_by_hint(
        &self,
        tx: &mut Tx<'_>,
        flow: &mut Flow,
        seen: &mut Seen,
    ) -> Result<(), StartError> {
        let State::Identifier { step } = flow.state else { return Ok(()) };
        let first = flow.actions.get(step);
        let device_first = matches!(first, Some(ActionKind::MultiFactorAuthentication { .. }));
        let Some(username) = flow.request.login_hint.clone().filter(|_| device_first) else {
            return Ok(());
        };
        let event = identify(tx, flow.environment, username, seen).await?;
        Ok(run(tx, &self.call, flow, event, seen).await?)
    }
}

/// Who is there, as far as the session, the application, by whom it vouches, or an ID token of before can tell.
///
/// What a phone has shown instead of a password counts only where the application lets phones do that.
pub(super) async fn known(
    tx: &mut Tx<'_>,
    (realm, call): (&Realm, &Call),
    (session, vouched): (Option<&Secret<String>>, Option<Id<User>>),
    application: &Application,
    flow: &mut Flow,
) -> Result<Known, StoreError> {
    let found = session::find(tx, realm, call, session).await?;
    flow.session = found.as_ref().map(|found| found.id);
    let (environment, now) = (flow.environment, call.now);
    if let Some(Found { identity, .. }) = found
        && let Some(user) = user::load(tx, environment, identity.user).await?
        && counts(&flow.request, &identity, &user, now)
        && !is_outdated(tx, &identity).await?
        && vouched.is_none_or(|vouched| vouched == user.id)
    {
        let scanned = identity.scanned.filter(|_| application.oidc.phone_sign_on.is_some());
        let identity = Identity { scanned, ..identity };
        flow.resumed = Some(identity.clone());
        return Ok(Known::Proved(identity));
    }
    let Some(id) = vouched.or(flow.request.user) else {
        return Ok(Known::Nobody);
    };
    let Some(user) = user::load(tx, environment, id).await?.filter(|user| user.may_sign_in())
    else {
        return Ok(Known::Nobody);
    };
    Ok(match vouched {
        Some(_) => Known::Proved(Identity { authenticated_at: Some(now), ..Identity::named(id) }),
        None => Known::Named { user: id, username: user.username.clone() },
    })
}

/// Whether what the session has proved is enough for this request (OIDC Core, section 3.1.2.1).
fn counts(
    request: &AuthorizationRequest,
    identity: &Identity,
    user: &User,
    now: Timestamp,
) -> bool {
    let age = identity.authenticated_at.map(|at| now.seconds_since(at));
    // `max_age=0` is `prompt=login`, also within the second of the sign-on.
    let within = |most: u32| most > 0 && age.is_some_and(|age| age <= most.into());
    let fresh = request.max_age.is_none_or(within);
    let hinted = |hint: &String| User::username_key(hint) == User::username_key(&user.username);
    user.may_sign_in()
        && fresh
        && request.prompt != Prompt::Login
        && request.user.is_none_or(|named| named == user.id)
        && request.login_hint.as_ref().is_none_or(hinted)
}

/// With `prompt=none` a flow that waits for somebody is not begun: the application is told, and nobody is asked.
fn unanswered(flow: &Flow) -> Option<StartError> {
    if flow.request.prompt != Prompt::None {
        return None;
    }
    let (error, description) = match &flow.state {
        State::Completed { .. } | State::Failed { .. } => return None,
        State::Identifier { .. }
        | State::Login { .. }
        | State::Password { .. }
        | State::AuthenticationCode { .. } => (ErrorCode::LoginRequired, "the user must sign in"),
        State::PasswordChange { .. } => {
            (ErrorCode::InteractionRequired, "the user must change the password")
        }
        State::Deciding { .. }
        | State::DeviceSelection { .. }
        | State::Passcode { .. }
        | State::Verification { .. }
        | State::Push { .. }
        | State::PushTimedOut { .. } => {
            (ErrorCode::InteractionRequired, "the user must pass an MFA step")
        }
    };
    Some(StartError::answered(&flow.request, error, description.to_owned()))
}

/// A new flow under the policy of its application. The caller stores it.
pub(super) async fn new_flow(
    tx: &mut Tx<'_>,
    call: &Call,
    application: &Application,
    request: AuthorizationRequest,
    browser: String,
) -> Result<Flow, Fault> {
    let policy = policy_of(tx, application, &request).await?;
    let actions: Vec<ActionKind> = policy.actions.iter().map(|action| action.kind).collect();
    let conditions = conditions_of(call, &policy);
    let required = application.oidc.attributes.iter().filter(|attribute| attribute.required);
    let created = audit::Event::succeeded(audit::Action::FlowCreated);
    let id = call.new_id();
    call.audit(tx, created.through(application).within(id)).await?;
    Ok(Flow {
        id,
        environment: call.environment,
        state: Flow::first(&actions),
        notice: None,
        request,
        acr: policy.name,
        actions,
        conditions,
        required_claims: required.cloned().collect(),
        access_control: application.oidc.access_control.clone(),
        installation: None,
        session: None,
        resumed: None,
        browser,
        created_at: call.now,
        updated_at: call.now,
        expires_at: Flow::expiry(call.now, call.now),
    })
}

/// When the steps of a policy run, if some of them do not always.
fn conditions_of(call: &Call, policy: &SignOnPolicy) -> Option<Box<Conditions>> {
    if policy.actions.iter().all(|action| action.condition.is_none()) {
        return None;
    }
    let of_steps = policy.actions.iter().map(|action| action.condition.clone()).collect();
    let remote = call.origin.source.as_ref().and_then(|source| source.address);
    Some(Box::new(Conditions { of_steps, remote }))
}

/// The policy that the application prefers among those that it is assigned, else its first, else the default. A name that is
/// not assigned is passed over: `acr_values` is a wish (OIDC Core, section 3.1.2.1), and `acr` tells what came of it.
async fn policy_of(
    tx: &mut Tx<'_>,
    application: &Application,
    request: &AuthorizationRequest,
) -> Result<SignOnPolicy, Fault> {
    for name in request.acr_values.iter().take(MAX_ACR_VALUES) {
        if let Some(policy) = sign_on_policy::find_assigned(tx, application.id, name).await? {
            return Ok(policy.into_value());
        }
    }
    let policy = match sign_on_policy::load_assigned(tx, application.id).await? {
        Some(policy) => Some(policy),
        None => sign_on_policy::load_default(tx, application.environment).await?,
    };
    let policy = policy.ok_or_else(|| Fault::broken("an environment has no sign-on policy"))?;
    Ok(policy.into_value())
}

/// The most names that are looked up.
const MAX_ACR_VALUES: usize = 10;

/// Told for all that cannot be a client, so that nothing is given away.
pub(super) const UNKNOWN_CLIENT: &str =
    "client_id is not that of an application in this environment";

impl StartError {
    pub(super) fn untrusted(description: impl Into<String>) -> Self {
        Self::Untrusted { description: description.into() }
    }

    fn answered(request: &AuthorizationRequest, error: ErrorCode, description: String) -> Self {
        let (answer, state) = (request.answer.clone(), request.state.clone());
        Self::Answered { answer, state, error, description }
    }
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
