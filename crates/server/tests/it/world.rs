//! A world for one test: the real router over a real database, a clock that the test moves, and the people in it.

pub mod administrator;
mod authentication_code;
mod backend;
mod bank;
mod browser;
mod chromium;
mod client;
#[macro_use]
mod engines;
mod hook;
mod pairing_key;
mod phone;
mod push_service;
mod receiver;
mod scene;
mod signer;
#[macro_use]
mod snapshot;
mod time;
mod wire;

use std::sync::Arc;

use countersign_domain::{
    application::{Application, GrantType, RefreshRules},
    audit::Record,
    id::Id,
    lockout::Limit,
    mfa_policy::{DeviceAuthorization, ExtraVerification},
    mfa_settings::MfaSettings,
    user::User,
};
use countersign_protocol::{entropy::Entropy, secret::Secret, time::Clock};
use countersign_sdk::{PairingInfo, Transport, key_store::MemoryKeyStore};
use countersign_server::{
    LimitSettings, OutboundSettings, Parts, PasswordSettings, ResealError, Settings, app::App,
    open, reseal, router,
};
use countersign_store::{Engine, Settings as StoreSettings};

use self::time::{Seeded, SetClock};
pub use self::{
    authentication_code::ShownCode,
    backend::{Authentication, Backend},
    bank::{Bank, MFA_BYPASS, PASSWORD, SITE_ADDRESS, Step},
    browser::{Browser, Page},
    chromium::Chromium,
    client::{Client, NATIVE_ADDRESS, SignOn, Tokens, basic, claims},
    hook::{Hook, Told},
    phone::{Phone, WithoutPerson},
    push_service::PushWorld,
    receiver::{Behaviour, Receiver},
    scene::{Scene, is_browser_skipped},
    signer::{KeyPage, by_key, by_secret, key_set, proof, thumbprint},
    snapshot::named_ids,
    time::START,
    wire::{Answer, FORM, JSON, Members, Wire, get, post, request, with},
};
use crate::database::Database;

/// Where the server of most worlds says that it is.
pub const HTTPS: &str = "https://id.example";

/// Everything that a test plays with. Made with an environment in which `ann` has a password, a native app is trusted
/// as an authenticator, and a web site is not.
pub struct World {
    pub server: Arc<App>,
    pub wire: Wire,
    pub bank: Bank,
    settings: Settings,
    clock: Arc<SetClock>,
    entropy: Arc<Seeded>,
    key_encryption_key: Secret<[u8; 32]>,
    database: Database,
}

impl World {
    pub async fn new() -> Self {
        Self::on(Engine::Sqlite).await
    }

    pub async fn on(engine: Engine) -> Self {
        Self::at(HTTPS, engine).await
    }

    /// A server that browsers reach at this address.
    pub async fn at(base_url: &str, engine: Engine) -> Self {
        Self::with(settings(base_url), engine).await
    }

    /// A server with these limits. All other worlds have none, since time stands still in them.
    pub async fn limited(limits: LimitSettings) -> Self {
        Self::with(Settings { limits, ..settings(HTTPS) }, Engine::Sqlite).await
    }

    /// A server with other settings.
    pub async fn with_settings(engine: Engine, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings(HTTPS);
        change(&mut settings);
        Self::with(settings, engine).await
    }

    pub async fn with(settings: Settings, engine: Engine) -> Self {
        Self::at_time(settings, engine, Arc::new(SetClock::new(START))).await
    }

    /// A world whose clock others share.
    async fn at_time(settings: Settings, engine: Engine, clock: Arc<SetClock>) -> Self {
        let database = Database::new(engine).await;
        let entropy = Arc::new(Seeded::new(1));
        let key_encryption_key = Secret::new([7; 32]);
        let parts = (&clock, &entropy, &key_encryption_key);
        let server = serve(&settings, &database, parts).await;
        let wire = Wire::new(router(Arc::clone(&server)));
        let bank = Bank::open(&server, "Bank").await;
        Self { server, wire, bank, settings, clock, entropy, key_encryption_key, database }
    }

    /// Another node over the same database, which must be PostgreSQL.
    pub async fn another_node(&self) -> (Arc<App>, Wire) {
        let parts = (&self.clock, &self.entropy, &self.key_encryption_key);
        let server = serve(&self.settings, &self.database, parts).await;
        let wire = Wire::new(router(Arc::clone(&server)));
        (server, wire)
    }

