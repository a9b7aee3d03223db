//! The audit log by the management API.

use countersign_domain::role::{Role, Scope};
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use crate::world::{PASSWORD, World, administrator::Administrator};

on_both_engines!(records_are_found_by_filter_and_read_part_by_part);

async fn activities(admin: &Administrator, filter: &str) -> Vec<Value> {
    let filter: String = byte_serialize(filter.as_bytes()).collect();
    let found = admin.get(&format!("/activities?limit=1000&filter={filter}")).await.must_be(200);
    found.json()["_embedded"]["activities"].as_array().unwrap().clone()
}

fn types(activities: &[Value]) -> Vec<&str> {
    activities.iter().map(|it| it["action"]["type"].as_str().unwrap()).collect()
}

async fn records_are_found_by_filter_and_read_part_by_part(w: &mut World) {
    let admin = w.administrator().await;
    w.advance(10);
    for name in ["North", "South", "West"] {
        admin.make("/populations", &json!({ "name": name })).await;
        w.advance(10);
    }
    let made = "action.type eq \"POPULATION.CREATED\"";
    let all = activities(&admin, made).await;
    assert_eq!(all[0]["resources"][0]["name"], "West", "the newest first");
    let time = |it: &Value| it["recordedAt"].as_str().unwrap().to_owned();
    let (north, south) = (time(&all[2]), time(&all[1]));
    let find = async |filter: &str| {
        let found = activities(&admin, &format!("{made} and {filter}")).await;
        let name = |it: &Value| it["resources"][0]["name"].as_str().unwrap().to_owned();
        found.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(find(&format!("recordedat gt \"{north}\"")).await, ["West", "South"]);
    assert_eq!(find(&format!("recordedAt ge \"{south}\"")).await, ["West", "South"]);
    assert_eq!(
        find(&format!("createdat lt \"{south}\" and recordedat ge \"{north}\"")).await,
        ["North"]
    );
    // However a time is written.
    let plain = north.replace(".000Z", "Z");
    let both = format!(
        "recordedat le \"{}\" and recordedat ge \"{plain}\"",
        south.replace(".000Z", ".0Z")
    );
    assert_eq!(find(&both).await, ["South", "North"]);
    let resource = all[2]["resources"][0]["id"].as_str().unwrap();
    assert_eq!(find(&format!("resources.id eq \"{resource}\"")).await, ["North"]);
    let client = all[2]["actors"]["client"]["id"].as_str().unwrap();
    assert_eq!(find(&format!("actors.client.id eq \"{client}\"")).await.len(), 3);
    assert_eq!(find("resources.name co \"TH\"").await, ["South", "North"]);
    assert!(find("result.status eq \"FAILED\"").await.is_empty());
    let one = all[2]["correlationId"].as_str().unwrap();
    assert_eq!(activities(&admin, &format!("correlationId eq \"{one}\"")).await, all[2..3]);
    let either = format!(
        "({made} or action.type eq \"ROLE_ASSIGNMENT.CREATED\") and recordedat ge \"2020-01-01\""
    );
    let found = activities(&admin, &either).await;
    assert!(types(&found).contains(&"ROLE_ASSIGNMENT.CREATED") && found.len() > 3);
    let marked = activities(&admin, "tags.adminIdentityEvent eq true").await;
    assert!(!marked.is_empty() && types(&marked).iter().all(|it| it.starts_with("ROLE_")));

    let mut names = Vec::new();
    let filter: String = byte_serialize(made.as_bytes()).collect();
    let mut next = Some(format!("/activities?order=asc&limit=1&filter={filter}"));
    while let Some(url) = next {
        let part = admin.get(&url).await.must_be(200).json();
        let found = part["_embedded"]["activities"].as_array().unwrap();
        assert!(found.len() <= 1);
        names
            .extend(found.iter().map(|it| it["resources"][0]["name"].as_str().unwrap().to_owned()));
        next = part.pointer("/_links/next/href").map(|href| href.as_str().unwrap().to_owned());
    }
    assert_eq!(names[names.len() - 3..], ["North", "South", "West"]);
    let searched = admin.post("/activities", &json!({ "filter": made, "limit": 2 })).await;
    let searched = searched.must_be(200).json();
    assert_eq!(searched["_embedded"]["activities"].as_array().unwrap()[..], all[..2]);
    let id = all[0]["id"].as_str().unwrap();
    assert_eq!(admin.get(&format!("/activities/{id}")).await.must_be(200).json(), all[0]);
    admin.get("/activities/00000000-0000-7000-8000-000000000000").await.must_be(404);
}

#[tokio::test]
async fn a_sign_on_is_told_with_its_parties_and_without_secrets() {
    let w = World::new().await;
    let admin = w.administrator().await;
    w.advance(1);
    let mut sign_on = w.app().begin().await;
    sign_on.password("ann", "not the right one").await.must_be(400);
    sign_on.password("ann", PASSWORD).await.must_be(200);
    let failed = activities(&admin, "action.type eq \"PASSWORD.CHECK_FAILED\"").await.remove(0);
    assert_eq!(failed["result"]["status"], "FAILED");
    assert_eq!(failed["result"]["reason"], "wrong_password");
    assert_eq!(failed["actors"]["user"]["name"], "ann");
    assert_eq!(failed["actors"]["client"]["type"], "CLIENT");
    let allowed = activities(&admin, "action.type eq \"USER.ACCESS_ALLOWED\"").await.remove(0);
    assert_eq!(allowed["result"]["status"], "SUCCESS");
    let user = allowed["actors"]["user"].clone();
    assert!(user["href"].as_str().unwrap().ends_with(&format!("/users/{}", w.bank.ann.id)));
    assert!(allowed["internalCorrelation"]["transactionId"].is_string(), "{allowed}");
    let all = activities(&admin, "id pr").await;
    let text = Value::from(all).to_string();
    assert!(!text.contains(PASSWORD) && !text.contains("not the right one"));
}

#[tokio::test]
async fn a_search_that_makes_no_sense_is_refused_and_another_environments_log_stays_shut() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let long = format!("id%20eq%20%22{}%22", "x".repeat(4_100));
    for wrong in [
        "filter=id",
        "filter=recordedat%20gt%20%22yesterday%22",
        "filter=recordedat%20gt%20%222026-01-05T09:00:00%2B01:00%22",
        "order=sideways",
        "limit=1001",
        &format!("filter={long}"),
    ] {
        admin.get(&format!("/activities?{wrong}")).await.must_be(400);
    }
    admin.post("/activities", &json!({})).await.must_be(400);
    admin.post("/activities", &json!({ "filter": "id pr", "limit": 0 })).await.must_be(400);
    let here = Scope::Environment(w.bank.environment.id);
    let other = w.administrator_with(&[(Role::IdentityDataReadOnly, here)]).await;
    other.get("/activities").await.must_be(403);
    // What is of another environment is not found by its id.
    let record = activities(&admin, "id pr").await.remove(0)["id"].as_str().unwrap().to_owned();
    let elsewhere = w.server.create_environment("Other").await.unwrap().id;
    let url = w.environment_url(elsewhere);
    admin.get(&format!("{url}/activities/{record}")).await.must_be(404);
    admin.get(&format!("/activities/{record}")).await.must_be(200);
}
