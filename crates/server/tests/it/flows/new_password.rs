//! A password that must be changed opens nothing but the choice of another one.

use countersign_domain::{audit::Action, id::Id, password::Password, user::User};
use countersign_protocol::secret::Secret;
use countersign_store::{StoreError, Tx, Work, password};
use serde_json::json;

use crate::world::{Behaviour, PASSWORD, Receiver, SITE_ADDRESS, SignOn, World, claims};

on_both_engines!(
    a_password_that_must_be_changed_is_changed_before_anything_else,
    a_new_password_that_cannot_be_one_is_refused_by_name,
    a_flow_whose_password_was_set_anew_changes_nothing,
    a_flow_whose_password_was_set_anew_begins_again_at_the_second_factor,
    a_flow_whose_password_must_be_changed_begins_again_at_the_second_factor,
);

const NEW: &str = "pear tram lantern";

struct MustChange(Id<User>);

impl Work for MustChange {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let old = password::load(tx, self.0).await?.unwrap();
        password::swap(tx, self.0, &old, &Password { must_change: true, ..(*old).clone() }).await
    }
}

/// Lets the password of ann serve only to choose another one.
async fn must_change(w: &World) {
    w.server.store().write(MustChange(w.bank.ann.id)).await.unwrap();
}

/// A flow in which ann has given it.
async fn waiting(w: &World) -> SignOn {
    let mut sign_on = w.app().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.status(), "MUST_CHANGE_PASSWORD");
    sign_on
}

async fn reset(sign_on: &mut SignOn, current: &str, new: &str) -> crate::world::Answer {
    let body = json!({ "currentPassword": current, "newPassword": new });
    sign_on.act("password.reset", &body).await
}

/// The actions of the audit log, oldest first.
async fn actions(w: &World) -> Vec<Action> {
    let records = w.server.list_audit(w.bank.environment.id, None, 1_000).await.unwrap();
    records.into_iter().map(|record| record.event.action).collect()
}

async fn a_password_that_must_be_changed_is_changed_before_anything_else(w: &mut World) {
    must_change(w).await;
    let mut sign_on = waiting(w).await;
    assert!(sign_on.flow.pointer("/_links/password.reset").is_some());
    assert!(sign_on.flow.get("authorizeResponse").is_none());
    assert!(sign_on.flow.get("session").is_none());
    for (action, body) in [
        ("usernamePassword.check", json!({ "username": "ann", "password": PASSWORD })),
        ("otp.check", json!({ "otp": "123456" })),
        ("device.select", json!({ "device": { "id": w.bank.ann.id } })),
    ] {
        sign_on.act(action, &body).await.must_be(400);
    }
    assert!(!actions(w).await.contains(&Action::AccessAllowed));
    reset(&mut sign_on, PASSWORD, NEW).await.must_be(200);
    let tokens = sign_on.tokens().await;
    assert_eq!(tokens.id_claims()["amr"], json!(["pwd"]));
    let told = actions(w).await;
    assert!(told.contains(&Action::PasswordReset));
    let mut again = w.app().begin().await;
    again.password("ann", PASSWORD).await.must_be(400);
    again.password("ann", NEW).await.must_be(200);
    assert_eq!(again.status(), "COMPLETED");
}

async fn a_new_password_that_cannot_be_one_is_refused_by_name(w: &mut World) {
    must_change(w).await;
    let mut sign_on = waiting(w).await;
    for (new, rule) in [
        ("short", "length.min"),
        (&"x1y2z3a4b5".repeat(26), "length.max"),
        ("ANN@bank.example", "excludesProfileData"),
        ("Password123", "excludesCommonlyUsed"),
        (PASSWORD, "notSimilarToCurrent"),
    ] {
        let problem = reset(&mut sign_on, PASSWORD, new).await.must_be(400).json();
        let detail = &problem["details"][0];
        assert_eq!(detail["code"], "PASSWORD_REQUIREMENTS_NOT_MET", "{problem}");
        assert_eq!(detail["target"], "newPassword");
        assert_eq!(detail["innerError"]["unsatisfiedRequirements"], json!([rule]), "{new}");
    }
    let problem = reset(&mut sign_on, "another one", NEW).await.must_be(400).json();
    assert_eq!(problem["details"][0]["code"], "INVALID_CREDENTIALS");
    for (body, target) in [
        (json!({ "newPassword": NEW }), "currentPassword"),
        (json!({ "currentPassword": PASSWORD }), "newPassword"),
    ] {
        let problem = sign_on.act("password.reset", &body).await.must_be(400).json();
        assert_eq!(problem["details"][0]["code"], "REQUIRED_VALUE");
        assert_eq!(problem["details"][0]["target"], target);
    }
    sign_on.read().await.must_be(200);
    assert_eq!(sign_on.status(), "MUST_CHANGE_PASSWORD");
}

async fn a_flow_whose_password_was_set_anew_changes_nothing(w: &mut World) {
    must_change(w).await;
    let mut sign_on = waiting(w).await;
    let mut other = waiting(w).await;
    w.advance(1);
    reset(&mut other, PASSWORD, "lantern tram pear").await.must_be(200);
    reset(&mut sign_on, PASSWORD, NEW).await.must_be(400);
    let new = Secret::new(PASSWORD.to_owned());
    w.server.set_password(w.bank.environment.id, w.bank.ann.id, &new).await.unwrap();
    must_change(w).await;
    reset(&mut sign_on, PASSWORD, NEW).await.must_be(400);
    let mut fresh = w.app().begin().await;
    fresh.password("ann", NEW).await.must_be(400);
}

