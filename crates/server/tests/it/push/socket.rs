//! Phones that listen by a socket, over a real listener: what they are told, who may listen, and how it ends.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use countersign_domain::{
    device::Device, mfa_policy::ExtraVerification, sign_on_policy::NoDevicesMode,
};
use countersign_protocol::{
    challenge::{
        ChallengesRequest, ChallengesResponse, SOCKET_PROTOCOL, SocketRequest, close_code,
    },
    device_api::DeviceRequest,
    mobile_payload::PushService,
    proof::Proof,
};
use countersign_sdk::{
    DenyReason, Error, NotificationObject, NotificationStream, Received, RemoteNotification,
    Socket, Transport, transport::ReqwestTransport,
};
use countersign_server::{Server, Settings, Tls, TlsFiles, app::DeviceChange, telemetry};
use countersign_store::Engine;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, client::IntoClientRequest},
};

use crate::world::{Bank, PASSWORD, Phone, SignOn, Step, World};

/// A world that listens, in which ann's phone is paired and is woken by the platform itself.
struct Scene {
    world: World,
    server: Server,
    phone: Phone,
    transport: Arc<ReqwestTransport>,
}

impl Scene {
    async fn new() -> Self {
        Box::pin(Self::with(Engine::Sqlite, |_| {})).await
    }

    async fn with(engine: Engine, change: impl FnOnce(&mut Settings)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let world = World::with_settings(engine, |settings| {
            settings.base_url = base_url;
            settings.linger = Duration::ZERO;
            change(settings);
        });
        let mut world = Box::pin(world).await;
        let server = Server::start(Arc::clone(&world.server), listener).unwrap();
        Self::ask_by_push(&mut world).await;
        let transport = Arc::new(ReqwestTransport::new(b"").unwrap());
        let phone = paired(&world, Arc::clone(&transport) as _).await;
        Self { world, server, phone, transport }
    }

    async fn ask_by_push(world: &mut World) {
        let change = world.bank.change_mfa_policy(&world.server, |policy| {
            policy.mobile.applications[0].push.enabled = true;
        });
        change.await;
    }

    /// Lets paired phones be asked for an answer to a silent push.
    async fn verify(&mut self, mode: ExtraVerification) {
        let world = &mut self.world;
        world.bank.require(&world.server, &[Step::Login, Step::Mfa(NoDevicesMode::Block)]).await;
        world.verify_by_silent_push(mode).await;
    }

    fn address(&self) -> String {
        SocketRequest::address(&self.world.url("/device/v1"))
    }

    /// What the app on the phone listens to.
    fn stream(&self) -> NotificationStream {
        self.phone.sdk.notifications(|_| tokio::task::yield_now())
    }

    async fn nonce(&self) -> String {
        let answer = self.world.wire.get(&self.world.url("/device/v1/nonce")).await;
        answer.json()["nonce"].as_str().unwrap().to_owned()
    }

    async fn proof_of(&self, phone: &Phone) -> String {
        phone.proof(&self.address(), SocketRequest { nonce: self.nonce().await }).await
    }

    async fn open(&self) -> Box<dyn Socket> {
        let url = self.address().replacen("http", "ws", 1);
        self.transport.open_socket(&url, SOCKET_PROTOCOL).await.unwrap()
    }

    /// A socket that has said this at first.
    async fn say(&self, proof: &str) -> Box<dyn Socket> {
        let mut socket = self.open().await;
        socket.send_text(&json!({ "proof": proof }).to_string()).await.unwrap();
        socket
    }

    /// A socket of ann's phone that was told what waits.
    async fn listen(&self) -> Box<dyn Socket> {
        let mut socket = self.say(&self.proof_of(&self.phone).await).await;
        told(&mut socket).await;
        socket
    }

    /// Signs ann in by password in a browser that is not her phone.
    async fn sign_in_elsewhere(&self) -> SignOn {
        let mut sign_on = self.world.app().begin().await;
        sign_on.password("ann", PASSWORD).await.must_be(200);
        assert_eq!(sign_on.status(), "PUSH_CONFIRMATION_REQUIRED", "{}", sign_on.flow);
        sign_on
    }

