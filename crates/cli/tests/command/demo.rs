//! The demo as people start it: its pages over HTTP, and in a real browser.

mod browser;

use std::{path::Path, process::Command, time::Duration};

use reqwest::{Client, Response, StatusCode, header, redirect::Policy};
use serde_json::json;
use tokio::time::timeout;

use crate::server::Serve;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most bytes of a page with its looks, scripts and pictures.
const WEIGHT: usize = 150 * 1024;

const PASSWORD: &str = "harbour lights";

/// A demo that runs.
struct Demo {
    serve: Serve,
    client: Client,
    /// Where its pages are.
    url: String,
    /// Where the platform is.
    platform: String,
}

impl Demo {
    fn start(folder: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["demo", "--no-open", "--folder"]).arg(folder).args(more);
        let mut serve = Serve::from(&mut command);
        assert!(serve.read_until("Stop it with Ctrl-C."), "{}", serve.text);
        let after = |words: &str| {
            let (_, rest) = serve.text.split_once(words).unwrap();
            rest.split_whitespace().next().unwrap().to_owned()
        };
        let url = after("start here").trim_end_matches('/').to_owned();
        let platform = after("listening on").trim_end_matches('.').to_owned();
        let client = Client::builder().cookie_store(true).timeout(PATIENCE).build().unwrap();
        Self { serve, client, url, platform }
    }

    fn anew(folder: &Path) -> Self {
        Self::start(folder, &["--listen", "127.0.0.1:0"])
    }

    async fn page(&self, path: &str) -> String {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.unwrap()
    }

    /// Taps on a phone; what it shows then.
    async fn tap(&self, phone: &str, act: &str, fields: &[(&str, &str)]) -> String {
        let url = format!("{}/phones/{phone}/{act}", self.url);
        let answer = self.client.post(url).form(fields).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{act}");
        answer.text().await.unwrap()
    }

    /// Signs in in the app; what it shows then.
    async fn sign_in(&self, phone: &str, username: &str) -> String {
        self.tap(phone, "open", &[]).await;
        self.tap(phone, "sign-out", &[]).await;
        let fields = [("username", username), ("password", PASSWORD)];
        self.tap(phone, "sign-in", &fields).await
    }

    /// Waits until a page says this, each time that it is told to have changed.
    async fn until(&self, (path, events): (&str, &str), text: &str) -> String {
        let told = self.client.get(format!("{}{events}", self.url)).send().await.unwrap();
        if let Ok(page) = timeout(PATIENCE, self.told(told, path, text)).await {
            return page;
        }
        panic!("{path} never says {text}: {}", self.page(path).await)
    }

    async fn told(&self, mut told: Response, path: &str, text: &str) -> String {
        loop {
            let page = self.page(path).await;
            if page.contains(text) {
                return page;
            }
            told.chunk().await.unwrap().expect("events go on");
        }
    }

    async fn until_ticked(&self, thing: &str) {
        let done = format!("id=\"{thing}\" class=\"thing done\"");
        self.until(("/", "/events"), &done).await;
    }
}

const ANN: (&str, &str) = ("/phones/ann", "/phones/ann/events");

#[tokio::test]
async fn a_phone_is_trusted_vouches_and_answers_silently_and_each_is_ticked() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::anew(folder.path());
    let start = demo.page("/").await;
    assert!(start.contains("<strong>0 of 13</strong>"), "{start}");
    let refused = demo.tap("ann", "open", &[]).await;
    assert!(refused.contains("Fill in for"), "{refused}");
    let fields = [("username", "ann"), ("password", "wrong")];
    let refused = demo.tap("ann", "sign-in", &fields).await;
    assert!(refused.contains("The user name or the password is wrong."), "{refused}");

    let offered = demo.sign_in("ann", "ann").await;
    assert!(offered.contains("Trust this phone?"), "{offered}");
    let trusted = demo.tap("ann", "trust", &[("on", "yes")]).await;
    assert!(trusted.contains("This phone vouches for you"), "{trusted}");
    demo.until_ticked("trust").await;

    let again = demo.sign_in("ann", "ann").await;
    assert!(again.contains("This phone vouched for you."), "{again}");
    demo.until_ticked("vouch").await;

    let url = format!("{}/mode", demo.url);
    let switched = demo.client.post(url).form(&[("mode", "restrictive")]).send().await.unwrap();
    assert!(switched.status().is_success());
    demo.sign_in("ann", "ann").await;
    demo.until(ANN, "silent: answered by itself").await;
    demo.until(ANN, "Hello, Ann").await;
    demo.until_ticked("restrictive").await;

    let passcode = demo.tap("ann", "airplane", &[("on", "yes")]).await;
    assert!(passcode.contains("role=\"switch\" aria-checked=\"true\""), "{passcode}");
    let offline = demo.tap("ann", "show", &[("tab", "passcode")]).await;
    assert!(offline.contains("class=\"passcode\""), "{offline}");
    demo.tap("ann", "show", &[("tab", "bank")]).await;
    let cut_off = demo.sign_in("ann", "ann").await;
    assert!(cut_off.contains("Airplane mode is on."), "{cut_off}");
}

