//! Who tries to change devices, and may not.

use countersign_server::app::DeviceChange;
use http::StatusCode;

use crate::{
    account::{
        Own, asks_to_confirm, at_the_page, devices, names, own_devices, press, sign_in, trust,
        two_phones,
    },
    world::{Bank, Browser, FORM, Members, Page, World, post, with},
};

on_both_engines!(a_page_that_is_behind_changes_nothing, nobody_changes_the_devices_of_another);

/// What a form of the page would send.
fn form(page: &Page, action: &str, own: &Own) -> Members {
    let members = Members::default().and("action", action).and("token", &page.value_of("token"));
    members.and("device", &own.id).and("version", &own.version.to_string())
}

/// Ann, who may change devices, on a page with her only one.
async fn ann_with_a_phone(w: &World) -> (Browser, Page, Own) {
    trust(w).await;
    let phone = w.phone_paired_to("ann").await;
    let (browser, page) = at_the_page(w, "ann", Some(&phone)).await;
    let own = own_devices(&page)[0].clone();
    (browser, page, own)
}

async fn nothing_happened(w: &World) {
    assert_eq!(devices(w, &w.bank.ann).await.len(), 1);
    assert!(w.audit_of("DEVICE.UPDATED").await.is_empty());
    assert!(w.audit_of("DEVICE.DELETED").await.is_empty());
    assert!(w.audit_of("PAIRING_KEY.CREATED").await.is_empty());
}

async fn a_page_that_is_behind_changes_nothing(w: &mut World) {
    trust(w).await;
    let (first, _) = two_phones(w).await;
    let (mut browser, page) = at_the_page(w, "ann", Some(&first)).await;
    let mut tab = browser.clone();
    let shown = own_devices(&page);
    press(&mut tab, &page, "down", &shown[0]).await;
    for action in ["up", "remove", "remove_confirmed", "rename"] {
        let behind = browser.submit(&page, form(&page, action, &shown[1])).await;
        assert_eq!(behind.answer.status, StatusCode::BAD_REQUEST, "{action}");
        assert!(behind.problem().starts_with("The device has changed since"), "{action}");
    }
    let gone = Own { id: w.bank.ann.id.to_string(), version: 1 };
    let behind = browser.submit(&page, form(&page, "remove_confirmed", &gone)).await;
    assert!(behind.problem().starts_with("The device has changed since"));
    assert_eq!(devices(w, &w.bank.ann).await.len(), 2);
    assert_eq!(w.audit_of("DEVICE.UPDATED").await.len(), 1);
}

async fn nobody_changes_the_devices_of_another(w: &mut World) {
    let (_, _, of_ann) = ann_with_a_phone(w).await;
    let bob = w.user("bob").await;
    let phone = w.phone_paired_to("bob").await;
    let (mut browser, page) = at_the_page(w, "bob", Some(&phone)).await;
    assert_eq!(own_devices(&page)[0].id, devices(w, &bob).await[0].id.to_string());
    for action in ["up", "down", "remove", "remove_confirmed", "rename"] {
        let refused = browser.submit(&page, form(&page, action, &of_ann)).await;
        assert_eq!(refused.answer.status, StatusCode::BAD_REQUEST, "{action}");
        assert!(refused.problem().starts_with("The device has changed since"), "{action}");
    }
    nothing_happened(w).await;
}

#[tokio::test]
async fn a_form_of_another_site_is_not_taken() {
    let w = World::new().await;
    let (mut browser, page, own) = ann_with_a_phone(&w).await;
    for action in ["remove_confirmed", "rename", "add", "confirm"] {
        let without = form(&page, action, &own).without("token").and("token", "x");
        let refused = browser.submit(&page, without).await;
        assert!(refused.problem().starts_with("This page was open for a long time"), "{action}");
        let other = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")];
        for (name, value) in other {
            let request = post(&page.url, FORM, form(&page, action, &own).encoded());
            let refused = browser.send(with(request, name, value)).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{action} {name}");
        }
    }
    nothing_happened(&w).await;
}

