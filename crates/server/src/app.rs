//! The use cases. Each file is one; `App` holds what they share.

mod access_token;
mod administer;
mod advance_flow;
mod authenticate_client;
mod authorize_device;
mod change_device;
mod check_dpop;
mod check_passcode;
mod check_password;
mod create_application;
mod create_environment;
mod create_user;
mod decide_device;
mod exchange_code;
mod fault;
mod finish_flow;
mod installation;
mod introspect_token;
mod issue_client_token;
mod issue_tokens;
mod pair_installation;
mod read_flow;
mod read_user_info;
mod realm;
mod redeem_device_code;
mod refresh_tokens;
mod revoke_token;
mod run_flow;
mod start_flow;
mod unpair_installation;
mod verify_signed;
mod verify_user_code;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use countersign_domain::{
    audit::{Event, Record},
    environment::Environment,
    id::Id,
};
use countersign_protocol::{
    encoding,
    entropy::{Entropy, random},
    secret::Secret,
    time::{Clock, Timestamp},
};
use countersign_store::{Store, StoreError, Tx, Work, audit};

use self::verify_user_code::Guesses;
pub use self::{
    administer::{AdministerError, NewMfaPolicy, NewSignOnPolicy},
    advance_flow::{AdvanceError, AdvanceFlow, Choice},
    authenticate_client::{ClientCredentials, ClientError},
    authorize_device::{AuthorizeDevice, AuthorizeDeviceError, DeviceAuthorization},
    change_device::{ChangeDeviceError, DeviceChange},
    check_dpop::{DpopRefusal, ProvenRequest},
    check_passcode::{CheckPasscode, CheckPasscodeError, PasscodeOutcome},
    check_password::{CheckPassword, CheckPasswordError, PasswordOutcome},
    create_application::{CreatedApplication, NewApplication},
    create_user::NewUser,
    decide_device::{DecideDevice, DecideDeviceError, DeviceDecision},
    exchange_code::{ExchangeCode, ExchangeError},
    fault::Fault,
    finish_flow::Ending,
    installation::{DeviceCall, DeviceCallError},
    introspect_token::{IntrospectError, IntrospectToken, Introspection},
    issue_client_token::{ClientTokenError, IssueClientToken},
    issue_tokens::Tokens,
    pair_installation::PairError,
    read_flow::{FlowHandle, FlowView, ReadFlowError},
    read_user_info::{ReadUserInfoError, UserInfo},
    realm::Realm,
    redeem_device_code::{RedeemDeviceCode, RedeemDeviceCodeError},
    refresh_tokens::{RefreshError, RefreshTokens},
    revoke_token::{RevokeError, RevokeToken},
    start_flow::{StartError, StartFlow, Started},
    verify_user_code::{UserCodeError, VerifyUserCode},
};
use crate::{
    client_keys::ClientKeys, keys::Vault, outbound::Outbound, passwords::Passwords,
    settings::Settings,
};

/// Everything that use cases share.
pub struct App {
    store: Store,
    vault: Vault,
    passwords: Passwords,
    client_keys: ClientKeys,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    settings: Settings,
    realms: RwLock<BTreeMap<Id<Environment>, Arc<Realm>>>,
    user_code_guesses: Guesses,
}

impl App {
    /// An application over an open store.
    #[must_use]
    pub fn new(
        store: Store,
        vault: Vault,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        settings: Settings,
    ) -> Self {
        let passwords = Passwords::new(settings.passwords, entropy.as_ref());
        let outbound = Outbound::new(settings.outbound.clone(), &settings.base_url);
        let client_keys = ClientKeys::new(Arc::new(outbound));
        let realms = RwLock::default();
        let user_code_guesses = Guesses::new(settings.user_code_guesses);
        Self {
            store,
            vault,
            passwords,
            client_keys,
            clock,
            entropy,
            settings,
            realms,
            user_code_guesses,
        }
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The store, to sweep it and to ask whether it is well.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new id, as of now.
    #[must_use]
    pub fn new_id<T>(&self) -> Id<T> {
        Id::new(self.now(), self.entropy.as_ref())
    }

    /// A new cookie for a browser or an app in its place.
    #[must_use]
    pub fn new_cookie(&self) -> Secret<String> {
        Secret::new(encoding::encode(random::<32>(self.entropy.as_ref())))
    }

    fn call(&self, environment: Id<Environment>, correlation: &str) -> Call {
        let (now, entropy) = (self.now(), Arc::clone(&self.entropy));
        Call { environment, now, correlation: correlation.to_owned(), entropy }
    }

    /// Writes a line of the audit log that belongs to no other change.
    async fn note(&self, call: Call, event: Event) -> Result<(), StoreError> {
        self.store.write(Note { call, event }).await
    }

    fn known_realm(&self, id: Id<Environment>) -> Option<Arc<Realm>> {
        self.realms.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    fn remember_realm(&self, realm: Realm) -> Arc<Realm> {
        let realm = Arc::new(realm);
        let mut realms = self.realms.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(realms.entry(realm.environment).or_insert(realm))
    }
}

struct Note {
    call: Call,
    event: Event,
}

impl Work for Note {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        self.call.audit(tx, self.event.clone()).await
    }
}

/// One request as use cases see it: when, where and under which name it is logged.
#[derive(Clone)]
struct Call {
    environment: Id<Environment>,
    now: Timestamp,
    correlation: String,
    entropy: Arc<dyn Entropy>,
}

impl Call {
    fn new_id<T>(&self) -> Id<T> {
        Id::new(self.now, self.entropy.as_ref())
    }

    /// Writes a line of the audit log, in the transaction of what it tells.
    async fn audit(&self, tx: &mut Tx<'_>, event: Event) -> Result<(), StoreError> {
        let record = Record {
            id: self.new_id(),
            environment: self.environment,
            recorded_at: self.now,
            correlation: self.correlation.clone(),
            event,
        };
        audit::insert(tx, &record).await
    }
}
