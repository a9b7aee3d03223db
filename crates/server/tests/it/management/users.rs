//! Users by the management API.

use http::Method;
use serde_json::{Value, json};

use crate::world::{World, request, with};

on_both_engines!(
    a_user_is_made_read_replaced_merged_and_deleted,
    what_breaks_a_rule_is_told_by_its_name,
    an_imported_user_signs_in_with_the_password_and_may_have_to_change_it,
    a_user_who_is_disabled_or_locked_is_signed_off_and_does_not_sign_in,
    a_deleted_user_has_no_phone_and_no_tokens,
    users_are_found_by_filters_and_read_in_parts,
    many_users_are_imported_line_by_line_and_each_line_is_answered,
);

const IMPORT: &str = "application/vnd.pingidentity.user.import+json";

fn grace() -> Value {
    json!({
        "username": "grace", "email": "grace@bank.example",
        "name": { "given": "Grace", "family": "Hopper", "honorificPrefix": "Dr." },
        "address": { "streetAddress": "Bahnhofstrasse 1", "locality": "Zurich", "countryCode": "CH" },
        "photo": { "href": "https://bank.example/grace.png" },
        "nickname": "Amazing", "title": "Admiral", "type": "Employee", "locale": "de-CH",
        "preferredLanguage": "de", "timezone": "Europe/Zurich", "primaryPhone": "+41.1",
        "mobilePhone": "+41.2", "externalId": "e-1",
    })
}

async fn a_user_is_made_read_replaced_merged_and_deleted(w: &mut World) {
    let admin = w.administrator().await;
    let made = admin.make("/users", &grace()).await;
    for (name, value) in grace().as_object().unwrap() {
        assert_eq!(&made[name], value, "{name}");
    }
    assert_eq!(made["account"], json!({ "canAuthenticate": true, "status": "OK" }));
    assert_eq!(made["lifecycle"], json!({ "status": "ACCOUNT_OK" }));
    assert_eq!((&made["enabled"], &made["mfaEnabled"]), (&json!(true), &json!(true)));
    assert_eq!(made["population"]["id"], json!(w.bank.ann.population));
    let url = made["_links"]["self"]["href"].as_str().unwrap();
    assert_eq!(admin.get(url).await.must_be(200).json(), made);
    w.advance(1);
    let patch = json!({ "name": { "given": "Amazing", "honorificPrefix": null }, "title": null });
    let merged = admin.patch(url, &patch).await.must_be(200).json();
    assert_eq!(merged["name"], json!({ "given": "Amazing", "family": "Hopper" }));
    assert!(merged.get("title").is_none() && merged["nickname"] == "Amazing");
    assert_ne!(merged["updatedAt"], made["updatedAt"]);
    let least = json!({ "username": "grace", "email": "g@bank.example" });
    let replaced = admin.put(url, &least).await.must_be(200).json();
    assert_eq!(replaced["email"], "g@bank.example");
    for cleared in ["name", "address", "photo", "nickname", "externalId"] {
        assert!(replaced.get(cleared).is_none(), "{cleared}");
    }
    // What has an address of its own stays.
    let other = json!({ "username": "grace", "email": "g@bank.example", "enabled": false, "mfaEnabled": false });
    let replaced = admin.put(url, &other).await.must_be(200).json();
    assert_eq!((&replaced["enabled"], &replaced["mfaEnabled"]), (&json!(true), &json!(true)));
    admin.delete(url).await.must_be(204);
    admin.get(url).await.must_be(404);
}

async fn what_breaks_a_rule_is_told_by_its_name(w: &mut World) {
    let admin = w.administrator().await;
    for (change, code, target) in [
        (json!({ "username": "ANN" }), "UNIQUENESS_VIOLATION", "username"),
        (json!({ "username": "x".repeat(129) }), "INVALID_VALUE", "username"),
        (json!({ "email": "nobody" }), "INVALID_VALUE", "email"),
        (json!({ "name": { "given": "" } }), "REQUIRED_VALUE", "name.given"),
        (json!({ "address": { "countryCode": "ch" } }), "INVALID_VALUE", "address.countryCode"),
        (json!({ "photo": { "href": "javascript:1" } }), "INVALID_VALUE", "photo.href"),
        (json!({ "mobilePhone": "1".repeat(33) }), "INVALID_VALUE", "mobilePhone"),
        (json!({ "population": { "id": "x" } }), "INVALID_VALUE", "population.id"),
        (
            json!({ "population": { "id": "00000000-0000-7000-8000-000000000000" } }),
            "INVALID_VALUE",
            "population.id",
        ),
        (json!({ "password": { "value": "Correct-horse-9" } }), "INVALID_VALUE", "password"),
    ] {
        let mut body = json!({ "username": "new", "email": "new@bank.example" });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = admin.post("/users", &body).await.must_be(400).json();
        let detail = &refused["details"][0];
        assert_eq!(
            (&detail["code"], &detail["target"]),
            (&json!(code), &json!(target)),
            "{refused}"
        );
    }
    assert!(admin.patch("/users/x", &json!({})).await.must_be(404).json()["id"].is_string());
}