#[tokio::test]
async fn the_address_of_a_page_is_of_no_use_in_another_browser() {
    let w = World::new().await;
    let (_, page, own) = ann_with_a_phone(&w).await;
    w.user("bob").await;
    let (mut bob, _) = at_the_page(&w, "bob", None).await;
    let seen = bob.open(&page.url).await;
    assert!(seen.answer.text().contains("signed in as <strong>bob</strong>"));
    let refused = bob.submit(&page, form(&page, "remove_confirmed", &own)).await;
    assert!(!refused.answer.text().contains("<strong>ann</strong>"));
    let mut nobody = w.browser();
    assert_eq!(nobody.open(&page.url).await.heading(), "Sign in");
    let refused = nobody.submit(&page, form(&page, "remove_confirmed", &own)).await;
    assert!(refused.answer.status.is_client_error() || refused.heading() == "Sign in");
    nothing_happened(&w).await;
}

#[tokio::test]
async fn a_page_of_one_environment_does_nothing_in_another() {
    let w = World::new().await;
    let (mut browser, page, own) = ann_with_a_phone(&w).await;
    let other = Bank::open(&w.server, "Other").await.environment.id.to_string();
    let there = page.url.replace(&w.bank.environment.id.to_string(), &other);
    assert_eq!(browser.open(&there).await.heading(), "Sign in");
    let moved = Page { url: there.clone(), ..page };
    let request = post(&there, FORM, form(&moved, "remove_confirmed", &own).encoded());
    let refused = browser.send(request).await;
    assert!(!refused.status.is_success(), "{refused:?}");
    nothing_happened(&w).await;
}

#[tokio::test]
async fn a_password_alone_changes_nothing_once_there_is_a_device() {
    let w = World::new().await;
    w.phone_paired_to("ann").await;
    let own = devices(&w, &w.bank.ann).await[0].id.to_string();
    let own = Own { id: own, version: 1 };
    let (mut browser, page) = at_the_page(&w, "ann", None).await;
    for action in ["remove", "remove_confirmed", "rename", "down", "add"] {
        let asked = browser.submit(&page, form(&page, action, &own)).await;
        assert_eq!(asked.heading(), "Enter your password", "{action}");
    }
    nothing_happened(&w).await;
}

#[tokio::test]
async fn who_has_signed_off_is_nobody_there() {
    let w = World::new().await;
    let (mut browser, page, own) = ann_with_a_phone(&w).await;
    let asked = browser.open(&format!("{}/signoff", w.issuer())).await;
    assert_eq!(browser.press(&asked, "signoff", &[]).await.heading(), "You are signed out");
    for action in ["remove_confirmed", "rename", "add", "confirm"] {
        let gone = browser.submit(&page, form(&page, action, &own)).await;
        assert_eq!(gone.heading(), "Sign in", "{action}");
    }
    assert_eq!(browser.open(&page.url).await.heading(), "Sign in");
    nothing_happened(&w).await;
}

#[tokio::test]
async fn somebody_else_who_signs_in_at_the_browser_gets_an_own_page() {
    let w = World::new().await;
    let (mut browser, page, own) = ann_with_a_phone(&w).await;
    w.user("bob").await;
    let site = w.site();
    let url = site.authorize_url(&site.request().with("prompt", "login"));
    let asked = browser.open(&url).await;
    sign_in(&mut browser, asked, "bob", None).await;
    let taken = browser.submit(&page, form(&page, "remove_confirmed", &own)).await;
    assert!(taken.answer.text().contains("signed in as <strong>bob</strong>"));
    nothing_happened(&w).await;
}

#[tokio::test]
async fn a_disabled_user_is_out_at_once() {
    let w = World::new().await;
    let (mut browser, page, own) = ann_with_a_phone(&w).await;
    w.bank.disable_ann(&w.server).await;
    for action in ["remove_confirmed", "rename", "add", "confirm"] {
        let gone = browser.submit(&page, form(&page, action, &own)).await;
        assert_eq!(gone.heading(), "Sign in", "{action}");
    }
    nothing_happened(&w).await;
}