    /// Another phone of ann's, paired by the word of the first.
    async fn pair_another(&self) -> Phone {
        let other = self.world.phone_by(Arc::clone(&self.transport) as _).await;
        other.sdk.set_device_token(PushService::Direct, "", None).await.unwrap();
        let mut sign_on = self.world.sign_in_on(&other, "ann").await;
        question(&mut self.stream()).await.approve("user", None).await.unwrap();
        assert_eq!(sign_on.refresh().await, "COMPLETED");
        other.approve(&sign_on.tokens().await).await;
        other
    }

    async fn device(&self) -> Device {
        let environment = self.world.bank.environment.id;
        let devices = self.world.server.list_devices(environment, self.world.bank.ann.id).await;
        devices.unwrap().remove(0)
    }

    async fn change_device(&self, change: DeviceChange) {
        let (environment, device) = (self.world.bank.environment.id, self.device().await.id);
        self.world.server.change_device(environment, device, change).await.unwrap();
    }

    /// How many sockets are open, as the operator sees it.
    fn open_sockets(&self) -> f64 {
        let families = telemetry::collect(&self.world.server);
        let family = families.iter().find(|family| family.name == "countersign_sockets").unwrap();
        match &family.samples[0].value {
            telemetry::Value::Number(open) => *open,
            telemetry::Value::Distribution { .. } => panic!("not a gauge"),
        }
    }
}

async fn paired(world: &World, transport: Arc<dyn Transport>) -> Phone {
    let phone = world.phone_by(transport).await;
    phone.sdk.set_device_token(PushService::Direct, "", None).await.unwrap();
    world.pair(&phone, "ann").await;
    // The passcode of the moment of the pairing never counts.
    world.advance(30);
    phone
}

async fn told(socket: &mut Box<dyn Socket>) -> ChallengesResponse {
    match socket.receive_text().await.unwrap() {
        Received::Text(text) => serde_json::from_str(&text).unwrap(),
        closed @ Received::Closed { .. } => panic!("{closed:?}"),
    }
}

/// The code that a socket is closed with.
async fn closed(socket: &mut Box<dyn Socket>) -> u16 {
    match socket.receive_text().await.unwrap() {
        Received::Closed { code } => code.expect("a code"),
        Received::Text(text) => panic!("{text}"),
    }
}

async fn question(stream: &mut NotificationStream) -> NotificationObject {
    match stream.next().await.unwrap() {
        RemoteNotification::Notification(question) => question,
        other => panic!("not a question: {other:?}"),
    }
}

async fn a_question_comes_by_socket_and_is_approved(engine: Engine) {
    let scene = Box::pin(Scene::with(engine, |_| {})).await;
    let mut stream = scene.stream();
    for _ in 0..2 {
        let (mut sign_on, question) =
            tokio::join!(scene.sign_in_elsewhere(), question(&mut stream));
        assert_eq!(question.title(), "Sign in?");
        question.approve("fpt", None).await.unwrap();
        assert_eq!(sign_on.refresh().await, "COMPLETED");
    }
    assert!(format!("{stream:?}").contains("has_socket: true"), "{stream:?}");
    stream.close().await;
    scene.server.stop().await;
    scene.world.end().await;
}

#[tokio::test]
async fn a_question_comes_by_socket_and_is_approved_on_sqlite() {
    a_question_comes_by_socket_and_is_approved(Engine::Sqlite).await;
}

#[tokio::test]
async fn a_question_comes_by_socket_and_is_approved_on_postgres() {
    if !crate::database::is_skipped(Engine::Postgres) {
        a_question_comes_by_socket_and_is_approved(Engine::Postgres).await;
    }
}

#[tokio::test]
async fn a_question_that_waits_already_is_told_at_once() {
    let scene = Scene::new().await;
    let mut sign_on = scene.sign_in_elsewhere().await;
    let mut stream = scene.stream();
    question(&mut stream).await.deny(DenyReason::None).await.unwrap();
    assert_eq!(sign_on.refresh().await, "FAILED");
}

#[tokio::test]
async fn a_question_that_is_withdrawn_is_taken_down() {
    let scene = Scene::new().await;
    let mut stream = scene.stream();
    let (mut sign_on, question) = tokio::join!(scene.sign_in_elsewhere(), question(&mut stream));
    sign_on.act("device.reset", &json!({})).await;
    scene.change_device(DeviceChange::Block).await;
    let RemoteNotification::Cancelled { id } = stream.next().await.unwrap() else {
        panic!("not taken down")
    };
    assert_eq!(id, question.challenge());
}

