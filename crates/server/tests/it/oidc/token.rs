//! `POST /{environment}/as/token`.

use countersign_domain::application::TokenEndpointAuthMethod;

use crate::world::{Bank, Client, JSON, Members, World, basic, post, request};

/// Sends a request that must be refused like this.
async fn is_refused(client: &Client, request: &Members, status: u16, error: &str) {
    let answer = client.redeem(request).await.must_be(status);
    assert_eq!(answer.json()["error"], error, "{request:?}");
    assert!(answer.json().get("access_token").is_none());
    assert_eq!(answer.header("cache-control"), "no-store");
}

on_both_engines!(
    a_code_gives_tokens,
    a_code_that_comes_twice_takes_its_tokens_back,
    a_code_lives_for_a_minute,
    of_two_requests_with_one_code_at_the_same_time_one_gets_tokens,
);

async fn a_code_gives_tokens(w: &mut World) {
    let app = w.app();
    let code = app.code_for("ann").await;
    let answer = app.redeem(&app.token_request(&code)).await.must_be(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("pragma"), "no-cache");
    let body = answer.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3_600);
    assert_eq!(body["scope"], "openid profile email");
}

async fn a_code_that_comes_twice_takes_its_tokens_back(w: &mut World) {
    let app = w.app();
    let code = app.code_for("ann").await;
    let tokens = app.tokens(&code).await;
    app.user_info(&tokens.access_token).await.must_be(200);
    is_refused(&app, &app.token_request(&code), 400, "invalid_grant").await;
    app.user_info(&tokens.access_token).await.must_be(401);
    is_refused(&app, &app.token_request(&code), 400, "invalid_grant").await;
}

async fn a_code_lives_for_a_minute(w: &mut World) {
    let app = w.app();
    let (first, second) = (app.code_for("ann").await, app.code_for("ann").await);
    w.advance(59);
    app.tokens(&first).await;
    w.advance(1);
    is_refused(&app, &app.token_request(&second), 400, "invalid_grant").await;
}

async fn of_two_requests_with_one_code_at_the_same_time_one_gets_tokens(w: &mut World) {
    let app = w.app();
    let code = app.code_for("ann").await;
    let request = app.token_request(&code);
    let (one, other) = tokio::join!(app.redeem(&request), app.redeem(&request));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
}

#[tokio::test]
async fn a_code_needs_its_verifier() {
    let w = World::new().await;
    let app = w.app();
    let code = app.code_for("ann").await;
    let good = app.token_request(&code);
    let other = "another-verifier-that-is-long-enough-for-rfc-7636-too";
    is_refused(&app, &good.clone().with("code_verifier", other), 400, "invalid_grant").await;
    is_refused(&app, &good.clone().without("code_verifier"), 400, "invalid_grant").await;
    is_refused(&app, &good.clone().with("code_verifier", "short"), 400, "invalid_request").await;
    let unfit = "a verifier with characters that RFC 7636 does not know!";
    is_refused(&app, &good.clone().with("code_verifier", unfit), 400, "invalid_request").await;
    // None of the refusals has spent the code.
    app.redeem(&good).await.must_be(200);
}

#[tokio::test]
async fn a_verifier_that_nobody_announced_is_refused() {
    let w = World::new().await;
    let created = w.bank.confidential(&w.server, TokenEndpointAuthMethod::ClientSecretPost).await;
    let portal = portal(&w, &created);
    let request = portal.request().without("code_challenge").without("code_challenge_method");
    let mut sign_on = portal.clone().begin_with(request).await;
    sign_on.password("ann", crate::world::PASSWORD).await.must_be(200);
    let good = portal.token_request(&sign_on.code());
    is_refused(&portal, &good, 400, "invalid_grant").await;
    portal.redeem(&good.without("code_verifier")).await.must_be(200);
}

#[tokio::test]
async fn a_code_needs_its_redirect_uri() {
    let w = World::new().await;
    let app = w.app();
    let code = app.code_for("ann").await;
    let good = app.token_request(&code);
    is_refused(&app, &good.clone().without("redirect_uri"), 400, "invalid_grant").await;
    let other = "org.bank.app:/other";
    is_refused(&app, &good.clone().with("redirect_uri", other), 400, "invalid_grant").await;
    app.redeem(&good).await.must_be(200);
}

#[tokio::test]
async fn a_code_is_of_use_to_its_own_client_only() {
    let w = World::new().await;
    let (app, site) = (w.app(), w.site());
    let code = app.code_for("ann").await;
    let stolen = app.token_request(&code).with("client_id", &site.id);
    is_refused(&site, &stolen, 400, "invalid_grant").await;
    app.tokens(&code).await;
}

#[tokio::test]
async fn a_code_of_another_environment_is_unknown() {
    let w = World::new().await;
    let other = Bank::open(&w.server, "Other").await;
    let code = w.app().code_for("ann").await;
    let issuer =
        w.issuer().replace(&w.bank.environment.id.to_string(), &other.environment.id.to_string());
    let foreign = Client::new(
        w.browser(),
        &issuer,
        &other.native.id.to_string(),
        crate::world::NATIVE_ADDRESS,
    );
    is_refused(&foreign, &foreign.token_request(&code), 400, "invalid_grant").await;
    let own = foreign.token_request(&code).with("client_id", &w.app().id);
    is_refused(&foreign, &own, 401, "invalid_client").await;
}

