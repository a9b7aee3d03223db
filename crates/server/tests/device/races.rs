//! Many at once: one place, one ticket, one code, one payload, one passcode are each taken once.

use std::sync::Arc;

use countersign_domain::{
    audit::Action,
    device::{Device, State},
    id::Id,
    mfa_settings::MfaSettings,
};
use countersign_protocol::{otp, seed};
use countersign_server::app::{ChangeDeviceError, DeviceChange};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    draft::Phone,
    world::{Answer, World},
};

on_both_engines!(
    of_many_phones_that_race_for_the_last_place_one_is_paired,
    a_ticket_that_is_approved_many_times_at_once_makes_one_device,
    a_code_that_is_redeemed_many_times_at_once_gives_tokens_once_and_they_are_revoked,
    a_payload_that_is_used_many_times_at_once_begins_one_flow,
    a_passcode_that_is_used_in_many_flows_at_once_counts_once,
    a_phone_that_unpairs_while_it_is_blocked_is_either_gone_or_blocked,
    a_phone_that_unpairs_many_times_at_once_is_removed_once,
);

const AT_ONCE: usize = 200;

/// Runs them all at the same time.
async fn at_once<F>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    futures.into_iter().collect::<JoinSet<F::Output>>().join_all().await
}

async fn prove_all(world: &Arc<World>, path: &'static str, proofs: Vec<String>) -> Vec<Answer> {
    let send = |proof: String| {
        let world = Arc::clone(world);
        async move { world.prove(path, &proof).await }
    };
    at_once(proofs.into_iter().map(send)).await
}

/// How many succeeded; the others must all have been refused with this.
#[track_caller]
fn winners(answers: &[Answer], status: u16, code: &str, detail: &str) -> usize {
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a.status.is_success());
    for answer in lost {
        assert_eq!(answer.refusal(status, code).0, detail, "{answer:?}");
    }
    won.len()
}

async fn of_many_phones_that_race_for_the_last_place_one_is_paired(world: World) {
    let ann = world.user("ann").await;
    let world = Arc::new(world);
    let phones = world.phones_with_tickets(&ann, AT_ONCE).await;
    for places in 1..=3_u8 {
        let settings = MfaSettings { max_allowed_devices: places, ..MfaSettings::default() };
        world.app().put_mfa_settings(ann.environment, settings).await.unwrap();
        let before = world.devices(&ann).await;
        let nonce = world.nonce().await;
        let waiting = phones.iter().filter(|(phone, _)| !is_among(&before, phone));
        let proofs = waiting.map(|(phone, ticket)| phone.pairing(&world, &nonce, ticket).sign());
        let answers = prove_all(&world, "/pairings", proofs.collect()).await;
        assert_eq!(winners(&answers, 400, "REQUEST_FAILED", "LIMIT_EXCEEDED"), 1);
        assert_eq!(world.devices(&ann).await.len(), before.len() + 1);
        assert_eq!(world.count(Action::DeviceCreated).await, usize::from(places));
    }
}

fn is_among(devices: &[Device], phone: &Phone) -> bool {
    devices.iter().any(|device| device.installation.thumbprint == phone.thumbprint())
}

async fn a_ticket_that_is_approved_many_times_at_once_makes_one_device(world: World) {
    let ann = world.user("ann").await;
    let world = Arc::new(world);
    for round in 1..=3 {
        let phones = world.phones_with_tickets(&ann, 1).await;
        let (phone, ticket) = &phones[0];
        let nonce = world.nonce().await;
        let proofs = (0..AT_ONCE).map(|_| phone.pairing(&world, &nonce, ticket).sign());
        let answers = prove_all(&world, "/pairings", proofs.collect()).await;
        assert_eq!(winners(&answers, 0, "", ""), AT_ONCE);
        let devices = world.devices(&ann).await;
        assert_eq!(devices.len(), round);
        let device = devices.iter().find(|device| is_among(std::slice::from_ref(device), phone));
        let id = device.unwrap().id.to_string();
        assert!(answers.iter().all(|answer| answer.text("/device/id") == id));
        assert_eq!(world.count(Action::DeviceCreated).await, round);
    }
}

async fn a_code_that_is_redeemed_many_times_at_once_gives_tokens_once_and_they_are_revoked(
    world: World,
) {
    world.user("ann").await;
    let world = Arc::new(world);
    for round in 1..=3 {
        let code = world.password("ann", None).await.text("/authorizeResponse/code");
        let redeem = |_| {
            let (world, code) = (Arc::clone(&world), code.clone());
            async move { world.redeem(&code).await }
        };
        let answers = at_once((0..AT_ONCE).map(redeem)).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a.status.is_success());
        assert_eq!(won.len(), 1);
        for answer in lost {
            assert_eq!(
                (answer.status.as_u16(), answer.text("/error")),
                (400, "invalid_grant".to_owned())
            );
        }
        let spent = world.user_info(&won[0].text("/access_token")).await;
        assert_eq!(spent.status.as_u16(), 401, "reuse revokes what the code gave");
        assert_eq!(world.count(Action::GrantReused).await, round);
    }
    // One use alone gives a token that counts.
    let code = world.password("ann", None).await.text("/authorizeResponse/code");
    let tokens = world.redeem(&code).await;
    assert_eq!(world.user_info(&tokens.text("/access_token")).await.status.as_u16(), 200);
}

