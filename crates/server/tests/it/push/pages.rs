//! The hosted pages of a question to a phone, in a browser without JavaScript.

use countersign_domain::{
    application::NumberMatchingKind,
    mfa_policy::{DeviceSelection, PushRules},
    sign_on_policy::NoDevicesMode,
};
use countersign_protocol::mobile_payload::PushService;
use countersign_sdk::{DenyReason, NotificationObject, RemoteNotification};
use countersign_server::app::DeviceChange;
use serde_json::json;

use crate::world::{Client, PASSWORD, Page, Phone, PushWorld, SITE_ADDRESS, Step};

async fn asking(change: impl FnOnce(&mut PushRules)) -> PushWorld {
    let mut w = PushWorld::new(PushService::Fcm).await;
    w.ask_by_push(change).await;
    w
}

/// A world in which a number must come back.
async fn matching(kind: NumberMatchingKind) -> PushWorld {
    let w = asking(|rules| rules.number_matching = true).await;
    w.world.change_native(|native| native.mobile.as_mut().unwrap().number_matching = kind).await;
    w
}

/// A world in which the policy lets devices be selected in this way, and ann has a second phone, which gives passcodes only.
async fn with_another(selection: DeviceSelection) -> (PushWorld, Phone) {
    let mut w = PushWorld::new(PushService::Fcm).await;
    let other = w.world.phone().await;
    w.world.pair_beside(&w.phone, &other, "ann").await;
    w.ask_by_push(|_| {}).await;
    let world = &mut w.world;
    let change = |policy: &mut countersign_domain::mfa_policy::MfaPolicy| {
        policy.device_selection = selection;
    };
    world.bank.change_mfa_policy(&world.server, change).await;
    (w, other)
}

/// Signs ann in by password at the web site.
async fn after_password(w: &PushWorld) -> (Client, Page) {
    let mut site = w.world.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let page = site.browser.press(&page, "login", &fields).await;
    (site, page)
}

async fn asked(w: &PushWorld) -> (Client, Page, NotificationObject) {
    let (site, page) = after_password(w).await;
    assert_eq!(page.heading(), "Check your phone");
    (site, page, w.question().await)
}

/// What the refresh of a page does that waits.
async fn refreshed(site: &mut Client, page: &Page) -> Page {
    assert!(page.answer.text().contains("<noscript><meta http-equiv=\"refresh\""));
    site.browser.open(&page.url).await
}

async fn signed_in_by(site: &Client, end: &Page) -> serde_json::Value {
    let code = end.returned("code").unwrap_or_else(|| panic!("no code: {end:?}"));
    site.tokens(&code).await.id_claims()["amr"].clone()
}

fn is_denied(end: &Page) {
    assert!(end.url.starts_with(SITE_ADDRESS), "{}", end.url);
    assert_eq!(end.returned("error").as_deref(), Some("access_denied"));
}

#[tokio::test]
async fn the_page_waits_as_it_is_and_goes_on_with_a_yes() {
    let w = asking(|_| {}).await;
    let (mut site, page, question) = asked(&w).await;
    assert!(page.answer.text().contains("<strong>FP5</strong>"), "the phone is named");
    assert!(page.answer.text().contains(">40 s left<"));
    w.world.advance(15);
    let page = refreshed(&mut site, &page).await;
    assert_eq!(page.heading(), "Check your phone");
    assert!(page.answer.text().contains(">25 s left<"));
    question.approve("fpt", None).await.unwrap();
    let end = refreshed(&mut site, &page).await;
    assert_eq!(signed_in_by(&site, &end).await, json!(["pwd", "swk", "mca", "fpt", "mfa"]));
}

#[tokio::test]
async fn the_number_to_pick_is_on_the_page() {
    let w = matching(NumberMatchingKind::SelectNumber).await;
    let (mut site, page, question) = asked(&w).await;
    assert!(page.answer.text().contains("pick this number"));
    let number: u32 = page.number().parse().unwrap();
    assert!(question.number_matching_options().contains(&number));
    question.approve("user", Some(number)).await.unwrap();
    let end = refreshed(&mut site, &page).await;
    signed_in_by(&site, &end).await;
}

#[tokio::test]
async fn the_number_to_type_is_on_the_page() {
    let w = matching(NumberMatchingKind::EnterManually).await;
    let (mut site, page, question) = asked(&w).await;
    assert!(page.answer.text().contains("type this number"));
    let number = page.number();
    assert_eq!(number.len(), 6);
    question.approve("user", Some(number.parse().unwrap())).await.unwrap();
    let end = refreshed(&mut site, &page).await;
    signed_in_by(&site, &end).await;
}