// Whoever looks without a pause leaves a single thread no time for the socket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_question_is_answered_inside() {
    for mode in [ExtraVerification::Permissive, ExtraVerification::Restrictive] {
        let mut scene = Scene::new().await;
        scene.verify(mode).await;
        let mut stream = scene.stream();
        // The app is told nothing: it only listens.
        let listening = tokio::spawn(async move { stream.next().await.map(drop) });
        let mut sign_on = scene.world.sign_in_on(&scene.phone, "ann").await;
        while sign_on.refresh().await == "PUSH_CONFIRMATION_REQUIRED" {}
        assert_eq!(sign_on.status(), "COMPLETED");
        let amr = sign_on.tokens().await.id_claims()["amr"].clone();
        assert_eq!(amr, json!(["pwd", "swk", "mca", "mfa"]), "{mode:?}");
        assert!(!listening.is_finished());
        listening.abort();
    }
}

#[tokio::test]
async fn a_newer_socket_closes_the_older_one() {
    let scene = Scene::new().await;
    let mut first = scene.listen().await;
    let mut second = scene.listen().await;
    assert_eq!(closed(&mut first).await, close_code::SUPERSEDED);
    let (_sign_on, told) = tokio::join!(scene.sign_in_elsewhere(), told(&mut second));
    assert_eq!(told.challenges.len(), 1);
}

#[tokio::test]
async fn another_phone_of_the_same_user_closes_nothing() {
    let scene = Scene::new().await;
    let other = scene.pair_another().await;
    let mut first = scene.listen().await;
    let mut second = scene.say(&scene.proof_of(&other).await).await;
    // It is not told what the first phone is asked.
    assert!(told(&mut second).await.challenges.is_empty());
    let (_sign_on, told) = tokio::join!(scene.sign_in_elsewhere(), told(&mut first));
    assert_eq!(told.challenges.len(), 1);
    let silent = tokio::time::timeout(Duration::ZERO, second.receive_text()).await;
    assert!(silent.is_err(), "{silent:?}");
}

#[tokio::test]
async fn a_proof_opens_one_socket() {
    let scene = Scene::new().await;
    let proof = scene.proof_of(&scene.phone).await;
    let mut socket = scene.say(&proof).await;
    told(&mut socket).await;
    let mut again = scene.say(&proof).await;
    assert_eq!(closed(&mut again).await, close_code::POLICY);
    // The thief has not driven the owner out.
    let (_sign_on, told) = tokio::join!(scene.sign_in_elsewhere(), told(&mut socket));
    assert_eq!(told.challenges.len(), 1);
}

#[tokio::test]
async fn nothing_but_a_proof_for_this_socket_opens_it() {
    let scene = Scene::new().await;
    let (phone, address, nonce) = (&scene.phone, scene.address(), scene.nonce().await);
    let good = || SocketRequest { nonce: nonce.clone() };
    let other = Bank::open(&scene.world.server, "Other").await.environment.id.to_string();
    let elsewhere = address.replace(&scene.world.bank.environment.id.to_string(), &other);
    let stranger = scene.world.phone().await;
    let expired = phone.proof(&address, good()).await;
    scene.world.advance(SocketRequest::LIFE_SECONDS + 1);
    let as_socket = address.replacen("http", "ws", 1);
    for (why, proof) in [
        ("another environment", phone.proof(&elsewhere, good()).await),
        ("the address of the socket in other words", phone.proof(&as_socket, good()).await),
        ("another statement", phone.proof(&address, ChallengesRequest::default()).await),
        ("a nonce of nobody", phone.proof(&address, SocketRequest { nonce: "x".into() }).await),
        ("a phone that is not paired", stranger.proof(&address, good()).await),
        ("the key that a person unlocks", phone.verified_proof(&address, good()).await),
        ("too late", expired),
        ("nothing", String::new()),
        ("no proof", "x.y.z".to_owned()),
    ] {
        let mut socket = scene.say(&proof).await;
        assert_eq!(closed(&mut socket).await, close_code::POLICY, "{why}");
    }
    scene.world.advance(300);
    let old = phone.proof(&address, good()).await;
    assert_eq!(closed(&mut scene.say(&old).await).await, close_code::POLICY);
    for text in ["", "{}", "proof", "[]", r#"{"proof":1}"#] {
        let mut socket = scene.open().await;
        socket.send_text(text).await.unwrap();
        assert_eq!(closed(&mut socket).await, close_code::POLICY, "{text}");
    }
}

