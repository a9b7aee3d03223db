//! Compact JWS (RFC 7515 section 3.1): put together and taken apart, without any decision about
//! trust.

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use crate::encoding;

/// The most bytes a signed statement of either side may have.
pub const MAX_BYTES: usize = 16 * 1024;

/// The signature algorithms in use (RFC 7518 section 3.1). There is no `none`, and nothing
/// symmetric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
}

impl Algorithm {
    /// As `alg` says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

/// The protected header of everything we sign: these three members, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Header<'a> {
    /// The algorithm of the key.
    pub alg: Algorithm,
    /// Names the key.
    pub kid: &'a str,
    /// Names the kind of statement, so that none is taken for another (RFC 8725 section 3.11).
    pub typ: &'a str,
}

/// The bytes that are signed: header and claims, encoded and joined (RFC 7515 section 5.1 step 5).
///
/// # Panics
/// When `claims` has a map whose keys are not text, which no type of this crate has.
#[must_use]
#[expect(clippy::expect_used, reason = "claims are objects with text for keys")]
pub fn signing_input(header: &Header<'_>, claims: &impl Serialize) -> String {
    let header = serde_json::to_vec(header).expect("the header is an object");
    let claims = serde_json::to_vec(claims).expect("the claims are an object");
    format!("{}.{}", encoding::encode(header), encoding::encode(claims))
}

/// The compact serialization: the signing input with its signature.
#[must_use]
pub fn assemble(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", encoding::encode(signature))
}

/// SHA-256 of a signing input: the identity of a statement. The signature has no part in it,
/// because anybody can turn an ECDSA signature (r, s) into (r, -s).
#[must_use]
pub fn digest(signing_input: &str) -> [u8; 32] {
    sha256(signing_input.as_bytes())
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// One of the three parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The protected header.
    Header,
    /// The payload.
    Claims,
    /// The signature.
    Signature,
}

impl Part {
    /// The word for it in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Claims => "claims",
            Self::Signature => "signature",
        }
    }
}

/// Why a text is not a compact JWS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompactError {
    /// Longer than [`MAX_BYTES`].
    #[error("must not be longer than {MAX_BYTES} bytes")]
    TooLong,
    /// Not three parts joined by two dots.
    #[error("must be three parts joined by dots")]
    NotThreeParts,
    /// A part is not canonical base64url, or is empty.
    #[error("the {} must be base64url without padding", .0.name())]
    Encoding(Part),
}

/// A compact JWS taken apart. Nothing in it has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compact {
    /// What the signature covers.
    pub signing_input: String,
    /// The decoded header, supposedly JSON.
    pub header: Vec<u8>,
    /// The decoded payload, supposedly JSON.
    pub claims: Vec<u8>,
    /// The decoded signature.
    pub signature: Vec<u8>,
}

/// Takes `jws` apart.
pub fn split(jws: &str) -> Result<Compact, CompactError> {
    if jws.len() > MAX_BYTES {
        return Err(CompactError::TooLong);
    }
    let (signing_input, signature) = jws.rsplit_once('.').ok_or(CompactError::NotThreeParts)?;
    let (header, claims) = signing_input.split_once('.').ok_or(CompactError::NotThreeParts)?;
    if claims.contains('.') {
        return Err(CompactError::NotThreeParts);
    }
    let decode = |text: &str, part| match encoding::decode(text) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        Ok(_) | Err(_) => Err(CompactError::Encoding(part)),
    };
    Ok(Compact {
        header: decode(header, Part::Header)?,
        claims: decode(claims, Part::Claims)?,
        signature: decode(signature, Part::Signature)?,
        signing_input: signing_input.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_three_parts_is_refused() {
        for text in ["", "e30", "e30.e30", "e30.e30.e30.e30", "e30.e30.e30.e30.e30"] {
            assert_eq!(split(text), Err(CompactError::NotThreeParts), "{text:?}");
        }
    }

    #[test]
    fn an_empty_padded_or_non_canonical_part_is_refused() {
        for (text, part) in [
            (".e30.e30", Part::Header),
            ("e30=.e30.e30", Part::Header),
            ("e30..e30", Part::Claims),
            ("e30.e31.e30", Part::Claims),
            ("e30.e30.", Part::Signature),
            ("e30.e30.+/8", Part::Signature),
        ] {
            assert_eq!(split(text), Err(CompactError::Encoding(part)), "{text:?}");
        }
    }

    #[test]
    fn more_than_sixteen_kibibytes_are_refused() {
        let text = format!("e30.{}.e30", "A".repeat(MAX_BYTES));
        assert_eq!(split(&text), Err(CompactError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_assembled_is_split_into_the_same(
            kid: String,
            claim: String,
            signature in proptest::collection::vec(any::<u8>(), 1..80),
        ) {
            let header = Header { alg: Algorithm::Es256, kid: &kid, typ: "test" };
            let input = signing_input(&header, &[&claim]);
            let compact = split(&assemble(&input, &signature)).unwrap();
            prop_assert_eq!(compact.signing_input, input);
            prop_assert_eq!(compact.header, serde_json::to_vec(&header).unwrap());
            prop_assert_eq!(compact.claims, serde_json::to_vec(&[claim]).unwrap());
            prop_assert_eq!(compact.signature, signature);
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = split(&text);
        }
    }
}
