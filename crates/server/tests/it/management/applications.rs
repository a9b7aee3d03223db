//! Applications by the management API: what a body says counts in real sign-ons, and what it does not say stays out of answers.

use countersign_domain::role::{Role, Scope};
use serde_json::{Value, json};

use crate::world::{Client, Members, NATIVE_ADDRESS, World, administrator::Administrator, basic};

/// A native application as Terraform tells it.
fn told_by_terraform() -> Value {
    let mut told = json!({
        "name": "Wallet", "description": "For phones", "enabled": true,
        "protocol": "OPENID_CONNECT", "type": "NATIVE_APP", "tokenEndpointAuthMethod": "NONE",
        "grantTypes": ["AUTHORIZATION_CODE", "REFRESH_TOKEN"], "responseTypes": ["CODE"],
        "redirectUris": ["org.bank.app:/callback", "https://bank.example/callback"],
        "postLogoutRedirectUris": ["org.bank.app://out"],
        "homePageUrl": "https://bank.example", "initiateLoginUri": "https://bank.example/login",
        "targetLinkUri": "https://bank.example/target", "loginPageUrl": "https://bank.example/page",
    });
    let rules = json!({
        "hiddenFromAppPortal": false, "pkceEnforcement": "REQUIRED", "parRequirement": "OPTIONAL",
        "parTimeout": 60, "deviceTimeout": 600, "devicePollingInterval": 5, "idpSignoff": false,
        "includeX5t": false, "opSessionCheckEnabled": false, "allowWildcardInRedirectUris": false,
        "additionalRefreshTokenReplayProtectionEnabled": true, "assignActorRoles": false,
        "refreshTokenDuration": 172_800, "refreshTokenRollingDuration": 259_200,
        "requestScopesForMultipleResourcesEnabled": false, "requireSignedRequestObject": false,
        "supportUnsignedRequestObject": false,
    });
    told.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    told["mobile"] = json!({
        "bundleId": "org.bank.wallet", "packageName": "org.bank.wallet",
        "huaweiAppId": "10001", "huaweiPackageName": "org.bank.wallet.huawei",
        "uriPrefix": "https://bank.example/app",
        "passcodeRefreshDuration": { "duration": 45, "timeUnit": "SECONDS" },
        "integrityDetection": {
            "mode": "ENABLED", "excludedPlatforms": ["IOS"],
            "cacheDuration": { "amount": 30, "units": "MINUTES" },
            "googlePlay": { "verificationType": "GOOGLE", "serviceAccountCredentials": "{}" },
        },
    });
    told
}

/// The least that makes an application of a type.
fn least(kind: &str, method: &str) -> Value {
    json!({
        "name": format!("A {kind}"), "enabled": true, "protocol": "OPENID_CONNECT", "type": kind,
        "tokenEndpointAuthMethod": method,
    })
}

fn with(mut body: Value, member: &str, value: Value) -> Value {
    body[member] = value;
    body
}

fn href(made: &Value) -> &str {
    made.pointer("/_links/self/href").and_then(Value::as_str).unwrap()
}

/// What is answered beside what only the platform says.
fn said(mut shown: Value) -> Value {
    let members = shown.as_object_mut().unwrap();
    for own in ["_links", "id", "environment", "createdAt", "updatedAt"] {
        assert!(members.remove(own).is_some(), "{own}");
    }
    shown
}

/// The first broken rule: its code and its member.
async fn refused(admin: &Administrator, body: &Value) -> (String, String) {
    let answer = admin.post("/applications", body).await.must_be(400).json();
    let detail = &answer["details"][0];
    (detail["code"].as_str().unwrap().to_owned(), detail["target"].as_str().unwrap().to_owned())
}

fn told(code: &str, target: &str) -> (String, String) {
    (code.to_owned(), target.to_owned())
}

#[tokio::test]
async fn what_terraform_tells_comes_back_as_it_was_told() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let body = told_by_terraform();
    let made = admin.make("/applications", &body).await;
    let mut expected = body.clone();
    // Nobody reads what is secret, and nobody here would use it.
    let google = expected.pointer_mut("/mobile/integrityDetection/googlePlay").unwrap();
    google.as_object_mut().unwrap().remove("serviceAccountCredentials");
    assert_eq!(said(made.clone()), expected);
    assert!(made["_links"].get("pushCredentials").is_some());
    assert_eq!(said(admin.get(href(&made)).await.must_be(200).json()), expected);
    let changed = with(with(body, "name", json!("Purse")), "parTimeout", json!(120));
    let replaced = admin.put(href(&made), &changed).await.must_be(200).json();
    assert_eq!((&replaced["name"], &replaced["parTimeout"]), (&json!("Purse"), &json!(120)));
    assert_eq!(replaced["createdAt"], made["createdAt"]);
}