/// The text between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before).unwrap().1.split_once(after).unwrap().0
}

#[tokio::test]
async fn a_second_phone_is_trusted_once_the_first_has_vouched() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::anew(folder.path());
    demo.sign_in("ann", "ann").await;
    demo.tap("ann", "trust", &[("on", "yes")]).await;
    let waiting = demo.sign_in("spare", "ann").await;
    let number = between(&waiting, "class=\"number\">", "<");
    let asked = demo.until(ANN, "Pick the number").await;
    let challenge = between(&asked, "name=\"challenge\" value=\"", "\"");
    let approved =
        demo.tap("ann", "approve", &[("challenge", challenge), ("number", number)]).await;
    assert!(approved.contains("Approved"), "{approved}");
    demo.until(("/phones/spare", "/phones/spare/events"), "Trust this phone?").await;
    let trusted = demo.tap("spare", "trust", &[("on", "yes")]).await;
    assert!(trusted.contains("This phone vouches for you"), "{trusted}");
    for thing in ["push", "two"] {
        demo.until_ticked(thing).await;
    }
    // Whoever unpairs a phone on it takes it off the list, and only that.
    let id = between(&trusted_by(&demo, "spare").await, "name=\"user\" value=\"", "\"").to_owned();
    let unpaired = demo.tap("spare", "unpair", &[("user", &id)]).await;
    assert!(unpaired.contains("No device yet."), "{unpaired}");
    let other = trusted_by(&demo, "ann").await;
    assert!(other.contains("Unpair") && other.contains("active"), "{other}");
}

async fn trusted_by(demo: &Demo, phone: &str) -> String {
    demo.tap(phone, "dismiss", &[]).await;
    demo.tap(phone, "show", &[("tab", "trust")]).await
}

#[tokio::test]
async fn a_second_start_goes_on_and_a_fresh_one_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = listener.local_addr().unwrap().to_string();
    drop(listener);
    let addresses = ["--listen", &listen, "--pages", "127.0.0.1:0"];
    let demo = Demo::start(folder.path(), &addresses);
    demo.sign_in("ann", "ann").await;
    demo.tap("ann", "trust", &[("on", "yes")]).await;
    demo.tap("ann", "rename", &[("name", "Pocket <1>")]).await;
    demo.until_ticked("trust").await;
    demo.serve.kill();

    let demo = Demo::start(folder.path(), &addresses);
    let start = demo.page("/").await;
    assert!(start.contains("Pocket &#60;1&#62;"), "{start}");
    assert!(start.contains("Trusted by Ann Lee"), "{start}");
    demo.until_ticked("trust").await;
    let again = demo.sign_in("ann", "ann").await;
    assert!(again.contains("This phone vouched for you."), "{again}");
    demo.serve.kill();

    let demo = Demo::start(folder.path(), &[&addresses[..], &["--fresh"]].concat());
    let start = demo.page("/").await;
    assert!(start.contains("<strong>0 of 13</strong>") && !start.contains("Pocket"), "{start}");
    demo.serve.kill();
}

