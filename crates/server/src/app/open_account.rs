//! Begins the sign-on that leads to a page of the platform itself: the own account, a fresh proof there, or the console.

use std::sync::Arc;

use countersign_domain::{
    account,
    authorization::{Answer, AuthorizationRequest, Prompt},
    console,
    id::Id,
    sign_on_policy::{ActionKind, NoDevicesMode},
    user::User,
};
use countersign_protocol::secret::Secret;
use countersign_store::{Tx, Work, application, flow as flows};

use super::{
    App, Call, Fault, FlowView, Realm, Started,
    fault::faults,
    read_flow::view,
    run_flow::{RunError, Seen, begin},
    start_flow::{known, new_flow},
};

/// A browser that is to come to the page.
#[derive(Clone, Debug)]
pub struct OpenAccount {
    /// The page.
    pub destination: Destination,
    /// The cookie of the browser, if it has one.
    pub cookie: Option<Secret<String>>,
    /// The cookie of its session, if it has one.
    pub session: Option<Secret<String>>,
    /// Who must prove anew to be there; none: what the session has proved counts.
    pub confirms: Option<Id<User>>,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// Where a sign-on leads that is for no other application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The own account.
    Account,
    /// A path below that of the console.
    Console { path: String },
}

/// Why no sign-on has begun.
#[derive(Debug, thiserror::Error)]
pub enum OpenAccountError {
    /// An administrator has disabled the application that the page is.
    #[error("the page of the account is switched off in this environment")]
    Off,
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(OpenAccountError);

impl From<RunError> for OpenAccountError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Refused(_) => Fault::broken("a new flow refuses its first event").into(),
            RunError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl App {
    /// Begins the sign-on and runs it until it waits for somebody or ends.
    pub async fn open_account(
        &self,
        realm: &Arc<Realm>,
        request: OpenAccount,
    ) -> Result<Started, OpenAccountError> {
        let call = self.call(realm.environment, &request.correlation);
        let cookie = request.cookie.clone().unwrap_or_else(|| self.new_cookie());
        let browser = realm.browser_hash(cookie.expose());
        let work = Open { realm: Arc::clone(realm), call, request, browser };
        Ok(Started { view: self.store.write(work).await?, cookie })
    }
}

struct Open {
    realm: Arc<Realm>,
    call: Call,
    request: OpenAccount,
    browser: String,
}

impl Work for Open {
    type Output = FlowView;
    type Error = OpenAccountError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<FlowView, OpenAccountError> {
        let (call, environment) = (&self.call, self.call.environment);
        let (id, answer, state) = match &self.request.destination {
            Destination::Account => (account::application(environment), Answer::Account, None),
            Destination::Console { path } => {
                (console::application(environment), Answer::Console, Some(path.clone()))
            }
        };
        let own = application::load(tx, environment, id).await?;
        let own = own.filter(|own| own.enabled).ok_or(OpenAccountError::Off)?;
        let confirms = self.request.confirms;
        let request = AuthorizationRequest {
            user: confirms,
            prompt: confirms.map_or(Prompt::AsNeeded, |_| Prompt::Login),
            state,
            ..AuthorizationRequest::without_code(own.id, answer)
        };
        let is_console = request.answer == Answer::Console;
        let mut flow = new_flow(tx, call, &own, request, self.browser.clone()).await?;
        if confirms.is_some() || is_console {
            ask_for_a_device(&mut flow.actions);
            flow.conditions = None;
        }
        let session = self.request.session.as_ref();
        let known = known(tx, (&self.realm, call), (session, None), &own, &mut flow).await?;
        let mut seen = Seen { application: Some(own.into_value()), ..Seen::default() };
        begin(tx, call, &mut flow, known, &mut seen).await?;
        flows::insert(tx, &flow).await?;
        Ok(view(tx, flow, call.now, seen).await?)
    }
}

/// Whoever proves anew or administers is asked for a device too, also where the sign-on itself goes without. Who has none
/// passes.
fn ask_for_a_device(actions: &mut Vec<ActionKind>) {
    let asks = |action: &ActionKind| matches!(action, ActionKind::MultiFactorAuthentication { .. });
    if !actions.iter().any(asks) {
        actions.push(ActionKind::MultiFactorAuthentication {
            mfa_policy: None,
            no_devices_mode: NoDevicesMode::Bypass,
        });
    }
}
