//! What the device API refuses, beside what the SDK itself never sends.

use countersign_protocol::device_api::NonceResponse;

use crate::world::{JSON, World, post};

const ADDRESSES: [&str; 4] = ["/pairings", "/pairings/denials", "/info", "/unpairings"];

#[tokio::test]
async fn a_nonce_is_given_to_anybody_and_never_twice() {
    let w = World::new().await;
    let url = w.url("/device/v1/nonce");
    let [one, other] = [w.wire.get(&url).await, w.wire.get(&url).await];
    let [one, other]: [NonceResponse; 2] =
        [one, other].map(|answer| serde_json::from_value(answer.must_be(200).json()).unwrap());
    assert_eq!(one.expires_in, 300);
    assert_ne!(one.nonce, other.nonce);
}

#[tokio::test]
async fn a_body_that_is_not_one_proof_is_refused() {
    let w = World::new().await;
    for path in ADDRESSES {
        let url = w.url(&format!("/device/v1{path}"));
        w.wire.send(post(&url, "text/plain", "{}")).await.must_be(415);
        for body in ["", "{", "{}", "[]", r#"{"proof":1}"#, r#"{"proof":"a","proof":"b"}"#] {
            let answer = w.wire.send(post(&url, JSON, body)).await.must_be(400);
            let told = answer.problem();
            assert_eq!((told.0.as_str(), told.2.as_str()), ("INVALID_REQUEST", "proof"), "{body}");
        }
        for proof in ["", "x", "a.b.c", "e30.e30.e30"] {
            let body = format!(r#"{{"proof":"{proof}"}}"#);
            let answer = w.wire.send(post(&url, JSON, body)).await.must_be(400);
            assert!(answer.problem().2.starts_with("proof"), "{proof}: {answer:?}");
        }
        let large = format!(r#"{{"proof":"{}"}}"#, "x".repeat(70_000));
        w.wire.send(post(&url, JSON, large)).await.must_be(413);
    }
}

#[tokio::test]
async fn a_proof_of_another_kind_or_for_another_address_is_refused() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let payload = phone.sdk.generate_mobile_payload().await.unwrap();
    for path in ADDRESSES {
        let url = w.url(&format!("/device/v1{path}"));
        let body = format!(r#"{{"proof":"{payload}"}}"#);
        let answer = w.wire.send(post(&url, JSON, body)).await.must_be(400);
        assert_eq!(answer.problem().2, "proof.header.typ", "{path}");
    }
}
