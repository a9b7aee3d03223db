//! How another phone is paired by the key that the page shows.

use countersign_sdk::{Error, PairingRefusal};
use http::StatusCode;

use crate::{
    account::{actors, asks_to_confirm, at_the_page, devices, names, trust},
    world::{Answer, Browser, Page, World, get, with},
};

on_both_engines!(a_phone_is_added_by_the_key_on_the_page, the_first_device_rests_on_a_password);

/// Presses the button that adds a phone, and reads the key off the page.
async fn add(browser: &mut Browser, page: &Page) -> (Page, String) {
    let page = browser.press(page, "add", &[]).await;
    assert_eq!(page.heading(), "Add a phone", "{}", page.answer.text());
    let key = page.answer.text().split_once("id=\"key\">").unwrap().1;
    let key = key.split('<').next().unwrap().to_owned();
    (page, key)
}

/// What the script of the page asks.
async fn status(browser: &mut Browser, page: &Page) -> Answer {
    let url = page.answer.text().split_once("data-wait=\"").unwrap().1;
    let url = url.split('"').next().unwrap().to_owned();
    browser.send(with(get(&url), "prefer", "wait=0")).await
}

async fn a_phone_is_added_by_the_key_on_the_page(w: &mut World) {
    trust(w).await;
    let first = w.phone_paired_to("ann").await;
    let (mut browser, page) = at_the_page(w, "ann", Some(&first)).await;
    let (page, key) = add(&mut browser, &page).await;
    let text = page.answer.text();
    assert!(text.contains("<svg class=\"qr\"") && text.contains("10 min left"), "{text}");
    assert!(text.contains("http-equiv=\"refresh\""), "it goes on without scripts");
    assert_eq!(status(&mut browser, &page).await.must_be(200).json()["status"], "UNCLAIMED");
    // Read anew, it is the same key.
    let again = browser.open(&page.url).await;
    assert!(again.answer.text().contains(&key));
    let second = w.phone().await;
    second.sdk.pair(&key).await.unwrap();
    assert_eq!(status(&mut browser, &page).await.must_be(200).json()["status"], "CLAIMED");
    let page = browser.open(&page.url).await;
    assert_eq!(page.notice(), "The phone is paired. It can sign you in from now on.");
    assert_eq!(names(&page).len(), 2);
    let made = w.audit_of("PAIRING_KEY.CREATED").await;
    assert_eq!(actors(&made[0]), (Some("My account".to_owned()), Some("ann".to_owned())));
    // Whoever reads the page of the key again is not shown it.
    let page = browser.open(&page.url).await;
    assert!(!page.answer.text().contains(&key));
}

async fn the_first_device_rests_on_a_password(w: &mut World) {
    trust(w).await;
    let (mut browser, page) = at_the_page(w, "ann", None).await;
    assert!(!asks_to_confirm(&page));
    let (one, first_key) = add(&mut browser, &page).await;
    let page = browser.open(&w.url("/account")).await;
    let (_, second_key) = add(&mut browser, &page).await;
    let phone = w.phone().await;
    phone.sdk.pair(&first_key).await.unwrap();
    // The next rests on more: also a key of before counts no more.
    let page = browser.open(&one.url).await;
    assert!(page.notice().starts_with("The phone is paired"));
    assert!(asks_to_confirm(&page), "{}", page.answer.text());
    let other = w.phone().await;
    let refused = other.sdk.pair(&second_key).await;
    let Err(Error::PairingRefused { reason, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(reason, PairingRefusal::PairingDisabled);
    assert_eq!(devices(w, &w.bank.ann).await.len(), 1);
}

#[tokio::test]
async fn a_key_is_withdrawn_by_who_cancels() {
    let w = World::new().await;
    trust(&w).await;
    let (mut browser, page) = at_the_page(&w, "ann", None).await;
    let (page, key) = add(&mut browser, &page).await;
    let page = browser.press(&page, "withdraw", &[]).await;
    assert_eq!(page.notice(), "The key no longer counts.");
    assert!(w.phone().await.sdk.pair(&key).await.is_err());
    assert!(devices(&w, &w.bank.ann).await.is_empty());
}

#[tokio::test]
async fn a_key_whose_time_is_over_leads_back() {
    let w = World::new().await;
    trust(&w).await;
    let (mut browser, page) = at_the_page(&w, "ann", None).await;
    let (page, _) = add(&mut browser, &page).await;
    w.advance(600);
    assert_eq!(status(&mut browser, &page).await.must_be(200).json()["status"], "EXPIRED");
    let page = browser.open(&page.url).await;
    assert_eq!(page.answer.status, StatusCode::BAD_REQUEST);
    assert!(page.problem().starts_with("The time was over"), "{}", page.problem());
}

#[tokio::test]
async fn the_page_says_why_a_phone_was_refused() {
    let w = World::new().await;
    trust(&w).await;
    let phone = w.phone_paired_to("ann").await;
    let (mut browser, page) = at_the_page(&w, "ann", Some(&phone)).await;
    let (page, key) = add(&mut browser, &page).await;
    assert!(phone.sdk.pair(&key).await.is_err());
    assert_eq!(status(&mut browser, &page).await.must_be(200).json()["status"], "REFUSED");
    let page = browser.open(&page.url).await;
    assert!(page.problem().starts_with("That phone is one of your devices already"));
    assert!(page.answer.text().contains(&key), "another phone can use it");
}

#[tokio::test]
async fn where_the_policy_lets_no_phone_be_paired_there_is_no_key() {
    let mut w = World::new().await;
    trust(&w).await;
    let off = |policy: &mut countersign_domain::mfa_policy::MfaPolicy| {
        policy.mobile.applications[0].pairing_disabled = true;
    };
    w.bank.change_mfa_policy(&w.server, off).await;
    let (mut browser, page) = at_the_page(&w, "ann", None).await;
    let page = browser.press(&page, "add", &[]).await;
    assert!(page.problem().starts_with("Your organisation lets no phone be added here"));
}

#[tokio::test]
async fn so_many_keys_and_no_more() {
    let w = World::new().await;
    trust(&w).await;
    let (mut browser, page) = at_the_page(&w, "ann", None).await;
    for _ in 0..20 {
        add(&mut browser, &page).await;
    }
    let page = browser.press(&page, "add", &[]).await;
    assert!(page.problem().starts_with("Very many keys"), "{}", page.problem());
}
