//! Sessions: who has signed in once is not asked again, unless the request says so (OIDC Core, section 3.1.2.1).

use countersign_domain::application::GrantType;

use crate::world::{Answer, Client, MFA_BYPASS, Members, PASSWORD, Step, World, claims};

on_both_engines!(
    who_has_signed_in_gets_a_code_at_once,
    a_session_asks_only_for_what_it_has_not_proved,
    somebody_else_who_signs_in_ends_the_session_before,
    a_session_ends_after_an_hour_without_a_sign_on,
);

/// A browser in which ann has signed in to the bank's app, at the bank's web site.
async fn signed_in(w: &World) -> Client {
    let mut sign_on = w.app().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    w.site().at(&sign_on.client.browser)
}

/// What an authorization request is answered with at once: a code, or an error.
fn told(answer: &Answer) -> String {
    match answer.returned("error") {
        Some(error) => error,
        None => answer.returned("code").map_or_else(|| "asked".to_owned(), |_| "code".to_owned()),
    }
}

async fn outcome(client: &Client, change: impl FnOnce(Members) -> Members) -> String {
    let mut client = client.clone();
    let request = change(client.request());
    told(&client.authorize(&request).await.must_be(302))
}

async fn who_has_signed_in_gets_a_code_at_once(w: &mut World) {
    let mut site = signed_in(w).await;
    w.advance(100);
    let request = site.request();
    let answer = site.authorize(&request).await.must_be(302);
    let tokens = site.tokens(&answer.returned("code").unwrap()).await;
    let (id, access) = (tokens.id_claims(), claims(&tokens.access_token));
    assert_eq!(id["sub"], w.bank.ann.id.to_string());
    assert_eq!(id["amr"], serde_json::json!(["pwd"]));
    assert_eq!(id["iat"].as_i64().unwrap() - id["auth_time"].as_i64().unwrap(), 100);
    assert_eq!(id["sid"], access["sid"]);
    let first = w.app().sign_in("ann").await;
    assert_ne!(first.id_claims()["sid"], id["sid"], "another browser is another session");
}

async fn a_session_asks_only_for_what_it_has_not_proved(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    w.bank.require(&w.server, &[Step::Login]).await;
    let client = signed_in(w).await;
    w.bank.require(&w.server, &[Step::Login, MFA_BYPASS]).await;
    let mut sign_on = client.clone().begin().await;
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
    sign_on.passcode(&phone.passcode()).await.must_be(200);
    let tokens = sign_on.tokens().await;
    assert_eq!(tokens.id_claims()["amr"], serde_json::json!(["pwd", "otp", "mfa"]));
    // The same browser has now passed the MFA step, and is asked no more.
    let again = sign_on.client.clone().begin().await;
    assert_eq!(again.status(), "COMPLETED");
    assert_eq!(again.flow["session"]["id"], sign_on.flow["session"]["id"]);
}

async fn somebody_else_who_signs_in_ends_the_session_before(w: &mut World) {
    w.user("bob").await;
    let site = signed_in(w).await;
    let before = site.browser.session().unwrap().to_owned();
    let mut sign_on = site.clone().begin_with(site.request().with("prompt", "login")).await;
    sign_on.password("bob", PASSWORD).await.must_be(200);
    let after = sign_on.client.browser.session().unwrap().to_owned();
    assert_ne!(before, after);
    let mut sign_on = sign_on.client.clone().begin().await;
    assert_eq!(sign_on.status(), "COMPLETED");
    assert_eq!(sign_on.read().await.json()["_embedded"]["user"]["username"], "bob");
    assert_eq!(outcome(&site, |r| r.with("prompt", "none")).await, "login_required");
}

async fn a_session_ends_after_an_hour_without_a_sign_on(w: &mut World) {
    let site = signed_in(w).await;
    let silent = |r: Members| r.with("prompt", "none");
    w.advance(3_599);
    assert_eq!(outcome(&site, silent).await, "code");
    // Which began the hour anew.
    w.advance(3_599);
    assert_eq!(outcome(&site, silent).await, "code");
    w.advance(3_600);
    assert_eq!(outcome(&site, silent).await, "login_required");
    // And after a day it ends, whatever happens in it.
    let site = signed_in(w).await;
    for _ in 0..24 {
        w.advance(3_599);
        assert_eq!(outcome(&site, silent).await, "code");
    }
    w.advance(30);
    assert_eq!(outcome(&site, silent).await, "login_required");
}

