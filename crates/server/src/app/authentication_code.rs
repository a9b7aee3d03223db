//! Authentication codes as their creator sees them: made, read, waited for, withdrawn.

use std::sync::Arc;

use countersign_domain::{
    application::{Application, Kind},
    audit,
    authentication_code::{Approval, AuthenticationCode, Event, State, apply},
    device::Device,
    environment::Environment,
    id::Id,
    invalid::Invalid,
};
use countersign_protocol::{
    authentication_code::{CODE_MEMBER, Code},
    challenge::Origin,
    secret::Secret,
    time::Timestamp,
};
use countersign_store::{
    StoreError, Topic, Tx, Versioned, Work, application, authentication_code as codes, device,
    wakes,
};
use tokio::time::Duration;

use super::{App, Call, Fault, Realm, fault::faults};

/// A code to be made.
#[derive(Clone, Debug)]
pub struct NewAuthenticationCode {
    /// The native application that may claim it.
    pub application: Id<Application>,
    /// How long it lives, in seconds.
    pub life_seconds: u32,
    /// Whether the person must agree.
    pub approval: Approval,
    /// What the app shows beside the question: the text of a JSON object.
    pub client_context: Option<String>,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// A code as it stands.
#[derive(Clone, Debug)]
pub struct CodeView {
    /// The code.
    pub code: AuthenticationCode,
    /// Its characters.
    pub characters: Secret<String>,
    /// What a phone reads off the screen: an address with the characters.
    pub uri: Secret<String>,
    /// The device of the user who is signed on.
    pub device: Option<Device>,
}

/// Why a code was not made, or is not shown.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// There is none of this id, or it is forgotten.
    #[error("there is no authentication code of this id, or it has expired long ago")]
    NotFound,
    /// Only a native application with a mobile section can read codes.
    #[error(
        "application.id must be a native application of this environment with a mobile section"
    )]
    UnknownApplication,
    /// A value breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(CodeError);

/// Whether the phones of an application can read codes.
pub(super) fn reads_codes(application: &Application) -> bool {
    application.enabled && application.kind == Kind::Native && application.mobile.is_some()
}

impl App {
    /// Makes a code.
    pub async fn create_authentication_code(
        self: &Arc<Self>,
        realm: &Arc<Realm>,
        new: NewAuthenticationCode,
    ) -> Result<CodeView, CodeError> {
        let call = self.call(realm.environment, &new.correlation);
        let create = || Create {
            realm: Arc::clone(realm),
            call: call.clone(),
            id: call.new_id(),
            new: new.clone(),
        };
        self.write_drawn(create, |error| matches!(error, CodeError::Fault(Fault::Busy(_)))).await
    }

    /// Reads a code.
    pub async fn read_authentication_code(
        &self,
        realm: &Arc<Realm>,
        id: Id<AuthenticationCode>,
    ) -> Result<CodeView, CodeError> {
        let now = self.now();
        self.store.read(Read { realm: Arc::clone(realm), id, now }).await
    }

    /// Reads a code once it is no longer as it is now, though at the latest after this long, and at once if it has come to its
    /// end. What other nodes change wakes it too.
    pub async fn await_authentication_code(
        &self,
        realm: &Arc<Realm>,
        id: Id<AuthenticationCode>,
        most: Duration,
    ) -> Result<CodeView, CodeError> {
        let mut first = None;
        let look = || self.read_authentication_code(realm, id);
        self.await_change((code_topic(id), most), look, |view| {
            let is_same = *first.get_or_insert_with(|| view.code.state.clone()) == view.code.state;
            (is_same && view.code.is_open()).then(|| view.code.expires_at())
        })
        .await
    }

    /// Withdraws a code.
    pub async fn delete_authentication_code(
        &self,
        realm: &Arc<Realm>,
        id: Id<AuthenticationCode>,
        correlation: &str,
    ) -> Result<(), CodeError> {
        let call = self.call(realm.environment, correlation);
        self.store.write(Delete { call, id }).await
    }

    /// Ends the codes of all environments whose time is over, and returns how many.
    pub async fn expire_authentication_codes(&self) -> Result<u64, Fault> {
        let overdue = self.store.read(ListOverdue { now: self.now() }).await?;
        let mut ended = 0;
        for (environment, id) in overdue {
            match self.store.write(Expire { call: self.call(environment, ""), id }).await {
                Ok(()) => ended += 1,
                // One that cannot be ended shall not keep the others waiting.
                Err(fault @ Fault::Internal(_)) => {
                    tracing::error!(code = %id, error = %fault, "cannot end an authentication code that is overdue");
                }
                Err(busy @ Fault::Busy(_)) => return Err(busy),
            }
        }
        Ok(ended)
    }
}

/// What those wait for who wait for a code.
pub(super) fn code_topic(id: Id<AuthenticationCode>) -> Topic {
    Topic::new(*id.as_bytes())
}

struct Create {
    realm: Arc<Realm>,
    call: Call,
    id: Id<AuthenticationCode>,
    new: NewAuthenticationCode,
}

