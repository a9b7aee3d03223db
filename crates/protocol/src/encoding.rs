//! base64url without padding (RFC 4648 section 5, RFC 7515 section 2), one text for each sequence
//! of bytes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A text that is not canonical base64url of the expected length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be base64url without padding, of the right length and with zero trailing bits")]
pub struct EncodingError;

/// The text of `bytes`.
#[must_use]
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of `text`. Padding, other alphabets, white space and non-zero trailing bits are
/// refused, so that no two texts mean the same bytes.
pub fn decode(text: &str) -> Result<Vec<u8>, EncodingError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| EncodingError)
}

/// The bytes of `text` when they are exactly `N`.
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], EncodingError> {
    decode(text)?.try_into().map_err(|_| EncodingError)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn padding_other_alphabets_and_trailing_bits_are_refused() {
        for text in ["_w==", "_x", "/w", "_w ", "_w\n", "_"] {
            assert_eq!(decode(text), Err(EncodingError), "{text:?}");
        }
        assert_eq!(decode("_w"), Ok(vec![0xff]));
    }

    #[test]
    fn an_array_has_exactly_its_length() {
        assert_eq!(decode_array::<2>("AQI"), Ok([1, 2]));
        assert_eq!(decode_array::<3>("AQI"), Err(EncodingError));
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&bytes)), Ok(bytes));
        }

        #[test]
        fn what_decodes_is_the_only_text_of_its_bytes(text in "[A-Za-z0-9_-]{0,24}") {
            if let Ok(bytes) = decode(&text) {
                prop_assert_eq!(encode(bytes), text);
            }
        }
    }
}
