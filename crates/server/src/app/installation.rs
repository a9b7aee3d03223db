//! What the calls of an installation have in common: the proof, its nonce, its one answer.

use std::sync::Arc;

use countersign_domain::{audit, device::Device, environment::Environment, id::Id};
use countersign_protocol::{
    device_api::{DeviceRequest, NONCE_LIFE_SECONDS, NonceResponse, ServerTime, TimeResponse},
    encoding,
    entropy::random,
    jose::Algorithm,
    jwk::{EcPublicKey, Thumbprint},
    proof::{Jti, Peeked, Proof, ProofError, Verified, peek},
    secret::Secret,
    time::{Timestamp, unix_seconds},
};
use countersign_store::{StoreError, Tx, Work, device, spent_proof, spent_proof::Spending};
use serde::{Deserialize, Serialize};

use super::{App, Fault, Realm, fault::faults};
use crate::keys::{KeyError, Place, Purpose, Vault};

/// A request to the device API.
#[derive(Clone, Debug)]
pub struct DeviceCall {
    /// The compact JWS.
    pub proof: Secret<String>,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// Why a proof does not count.
#[derive(Debug, thiserror::Error)]
pub enum DeviceCallError {
    /// It breaks a rule of proofs. Outside its time, the server's signed time comes along.
    #[error("{error}")]
    Proof { error: ProofError, server_time: Option<String> },
    /// No device has its key.
    #[error("no device is paired with this key")]
    NotPaired,
    /// The nonce is not one of this environment, or too old.
    #[error("proof.nonce must come from the nonce endpoint and be at most 300 s old")]
    Nonce,
    /// An id in it is none.
    #[error("proof.user must be the id of a user")]
    UserId,
    /// Another statement with the same `jti` has counted.
    #[error("proof.jti was used for another statement")]
    Clash,
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(DeviceCallError);

const NONCE_BODY_BYTES: usize = 24;

impl Realm {
    /// A nonce that is taken for five minutes: its expiry and 16 random bytes, under a MAC.
    #[must_use]
    pub fn nonce(
        &self,
        now: Timestamp,
        entropy: &dyn countersign_protocol::entropy::Entropy,
    ) -> String {
        let expires_at = now.plus_seconds(NONCE_LIFE_SECONDS).micros().to_be_bytes();
        let body = [expires_at.as_slice(), &random::<16>(entropy)].concat();
        let mac = self.keys.mac(Purpose::Nonce, &body);
        encoding::encode([body.as_slice(), &mac].concat())
    }

    /// Whether a nonce is of here and not too old. Asked once the proof is spent: what has counted is answered again, however
    /// old its nonce is by then.
    pub(super) fn check_nonce(&self, nonce: &str, now: Timestamp) -> Result<(), DeviceCallError> {
        let bytes = encoding::decode(nonce).map_err(|_| DeviceCallError::Nonce)?;
        let (body, mac) =
            bytes.split_first_chunk::<NONCE_BODY_BYTES>().ok_or(DeviceCallError::Nonce)?;
        let (expires_at, _) = body.split_first_chunk::<8>().ok_or(DeviceCallError::Nonce)?;
        let fresh = Timestamp::from_micros(i64::from_be_bytes(*expires_at)) > now;
        let ours = self.keys.verify_mac(Purpose::Nonce, body, mac);
        if fresh && ours { Ok(()) } else { Err(DeviceCallError::Nonce) }
    }
}

impl App {
    /// What `GET D/nonce` answers.
    #[must_use]
    pub fn nonce(&self, realm: &Realm) -> NonceResponse {
        let nonce = realm.nonce(self.now(), self.entropy.as_ref());
        NonceResponse { nonce, expires_in: NONCE_LIFE_SECONDS }
    }

    /// What `GET D/time` answers whoever calls itself `kid` and has drawn `jti`.
    pub fn time(
        &self,
        realm: &Realm,
        (kid, jti): (Thumbprint, Jti),
    ) -> Result<TimeResponse, Fault> {
        Ok(TimeResponse { server_time: realm.sign_time(self.now(), (kid, jti))? })
    }

    /// Verifies a proof under the key that the caller has found for it.
    pub(super) fn verify<P: DeviceRequest>(
        &self,
        realm: &Realm,
        peeked: Peeked<P>,
        key: &EcPublicKey,
    ) -> Result<Verified<P>, DeviceCallError> {
        let now = self.now();
        let verified = peeked.verify(key, &P::address(&realm.device_base), now);
        verified.map_err(|error| realm.refuse(error, now))
    }

