//! A platform in memory: verifies proofs by the real rules, signs with real keys, and loses what it
//! is told to lose.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use countersign_protocol::device_api::{
    BlockStatus, DetailCode, DeviceRequest, DeviceStatus, ErrorBody, ErrorCode, ErrorDetail,
    InfoRequest, InfoResponse, InnerError, LockStatus, NonceResponse, PairedDevice, PairedUser,
    ProofBody, ServerTime, TimeResponse, UnpairingRequest, UnpairingResponse,
};
use countersign_protocol::device_log::{LogRequest, LogResponse};
use countersign_protocol::entropy::{Entropy, random};
use countersign_protocol::jose::{self, Algorithm, Header};
use countersign_protocol::jwk::{EcPublicKey, JwkSet, PublicJwk, PublicKey, Thumbprint};
use countersign_protocol::mobile_payload::{self, PushAddress};
use countersign_protocol::pairing::{
    Authenticator, AuthenticatorKind, AuthenticatorStatus, DenialResponse, DenialStatus, Name,
    Pair, PairingDenial, PairingFacts, PairingRequest, PairingResponse, Reference, UserFacts,
    passcode_proof_holds,
};
use countersign_protocol::private_key::EcPrivateKey;
use countersign_protocol::proof::{self, Jti, Peeked, Proof, Verified};
use countersign_protocol::push::PushMessage;
use countersign_protocol::secret::Secret;
use countersign_protocol::seed::{self, Seed};
use countersign_protocol::time::{Clock, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use url::Url;

use crate::installation::lock;
use crate::platform::{Method, Request, Response, Socket, Transport, TransportError};

mod challenges;
mod codes;
mod keys;
mod sockets;

pub use challenges::{Challenge, LIFE_SECONDS, push};
pub use codes::{CODE, CODE_SECONDS, ShownCode};
pub use keys::{KEY, KEY_SECONDS, MadeKey};
use sockets::Attempt;
pub use sockets::Line;

pub const ORIGIN: &str = "https://id.example";
pub const ISSUER: &str = "https://id.example/e/as";
pub const DEVICE_BASE: &str = "https://id.example/e/device/v1";
pub const APPLICATION: &str = "app-1";

/// 2026-01-05T09:00:00Z.
pub const START: Timestamp = Timestamp::from_unix_seconds(1_767_603_600);

/// The same bytes in every run.
pub struct Seeded(AtomicU64);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed << 32))
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = jose::digest(&self.0.fetch_add(1, Ordering::Relaxed).to_string());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

/// A clock that is set by hand.
pub struct SetClock(AtomicI64);

impl SetClock {
    pub fn new(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.micros()))
    }

    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// What happens to the next request.
pub enum Fate {
    /// It never arrives.
    LoseRequest,
    /// It never arrives, and nobody knows before this many seconds.
    LoseAfter(i64),
    /// It is carried out, and the answer never arrives.
    LoseAnswer,
    /// Somebody else answers.
    Answer(Response),
    /// It asks for the time, and is answered something spoiled, signed by whoever this is.
    Forge(Arc<FakePlatform>, fn(&mut ServerTime)),
    /// It arrives when the sender of the channel says so.
    Wait(oneshot::Receiver<()>),
    /// Nothing special.
    Arrive,
}

