//! Signing on with a phone: a flow shows an authentication code, and goes on as whoever approves it.

use countersign_domain::{
    application::Application,
    authentication_code::{
        Approval, AuthenticationCode, Candidate, DEFAULT_LIFE_SECONDS, Event, State, apply,
    },
    authorization::{Answer, Prompt},
    challenge::Number,
    flow::{self, Flow},
    id::Id,
    mfa_policy::MfaPolicy,
    sign_on_policy::ActionKind,
};
use countersign_protocol::{authentication_code::Code, secret::Secret, time::Timestamp};
use countersign_store::{
    StoreError, Tx, Versioned, application, authentication_code as codes, mfa_policy,
};

use super::{Call, Fault, Realm, authentication_code as code_app, claim_code, run_flow::tell};

/// A code on a sign-on page.
#[derive(Clone, Debug)]
pub struct ShownCode {
    /// The code.
    pub code: AuthenticationCode,
    uri_prefix: Option<String>,
}

impl ShownCode {
    /// Whether a phone has it, and the person decides there.
    #[must_use]
    pub const fn is_claimed(&self) -> bool {
        matches!(self.code.state, State::Claimed { .. })
    }

    /// Its characters.
    #[must_use]
    pub fn characters(&self, realm: &Realm) -> Code {
        realm.authentication_code(self.code.id)
    }

    /// What a phone reads off the screen.
    #[must_use]
    pub fn uri(&self, realm: &Realm) -> Secret<String> {
        code_app::uri(self.uri_prefix.as_deref(), &self.characters(realm))
    }

    /// Whether the address opens the app on the very phone that shows the page.
    #[must_use]
    pub const fn opens_app(&self) -> bool {
        self.uri_prefix.is_some()
    }
}

/// Whether a flow that is so far can go on with a phone. Where something is proved already, a phone could vouch for somebody else.
pub(super) const fn is_possible(state: &flow::State) -> bool {
    use flow::State::{AuthenticationCode, Identifier, Login, Password};
    matches!(
        state,
        Identifier { .. }
            | Login { .. }
            | AuthenticationCode { .. }
            | Password { proved: None, .. }
    )
}

/// The application whose phones can read codes of this flow.
pub(super) async fn reader(
    tx: &mut Tx<'_>,
    flow: &Flow,
    native: Option<Id<Application>>,
) -> Result<Option<Application>, StoreError> {
    // Whoever is to prove anew to be there gives more than an answer on a phone, which could be got from afar.
    let confirms = flow.request.answer == Answer::Account && flow.request.prompt == Prompt::Login;
    let Some(native) = native.filter(|_| !confirms) else { return Ok(None) };
    let found = application::load(tx, flow.environment, native).await?;
    Ok(found.map(Versioned::into_value).filter(code_app::reads_codes))
}

/// Makes a code for a flow that may show one. The caller tells the flow.
pub(super) async fn show(
    tx: &mut Tx<'_>,
    (realm, call): (&Realm, &Call),
    flow: &Flow,
) -> Result<Option<Id<AuthenticationCode>>, Fault> {
    if !is_possible(&flow.state) {
        return Ok(None);
    }
    let site = application::load(tx, flow.environment, flow.request.application).await?;
    let site = site.ok_or_else(|| Fault::broken("a flow has no application"))?;
    let Some(native) = reader(tx, flow, site.oidc.phone_sign_on).await? else { return Ok(None) };
    let number = if asks_number(tx, flow, native.id).await? {
        let kind = native.mobile.as_ref().map(|mobile| mobile.number_matching);
        Some(Number::draw(kind.unwrap_or_default(), call.entropy.as_ref()))
    } else {
        None
    };
    let code = AuthenticationCode {
        id: call.new_id(),
        environment: flow.environment,
        application: native.id,
        flow: Some(flow.id),
        approval: Approval::Required,
        client_context: flow.request.client_context.clone(),
        site: site.name.clone(),
        origin: call.origin.seen(),
        number,
        life_seconds: DEFAULT_LIFE_SECONDS,
        created_at: call.now,
        updated_at: call.now,
        state: State::Unclaimed,
    };
    code_app::insert(tx, (realm, call), &code).await?;
    Ok(Some(code.id))
}

/// Whether the MFA policy of a flow wants the number to come back. Without an MFA step it is the one of the environment.
async fn asks_number(
    tx: &mut Tx<'_>,
    flow: &Flow,
    native: Id<Application>,
) -> Result<bool, StoreError> {
    let named = flow.actions.iter().find_map(|action| match action {
        ActionKind::MultiFactorAuthentication { mfa_policy, .. } => *mfa_policy,
        ActionKind::Login | ActionKind::IdentifierFirst => None,
    });
    let policy: Option<Versioned<MfaPolicy>> = match named {
        Some(id) => mfa_policy::load(tx, flow.environment, id).await?,
        None => mfa_policy::load_default(tx, flow.environment).await?,
    };
    Ok(policy.is_some_and(|policy| {
        policy.application(native).is_some_and(|it| it.codes.number_matching)
    }))
}

/// The code of a flow as it stands. None: it is forgotten.
pub(super) async fn shown(
    tx: &mut Tx<'_>,
    flow: &Flow,
    id: Id<AuthenticationCode>,
    now: Timestamp,
) -> Result<Option<ShownCode>, StoreError> {
    let Some(code) = codes::load(tx, flow.environment, id, now).await? else { return Ok(None) };
    let mut code = code.into_value();
    if let Ok(step) = apply(&code, &Event::Tick, now) {
        code.state = step.state;
    }
    let native = application::load(tx, flow.environment, code.application).await?;
    let mobile = native.and_then(|native| native.mobile.clone());
    Ok(Some(ShownCode { code, uri_prefix: mobile.and_then(|mobile| mobile.uri_prefix) }))
}

/// The flow on whose page a code is goes on as whoever has approved it, if it still shows it.
pub(super) async fn approved(
    tx: &mut Tx<'_>,
    call: &Call,
    code: &AuthenticationCode,
    by: Candidate,
) -> Result<(), Fault> {
    let Some(id) = code.flow else { return Ok(()) };
    let event = flow::Event::CodeApproved { code: code.id, by };
    Box::pin(tell(tx, call, id, event)).await.map(drop)
}

/// Ends the code of a flow that goes another way.
pub(super) async fn withdraw(
    tx: &mut Tx<'_>,
    call: &Call,
    flow: &Flow,
    id: Id<AuthenticationCode>,
) -> Result<(), Fault> {
    let Some(old) = codes::load(tx, flow.environment, id, call.now).await? else { return Ok(()) };
    match apply(&old, &Event::Withdraw, call.now) {
        Ok(step) => claim_code::commit(tx, call, &old, step).await,
        Err(_) => Err(Fault::broken("a code cannot be withdrawn")),
    }
}
