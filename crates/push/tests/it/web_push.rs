//! Web Push: encryption as the receiver sees it, VAPID, and addresses that lead where they must not.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use countersign_protocol::encoding::{decode, decode_array, encode};
use countersign_protocol::entropy::SystemEntropy;
use countersign_protocol::jwk::EcPublicKey;
use countersign_protocol::mobile_payload::{PushAddress, PushService};
use countersign_protocol::private_key::EcPrivateKey;
use countersign_protocol::push::PushMessage;
use countersign_protocol::secret::Secret;
use countersign_push::egress::Egress;
use countersign_push::web_push::Vapid;
use countersign_push::{Credentials, Outcome, Settings, Style, Trouble};
use serde_json::{Value, json};

use crate::server::{Asked, Reply, Server};
use crate::world::{StandingClock, VISIBLE, gateway, push, settings, silent_message};

const AUTH: [u8; 16] = [7; 16];
const VAPID_KEY: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";

fn credentials() -> Credentials {
    Credentials::WebPush {
        private_key: Secret::new(VAPID_KEY.to_owned()),
        subject: "mailto:push@bank.example".to_owned(),
    }
}

/// A browser or a distributor of `UnifiedPush`.
struct Receiver(EcPrivateKey);

impl Receiver {
    fn new() -> Self {
        Self(EcPrivateKey::generate(&SystemEntropy))
    }

    fn address(&self, endpoint: &str) -> PushAddress {
        let text = json!({
            "endpoint": endpoint,
            "p256dh": encode(self.0.public().to_uncompressed()),
            "auth": encode(AUTH),
        });
        PushAddress {
            service: PushService::WebPush,
            address: text.to_string(),
            environment: None,
            enabled: true,
        }
    }

    /// The clear text (RFC 8291 section 3, RFC 8188 section 2), worked out from the receiver's side.
    fn decrypt(&self, body: &[u8]) -> Value {
        let (salt, rest) = body.split_at(16);
        let (head, rest) = rest.split_at(5);
        assert_eq!(head, [0, 0, 16, 0, 65], "records of 4096 bytes, a key of 65");
        let (sender, sealed) = rest.split_at(65);
        let shared = self.0.agree(&EcPublicKey::from_uncompressed(sender).unwrap());
        let own = self.0.public().to_uncompressed();
        let prk = Salt::new(HKDF_SHA256, &AUTH).extract(shared.expose());
        let ikm = expand::<32>(&prk, &[b"WebPush: info\0", &own, sender]);
        let prk = Salt::new(HKDF_SHA256, salt).extract(&ikm);
        let key = expand::<16>(&prk, &[b"Content-Encoding: aes128gcm\0"]);
        let nonce = expand::<12>(&prk, &[b"Content-Encoding: nonce\0"]);
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap());
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let clear = key.open_in_place(nonce, Aad::empty(), &mut sealed).unwrap();
        let (delimiter, clear) = clear.split_last().unwrap();
        assert_eq!(*delimiter, 2);
        serde_json::from_slice(clear).unwrap()
    }
}

fn expand<const N: usize>(prk: &Prk, info: &[&[u8]]) -> [u8; N] {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut bytes = [0; N];
    prk.expand(info, Length(N)).unwrap().fill(&mut bytes).unwrap();
    bytes
}

fn check_vapid(asked: &Asked, origin: &str) {
    let authorization = asked.header("authorization");
    let (token, key) = authorization.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
    let vapid = Vapid::new(&Secret::new(VAPID_KEY.to_owned()), "mailto:a@b.example").unwrap();
    assert_eq!(key, vapid.public_key());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let key = EcPublicKey::from_uncompressed(&decode(key).unwrap()).unwrap();
    assert!(key.verify(signed.as_bytes(), &decode_array::<64>(signature).unwrap()));
    let claims: Value =
        serde_json::from_slice(&decode(signed.split_once('.').unwrap().1).unwrap()).unwrap();
    let expected = json!({
        "aud": origin, "exp": 1_767_603_600 + 12 * 3_600, "sub": "mailto:push@bank.example",
    });
    assert_eq!(claims, expected);
}

