//! The app's address at a push service, and the rules that each service has for it.

use countersign_protocol::encoding;
use countersign_protocol::jwk::EcPublicKey;
use countersign_protocol::mobile_payload::{
    MAX_ADDRESS_CHARACTERS, PushAddress, PushEnvironment, PushService,
};
use serde::{Deserialize, Serialize};
use url::Url;

/// APNs says 32 bytes today and that more may come: as hex digits.
const APNS_DIGITS: std::ops::RangeInclusive<usize> = 32..=400;

/// What stands for an address at the platform itself, which knows where its installations are.
const DIRECT_ADDRESS: &str = "direct";

/// Where an app can be woken, as its system has said. Known to obey the rules of its service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceToken {
    service: PushService,
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environment: Option<PushEnvironment>,
}

/// What is wrong with a device token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeviceTokenError {
    /// APNs: not the token's bytes as hexadecimal text.
    #[error("token must be 32 to 400 hexadecimal digits, and an even number of them")]
    NotHexadecimal,
    /// APNs: the same token is good in one of its environments only.
    #[error("environment must be given for APNs")]
    EnvironmentMissing,
    /// FCM, HMS: empty, too long, or with characters that no token has.
    #[error("token must be 1 to {MAX_ADDRESS_CHARACTERS} printable ASCII characters")]
    NotPrintable,
    /// Web Push: not the JSON of a subscription.
    #[error(
        "token must be a JSON object with endpoint, p256dh and auth, of at most \
         {MAX_ADDRESS_CHARACTERS} characters"
    )]
    NotASubscription,
    /// Web Push: RFC 8030 section 8 demands TLS.
    #[error("endpoint must be an https URL")]
    Endpoint,
    /// Web Push: not what RFC 8291 section 3.1 says of it.
    #[error("p256dh must be an uncompressed P-256 point, as base64url")]
    PublicKey,
    /// Web Push: not what RFC 8291 section 3.2 says of it.
    #[error("auth must be 16 bytes, as base64url")]
    Secret,
}

impl DeviceToken {
    /// Holds `token` against the rules of `service`.
    pub fn new(
        service: PushService,
        token: &str,
        environment: Option<PushEnvironment>,
    ) -> Result<Self, DeviceTokenError> {
        let (address, environment) = match service {
            PushService::Apns => {
                let environment = environment.ok_or(DeviceTokenError::EnvironmentMissing)?;
                (check_hexadecimal(token)?, Some(environment))
            }
            PushService::Fcm | PushService::Hms => (check_printable(token)?, None),
            PushService::WebPush => (check_subscription(token)?, None),
            PushService::Direct => (DIRECT_ADDRESS.to_owned(), None),
        };
        Ok(Self { service, address, environment })
    }

    pub const fn service(&self) -> PushService {
        self.service
    }

    /// The address as the platform keeps it.
    pub fn to_address(&self, enabled: bool) -> PushAddress {
        PushAddress {
            service: self.service,
            address: self.address.clone(),
            environment: self.environment,
            enabled,
        }
    }
}

fn check_hexadecimal(token: &str) -> Result<String, DeviceTokenError> {
    let is_good = APNS_DIGITS.contains(&token.len())
        && token.len().is_multiple_of(2)
        && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    // One spelling, so that the same token is the same address.
    is_good.then(|| token.to_ascii_lowercase()).ok_or(DeviceTokenError::NotHexadecimal)
}

fn check_printable(token: &str) -> Result<String, DeviceTokenError> {
    let is_good = (1..=MAX_ADDRESS_CHARACTERS).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    is_good.then(|| token.to_owned()).ok_or(DeviceTokenError::NotPrintable)
}

/// What a browser or distributor hands out, in its one spelling: other members are left behind.
#[derive(Serialize, Deserialize)]
struct Subscription {
    endpoint: String,
    p256dh: String,
    auth: String,
}

