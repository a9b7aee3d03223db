//! What a pairing rests on beside its proof: the nonce, the ticket, and that everything still allows it.

use std::collections::BTreeSet;

use countersign_domain::{
    audit::Action, device::State, mfa_policy::MfaPolicy, mfa_settings::MfaSettings, user::User,
};
use countersign_protocol::{
    encoding,
    otp::DEFAULT_STEP_SECONDS,
    pairing::passcode_proof,
    seed::{self, Seed},
};
use countersign_server::app::DeviceChange;
use countersign_store::{StoreError, Tx, Work, user};
use serde_json::json;

use crate::{
    draft::{Draft, Kind, Phone},
    scene::{Fault, Scene},
    world::{Answer, World},
};

on_both_engines!(
    the_audit_log_knows_the_address_of_a_phone,
    a_nonce_that_is_not_fresh_and_from_here_is_refused,
    a_ticket_that_is_not_for_this_phone_here_is_refused,
    a_ticket_is_spent_by_either_decision_and_runs_out,
    a_passcode_proof_tells_a_wrong_secret_from_a_wrong_clock,
    a_ticket_counts_only_as_long_as_the_policy_would_offer_it,
    a_ticket_does_not_count_beyond_the_limit_of_devices,
    a_ticket_for_a_password_alone_counts_for_the_first_device_only,
    a_blocked_phone_is_not_paired_again,
);

const WITH_NONCE: [Kind; 3] = [Kind::Pairing, Kind::Denial, Kind::Unpairing];

/// With the character at this place changed into another of the alphabet.
fn tampered(text: &str, place: usize) -> String {
    let other = if &text[place..=place] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &text[..place], &text[place + 1..])
}

async fn the_audit_log_knows_the_address_of_a_phone(world: World) {
    let scene = Scene::new(world).await;
    let audit = scene.trace().await.audit;
    let paired = audit.iter().find(|record| record.event.action == Action::DeviceCreated).unwrap();
    let source = paired.source.as_ref().unwrap();
    assert_eq!(source.address, Some([127, 0, 0, 1].into()));
}

async fn a_nonce_that_is_not_fresh_and_from_here_is_refused(world: World) {
    let mut scene = Scene::new(world).await;
    let foreign = scene.world.another_bank().await;
    let foreign = scene.world.get(&format!("{}/nonce", foreign.device_base())).await.text("/nonce");
    let fault = Fault { target: "proof.nonce", rule: "must come from the nonce endpoint" };
    let bytes = encoding::decode(&scene.nonce).unwrap();
    let (expiry, rest) = bytes.split_first_chunk::<8>().unwrap();
    let later = (i64::from_be_bytes(*expiry) + 1).to_be_bytes();
    let prolonged = encoding::encode([later.as_slice(), rest].concat());
    let nonces = [
        foreign,
        prolonged,
        tampered(&scene.nonce, 20),
        tampered(&scene.nonce, 60),
        scene.nonce[..32].to_owned(),
        format!("{}AAAA", scene.nonce),
        format!("{}=", scene.nonce),
        String::new(),
        "x".to_owned(),
    ];
    for nonce in nonces {
        scene.refuses(&WITH_NONCE, fault, |draft| draft.claim("nonce", &*nonce).sign()).await;
    }
    scene.world.clock.advance(301);
    scene.refuses(&WITH_NONCE, fault, |draft| draft.sign()).await;
    scene.nonce = scene.world.nonce().await;
    scene.world.clock.advance(298);
    scene.accepts_the_rest().await;
}

/// Asserts that a good proof is refused, for this reason and without effect.
async fn fails(scene: &Scene, draft: &Draft, code: &str, target: &str) {
    let before = scene.trace().await;
    refused(scene, draft, code, target).await;
    assert_eq!(scene.trace().await, before);
}