    /// The same data under a new server.
    pub async fn restart(&mut self) {
        self.server.store().close().await;
        (self.server, self.wire) = self.another_node().await;
    }

    /// What the operator takes for the key-encryption key.
    pub fn key_is(&mut self, key: [u8; 32]) {
        self.key_encryption_key = Secret::new(key);
    }

    /// Stops the server, encrypts everything under another key-encryption key, and starts again. Returns how many ciphertexts
    /// were changed.
    pub async fn reseal(&mut self, new: [u8; 32]) -> Result<u64, ResealError> {
        self.server.store().close().await;
        let (settings, new) = (StoreSettings::new(self.database.url()), Secret::new(new));
        let entropy = Arc::<Seeded>::clone(&self.entropy);
        let changed = reseal(&settings, (&self.key_encryption_key, &new), entropy).await?;
        self.key_encryption_key = new;
        (self.server, self.wire) = self.another_node().await;
        Ok(changed)
    }

    /// The audit records of an action, the oldest first.
    pub async fn audit_of(&self, action: &str) -> Vec<Record> {
        let environment = self.bank.environment.id;
        let records = self.server.list_audit(environment, None, 1_000).await.unwrap();
        let mut found: Vec<_> = records
            .into_iter()
            .filter(|record| record.entry.event.action.name() == action)
            .collect();
        found.sort_by_key(|record| record.id);
        found
    }

    /// Changes the bank's app, as no use case does yet.
    pub async fn change_native(&self, change: impl FnOnce(&mut Application)) {
        let mut native = self.bank.native.clone();
        change(&mut native);
        self.server.store().write(bank::Replace(native)).await.unwrap();
    }

    /// Lets people sign on at the web site by a code that the bank's app reads.
    pub async fn offer_phone_sign_on(&self) {
        let mut site = self.bank.site.clone();
        site.oidc.phone_sign_on = Some(self.bank.native.id);
        self.server.store().write(bank::Replace(site)).await.unwrap();
    }

    /// Changes an application, as no use case does yet.
    pub async fn change_application(&self, id: Id<Application>, by: fn(&mut Application)) {
        let change = bank::Change { environment: self.bank.environment.id, id, by };
        self.server.store().write(change).await.unwrap();
    }

    /// Lets paired phones be asked for an answer to a silent push.
    pub async fn verify_by_silent_push(&mut self, mode: ExtraVerification) {
        let extra_verification = Some(mode);
        self.bank
            .change_mfa_policy(&self.server, |policy| {
                policy.mobile.applications[0].device_authorization =
                    Some(DeviceAuthorization { extra_verification });
            })
            .await;
    }

    /// Lets so many failures over all devices lock the MFA of a user.
    pub async fn lock_accounts_after(&self, failures: u8) {
        let lockout = Some(Limit { failures, lock_seconds: 600 });
        let settings = MfaSettings { lockout, ..MfaSettings::default() };
        self.server.put_mfa_settings(self.bank.environment.id, settings).await.unwrap();
    }

    /// Ends the world and removes what it kept.
    pub async fn end(self) {
        self.server.store().close().await;
        self.database.remove().await;
    }

    pub fn advance(&self, seconds: i64) {
        self.clock.advance(seconds);
    }

    pub fn issuer(&self) -> String {
        format!("{}/{}/as", self.settings.base_url, self.bank.environment.id)
    }

