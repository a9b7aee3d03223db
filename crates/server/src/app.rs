//! The use cases. Each file is one; `App` holds what they share.

mod access_token;
mod activity;
mod add_authenticator;
mod add_own_device;
mod administer;
mod administrator;
mod admit;
mod advance_flow;
mod answer_challenge;
mod answer_offer;
mod application;
mod application_secret;
mod asked_device;
mod attempts;
mod authenticate_client;
mod authenticate_worker;
mod authentication_code;
mod authorize_device;
mod await_change;
mod challenge;
mod change_authenticator;
mod change_device;
mod change_own_device;
mod change_password;
mod change_push_address;
mod check_dpop;
mod check_passcode;
mod check_password;
mod check_readiness;
mod claim_code;
mod claim_pairing_key;
mod configure;
mod create_application;
mod create_environment;
mod create_user;
mod create_worker;
mod decide_device;
mod deliver_push;
mod deliver_subscription;
mod device;
mod enter_console;
mod environment;
mod examine;
mod examine_push;
mod exchange_code;
mod fault;
mod finish_flow;
mod group;
mod guesses;
mod holdings;
mod import_users;
mod installation;
mod introspect_token;
mod issue_client_token;
mod issue_tokens;
mod list_audit;
mod list_challenges;
mod lockout;
mod mfa_policy;
mod mfa_settings;
mod mobile_payload;
mod open_account;
mod origin;
mod outbox;
mod pair_installation;
mod pairing_key;
mod phone_sign_on;
mod population;
mod protected_resource;
mod push_credentials;
mod push_request;
mod read_account;
mod read_flow;
mod read_user_info;
mod realm;
mod realms;
mod receive_log;
mod recovery_codes;
mod redeem_device_code;
mod refresh_tokens;
mod resolve_request;
mod retain_audit;
mod revoke_token;
mod role_assignment;
mod rotate_keys;
mod run_flow;
mod scene;
mod seal_audit;
mod seen_device;
mod send_logout_token;
mod send_passcode;
mod session;
mod sign_off;
mod sign_on_policy;
mod sign_on_policy_assignment;
mod start_device_authentication;
mod start_flow;
mod subscription;
mod unpair_device;
mod unpair_installation;
mod user;
mod user_password;
mod user_session;
mod verify_audit;
mod verify_signed;
mod verify_user_code;
mod wake_for_others;
mod watch_challenges;
mod write_drawn;
mod write_payload;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicI64, Ordering},
};

use countersign_domain::{
    application::Application,
    audit::{Entry, Event, Mention, Mentionable, Record},
    environment::Environment,
    id::Id,
    outbox::{Content, Message},
    session::Lifetimes,
    user::User,
};
use countersign_protocol::{
    encoding,
    entropy::{Entropy, random},
    secret::Secret,
    time::{Clock, Timestamp},
};
use countersign_push::Gateways;
use countersign_store::{
    Store, StoreError, Tx, Work, application as applications, audit, outbox as messages,
    user as users,
};