#[tokio::test]
async fn a_code_that_was_changed_is_unknown() {
    let w = World::new().await;
    let app = w.app();
    let code = app.code_for("ann").await;
    let bent =
        format!("{}{}", &code[..code.len() - 2], if code.ends_with("AA") { "BA" } else { "AA" });
    for unknown in [bent.as_str(), "x", &code[1..], &format!("{code}AAAA")] {
        is_refused(&app, &app.token_request(unknown), 400, "invalid_grant").await;
    }
    app.tokens(&code).await;
}

#[tokio::test]
async fn what_a_request_lacks_is_named() {
    let w = World::new().await;
    let app = w.app();
    let good = app.token_request("x");
    is_refused(&app, &good.clone().with("grant_type", "password"), 400, "unsupported_grant_type")
        .await;
    for member in ["grant_type", "code", "client_id"] {
        let answer = app.redeem(&good.clone().without(member)).await.must_be(400);
        assert_eq!(answer.json()["error"], "invalid_request");
        assert_eq!(answer.json()["error_description"], format!("{member} is required"));
    }
    let answer = app.redeem(&good.and("code", "y")).await.must_be(400);
    assert_eq!(answer.json()["error_description"], "code must not be repeated");
}

#[tokio::test]
async fn a_request_is_a_posted_form_of_bearable_size() {
    let w = World::new().await;
    let url = w.url("/as/token");
    let answer = w.wire.get(&url).await.must_be(405);
    assert_eq!(answer.header("allow"), "POST");
    w.wire.send(request(http::Method::PUT, &url)).await.must_be(405);
    let answer = w.wire.send(post(&url, JSON, "{}")).await.must_be(415);
    assert_eq!(answer.json()["error"], "invalid_request");
    let large = w.app().token_request(&"x".repeat(70_000));
    is_refused(&w.app(), &large, 413, "invalid_request").await;
}

fn portal(w: &World, created: &countersign_server::app::CreatedApplication) -> Client {
    let id = created.application.id.to_string();
    w.client(&id, "https://portal.example/callback").with_secret(created)
}

#[tokio::test]
async fn a_client_with_basic_proves_itself_by_the_header_and_in_no_other_way() {
    let w = World::new().await;
    let created = w.bank.confidential(&w.server, TokenEndpointAuthMethod::ClientSecretBasic).await;
    let portal = portal(&w, &created);
    let code = portal.code_for("ann").await;
    let good = portal.token_request(&code);
    let in_form = good.clone().with("client_id", &portal.id).with("client_secret", portal.secret());
    let named = good.clone().with("client_id", &portal.id);
    let right = basic(&portal.id, portal.secret());
    for (request, header, status, error) in [
        (&good, Some(basic(&portal.id, "wrong")), 401, "invalid_client"),
        (&good, Some(basic("not-an-id", portal.secret())), 401, "invalid_client"),
        (&good, Some("Basic !".to_owned()), 401, "invalid_client"),
        (&good, None, 400, "invalid_request"),
        (&named, None, 401, "invalid_client"),
        (&named, Some("Basic !".to_owned()), 400, "invalid_request"),
        (&in_form, None, 401, "invalid_client"),
        (&in_form, Some(right.clone()), 400, "invalid_request"),
        (&good.clone().with("client_id", "other"), Some(right.clone()), 400, "invalid_request"),
    ] {
        let answer = portal.redeem_as(request, header.as_deref()).await.must_be(status);
        assert_eq!(answer.json()["error"], error, "{request:?} {header:?}");
        // RFC 6749, section 5.2.
        let challenged = answer.header("www-authenticate").starts_with("Basic");
        assert_eq!(challenged, status == 401 && header.is_some(), "{answer:?}");
    }
    portal.redeem_as(&named, Some(&right.replace("Basic", "basic"))).await.must_be(200);
}

#[tokio::test]
async fn a_client_with_post_proves_itself_by_the_form_and_in_no_other_way() {
    let w = World::new().await;
    let created = w.bank.confidential(&w.server, TokenEndpointAuthMethod::ClientSecretPost).await;
    let portal = portal(&w, &created);
    let code = portal.code_for("ann").await;
    let good = portal.token_request(&code);
    is_refused(&portal, &good.clone().with("client_secret", "wrong"), 401, "invalid_client").await;
    is_refused(&portal, &good.clone().without("client_secret"), 401, "invalid_client").await;
    let by_header = good.clone().without("client_secret");
    let header = basic(&portal.id, portal.secret());
    portal.redeem_as(&by_header, Some(&header)).await.must_be(401);
    portal.redeem_as(&good, Some(&header)).await.must_be(400);
    portal.redeem(&good).await.must_be(200);
}

#[tokio::test]
async fn a_client_without_a_secret_must_not_send_one() {
    let w = World::new().await;
    let app = w.app();
    let code = app.code_for("ann").await;
    let good = app.token_request(&code);
    is_refused(&app, &good.clone().with("client_secret", "x"), 401, "invalid_client").await;
    app.redeem_as(&good, Some(&basic(&app.id, "x"))).await.must_be(401);
    app.redeem_as(&good, Some(&basic(&app.id, ""))).await.must_be(401);
    app.redeem_as(&good, Some("Basic !")).await.must_be(400);
    app.redeem(&good).await.must_be(200);
}

#[tokio::test]
async fn a_client_that_is_disabled_gets_nothing() {
    let w = World::new().await;
    let disabled = w.bank.unusual_site(&w.server, |a| a.enabled = false).await;
    let client = w.client(&disabled.id.to_string(), crate::world::SITE_ADDRESS);
    is_refused(&client, &client.token_request("x"), 401, "invalid_client").await;
}
