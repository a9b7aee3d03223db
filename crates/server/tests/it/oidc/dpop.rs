//! Tokens that are bound to a key (RFC 9449).

use countersign_domain::application::{GrantType, RefreshRules};
use countersign_protocol::{encoding, jose};
use countersign_store::Engine;
use http::Request;
use serde_json::{Value, json};

use crate::world::{
    Answer, Client, FORM, Members, PASSWORD, SITE_ADDRESS, START, World, claims, get, post, proof,
    thumbprint, with,
};

/// The claims of a proof for a form that is posted to an endpoint for clients.
fn posted(client: &Client, endpoint: &str, jti: &str) -> Value {
    let htu = format!("{}/{endpoint}", client.issuer);
    json!({"htm": "POST", "htu": htu, "iat": START.unix_seconds(), "jti": jti})
}

/// The claims of a proof for asking userinfo with this token.
fn asked(client: &Client, token: &str, jti: &str) -> Value {
    let htu = format!("{}/userinfo", client.issuer);
    let ath = encoding::encode(jose::digest(token));
    json!({"htm": "GET", "htu": htu, "iat": START.unix_seconds(), "jti": jti, "ath": ath})
}

async fn redeem(client: &Client, request: &Members, proof: &str) -> Answer {
    let sent = post(&format!("{}/token", client.issuer), FORM, request.encoded());
    client.browser.wire.send(with(sent, "dpop", proof)).await
}

async fn user_info(client: &Client, authorization: &str, proof: Option<&str>) -> Answer {
    let url = format!("{}/userinfo", client.issuer);
    let request = with(get(&url), "authorization", authorization);
    let request: Request<_> = match proof {
        Some(proof) => with(request, "dpop", proof),
        None => request,
    };
    client.browser.wire.send(request).await
}

fn refusal(answer: Answer, status: u16) -> (String, String) {
    let body = answer.must_be(status).json();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (text("error"), text("error_description"))
}

fn told(error: &str, description: &str) -> (String, String) {
    (error.to_owned(), description.to_owned())
}

/// Tokens of ann for a client, bound to the first key.
async fn bound(client: &Client) -> Value {
    let request = client.token_request(&client.code_for("ann").await);
    redeem(client, &request, &proof(1, &posted(client, "token", "bound"))).await.must_be(200).json()
}

const OTHER_KEY: &str =
    "the DPoP proof must be by the key that the code or refresh_token is bound to";
const USED: &str = "the DPoP proof: jti must not have been used before";

#[tokio::test]
async fn a_bound_token_opens_userinfo_for_the_holder_of_its_key_alone() {
    let w = World::new().await;
    let app = w.app();
    let tokens = bound(&app).await;
    assert_eq!(tokens["token_type"], "DPoP");
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(claims(token)["cnf"], json!({"jkt": thumbprint(1)}));
    let (dpop, bearer) = (format!("DPoP {token}"), format!("Bearer {token}"));
    let right = proof(1, &asked(&app, token, "a"));
    let answer = user_info(&app, &dpop, Some(&right)).await.must_be(200);
    assert_eq!(answer.json()["preferred_username"], "ann");
    let challenge = |answer: Answer| answer.must_be(401).header("www-authenticate").to_owned();
    let replayed = challenge(user_info(&app, &dpop, Some(&right)).await);
    assert!(replayed.starts_with("DPoP error=\"invalid_dpop_proof\""), "{replayed}");
    assert!(replayed.contains(USED) && replayed.contains("algs=\"RS256"), "{replayed}");
    let stolen = challenge(user_info(&app, &bearer, None).await);
    assert!(stolen.starts_with("Bearer error=\"invalid_token\""), "{stolen}");
    let fresh = proof(1, &asked(&app, token, "b"));
    challenge(user_info(&app, &bearer, Some(&fresh)).await);
    let without = challenge(user_info(&app, &dpop, None).await);
    assert!(without.starts_with("DPoP error=\"invalid_dpop_proof\""), "{without}");
    let other = challenge(user_info(&app, &dpop, Some(&proof(2, &asked(&app, token, "c")))).await);
    assert!(other.starts_with("DPoP error=\"invalid_token\""), "{other}");
    let mut no_hash = asked(&app, token, "d");
    no_hash["ath"] = Value::Null;
    challenge(user_info(&app, &dpop, Some(&proof(1, &no_hash))).await);
    challenge(user_info(&app, &dpop, Some(&proof(1, &posted(&app, "token", "e")))).await);
    // The proof that came with the wrong scheme has not been used up.
    user_info(&app, &dpop, Some(&fresh)).await.must_be(200);
}

#[tokio::test]
async fn a_token_that_is_bound_to_no_key_is_a_bearer_token_alone() {
    let w = World::new().await;
    let app = w.app();
    let token = app.clone().sign_in("ann").await.access_token;
    let right = proof(1, &asked(&app, &token, "a"));
    user_info(&app, &format!("DPoP {token}"), Some(&right)).await.must_be(401);
    user_info(&app, &format!("Bearer {token}"), None).await.must_be(200);
}

#[tokio::test]
async fn refresh_tokens_of_a_public_client_are_bound_to_its_key() {
    let w = World::new().await;
    let site = w.refreshing_site(RefreshRules::default()).await;
    let tokens = bound(&site).await;
    let refresh = site.refresh_request(tokens["refresh_token"].as_str().unwrap());
    assert_eq!(refusal(site.redeem(&refresh).await, 400), told("invalid_grant", OTHER_KEY));
    let other = redeem(&site, &refresh, &proof(2, &posted(&site, "token", "a"))).await;
    assert_eq!(refusal(other, 400), told("invalid_grant", OTHER_KEY));
    // That a thief has tried costs the owner nothing.
    let right = redeem(&site, &refresh, &proof(1, &posted(&site, "token", "b"))).await;
    let renewed = right.must_be(200).json();
    assert_eq!(renewed["token_type"], "DPoP");
    let token = renewed["access_token"].as_str().unwrap();
    assert_eq!(claims(token)["cnf"], json!({"jkt": thumbprint(1)}));
}

