//! What is refused, and why: in the order of the checks.

use bytes::Bytes;
use countersign_emulator::push_service::credentials::ApnsCredentials;
use countersign_protocol::entropy::SystemEntropy;
use countersign_protocol::mobile_payload::PushEnvironment;
use countersign_protocol::time::Clock;
use serde_json::json;

use super::{Push, World};
use crate::world::{TOPIC, es256, provider_token};

const ID: &str = "123e4567-e89b-12d3-a456-4266554400a0";

#[tokio::test]
async fn what_is_accepted_has_an_empty_body_and_its_id() {
    let world = World::new().await;
    let answer = world.send(world.request().header("apns-id", ID)).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(answer.head.headers["apns-id"], ID);
    assert!(!answer.head.headers.contains_key("apns-unique-id"));
    let answer = world.send(world.silent()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.head.headers["apns-id"].len(), 36);
}

#[tokio::test]
async fn the_sandbox_gives_a_unique_id() {
    let world = World::with(|settings| settings.environment = PushEnvironment::Sandbox).await;
    assert!(world.send(world.request()).await.head.headers.contains_key("apns-unique-id"));
}

#[tokio::test]
async fn each_wrong_request_has_its_reason() {
    type Change = fn(Push) -> Push;
    let world = World::new().await;
    let connection = world.connect().await;
    let cases: &[(u16, &str, Change)] = &[
        (404, "BadPath", |push| push.path("/3/devices/aa")),
        (404, "BadPath", |push| push.path("/")),
        (405, "MethodNotAllowed", |push| Push { method: "GET", body: Bytes::new(), ..push }),
        (403, "MissingProviderToken", |push| push.without("authorization")),
        (403, "MissingProviderToken", |push| push.header("authorization", "basic YTpi")),
        (403, "MissingProviderToken", |push| push.header("authorization", "bearer ")),
        (403, "InvalidProviderToken", |push| push.header("authorization", "bearer a.b.c")),
        (400, "DuplicateHeaders", |push| push.also("apns-topic", TOPIC)),
        (400, "DuplicateHeaders", |push| {
            push.also("apns-priority", "5").also("apns-priority", "5")
        }),
        (400, "DuplicateHeaders", |push| push.also("authorization", "bearer x")),
        (400, "BadMessageId", |push| push.header("apns-id", "1")),
        (400, "BadMessageId", |push| push.header("apns-id", &ID.to_uppercase())),
        (400, "BadCollapseId", |push| push.header("apns-collapse-id", &"c".repeat(65))),
        (400, "BadExpirationDate", |push| push.header("apns-expiration", "soon")),
        (400, "BadExpirationDate", |push| push.header("apns-expiration", "-1")),
        (400, "BadExpirationDate", |push| push.header("apns-expiration", "")),
        (400, "BadPriority", |push| push.header("apns-priority", "7")),
        (400, "InvalidPushType", |push| push.header("apns-push-type", "shout")),
        (400, "MissingTopic", |push| push.without("apns-topic")),
        (400, "BadTopic", |push| push.header("apns-topic", "org bank app")),
        (400, "TopicDisallowed", |push| push.header("apns-topic", "org.other.app")),
        (400, "PayloadEmpty", |push| Push { body: Bytes::new(), ..push }),
        (400, "BadRequestPayload", |push| Push { body: "hello".into(), ..push }),
        (400, "BadRequestPayload", |push| push.json(&json!(["aps"]))),
        (400, "InvalidPushType", |push| push.json(&json!({ "aps": { "content-available": 1 } }))),
        (400, "InvalidPushType", |push| push.header("apns-push-type", "background")),
        (400, "MissingDeviceToken", |push| push.to("")),
        (400, "BadDeviceToken", |push| push.to("never-a-token")),
        (400, "BadDeviceToken", |push| push.to(&"ab".repeat(32))),
        (413, "PayloadTooLarge", |push| {
            push.json(&json!({ "aps": { "alert": "a".repeat(4_096) } }))
        }),
        (413, "PayloadTooLarge", |push| {
            push.json(&json!({ "aps": { "alert": "a".repeat(99_000) } }))
        }),
    ];
    for (status, reason, change) in cases {
        let answer = connection.send(change(world.request()).into()).await.unwrap();
        assert_eq!(answer.json(), json!({ "reason": reason }));
        assert_eq!((answer.status, answer.reason().as_str()), (*status, *reason));
        assert!(answer.head.headers.contains_key("apns-id"));
    }
    let mailbox = world.server.installations().mailbox(&world.token).unwrap();
    assert_eq!(mailbox.messages(), []);
}

