//! Against the emulated services, which check what the real ones check.

use std::sync::Arc;
use std::time::Duration;

use countersign_emulator::push_service::Host;
use countersign_emulator::push_service::apns::{ApnsServer, ApnsSettings};
use countersign_emulator::push_service::authority::Authority;
use countersign_emulator::push_service::credentials::{ApnsCredentials, FcmCredentials};
use countersign_emulator::push_service::fault::Fault;
use countersign_emulator::push_service::fcm::{FcmServer, FcmSettings};
use countersign_emulator::push_service::installation::Installations;
use countersign_protocol::entropy::SystemEntropy;
use countersign_protocol::mobile_payload::{PushAddress, PushService};
use countersign_protocol::push::PushMessage;
use countersign_protocol::secret::Secret;
use countersign_protocol::time::Timestamp;
use countersign_push::{Answer, Credentials, Gateway, Outcome, Style};
use url::Url;

use crate::world::{
    StandingClock, TOPIC, VISIBLE, address, gateway, push, settings, silent_message,
};

const ARRIVES_WITHIN: Duration = Duration::from_secs(5);
const PROJECT: &str = "bank-1";

fn host(clock: &Arc<StandingClock>) -> Host {
    Host {
        authority: Arc::new(Authority::new().unwrap()),
        clock: Arc::clone(clock) as _,
        entropy: Arc::new(SystemEntropy),
    }
}

async fn apns(clock: &Arc<StandingClock>) -> (ApnsServer, Arc<dyn Gateway>) {
    let key = ApnsCredentials::generate(&SystemEntropy).unwrap();
    let server = ApnsServer::start(ApnsSettings::new(vec![key.team(&[TOPIC])]), host(clock));
    let server = server.await.unwrap();
    let mut settings = settings(&server.url());
    settings.roots = server.authority_pem().into_bytes();
    let credentials = Credentials::Apns {
        key_id: key.key_id.clone(),
        team_id: key.team_id.clone(),
        private_key: Secret::new(key.p8()),
        topic: TOPIC.to_owned(),
    };
    let gateway = gateway(settings, clock, &credentials);
    (server, gateway)
}

async fn fcm(clock: &Arc<StandingClock>) -> (FcmServer, Arc<dyn Gateway>) {
    let account = FcmCredentials::generate(PROJECT, &SystemEntropy).unwrap();
    let server = FcmServer::start(FcmSettings::new(vec![account.account()]), host(clock));
    let server = server.await.unwrap();
    let mut settings = settings("https://localhost:1");
    settings.endpoints.fcm = Url::parse(server.url()).unwrap();
    settings.roots = server.authority_pem().into_bytes();
    let file = account.json(&server.token_uri()).to_string();
    let credentials = Credentials::Fcm { service_account: Secret::new(file) };
    let gateway = gateway(settings, clock, &credentials);
    (server, gateway)
}

async fn send(gateway: &dyn Gateway, address: &PushAddress, clock: &StandingClock) -> Answer {
    gateway.send(&push(address, &silent_message(), Style::Silent, clock)).await
}

/// Every style arrives at the phone, as the SDK finds it.
async fn check_arrival(
    gateway: &dyn Gateway,
    installations: &Installations,
    address: &PushAddress,
    clock: &StandingClock,
) {
    for style in [Style::Silent, VISIBLE, Style::Cancel] {
        let message = silent_message();
        let answer = gateway.send(&push(address, &message, style, clock)).await;
        assert_eq!(answer.outcome, Outcome::Accepted, "{style:?}: {:?}", answer.raw);
        let arrived = installations.receive(&address.address, ARRIVES_WITHIN).await.unwrap();
        assert_eq!(PushMessage::find(&arrived.delivered), Some(message), "{style:?}");
    }
}

#[tokio::test]
async fn apns_delivers_to_an_app_until_it_is_gone() {
    let clock = StandingClock::new();
    let (server, gateway) = apns(&clock).await;
    let token = server.installations().install(TOPIC).unwrap();
    let address = address(PushService::Apns, &token);
    check_arrival(&*gateway, server.installations(), &address, &clock).await;
    server.installations().uninstall(&token).unwrap();
    let as_of = Some(Timestamp::from_unix_seconds(1_767_603_600));
    let answer = send(&*gateway, &address, &clock).await;
    assert_eq!(answer.outcome, Outcome::Unregistered { as_of });
}

#[tokio::test]
async fn fcm_delivers_to_an_app_until_it_is_gone() {
    let clock = StandingClock::new();
    let (server, gateway) = fcm(&clock).await;
    let token = server.installations().install(PROJECT).unwrap();
    let address = address(PushService::Fcm, &token);
    check_arrival(&*gateway, server.installations(), &address, &clock).await;
    server.installations().uninstall(&token).unwrap();
    let answer = send(&*gateway, &address, &clock).await;
    assert_eq!(answer.outcome, Outcome::Unregistered { as_of: None });
}

#[tokio::test]
async fn the_app_of_somebody_else_is_never_taken_for_gone() {
    let clock = StandingClock::new();
    let (apns, to_apns) = apns(&clock).await;
    let (fcm, to_fcm) = fcm(&clock).await;
    let foreign = [
        (to_apns, PushService::Apns, apns.installations().install("com.example.other").unwrap()),
        (to_fcm, PushService::Fcm, fcm.installations().install("other-1").unwrap()),
    ];
    for (gateway, service, token) in foreign {
        let answer = send(&*gateway, &address(service, &token), &clock).await;
        assert!(matches!(answer.outcome, Outcome::Misconfigured(_)), "{answer:?}");
    }
}

#[tokio::test]
async fn apns_in_trouble_loses_nothing_that_it_has_not_processed() {
    let clock = StandingClock::new();
    let (server, gateway) = apns(&clock).await;
    let token = server.installations().install(TOPIC).unwrap();
    let address = address(PushService::Apns, &token);
    let refused_stream = 7;
    server.faults().order(Fault::Reset { code: refused_stream }).unwrap();
    assert_eq!(send(&*gateway, &address, &clock).await.outcome, Outcome::Accepted);
    server.faults().order(Fault::Shutdown {}).unwrap();
    let answer = send(&*gateway, &address, &clock).await;
    assert_eq!(answer.outcome, Outcome::Retry { after: None });
    assert_eq!(send(&*gateway, &address, &clock).await.outcome, Outcome::Accepted);
    // Of something in between, in HTML.
    let body = "<html>410 Gone: Unregistered</html>".to_owned();
    let fault = Fault::Answer { status: 410, content_type: None, body };
    server.faults().order(fault).unwrap();
    let answer = send(&*gateway, &address, &clock).await;
    assert!(!matches!(answer.outcome, Outcome::Unregistered { .. }), "{answer:?}");
}