#[tokio::test]
async fn what_is_not_told_is_not_answered_and_counts_as_by_default() {
    let w = World::new().await;
    let admin = w.administrator().await;
    for (kind, method) in
        [("WEB_APP", "CLIENT_SECRET_BASIC"), ("SINGLE_PAGE_APP", "NONE"), ("NATIVE_APP", "NONE")]
    {
        let body = least(kind, method);
        assert_eq!(said(admin.make("/applications", &body).await), body);
    }
    let worker = least("WORKER", "CLIENT_SECRET_POST");
    let made = admin.make("/applications", &worker).await;
    assert_eq!(said(made), with(worker, "grantTypes", json!(["CLIENT_CREDENTIALS"])));
    // Terraform tells rules of refresh tokens and of pushed requests of workers too.
    let mut rich = told_by_terraform();
    let members = rich.as_object_mut().unwrap();
    for of_users in ["mobile", "redirectUris", "responseTypes", "postLogoutRedirectUris"] {
        members.remove(of_users);
    }
    members.extend([
        ("name".to_owned(), json!("Deployer")),
        ("type".to_owned(), json!("WORKER")),
        ("tokenEndpointAuthMethod".to_owned(), json!("CLIENT_SECRET_BASIC")),
        ("grantTypes".to_owned(), json!(["CLIENT_CREDENTIALS"])),
    ]);
    assert_eq!(said(admin.make("/applications", &rich).await), rich);
    let off = json!({
        "name": "Off", "protocol": "OPENID_CONNECT", "type": "WEB_APP",
        "tokenEndpointAuthMethod": "NONE",
    });
    assert_eq!(admin.make("/applications", &off).await["enabled"], false);
}

#[tokio::test]
async fn a_phone_signs_in_by_an_application_that_was_made_over_http() {
    let mut w = World::new().await;
    let admin = w.administrator().await;
    // One without a package name: that of the phones of the tests is taken.
    let mut body = with(least("NATIVE_APP", "NONE"), "redirectUris", json!([NATIVE_ADDRESS]));
    body["mobile"] = json!({
        "passcodeRefreshDuration": { "duration": 60, "timeUnit": "SECONDS" },
    });
    let made = admin.make("/applications", &body).await;
    let id = made["id"].as_str().unwrap().parse().unwrap();
    let mut application = w.bank.native.clone();
    application.id = id;
    w.bank
        .change_mfa_policy(&w.server, |policy| {
            let mut listed = policy.mobile.applications[0].clone();
            listed.application = id;
            policy.mobile.applications.push(listed);
        })
        .await;
    let (environment, policy) = (w.bank.environment.id, w.bank.sign_on_policy.id);
    w.server.assign_sign_on_policy(environment, id, policy, 1).await.unwrap();
    let own = std::mem::replace(&mut w.bank.native, application);
    let phone = w.phone_paired_to("ann").await;
    let mut sign_on = w.sign_in_on(&phone, "ann").await;
    assert_eq!(sign_on.status(), "COMPLETED");
    sign_on.refresh().await;
    // It is listed in a policy, so it stays.
    let stays = admin.delete(href(&made)).await.must_be(400).json();
    assert_eq!(stays["details"][0]["code"], "CONSTRAINT_VIOLATION");
    w.bank
        .change_mfa_policy(&w.server, |policy| {
            policy.mobile.applications.retain(|listed| listed.application != id);
        })
        .await;
    let device = w.server.list_devices(environment, w.bank.ann.id).await.unwrap().remove(0);
    assert_eq!(device.passcode_step_seconds, 60);
    admin.delete(href(&made)).await.must_be(204);
    w.server.send_due().await.unwrap();
    assert!(w.server.list_devices(environment, w.bank.ann.id).await.unwrap().is_empty());
    let unpaired = w.audit_of("DEVICE.DELETED").await.pop().unwrap();
    assert_eq!(unpaired.entry.event.reason, Some("application_deleted".into()));
    w.bank.native = own;
}

