//! `POST /{environment}/as/par` (RFC 9126), and requests whose members are elsewhere.

use countersign_domain::application::{Application, TokenEndpointAuthMethod};

use crate::world::{Answer, Client, FORM, Members, PASSWORD, World, basic, post, with};

on_both_engines!(
    a_pushed_request_begins_one_flow,
    of_two_browsers_with_one_pushed_request_one_begins_a_flow,
);

async fn portal(w: &World) -> Client {
    let method = TokenEndpointAuthMethod::ClientSecretBasic;
    let created = w.bank.confidential(&w.server, method).await;
    let id = created.application.id.to_string();
    w.client(&id, "https://portal.example/callback").with_secret(&created)
}

async fn push(w: &World, client: &Client, request: &Members) -> Answer {
    let sent = post(&format!("{}/par", client.issuer), FORM, request.encoded());
    w.wire.send(with(sent, "authorization", &basic(&client.id, client.secret()))).await
}

async fn pushed(w: &World, client: &Client, request: &Members) -> Members {
    let body = push(w, client, request).await.must_be(201).json();
    let uri = body["request_uri"].as_str().unwrap();
    Members::default().with("client_id", &client.id).with("request_uri", uri)
}

async fn a_pushed_request_begins_one_flow(w: &mut World) {
    let mut client = portal(w).await;
    let answer = push(w, &client, &client.request()).await.must_be(201);
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!(body["expires_in"], 60);
    let uri = body["request_uri"].as_str().unwrap();
    assert!(uri.starts_with("urn:ietf:params:oauth:request_uri:"));
    let request = Members::default().with("client_id", &client.id).with("request_uri", uri);
    // What is beside it does not count (RFC 9126, section 4).
    let around = request.clone().with("scope", "x").with("redirect_uri", "https://evil.example");
    let answer = client.authorize(&around).await.must_be(302);
    let page = client.browser.open(answer.location().unwrap()).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let after = client.browser.press(&page, "login", &fields).await;
    assert!(after.url.starts_with("https://portal.example/callback?code="), "{}", after.url);
    client.authorize(&request).await.must_be(400);
}

async fn of_two_browsers_with_one_pushed_request_one_begins_a_flow(w: &mut World) {
    let client = portal(w).await;
    let request = pushed(w, &client, &client.request()).await;
    let (mut one, mut other) = (client.clone(), client.clone());
    let (one, other) = tokio::join!(one.authorize(&request), other.authorize(&request));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [302, 400]);
}

#[tokio::test]
async fn a_pushed_request_is_of_use_in_time_and_to_its_client_only() {
    let w = World::new().await;
    let mut client = portal(&w).await;
    let request = pushed(&w, &client, &client.request()).await;
    let stolen = request.clone().with("client_id", &w.site().id);
    w.site().authorize(&stolen).await.must_be(400);
    let bent = format!("{}A", request.encoded());
    w.wire.get(&format!("{}/authorize?{bent}", client.issuer)).await.must_be(400);
    w.advance(59);
    client.authorize(&request).await.must_be(302);
    let late = pushed(&w, &client, &client.request()).await;
    w.advance(60);
    client.authorize(&late).await.must_be(400);
}

#[tokio::test]
async fn what_would_be_refused_later_is_refused_when_it_is_pushed() {
    let w = World::new().await;
    let client = portal(&w).await;
    let good = client.request();
    let table = [
        (good.clone().without("response_type"), "invalid_request", "response_type is required"),
        (good.clone().with("scope", "profile"), "invalid_scope", "scope must contain openid"),
        (
            good.clone().with("redirect_uri", "https://evil.example"),
            "invalid_request",
            "redirect_uri is not one that is registered",
        ),
        (
            good.clone().with("request_uri", "urn:x"),
            "invalid_request",
            "request_uri must not be pushed",
        ),
        (
            good.clone().with("client_id", &w.site().id),
            "invalid_request",
            "client_id must be the one of the Authorization header",
        ),
        (good.clone().with("mobilePayload", "x"), "invalid_request", "mobilePayload: "),
        (good.clone().with("request", "x"), "invalid_request_object", "request: "),
        (good.clone().with("prompt", "create"), "invalid_request", "prompt must be"),
    ];
    for (request, error, description) in table {
        let body = push(&w, &client, &request).await.must_be(400).json();
        assert_eq!(body["error"], error, "{request:?}");
        let told = body["error_description"].as_str().unwrap();
        assert!(told.starts_with(description), "{told}");
    }
    let anonymous = post(&format!("{}/par", client.issuer), FORM, good.encoded());
    assert_eq!(w.wire.send(anonymous).await.must_be(401).json()["error"], "invalid_client");
}

#[tokio::test]
async fn an_application_that_must_push_cannot_ask_otherwise() {
    let w = World::new().await;
    let must = |a: &mut Application| a.oidc.pushed_requests.required = true;
    let application = w.bank.unusual_site(&w.server, must).await;
    let mut client = w.client(&application.id.to_string(), crate::world::SITE_ADDRESS);
    let request = client.request();
    let answer = client.authorize(&request).await.must_be(400);
    assert!(answer.text().contains("must push its requests"));
    // A public client may push too: it only names itself.
    let sent = post(&format!("{}/par", client.issuer), FORM, request.encoded());
    let body = w.wire.send(sent).await.must_be(201).json();
    let uri = body["request_uri"].as_str().unwrap();
    let request = Members::default().with("client_id", &client.id).with("request_uri", uri);
    client.authorize(&request).await.must_be(302);
}

#[tokio::test]
async fn a_phone_vouches_in_a_pushed_request_too() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let payload = phone.sdk.generate_mobile_payload().await.unwrap();
    let app = w.app();
    let request = app.request().with("mobilePayload", &payload).with("response_mode", "pi.flow");
    let sent = post(&format!("{}/par", app.issuer), FORM, request.encoded());
    let body = w.wire.send(sent).await.must_be(201).json();
    let request = Members::default()
        .with("client_id", &app.id)
        .with("request_uri", body["request_uri"].as_str().unwrap())
        .with("response_mode", "pi.flow");
    let mut client = app.clone();
    let flow = client.authorize(&request).await.must_be(200).json();
    let mut sign_on = crate::world::SignOn { client, flow };
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.status(), "COMPLETED");
    let amr = sign_on.tokens().await.id_claims()["amr"].clone();
    assert_eq!(amr, serde_json::json!(["pwd", "swk", "mfa"]));
}
