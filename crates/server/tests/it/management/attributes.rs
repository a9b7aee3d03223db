//! Attribute mappings by the management API: what tokens and userinfo tell of a user.

use serde_json::{Value, json};

use crate::world::{World, claims};

fn path(w: &World) -> String {
    format!("/applications/{}/attributes", w.bank.site.id)
}

fn href(made: &Value) -> &str {
    made.pointer("/_links/self/href").and_then(Value::as_str).unwrap()
}

#[tokio::test]
async fn a_mapping_that_was_made_is_in_tokens_until_it_is_deleted() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let told = json!({
        "name": "mail", "value": "${user.email}", "required": false, "idToken": true,
        "userInfo": false,
    });
    let made = admin.make(&path(&w), &told).await;
    for (member, value) in told.as_object().unwrap() {
        assert_eq!(&made[member], value, "{member}");
    }
    assert_eq!(made["mappingType"], "CUSTOM");
    assert_eq!(made["application"]["id"], w.bank.site.id.to_string());
    assert!(made.get("oidcScopes").is_none());
    assert_eq!(admin.get(href(&made)).await.must_be(200).json(), made);
    assert_eq!(admin.names(&path(&w)).await, ["sub", "mail"]);
    let id_token = w.site().sign_in("ann").await.id_token;
    assert_eq!(claims(&id_token)["mail"], "ann@bank.example");
    let changed = json!({ "name": "tenant", "value": "${user.environment.id}" });
    let replaced = admin.put(href(&made), &changed).await.must_be(200).json();
    assert_eq!((&replaced["id"], &replaced["userInfo"]), (&made["id"], &json!(true)));
    let tokens = w.site().sign_in("ann").await;
    assert!(claims(&tokens.id_token).get("mail").is_none());
    let told = w.site().user_info(&tokens.access_token).await.must_be(200).json();
    assert_eq!(told["tenant"], w.bank.environment.id.to_string());
    admin.delete(href(&made)).await.must_be(204);
    admin.get(href(&made)).await.must_be(404);
    admin.delete(href(&made)).await.must_be(404);
    let tokens = w.site().sign_in("ann").await;
    assert!(claims(&tokens.id_token).get("tenant").is_none());
}

#[tokio::test]
async fn each_application_has_the_mapping_of_the_subject_which_stays_what_it_is() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let list = admin.get(&path(&w)).await.must_be(200).json();
    let core = &list["_embedded"]["attributes"][0];
    assert_eq!((&core["name"], &core["mappingType"]), (&json!("sub"), &json!("CORE")));
    // As Terraform sets it up, and back.
    let told = json!({
        "name": "sub", "value": "${user.id}", "required": true, "idToken": true, "userInfo": true,
    });
    let replaced = admin.put(href(core), &told).await.must_be(200).json();
    assert_eq!((&replaced["id"], &replaced["mappingType"]), (&core["id"], &json!("CORE")));
    assert_eq!(admin.names(&path(&w)).await, ["sub"]);
    admin.delete(href(core)).await.must_be(400);
    for body in [
        json!({ "name": "sub", "value": "${user.email}" }),
        json!({ "name": "subject", "value": "${user.id}" }),
    ] {
        admin.put(href(core), &body).await.must_be(400);
    }
    let second = admin.post(&path(&w), &told).await.must_be(400).json();
    assert_eq!(second["details"][0]["code"], "UNIQUENESS_VIOLATION");
}

#[tokio::test]
async fn a_mapping_that_breaks_rules_is_refused() {
    let w = World::new().await;
    let admin = w.administrator().await;
    admin.make(&path(&w), &json!({ "name": "mail", "value": "${user.email}" })).await;
    for (body, code, target) in [
        (json!({ "name": "acr", "value": "x" }), "INVALID_VALUE", "name"),
        (json!({ "name": "mail", "value": "x" }), "UNIQUENESS_VIOLATION", "name"),
        (json!({ "name": "tier", "value": "${user.tier}" }), "INVALID_VALUE", "value"),
        (json!({ "name": "tier" }), "REQUIRED_VALUE", "value"),
        (
            json!({ "name": "tier", "value": "x", "oidcScopes": ["x"] }),
            "INVALID_VALUE",
            "oidcScopes",
        ),
    ] {
        let refused = admin.post(&path(&w), &body).await.must_be(400).json();
        let detail = &refused["details"][0];
        assert_eq!((&detail["code"], &detail["target"]), (&json!(code), &json!(target)), "{body}");
    }
    let nowhere = "/applications/00000000-0000-7000-8000-000000000009/attributes";
    admin.get(nowhere).await.must_be(404);
    admin.post(nowhere, &json!({ "name": "x", "value": "x" })).await.must_be(404);
}

#[tokio::test]
async fn mappings_that_arrive_together_do_not_collide_and_a_put_of_the_application_keeps_them() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let path = path(&w);
    let post = async |name: &str| {
        admin.make(&path, &json!({ "name": name, "value": "${user.id}" })).await;
    };
    tokio::join!(post("a"), post("b"), post("c"), post("d"), post("e"), post("f"));
    assert_eq!(admin.names(&path).await.len(), 7);
    let site = format!("/applications/{}", w.bank.site.id);
    let shown = admin.get(&site).await.must_be(200).json();
    admin.put(&site, &shown).await.must_be(200);
    assert_eq!(admin.names(&path).await.len(), 7);
}
