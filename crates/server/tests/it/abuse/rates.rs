//! Limits, as each surface tells them.

use std::net::SocketAddr;

use axum::{body::Body, extract::ConnectInfo};
use countersign_sdk::{Category, Error};
use countersign_server::{Budget, Limit, LimitSettings};
use http::{Method, Request};

use crate::world::{Answer, Bank, FORM, JSON, PASSWORD, World, get, post, request};

const TWO: Limit = Limit::new(0.1, 2);

fn of_address() -> Budget {
    Budget { address: TWO, ..Budget::OFF }
}

fn from(address: &str, mut request: Request<Body>) -> Request<Body> {
    let address: SocketAddr = format!("{address}:40000").parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(address));
    request
}

/// The third of three requests.
async fn third(w: &World, send: impl Fn() -> Request<Body>) -> Answer {
    for _ in 0..2 {
        let answer = w.wire.send(send()).await;
        assert_ne!(answer.status, 429, "{answer:?}");
    }
    w.wire.send(send()).await
}

#[tokio::test]
async fn each_surface_says_in_its_own_words_that_it_is_too_much() {
    let all = of_address();
    let limits = LimitSettings {
        sign_on: all,
        flow: all,
        token: all,
        device: all,
        read: all,
        ..LimitSettings::off()
    };
    let w = World::limited(limits).await;
    let own_screens = w.app().request().with("response_mode", "pi.flow");
    let own_screens = w.app().authorize_url(&own_screens);
    let action = "application/vnd.pingidentity.session.reset+json";
    // One address each, so that what is counted together does not matter here.
    let requests: [(&str, &str, Request<Body>); 9] = [
        ("192.0.2.1", "page", get(&w.url("/as/authorize"))),
        ("192.0.2.2", "page", get(&w.url("/signon"))),
        ("192.0.2.3", "page", post(&w.url("/signon"), FORM, "")),
        ("192.0.2.4", "envelope", get(&own_screens)),
        ("192.0.2.5", "envelope", post(&w.url("/flows/x"), action, "")),
        ("192.0.2.6", "envelope", get(&w.url("/device/v1/nonce"))),
        ("192.0.2.7", "envelope", get("/assets/x")),
        ("192.0.2.8", "oauth", post(&w.url("/as/token"), FORM, "")),
        ("192.0.2.9", "oauth", get(&w.url("/as/jwks"))),
    ];
    for (address, surface, sent) in requests {
        let again = || {
            let (method, url) = (sent.method().clone(), sent.uri().to_string());
            let mut again = request(method, &url);
            *again.headers_mut() = sent.headers().clone();
            from(address, again)
        };
        let answer = third(&w, again).await.must_be(429);
        assert_eq!(answer.header("retry-after"), "10", "{}", sent.uri());
        assert_eq!(answer.header("cache-control"), "no-store");
        match surface {
            "page" => {
                assert!(answer.text().contains("One moment, please"), "{}", answer.text());
                assert!(answer.text().contains("Wait 10 seconds"), "{}", answer.text());
                assert_eq!(answer.header("x-frame-options"), "DENY");
            }
            "oauth" => assert_eq!(answer.json()["error"], "too_many_requests"),
            _ => assert_eq!(answer.problem().0, "REQUEST_LIMITED"),
        }
    }
}

#[tokio::test]
async fn who_waits_as_told_is_answered_and_others_never_had_to() {
    let w = World::limited(LimitSettings { read: of_address(), ..LimitSettings::off() }).await;
    let ask = |address| from(address, get(&w.url("/as/jwks")));
    third(&w, || ask("192.0.2.1")).await.must_be(429);
    w.wire.send(ask("192.0.2.2")).await.must_be(200);
    w.wire.send(ask("[2001:db8::1]")).await.must_be(200);
    w.wire.send(ask("[2001:db8::2]")).await.must_be(200);
    w.wire.send(ask("[2001:db8::3]")).await.must_be(429);
    w.advance(9);
    w.wire.send(ask("192.0.2.1")).await.must_be(429);
    w.advance(1);
    w.wire.send(ask("192.0.2.1")).await.must_be(200);
}

