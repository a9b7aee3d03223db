//! Requests that are too long, too deep or never end.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes};
use countersign_protocol::json::MAX_DEPTH;
use countersign_server::{LimitSettings, Settings};
use countersign_store::Engine;
use tower::ServiceExt;

use crate::world::{FORM, HTTPS, JSON, World, get, post, with};

const CHECK: &str = "application/vnd.pingidentity.usernamePassword.check+json";

#[tokio::test]
async fn an_address_or_header_fields_beyond_the_limit_are_refused_before_anything_is_read() {
    let w = World::new().await;
    let query = |length: usize| {
        let url = w.url("/as/jwks?");
        let path = url.strip_prefix("https://id.example").unwrap();
        format!("{path}{}", "x".repeat(length - path.len()))
    };
    w.wire.get(&query(16 * 1024)).await.must_be(200);
    let answer = w.wire.get(&query(16 * 1024 + 1)).await.must_be(414);
    assert_eq!(
        answer.json()["message"],
        "the path and the query must not have more than 16384 bytes"
    );
    let padded = |length: usize| with(get(&w.url("/as/jwks")), "x-pad", &"x".repeat(length - 5));
    w.wire.send(padded(16 * 1024)).await.must_be(200);
    let answer = w.wire.send(padded(16 * 1024 + 1)).await.must_be(431);
    assert_eq!(answer.problem().0, "INVALID_REQUEST");
    let many = (0..400).fold(get(&w.url("/as/jwks")), |request, _| {
        with(request, "cookie", "name-of-a-cookie=with-a-value-of-some-length")
    });
    w.wire.send(many).await.must_be(431);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_on_every_surface_that_reads_one() {
    let w = World::new().await;
    let sign_on = w.app().begin().await;
    let cookie = sign_on.client.browser.cookie();
    let large = || "x".repeat(64 * 1024 + 1);
    for (url, media_type) in [
        (w.url("/as/authorize"), FORM),
        (w.url("/as/token"), FORM),
        (w.url("/device/v1/info"), JSON),
        (sign_on.url(), CHECK),
    ] {
        let request = with(post(&url, media_type, large()), "cookie", &cookie);
        w.wire.send(request).await.must_be(413);
    }
}

#[tokio::test]
async fn members_that_are_many_or_repeated_are_refused_by_name_and_rule() {
    let w = World::new().await;
    let many: Vec<String> = (0..65).map(|number| format!("m{number}=1")).collect();
    let many = many.join("&");
    let site = w.site();
    let page = w.wire.get(&format!("{}/authorize?{many}", site.issuer)).await.must_be(400);
    assert!(page.text().contains("at most 64 members"), "{}", page.text());
    let token = format!("{}/token", site.issuer);
    let answer = w.wire.send(post(&token, FORM, many)).await.must_be(400).json();
    assert_eq!(answer["error"], "invalid_request");
    assert_eq!(answer["error_description"], "there must be at most 64 members");
    for repeated in ["code=1&code=2", "code=1&c%6Fde=2", "code=1&%63%6f%64%65=2"] {
        let answer = w.wire.send(post(&token, FORM, repeated)).await.must_be(400).json();
        assert_eq!(answer["error_description"], "code must not be repeated");
    }
}

#[tokio::test]
async fn json_that_is_deep_double_or_not_alone_is_refused() {
    let w = World::new().await;
    let sign_on = w.app().begin().await;
    let cookie = sign_on.client.browser.cookie();
    let deep = format!("{{\"password\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let nine = usize::from(MAX_DEPTH) + 1;
    let bodies = [
        deep,
        format!("{{\"x\":{}{}}}", "[".repeat(nine), "]".repeat(nine)),
        r#"{"username":"ann","username":"bob","password":"x"}"#.to_owned(),
        r#"{"username":"ann","\u0075sername":"bob","password":"x"}"#.to_owned(),
        r#"{"password":"x"} {"password":"y"}"#.to_owned(),
        r#"{"password":"x"#.to_owned(),
        "\u{feff}{}".to_owned(),
    ];
    for body in bodies {
        for (url, media_type) in [(sign_on.url(), CHECK), (w.url("/device/v1/info"), JSON)] {
            let request = with(post(&url, media_type, body.clone()), "cookie", &cookie);
            let answer = w.wire.send(request).await.must_be(400);
            assert_eq!(answer.problem().0, "INVALID_REQUEST", "{body:.60}");
        }
    }
}

#[tokio::test]
async fn a_body_that_never_comes_is_answered_in_time() {
    let request_timeout = Duration::from_millis(50);
    let limits = LimitSettings::off();
    let settings = Settings { request_timeout, limits, ..Settings::new(HTTPS) };
    let w = World::with(settings, Engine::Sqlite).await;
    for (url, media_type) in [
        (w.url("/as/token"), FORM),
        (w.url("/as/authorize"), FORM),
        (w.url("/device/v1/info"), JSON),
    ] {
        let request = post(&url, media_type, Body::new(Stalled));
        let response = w.wire.router().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 503, "{url}");
        assert_eq!(response.headers()["retry-after"], "1");
    }
}

/// A body that is waited for in vain.
struct Stalled;

impl http_body::Body for Stalled {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        Poll::Pending
    }
}
