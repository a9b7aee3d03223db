//! Webhooks: who is told of the audit log, of what, and what happens when nobody listens.

mod delivery;

use countersign_domain::{
    id::Id,
    role::{Role, Scope},
    subscription::Subscription,
};
use serde_json::{Value, json};

use crate::world::World;

/// As a client sends one that manages what it sets up.
fn told() -> Value {
    json!({
        "name": "SIEM",
        "enabled": false,
        "verifyTlsCertificates": true,
        "protocol": "HTTPS",
        "format": "ACTIVITY",
        "httpEndpoint": {
            "url": "https://siem.example/in",
            "headers": { "Authorization": "Bearer sesame", "X-Source": "bank" },
        },
        "filterOptions": {
            "includedActionTypes": ["DEVICE.CREATED", "DEVICE.EATEN"],
            "ipAddressExposed": false,
            "userAgentExposed": false,
        },
    })
}

/// Every member that was sent is answered as it was sent, and no other.
fn assert_answered(answer: &Value, told: &Value) {
    let mut answer = answer.clone();
    let members = answer.as_object_mut().unwrap();
    for own in ["_links", "id", "environment", "createdAt", "updatedAt", "delivery"] {
        members.remove(own);
    }
    assert_eq!(answer, *told);
}

#[tokio::test]
async fn what_was_sent_comes_back_equal_and_what_was_not_is_absent() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let made = admin.make("/subscriptions", &told()).await;
    assert_answered(&made, &told());
    let url = made["_links"]["self"]["href"].as_str().unwrap();
    assert_answered(&admin.get(url).await.must_be(200).json(), &told());
    let list = admin.get("/subscriptions").await.must_be(200).json();
    assert_answered(&list["_embedded"]["subscriptions"][0], &told());
    let population = admin.make("/populations", &json!({ "name": "Staff" })).await["id"].clone();
    let full = json!({
        "name": "SIEM two",
        "enabled": true,
        "verifyTlsCertificates": false,
        "format": "NEWRELIC",
        "httpEndpoint": { "url": "https://siem.example/other" },
        "filterOptions": {
            "includedActionTypes": ["USER.ACCESS_ALLOWED"],
            "includedApplications": [{ "id": w.bank.native.id }],
            "includedPopulations": [{ "id": population }],
            "includedTags": ["adminIdentityEvent"],
            "ipAddressExposed": true,
            "userAgentExposed": true,
        },
        "payloadOptions": {
            "maximumPayloadLimit": { "type": "KB_PER_PAYLOAD", "size": 64 },
            "payloadFormat": { "https": { "format": "ND_JSON", "prettyPrint": false } },
        },
    });
    let replaced = admin.put(url, &full).await.must_be(200).json();
    let mut expected = full.clone();
    expected["protocol"] = json!("HTTPS");
    let mut answered = replaced.clone();
    answered["protocol"] = json!("HTTPS");
    assert_answered(&answered, &expected);
    // Something that it was of may go, which is no reason to refuse another change.
    let gone = format!("/populations/{}", population.as_str().unwrap());
    admin.delete(&gone).await.must_be(204);
    admin.put(url, &full).await.must_be(200);
    admin.delete(url).await.must_be(204);
    admin.get(url).await.must_be(404);
    for (action, count) in
        [("SUBSCRIPTION.CREATED", 1), ("SUBSCRIPTION.UPDATED", 2), ("SUBSCRIPTION.DELETED", 1)]
    {
        assert_eq!(w.audit_of(action).await.len(), count, "{action}");
    }
}

