//! The hosted pages, in a browser without JavaScript.

use super::*;

on_both_engines!(
    who_approves_on_the_phone_is_signed_in_at_the_page,
    the_number_that_the_page_shows_must_come_back,
    a_code_that_is_shown_no_more_is_of_no_use,
);

async fn who_approves_on_the_phone_is_signed_in_at_the_page(w: &mut World) {
    let phone = offering(w).await;
    let (mut site, page) = shown(w).await;
    assert_eq!(page.heading(), "Sign in with your phone");
    assert!(page.answer.text().contains("<noscript><meta http-equiv=\"refresh\""));
    assert!(page.answer.text().contains(">60 s left<"));
    let question = read(&phone, &page).await;
    assert_eq!(question.status(), CodeStatus::Claimed);
    assert_eq!(question.application(), "Bank site");
    let claimed = refreshed(&mut site, &page).await;
    assert_eq!(claimed.heading(), "Continue on your phone");
    assert!(!claimed.answer.text().contains(&page.code()), "nobody else shall read it");
    question.approve(None, None).await.unwrap();
    let end = refreshed(&mut site, &claimed).await;
    let (user, amr) = signed_in_by(&site, &end).await;
    assert_eq!((user, amr), (w.bank.ann.id.to_string(), json!(["swk", "user"])));
    // The session goes on without a phone, as one that has passed an MFA step.
    let again = site.browser.open(&site.authorize_url(&site.request())).await;
    assert!(again.returned("code").is_some(), "{again:?}");
    // Not so at an application that lets no phone take the place of a password.
    let mut app = w.app().at(&site.browser);
    let page = app.browser.open(&app.authorize_url(&app.request())).await;
    assert_eq!(page.heading(), "Enter your password");
}

async fn the_number_that_the_page_shows_must_come_back(w: &mut World) {
    let phone = offering(w).await;
    let rule = |policy: &mut countersign_domain::mfa_policy::MfaPolicy| {
        policy.mobile.applications[0].codes.number_matching = true;
    };
    w.bank.change_mfa_policy(&w.server, rule).await;
    for wrong in [false, true] {
        let (mut site, page) = shown(w).await;
        assert!(!page.answer.text().contains("id=\"number\""), "there is none before the claim");
        let question = read(&phone, &page).await;
        let claimed = refreshed(&mut site, &page).await;
        let number: u32 = claimed.number().parse().unwrap();
        let given = if wrong { other_than(number, &question) } else { number };
        let answer = question.approve(None, Some(given)).await;
        let after = refreshed(&mut site, &claimed).await;
        if wrong {
            assert!(matches!(answer, Err(Error::WrongNumber)), "{answer:?}");
            assert!(after.paragraph().contains("was no"), "{}", after.paragraph());
        } else {
            signed_in_by(&site, &after).await;
        }
    }
}

fn other_than(number: u32, question: &AuthenticationObject) -> u32 {
    let options = question.number_matching_options().iter().copied();
    options.chain([number ^ 1]).find(|option| *option != number).unwrap()
}

async fn a_code_that_is_shown_no_more_is_of_no_use(w: &mut World) {
    let phone = offering(w).await;
    let (mut site, page) = shown(w).await;
    let claimed = read(&phone, &page).await;
    let password = site.browser.press(&page, "reset", &[]).await;
    assert_eq!(password.heading(), "Sign in");
    assert_eq!(refusal(claimed.approve(None, None).await), CodeRefusal::Expired);
    let page = site.browser.press(&password, "phone", &[]).await;
    let left = page.code();
    site.browser.press(&page, "cancel", &[]).await;
    assert_eq!(refusal(phone.sdk.authenticate(&left).await), CodeRefusal::Expired);
}

#[tokio::test]
async fn a_code_that_has_run_out_is_shown_anew() {
    let mut w = World::new().await;
    let phone = offering(&mut w).await;
    let (mut site, page) = shown(&w).await;
    let old = page.code();
    w.advance(60);
    let expired = refreshed(&mut site, &page).await;
    assert!(expired.paragraph().contains("not used in time"), "{}", expired.paragraph());
    assert!(!expired.answer.text().contains("http-equiv"), "it changes no more by itself");
    assert_eq!(refusal(phone.sdk.authenticate(&old).await), CodeRefusal::Expired);
    let page = site.browser.press(&expired, "phone", &[]).await;
    assert_ne!(page.code(), old);
    read(&phone, &page).await.approve(None, None).await.unwrap();
    let end = refreshed(&mut site, &page).await;
    signed_in_by(&site, &end).await;
}

