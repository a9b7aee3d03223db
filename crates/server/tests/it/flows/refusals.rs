//! Actions that are not taken, and how an app learns why.

use serde_json::json;

use crate::world::{JSON, PASSWORD, SignOn, Step, World, post};

const ACTIONS: [&str; 5] =
    ["usernamePassword.check", "user.lookup", "device.select", "otp.check", "session.reset"];

#[tokio::test]
async fn a_media_type_that_names_no_action_is_answered_with_those_that_do() {
    let w = World::new().await;
    let mut sign_on = w.app().begin().await;
    for media_type in [JSON, "text/plain", "application/vnd.pingidentity.user.register+json", "x"] {
        let request = post(&sign_on.url(), media_type, "{}");
        let answer = sign_on.client.browser.send(request).await.must_be(415);
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        for action in ACTIONS {
            assert!(
                message.contains(&format!("application/vnd.pingidentity.{action}+json")),
                "{message}"
            );
        }
    }
    let bare = crate::world::request(http::Method::POST, &sign_on.url());
    sign_on.client.browser.send(bare).await.must_be(415);
}

#[tokio::test]
async fn parameters_of_a_media_type_do_not_matter() {
    let w = World::new().await;
    let mut sign_on = w.app().begin().await;
    let media_type = "application/vnd.pingidentity.usernamePassword.check+json; charset=utf-8";
    let body = json!({ "username": "ann", "password": PASSWORD }).to_string();
    let request = post(&sign_on.url(), media_type, body);
    sign_on.client.browser.send(request).await.must_be(200);
}

#[tokio::test]
async fn a_member_that_is_missing_is_named() {
    let mut w = World::new().await;
    let mut sign_on = w.app().begin().await;
    let id = "00000000-0000-7000-8000-000000000000";
    for (action, body, detail, target) in [
        ("usernamePassword.check", json!({ "username": "ann" }), "REQUIRED_VALUE", "password"),
        ("usernamePassword.check", json!({ "password": PASSWORD }), "REQUIRED_VALUE", "username"),
        ("otp.check", json!({ "passcode": "123456" }), "REQUIRED_VALUE", "otp"),
        ("user.lookup", json!({}), "REQUIRED_VALUE", "username"),
        ("device.select", json!({ "id": id }), "REQUIRED_VALUE", "device.id"),
        ("device.select", json!({ "device": {} }), "REQUIRED_VALUE", "device.id"),
        ("device.select", json!({ "device": { "id": "x" } }), "INVALID_VALUE", "device.id"),
    ] {
        let answer = sign_on.act(action, &body).await.must_be(400);
        let expected = ("INVALID_DATA".to_owned(), detail.to_owned(), target.to_owned());
        assert_eq!(answer.problem(), expected, "{action} {body}");
    }
    w.bank.require(&w.server, &[Step::IdentifierFirst]).await;
    let mut sign_on = w.app().begin().await;
    let answer = sign_on.act("user.lookup", &json!({ "username": "x".repeat(1_000) })).await;
    assert_eq!(answer.must_be(400).problem().2, "username");
}

#[tokio::test]
async fn a_member_of_the_wrong_type_is_named() {
    let w = World::new().await;
    let mut sign_on = w.app().begin().await;
    let answer = sign_on.act("usernamePassword.check", &json!({ "username": 1 })).await;
    assert_eq!(answer.must_be(400).problem().2, "username");
    let answer = sign_on.act("device.select", &json!({ "device": { "id": [] } })).await;
    assert_eq!(answer.must_be(400).problem().2, "device.id");
    let answer = sign_on.act("device.select", &json!({ "device": "x" })).await.must_be(400);
    assert!(!answer.text().contains("Selected"), "names of the program are nobody's business");
}

#[tokio::test]
async fn a_body_that_is_not_the_expected_json_is_refused() {
    let w = World::new().await;
    let mut sign_on = w.app().begin().await;
    for body in [
        "{",
        "[]",
        "null",
        "\"ann\"",
        r#"{"username":"ann","username":"bob","password":"x"}"#,
        r#"{"username":1,"password":"x"}"#,
        r#"{"username":"ann","password":["x"]}"#,
        r#"{"username":"ann","password":"x"} {}"#,
        &format!("{}1{}", "[".repeat(100), "]".repeat(100)),
    ] {
        let media_type = "application/vnd.pingidentity.usernamePassword.check+json";
        let request = post(&sign_on.url(), media_type, body.to_owned());
        let answer = sign_on.client.browser.send(request).await.must_be(400);
        assert_eq!(answer.problem().0, "INVALID_REQUEST", "{body}");
        assert!(answer.json()["message"].as_str().unwrap().starts_with("the body "), "{body}");
    }
    let large = json!({ "username": "ann", "password": "x".repeat(70_000) });
    let answer = sign_on.act("usernamePassword.check", &large).await.must_be(413);
    assert_eq!(answer.problem().0, "INVALID_REQUEST");
}

/// Takes every action but those that the flow offers.
async fn only_what_is_offered_is_possible(sign_on: &mut SignOn) {
    let links = sign_on.flow["_links"].clone();
    let id = "00000000-0000-7000-8000-000000000000";
    let body =
        json!({ "username": "ann", "password": PASSWORD, "otp": "123456", "device": { "id": id } });
    let before = sign_on.flow.clone();
    for action in ACTIONS.into_iter().filter(|action| links.get(action).is_none()) {
        let answer = sign_on.act(action, &body).await.must_be(400);
        assert_eq!(answer.problem().0, "REQUEST_FAILED", "{action} at {}", sign_on.status());
        assert!(answer.json()["message"].as_str().unwrap().contains(action));
    }
    assert_eq!(sign_on.read().await.json(), before);
}

#[tokio::test]
async fn an_action_that_is_not_offered_is_refused_and_changes_nothing() {
    let mut w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    w.bank.require(&w.server, &[Step::Login, crate::world::MFA_BYPASS]).await;
    let mut sign_on = w.app().begin().await;
    only_what_is_offered_is_possible(&mut sign_on).await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    // With one device there is nothing to select, though selecting it again would do no harm.
    sign_on.passcode(&phone.passcode()).await.must_be(200);
    assert_eq!(sign_on.status(), "COMPLETED");
    only_what_is_offered_is_possible(&mut sign_on).await;
    w.bank.require(&w.server, &[Step::IdentifierFirst]).await;
    let mut sign_on = w.app().begin().await;
    only_what_is_offered_is_possible(&mut sign_on).await;
    sign_on.act("user.lookup", &json!({ "username": "ann" })).await.must_be(200);
    only_what_is_offered_is_possible(&mut sign_on).await;
}