#[tokio::test]
async fn a_code_is_bound_to_the_key_that_its_request_named() {
    let w = World::new().await;
    let app = w.app();
    let request = app.request().with("dpop_jkt", &thumbprint(1));
    let mut sign_on = app.clone().begin_with(request).await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    let request = app.token_request(&sign_on.code());
    assert_eq!(refusal(app.redeem(&request).await, 400), told("invalid_grant", OTHER_KEY));
    let other = redeem(&app, &request, &proof(2, &posted(&app, "token", "a"))).await;
    assert_eq!(refusal(other, 400), told("invalid_grant", OTHER_KEY));
    redeem(&app, &request, &proof(1, &posted(&app, "token", "b"))).await.must_be(200);
}

async fn of_many_requests_with_one_proof_one_counts(w: &mut World) {
    let worker = w.worker().await;
    let request = Members::from([("grant_type", "client_credentials")]);
    let secret = crate::world::basic(&worker.id, worker.secret());
    let proof = proof(1, &posted(&worker, "token", "a"));
    let all = std::array::from_fn::<_, 8, _>(|_| {
        let sent = post(&format!("{}/token", worker.issuer), FORM, request.encoded());
        let sent = with(with(sent, "authorization", &secret), "dpop", &proof);
        let wire = w.wire.clone();
        tokio::spawn(async move { wire.send(sent).await.status })
    });
    let mut counted = 0;
    for one in all {
        counted += u32::from(one.await.unwrap() == 200);
    }
    assert_eq!(counted, 1);
}

on_both_engines!(of_many_requests_with_one_proof_one_counts);

#[tokio::test]
async fn a_proof_that_breaks_a_rule_gives_no_tokens_and_costs_no_code() {
    let w = World::new().await;
    let app = w.app();
    let request = app.token_request(&app.code_for("ann").await);
    let good = posted(&app, "token", "a");
    let changed = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        proof(1, &claims)
    };
    let late = START.unix_seconds() - 120;
    for (proof, description) in [
        (String::new(), "the DPoP proof: must be three parts joined by dots"),
        (changed("htm", json!("GET")), "the DPoP proof: htm must be the method of the request"),
        (
            changed("htu", json!(format!("{}/par", app.issuer))),
            "the DPoP proof: htu must be the address of the request, without query and fragment",
        ),
        (changed("iat", json!(late)), "the DPoP proof: iat must not be longer than a minute ago"),
        (changed("jti", Value::Null), "the DPoP proof: jti must be given"),
    ] {
        let answer = redeem(&app, &request, &proof).await;
        assert_eq!(refusal(answer, 400), told("invalid_dpop_proof", description));
    }
    let sent = post(&format!("{}/token", app.issuer), FORM, request.encoded());
    let twice = with(with(sent, "dpop", &proof(1, &good)), "dpop", &proof(2, &good));
    let answer = app.browser.wire.send(twice).await;
    assert_eq!(refusal(answer, 400).0, "invalid_dpop_proof");
    redeem(&app, &request, &proof(1, &good)).await.must_be(200);
    let again = app.token_request(&app.code_for("ann").await);
    let replayed = redeem(&app, &again, &proof(1, &good)).await;
    assert_eq!(refusal(replayed, 400), told("invalid_dpop_proof", USED));
}

#[tokio::test]
async fn an_application_that_must_bring_a_proof_gets_no_tokens_without() {
    let w = World::new().await;
    let site = w.bank.unusual_site(&w.server, |site| {
        site.grant_types.push(GrantType::RefreshToken);
        site.oidc.dpop_required = true;
    });
    let site = w.client(&site.await.id.to_string(), SITE_ADDRESS);
    let request = site.token_request(&site.code_for("ann").await);
    let required = told("invalid_request", "a DPoP proof is required for this application");
    assert_eq!(refusal(site.redeem(&request).await, 400), required);
    redeem(&site, &request, &proof(1, &posted(&site, "token", "a"))).await.must_be(200);
}

#[tokio::test]
async fn introspection_tells_what_a_token_is_bound_to() {
    let w = World::new().await;
    let app = w.app();
    let tokens = bound(&app).await;
    let worker = w.worker().await;
    let about = worker.about(tokens["access_token"].as_str().unwrap());
    let told = worker.ask("introspect", &about).await.must_be(200).json();
    assert_eq!(told["token_type"], "DPoP");
    assert_eq!(told["cnf"], json!({"jkt": thumbprint(1)}));
}

#[tokio::test]
async fn a_proof_must_repeat_the_nonce_where_the_server_wants_one() {
    let w = World::with_settings(Engine::Sqlite, |settings| settings.dpop_nonce_required = true);
    let w = w.await;
    let app = w.app();
    let request = app.token_request(&app.code_for("ann").await);
    let mut claims = posted(&app, "token", "a");
    let wants_one = "the DPoP proof: nonce must be the one of the DPoP-Nonce header";
    let first = redeem(&app, &request, &proof(1, &claims)).await;
    let nonce = first.header("dpop-nonce").to_owned();
    assert_eq!(refusal(first, 400), told("use_dpop_nonce", wants_one));
    claims["nonce"] = json!("made up");
    let made_up = redeem(&app, &request, &proof(1, &claims)).await;
    assert_eq!(refusal(made_up, 400), told("use_dpop_nonce", wants_one));
    claims["nonce"] = json!(nonce);
    redeem(&app, &request, &proof(1, &claims)).await.must_be(200);
}