#[tokio::test]
async fn the_request_decides_whether_the_session_counts() {
    let w = World::new().await;
    w.user("bob").await;
    let site = signed_in(&w).await;
    let ann = w.app().sign_in("ann").await.id_token;
    let bob = w.site().sign_in("bob").await.id_token;
    let own = w.site().sign_in("ann").await.id_token;
    w.advance(10);
    let table: [(&[(&str, &str)], &str); 15] = [
        (&[], "code"),
        (&[("prompt", "none")], "code"),
        (&[("prompt", "login")], "asked"),
        (&[("prompt", "select_account")], "asked"),
        (&[("prompt", "consent")], "code"),
        (&[("max_age", "10")], "code"),
        (&[("max_age", "9")], "asked"),
        (&[("max_age", "9"), ("prompt", "none")], "login_required"),
        (&[("max_age", "0")], "asked"),
        (&[("login_hint", "ANN")], "code"),
        (&[("login_hint", "bob")], "asked"),
        (&[("id_token_hint", &own), ("prompt", "none")], "code"),
        (&[("id_token_hint", &bob), ("prompt", "none")], "login_required"),
        // Made for another application.
        (&[("id_token_hint", &ann), ("prompt", "none")], "invalid_request"),
        (&[("id_token_hint", "x")], "invalid_request"),
    ];
    for (members, expected) in table {
        let request = |r: Members| members.iter().fold(r, |r, (name, value)| r.with(name, value));
        assert_eq!(outcome(&site, request).await, expected, "{members:?}");
    }
}

#[tokio::test]
async fn nobody_is_signed_in_without_the_cookie_or_with_a_bent_one() {
    let w = World::new().await;
    let site = signed_in(&w).await;
    let silent = |r: Members| r.with("prompt", "none");
    assert_eq!(outcome(&w.site(), silent).await, "login_required");
    let (name, value) = site.browser.session_cookie();
    for bent in [
        value.replacen(value.chars().next().unwrap(), "_", 1),
        format!("{}A", &value[..63]),
        value.chars().rev().collect(),
        "A".repeat(64),
    ] {
        let url = site.authorize_url(&silent(site.request()));
        let cookie = format!("{name}={bent}");
        let answer = w.wire.send(crate::world::with(crate::world::get(&url), "cookie", &cookie));
        assert_eq!(told(&answer.await.must_be(302)), "login_required", "{bent}");
    }
}

#[tokio::test]
async fn a_session_of_one_environment_is_none_in_another() {
    let w = World::new().await;
    let site = signed_in(&w).await;
    let other = crate::world::Bank::open(&w.server, "Other").await;
    let (name, value) = site.browser.session_cookie();
    let own = w.bank.environment.id.to_string();
    let elsewhere = name.replace(&own, &other.environment.id.to_string());
    let issuer = w.issuer().replace(&own, &other.environment.id.to_string());
    let id = other.site.id.to_string();
    let client = Client::new(site.browser.clone(), &issuer, &id, crate::world::SITE_ADDRESS);
    let url = client.authorize_url(&client.request().with("prompt", "none"));
    let cookie = format!("{elsewhere}={value}; {name}={value}");
    let answer = w.wire.send(crate::world::with(crate::world::get(&url), "cookie", &cookie)).await;
    assert_eq!(told(&answer.must_be(302)), "login_required");
}

#[tokio::test]
async fn a_new_password_and_a_disabled_user_end_what_was_proved() {
    let w = World::new().await;
    let site = signed_in(&w).await;
    let silent = |r: Members| r.with("prompt", "none");
    w.advance(1);
    let new = countersign_protocol::secret::Secret::new("another battery staple".to_owned());
    w.server.set_password(w.bank.environment.id, w.bank.ann.id, &new).await.unwrap();
    assert_eq!(outcome(&site, silent).await, "login_required");
    let mut sign_on = site.clone().begin().await;
    sign_on.password("ann", new.expose()).await.must_be(200);
    let site = w.site().at(&sign_on.client.browser);
    assert_eq!(outcome(&site, silent).await, "code");
    w.bank.disable_ann(&w.server).await;
    assert_eq!(outcome(&site, silent).await, "login_required");
}

