//! Signing keys by the management API.

use countersign_domain::{
    role::{Role, Scope},
    signing_key::Rules,
};
use http::Method;
use serde_json::{Value, json};

use crate::world::{World, administrator::Administrator};

on_both_engines!(
    keys_are_told_without_their_private_half,
    a_successor_is_made_and_signs_when_its_time_has_come,
    a_key_that_signs_is_not_deleted_and_any_other_is,
    a_rotation_policy_tells_the_keys_and_replaces_them,
);

const NO_ID: &str = "00000000-0000-7000-8000-000000000000";

async fn keys(admin: &Administrator) -> Vec<Value> {
    let list = admin.get("/keys").await.must_be(200).json();
    list["_embedded"]["keys"].as_array().unwrap().clone()
}

fn url(of: &Value) -> &str {
    of["_links"]["self"]["href"].as_str().unwrap()
}

async fn published(w: &World) -> Vec<Value> {
    let set = w.wire.get(&w.url("/as/jwks")).await.must_be(200).json();
    set["keys"].as_array().unwrap().clone()
}

async fn keys_are_told_without_their_private_half(w: &mut World) {
    let admin = w.administrator().await;
    let keys = keys(&admin).await;
    let told = |key: &Value| {
        ["algorithm", "keyLength", "signatureAlgorithm", "default", "status", "state"]
            .map(|member| key[member].clone())
    };
    let mut seen: Vec<_> = keys.iter().map(told).collect();
    seen.sort_by_key(|key| key[0].to_string());
    let current = |algorithm, length, signature| {
        [
            json!(algorithm),
            json!(length),
            json!(signature),
            json!(true),
            json!("VALID"),
            json!("CURRENT"),
        ]
    };
    assert_eq!(
        seen,
        [current("EC", 256, "SHA256withECDSA"), current("RSA", 2_048, "SHA256withRSA")]
    );
    let set = published(w).await;
    for key in &keys {
        assert!(set.contains(&key["jwk"]), "{key}");
        assert_eq!(admin.get(url(key)).await.must_be(200).json(), *key);
        let text = key.to_string();
        assert!(!text.contains("private") && key["jwk"].get("d").is_none(), "{text}");
    }
    admin.get(&format!("/keys/{NO_ID}")).await.must_be(404);
    let other = w.server.create_environment("Other").await.unwrap().id;
    let id = keys[0]["id"].as_str().unwrap();
    admin.get(&format!("{}/keys/{id}", w.environment_url(other))).await.must_be(404);
    admin.delete(&format!("{}/keys/{id}", w.environment_url(other))).await.must_be(404);
}

async fn a_successor_is_made_and_signs_when_its_time_has_come(w: &mut World) {
    let admin = w.administrator().await;
    for (body, target) in [
        (json!({}), "algorithm"),
        (json!({ "algorithm": "DSA" }), "algorithm"),
        (json!({ "algorithm": "RSA", "keyLength": 1_024 }), "keyLength"),
        (json!({ "algorithm": "EC", "signatureAlgorithm": "SHA256withRSA" }), "signatureAlgorithm"),
        (json!({ "algorithm": "EC", "usageType": "ENCRYPTION" }), "usageType"),
    ] {
        let refused = admin.post("/keys", &body).await.must_be(400).json();
        assert_eq!(refused["details"][0]["target"], target, "{body}");
    }
    let made = admin.make("/keys", &json!({ "algorithm": "EC", "keyLength": 256 })).await;
    assert_eq!(
        (&made["default"], &made["status"], &made["state"]),
        (&json!(false), &json!("NOT_YET_VALID"), &json!("NEXT"))
    );
    assert!(published(w).await.contains(&made["jwk"]));
    let again = admin.post("/keys", &json!({ "algorithm": "EC" })).await.must_be(400).json();
    assert_eq!(again["code"], "REQUEST_FAILED");
    w.advance(Rules::default().publish_seconds);
    w.server.tend_keys().await.unwrap();
    let now = admin.get(url(&made)).await.must_be(200).json();
    assert_eq!((&now["default"], &now["startsAt"]), (&json!(true), &made["startsAt"]));
    let retired = keys(&admin).await.into_iter().find(|key| key["state"] == "RETIRED").unwrap();
    assert_eq!((&retired["algorithm"], &retired["status"]), (&json!("EC"), &json!("VALID")));
    assert!(retired["expiresAt"].is_string());
}

async fn a_key_that_signs_is_not_deleted_and_any_other_is(w: &mut World) {
    let admin = w.administrator().await;
    for key in keys(&admin).await {
        let refused = admin.delete(url(&key)).await.must_be(400).json();
        assert_eq!(refused["details"][0]["code"], "CONSTRAINT_VIOLATION");
    }
    let made = admin.make("/keys", &json!({ "algorithm": "RSA" })).await;
    admin.delete(url(&made)).await.must_be(204);
    admin.delete(url(&made)).await.must_be(404);
    assert!(!published(w).await.contains(&made["jwk"]));
    let told = w.audit_of("KEY.DELETED").await;
    assert_eq!(told[0].entry.event.reason.as_deref(), Some("withdrawn"));
    assert!(told[0].entry.actors().client.is_some());
    let here = Scope::Environment(w.bank.environment.id);
    let looks = w.administrator_with(&[(Role::ConfigurationReadOnly, here)]).await;
    assert_eq!(keys(&looks).await.len(), 2);
    looks.delete(url(&keys(&looks).await[0])).await.must_be(403);
}

async fn a_rotation_policy_tells_the_keys_and_replaces_them(w: &mut World) {
    let admin = w.administrator().await;
    let list = admin.get("/keyRotationPolicies").await.must_be(200).json();
    let policies = list["_embedded"]["keyRotationPolicies"].as_array().unwrap();
    let names: Vec<_> = policies.iter().map(|policy| policy["name"].clone()).collect();
    assert_eq!(names, ["RS256", "ES256"]);
    let policy = &policies[1];
    assert_eq!(policy["rotationPeriod"], 90);
    let current = keys(&admin).await.into_iter().find(|key| key["algorithm"] == "EC").unwrap();
    assert_eq!(policy["currentKeyId"], current["id"]);
    assert_eq!(admin.get(url(policy)).await.must_be(200).json(), *policy);
    let rotate = "keyRotationPolicy.rotate";
    let rotated = admin.act(Method::POST, url(policy), rotate, &json!({})).await.must_be(200);
    let rotated = rotated.json();
    assert_eq!(rotated["currentKeyId"], current["id"]);
    assert!(rotated["nextKeyId"].is_string() && rotated["_links"].get(rotate).is_none());
    // Asking again while a successor waits changes nothing.
    let again = admin.act(Method::POST, url(policy), rotate, &json!({})).await.must_be(200).json();
    assert_eq!(again, rotated);
    admin.post(url(policy), &json!({})).await.must_be(415);
    admin.get(&format!("/keyRotationPolicies/{NO_ID}")).await.must_be(404);
    let path = format!("/keyRotationPolicies/{NO_ID}");
    admin.act(Method::POST, &path, rotate, &json!({})).await.must_be(404);
}