/// Asserts that a good proof is refused because its ticket would not be offered any more, and that the audit log knows why.
async fn is_not_offered(scene: &Scene, draft: &Draft, code: &str, reason: &str) -> Answer {
    let before = scene.trace().await;
    let answer = refused(scene, draft, code, "proof.ticket").await;
    let after = scene.trace().await;
    assert_eq!(after.devices, before.devices);
    let old: BTreeSet<_> = before.audit.iter().map(|record| record.id).collect();
    let mut told = after.audit.iter().filter(|record| !old.contains(&record.id));
    let event = &told.next().unwrap().event;
    assert_eq!((event.action, event.succeeded), (Action::DeviceActivationFailed, false));
    assert_eq!(event.reason.as_deref(), Some(reason));
    assert!(told.next().is_none());
    answer
}

async fn refused(scene: &Scene, draft: &Draft, code: &str, target: &str) -> Answer {
    let answer = scene.send(draft.kind, &draft.sign()).await;
    let (found_code, found_target, message) = answer.refusal(400, "REQUEST_FAILED");
    assert_eq!((&*found_code, &*found_target), (code, target), "{message}");
    assert!(!message.is_empty());
    answer
}

async fn a_ticket_that_is_not_for_this_phone_here_is_refused(world: World) {
    let scene = Scene::new(world).await;
    let unknown = encoding::encode([7; 48]);
    for kind in [Kind::Pairing, Kind::Denial] {
        let own = if kind == Kind::Pairing { &scene.gus_ticket } else { &scene.dora_ticket };
        let tickets =
            [&*unknown, &tampered(own, 3), &tampered(own, 40), &own[..62], "", "x", "AAAA"];
        for ticket in tickets {
            let draft = scene.draft(kind).claim("ticket", ticket);
            fails(&scene, &draft, "TICKET_INVALID", "proof.ticket").await;
        }
        // Another phone's: the ticket says whose signature counts.
        let other = if kind == Kind::Pairing {
            scene.dora_ticket.clone()
        } else {
            scene.gus_ticket.clone()
        };
        let fault = Fault { target: "proof.header.kid", rule: "thumbprint of the signing key" };
        scene.refuses(&[kind], fault, |draft| draft.claim("ticket", &*other).sign()).await;
    }
    let other = scene.draft(Kind::Pairing).inside("app", "id", scene.ann.thumbprint().to_string());
    fails(&scene, &other, "INVALID_VALUE", "proof.app.id").await;

    // A ticket of here, presented to another tenant of the same server.
    let mut there = scene.draft(Kind::Pairing);
    let foreign = scene.world.another_bank().await;
    let url = format!("{}/pairings", foreign.device_base());
    let nonce = scene.world.get(&format!("{}/nonce", foreign.device_base())).await.text("/nonce");
    there = there.claim("aud", &*url).claim("nonce", nonce);
    let body = json!({ "proof": there.sign() }).to_string();
    let answer = scene.world.post(&url, "application/json", body).await;
    let (code, target, _) = answer.refusal(400, "REQUEST_FAILED");
    assert_eq!((&*code, &*target), ("TICKET_INVALID", "proof.ticket"));
    scene.accepts_the_rest().await;
}

async fn a_ticket_is_spent_by_either_decision_and_runs_out(world: World) {
    let mut scene = Scene::new(world).await;
    let paired = scene.send(Kind::Pairing, &scene.draft(Kind::Pairing).sign()).await;
    let denied = scene.send(Kind::Denial, &scene.draft(Kind::Denial).sign()).await;
    assert_eq!((paired.status.as_u16(), denied.status.as_u16()), (201, 200));
    let before = scene.trace().await;

    // The same decision with a new proof: the phone has lost the answer.
    let again = scene.send(Kind::Pairing, &scene.draft(Kind::Pairing).sign()).await;
    assert_eq!(again.text("/device/id"), paired.text("/device/id"));
    let again = scene.send(Kind::Denial, &scene.draft(Kind::Denial).sign()).await;
    assert_eq!(again.body, denied.body);
    assert_eq!(scene.trace().await, before);

    let deny_paired = scene.gus.denial(&scene.world, &scene.nonce, &scene.gus_ticket);
    fails(&scene, &deny_paired, "TICKET_SPENT", "proof.ticket").await;
    let pair_denied = scene.dora.pairing(&scene.world, &scene.nonce, &scene.dora_ticket);
    fails(&scene, &pair_denied, "TICKET_SPENT", "proof.ticket").await;

    let gus = scene.gus.unpairing(&scene.world, &scene.nonce);
    assert!(scene.send(Kind::Unpairing, &gus.sign()).await.status.is_success());
    fails(&scene, &scene.draft(Kind::Pairing), "TICKET_SPENT", "proof.ticket").await;

    let late = Phone::new();
    scene.world.user("late").await;
    let ticket = scene.world.ticket("late", &late).await;
    scene.world.clock.advance(600);
    scene.nonce = scene.world.nonce().await;
    let approval = late.pairing(&scene.world, &scene.nonce, &ticket);
    fails(&scene, &approval, "TICKET_EXPIRED", "proof.ticket").await;
    let denial = late.denial(&scene.world, &scene.nonce, &ticket);
    fails(&scene, &denial, "TICKET_EXPIRED", "proof.ticket").await;
}

