//! A server on loopback over a database of its own, with a bank in it, and the requests that apps and phones send.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use countersign_domain::{
    application::{GrantType, Kind, Mobile, Oidc, TokenEndpointAuthMethod},
    audit::{Action, Record},
    device::Device,
    environment::Environment,
    id::Id,
    lockout::Limit,
    mfa_policy::{
        CodeRules, DEFAULT_PAIRING_KEY_LIFE_SECONDS, DeviceAuthorization, DeviceSelection,
        MfaPolicy, Mobile as MobileMethod, MobileApplication, PushRules,
    },
    pairing::{State, Ticket},
    sign_on_policy::{ActionKind, NoDevicesMode},
    user::{Name, User},
};
use countersign_protocol::{
    encoding,
    entropy::{Entropy, SystemEntropy, random},
    jose::{self, Algorithm},
    secret::Secret,
    time::{Clock, Timestamp},
};
use countersign_server::{
    LimitSettings, Parts, PasswordSettings, Server, Settings,
    app::{App, NewApplication, NewMfaPolicy, NewSignOnPolicy, NewUser},
    open,
};
use countersign_store::{Settings as StoreSettings, StoreError, Tx, Work, pairing as tickets};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{database::Database, draft::Phone};

/// 2026-01-05T09:00:00Z.
const BEGINNING: Timestamp = Timestamp::from_unix_seconds(1_767_603_600);
/// What the server calls itself; requests go to the port that it happens to have.
const BASE_URL: &str = "https://id.example";
const REDIRECT_URI: &str = "org.bank.app:/callback";
const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters";
const PASSWORD: &str = "correct horse battery staple";

/// Time as the test says.
pub struct TestClock(AtomicI64);

impl TestClock {
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        BEGINNING.plus_seconds(self.0.load(Ordering::SeqCst))
    }
}

/// The server, its clock, and the bank.
pub struct World {
    pub clock: Arc<TestClock>,
    pub bank: Bank,
    server: Server,
    client: Client,
    database: String,
    key_encryption_key: Secret<[u8; 32]>,
}

/// Ids of what an administrator has set up.
#[derive(Clone)]
pub struct Bank {
    pub environment: Id<Environment>,
    pub native: String,
    pub mfa_policy: MfaPolicy,
}

impl World {
    pub async fn new(database: &Database) -> Self {
        let clock = Arc::new(TestClock(AtomicI64::new(0)));
        let key_encryption_key = Secret::new(random(&SystemEntropy));
        let server = serve(&database.url(), &key_encryption_key, &clock).await;
        let bank = set_up(server.app(), "Bank").await;
        let client = Client::builder().no_proxy().build().unwrap();
        let database = database.url();
        Self { clock, bank, server, client, database, key_encryption_key }
    }

    /// The same data under a new server.
    pub async fn restart(self) -> Self {
        let Self { server, database, key_encryption_key, clock, .. } = self;
        server.stop().await;
        let server = serve(&database, &key_encryption_key, &clock).await;
        Self { clock, server, database, key_encryption_key, ..self }
    }

    pub fn app(&self) -> &Arc<App> {
        self.server.app()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Another tenant of the same server.
    pub async fn another_bank(&self) -> Bank {
        set_up(self.app(), "Another bank").await
    }

    pub async fn user(&self, username: &str) -> User {
        let new = NewUser {
            username: username.to_owned(),
            email: format!("{username}@bank.example"),
            name: Name::default(),
            population: None,
            password: Some(Secret::new(PASSWORD.to_owned())),
            mfa_enabled: Some(true),
            ..NewUser::default()
        };
        self.app().create_user(self.bank.environment, new).await.unwrap()
    }

    pub async fn devices(&self, user: &User) -> Vec<Device> {
        self.app().list_devices(user.environment, user.id).await.unwrap()
    }

    /// The whole audit log.
    pub async fn audit(&self) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        loop {
            let after = records.last().map(|record| record.id);
            let page = self.app().list_audit(self.bank.environment, after, 1_000).await.unwrap();
            if page.is_empty() {
                return records;
            }
            records.extend(page);
        }
    }

    /// How often something was done.
    pub async fn count(&self, action: Action) -> usize {
        self.audit().await.iter().filter(|record| record.event.action == action).count()
    }

    pub async fn nonce(&self) -> String {
        let answer = self.get(&format!("{}/nonce", self.bank.device_base())).await;
        answer.text("/nonce")
    }

    fn request(&self, post: bool, url: &str) -> RequestBuilder {
        let path = url.strip_prefix(BASE_URL).unwrap();
        let url = format!("http://{}{path}", self.server.address());
        if post { self.client.post(url) } else { self.client.get(url) }
    }

