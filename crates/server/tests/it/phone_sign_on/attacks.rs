//! Who would like to be signed in by somebody else's phone, and is not.

use super::*;

#[tokio::test]
async fn another_browser_gains_nothing_by_the_code_or_the_flow() {
    let mut w = World::new().await;
    let phone = offering(&mut w).await;
    let (mut site, page) = shown(&w).await;
    let mut thief = w.site();
    // The thief has photographed the page, and knows its address too.
    thief.browser.open(&thief.authorize_url(&thief.request())).await;
    assert_eq!(thief.browser.open(&page.url).await.heading(), "This sign-on has ended");
    let events = page.url.replace("/signon?", "/signon/events?");
    let listened = thief.browser.open(&events).await;
    assert_eq!(listened.heading(), "This sign-on has ended");
    read(&phone, &page).await.approve(None, None).await.unwrap();
    assert_eq!(thief.browser.open(&page.url).await.heading(), "This sign-on has ended");
    let end = refreshed(&mut site, &page).await;
    signed_in_by(&site, &end).await;
}

#[tokio::test]
async fn a_phone_that_cannot_verify_its_person_is_no_password() {
    let mut w = World::new().await;
    offering(&mut w).await;
    w.user("bob").await;
    w.bank.require(&w.server, &[Step::Login, MFA_BYPASS]).await;
    let phone = w.phone_without_verification().await;
    w.pair(&phone, "bob").await;
    let (mut site, page) = shown(&w).await;
    let refused = phone.sdk.authenticate(&page.code()).await;
    assert_eq!(refusal(refused), CodeRefusal::DeviceBarred);
    let still = refreshed(&mut site, &page).await;
    assert_eq!(still.heading(), "Sign in with your phone", "the right phone can still read it");
}

#[tokio::test]
async fn a_device_that_is_blocked_after_the_claim_approves_nothing() {
    let mut w = World::new().await;
    let phone = offering(&mut w).await;
    let (mut site, page) = shown(&w).await;
    let question = read(&phone, &page).await;
    let (environment, ann) = (w.bank.environment.id, w.bank.ann.id);
    let device = w.server.list_devices(environment, ann).await.unwrap().remove(0);
    w.server.change_device(environment, device.id, DeviceChange::Block).await.unwrap();
    assert_eq!(refusal(question.approve(None, None).await), CodeRefusal::DeviceBarred);
    let still = refreshed(&mut site, &page).await;
    assert_eq!(still.heading(), "Continue on your phone");
}

#[tokio::test]
async fn a_code_of_before_signs_nobody_on_at_the_page_of_after() {
    let mut w = World::new().await;
    let phone = offering(&mut w).await;
    let (mut site, page) = shown(&w).await;
    let old = read(&phone, &page).await;
    w.advance(60);
    let expired = refreshed(&mut site, &page).await;
    let page = site.browser.press(&expired, "phone", &[]).await;
    assert_eq!(refusal(old.approve(None, None).await), CodeRefusal::Expired);
    assert_eq!(refreshed(&mut site, &page).await.heading(), "Sign in with your phone");
}

#[tokio::test]
async fn of_two_phones_that_read_the_page_one_decides() {
    let mut w = World::new().await;
    let of_ann = offering(&mut w).await;
    w.bank.require(&w.server, &[Step::Login, MFA_BYPASS]).await;
    let bob = w.user("bob").await;
    let of_bob = w.phone_paired_to("bob").await;
    let (mut site, page) = shown(&w).await;
    let code = page.code();
    let (one, other) = tokio::join!(of_ann.sdk.authenticate(&code), of_bob.sdk.authenticate(&code));
    let (winner, loser) = if one.is_ok() { (one, other) } else { (other, one) };
    assert_eq!(refusal(loser), CodeRefusal::Claimed);
    let winner = winner.unwrap();
    winner.approve(None, None).await.unwrap();
    let end = refreshed(&mut site, &page).await;
    let (user, _) = signed_in_by(&site, &end).await;
    assert_eq!(user, winner.users()[0].id);
    assert!([w.bank.ann.id, bob.id].iter().any(|id| id.to_string() == user));
}
