//! Metrics: what a sign-on leaves in them, and that each is explained.

use std::{collections::BTreeSet, pin::pin, sync::Arc, task::Context};

use axum::body::to_bytes;
use countersign_server::{operator_router, router, telemetry};
use tower::ServiceExt;

use crate::world::{World, get};

on_both_engines!(what_people_do_is_counted);

async fn scrape(w: &World) -> String {
    let answer = operator_router(Arc::clone(&w.server)).oneshot(get("/metrics")).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// The value of a sample, by its name and labels as they are written.
fn value(text: &str, sample: &str) -> f64 {
    let found = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    found.map_or(0.0, |value| value.parse().unwrap())
}

#[track_caller]
fn holds(text: &str, samples: &[(&str, f64)]) {
    for (sample, expected) in samples {
        let found = value(text, sample);
        assert!((found - expected).abs() < 0.5, "{sample} is {found}, not {expected}");
    }
}

async fn what_people_do_is_counted(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let mut wrong = w.app().begin().await;
    wrong.password("ann", "wrong").await.must_be(400);
    w.sign_in_on(&phone, "ann").await.tokens().await;
    let mut by_passcode = w.site().begin().await;
    by_passcode.password("ann", crate::world::PASSWORD).await.must_be(200);
    by_passcode.passcode(&phone.wrong_passcode()).await.must_be(400);
    by_passcode.passcode(&phone.passcode()).await.must_be(200);
    let text = scrape(w).await;
    holds(
        &text,
        &[
            ("countersign_sign_ons_begun_total{outcome=\"\"}", 0.0),
            ("countersign_sign_ons_begun_total", 4.0),
            ("countersign_sign_ons_total{outcome=\"allowed\"}", 3.0),
            ("countersign_password_checks_total{outcome=\"accepted\"}", 3.0),
            (
                "countersign_password_checks_total{outcome=\"refused\",reason=\"wrong_password\"}",
                1.0,
            ),
            ("countersign_passcode_checks_total{outcome=\"accepted\"}", 1.0),
            ("countersign_pairings_total{outcome=\"paired\",reason=\"auto_enrollment\"}", 1.0),
            ("countersign_tokens_issued_total{grant_type=\"authorization_code\"}", 2.0),
            ("countersign_mfa_decisions_total{decision=\"bypass\"}", 1.0),
            ("countersign_mfa_decisions_total{decision=\"authorize\"}", 1.0),
            ("countersign_mfa_decisions_total{decision=\"passcode\"}", 1.0),
            (
                "countersign_http_requests_total{route=\"/{environment}/as/token\",method=\"POST\",status=\"2xx\"}",
                2.0,
            ),
            (
                "countersign_http_request_duration_seconds_count{route=\"/{environment}/as/token\"}",
                2.0,
            ),
            ("countersign_http_requests_in_flight", 0.0),
            ("countersign_store_commit_failures_total", 0.0),
            ("countersign_draining", 0.0),
        ],
    );
    assert!(value(&text, "countersign_password_hash_duration_seconds_count") >= 4.0);
    let passcodes = text.lines().filter(|it| it.starts_with("countersign_passcode_checks_total{"));
    assert_eq!(passcodes.count(), 2, "right and wrong: {text}");
}

#[tokio::test]
async fn no_label_names_a_person_or_a_thing() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    w.sign_in_on(&phone, "ann").await.tokens().await;
    w.wire.get("/somebody@bank.example?x=1").await.must_be(404);
    let text = scrape(&w).await;
    let is_id = |word: &str| word.len() == 36 && word.matches('-').count() == 4;
    for line in text.lines() {
        let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        assert!(!words.clone().any(is_id), "{line}");
        assert!(!words.clone().any(|word| word == "ann"), "{line}");
        assert!(!line.contains("bank.example"), "{line}");
    }
    let nowhere = "countersign_http_requests_total{route=\"none\",method=\"GET\",status=\"4xx\"}";
    holds(&text, &[(nowhere, 1.0)]);
}

#[tokio::test]
async fn a_request_whose_caller_goes_away_is_counted() {
    let w = World::new().await;
    let url = w.app().authorize_url(&w.app().request());
    let mut answer = Box::pin(router(Arc::clone(&w.server)).oneshot(get(&url)));
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert!(pin!(&mut answer).poll(&mut context).is_pending());
    holds(&scrape(&w).await, &[("countersign_http_requests_in_flight", 1.0)]);
    drop(answer);
    let text = scrape(&w).await;
    let sample = "countersign_http_requests_total{route=\"/{environment}/as/authorize\",method=\"GET\",status=\"cancelled\"}";
    holds(&text, &[(sample, 1.0), ("countersign_http_requests_in_flight", 0.0)]);
}

/// The names in the first column of the tables of the document.
fn documented() -> BTreeSet<String> {
    let document = include_str!("../../../../../docs/telemetry.md");
    let cells = document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let is_metric = |name: &&str| {
        let ours = name.starts_with("countersign_") || name.starts_with("process_");
        ours && !name.contains(' ')
    };
    cells.filter(is_metric).map(str::to_owned).collect()
}

#[tokio::test]
async fn each_metric_is_explained_and_nothing_else_is() {
    let w = World::new().await;
    let told = telemetry::collect(&w.server);
    let names: BTreeSet<_> = told.iter().map(|family| family.name.to_owned()).collect();
    assert_eq!(names, documented());
    assert_eq!(names.len(), told.len(), "no name is told twice");
}
