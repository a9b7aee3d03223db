//! Push credentials by the management API: they go in, count, and never come out.

use serde_json::{Value, json};

use crate::world::{World, administrator::Administrator};

/// A signing key as Apple hands it out.
fn signing_key() -> String {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    pair.serialize_pem()
}

fn apns() -> Value {
    json!({ "type": "APNS", "key": "AB12CD34EF", "teamId": "TEAM123456", "token": signing_key() })
}

fn hms() -> Value {
    json!({ "type": "HMS", "clientId": "10001", "clientSecret": "secret" })
}

fn path(w: &World) -> String {
    format!("/applications/{}/pushCredentials", w.bank.native.id)
}

async fn refused(admin: &Administrator, path: &str, body: &Value) -> (String, String) {
    let answer = admin.post(path, body).await.must_be(400).json();
    let detail = &answer["details"][0];
    (detail["code"].as_str().unwrap().to_owned(), detail["target"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn credentials_are_made_read_replaced_and_deleted_and_never_told() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let made = admin.make(&path(&w), &apns()).await;
    let members: Vec<_> = made.as_object().unwrap().keys().collect();
    assert_eq!(members, ["_links", "createdAt", "environment", "id", "type", "updatedAt"]);
    assert_eq!(made["type"], "APNS");
    let url = made["_links"]["self"]["href"].as_str().unwrap().to_owned();
    assert_eq!(admin.get(&url).await.must_be(200).json(), made);
    w.advance(5);
    let replaced = admin.put(&url, &apns()).await.must_be(200).json();
    assert_eq!((&replaced["id"], &replaced["createdAt"]), (&made["id"], &made["createdAt"]));
    assert_ne!(replaced["updatedAt"], made["updatedAt"]);
    let list = admin.get(&path(&w)).await.must_be(200).json();
    assert_eq!(list["_embedded"]["pushCredentials"].as_array().unwrap().len(), 1);
    admin.delete(&url).await.must_be(204);
    admin.get(&url).await.must_be(404);
    for action in ["CREATED", "UPDATED", "DELETED"] {
        let record = w.audit_of(&format!("PUSH_CREDENTIALS.{action}")).await.pop().unwrap();
        let through = record.entry.event.application.as_ref().unwrap();
        assert_eq!(through.id, w.bank.native.id, "{action}");
    }
}

#[tokio::test]
async fn an_application_has_one_of_each_service_and_the_service_stays() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let made = admin.make(&path(&w), &hms()).await;
    let taken = ("UNIQUENESS_VIOLATION".to_owned(), "type".to_owned());
    assert_eq!(refused(&admin, &path(&w), &hms()).await, taken);
    let url = made["_links"]["self"]["href"].as_str().unwrap();
    let answer = admin.put(url, &apns()).await.must_be(400).json();
    assert_eq!(answer["details"][0]["target"], "type");
    admin.make(&path(&w), &apns()).await;
}

#[tokio::test]
async fn each_rule_of_a_service_is_told_by_the_name_of_the_member() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let told = |code: &str, target: &str| (code.to_owned(), target.to_owned());
    for (body, expected) in [
        (json!({ "type": "APNS" }), told("REQUIRED_VALUE", "key")),
        (json!({ "type": "HMS", "clientId": "1" }), told("REQUIRED_VALUE", "clientSecret")),
        (
            json!({ "type": "FCM_HTTP_V1" }),
            told("REQUIRED_VALUE", "googleServiceAccountCredentials"),
        ),
        (
            json!({ "type": "FCM_HTTP_V1", "googleServiceAccountCredentials": "{}" }),
            told("INVALID_VALUE", "googleServiceAccountCredentials"),
        ),
        (json!({ "type": "FCM", "key": "legacy" }), told("INVALID_VALUE", "type")),
        (json!({ "type": "SMOKE" }), told("INVALID_VALUE", "type")),
        (
            json!({ "type": "APNS", "key": "x", "teamId": "TEAM123456", "token": signing_key() }),
            told("INVALID_VALUE", "key"),
        ),
        (
            json!({ "type": "APNS", "key": "AB12CD34EF", "teamId": "TEAM123456", "token": "x" }),
            told("INVALID_VALUE", "token"),
        ),
    ] {
        assert_eq!(refused(&admin, &path(&w), &body).await, expected, "{body}");
    }
}

#[tokio::test]
async fn credentials_belong_to_native_applications_that_are_there() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let site = format!("/applications/{}/pushCredentials", w.bank.site.id);
    let target = refused(&admin, &site, &hms()).await.1;
    assert_eq!(target, "application.mobile");
    let nowhere = "/applications/00000000-0000-7000-8000-000000000009/pushCredentials";
    admin.post(nowhere, &hms()).await.must_be(404);
    // What is of one application is not found under another.
    let made = admin.make(&path(&w), &hms()).await;
    let elsewhere = format!("{site}/{}", made["id"].as_str().unwrap());
    admin.get(&elsewhere).await.must_be(404);
    admin.put(&elsewhere, &hms()).await.must_be(404);
    admin.delete(&elsewhere).await.must_be(404);
}
