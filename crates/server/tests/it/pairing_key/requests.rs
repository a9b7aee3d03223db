//! What a request for a key must say, and what the key then is.

use countersign_domain::role::{Role, Scope};
use countersign_sdk::PairingRefusal;
use http::Method;
use serde_json::{Value, json};

use super::{devices_of_ann, refusal};
use crate::world::{Backend, Bank, World, get, request};

const NO_ID: &str = "00000000-0000-7000-8000-000000000000";

async fn is_refused(backend: &Backend, user: &str, wanted: &Value, told: (&str, &str, &str)) {
    let answer = backend.ask_for_key(user, wanted).await;
    assert_eq!(answer.status, 400, "{wanted}: {answer:?}");
    let (code, detail, target) = answer.problem();
    assert_eq!((&*code, &*detail, &*target), told, "{wanted}");
}

/// A request under the policy of the bank, for phones with these applications.
fn for_applications(w: &World, ids: &[&str]) -> Value {
    let ids: Vec<_> = ids.iter().map(|id| json!({ "id": id })).collect();
    json!({ "policy": { "id": w.bank.mfa_policy.id }, "applications": ids })
}

#[tokio::test]
async fn each_member_that_breaks_a_rule_is_named_with_it() {
    let w = World::new().await;
    let (backend, ann) = (w.pairing_backend().await, w.bank.ann.id.to_string());
    let (native, site) = (w.bank.native.id.to_string(), w.bank.site.id.to_string());
    let applications = |ids: &[&str]| for_applications(&w, ids);
    let many = vec![&*native; 101];
    for (wanted, detail, target) in [
        (json!({ "policy": { "id": "x" } }), "INVALID_VALUE", "policy.id"),
        (json!({ "policy": { "id": NO_ID } }), "INVALID_VALUE", "policy.id"),
        (applications(&[&native, "x"]), "INVALID_VALUE", "applications[1].id"),
        (applications(&[NO_ID]), "INVALID_VALUE", "applications[0].id"),
        (applications(&[&native, &site]), "INVALID_VALUE", "applications[1].id"),
        (applications(&many), "INVALID_VALUE", "applications"),
    ] {
        is_refused(&backend, &ann, &wanted, ("INVALID_DATA", detail, target)).await;
    }
    for (wanted, detail, target) in [
        (json!({ "applications": {} }), "INVALID_VALUE", "applications"),
        (json!({ "policy": "x" }), "INVALID_VALUE", "policy"),
        (json!({ "policy": {} }), "REQUIRED_VALUE", "policy.id"),
        (json!({ "applications": [{}] }), "REQUIRED_VALUE", "applications[0].id"),
    ] {
        is_refused(&backend, &ann, &wanted, ("INVALID_REQUEST", detail, target)).await;
    }
    for user in [NO_ID, "x"] {
        let answer = backend.ask_for_key(user, &w.key_wanted()).await;
        assert_eq!(answer.must_be(404).problem().0, "NOT_FOUND");
    }
    assert!(w.audit_of("PAIRING_KEY.CREATED").await.is_empty());
}

#[tokio::test]
async fn a_policy_that_lets_no_application_be_paired_has_no_keys() {
    let mut w = World::new().await;
    let other = w.bank.another_native(&w.server).await.id.to_string();
    let (backend, ann) = (w.pairing_backend().await, w.bank.ann.id.to_string());
    // The default policy, which counts where none is named, knows no application.
    let told = ("REQUEST_FAILED", "CONSTRAINT_VIOLATION", "policy.id");
    is_refused(&backend, &ann, &json!({}), told).await;
    w.bank
        .change_mfa_policy(&w.server, |policy| {
            policy.mobile.applications[1].pairing_disabled = true;
        })
        .await;
    let key = backend.make_key(w.bank.ann.id, &w.key_wanted()).await;
    assert_eq!(key.shown["applications"], json!([{ "id": w.bank.native.id }]));
    let by_name = ("INVALID_DATA", "INVALID_VALUE", "applications[0].id");
    is_refused(&backend, &ann, &for_applications(&w, &[&other]), by_name).await;
    w.bank.change_mfa_policy(&w.server, |policy| policy.mobile.enabled = false).await;
    is_refused(&backend, &ann, &w.key_wanted(), told).await;
}

#[tokio::test]
async fn a_key_lives_as_long_as_the_policy_says_and_where_applications_differ_as_the_shortest() {
    let mut w = World::new().await;
    let other = w.bank.another_native(&w.server).await.id;
    let ends_at = |shown: &Value| shown["expiresAt"].as_str().unwrap().to_owned();
    for (own, others, end) in [(600, 600, "09:10:00"), (60, 3_600, "09:01:00")] {
        w.bank
            .change_mfa_policy(&w.server, |policy| {
                policy.mobile.applications[0].pairing_key_life_seconds = own;
                policy.mobile.applications[1].pairing_key_life_seconds = others;
            })
            .await;
        assert_eq!(&ends_at(&w.pairing_key().await.shown)[11..19], end);
    }
    let wanted = for_applications(&w, &[&other.to_string()]);
    let key = w.pairing_backend().await.make_key(w.bank.ann.id, &wanted).await;
    assert_eq!(key.shown["applications"], json!([{ "id": other }]));
    assert_eq!(&ends_at(&key.shown)[11..19], "10:00:00");
    w.bank
        .change_mfa_policy(&w.server, |policy| {
            policy.mobile.applications[1].pairing_key_life_seconds = 172_800;
        })
        .await;
    let key = w.pairing_backend().await.make_key(w.bank.ann.id, &wanted).await;
    assert_eq!(&ends_at(&key.shown)[..19], "2026-01-07T09:00:00");
}

