//! The console in a real browser: each task of the flows by clicking, and what lives by its script.

use serde_json::Value;

use super::NEW_PASSWORD;
use crate::world::{Scene, is_browser_skipped};

impl Scene {
    /// Signs a new administrator on at the console.
    async fn open_console(&mut self) {
        let server = &self.w.world.server;
        server.ensure_administrators().await.unwrap();
        let made = server.create_administrator("grace").await.unwrap();
        let url = format!("{}/console", server.settings().base_url);
        self.browser.open(&url).await;
        self.browser.arrive("Sign in").await;
        self.browser.fill("username", "grace").await;
        self.browser.fill("password", made.password.expose()).await;
        self.browser.press("login").await;
        self.browser.arrive("Choose a new password").await;
        self.browser.fill("new_password", NEW_PASSWORD).await;
        self.browser.fill("repeated_password", NEW_PASSWORD).await;
        self.browser.press("new_password").await;
        self.browser.arrive("Overview").await;
    }

    /// Follows the link of these words, and comes to a page of this title.
    async fn follow(&mut self, words: &str, title: &str) {
        let words = Value::from(words);
        let click = format!(
            "[...document.querySelectorAll('a')].find(a => a.textContent.trim() === {words}).click()"
        );
        self.browser.evaluate(&click).await;
        self.browser.arrive(title).await;
    }

    /// Types into a field of the console, whose name has dots.
    async fn type_into(&mut self, field: &str, text: &str) {
        self.browser.fill(&format!("\"{field}\""), text).await;
    }

    /// Waits until the script of the page has made this true.
    async fn becomes(&mut self, expression: &str) {
        let wait = format!(
            "new Promise(done => {{ \
               const watch = new MutationObserver(() => look()); \
               const look = () => {{ if ({expression}) {{ watch.disconnect(); done(true); }} }}; \
               watch.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }}); \
               look(); \
             }})"
        );
        assert_eq!(self.browser.evaluate(&wait).await, true);
    }

    /// Sends the first form of the page.
    async fn save(&mut self) {
        self.browser
            .evaluate("document.querySelector('main form.form button[type=submit]').click()")
            .await;
    }

    /// Chooses a radio button or ticks a box.
    async fn choose(&mut self, name: &str, value: &str) {
        let choose =
            format!("document.querySelector('[name=\"{name}\"][value=\"{value}\"]').click()");
        self.browser.evaluate(&choose).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_lets_an_app_be_a_second_factor_by_clicking() {
    if is_browser_skipped() {
        return;
    }
    let mut scene = Scene::new().await;
    scene.open_console().await;
    scene.picture("console-overview").await;
    scene.follow("Applications", "Applications").await;
    scene.picture("console-applications").await;
    scene.follow("Add an application", "Add an application").await;
    scene.picture("console-kinds").await;
    scene.browser.evaluate("document.querySelector('.kinds a').click()").await;
    scene.browser.arrive("Add a native app").await;
    scene.type_into("name", "Shop app").await;
    scene.type_into("mobile.bundleId", "org.shop.app").await;
    scene.type_into("redirectUris", "org.shop.app:/back").await;
    scene.picture("console-native-app").await;
    scene.save().await;
    scene.browser.arrive("Shop app").await;
    scene.picture("console-application").await;
    scene.follow("Authenticator", "Shop app").await;
    scene.picture("console-authenticator").await;
    scene.follow("MFA policies", "MFA policies").await;
    scene.browser.evaluate("document.querySelector('td a').click()").await;
    scene.browser.until("document.querySelector('form.inline') !== null").await;
    scene.picture("console-mfa-policy").await;
    scene.browser.evaluate("document.querySelector('form.inline button').click()").await;
    scene.browser.until("document.querySelector('[value=restrictive]') !== null").await;
    let place = "document.querySelector('[value=restrictive]').name";
    let name = scene.browser.evaluate(place).await.as_str().unwrap().to_owned();
    scene.choose(&name, "restrictive").await;
    scene.picture("console-app-in-policy").await;
    scene.save().await;
    scene
        .browser
        .until("document.querySelector('[role=status]')?.textContent.startsWith('Saved')")
        .await;
    let chosen = "document.querySelector('[value=restrictive]').checked";
    assert_eq!(scene.browser.evaluate(chosen).await, true);
    scene.follow("Sign-on policies", "Sign-on policies").await;
    scene.follow("Multi_Factor", "Multi_Factor").await;
    scene.follow("MFA: a device of the person", "MFA: a device of the person").await;
    scene.choose("noDevicesMode", "BYPASS").await;
    scene.picture("console-mfa-step").await;
    scene.save().await;
    scene.browser.arrive("Multi_Factor").await;
    let admin = scene.w.world.administrator().await;
    let policies = admin.get("/deviceAuthenticationPolicies").await.must_be(200).json();
    let told = policies.to_string();
    assert!(told.contains("\"extraVerification\":\"restrictive\""), "{told}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_shows_what_it_finds_while_one_types_and_a_phone_is_paired_by_qr_code() {
    if is_browser_skipped() {
        return;
    }
    let mut scene = Scene::new().await;
    scene.w.world.user("paul").await;
    scene.open_console().await;
    scene.follow("Users", "Users").await;
    scene.picture("console-users").await;
    scene.type_into("q", "pau").await;
    let found = "document.querySelectorAll('#results tbody tr').length === 1";
    scene.becomes(found).await;
    scene.follow("paul", "paul").await;
    scene.browser.evaluate("document.querySelector('button[value=pair]').click()").await;
    scene.browser.arrive("Pair a phone").await;
    scene.picture("console-pairing").await;
    let code = scene.browser.evaluate("document.querySelector('.code').textContent").await;
    let phone = scene.w.world.phone().await;
    phone.sdk.pair(code.as_str().unwrap()).await.unwrap();
    // The page finds out by itself.
    scene.becomes("document.querySelector('[role=status]')?.textContent.includes('paired')").await;
    scene.browser.evaluate("document.querySelector('#key a').click()").await;
    scene.browser.until("document.querySelectorAll('ol.devices li').length === 1").await;
    scene.picture("console-user").await;
    scene.browser.evaluate("document.querySelector('ol.devices a').click()").await;
    scene.browser.until("document.querySelector('button[value=block]') !== null").await;
    scene.picture("console-device").await;
    scene.browser.evaluate("document.querySelector('button[value=block]').click()").await;
    scene.browser.until("document.querySelector('ol.devices .mark.bad')?.textContent === 'Blocked' || document.querySelector('.facts .mark.bad')?.textContent === 'Blocked'").await;
    scene.end().await;
}
