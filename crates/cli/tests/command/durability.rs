//! A demo that is killed under load, again and again: what it has acknowledged is there at the next start.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use countersign_domain::user::Name;
use countersign_emulator::{Browser, Phone, PhoneConfig};
use countersign_protocol::{
    encoding,
    entropy::{SystemEntropy, random},
    jose,
    secret::Secret,
    time::SystemClock,
};
use countersign_server::{LimitSettings, Parts, PasswordSettings, Settings, app::NewUser, open};
use countersign_store::Settings as StoreSettings;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

const PASSWORD: &str = "a password of everybody";
const REDIRECT_URI: &str = "org.countersign.bank:/callback";

/// A running demo.
struct Demo {
    child: Child,
    /// Held open, because a demo that cannot print ends.
    _said: BufReader<ChildStdout>,
    bank: Bank,
}

/// What the demo says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bank {
    address: SocketAddr,
    issuer: String,
    native: String,
}

impl Demo {
    fn start(folder: &Path, listen: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["demo", "--listen", listen, "--folder"])
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("Stop it with Ctrl-C.") {
            assert_ne!(said.read_line(&mut text).unwrap(), 0, "the demo ended: {text}");
        }
        let word = |label: &str| {
            let rest = text.split_once(label).unwrap().1;
            rest.split_whitespace().next().unwrap().to_owned()
        };
        let address = word("listening on http://").trim_end_matches('.').parse().unwrap();
        let bank = Bank { address, issuer: word("  issuer "), native: word("  native app ") };
        Self { child, _said: said, bank }
    }

    /// As `kill -9` does: nothing is flushed, nobody is told.
    fn kill(mut self) -> Bank {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.bank.clone()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Nothing is left of it after `kill`; this is for a test that fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes users while nobody serves the folder.
async fn add_users(folder: &Path, bank: &Bank, names: &[String]) {
    let key = std::fs::read(folder.join("key-encryption.key")).unwrap();
    let mut settings = Settings::new(format!("http://{}", bank.address));
    settings.limits = LimitSettings::off();
    settings.passwords = PasswordSettings { memory_kib: 64, passes: 1, workers: 2, queue: 256 };
    let app = open(Parts {
        store: StoreSettings::new(database(folder)),
        key_encryption_key: Secret::new(key.try_into().unwrap()),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        settings,
    });
    let app = app.await.unwrap();
    let environment = bank.issuer.rsplit('/').nth(1).unwrap().parse().unwrap();
    for name in names {
        let new = NewUser {
            username: name.clone(),
            email: format!("{name}@bank.example"),
            name: Name::default(),
            population: None,
            password: Some(Secret::new(PASSWORD.to_owned())),
            mfa_enabled: Some(true),
        };
        app.create_user(environment, new).await.unwrap();
    }
    app.store().close().await;
}

fn database(folder: &Path) -> String {
    folder.join("countersign.db").display().to_string()
}

/// What the platform has said yes to.
#[derive(Default)]
struct Acknowledged {
    payloads: Vec<String>,
    codes: Vec<Code>,
    pairings: Vec<Pairing>,
}

/// A code that was redeemed, with what redeems it.
struct Code {
    session: Session,
    code: String,
}

/// A phone, and the device that it is.
struct Pairing {
    phone: Arc<Phone>,
    device: String,
}

/// One sign-on of the bank's app.
struct Session {
    browser: Browser,
    bank: Bank,
    verifier: String,
}

impl Session {
    fn new(bank: &Bank) -> Self {
        let browser = Browser::new(REDIRECT_URI, b"").unwrap();
        Self {
            browser,
            bank: bank.clone(),
            verifier: encoding::encode(random::<32>(&SystemEntropy)),
        }
    }

    async fn begin(&self, payload: &str) -> Option<Value> {
        let challenge = encoding::encode(jose::digest(&self.verifier));
        let parameters = [
            ("client_id", self.bank.native.as_str()),
            ("response_type", "code"),
            ("response_mode", "pi.flow"),
            ("redirect_uri", REDIRECT_URI),
            ("scope", "openid"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("mobilePayload", payload),
        ];
        self.browser.authorize(&self.bank.issuer, &parameters).await.ok()?.json().ok()
    }

    /// The code of a flow that needs nothing but the password.
    async fn code(&self, flow: &Value, username: &str) -> Option<String> {
        let credentials = json!({ "username": username, "password": PASSWORD });
        let media_type = "application/vnd.pingidentity.usernamePassword.check+json";
        let href = flow["_links"]["self"]["href"].as_str()?;
        let done = self.browser.action(href, media_type, &credentials).await.ok()?.json().ok()?;
        done["authorizeResponse"]["code"].as_str().map(str::to_owned)
    }

    async fn redeem(&self, code: &str) -> Option<Value> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("client_id", &self.bank.native),
            ("code_verifier", &self.verifier),
        ];
        self.browser.token(&self.bank.issuer, &fields).await.ok()
    }
}

/// One task: its phones, what was said yes to, and the count of that, which all tasks share.
struct Customer {
    bank: Bank,
    phones: std::path::PathBuf,
    progress: Arc<watch::Sender<usize>>,
    acknowledged: Acknowledged,
}

impl Customer {
    fn advance(&self) {
        self.progress.send_modify(|count| *count += 1);
    }

