//! Roles: who may do what, and where.

use countersign_domain::{
    id::Id,
    role::{Role, Scope},
};
use countersign_server::management;
use http::Method;
use serde_json::json;

use crate::world::{Bank, Members, World, administrator::Administrator};

const NO_ID: &str = "00000000-0000-7000-8000-000000000000";

/// A request to a route, with ids that lead to nothing where they are not given.
async fn call(admin: &Administrator, route: &management::Route, environment: &str) -> u16 {
    let path = route.path.split('/').map(|part| match part {
        "{environment}" => environment,
        part if part.starts_with('{') => NO_ID,
        part => part,
    });
    let base = admin.environment.split("/v1/").next().unwrap();
    let url = format!("{base}{}", path.collect::<Vec<_>>().join("/"));
    let body = json!({});
    let body = (route.method != Method::GET).then_some(&body);
    admin.send(route.method.clone(), &url, "application/json", body).await.status.as_u16()
}

#[tokio::test]
async fn each_role_opens_exactly_the_routes_that_it_allows_and_only_in_its_environment() {
    let w = World::new().await;
    let other = Bank::open(&w.server, "Other").await.environment.id.to_string();
    let here = w.bank.environment.id;
    for role in Role::ALL.iter().copied() {
        let admin = w.administrator_with(&[(role, Scope::Environment(here))]).await;
        for route in management::routes() {
            let deletes_it =
                route.method == Method::DELETE && route.path.ends_with("{environment}");
            if deletes_it && role.allows(route.permission) {
                continue;
            }
            let status = call(&admin, &route, &here.to_string()).await;
            let in_environment = route.path.contains("{environment}");
            let is_organization =
                route.permission.area == countersign_domain::role::Area::Organization;
            let allowed = role.allows(route.permission) && (in_environment || !is_organization);
            assert_eq!(status != 403, allowed, "{role:?}: {route:?} is {status}");
            assert!(status < 500 && status != 401, "{role:?}: {route:?} is {status}");
            if in_environment {
                let status = call(&admin, &route, &other).await;
                assert_eq!(status, 403, "{role:?} elsewhere: {route:?} is {status}");
                assert_eq!(call(&admin, &route, NO_ID).await, 404, "{route:?}");
            }
        }
    }
}

#[tokio::test]
async fn who_has_no_role_or_no_token_is_let_in_nowhere() {
    let w = World::new().await;
    let admin = w.administrator_with(&[]).await;
    let user = w.app().sign_in("ann").await.access_token;
    let here = w.bank.environment.id.to_string();
    for route in management::routes() {
        assert_eq!(call(&admin, &route, &here).await, 403, "{route:?}");
        for token in ["", "x.y.z", user.as_str()] {
            let nobody = Administrator { token: token.to_owned(), ..admin.clone() };
            assert_eq!(call(&nobody, &route, &here).await, 401, "{route:?} with {token}");
        }
    }
}

#[tokio::test]
async fn a_role_is_given_read_and_taken_and_counts_at_once() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let worker = w.worker().await;
    let token = worker.redeem(&Members::from([("grant_type", "client_credentials")])).await;
    let token = token.json()["access_token"].as_str().unwrap().to_owned();
    let other = Administrator { token, ..admin.clone() };
    other.get("/populations").await.must_be(403);
    let roles = format!("/applications/{}/roleAssignments", worker.id);
    let scope = json!({ "id": w.bank.environment.id, "type": "ENVIRONMENT" });
    let body = json!({ "role": { "id": Role::EnvironmentAdmin.id() }, "scope": scope });
    let given = admin.make(&roles, &body).await;
    assert_eq!((&given["role"], &given["scope"]), (&body["role"], &scope));
    assert_eq!(given["readOnly"], false);
    other.get("/populations").await.must_be(200);
    let list = admin.get(&roles).await.must_be(200).json();
    assert_eq!(list["_embedded"]["roleAssignments"], json!([given]));
    let twice = admin.post(&roles, &body).await.must_be(400).json();
    assert_eq!(twice["details"][0]["code"], "UNIQUENESS_VIOLATION");
    let url = given["_links"]["self"]["href"].as_str().unwrap();
    assert_eq!(admin.get(url).await.must_be(200).json(), given);
    admin.delete(url).await.must_be(204);
    other.get("/populations").await.must_be(403);
}

#[tokio::test]
async fn nobody_gives_or_takes_more_than_they_have() {
    let w = World::new().await;
    let here = Scope::Environment(w.bank.environment.id);
    let admin = w.administrator_with(&[(Role::EnvironmentAdmin, here)]).await;
    let strong = w.administrator().await;
    let worker = w.worker().await;
    let roles = format!("/applications/{}/roleAssignments", worker.id);
    let scope = json!({ "id": w.bank.environment.id, "type": "ENVIRONMENT" });
    let organization =
        json!({ "id": "00000000-0000-7000-8000-000000000301", "type": "ORGANIZATION" });
    let give = |role: Role, scope: &serde_json::Value| json!({ "role": { "id": role.id() }, "scope": scope });
    admin.post(&roles, &give(Role::ConfigurationReadOnly, &scope)).await.must_be(201);
    for refused in [
        give(Role::IdentityDataReadOnly, &scope),
        give(Role::OrganizationAdmin, &scope),
        give(Role::ConfigurationReadOnly, &organization),
    ] {
        admin.post(&roles, &refused).await.must_be(403);
    }
    let given = strong.make(&roles, &give(Role::OrganizationAdmin, &organization)).await;
    admin.delete(given["_links"]["self"]["href"].as_str().unwrap()).await.must_be(403);
    // Only a worker, and only what exists.
    let native = format!("/applications/{}/roleAssignments", w.bank.native.id);
    strong.post(&native, &give(Role::EnvironmentAdmin, &scope)).await.must_be(400);
    let nobody = format!("/users/{}/roleAssignments", Id::<u8>::from_bytes([7; 16]));
    strong.post(&nobody, &give(Role::EnvironmentAdmin, &scope)).await.must_be(404);
    let unknown = json!({ "role": { "id": NO_ID }, "scope": scope });
    assert_eq!(
        strong.post(&roles, &unknown).await.must_be(400).json()["details"][0]["target"],
        "role.id"
    );
}

#[tokio::test]
async fn who_has_which_role_is_told_where_the_holder_lives_and_nowhere_else() {
    let w = World::new().await;
    let strong = w.administrator().await;
    let worker = w.worker().await;
    let scope = json!({ "id": w.bank.environment.id, "type": "ENVIRONMENT" });
    let body = json!({ "role": { "id": Role::EnvironmentAdmin.id() }, "scope": scope });
    let roles = format!("/applications/{}/roleAssignments", worker.id);
    strong.make(&roles, &body).await;
    let other = w.server.create_environment("Other").await.unwrap().id;
    let elsewhere = Scope::Environment(other);
    let admin = w.administrator_with(&[(Role::EnvironmentAdmin, elsewhere)]).await;
    admin.get(&format!("{}{roles}", w.environment_url(other))).await.must_be(404);
    strong.get(&roles).await.must_be(200);
}

#[tokio::test]
async fn the_roles_are_listed_with_what_they_allow() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let base = admin.environment.split("/environments").next().unwrap().to_owned();
    let list = admin.get(&format!("{base}/roles")).await.must_be(200).json();
    let first = &list["_embedded"]["roles"][0];
    assert_eq!(first["name"], "Organization Admin");
    assert!(first["permissions"].as_array().unwrap().len() > 10);
    let url = first["_links"]["self"]["href"].as_str().unwrap();
    assert_eq!(admin.get(url).await.must_be(200).json(), *first);
}
