//! Encryption of a message for one subscription (RFC 8291), so that the service that carries it cannot read it.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use countersign_protocol::jwk::EcPublicKey;
use countersign_protocol::private_key::EcPrivateKey;

/// The one record of the message is never longer (RFC 8291 section 4).
const RECORD_SIZE: u32 = 4_096;
/// What is left for the clear text of a body of 4096 bytes: without header (86), tag (16) and delimiter (1).
pub const MAX_CLEAR_BYTES: usize = 3_993;
/// Says that no record follows (RFC 8188 section 2).
const LAST_RECORD: u8 = 2;

/// What a subscription says of its keys.
pub struct SubscriptionKeys {
    pub p256dh: EcPublicKey,
    pub auth: [u8; 16],
}

/// The body with the content coding `aes128gcm`. `ephemeral` and `salt` must be fresh. `None`: the clear text is too long.
pub fn encrypt(
    keys: &SubscriptionKeys,
    ephemeral: &EcPrivateKey,
    salt: &[u8; 16],
    clear: &[u8],
) -> Option<Vec<u8>> {
    if clear.len() > MAX_CLEAR_BYTES {
        return None;
    }
    let (receiver, sender) = (keys.p256dh.to_uncompressed(), ephemeral.public().to_uncompressed());
    // RFC 8291 section 3.4.
    let shared = Salt::new(HKDF_SHA256, &keys.auth).extract(ephemeral.agree(&keys.p256dh).expose());
    let keying: [u8; 32] = expand(&shared, &[b"WebPush: info\0", &receiver, &sender])?;
    // RFC 8188 section 2.2 and 2.3.
    let content = Salt::new(HKDF_SHA256, salt).extract(&keying);
    let key: [u8; 16] = expand(&content, &[b"Content-Encoding: aes128gcm\0"])?;
    let nonce: [u8; 12] = expand(&content, &[b"Content-Encoding: nonce\0"])?;

    let mut sealed = [clear, &[LAST_RECORD]].concat();
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?);
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed).ok()?;

    let key_length = [u8::try_from(sender.len()).ok()?];
    Some([salt.as_slice(), &RECORD_SIZE.to_be_bytes(), &key_length, &sender, &sealed].concat())
}

fn expand<const N: usize>(key: &Prk, info: &[&[u8]]) -> Option<[u8; N]> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut expanded = [0; N];
    key.expand(info, Length(N)).ok()?.fill(&mut expanded).ok()?;
    Some(expanded)
}

#[cfg(test)]
mod tests {
    use countersign_protocol::encoding::{decode, decode_array, encode};

    use super::*;

    fn keys() -> SubscriptionKeys {
        let point = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
        let p256dh = EcPublicKey::from_uncompressed(&decode(point).unwrap()).unwrap();
        SubscriptionKeys { p256dh, auth: decode_array("BTBZMqHH6r4Tts7J_aSIgg").unwrap() }
    }

    fn ephemeral() -> EcPrivateKey {
        let scalar = decode_array("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw").unwrap();
        EcPrivateKey::from_scalar(&scalar).unwrap()
    }

    #[test]
    fn the_example_of_the_standard_comes_out() {
        // RFC 8291 appendix A.
        let salt = decode_array("DGv6ra1nlYgDCS1FRnbzlw").unwrap();
        let clear = b"When I grow up, I want to be a watermelon";
        let body = encrypt(&keys(), &ephemeral(), &salt, clear).unwrap();
        assert_eq!(
            encode(body),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocIn\
             mYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNW\
             QexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn a_body_has_at_most_4096_bytes() {
        let body = |bytes| encrypt(&keys(), &ephemeral(), &[0; 16], &vec![b' '; bytes]);
        assert_eq!(body(MAX_CLEAR_BYTES).unwrap().len(), 4_096);
        assert_eq!(body(MAX_CLEAR_BYTES + 1), None);
    }
}