#[tokio::test]
async fn a_deleted_application_gets_nothing_more_and_its_tokens_count_no_longer() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let mut body = with(least("WEB_APP", "NONE"), "redirectUris", json!(["https://b.example/cb"]));
    body["grantTypes"] = json!(["AUTHORIZATION_CODE", "REFRESH_TOKEN"]);
    let made = admin.make("/applications", &body).await;
    let client = w.client(made["id"].as_str().unwrap(), "https://b.example/cb");
    let tokens = client.clone().sign_in("ann").await;
    let refresh = tokens.refresh_token.unwrap();
    client.user_info(&tokens.access_token).await.must_be(200);
    admin.delete(href(&made)).await.must_be(204);
    admin.get(href(&made)).await.must_be(404);
    client.user_info(&tokens.access_token).await.must_be(401);
    client.redeem(&client.refresh_request(&refresh)).await.must_be(401);
    let mut again = client.clone();
    let request = again.request();
    let answer = again.authorize(&request.with("response_mode", "pi.flow")).await;
    assert_eq!(answer.must_be(400).problem().0, "INVALID_REQUEST");
    let worker = w.worker().await;
    assert!(!worker.is_active(&tokens.access_token).await);
    assert!(!worker.is_active(&refresh).await);
}

#[tokio::test]
async fn a_disabled_application_signs_nobody_in() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let body = with(least("WEB_APP", "NONE"), "redirectUris", json!(["https://b.example/cb"]));
    let made = admin.make("/applications", &body).await;
    let client = w.client(made["id"].as_str().unwrap(), "https://b.example/cb");
    client.clone().sign_in("ann").await;
    admin.put(href(&made), &with(body, "enabled", json!(false))).await.must_be(200);
    let mut client = client;
    let request = client.request().with("response_mode", "pi.flow");
    client.authorize(&request).await.must_be(400);
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[tokio::test]
async fn each_limit_is_told_by_the_name_that_the_member_has_on_the_wire() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let native = || told_by_terraform();
    let invalid = |target| told("INVALID_VALUE", target);
    for (member, value) in [
        ("name", json!("x".repeat(257))),
        ("description", json!("x".repeat(1_025))),
        ("parTimeout", json!(601)),
        ("parTimeout", json!(100_000)),
        ("deviceTimeout", json!(0)),
        ("devicePollingInterval", json!(61)),
        ("refreshTokenDuration", json!(59)),
        ("refreshTokenRollingDuration", json!(172_799)),
        ("refreshTokenRollingGracePeriodDuration", json!(86_401)),
        ("redirectUris", json!(["http://bank.example/cb"])),
        ("redirectUris", json!(["https://*.bank.example/cb"])),
        ("postLogoutRedirectUris", json!(["javascript:alert(1)"])),
        ("deviceCustomVerificationUri", json!("http://bank.example")),
        ("devicePathId", json!("a b")),
        ("homePageUrl", json!("home")),
        ("jwks", json!("{}")),
        ("accessTokenDuration", json!(299)),
        ("backchannelLogoutUri", json!("ftp://bank.example")),
        ("phoneSignOn", json!({ "id": "00000000-0000-7000-8000-000000000009" })),
        ("type", json!("PING_ONE_SELF_SERVICE")),
        ("type", json!("SERVICE")),
        ("protocol", json!("SAML")),
        ("grantTypes", json!(["CIBA"])),
        ("grantTypes", json!(["CLIENT_CREDENTIALS"])),
    ] {
        let target = if member == "phoneSignOn" { "phoneSignOn.id" } else { member };
        let got = refused(&admin, &with(native(), member, value.clone())).await;
        let is_listed = got.1.starts_with(target);
        assert!(is_listed && got.0 == "INVALID_VALUE", "{member} {value}: {got:?}");
    }
    for (member, value, target) in [
        (
            "passcodeRefreshDuration",
            json!({ "duration": 29, "timeUnit": "SECONDS" }),
            "mobile.passcodeRefreshDuration.duration",
        ),
        (
            "passcodeRefreshDuration",
            json!({ "duration": 1, "timeUnit": "MINUTES" }),
            "mobile.passcodeRefreshDuration.timeUnit",
        ),
        ("passcodeGracePeriod", json!(0), "mobile.passcodeGracePeriod"),
        ("passcodeGracePeriod", json!(11), "mobile.passcodeGracePeriod"),
        ("uriPrefix", json!("http://bank.example"), "mobile.uriPrefix"),
        ("unpairing", json!({ "breakerPercent": 101 }), "mobile.unpairing.breakerPercent"),
        (
            "integrityDetection",
            json!({ "mode": "DISABLED", "excludedPlatforms": ["IOS", "GOOGLE"] }),
            "mobile.integrityDetection.excludedPlatforms",
        ),
        (
            "integrityDetection",
            json!({ "mode": "DISABLED", "cacheDuration": { "amount": 49, "units": "HOURS" } }),
            "mobile.integrityDetection.cacheDuration.amount",
        ),
    ] {
        let mut body = native();
        body["mobile"][member] = value;
        assert_eq!(refused(&admin, &body).await, invalid(target));
    }
    let mut lacking = native();
    lacking["mobile"]["integrityDetection"] = json!({ "mode": "ENABLED" });
    let expected = told("REQUIRED_VALUE", "mobile.integrityDetection.cacheDuration");
    assert_eq!(refused(&admin, &lacking).await, expected);
    lacking.as_object_mut().unwrap().remove("tokenEndpointAuthMethod");
    let expected = told("REQUIRED_VALUE", "tokenEndpointAuthMethod");
    assert_eq!(refused(&admin, &lacking).await, expected);
    let both = with(with(native(), "jwks", json!("{}")), "jwksUrl", json!("https://b.example"));
    assert_eq!(refused(&admin, &both).await, invalid("jwksUrl"));
    let worker = with(least("WORKER", "NONE"), "mobile", json!({}));
    assert_eq!(refused(&admin, &worker).await, invalid("grantTypes"));
}