pub struct FakePlatform {
    pub clock: Arc<SetClock>,
    /// Of the only phone.
    pub phone_clock: Arc<SetClock>,
    pub signing_keys: Mutex<Vec<(String, EcPrivateKey)>>,
    pub discovery: Mutex<Value>,
    pub fates: Mutex<VecDeque<Fate>>,
    /// The path of every request that was tried, without its query, and the proof where there was
    /// one.
    pub log: Mutex<Vec<(String, Option<String>)>>,
    /// What an app has sent of its own log.
    pub device_log: Mutex<Option<String>>,
    pub devices: Mutex<Vec<Device>>,
    pub has_passcodes: Mutex<bool>,
    /// For how long the last request asked to be held back.
    pub waited: Mutex<Option<u8>>,
    pub challenges: Mutex<Vec<Challenge>>,
    pub codes: Mutex<Vec<ShownCode>>,
    pub keys: Mutex<BTreeMap<String, MadeKey>>,
    /// What a push service would bring to installations of the platform itself.
    pub hints: Mutex<Vec<PushMessage>>,
    /// What the next attempts to open a socket come to; after them there are none.
    sockets: Mutex<VecDeque<Attempt>>,
    /// The last address that it was told, by pairing or by itself.
    pub push: Mutex<Option<PushAddress>>,
    /// What the push service says to a test message.
    pub refuses_test: Mutex<Option<String>>,
    /// User-verification keys, and the installations that they belong to.
    verifications: Mutex<BTreeMap<Thumbprint, (EcPublicKey, Thumbprint)>>,
    installations: Mutex<BTreeMap<Thumbprint, EcPublicKey>>,
    tickets: Mutex<BTreeMap<String, Ticket>>,
    answers: Mutex<BTreeMap<(Thumbprint, Jti), Response>>,
    entropy: Seeded,
}

struct Ticket {
    user: String,
    installation: Thumbprint,
    is_spent: bool,
}

#[derive(Clone)]
pub struct Device {
    pub id: String,
    pub user: String,
    pub installation: Thumbprint,
    pub secret: [u8; 20],
}

impl FakePlatform {
    pub fn new() -> Self {
        let entropy = Seeded::new(1);
        Self {
            clock: Arc::new(SetClock::new(START)),
            phone_clock: Arc::new(SetClock::new(START)),
            signing_keys: Mutex::new(vec![("k1".to_owned(), EcPrivateKey::generate(&entropy))]),
            discovery: Mutex::new(
                json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/jwks"), "x": []}),
            ),
            fates: Mutex::default(),
            log: Mutex::default(),
            device_log: Mutex::default(),
            devices: Mutex::default(),
            has_passcodes: Mutex::new(true),
            waited: Mutex::default(),
            challenges: Mutex::default(),
            codes: Mutex::default(),
            keys: Mutex::default(),
            hints: Mutex::default(),
            sockets: Mutex::default(),
            push: Mutex::default(),
            refuses_test: Mutex::default(),
            verifications: Mutex::default(),
            installations: Mutex::default(),
            tickets: Mutex::default(),
            answers: Mutex::default(),
            entropy,
        }
    }

    pub fn will(&self, fates: impl IntoIterator<Item = Fate>) {
        lock(&self.fates).extend(fates);
    }

    /// How often `path` was asked for.
    pub fn count(&self, path: &str) -> usize {
        lock(&self.log).iter().filter(|(other, _)| other == path).count()
    }

    /// The proofs sent to `path`, one after the other.
    pub fn proofs(&self, path: &str) -> Vec<String> {
        let log = lock(&self.log);
        log.iter()
            .filter(|(other, _)| other == path)
            .filter_map(|(_, proof)| proof.clone())
            .collect()
    }

    pub fn add_signing_key(&self, kid: &str) {
        lock(&self.signing_keys).insert(0, (kid.to_owned(), EcPrivateKey::generate(&self.entropy)));
    }

    /// Signs `user` in with `payload`, and offers to pair.
    pub fn sign_in(&self, payload: &str, user: &str) -> String {
        let claim = self.offer(payload, user);
        self.id_token(|claims| {
            claims["sub"] = json!(user);
            claims["countersign_pairing"] = claim;
        })
    }

    pub fn offer(&self, payload: &str, user: &str) -> Value {
        let payload = mobile_payload::verify(payload, ISSUER, self.clock.now()).unwrap();
        let jkt = payload.thumbprint();
        lock(&self.installations).insert(jkt, *payload.key());
        let text = format!("ticket-{}", lock(&self.tickets).len());
        let ticket = Ticket { user: user.to_owned(), installation: jkt, is_spent: false };
        lock(&self.tickets).insert(text.clone(), ticket);
        let expires_at = self.clock.now().plus_seconds(600).unix_seconds();
        json!({"status": "offered", "ticket": text, "jkt": jkt, "expires_at": expires_at})
    }