/// What the platform says of the passcodes of a new device, and whether its seed opens.
fn passcodes(answer: &Answer, phone: &Phone) -> (String, String) {
    assert_eq!(answer.status.as_u16(), 201, "{answer:?}");
    let Seed { device, step_seconds, .. } =
        seed::open(&answer.text("/seed"), &phone.agreement).unwrap();
    assert_eq!((device, step_seconds), (answer.text("/device/id"), DEFAULT_STEP_SECONDS));
    let json = answer.json();
    let authenticators = json["authenticators"].as_array().unwrap();
    let own = authenticators.iter().find(|own| own["type"] == "oneTimePasscode").unwrap();
    let text = |name: &str| own[name].as_str().unwrap_or_default().to_owned();
    (text("status"), text("errorCode"))
}

async fn a_passcode_proof_tells_a_wrong_secret_from_a_wrong_clock(world: World) {
    let at = |ticket: &str, seconds: i64| {
        let now = world.now().plus_seconds(seconds);
        json!(passcode_proof(ticket.as_bytes(), DEFAULT_STEP_SECONDS, now))
    };
    let cases = [
        (0, "completed", ""),
        (30, "completed", ""),
        (-30, "completed", ""),
        (90, "failed", "UnSynchronizedClock"),
        (-3_600, "failed", "UnSynchronizedClock"),
    ];
    for (name, (seconds, status, code)) in ["a", "b", "c", "d", "e"].iter().zip(cases) {
        world.user(name).await;
        let (phone, nonce) = (Phone::new(), world.nonce().await);
        let ticket = world.ticket(name, &phone).await;
        let proof = phone.pairing(&world, &nonce, &ticket).claim("passcode", at(&ticket, seconds));
        let answer = world.prove("/pairings", &proof.sign()).await;
        assert_eq!(passcodes(&answer, &phone), (status.to_owned(), code.to_owned()), "{seconds}");
    }
    let ann = world.user("ann").await;
    let (phone, nonce) = (Phone::new(), world.nonce().await);
    let ticket = world.ticket("ann", &phone).await;
    // Of another secret, and by no chance the passcode of this one at a time near enough to be taken for a wrong clock.
    let own: Vec<_> = (-3_000..=3_000).map(|step| at(&ticket, step * 30)).collect();
    let mut others = (0..).map(|n| at(&format!("another ticket {n}"), 0));
    let other = others.find(|other| !own.contains(other)).unwrap();
    let proof = phone.pairing(&world, &nonce, &ticket).claim("passcode", other);
    let answer = world.prove("/pairings", &proof.sign()).await;
    let expected = ("failed".to_owned(), "InvalidOneTimePasscode".to_owned());
    assert_eq!(passcodes(&answer, &phone), expected);
    assert_eq!(world.devices(&ann).await.len(), 1, "a wrong one does not stop the pairing");
}

/// Changes a user as an administrator will.
struct Change(User);

impl Work for Change {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let Self(new) = self;
        let old = user::load(tx, new.environment, new.id).await?.unwrap();
        user::swap(tx, &old, new).await
    }
}

