//! What all pages have, and what no page gives away.

use countersign_domain::application::Application;
use countersign_store::Engine;

use crate::world::{Members, PASSWORD, World, get};

#[tokio::test]
async fn a_page_of_no_flow_or_of_another_browser_is_gone() {
    let w = World::new().await;
    let mut site = w.site();
    let own = site.browser.open(&site.authorize_url(&site.request())).await;
    let mut stranger = w.site();
    let foreign = stranger.browser.open(&stranger.authorize_url(&stranger.request())).await;
    for url in [
        foreign.url,
        w.url("/signon"),
        w.url("/signon?flowId="),
        w.url("/signon?flowId=x"),
        w.url("/signon?flowId=00000000-0000-7000-8000-000000000000"),
        format!("{}&flowId=x", own.url),
    ] {
        let page = site.browser.open(&url).await;
        let seen = (page.answer.status.as_u16(), page.heading());
        assert_eq!(seen, (404, "This sign-on has ended".to_owned()), "{url}");
    }
    w.advance(900);
    assert_eq!(site.browser.open(&own.url).await.heading(), "This sign-on has ended");
}

#[tokio::test]
async fn a_page_loads_nothing_from_elsewhere_and_sends_its_form_to_the_application_at_most() {
    let w = World::new().await;
    let mut site = w.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    assert_eq!(
        page.answer.header("content-security-policy"),
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
         form-action 'self' https://bank.example; frame-ancestors 'none'; base-uri 'none'"
    );
    assert_eq!(page.answer.header("x-frame-options"), "DENY");
    assert_eq!(page.answer.header("cache-control"), "no-store");
    assert_eq!(page.answer.header("content-type"), "text/html; charset=utf-8");
    assert!(!page.answer.text().contains("<script"), "no script before the answer");
    let mut native = w.app();
    let page = native.browser.open(&native.authorize_url(&native.request())).await;
    let policy = page.answer.header("content-security-policy");
    assert!(policy.contains("form-action 'self' org.bank.app:;"), "{policy}");
}

#[tokio::test]
async fn a_server_on_plain_http_uses_the_plain_cookie_and_promises_no_https() {
    let w = World::at("http://127.0.0.1:8080", Engine::Sqlite).await;
    let mut site = w.site();
    let answer = site.authorize(&site.request()).await.must_be(302);
    assert!(answer.header("set-cookie").starts_with("ST="));
    assert!(!answer.header("set-cookie").contains("Secure"));
    assert_eq!(answer.header("strict-transport-security"), "");
    let page = site.browser.open(answer.location().unwrap()).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let end = site.browser.press(&page, "login", &fields).await;
    site.tokens(&end.returned("code").unwrap()).await;
}

#[tokio::test]
async fn text_from_outside_is_shown_as_text() {
    const MARKUP: &str = "\"><script>alert('x')</script>&amp;";
    let w = World::new().await;
    let change = |a: &mut Application| a.name = MARKUP.to_owned();
    let application = w.bank.unusual_site(&w.server, change).await;
    let mut site = w.client(&application.id.to_string(), crate::world::SITE_ADDRESS);
    let is_text = |text: &str| {
        assert!(!text.contains("<script>"), "{text}");
        assert!(!text.contains("alert('x')"), "{text}");
    };
    let request = site.request().with("login_hint", MARKUP).with("state", MARKUP);
    let page = site.browser.open(&site.authorize_url(&request)).await;
    is_text(page.answer.text());
    assert_eq!(page.value_of("username"), MARKUP);
    let typed = [("username", MARKUP), ("password", MARKUP)];
    let page = site.browser.press(&page, "login", &typed).await;
    is_text(page.answer.text());
    assert_eq!(page.value_of("username"), MARKUP);
    let posted = request.with("response_mode", "form_post").with("prompt", "none");
    let page = site.browser.open(&site.authorize_url(&posted)).await;
    is_text(page.answer.text());
    assert_eq!(page.value_of("state"), MARKUP);
    for shown in [
        site.request().with("client_id", MARKUP),
        Members::default().and(MARKUP, "1").and(MARKUP, "2"),
    ] {
        let answer = site.authorize(&shown).await.must_be(400);
        is_text(answer.text());
    }
}

#[tokio::test]
async fn the_page_for_nobody_looks_like_the_page_for_somebody() {
    let mut w = World::new().await;
    w.bank.require(&w.server, &[crate::world::Step::IdentifierFirst]).await;
    let mut seen = Vec::new();
    for username in ["ann", "bob"] {
        let mut site = w.site();
        let page = site.browser.open(&site.authorize_url(&site.request())).await;
        let page = site.browser.press(&page, "identify", &[("username", username)]).await;
        let flow = page.url.split_once('=').unwrap().1.to_owned();
        let text = page.answer.text().replace(&page.value_of("token"), "TOKEN");
        seen.push(text.replace(&flow, "FLOW").replace(username, "NAME"));
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn the_page_of_a_flow_that_an_app_shows_itself_can_be_read_too() {
    let w = World::new().await;
    let sign_on = w.app().begin().await;
    let link =
        sign_on.flow.pointer("/_links/signOnPage/href").unwrap().as_str().unwrap().to_owned();
    let mut browser = sign_on.client.browser.clone();
    browser.send(get(&link)).await.must_be(200);
}
