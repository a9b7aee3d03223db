//! Proofs as an attacker writes them: every member can be changed before, and every byte after they are signed.

use std::sync::Arc;

use countersign_protocol::{
    device_api::{DeviceRequest, InfoRequest, UnpairingRequest},
    encoding,
    entropy::SystemEntropy,
    jwk::Thumbprint,
    mobile_payload::MobilePayload,
    otp::DEFAULT_STEP_SECONDS,
    pairing::{PairingDenial, PairingRequest, passcode_proof},
    private_key::EcPrivateKey,
    proof::{Jti, Proof},
};
use serde_json::{Map, Value, json};

use crate::world::World;

/// The five statements of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Payload,
    Pairing,
    Denial,
    Info,
    Unpairing,
}

/// All of them.
pub const EVERY: [Kind; 5] =
    [Kind::Payload, Kind::Pairing, Kind::Denial, Kind::Info, Kind::Unpairing];

/// Those that are requests to the device API.
pub const REQUESTS: [Kind; 4] = [Kind::Pairing, Kind::Denial, Kind::Info, Kind::Unpairing];

impl Kind {
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Payload => MobilePayload::TYP,
            Self::Pairing => PairingRequest::TYP,
            Self::Denial => PairingDenial::TYP,
            Self::Info => InfoRequest::TYP,
            Self::Unpairing => UnpairingRequest::TYP,
        }
    }

    pub const fn life_seconds(self) -> i64 {
        match self {
            Self::Payload => MobilePayload::LIFE_SECONDS,
            Self::Pairing => PairingRequest::LIFE_SECONDS,
            Self::Denial => PairingDenial::LIFE_SECONDS,
            Self::Info => InfoRequest::LIFE_SECONDS,
            Self::Unpairing => UnpairingRequest::LIFE_SECONDS,
        }
    }

    /// Path under the device API; a payload goes to authorize.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Payload => "/authorize",
            Self::Pairing => PairingRequest::PATH,
            Self::Denial => PairingDenial::PATH,
            Self::Info => InfoRequest::PATH,
            Self::Unpairing => UnpairingRequest::PATH,
        }
    }

    /// The address that a statement of this kind is meant for.
    pub fn address(self, world: &World) -> String {
        match self {
            Self::Payload => world.bank.issuer(),
            Self::Pairing | Self::Denial | Self::Info | Self::Unpairing => {
                format!("{}{}", world.bank.device_base(), self.path())
            }
        }
    }
}

/// One copy of the bank's app, with its keys in the open.
#[derive(Clone)]
pub struct Phone {
    pub key: Arc<EcPrivateKey>,
    pub agreement: Arc<EcPrivateKey>,
}

impl Phone {
    pub fn new() -> Self {
        let key = || Arc::new(EcPrivateKey::generate(&SystemEntropy));
        Self { key: key(), agreement: key() }
    }

    pub fn thumbprint(&self) -> Thumbprint {
        self.key.public().thumbprint()
    }

    pub fn payload(&self, world: &World) -> Draft {
        let confirmation = json!({ "jwk": self.key.public() });
        let own =
            json!({ "cnf": confirmation, "app": app(world), "dev": { "sdk_version": "0.1.0" } });
        self.draft(world, Kind::Payload, own)
    }

    pub fn pairing(&self, world: &World, nonce: &str, ticket: &str) -> Draft {
        let passcode = passcode_proof(ticket.as_bytes(), DEFAULT_STEP_SECONDS, world.now());
        let own = json!({
            "nonce": nonce, "ticket": ticket, "agreement": self.agreement.public(), "passcode": passcode,
            "app": app(world), "dev": { "sdk_version": "0.1.0" },
        });
        self.draft(world, Kind::Pairing, own)
    }

    pub fn denial(&self, world: &World, nonce: &str, ticket: &str) -> Draft {
        self.draft(world, Kind::Denial, json!({ "nonce": nonce, "ticket": ticket }))
    }

    pub fn info(&self, world: &World) -> Draft {
        self.draft(world, Kind::Info, json!({}))
    }

    pub fn unpairing(&self, world: &World, nonce: &str) -> Draft {
        self.draft(world, Kind::Unpairing, json!({ "nonce": nonce }))
    }

    fn draft(&self, world: &World, kind: Kind, own: Value) -> Draft {
        let name = self.thumbprint();
        let now = world.now().unix_seconds();
        let header = json!({ "alg": "ES256", "kid": name, "typ": kind.typ() });
        let common = json!({
            "iss": name, "aud": kind.address(world), "iat": now, "exp": now + kind.life_seconds(),
            "jti": Jti::new(&SystemEntropy),
        });
        let mut claims = members(common);
        claims.extend(members(own));
        Draft { kind, header: members(header), claims, signer: Arc::clone(&self.key) }
    }
}

fn app(world: &World) -> Value {
    json!({ "id": world.bank.native, "platform": "android" })
}

fn members(object: Value) -> Map<String, Value> {
    let Value::Object(members) = object else { panic!("not an object: {object}") };
    members
}

/// A statement before it is signed.
#[derive(Clone)]
pub struct Draft {
    pub kind: Kind,
    pub header: Map<String, Value>,
    pub claims: Map<String, Value>,
    pub signer: Arc<EcPrivateKey>,
}

impl Draft {
    /// With this claim, instead of the one that is there.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// With this member inside a claim.
    pub fn inside(mut self, claim: &str, name: &str, value: impl Into<Value>) -> Self {
        self.claims[claim][name] = value.into();
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// With this header member, instead of the one that is there.
    pub fn head(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    pub fn headless(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    pub fn signed_by(mut self, phone: &Phone) -> Self {
        self.signer = Arc::clone(&phone.key);
        self
    }

    /// Seconds since 1970 that a claim says.
    pub fn seconds(&self, claim: &str) -> i64 {
        self.claims[claim].as_i64().unwrap()
    }

    pub fn header_text(&self) -> String {
        Value::Object(self.header.clone()).to_string()
    }

    pub fn claims_text(&self) -> String {
        Value::Object(self.claims.clone()).to_string()
    }

    pub fn sign(&self) -> String {
        self.sign_texts(&self.header_text(), &self.claims_text())
    }

    /// Signs these texts, whatever they are.
    pub fn sign_texts(&self, header: &str, claims: &str) -> String {
        let input = format!("{}.{}", encoding::encode(header), encoding::encode(claims));
        let signature = self.signer.sign(input.as_bytes());
        format!("{input}.{}", encoding::encode(signature))
    }
}

/// The same statement with another signature part.
pub fn with_signature(jws: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let (input, signature) = jws.rsplit_once('.').unwrap();
    let signature = change(encoding::decode(signature).unwrap());
    format!("{input}.{}", encoding::encode(signature))
}

/// Order of P-256.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// (r, n - s): as good a signature as (r, s), made without the key.
pub fn malleated(jws: &str) -> String {
    with_signature(jws, |mut signature| {
        let mut borrow = 0;
        for (place, digit) in (32..64).zip(0..32).rev() {
            let difference = i16::from(ORDER[digit]) - i16::from(signature[place]) - borrow;
            borrow = i16::from(difference < 0);
            signature[place] = difference.rem_euclid(256).try_into().unwrap();
        }
        signature
    })
}
