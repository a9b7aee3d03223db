//! What browsers are told with every page, and what they say of where a form comes from.

use http::HeaderName;

use crate::world::{Answer, FORM, MFA_BYPASS, Members, PASSWORD, World, get, post, with};

/// Every kind of HTML that the server answers with.
async fn pages(w: &mut World) -> Vec<(&'static str, Answer)> {
    let phone = w.phone_paired_to("ann").await;
    let mut pages = Vec::new();
    let mut site = w.site();
    let url = site.authorize_url(&site.request());
    let page = site.browser.open(&url).await;
    let wrong = [("username", "ann"), ("password", "wrong")];
    let again = site.browser.press(&page, "login", &wrong).await;
    let right = [("username", "ann"), ("password", PASSWORD)];
    let passcode = site.browser.press(&page, "login", &right).await;
    let wrong = [("passcode", phone.wrong_passcode())];
    let wrong = [("passcode", wrong[0].1.as_str())];
    let passcode_again = site.browser.press(&passcode, "passcode", &wrong).await;
    for (name, page) in
        [("login", page), ("wrong", again), ("passcode", passcode), ("wrong", passcode_again)]
    {
        pages.push((name, page.answer));
    }
    let posted = site.request().with("response_mode", "form_post").with("prompt", "none");
    pages.push(("form_post", site.authorize(&posted).await));
    pages.push(("refused", w.wire.get(&w.url("/as/authorize")).await));
    pages.push(("gone", w.wire.get(&w.url("/signon?flowId=x")).await));
    pages.push(("gone", w.wire.get(&w.url("/as/resume")).await));
    pages.push(("no environment", w.wire.get("/x/signon").await));
    let expired = site.browser.send(post(&w.url("/signon?flowId=x"), FORM, "token=x")).await;
    pages.push(("expired", expired));
    w.bank.require(&w.server, &[crate::world::Step::IdentifierFirst, MFA_BYPASS]).await;
    let page = site.browser.open(&url).await;
    let password = site.browser.press(&page, "identify", &[("username", "ann")]).await;
    pages.extend([("identifier", page.answer), ("password", password.answer)]);
    pages
}

#[tokio::test]
async fn every_page_keeps_out_of_frames_caches_and_referrers() {
    let mut w = World::new().await;
    for (name, answer) in pages(&mut w).await {
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{name}: {answer:?}");
        let policy = answer.header("content-security-policy");
        for needed in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(needed), "{name}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{name}: {policy}");
        for (header, value) in [
            ("x-frame-options", "DENY"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("strict-transport-security", "max-age=31536000"),
        ] {
            assert_eq!(answer.header(header), value, "{name}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), "", "{name}");
    }
}

#[tokio::test]
async fn a_form_that_another_site_has_sent_does_nothing_even_with_its_token() {
    let w = World::new().await;
    let mut site = w.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let form = Members::from([
        ("action", "login"),
        ("username", "ann"),
        ("password", PASSWORD),
        ("token", &page.value_of("token")),
    ]);
    let sent = |headers: &[(&'static str, &str)]| {
        let form = post(&page.url, FORM, form.encoded());
        headers.iter().fold(form, |form, (name, value)| with(form, name, value))
    };
    for foreign in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://id.example")],
        &[("origin", "https://evil.example")],
        &[("origin", "https://id.example.evil.example")],
        &[("origin", "http://id.example")],
    ] {
        let answer = site.browser.send(sent(foreign)).await.must_be(400);
        assert!(answer.text().contains("role=\"alert\""), "{foreign:?}");
    }
    for own in [
        &[("sec-fetch-site", "same-origin"), ("origin", "null")][..],
        &[("origin", "https://id.example")],
        &[("origin", "null")],
        &[],
    ] {
        let mut site = w.site();
        let page = site.browser.open(&site.authorize_url(&site.request())).await;
        let form = form.clone().with("token", &page.value_of("token"));
        let form = post(&page.url, FORM, form.encoded());
        let form = own.iter().fold(form, |form, (name, value)| with(form, name, value));
        site.browser.send(form).await.must_be(303);
    }
}

#[tokio::test]
async fn a_sign_on_that_somebody_else_began_cannot_be_finished_in_this_browser() {
    let w = World::new().await;
    let mut attacker = w.site();
    let page = attacker.browser.open(&attacker.authorize_url(&attacker.request())).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let flow = page.url.clone();
    attacker.browser.press(&page, "login", &fields).await;
    let mut victim = w.site();
    victim.authorize(&victim.request()).await;
    let resumed = flow.replace("/signon", "/as/resume");
    for url in [flow, resumed] {
        victim.browser.send(get(&url)).await.must_be(404);
    }
}

#[tokio::test]
async fn nothing_that_came_in_leaves_as_a_header_or_another_address() {
    let w = World::new().await;
    let mut site = w.site();
    let evil = "x\r\nSet-Cookie: ST=evil\r\n\r\n<h1>";
    let answer = site.authorize(&site.request().with("state", evil).with("prompt", "none")).await;
    let location = answer.location().unwrap();
    assert!(location.starts_with("https://bank.example/callback?"), "{location}");
    assert_eq!(answer.returned("state").as_deref(), Some(evil));
    for redirect in [
        "https://evil.example",
        "//evil.example",
        "https://bank.example/callback@evil.example",
        "https://bank.example/callback/../evil",
        "https://bank.example/callback#x",
        "https://bank.example/callback?x=1",
        "https://BANK.example/callback",
        "https://bank.example:443/callback",
        "javascript:alert(1)",
        "\r\nLocation: https://evil.example",
    ] {
        let answer = site.authorize(&site.request().with("redirect_uri", redirect)).await;
        assert_eq!((answer.status.as_u16(), answer.location()), (400, None), "{redirect}");
    }
    for name in ["x-forwarded-host", "x-forwarded-proto", "host", "forwarded"] {
        let request = get(&site.authorize_url(&site.request()));
        let name = HeaderName::from_static(name);
        let mut request = request;
        request.headers_mut().insert(name, "evil.example".parse().unwrap());
        let answer = w.wire.send(request).await.must_be(302);
        assert!(answer.location().unwrap().starts_with("https://id.example/"), "{answer:?}");
    }
}