    /// An address in the environment: `/signon`.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{}{path}", self.settings.base_url, self.bank.environment.id)
    }

    /// Somebody with everybody's password.
    pub async fn user(&self, username: &str) -> User {
        self.bank.user(&self.server, username).await
    }

    /// The bank's app, which draws its own screens.
    pub fn app(&self) -> Client {
        self.client(&self.bank.native.id.to_string(), NATIVE_ADDRESS)
    }

    /// A web site of the bank that renews its tokens by these rules.
    pub async fn refreshing_site(&self, rules: RefreshRules) -> Client {
        let site = self.bank.unusual_site(&self.server, |site| {
            site.grant_types.push(GrantType::RefreshToken);
            site.oidc.refresh = rules;
        });
        self.client(&site.await.id.to_string(), SITE_ADDRESS)
    }

    /// A worker application of the bank.
    pub async fn worker(&self) -> Client {
        let created = self.bank.worker(&self.server).await;
        self.client(&created.application.id.to_string(), SITE_ADDRESS).with_secret(&created)
    }

    /// The bank's web site, which shows the hosted pages.
    pub fn site(&self) -> Client {
        self.client(&self.bank.site.id.to_string(), SITE_ADDRESS)
    }

    /// A client that is registered as this.
    pub fn client(&self, client_id: &str, redirect_uri: &str) -> Client {
        Client::new(self.browser(), &self.issuer(), client_id, redirect_uri)
    }

    /// A browser without cookies.
    pub fn browser(&self) -> Browser {
        Browser::new(self.wire.clone(), &self.settings.base_url)
    }

    /// A phone with the bank's app, fresh from the store.
    pub async fn phone(&self) -> Phone {
        self.phone_by(Arc::new(self.wire.clone())).await
    }

    /// A phone with another way to the server.
    pub async fn phone_by(&self, transport: Arc<dyn Transport>) -> Phone {
        let clock: Arc<dyn Clock> = Arc::<SetClock>::clone(&self.clock);
        let entropy = Arc::<Seeded>::clone(&self.entropy);
        let application = self.bank.native.id.to_string();
        Phone::new(transport, (clock, entropy), &self.issuer(), &application).await
    }

    /// A phone that has no way to verify its person.
    pub async fn phone_without_verification(&self) -> Phone {
        let clock: Arc<dyn Clock> = Arc::<SetClock>::clone(&self.clock);
        let entropy: Arc<dyn Entropy> = Arc::<Seeded>::clone(&self.entropy);
        let keys = Arc::new(WithoutPerson(MemoryKeyStore::new(Arc::clone(&entropy))));
        let (wire, application) = (Arc::new(self.wire.clone()), self.bank.native.id.to_string());
        Phone::holding(keys, wire, (clock, entropy), &self.issuer(), &application).await
    }

    /// Another app of the bank, and a phone with it that vouches for bob.
    pub async fn phone_with_another_app(&mut self) -> (Phone, Application) {
        let other = self.bank.another_native(&self.server).await;
        let own = std::mem::replace(&mut self.bank.native, other);
        self.user("bob").await;
        let phone = self.phone_paired_to("bob").await;
        (phone, std::mem::replace(&mut self.bank.native, own))
    }

    /// A phone that vouches for a user, whose first passcode is there to be used.
    pub async fn phone_paired_to(&self, username: &str) -> Phone {
        let phone = self.phone().await;
        self.pair(&phone, username).await;
        // The passcode of the moment of the pairing never counts.
        self.advance(30);
        phone
    }

    /// Signs a user in on a phone, and approves the offer to pair it.
    pub async fn pair(&self, phone: &Phone, username: &str) -> PairingInfo {
        let sign_on = self.sign_in_on(phone, username).await;
        phone.approve(&sign_on.tokens().await).await
    }

    /// Pairs another phone of somebody who then must give a passcode of the first one.
    pub async fn pair_beside(&self, first: &Phone, phone: &Phone, username: &str) {
        let mut sign_on = self.sign_in_on(phone, username).await;
        sign_on.passcode(&first.passcode()).await.must_be(200);
        phone.approve(&sign_on.tokens().await).await;
        self.advance(30);
    }

    /// Signs a user in by password, in the app on a phone.
    pub async fn sign_in_on(&self, phone: &Phone, username: &str) -> SignOn {
        let payload = phone.sdk.generate_mobile_payload().await.unwrap();
        let request = self.app().request().with("mobilePayload", &payload);
        let mut sign_on = self.app().begin_with(request).await;
        sign_on.password(username, PASSWORD).await.must_be(200);
        sign_on
    }
}

fn settings(base_url: &str) -> Settings {
    // Clients of the tests publish their keys on this machine, and are told there of logouts.
    let outbound = OutboundSettings { private_addresses: true, ..OutboundSettings::default() };
    Settings { limits: LimitSettings::off(), outbound, ..Settings::new(base_url) }
}

async fn serve(
    settings: &Settings,
    database: &Database,
    (clock, entropy, key): (&Arc<SetClock>, &Arc<Seeded>, &Secret<[u8; 32]>),
) -> Arc<App> {
    let passwords = PasswordSettings { memory_kib: 64, passes: 1, workers: 1, queue: 8 };
    open(Parts {
        store: StoreSettings { connections: 4, ..StoreSettings::new(database.url()) },
        key_encryption_key: key.clone(),
        clock: Arc::<SetClock>::clone(clock),
        entropy: Arc::<Seeded>::clone(entropy),
        settings: Settings { passwords, audit_seal_batch: 4, ..settings.clone() },
    })
    .await
    .unwrap()
}