    /// A good ID token, spoiled before it is signed.
    pub fn id_token(&self, spoil: impl FnOnce(&mut Value)) -> String {
        let now = self.clock.now().unix_seconds();
        let mut claims = json!({
            "iss": ISSUER, "aud": APPLICATION, "sub": "u", "iat": now, "exp": now + 3_600,
        });
        spoil(&mut claims);
        self.sign("JWT", &claims)
    }

    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> String {
        let keys = lock(&self.signing_keys);
        let (kid, key) = &keys[0];
        let input = jose::signing_input(&Header { alg: Algorithm::Es256, kid, typ }, claims);
        jose::assemble(&input, &key.sign(input.as_bytes()))
    }

    fn answer(&self, request: &Request) -> Response {
        let path = request.url.strip_prefix(ORIGIN).unwrap_or(&request.url);
        match (request.method, path) {
            (Method::Get, "/e/as/.well-known/openid-configuration") => {
                ok(200, &*lock(&self.discovery))
            }
            (Method::Get, "/e/as/jwks") => ok(200, &self.jwks()),
            (Method::Get, "/e/device/v1/nonce") => {
                ok(200, &NonceResponse { nonce: "nonce".to_owned(), expires_in: 300 })
            }
            (Method::Get, path) if path.starts_with("/e/device/v1/time?") => {
                ok(200, &self.signed_time(&self.time_asked_for(request)))
            }
            (Method::Post, "/e/device/v1/pairings") => self.proven(request, Self::pair),
            (Method::Post, "/e/device/v1/pairings/denials") => self.proven(request, Self::deny),
            (Method::Post, "/e/device/v1/pairing-keys/claims") => self.claim_key(request),
            (Method::Post, "/e/device/v1/info") => self.proven(request, Self::info),
            (Method::Post, "/e/device/v1/unpairings") => self.proven(request, Self::unpair),
            (Method::Post, "/e/device/v1/logs") => self.proven(request, Self::keep_log),
            (Method::Post, path) if path.starts_with("/e/device/v1/authentication-codes/") => {
                self.answer_code(request, path)
            }
            (Method::Post, path) => self.answer_push(request, path),
            (Method::Get, _) => error(404, ErrorCode::NotFound, None),
        }
    }

    fn jwks(&self) -> JwkSet {
        let keys = lock(&self.signing_keys);
        let jwk = |(kid, key): &(String, EcPrivateKey)| PublicJwk {
            kid: kid.clone(),
            key: PublicKey::Ec(key.public()),
        };
        JwkSet { keys: keys.iter().map(jwk).collect() }
    }

    /// Verifies the proof, remembers the answer, and gives it again when the same proof comes
    /// again.
    fn proven<P: Proof + DeviceRequest>(
        &self,
        request: &Request,
        act: impl FnOnce(&Self, &Verified<P>) -> Response,
    ) -> Response {
        let body: ProofBody = serde_json::from_slice(&request.body).unwrap();
        let peeked = proof::peek::<P>(&body.proof).unwrap();
        let Some(key) = lock(&self.installations).get(&peeked.unverified_kid()).copied() else {
            return error(401, ErrorCode::DeviceNotPaired, None);
        };
        self.verified(peeked, &key, &P::address(DEVICE_BASE), act)
    }

    fn verified<P: Proof>(
        &self,
        peeked: Peeked<P>,
        key: &EcPublicKey,
        address: &str,
        act: impl FnOnce(&Self, &Verified<P>) -> Response,
    ) -> Response {
        let verified = match peeked.verify(key, address, self.clock.now()) {
            Ok(verified) => verified,
            Err(broken) => {
                let skew = broken.skew().unwrap_or_else(|| panic!("{broken}"));
                let time = self.server_time(skew.key, skew.jti);
                return error(
                    400,
                    ErrorCode::InvalidRequest,
                    Some((DetailCode::ClockSkew, Some(time))),
                );
            }
        };
        let name = (verified.thumbprint(), verified.jti());
        if let Some(answer) = lock(&self.answers).get(&name) {
            return answer.clone();
        }
        let answer = act(self, &verified);
        lock(&self.answers).insert(name, answer.clone());
        answer
    }

