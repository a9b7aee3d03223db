//! What a person can do to the own devices.

use crate::{
    account::{
        actors, ask_for_passwords_alone, asks_to_confirm, at_the_page, devices, names, own_devices,
        press, sign_in, trust, two_phones,
    },
    world::{Browser, MFA_BYPASS, PASSWORD, Page, Step, World},
};

on_both_engines!(
    a_person_renames_orders_and_removes_devices,
    a_change_rests_on_a_device_that_has_vouched_lately,
);

async fn a_person_renames_orders_and_removes_devices(w: &mut World) {
    trust(w).await;
    let (first, second) = two_phones(w).await;
    let (mut browser, page) = at_the_page(w, "ann", Some(&first)).await;
    let shown = own_devices(&page);
    let version = shown[1].version.to_string();
    let rename =
        [("device", shown[1].id.as_str()), ("version", &version), ("nickname", " Work phone ")];
    let page = browser.press(&page, "rename", &rename).await;
    assert_eq!(page.notice(), "The device has its new name.");
    assert_eq!(names(&page), ["FP5", "Work phone"]);
    let page = press(&mut browser, &page, "up", &own_devices(&page)[1]).await;
    assert_eq!(names(&page), ["Work phone", "FP5"]);
    assert!(page.answer.text().contains("Work phone</strong> <span class=\"badge\">Asked first<"));
    // The next sign-on asks the first one.
    w.advance(30);
    let mut site = w.site();
    let url = site.authorize_url(&site.request());
    let asked = site.browser.open(&url).await;
    let login = [("username", "ann"), ("password", PASSWORD)];
    let asked = site.browser.press(&asked, "login", &login).await;
    assert!(asked.answer.text().contains("<strong>Work phone</strong>"), "{:?}", asked.answer);
    let passcode = second.passcode();
    let end = site.browser.press(&asked, "passcode", &[("passcode", &passcode)]).await;
    assert!(end.returned("code").is_some());
    let page = browser.open(&page.url).await;
    let asked = press(&mut browser, &page, "remove", &own_devices(&page)[0]).await;
    assert_eq!(asked.heading(), "Remove this device?");
    assert!(!asked.answer.text().contains("only device"));
    let page = press(&mut browser, &asked, "remove_confirmed", &own_devices(&asked)[0]).await;
    assert_eq!(page.notice(), "The device is removed. It can no longer sign you in.");
    assert_eq!((names(&page).len(), devices(w, &w.bank.ann).await.len()), (1, 1));
    let told = w.audit_of("DEVICE.UPDATED").await;
    // Both were at the same moment, so their order in the log is by chance.
    let mut reasons: Vec<_> = told.iter().map(|record| record.event.reason.as_deref()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, [Some("moved"), Some("renamed")]);
    let removed = w.audit_of("DEVICE.DELETED").await;
    assert_eq!(removed[0].event.reason.as_deref(), Some("removed_by_user"));
    for record in told.iter().chain(&removed) {
        let own = (Some("My account".to_owned()), Some("ann".to_owned()));
        assert_eq!(actors(record), own);
        let device = record.event.device.as_ref().and_then(|device| device.name.as_deref());
        assert_eq!(device, Some("Work phone"));
    }
}

async fn a_change_rests_on_a_device_that_has_vouched_lately(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    ask_for_passwords_alone(w).await;
    let (mut browser, page) = at_the_page(w, "ann", None).await;
    assert!(asks_to_confirm(&page));
    // The sign-on itself goes without a device; who confirms does not, where the policy of the environment knows the app.
    let page = browser.press(&page, "confirm", &[]).await;
    assert_eq!((page.heading().as_str(), &*page.value_of("password")), ("Enter your password", ""));
    let page = browser.press(&page, "password", &[("password", PASSWORD)]).await;
    let text = page.answer.text();
    assert!(text.contains("None of your devices could confirm"), "{text}");
    w.bank.require(&w.server, &[Step::Login, MFA_BYPASS]).await;
    let page = browser.open(&w.url("/account")).await;
    let passcode = phone.passcode();
    let page = browser.press(&page, "passcode", &[("passcode", &passcode)]).await;
    assert!(!asks_to_confirm(&page), "{}", page.answer.text());
    w.advance(600);
    let page = browser.open(&w.url("/account")).await;
    assert!(!asks_to_confirm(&page));
    w.advance(300);
    // A page of before serves to confirm, and is then as good as new.
    let stale = press(&mut browser, &page, "remove", &own_devices(&page)[0]).await;
    assert_eq!(stale.heading(), "Enter your password", "{}", stale.answer.text());
    assert_eq!(devices(w, &w.bank.ann).await.len(), 1);
    let page = browser.press(&stale, "password", &[("password", PASSWORD)]).await;
    let passcode = phone.passcode();
    let page = browser.press(&page, "passcode", &[("passcode", &passcode)]).await;
    assert!(!asks_to_confirm(&page), "{}", page.answer.text());
}