#[tokio::test]
async fn names_are_taken_once_and_what_phones_know_stays() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let body = told_by_terraform();
    let made = admin.make("/applications", &body).await;
    let taken = |target: &str| told("UNIQUENESS_VIOLATION", target);
    let same = with(least("WEB_APP", "NONE"), "name", json!("Wallet"));
    assert_eq!(refused(&admin, &same).await, taken("name"));
    for member in ["bundleId", "packageName", "huaweiAppId", "huaweiPackageName"] {
        let mut other = with(least("NATIVE_APP", "NONE"), "mobile", json!({}));
        other["mobile"][member] = body["mobile"][member].clone();
        if member.starts_with("huawei") {
            let pair = ["huaweiAppId", "huaweiPackageName"];
            let beside = pair.iter().find(|name| **name != member).unwrap();
            other["mobile"][beside] = json!("org.other");
        }
        assert_eq!(refused(&admin, &other).await, taken(&format!("mobile.{member}")));
        for value in [json!("org.changed"), Value::Null] {
            let mut changed = body.clone();
            changed["mobile"][member] = value;
            let answer = admin.put(href(&made), &changed).await.must_be(400).json();
            let targets: Vec<_> = answer["details"].as_array().unwrap().iter().collect();
            let expected = json!(format!("mobile.{member}"));
            assert!(
                targets.iter().any(|detail| detail["target"] == expected)
                    || member.starts_with("huawei"),
                "{answer}"
            );
        }
    }
    let web = with(body.clone(), "type", json!("WEB_APP"));
    let answer = admin.put(href(&made), &with(web, "mobile", Value::Null)).await;
    assert_eq!(answer.must_be(400).json()["details"][0]["target"], "type");
}

#[tokio::test]
async fn what_terraform_cannot_name_stays_as_it_is_until_it_is_cleared() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let mut body = with(least("WEB_APP", "NONE"), "redirectUris", json!(["https://b.example/cb"]));
    let plain = body.clone();
    let own = json!({
        "phoneSignOn": { "id": w.bank.native.id.to_string() },
        "backchannelLogoutUri": "https://b.example/out", "dpopRequired": true,
        "accessTokenDuration": 600, "idTokenAlgorithm": "ES256",
    });
    body.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    let made = admin.make("/applications", &body).await;
    assert_eq!(said(made.clone()), body);
    assert_eq!(said(admin.put(href(&made), &plain).await.must_be(200).json()), body);
    let mut cleared = plain.clone();
    cleared["phoneSignOn"] = Value::Null;
    cleared["backchannelLogoutUri"] = Value::Null;
    cleared["dpopRequired"] = json!(false);
    let shown = said(admin.put(href(&made), &cleared).await.must_be(200).json());
    assert!(shown.get("phoneSignOn").is_none() && shown.get("backchannelLogoutUri").is_none());
    assert_eq!(
        (&shown["dpopRequired"], &shown["accessTokenDuration"]),
        (&json!(false), &json!(600))
    );
}