async fn an_imported_user_signs_in_with_the_password_and_may_have_to_change_it(w: &mut World) {
    let admin = w.administrator().await;
    let mut body = grace();
    let password = json!({ "value": "Correct-horse-9", "forceChange": false });
    body.as_object_mut().unwrap().insert("password".to_owned(), password);
    let made = admin.send(Method::POST, "/users", IMPORT, Some(&body)).await.must_be(201).json();
    assert!(made.get("password").is_none());
    let url = format!("{}/password", made["_links"]["self"]["href"].as_str().unwrap());
    let state = async || admin.get(&url).await.must_be(200).json()["status"].clone();
    assert_eq!(state().await, "OK");
    let check = async |password: &str| {
        admin.act(Method::POST, &url, "password.check", &json!({ "password": password })).await
    };
    check("Correct-horse-9").await.must_be(200);
    // Said again with the rest of the user, it stays; another one is set.
    let user = made["_links"]["self"]["href"].as_str().unwrap();
    let before = admin.get(&url).await.json();
    w.advance(1);
    admin.put(user, &body).await.must_be(200);
    assert_eq!(admin.get(&url).await.json(), before);
    body["password"]["value"] = json!("Other-horse-9");
    admin.put(user, &body).await.must_be(200);
    check("Other-horse-9").await.must_be(200);
    body["password"]["value"] = json!("Correct-horse-9");
    admin.put(user, &body).await.must_be(200);
    for _ in 0..4 {
        let refused = check("wrong").await.must_be(400).json();
        assert_eq!(refused["details"][0]["code"], "INVALID_CREDENTIALS");
    }
    let locked = check("wrong").await.must_be(400).json();
    assert_eq!(locked["details"][0]["code"], "PASSWORD_LOCKED_OUT");
    assert_eq!(locked["details"][0]["innerError"]["secondsUntilUnlock"], 900);
    check("Correct-horse-9").await.must_be(400);
    assert_eq!(state().await, "PASSWORD_LOCKED_OUT");
    admin.act(Method::POST, &url, "password.unlock", &json!({})).await.must_be(200);
    check("Correct-horse-9").await.must_be(200);
    let set = json!({ "value": "Another-horse-9", "forceChange": true });
    admin.act(Method::PUT, &url, "password.set", &set).await.must_be(200);
    assert_eq!(state().await, "MUST_CHANGE_PASSWORD");
    let reset = json!({ "currentPassword": "Another-horse-9", "newPassword": "Third-horse-9" });
    admin.act(Method::PUT, &url, "password.reset", &reset).await.must_be(200);
    assert_eq!(state().await, "OK");
    admin.act(Method::POST, &url, "password.forceChange", &json!({})).await.must_be(200);
    assert_eq!(state().await, "MUST_CHANGE_PASSWORD");
    admin.act(Method::PUT, &url, "password.eat", &json!({})).await.must_be(415);
}

async fn a_user_who_is_disabled_or_locked_is_signed_off_and_does_not_sign_in(w: &mut World) {
    let admin = w.administrator().await;
    let url = format!("/users/{}", w.bank.ann.id);
    let tokens = w.app().sign_in("ann").await;
    let user_info = async || w.app().user_info(&tokens.access_token).await.status.as_u16();
    assert_eq!(user_info().await, 200);
    admin.put(&format!("{url}/enabled"), &json!({ "enabled": false })).await.must_be(200);
    let shown = admin.get(&url).await.json();
    assert_eq!(shown["account"]["canAuthenticate"], false);
    assert_eq!(user_info().await, 401);
    admin.put(&format!("{url}/enabled"), &json!({ "enabled": true })).await.must_be(200);
    let locked =
        admin.act(Method::POST, &url, "account.lock", &json!({})).await.must_be(200).json();
    assert_eq!(locked["account"]["status"], "LOCKED");
    assert!(locked["account"]["lockedAt"].is_string());
    assert_eq!(user_info().await, 401);
    let unlocked = admin.act(Method::POST, &url, "account.unlock", &json!({})).await.must_be(200);
    assert_eq!(unlocked.json()["account"]["status"], "OK");
    // Unlocking what is not locked is fine.
    admin.act(Method::POST, &url, "account.unlock", &json!({})).await.must_be(200);
    admin.post(&url, &json!({})).await.must_be(415);
    w.app().sign_in("ann").await;
}

