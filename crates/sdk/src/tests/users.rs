//! Paired users over time: passcodes, info, unpairing, restarts.

use std::sync::Arc;

use countersign_protocol::secret::Secret;
use countersign_protocol::time::Timestamp;

use super::platform::{DEVICE_BASE, Fate, START, Seeded};
use super::world::{World, config, told};
use crate::installation::lock;
use crate::key_store::{MemoryKeyStore, SoftwareKeyStore};
use crate::storage::FileStorage;
use crate::{ConfigError, Countersign, Error, Platform, STATE_BLOB};

#[tokio::test]
async fn a_passcode_says_how_long_it_is_good() {
    let world = World::new();
    let sdk = world.open().await;
    world.pair(&sdk, "ann").await;
    world.advance(29);
    let shown = sdk.one_time_passcode().unwrap();
    assert_eq!((shown.valid_from, shown.valid_until), (START, START.plus_seconds(30)));
    assert_eq!((shown.seconds_remaining, shown.step_seconds), (1, 30));
    assert!(!format!("{shown:?}").contains(shown.passcode.expose()));
    world.advance(1);
    let next = sdk.one_time_passcode().unwrap();
    assert_eq!((next.valid_from, next.seconds_remaining), (START.plus_seconds(30), 30));
    assert_eq!(next.passcode.expose(), world.expected_passcode("ann"));
}

#[tokio::test]
async fn passcodes_need_no_network() {
    let world = World::new();
    let sdk = world.open().await;
    world.pair(&sdk, "ann").await;
    let before = lock(&world.platform.log).len();
    world.open().await.one_time_passcode().unwrap();
    assert_eq!(lock(&world.platform.log).len(), before);
}

#[tokio::test]
async fn with_several_users_the_passcode_needs_a_name() {
    let world = World::new();
    let sdk = world.open().await;
    assert_eq!(told(sdk.one_time_passcode()), "countersign.error.not_paired");
    world.pair(&sdk, "ann").await;
    world.pair(&sdk, "bob").await;
    assert!(matches!(sdk.one_time_passcode(), Err(Error::AmbiguousUser)));
    for user in ["ann", "bob"] {
        let shown = sdk.one_time_passcode_for(user).unwrap();
        assert_eq!(shown.passcode.expose(), world.expected_passcode(user));
    }
    assert!(matches!(sdk.one_time_passcode_for("eve"), Err(Error::NotPaired { .. })));
}

#[tokio::test]
async fn info_is_what_the_platform_knows_and_the_phone_follows() {
    let world = World::new();
    let sdk = world.open().await;
    assert!(sdk.info().await.unwrap().is_empty());
    world.pair(&sdk, "ann").await;
    world.pair(&sdk, "bob").await;
    assert_eq!(sdk.info().await.unwrap().len(), 2);
    sdk.one_time_passcode_for("bob").unwrap();

    lock(&world.platform.devices).retain(|device| device.user == "ann");
    let users = sdk.info().await.unwrap();
    assert_eq!(users.iter().map(|user| user.id.as_str()).collect::<Vec<_>>(), ["ann"]);
    assert_eq!(sdk.one_time_passcode().unwrap().passcode.expose(), world.expected_passcode("ann"));

    lock(&world.platform.devices).clear();
    assert!(sdk.info().await.unwrap().is_empty());
    assert!(world.open().await.paired_users().is_empty());
}

#[tokio::test]
async fn a_replaced_device_does_not_keep_the_old_seed() {
    let world = World::new();
    let sdk = world.open().await;
    world.pair(&sdk, "ann").await;
    lock(&world.platform.devices)[0].id = "device-9".to_owned();
    sdk.info().await.unwrap();
    assert!(matches!(sdk.one_time_passcode(), Err(Error::NoPasscodes)));
}

#[tokio::test]
async fn unpairing_tells_the_platform_first() {
    let world = World::new();
    let sdk = world.open().await;
    world.pair(&sdk, "ann").await;
    world.pair(&sdk, "bob").await;
    world.platform.will([Fate::LoseRequest, Fate::LoseRequest, Fate::LoseRequest]);
    assert_eq!(told(sdk.unpair(Some("ann")).await), "countersign.error.no_connection");
    assert_eq!(sdk.paired_users().len(), 2);

    sdk.unpair(Some("ann")).await.unwrap();
    assert_eq!(world.device_count(), 1);
    assert_eq!(sdk.paired_users().first().map(|user| user.id.as_str()), Some("bob"));
    sdk.unpair(None).await.unwrap();
    assert_eq!((world.device_count(), sdk.paired_users().len()), (0, 0));
    // Unpairing what is not paired is done already.
    sdk.unpair(None).await.unwrap();
}