pub(crate) use self::realms::MAC;
pub use self::{
    access_token::AccessToken,
    activity::Activity,
    add_authenticator::{ActivateError, NewAuthenticator, NewKind, Shown},
    add_own_device::AddOwnDeviceError,
    administer::AdministerError,
    administrator::{FIRST_ADMINISTRATOR, FirstPassword, OneTimePassword},
    advance_flow::{AdvanceError, AdvanceFlow, Choice},
    answer_challenge::AnswerError,
    application_secret::ApplicationSecret,
    attempts::MAX_COOKIE_CHARACTERS as MAX_KNOWN_BROWSER_CHARACTERS,
    authenticate_client::{ClientCredentials, ClientError},
    authenticate_worker::{Worker, WorkerError},
    authentication_code::{CodeError, CodeView, NewAuthenticationCode},
    authorize_device::{AuthorizeDevice, AuthorizeDeviceError, DeviceAuthorization},
    change_device::{ChangeDeviceError, DeviceChange},
    change_own_device::{ChangeOwnDevice, ChangeOwnDeviceError, OwnDeviceChange},
    change_password::{ChangePassword, ChangePasswordError},
    check_dpop::{DpopRefusal, ProvenRequest},
    check_passcode::{CheckPasscode, CheckPasscodeError, PasscodeOutcome},
    check_password::{CheckPassword, CheckPasswordError, PasswordOutcome},
    check_readiness::Unready,
    claim_code::ClaimError,
    configure::{Administered, Events, Listed, MAX_COUNT},
    create_application::{CreatedApplication, NewApplication},
    create_user::NewUser,
    create_worker::CreatedWorker,
    decide_device::{DecideDevice, DecideDeviceError, DeviceDecision},
    device::{DeviceEdit, Devices, OfUser},
    enter_console::Attendant,
    examine::Diagnosis,
    examine_push::{CredentialsFound, HealthFound, PushDiagnosis},
    exchange_code::{ExchangeCode, ExchangeError},
    fault::Fault,
    finish_flow::{Ending, describable, describe},
    import_users::Imported,
    installation::{DeviceCall, DeviceCallError},
    introspect_token::{IntrospectError, IntrospectToken, Introspection},
    issue_client_token::{ClientTokenError, IssueClientToken},
    issue_tokens::Tokens,
    list_audit::{AuditPage, AuditQuery, FilterTimeError},
    mfa_policy::NewMfaPolicy,
    open_account::{Destination, OpenAccount, OpenAccountError},
    origin::Origin,
    pair_installation::PairError,
    pairing_key::{NewPairingKey, PairingKeyError, PairingKeyView},
    phone_sign_on::ShownCode,
    push_credentials::{NewPushCredentials, PushCredentialsError},
    push_request::{PushError, PushRequest, Pushed},
    read_account::{Account, AccountView, AccountVisit, Offers, OwnDevice},
    read_flow::{Barred, Choosable, FlowHandle, FlowHolder, FlowView, ReadFlowError},
    read_user_info::{ReadUserInfoError, UserInfo},
    realm::Realm,
    redeem_device_code::{RedeemDeviceCode, RedeemDeviceCodeError},
    refresh_tokens::{RefreshError, RefreshTokens},
    revoke_token::{RevokeError, RevokeToken},
    rotate_keys::Rotation,
    seen_device::{SeenDevice, SeenKind},
    sign_off::{SignOff, SignOffError, SignedOff},
    sign_on_policy::NewSignOnPolicy,
    start_device_authentication::{StartDeviceAuthentication, StartDeviceAuthenticationError},
    start_flow::{StartError, StartFlow, Started},
    subscription::Headers,
    user_password::{PasswordState, TryPasswordError},
    verify_audit::{AuditFinding, AuditReport, VerifyAudit},
    verify_user_code::{UserCodeError, VerifyUserCode},
    wake_for_others::Heard,
    watch_challenges::{Sight, Watch, WatchError, Woken},
};
use self::{
    check_readiness::Readiness, deliver_subscription::Deliveries, guesses::Guesses, realms::Realms,
};
use crate::{
    client_keys::ClientKeys, hook::Hooks, keys::Vault, limits::Limits, mail::Mailer,
    outbound::Outbound, passwords::Passwords, settings::Settings, sockets::Sockets,
    telemetry::Metrics,
};

/// Everything that use cases share.
pub struct App {
    store: Store,
    vault: Vault,
    passwords: Passwords,
    outbound: Arc<Outbound>,
    gateways: OnceLock<Gateways>,
    client_keys: ClientKeys,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    settings: Settings,
    limits: Limits,
    realms: Realms,
    audit_heads: seal_audit::Heads,
    deliveries: Deliveries,
    user_code_guesses: Guesses,
    pairing_key_guesses: Guesses,
    metrics: Metrics,
    readiness: Readiness,
    sockets: Arc<Sockets>,
    mailer: Mailer,
    hooks: Hooks,
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
        let outbound = Arc::new(Outbound::new(settings.outbound.clone(), &settings.base_url));
        let client_keys = ClientKeys::new(Arc::clone(&outbound));
        let limits = Limits::new(&settings.limits, entropy.as_ref());
        let realms = Realms::default();
        let user_code_guesses = Guesses::new(settings.user_code_guesses);
        let pairing_key_guesses = Guesses::new(settings.pairing_key_guesses);
        let (metrics, readiness) = (Metrics::new(clock.now()), Readiness::default());
        let audit_heads = seal_audit::Heads::default();
        let deliveries = Deliveries::default();
        let sockets = Sockets::new(settings.sockets.most);
        let mailer = Mailer::new(settings.mail.clone());
        let hooks = Hooks::new(settings.hook.clone());
        Self {
            store,
            vault,
            passwords,
            outbound,
            gateways: OnceLock::new(),
            client_keys,
            clock,
            entropy,
            settings,
            limits,
            realms,
            audit_heads,
            deliveries,
            user_code_guesses,
            pairing_key_guesses,
            metrics,
            readiness,
            sockets,
            mailer,
            hooks,
        }
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Who may ask how often, and how many were refused.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The store, to sweep it and to ask whether it is well.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// What is counted of requests and workers.
    pub(crate) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The open sockets of phones.
    pub(crate) const fn sockets(&self) -> &Arc<Sockets> {
        &self.sockets
    }

