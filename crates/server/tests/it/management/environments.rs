//! Environments by the management API.

use countersign_domain::role::{Role, Scope};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn an_environment_is_made_with_all_it_needs_changed_and_deleted() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let all = "https://id.example/v1/environments";
    let told = json!({
        "name": "Shop", "description": "A shop", "type": "SANDBOX", "region": "EU",
        "license": { "id": "00000000-0000-7000-8000-000000000401" },
    });
    let made = admin.make(all, &told).await;
    for (name, value) in told.as_object().unwrap() {
        assert_eq!(&made[name], value, "{name}");
    }
    assert_eq!(made["status"], "ACTIVE");
    let url = made["_links"]["self"]["href"].as_str().unwrap();
    assert_eq!(admin.get(url).await.must_be(200).json(), made);
    assert_eq!(admin.names(&format!("{url}/populations")).await, ["Default"]);
    let id = made["id"].as_str().unwrap();
    let discovery = format!("https://id.example/{id}/as/.well-known/openid-configuration");
    w.wire.get(&discovery).await.must_be(200);
    let changed = json!({ "name": "Shops", "type": "PRODUCTION", "region": "EU" });
    let replaced = admin.put(url, &changed).await.must_be(200).json();
    assert_eq!((&replaced["name"], &replaced["type"]), (&json!("Shops"), &json!("PRODUCTION")));
    assert!(replaced.get("description").is_none());
    let moved = json!({ "name": "Shops", "region": "NA" });
    let refused = admin.put(url, &moved).await.must_be(400).json();
    assert_eq!(refused["details"][0]["target"], "region");
    let kind = admin.put(&format!("{url}/type"), &json!({ "type": "SANDBOX" })).await;
    assert_eq!(kind.must_be(200).json()["type"], "SANDBOX");
    admin.delete(url).await.must_be(204);
    admin.get(url).await.must_be(404);
    w.wire.get(&discovery).await.must_be(404);
    assert_eq!(admin.names(all).await, ["Bank"]);
    // The name is free again.
    admin.make(all, &json!({ "name": "Shops" })).await;
    let taken = admin.post(all, &json!({ "name": "Bank" })).await.must_be(400).json();
    assert_eq!(taken["details"][0]["code"], "UNIQUENESS_VIOLATION");
}

// Only there can two nodes have the same store.
mod postgres {
    on_engine!(
        another_node_lets_nobody_into_a_deleted_environment_after_a_while,
        countersign_store::Engine::Postgres
    );
}

async fn another_node_lets_nobody_into_a_deleted_environment_after_a_while(w: &mut World) {
    let admin = w.administrator().await;
    let made = admin.make("https://id.example/v1/environments", &json!({ "name": "Shop" })).await;
    let (server, other) = w.another_node().await;
    let jwks = format!("https://id.example/{}/as/jwks", made["id"].as_str().unwrap());
    other.get(&jwks).await.must_be(200);
    admin.delete(made["_links"]["self"]["href"].as_str().unwrap()).await.must_be(204);
    w.advance(3_600);
    other.get(&jwks).await.must_be(404);
    server.store().close().await;
}

#[tokio::test]
async fn the_environment_of_the_administrators_stays() {
    let w = World::new().await;
    w.server.ensure_administrators().await.unwrap();
    let admin = w.administrator().await;
    let found = admin
        .get("https://id.example/v1/environments?filter=name%20eq%20%22Administrators%22")
        .await
        .must_be(200)
        .json();
    assert_eq!(found["count"], 1);
    let url = found["_embedded"]["environments"][0]["_links"]["self"]["href"].as_str().unwrap();
    let refused = admin.delete(url).await.must_be(400).json();
    assert_eq!(refused["details"][0]["code"], "CONSTRAINT_VIOLATION");
}

#[tokio::test]
async fn an_administrator_of_one_environment_sees_and_makes_no_other() {
    let w = World::new().await;
    w.server.create_environment("Other").await.unwrap();
    let here = Scope::Environment(w.bank.environment.id);
    let admin = w.administrator_with(&[(Role::EnvironmentAdmin, here)]).await;
    assert_eq!(admin.names("https://id.example/v1/environments").await, ["Bank"]);
    admin.post("https://id.example/v1/environments", &json!({ "name": "x" })).await.must_be(403);
    admin.delete("").await.must_be(403);
}

#[tokio::test]
async fn the_services_the_organization_and_the_license_are_told() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let bill = admin.get("/billOfMaterials").await.must_be(200).json();
    assert_eq!(bill["products"][1], json!({ "type": "PING_ONE_MFA" }));
    let told = json!({ "products": [{ "type": "PING_ONE_MFA", "bookmarks": [{ "name": "a", "href": "https://a.example" }] }] });
    let replaced = admin.put("/billOfMaterials", &told).await.must_be(200).json();
    assert_eq!(replaced["products"], told["products"]);
    assert_eq!(admin.get("/billOfMaterials").await.json()["products"], told["products"]);
    let all = admin.get("https://id.example/v1/organizations").await.must_be(200).json();
    let one = all["_embedded"]["organizations"][0].clone();
    let url = one["_links"]["self"]["href"].as_str().unwrap();
    assert_eq!(admin.get(url).await.must_be(200).json(), one);
    let licenses = one["_links"]["licenses"]["href"].as_str().unwrap();
    let license = &admin.get(licenses).await.must_be(200).json()["_embedded"]["licenses"][0];
    let url = license["_links"]["self"]["href"].as_str().unwrap();
    assert_eq!(&admin.get(url).await.must_be(200).json(), license);
    admin.get("https://id.example/v1/organizations/x").await.must_be(404);
}
