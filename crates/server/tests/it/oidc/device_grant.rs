//! The device authorization grant: `/{environment}/as/device_authorization`, `/{environment}/device` and the polls.

use countersign_domain::application::{DeviceGrantRules, GrantType};
use countersign_protocol::secret::Secret;
use tokio::task::JoinSet;

use crate::world::{
    Answer, Bank, Browser, Client, Members, PASSWORD, Page, SITE_ADDRESS, Tokens, World, claims,
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A television of the bank, and what it was told.
struct Television {
    client: Client,
    told: serde_json::Value,
}

impl Television {
    async fn on(w: &World) -> Self {
        Self::of(w, "Bank television").await
    }

    async fn of(w: &World, name: &str) -> Self {
        let application = w.bank.unusual_site(&w.server, |a| {
            name.clone_into(&mut a.name);
            a.grant_types = vec![GrantType::DeviceCode, GrantType::RefreshToken];
        });
        let client = w.client(&application.await.id.to_string(), SITE_ADDRESS);
        let told = Self::ask(&client).await.must_be(200).json();
        Self { client, told }
    }

    async fn ask(client: &Client) -> Answer {
        let request = Members::from([("client_id", client.id.as_str()), ("scope", "openid email")]);
        client.ask("device_authorization", &request).await
    }

    fn text(&self, name: &str) -> &str {
        self.told[name].as_str().unwrap()
    }

    fn poll_request(&self) -> Members {
        let code = self.text("device_code");
        Members::from([
            ("grant_type", GRANT),
            ("device_code", code),
            ("client_id", &self.client.id),
        ])
    }

    async fn poll(&self) -> Answer {
        self.client.redeem(&self.poll_request()).await
    }

    #[track_caller]
    fn is_told(answer: Answer, error: &str) {
        assert_eq!(answer.must_be(400).json()["error"], error);
    }

    /// A person types the code and signs in, up to the question.
    async fn sign_on(&self, browser: &mut Browser) -> Page {
        let page = browser.open(self.text("verification_uri")).await;
        let code = self.text("user_code").to_lowercase();
        let page = browser.press(&page, "verify", &[("user_code", &code)]).await;
        browser.press(&page, "login", &[("username", "ann"), ("password", PASSWORD)]).await
    }

    async fn allow(&self, w: &World) {
        let mut browser = w.browser();
        let page = self.sign_on(&mut browser).await;
        let page = browser.press(&page, "allow", &[]).await;
        assert_eq!(page.heading(), "You can go back to your device");
    }
}

on_both_engines!(
    a_person_allows_a_device_which_gets_its_tokens_once,
    of_many_polls_at_once_one_gets_tokens,
    who_polls_too_often_is_slowed_down,
);

async fn a_person_allows_a_device_which_gets_its_tokens_once(w: &mut World) {
    let television = Television::on(w).await;
    assert_eq!(television.told["expires_in"], 600);
    assert_eq!(television.told["interval"], 5);
    Television::is_told(television.poll().await, "authorization_pending");
    let mut browser = w.browser();
    let question = television.sign_on(&mut browser).await;
    assert_eq!(question.heading(), "Allow this device?");
    let text = question.answer.text();
    assert!(text.contains("Bank television") && text.contains("<strong>ann</strong>"), "{text}");
    w.advance(5);
    // Signed in is not allowed.
    Television::is_told(television.poll().await, "authorization_pending");
    browser.press(&question, "allow", &[]).await.answer.must_be(200);
    w.advance(300);
    let answer = television.poll().await.must_be(200);
    let tokens = Tokens::of(&answer);
    assert_eq!(answer.json()["scope"], "openid email");
    assert_eq!(tokens.id_claims()["sub"], w.bank.ann.id.to_string());
    assert_eq!(claims(&tokens.access_token)["acr"], "Single_Factor");
    Television::is_told(television.poll().await, "invalid_grant");
    television.client.user_info(&tokens.access_token).await.must_be(200);
    let next = television.client.refresh(tokens.refresh_token()).await;
    television.client.user_info(&next.access_token).await.must_be(200);
}

async fn of_many_polls_at_once_one_gets_tokens(w: &mut World) {
    let television = Television::on(w).await;
    television.allow(w).await;
    let mut polls = JoinSet::new();
    for _ in 0..50 {
        let (client, request) = (television.client.clone(), television.poll_request());
        polls.spawn(async move { client.redeem(&request).await.status.as_u16() });
    }
    let mut statuses = polls.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200);
    assert!(statuses[1..].iter().all(|status| *status == 400), "{statuses:?}");
}

