//! The gateways against the emulated services: what they send is accepted as Apple and Google check it, and arrives.

#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use countersign_emulator::push_service::Host;
use countersign_emulator::push_service::apns::{ApnsServer, ApnsSettings};
use countersign_emulator::push_service::authority::Authority;
use countersign_emulator::push_service::credentials::{ApnsCredentials, FcmCredentials};
use countersign_emulator::push_service::fault::Fault;
use countersign_emulator::push_service::fcm::{FcmServer, FcmSettings};
use countersign_emulator::push_service::installation::Installations;
use countersign_emulator::push_service::mailbox::Kind;
use countersign_protocol::entropy::SystemEntropy;
use countersign_protocol::mobile_payload::{PushAddress, PushEnvironment, PushService};
use countersign_protocol::push::{Hint, PushMessage, PushNonce};
use countersign_protocol::secret::Secret;
use countersign_protocol::time::{Clock, SystemClock};
use countersign_push::egress::Egress;
use countersign_push::{
    Answer, Credentials, Endpoints, Gateway, Gateways, Outcome, Push, Settings, Style,
};
use tokio::task::JoinSet;
use url::Url;

const TOPIC: &str = "org.bank.app";
const PROJECT: &str = "bank-project";

/// Nothing that is expected takes longer.
const SOON: Duration = Duration::from_secs(20);

const VISIBLE: Style<'_> =
    Style::Visible { title: "Sign-in", body: "Was that you?", category: "MFA" };

/// Both services, and the gateways that push to them.
struct World {
    apns: ApnsServer,
    fcm: FcmServer,
    to_apns: Arc<dyn Gateway>,
    to_fcm: Arc<dyn Gateway>,
}

async fn world() -> World {
    let host = Host {
        authority: Arc::new(Authority::new().unwrap()),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let key = ApnsCredentials::generate(&SystemEntropy).unwrap();
    let account = FcmCredentials::generate(PROJECT, &SystemEntropy).unwrap();
    let apns = ApnsServer::start(ApnsSettings::new(vec![key.team(&[TOPIC])]), host.clone());
    let fcm = FcmServer::start(FcmSettings::new(vec![account.account()]), host);
    let (apns, fcm) = (apns.await.unwrap(), fcm.await.unwrap());
    let settings = Settings {
        endpoints: Endpoints {
            apns_production: Url::parse(&apns.url()).unwrap(),
            fcm: Url::parse(fcm.url()).unwrap(),
            ..Endpoints::default()
        },
        roots: apns.authority_pem().into_bytes(),
        egress: Egress::new(true, "https://localhost"),
        ..Settings::default()
    };
    let gateways = Gateways::new(settings, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap();
    let apple = Credentials::Apns {
        key_id: key.key_id.clone(),
        team_id: key.team_id.clone(),
        private_key: Secret::new(key.p8()),
        topic: TOPIC.to_owned(),
    };
    let service_account = Secret::new(account.json(&fcm.token_uri()).to_string());
    let google = Credentials::Fcm { service_account };
    let to_apns = gateways.open("apns", 1, &apple).unwrap();
    let to_fcm = gateways.open("fcm", 1, &google).unwrap();
    World { apns, fcm, to_apns, to_fcm }
}

async fn send(
    gateway: &dyn Gateway,
    address: &PushAddress,
    (message, style): (&PushMessage, Style<'_>),
) -> Answer {
    let push = Push {
        id: [7; 16],
        address,
        message,
        style,
        collapse: "mfa",
        expires_at: SystemClock.now().plus_seconds(60),
    };
    gateway.send(&push).await
}

fn address(service: PushService, token: &str) -> PushAddress {
    let environment = (service == PushService::Apns).then_some(PushEnvironment::Production);
    PushAddress { service, address: token.to_owned(), environment, enabled: true }
}

fn question() -> PushMessage {
    PushMessage::new(Hint::Challenge { id: "c-1".to_owned() })
}

async fn arrive_until_the_app_is_removed(
    gateway: &dyn Gateway,
    service: PushService,
    (installations, app): (&Installations, &str),
) {
    let token = installations.install(app).unwrap();
    let address = address(service, &token);
    let nonce = PushNonce::new(&SystemEntropy);
    let silent = PushMessage::new(Hint::Silent { id: "c-2".to_owned(), nonce });
    for (message, style, kind) in
        [(question(), VISIBLE, Kind::Visible), (silent, Style::Silent, Kind::Silent)]
    {
        let answer = send(gateway, &address, (&message, style)).await;
        assert_eq!(answer.outcome, Outcome::Accepted, "{answer:?}");
        let received = installations.receive(&token, SOON).await.unwrap();
        assert_eq!(received.kind, kind);
        assert_eq!(PushMessage::find(&received.delivered), Some(message));
    }
    installations.uninstall(&token).unwrap();
    let answer = send(gateway, &address, (&question(), VISIBLE)).await;
    assert!(matches!(answer.outcome, Outcome::Unregistered { .. }), "{answer:?}");
}

#[tokio::test]
async fn pushes_arrive_through_apns_until_the_app_is_removed() {
    let world = world().await;
    let phones = (&**world.apns.installations(), TOPIC);
    arrive_until_the_app_is_removed(&*world.to_apns, PushService::Apns, phones).await;
}

#[tokio::test]
async fn pushes_arrive_through_fcm_until_the_app_is_removed() {
    let world = world().await;
    let phones = (&**world.fcm.installations(), PROJECT);
    arrive_until_the_app_is_removed(&*world.to_fcm, PushService::Fcm, phones).await;
}

#[tokio::test]
async fn no_push_is_lost_or_doubled_when_apns_goes_away_in_the_middle() {
    let world = world().await;
    let fault = Fault::GoAway { processed: 3, unprocessed: 4, code: 0, debug: None };
    world.apns.faults().order(fault).unwrap();
    let mut sends = JoinSet::new();
    let mut tokens = Vec::new();
    for _ in 0..20 {
        let token = world.apns.installations().install(TOPIC).unwrap();
        tokens.push(token.clone());
        let gateway = Arc::clone(&world.to_apns);
        sends.spawn(async move {
            let address = address(PushService::Apns, &token);
            send(&*gateway, &address, (&question(), VISIBLE)).await
        });
    }
    while let Some(answer) = sends.join_next().await {
        let answer = answer.unwrap();
        assert_eq!(answer.outcome, Outcome::Accepted, "{answer:?}");
    }
    for token in tokens {
        let mailbox = world.apns.installations().mailbox(&token).unwrap();
        assert_eq!(mailbox.messages().len(), 1);
    }
}