#[tokio::test]
async fn an_app_that_was_removed_before_a_restart_is_still_found_gone() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = listener.local_addr().unwrap().to_string();
    drop(listener);
    let addresses = ["--listen", &listen, "--pages", "127.0.0.1:0"];
    let demo = Demo::start(folder.path(), &addresses);
    demo.sign_in("ben", "ben").await;
    demo.tap("ben", "trust", &[("on", "yes")]).await;
    demo.until_ticked("trust").await;
    let removed = demo.tap("ben", "uninstall", &[]).await;
    assert!(removed.contains("Install Harbour"), "{removed}");
    demo.serve.kill();

    let demo = Demo::start(folder.path(), &addresses);
    // On another phone the removed one is asked, which nobody can reach.
    demo.sign_in("spare", "ben").await;
    demo.until_ticked("unpaired").await;
    demo.serve.kill();
}

#[tokio::test]
async fn what_is_not_of_the_demo_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::anew(folder.path());
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let press = format!("{}/phones/ann/uninstall", demo.url);
    let foreign = [
        (header::ORIGIN.as_str(), "http://evil.example"),
        (header::ORIGIN.as_str(), "null"),
        ("sec-fetch-site", "cross-site"),
        // Another port of this machine is another site.
        ("sec-fetch-site", "same-site"),
    ];
    for (name, value) in foreign {
        let request = client.post(&press).header(name, value).form(&[("a", "b")]);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}: {value}");
    }
    let request = client.get(&demo.url).header(header::HOST, "evil.example:80");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);
    let port = demo.url.rsplit(':').next().unwrap();
    let named = format!("localhost:{port}");
    let answer = client.get(format!("{}/bank", demo.url)).header(header::HOST, named);
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(answer.headers()[header::LOCATION], format!("{}/bank", demo.url));
    for path in ["/phones/nobody", "/phones/nobody/events", "/nothing", "/assets/nothing.css"] {
        let answer = client.get(format!("{}{path}", demo.url)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    for (path, fields) in [
        ("/phones/ann/explode", json!({ "a": "b" })),
        ("/phones/ann/scan", json!({ "a": "b" })),
        ("/phones/ann/block", json!({ "device": "x" })),
        ("/mode", json!({ "mode": "x" })),
    ] {
        let request = client.post(format!("{}{path}", demo.url)).form(&fields);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::BAD_REQUEST, "{path}");
    }
    let picture = client.post(format!("{}/phones/ann/camera", demo.url)).body("no picture");
    assert_eq!(picture.send().await.unwrap().status(), StatusCode::UNPROCESSABLE_ENTITY);
    let callback = client.get(format!("{}/bank/callback?code=c&state=s", demo.url));
    let told = callback.send().await.unwrap().text().await.unwrap();
    assert!(told.contains("This sign-on was begun in another browser"), "{told}");
    let unseen = client.get(format!("{}/bank/account", demo.url)).send().await.unwrap();
    assert_eq!(unseen.status(), StatusCode::SEE_OTHER);
    assert!(demo.page("/phones/ann").await.contains("Delete the app"));
}

#[tokio::test]
async fn each_page_is_light_and_keeps_to_its_policy() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::anew(folder.path());
    for path in ["/", "/phones/ann", "/bank"] {
        let answer = demo.client.get(format!("{}{path}", demo.url)).send().await.unwrap();
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        let expected = format!(
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
             connect-src 'self'; form-action 'self' {}; frame-ancestors 'none'; base-uri 'none'",
            demo.platform
        );
        assert_eq!(policy, expected);
        let text = answer.text().await.unwrap();
        assert!(!text.contains("<style") && !text.contains(" style="), "{path}");
        let mut weight = text.len();
        let mut assets: Vec<_> =
            text.split('"').filter(|part| part.starts_with("/assets/")).collect();
        assets.sort_unstable();
        assets.dedup();
        assert!(assets.len() >= 3, "{path}: {assets:?}");
        for asset in assets {
            let answer = demo.client.get(format!("{}{asset}", demo.url)).send().await.unwrap();
            assert!(
                answer.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable")
            );
            weight += answer.bytes().await.unwrap().len();
        }
        assert!(weight < WEIGHT, "{path} weighs {weight} bytes");
    }
}