async fn asked_to_remove_the_only_one(w: &World) -> (Browser, Page) {
    trust(w).await;
    let phone = w.phone_paired_to("ann").await;
    let (mut browser, page) = at_the_page(w, "ann", Some(&phone)).await;
    let asked = press(&mut browser, &page, "remove", &own_devices(&page)[0]).await;
    (browser, asked)
}

#[tokio::test]
async fn who_removes_the_last_device_is_warned_and_can_pair_another_at_once() {
    let w = World::new().await;
    let (mut browser, asked) = asked_to_remove_the_only_one(&w).await;
    assert!(asked.problem().starts_with("It is your only device."), "{}", asked.problem());
    let page = press(&mut browser, &asked, "remove_confirmed", &own_devices(&asked)[0]).await;
    assert!(page.answer.text().contains("You have no device yet"));
    assert!(page.answer.text().contains("value=\"add\""));
}

#[tokio::test]
async fn a_removed_phone_vouches_for_nobody() {
    let w = World::new().await;
    trust(&w).await;
    let (first, second) = two_phones(&w).await;
    let (mut browser, page) = at_the_page(&w, "ann", Some(&first)).await;
    let of_first = own_devices(&page)[0].clone();
    let asked = press(&mut browser, &page, "remove", &of_first).await;
    let page = press(&mut browser, &asked, "remove_confirmed", &own_devices(&asked)[0]).await;
    // The phone that has vouched is gone, and with it what rests on it.
    assert!(asks_to_confirm(&page), "{}", page.answer.text());
    let page = browser.press(&page, "confirm", &[]).await;
    let page = browser.press(&page, "password", &[("password", PASSWORD)]).await;
    w.advance(30);
    let passcode = second.passcode();
    let page = browser.press(&page, "passcode", &[("passcode", &passcode)]).await;
    assert!(!asks_to_confirm(&page), "{}", page.answer.text());
}

#[tokio::test]
async fn a_name_that_cannot_be_one_is_refused_and_none_is_that_of_the_model() {
    let w = World::new().await;
    trust(&w).await;
    let phone = w.phone_paired_to("ann").await;
    let (mut browser, mut page) = at_the_page(&w, "ann", Some(&phone)).await;
    for name in ["x".repeat(101), "a\u{202e}b".to_owned()] {
        let own = own_devices(&page)[0].clone();
        let version = own.version.to_string();
        let fields = [("device", own.id.as_str()), ("version", &version), ("nickname", &name)];
        page = browser.press(&page, "rename", &fields).await;
        assert_eq!(page.answer.status, 400);
        assert!(page.problem().starts_with("A device cannot be called that."));
        assert_eq!(names(&page), ["FP5"]);
    }
    for (name, shown) in [("<b>Mine</b>", "&#60;b&#62;Mine&#60;/b&#62;"), ("  ", "FP5")] {
        let own = own_devices(&page)[0].clone();
        let version = own.version.to_string();
        let fields = [("device", own.id.as_str()), ("version", &version), ("nickname", name)];
        page = browser.press(&page, "rename", &fields).await;
        assert_eq!(names(&page), [shown]);
    }
}

#[tokio::test]
async fn who_confirms_must_be_the_same_person() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    w.user("bob").await;
    let (mut browser, page) = at_the_page(&w, "ann", None).await;
    let page = browser.press(&page, "confirm", &[]).await;
    let page = browser.press(&page, "reset", &[]).await;
    let page = sign_in(&mut browser, page, "bob", None).await;
    assert_eq!(page.heading(), "You are not signed in");
    drop(phone);
    // Nothing has changed for ann.
    let page = browser.open(&w.url("/account")).await;
    assert!(page.answer.text().contains("signed in as <strong>ann</strong>"));
}

#[tokio::test]
async fn who_gives_up_to_confirm_is_back_on_the_page() {
    let w = World::new().await;
    w.phone_paired_to("ann").await;
    let (mut browser, page) = at_the_page(&w, "ann", None).await;
    let page = browser.press(&page, "confirm", &[]).await;
    let page = browser.press(&page, "cancel", &[]).await;
    assert_eq!(page.heading(), "Your account");
    assert!(asks_to_confirm(&page));
}