    pub(crate) const fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// The push services. Made with the first message, since reading the system's authorities takes longer than starting.
    fn gateways(&self) -> Result<&Gateways, Fault> {
        if let Some(gateways) = self.gateways.get() {
            return Ok(gateways);
        }
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        let made = Gateways::new(self.settings.push.clone(), clock, entropy);
        let made = made.map_err(|error| Fault::broken(format!("the settings of push: {error}")))?;
        Ok(self.gateways.get_or_init(|| made))
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
        let mut origin = Origin::current();
        if !correlation.is_empty() {
            correlation.clone_into(&mut origin.correlation);
        }
        let (now, entropy) = (self.now(), Arc::clone(&self.entropy));
        let sessions = self.settings.sessions;
        Call { environment, now, origin, entropy, sessions, audited: Arc::default() }
    }

    /// Writes a line of the audit log that belongs to no other change.
    async fn note(&self, call: Call, event: Event) -> Result<(), StoreError> {
        self.store.write(Note { call, event }).await
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

/// One request as use cases see it: when it came and from where.
#[derive(Clone)]
pub struct Call {
    environment: Id<Environment>,
    now: Timestamp,
    origin: Origin,
    entropy: Arc<dyn Entropy>,
    sessions: Lifetimes,
    /// How many lines of the audit log it has written. Each is as if a microsecond later than the one before, so that the log
    /// keeps their order.
    audited: Arc<AtomicI64>,
}

impl Call {
    fn new_id<T>(&self) -> Id<T> {
        Id::new(self.now, self.entropy.as_ref())
    }

    /// Writes a line of the audit log, in the transaction of what it tells. Names that the event does not know are read.
    async fn audit(&self, tx: &mut Tx<'_>, event: Event) -> Result<(), StoreError> {
        let application = self.application(tx, event.application).await?;
        let user = self.user(tx, event.user).await?;
        let Origin { correlation, source, by } = self.origin.clone();
        let event = Event { application, user, ..event };
        let entry = Entry { recorded_at: self.now, correlation, source, by, event };
        let place = self.now.plus_micros(self.audited.fetch_add(1, Ordering::Relaxed));
        let id = Id::new(place, self.entropy.as_ref());
        let record = Record { id, environment: self.environment, entry };
        audit::insert(tx, &record).await
    }

    async fn application(
        &self,
        tx: &mut Tx<'_>,
        mention: Option<Mention<Application>>,
    ) -> Result<Option<Mention<Application>>, StoreError> {
        let Some(Mention { id, name: None }) = mention else { return Ok(mention) };
        let found = applications::load(tx, self.environment, id).await?;
        Ok(found.map_or_else(|| id.mention(), |found| (&*found).mention()))
    }

    async fn user(
        &self,
        tx: &mut Tx<'_>,
        mention: Option<Mention<User>>,
    ) -> Result<Option<Mention<User>>, StoreError> {
        let Some(Mention { id, name: None }) = mention else { return Ok(mention) };
        let found = users::load(tx, self.environment, id).await?;
        Ok(found.map_or_else(|| id.mention(), |found| (&*found).mention()))
    }

    /// Leaves a message to be sent once this transaction is committed.
    async fn send(&self, tx: &mut Tx<'_>, content: Content) -> Result<(), StoreError> {
        let message = Message {
            id: self.new_id(),
            environment: self.environment,
            correlation: self.origin.correlation.clone(),
            created_at: self.now,
            content,
        };
        messages::insert(tx, &message).await
    }
}
