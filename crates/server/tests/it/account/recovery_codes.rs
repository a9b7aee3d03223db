//! Recovery codes: for the day on which all devices are lost.

use crate::{
    account::{
        accept_authenticators, asks_to_confirm, at_the_page, names, own_devices, press, sign_in,
        with_app,
    },
    world::{Browser, PASSWORD, Page, SignOn, World},
};

on_both_engines!(each_code_signs_in_once, of_two_sign_ons_with_one_code_one_passes);

/// The codes on a page.
fn codes(page: &Page) -> Vec<String> {
    let parts = page.answer.text().split("<code>").skip(1);
    parts.map(|part| part.split('<').next().unwrap().to_owned()).collect()
}

/// Ann with a phone and fresh codes, at her page.
async fn ann_with_codes(w: &mut World) -> (Browser, Page, Vec<String>) {
    accept_authenticators(w).await;
    let phone = w.phone_paired_to("ann").await;
    let (mut browser, page) = at_the_page(w, "ann", Some(&phone)).await;
    let made = browser.press(&page, "make_codes", &[]).await;
    assert_eq!(made.heading(), "Your recovery codes");
    let codes = codes(&made);
    assert_eq!(codes.len(), 10);
    let page = browser.open(&page.url).await;
    (browser, page, codes)
}

