//! MFA settings by the management API.

use serde_json::{Value, json};

use crate::world::World;

const PATH: &str = "/mfaSettings";

fn minimal() -> Value {
    json!({ "pairing": { "maxAllowedDevices": 3, "pairingKeyFormat": "ALPHANUMERIC" } })
}

#[tokio::test]
async fn settings_are_answered_as_they_were_sent_and_are_the_defaults_again_once_deleted() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let first = admin.get(PATH).await.must_be(200).json();
    assert_eq!(first["pairing"], json!({ "maxAllowedDevices": 5, "pairingKeyFormat": "NUMERIC" }));
    assert_eq!(first["lockout"], json!({ "failureCount": 10, "durationSeconds": 3600 }));
    assert_eq!(first["users"], json!({ "mfaEnabled": true }));
    assert!(first.get("updatedAt").is_none(), "{first}");
    let mut body = minimal();
    let others = [
        ("lockout", json!({ "failureCount": 6, "durationSeconds": 60 })),
        ("phoneExtensions", json!({ "enabled": false })),
        ("users", json!({ "mfaEnabled": true })),
        ("authentication", json!({ "deviceSelection": "PROMPT_TO_SELECT" })),
    ];
    for (name, value) in &others {
        body[name] = value.clone();
    }
    let answer = admin.put(PATH, &body).await.must_be(200).json();
    assert_eq!(admin.get(PATH).await.must_be(200).json(), answer);
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(answer[name], *value, "{name}");
    }
    assert!(answer["environment"]["id"].is_string() && answer["updatedAt"].is_string());
    // What is not sent is not answered, and is as by default.
    let answer = admin.put(PATH, &minimal()).await.must_be(200).json();
    for (name, _) in &others {
        assert!(answer.get(*name).is_none(), "{name}: {answer}");
    }
    admin.delete(PATH).await.must_be(204);
    assert_eq!(admin.get(PATH).await.must_be(200).json(), first);
    assert_eq!(w.audit_of("MFA_SETTINGS.UPDATED").await.len(), 3);
}

#[tokio::test]
async fn a_lock_without_a_length_lasts_and_one_that_is_left_out_is_the_default() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let phone = w.phone_paired_to("ann").await;
    let mut body = minimal();
    body["lockout"] = json!({ "failureCount": 1 });
    let answer = admin.put(PATH, &body).await.must_be(200).json();
    assert_eq!(answer["lockout"], json!({ "failureCount": 1 }));
    let mut sign_on = w.site().begin().await;
    sign_on.password("ann", crate::world::PASSWORD).await.must_be(200);
    sign_on.passcode(&phone.wrong_passcode()).await.must_be(200);
    assert_eq!(sign_on.status(), "FAILED");
    w.advance(400 * 86_400);
    let mut later = w.site().begin().await;
    later.password("ann", crate::world::PASSWORD).await.must_be(200);
    assert_eq!(later.response("error_description"), "the MFA of the user is locked");
}

#[tokio::test]
async fn each_limit_of_the_settings_is_told() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let refused = async |pointer: &str, value: Value| {
        let mut body = minimal();
        body["lockout"] = json!({ "failureCount": 6, "durationSeconds": 60 });
        *body.pointer_mut(pointer).unwrap() = value;
        let answer = admin.put(PATH, &body).await.must_be(400).json();
        answer["details"][0]["target"].as_str().unwrap_or_default().to_owned()
    };
    for devices in [0, 16] {
        let target = refused("/pairing/maxAllowedDevices", json!(devices)).await;
        assert_eq!(target, "pairing.maxAllowedDevices");
    }
    let target = refused("/pairing/pairingKeyFormat", json!("RUNES")).await;
    assert_eq!(target, "pairing.pairingKeyFormat");
    let target = refused("/lockout/failureCount", json!(0)).await;
    assert_eq!(target, "lockout.failureCount");
    let target = refused("/lockout/durationSeconds", json!(86_401)).await;
    assert_eq!(target, "lockout.durationSeconds");
    let answer = admin.put(PATH, &json!({})).await.must_be(400).json();
    assert_eq!(answer["details"][0]["target"], "pairing");
}
