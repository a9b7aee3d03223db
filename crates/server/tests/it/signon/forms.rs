//! Forms: whose they are, and what is missing in them.

use crate::world::{FORM, JSON, Members, PASSWORD, Step, World, post};

fn login(token: &str) -> Members {
    Members::from([
        ("action", "login"),
        ("username", "ann"),
        ("password", PASSWORD),
        ("token", token),
    ])
}

#[tokio::test]
async fn a_form_without_the_token_of_its_page_does_nothing() {
    let w = World::new().await;
    let mut site = w.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let token = page.value_of("token");
    let other_flow = site.browser.open(&site.authorize_url(&site.request())).await;
    let mut stranger = w.site();
    let foreign = stranger.browser.open(&stranger.authorize_url(&stranger.request())).await;
    for unfit in ["", "x", &other_flow.value_of("token"), &foreign.value_of("token"), &token[1..]] {
        let again = site.browser.submit(&page, login(unfit)).await;
        assert_eq!(again.answer.status, 400);
        assert_eq!((again.heading().as_str(), again.value_of("token")), ("Sign in", token.clone()));
        assert!(
            again.problem().starts_with("This page was open for a long time"),
            "{}",
            again.problem()
        );
    }
    let end = site.browser.submit(&page, login(&token)).await;
    site.tokens(&end.returned("code").unwrap()).await;
}

#[tokio::test]
async fn a_form_is_of_no_use_without_the_cookie_of_its_browser() {
    let w = World::new().await;
    let mut site = w.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let mut stranger = w.site();
    stranger.authorize(&stranger.request()).await;
    let form = login(&page.value_of("token"));
    for browser in [&mut stranger.browser, &mut w.browser()] {
        let gone = browser.submit(&page, form.clone()).await;
        assert_eq!(
            (gone.answer.status.as_u16(), gone.heading().as_str()),
            (404, "This sign-on has ended")
        );
    }
}

#[tokio::test]
async fn a_field_that_came_empty_is_named() {
    let mut w = World::new().await;
    w.phone_paired_to("ann").await;
    let mut site = w.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let page = site.browser.press(&page, "login", &[("username", "ann"), ("password", "")]).await;
    assert_eq!(page.problem(), "Enter your password to continue.");
    let page = site.browser.press(&page, "login", &[("username", ""), ("password", "x")]).await;
    assert_eq!(page.problem(), "Enter your username to continue.");
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let page = site.browser.press(&page, "login", &fields).await;
    let page = site.browser.press(&page, "passcode", &[("passcode", "")]).await;
    assert_eq!(page.problem(), "Enter your passcode to continue.");
    let device =
        Members::from([("action", "device"), ("device", "x"), ("token", &page.value_of("token"))]);
    assert_eq!(site.browser.submit(&page, device).await.problem(), "Choose a device to continue.");
    w.bank.require(&w.server, &[Step::IdentifierFirst]).await;
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let page = site.browser.press(&page, "identify", &[("username", "")]).await;
    assert_eq!(page.problem(), "Enter your username to continue.");
}

#[tokio::test]
async fn an_action_that_is_none_changes_nothing() {
    let w = World::new().await;
    let mut site = w.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let token = page.value_of("token");
    for action in ["", "delete", "passcode", "device"] {
        let form = Members::from([("action", action), ("passcode", "123456"), ("token", &token)]);
        let again = site.browser.submit(&page, form).await;
        assert_eq!((again.answer.status.as_u16(), again.heading().as_str()), (400, "Sign in"));
        assert!(!again.problem().is_empty());
    }
}

#[tokio::test]
async fn what_is_no_form_is_answered_with_the_page() {
    let w = World::new().await;
    let mut site = w.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let large = "x".repeat(70_000);
    for (media_type, body) in [(JSON, "{}"), (FORM, "token=a&token=b"), (FORM, large.as_str())] {
        let answer = site.browser.send(post(&page.url, media_type, body.to_owned())).await;
        assert!(answer.status.is_client_error());
        assert!(answer.text().contains("role=\"alert\""), "{}", answer.text());
    }
}
