//! What a request for a code must say, and what the code then is.

use countersign_domain::application::Mobile;
use countersign_sdk::CodeStatus;
use serde_json::{Value, json};

use super::read;
use crate::world::{Backend, JSON, World, get, post};

const NO_ID: &str = "00000000-0000-7000-8000-000000000000";

/// `wanted` with one member in another way.
fn with(wanted: &Value, member: &str, value: Value) -> Value {
    let mut wanted = wanted.clone();
    wanted[member] = value;
    wanted
}

async fn is_refused(backend: &Backend, wanted: &Value, told: (&str, &str, &str)) {
    let answer = backend.ask_for_code(wanted).await;
    assert_eq!(answer.status, 400, "{wanted}: {answer:?}");
    let (code, detail, target) = answer.problem();
    assert_eq!((&*code, &*detail, &*target), told, "{wanted}");
}

fn life(duration: impl Into<Value>, unit: impl Into<Value>) -> Value {
    json!({ "duration": duration.into(), "timeUnit": unit.into() })
}

#[tokio::test]
async fn each_member_that_breaks_a_rule_is_named_with_it() {
    let w = World::new().await;
    let (backend, good) = (w.backend().await, w.shown_here());
    let long = json!({ "text": "x".repeat(4_096) });
    for (wanted, detail, target) in [
        (json!({}), "REQUIRED_VALUE", "application.id"),
        (json!({ "application": {} }), "REQUIRED_VALUE", "application.id"),
        (with(&good, "application", json!({ "id": "x" })), "INVALID_VALUE", "application.id"),
        (with(&good, "application", json!({ "id": NO_ID })), "INVALID_VALUE", "application.id"),
        // Only a native application reads codes.
        (
            with(&good, "application", json!({ "id": w.bank.site.id })),
            "INVALID_VALUE",
            "application.id",
        ),
        (with(&good, "userApproval", json!("MAYBE")), "INVALID_VALUE", "userApproval"),
        (with(&good, "clientContext", long), "INVALID_VALUE", "clientContext"),
        (with(&good, "lifeTime", json!({})), "REQUIRED_VALUE", "lifeTime.duration"),
        (
            with(&good, "lifeTime", json!({ "timeUnit": "SECONDS" })),
            "REQUIRED_VALUE",
            "lifeTime.duration",
        ),
        (with(&good, "lifeTime", json!({ "duration": 60 })), "REQUIRED_VALUE", "lifeTime.timeUnit"),
        (with(&good, "lifeTime", life(1, "HOURS")), "INVALID_VALUE", "lifeTime.timeUnit"),
        (with(&good, "lifeTime", life(0, "SECONDS")), "INVALID_VALUE", "lifeTime.duration"),
        (with(&good, "lifeTime", life(9, "SECONDS")), "INVALID_VALUE", "lifeTime.duration"),
        (with(&good, "lifeTime", life(1_801, "SECONDS")), "INVALID_VALUE", "lifeTime.duration"),
        (with(&good, "lifeTime", life(31, "MINUTES")), "INVALID_VALUE", "lifeTime.duration"),
        // As many seconds as do not fit.
        (with(&good, "lifeTime", life(u32::MAX, "MINUTES")), "INVALID_VALUE", "lifeTime.duration"),
    ] {
        is_refused(&backend, &wanted, ("INVALID_DATA", detail, target)).await;
    }
    for (wanted, target) in [
        (with(&good, "lifeTime", life(-1, "SECONDS")), "lifeTime.duration"),
        (with(&good, "lifeTime", life("60", "SECONDS")), "lifeTime.duration"),
        (with(&good, "lifeTime", json!(60)), "lifeTime"),
        (with(&good, "clientContext", json!("{}")), "clientContext"),
        (with(&good, "userApproval", json!(true)), "userApproval"),
        (with(&good, "application", json!("x")), "application"),
    ] {
        is_refused(&backend, &wanted, ("INVALID_REQUEST", "INVALID_VALUE", target)).await;
    }
    is_refused(&backend, &json!("x"), ("INVALID_REQUEST", "", "")).await;
    assert!(w.audit_of("AUTHENTICATION_CODE.CREATED").await.is_empty());
}