#[tokio::test]
async fn a_phone_that_says_nothing_is_closed() {
    let short = |settings: &mut Settings| {
        settings.sockets.proof_timeout = Duration::from_millis(50);
    };
    let scene = Box::pin(Scene::with(Engine::Sqlite, short)).await;
    assert_eq!(closed(&mut scene.open().await).await, close_code::POLICY);
}

#[tokio::test]
async fn a_phone_that_goes_on_talking_is_closed() {
    let scene = Scene::new().await;
    let mut socket = scene.listen().await;
    socket.send_text("{}").await.unwrap();
    assert_eq!(closed(&mut socket).await, close_code::POLICY);
}

#[tokio::test]
async fn a_frame_that_is_too_long_is_not_read() {
    let scene = Scene::new().await;
    for mut socket in [scene.open().await, scene.listen().await] {
        socket.send_text(&"x".repeat(8 * 1_024 + 1)).await.unwrap();
        assert_eq!(closed(&mut socket).await, close_code::TOO_LONG);
    }
}

#[tokio::test]
async fn more_sockets_than_there_may_be_are_sent_away() {
    let scene = Box::pin(Scene::with(Engine::Sqlite, |settings| settings.sockets.most = 1)).await;
    let mut first = scene.listen().await;
    assert!((scene.open_sockets() - 1.0).abs() < f64::EPSILON);
    assert_eq!(closed(&mut scene.open().await).await, close_code::TRY_LATER);
    first.close().await;
    // The place is free once the server has seen the end.
    loop {
        let mut next = scene.say(&scene.proof_of(&scene.phone).await).await;
        if matches!(next.receive_text().await.unwrap(), Received::Text(_)) {
            break;
        }
    }
}

