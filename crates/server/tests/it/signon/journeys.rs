//! What a person goes through, page by page.

use countersign_domain::{mfa_policy::DeviceSelection, sign_on_policy::NoDevicesMode};
use serde_json::json;

use crate::world::{Client, PASSWORD, Page, SITE_ADDRESS, Step, World};

on_both_engines!(a_person_signs_in_with_password_and_passcode);

/// The first page of a sign-on at the web site.
async fn arrive(w: &World) -> (Client, Page) {
    let mut site = w.site();
    let url = site.authorize_url(&site.request());
    let page = site.browser.open(&url).await;
    (site, page)
}

/// The page after the password.
async fn after_password(w: &World) -> (Client, Page) {
    let (mut site, page) = arrive(w).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let page = site.browser.press(&page, "login", &fields).await;
    (site, page)
}

fn is_denied(page: &Page, why: &str) {
    assert!(page.url.starts_with(SITE_ADDRESS), "{}", page.url);
    assert_eq!(page.returned("error").as_deref(), Some("access_denied"));
    assert_eq!(page.returned("error_description").as_deref(), Some(why));
    assert_eq!(page.returned("state").as_deref(), Some("state-1"));
    assert_eq!(page.returned("code"), None);
}

async fn a_person_signs_in_with_password_and_passcode(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let (mut site, page) = arrive(w).await;
    assert!(page.answer.text().contains("Bank site"), "the person sees who asks");
    let wrong = [("username", "ann"), ("password", "wrong")];
    let page = site.browser.press(&page, "login", &wrong).await;
    assert_eq!(page.answer.status, 400);
    assert!(page.problem().starts_with("We could not sign you in"), "{}", page.problem());
    assert_eq!(page.value_of("username"), "ann", "what was typed stays");
    assert!(!page.answer.text().contains("wrong"), "but not the password");
    let right = [("username", "ann"), ("password", PASSWORD)];
    let page = site.browser.press(&page, "login", &right).await;
    assert_eq!(page.heading(), "Enter your passcode");
    let passcode = phone.wrong_passcode();
    let page = site.browser.press(&page, "passcode", &[("passcode", &passcode)]).await;
    assert!(page.problem().starts_with("That passcode did not work"), "{}", page.problem());
    let passcode = phone.passcode();
    let end = site.browser.press(&page, "passcode", &[("passcode", &passcode)]).await;
    let tokens = site.tokens(&end.returned("code").unwrap()).await;
    assert_eq!(tokens.id_claims()["amr"], json!(["pwd", "otp", "mfa"]));
}

#[tokio::test]
async fn identifier_and_password_come_on_two_pages() {
    let mut w = World::new().await;
    w.bank.require(&w.server, &[Step::IdentifierFirst]).await;
    let (mut site, page) = arrive(&w).await;
    let page = site.browser.press(&page, "identify", &[("username", "ann")]).await;
    assert_eq!(page.heading(), "Enter your password");
    let page = site.browser.press(&page, "reset", &[]).await;
    assert_eq!(page.heading(), "Sign in");
    let page = site.browser.press(&page, "identify", &[("username", "ann")]).await;
    let page = site.browser.press(&page, "password", &[("password", "wrong")]).await;
    assert!(page.problem().starts_with("We could not sign you in"), "{}", page.problem());
    let end = site.browser.press(&page, "password", &[("password", PASSWORD)]).await;
    site.tokens(&end.returned("code").unwrap()).await;
}

#[tokio::test]
async fn a_locked_account_says_for_how_long() {
    let w = World::new().await;
    let (mut site, mut page) = arrive(&w).await;
    for _ in 0..5 {
        let wrong = [("username", "ann"), ("password", "wrong")];
        page = site.browser.press(&page, "login", &wrong).await;
    }
    assert_eq!(page.problem(), "Too many wrong passwords. Try again in 15 minutes.");
    w.advance(14 * 60 + 1);
    let (mut site, page) = arrive(&w).await;
    let right = [("username", "ann"), ("password", PASSWORD)];
    let page = site.browser.press(&page, "login", &right).await;
    assert_eq!(page.problem(), "Too many wrong passwords. Try again in a minute.");
    w.advance(59);
    let end = site.browser.press(&page, "login", &right).await;
    site.tokens(&end.returned("code").unwrap()).await;
}