#[tokio::test]
async fn a_background_message_agrees_with_its_priority_and_payload() {
    let world = World::new().await;
    let connection = world.connect().await;
    for (push, reason) in [
        (world.silent(), ""),
        (world.silent().header("apns-priority", "1"), ""),
        (world.silent().header("apns-priority", "10"), "BadPriority"),
        (world.silent().without("apns-priority"), "BadPriority"),
        // Without a type the payload says which it is.
        (world.silent().without("apns-push-type"), ""),
        (world.silent().without("apns-push-type").without("apns-priority"), "BadPriority"),
        (world.silent().json(&json!({ "aps": {} })), "InvalidPushType"),
        (
            world.silent().json(&json!({ "aps": { "content-available": 1, "alert": "Hello" } })),
            "InvalidPushType",
        ),
    ] {
        assert_eq!(connection.send(push.into()).await.unwrap().reason(), reason);
    }
}

#[tokio::test]
async fn a_voip_message_may_be_larger() {
    let world = World::new().await;
    let large = json!({ "call": "a".repeat(5_000) });
    let voip = world.request().header("apns-push-type", "voip").json(&large);
    assert_eq!(world.send(voip).await.status, 200);
    let too_large = json!({ "call": "a".repeat(5_120) });
    let voip = world.request().header("apns-push-type", "voip").json(&too_large);
    assert_eq!(world.send(voip).await.reason(), "PayloadTooLarge");
}

