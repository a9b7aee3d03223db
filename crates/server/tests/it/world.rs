//! A world for one test: the real router over a real database, a clock that the test moves, and the people in it.

mod bank;
mod browser;
mod client;
#[macro_use]
mod engines;
mod phone;
#[macro_use]
mod snapshot;
mod time;
mod wire;

use std::sync::Arc;

use countersign_domain::user::User;
use countersign_protocol::{secret::Secret, time::Clock};
use countersign_sdk::PairingInfo;
use countersign_server::{Parts, PasswordSettings, Settings, app::App, open, router};
use countersign_store::{Engine, Settings as StoreSettings};

use self::time::{Seeded, SetClock};
pub use self::{
    bank::{Bank, MFA_BYPASS, PASSWORD, SITE_ADDRESS, Step},
    browser::{Browser, Page},
    client::{Client, NATIVE_ADDRESS, SignOn, basic},
    phone::Phone,
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
    base_url: String,
    clock: Arc<SetClock>,
    entropy: Arc<Seeded>,
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
        let database = Database::new(engine).await;
        let clock = Arc::new(SetClock::new(START));
        let entropy = Arc::new(Seeded::new(1));
        let server = serve(&database, base_url, &clock, &entropy).await;
        let wire = Wire::new(router(Arc::clone(&server)));
        let bank = Bank::open(&server, "Bank").await;
        Self { server, wire, bank, base_url: base_url.to_owned(), clock, entropy, database }
    }

    /// The same data under a new server, which knows nothing but them.
    pub async fn restart(&mut self) {
        self.server.store().close().await;
        self.server = serve(&self.database, &self.base_url, &self.clock, &self.entropy).await;
        self.wire = Wire::new(router(Arc::clone(&self.server)));
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
        format!("{}/{}/as", self.base_url, self.bank.environment.id)
    }

    /// An address in the environment: `/signon`.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{}{path}", self.base_url, self.bank.environment.id)
    }

    /// Somebody with everybody's password.
    pub async fn user(&self, username: &str) -> User {
        self.bank.user(&self.server, username).await
    }

    /// The bank's app, which draws its own screens.
    pub fn app(&self) -> Client {
        self.client(&self.bank.native.id.to_string(), NATIVE_ADDRESS)
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
        Browser::new(self.wire.clone(), &self.base_url)
    }

    /// A phone with the bank's app, fresh from the store.
    pub async fn phone(&self) -> Phone {
        let clock: Arc<dyn Clock> = Arc::<SetClock>::clone(&self.clock);
        let entropy = Arc::<Seeded>::clone(&self.entropy);
        let application = self.bank.native.id.to_string();
        Phone::new(self.wire.clone(), (clock, entropy), &self.issuer(), &application).await
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

async fn serve(
    database: &Database,
    base_url: &str,
    clock: &Arc<SetClock>,
    entropy: &Arc<Seeded>,
) -> Arc<App> {
    let passwords = PasswordSettings { memory_kib: 64, passes: 1, workers: 1, queue: 8 };
    let parts = Parts {
        store: StoreSettings { connections: 4, ..StoreSettings::new(database.url()) },
        key_encryption_key: Secret::new([7; 32]),
        clock: Arc::<SetClock>::clone(clock),
        entropy: Arc::<Seeded>::clone(entropy),
        settings: Settings { passwords, audit_seal_batch: 4, ..Settings::new(base_url) },
    };
    open(parts).await.unwrap()
}
