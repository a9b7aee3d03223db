//! The key by which Web Push services know us (VAPID, RFC 8292).

use countersign_protocol::encoding;
use countersign_protocol::private_key::EcPrivateKey;
use countersign_protocol::secret::Secret;
use countersign_protocol::time::Timestamp;
use serde_json::json;
use url::Url;

use crate::credentials::{CredentialsError, require};
use crate::jwt;

/// Services refuse more than 24 hours.
const LIFE_SECONDS: i64 = 12 * 3_600;

/// The platform's key for Web Push, checked.
pub struct Vapid {
    private_key: EcPrivateKey,
    subject: String,
}

impl Vapid {
    /// Checks a private key and whom to ask about the platform, as in [`crate::Credentials::WebPush`].
    pub fn new(private_key: &Secret<String>, subject: &str) -> Result<Self, CredentialsError> {
        let scalar = encoding::decode_array::<32>(private_key.expose()).ok().map(Secret::new);
        let private_key = scalar.and_then(|scalar| EcPrivateKey::from_scalar(scalar.expose()).ok());
        let private_key = private_key.ok_or(CredentialsError::new(
            "private_key",
            "must be a P-256 scalar: 32 bytes, base64url without padding",
        ))?;
        require(
            subject.len() <= 255 && is_contact(subject),
            "subject",
            "must be a mailto: or https: address of at most 255 characters",
        )?;
        Ok(Self { private_key, subject: subject.to_owned() })
    }

    /// The public key, as an app subscribes with it.
    #[must_use]
    pub fn public_key(&self) -> String {
        encoding::encode(self.private_key.public().to_uncompressed())
    }

    /// The value of `authorization` for one endpoint (RFC 8292 section 3). It is of no use at another origin.
    pub(super) fn authorization(&self, endpoint: &Url, now: Timestamp) -> String {
        let header = json!({ "alg": "ES256", "typ": "JWT" });
        let claims = json!({
            "aud": endpoint.origin().ascii_serialization(),
            "exp": now.plus_seconds(LIFE_SECONDS).unix_seconds(),
            "sub": self.subject,
        });
        let token = jwt::es256(&self.private_key, &header, &claims);
        format!("vapid t={token}, k={}", self.public_key())
    }
}

/// Some services refuse a contact that is not one.
fn is_contact(subject: &str) -> bool {
    let Ok(url) = Url::parse(subject) else { return false };
    match url.scheme() {
        "https" => url.has_host(),
        "mailto" => url.path().split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && !host.is_empty() && !host.contains('@')
        }),
        _ => false,
    }
}
