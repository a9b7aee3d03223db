//! A table of buckets that never grows and never forgets in anybody's favour.

use std::sync::{Mutex, PoisonError};

use countersign_domain::rate::{Bucket, Empty, Rate};
use countersign_protocol::time::Timestamp;

/// Keys that share a lock, and among which one gives way.
const WAYS: usize = 8;

/// Buckets of one rate, by key.
///
/// The table has sets of `WAYS` places. Where a set is full, the newcomer takes the place of the fullest bucket, and takes
/// over what is in it. So what is in a place only ever becomes full later, and the fullest of a set with it: whoever was
/// put out and comes back finds a bucket that is no fuller than the one that was left. Nobody wins a new budget by
/// making the table forget the old one.
pub(super) struct Table {
    rate: Rate,
    sets: Box<[Mutex<[Place; WAYS]>]>,
}

#[derive(Clone, Copy, Default)]
struct Place {
    key: u64,
    bucket: Bucket,
}

impl Table {
    /// A table for about so many keys.
    pub fn new(rate: Rate, keys: usize) -> Self {
        let sets = keys.div_ceil(WAYS).max(1);
        Self { rate, sets: (0..sets).map(|_| Mutex::default()).collect() }
    }

    /// Takes one out of the bucket of a key. Keys are hashes under a secret, so that nobody can aim at a set.
    pub fn take(&self, key: u64, now: Timestamp) -> Result<(), Empty> {
        let Some(set) = self.set(key) else { return Ok(()) };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        let known = set.iter().position(|place| place.key == key);
        let place = match known {
            Some(known) => set.get_mut(known),
            None => set.iter_mut().min_by_key(|place| place.bucket),
        };
        let Some(place) = place else { return Ok(()) };
        place.key = key;
        place.bucket = place.bucket.take(self.rate, now)?;
        Ok(())
    }

    fn set(&self, key: u64) -> Option<&Mutex<[Place; WAYS]>> {
        // The high bits choose the set, evenly for any number of sets.
        let place = (u128::from(key) * self.sets.len() as u128) >> 64;
        self.sets.get(usize::try_from(place).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000 + seconds)
    }

    fn table(burst: u32, keys: usize) -> Table {
        Table::new(Rate::new(1.0, burst).unwrap(), keys)
    }

    #[test]
    fn keys_do_not_share_a_bucket_while_there_is_room() {
        let table = table(1, WAYS);
        for key in 1..=WAYS as u64 {
            assert!(table.take(key, at(0)).is_ok());
            assert!(table.take(key, at(0)).is_err());
        }
    }

    #[test]
    fn whoever_floods_the_table_with_other_keys_wins_nothing_back() {
        let table = table(3, WAYS);
        let spent = 7;
        for _ in 0..3 {
            table.take(spent, at(0)).unwrap();
        }
        for other in 1_000..2_000 {
            for _ in 0..3 {
                let _ = table.take(other, at(0));
            }
            assert!(table.take(spent, at(0)).is_err());
        }
    }

    #[test]
    fn who_comes_to_a_full_table_gets_what_the_least_busy_has_left() {
        let table = table(3, WAYS);
        for key in 0..WAYS as u64 {
            table.take(key, at(0)).unwrap();
        }
        let newcomer = 1_000;
        assert!(table.take(newcomer, at(0)).is_ok());
        assert!(table.take(newcomer, at(0)).is_ok());
        assert!(table.take(newcomer, at(0)).is_err());
        assert!(table.take(newcomer + 1, at(3)).is_ok(), "an idle place is as good as a free one");
    }

    proptest! {
        #[test]
        fn a_key_never_passes_more_often_than_with_a_bucket_of_its_own(
            // Many in each second, so that keys are put out and come back before they have filled up.
            asked in prop::collection::vec(
                (0_u64..24, prop_oneof![40 => Just(0_i64), 1 => Just(1)]), 1..400
            ),
            burst in 1_u32..4
        ) {
            let rate = Rate::new(1.0, burst).unwrap();
            let (table, mut own, mut now) = (Table::new(rate, WAYS), BTreeMap::new(), 0);
            for (key, gap) in asked {
                now += gap;
                // The key 0 would find the places that are still free.
                let key = key + 1;
                if table.take(key, at(now)).is_ok() {
                    let bucket: &mut Bucket = own.entry(key).or_default();
                    let alone = bucket.take(rate, at(now));
                    prop_assert!(alone.is_ok(), "{key} at {now}");
                    *bucket = alone.unwrap();
                }
            }
        }
    }
}
