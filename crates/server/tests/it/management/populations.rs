//! Populations by the management API, and with them what holds of everything that is set up.

use serde_json::{Value, json};

use crate::world::World;

on_both_engines!(
    a_population_is_made_read_replaced_and_deleted,
    a_body_that_breaks_rules_is_told_each_of_them,
    one_population_is_the_default_and_only_another_takes_its_place,
    a_population_with_users_stays,
    a_list_is_read_in_parts_and_filtered,
);

async fn a_population_is_made_read_replaced_and_deleted(w: &mut World) {
    let admin = w.administrator().await;
    // Later than the population that the environment began with.
    w.advance(1);
    let told = json!({ "name": "Staff", "description": "Who works here" });
    let made = admin.make("/populations", &told).await;
    assert_eq!((&made["name"], &made["description"]), (&told["name"], &told["description"]));
    // What nobody has told is not answered.
    assert!(made.get("alternativeIdentifiers").is_none(), "{made}");
    // What clients wait for is answered always.
    assert_eq!(made["preferredLanguage"], "en");
    assert_eq!(made["default"], false);
    let url = made["_links"]["self"]["href"].as_str().unwrap();
    assert_eq!(admin.get(url).await.must_be(200).json(), made);
    let replaced = admin.put(url, &json!({ "name": "All staff", "default": false })).await;
    let replaced = replaced.must_be(200).json();
    assert_eq!(replaced["name"], "All staff");
    assert_eq!(replaced["default"], false);
    assert!(replaced.get("description").is_none());
    assert_eq!(replaced["createdAt"], made["createdAt"]);
    admin.delete(url).await.must_be(204);
    let (code, ..) = admin.get(url).await.must_be(404).problem();
    assert_eq!(code, "NOT_FOUND");
    for action in ["POPULATION.CREATED", "POPULATION.UPDATED", "POPULATION.DELETED"] {
        let records = w.audit_of(action).await;
        // The first population is the operator's.
        let by_worker = records.iter().filter_map(|record| record.by.as_ref()?.client.as_ref());
        let names: Vec<_> = by_worker.filter_map(|client| client.name.as_deref()).collect();
        assert!(names.len() == 1 && names[0].starts_with("Bank worker"), "{action}: {names:?}");
    }
}

async fn a_body_that_breaks_rules_is_told_each_of_them(w: &mut World) {
    let admin = w.administrator().await;
    let refused = async |body: Value| {
        let answer = admin.post("/populations", &body).await.must_be(400).json();
        let detail = &answer["details"][0];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&answer["code"]), text(&detail["code"]), text(&detail["target"]))
    };
    let told = |code: &str, detail: &str, target: &str| {
        (code.to_owned(), detail.to_owned(), target.to_owned())
    };
    assert_eq!(refused(json!({})).await, told("INVALID_REQUEST", "REQUIRED_VALUE", "name"));
    assert_eq!(
        refused(json!({ "name": 1 })).await,
        told("INVALID_REQUEST", "INVALID_VALUE", "name")
    );
    assert_eq!(
        refused(json!({ "name": "" })).await,
        told("INVALID_DATA", "REQUIRED_VALUE", "name")
    );
    let long = json!({ "name": "x".repeat(257) });
    assert_eq!(refused(long).await, told("INVALID_DATA", "INVALID_VALUE", "name"));
    let language = json!({ "name": "x", "preferredLanguage": "de_CH" });
    let expected = told("INVALID_DATA", "INVALID_VALUE", "preferredLanguage");
    assert_eq!(refused(language).await, expected);
    let taken = json!({ "name": "Default" });
    assert_eq!(refused(taken).await, told("INVALID_DATA", "UNIQUENESS_VIOLATION", "name"));
    assert_eq!(refused(json!([])).await.0, "INVALID_REQUEST");
}

async fn one_population_is_the_default_and_only_another_takes_its_place(w: &mut World) {
    let admin = w.administrator().await;
    let list = admin.get("/populations").await.must_be(200).json();
    let first = list["_embedded"]["populations"][0]["_links"]["self"]["href"].as_str().unwrap();
    let refused = admin.put(first, &json!({ "name": "Default", "default": false })).await;
    assert_eq!(refused.must_be(400).json()["details"][0]["target"], "default");
    let refused = admin.delete(first).await.must_be(400).json();
    assert_eq!(refused["details"][0]["code"], "CONSTRAINT_VIOLATION");
    admin.make("/populations", &json!({ "name": "New", "default": true })).await;
    assert_eq!(admin.get(first).await.must_be(200).json()["default"], false);
}

async fn a_population_with_users_stays(w: &mut World) {
    let admin = w.administrator().await;
    let made = admin.make("/populations", &json!({ "name": "New", "default": true })).await;
    let list = admin.get("/populations").await.must_be(200).json();
    let first = list["_embedded"]["populations"][0]["_links"]["self"]["href"].as_str().unwrap();
    let refused = admin.delete(first).await.must_be(400).json();
    assert_eq!(refused["details"][0]["code"], "CONSTRAINT_VIOLATION", "{refused}");
    assert!(made["id"].is_string());
}

async fn a_list_is_read_in_parts_and_filtered(w: &mut World) {
    let admin = w.administrator().await;
    for number in 1..=5 {
        w.advance(1);
        admin.make("/populations", &json!({ "name": format!("Branch {number}") })).await;
    }
    let mut names = Vec::new();
    let mut next = Some("/populations?limit=2".to_owned());
    while let Some(url) = next {
        let part = admin.get(&url).await.must_be(200).json();
        assert_eq!(part["count"], 6);
        assert!(part["size"].as_u64().unwrap() <= 2);
        for item in part["_embedded"]["populations"].as_array().unwrap() {
            names.push(item["name"].as_str().unwrap().to_owned());
        }
        next = part.pointer("/_links/next/href").map(|href| href.as_str().unwrap().to_owned());
    }
    assert_eq!(names.len(), 6);
    let found = admin.names("/populations?filter=name%20sw%20%22branch%22%20and%20not%20(name%20eq%20%22Branch%203%22)").await;
    assert_eq!(found, ["Branch 1", "Branch 2", "Branch 4", "Branch 5"]);
    let part = admin.get("/populations?filter=name%20sw%20%22Branch%22&limit=2").await.json();
    assert_eq!((&part["count"], &part["size"]), (&json!(5), &json!(2)));
    let next = part["_links"]["next"]["href"].as_str().unwrap();
    assert_eq!(admin.names(next).await, ["Branch 3", "Branch 4"]);
    for wrong in ["limit=0", "limit=1001", "limit=x", "cursor=x", "filter=name", "limit=1&limit=2"]
    {
        admin.get(&format!("/populations?{wrong}")).await.must_be(400);
    }
}