/// A sign-on that is asked for a recovery code.
async fn asked_for_code(w: &World) -> SignOn {
    let mut sign_on = w.site().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    let codes = sign_on.flow["_embedded"]["devices"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(codes["type"], "RECOVERY_CODES");
    let body = serde_json::json!({ "device": { "id": codes["id"] } });
    sign_on.act("device.select", &body).await.must_be(200);
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
    sign_on
}

async fn each_code_signs_in_once(w: &mut World) {
    let (mut browser, page, codes) = ann_with_codes(w).await;
    assert_eq!(names(&page), ["FP5", "Recovery codes"]);
    assert!(page.answer.text().contains("10 of 10 are left"));
    // The phone is asked first; the codes are for whoever wants another device.
    let mut site = w.site();
    let asked = site.browser.open(&site.authorize_url(&site.request())).await;
    let login = [("username", "ann"), ("password", PASSWORD)];
    let asked = site.browser.press(&asked, "login", &login).await;
    assert!(asked.answer.text().contains("<strong>FP5</strong>"));
    let asked = site.browser.press(&asked, "devices", &[]).await;
    let id = own_id_of_codes(&page);
    let asked = site.browser.press(&asked, "device", &[("device", &id)]).await;
    assert!(asked.answer.text().contains("enter one of your recovery codes"));
    // As people type what they read.
    let typed = codes[0].to_lowercase().replace('-', " ");
    let end = site.browser.press(&asked, "passcode", &[("passcode", &typed)]).await;
    assert!(end.returned("code").is_some(), "{}", end.answer.text());
    asked_for_code(w).await.passcode(&codes[0]).await.must_be(400);
    let page = browser.open(&page.url).await;
    assert!(page.answer.text().contains("9 of 10 are left"));
    let made = w.audit_of("DEVICE.CREATED").await;
    let reasons: Vec<_> = made.iter().map(|record| record.event.reason.as_deref()).collect();
    assert!(reasons.contains(&Some("codes_made")), "{reasons:?}");
}

fn own_id_of_codes(page: &Page) -> String {
    own_devices(page).last().unwrap().id.clone()
}

async fn of_two_sign_ons_with_one_code_one_passes(w: &mut World) {
    let (_, _, codes) = ann_with_codes(w).await;
    let (mut first, mut second) = (asked_for_code(w).await, asked_for_code(w).await);
    let (one, other) = tokio::join!(first.passcode(&codes[3]), second.passcode(&codes[3]));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
}

#[tokio::test]
async fn new_codes_take_the_place_of_the_old_ones() {
    let mut w = World::new().await;
    let (mut browser, page, old) = ann_with_codes(&mut w).await;
    let new = codes(&browser.press(&page, "make_codes", &[]).await);
    assert!(new.iter().all(|code| !old.contains(code)));
    asked_for_code(&w).await.passcode(&old[0]).await.must_be(400);
    asked_for_code(&w).await.passcode(&new[0]).await.must_be(200);
    let replaced = w.audit_of("DEVICE.UPDATED").await;
    assert_eq!(replaced[0].event.reason.as_deref(), Some("codes_replaced"));
    assert_eq!(names(&browser.open(&page.url).await), ["FP5", "Recovery codes"]);
}

#[tokio::test]
async fn wrong_codes_lock_the_codes_and_new_ones_do_not_lift_that() {
    let mut w = World::new().await;
    let (mut browser, page, codes) = ann_with_codes(&mut w).await;
    let mut sign_on = asked_for_code(&w).await;
    for _ in 0..3 {
        // A passcode of another kind is as wrong as a code that nobody has.
        sign_on.passcode("ABCDE-FGHJK").await.must_be(400);
    }
    // The flow goes on with the phone.
    sign_on.refresh().await;
    assert_eq!(sign_on.flow["_embedded"]["devices"].as_array().unwrap().len(), 1);
    sign_on.passcode(&codes[0]).await.must_be(400);
    let refused = browser.press(&page, "make_codes", &[]).await;
    assert!(refused.problem().starts_with("A device that is blocked or locked"));
    w.advance(120);
    asked_for_code(&w).await.passcode(&codes[0]).await.must_be(200);
}

#[tokio::test]
async fn who_has_lost_the_phone_removes_it_by_a_code() {
    let mut w = World::new().await;
    let (_, _, codes) = ann_with_codes(&mut w).await;
    let mut browser = w.browser();
    let page = browser.open(&w.url("/account")).await;
    let page = sign_in(&mut browser, page, "ann", None).await;
    let page = browser.press(&page, "devices", &[]).await;
    let id = page.answer.text().rsplit_once("name=\"device\" value=\"").unwrap().1;
    let id = id.split('"').next().unwrap().to_owned();
    let page = browser.press(&page, "device", &[("device", &id)]).await;
    let page = browser.press(&page, "passcode", &[("passcode", &codes[0])]).await;
    assert!(!asks_to_confirm(&page), "{}", page.answer.text());
    let asked = press(&mut browser, &page, "remove", &own_devices(&page)[0]).await;
    let page = press(&mut browser, &asked, "remove_confirmed", &own_devices(&asked)[0]).await;
    assert_eq!(names(&page), ["Recovery codes"]);
    // The code vouches for what comes next, too.
    assert!(page.answer.text().contains("value=\"add\""));
    // There is nothing to recover without another device.
    assert!(!page.answer.text().contains("value=\"make_codes\""));
}

#[tokio::test]
async fn without_a_device_there_is_nothing_to_recover() {
    let mut w = World::new().await;
    accept_authenticators(&mut w).await;
    let (mut browser, page) = at_the_page(&w, "ann", None).await;
    assert!(!page.answer.text().contains("make_codes"));
    let form = crate::world::Members::default()
        .and("action", "make_codes")
        .and("token", &page.value_of("token"));
    let refused = browser.submit(&page, form).await;
    assert!(refused.problem().starts_with("Your organisation does not let you add that"));
}

#[tokio::test]
async fn codes_make_nobody_choose_where_there_is_one_device() {
    let mut w = World::new().await;
    with_app(&mut w, "ann").await;
    w.bank
        .change_mfa_policy(&w.server, |policy| {
            policy.device_selection =
                countersign_domain::mfa_policy::DeviceSelection::PromptToSelect;
        })
        .await;
    let mut browser = w.browser();
    let page = browser.open(&w.url("/account")).await;
    let page = sign_in(&mut browser, page, "ann", None).await;
    assert_eq!(page.heading(), "Enter your passcode");
}
