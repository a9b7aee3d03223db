//! A statement counts once: again, altered, after a restart, and after its device is gone.

use countersign_domain::audit::Action;
use reqwest::StatusCode;

use crate::{
    draft::{Kind, REQUESTS, malleated},
    scene::{Fault, Scene},
    world::{Answer, World},
};

on_both_engines!(
    a_payload_counts_once,
    a_request_sent_again_is_answered_the_same_and_does_nothing,
    an_unpairing_sent_again_is_answered_although_the_device_is_gone,
    a_request_sent_again_is_answered_although_its_nonce_has_run_out,
    other_claims_under_the_same_number_are_a_conflict,
);

const PAYLOAD_REFUSED: Action = Action::DevicePayloadRefused;

const REPLAYED: Fault<'_> = Fault { target: "", rule: "proof.jti was used already" };

async fn a_payload_counts_once(world: World) {
    let scene = Scene::new(world).await;
    let draft = scene.draft(Kind::Payload);
    let payload = draft.sign();
    assert!(scene.send(Kind::Payload, &payload).await.status.is_success());
    let again = [
        payload.clone(),
        malleated(&payload),
        draft.sign(),
        draft.clone().inside("dev", "model", "another").sign(),
    ];
    let scene = refuses_all(scene, &again, REPLAYED).await.restart().await;
    let scene = refuses_all(scene, &again, REPLAYED).await;
    // To the last second of its life.
    scene.world.clock.advance(119);
    let scene = refuses_all(scene, &again, REPLAYED).await;
    scene.world.clock.advance(1);
    refuses_all(scene, &again, Fault { target: "", rule: "proof.exp has passed" }).await;
}

/// Asserts that each is refused, that nothing is begun, and that the audit log tells of those that were used already.
async fn refuses_all(scene: Scene, payloads: &[String], fault: Fault<'_>) -> Scene {
    let (before, told) = (scene.trace().await, scene.world.count(PAYLOAD_REFUSED).await);
    for payload in payloads {
        fault.assert(Kind::Payload, "", &scene.send(Kind::Payload, payload).await);
    }
    let after = scene.trace().await;
    assert_eq!(after.devices, before.devices);
    let records = after.audit.len() - before.audit.len();
    assert_eq!(scene.world.count(PAYLOAD_REFUSED).await - told, records);
    assert_eq!(records, if fault == REPLAYED { payloads.len() } else { 0 });
    scene
}

async fn a_request_sent_again_is_answered_the_same_and_does_nothing(world: World) {
    let mut scene = Scene::new(world).await;
    for kind in [Kind::Pairing, Kind::Denial, Kind::Info, Kind::Unpairing] {
        let proof = scene.draft(kind).sign();
        let first = scene.send(kind, &proof).await;
        assert!(first.status.is_success(), "{kind:?}: {first:?}");
        let after = scene.trace().await;
        for again in [&proof, &malleated(&proof)] {
            assert_eq!(scene.send(kind, again).await, first, "{kind:?}");
        }
        scene = scene.restart().await;
        scene.world.clock.advance(kind.life_seconds() - 1);
        for again in [&malleated(&proof), &proof] {
            assert_eq!(scene.send(kind, again).await, first, "{kind:?}");
        }
        assert_eq!(scene.trace().await, after, "{kind:?}");
        scene.world.clock.advance(1);
        let fault = Fault { target: "proof.exp", rule: "has passed" };
        fault.assert(kind, "CLOCK_SKEW", &scene.send(kind, &proof).await);
        assert_eq!(scene.trace().await, after, "{kind:?}");
        scene.nonce = scene.world.nonce().await;
    }
}

async fn an_unpairing_sent_again_is_answered_although_the_device_is_gone(world: World) {
    let scene = Scene::new(world).await;
    let (info, unpairing) = (scene.draft(Kind::Info).sign(), scene.draft(Kind::Unpairing).sign());
    let told = scene.send(Kind::Info, &info).await;
    let removed = scene.send(Kind::Unpairing, &unpairing).await;
    assert_eq!(removed.json()["removed"].as_array().unwrap().len(), 1, "{removed:?}");
    let after = scene.trace().await;
    assert_eq!(after.devices.len(), 1, "only bob's is left");
    let scene = scene.restart().await;
    assert_eq!(scene.send(Kind::Unpairing, &unpairing).await, removed);
    assert_eq!(scene.send(Kind::Info, &info).await, told);
    for kind in [Kind::Info, Kind::Unpairing] {
        let new = scene.draft(kind).sign();
        scene.send(kind, &new).await.refusal(401, "DEVICE_NOT_PAIRED");
    }
    assert_eq!(scene.world.count(Action::DeviceDeleted).await, 1);
    assert_eq!(scene.trace().await, after);
}

async fn a_request_sent_again_is_answered_although_its_nonce_has_run_out(world: World) {
    let scene = Scene::new(world).await;
    scene.world.clock.advance(270);
    let mut sent: Vec<(Kind, String, Answer)> = Vec::new();
    for kind in [Kind::Pairing, Kind::Denial, Kind::Unpairing] {
        let proof = scene.draft(kind).sign();
        let answer = scene.send(kind, &proof).await;
        assert!(answer.status.is_success(), "{kind:?}: {answer:?}");
        sent.push((kind, proof, answer));
    }
    let after = scene.trace().await;
    scene.world.clock.advance(40);
    for (kind, proof, answer) in sent {
        assert_eq!(scene.send(kind, &proof).await, answer, "{kind:?}");
    }
    assert_eq!(scene.trace().await, after);
}

async fn other_claims_under_the_same_number_are_a_conflict(world: World) {
    let scene = Scene::new(world).await;
    let drafts = REQUESTS.map(|kind| scene.draft(kind));
    for draft in &drafts {
        let first = scene.send(draft.kind, &draft.sign()).await;
        assert!(first.status.is_success(), "{first:?}");
    }
    let before = scene.trace().await;
    let scene = scene.restart().await;
    for draft in &drafts {
        let other = draft.clone().claim("unknown", 1).sign();
        let answer = scene.send(draft.kind, &other).await;
        let (code, target, message) = answer.refusal(StatusCode::CONFLICT.as_u16(), "CONFLICT");
        assert_eq!((&*code, &*target), ("REPLAYED", "proof.jti"), "{:?}", draft.kind);
        assert!(message.contains("another statement"), "{message}");
    }
    // Nor does a number serve for two kinds of statement.
    let spent = &drafts[2];
    let exp = spent.claims["exp"].clone();
    let other = scene.bob.info(&scene.world).claim("exp", exp.clone());
    assert!(scene.send(Kind::Info, &other.sign()).await.status.is_success());
    let jti = other.claims["jti"].clone();
    let unpairing = scene.bob.unpairing(&scene.world, &scene.nonce);
    let unpairing = unpairing.claim("exp", exp).claim("jti", jti);
    scene.send(Kind::Unpairing, &unpairing.sign()).await.refusal(409, "CONFLICT");
    let after = scene.trace().await;
    assert_eq!(after.devices, before.devices);
    let clashes =
        after.audit.iter().filter(|record| record.event.reason.as_deref() == Some("jti_clash"));
    assert_eq!(clashes.count(), drafts.len() + 1);
    assert_eq!(after.audit.len(), before.audit.len() + drafts.len() + 1);
}