    pub fn server_time(&self, aud: Thumbprint, jti: Jti) -> String {
        let claims = ServerTime { iss: ISSUER.to_owned(), iat: self.clock.now(), aud, jti };
        self.sign(ServerTime::TYP, &claims)
    }

    fn time_asked_for(&self, request: &Request) -> ServerTime {
        let url = Url::parse(&request.url).unwrap();
        let members: BTreeMap<_, _> = url.query_pairs().collect();
        ServerTime {
            iss: ISSUER.to_owned(),
            iat: self.clock.now(),
            aud: members["kid"].parse().unwrap(),
            jti: members["jti"].parse().unwrap(),
        }
    }

    fn signed_time(&self, claims: &ServerTime) -> TimeResponse {
        TimeResponse { server_time: self.sign(ServerTime::TYP, claims) }
    }

    /// Spends the ticket, or says why not.
    fn spend(&self, text: &str, installation: Thumbprint) -> Result<String, Response> {
        let refused = |code| error(400, ErrorCode::RequestFailed, Some((code, None)));
        let mut tickets = lock(&self.tickets);
        match tickets.get_mut(text) {
            Some(ticket) if ticket.installation != installation => {
                Err(refused(DetailCode::TicketInvalid))
            }
            Some(ticket) if ticket.is_spent => Err(refused(DetailCode::TicketSpent)),
            Some(ticket) => {
                ticket.is_spent = true;
                Ok(ticket.user.clone())
            }
            None => Err(refused(DetailCode::TicketInvalid)),
        }
    }

    fn pair(&self, proof: &Verified<PairingRequest>) -> Response {
        match self.spend(proof.body().ticket.expose(), proof.thumbprint()) {
            Ok(user) => self.make_device(proof, user),
            Err(refusal) => refusal,
        }
    }

    fn make_device<P: Pair>(&self, proof: &Verified<P>, user: String) -> Response {
        let device = Device {
            id: format!("device-{}", lock(&self.devices).len()),
            user,
            installation: proof.thumbprint(),
            secret: random(&self.entropy),
        };
        self.learn_keys(device.installation, proof.body());
        lock(&self.devices).push(device.clone());
        self.paired(proof.body(), &device)
    }

    /// What a phone is answered that is this device now.
    fn paired<P: Pair>(&self, body: &P, device: &Device) -> Response {
        let facts_of = body.facts();
        let (secret, now) = (facts_of.secret.as_bytes(), self.clock.now());
        let is_proven = passcode_proof_holds(secret, 30, 1, facts_of.passcode, now);
        let sealed = Seed {
            device: device.id.clone(),
            secret: Secret::new(device.secret),
            step_seconds: 30,
        };
        let has_passcodes = *lock(&self.has_passcodes);
        let response = PairingResponse {
            device: Reference { id: device.id.clone() },
            environment: Reference { id: "e".to_owned() },
            user: facts(&device.user),
            authenticators: vec![
                authenticator(AuthenticatorKind::Push, Err("MissingDeviceToken")),
                authenticator(
                    AuthenticatorKind::OneTimePasscode,
                    if is_proven { Ok(()) } else { Err("UnSynchronizedClock") },
                ),
            ],
            seed: has_passcodes.then(|| seed::seal(&sealed, facts_of.agreement, &self.entropy)),
        };
        ok(201, &response)
    }

    fn deny(&self, proof: &Verified<PairingDenial>) -> Response {
        match self.spend(proof.body().ticket.expose(), proof.thumbprint()) {
            Ok(_) => ok(200, &DenialResponse { status: DenialStatus::Denied }),
            Err(refusal) => refusal,
        }
    }

    fn info(&self, proof: &Verified<InfoRequest>) -> Response {
        let devices = self.devices_of(proof.thumbprint());
        if devices.is_empty() {
            return error(401, ErrorCode::DeviceNotPaired, None);
        }
        ok(200, &InfoResponse { users: devices.into_iter().map(paired_user).collect() })
    }