fn check_subscription(token: &str) -> Result<String, DeviceTokenError> {
    let not_one = DeviceTokenError::NotASubscription;
    if token.len() > MAX_ADDRESS_CHARACTERS {
        return Err(not_one);
    }
    let read: Subscription = serde_json::from_str(token).map_err(|_| not_one)?;
    let is_https = |url: &Url| url.scheme() == "https" && url.has_host();
    let endpoint =
        Url::parse(&read.endpoint).ok().filter(is_https).ok_or(DeviceTokenError::Endpoint)?;
    // Some libraries pad.
    let trimmed = |text: &str| text.trim_end_matches('=').to_owned();
    let (p256dh, auth) = (trimmed(&read.p256dh), trimmed(&read.auth));
    let point = encoding::decode(&p256dh).map_err(|_| DeviceTokenError::PublicKey)?;
    EcPublicKey::from_uncompressed(&point).map_err(|_| DeviceTokenError::PublicKey)?;
    encoding::decode_array::<16>(&auth).map_err(|_| DeviceTokenError::Secret)?;
    let checked = Subscription { endpoint: endpoint.into(), p256dh, auth };
    serde_json::to_string(&checked).map_err(|_| not_one)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // RFC 8291 section 5.
    const POINT: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    fn check(service: PushService, token: &str) -> Result<String, DeviceTokenError> {
        let token = DeviceToken::new(service, token, Some(PushEnvironment::Sandbox))?;
        Ok(token.to_address(true).address)
    }

    #[test]
    fn an_apple_token_is_an_even_number_of_hexadecimal_digits() {
        for good in ["ab".repeat(16), "AB".repeat(32), "0f".repeat(200)] {
            let address = check(PushService::Apns, &good).unwrap();
            assert_eq!(address, good.to_ascii_lowercase());
        }
        for bad in ["", &"ab".repeat(15), &"ab".repeat(201), &"a".repeat(33), &"xy".repeat(32)] {
            assert_eq!(check(PushService::Apns, bad), Err(DeviceTokenError::NotHexadecimal));
        }
    }

    #[test]
    fn only_apple_has_environments() {
        let token = "ab".repeat(32);
        let none = DeviceToken::new(PushService::Apns, &token, None);
        assert_eq!(none, Err(DeviceTokenError::EnvironmentMissing));
        for (service, kept) in
            [(PushService::Apns, Some(PushEnvironment::Production)), (PushService::Fcm, None)]
        {
            let made =
                DeviceToken::new(service, &token, Some(PushEnvironment::Production)).unwrap();
            assert_eq!(made.to_address(true).environment, kept);
        }
    }

    #[test]
    fn tokens_of_google_and_huawei_are_printable() {
        for service in [PushService::Fcm, PushService::Hms] {
            assert!(check(service, "cXy:APA91b-_z").is_ok());
            assert!(check(service, &"x".repeat(4_096)).is_ok());
            for bad in ["", "a b", "a\n", "ä", &"x".repeat(4_097)] {
                assert_eq!(check(service, bad), Err(DeviceTokenError::NotPrintable), "{bad}");
            }
        }
    }

    #[test]
    fn a_subscription_is_kept_in_one_spelling() {
        let token = json!({
            "auth": format!("{AUTH}=="), "p256dh": format!("{POINT}="),
            "endpoint": "https://push.example/x", "expirationTime": null,
        });
        assert_eq!(
            check(PushService::WebPush, &token.to_string()).unwrap(),
            format!(
                r#"{{"endpoint":"https://push.example/x","p256dh":"{POINT}","auth":"{AUTH}"}}"#
            )
        );
    }

    #[test]
    fn a_subscription_is_complete_and_of_good_form() {
        let refused = |endpoint: &str, p256dh: &str, auth: &str| {
            let token = json!({ "endpoint": endpoint, "p256dh": p256dh, "auth": auth });
            check(PushService::WebPush, &token.to_string()).unwrap_err()
        };
        let good = "https://push.example/x";
        for endpoint in ["http://push.example/x", "push.example", "file:///etc/passwd"] {
            assert_eq!(refused(endpoint, POINT, AUTH), DeviceTokenError::Endpoint, "{endpoint}");
        }
        for point in ["", AUTH, &POINT.replace('B', "C"), &format!("{POINT}AA")] {
            assert_eq!(refused(good, point, AUTH), DeviceTokenError::PublicKey, "{point}");
        }
        assert_eq!(refused(good, POINT, "AAAA"), DeviceTokenError::Secret);
        let long = format!("{good}{}", "x".repeat(4_096));
        assert_eq!(refused(&long, POINT, AUTH), DeviceTokenError::NotASubscription);
        for text in ["", "[]", "{}", r#"{"endpoint":"https://push.example/x"}"#] {
            assert_eq!(
                check(PushService::WebPush, text),
                Err(DeviceTokenError::NotASubscription),
                "{text}"
            );
        }
    }

    #[test]
    fn the_platform_itself_needs_no_token() {
        assert_eq!(check(PushService::Direct, "").unwrap(), DIRECT_ADDRESS);
    }
}