async fn a_deleted_user_has_no_phone_and_no_tokens(w: &mut World) {
    let admin = w.administrator().await;
    let tokens = w.app().sign_in("ann").await;
    let phone = w.phone_paired_to("ann").await;
    admin.delete(&format!("/users/{}", w.bank.ann.id)).await.must_be(204);
    assert_eq!(w.app().user_info(&tokens.access_token).await.status, 401);
    assert!(phone.sdk.info().await.unwrap().is_empty());
    admin.make("/users", &json!({ "username": "ann", "email": "ann@bank.example" })).await;
}

async fn users_are_found_by_filters_and_read_in_parts(w: &mut World) {
    let admin = w.administrator().await;
    let staff = admin.make("/populations", &json!({ "name": "Staff" })).await["id"].clone();
    for number in 1..=7 {
        w.advance(1);
        let username = format!("Clerk{number}");
        let body = json!({
            "username": username, "email": format!("{username}@bank.example"),
            "population": { "id": staff }, "externalId": format!("e-{number}"),
        });
        admin.make("/users", &body).await;
    }
    let found = async |filter: &str| {
        let mut names = Vec::new();
        let query: String = form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let mut next = Some(format!("/users?limit=3&filter={query}"));
        while let Some(url) = next {
            let part = admin.get(&url).await.must_be(200).json();
            let users = part["_embedded"]["users"].as_array().unwrap();
            assert!(users.len() <= 3);
            names.extend(users.iter().map(|user| user["username"].as_str().unwrap().to_owned()));
            next = part.pointer("/_links/next/href").map(|href| href.as_str().unwrap().to_owned());
        }
        names.join(" ")
    };
    let all = "Clerk1 Clerk2 Clerk3 Clerk4 Clerk5 Clerk6 Clerk7";
    assert_eq!(found(r#"username eq "clerk3""#).await, "Clerk3");
    assert_eq!(found(r#"username sw "CLERK""#).await, all);
    assert_eq!(found(r#"email eq "clerk5@BANK.example""#).await, "Clerk5");
    let filter = format!("population.id eq {staff}");
    assert_eq!(found(&filter).await, all);
    assert_eq!(
        found(&format!("{filter} and username ne \"Clerk1\" and not (externalId eq \"e-2\")"))
            .await,
        "Clerk3 Clerk4 Clerk5 Clerk6 Clerk7"
    );
    assert_eq!(found(r#"externalId eq "e-6" or username eq "clerk7""#).await, "Clerk6 Clerk7");
    assert_eq!(found(r#"username eq "nobody""#).await, "");
    admin.get("/users?filter=username").await.must_be(400);
}

async fn many_users_are_imported_line_by_line_and_each_line_is_answered(w: &mut World) {
    let admin = w.administrator().await;
    let mut lines: Vec<String> = (1..=1_200)
        .map(|number| {
            let username = format!("user{number}");
            json!({ "username": username, "email": format!("{username}@x.example") }).to_string()
        })
        .collect();
    lines.push(String::new());
    lines.push(json!({ "username": "User7", "email": "again@x.example" }).to_string());
    lines.push(json!({ "username": "ann", "email": "ann@x.example" }).to_string());
    lines.push("{".to_owned());
    lines.push(json!({ "username": "last", "email": "none" }).to_string());
    let request = request(Method::POST, &format!("{}/users", admin.environment));
    let request =
        with(request.map(|_| lines.join("\n").into()), "content-type", "application/x-ndjson");
    let request = with(request, "authorization", &format!("Bearer {}", admin.token));
    let answer = w.wire.send(request).await.must_be(200);
    let answers: Vec<Value> =
        answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.last().unwrap(), &json!({ "imported": 1_200, "refused": 4 }));
    assert_eq!(answers.len(), 1_205);
    let told: Vec<_> = answers[1_200..1_204]
        .iter()
        .map(|line| {
            let error = &line["error"];
            (
                line["line"].as_u64().unwrap(),
                error["code"].clone(),
                error["details"][0]["target"].clone(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (1_202, json!("INVALID_DATA"), json!("username")),
            (1_203, json!("INVALID_DATA"), json!("username")),
            (1_204, json!("INVALID_REQUEST"), Value::Null),
            (1_205, json!("INVALID_DATA"), json!("email")),
        ]
    );
    let id = answers[41]["id"].as_str().unwrap();
    assert_eq!(admin.get(&format!("/users/{id}")).await.must_be(200).json()["username"], "user42");
}
