//! A phone reduced to what a sign-on needs of it: its keys, and the proofs signed by them.

use countersign_emulator::payload;
use countersign_protocol::{
    entropy::Entropy,
    jose,
    jwk::{EcPublicKey, Thumbprint},
    mobile_payload::{MobilePayload, PushAddress, PushService},
    private_key::EcPrivateKey,
    proof::{Jti, Proof, Unsigned},
    time::Timestamp,
};

use crate::LoadError;

/// A phone with the app.
pub struct Phone {
    key: EcPrivateKey,
    verification: EcPrivateKey,
    name: Thumbprint,
    body: MobilePayload,
}

impl Phone {
    /// The phone of a number with the app of an application: always the same, so that those who seed and those who drive
    /// need not pass keys on.
    pub fn of(number: u64, application: &str) -> Result<Self, LoadError> {
        let key = key_of(&format!("phone {number} of {application}"))?;
        let verification = key_of(&format!("owner of phone {number} of {application}"))?;
        let (public, name) = (key.public(), key.public().thumbprint());
        let body = payload(public, (application, "org.countersign.bank"), None);
        Ok(Self { key, verification, name, body })
    }

    /// The same phone with an address for pushes: the platform itself, so that no push service is needed.
    #[must_use]
    pub fn listening(mut self) -> Self {
        let (service, address) = (PushService::Direct, "direct".to_owned());
        self.body.push = Some(PushAddress { service, address, environment: None, enabled: true });
        self
    }

    /// What the phone says of itself.
    #[must_use]
    pub const fn body(&self) -> &MobilePayload {
        &self.body
    }

    /// The name of its key.
    #[must_use]
    pub const fn name(&self) -> Thumbprint {
        self.name
    }

    /// The key that signs only when its owner agrees.
    #[must_use]
    pub fn verification(&self) -> EcPublicKey {
        self.verification.public()
    }

    /// A new mobile payload.
    #[must_use]
    pub fn payload(&self, issuer: &str, now: Timestamp, entropy: &dyn Entropy) -> String {
        self.proof(issuer, self.body.clone(), (now, entropy))
    }

    /// A proof of this phone for this address.
    #[must_use]
    pub fn proof<P: Proof>(
        &self,
        audience: &str,
        body: P,
        (now, entropy): (Timestamp, &dyn Entropy),
    ) -> String {
        let unsigned = Unsigned::new(self.name, audience, body, now, Jti::new(entropy));
        unsigned.signed(&self.key.sign(unsigned.signing_input().as_bytes()))
    }

    /// A proof of this phone and its owner for this address.
    #[must_use]
    pub fn verified_proof<P: Proof>(
        &self,
        audience: &str,
        body: P,
        (now, entropy): (Timestamp, &dyn Entropy),
    ) -> String {
        let name = self.verification().thumbprint();
        let unsigned = Unsigned::new(name, audience, body, now, Jti::new(entropy));
        unsigned.signed(&self.verification.sign(unsigned.signing_input().as_bytes()))
    }
}

/// The key of a name: always the same.
fn key_of(name: &str) -> Result<EcPrivateKey, LoadError> {
    EcPrivateKey::from_scalar(&jose::digest(name)).map_err(|_| LoadError::Key)
}

#[cfg(test)]
mod tests {
    use countersign_protocol::{
        entropy::SystemEntropy,
        mobile_payload,
        time::{Clock, SystemClock},
    };

    use super::*;

    #[test]
    fn a_phone_of_a_number_is_always_the_same_and_its_payload_verifies() {
        let (phone, now) = (Phone::of(7, "app").unwrap(), SystemClock.now());
        let payload = phone.payload("http://a/as", now, &SystemEntropy);
        let verified = mobile_payload::verify(&payload, "http://a/as", now).unwrap();
        assert_eq!(verified.thumbprint(), Phone::of(7, "app").unwrap().name());
        assert_ne!(verified.thumbprint(), Phone::of(8, "app").unwrap().name());
        assert_ne!(verified.thumbprint(), Phone::of(7, "web").unwrap().name());
    }
}
