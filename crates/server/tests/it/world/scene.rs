//! The real server on loopback with an application beside it, and a real browser before both. Pictures are left in the target
//! folder.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{Router, response::Html, routing::get};
use countersign_domain::application::Application;
use countersign_protocol::mobile_payload::PushService;
use countersign_server::Server;
use countersign_store::Engine;
use tokio::net::TcpListener;

use super::{Bank, Chromium, Client, PASSWORD, PushWorld};

/// What a test with a browser plays in.
pub struct Scene {
    pub w: PushWorld,
    pub server: Server,
    pub site: Client,
    pub browser: Chromium,
}

impl Scene {
    pub async fn new() -> Self {
        Self::at_site(|_, _| {}).await
    }

    /// With a site that is unlike others.
    pub async fn at_site(alter: impl FnOnce(&Bank, &mut Application)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let change = |settings: &mut countersign_server::Settings| settings.base_url = base_url;
        let w = Box::pin(PushWorld::with(Engine::Sqlite, PushService::Fcm, change)).await;
        let server = Server::start_on(Arc::clone(&w.world.server), listener, None).unwrap();
        let address = application().await;
        let bank = &w.world.bank;
        let site = bank.unusual_site(&w.world.server, |site| {
            "Bank".clone_into(&mut site.name);
            site.redirect_uris = vec![address.clone()];
            alter(bank, site);
        });
        let site = site.await.id;
        let policy = bank.sign_on_policy.id;
        let server_app = &w.world.server;
        server_app.assign_sign_on_policy(bank.environment.id, site, policy, 1).await.unwrap();
        let site = w.world.client(&site.to_string(), &address);
        Self { w, server, site, browser: Chromium::start().await }
    }

    /// Opens the first page of a sign-on, as a new person would.
    pub async fn arrive(&mut self) {
        self.browser.call("Network.clearBrowserCookies", serde_json::json!({})).await;
        self.browser.open(&self.site.authorize_url(&self.site.request())).await;
        self.browser.arrive("Sign in").await;
    }

    pub async fn sign_in(&mut self) {
        self.browser.fill("username", "ann").await;
        self.browser.fill("password", PASSWORD).await;
        self.browser.press("login").await;
    }

    /// Takes pictures of the page, and looks for what keeps people from using it.
    pub async fn picture(&mut self, name: &str) {
        if let Some(axe) = axe() {
            let barriers = self.browser.barriers(&axe).await;
            assert!(barriers.is_empty(), "{name}: {barriers:#?}");
        }
        self.browser.picture(&pictures(), name).await;
    }

    pub async fn end(self) {
        self.browser.end();
        self.server.stop().await;
    }
}

/// An application to come back to.
async fn application() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let welcome = async || Html("<!doctype html><link rel=icon href=data:,><h1>Welcome</h1>");
    let router = Router::new().route("/callback", get(welcome));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/callback")
}

pub fn pictures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages")
}

/// Whether this run goes without a real browser, by request.
pub fn is_browser_skipped() -> bool {
    let skipped = is_skipped("browser");
    if skipped {
        println!("skipped: there shall be no browser");
    }
    skipped
}

#[expect(clippy::disallowed_methods, reason = "the test harness reads the environment")]
fn is_skipped(part: &str) -> bool {
    let skipped = std::env::var("COUNTERSIGN_TEST_SKIP").unwrap_or_default();
    skipped.split(',').any(|skipped| skipped == part)
}

/// The source of axe-core, which is installed with the libraries of other languages; none where those are left out.
fn axe() -> Option<String> {
    let path = "../../interop/node/node_modules/axe-core/axe.min.js";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let read = || fs::read_to_string(&path).expect("axe-core, which `cargo xtask test` installs");
    (!is_skipped("interop")).then(read)
}