#[tokio::test]
async fn each_rule_is_told_and_names_its_member() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let many = |id: &str| vec![json!({ "id": id }); 11];
    let native = w.bank.native.id.to_string();
    for (pointer, value, target) in [
        ("/name", json!(""), "name"),
        ("/httpEndpoint/url", json!("ftp://siem.example"), "httpEndpoint.url"),
        ("/httpEndpoint/url", json!("http://siem.example"), "httpEndpoint.url"),
        ("/httpEndpoint/url", json!("https://a:b@siem.example"), "httpEndpoint.url"),
        ("/httpEndpoint/headers", json!({ "Host": "x" }), "httpEndpoint.headers"),
        ("/httpEndpoint/headers", json!({ "X": "a\r\nb: c" }), "httpEndpoint.headers"),
        ("/filterOptions/includedActionTypes", json!([]), "filterOptions.includedActionTypes"),
        ("/filterOptions/includedActionTypes", json!(["x"]), "filterOptions.includedActionTypes"),
        (
            "/filterOptions/includedApplications",
            json!([{ "id": "x" }]),
            "filterOptions.includedApplications",
        ),
        (
            "/filterOptions/includedApplications",
            json!([{ "id": "00000000-0000-7000-8000-000000000000" }]),
            "filterOptions.includedApplications",
        ),
        (
            "/filterOptions/includedApplications",
            json!(many(&native)),
            "filterOptions.includedApplications",
        ),
        (
            "/filterOptions/includedPopulations",
            json!([{ "id": native }]),
            "filterOptions.includedPopulations",
        ),
        ("/protocol", json!("TCP_IP"), "protocol"),
        ("/tlsClientAuthKeyPair", json!({ "id": native }), "tlsClientAuthKeyPair"),
        (
            "/payloadOptions",
            json!({ "maximumPayloadLimit": { "type": "EVENTS_PER_PAYLOAD", "size": 501 } }),
            "payloadOptions.maximumPayloadLimit.size",
        ),
        (
            "/payloadOptions",
            json!({ "payloadFormat": { "tcp": { "format": "JSON_DOC" } } }),
            "payloadOptions.payloadFormat.tcp",
        ),
    ] {
        let mut body = told();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[name] = value;
        let refused = admin.post("/subscriptions", &body).await.must_be(400).json();
        assert_eq!(refused["details"][0]["target"], target, "{refused}");
    }
    let mut body = told();
    body["format"] = json!("MORSE");
    admin.post("/subscriptions", &body).await.must_be(400);
    admin.post("/subscriptions", &json!({ "name": "x" })).await.must_be(400);
    for _ in 0..50 {
        admin.make("/subscriptions", &told()).await;
    }
    admin.post("/subscriptions", &told()).await.must_be(400);
}

#[tokio::test]
async fn header_fields_are_secrets_of_those_who_manage_webhooks() {
    let mut w = World::new().await;
    let admin = w.administrator().await;
    let made = admin.make("/subscriptions", &told()).await;
    let url = made["_links"]["self"]["href"].as_str().unwrap().to_owned();
    let (environment, id) = (w.bank.environment.id, made["id"].as_str().unwrap());
    let id: Id<Subscription> = id.parse().unwrap();
    let stored = w.server.get::<Subscription>(environment, id).await.unwrap();
    let text = serde_json::to_string(&stored).unwrap();
    assert!(!text.contains("sesame") && stored.headers.is_some(), "{text}");
    let here = Scope::Environment(environment);
    let reader = w.administrator_with(&[(Role::ConfigurationReadOnly, here)]).await;
    for shown in [
        reader.get(&url).await.must_be(200).json(),
        reader.get("/subscriptions").await.must_be(200).json()["_embedded"]["subscriptions"][0]
            .clone(),
    ] {
        let hidden = json!({ "Authorization": "********", "X-Source": "********" });
        assert_eq!(shown["httpEndpoint"]["headers"], hidden);
    }
    reader.get(&format!("{url}/secret")).await.must_be(403);
    let secret = admin.get(&format!("{url}/secret")).await.must_be(200).json();
    assert!(secret["secret"].as_str().unwrap().starts_with("whsec_"));
    // They outlive another key-encryption key.
    w.reseal([8; 32]).await.unwrap();
    let after = crate::world::administrator::Administrator { wire: w.wire.clone(), ..admin };
    assert_answered(&after.get(&url).await.must_be(200).json(), &told());
    assert_eq!(after.get(&format!("{url}/secret")).await.must_be(200).json(), secret);
}

#[tokio::test]
async fn a_webhook_of_another_environment_is_not_there() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let id = admin.make("/subscriptions", &told()).await["id"].as_str().unwrap().to_owned();
    let other = w.server.create_environment("Other").await.unwrap().id;
    let url = format!("{}/subscriptions/{id}", w.environment_url(other));
    admin.get(&url).await.must_be(404);
    admin.get(&format!("{url}/secret")).await.must_be(404);
    admin.put(&url, &told()).await.must_be(404);
    admin.delete(&url).await.must_be(404);
    let from = json!({ "from": "2026-01-05T09:00:00Z" });
    admin.act(http::Method::POST, &url, "subscription.replay", &from).await.must_be(404);
    admin.post(&format!("/subscriptions/{id}"), &from).await.must_be(415);
}
