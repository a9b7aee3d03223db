//! Whoever has a password cannot ask a phone without end, whichever way each sign-on is left.

use countersign_domain::sign_on_policy::NoDevicesMode;
use countersign_protocol::mobile_payload::PushService;
use countersign_store::Engine;
use serde_json::json;

use crate::world::{PASSWORD, PushWorld, SignOn, Step};

/// A world in which three questions without a yes stop pushes.
async fn asking(engine: Engine) -> PushWorld {
    let mut w = PushWorld::on(engine, PushService::Fcm).await;
    w.ask_by_push(|rules| rules.limit.count = 3).await;
    w
}

async fn stops(w: &PushWorld) -> usize {
    w.world.audit_of("USER.PUSHES_STOPPED").await.len()
}

fn is_asked(sign_on: &SignOn) -> bool {
    sign_on.status() == "PUSH_CONFIRMATION_REQUIRED"
}

async fn choose_again(sign_on: &mut SignOn) {
    let device = sign_on.flow["selectedDevice"]["id"].clone();
    sign_on.act("device.select", &json!({ "device": { "id": device } })).await.must_be(200);
}

async fn leave_for_the_devices(sign_on: &mut SignOn) {
    let reason = json!({ "reason": "CHANGE_DEVICE" });
    sign_on.act("cancel.push.authentication", &reason).await.must_be(200);
}

#[tokio::test]
async fn questions_that_a_later_sign_on_replaces_count() {
    let w = asking(Engine::Sqlite).await;
    // The third of these is the last that another replaces.
    for _ in 0..4 {
        assert!(is_asked(&w.sign_in_elsewhere().await));
    }
    assert_eq!(w.sign_in_elsewhere().await.status(), "OTP_REQUIRED");
    assert_eq!(stops(&w).await, 1);
}

#[tokio::test]
async fn questions_that_the_sign_on_withdraws_count() {
    let w = asking(Engine::Sqlite).await;
    let mut sign_on = w.sign_in_elsewhere().await;
    for _ in 0..3 {
        assert!(is_asked(&sign_on));
        let device = sign_on.flow["selectedDevice"]["id"].clone();
        leave_for_the_devices(&mut sign_on).await;
        sign_on.act("device.select", &json!({ "device": { "id": device } })).await.must_be(200);
    }
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
    assert_eq!(stops(&w).await, 1);
}

#[tokio::test]
async fn questions_that_are_put_again_before_their_time_is_over_count() {
    let w = asking(Engine::Sqlite).await;
    let mut sign_on = w.sign_in_elsewhere().await;
    let mut asked = 0;
    while is_asked(&sign_on) && asked < 10 {
        asked += 1;
        choose_again(&mut sign_on).await;
    }
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
    assert_eq!(asked, 4);
}

#[tokio::test]
async fn questions_of_sign_ons_that_begin_again_count() {
    let w = asking(Engine::Sqlite).await;
    let mut sign_on = w.sign_in_elsewhere().await;
    for _ in 0..3 {
        assert!(is_asked(&sign_on));
        sign_on.act("session.reset", &json!({})).await.must_be(200);
        sign_on.password("ann", PASSWORD).await.must_be(200);
    }
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
}

#[tokio::test]
async fn somebody_without_a_password_cannot_ask_without_end() {
    let mut w = asking(Engine::Sqlite).await;
    let steps = [Step::Mfa(NoDevicesMode::Block), Step::Login];
    w.world.bank.require(&w.world.server, &steps).await;
    let mut asked = 0;
    for _ in 0..10 {
        let mut sign_on = w.world.app().begin().await;
        sign_on.act("user.lookup", &json!({ "username": "ann" })).await.must_be(200);
        asked += usize::from(is_asked(&sign_on));
    }
    assert_eq!(asked, 4);
}

/// Ann signs on by passcodes, since her phone has no network.
#[tokio::test]
async fn a_right_passcode_begins_the_count_anew() {
    let w = asking(Engine::Sqlite).await;
    for _ in 0..5 {
        let mut sign_on = w.sign_in_elsewhere().await;
        assert!(is_asked(&sign_on));
        sign_on.passcode(&w.phone.passcode()).await.must_be(200);
        assert_eq!(sign_on.status(), "COMPLETED");
        w.world.advance(30);
    }
    assert_eq!(stops(&w).await, 0);
}

async fn two_sign_ons_at_once_both_get_an_answer(engine: Engine) {
    let w = asking(engine).await;
    for _ in 0..5 {
        let (a, b) = tokio::join!(w.sign_in_elsewhere(), w.sign_in_elsewhere());
        let (mut a, mut b) = (a, b);
        a.refresh().await;
        b.refresh().await;
        let waiting = usize::from(is_asked(&a)) + usize::from(is_asked(&b));
        assert!(waiting <= 1, "{} {}", a.flow, b.flow);
        w.world.advance(3_600);
        w.world.server.end_all_overdue().await.unwrap();
    }
    w.world.end().await;
}

#[tokio::test]
async fn two_sign_ons_at_once_both_get_an_answer_on_sqlite() {
    two_sign_ons_at_once_both_get_an_answer(Engine::Sqlite).await;
}

#[tokio::test]
async fn two_sign_ons_at_once_both_get_an_answer_on_postgres() {
    if !crate::database::is_skipped(Engine::Postgres) {
        two_sign_ons_at_once_both_get_an_answer(Engine::Postgres).await;
    }
}