#[tokio::test]
async fn only_the_receiver_can_read_what_is_sent() {
    let server = Server::tls(&[b"h2", b"http/1.1"], |_| (201, "").into()).await;
    let clock = StandingClock::new();
    let web_push = gateway(settings(&server.base), &clock, &credentials());
    let receiver = Receiver::new();
    let address = receiver.address(&format!("{}/up/1?x=y", server.base));
    let message = silent_message();
    for style in [Style::Silent, VISIBLE] {
        let answer = web_push.send(&push(&address, &message, style, &clock)).await;
        assert_eq!(answer.outcome, Outcome::Accepted, "{:?}", answer.raw);
    }
    let seen = server.seen();
    for (asked, urgency) in seen.iter().zip(["normal", "high"]) {
        assert_eq!(asked.path, "/up/1");
        assert_eq!(asked.header("ttl"), "60");
        assert_eq!(asked.header("urgency"), urgency);
        assert_eq!(asked.header("content-encoding"), "aes128gcm");
        assert_eq!(asked.header("topic").len(), 32);
        check_vapid(asked, &server.base);
        let clear = receiver.decrypt(&asked.body);
        assert_eq!(PushMessage::find(&clear), Some(silent_message()));
    }
    assert_eq!(receiver.decrypt(&seen[1].body)["title"], "Sign-on request");
    let salt = |asked: &Asked| asked.body[..16].to_vec();
    assert_ne!(salt(&seen[0]), salt(&seen[1]), "each message has its own salt");
}

#[tokio::test]
async fn addresses_that_lead_inside_are_never_called() {
    let inside = Server::tls(&[b"http/1.1"], |_| (201, "").into()).await;
    let port = inside.base.rsplit(':').next().unwrap().to_owned();
    let clock = StandingClock::new();
    let strict = Settings { egress: Egress::default(), ..settings(&inside.base) };
    let web_push = gateway(strict, &clock, &credentials());
    let (receiver, message) = (Receiver::new(), silent_message());
    for endpoint in [
        format!("https://localhost:{port}/a"),
        format!("https://127.0.0.1:{port}/a"),
        format!("https://[::ffff:127.0.0.1]:{port}/a"),
        format!("http://localhost:{port}/a"),
        "https://10.0.0.1/a".to_owned(),
    ] {
        let address = receiver.address(&endpoint);
        let answer = web_push.send(&push(&address, &message, Style::Silent, &clock)).await;
        assert_eq!(answer.outcome, Outcome::Misconfigured(Trouble::Address), "{endpoint}");
    }
    assert!(inside.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_words_are_not_shown_on() {
    let server = Server::plain(|asked| match asked.path.as_str() {
        "/moved" => Reply(307, String::new(), Some(("location", "/secret".to_owned()))),
        "/gone" => (410, "the password of the database is 1234").into(),
        _ => (201, "x".repeat(1_000_000).as_str()).into(),
    })
    .await;
    let clock = StandingClock::new();
    let web_push = gateway(settings(&server.base), &clock, &credentials());
    let (receiver, message) = (Receiver::new(), silent_message());
    for (path, expected) in [
        ("/moved", Outcome::Misconfigured(Trouble::Address)),
        ("/gone", Outcome::Unregistered { as_of: None }),
        ("/long", Outcome::Accepted),
    ] {
        let address = receiver.address(&format!("{}{path}", server.base));
        let answer = web_push.send(&push(&address, &message, Style::Silent, &clock)).await;
        assert_eq!((answer.outcome, answer.raw.reason.as_str()), (expected, ""), "{path}");
    }
    assert_eq!(server.count("/secret"), 0);
}

#[tokio::test]
async fn a_message_that_does_not_fit_is_not_sent() {
    let server = Server::plain(|_| (201, "").into()).await;
    let clock = StandingClock::new();
    let web_push = gateway(settings(&server.base), &clock, &credentials());
    let (receiver, message, long) = (Receiver::new(), silent_message(), "x".repeat(3_993));
    let address = receiver.address(&server.base);
    let style = Style::Visible { title: "t", body: &long, category: "c" };
    let answer = web_push.send(&push(&address, &message, style, &clock)).await;
    assert_eq!(answer.outcome, Outcome::Rejected(Trouble::TooLarge));
    assert!(server.seen().is_empty());
}
