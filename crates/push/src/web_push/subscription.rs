//! The address of a Web Push subscription, as the app registers it.

use countersign_protocol::encoding;
use countersign_protocol::jwk::EcPublicKey;
use serde::Deserialize;
use url::Url;

use super::encrypt::SubscriptionKeys;
use crate::egress::{self, Egress};

/// The longest endpoint (specification of `UnifiedPush`, `AND_3.0.0`).
const MAX_ENDPOINT_BYTES: usize = 1_000;

/// Where to, and for whose eyes.
pub struct Subscription {
    pub endpoint: Url,
    pub keys: SubscriptionKeys,
}

/// What is wrong with an address.
pub type Flaw = &'static str;

impl Subscription {
    /// Reads the text of an address: `{"endpoint": .., "p256dh": .., "auth": ..}`, keys in base64url.
    pub fn read(address: &str, egress: Egress, ports: &[u16]) -> Result<Self, Flaw> {
        #[derive(Deserialize)]
        struct Text {
            endpoint: String,
            p256dh: String,
            auth: String,
        }
        let text: Text = serde_json::from_str(address)
            .map_err(|_| "the address must be JSON with endpoint, p256dh and auth")?;
        let endpoint = read_endpoint(&text.endpoint, egress, ports)?;
        let point = encoding::decode(text.p256dh.trim_end_matches('=')).ok();
        let p256dh = point.and_then(|point| EcPublicKey::from_uncompressed(&point).ok());
        let p256dh = p256dh.ok_or("p256dh must be a point of P-256 in base64url")?;
        let auth = encoding::decode_array(text.auth.trim_end_matches('='));
        let auth = auth.map_err(|_| "auth must be 16 bytes in base64url")?;
        Ok(Self { endpoint, keys: SubscriptionKeys { p256dh, auth } })
    }
}

fn read_endpoint(text: &str, egress: Egress, ports: &[u16]) -> Result<Url, Flaw> {
    if text.len() > MAX_ENDPOINT_BYTES {
        return Err("the endpoint must have at most 1000 bytes");
    }
    let url = Url::parse(text).map_err(|_| "the endpoint must be an address")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the endpoint must not name a user");
    }
    if !egress.allows(&url) {
        return Err("the endpoint must be https and not of a private network");
    }
    let is_open =
        url.port_or_known_default().is_some_and(|port| port == 443 || ports.contains(&port));
    // On this machine, where that may be called at all, services of a test have any port.
    if !is_open && !egress::is_this_machine(&url) {
        return Err("the endpoint must have port 443 or one that the settings allow");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const P256DH: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    fn read(endpoint: &str) -> Result<Url, Flaw> {
        let address = json!({ "endpoint": endpoint, "p256dh": P256DH, "auth": AUTH }).to_string();
        Subscription::read(&address, Egress::default(), &[8443]).map(|found| found.endpoint)
    }

    #[test]
    fn endpoints_outside_are_taken() {
        for endpoint in ["https://push.example/a?b=c", "https://push.example:8443/up"] {
            assert_eq!(read(endpoint).unwrap().as_str(), endpoint);
        }
    }

    #[test]
    fn endpoints_that_lead_inside_or_are_odd_are_refused() {
        let long = format!("https://push.example/{}", "x".repeat(1_000));
        for endpoint in [
            "http://push.example/a",
            "http://localhost/a",
            "https://127.0.0.1/a",
            "https://[::1]/a",
            "https://10.1.2.3/a",
            "https://169.254.169.254/latest/meta-data",
            "https://[::ffff:10.0.0.1]/a",
            "https://0x7f000001/a",
            "https://push.example:22/a",
            "https://user:secret@push.example/a",
            "ftp://push.example/a",
            "push.example",
            "",
            &long,
        ] {
            assert!(read(endpoint).is_err(), "{endpoint}");
        }
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        let endpoint = "https://push.example/a";
        for (p256dh, auth) in [
            ("", AUTH),
            (AUTH, AUTH),
            (P256DH, ""),
            (P256DH, P256DH),
            // Not on the curve.
            (
                "BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE",
                AUTH,
            ),
        ] {
            let address =
                json!({ "endpoint": endpoint, "p256dh": p256dh, "auth": auth }).to_string();
            assert!(
                Subscription::read(&address, Egress::default(), &[]).is_err(),
                "{p256dh} {auth}"
            );
        }
        for address in ["", "{}", "null", endpoint] {
            assert!(Subscription::read(address, Egress::default(), &[]).is_err(), "{address}");
        }
        let padded = json!({ "endpoint": endpoint, "p256dh": format!("{P256DH}="),
            "auth": format!("{AUTH}==") });
        assert!(Subscription::read(&padded.to_string(), Egress::default(), &[]).is_ok());
    }
}
