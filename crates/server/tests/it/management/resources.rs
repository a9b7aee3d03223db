//! Resources, their scopes and attributes, and grants of applications, by the management API.

use serde_json::{Value, json};

use crate::world::{Bank, World, administrator::Administrator};

fn href(made: &Value) -> &str {
    made.pointer("/_links/self/href").and_then(Value::as_str).unwrap()
}

/// The one of this type that comes with the environment.
async fn built_in(admin: &Administrator, kind: &str) -> Value {
    let list = admin.get("/resources").await.must_be(200).json();
    let found =
        list["_embedded"]["resources"].as_array().unwrap().iter().find(|r| r["type"] == kind);
    found.unwrap().clone()
}

async fn payments(admin: &Administrator) -> Value {
    let told = json!({
        "name": "Payments", "description": "Of the bank", "type": "CUSTOM",
        "audience": "https://payments.bank.example", "accessTokenValiditySeconds": 600,
        "introspectEndpointAuthMethod": "CLIENT_SECRET_BASIC",
        "applicationPermissionsSettings": { "claimEnabled": false },
    });
    let made = admin.make("/resources", &told).await;
    for (member, value) in told.as_object().unwrap() {
        assert_eq!(&made[member], value, "{member}");
    }
    made
}

#[tokio::test]
async fn a_resource_is_made_changed_and_deleted() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let made = payments(&admin).await;
    assert_eq!(admin.get(href(&made)).await.must_be(200).json(), made);
    assert_eq!(admin.names("/resources").await, ["openid", "PingOne API", "Payments"]);
    // What is left out is as it is by default.
    let least = admin.put(href(&made), &json!({ "name": "Money" })).await.must_be(200).json();
    assert_eq!((&least["audience"], &least["type"]), (&json!("Money"), &json!("CUSTOM")));
    assert_eq!(least["accessTokenValiditySeconds"], 3_600);
    for absent in ["description", "introspectEndpointAuthMethod", "applicationPermissionsSettings"]
    {
        assert!(least.get(absent).is_none(), "{absent}");
    }
    admin.delete(href(&made)).await.must_be(204);
    admin.get(href(&made)).await.must_be(404);
    let told = w.audit_of("RESOURCE.DELETED").await;
    assert_eq!(told.len(), 1);
}

#[tokio::test]
async fn what_comes_with_an_environment_stays_as_it_is() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let other = Bank::open(&w.server, "Other").await;
    for (kind, first, id) in [
        ("OPENID_CONNECT", "openid", "00000000-0000-7000-8000-000000000401"),
        ("PINGONE_API", "p1:read:user", "00000000-0000-7000-8000-000000000501"),
    ] {
        let found = built_in(&admin, kind).await;
        let scopes = found.pointer("/_links/scopes/href").unwrap().as_str().unwrap();
        let list = admin.get(scopes).await.must_be(200).json();
        let scope = &list["_embedded"]["scopes"][0];
        assert_eq!((&scope["name"], &scope["id"]), (&json!(first), &json!(id)));
        assert_eq!(scope["resource"]["id"], found["id"]);
        admin.delete(href(&found)).await.must_be(400);
        admin.delete(href(scope)).await.must_be(400);
        admin.put(href(scope), &json!({ "name": "mine" })).await.must_be(400);
        admin.post(scopes, &json!({ "name": "mine" })).await.must_be(400);
        let attributes = found.pointer("/_links/attributes/href").unwrap().as_str().unwrap();
        admin.post(attributes, &json!({ "name": "mine", "value": "x" })).await.must_be(400);
        let renamed = json!({ "name": "mine", "type": kind });
        let refused = admin.put(href(&found), &renamed).await.must_be(400).json();
        assert_eq!(refused["details"][0]["target"], "type");
        admin.put(href(&found), &found).await.must_be(200);
        admin.post("/resources", &json!({ "name": "mine", "type": kind })).await.must_be(400);
        let there = format!("{}/resources", w.environment_url(other.environment.id));
        let there = admin.get(&there).await.must_be(200).json();
        assert_eq!(there["_embedded"]["resources"].as_array().unwrap().len(), 2);
        assert_ne!(there["_embedded"]["resources"][0]["id"], found["id"]);
    }
}

