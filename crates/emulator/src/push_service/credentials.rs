//! Credentials as an operator downloads them from Apple and Google: for the emulated services, which accept no others.

use countersign_protocol::entropy::{Entropy, random};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

use super::apns::{ProviderKey, Team};
use super::fcm::ServiceAccount;
use super::hex;

/// A key of a team for APNs.
pub struct ApnsCredentials {
    /// Ten characters.
    pub team_id: String,
    /// Ten characters.
    pub key_id: String,
    key: KeyPair,
}

impl ApnsCredentials {
    /// A new key of a new team.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        Ok(Self { team_id: ten_characters(entropy), key_id: ten_characters(entropy), key })
    }

    /// Those that were made before. `p8` is the private key in PEM.
    pub fn open(team_id: String, key_id: String, p8: &str) -> Result<Self, rcgen::Error> {
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(p8, &PKCS_ECDSA_P256_SHA256)?;
        Ok(Self { team_id, key_id, key })
    }

    /// The private key, as Apple's file has it.
    #[must_use]
    pub fn p8(&self) -> String {
        self.key.serialize_pem()
    }

    /// What the service must know. The team may push to these topics; without any, to all.
    #[must_use]
    pub fn team(&self, topics: &[&str]) -> Team {
        let public_key = self.key.public_key_raw().to_vec();
        Team {
            id: self.team_id.clone(),
            keys: vec![ProviderKey { id: self.key_id.clone(), public_key, only: None }],
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        }
    }
}

/// A service account for FCM, with its key.
pub struct FcmCredentials {
    project: String,
    key_id: String,
    key: KeyPair,
}

impl FcmCredentials {
    /// A new account of this project.
    pub fn generate(project: &str, entropy: &dyn Entropy) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
        Ok(Self { project: project.to_owned(), key_id: hex(&random::<20>(entropy)), key })
    }

    /// One that was made before, from the file that [`Self::json`] was written to. Nothing if it is not such a file.
    #[must_use]
    pub fn open(file: &Value) -> Option<Self> {
        let text = |name: &str| file.get(name).and_then(Value::as_str);
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(text("private_key")?, &PKCS_RSA_SHA256);
        Some(Self {
            project: text("project_id")?.to_owned(),
            key_id: text("private_key_id")?.to_owned(),
            key: key.ok()?,
        })
    }

    /// The id of its project.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// What the service must know.
    #[must_use]
    pub fn account(&self) -> ServiceAccount {
        ServiceAccount {
            project: self.project.clone(),
            client_email: self.client_email(),
            key_id: self.key_id.clone(),
            public_key: self.key.public_key_raw().to_vec(),
        }
    }

    /// The file, as Google's console gives it.
    #[must_use]
    pub fn json(&self, token_uri: &str) -> Value {
        json!({
            "type": "service_account",
            "project_id": self.project,
            "private_key_id": self.key_id,
            "private_key": self.key.serialize_pem(),
            "client_email": self.client_email(),
            "client_id": "100000000000000000000",
            "token_uri": token_uri,
            "universe_domain": "googleapis.com",
        })
    }

    fn client_email(&self) -> String {
        format!("countersign@{}.iam.gserviceaccount.com", self.project)
    }
}

/// As Apple names teams and keys.
fn ten_characters(entropy: &dyn Entropy) -> String {
    const LETTERS: [char; 32] = [
        'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'J', 'K', 'L', 'M', 'N', 'P', 'Q', 'R', 'S', 'T',
        'U', 'V', 'W', 'X', 'Y', 'Z', '2', '3', '4', '5', '6', '7', '8', '9',
    ];
    let letters = random::<10>(entropy);
    letters.iter().filter_map(|byte| LETTERS.get(usize::from(byte % 32))).collect()
}
