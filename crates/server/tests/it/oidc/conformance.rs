//! What the standards ask of an OpenID provider and no other test holds. `docs/conformance.md` says which clause is whose.

use countersign_domain::application::{Application, ClientKeys, Kind, TokenEndpointAuthMethod};
use http::Method;
use serde_json::{Value, json};

use crate::world::{
    Client, FORM, Members, PASSWORD, SITE_ADDRESS, START, World, by_key, claims, get, key_set,
    post, proof, request, thumbprint, with,
};

/// The bank's web site with ann's browser in front of it, and the claims of her ID token.
async fn signed_in(w: &World) -> (Client, Value) {
    let mut sign_on = w.site().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    let claims = sign_on.tokens().await.id_claims();
    (sign_on.client, claims)
}

/// Signs ann in on the hosted pages.
async fn sign_in(client: &mut Client, request: &Members) -> Value {
    let page = client.browser.open(&client.authorize_url(request)).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let end = client.browser.press(&page, "login", &fields).await;
    let code = end.returned("code").expect("a code");
    client.tokens(&code).await.id_claims()
}

/// OIDC Core, section 3.1.2.1 and 15.1; RFC 6749, section 3.1.
#[tokio::test]
async fn what_is_not_offered_is_ignored_and_the_sign_on_goes_on() {
    let w = World::new().await;
    for (name, value) in [
        ("display", "page"),
        ("display", "popup"),
        ("ui_locales", "se"),
        ("claims_locales", "se"),
        ("acr_values", "1 2"),
        ("claims", r#"{"userinfo":{"name":{"essential":true}}}"#),
        ("extra", "foobar"),
    ] {
        let mut site = w.site();
        let request = site.request().with(name, value);
        assert_eq!(sign_in(&mut site, &request).await["nonce"], "nonce-1", "{name}");
    }
}

/// RFC 6749, sections 3.3 and 5.1; OIDC Core, section 11.
#[tokio::test]
async fn scopes_that_are_not_offered_are_left_out_and_the_answer_says_so() {
    let w = World::new().await;
    let site = w.site();
    let request = site.request().with("scope", "openid profile p1:read:user offline_access");
    let mut sign_on = site.begin_with(request).await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    let request = sign_on.client.token_request(&sign_on.code());
    let body = sign_on.client.redeem(&request).await.must_be(200).json();
    assert_eq!(body["scope"], "openid profile");
    assert!(body.get("refresh_token").is_none(), "the application may not have one");
}

/// OIDC Core, section 3.1.2.1: `max_age=0` is `prompt=login`.
#[tokio::test]
async fn a_max_age_of_zero_asks_even_in_the_second_of_the_sign_on() {
    let w = World::new().await;
    let (mut site, _) = signed_in(&w).await;
    let request = site.request().with("max_age", "0").with("prompt", "none");
    let answer = site.authorize(&request).await.must_be(302);
    assert_eq!(answer.returned("error").as_deref(), Some("login_required"));
    let request = site.request().with("max_age", "1").with("prompt", "none");
    assert!(site.authorize(&request).await.must_be(302).returned("code").is_some());
}

/// OIDC Core, sections 2 and 3.1.2.3.
#[tokio::test]
async fn who_signs_in_anew_gets_a_new_auth_time_and_who_does_not_keeps_the_old_one() {
    let w = World::new().await;
    let (mut site, first) = signed_in(&w).await;
    w.advance(10);
    let answer = site.authorize(&site.request().with("prompt", "none")).await.must_be(302);
    let resumed = site.tokens(&answer.returned("code").unwrap()).await.id_claims();
    assert_eq!((&resumed["auth_time"], &resumed["sub"]), (&first["auth_time"], &first["sub"]));
    let at = |claims: &Value| claims["auth_time"].as_i64().unwrap();
    for (name, value) in [("prompt", "login"), ("max_age", "1"), ("prompt", "select_account")] {
        w.advance(10);
        let request = site.request().with(name, value);
        let claims = sign_in(&mut site, &request).await;
        assert_eq!(at(&claims), claims["iat"].as_i64().unwrap(), "{name}={value}");
        assert!(at(&claims) > at(&first));
    }
}

/// OAuth 2.0 Form Post Response Mode, section 4; RFC 6749, section 10.2: it is used once.
#[tokio::test]
async fn an_answer_by_form_is_kept_by_nobody() {
    let w = World::new().await;
    let (mut site, _) = signed_in(&w).await;
    let request = site.request().with("response_mode", "form_post");
    let answer = site.authorize(&request).await.must_be(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.text().contains("name=\"code\""), "{}", answer.text());
}

/// An application that must sign what it asks for.
async fn signing(w: &World) -> Client {
    let change = |a: &mut Application| {
        a.kind = Kind::Web;
        a.token_endpoint_auth_method = TokenEndpointAuthMethod::PrivateKeyJwt;
        a.oidc.keys = Some(ClientKeys::Inline(key_set(&[1])));
        a.oidc.request_objects.signature_required = true;
    };
    let application = w.bank.unusual_site(&w.server, change).await;
    w.client(&application.id.to_string(), SITE_ADDRESS)
}

/// RFC 9101, section 6.3.
#[tokio::test]
async fn where_a_signature_is_required_nothing_unsigned_counts() {
    let w = World::new().await;
    let mut client = signing(&w).await;
    let signed = json!({
        "iss": client.id, "aud": client.issuer, "exp": START.unix_seconds() + 60,
        "client_id": client.id, "response_type": "code", "scope": "openid", "state": "signed",
        "redirect_uri": SITE_ADDRESS, "prompt": "none",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    });
    let around = client.request().with("response_mode", "form_post").with("max_age", "x");
    let request = around.with("request", &by_key(1, &signed));
    let answer = client.authorize(&request).await.must_be(302);
    assert_eq!(answer.returned("state").as_deref(), Some("signed"));
    assert_eq!(answer.returned("error").as_deref(), Some("login_required"));
    let mut nowhere = signed;
    nowhere["redirect_uri"] = Value::Null;
    let request = client.request().with("request", &by_key(1, &nowhere));
    assert_eq!(client.authorize(&request).await.must_be(400).location(), None);
}

/// OIDC Core, section 6.1: elsewhere the members around the object count where the object is silent.
#[tokio::test]
async fn an_object_that_no_key_has_signed_is_refused() {
    let w = World::new().await;
    let mut client = signing(&w).await;
    // {"alg":"none"} and {"scope":"openid"}
    let object = "eyJhbGciOiJub25lIn0.eyJzY29wZSI6Im9wZW5pZCJ9.";
    for request in [client.request().with("request", object), client.request()] {
        let answer = client.authorize(&request).await.must_be(302);
        let error = answer.returned("error").unwrap();
        assert!(["invalid_request_object", "invalid_request"].contains(&&*error), "{error}");
    }
}

/// RFC 6750, sections 2.2 and 2.3; FAPI 2.0 Security Profile, section 5.3.4.
#[tokio::test]
async fn an_access_token_counts_in_the_header_alone() {
    let w = World::new().await;
    let token = w.site().sign_in("ann").await.access_token;
    let url = w.url("/as/userinfo");
    w.wire.get(&format!("{url}?access_token={token}")).await.must_be(401);
    let form = Members::from([("access_token", token.as_str())]);
    w.wire.send(post(&url, FORM, form.encoded())).await.must_be(401);
    let bearer = format!("Bearer {token}");
    w.wire.send(with(get(&url), "authorization", &bearer)).await.must_be(200);
}

/// RFC 9700, section 2.4.
#[tokio::test]
async fn a_password_is_no_grant() {
    let w = World::new().await;
    let site = w.site();
    let password = [("grant_type", "password"), ("username", "ann"), ("password", PASSWORD)];
    let request = Members::from([("client_id", site.id.as_str())]);
    let request = password.iter().fold(request, |r, (name, value)| r.with(name, value));
    let answer = site.redeem(&request).await.must_be(400);
    assert_eq!(answer.json()["error"], "unsupported_grant_type");
}

/// RFC 6749, section 5.2.
#[tokio::test]
async fn descriptions_carry_printable_ascii_alone() {
    let w = World::new().await;
    for endpoint in ["token", "par", "introspect", "revoke", "device_authorization"] {
        let url = w.url(&format!("/as/{endpoint}"));
        let form = "%22%5C%C3%A9%0Ax=1&%22%5C%C3%A9%0Ax=2";
        let answer = w.wire.send(post(&url, FORM, form)).await.must_be(400);
        assert_eq!(answer.json()["error_description"], "''x must not be repeated", "{endpoint}");
    }
}

/// RFC 6749, section 3.2; RFC 9126, section 2.3; RFC 7009, section 2.1; RFC 7662, section 2.1; RFC 8628, section 3.1.
#[tokio::test]
async fn endpoints_for_clients_take_posts_alone() {
    let w = World::new().await;
    for endpoint in ["token", "par", "introspect", "revoke", "device_authorization"] {
        let url = w.url(&format!("/as/{endpoint}"));
        let answer = w.wire.send(request(Method::GET, &url)).await.must_be(405);
        assert_eq!(answer.header("allow"), "POST", "{endpoint}");
    }
}

/// RFC 6749, section 5.1; RFC 7662, section 4; RFC 9126, section 2.2; RFC 8628, section 3.2; RFC 9449, section 8.
#[tokio::test]
async fn what_clients_are_told_is_never_kept() {
    let w = World::new().await;
    let created = w.bank.confidential(&w.server, TokenEndpointAuthMethod::ClientSecretPost).await;
    let id = created.application.id.to_string();
    let portal = w.client(&id, "https://portal.example/callback").with_secret(&created);
    let code = portal.code_for("ann").await;
    let answer = portal.redeem(&portal.token_request(&code)).await.must_be(200);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let pushed = portal.request().with("client_secret", portal.secret());
    let mut answers = vec![
        answer,
        portal.redeem(&portal.token_request(&code)).await.must_be(400),
        portal.user_info(&token).await,
        portal.ask("introspect", &portal.about(&token)).await.must_be(200),
        portal.ask("revoke", &portal.about(&token)).await.must_be(200),
        portal.ask("par", &pushed).await.must_be(201),
    ];
    let asked = portal.about("").without("token").with("scope", "openid");
    answers.push(portal.ask("device_authorization", &asked).await.must_be(200));
    for answer in answers {
        assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
    }
}

/// RFC 9449, section 10.1.
#[tokio::test]
async fn a_pushed_request_and_its_proof_agree_on_the_key() {
    let w = World::new().await;
    let app = w.app();
    let url = format!("{}/par", app.issuer);
    let proven = |jti: &str| {
        let iat = START.unix_seconds();
        proof(1, &json!({"htm": "POST", "htu": url, "iat": iat, "jti": jti}))
    };
    let push = async |request: Members, jti: &str| {
        w.wire.send(with(post(&url, FORM, request.encoded()), "dpop", &proven(jti))).await
    };
    let other = push(app.request().with("dpop_jkt", &thumbprint(2)), "a").await.must_be(400);
    assert_eq!(other.json()["error"], "invalid_request");
    assert_eq!(other.json()["error_description"], "dpop_jkt must be the key of the DPoP proof");
    push(app.request().with("dpop_jkt", &thumbprint(1)), "b").await.must_be(201);
    // Without `dpop_jkt`, the code is bound to the key of the proof.
    let flow = app.request().with("response_mode", "pi.flow");
    let pushed = push(flow, "c").await.must_be(201).json();
    let short = Members::from([("client_id", app.id.as_str()), ("response_mode", "pi.flow")]);
    let short = short.with("request_uri", pushed["request_uri"].as_str().unwrap());
    let mut sign_on = app.begin_with(short).await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    let request = sign_on.client.token_request(&sign_on.code());
    let answer = sign_on.client.redeem(&request).await.must_be(400);
    assert_eq!(answer.json()["error"], "invalid_grant");
}

/// RFC 9700, section 4.12: with 307 the browser would post the password on to the application.
#[tokio::test]
async fn after_a_password_the_browser_goes_on_by_get() {
    let w = World::new().await;
    let mut site = w.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let form = Members::from([("action", "login"), ("username", "ann"), ("password", PASSWORD)]);
    let form = form.with("token", &page.value_of("token"));
    let answer = site.browser.send(post(&page.url, FORM, form.encoded())).await.must_be(303);
    let next = answer.location().unwrap().to_owned();
    let answer = site.browser.send(get(&next)).await.must_be(302);
    assert!(answer.location().unwrap().starts_with(SITE_ADDRESS));
}

/// OIDC Core, section 3.1.3.7 and 12.2; RFC 9068, section 4: what is for one is of no use as the other.
#[tokio::test]
async fn an_id_token_and_an_access_token_say_which_they_are() {
    let w = World::new().await;
    let tokens = w.site().sign_in("ann").await;
    let typ = |token: &str| {
        let header = countersign_protocol::encoding::decode(token.split('.').next().unwrap());
        let header: Value = serde_json::from_slice(&header.unwrap()).unwrap();
        header["typ"].as_str().unwrap().to_owned()
    };
    assert_eq!((typ(&tokens.id_token), typ(&tokens.access_token)), ("JWT".into(), "at+jwt".into()));
    assert_eq!(claims(&tokens.id_token)["aud"], w.site().id.as_str());
    assert_ne!(claims(&tokens.access_token)["aud"], claims(&tokens.id_token)["aud"]);
}