async fn who_polls_too_often_is_slowed_down(w: &mut World) {
    let television = Television::on(w).await;
    Television::is_told(television.poll().await, "authorization_pending");
    w.advance(4);
    Television::is_told(television.poll().await, "slow_down");
    w.advance(9);
    Television::is_told(television.poll().await, "slow_down");
    w.advance(15);
    Television::is_told(television.poll().await, "authorization_pending");
}

#[tokio::test]
async fn a_person_refuses_a_device() {
    let w = World::new().await;
    let television = Television::on(&w).await;
    let mut browser = w.browser();
    let question = television.sign_on(&mut browser).await;
    let page = browser.press(&question, "refuse", &[]).await;
    assert_eq!(page.heading(), "You refused");
    Television::is_told(television.poll().await, "access_denied");
    // Whoever goes back and changes the answer changes nothing.
    assert_eq!(browser.press(&question, "allow", &[]).await.heading(), "You refused");
    Television::is_told(television.poll().await, "access_denied");
}

#[tokio::test]
async fn the_whole_address_fills_the_code_in_and_still_asks() {
    let w = World::new().await;
    let television = Television::on(&w).await;
    let page = w.browser().open(television.text("verification_uri_complete")).await;
    assert_eq!(page.heading(), "Connect a device");
    assert_eq!(page.value_of("user_code"), television.text("user_code"));
}

#[tokio::test]
async fn a_code_is_over_in_time() {
    let w = World::new().await;
    let television = Television::on(&w).await;
    let mut browser = w.browser();
    let question = television.sign_on(&mut browser).await;
    w.advance(600);
    Television::is_told(television.poll().await, "expired_token");
    let page = browser.press(&question, "allow", &[]).await;
    assert!(page.problem().starts_with("No device waits with this code"));
    let page = browser.press(&page, "verify", &[("user_code", television.text("user_code"))]).await;
    assert!(page.problem().starts_with("No device waits with this code"));
}

#[tokio::test]
async fn a_sign_on_that_is_given_up_leaves_the_device_waiting() {
    let w = World::new().await;
    let television = Television::on(&w).await;
    let mut browser = w.browser();
    let page = browser.open(television.text("verification_uri")).await;
    let page = browser.press(&page, "verify", &[("user_code", television.text("user_code"))]).await;
    let page = browser.press(&page, "cancel", &[]).await;
    assert_eq!(page.heading(), "Connect a device");
    Television::is_told(television.poll().await, "authorization_pending");
    television.allow(&w).await;
    television.poll().await.must_be(200);
}

#[tokio::test]
async fn guessing_is_stopped() {
    let w = World::new().await;
    let television = Television::on(&w).await;
    let mut browser = w.browser();
    let mut page = browser.open(television.text("verification_uri")).await;
    // Not even a code.
    page = browser.press(&page, "verify", &[("user_code", "AEIOU")]).await;
    assert_eq!(page.answer.status, 400);
    for _ in 0..30 {
        page = browser.press(&page, "verify", &[("user_code", "BBBB-BBBB")]).await;
        assert!(page.problem().starts_with("No device waits"), "{page:?}");
    }
    page = browser.press(&page, "verify", &[("user_code", television.text("user_code"))]).await;
    assert_eq!(page.answer.status, 429);
    assert_eq!(page.answer.header("retry-after"), "60");
    w.advance(60);
    page = browser.press(&page, "verify", &[("user_code", television.text("user_code"))]).await;
    assert_eq!(page.heading(), "Sign in");
}