#[tokio::test]
async fn without_an_answer_the_phone_is_asked_again() {
    let w = asking(|_| {}).await;
    let (mut site, page, _late) = asked(&w).await;
    w.world.advance(40);
    let page = refreshed(&mut site, &page).await;
    assert_eq!(page.heading(), "No answer from your phone");
    let page = site.browser.press(&page, "push", &[]).await;
    assert_eq!(page.heading(), "Check your phone");
    w.question().await.approve("fpt", None).await.unwrap();
    let end = refreshed(&mut site, &page).await;
    signed_in_by(&site, &end).await;
}

#[tokio::test]
async fn without_an_answer_a_passcode_will_do() {
    let w = asking(|_| {}).await;
    let (mut site, page, _late) = asked(&w).await;
    w.world.advance(40);
    let page = refreshed(&mut site, &page).await;
    let page = site.browser.press(&page, "use_passcode", &[]).await;
    assert_eq!(page.heading(), "Enter your passcode");
    let passcode = w.phone.passcode();
    let end = site.browser.press(&page, "passcode", &[("passcode", &passcode)]).await;
    assert_eq!(signed_in_by(&site, &end).await, json!(["pwd", "otp", "mfa"]));
}

#[tokio::test]
async fn from_push_to_passcode_and_back_the_phone_is_told() {
    let w = asking(|_| {}).await;
    let (mut site, page, question) = asked(&w).await;
    let page = site.browser.press(&page, "use_passcode", &[]).await;
    assert_eq!(page.heading(), "Enter your passcode");
    assert!(matches!(w.deliver().await, RemoteNotification::Cancelled { .. }));
    assert!(question.approve("fpt", None).await.is_err());
    let page = site.browser.press(&page, "push", &[]).await;
    assert_eq!(page.heading(), "Check your phone");
    w.question().await.approve("fpt", None).await.unwrap();
    let end = refreshed(&mut site, &page).await;
    signed_in_by(&site, &end).await;
}

#[tokio::test]
async fn a_phone_that_cannot_be_asked_is_not_offered_to_be() {
    let w = PushWorld::new(PushService::Fcm).await;
    let (mut site, page) = after_password(&w).await;
    assert_eq!(page.heading(), "Enter your passcode");
    assert!(!page.answer.text().contains("value=\"push\""));
    let forged = crate::world::Members::default().and("action", "push");
    let forged = forged.and("token", &page.value_of("token"));
    let again = site.browser.submit(&page, forged).await;
    assert_eq!(again.heading(), "Enter your passcode");
    assert!(!w.services.has_message(PushService::Fcm, &w.token));
}

#[tokio::test]
async fn another_device_is_chosen_in_each_way_to_select() {
    for selection in [
        DeviceSelection::DefaultToFirst,
        DeviceSelection::PromptToSelect,
        DeviceSelection::AlwaysDisplayDevices,
    ] {
        let (w, other) = with_another(selection).await;
        let (environment, ann) = (w.world.bank.environment.id, w.world.bank.ann.id);
        let devices = w.world.server.list_devices(environment, ann).await.unwrap();
        let ids: Vec<String> = devices.iter().map(|device| device.id.to_string()).collect();
        let (mut site, mut page) = after_password(&w).await;
        if selection != DeviceSelection::DefaultToFirst {
            assert_eq!(page.heading(), "Choose a device", "{selection:?}");
            let text = page.answer.text();
            assert!(text.contains("Sends you a notification"), "{text}");
            assert!(text.contains("Shows you a passcode"), "{text}");
            page = site.browser.press(&page, "device", &[("device", &ids[0])]).await;
        }
        assert_eq!(page.heading(), "Check your phone", "{selection:?}");
        w.question().await;
        w.world.advance(40);
        let page = refreshed(&mut site, &page).await;
        assert_eq!(page.heading(), "No answer from your phone", "{selection:?}");
        let page = site.browser.press(&page, "devices", &[]).await;
        assert_eq!(page.heading(), "Choose a device", "{selection:?}");
        let page = site.browser.press(&page, "device", &[("device", &ids[1])]).await;
        assert_eq!(page.heading(), "Enter your passcode", "{selection:?}");
        let passcode = other.passcode();
        let end = site.browser.press(&page, "passcode", &[("passcode", &passcode)]).await;
        signed_in_by(&site, &end).await;
    }
}

#[tokio::test]
async fn another_device_takes_the_question_back() {
    let (w, _other) = with_another(DeviceSelection::DefaultToFirst).await;
    let (mut site, page, question) = asked(&w).await;
    let page = site.browser.press(&page, "devices", &[]).await;
    assert_eq!(page.heading(), "Choose a device");
    assert!(question.approve("fpt", None).await.is_err());
}