#[tokio::test]
async fn the_pages_of_the_own_account_can_be_read_and_switched_off_but_not_deleted() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let path = format!("/applications/{}", w.bank.environment.id);
    let shown = admin.get(&path).await.must_be(200).json();
    assert_eq!(shown["type"], "PING_ONE_SELF_SERVICE");
    admin.delete(&path).await.must_be(400);
    let mut body = said(shown);
    body["enabled"] = json!(false);
    assert_eq!(admin.put(&path, &body).await.must_be(200).json()["enabled"], false);
    body["grantTypes"] = json!(["AUTHORIZATION_CODE"]);
    let answer = admin.put(&path, &body).await.must_be(400).json();
    assert_eq!(answer["details"][0]["target"], "grantTypes");
    body["type"] = json!("WEB_APP");
    assert_eq!(admin.put(&path, &body).await.must_be(400).json()["details"][0]["target"], "type");
}

#[tokio::test]
async fn what_an_application_relies_on_stays() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let body = with(least("NATIVE_APP", "NONE"), "mobile", json!({}));
    let phones = admin.make("/applications", &body).await;
    let mut body = least("WEB_APP", "NONE");
    body["phoneSignOn"] = json!({ "id": phones["id"] });
    let site = admin.make("/applications", &body).await;
    admin.delete(href(&phones)).await.must_be(400);
    admin.delete(href(&site)).await.must_be(204);
    admin.delete(href(&phones)).await.must_be(204);
}

/// A worker that can do what its roles say, made over HTTP.
async fn worker_of(w: &World, admin: &Administrator, role: Role) -> (Value, Client) {
    let body = with(least("WORKER", "CLIENT_SECRET_BASIC"), "name", json!(role.name()));
    let made = admin.make("/applications", &body).await;
    let given = json!({
        "role": { "id": role.id().to_string() },
        "scope": { "id": w.bank.environment.id.to_string(), "type": "ENVIRONMENT" },
    });
    admin.make(&format!("{}/roleAssignments", href(&made)), &given).await;
    let client = w.client(made["id"].as_str().unwrap(), "https://worker.example");
    (made, client)
}

async fn token_status(client: &Client, secret: &str) -> u16 {
    let request = Members::from([("grant_type", "client_credentials")]);
    client.redeem_as(&request, Some(&basic(&client.id, secret))).await.status.as_u16()
}

#[tokio::test]
async fn a_secret_is_read_rotated_and_the_one_before_it_counts_as_long_as_it_was_given() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let (made, client) = worker_of(&w, &admin, Role::ConfigurationReadOnly).await;
    let path = format!("{}/secret", href(&made));
    let first = admin.get(&path).await.must_be(200).json();
    assert!(first.get("previous").is_none());
    let first = first["secret"].as_str().unwrap().to_owned();
    assert_eq!(token_status(&client, &first).await, 200);
    let until = (w.server.now().plus_seconds(600)).to_rfc3339_millis();
    let rotation = json!({ "previous": { "expiresAt": until } });
    let rotated = admin.post(&path, &rotation).await.must_be(200).json();
    let second = rotated["secret"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(rotated["previous"], json!({ "secret": first, "expiresAt": until }));
    assert_eq!(admin.get(&path).await.must_be(200).json(), rotated);
    for secret in [&first, &second] {
        assert_eq!(token_status(&client, secret).await, 200);
    }
    w.advance(601);
    assert_eq!(token_status(&client, &first).await, 401);
    assert!(admin.get(&path).await.json().get("previous").is_none());
    // Without a time the one before counts no longer.
    let third = admin.post(&path, &json!({})).await.must_be(200).json()["secret"].clone();
    assert_eq!(token_status(&client, &second).await, 401);
    assert_eq!(token_status(&client, third.as_str().unwrap()).await, 200);
    for seconds in [59, 30 * 86_400 + 1] {
        let until = w.server.now().plus_seconds(seconds).to_rfc3339_millis();
        let rotation = json!({ "previous": { "expiresAt": until } });
        let refused = admin.post(&path, &rotation).await.must_be(400).json();
        assert_eq!(refused["details"][0]["target"], "previous.expiresAt");
    }
    let rotation = json!({ "previous": { "expiresAt": "tomorrow" } });
    admin.post(&path, &rotation).await.must_be(400);
    assert_eq!(w.audit_of("SECRET.UPDATED").await.len(), 2);
    assert_eq!(w.audit_of("SECRET.READ").await.len(), 3);
}

