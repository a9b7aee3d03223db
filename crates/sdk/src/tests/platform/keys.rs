//! The half of the platform that makes pairing keys.

use countersign_protocol::pairing_key::KeyPairingRequest;

use super::*;

/// How long a key can be used.
pub const KEY_SECONDS: i64 = 600;

/// The key that most tests use.
pub const KEY: &str = "493820175564";

/// A pairing key, and what has become of it.
#[derive(Clone)]
pub struct MadeKey {
    user: String,
    made_at: Timestamp,
    /// Why it is not taken.
    refusal: Option<DetailCode>,
    device: Option<Device>,
}

impl FakePlatform {
    /// Makes a key for somebody.
    pub fn make_key(&self, key: &str, user: &str) {
        let (user, made_at) = (user.to_owned(), self.clock.now());
        let made = MadeKey { user, made_at, refusal: None, device: None };
        lock(&self.keys).insert(key.to_owned(), made);
    }

    pub fn refuse_key(&self, key: &str, why: Option<DetailCode>) {
        lock(&self.keys).get_mut(key).unwrap().refusal = why;
    }

    /// The installation need not be known: it brings its key.
    pub(super) fn claim_key(&self, request: &Request) -> Response {
        let body: ProofBody = serde_json::from_slice(&request.body).unwrap();
        let peeked = proof::peek::<KeyPairingRequest>(&body.proof).unwrap();
        let claims: KeyPairingRequest = peeked.unverified_claims().unwrap();
        let address = KeyPairingRequest::address(DEVICE_BASE);
        self.verified(peeked, &claims.cnf.jwk, &address, Self::pair_by_key)
    }

    fn pair_by_key(&self, proof: &Verified<KeyPairingRequest>) -> Response {
        let refused = |code| error(400, ErrorCode::RequestFailed, Some((code, None)));
        let (installation, now) = (proof.thumbprint(), self.clock.now());
        let name = proof.body().key.expose();
        let Some(key) = lock(&self.keys).get(name).cloned() else {
            return refused(DetailCode::PairingKeyInvalid);
        };
        if let Some(why) = key.refusal {
            return refused(why);
        }
        if key.made_at.plus_seconds(KEY_SECONDS) <= now {
            return refused(DetailCode::PairingKeyExpired);
        }
        if let Some(device) = &key.device {
            if device.installation == installation {
                return self.paired(proof.body(), device);
            }
            return refused(DetailCode::PairingKeyClaimed);
        }
        lock(&self.installations).insert(installation, *proof.key());
        let answer = self.make_device(proof, key.user);
        let device = lock(&self.devices).last().cloned();
        lock(&self.keys).get_mut(name).unwrap().device = device;
        answer
    }
}
