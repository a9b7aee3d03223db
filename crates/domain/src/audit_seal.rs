//! Seals of the audit log: a hash chain over the records of an environment, so that a record that was changed, removed or
//! slipped in outside the program shows.

use countersign_protocol::{jose::sha256, time::Timestamp};

use crate::{audit::Record, environment::Environment, id::Id};

/// How far a chain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many seals there have been.
    pub number: i64,
    /// The last record that is sealed.
    pub through: Id<Record>,
    /// The last link of the chain.
    pub hash: [u8; 32],
}

impl Head {
    /// Where the chain of an environment begins: before every record, with the SHA-256 of the sixteen bytes of its id.
    #[must_use]
    pub fn first(environment: Id<Environment>) -> Self {
        let through = Id::from_bytes([0; 16]);
        Self { number: 0, through, hash: sha256(environment.as_bytes()) }
    }

    /// The head after one more record: SHA-256 over the last link, the sixteen bytes of the record's id, and its `data` as it is
    /// stored. The first two have fixed lengths, so nothing can run into anything else.
    #[must_use]
    pub fn then(self, record: Id<Record>, data: &str) -> Self {
        let bytes = [self.hash.as_slice(), record.as_bytes(), data.as_bytes()].concat();
        Self { through: record, hash: sha256(&bytes), ..self }
    }
}

/// A seal: from the head before it on, these records and no others, up to this head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The tenant.
    pub environment: Id<Environment>,
    /// The head that it ends in. Its number is that of the seal, from 1 without a gap.
    pub head: Head,
    /// How many records it covers.
    pub records: i64,
    /// When it was made, by the clock of the node that made it.
    pub sealed_at: Timestamp,
    /// Keyed hash of [`Seal::bytes`] under the environment's key, which is not in the database in the clear.
    pub mac: [u8; 32],
}

impl Seal {
    /// A seal over records that follow `before`, without its MAC. The bytes of each record are as they are stored.
    #[must_use]
    pub fn over(
        environment: Id<Environment>,
        before: Head,
        records: &[(Id<Record>, String)],
        now: Timestamp,
    ) -> Self {
        let head = records.iter().fold(before, |head, (id, data)| head.then(*id, data));
        let head = Head { number: before.number + 1, ..head };
        let records = i64::try_from(records.len()).unwrap_or(i64::MAX);
        Self { environment, head, records, sealed_at: now, mac: [0; 32] }
    }

    /// What the MAC covers: number, last record, count, time in microseconds and hash. Numbers are eight bytes, big endian.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let Self { head, records, sealed_at, .. } = self;
        [
            head.number.to_be_bytes().as_slice(),
            head.through.as_bytes(),
            &records.to_be_bytes(),
            &sealed_at.micros().to_be_bytes(),
            &head.hash,
        ]
        .concat()
    }
}

/// Where the chain begins once the retention has removed older records: the head of the last seal that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// The tenant.
    pub environment: Id<Environment>,
    /// The head that the kept part follows.
    pub head: Head,
    /// Keyed hash of [`Base::bytes`] under the environment's key.
    pub mac: [u8; 32],
}

impl Base {
    /// What the MAC covers: number, last record and hash.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let Head { number, through, hash } = &self.head;
        [number.to_be_bytes().as_slice(), through.as_bytes(), hash].concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::fixture::{NOW, id};

    type Records = Vec<(Id<Record>, String)>;

    /// Seals the records in portions of these sizes.
    fn chain(records: &Records, sizes: &[usize]) -> Vec<Seal> {
        let (mut rest, mut head, mut seals) =
            (records.as_slice(), Head::first(id(1)), Vec::<Seal>::new());
        for size in sizes {
            let (portion, others) = rest.split_at((*size).min(rest.len()));
            let seal = Seal::over(id(1), head, portion, NOW);
            (rest, head) = (others, seal.head);
            seals.push(seal);
        }
        seals
    }

    fn records() -> impl Strategy<Value = Records> {
        let distinct = |texts: Vec<String>| (1..).map(id).zip(texts).collect();
        vec("[a-c]{0,3}", 1..40).prop_map(distinct)
    }

    #[test]
    fn a_link_can_be_recomputed_by_hand() {
        // printf '\1%.0s' $(seq 16) | sha256sum, and so on: docs/audit.md.
        let first = Head::first(id(1));
        let link = sha256(&[first.hash.as_slice(), &[2; 16], b"{}"].concat());
        assert_eq!(first.hash, sha256(&[1; 16]));
        assert_eq!(first.then(id(2), "{}"), Head { number: 0, through: id(2), hash: link });
    }

    proptest! {
        #[test]
        fn how_records_are_portioned_does_not_matter_to_the_hash(
            records in records(), sizes in vec(1_usize..9, 40)
        ) {
            let portioned = chain(&records, &sizes);
            let whole = chain(&records, &[records.len()]);
            prop_assert_eq!(portioned[39].head.hash, whole[0].head.hash);
            prop_assert_eq!(portioned[39].head.through, whole[0].head.through);
        }

        #[test]
        fn any_change_of_the_records_changes_the_hash(
            records in records(), place in any::<prop::sample::Index>(), what in 0_u8..4
        ) {
            let mut changed = records.clone();
            let place = place.index(changed.len());
            match what {
                0 => changed[place].1.push('x'),
                1 => changed[place].0 = id(200),
                2 => drop(changed.remove(place)),
                _ => changed.insert(place, (id(201), String::new())),
            }
            let sealed = Seal::over(id(1), Head::first(id(1)), &records, NOW);
            let found = Seal::over(id(1), Head::first(id(1)), &changed, NOW);
            prop_assert_ne!(sealed.head.hash, found.head.hash);
        }
    }

    #[test]
    fn every_member_of_a_seal_is_under_its_mac() {
        let seal = Seal::over(id(1), Head::first(id(1)), &[(id(2), "{}".to_owned())], NOW);
        let other = |change: fn(&mut Seal)| {
            let mut other = seal.clone();
            change(&mut other);
            other.bytes() != seal.bytes()
        };
        assert!(other(|seal| seal.head.number += 1));
        assert!(other(|seal| seal.head.through = id(3)));
        assert!(other(|seal| seal.head.hash[31] ^= 1));
        assert!(other(|seal| seal.records += 1));
        assert!(other(|seal| seal.sealed_at = NOW.plus_seconds(1)));
    }
}