#[tokio::test]
async fn an_app_that_shows_its_phone_keeps_no_session() {
    let w = World::new().await;
    let phone = w.phone().await;
    let sign_on = w.sign_in_on(&phone, "ann").await;
    assert_eq!(sign_on.flow.get("session"), None);
    assert_eq!(sign_on.client.browser.session(), None);
    assert_eq!(sign_on.tokens().await.id_claims().get("sid"), None);
}

#[tokio::test]
async fn a_flow_that_is_for_one_user_tells_the_application_of_another() {
    let w = World::new().await;
    w.user("bob").await;
    let hint = w.app().sign_in("ann").await.id_token;
    let request = w.app().request().with("id_token_hint", &hint);
    let mut sign_on = w.app().begin_with(request).await;
    assert_eq!(sign_on.status(), "PASSWORD_REQUIRED");
    sign_on.act("session.reset", &serde_json::json!({})).await.must_be(200);
    sign_on.password("bob", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.status(), "FAILED");
    assert_eq!(sign_on.response("error"), "login_required");
    assert_eq!(sign_on.client.browser.session(), None);
}

#[tokio::test]
async fn acr_values_choose_among_the_policies_of_the_application() {
    let w = World::new().await;
    let steps = [Step::Login, Step::Mfa(countersign_domain::sign_on_policy::NoDevicesMode::Block)];
    w.bank.assign_also(&w.server, "Strong", &steps).await;
    let acr = async |values: &str| {
        let request = w.app().request().with("acr_values", values);
        let mut sign_on = w.app().begin_with(request).await;
        sign_on.password("ann", PASSWORD).await.must_be(200);
        sign_on.status().to_owned()
    };
    assert_eq!(acr("Trusted_Phone Strong").await, "COMPLETED");
    assert_eq!(acr("Strong Trusted_Phone").await, "FAILED", "ann has no device");
    // Names that are not assigned are passed over: the ID token tells which policy it was.
    assert_eq!(acr("1 2").await, "COMPLETED");
    assert_eq!(acr("Single_Factor").await, "COMPLETED");
}

#[tokio::test]
async fn a_refresh_token_ends_with_the_session_that_is_signed_off() {
    let w = World::new().await;
    let refreshing = |a: &mut countersign_domain::application::Application| {
        a.grant_types.push(GrantType::RefreshToken);
        a.oidc.post_logout_redirect_uris = vec!["https://bank.example/out".to_owned()];
    };
    let application = w.bank.unusual_site(&w.server, refreshing).await;
    let mut client = w.client(&application.id.to_string(), crate::world::SITE_ADDRESS);
    let mut sign_on = client.clone().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    client.browser = sign_on.client.browser.clone();
    let body = client.redeem(&client.token_request(&sign_on.code())).await.must_be(200).json();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    let refresh = Members::from([
        ("grant_type", "refresh_token"),
        ("refresh_token", &text("refresh_token")),
        ("client_id", &client.id),
    ]);
    let again = client.redeem(&refresh).await.must_be(200).json();
    let out = [
        ("id_token_hint", text("id_token").as_str()),
        ("post_logout_redirect_uri", "https://bank.example/out"),
        ("state", "a b"),
    ]
    .into_iter()
    .fold(Members::default(), |members, (name, value)| members.with(name, value));
    let url = format!("{}/signoff?{}", client.issuer, out.encoded());
    let answer = client.browser.send(crate::world::get(&url)).await.must_be(303);
    assert_eq!(answer.location(), Some("https://bank.example/out?state=a+b"));
    assert_eq!(client.browser.session(), None);
    let newest = refresh.with("refresh_token", again["refresh_token"].as_str().unwrap());
    assert_eq!(client.redeem(&newest).await.must_be(400).json()["error"], "invalid_grant");
    client.user_info(again["access_token"].as_str().unwrap()).await.must_be(401);
}
