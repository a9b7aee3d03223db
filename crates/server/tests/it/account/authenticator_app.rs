//! Authenticator apps: how one comes to an account, what it passes, and who tries to get around it.

use countersign_server::app::DeviceChange;
use serde_json::json;

use crate::{
    account::{
        App, accept_authenticators, asks_to_confirm, at_the_page, devices, names, own_devices,
        press, with_app,
    },
    world::{PASSWORD, World},
};

on_both_engines!(
    a_person_adds_an_app_and_signs_in_by_it,
    of_two_sign_ons_with_one_passcode_of_an_app_one_passes,
    an_app_is_asked_for_by_back_ends_too,
);

async fn a_person_adds_an_app_and_signs_in_by_it(w: &mut World) {
    accept_authenticators(w).await;
    let (mut browser, page) = at_the_page(w, "ann", None).await;
    let page = browser.press(&page, "add_authenticator", &[]).await;
    assert_eq!(page.heading(), "Add an authenticator app");
    let app = App::on(&page);
    let uri = page.answer.text().split_once("href=\"otpauth://").unwrap().1;
    assert!(uri.starts_with("totp/Bank:ann?secret="), "{uri}");
    let wrong = browser.press(&page, "activate", &[("passcode", &app.wrong(w))]).await;
    assert_eq!(wrong.answer.status, 400);
    assert!(wrong.problem().starts_with("That passcode did not work"));
    assert!(
        w.server
            .list_authenticators(w.bank.environment.id, w.bank.ann.id)
            .await
            .unwrap()
            .is_empty()
    );
    let page = browser.press(&wrong, "activate", &[("passcode", &app.passcode(w))]).await;
    assert_eq!(page.notice(), "It is added, and can sign you in from now on.");
    assert_eq!(names(&page), ["Authenticator app"]);
    // The passcode that has activated it has counted.
    let mut site = w.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let login = [("username", "ann"), ("password", PASSWORD)];
    let page = site.browser.press(&page, "login", &login).await;
    assert!(page.answer.text().contains("<strong>Authenticator app</strong>"));
    let spent = site.browser.press(&page, "passcode", &[("passcode", &app.passcode(w))]).await;
    assert!(spent.problem().starts_with("That passcode did not work"));
    w.advance(30);
    let end = site.browser.press(&spent, "passcode", &[("passcode", &app.passcode(w))]).await;
    let tokens = site.tokens(&end.returned("code").unwrap()).await;
    assert_eq!(tokens.id_claims()["amr"], json!(["pwd", "otp", "mfa"]));
    let created = w.audit_of("DEVICE.CREATED").await;
    assert_eq!(created[0].event.reason.as_deref(), Some("activated"));
    let by = created[0].event.device.as_ref().and_then(|device| device.name.as_deref());
    assert_eq!(by, Some("Authenticator app"));
    assert_eq!(w.audit_of("DEVICE.ACTIVATION_FAILED").await.len(), 1);
    assert_eq!(w.audit_of("OTP.CHECK_SUCCESS").await.len(), 1);
}

async fn of_two_sign_ons_with_one_passcode_of_an_app_one_passes(w: &mut World) {
    let app = with_app(w, "ann").await;
    let mut sign_ons = Vec::new();
    for _ in 0..2 {
        let mut sign_on = w.site().begin().await;
        sign_on.password("ann", PASSWORD).await.must_be(200);
        assert_eq!(sign_on.flow["_embedded"]["devices"][0]["type"], "TOTP");
        sign_ons.push(sign_on);
    }
    let [mut first, mut second]: [_; 2] = sign_ons.try_into().ok().unwrap();
    let passcode = app.passcode(w);
    let (one, other) = tokio::join!(first.passcode(&passcode), second.passcode(&passcode));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
}

