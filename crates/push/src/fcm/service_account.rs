//! The service account by which Google knows us.

use aws_lc_rs::signature::RsaKeyPair;
use countersign_protocol::secret::Secret;
use countersign_protocol::time::Timestamp;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::credentials::{CredentialsError, require};
use crate::jwt;

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// The longest life that Google allows.
const ASSERTION_SECONDS: i64 = 3_600;
/// The largest file that is read; Google's has about 2,400.
const MAX_BYTES: usize = 16_384;

/// A service account of Google, checked.
pub(crate) struct ServiceAccount {
    pub(super) project_id: String,
    client_email: String,
    key_id: String,
    private_key: RsaKeyPair,
    token_uri: String,
    pub(super) token_url: Url,
}

/// The file as Google writes it.
#[derive(Deserialize)]
struct File {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    project_id: String,
    #[serde(default)]
    private_key_id: String,
    #[serde(default)]
    client_email: String,
    #[serde(default)]
    token_uri: String,
    private_key: Option<Secret<String>>,
}

impl ServiceAccount {
    pub fn read(json: &Secret<String>) -> Result<Self, CredentialsError> {
        let json = json.expose();
        require(json.len() <= MAX_BYTES, "service_account", "must have at most 16384 bytes")?;
        // The error of the parser could repeat a part of the key.
        let file: File = serde_json::from_str(json).map_err(|_| {
            CredentialsError::new("service_account", "must be the JSON file of a service account")
        })?;
        require(
            file.kind == "service_account",
            "service_account.type",
            "must be \"service_account\": other files of Google have no key to sign with",
        )?;
        require(
            is_name(&file.project_id, "-.:"),
            "service_account.project_id",
            "must be the id of a project: letters, digits, '-', '.' and ':'",
        )?;
        require(
            file.client_email.contains('@') && is_name(&file.client_email, "-._@+"),
            "service_account.client_email",
            "must be the e-mail address of a service account",
        )?;
        require(
            is_name(&file.private_key_id, "-_"),
            "service_account.private_key_id",
            "must be the id of the key",
        )?;
        let token_url = Url::parse(&file.token_uri).ok().filter(is_plain);
        let token_url = token_url.ok_or(CredentialsError::new(
            "service_account.token_uri",
            "must be an https address without user and fragment",
        ))?;
        let private_key = file.private_key.as_ref().and_then(read_key);
        let private_key = private_key.ok_or(CredentialsError::new(
            "service_account.private_key",
            "must be an RSA key of at least 2048 bits in PKCS #8 and PEM",
        ))?;
        let File { project_id, client_email, private_key_id: key_id, token_uri, .. } = file;
        Ok(Self { project_id, client_email, key_id, private_key, token_uri, token_url })
    }

    /// The form that asks for an access token (RFC 7523 section 2.1).
    pub(super) fn form(&self, now: Timestamp) -> Option<Vec<(&'static str, String)>> {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id });
        let issued_at = now.unix_seconds();
        let claims = json!({
            "iss": self.client_email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": issued_at,
            "exp": issued_at.saturating_add(ASSERTION_SECONDS),
        });
        let assertion = jwt::rs256(&self.private_key, &header, &claims)?;
        let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned();
        Some(vec![("grant_type", grant_type), ("assertion", assertion)])
    }
}

/// Whether a text can be part of a path and of a token without being taken for anything else.
fn is_name(text: &str, marks: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || marks.contains(c);
    (1..=255).contains(&text.len())
        && text.chars().all(is_allowed)
        && !text.bytes().all(|byte| byte == b'.')
}

/// On this machine http will do, so that an emulated Google can stand in; who may call this machine, the settings say.
fn is_plain(url: &Url) -> bool {
    let is_safe =
        url.scheme() == "https" || url.scheme() == "http" && crate::egress::is_this_machine(url);
    is_safe && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

fn read_key(pem: &Secret<String>) -> Option<RsaKeyPair> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose().as_bytes()).ok()?;
    RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok()
}
