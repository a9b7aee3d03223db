//! The test of the way to the app, with each link broken once.

use std::future::{pending, ready};

use countersign_protocol::push::{Hint, PushMessage};

use super::platform::{Fate, error, push};
use super::world::{World, config};
use crate::installation::lock;
use crate::protocol::device_api::ErrorCode;
use crate::protocol::mobile_payload::Platform as RunsOn;
use crate::{
    Countersign, Error, NotificationTestReport, PushEnvironment, PushService, TestResult, TestType,
};

const ALL: [TestType; 6] = [
    TestType::PushAllowedBySdk,
    TestType::DeviceTokenSet,
    TestType::DeviceTokenType,
    TestType::NetworkConnection,
    TestType::SendRemoteNotification,
    TestType::ReceivedNotification,
];

async fn phone(world: &World) -> Countersign {
    let sdk = world.paired().await;
    sdk.set_device_token(PushService::Fcm, "token", None).await.unwrap();
    sdk
}

fn result(report: &NotificationTestReport, test: TestType) -> Option<(TestResult, Option<&str>)> {
    let found = report.tests.iter().find(|row| row.test == test);
    found.map(|row| (row.result, row.reason.as_deref()))
}

/// A test whose message arrives, and is given to the SDK.
async fn received(sdk: &Countersign) -> NotificationTestReport {
    let message = push(Hint::Test { id: "test-1".to_owned() });
    let (report, _) = tokio::join!(
        sdk.test_remote_notification(pending()),
        sdk.process_remote_notification(&message)
    );
    report.unwrap()
}

#[tokio::test]
async fn a_whole_way_passes_link_by_link() {
    let world = World::new();
    let sdk = phone(&world).await;
    let report = received(&sdk).await;
    assert_eq!(report.result, TestResult::Pass);
    let rows: Vec<_> = report.tests.iter().map(|row| row.test).collect();
    assert_eq!(rows, ALL);
    assert!(report.tests.iter().all(|row| row.reason.is_none()));
}

#[tokio::test]
async fn a_message_that_arrives_late_is_waited_for_until_nobody_wants_to_wait() {
    let world = World::new();
    let sdk = phone(&world).await;
    let (open, gate) = tokio::sync::oneshot::channel();
    world.platform.will([Fate::Arrive, Fate::Arrive, Fate::Wait(gate)]);
    let message = push(Hint::Test { id: "test-1".to_owned() });
    let other = push(Hint::Test { id: "test-0".to_owned() });
    let running = sdk.test_remote_notification(pending());
    let (report, ()) = tokio::join!(running, async {
        open.send(()).unwrap();
        while world.platform.count("/push-tests") == 0 {
            tokio::task::yield_now().await;
        }
        sdk.process_remote_notification(&other).await.unwrap();
        tokio::task::yield_now().await;
        sdk.process_remote_notification(&message).await.unwrap();
    });
    assert_eq!(report.unwrap().result, TestResult::Pass);

    let report = sdk.test_remote_notification(ready(())).await.unwrap();
    assert_eq!(report.result, TestResult::Fail);
    let (failed, reason) = result(&report, TestType::ReceivedNotification).unwrap();
    assert!(failed == TestResult::Fail && reason.is_some());
}

#[tokio::test]
async fn one_test_runs_at_a_time() {
    let world = World::new();
    let sdk = phone(&world).await;
    let (end, ended) = tokio::sync::oneshot::channel();
    let limit = async { ended.await.unwrap() };
    let (first, second) = tokio::join!(sdk.test_remote_notification(limit), async {
        let second = sdk.test_remote_notification(pending()).await;
        end.send(()).unwrap();
        second
    });
    first.unwrap();
    let refused = second.unwrap_err();
    assert!(matches!(refused, Error::TestRunning));
    assert_eq!((refused.pingone_code(), refused.is_retriable()), (10_016, true));
    // A test that was given up does not block the next one either.
    drop(sdk.test_remote_notification(pending()));
    sdk.test_remote_notification(ready(())).await.unwrap();
}

