//! Clients that prove themselves by a JWT: `client_secret_jwt` and `private_key_jwt` (RFC 7523).

use countersign_domain::application::{ClientKeys, GrantType, Kind, Oidc, TokenEndpointAuthMethod};
use countersign_protocol::jose::Algorithm;
use countersign_server::app::NewApplication;
use serde_json::{Value, json};

use crate::world::{
    Answer, Client, KeyPage, Members, SITE_ADDRESS, START, Tokens, World, basic, by_key, by_secret,
    key_set,
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A worker that proves itself by this method, and its secret.
async fn worker(
    w: &World,
    method: TokenEndpointAuthMethod,
    keys: Option<ClientKeys>,
) -> (Client, String) {
    let new = NewApplication {
        name: "Signing worker".to_owned(),
        kind: Kind::Worker,
        token_endpoint_auth_method: method,
        grant_types: vec![GrantType::ClientCredentials],
        redirect_uris: vec![],
        id_token_algorithm: Algorithm::Es256,
        oidc: Oidc { keys, ..Oidc::default() },
        mobile: None,
    };
    let created = w.server.create_application(w.bank.environment.id, new).await.unwrap();
    let secret = created.secret.map(|secret| secret.expose().clone()).unwrap_or_default();
    (w.client(&created.application.id.to_string(), SITE_ADDRESS), secret)
}

/// A worker with the keys 1 and 2.
async fn key_worker(w: &World) -> Client {
    let keys = ClientKeys::Inline(key_set(&[1, 2]));
    worker(w, TokenEndpointAuthMethod::PrivateKeyJwt, Some(keys)).await.0
}

fn claims(client: &Client, jti: &str) -> Value {
    let now = START.unix_seconds();
    json!({"iss": client.id, "sub": client.id, "aud": client.issuer, "exp": now + 300, "jti": jti})
}

fn with(mut claims: Value, name: &str, value: &Value) -> Value {
    claims[name] = value.clone();
    claims
}

fn proven(assertion: &str) -> Members {
    Members::from([
        ("grant_type", "client_credentials"),
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", assertion),
    ])
}

fn refusal(answer: Answer, status: u16) -> (String, String) {
    let body = answer.must_be(status).json();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (text("error"), text("error_description"))
}

fn invalid_client(told: &str) -> (String, String) {
    let description = match told {
        "" => "client authentication failed".to_owned(),
        told => format!("client authentication failed: {told}"),
    };
    ("invalid_client".to_owned(), description)
}

async fn an_assertion_under_the_secret_counts_once(w: &mut World) {
    let (client, secret) = worker(w, TokenEndpointAuthMethod::ClientSecretJwt, None).await;
    let assertion = by_secret(&secret, &claims(&client, "a"));
    client.redeem(&proven(&assertion)).await.must_be(200);
    let used = invalid_client("client_assertion: jti must not have been used before");
    assert_eq!(refusal(client.redeem(&proven(&assertion)).await, 401), used);
    let other = by_secret("another secret", &claims(&client, "b"));
    let wrong = invalid_client("client_assertion: the signature does not match");
    assert_eq!(refusal(client.redeem(&proven(&other)).await, 401), wrong);
    // Its own keys are not what is registered.
    let by_key = refusal(client.redeem(&proven(&by_key(1, &claims(&client, "c")))).await, 401);
    assert_eq!(by_key, invalid_client("client_assertion: alg must be HS256, HS384 or HS512"));
}

async fn of_many_requests_with_one_assertion_one_counts(w: &mut World) {
    let client = key_worker(w).await;
    let request = proven(&by_key(2, &claims(&client, "a")));
    let all = std::array::from_fn::<_, 8, _>(|_| {
        let (client, request) = (client.clone(), request.clone());
        tokio::spawn(async move { client.redeem(&request).await.status })
    });
    let mut counted = 0;
    for one in all {
        counted += u32::from(one.await.unwrap() == 200);
    }
    assert_eq!(counted, 1);
}

on_both_engines!(
    an_assertion_under_the_secret_counts_once,
    of_many_requests_with_one_assertion_one_counts,
);

#[tokio::test]
async fn an_assertion_under_a_key_opens_every_endpoint_for_clients() {
    let w = World::new().await;
    let client = key_worker(&w).await;
    let request = proven(&by_key(1, &claims(&client, "1"))).with("client_id", &client.id);
    let token = Tokens::of(&client.redeem(&request).await).access_token;
    let about = |jti: &str| {
        let request = proven(&by_key(1, &claims(&client, jti))).without("grant_type");
        request.with("token", &token)
    };
    let told = client.ask("introspect", &about("2")).await.must_be(200).json();
    assert_eq!(told["active"], true);
    // Also where nothing is changed an assertion counts once.
    client.ask("introspect", &about("2")).await.must_be(401);
    client.ask("revoke", &about("3")).await.must_be(200);
    let told = client.ask("introspect", &about("4")).await.must_be(200).json();
    assert_eq!(told["active"], false);
}

#[tokio::test]
async fn each_address_at_which_clients_prove_themselves_may_be_meant_and_no_other() {
    let w = World::new().await;
    let client = key_worker(&w).await;
    let issuer = w.issuer();
    for (jti, aud, counts) in [
        ("a", json!(issuer), true),
        ("b", json!(format!("{issuer}/token")), true),
        ("c", json!(format!("{issuer}/par")), true),
        ("d", json!([issuer]), true),
        ("e", json!([issuer, "https://other.example"]), false),
        ("f", json!(w.url("/device/v1")), false),
        ("g", json!("https://id.example/00000000-0000-7000-8000-000000000000/as"), false),
    ] {
        let assertion = by_key(1, &with(claims(&client, jti), "aud", &aud));
        let status = client.redeem(&proven(&assertion)).await.status;
        assert_eq!(status == 200, counts, "{aud}");
    }
}

#[tokio::test]
async fn an_assertion_that_has_expired_or_lives_too_long_is_refused() {
    let w = World::new().await;
    let client = key_worker(&w).await;
    let assertion = proven(&by_key(1, &claims(&client, "a")));
    let long = with(claims(&client, "b"), "exp", &json!(START.unix_seconds() + 3_661));
    let told = refusal(client.redeem(&proven(&by_key(1, &long))).await, 401);
    assert_eq!(told, invalid_client("client_assertion: exp must be at most one hour ahead"));
    w.advance(360);
    let told = refusal(client.redeem(&assertion).await, 401);
    assert_eq!(told, invalid_client("client_assertion: exp has passed"));
}

#[tokio::test]
async fn a_client_proves_itself_in_the_registered_way_and_in_one_alone() {
    let w = World::new().await;
    let client = key_worker(&w).await;
    let plain = Members::from([("grant_type", "client_credentials"), ("client_id", &*client.id)]);
    let bare = refusal(client.redeem(&plain.clone()).await, 401);
    assert_eq!(bare, invalid_client(""));
    let secret = refusal(client.redeem(&plain.with("client_secret", "x")).await, 401);
    assert_eq!(secret, invalid_client(""));
    let request = proven(&by_key(1, &claims(&client, "a")));
    let twice = "client_assertion must not be sent with a client_secret";
    let bad = |told: &str| ("invalid_request".to_owned(), told.to_owned());
    let header = basic(&client.id, "x");
    assert_eq!(refusal(client.redeem_as(&request, Some(&header)).await, 400), bad(twice));
    let with_secret = request.clone().with("client_id", &client.id).with("client_secret", "x");
    assert_eq!(refusal(client.redeem(&with_secret).await, 400), bad(twice));
    let untyped = request.clone().without("client_assertion_type");
    let told = format!("client_assertion_type must be {JWT_BEARER}");
    assert_eq!(refusal(client.redeem(&untyped).await, 400), bad(&told));
    let empty = request.clone().without("client_assertion");
    let told = "client_assertion is required with client_assertion_type";
    assert_eq!(refusal(client.redeem(&empty).await, 400), bad(told));
    let other = request.clone().with("client_id", &w.site().id);
    let told = invalid_client("client_assertion: sub must be the client_id of the request");
    assert_eq!(refusal(client.redeem(&other).await, 401), told);
    // Nothing of this has used it up.
    client.redeem(&request).await.must_be(200);
    // A client of another method cannot bring one.
    let basic_worker = w.worker().await;
    let foreign = proven(&by_secret(basic_worker.secret(), &claims(&basic_worker, "a")));
    let told = refusal(basic_worker.redeem_as(&foreign, None).await, 401);
    assert_eq!(told, invalid_client(""));
}

#[tokio::test]
async fn keys_at_an_address_are_fetched_once_and_again_for_a_new_key() {
    let w = World::new().await;
    let page = KeyPage::open(&[1]).await;
    let keys = Some(ClientKeys::Url(page.url()));
    let (client, _) = worker(&w, TokenEndpointAuthMethod::PrivateKeyJwt, keys).await;
    let send =
        async |key, jti: &str| client.redeem(&proven(&by_key(key, &claims(&client, jti)))).await;
    send(1, "a").await.must_be(200);
    send(1, "b").await.must_be(200);
    assert_eq!(page.calls(), 1);
    page.show(200, key_set(&[2]));
    // A key that is not known is not asked for more often than every ten seconds.
    let unknown = invalid_client("client_assertion: kid is not the name of a key that fits alg");
    assert_eq!(refusal(send(2, "c").await, 401), unknown);
    assert_eq!(page.calls(), 1);
    w.advance(10);
    send(2, "d").await.must_be(200);
    assert_eq!(page.calls(), 2);
    assert_eq!(refusal(send(1, "e").await, 401), unknown);
    assert_eq!(page.calls(), 2);
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_are_told_and_asked_for_again_later() {
    let w = World::new().await;
    let page = KeyPage::open(&[1]).await;
    let keys = Some(ClientKeys::Url(page.url()));
    let (client, _) = worker(&w, TokenEndpointAuthMethod::PrivateKeyJwt, keys).await;
    let send = async |jti: &str| client.redeem(&proven(&by_key(1, &claims(&client, jti)))).await;
    let told = invalid_client("the keys of the client cannot be fetched from its address");
    for (calls, status, body) in [
        (1, 500, key_set(&[1])),
        (2, 302, key_set(&[1])),
        (3, 200, String::new()),
        (4, 200, format!("{}{}", key_set(&[1]), " ".repeat(64 * 1024))),
    ] {
        page.show(status, body);
        assert_eq!(refusal(send("a").await, 401), told);
        // The failure is remembered too.
        assert_eq!(refusal(send("a").await, 401), told);
        assert_eq!(page.calls(), calls);
        w.advance(10);
    }
    page.show(200, key_set(&[1]));
    send("a").await.must_be(200);
    // A page that fails later does not lock the client out at once.
    page.show(500, String::new());
    w.advance(200);
    send("b").await.must_be(200);
}
