//! What a person sees on the page of the own account.

use countersign_domain::application::Application;
use countersign_server::app::DeviceChange;

use crate::{
    account::{
        asks_to_confirm, at_the_page, devices, names, own_account, sign_in, sign_ons, trust,
    },
    world::{PASSWORD, World},
};

on_both_engines!(a_person_sees_the_own_devices_and_sign_ons, sign_ons_come_in_pages);

async fn a_person_sees_the_own_devices_and_sign_ons(w: &mut World) {
    trust(w).await;
    let phone = w.phone_paired_to("ann").await;
    w.user("bob").await;
    w.app().sign_in("bob").await;
    let (_, page) = at_the_page(w, "ann", Some(&phone)).await;
    let text = page.answer.text();
    assert!(text.contains("signed in as <strong>ann</strong>"), "{text}");
    assert_eq!(names(&page), ["FP5"]);
    assert!(text.contains("Last used 5 January 2026, 09:00 UTC · Paired 5 January 2026"), "{text}");
    assert_eq!(sign_ons(&page), ["My account", "Bank app"]);
    assert!(text.contains("5 January 2026, 09:00 UTC</time> · by FP5"), "{text}");
    assert!(!text.contains("Asked first"), "there is no other");
    assert!(!text.contains("Older"), "there are no more");
}

async fn sign_ons_come_in_pages(w: &mut World) {
    for _ in 0..24 {
        w.app().sign_in("ann").await;
        w.advance(1);
    }
    w.user("bob").await;
    w.app().sign_in("bob").await;
    let (mut browser, first) = at_the_page(w, "ann", None).await;
    let on_first = sign_ons(&first);
    assert_eq!((on_first.len(), on_first[0].as_str()), (10, "My account"));
    let link = |page: &crate::world::Page, word: &str| {
        let text = page.answer.text();
        let before = text.split(&format!("\">{word}</a>")).next().unwrap();
        before.rsplit("<a href=\"").next().unwrap().replace("&#38;", "&")
    };
    let second = browser.open(&link(&first, "Older")).await;
    assert_eq!(sign_ons(&second).len(), 10);
    assert!(second.answer.text().contains(">Newest</a>"));
    let third = browser.open(&link(&second, "Older")).await;
    assert_eq!(sign_ons(&third).len(), 5, "25 of ann, and none of bob");
    assert!(!third.answer.text().contains(">Older</a>"));
    assert_eq!(sign_ons(&browser.open(&link(&third, "Newest")).await), on_first);
}

#[tokio::test]
async fn a_failed_sign_on_is_told_as_one() {
    let w = World::new().await;
    trust(&w).await;
    let phone = w.phone_paired_to("ann").await;
    let mut site = w.site();
    let url = site.authorize_url(&site.request());
    let page = site.browser.open(&url).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let page = site.browser.press(&page, "login", &fields).await;
    site.browser.press(&page, "cancel", &[]).await;
    let (_, page) = at_the_page(&w, "ann", Some(&phone)).await;
    assert_eq!(sign_ons(&page), ["My account", "Bank site", "Bank app"]);
    assert_eq!(page.answer.text().matches(">Failed</span>").count(), 1);
}

#[tokio::test]
async fn who_is_signed_in_elsewhere_comes_to_the_page_at_once() {
    let w = World::new().await;
    trust(&w).await;
    let phone = w.phone_paired_to("ann").await;
    let mut site = w.site();
    let url = site.authorize_url(&site.request());
    let page = site.browser.open(&url).await;
    sign_in(&mut site.browser, page, "ann", Some(&phone)).await;
    let page = site.browser.open(&w.url("/account")).await;
    assert_eq!(page.heading(), "Your account");
    // The phone has vouched at the site, so nothing is asked again for a while.
    assert!(!asks_to_confirm(&page));
    w.advance(900);
    let page = site.browser.open(&w.url("/account")).await;
    assert!(asks_to_confirm(&page), "{}", page.answer.text());
    assert!(!page.answer.text().contains("value=\"remove\""));
}

#[tokio::test]
async fn a_bookmark_of_an_old_page_leads_to_a_new_one() {
    let w = World::new().await;
    let (mut browser, page) = at_the_page(&w, "ann", None).await;
    w.advance(901);
    let again = browser.open(&page.url).await;
    assert_eq!(again.heading(), "Your account");
    assert_ne!(again.url, page.url);
}

#[tokio::test]
async fn who_gives_up_hears_that_and_can_begin_again() {
    let w = World::new().await;
    let mut browser = w.browser();
    let page = browser.open(&w.url("/account")).await;
    let page = browser.press(&page, "cancel", &[]).await;
    assert_eq!(page.heading(), "You cancelled");
    assert_eq!(browser.open(&page.link()).await.heading(), "Sign in");
}

#[tokio::test]
async fn the_page_can_be_switched_off() {
    let w = World::new().await;
    let (mut browser, page) = at_the_page(&w, "ann", None).await;
    let off = |own: &mut Application| own.enabled = false;
    w.change_application(own_account(&w), off).await;
    for url in [w.url("/account"), page.url] {
        let page = browser.open(&url).await;
        assert_eq!(page.answer.status, 404);
        assert_eq!(page.heading(), "There is nothing to see here");
    }
}

#[tokio::test]
async fn what_bars_a_device_is_said() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let environment = w.bank.environment.id;
    let id = devices(&w, &w.bank.ann).await[0].id;
    w.server.change_device(environment, id, DeviceChange::Block).await.unwrap();
    let (_, page) = at_the_page(&w, "ann", None).await;
    let text = page.answer.text();
    assert!(text.contains("alarm\">Blocked</span>"), "{text}");
    assert!(text.contains("None of your devices can be used now"), "{text}");
    assert!(!text.contains("value=\"add\"") && !text.contains("value=\"confirm\""), "{text}");
    w.server.change_device(environment, id, DeviceChange::Unblock).await.unwrap();
    let mut sign_on = w.app().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    for _ in 0..3 {
        sign_on.passcode(&phone.wrong_passcode()).await;
    }
    let (_, page) = at_the_page(&w, "ann", None).await;
    let text = page.answer.text();
    assert!(text.contains("alarm\">Locked</span>"), "{text}");
    assert!(text.contains("It is locked until 5 January 2026, 09:02 UTC"), "{text}");
}

#[tokio::test]
async fn pages_of_the_account_are_for_nobody_elses_eyes() {
    let w = World::new().await;
    let (_, page) = at_the_page(&w, "ann", None).await;
    assert_eq!(page.answer.header("cache-control"), "no-store");
    let policy = page.answer.header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self';"));
}