#[tokio::test]
async fn an_earlier_check_hides_a_later_fault() {
    type Mend<'a> = &'a dyn Fn(Push) -> Push;
    let world = World::new().await;
    // Everything is wrong, and is mended step by step.
    let mut push = Push { method: "GET", ..world.request() }
        .path("/x")
        .without("authorization")
        .header("apns-priority", "x")
        .without("apns-topic")
        .header("apns-push-type", "background")
        .json(&json!({ "aps": { "content-available": 1 }, "much": "x".repeat(5_000) }));
    let connection = world.connect().await;
    let steps: [(&str, Mend<'_>); 9] = [
        ("BadPath", &|push| push.to("00")),
        ("MethodNotAllowed", &|push| Push { method: "POST", ..push }),
        ("MissingProviderToken", &|push| {
            push.header("authorization", &format!("bearer {}", world.provider_token()))
        }),
        ("BadPriority", &|push| push.header("apns-priority", "10")),
        ("MissingTopic", &|push| push.header("apns-topic", TOPIC)),
        ("BadPriority", &|push| push.header("apns-priority", "5")),
        ("BadDeviceToken", &|push| push.to(&world.token)),
        ("PayloadTooLarge", &|push| push.json(&json!({ "aps": { "content-available": 1 } }))),
        ("", &|push| push),
    ];
    for (reason, mend) in steps {
        let answer = connection.send(push.clone().into()).await.unwrap();
        assert_eq!(answer.reason(), reason);
        push = mend(push);
    }
}

#[tokio::test]
async fn a_provider_token_is_signed_by_a_key_of_its_team_and_at_most_an_hour_old() {
    let world = World::new().await;
    let (now, ours) = (world.clock.now(), &world.credentials);
    let strangers = ApnsCredentials::generate(&SystemEntropy).unwrap();
    let token = |key: &ApnsCredentials, alg: &str, kid: &str, iss: &str| {
        let header = json!({ "alg": alg, "kid": kid });
        es256(&key.p8(), &header, &json!({ "iss": iss, "iat": now.unix_seconds() }))
    };
    for (token, reason) in [
        (provider_token(ours, now), ""),
        (provider_token(ours, now.minus_seconds(3_600)), ""),
        (provider_token(ours, now.minus_seconds(3_601)), "ExpiredProviderToken"),
        (provider_token(ours, now.plus_seconds(60)), ""),
        (provider_token(ours, now.plus_seconds(61)), "InvalidProviderToken"),
        (provider_token(&strangers, now), "InvalidProviderToken"),
        (token(&strangers, "ES256", &ours.key_id, &ours.team_id), "InvalidProviderToken"),
        (token(ours, "none", &ours.key_id, &ours.team_id), "InvalidProviderToken"),
        (token(ours, "ES256", "AAAAAAAAAA", &ours.team_id), "InvalidProviderToken"),
        (token(ours, "ES256", &ours.key_id, "AAAAAAAAAA"), "InvalidProviderToken"),
    ] {
        let push = world.request().header("authorization", &format!("bearer {token}"));
        assert_eq!(world.send(push).await.reason(), reason, "{token}");
    }
}

#[tokio::test]
async fn a_connection_may_renew_its_provider_token_every_twenty_minutes() {
    let world = World::new().await;
    let connection = world.connect().await;
    let first = world.request();
    assert_eq!(connection.send(first.clone().into()).await.unwrap().status, 200);
    world.clock.advance(1_199);
    let early = connection.send(world.request().into()).await.unwrap();
    assert_eq!((early.status, early.reason().as_str()), (429, "TooManyProviderTokenUpdates"));
    assert_eq!(connection.send(first.into()).await.unwrap().status, 200);
    world.clock.advance(1);
    assert_eq!(connection.send(world.request().into()).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_connection_is_of_one_key() {
    let other = ApnsCredentials::generate(&SystemEntropy).unwrap();
    let world = World::with(|settings| settings.teams.push(other.team(&[]))).await;
    let connection = world.connect().await;
    assert_eq!(connection.send(world.request().into()).await.unwrap().status, 200);
    let token = provider_token(&other, world.clock.now());
    let switched = world.request().header("authorization", &format!("bearer {token}"));
    let answer = connection.send(switched.clone().into()).await.unwrap();
    assert_eq!((answer.status, answer.reason().as_str()), (403, "UnrelatedKeyIdInToken"));
    assert_eq!(world.send(switched).await.status, 200);
}

#[tokio::test]
async fn a_key_may_be_for_one_environment() {
    let world = World::with(|settings| {
        settings.teams[0].keys[0].only = Some(PushEnvironment::Sandbox);
    })
    .await;
    let answer = world.send(world.request()).await;
    assert_eq!((answer.status, answer.reason().as_str()), (403, "BadEnvironmentKeyIdInToken"));
}

#[tokio::test]
async fn a_token_is_of_one_environment_and_one_topic() {
    let world = World::with(|settings| settings.teams[0].topics.clear()).await;
    let installations = world.server.installations();
    let sandbox = installations.install_in(PushEnvironment::Sandbox, TOPIC).unwrap();
    assert_eq!(world.send(world.request().to(&sandbox)).await.reason(), "BadDeviceToken");
    let other = installations.install("org.other.app").unwrap();
    assert_eq!(world.send(world.request().to(&other)).await.reason(), "DeviceTokenNotForTopic");
    let upper = world.token.to_uppercase();
    assert_eq!(world.send(world.request().to(&upper)).await.status, 200);
}

#[tokio::test]
async fn too_many_messages_to_a_token_within_a_minute_are_refused_when_asked_for() {
    let world = World::with(|settings| settings.messages_per_minute = Some(2)).await;
    let connection = world.connect().await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(connection.send(world.request().into()).await.unwrap().status);
    }
    assert_eq!(statuses, [200, 200, 429]);
    world.clock.advance(60);
    assert_eq!(world.send(world.request()).await.status, 200);
}
