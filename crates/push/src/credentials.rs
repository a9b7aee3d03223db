//! What an administrator stores so that the platform may use a push service.

use countersign_protocol::secret::Secret;

use crate::{apns, fcm, hms, web_push};

/// The credentials of one push service.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A signing key of Apple for APNs.
    Apns {
        /// Id of the key, ten characters.
        key_id: String,
        /// Id of the team, ten characters.
        team_id: String,
        /// The `.p8` file: PKCS #8 in PEM.
        private_key: Secret<String>,
        /// The bundle id of the app.
        topic: String,
    },
    /// A service account of Google for FCM.
    Fcm {
        /// The JSON file.
        service_account: Secret<String>,
    },
    /// An app of Huawei for Push Kit.
    Hms {
        /// Id of the app, which is the OAuth client id too.
        client_id: String,
        /// Its secret.
        client_secret: Secret<String>,
    },
    /// The platform's own key for Web Push (VAPID, RFC 8292).
    WebPush {
        /// The P-256 scalar: 32 bytes, base64url.
        private_key: Secret<String>,
        /// Whom the service can ask about the platform: a `mailto:` or `https:` address.
        subject: String,
    },
}

/// Credentials that break a rule. It never repeats what it complains of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}")]
pub struct CredentialsError {
    field: &'static str,
    rule: &'static str,
}

impl CredentialsError {
    pub(crate) const fn new(field: &'static str, rule: &'static str) -> Self {
        Self { field, rule }
    }

    /// The member at fault: `service_account.client_email`.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// The rule that it breaks: "must have ten letters or digits".
    #[must_use]
    pub const fn rule(&self) -> &'static str {
        self.rule
    }
}

impl Credentials {
    /// Checks all that can be known without asking the service.
    pub fn validate(&self) -> Result<(), CredentialsError> {
        match self {
            Self::Apns { key_id, team_id, private_key, topic } => {
                apns::Account::new(key_id, team_id, private_key, topic).map(drop)
            }
            Self::Fcm { service_account } => fcm::ServiceAccount::read(service_account).map(drop),
            Self::Hms { client_id, client_secret } => {
                hms::App::new(client_id, client_secret).map(drop)
            }
            Self::WebPush { private_key, subject } => {
                web_push::Vapid::new(private_key, subject).map(drop)
            }
        }
    }
}

/// Refuses a text that breaks `rule`.
pub(crate) fn require(
    kept: bool,
    field: &'static str,
    rule: &'static str,
) -> Result<(), CredentialsError> {
    if kept { Ok(()) } else { Err(CredentialsError::new(field, rule)) }
}