impl Work for Create {
    type Output = CodeView;
    type Error = CodeError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<CodeView, CodeError> {
        let Self { realm, call, id, new } = self;
        let application = application::load(tx, call.environment, new.application).await?;
        let application =
            application.filter(|found| reads_codes(found)).ok_or(CodeError::UnknownApplication)?;
        let code = AuthenticationCode {
            id: *id,
            environment: call.environment,
            application: application.id,
            approval: new.approval,
            client_context: new.client_context.clone(),
            flow: None,
            site: application.name.clone(),
            // The creator is a server: where it is says nothing to the person.
            origin: Origin { address: None, ..call.origin.seen() },
            number: None,
            life_seconds: new.life_seconds,
            created_at: call.now,
            updated_at: call.now,
            state: State::Unclaimed,
        };
        code.validate()?;
        insert(tx, (realm, call), &code).await?;
        view(tx, realm, code, call.now).await
    }
}

/// Stores a new code.
pub(super) async fn insert(
    tx: &mut Tx<'_>,
    (realm, call): (&Realm, &Call),
    code: &AuthenticationCode,
) -> Result<(), StoreError> {
    let hash = realm.authentication_code_hash(&realm.authentication_code(code.id));
    codes::insert(tx, code, &hash).await?;
    let event = audit::Event::succeeded(audit::Action::AuthenticationCodeCreated);
    let event = event.through(code.application);
    let event = match code.flow {
        Some(flow) => event.within(flow),
        None => event,
    };
    call.audit(tx, event).await
}

#[derive(Clone)]
struct Read {
    realm: Arc<Realm>,
    id: Id<AuthenticationCode>,
    now: Timestamp,
}

impl Work for Read {
    type Output = CodeView;
    type Error = CodeError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<CodeView, CodeError> {
        let code = codes::load(tx, self.realm.environment, self.id, self.now).await?;
        let code = code.ok_or(CodeError::NotFound)?.into_value();
        view(tx, &self.realm, code, self.now).await
    }
}

async fn view(
    tx: &mut Tx<'_>,
    realm: &Realm,
    mut code: AuthenticationCode,
    now: Timestamp,
) -> Result<CodeView, CodeError> {
    if let Ok(step) = apply(&code, &Event::Tick, now) {
        code.state = step.state;
    }
    let device = match &code.state {
        State::Completed { by, .. } => device::load(tx, code.environment, by.device).await?,
        State::Claimed { candidates, .. } => match candidates.first() {
            Some(one) => device::load(tx, code.environment, one.device).await?,
            None => None,
        },
        State::Unclaimed | State::Denied { .. } | State::Expired { .. } => None,
    };
    let application = application::load(tx, code.environment, code.application).await?;
    let mobile = application.and_then(|application| application.mobile.clone());
    let prefix = mobile.and_then(|mobile| mobile.uri_prefix);
    let characters = realm.authentication_code(code.id);
    let uri = uri(prefix.as_deref(), &characters);
    let characters = Secret::new(characters.expose().to_owned());
    Ok(CodeView { code, characters, uri, device: device.map(Versioned::into_value) })
}

/// What a phone reads: `[prefix/]pingonesdk?authentication_code=CODE`, the name that apps of that SDK register too.
pub fn uri(prefix: Option<&str>, code: &Code) -> Secret<String> {
    let query = format!("pingonesdk?{CODE_MEMBER}={}", code.expose());
    Secret::new(match prefix {
        Some(prefix) => format!("{}/{query}", prefix.trim_end_matches('/')),
        None => query,
    })
}

struct Delete {
    call: Call,
    id: Id<AuthenticationCode>,
}

impl Work for Delete {
    type Output = ();
    type Error = CodeError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), CodeError> {
        let call = &self.call;
        let old = codes::load(tx, call.environment, self.id, call.now).await?;
        let old = old.ok_or(CodeError::NotFound)?;
        codes::delete(tx, &old).await?;
        wakes::wake(tx, code_topic(old.id), call.now).await?;
        let event = audit::Event::succeeded(audit::Action::AuthenticationCodeDeleted);
        Ok(call.audit(tx, event.through(old.application)).await?)
    }
}

struct Expire {
    call: Call,
    id: Id<AuthenticationCode>,
}

impl Work for Expire {
    type Output = ();
    type Error = Fault;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let call = &self.call;
        let Some(old) = codes::load(tx, call.environment, self.id, call.now).await? else {
            return Ok(());
        };
        match apply(&old, &Event::Tick, call.now) {
            Ok(step) => super::claim_code::commit(tx, call, &old, step).await,
            Err(_) => Err(Fault::broken("a code refuses that time passes")),
        }
    }
}

/// The most codes that are ended in one go.
const MAX_OVERDUE: i64 = 1_000;

struct ListOverdue {
    now: Timestamp,
}

impl Work for ListOverdue {
    type Output = Vec<(Id<Environment>, Id<AuthenticationCode>)>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        let overdue = codes::list_overdue(tx, self.now, MAX_OVERDUE).await?;
        Ok(overdue.iter().map(|code| (code.environment, code.id)).collect())
    }
}