#[tokio::test]
async fn a_resource_that_breaks_rules_is_refused() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let made = payments(&admin).await;
    for (body, code, target) in [
        (json!({}), "REQUIRED_VALUE", "name"),
        (json!({ "name": "Payments" }), "UNIQUENESS_VIOLATION", "name"),
        (json!({ "name": "openid", "audience": "x" }), "UNIQUENESS_VIOLATION", "name"),
        (json!({ "name": "https://payments.bank.example" }), "UNIQUENESS_VIOLATION", "audience"),
        (
            json!({ "name": "x", "audience": "https://payments.bank.example" }),
            "UNIQUENESS_VIOLATION",
            "audience",
        ),
        (json!({ "name": "x", "audience": "https://x#y" }), "INVALID_VALUE", "audience"),
        (
            json!({ "name": "x", "accessTokenValiditySeconds": 299 }),
            "INVALID_VALUE",
            "accessTokenValiditySeconds",
        ),
        (
            json!({ "name": "x", "accessTokenValiditySeconds": 2_592_001 }),
            "INVALID_VALUE",
            "accessTokenValiditySeconds",
        ),
    ] {
        let refused = admin.post("/resources", &body).await.must_be(400).json();
        let detail = &refused["details"][0];
        assert_eq!((&detail["code"], &detail["target"]), (&json!(code), &json!(target)), "{body}");
    }
    let scopes = format!("{}/scopes", href(&made));
    admin.make(&scopes, &json!({ "name": "pay" })).await;
    for (name, code) in [
        ("", "REQUIRED_VALUE"),
        ("a b", "INVALID_VALUE"),
        ("p1:read:user", "INVALID_VALUE"),
        ("email", "INVALID_VALUE"),
        ("pay", "UNIQUENESS_VIOLATION"),
    ] {
        let refused = admin.post(&scopes, &json!({ "name": name })).await.must_be(400).json();
        let detail = &refused["details"][0];
        assert_eq!((&detail["code"], &detail["target"]), (&json!(code), &json!("name")), "{name}");
    }
    let attributes = format!("{}/attributes", href(&made));
    for (name, value, target) in
        [("scope", "x", "name"), ("sub", "x", "name"), ("tier", "${user.tier}", "value")]
    {
        let body = json!({ "name": name, "value": value });
        let refused = admin.post(&attributes, &body).await.must_be(400).json();
        assert_eq!(refused["details"][0]["target"], target, "{body}");
    }
}

on_both_engines!(
    the_name_of_a_scope_is_that_of_one_resource_until_it_is_free_again,
    grants_end_with_the_scopes_and_the_resources_that_they_are_of,
    what_arrives_together_does_not_collide,
);

async fn the_name_of_a_scope_is_that_of_one_resource_until_it_is_free_again(w: &mut World) {
    let admin = w.administrator().await;
    let made = payments(&admin).await;
    let loans = admin.make("/resources", &json!({ "name": "Loans" })).await;
    let scopes = format!("{}/scopes", href(&made));
    let told = json!({ "name": "pay", "description": "Pay" });
    let scope = admin.make(&scopes, &told).await;
    assert_eq!((&scope["description"], &scope["resource"]["id"]), (&json!("Pay"), &made["id"]));
    assert_eq!(admin.get(href(&scope)).await.must_be(200).json(), scope);
    let others = format!("{}/scopes", href(&loans));
    let refused = admin.post(&others, &told).await.must_be(400).json();
    assert_eq!(refused["details"][0]["code"], "UNIQUENESS_VIOLATION");
    assert_eq!(refused["details"][0]["target"], "name");
    let renamed = admin.put(href(&scope), &json!({ "name": "send" })).await.must_be(200).json();
    assert_eq!((&renamed["id"], &renamed["name"]), (&scope["id"], &json!("send")));
    assert!(renamed.get("description").is_none());
    admin.make(&others, &told).await;
    admin.delete(href(&loans)).await.must_be(204);
    admin.make(&scopes, &told).await;
    assert_eq!(admin.names(&scopes).await, ["send", "pay"]);
    // A PUT of the resource leaves its scopes.
    admin.put(href(&made), &json!({ "name": "Payments" })).await.must_be(200);
    assert_eq!(admin.names(&scopes).await, ["send", "pay"]);
    admin.delete(href(&renamed)).await.must_be(204);
    admin.get(href(&renamed)).await.must_be(404);
    assert_eq!(admin.names(&scopes).await, ["pay"]);
}