    fn unpair(&self, proof: &Verified<UnpairingRequest>) -> Response {
        let installation = proof.thumbprint();
        if self.devices_of(installation).is_empty() {
            return error(401, ErrorCode::DeviceNotPaired, None);
        }
        let user = proof.body().user.as_ref();
        let goes = |device: &mut Device| {
            device.installation == installation && user.is_none_or(|user| device.user == *user)
        };
        let mut devices = lock(&self.devices);
        let gone = devices.extract_if(.., goes).map(|device| Reference { id: device.id });
        ok(200, &UnpairingResponse { removed: gone.collect() })
    }

    fn keep_log(&self, proof: &Verified<LogRequest>) -> Response {
        if self.devices_of(proof.thumbprint()).is_empty() {
            return error(401, ErrorCode::DeviceNotPaired, None);
        }
        *lock(&self.device_log) = Some(proof.body().log.clone());
        ok(200, &LogResponse { devices: Vec::new() })
    }

    fn devices_of(&self, installation: Thumbprint) -> Vec<Device> {
        let devices = lock(&self.devices);
        devices.iter().filter(|device| device.installation == installation).cloned().collect()
    }
}

#[async_trait]
impl Transport for FakePlatform {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let path = request.url.strip_prefix(DEVICE_BASE).or(request.url.strip_prefix(ORIGIN));
        let proof = serde_json::from_slice::<ProofBody>(&request.body).ok().map(|body| body.proof);
        let path = path.unwrap_or(&request.url);
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        lock(&self.log).push((path.to_owned(), proof));
        *lock(&self.waited) = Some(request.wait_seconds);
        let fate = lock(&self.fates).pop_front().unwrap_or(Fate::Arrive);
        let lost = || TransportError::NoAnswer("lost".to_owned());
        match fate {
            Fate::LoseRequest => Err(lost()),
            Fate::LoseAfter(seconds) => {
                self.phone_clock.advance(seconds);
                Err(lost())
            }
            Fate::LoseAnswer => {
                self.answer(&request);
                Err(lost())
            }
            Fate::Answer(response) => Ok(response),
            Fate::Forge(forger, spoil) => {
                let mut claims = self.time_asked_for(&request);
                spoil(&mut claims);
                Ok(ok(200, &forger.signed_time(&claims)))
            }
            Fate::Wait(gate) => {
                gate.await.unwrap();
                Ok(self.answer(&request))
            }
            Fate::Arrive => Ok(self.answer(&request)),
        }
    }

    async fn open_socket(
        &self,
        url: &str,
        protocol: &str,
    ) -> Result<Box<dyn Socket>, TransportError> {
        self.open(url, protocol)
    }
}

fn facts(user: &str) -> UserFacts {
    let name = Name { given: Some("Given".to_owned()), family: None };
    UserFacts { id: user.to_owned(), username: Some(format!("{user}@example")), name }
}

fn paired_user(device: Device) -> PairedUser {
    let UserFacts { id, username, name } = facts(&device.user);
    let device = PairedDevice {
        id: device.id,
        nickname: None,
        status: DeviceStatus::Active,
        block: BlockStatus::Unblocked,
        lock: LockStatus::Unlocked,
        created_at: START.to_rfc3339_millis(),
        logs_requested: false,
    };
    PairedUser { id, username, name, environment: Reference { id: "e".to_owned() }, device }
}

fn authenticator(kind: AuthenticatorKind, outcome: Result<(), &str>) -> Authenticator {
    let status = outcome.map_or(AuthenticatorStatus::Failed, |()| AuthenticatorStatus::Completed);
    let error_code = outcome.err().map(str::to_owned);
    Authenticator { kind, status, error_code, error_message: None }
}

pub fn ok(status: u16, body: &impl Serialize) -> Response {
    Response { status, headers: Vec::new(), body: serde_json::to_vec(body).unwrap() }
}

pub fn error(
    status: u16,
    code: ErrorCode,
    detail: Option<(DetailCode, Option<String>)>,
) -> Response {
    let details = detail.map(|(code, server_time)| ErrorDetail {
        code,
        target: Some("proof".to_owned()),
        message: "the detail".to_owned(),
        inner_error: server_time.map(|text| InnerError { server_time: Some(text) }),
    });
    let body = ErrorBody {
        id: "correlation".to_owned(),
        code,
        message: "the error".to_owned(),
        details: details.into_iter().collect(),
    };
    ok(status, &body)
}
