//! The listener from the side of the network: limits of connections, TLS, and how the server takes leave.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use countersign_protocol::{
    entropy::SystemEntropy,
    secret::Secret,
    time::{Clock, SystemClock},
};
use countersign_server::{Connections, Parts, Server, Settings, Tls, TlsFiles, open};
use countersign_store::Settings as StoreSettings;
use rcgen::{CertifiedKey, KeyPair};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const GET: &[u8] = b"GET /assets/none HTTP/1.1\r\nhost: x\r\n\r\n";

struct Scene {
    server: Server,
    address: SocketAddr,
    folder: TempDir,
}

fn settings() -> Settings {
    Settings { linger: Duration::ZERO, ..Settings::new("https://id.example") }
}

impl Scene {
    async fn start(settings: Settings, tls: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let app = open(Parts {
            store: StoreSettings::new(folder.path().join("x.db").display().to_string()),
            key_encryption_key: Secret::new([1; 32]),
            clock,
            entropy: Arc::new(SystemEntropy),
            settings,
        });
        let tls = tls.then(|| {
            write_pair(&folder, "first.example");
            Tls::load(files(&folder)).unwrap()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::start_on(app.await.unwrap(), listener, tls).unwrap();
        Self { address: server.address(), server, folder }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

fn files(folder: &TempDir) -> TlsFiles {
    let [certificate, key] = ["c.pem", "k.pem"].map(|name| folder.path().join(name));
    TlsFiles { certificate, key, reload: Duration::from_hours(1) }
}

/// Writes a certificate for this name, and returns the key in case that another is to be spoiled by it.
fn write_pair(folder: &TempDir, name: &str) -> String {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let TlsFiles { certificate, key, .. } = files(folder);
    std::fs::write(certificate, cert.pem()).unwrap();
    std::fs::write(key, signing_key.serialize_pem()).unwrap();
    signing_key.serialize_pem()
}

/// The head of one answer; its body is read too, if it has one.
async fn answer(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.split_once("content-length: ").map_or("0", |(_, rest)| rest);
    let length: usize = length.lines().next().unwrap().parse().unwrap();
    stream.read_exact(&mut vec![0; length]).await.unwrap();
    head
}

/// Everything until the other side closes, which it does sooner or later, politely or not.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

fn with(connections: Connections) -> Settings {
    Settings { connections, ..settings() }
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_is_cut_off() {
    let header_timeout = Duration::from_millis(100);
    let scene = Scene::start(with(Connections { header_timeout, ..Connections::default() }), false);
    let scene = scene.await;
    let mut stream = scene.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
    assert_eq!(rest(&mut scene.connect().await).await, "");
    scene.server.stop().await;
}

#[tokio::test]
async fn a_connection_that_rests_for_too_long_is_closed() {
    let idle_timeout = Duration::from_millis(100);
    let scene = Scene::start(with(Connections { idle_timeout, ..Connections::default() }), false);
    let scene = scene.await;
    let mut stream = scene.connect().await;
    stream.write_all(GET).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("http/1.1 404"));
    assert_eq!(rest(&mut stream).await, "");
    scene.server.stop().await;
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let scene = Scene::start(settings(), false).await;
    let mut stream = scene.connect().await;
    let request = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(20_000));
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 431 "));
    scene.server.stop().await;
}

#[tokio::test]
async fn a_head_of_twelve_kibibytes_is_read() {
    let scene = Scene::start(settings(), false).await;
    let mut stream = scene.connect().await;
    let request = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(12 * 1_024));
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("http/1.1 404"));
    scene.server.stop().await;
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_no_more() {
    let limits = Connections { most_per_address: 2, ..Connections::default() };
    let scene = Scene::start(with(limits), false).await;
    let mut open = [scene.connect().await, scene.connect().await];
    for stream in &mut open {
        stream.write_all(GET).await.unwrap();
        answer(stream).await;
    }
    assert_eq!(rest(&mut scene.connect().await).await, "");
    let [first, mut second] = open;
    drop(first);
    // The place is free once the server has seen the end.
    loop {
        let mut stream = scene.connect().await;
        stream.write_all(GET).await.unwrap();
        if rest_of_one(&mut stream).await.starts_with("HTTP/1.1 404") {
            break;
        }
    }
    second.write_all(GET).await.unwrap();
    answer(&mut second).await;
    scene.server.stop().await;
}

/// The first bytes of an answer, or nothing if there is none.
async fn rest_of_one(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 12];
    let length = stream.read(&mut bytes).await.unwrap_or(0);
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[tokio::test]
async fn more_connections_than_there_may_be_wait_for_their_turn() {
    let scene = Scene::start(with(Connections { most: 1, ..Connections::default() }), false).await;
    let mut first = scene.connect().await;
    first.write_all(GET).await.unwrap();
    answer(&mut first).await;
    let mut second = scene.connect().await;
    second.write_all(GET).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(50), second.read_u8()).await;
    assert!(early.is_err());
    drop(first);
    assert!(answer(&mut second).await.starts_with("http/1.1 404"));
    scene.server.stop().await;
}

#[tokio::test]
async fn a_server_that_ends_sends_its_clients_away_with_an_answer() {
    let linger = Duration::from_mins(1);
    let scene = Scene::start(Settings { linger, ..settings() }, false).await;
    let mut stream = scene.connect().await;
    stream.write_all(GET).await.unwrap();
    assert!(!answer(&mut stream).await.contains("connection: close"));
    let mut other = scene.connect().await;
    let address = scene.address;
    let ended = tokio::spawn(scene.server.stop());
    loop {
        // A new connection is served as long as there are old ones; its answer says when the end has begun.
        let mut late = TcpStream::connect(address).await.unwrap();
        late.write_all(GET).await.unwrap();
        if answer(&mut late).await.contains("connection: close") {
            break;
        }
    }
    for stream in [&mut stream, &mut other] {
        stream.write_all(GET).await.unwrap();
        assert!(answer(stream).await.contains("connection: close"));
        assert_eq!(rest(stream).await, "");
    }
    ended.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

/// A client that believes every certificate and tells the name in the one it was shown.
async fn shown(scene: &Scene) -> (String, String) {
    let client = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .tls_info(true)
        .build()
        .unwrap();
    let answer = client.get(format!("https://{}/assets/none", scene.address)).send().await.unwrap();
    let version = format!("{:?}", answer.version());
    let certificate = answer.extensions().get::<reqwest::tls::TlsInfo>().unwrap();
    let certificate = String::from_utf8_lossy(certificate.peer_certificate().unwrap()).into_owned();
    let name =
        ["first.example", "second.example"].into_iter().find(|name| certificate.contains(name));
    (version, name.unwrap().to_owned())
}

#[tokio::test]
async fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
    let scene = Scene::start(settings(), true).await;
    assert_eq!(shown(&scene).await, ("HTTP/2.0".to_owned(), "first.example".to_owned()));
    let key = write_pair(&scene.folder, "second.example");
    scene.server.reload();
    while shown(&scene).await.1 != "second.example" {
        tokio::task::yield_now().await;
    }
    // A key of another certificate, and half of a file.
    let other = KeyPair::generate().unwrap().serialize_pem();
    for broken in [other.as_str(), &key[..key.len() / 2]] {
        std::fs::write(files(&scene.folder).key, broken).unwrap();
        assert!(Tls::load(files(&scene.folder)).is_err());
        scene.server.reload();
        for _ in 0..5 {
            assert_eq!(shown(&scene).await.1, "second.example");
        }
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_handshake_is_cut_off() {
    let handshake_timeout = Duration::from_millis(100);
    let limits = Connections { handshake_timeout, ..Connections::default() };
    let scene = Scene::start(with(limits), true).await;
    let mut stream = scene.connect().await;
    stream.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
    scene.server.stop().await;
}