async fn a_payload_that_is_used_many_times_at_once_begins_one_flow(world: World) {
    world.user("ann").await;
    let phone = world.paired("ann").await;
    let world = Arc::new(world);
    for _ in 0..3 {
        let (payload, before) =
            (phone.payload(&world).sign(), world.count(Action::FlowCreated).await);
        let begin = |_| {
            let (world, payload) = (Arc::clone(&world), payload.clone());
            async move { world.authorize(Some(&payload)).await }
        };
        let answers = at_once((0..AT_ONCE).map(begin)).await;
        assert_eq!(winners(&answers, 400, "INVALID_REQUEST", "INVALID_VALUE"), 1);
        assert_eq!(world.count(Action::FlowCreated).await, before + 1);
    }
}

const FLOWS: usize = 50;

async fn a_passcode_that_is_used_in_many_flows_at_once_counts_once(world: World) {
    let ann = world.user("ann").await;
    let phone = Phone::new();
    let (ticket, nonce) = (world.ticket("ann", &phone).await, world.nonce().await);
    let paired = world.prove("/pairings", &phone.pairing(&world, &nonce, &ticket).sign()).await;
    let seed = seed::open(&paired.text("/seed"), &phone.agreement).unwrap();
    let world = Arc::new(world);
    for round in 1..=2 {
        // Past the lock of the round before, and in the next step.
        world.clock.advance(300);
        let passcode = otp::generate(seed.secret.expose(), seed.step_seconds, world.now());
        let passcode = json!({ "otp": passcode.expose() });
        let mut flows = Vec::new();
        for _ in 0..FLOWS {
            let flow = world.password("ann", None).await;
            assert_eq!(flow.text("/status"), "OTP_REQUIRED");
            flows.push(flow);
        }
        let check = |flow: Answer| {
            let (world, passcode) = (Arc::clone(&world), passcode.clone());
            async move { world.act(&flow, "otp.check", &passcode).await }
        };
        let answers = at_once(flows.into_iter().map(check)).await;
        for answer in &answers {
            assert!(matches!(answer.status.as_u16(), 200 | 400), "{answer:?}");
        }
        let done = |answer: &&Answer| answer.json()["status"] == "COMPLETED";
        assert_eq!(answers.iter().filter(done).count(), 1);
        assert_eq!(world.count(Action::PasscodeCheckSucceeded).await, round);
        assert_eq!(world.devices(&ann).await.len(), 1);
    }
}

const ROUNDS: usize = 30;

async fn a_phone_that_unpairs_while_it_is_blocked_is_either_gone_or_blocked(world: World) {
    let ann = world.user("ann").await;
    let limit = MfaSettings { max_allowed_devices: 15, ..MfaSettings::default() };
    world.app().put_mfa_settings(ann.environment, limit).await.unwrap();
    for (phone, ticket) in world.phones_with_tickets(&ann, ROUNDS).await {
        let nonce = world.nonce().await;
        let paired = phone.pairing(&world, &nonce, &ticket).sign();
        let device = world.prove("/pairings", &paired).await.text("/device/id");
        let device: Id<Device> = device.parse().unwrap();
        let proof = phone.unpairing(&world, &nonce).sign();
        let block = world.app().change_device(ann.environment, device, DeviceChange::Block);
        let (unpaired, block) = tokio::join!(world.prove("/unpairings", &proof), block);
        assert_eq!(unpaired.status.as_u16(), 200, "{unpaired:?}");
        let left = world.devices(&ann).await;
        match block {
            Ok(()) => {
                assert!(
                    matches!(left[..], [ref only] if matches!(only.state, State::Blocked { .. }))
                );
                assert_eq!(unpaired.json()["removed"], json!([]));
                let remove = DeviceChange::Remove;
                world.app().change_device(ann.environment, device, remove).await.unwrap();
            }
            Err(ChangeDeviceError::NotFound) => {
                assert!(left.is_empty());
                assert_eq!(unpaired.text("/removed/0/id"), device.to_string());
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(world.count(Action::DeviceDeleted).await, ROUNDS);
}

async fn a_phone_that_unpairs_many_times_at_once_is_removed_once(world: World) {
    let ann = world.user("ann").await;
    let phone = world.paired("ann").await;
    let (nonce, world) = (world.nonce().await, Arc::new(world));
    let proofs = (0..AT_ONCE).map(|_| phone.unpairing(&world, &nonce).sign());
    let answers = prove_all(&world, "/unpairings", proofs.collect()).await;
    winners(&answers, 401, "DEVICE_NOT_PAIRED", "");
    let removed = |answer: &Answer| {
        answer.status.is_success() && !answer.json()["removed"].as_array().unwrap().is_empty()
    };
    assert_eq!(answers.iter().filter(|answer| removed(answer)).count(), 1);
    assert!(world.devices(&ann).await.is_empty());
    assert_eq!(world.count(Action::DeviceDeleted).await, 1);
}
