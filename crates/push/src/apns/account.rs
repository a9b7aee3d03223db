//! The signing key by which APNs knows us.

use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use countersign_protocol::private_key::EcPrivateKey;
use countersign_protocol::secret::Secret;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;

use crate::credentials::{CredentialsError, require};

/// A signing key of Apple, checked.
pub(crate) struct Account {
    pub(super) key_id: String,
    pub(super) team_id: String,
    pub(super) private_key: EcPrivateKey,
    pub(super) topic: String,
}

impl Account {
    pub fn new(
        key_id: &str,
        team_id: &str,
        private_key: &Secret<String>,
        topic: &str,
    ) -> Result<Self, CredentialsError> {
        const ID: &str = "must have ten capital letters or digits, as Apple shows it";
        require(is_id(key_id), "key_id", ID)?;
        require(is_id(team_id), "team_id", ID)?;
        let is_bundle_id =
            |character: char| character.is_ascii_alphanumeric() || "-.".contains(character);
        let is_topic = (1..=255).contains(&topic.len()) && topic.chars().all(is_bundle_id);
        require(
            is_topic,
            "topic",
            "must be the bundle id of the app: letters, digits, '-' and '.'",
        )?;
        let private_key = read_key(private_key).ok_or(CredentialsError::new(
            "private_key",
            "must be the text of the .p8 file from Apple: a P-256 key in PKCS #8 and PEM",
        ))?;
        let [key_id, team_id, topic] = [key_id, team_id, topic].map(str::to_owned);
        Ok(Self { key_id, team_id, private_key, topic })
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

fn read_key(pem: &Secret<String>) -> Option<EcPrivateKey> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose().as_bytes()).ok()?;
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.secret_pkcs8_der()).ok()?;
    let scalar: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().ok()?;
    let scalar = Secret::new(<[u8; 32]>::try_from(scalar.as_ref()).ok()?);
    EcPrivateKey::from_scalar(scalar.expose()).ok()
}