    /// The key of an installation that is paired, or was when it sent this very proof before.
    pub(super) async fn key_of<P: DeviceRequest>(
        &self,
        realm: &Realm,
        peeked: &Peeked<P>,
    ) -> Result<EcPublicKey, DeviceCallError> {
        #[derive(Deserialize)]
        struct Named {
            jti: Jti,
            #[serde(with = "unix_seconds")]
            exp: Timestamp,
        }
        let named: Option<Named> = peeked.unverified_claims().ok();
        let sent_before = named.map(|Named { jti, exp }| (jti, exp));
        let (environment, thumbprint) = (realm.environment, peeked.unverified_kid());
        let key = self.store.read(FindKey { environment, thumbprint, sent_before }).await?;
        key.ok_or(DeviceCallError::NotPaired)
    }
}

impl App {
    /// Tells the audit log of a second statement under the `jti` of another. The transaction that refused it is gone.
    pub(super) async fn note_clash(&self, call: super::Call) -> Result<(), StoreError> {
        let refused = audit::Action::DevicePayloadRefused;
        self.note(call, audit::Event::failed(refused, "jti_clash")).await
    }
}

/// Peeks at a proof, with its refusal in the form of the device API.
pub(super) fn peek_at<P: Proof>(
    realm: &Realm,
    call: &DeviceCall,
    now: Timestamp,
) -> Result<Peeked<P>, DeviceCallError> {
    peek::<P>(call.proof.expose()).map_err(|error| realm.refuse(error, now))
}

impl Realm {
    /// The refusal of a proof in the form of the device API.
    pub(super) fn refuse(&self, error: ProofError, now: Timestamp) -> DeviceCallError {
        let Some(skew) = error.skew() else {
            return DeviceCallError::Proof { error, server_time: None };
        };
        match self.sign_time(now, (skew.key, skew.jti)) {
            Ok(time) => DeviceCallError::Proof { error, server_time: Some(time) },
            Err(broken) => broken.into(),
        }
    }

    /// Tells the time to `aud`, in answer to `jti` and to nothing else.
    fn sign_time(&self, now: Timestamp, (aud, jti): (Thumbprint, Jti)) -> Result<String, KeyError> {
        let claims = ServerTime { iss: self.issuer.clone(), iat: now, aud, jti };
        self.keys.sign(Algorithm::Es256, ServerTime::TYP, &claims)
    }
}

/// Spends a proof: `None` means go on, `Some` is the answer that it got before.
pub(super) async fn spend(
    tx: &mut Tx<'_>,
    key: &spent_proof::Key,
) -> Result<Option<String>, DeviceCallError> {
    match spent_proof::spend(tx, key).await? {
        Spending::First => Ok(None),
        Spending::Again { answer: Some(answer) } => Ok(Some(answer)),
        Spending::Again { answer: None } => {
            Err(Fault::broken("a spent proof has no answer").into())
        }
        Spending::Clash => Err(DeviceCallError::Clash),
    }
}

/// Keeps the answer to a proof, and returns it.
pub(super) async fn answer(
    tx: &mut Tx<'_>,
    key: &spent_proof::Key,
    response: &impl Serialize,
) -> Result<String, DeviceCallError> {
    let json =
        serde_json::to_string(response).map_err(|_| Fault::broken("an answer has no JSON"))?;
    spent_proof::answer(tx, key, &json).await?;
    Ok(json)
}

const SEED: &str = "devices.seed";

/// The seed of a device's passcodes.
pub(super) fn open_seed(vault: &Vault, device: &Device) -> Result<Secret<Vec<u8>>, KeyError> {
    vault.open(Place { column: SEED, row: device.id.as_bytes() }, &device.seed)
}

/// Where the seed of a device rests.
pub(super) const fn seed_place(device: &Id<Device>) -> Place<'_> {
    Place { column: SEED, row: device.as_bytes() }
}

struct FindKey {
    environment: Id<Environment>,
    thumbprint: Thumbprint,
    sent_before: Option<(Jti, Timestamp)>,
}

impl Work for FindKey {
    type Output = Option<EcPublicKey>;
    type Error = StoreError;
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<EcPublicKey>, StoreError> {
        let devices = device::list_of_installation(tx, self.environment, self.thumbprint).await?;
        if let Some(device) = devices.first() {
            return Ok(Some(device.installation.key));
        }
        let Some((jti, expires_at)) = self.sent_before else { return Ok(None) };
        spent_proof::find_key(tx, self.thumbprint, jti, expires_at).await
    }
}

/// A realm and a verified proof, on their way into a transaction.
pub(super) struct Proved<P> {
    pub realm: Arc<Realm>,
    pub call: super::Call,
    pub proof: Verified<P>,
}

impl<P> Proved<P> {
    /// Names the proof among those that have counted.
    pub fn key(&self) -> spent_proof::Key {
        spent_proof::Key::of(self.realm.environment, &self.proof)
    }
}
