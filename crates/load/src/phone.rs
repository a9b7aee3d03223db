//! A phone reduced to what a sign-on needs of it: a key, and the payload signed by it.

use countersign_protocol::{
    entropy::Entropy,
    jose,
    jwk::Thumbprint,
    mobile_payload::{AppFacts, Confirmation, DeviceFacts, MobilePayload, Platform},
    private_key::EcPrivateKey,
    proof::{Jti, Unsigned},
    time::Timestamp,
};

use crate::LoadError;

/// A phone with the app.
pub struct Phone {
    key: EcPrivateKey,
    name: Thumbprint,
    body: MobilePayload,
}

impl Phone {
    /// The phone of a number with the app of an application: always the same, so that those who seed and those who drive
    /// need not pass keys on.
    pub fn of(number: u64, application: &str) -> Result<Self, LoadError> {
        let scalar = jose::digest(&format!("phone {number} of {application}"));
        let key = EcPrivateKey::from_scalar(&scalar).map_err(|_| LoadError::Key)?;
        let (public, name) = (key.public(), key.public().thumbprint());
        let body = MobilePayload {
            cnf: Confirmation { jwk: public },
            app: AppFacts {
                id: application.to_owned(),
                package: Some("org.countersign.bank".to_owned()),
                version: Some("1.0.0".to_owned()),
                platform: Platform::Android,
            },
            dev: DeviceFacts {
                manufacturer: Some("Countersign".to_owned()),
                model: Some("Emulated phone".to_owned()),
                os_version: Some("16".to_owned()),
                locale: Some("en-GB".to_owned()),
                sdk_version: env!("CARGO_PKG_VERSION").to_owned(),
                screen_lock: Some(true),
                rooted: Some(false),
            },
            push: None,
        };
        Ok(Self { key, name, body })
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

    /// A new mobile payload.
    #[must_use]
    pub fn payload(&self, issuer: &str, now: Timestamp, entropy: &dyn Entropy) -> String {
        let jti = Jti::new(entropy);
        let unsigned = Unsigned::new(self.name, issuer, self.body.clone(), now, jti);
        unsigned.signed(&self.key.sign(unsigned.signing_input().as_bytes()))
    }
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