#[tokio::test]
async fn a_code_lives_for_ten_seconds_to_half_an_hour_and_a_minute_by_default() {
    let w = World::new().await;
    let good = w.shown_here();
    for (wanted, seconds) in [
        (good.clone(), 60),
        (with(&good, "lifeTime", life(10, "SECONDS")), 10),
        (with(&good, "lifeTime", life(1_800, "SECONDS")), 1_800),
        (with(&good, "lifeTime", life(1, "MINUTES")), 60),
        (with(&good, "lifeTime", life(30, "MINUTES")), 1_800),
    ] {
        let mut code = w.backend().await.show(&wanted).await;
        assert_eq!(code.shown["lifeTime"], life(seconds, "SECONDS"), "{wanted}");
        w.advance(seconds - 1);
        assert_eq!(code.refresh().await, "UNCLAIMED", "{wanted}");
        w.advance(1);
        assert_eq!(code.refresh().await, "EXPIRED", "{wanted}");
    }
}

#[tokio::test]
async fn the_context_reaches_back_end_and_phone_whole() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let context =
        json!({ "header": "Sign in?", "list": [1, null, "\u{202e}é"], "o": { "a": true } });
    let wanted = with(&w.shown_here(), "clientContext", context.clone());
    let mut code = w.backend().await.show(&wanted).await;
    let question = read(&phone, &code).await;
    let shown: Value = serde_json::from_str(question.client_context().unwrap()).unwrap();
    code.refresh().await;
    assert_eq!([&shown, &code.shown["clientContext"]], [&context; 2]);
}

#[tokio::test]
async fn the_address_begins_as_the_application_says() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    for (prefix, expected) in [
        (None, "pingonesdk?authentication_code="),
        (Some("https://bank.example"), "https://bank.example/pingonesdk?authentication_code="),
        (
            Some("https://bank.example/app/"),
            "https://bank.example/app/pingonesdk?authentication_code=",
        ),
        (Some("org.bank.app:/"), "org.bank.app:/pingonesdk?authentication_code="),
    ] {
        let uri_prefix = prefix.map(str::to_owned);
        w.change_native(|native| {
            let mobile = native.mobile.clone().unwrap_or_default();
            native.mobile = Some(Mobile { uri_prefix, ..mobile });
        })
        .await;
        let code = w.code_unasked().await;
        assert_eq!(code.uri(), format!("{expected}{}", code.characters()));
        assert_eq!(read(&phone, &code).await.status(), CodeStatus::Completed);
    }
}

#[tokio::test]
async fn no_two_codes_are_alike() {
    let w = World::new().await;
    let (backend, wanted) = (w.backend().await, w.shown_here());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let code = backend.show(&wanted).await;
        assert_eq!(code.characters().len(), 8);
        assert!(seen.insert(code.characters().to_owned()));
    }
}

#[tokio::test]
async fn an_application_that_is_switched_off_reads_no_codes() {
    let w = World::new().await;
    w.change_native(|native| native.enabled = false).await;
    let told = ("INVALID_DATA", "INVALID_VALUE", "application.id");
    is_refused(&w.backend().await, &w.shown_here(), told).await;
}

#[tokio::test]
async fn what_is_not_json_is_refused_by_its_media_type() {
    let w = World::new().await;
    let backend = w.backend().await;
    let url = backend.codes_url();
    let sent = backend.signed(post(&url, "text/plain", w.shown_here().to_string()));
    w.wire.send(sent).await.must_be(415);
    let sent = backend.signed(post(&url, JSON, "{"));
    assert_eq!(w.wire.send(sent).await.must_be(400).problem().0, "INVALID_REQUEST");
    w.wire.send(backend.signed(get(&url))).await.must_be(405);
}

#[tokio::test]
async fn what_is_no_id_is_not_found() {
    let w = World::new().await;
    let backend = w.backend().await;
    for id in ["x", NO_ID, "%00"] {
        let url = format!("{}/{id}", backend.codes_url());
        let answer = w.wire.send(backend.signed(get(&url))).await.must_be(404);
        assert_eq!(answer.problem().0, "NOT_FOUND");
    }
    w.wire.send(get(&format!("{}/{NO_ID}", backend.codes_url()))).await.must_be(401);
}