    pub async fn get(&self, url: &str) -> Answer {
        Answer::of(self.request(false, url)).await
    }

    /// Posts a body as it is.
    pub async fn post(&self, url: &str, media_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        let request = self.request(true, url).header("Content-Type", media_type);
        Answer::of(request.body(body.into())).await
    }

    /// Posts a body without saying what it is.
    pub async fn post_unnamed(&self, url: &str, body: impl Into<Vec<u8>>) -> Answer {
        Answer::of(self.request(true, url).body(body.into())).await
    }

    /// Begins a flow of the bank's app.
    pub async fn authorize(&self, payload: Option<&str>) -> Answer {
        let challenge = encoding::encode(jose::digest(VERIFIER));
        let mut form = vec![
            ("client_id", self.bank.native.as_str()),
            ("response_type", "code"),
            ("response_mode", "pi.flow"),
            ("redirect_uri", REDIRECT_URI),
            ("scope", "openid"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        form.extend(payload.map(|payload| ("mobilePayload", payload)));
        let url = format!("{}/authorize", self.bank.issuer());
        Answer::of(self.request(true, &url).form(&form)).await
    }

    /// Sends an action to the flow that `begun` shows.
    pub async fn act(&self, begun: &Answer, action: &str, body: &Value) -> Answer {
        let media_type = format!("application/vnd.pingidentity.{action}+json");
        let request = self.request(true, &begun.text("/_links/self/href"));
        let request = request.header("Content-Type", media_type).header("Cookie", &begun.cookie);
        Answer { cookie: begun.cookie.clone(), ..Answer::of(request.body(body.to_string())).await }
    }

    /// Begins a flow and gives the password: where it waits, or how it ended.
    pub async fn password(&self, username: &str, payload: Option<&str>) -> Answer {
        let begun = self.authorize(payload).await;
        let credentials = json!({ "username": username, "password": PASSWORD });
        self.act(&begun, "usernamePassword.check", &credentials).await
    }

    pub async fn redeem(&self, code: &str) -> Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("client_id", &self.bank.native),
            ("code_verifier", VERIFIER),
        ];
        let url = format!("{}/token", self.bank.issuer());
        Answer::of(self.request(true, &url).form(&form)).await
    }

    pub async fn user_info(&self, access_token: &str) -> Answer {
        let url = format!("{}/userinfo", self.bank.issuer());
        Answer::of(self.request(false, &url).bearer_auth(access_token)).await
    }

    /// What the ID token of a finished flow says about pairing.
    pub async fn pairing_claim(&self, finished: &Answer) -> Value {
        let tokens = self.redeem(&finished.text("/authorizeResponse/code")).await;
        let id_token = tokens.text("/id_token");
        let claims = encoding::decode(id_token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        claims["countersign_pairing"].clone()
    }

    /// The ticket that a user gets who signs in on an unpaired phone, and has no device yet.
    pub async fn ticket(&self, username: &str, phone: &Phone) -> String {
        let payload = phone.payload(self).sign();
        let finished = self.password(username, Some(&payload)).await;
        let claim = self.pairing_claim(&finished).await;
        assert_eq!(claim["status"], "offered", "{claim}");
        claim["ticket"].as_str().unwrap().to_owned()
    }

    /// Pairs a phone to a user who has no device yet.
    pub async fn paired(&self, username: &str) -> Phone {
        let phone = Phone::new();
        let ticket = self.ticket(username, &phone).await;
        let nonce = self.nonce().await;
        let proof = phone.pairing(self, &nonce, &ticket).sign();
        let answer = self.prove("/pairings", &proof).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        phone
    }

    /// Phones that may each be paired to this user, as the token endpoint offers it after a multi-factor sign-on.
    pub async fn phones_with_tickets(&self, user: &User, count: usize) -> Vec<(Phone, String)> {
        let realm = self.app().realm(self.bank.environment).await.unwrap().unwrap();
        let (mut offers, mut phones) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (phone, id, secret) = (Phone::new(), self.app().new_id(), random(&SystemEntropy));
            offers.push(Ticket {
                id,
                environment: self.bank.environment,
                user: user.id,
                application: self.bank.native.parse().unwrap(),
                key: phone.key.public(),
                mfa_policy: self.bank.mfa_policy.id,
                multi_factor: true,
                secret_hash: realm.ticket_hash(id, &secret),
                issued_at: self.now(),
                state: State::Open,
            });
            phones.push((phone, realm.ticket_value(id, &secret).expose().clone()));
        }
        self.app().store().write(Offer(offers)).await.unwrap();
        phones
    }

    /// Sends a proof to the device API.
    pub async fn prove(&self, path: &str, proof: &str) -> Answer {
        let url = format!("{}{path}", self.bank.device_base());
        self.post(&url, "application/json", json!({ "proof": proof }).to_string()).await
    }
}

