//! Authenticator apps: passcodes by RFC 6238, and the address by which an app learns the seed.

use std::collections::BTreeMap;

use countersign_protocol::secret::Secret;
use url::form_urlencoded::byte_serialize;

/// Bytes of a seed: as many as SHA-1 has (RFC 4226, section 4).
pub const SEED_BYTES: usize = 20;

/// Letters and digits of base32 (RFC 4648, section 6).
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Parameters that say how passcodes are made, which is not for policies to say.
const OWN: [&str; 5] = ["secret", "algorithm", "digits", "period", "counter"];

/// Whether a policy may add a parameter to the address.
#[must_use]
pub fn is_parameter(name: &str, value: &str) -> bool {
    let fits = |text: &str| (1..=100).contains(&text.chars().count());
    fits(name) && fits(value) && !OWN.contains(&name.to_ascii_lowercase().as_str())
}

/// A seed as people type it: base32 without padding.
#[must_use]
pub fn secret_text(seed: &Secret<Vec<u8>>) -> Secret<String> {
    let mut text = String::with_capacity(seed.expose().len() * 8 / 5 + 1);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in seed.expose() {
        bits = (bits << 8 | u32::from(*byte)) & 0xfff;
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(letter(bits >> held));
        }
    }
    if held > 0 {
        text.push(letter(bits << (5 - held)));
    }
    Secret::new(text)
}

fn letter(bits: u32) -> char {
    let place = usize::try_from(bits & 31).unwrap_or_default();
    char::from(BASE32.get(place).copied().unwrap_or(b'A'))
}

/// What an app reads off a page: `otpauth://totp/ISSUER:ACCOUNT?secret=..`, the form that authenticator apps agree on.
#[must_use]
pub fn key_uri(
    seed: &Secret<Vec<u8>>,
    (issuer, account): (&str, &str),
    parameters: &BTreeMap<String, String>,
) -> Secret<String> {
    let issuer = parameters.get("issuer").map_or(issuer, String::as_str);
    let mut uri = format!(
        "otpauth://totp/{}:{}?secret={}&issuer={}&algorithm=SHA1&digits=6&period=30",
        escaped(issuer),
        escaped(account),
        secret_text(seed).expose(),
        escaped(issuer)
    );
    for (name, value) in parameters.iter().filter(|(name, _)| *name != "issuer") {
        uri.extend(["&", &escaped(name), "=", &escaped(value)]);
    }
    Secret::new(uri)
}

/// Percent-encoded, also the space: many apps show a plus as it is.
fn escaped(text: &str) -> String {
    byte_serialize(text.as_bytes()).map(|part| if part == "+" { "%20" } else { part }).collect()
}