#[tokio::test]
async fn a_person_who_cancels_is_back_at_once() {
    let w = World::new().await;
    let (mut site, page) = arrive(&w).await;
    is_denied(&site.browser.press(&page, "cancel", &[]).await, "the user cancelled");
    w.phone_paired_to("ann").await;
    let (mut site, page) = after_password(&w).await;
    is_denied(&site.browser.press(&page, "cancel", &[]).await, "the user cancelled");
}

#[tokio::test]
async fn a_person_without_a_device_learns_why_and_goes_back() {
    let mut w = World::new().await;
    w.bank.require(&w.server, &[Step::Login, Step::Mfa(NoDevicesMode::Block)]).await;
    let (mut site, page) = after_password(&w).await;
    assert_eq!(
        (page.answer.status.as_u16(), page.heading().as_str()),
        (200, "You are not signed in")
    );
    assert!(
        page.answer.text().contains("you have no device that can be used for it now"),
        "{}",
        page.answer.text()
    );
    let end = site.browser.open(&page.link()).await;
    is_denied(&end, "the user has no device that the MFA policy accepts");
}

#[tokio::test]
async fn a_person_whose_device_gets_locked_learns_why_and_goes_back() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let (mut site, mut page) = after_password(&w).await;
    for _ in 0..3 {
        let passcode = phone.wrong_passcode();
        page = site.browser.press(&page, "passcode", &[("passcode", &passcode)]).await;
    }
    assert_eq!(page.heading(), "You are not signed in");
    assert!(page.answer.text().contains("locked for a while"), "{}", page.answer.text());
    let end = site.browser.open(&page.link()).await;
    is_denied(&end, "the device of the user is locked");
}

#[tokio::test]
async fn a_person_with_two_devices_chooses() {
    let mut w = World::new().await;
    let first = w.phone_paired_to("ann").await;
    let second = w.phone().await;
    w.pair_beside(&first, &second, "ann").await;
    let (mut site, page) = after_password(&w).await;
    let page = site.browser.press(&page, "devices", &[]).await;
    assert_eq!(page.heading(), "Choose a device");
    let devices = w.server.list_devices(w.bank.environment.id, w.bank.ann.id).await.unwrap();
    let chosen = devices[1].id.to_string();
    let page = site.browser.press(&page, "device", &[("device", &chosen)]).await;
    assert_eq!(page.heading(), "Enter your passcode");
    let passcode = second.passcode();
    let end = site.browser.press(&page, "passcode", &[("passcode", &passcode)]).await;
    site.tokens(&end.returned("code").unwrap()).await;
    let select = DeviceSelection::PromptToSelect;
    w.bank.change_mfa_policy(&w.server, |policy| policy.device_selection = select).await;
    let (mut site, page) = after_password(&w).await;
    assert_eq!(page.heading(), "Choose a device");
    let page = site.browser.press(&page, "device", &[("device", &chosen)]).await;
    assert_eq!(page.heading(), "Enter your passcode");
}

#[tokio::test]
async fn the_back_button_leads_on_until_the_code_is_used_and_nowhere_afterwards() {
    let w = World::new().await;
    let (mut site, page) = arrive(&w).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let end = site.browser.press(&page, "login", &fields).await;
    assert_eq!(site.browser.open(&page.url).await.url, end.url);
    assert_eq!(site.browser.press(&page, "login", &fields).await.url, end.url);
    let tokens = site.tokens(&end.returned("code").unwrap()).await;
    // The code must not be sent again, since that would take back what it gave.
    let again = site.browser.open(&page.url).await;
    assert_eq!(
        (again.answer.status.as_u16(), again.heading().as_str()),
        (404, "This sign-on has ended")
    );
    site.user_info(&tokens.access_token).await.must_be(200);
}

#[tokio::test]
async fn a_page_that_another_tab_has_left_behind_leads_to_where_the_flow_is() {
    let w = World::new().await;
    w.phone_paired_to("ann").await;
    let (mut site, page) = arrive(&w).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    site.browser.press(&page, "login", &fields).await;
    let behind = site.browser.press(&page, "login", &fields).await;
    assert_eq!(behind.heading(), "Enter your passcode");
    assert!(
        behind.problem().starts_with("You are already one step further"),
        "{}",
        behind.problem()
    );
}