#[tokio::test]
async fn who_is_unpaired_or_blocked_is_sent_away_and_does_not_come_back() {
    let scene = Scene::new().await;
    let mut socket = scene.listen().await;
    scene.change_device(DeviceChange::Block).await;
    assert_eq!(closed(&mut socket).await, close_code::POLICY);
    let mut again = scene.say(&scene.proof_of(&scene.phone).await).await;
    assert_eq!(closed(&mut again).await, close_code::POLICY);
    scene.change_device(DeviceChange::Unblock).await;
    let mut socket = scene.listen().await;
    scene.phone.sdk.unpair(None).await.unwrap();
    assert_eq!(closed(&mut socket).await, close_code::POLICY);
    // The app learns why.
    let refused = scene.stream().next().await;
    assert!(matches!(refused, Err(Error::NotPaired { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_ends_closes_its_sockets_at_once() {
    let scene = Box::pin(Scene::with(Engine::Sqlite, |settings| {
        settings.linger = Duration::from_mins(5);
        settings.drain_timeout = Duration::from_mins(5);
        // Nobody answers a close here for as long as this.
        settings.sockets.close_timeout = Duration::from_mins(5);
    }));
    let scene = scene.await;
    let (mut listening, mut silent) = (scene.listen().await, scene.open().await);
    // The phone's other connections, which rest, would be waited for.
    drop((scene.phone, scene.transport));
    let ended = tokio::spawn(scene.server.stop());
    for socket in [&mut listening, &mut silent] {
        assert_eq!(closed(socket).await, close_code::RESTART);
    }
    drop((listening, silent));
    tokio::time::timeout(Duration::from_secs(30), ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_phone_that_does_not_answer_the_close_is_not_waited_for() {
    let scene = Box::pin(Scene::with(Engine::Sqlite, |settings| {
        settings.drain_timeout = Duration::from_mins(5);
        settings.sockets.close_timeout = Duration::from_millis(50);
    }));
    let scene = scene.await;
    // Nobody reads these.
    let idle = (scene.listen().await, scene.open().await);
    drop((scene.phone, scene.transport));
    tokio::time::timeout(Duration::from_secs(30), scene.server.stop()).await.unwrap();
    drop(idle);
}

#[tokio::test]
async fn no_socket_is_opened_any_more_by_a_server_that_ends() {
    let scene = Scene::new().await;
    scene.world.server.drain();
    let refused = raw(&scene, |_| {}).await.unwrap_err();
    assert_eq!(status(&refused), 503);
}

#[tokio::test]
async fn a_phone_that_does_not_answer_pings_is_gone() {
    let scene = Box::pin(Scene::with(Engine::Sqlite, |settings| {
        settings.sockets.ping_interval = Duration::from_millis(20);
        settings.sockets.pong_timeout = Duration::from_millis(200);
    }));
    let scene = scene.await;
    let other = scene.pair_another().await;
    let mut listening = scene.listen().await;
    let (mut dead, _) = raw(&scene, |_| {}).await.unwrap();
    let proof = json!({ "proof": scene.proof_of(&other).await }).to_string();
    dead.send(Message::text(proof)).await.unwrap();
    // Bytes are taken and not read as frames, so no ping is answered.
    let mut bytes = Vec::new();
    tokio::select! {
        _ = dead.get_mut().read_to_end(&mut bytes) => {}
        told = told(&mut listening) => panic!("{told:?}"),
    }
    assert!(bytes.windows(2).any(|frame| frame == [0x89, 0]), "it was pinged");
    // Who answers is still there.
    let (_sign_on, told) = tokio::join!(scene.sign_in_elsewhere(), told(&mut listening));
    assert_eq!(told.challenges.len(), 1);
}

type Raw = (WebSocketStream<TcpStream>, tungstenite::handshake::client::Response);

/// Opens a socket as a phone would, but for what the test changes.
async fn raw(
    scene: &Scene,
    change: impl FnOnce(&mut http::HeaderMap),
) -> Result<Raw, tungstenite::Error> {
    let address: SocketAddr = scene.server.address();
    let mut request = scene.address().replacen("http", "ws", 1).into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", SOCKET_PROTOCOL.parse().unwrap());
    change(headers);
    let stream = TcpStream::connect(address).await.unwrap();
    tokio_tungstenite::client_async(request, stream).await
}

fn status(error: &tungstenite::Error) -> u16 {
    match error {
        tungstenite::Error::Http(response) => response.status().as_u16(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn browsers_and_other_protocols_are_refused() {
    let scene = Scene::new().await;
    let own = scene.world.url("").replace(&format!("/{}", scene.world.bank.environment.id), "");
    for origin in ["https://evil.example", "null", &own] {
        let refused =
            raw(&scene, |headers| drop(headers.insert("origin", origin.parse().unwrap()))).await;
        assert_eq!(status(&refused.unwrap_err()), 403, "{origin}");
    }
    let without = raw(&scene, |headers| drop(headers.remove("sec-websocket-protocol"))).await;
    assert_eq!(status(&without.unwrap_err()), 400);
    let other = raw(&scene, |headers| {
        headers.insert("sec-websocket-protocol", "mqtt".parse().unwrap());
    });
    assert_eq!(status(&other.await.unwrap_err()), 400);
    let plain = scene.world.wire.get(&scene.address()).await.must_be(426);
    assert_eq!(plain.header("upgrade"), "websocket");
    let (mut socket, answer) = raw(&scene, |_| {}).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], SOCKET_PROTOCOL);
    // A first frame that is not text.
    socket.send(Message::binary(vec![1])).await.unwrap();
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else { panic!() };
    assert_eq!(u16::from(frame.code), close_code::POLICY);
}

#[tokio::test]
async fn a_socket_goes_through_tls_beside_http2() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut world =
        Box::pin(World::at(&format!("https://localhost:{}", address.port()), Engine::Sqlite)).await;
    let folder = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [certificate, key] = ["c.pem", "k.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, pair.cert.pem()).unwrap();
    std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let tls = Tls::load(TlsFiles { certificate, key, reload: Duration::from_hours(1) }).unwrap();
    let server = Server::start_on(Arc::clone(&world.server), listener, Some(tls)).unwrap();
    Scene::ask_by_push(&mut world).await;
    let transport = Arc::new(ReqwestTransport::new(pair.cert.pem().as_bytes()).unwrap());
    let phone = paired(&world, Arc::clone(&transport) as _).await;
    let scene = Scene { world, server, phone, transport };
    let mut stream = scene.stream();
    let (_sign_on, _) = tokio::join!(scene.sign_in_elsewhere(), question(&mut stream));
    assert!(format!("{stream:?}").contains("has_socket: true"), "{stream:?}");
    // Whoever cannot prove who it is gets no socket, and the app is told so.
    let trusting_nobody = ReqwestTransport::new(b"").unwrap();
    let url = scene.address().replacen("http", "ws", 1);
    let refused = trusting_nobody.open_socket(&url, SOCKET_PROTOCOL).await.err().unwrap();
    assert!(matches!(refused, countersign_sdk::TransportError::NotTrusted(_)), "{refused:?}");
}