#[tokio::test]
async fn removing_local_data_makes_another_installation() {
    let world = World::new();
    let sdk = world.open().await;
    world.pair(&sdk, "ann").await;
    let before = world.system.key_store.ensure().await.unwrap();
    sdk.remove_local_data().await.unwrap();
    assert_ne!(world.system.key_store.ensure().await.unwrap(), before);
    assert!(sdk.paired_users().is_empty() && world.open().await.paired_users().is_empty());
    assert_eq!(world.device_count(), 1);
    world.pair(&sdk, "ann").await;
}

#[tokio::test]
async fn state_without_its_keys_is_dropped() {
    let world = World::new();
    world.pair(&world.open().await, "ann").await;
    let key_store = Arc::new(MemoryKeyStore::new(Arc::new(Seeded::new(9))));
    let system = Platform { key_store, ..world.system.clone() };
    let sdk = Countersign::open(config(), system).await.unwrap();
    assert!(sdk.paired_users().is_empty());
}

#[tokio::test]
async fn state_of_another_issuer_or_version_is_refused() {
    let world = World::new();
    world.pair(&world.open().await, "ann").await;
    let mut other = config();
    other.issuer = "https://id.example/f/as".to_owned();
    let opened = Countersign::open(other, world.system.clone()).await;
    assert!(matches!(opened, Err(Error::OtherEnvironment)));

    for blob in [&br#"{"version":"2"}"#[..], b"", b"{}"] {
        world.system.storage.save(STATE_BLOB, blob).unwrap();
        let opened = Countersign::open(config(), world.system.clone()).await;
        assert!(matches!(opened, Err(Error::State(_))));
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_before_anything_is_made() {
    let world = World::new();
    let mut wrong = config();
    wrong.issuer = "http://id.example/e/as".to_owned();
    let opened = Countersign::open(wrong, world.system.clone()).await;
    assert!(matches!(opened, Err(Error::Config(ConfigError::Insecure))));
    let mut wrong = config();
    wrong.device.model = Some("a\nb".to_owned());
    let opened = Countersign::open(wrong, world.system.clone()).await;
    assert!(matches!(opened, Err(Error::Config(ConfigError::Text(_)))));
}

#[tokio::test]
async fn everything_survives_in_sealed_files() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    let system = || {
        let key = Secret::new([5; 32]);
        let entropy = Arc::clone(&world.system.entropy);
        let keys = SoftwareKeyStore::open(folder.path(), &key, Arc::clone(&entropy)).unwrap();
        let storage = FileStorage::open(folder.path(), &key, entropy).unwrap();
        Platform { key_store: Arc::new(keys), storage: Arc::new(storage), ..world.system.clone() }
    };
    let sdk = Countersign::open(config(), system()).await.unwrap();
    world.pair(&sdk, "ann").await;
    drop(sdk);
    let sdk = Countersign::open(config(), system()).await.unwrap();
    assert_eq!(sdk.one_time_passcode().unwrap().passcode.expose(), world.expected_passcode("ann"));
    assert_eq!(sdk.info().await.unwrap().len(), 1);
}

#[tokio::test]
async fn payloads_are_good_for_one_issuer_and_never_the_same() {
    let world = World::new();
    let sdk = world.open().await;
    let first = sdk.generate_mobile_payload().await.unwrap();
    let second = sdk.generate_mobile_payload().await.unwrap();
    assert_ne!(first, second);
    let verify = |audience, now: Timestamp| {
        countersign_protocol::mobile_payload::verify(&first, audience, now)
    };
    let verified = verify(super::platform::ISSUER, START).unwrap();
    assert_eq!(verified.body().app.package.as_deref(), Some("org.bank.app"));
    assert_eq!(verified.body().dev.sdk_version, env!("CARGO_PKG_VERSION"));
    assert!(verify(DEVICE_BASE, START).is_err());
}

#[tokio::test]
async fn every_call_can_run_on_another_thread() {
    let world = World::new();
    let sdk = world.open().await;
    let payload = sdk.generate_mobile_payload().await.unwrap();
    let id_token = world.platform.sign_in(&payload, "ann");
    let calls = tokio::spawn(async move {
        let offer = sdk.process_id_token(&id_token).await?.unwrap();
        offer.approve().await?;
        sdk.resume_pairing().await?;
        sdk.info().await?;
        sdk.unpair(None).await?;
        sdk.remove_local_data().await
    });
    calls.await.unwrap().unwrap();
}
