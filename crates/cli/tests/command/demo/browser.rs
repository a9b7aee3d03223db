//! The things to try, done in two windows of a real browser: the bank in one, phones in the other.

#[path = "../../../../server/tests/it/world/chromium.rs"]
mod chromium;

use std::{fs, path::Path};

use serde_json::json;

use self::chromium::Chromium;
use super::{Demo, PASSWORD};

/// Both windows.
struct Windows {
    demo: Demo,
    bank: Chromium,
    phone: Chromium,
}

#[expect(clippy::disallowed_methods, reason = "the test harness reads the environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn is_skipped(part: &str) -> bool {
    let skipped = environment("COUNTERSIGN_TEST_SKIP").unwrap_or_default();
    skipped.split(',').any(|skipped| skipped == part)
}

/// The source of axe-core, which is installed with the libraries of other languages; none where those are left out.
fn axe() -> Option<String> {
    let path = "../../interop/node/node_modules/axe-core/axe.min.js";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let read = || fs::read_to_string(&path).expect("axe-core, which `cargo xtask test` installs");
    (!is_skipped("interop")).then(read)
}

/// Waits until something is true of a page that changes by itself.
async fn comes(window: &mut Chromium, expression: &str) {
    let watch = format!(
        "new Promise((done, fail) => {{\
           setTimeout(() => fail(new Error(document.body.innerText)), 30000);\
           const look = () => {{ if ({expression}) done(true); }};\
           const what = {{ childList: true, subtree: true, attributes: true, characterData: true }};\
           new MutationObserver(look).observe(document, what); look(); }})"
    );
    window.evaluate(&watch).await;
}

async fn says(window: &mut Chromium, text: &str) {
    comes(window, &format!("document.body.innerText.includes({})", json!(text))).await;
}

async fn click(window: &mut Chromium, selector: &str) {
    window.evaluate(&format!("document.querySelector({}).click()", json!(selector))).await;
}