async fn an_app_is_asked_for_by_back_ends_too(w: &mut World) {
    let app = with_app(w, "ann").await;
    let mut authentication = w.backend().await.begin(&w.ann()).await;
    assert_eq!(authentication.status(), "OTP_REQUIRED");
    let shown = &authentication.shown["_embedded"]["devices"][0];
    assert_eq!((&shown["type"], &shown["status"]), (&json!("TOTP"), &json!("ACTIVE")));
    assert!(shown.get("application").is_none() && shown.get("seed").is_none(), "{shown}");
    for _ in 0..2 {
        authentication.passcode(&app.wrong(w)).await.must_be(400);
    }
    authentication.passcode(&app.wrong(w)).await.must_be(200);
    assert_eq!(authentication.shown["error"]["code"], "DEVICE_LOCKED");
    let embedded = &authentication.shown["_embedded"]["devices"][0];
    assert_eq!(embedded["usableStatus"]["reason"], "DEVICE_LOCKED");
    w.advance(120);
    let id = authentication.device(0).to_owned();
    let mut wanted = w.ann();
    wanted["selectedDevice"] = json!({ "id": id });
    let mut again = w.backend().await.begin(&wanted).await;
    again.passcode(&app.passcode(w)).await.must_be(200);
    assert_eq!((again.status(), &again.shown["authenticators"]), ("COMPLETED", &json!(["otp"])));
}

#[tokio::test]
async fn an_app_is_no_bypass_and_stands_in_the_way_of_one() {
    let mut w = World::new().await;
    let app = with_app(&mut w, "ann").await;
    // Whoever knows the password alone neither passes, nor pairs a phone.
    let phone = w.phone().await;
    let mut sign_on = w.sign_in_on(&phone, "ann").await;
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
    sign_on.passcode(&app.passcode(&w)).await.must_be(200);
    phone.approve(&sign_on.tokens().await).await;
    assert_eq!(devices(&w, &w.bank.ann).await.len(), 1);
    // From now on the phone passes by itself.
    let again = w.sign_in_on(&phone, "ann").await;
    assert_eq!(again.status(), "COMPLETED");
}

#[tokio::test]
async fn an_app_of_another_user_passes_nothing() {
    let mut w = World::new().await;
    let of_ann = with_app(&mut w, "ann").await;
    w.user("bob").await;
    let of_bob = with_app(&mut w, "bob").await;
    let mut sign_on = w.site().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    sign_on.passcode(&of_bob.passcode(&w)).await.must_be(400);
    sign_on.passcode(&of_ann.passcode(&w)).await.must_be(200);
}