async fn a_ticket_counts_only_as_long_as_the_policy_would_offer_it(world: World) {
    let scene = Scene::new(world).await;
    let app = scene.world.app();
    let good = scene.world.bank.mfa_policy.clone();
    let changes: [fn(&mut MfaPolicy); 4] = [
        |policy| policy.mobile.applications[0].pairing_disabled = true,
        |policy| policy.mobile.applications[0].auto_enrollment = false,
        |policy| policy.mobile.applications.clear(),
        |policy| policy.mobile.enabled = false,
    ];
    for change in changes {
        let mut policy = good.clone();
        change(&mut policy);
        app.replace_mfa_policy(policy).await.unwrap();
        let draft = scene.draft(Kind::Pairing);
        is_not_offered(&scene, &draft, "PAIRING_DISABLED", "pairing_disabled").await;
    }
    app.replace_mfa_policy(good).await.unwrap();

    let gus = scene.user_gus().clone();
    for disabled in
        [User { enabled: false, ..gus.clone() }, User { mfa_enabled: false, ..gus.clone() }]
    {
        app.store().write(Change(disabled)).await.unwrap();
        let draft = scene.draft(Kind::Pairing);
        is_not_offered(&scene, &draft, "PAIRING_DISABLED", "pairing_disabled").await;
    }
    app.store().write(Change(gus)).await.unwrap();
    scene.accepts_the_rest().await;
}

async fn a_ticket_does_not_count_beyond_the_limit_of_devices(world: World) {
    let scene = Scene::new(world).await;
    let (environment, gus) = (scene.world.bank.environment, scene.user_gus());
    let (second, ticket) = scene.world.phones_with_tickets(gus, 1).await.remove(0);
    let limit = MfaSettings { max_allowed_devices: 1, ..MfaSettings::default() };
    scene.world.app().put_mfa_settings(environment, limit).await.unwrap();
    let first = scene.send(Kind::Pairing, &scene.draft(Kind::Pairing).sign()).await;
    assert_eq!(first.status.as_u16(), 201);
    let draft = second.pairing(&scene.world, &scene.nonce, &ticket);
    let refused = is_not_offered(&scene, &draft, "LIMIT_EXCEEDED", "limit_reached").await;
    assert_eq!(refused.json()["details"][0]["innerError"]["maximumAllowed"], 1);
    // Nothing was spent: with room for one more, the very same proof counts.
    scene.world.app().put_mfa_settings(environment, MfaSettings::default()).await.unwrap();
    let counted = scene.send(Kind::Pairing, &draft.sign()).await;
    assert_eq!(counted.status.as_u16(), 201, "{counted:?}");
}

async fn a_ticket_for_a_password_alone_counts_for_the_first_device_only(world: World) {
    let scene = Scene::new(world).await;
    let second = Phone::new();
    let ticket = scene.world.ticket("gus", &second).await;
    let first = scene.send(Kind::Pairing, &scene.draft(Kind::Pairing).sign()).await;
    assert_eq!(first.status.as_u16(), 201);
    let draft = second.pairing(&scene.world, &scene.nonce, &ticket);
    is_not_offered(&scene, &draft, "PAIRING_DISABLED", "pairing_disabled").await;
}

async fn a_blocked_phone_is_not_paired_again(world: World) {
    let scene = Scene::new(world).await;
    let app = scene.world.app();
    // Two offers for one phone, of which one is taken before an administrator blocks it.
    let ticket = scene.world.ticket("gus", &scene.gus).await;
    let paired = scene.send(Kind::Pairing, &scene.draft(Kind::Pairing).sign()).await;
    let device = paired.text("/device/id").parse().unwrap();
    let second = scene.gus.pairing(&scene.world, &scene.nonce, &ticket);
    is_not_offered(&scene, &second, "TICKET_SPENT", "already_paired").await;
    let environment = scene.world.bank.environment;
    app.change_device(environment, device, DeviceChange::Block).await.unwrap();
    is_not_offered(&scene, &second, "PAIRING_DISABLED", "pairing_disabled").await;
    let devices = scene.world.devices(scene.user_gus()).await;
    assert!(matches!(devices[..], [ref only] if matches!(only.state, State::Blocked { .. })));

    // It does not vouch, nor does it count as no device at all.
    let payload = scene.gus.payload(&scene.world).sign();
    let refused = scene.world.password("gus", Some(&payload)).await;
    assert_eq!(refused.text("/authorizeResponse/error"), "access_denied", "{refused:?}");
}
