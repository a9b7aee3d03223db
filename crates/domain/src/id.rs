//! Ids: UUIDv7 (RFC 9562, section 5.7), typed by what they name.

use std::{cmp::Ordering, fmt, hash, marker::PhantomData, str::FromStr};

use countersign_protocol::{entropy::Entropy, time::Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// The id of a `T`. An `Id<User>` cannot be passed where an `Id<Device>` is meant.
///
/// Time-ordered, because random keys cost a B-tree five times as much, with 62 random bits, so that one id does not tell
/// the next.
pub struct Id<T> {
    uuid: Uuid,
    kind: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// A new id: 48 bits of milliseconds, 12 bits of the fraction of a millisecond, 62 random bits.
    #[must_use]
    pub fn new(now: Timestamp, entropy: &dyn Entropy) -> Self {
        let mut random = [0; 8];
        entropy.fill(&mut random);
        let tail = (u64::from_be_bytes(random) >> 2) | (0b10 << 62);
        Self::from_uuid(Uuid::from_u64_pair(head(now), tail))
    }

    /// What sorts behind every id of before this time, and before every id of then or later. It names nothing itself.
    #[must_use]
    pub fn before(time: Timestamp) -> Self {
        Self::from_uuid(Uuid::from_u64_pair(head(time), 0))
    }

    /// When it was made, in whole milliseconds.
    #[must_use]
    pub fn time(self) -> Timestamp {
        let (head, _) = self.uuid.as_u64_pair();
        Timestamp::from_micros(i64::try_from(head >> 16).unwrap_or(i64::MAX).saturating_mul(1_000))
    }

    /// The id that these sixteen stored bytes spell.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::from_uuid(Uuid::from_bytes(bytes))
    }

    /// The sixteen bytes that are stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.uuid.as_bytes()
    }

    /// The same bits as the id of something else that shares its life, as a grant shares that of its flow.
    #[must_use]
    pub const fn cast<U>(self) -> Id<U> {
        Id::from_uuid(self.uuid)
    }

    const fn from_uuid(uuid: Uuid) -> Self {
        Self { uuid, kind: PhantomData }
    }
}

/// The half of an id that is its time.
fn head(time: Timestamp) -> u64 {
    let micros = time.micros().max(0).unsigned_abs();
    let (millis, rest) = (micros / 1_000, micros % 1_000);
    let fraction = rest * 4_096 / 1_000;
    (millis << 16) | 0x7000 | fraction
}

/// The text is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a UUID in its 36-character form")]
pub struct NotAnId;

impl<T> FromStr for Id<T> {
    type Err = NotAnId;

    /// Accepts only the hyphenated form, so that each id has one spelling in addresses and audiences.
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let uuid = Uuid::try_parse(text).map_err(|_| NotAnId)?;
        let mut buffer = Uuid::encode_buffer();
        let canonical: &str = uuid.hyphenated().encode_lower(&mut buffer);
        if canonical == text { Ok(Self::from_uuid(uuid)) } else { Err(NotAnId) }
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}

impl<T> Eq for Id<T> {}

impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.uuid.cmp(&other.uuid)
    }
}

impl<T> hash::Hash for Id<T> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<T> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.uuid, f)
    }
}

impl<T> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, T> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing;

    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn an_id_is_a_version_7_uuid_of_its_time() {
        let id = Id::<Thing>::new(Timestamp::from_micros(1_700_000_000_123_500), &Fixed(0xff));
        assert_eq!(id.to_string(), "018bcfe5-687b-7800-bfff-ffffffffffff");
    }

    #[test]
    fn later_ids_sort_after_earlier_ones_within_a_millisecond() {
        let early = Id::<Thing>::new(Timestamp::from_micros(1_000_001), &Fixed(0xff));
        let late = Id::<Thing>::new(Timestamp::from_micros(1_000_002), &Fixed(0));
        assert!(early < late);
    }

    #[test]
    fn a_time_parts_the_ids_before_it_from_those_of_it() {
        let time = Timestamp::from_micros(1_700_000_000_123_500);
        let bound = Id::<Thing>::before(time);
        assert!(Id::<Thing>::new(Timestamp::from_micros(time.micros() - 1), &Fixed(0xff)) < bound);
        assert!(bound < Id::<Thing>::new(time, &Fixed(0)));
    }

    #[test]
    fn only_the_canonical_spelling_is_an_id() {
        let text = "018bcfe5-687b-7800-bfff-ffffffffffff";
        assert_eq!(text.parse::<Id<Thing>>().map(|id| id.to_string()), Ok(text.to_owned()));
        for other in
            [text.to_uppercase(), text.replace('-', ""), format!("{{{text}}}"), String::new()]
        {
            assert_eq!(other.parse::<Id<Thing>>(), Err(NotAnId), "{other}");
        }
    }
}