#[tokio::test]
async fn an_app_is_added_beside_a_device_only_by_who_has_shown_that() {
    let mut w = World::new().await;
    accept_authenticators(&mut w).await;
    let (mut thief, page) = at_the_page(&w, "ann", None).await;
    let begun = thief.press(&page, "add_authenticator", &[]).await;
    let app = App::on(&begun);
    // Ann pairs her first phone meanwhile.
    w.phone_paired_to("ann").await;
    let refused = thief.press(&begun, "activate", &[("passcode", &app.passcode(&w))]).await;
    assert_eq!(refused.heading(), "Enter your password");
    let seen = thief.open(&begun.url).await;
    assert!(asks_to_confirm(&seen), "{}", seen.answer.text());
    assert!(!seen.answer.text().contains("add_authenticator"));
    assert!(
        w.server
            .list_authenticators(w.bank.environment.id, w.bank.ann.id)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_seed_is_shown_to_its_user_alone_and_only_until_it_is_active() {
    let mut w = World::new().await;
    accept_authenticators(&mut w).await;
    let (mut ann, page) = at_the_page(&w, "ann", None).await;
    let begun = ann.press(&page, "add_authenticator", &[]).await;
    let id = begun.url.split_once("&authenticator=").unwrap().1.to_owned();
    w.user("bob").await;
    let (mut bob, page) = at_the_page(&w, "bob", None).await;
    let seen = bob.open(&format!("{}&authenticator={id}", page.url)).await;
    assert_eq!(seen.heading(), "Your account");
    assert_eq!(w.browser().open(&begun.url).await.heading(), "Sign in");
    let app = App::on(&begun);
    ann.press(&begun, "activate", &[("passcode", &app.passcode(&w))]).await;
    let seen = ann.open(&begun.url).await;
    assert!(!seen.answer.text().contains("otpauth:"));
}

#[tokio::test]
async fn an_activation_ends_with_three_wrong_passcodes_or_its_time() {
    let mut w = World::new().await;
    accept_authenticators(&mut w).await;
    let (mut browser, page) = at_the_page(&w, "ann", None).await;
    let mut page = browser.press(&page, "add_authenticator", &[]).await;
    let app = App::on(&page);
    for _ in 0..3 {
        page = browser.press(&page, "activate", &[("passcode", &app.wrong(&w))]).await;
    }
    assert!(page.problem().starts_with("The time or the tries"), "{}", page.problem());
    assert_eq!(page.heading(), "Your account");
    // A second one takes the place of the first.
    let first = browser.press(&page, "add_authenticator", &[]).await;
    let second = browser.press(&page, "add_authenticator", &[]).await;
    let of_first = App::on(&first).passcode(&w);
    let gone = browser.press(&first, "activate", &[("passcode", &of_first)]).await;
    assert!(gone.problem().starts_with("The time or the tries"));
    let of_second = App::on(&second).passcode(&w);
    let added = browser.press(&second, "activate", &[("passcode", &of_second)]).await;
    assert_eq!(names(&added), ["Authenticator app"]);
}

#[tokio::test]
async fn an_app_is_renamed_moved_and_removed_like_a_phone() {
    let mut w = World::new().await;
    accept_authenticators(&mut w).await;
    let phone = w.phone_paired_to("ann").await;
    let (mut browser, page) = at_the_page(&w, "ann", Some(&phone)).await;
    let page = browser.press(&page, "add_authenticator", &[]).await;
    let app = App::on(&page);
    let page = browser.press(&page, "activate", &[("passcode", &app.passcode(&w))]).await;
    assert_eq!(names(&page), ["FP5", "Authenticator app"]);
    let own = own_devices(&page)[1].clone();
    let version = own.version.to_string();
    let fields = [("device", own.id.as_str()), ("version", &version), ("nickname", "Tablet")];
    let page = browser.press(&page, "rename", &fields).await;
    let page = press(&mut browser, &page, "up", &own_devices(&page)[1]).await;
    assert_eq!(names(&page), ["Tablet", "FP5"]);
    // A barred one stays, as a phone does.
    let environment = w.bank.environment.id;
    let id = own.id.parse().unwrap();
    w.server.change_device(environment, id, DeviceChange::Block).await.unwrap();
    let page = browser.open(&page.url).await;
    assert!(page.answer.text().contains("An administrator has blocked it."));
    w.server.change_device(environment, id, DeviceChange::Unblock).await.unwrap();
    let page = browser.open(&page.url).await;
    let asked = press(&mut browser, &page, "remove", &own_devices(&page)[0]).await;
    let page = press(&mut browser, &asked, "remove_confirmed", &own_devices(&asked)[0]).await;
    assert_eq!(names(&page), ["FP5"]);
}

#[tokio::test]
async fn what_the_policy_does_not_accept_is_neither_added_nor_asked_for() {
    let mut w = World::new().await;
    with_app(&mut w, "ann").await;
    let off = |policy: &mut countersign_domain::mfa_policy::MfaPolicy| {
        policy.authenticators = countersign_domain::mfa_policy::Authenticators::default();
    };
    w.bank.change_mfa_policy(&w.server, off).await;
    // As with a phone of an app that is not listed: the user counts as one without a device, which passes here.
    let mut sign_on = w.site().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.status(), "COMPLETED");
    let (_, page) = at_the_page(&w, "ann", None).await;
    assert!(asks_to_confirm(&page) && !page.answer.text().contains("add_authenticator"));
}