#[tokio::test]
async fn a_previous_secret_can_be_withdrawn_before_its_time() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let (made, client) = worker_of(&w, &admin, Role::ConfigurationReadOnly).await;
    let path = format!("{}/secret", href(&made));
    admin.delete(&path).await.must_be(404);
    let first = admin.get(&path).await.json()["secret"].as_str().unwrap().to_owned();
    let until = w.server.now().plus_seconds(86_400).to_rfc3339_millis();
    let rotated = admin.post(&path, &json!({ "previous": { "expiresAt": until } })).await.json();
    admin.delete(&path).await.must_be(204);
    assert_eq!(token_status(&client, &first).await, 401);
    assert_eq!(token_status(&client, rotated["secret"].as_str().unwrap()).await, 200);
}

#[tokio::test]
async fn a_previous_secret_survives_a_change_of_the_key_encryption_key() {
    let mut w = World::new().await;
    let admin = w.administrator().await;
    let (made, client) = worker_of(&w, &admin, Role::ConfigurationReadOnly).await;
    let path = format!("{}/secret", href(&made));
    let first = admin.get(&path).await.json()["secret"].as_str().unwrap().to_owned();
    let until = w.server.now().plus_seconds(86_400).to_rfc3339_millis();
    admin.post(&path, &json!({ "previous": { "expiresAt": until } })).await.must_be(200);
    w.reseal([9; 32]).await.unwrap();
    w.key_is([9; 32]);
    w.restart().await;
    let client = w.client(&client.id, "https://worker.example");
    assert_eq!(token_status(&client, &first).await, 200);
}

#[tokio::test]
async fn nobody_takes_the_secret_or_the_keys_of_a_worker_that_may_do_more() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let (made, _) = worker_of(&w, &admin, Role::EnvironmentAdmin).await;
    let here = Scope::Environment(w.bank.environment.id);
    let developer = w.administrator_with(&[(Role::ClientApplicationDeveloper, here)]).await;
    let path = format!("{}/secret", href(&made));
    developer.get(&path).await.must_be(403);
    developer.post(&path, &json!({})).await.must_be(403);
    developer.delete(&path).await.must_be(403);
    let mut own = said(developer.get(href(&made)).await.must_be(200).json());
    own["tokenEndpointAuthMethod"] = json!("PRIVATE_KEY_JWT");
    own["jwksUrl"] = json!("https://evil.example/jwks");
    developer.put(href(&made), &own).await.must_be(403);
    // One without roles, and one with no more than its own, are the developer's to speak for.
    let plain = developer.make("/applications", &least("WEB_APP", "CLIENT_SECRET_POST")).await;
    developer.get(&format!("{}/secret", href(&plain))).await.must_be(200);
}

#[tokio::test]
async fn an_application_without_a_secret_has_none_to_read_until_one_is_made() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let made = admin.make("/applications", &least("WEB_APP", "NONE")).await;
    let path = format!("{}/secret", href(&made));
    admin.get(&path).await.must_be(404);
    // A change of the way to prove itself draws one.
    admin.put(href(&made), &least("WEB_APP", "CLIENT_SECRET_POST")).await.must_be(200);
    let secret = admin.get(&path).await.must_be(200).json()["secret"].clone();
    admin.put(href(&made), &least("WEB_APP", "CLIENT_SECRET_BASIC")).await.must_be(200);
    assert_eq!(admin.get(&path).await.must_be(200).json()["secret"], secret);
    let elsewhere = crate::world::Bank::open(&w.server, "Other").await;
    let other = format!(
        "{}/applications/{}/secret",
        w.environment_url(elsewhere.environment.id),
        made["id"].as_str().unwrap()
    );
    admin.get(&other).await.must_be(404);
}