#[tokio::test]
async fn a_no_is_told_and_leads_back_whatever_kind_of_no_it_is() {
    let mut said = Vec::new();
    for reason in [DenyReason::None, DenyReason::BiometricsRejected, DenyReason::ReportFraud] {
        let w = asking(|_| {}).await;
        let (mut site, page, question) = asked(&w).await;
        question.deny(reason).await.unwrap();
        let page = refreshed(&mut site, &page).await;
        assert_eq!(page.heading(), "You are not signed in");
        said.push(page.paragraph());
        is_denied(&site.browser.open(&page.link()).await);
    }
    assert!(said[0].starts_with("The answer from your phone was no"), "{said:?}");
    // Whoever sits at the browser, and may be a thief, does not learn that it was reported.
    assert_eq!(said, [said[0].as_str(); 3]);
}

#[tokio::test]
async fn a_wrong_number_is_told_as_a_no() {
    let w = matching(NumberMatchingKind::EnterManually).await;
    let (mut site, page, question) = asked(&w).await;
    let wrong = (page.number().parse::<u32>().unwrap() + 1) % 1_000_000;
    question.approve("user", Some(wrong)).await.unwrap_err();
    let page = refreshed(&mut site, &page).await;
    assert!(page.paragraph().contains("its number was not the one"), "{}", page.paragraph());
}

#[tokio::test]
async fn whose_pushes_are_stopped_is_told_to_wait() {
    let mut w = asking(|rules| rules.limit.count = 1).await;
    let world = &mut w.world;
    let without = |policy: &mut countersign_domain::mfa_policy::MfaPolicy| {
        policy.mobile.applications[0].passcode_enabled = false;
    };
    world.bank.change_mfa_policy(&world.server, without).await;
    let (mut site, page, _late) = asked(&w).await;
    w.world.advance(40);
    // The question was the last one for a while, so nothing is left to do.
    let page = refreshed(&mut site, &page).await;
    assert!(page.answer.text().contains("cannot be asked again now"), "{:?}", page.answer);
    assert!(!page.answer.text().contains("value=\"push\""));
    let (mut site, page) = after_password(&w).await;
    assert!(page.paragraph().starts_with("Your phone was asked several times"));
    is_denied(&site.browser.open(&page.link()).await);
}

#[tokio::test]
async fn a_phone_that_is_gone_meanwhile_is_told_on_the_next_page() {
    let (w, other) = with_another(DeviceSelection::DefaultToFirst).await;
    w.uninstall();
    let (mut site, page) = after_password(&w).await;
    assert_eq!(page.heading(), "Check your phone");
    w.world.server.send_due().await.unwrap();
    let page = refreshed(&mut site, &page).await;
    assert_eq!(page.heading(), "Enter your passcode");
    assert!(page.notice().starts_with("The phone that we asked can no longer be used"));
    // It is said until the person goes on.
    let wrong = other.wrong_passcode();
    let page = site.browser.press(&page, "passcode", &[("passcode", &wrong)]).await;
    assert!(page.notice().starts_with("The phone that we asked"));
    let passcode = other.passcode();
    let end = site.browser.press(&page, "passcode", &[("passcode", &passcode)]).await;
    signed_in_by(&site, &end).await;
}

#[tokio::test]
async fn a_phone_that_is_gone_meanwhile_is_told_where_nothing_else_is_left() {
    let mut w = asking(|_| {}).await;
    let world = &mut w.world;
    world.bank.require(&world.server, &[Step::Login, Step::Mfa(NoDevicesMode::Block)]).await;
    w.uninstall();
    let (mut site, page) = after_password(&w).await;
    w.world.server.send_due().await.unwrap();
    let page = refreshed(&mut site, &page).await;
    assert_eq!(page.heading(), "You are not signed in");
    assert!(page.notice().starts_with("The phone that we asked can no longer be used"));
    is_denied(&site.browser.open(&page.link()).await);
}

#[tokio::test]
async fn a_phone_that_is_blocked_meanwhile_is_told_too() {
    let (w, _other) = with_another(DeviceSelection::DefaultToFirst).await;
    let (mut site, page) = after_password(&w).await;
    let (environment, ann) = (w.world.bank.environment.id, w.world.bank.ann.id);
    let device = w.world.server.list_devices(environment, ann).await.unwrap().remove(0).id;
    w.world.server.change_device(environment, device, DeviceChange::Block).await.unwrap();
    let page = refreshed(&mut site, &page).await;
    assert_eq!(page.heading(), "Enter your passcode");
    assert!(page.notice().starts_with("The phone that we asked can no longer be used"));
    let page = site.browser.press(&page, "reset", &[]).await;
    assert_eq!((page.heading().as_str(), page.notice().as_str()), ("Sign in", ""));
}
