//! Logs of the app that are sent.

use super::world::World;
use crate::Error;
use crate::installation::lock;

#[tokio::test]
async fn the_newest_lines_of_a_log_are_sent_by_who_is_paired() {
    let world = World::new();
    let sdk = world.open().await;
    let refused = sdk.send_logs("too early").await.unwrap_err();
    assert!(matches!(refused, Error::NotPaired { .. }), "{refused:?}");
    let sdk = world.paired().await;
    sdk.send_logs("").await.unwrap();
    assert_eq!(lock(&world.platform.device_log).as_deref(), None);
    let log = (0..9_000).fold(String::new(), |log, line| log + &format!("{line}\r\n"));
    sdk.send_logs(&log).await.unwrap();
    let kept = lock(&world.platform.device_log).clone().unwrap();
    assert!(kept.ends_with("8999 \n") && kept.len() < 9_000, "{}", kept.len());
}
