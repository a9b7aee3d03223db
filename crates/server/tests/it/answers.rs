//! What every answer has, whatever was asked; the rest is in `world::Answer`, which looks at each.

use std::collections::BTreeSet;

use http::Method;

use crate::world::{JSON, World, get, request, with};

#[tokio::test]
async fn what_is_not_there_is_said_in_the_envelope() {
    let w = World::new().await;
    for path in
        ["/", "/x", "//", "/favicon.ico", &w.url("/"), &w.url("/as/"), &w.url("/as/token/x")]
    {
        let answer = w.wire.get(path).await.must_be(404);
        assert_eq!(
            (answer.media_type(), answer.problem().0.as_str()),
            (JSON, "NOT_FOUND"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_method_that_an_address_does_not_have_is_said_with_those_that_it_has() {
    let w = World::new().await;
    for (method, path, allowed) in [
        (Method::DELETE, "/as/authorize", "GET,HEAD,POST"),
        (Method::POST, "/as/jwks", "GET,HEAD"),
        (Method::PATCH, "/signon", "GET,HEAD,POST"),
        (Method::GET, "/device/v1/info", "POST"),
    ] {
        let answer = w.wire.send(request(method, &w.url(path))).await.must_be(405);
        assert_eq!(answer.problem().0, "INVALID_REQUEST");
        assert_eq!(answer.header("allow"), allowed);
    }
}

#[tokio::test]
async fn each_request_has_a_name_of_its_own() {
    let w = World::new().await;
    let mut names = BTreeSet::new();
    for _ in 0..10 {
        names.insert(w.wire.get("/").await.header("correlation-id").to_owned());
    }
    assert_eq!(names.len(), 10);
    let chosen = with(get("/"), "correlation-id", "mine");
    assert_ne!(w.wire.send(chosen).await.header("correlation-id"), "mine");
}

#[tokio::test]
async fn on_https_browsers_are_told_to_stay_there() {
    let w = World::new().await;
    for path in ["/", &w.url("/as/jwks"), &w.url("/signon")] {
        let answer = w.wire.get(path).await;
        assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");
    }
}

#[tokio::test]
async fn pages_of_any_origin_may_call_what_needs_no_cookie_and_nothing_else() {
    let w = World::new().await;
    let asked = |path: &str| with(get(&w.url(path)), "origin", "https://app.example");
    for path in ["/as/.well-known/openid-configuration", "/as/jwks", "/as/token", "/as/userinfo"] {
        let answer = w.wire.send(asked(path)).await;
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        let preflight =
            with(request(Method::OPTIONS, &w.url(path)), "origin", "https://app.example");
        let preflight = with(preflight, "access-control-request-method", "POST");
        let answer = w.wire.send(preflight).await.must_be(200);
        assert_eq!(
            answer.header("access-control-allow-headers"),
            "authorization,content-type,dpop"
        );
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
    for path in ["/as/authorize", "/as/resume", "/signon", "/flows/x", "/device/v1/nonce"] {
        let answer = w.wire.send(asked(path)).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_read_the_name_of_a_request() {
    let w = World::new().await;
    let asked = with(get(&w.url("/as/jwks")), "origin", "https://app.example");
    let answer = w.wire.send(asked).await.must_be(200);
    assert_eq!(
        answer.header("access-control-expose-headers"),
        "correlation-id,retry-after,www-authenticate,dpop-nonce"
    );
}