#[tokio::test]
async fn only_the_browser_that_signed_in_decides() {
    let w = World::new().await;
    let television = Television::on(&w).await;
    let mut browser = w.browser();
    let question = television.sign_on(&mut browser).await;
    let mut stranger = w.browser();
    stranger.open(television.text("verification_uri")).await;
    let token = question.value_of("token");
    for form in [
        Members::from([("action", "allow"), ("token", &token)]),
        Members::from([("action", "allow"), ("token", "")]),
        Members::from([("action", "allow")]),
    ] {
        assert_eq!(stranger.submit(&question, form).await.answer.status, 400);
    }
    // Nor does a form of another site, which knows no token, in that very browser.
    let forged = Members::from([("action", "allow")]);
    assert_eq!(browser.submit(&question, forged).await.answer.status, 400);
    w.advance(5);
    Television::is_told(television.poll().await, "authorization_pending");
}

#[tokio::test]
async fn a_device_code_is_of_use_to_its_own_client_in_its_own_environment_only() {
    let w = World::new().await;
    let (television, thief) = (Television::on(&w).await, Television::of(&w, "Thief").await);
    television.allow(&w).await;
    let stolen = television.poll_request().with("client_id", &thief.client.id);
    Television::is_told(thief.client.redeem(&stolen).await, "invalid_grant");
    let site = w.site();
    let stolen = television.poll_request().with("client_id", &site.id);
    Television::is_told(site.redeem(&stolen).await, "unauthorized_client");
    Television::is_told(Television::ask(&site).await, "unauthorized_client");
    let code = television.text("device_code");
    for unknown in ["x", &code[1..], &format!("B{}", &code[1..])] {
        let request = television.poll_request().with("device_code", unknown);
        Television::is_told(television.client.redeem(&request).await, "invalid_grant");
    }
    let other = Bank::open(&w.server, "Other").await;
    let elsewhere = television
        .text("verification_uri")
        .replace(&w.bank.environment.id.to_string(), &other.environment.id.to_string());
    let mut browser = w.browser();
    let page = browser.open(&elsewhere).await;
    let page = browser.press(&page, "verify", &[("user_code", television.text("user_code"))]).await;
    assert_eq!(page.answer.status, 400);
    television.poll().await.must_be(200);
}

#[tokio::test]
async fn an_application_says_how_long_how_often_and_where() {
    let w = World::new().await;
    let application = w.bank.unusual_site(&w.server, |a| {
        a.grant_types = vec![GrantType::DeviceCode];
        a.oidc.device_grant = DeviceGrantRules {
            timeout_seconds: 60,
            interval_seconds: 9,
            verification_uri: Some("https://bank.example/tv?x=y".to_owned()),
        };
    });
    let client = w.client(&application.await.id.to_string(), SITE_ADDRESS);
    let told = Television::ask(&client).await.must_be(200).json();
    assert_eq!((&told["expires_in"], &told["interval"]), (&60.into(), &9.into()));
    assert_eq!(told["verification_uri"], "https://bank.example/tv?x=y");
    let whole =
        format!("https://bank.example/tv?x=y&user_code={}", told["user_code"].as_str().unwrap());
    assert_eq!(told["verification_uri_complete"], whole);
}

#[tokio::test]
async fn who_may_no_longer_sign_in_gives_a_device_nothing() {
    let w = World::new().await;
    let television = Television::on(&w).await;
    television.allow(&w).await;
    w.bank.disable_ann(&w.server).await;
    Television::is_told(television.poll().await, "invalid_grant");
}

#[tokio::test]
async fn a_password_that_was_set_anew_since_the_sign_on_allows_no_device() {
    let w = World::new().await;
    let television = Television::on(&w).await;
    let mut browser = w.browser();
    let question = television.sign_on(&mut browser).await;
    w.advance(1);
    let new = Secret::new("pear tram lantern".to_owned());
    w.server.set_password(w.bank.environment.id, w.bank.ann.id, &new).await.unwrap();
    let page = browser.press(&question, "allow", &[]).await;
    assert_eq!(page.heading(), "Connect a device");
    w.advance(5);
    Television::is_told(television.poll().await, "authorization_pending");
}