#[tokio::test]
async fn a_key_is_shown_to_the_environment_and_under_the_user_that_it_is_of() {
    let w = World::new().await;
    let key = w.pairing_key().await;
    let (ann, bob) = (w.bank.ann.id.to_string(), w.user("bob").await.id.to_string());
    for url in [
        key.url().replace(&ann, &bob),
        key.url().replace(&ann, "x"),
        key.url().replace(key.id(), NO_ID),
        key.url().replace(key.id(), "x"),
    ] {
        w.wire.send(key.backend.signed(get(&url))).await.must_be(404);
        w.wire.send(key.backend.signed(request(Method::DELETE, &url))).await.must_be(404);
    }
    w.wire.send(get(&key.url())).await.must_be(401);
    let other = Bank::open(&w.server, "Other").await.environment.id.to_string();
    let there = key.url().replace(&w.bank.environment.id.to_string(), &other);
    w.wire.send(key.backend.signed(get(&there))).await.must_be(403);
    key.read().await.must_be(200);
}

#[tokio::test]
async fn keys_are_for_who_may_manage_users_and_who_only_looks_is_not_told_the_characters() {
    let w = World::new().await;
    let key = w.pairing_key().await;
    let here = Scope::Environment(w.bank.environment.id);
    let looks = w.administrator_with(&[(Role::IdentityDataReadOnly, here)]).await;
    let list = key.backend.keys_url(&w.bank.ann.id.to_string());
    let read = looks.get(&key.url()).await.must_be(200);
    let listed = looks.get(&list).await.must_be(200);
    for answer in [read, listed] {
        assert!(!answer.text().contains(key.characters()), "{answer:?}");
    }
    looks.post(&list, &w.key_wanted()).await.must_be(403);
    looks.delete(&key.url()).await.must_be(403);
    let nobody = w.backend().await;
    assert_eq!(nobody.ask_for_key(&w.bank.ann.id.to_string(), &w.key_wanted()).await.status, 403);
    w.wire.send(nobody.signed(get(&key.url()))).await.must_be(403);
    let told = w.audit_of("PAIRING_KEY.CREATED").await;
    assert!(told[0].entry.actors().client.is_some(), "the back end made it");
}

#[tokio::test]
async fn the_keys_of_a_user_are_listed_in_parts() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let mut made = Vec::new();
    for _ in 0..3 {
        w.advance(1);
        made.push(w.pairing_key().await.shown);
    }
    w.pairing_key_of(w.user("bob").await.id).await;
    let mut next = Some(format!("/users/{}/pairingKeys?limit=2", w.bank.ann.id));
    let (mut found, mut sizes) = (Vec::new(), Vec::new());
    while let Some(url) = next {
        let part = admin.get(&url).await.must_be(200).json();
        assert_eq!(part["count"], 3);
        sizes.push(part["size"].as_u64().unwrap());
        found.extend(part["_embedded"]["pairingKeys"].as_array().unwrap().iter().cloned());
        next = part.pointer("/_links/next/href").map(|href| href.as_str().unwrap().to_owned());
    }
    assert_eq!((found, sizes), (made, vec![2, 1]));
    admin.get(&format!("/users/{NO_ID}/pairingKeys")).await.must_be(404);
    admin.get(&format!("/users/{}/pairingKeys?filter=id%20pr", w.bank.ann.id)).await.must_be(400);
    let other = w.server.create_environment("Other").await.unwrap().id;
    let there = format!("{}/users/{}/pairingKeys", w.environment_url(other), w.bank.ann.id);
    admin.get(&there).await.must_be(404);
}

#[tokio::test]
async fn who_waits_for_a_key_hears_of_its_end_and_of_what_is_in_its_way() {
    let mut w = World::new().await;
    let (mut key, phone) = (w.pairing_key().await, w.phone().await);
    assert_eq!(key.wait(0).await, "UNCLAIMED");
    w.bank
        .change_mfa_policy(&w.server, |policy| {
            policy.mobile.applications[0].pairing_disabled = true;
        })
        .await;
    let characters = key.characters().to_owned();
    let (status, paired) =
        tokio::join!(async { key.wait(20).await.to_owned() }, phone.sdk.pair(&characters));
    assert_eq!(refusal(paired), PairingRefusal::PairingDisabled);
    assert_eq!((&*status, key.error()), ("UNCLAIMED", Some("PAIRING_DISABLED")));
    w.advance(600);
    assert_eq!(key.wait(20).await, "FAILED");
    assert_eq!(key.error(), Some("PAIRING_DISABLED"));
    assert!(devices_of_ann(&w).await.is_empty());
}
