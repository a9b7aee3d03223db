//! The action `device.select`, and the three ways in which a device is chosen.

use countersign_domain::mfa_policy::DeviceSelection;
use countersign_server::app::DeviceChange;
use serde_json::{Value, json};

use crate::world::{PASSWORD, Phone, SignOn, World};

/// Ann with two phones.
async fn two_phones(w: &World) -> [Phone; 2] {
    let first = w.phone_paired_to("ann").await;
    let second = w.phone().await;
    w.pair_beside(&first, &second, "ann").await;
    [first, second]
}

async fn after_password(w: &World) -> SignOn {
    let mut sign_on = w.site().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    sign_on
}

async fn select(w: &mut World, selection: DeviceSelection) {
    w.bank.change_mfa_policy(&w.server, |policy| policy.device_selection = selection).await;
}

fn device(sign_on: &SignOn, place: usize) -> Value {
    json!({ "device": { "id": sign_on.flow["_embedded"]["devices"][place]["id"] } })
}

#[tokio::test]
async fn default_to_first_asks_for_the_first_device_and_lets_the_person_choose_another() {
    let w = World::new().await;
    let [_, second] = two_phones(&w).await;
    let mut sign_on = after_password(&w).await;
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
    assert_eq!(sign_on.flow["selectedDevice"], device(&sign_on, 0)["device"]);
    sign_on.passcode(&second.passcode()).await.must_be(400);
    sign_on.act("device.select", &device(&sign_on, 1)).await.must_be(200);
    assert_eq!(sign_on.flow["selectedDevice"], device(&sign_on, 1)["device"]);
    sign_on.passcode(&second.passcode()).await.must_be(200);
    sign_on.tokens().await;
}

#[tokio::test]
async fn prompt_to_select_asks_only_where_there_is_a_choice() {
    let mut w = World::new().await;
    select(&mut w, DeviceSelection::PromptToSelect).await;
    let first = w.phone_paired_to("ann").await;
    assert_eq!(after_password(&w).await.status(), "OTP_REQUIRED");
    let second = w.phone().await;
    w.pair_beside(&first, &second, "ann").await;
    let mut sign_on = after_password(&w).await;
    assert_eq!(sign_on.status(), "DEVICE_SELECTION_REQUIRED");
    sign_on.act("device.select", &device(&sign_on, 1)).await.must_be(200);
    sign_on.passcode(&second.passcode()).await.must_be(200);
    sign_on.tokens().await;
}

#[tokio::test]
async fn always_display_devices_asks_even_where_there_is_one() {
    let mut w = World::new().await;
    select(&mut w, DeviceSelection::AlwaysDisplayDevices).await;
    assert_eq!(after_password(&w).await.status(), "COMPLETED", "nothing to display");
    let phone = w.phone_paired_to("ann").await;
    let mut sign_on = after_password(&w).await;
    assert_eq!(sign_on.status(), "DEVICE_SELECTION_REQUIRED");
    sign_on.passcode(&phone.passcode()).await.must_be(400);
    sign_on.act("device.select", &device(&sign_on, 0)).await.must_be(200);
    sign_on.passcode(&phone.passcode()).await.must_be(200);
    sign_on.tokens().await;
}

#[tokio::test]
async fn only_a_device_of_the_flow_can_be_chosen() {
    let mut w = World::new().await;
    two_phones(&w).await;
    select(&mut w, DeviceSelection::AlwaysDisplayDevices).await;
    let bob = w.user("bob").await;
    w.phone_paired_to("bob").await;
    let environment = w.bank.environment.id;
    let mut sign_on = after_password(&w).await;
    let bobs = w.server.list_devices(environment, bob.id).await.unwrap().remove(0);
    let blocked: countersign_domain::id::Id<countersign_domain::device::Device> =
        device(&sign_on, 1)["device"]["id"].as_str().unwrap().parse().unwrap();
    w.server.change_device(environment, blocked, DeviceChange::Block).await.unwrap();
    for other in [bobs.id.to_string(), blocked.to_string(), w.bank.ann.id.to_string()] {
        let body = json!({ "device": { "id": other } });
        let answer = sign_on.act("device.select", &body).await.must_be(400);
        let (_, detail, target) = answer.problem();
        assert_eq!((detail.as_str(), target.as_str()), ("INVALID_VALUE", "device.id"));
    }
}