#[tokio::test]
async fn a_preflight_is_not_counted_and_a_refusal_can_be_read_across_origins() {
    let w = World::limited(LimitSettings { token: of_address(), ..LimitSettings::off() }).await;
    let crossing = |method: Method| {
        let mut sent = request(method, &w.url("/as/token"));
        sent.headers_mut().insert("origin", "https://app.example".parse().unwrap());
        sent
    };
    for _ in 0..5 {
        let mut preflight = crossing(Method::OPTIONS);
        let asked = "access-control-request-method";
        preflight.headers_mut().insert(asked, "POST".parse().unwrap());
        w.wire.send(preflight).await.must_be(200);
    }
    let refused = third(&w, || crossing(Method::POST)).await.must_be(429);
    assert_eq!(refused.header("access-control-allow-origin"), "*");
    let told = refused.header("access-control-expose-headers");
    assert!(told.contains("retry-after"), "{told}");
}

#[tokio::test]
async fn an_environment_is_the_same_however_its_id_is_written() {
    let budget = Budget { environment: TWO, ..Budget::OFF };
    let limits = LimitSettings { read: budget, address_share: 1.0, ..LimitSettings::off() };
    let w = World::limited(limits).await;
    let other = Bank::open(&w.server, "Other").await.environment.id.to_string();
    let id = w.bank.environment.id.to_string();
    let encoded = format!("%{:02X}{}", id.as_bytes()[0], &id[1..]);
    let url = |id: &str| format!("/{id}/as/jwks");
    w.wire.get(&url(&id)).await.must_be(200);
    w.wire.get(&url(&encoded)).await.must_be(200);
    w.wire.get(&url(&encoded)).await.must_be(429);
    w.wire.get(&url(&id)).await.must_be(429);
    w.wire.get(&url(&other)).await.must_be(200);
}

#[tokio::test]
async fn one_application_does_not_use_up_the_budget_of_another() {
    let budget = Budget { application: TWO, ..Budget::OFF };
    let limits = LimitSettings { flow: budget, token: budget, ..LimitSettings::off() };
    let w = World::limited(limits).await;
    let (mut app, mut site) = (w.app(), w.site());
    let request = app.request();
    for _ in 0..2 {
        app.authorize(&request).await.must_be(302);
    }
    app.authorize(&request).await.must_be(429);
    let drawn = app.request().with("response_mode", "pi.flow");
    assert_eq!(app.authorize(&drawn).await.must_be(429).problem().0, "REQUEST_LIMITED");
    let request = site.request();
    site.authorize(&request).await.must_be(302);
    for _ in 0..2 {
        app.redeem(&app.token_request("x")).await.must_be(400);
    }
    let refused = app.redeem(&app.token_request("x")).await.must_be(429);
    assert_eq!((refused.media_type(), refused.header("retry-after")), (JSON, "10"));
    site.redeem(&site.token_request("x")).await.must_be(400);
}

#[tokio::test]
async fn attempts_under_one_name_are_limited_whether_anybody_has_it_or_not() {
    let w = World::limited(LimitSettings { user: TWO, ..LimitSettings::off() }).await;
    let mut told = Vec::new();
    for username in ["ann", "nobody"] {
        let mut sign_on = w.app().begin().await;
        for _ in 0..2 {
            sign_on.password(username, "wrong").await.must_be(400);
        }
        let refused = sign_on.password(username, "wrong").await.must_be(429);
        let mut site = w.site();
        let page = site.browser.open(&site.authorize_url(&site.request())).await;
        let typed = [("username", username), ("password", "wrong")];
        let page = site.browser.press(&page, "login", &typed).await;
        assert_eq!(page.answer.status, 429);
        told.push((refused.problem(), refused.header("retry-after").to_owned(), page.problem()));
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0].2, "Too many attempts. Try again in 10 seconds.");
}

#[tokio::test]
async fn the_sdk_tells_its_app_to_come_back() {
    let budget = Budget { address: Limit::new(0.1, 20), ..Budget::OFF };
    let w = World::limited(LimitSettings { device: budget, ..LimitSettings::off() }).await;
    let phone = w.phone_paired_to("ann").await;
    for _ in 0..20 {
        w.wire.get(&w.url("/device/v1/nonce")).await;
    }
    let error: Error = phone.sdk.info().await.unwrap_err();
    assert_eq!((error.category(), error.is_retriable()), (Category::Server, true));
    assert_eq!(error.retry_after_seconds(), Some(10));
}

#[tokio::test]
async fn the_defaults_leave_a_person_alone() {
    let w = World::limited(LimitSettings::default()).await;
    for _ in 0..10 {
        w.app().sign_in("ann").await;
    }
    let mut sign_on = w.app().begin().await;
    for _ in 0..4 {
        sign_on.password("ann", "wrong").await.must_be(400);
    }
    sign_on.password("ann", PASSWORD).await.must_be(200);
}