impl Windows {
    async fn open(demo: Demo) -> Self {
        let (mut bank, mut phone) = (Chromium::start().await, Chromium::start().await);
        // As large as a window is that one looks at, so that the whole code is on it.
        let size = json!({ "width": 1100, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        bank.call("Emulation.setDeviceMetricsOverride", size).await;
        phone.open(&format!("{}/phones/ann", demo.url)).await;
        phone.until("!!document.querySelector('.icon')").await;
        Self { demo, bank, phone }
    }

    /// Takes pictures of a page, and looks for what keeps people from using it.
    async fn picture(&mut self, name: &str, phone: bool) {
        let window = if phone { &mut self.phone } else { &mut self.bank };
        if let Some(axe) = axe() {
            let barriers = window.barriers(&axe).await;
            assert!(barriers.is_empty(), "{name}: {barriers:#?}");
        }
        window.picture(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo"), name).await;
    }

    /// Gives name and password in the app.
    async fn sign_in_on_the_phone(&mut self) {
        comes(&mut self.phone, "document.querySelector('#username')").await;
        self.phone.fill("username", "ann").await;
        self.phone.fill("password", PASSWORD).await;
        click(&mut self.phone, ".fields .go").await;
    }

    /// Begins at the bank, with a browser that nobody knows.
    async fn begin_at_the_bank(&mut self) {
        self.bank.call("Network.clearBrowserCookies", json!({})).await;
        self.bank.open(&format!("{}/bank", self.demo.url)).await;
        self.bank.until("!!document.querySelector('.hero .button')").await;
        click(&mut self.bank, ".hero .button").await;
        self.bank.arrive("Sign in").await;
    }

    /// Gives name and password at the bank.
    async fn sign_in_at_the_bank(&mut self) {
        self.begin_at_the_bank().await;
        self.bank.fill("username", "ann").await;
        self.bank.fill("password", PASSWORD).await;
        self.bank.press("login").await;
    }

    async fn is_in(&mut self, how: &str) {
        let how = json!(format!("You signed in {how}."));
        self.bank.until(&format!("document.querySelector('#how')?.textContent === {how}")).await;
    }

    /// Picks the number that a page of the bank's window shows.
    async fn pick(&mut self) {
        let number = self.bank.evaluate("document.querySelector('.number').textContent").await;
        says(&mut self.phone, "Pick the number").await;
        let pick = format!(
            "[...document.querySelectorAll('.numbers button')]\
             .find((button) => button.textContent === {number}).click()"
        );
        self.phone.evaluate(&pick).await;
        says(&mut self.phone, "Approved").await;
        click(&mut self.phone, ".said .go").await;
    }

    fn end(self) {
        self.bank.end();
        self.phone.end();
        self.demo.serve.kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_things_to_try_can_be_done() {
    if is_skipped("browser") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut w = Windows::open(Demo::anew(folder.path())).await;
    w.picture("home", true).await;
    trusted_and_never_asked(&mut w).await;
    scanned(&mut w).await;
    paid(&mut w).await;
    pushed_and_denied(&mut w).await;
    offline(&mut w).await;
    removed(&mut w).await;
    paired_by_a_key(&mut w).await;
    for thing in [
        "trust", "vouch", "scan", "payment", "push", "fraud", "passcode", "block", "unpaired",
        "key",
    ] {
        w.demo.until_ticked(thing).await;
    }
    administered(&mut w).await;
    w.bank.open(&w.demo.url).await;
    w.bank.until("document.querySelectorAll('.thing.done').length === 10").await;
    w.picture("start", false).await;
    w.end();
}

async fn trusted_and_never_asked(w: &mut Windows) {
    click(&mut w.phone, ".icon").await;
    w.sign_in_on_the_phone().await;
    says(&mut w.phone, "Trust this phone?").await;
    w.picture("trust", true).await;
    click(&mut w.phone, ".said .go").await;
    says(&mut w.phone, "This phone vouches for you").await;
    w.picture("account", true).await;
    click(&mut w.phone, ".end .soft").await;
    w.sign_in_on_the_phone().await;
    says(&mut w.phone, "This phone vouched for you.").await;
}

/// The picture on the bank's window is given to the phone's camera, as pasting a screenshot does.
async fn scanned(w: &mut Windows) {
    w.begin_at_the_bank().await;
    w.bank.press("phone").await;
    w.bank.arrive("Sign in with your phone").await;
    let screenshot = w.bank.screenshot().await;
    click(&mut w.phone, ".tabs [value=scan]").await;
    comes(&mut w.phone, "document.querySelector('.finder')").await;
    w.picture("scan", true).await;
    let url = format!("{}/phones/ann/camera", w.demo.url);
    let answer = w.demo.client.post(url).body(screenshot).send().await.unwrap();
    assert!(answer.status().is_success());
    says(&mut w.phone, "Approve as Ann Lee").await;
    w.picture("code", true).await;
    click(&mut w.phone, ".end .go").await;
    says(&mut w.phone, "The other screen goes on.").await;
    click(&mut w.phone, ".said .go").await;
    w.is_in("with your phone").await;
    w.picture("bank-account", false).await;
}

async fn paid(w: &mut Windows) {
    click(&mut w.bank, ".card form .button").await;
    w.bank.arrive("Check your phone").await;
    w.picture("bank-payment", false).await;
    w.pick().await;
    comes(&mut w.bank, "document.querySelector('h1').textContent === 'Sent'").await;
}

async fn pushed_and_denied(w: &mut Windows) {
    click(&mut w.phone, ".homebar button").await;
    comes(&mut w.phone, "document.querySelector('.home')").await;
    w.sign_in_at_the_bank().await;
    w.bank.arrive("Check your phone").await;
    comes(&mut w.phone, "document.querySelector('.banner')").await;
    w.picture("banner", true).await;
    click(&mut w.phone, ".banner button").await;
    w.pick().await;
    w.is_in("with your password and your phone").await;
    // Somebody else knows the password.
    w.sign_in_at_the_bank().await;
    w.bank.arrive("Check your phone").await;
    comes(&mut w.phone, "document.querySelector('.two .alarm')").await;
    w.picture("question", true).await;
    click(&mut w.phone, ".two .alarm").await;
    says(&mut w.phone, "Reported").await;
    click(&mut w.phone, ".said .go").await;
    w.bank.arrive("You are not signed in").await;
}

async fn offline(w: &mut Windows) {
    click(&mut w.phone, "form[action$=airplane] button").await;
    comes(&mut w.phone, "document.querySelector('form[action$=airplane] [aria-checked=true]')")
        .await;
    w.sign_in_at_the_bank().await;
    w.bank.arrive("Check your phone").await;
    w.bank.press("use_passcode").await;
    w.bank.arrive("Enter your passcode").await;
    click(&mut w.phone, ".tabs [value=passcode]").await;
    comes(&mut w.phone, "document.querySelector('.passcode strong')").await;
    w.picture("passcode", true).await;
    let digits = "document.querySelector('.passcode strong').textContent.replace(' ', '')";
    let passcode = w.phone.evaluate(digits).await;
    w.bank.fill("passcode", passcode.as_str().unwrap()).await;
    w.bank.press("passcode").await;
    w.is_in("with your password and a passcode").await;
    click(&mut w.phone, "form[action$=airplane] button").await;
    comes(&mut w.phone, "document.querySelector('form[action$=airplane] [aria-checked=false]')")
        .await;
}

/// Blocked, unblocked, and then removed without telling anybody.
async fn removed(w: &mut Windows) {
    click(&mut w.phone, "form[action$=block] button").await;
    comes(&mut w.phone, "document.querySelector('.devices .bad')?.textContent === 'blocked'").await;
    click(&mut w.phone, "form[action$=block] button").await;
    comes(&mut w.phone, "document.querySelector('.devices .good')?.textContent === 'active'").await;
    click(&mut w.phone, "form[action$=uninstall] button").await;
    comes(&mut w.phone, "document.querySelector('.get')").await;
    w.picture("removed", true).await;
    w.sign_in_at_the_bank().await;
    // The push finds nobody, and who has no phone needs none under this policy.
    w.is_in("with your password").await;
    click(&mut w.phone, ".get").await;
    comes(&mut w.phone, "document.querySelector('.icon:not(.get)')").await;
}

/// The account page shows a key, which is typed on another phone.
async fn paired_by_a_key(w: &mut Windows) {
    w.bank.call("Network.clearBrowserCookies", json!({})).await;
    w.bank.open(&format!("{}/account", w.demo.url)).await;
    w.bank.arrive("Sign in").await;
    w.bank.fill("username", "ben").await;
    w.bank.fill("password", PASSWORD).await;
    w.bank.press("login").await;
    w.bank.arrive("Your account").await;
    w.bank.press("add").await;
    w.bank.arrive("Add a phone").await;
    let key = w.bank.evaluate("document.querySelector('.key').textContent").await;
    w.phone.open(&format!("{}/phones/ben", w.demo.url)).await;
    w.phone.until("!!document.querySelector('.icon')").await;
    click(&mut w.phone, ".icon").await;
    comes(&mut w.phone, "document.querySelector('.tabs')").await;
    click(&mut w.phone, ".tabs [value=scan]").await;
    comes(&mut w.phone, "document.querySelector('#code')").await;
    w.phone.fill("code", key.as_str().unwrap()).await;
    click(&mut w.phone, ".fields .go").await;
    says(&mut w.phone, "This phone vouches for Ben Okafor").await;
    w.picture("paired", true).await;
}

/// The administrator of the cast finds the bank at the console.
async fn administered(w: &mut Windows) {
    w.bank.call("Network.clearBrowserCookies", json!({})).await;
    w.bank.open(&format!("{}/console", w.demo.platform)).await;
    w.bank.arrive("Sign in").await;
    w.bank.fill("username", "dana").await;
    w.bank.fill("password", PASSWORD).await;
    w.bank.press("login").await;
    w.bank
        .until(
            "location.pathname.startsWith('/console') && document.body.innerText.includes('Bank')",
        )
        .await;
}
