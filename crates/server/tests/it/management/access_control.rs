//! Whom an application takes: members of groups, or those who have a role.

use serde_json::{Value, json};

use crate::world::{PASSWORD, World, administrator::Administrator};

/// The site of the bank, with refresh tokens, for members of groups.
async fn site_for(w: &World, admin: &Administrator, site: &str, control: &Value) {
    let path = format!("/applications/{site}");
    let mut body = admin.get(&path).await.must_be(200).json();
    body["accessControl"] = control.clone();
    let told = admin.put(&path, &body).await.must_be(200).json();
    assert_eq!(told["accessControl"], *control, "{}", w.bank.environment.id);
}

async fn group(admin: &Administrator, name: &str) -> String {
    let made = admin.make("/groups", &json!({ "name": name })).await;
    made["id"].as_str().unwrap().to_owned()
}

async fn join(admin: &Administrator, user: &str, group: &str) {
    let path = format!("/users/{user}/memberOfGroups");
    admin.post(&path, &json!({ "id": group })).await.must_be(201);
}

/// Where a sign-on of ann ends: the code, or the error.
async fn ends(w: &World) -> (Option<String>, Option<String>) {
    let mut site = w.site();
    let url = site.authorize_url(&site.request());
    let page = site.browser.open(&url).await;
    let page =
        site.browser.press(&page, "login", &[("username", "ann"), ("password", PASSWORD)]).await;
    if page.returned("code").is_some() || page.returned("error").is_some() {
        return (page.returned("code"), page.returned("error"));
    }
    assert_eq!(page.heading(), "You are not signed in");
    assert!(page.answer.text().contains("may not use this application"), "{}", page.answer.text());
    let page = site.browser.open(&page.link()).await;
    (page.returned("code"), page.returned("error"))
}

#[tokio::test]
async fn only_members_of_the_groups_of_an_application_sign_in_to_it() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let (ann, site) = (w.bank.ann.id.to_string(), w.bank.site.id.to_string());
    let (one, other) = (group(&admin, "One").await, group(&admin, "Other").await);
    let any = |kind: &str| json!({ "group": { "type": kind, "groups": [{ "id": one }, { "id": other }] } });
    site_for(&w, &admin, &site, &any("ANY_GROUP")).await;
    assert_eq!(ends(&w).await, (None, Some("access_denied".to_owned())));
    let denied = w.audit_of("USER.ACCESS_DENIED").await;
    assert_eq!(denied[0].event.reason.as_deref(), Some("not_admitted"));
    join(&admin, &ann, &one).await;
    assert!(ends(&w).await.0.is_some());
    site_for(&w, &admin, &site, &any("ALL_GROUPS")).await;
    assert!(ends(&w).await.1.is_some());
    join(&admin, &ann, &other).await;
    assert!(ends(&w).await.0.is_some());
    // A group that is gone has no members.
    admin.delete(&format!("/groups/{other}")).await.must_be(204);
    assert!(ends(&w).await.1.is_some());
}

#[tokio::test]
async fn a_session_of_another_application_opens_none_that_does_not_take_the_user() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let mut site = w.site();
    let page = site.browser.open(&w.url("/account")).await;
    site.browser.press(&page, "login", &[("username", "ann"), ("password", PASSWORD)]).await;
    let only = json!({ "role": { "type": "ADMIN_USERS_ONLY" } });
    site_for(&w, &admin, &w.bank.site.id.to_string(), &only).await;
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    assert_eq!(page.returned("code"), None, "{page:?}");
    // Whoever has a role is taken.
    let roles = format!("/users/{}/roleAssignments", w.bank.ann.id);
    let scope = json!({ "id": w.bank.environment.id, "type": "ENVIRONMENT" });
    let role = countersign_domain::role::Role::ConfigurationReadOnly.id();
    admin.post(&roles, &json!({ "role": { "id": role }, "scope": scope })).await.must_be(201);
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    assert!(page.returned("code").is_some(), "{page:?}");
}

#[tokio::test]
async fn who_leaves_the_group_renews_no_tokens() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let site = w.refreshing_site(countersign_domain::application::RefreshRules::default()).await;
    let group = group(&admin, "One").await;
    let ann = w.bank.ann.id.to_string();
    join(&admin, &ann, &group).await;
    let control = json!({ "group": { "type": "ANY_GROUP", "groups": [{ "id": group }] } });
    site_for(&w, &admin, &site.id.clone(), &control).await;
    let tokens = site.clone().sign_in("ann").await;
    let renew = site.refresh_request(tokens.refresh_token());
    admin.delete(&format!("/users/{ann}/memberOfGroups/{group}")).await.must_be(204);
    let refused = site.redeem(&renew).await.must_be(400);
    assert_eq!(refused.json()["error"], "invalid_grant");
    // The token was not spent by that.
    join(&admin, &ann, &group).await;
    site.redeem(&renew).await.must_be(200);
}

#[tokio::test]
async fn groups_that_an_application_names_must_be_there() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let path = format!("/applications/{}", w.bank.site.id);
    let mut body = admin.get(&path).await.must_be(200).json();
    let nobody = "00000000-0000-7000-8000-000000000000";
    body["accessControl"] =
        json!({ "group": { "type": "ANY_GROUP", "groups": [{ "id": nobody }] } });
    let refused = admin.put(&path, &body).await.must_be(400).json();
    assert_eq!(refused["details"][0]["target"], "accessControl.group.groups.id");
}
