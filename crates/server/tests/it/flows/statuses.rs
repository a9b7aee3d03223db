//! Each status with exactly the actions that are possible in it.

use countersign_domain::{mfa_policy::DeviceSelection, sign_on_policy::NoDevicesMode};
use serde_json::json;

use crate::world::{MFA_BYPASS, PASSWORD, Step, World};

#[tokio::test]
async fn username_password_required_asks_for_both() {
    let w = World::new().await;
    let sign_on = w.app().begin().await;
    assert_eq!(sign_on.status(), "USERNAME_PASSWORD_REQUIRED");
    snapshot!("username_password_required", &sign_on.flow);
}

#[tokio::test]
async fn sign_on_required_asks_for_a_user() {
    let mut w = World::new().await;
    w.bank.require(&w.server, &[Step::IdentifierFirst]).await;
    let sign_on = w.app().begin().await;
    assert_eq!(sign_on.status(), "SIGN_ON_REQUIRED");
    snapshot!("sign_on_required", &sign_on.flow);
}

#[tokio::test]
async fn password_required_says_nothing_about_the_user() {
    let mut w = World::new().await;
    w.bank.require(&w.server, &[Step::IdentifierFirst]).await;
    let mut known = w.app().begin().await;
    known.act("user.lookup", &json!({ "username": "ann" })).await.must_be(200);
    assert_eq!(known.status(), "PASSWORD_REQUIRED");
    snapshot!("password_required", &known.flow);
    let mut unknown = w.app().begin().await;
    unknown.act("user.lookup", &json!({ "username": "nobody" })).await.must_be(200);
    let shape = |flow: &serde_json::Value| crate::world::named_ids(flow);
    assert_eq!(shape(&known.flow), shape(&unknown.flow));
}

#[tokio::test]
async fn otp_required_asks_for_a_passcode_of_the_first_device() {
    let w = World::new().await;
    w.phone_paired_to("ann").await;
    let mut sign_on = w.app().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
    snapshot!("otp_required", &sign_on.flow);
}

#[tokio::test]
async fn device_selection_required_lists_the_devices() {
    let mut w = World::new().await;
    w.phone_paired_to("ann").await;
    let select = DeviceSelection::AlwaysDisplayDevices;
    w.bank.change_mfa_policy(&w.server, |policy| policy.device_selection = select).await;
    let mut sign_on = w.app().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.status(), "DEVICE_SELECTION_REQUIRED");
    snapshot!("device_selection_required", &sign_on.flow);
}

#[tokio::test]
async fn completed_has_the_answer() {
    let w = World::new().await;
    let mut sign_on = w.app().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.status(), "COMPLETED");
    sign_on.flow["authorizeResponse"]["code"] = "tested on its own".into();
    snapshot!("completed", &sign_on.flow);
}

#[tokio::test]
async fn failed_has_the_error() {
    let mut w = World::new().await;
    w.bank.require(&w.server, &[Step::Login, Step::Mfa(NoDevicesMode::Block)]).await;
    let mut sign_on = w.app().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.status(), "FAILED");
    snapshot!("failed", &sign_on.flow);
}

#[tokio::test]
async fn a_flow_is_read_as_it_was_answered() {
    let w = World::new().await;
    w.phone_paired_to("ann").await;
    let mut sign_on = w.app().begin().await;
    assert_eq!(sign_on.read().await.must_be(200).json(), sign_on.flow);
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.read().await.must_be(200).json(), sign_on.flow);
}

#[tokio::test]
async fn a_reset_leads_back_to_the_first_step() {
    let mut w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    w.bank.require(&w.server, &[Step::IdentifierFirst, MFA_BYPASS]).await;
    let mut sign_on = w.app().begin().await;
    sign_on.act("user.lookup", &json!({ "username": "ann" })).await.must_be(200);
    sign_on.act("session.reset", &json!({})).await.must_be(200);
    assert_eq!(sign_on.status(), "SIGN_ON_REQUIRED");
    sign_on.act("user.lookup", &json!({ "username": "ann" })).await.must_be(200);
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
    sign_on.act("session.reset", &json!({})).await.must_be(200);
    assert_eq!(sign_on.status(), "SIGN_ON_REQUIRED");
    // What was proved before no longer counts.
    sign_on.passcode(&phone.passcode()).await.must_be(400);
    w.user("bob").await;
    sign_on.act("user.lookup", &json!({ "username": "bob" })).await.must_be(200);
    sign_on.password("bob", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.tokens().await.id_claims()["amr"], json!(["pwd"]));
}

#[tokio::test]
async fn a_policy_that_begins_with_the_device_takes_the_user_from_the_hint() {
    let mut w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    w.bank.require(&w.server, &[Step::Mfa(NoDevicesMode::Block), Step::Login]).await;
    let request = w.app().request().with("login_hint", "Ann");
    let mut sign_on = w.app().begin_with(request).await;
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
    assert_eq!(sign_on.flow["_embedded"].get("user"), None, "nothing is proved yet");
    sign_on.passcode(&phone.passcode()).await.must_be(200);
    assert_eq!(sign_on.status(), "PASSWORD_REQUIRED");
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.tokens().await.id_claims()["amr"], json!(["otp", "pwd", "mfa"]));
}

#[tokio::test]
async fn a_policy_that_begins_with_the_device_asks_whose_without_a_hint() {
    let mut w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    w.bank.require(&w.server, &[Step::Mfa(NoDevicesMode::Bypass)]).await;
    let mut sign_on = w.app().begin().await;
    assert_eq!(sign_on.status(), "SIGN_ON_REQUIRED");
    sign_on.act("user.lookup", &json!({ "username": "ann" })).await.must_be(200);
    sign_on.passcode(&phone.passcode()).await.must_be(200);
    assert_eq!(sign_on.tokens().await.id_claims()["amr"], json!(["otp"]));
}

#[tokio::test]
async fn nobody_passes_a_policy_that_begins_with_the_device_without_one() {
    let mut w = World::new().await;
    w.bank.require(&w.server, &[MFA_BYPASS]).await;
    for username in ["ann", "nobody"] {
        let request = w.app().request().with("login_hint", username);
        let sign_on = w.app().begin_with(request).await;
        assert_eq!(sign_on.status(), "FAILED", "{username}");
        assert_eq!(sign_on.response("error"), "access_denied");
    }
}
