//! `/{environment}/as/authorize`: how a flow begins, and how its answer comes back.

use serde_json::json;

use crate::world::{FORM, HTTPS, PASSWORD, SITE_ADDRESS, Step, World, get, post};

#[tokio::test]
async fn a_request_leads_to_the_hosted_page() {
    let w = World::new().await;
    let mut site = w.site();
    let answer = site.authorize(&site.request()).await.must_be(302);
    let page = answer.location().unwrap();
    assert!(page.starts_with(&w.url("/signon?flowId=")), "{page}");
    assert_eq!(site.browser.open(page).await.heading(), "Sign in");
}

#[tokio::test]
async fn a_posted_request_is_the_same() {
    let w = World::new().await;
    let mut site = w.site();
    let request = post(&format!("{}/authorize", site.issuer), FORM, site.request().encoded());
    let answer = site.browser.send(request).await.must_be(302);
    assert!(answer.location().unwrap().starts_with(&w.url("/signon?flowId=")));
}

#[tokio::test]
async fn the_cookie_is_out_of_reach_of_scripts_other_hosts_and_plain_http() {
    let w = World::new().await;
    let mut site = w.site();
    let answer = site.authorize(&site.request()).await;
    let (name, rest) = answer.header("set-cookie").split_once('=').unwrap();
    let (value, attributes) = rest.split_once(';').unwrap();
    assert_eq!((name, value.len()), ("__Host-ST", 43));
    assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Lax; Secure");
}

#[tokio::test]
async fn a_browser_keeps_its_cookie_over_several_flows() {
    let w = World::new().await;
    let mut site = w.site();
    let first = site.authorize(&site.request()).await;
    let cookie = site.browser.cookie();
    let second = site.authorize(&site.request()).await;
    assert_eq!(site.browser.cookie(), cookie);
    for answer in [first, second] {
        site.browser.send(get(answer.location().unwrap())).await.must_be(200);
    }
}

#[tokio::test]
async fn by_query_the_answer_has_code_state_and_issuer() {
    let w = World::new().await;
    let mut site = w.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let end = site.browser.press(&page, "login", &fields).await;
    assert!(end.url.starts_with(&format!("{SITE_ADDRESS}?code=")), "{}", end.url);
    assert_eq!(end.returned("state").as_deref(), Some("state-1"));
    assert_eq!(end.returned("iss"), Some(w.issuer()));
    site.tokens(&end.returned("code").unwrap()).await;
}

#[tokio::test]
async fn by_form_the_answer_has_code_state_and_issuer() {
    let w = World::new().await;
    let mut site = w.site();
    let request = site.request().with("response_mode", "form_post");
    let page = site.browser.open(&site.authorize_url(&request)).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let end = site.browser.press(&page, "login", &fields).await;
    let text = end.answer.text();
    assert!(text.contains(&format!("<form method=\"post\" action=\"{SITE_ADDRESS}\">")), "{text}");
    assert_eq!(end.value_of("state"), "state-1");
    assert_eq!(end.value_of("iss"), w.issuer());
    let policy = end.answer.header("content-security-policy");
    assert!(policy.contains("form-action 'self' https://bank.example;"), "{policy}");
    site.tokens(&end.value_of("code")).await;
}

#[tokio::test]
async fn in_the_flow_the_answer_has_code_state_and_issuer() {
    let w = World::new().await;
    let mut sign_on = w.app().begin().await;
    assert_eq!(sign_on.flow.get("authorizeResponse"), None);
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.response("state"), "state-1");
    assert_eq!(sign_on.response("iss"), w.issuer());
    sign_on.tokens().await;
}

#[tokio::test]
async fn an_app_with_own_screens_needs_no_address() {
    let w = World::new().await;
    let app = w.app();
    let request = app.request().without("redirect_uri");
    let mut sign_on = app.begin_with(request).await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    let request = sign_on.client.token_request(&sign_on.code()).without("redirect_uri");
    sign_on.client.redeem(&request).await.must_be(200);
}