struct Offer(Vec<Ticket>);

impl Work for Offer {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        for ticket in &self.0 {
            tickets::insert(tx, ticket).await?;
        }
        Ok(())
    }
}

async fn serve(database: &str, key: &Secret<[u8; 32]>, clock: &Arc<TestClock>) -> Server {
    let mut settings = Settings::new(BASE_URL);
    settings.limits = LimitSettings::off();
    settings.passwords = PasswordSettings { memory_kib: 64, passes: 1, workers: 2, queue: 256 };
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let app = open(Parts {
        store: StoreSettings::new(database),
        key_encryption_key: key.clone(),
        clock: Arc::<TestClock>::clone(clock),
        entropy,
        settings,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Server::start(app.await.unwrap(), listener).unwrap()
}

async fn set_up(app: &App, name: &str) -> Bank {
    let environment = app.create_environment(name).await.unwrap().id;
    let native = NewApplication {
        name: "Bank app".to_owned(),
        kind: Kind::Native,
        token_endpoint_auth_method: TokenEndpointAuthMethod::None,
        grant_types: vec![GrantType::AuthorizationCode],
        redirect_uris: vec![REDIRECT_URI.to_owned()],
        id_token_algorithm: Algorithm::Es256,
        oidc: Oidc::default(),
        mobile: Some(Mobile { package_name: Some("org.bank.app".to_owned()), ..Mobile::default() }),
    };
    let native = app.create_application(environment, native).await.unwrap().application.id;
    let rules = MobileApplication {
        application: native,
        passcode_enabled: true,
        device_authorization: Some(DeviceAuthorization { extra_verification: None }),
        auto_enrollment: true,
        codes: CodeRules::default(),
        pairing_disabled: false,
        pairing_key_life_seconds: DEFAULT_PAIRING_KEY_LIFE_SECONDS,
        push: PushRules::default(),
    };
    let mobile = MobileMethod {
        enabled: true,
        passcode_limit: Limit { failures: 3, lock_seconds: 120 },
        applications: vec![rules],
    };
    let device_selection = DeviceSelection::DefaultToFirst;
    let policy = NewMfaPolicy { name: "Bank MFA".to_owned(), mobile, device_selection };
    let mfa_policy = app.create_mfa_policy(environment, policy).await.unwrap();
    let mfa = ActionKind::MultiFactorAuthentication {
        mfa_policy: Some(mfa_policy.id),
        no_devices_mode: NoDevicesMode::Bypass,
    };
    let steps = vec![ActionKind::Login, mfa];
    let policy = NewSignOnPolicy { name: "Trusted_Phone".to_owned(), steps };
    let policy = app.create_sign_on_policy(environment, policy).await.unwrap().id;
    app.assign_sign_on_policy(environment, native, policy, 1).await.unwrap();
    Bank { environment, native: native.to_string(), mfa_policy }
}

impl Bank {
    pub fn issuer(&self) -> String {
        format!("{BASE_URL}/{}/as", self.environment)
    }

    pub fn device_base(&self) -> String {
        format!("{BASE_URL}/{}/device/v1", self.environment)
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub body: String,
    cookie: String,
}

impl Answer {
    async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let status = response.status();
        let cookie = response.headers().get("Set-Cookie");
        let cookie = cookie.and_then(|cookie| cookie.to_str().unwrap().split(';').next());
        let cookie = cookie.unwrap_or_default().to_owned();
        Self { status, body: response.text().await.unwrap(), cookie }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The text at this place.
    pub fn text(&self, pointer: &str) -> String {
        let json = self.json();
        let text = json.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("no text at {pointer}: {self:?}")).to_owned()
    }

    /// Asserts an error of the envelope, and gives its detail: code, target and message.
    #[track_caller]
    pub fn refusal(&self, status: u16, code: &str) -> (String, String, String) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.text("/code"), code, "{self:?}");
        let json = self.json();
        let detail = |name: &str| {
            let text = json.pointer(&format!("/details/0/{name}")).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        (detail("code"), detail("target"), detail("message"))
    }
}

/// Runs each of these `async fn name(world: World)` on both engines.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(on_engine!($name, countersign_store::Engine::Sqlite);)*
        }
        mod postgres {
            $(on_engine!($name, countersign_store::Engine::Postgres);)*
        }
    };
}

/// Runs `async fn name(world: World)` on one engine.
macro_rules! on_engine {
    ($name:ident, $engine:expr) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            if !$crate::database::is_skipped($engine) {
                let database = $crate::database::Database::new($engine).await;
                super::$name($crate::world::World::new(&database).await).await;
                database.remove().await;
            }
        }
    };
}