#[tokio::test]
async fn who_changes_nothing_begins_again_or_cancels_without_a_grant() {
    let w = World::new().await;
    must_change(&w).await;
    let mut sign_on = waiting(&w).await;
    sign_on.act("session.reset", &json!({})).await.must_be(200);
    assert_eq!(sign_on.status(), "USERNAME_PASSWORD_REQUIRED");
    reset(&mut sign_on, PASSWORD, NEW).await.must_be(400);
    w.end().await;
}

#[tokio::test]
async fn a_flow_that_waits_for_a_password_takes_no_new_one() {
    let w = World::new().await;
    let mut sign_on = w.app().begin().await;
    reset(&mut sign_on, PASSWORD, NEW).await.must_be(400);
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.status(), "COMPLETED");
    reset(&mut sign_on, PASSWORD, NEW).await.must_be(400);
    w.end().await;
}

#[tokio::test]
async fn a_person_changes_the_password_on_the_hosted_page() {
    let w = World::new().await;
    must_change(&w).await;
    let mut site = w.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let page = site.browser.press(&page, "login", &fields).await;
    assert_eq!(page.heading(), "Choose a new password");
    assert_eq!(page.answer.text().matches("autocomplete=\"new-password\"").count(), 2);
    let both = |one, other| [("new_password", one), ("repeated_password", other)];
    let page = site.browser.press(&page, "new_password", &both(NEW, "pear tram lantern!")).await;
    assert!(page.problem().starts_with("You typed two different"), "{}", page.problem());
    let page = site.browser.press(&page, "new_password", &both("password1", "password1")).await;
    assert!(page.problem().starts_with("Many people use"), "{}", page.problem());
    let page = site.browser.press(&page, "new_password", &both(PASSWORD, PASSWORD)).await;
    assert!(page.problem().starts_with("That is your old"), "{}", page.problem());
    assert!(!page.answer.text().contains(PASSWORD), "no password comes back");
    let page = site.browser.press(&page, "new_password", &both(NEW, NEW)).await;
    assert!(page.url.starts_with(SITE_ADDRESS), "{}", page.url);
    site.tokens(&page.returned("code").unwrap()).await;
    // The session rests on the new password, and counts.
    let again = site.browser.open(&site.authorize_url(&site.request())).await;
    assert!(again.returned("code").is_some(), "{}", again.url);
    w.end().await;
}

#[tokio::test]
async fn a_session_by_a_password_that_must_be_changed_since_does_not_count() {
    let w = World::new().await;
    let mut receiver = Receiver::open().await;
    receiver.will(Behaviour::Answer(200));
    let site = w.bank.unusual_site(&w.server, |site| receiver.of(site, "Told")).await;
    let mut site = w.client(&site.id.to_string(), SITE_ADDRESS);
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let page = site.browser.press(&page, "login", &fields).await;
    let tokens = site.tokens(&page.returned("code").unwrap()).await;
    must_change(&w).await;
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    assert_eq!(page.returned("code"), None);
    let page = site.browser.press(&page, "login", &fields).await;
    let both = [("new_password", NEW), ("repeated_password", NEW)];
    let page = site.browser.press(&page, "new_password", &both).await;
    let fresh = site.tokens(&page.returned("code").unwrap()).await;
    // The session of before has ended, and its application is told.
    assert_ne!(fresh.id_claims()["sid"], tokens.id_claims()["sid"]);
    assert_eq!(w.server.send_due().await.unwrap(), 1);
    assert_eq!(claims(&receiver.told()[0])["sid"], tokens.id_claims()["sid"]);
    w.end().await;
}

#[tokio::test]
async fn the_second_factor_comes_after_the_new_password() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    must_change(&w).await;
    let mut sign_on = waiting(&w).await;
    reset(&mut sign_on, PASSWORD, NEW).await.must_be(200);
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
    sign_on.passcode(&phone.passcode()).await.must_be(200);
    assert_eq!(sign_on.tokens().await.id_claims()["amr"], json!(["pwd", "otp", "mfa"]));
    w.end().await;
}

/// A flow in which ann has given her password, and is asked for a passcode.
async fn at_second_factor(w: &World) -> SignOn {
    let mut sign_on = w.site().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
    w.advance(30);
    sign_on
}

async fn set_anew(w: &World) {
    let (environment, ann) = (w.bank.environment.id, w.bank.ann.id);
    w.server.set_password(environment, ann, &Secret::new(NEW.to_owned())).await.unwrap();
}

async fn a_flow_whose_password_was_set_anew_begins_again_at_the_second_factor(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let mut sign_on = at_second_factor(w).await;
    set_anew(w).await;
    w.advance(30);
    sign_on.passcode(&phone.passcode()).await.must_be(200);
    assert_eq!(sign_on.status(), "USERNAME_PASSWORD_REQUIRED");
    sign_on.password("ann", PASSWORD).await.must_be(400);
    sign_on.password("ann", NEW).await.must_be(200);
    w.advance(30);
    sign_on.passcode(&phone.passcode()).await.must_be(200);
    sign_on.tokens().await;
}

async fn a_flow_whose_password_must_be_changed_begins_again_at_the_second_factor(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let mut sign_on = at_second_factor(w).await;
    must_change(w).await;
    sign_on.passcode(&phone.passcode()).await.must_be(200);
    assert_eq!(sign_on.status(), "USERNAME_PASSWORD_REQUIRED");
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.status(), "MUST_CHANGE_PASSWORD");
}

#[tokio::test]
async fn a_flow_whose_password_was_set_anew_can_be_cancelled() {
    let w = World::new().await;
    w.phone_paired_to("ann").await;
    let mut site = w.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let page = site.browser.press(&page, "login", &fields).await;
    w.advance(30);
    set_anew(&w).await;
    let page = site.browser.press(&page, "cancel", &[]).await;
    assert_eq!(page.returned("error").as_deref(), Some("access_denied"));
    w.end().await;
}