#[tokio::test]
async fn push_that_was_never_set_up_is_told() {
    let world = World::new();
    let sdk = world.paired().await;
    sdk.allow_push_notifications(false).await.unwrap();
    *lock(&world.platform.refuses_test) = Some("MissingDeviceToken".to_owned());
    let report = sdk.test_remote_notification(pending()).await.unwrap();
    assert_eq!(report.result, TestResult::Fail);
    let rows: Vec<_> = report.tests.iter().map(|row| (row.test, row.result)).collect();
    assert_eq!(
        rows,
        [
            (TestType::PushAllowedBySdk, TestResult::Fail),
            (TestType::DeviceTokenSet, TestResult::Fail),
            (TestType::NetworkConnection, TestResult::Pass),
            (TestType::SendRemoteNotification, TestResult::Fail),
        ]
    );
    let sent = result(&report, TestType::SendRemoteNotification);
    assert_eq!(sent, Some((TestResult::Fail, Some("MissingDeviceToken"))));
}

#[tokio::test]
async fn without_a_network_nothing_more_is_tried() {
    let world = World::new();
    let sdk = phone(&world).await;
    world.platform.will([Fate::LoseRequest]);
    let report = sdk.test_remote_notification(pending()).await.unwrap();
    let rows: Vec<_> = report.tests.iter().map(|row| row.test).collect();
    assert_eq!(rows, ALL[..4]);
    assert_eq!(report.result, TestResult::Fail);
}

#[tokio::test]
async fn an_installation_that_is_not_paired_is_not_tested() {
    let world = World::new();
    let sdk = world.open().await;
    let told = sdk.test_remote_notification(pending()).await;
    assert!(matches!(told, Err(Error::NotPaired { .. })));
    let sdk = phone(&world).await;
    let gone = error(401, ErrorCode::DeviceNotPaired, None);
    world.platform.will([Fate::Arrive, Fate::Arrive, Fate::Answer(gone)]);
    let told = sdk.test_remote_notification(pending()).await;
    assert!(matches!(told, Err(Error::NotPaired { .. })));
}

#[tokio::test]
async fn a_token_fits_the_system_that_the_app_runs_on() {
    let apple = "ab".repeat(32);
    let rows = [
        (RunsOn::Ios, PushService::Apns, apple.as_str(), TestResult::Pass),
        (RunsOn::Android, PushService::Apns, apple.as_str(), TestResult::Fail),
        (RunsOn::Android, PushService::Hms, "token", TestResult::Pass),
        (RunsOn::Ios, PushService::Fcm, "token", TestResult::Pass),
        (RunsOn::Android, PushService::Direct, "", TestResult::Warning),
    ];
    for (platform, service, token, expected) in rows {
        let world = World::new();
        let mut config = config();
        config.app.platform = platform;
        let sdk = Countersign::open(config, world.system.clone()).await.unwrap();
        world.pair(&sdk, "ann").await;
        let environment = Some(PushEnvironment::Production);
        sdk.set_device_token(service, token, environment).await.unwrap();
        let report = received(&sdk).await;
        assert_eq!(result(&report, TestType::DeviceTokenType).unwrap().0, expected, "{service:?}");
        assert_eq!(report.result, expected);
    }
}

#[tokio::test]
async fn an_app_without_a_push_service_receives_by_waiting() {
    let world = World::new();
    let sdk = world.paired().await;
    sdk.set_device_token(PushService::Direct, "", None).await.unwrap();
    let (report, ()) = tokio::join!(sdk.test_remote_notification(pending()), async {
        let test = PushMessage::new(Hint::Test { id: "test-1".to_owned() });
        lock(&world.platform.hints).push(test);
        sdk.wait_for_notifications(25).await.unwrap();
    });
    assert_eq!(report.unwrap().result, TestResult::Warning);
}
