//! Whose a flow is, and how long it lives.

use serde_json::json;

use crate::world::{PASSWORD, SignOn, Step, World, get};

async fn is_gone(sign_on: &mut SignOn) {
    let answer = sign_on.read().await.must_be(404);
    assert_eq!(answer.json()["code"], "NOT_FOUND");
    let answer = sign_on.password("ann", PASSWORD).await.must_be(404);
    assert_eq!(answer.json()["code"], "NOT_FOUND");
    for action in ["user.lookup", "otp.check", "device.select", "session.reset"] {
        let id = "00000000-0000-7000-8000-000000000000";
        let body = json!({ "username": "ann", "otp": "123456", "device": { "id": id } });
        sign_on.act(action, &body).await.must_be(404);
    }
}

#[tokio::test]
async fn a_flow_is_shown_to_the_browser_that_began_it_and_to_nobody_else() {
    let w = World::new().await;
    let mut sign_on = w.app().begin().await;
    let mut stranger = w.app().begin().await;
    let own = std::mem::replace(&mut stranger.flow, sign_on.flow.clone());
    is_gone(&mut stranger).await;
    stranger.flow = own;
    stranger.read().await.must_be(200);
    let cookie = sign_on.client.browser.cookie();
    sign_on.client.browser.forget_cookies();
    is_gone(&mut sign_on).await;
    // On https the cookie of the other name is none.
    for unfit in [cookie.replace("__Host-ST", "ST"), format!("{cookie}A"), "__Host-ST=x".to_owned()]
    {
        let request = crate::world::with(get(&sign_on.url()), "cookie", &unfit);
        w.wire.send(request).await.must_be(404);
    }
    let among_others = format!("theme=dark; {cookie}; a=b=c");
    let request = crate::world::with(get(&sign_on.url()), "cookie", &among_others);
    w.wire.send(request).await.must_be(200);
}

#[tokio::test]
async fn a_flow_is_known_in_its_own_environment_only() {
    let w = World::new().await;
    let other = w.server.create_environment("Other").await.unwrap();
    let mut sign_on = w.app().begin().await;
    let elsewhere =
        sign_on.url().replace(&w.bank.environment.id.to_string(), &other.id.to_string());
    sign_on.client.browser.send(get(&elsewhere)).await.must_be(404);
}

#[tokio::test]
async fn what_is_no_id_is_no_flow() {
    let w = World::new().await;
    let mut sign_on = w.app().begin().await;
    let id = sign_on.flow["id"].as_str().unwrap().to_owned();
    for other in ["x", "%00", &id.to_uppercase(), &id.replace('-', ""), &"x".repeat(5_000)] {
        let url = w.url(&format!("/flows/{other}"));
        let answer = sign_on.client.browser.send(get(&url)).await.must_be(404);
        assert_eq!(answer.json()["code"], "NOT_FOUND");
    }
}

#[tokio::test]
async fn a_flow_ends_after_a_quarter_of_an_hour_without_a_step() {
    let w = World::new().await;
    let mut sign_on = w.app().begin().await;
    assert_eq!(sign_on.flow["expiresAt"], "2026-01-05T09:15:00.000Z");
    w.advance(899);
    sign_on.read().await.must_be(200);
    w.advance(1);
    is_gone(&mut sign_on).await;
}

#[tokio::test]
async fn each_step_gives_another_quarter_of_an_hour() {
    let mut w = World::new().await;
    w.bank.require(&w.server, &[Step::IdentifierFirst]).await;
    let mut sign_on = w.app().begin().await;
    for (action, expires_at) in
        [("user.lookup", "2026-01-05T09:29:59.000Z"), ("session.reset", "2026-01-05T09:44:58.000Z")]
    {
        w.advance(899);
        sign_on.act(action, &json!({ "username": "ann" })).await.must_be(200);
        assert_eq!(sign_on.flow["expiresAt"], expires_at);
    }
}

#[tokio::test]
async fn no_flow_lives_for_more_than_an_hour() {
    let mut w = World::new().await;
    w.bank.require(&w.server, &[Step::IdentifierFirst]).await;
    let mut sign_on = w.app().begin().await;
    for _ in 0..4 {
        w.advance(890);
        sign_on.act("session.reset", &json!({})).await.must_be(200);
    }
    assert_eq!(sign_on.flow["expiresAt"], "2026-01-05T10:00:00.000Z");
    w.advance(40);
    is_gone(&mut sign_on).await;
}