#[tokio::test]
async fn a_new_password_ends_the_page() {
    let w = World::new().await;
    let (mut browser, page, own) = ann_with_a_phone(&w).await;
    w.advance(1);
    let password =
        countersign_protocol::secret::Secret::new("another very long password".to_owned());
    w.server.set_password(w.bank.environment.id, w.bank.ann.id, &password).await.unwrap();
    let gone = browser.submit(&page, form(&page, "remove_confirmed", &own)).await;
    assert_eq!(gone.heading(), "Sign in");
    nothing_happened(&w).await;
}

#[tokio::test]
async fn a_blocked_phone_neither_vouches_nor_goes() {
    let w = World::new().await;
    trust(&w).await;
    let (first, _) = two_phones(&w).await;
    let (mut browser, page) = at_the_page(&w, "ann", Some(&first)).await;
    let ids: Vec<_> = devices(&w, &w.bank.ann).await.iter().map(|device| device.id).collect();
    let environment = w.bank.environment.id;
    // The other one is blocked: it stays, for else its holder could pair it anew.
    w.server.change_device(environment, ids[1], DeviceChange::Block).await.unwrap();
    let page = browser.open(&page.url).await;
    let blocked = own_devices(&page)[1].clone();
    let refused = browser.submit(&page, form(&page, "remove_confirmed", &blocked)).await;
    assert!(refused.problem().starts_with("A device that is blocked"), "{}", refused.problem());
    w.server.change_device(environment, ids[1], DeviceChange::Unblock).await.unwrap();
    // The one that has vouched is blocked: what rests on it counts no more.
    w.server.change_device(environment, ids[0], DeviceChange::Block).await.unwrap();
    let page = browser.open(&page.url).await;
    assert!(asks_to_confirm(&page));
    let asked = browser.submit(&page, form(&page, "add", &blocked)).await;
    assert_eq!(asked.heading(), "Enter your password");
    assert_eq!(names(&browser.open(&w.url("/account")).await).len(), 2);
}

#[tokio::test]
async fn a_key_of_somebody_else_is_not_shown() {
    let w = World::new().await;
    trust(&w).await;
    let (mut ann, page) = at_the_page(&w, "ann", None).await;
    let of_ann = ann.press(&page, "add", &[]).await;
    let key = of_ann.url.split_once("&key=").unwrap().1.to_owned();
    w.user("bob").await;
    let (mut bob, page) = at_the_page(&w, "bob", None).await;
    let seen = bob.open(&format!("{}&key={key}", page.url)).await;
    assert_eq!(seen.heading(), "Your account");
    let flow = page.url.split_once("flowId=").unwrap().1;
    let url = w.url(&format!("/account/pairing-keys/{key}?flowId={flow}"));
    bob.send(crate::world::get(&url)).await.must_be(404);
    let url = url.replace(flow, of_ann.url.split(['=', '&']).nth(1).unwrap());
    bob.send(crate::world::get(&url)).await.must_be(404);
    ann.send(crate::world::get(&url)).await.must_be(200);
    w.browser().send(crate::world::get(&url)).await.must_be(404);
}

#[tokio::test]
async fn the_application_of_the_page_gets_neither_codes_nor_tokens() {
    let w = World::new().await;
    let own = w.client(&super::own_account(&w).to_string(), "https://evil.example/cb");
    for mode in ["query", "form_post", "pi.flow"] {
        let request = own.request().with("response_mode", mode);
        let refused = w.wire.get(&own.authorize_url(&request)).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{mode}: {refused:?}");
        let without = request.without("redirect_uri");
        let refused = w.wire.get(&own.authorize_url(&without)).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{mode}: {refused:?}");
    }
    let form = own.token_request("x");
    assert!(own.redeem(&form).await.status.is_client_error());
}