    /// Pairs a phone of each user and signs in with it, until the platform is gone.
    async fn run(mut self, users: Vec<String>) -> Acknowledged {
        for user in users {
            if self.serve(&user).await.is_none() {
                break;
            }
        }
        self.acknowledged
    }

    async fn serve(&mut self, user: &str) -> Option<()> {
        let (issuer, native) = (&self.bank.issuer, &self.bank.native);
        let config = PhoneConfig::new(user, &self.phones.join(user), issuer, native, b"");
        let phone = Arc::new(Phone::new(config.unwrap()).await.unwrap());
        let id_token = self.sign_in(user, &phone).await?;
        let offer = phone.sdk().process_id_token(&id_token).await.ok()?.unwrap();
        let device = offer.approve().await.ok()?.device;
        self.acknowledged.pairings.push(Pairing { phone: Arc::clone(&phone), device });
        self.advance();
        self.sign_in(user, &phone).await.map(drop)
    }

    async fn sign_in(&mut self, user: &str, phone: &Phone) -> Option<String> {
        let session = Session::new(&self.bank);
        let payload = phone.sdk().generate_mobile_payload().await.ok()?;
        let flow = session.begin(&payload).await?;
        assert_eq!(flow["status"], "USERNAME_PASSWORD_REQUIRED", "{flow}");
        self.acknowledged.payloads.push(payload);
        self.advance();
        let code = session.code(&flow, user).await?;
        let tokens = session.redeem(&code).await?;
        let id_token = tokens["id_token"].as_str().unwrap().to_owned();
        self.acknowledged.codes.push(Code { session, code });
        self.advance();
        Some(id_token)
    }
}

/// Four customers at once, until so much has been said yes to; then the demo dies.
async fn kill_under_load(demo: Demo, phones: &Path, round: usize, limit: usize) -> Acknowledged {
    let (progress, mut count) = watch::channel(0);
    let progress = Arc::new(progress);
    let mut tasks = JoinSet::new();
    for users in names(round).chunks(USERS) {
        let (bank, phones) = (demo.bank.clone(), phones.to_owned());
        let (progress, acknowledged) = (Arc::clone(&progress), Acknowledged::default());
        let customer = Customer { bank, phones, progress, acknowledged };
        tasks.spawn(customer.run(users.to_vec()));
    }
    count.wait_for(|count| *count >= limit).await.unwrap();
    demo.kill();
    let mut all = Acknowledged::default();
    for mut part in tasks.join_all().await {
        all.payloads.append(&mut part.payloads);
        all.codes.append(&mut part.codes);
        all.pairings.append(&mut part.pairings);
    }
    assert!(all.payloads.len() + all.codes.len() + all.pairings.len() >= limit);
    all
}

/// Asserts that each phone is known as what it was told to be.
async fn are_known(pairings: &[Pairing]) {
    for Pairing { phone, device } in pairings {
        let users = phone.sdk().info().await.unwrap();
        assert_eq!(users.len(), 1);
        assert_eq!(users[0].device.id, *device);
        assert_eq!(users[0].username.as_deref(), Some(phone.name()));
    }
}

async fn are_spent(payloads: &[String], codes: &[Code], bank: &Bank) {
    for Code { session, code } in codes {
        let again = session.redeem(code).await.unwrap();
        assert_eq!(again["error"], "invalid_grant", "{again}");
        assert_eq!(again["error_description"], "code was used already");
    }
    for payload in payloads {
        let again = Session::new(bank).begin(payload).await.unwrap();
        let message = again["details"][0]["message"].as_str().unwrap();
        assert!(message.contains("proof.jti was used already"), "{again}");
    }
}

fn assert_integrity(folder: &Path) {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(database(folder), flags).unwrap();
    let verdict = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0));
    assert_eq!(verdict, Ok("ok".to_owned()));
}

const CUSTOMERS: usize = 4;
const USERS: usize = 5;
/// After how many acknowledgements each round ends.
const LIMITS: [usize; 5] = [1, 9, 20, 33, 45];

fn names(round: usize) -> Vec<String> {
    (0..CUSTOMERS * USERS).map(|user| format!("user-{round}-{user}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_that_is_killed_under_load_forgets_nothing_that_it_acknowledged() {
    let (folder, phones) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bank = Demo::start(folder.path(), "127.0.0.1:0").kill();
    let listen = bank.address.to_string();
    for round in 0..LIMITS.len() {
        add_users(folder.path(), &bank, &names(round)).await;
    }
    let mut pairings = Vec::new();
    for (round, limit) in LIMITS.into_iter().enumerate() {
        let demo = Demo::start(folder.path(), &listen);
        assert_eq!(demo.bank, bank, "the same bank is served again");
        let mut acknowledged = kill_under_load(demo, phones.path(), round, limit).await;
        let demo = Demo::start(folder.path(), &listen);
        pairings.append(&mut acknowledged.pairings);
        are_known(&pairings).await;
        are_spent(&acknowledged.payloads, &acknowledged.codes, &bank).await;
        assert_integrity(folder.path());
        demo.kill();
    }
}

#[cfg(unix)]
#[test]
fn the_key_beside_the_data_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    Demo::start(folder.path(), "127.0.0.1:0").kill();
    for name in ["key-encryption.key", "countersign.db"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