#[tokio::test]
async fn who_says_no_on_the_phone_can_try_again_or_type_a_password() {
    let mut w = World::new().await;
    let phone = offering(&mut w).await;
    let (mut site, page) = shown(&w).await;
    read(&phone, &page).await.deny(None).await.unwrap();
    let denied = refreshed(&mut site, &page).await;
    assert!(denied.paragraph().contains("was no"), "{}", denied.paragraph());
    assert!(denied.answer.text().contains("Show a new code"));
    let password = site.browser.press(&denied, "reset", &[]).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let page = site.browser.press(&password, "login", &fields).await;
    assert_eq!(page.heading(), "Enter your passcode");
    assert!(!page.answer.text().contains("value=\"phone\""), "a user is known by now");
}

#[tokio::test]
async fn a_phone_of_three_users_signs_the_chosen_one_on() {
    let mut w = World::new().await;
    let phone = offering(&mut w).await;
    w.bank.require(&w.server, &[Step::Login, MFA_BYPASS]).await;
    for name in ["bob", "cyd"] {
        w.user(name).await;
        // Who came later is told later.
        w.advance(1);
        w.pair(&phone, name).await;
    }
    let (mut site, page) = shown(&w).await;
    let question = read(&phone, &page).await;
    let names: Vec<_> = question.users().iter().map(|user| &*user.username).collect();
    assert_eq!(names, ["ann", "bob", "cyd"]);
    let bob = question.users()[1].id.clone();
    question.approve(Some(&bob), None).await.unwrap();
    let end = refreshed(&mut site, &page).await;
    assert_eq!(signed_in_by(&site, &end).await.0, bob);
}

#[tokio::test]
async fn the_phone_takes_the_place_of_a_user_name_where_the_device_comes_first() {
    let mut w = World::new().await;
    let phone = offering(&mut w).await;
    w.bank.require(&w.server, &[Step::Mfa(NoDevicesMode::Block)]).await;
    let (mut site, page) = shown(&w).await;
    read(&phone, &page).await.approve(None, None).await.unwrap();
    let end = refreshed(&mut site, &page).await;
    assert_eq!(signed_in_by(&site, &end).await.1, json!(["swk", "user"]));
}

#[tokio::test]
async fn the_phone_takes_the_place_of_device_and_password_in_either_order() {
    let mut w = World::new().await;
    let phone = offering(&mut w).await;
    w.bank.require(&w.server, &[Step::Mfa(NoDevicesMode::Block), Step::Login]).await;
    let (mut site, page) = shown(&w).await;
    read(&phone, &page).await.approve(None, None).await.unwrap();
    let end = refreshed(&mut site, &page).await;
    assert_eq!(signed_in_by(&site, &end).await.1, json!(["swk", "user"]));
}

#[tokio::test]
async fn where_the_application_does_not_offer_it_there_is_no_button_and_no_way() {
    let mut w = World::new().await;
    w.bank.require(&w.server, &[Step::Login, MFA_BYPASS]).await;
    let mut site = w.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    assert!(!page.answer.text().contains("value=\"phone\""));
    let forged = crate::world::Members::default().and("action", "phone");
    let forged = forged.and("token", &page.value_of("token"));
    let again = site.browser.submit(&page, forged).await;
    assert_eq!(again.heading(), "Sign in");
}

#[tokio::test]
async fn an_application_that_waits_for_somebody_takes_nobody_else() {
    let mut w = World::new().await;
    let phone = offering(&mut w).await;
    w.bank.require(&w.server, &[Step::Login, MFA_BYPASS]).await;
    let bob = w.user("bob").await;
    let hint = w.site().sign_in("bob").await;
    let mut site = w.site();
    let request = site.request().with("id_token_hint", &hint.id_token).with("prompt", "login");
    let page = site.browser.open(&site.authorize_url(&request)).await;
    let page = site.browser.press(&page, "phone", &[]).await;
    read(&phone, &page).await.approve(None, None).await.unwrap();
    let end = refreshed(&mut site, &page).await;
    assert_eq!(end.heading(), "You are not signed in", "{} is expected", bob.id);
}

#[tokio::test]
async fn what_happens_is_told_with_the_flow_in_the_audit_log() {
    let mut w = World::new().await;
    let phone = offering(&mut w).await;
    let (mut site, page) = shown(&w).await;
    read(&phone, &page).await.approve(None, None).await.unwrap();
    let end = refreshed(&mut site, &page).await;
    signed_in_by(&site, &end).await;
    let told = w.audit_of("AUTHENTICATION_CODE.UPDATED").await;
    let events: Vec<_> = told.into_iter().map(|record| record.entry.event).collect();
    assert!(events.iter().all(|event| event.flow.is_some()));
    let approved = events.iter().find(|event| event.reason.as_deref() == Some("approved"));
    let event = approved.unwrap();
    assert_eq!(event.user.as_ref().map(|user| user.id), Some(w.bank.ann.id));
    assert!(end.url.starts_with(SITE_ADDRESS));
}