async fn grants_end_with_the_scopes_and_the_resources_that_they_are_of(w: &mut World) {
    let admin = w.administrator().await;
    let made = payments(&admin).await;
    let scopes = format!("{}/scopes", href(&made));
    let pay = admin.make(&scopes, &json!({ "name": "pay" })).await;
    let read = admin.make(&scopes, &json!({ "name": "read" })).await;
    let grants = format!("/applications/{}/grants", w.bank.site.id);
    let told = json!({
        "resource": { "id": made["id"] }, "scopes": [{ "id": pay["id"] }, { "id": read["id"] }],
    });
    let grant = admin.make(&grants, &told).await;
    assert_eq!((&grant["resource"], &grant["scopes"]), (&told["resource"], &told["scopes"]));
    assert_eq!(grant["application"]["id"], w.bank.site.id.to_string());
    assert_eq!(admin.get(href(&grant)).await.must_be(200).json(), grant);
    let second = admin.post(&grants, &told).await.must_be(400).json();
    assert_eq!(second["details"][0]["code"], "UNIQUENESS_VIOLATION");
    let openid = built_in(&admin, "OPENID_CONNECT").await;
    let profile = "00000000-0000-7000-8000-000000000402";
    let of_user = json!({ "resource": { "id": openid["id"] }, "scopes": [{ "id": profile }] });
    admin.make(&grants, &of_user).await;
    // A PUT of the application leaves its grants.
    let site = format!("/applications/{}", w.bank.site.id);
    let shown = admin.get(&site).await.must_be(200).json();
    admin.put(&site, &shown).await.must_be(200);
    admin.delete(href(&pay)).await.must_be(204);
    let left = admin.get(href(&grant)).await.must_be(200).json();
    assert_eq!(left["scopes"], json!([{ "id": read["id"] }]));
    admin.delete(href(&made)).await.must_be(204);
    admin.get(href(&grant)).await.must_be(404);
    let list = admin.get(&grants).await.must_be(200).json();
    assert_eq!(list["_embedded"]["grants"].as_array().unwrap().len(), 1);
}

async fn what_arrives_together_does_not_collide(w: &mut World) {
    let admin = w.administrator().await;
    let made = payments(&admin).await;
    let scopes = format!("{}/scopes", href(&made));
    let post = async |name: &str| admin.make(&scopes, &json!({ "name": name })).await;
    tokio::join!(post("a"), post("b"), post("c"), post("d"), post("e"), post("f"));
    assert_eq!(admin.names(&scopes).await.len(), 6);
    let loans = admin.make("/resources", &json!({ "name": "Loans" })).await;
    let others = format!("{}/scopes", href(&loans));
    let told = json!({ "name": "same" });
    let (one, other) = tokio::join!(admin.post(&scopes, &told), admin.post(&others, &told));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 400]);
}

#[tokio::test]
async fn a_grant_that_breaks_rules_is_refused() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let made = payments(&admin).await;
    let pay = admin.make(&format!("{}/scopes", href(&made)), &json!({ "name": "pay" })).await;
    let loans = admin.make("/resources", &json!({ "name": "Loans" })).await;
    let other = Bank::open(&w.server, "Other").await;
    let elsewhere = format!("{}/resources", w.environment_url(other.environment.id));
    let foreign = admin.make(&elsewhere, &json!({ "name": "Payments" })).await;
    let foreign_pay =
        admin.make(&format!("{}/scopes", href(&foreign)), &json!({ "name": "pay" })).await;
    let grants = format!("/applications/{}/grants", w.bank.site.id);
    let body = |resource: &Value, scopes: &[&Value]| {
        let scopes: Vec<_> = scopes.iter().map(|scope| json!({ "id": scope["id"] })).collect();
        json!({ "resource": { "id": resource["id"] }, "scopes": scopes })
    };
    for (body, target) in [
        (body(&foreign, &[&foreign_pay]), "resource.id"),
        (body(&made, &[&foreign_pay]), "scopes"),
        (body(&loans, &[&pay]), "scopes"),
        (body(&made, &[]), "scopes"),
        (json!({ "resource": { "id": made["id"] } }), "scopes"),
        (json!({ "resource": { "id": "x" }, "scopes": [] }), "resource.id"),
    ] {
        let refused = admin.post(&grants, &body).await.must_be(400).json();
        assert_eq!(refused["details"][0]["target"], target, "{body}");
    }
    let granted = admin.make(&grants, &body(&made, &[&pay])).await;
    let moved = admin.put(href(&granted), &body(&loans, &[&pay])).await.must_be(400).json();
    assert_eq!(moved["details"][0]["target"], "resource.id");
    // Nothing of one environment is found by the address of another.
    let id = made["id"].as_str().unwrap();
    admin.get(&format!("{elsewhere}/{id}")).await.must_be(404);
    admin.get(&format!("{elsewhere}/{id}/scopes")).await.must_be(404);
    admin.delete(&format!("{elsewhere}/{id}")).await.must_be(404);
}
