//! JSON from strangers: duplicate members, deep nesting and trailing data are refused before
//! anything is read.
//!
//! Two parsers that disagree about which of two equal members counts are two parsers that can be
//! played against each other (RFC 8259 section 4 leaves it open), so no text with such members is
//! accepted at all.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};

/// Objects and arrays inside one another, the outermost counted as 1.
pub const MAX_DEPTH: u8 = 8;

/// Why a text was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// The text is not JSON, repeats a member, nests deeper than [`MAX_DEPTH`], or goes on after
    /// the value.
    #[error("is not strict JSON: {0}")]
    Text(#[source] serde_json::Error),
    /// The text is JSON, but not of the expected members.
    #[error("has other members than expected: {0}")]
    Shape(#[source] serde_path_to_error::Error<serde_json::Error>),
}

impl JsonError {
    /// The member that is not as expected, dotted: `device.id`. Nothing when it is the whole, or when no member is known.
    #[must_use]
    pub fn member(&self) -> Option<String> {
        match self {
            Self::Text(_) => None,
            Self::Shape(error) => Some(error.path().to_string()).filter(|path| path != "."),
        }
    }
}

/// Reads `bytes` as one JSON value of the form `T`.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    check(bytes)?;
    read(bytes)
}

/// Reads what [`check`] has passed, for those who read it several times.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    serde_json::from_slice(bytes).or_else(|_| {
        // Once more, slowly, to learn which member it is.
        let mut text = serde_json::Deserializer::from_slice(bytes);
        serde_path_to_error::deserialize(&mut text).map_err(JsonError::Shape)
    })
}

/// Refuses what no `T` may be read from. [`parse`] does it by itself.
pub(crate) fn check(bytes: &[u8]) -> Result<(), JsonError> {
    let mut text = serde_json::Deserializer::from_slice(bytes);
    Value { depth_left: MAX_DEPTH }
        .deserialize(&mut text)
        .and_then(|()| text.end())
        .map_err(JsonError::Text)
}

/// The name of a member, borrowed unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Walks over one value and keeps nothing of it.
#[derive(Clone, Copy)]
struct Value {
    depth_left: u8,
}

impl Value {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let depth_left = self
            .depth_left
            .checked_sub(1)
            .ok_or_else(|| E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")))?;
        Ok(Self { depth_left })
    }
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut seen = BTreeSet::new();
        while let Some(Name(name)) = members.next_key()? {
            if seen.contains(&name) {
                return Err(A::Error::custom(format_args!("member {name:?} appears twice")));
            }
            seen.insert(name);
            members.next_value_seed(inner)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while elements.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Reads `T`, or nothing when the member holds something that is not a `T` (an unknown kind of key,
/// say).
pub(crate) fn lenient<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let elements = Vec::<serde_json::Value>::deserialize(deserializer)?;
    Ok(elements.into_iter().filter_map(|element| serde_json::from_value(element).ok()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> String {
        parse::<serde_json::Value>(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_duplicate_member_is_refused_at_any_level() {
        assert!(refusal(r#"{"a":1,"a":1}"#).contains(r#"member "a" appears twice"#));
        assert!(refusal(r#"{"x":[{"a":1,"b":2,"\u0061":3}]}"#).contains("appears twice"));
    }

    #[test]
    fn eight_levels_are_accepted_and_nine_refused() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(parse::<serde_json::Value>(nested(8).as_bytes()).is_ok());
        assert!(refusal(&nested(9)).contains("nested deeper than 8 levels"));
        assert!(refusal(&nested(100_000)).contains("nested deeper than 8 levels"));
    }

    #[test]
    fn trailing_data_and_broken_text_are_refused() {
        for text in ["{} {}", "{}x", "", "{", "{\"a\":01}", "nul", "\u{feff}{}", "{'a':1}", "[1,]"]
        {
            assert!(matches!(parse::<serde_json::Value>(text.as_bytes()), Err(JsonError::Text(_))));
        }
        assert!(parse::<serde_json::Value>(b"\"\xff\"").is_err());
    }

    #[test]
    fn other_members_than_expected_are_told_apart_from_broken_text() {
        assert!(matches!(parse::<Vec<u8>>(b"{}"), Err(JsonError::Shape(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = parse::<serde_json::Value>(&bytes);
        }

        #[test]
        fn an_object_with_distinct_members_is_accepted(
            members in proptest::collection::btree_map(".*", any::<f32>(), 0..8),
        ) {
            let text = serde_json::to_vec(&members).unwrap();
            let read = parse::<serde_json::Value>(&text).unwrap();
            prop_assert_eq!(read.as_object().unwrap().len(), members.len());
        }
    }
}