#[tokio::test]
async fn an_address_with_a_query_keeps_it() {
    let w = World::new().await;
    let address = "https://bank.example/callback?from=countersign";
    let change = |a: &mut countersign_domain::application::Application| {
        a.redirect_uris = vec![address.to_owned()];
    };
    let application = w.bank.unusual_site(&w.server, change).await;
    let mut site = w.client(&application.id.to_string(), address);
    let answer = site.authorize(&site.request().with("prompt", "none")).await.must_be(302);
    assert_eq!(answer.returned("from").as_deref(), Some("countersign"));
    assert_eq!(answer.returned("error").as_deref(), Some("login_required"));
}

#[tokio::test]
async fn a_loopback_address_may_have_any_port() {
    let w = World::new().await;
    let change = |a: &mut countersign_domain::application::Application| {
        a.redirect_uris = vec!["http://127.0.0.1/callback".to_owned()];
    };
    let application = w.bank.unusual_site(&w.server, change).await;
    let mut site = w.client(&application.id.to_string(), "http://127.0.0.1:49152/callback");
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let end = site.browser.press(&page, "login", &fields).await;
    assert!(end.url.starts_with("http://127.0.0.1:49152/callback?code="), "{}", end.url);
    site.tokens(&end.returned("code").unwrap()).await;
}

#[tokio::test]
async fn a_policy_of_the_environment_serves_applications_without_their_own() {
    let w = World::new().await;
    let application = w.bank.unusual_site(&w.server, |_| {}).await;
    let site = w.client(&application.id.to_string(), SITE_ADDRESS);
    let tokens = site.sign_in("ann").await;
    assert_eq!(tokens.id_claims()["acr"], "Single_Factor");
}

#[tokio::test]
async fn a_hint_fills_in_the_user_name() {
    let mut w = World::new().await;
    let mut site = w.site();
    let request = site.request().with("login_hint", "ann \"<b>\" & co");
    let page = site.browser.open(&site.authorize_url(&request)).await;
    assert_eq!(page.value_of("username"), "ann \"<b>\" & co");
    w.bank.require(&w.server, &[Step::IdentifierFirst]).await;
    let page = site.browser.open(&site.authorize_url(&request)).await;
    assert_eq!(page.value_of("username"), "ann \"<b>\" & co");
}

#[tokio::test]
async fn resume_leads_to_the_page_until_the_flow_ends_and_to_the_application_afterwards() {
    let w = World::new().await;
    let mut site = w.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let resume = page.url.replace("/signon?", "/as/resume?");
    let answer = site.browser.send(get(&resume)).await.must_be(302);
    assert_eq!(answer.location(), Some(page.url.as_str()));
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let end = site.browser.press(&page, "login", &fields).await;
    let again = site.browser.send(get(&resume)).await.must_be(302);
    assert_eq!(again.location(), Some(end.url.as_str()));
}

#[tokio::test]
async fn resume_knows_neither_other_browsers_nor_addresses_that_name_no_flow() {
    let w = World::new().await;
    let mut site = w.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let resume = page.url.replace("/signon?", "/as/resume?");
    let mut stranger = w.site();
    stranger.authorize(&stranger.request()).await;
    for url in [
        resume.as_str(),
        &w.url("/as/resume"),
        &w.url("/as/resume?flowId=x"),
        &w.url("/as/resume?flowId=a&flowId=b"),
    ] {
        let page = stranger.browser.open(url).await;
        assert_eq!(
            (page.answer.status.as_u16(), page.heading().as_str()),
            (404, "This sign-on has ended"),
            "{url}"
        );
    }
}

#[tokio::test]
async fn a_flow_that_an_app_shows_itself_gives_browsers_nothing() {
    let w = World::new().await;
    let mut sign_on = w.app().begin().await;
    sign_on
        .act("usernamePassword.check", &json!({ "username": "ann", "password": PASSWORD }))
        .await;
    let resume = sign_on.flow["resumeUrl"].as_str().unwrap().to_owned();
    assert!(resume.starts_with(HTTPS));
    assert_eq!(sign_on.client.browser.open(&resume).await.answer.status, 404);
}
