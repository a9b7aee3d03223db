//! Groups by the management API, and who is in them.

use serde_json::json;

use crate::world::World;

on_both_engines!(a_user_joins_and_leaves_a_group, a_group_of_one_population_takes_nobody_else,);

async fn a_user_joins_and_leaves_a_group(w: &mut World) {
    let admin = w.administrator().await;
    let told = json!({ "name": "Clerks", "externalId": "g-1", "customData": { "floor": 3 } });
    let group = admin.make("/groups", &told).await;
    assert_eq!((&group["name"], &group["customData"]), (&told["name"], &told["customData"]));
    let list = format!("/users/{}/memberOfGroups", w.bank.ann.id);
    let joined = admin.post(&list, &json!({ "id": group["id"] })).await.must_be(201);
    assert_eq!(joined.json()["name"], "Clerks");
    let membership = joined.location().unwrap().to_owned();
    assert_eq!(admin.get(&membership).await.must_be(200).json()["id"], group["id"]);
    admin.post(&list, &json!({ "id": group["id"] })).await.must_be(201);
    assert_eq!(admin.names(&list).await, ["Clerks"]);
    admin.delete(&membership).await.must_be(204);
    admin.delete(&membership).await.must_be(404);
    admin.get(&membership).await.must_be(404);
    // Who is in a group leaves it with its end, and with their own.
    admin.post(&list, &json!({ "id": group["id"] })).await.must_be(201);
    admin.delete(group["_links"]["self"]["href"].as_str().unwrap()).await.must_be(204);
    assert!(admin.names(&list).await.is_empty());
    let other = admin.make("/groups", &json!({ "name": "Others" })).await;
    admin.post(&list, &json!({ "id": other["id"] })).await.must_be(201);
    admin.delete(&format!("/users/{}", w.bank.ann.id)).await.must_be(204);
    admin.get(&list).await.must_be(404);
}

async fn a_group_of_one_population_takes_nobody_else(w: &mut World) {
    let admin = w.administrator().await;
    let staff = admin.make("/populations", &json!({ "name": "Staff" })).await["id"].clone();
    let told = json!({ "name": "Clerks", "population": { "id": staff } });
    let group = admin.make("/groups", &told).await;
    let list = format!("/users/{}/memberOfGroups", w.bank.ann.id);
    let refused = admin.post(&list, &json!({ "id": group["id"] })).await.must_be(400).json();
    assert_eq!(refused["details"][0]["target"], "id");
    admin.post(&list, &json!({ "id": "x" })).await.must_be(400);
    let url = group["_links"]["self"]["href"].as_str().unwrap();
    let moved = admin.put(url, &json!({ "name": "Clerks" })).await.must_be(400).json();
    assert_eq!(moved["details"][0]["target"], "population");
}
