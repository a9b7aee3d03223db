//! Counts what happened, by kind and labels. What a transaction did counts once it is committed, and not before.

use std::fmt;

use crate::meter::{Counter, Slots};

/// The most combinations of kind and labels. There are as many as the program has words for, so this is never reached.
const CAPACITY: usize = 512;

/// The longest label, in bytes.
const LABEL_BYTES: usize = 64;

/// What is told instead of a label that cannot be one of the program's own words.
const OTHER: &str = "other";

/// Labels of one occurrence, whose names belong to its kind. An empty one is absent.
pub type Labels<'a> = [&'a str; 3];

/// How often each thing has happened.
pub struct Tally {
    slots: Slots<Occurrence>,
    overflow: Counter,
}

/// One kind of thing and how often it happened.
#[derive(Debug)]
pub struct Occurrence {
    /// The kind: `audit_records`.
    pub kind: &'static str,
    /// Its labels: `USER.ACCESS_DENIED`, `failed`, `device_locked`.
    pub labels: [String; 3],
    /// How often.
    pub count: Counter,
}

impl Default for Tally {
    fn default() -> Self {
        Self { slots: Slots::new(CAPACITY), overflow: Counter::default() }
    }
}

impl Tally {
    /// Counts one occurrence.
    pub fn count(&self, kind: &'static str, labels: Labels<'_>) {
        self.add([self.mark(kind, labels)]);
    }

    /// Where an occurrence is counted. Labels are the program's own words, never data: others become `other`.
    pub(crate) fn mark(&self, kind: &'static str, labels: Labels<'_>) -> Mark {
        let labels = labels.map(|label| if is_word(label) { label } else { OTHER });
        let is = |seen: &Occurrence| seen.kind == kind && seen.labels == labels;
        let new =
            || Occurrence { kind, labels: labels.map(str::to_owned), count: Counter::default() };
        Mark(self.slots.find((kind, labels), is, new))
    }

    /// Counts what a transaction has done, now that it is committed.
    pub(crate) fn add(&self, marks: impl IntoIterator<Item = Mark>) {
        for Mark(place) in marks {
            let occurrence = place.and_then(|place| self.slots.get(place));
            occurrence.map_or(&self.overflow, |occurrence| &occurrence.count).add(1);
        }
    }

    /// Everything that has happened, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Occurrence> {
        self.slots.iter()
    }

    /// How much could not be told apart, because there was no more place.
    #[must_use]
    pub fn overflow(&self) -> u64 {
        self.overflow.get()
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

fn is_word(label: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    label.len() <= LABEL_BYTES && label.bytes().all(is_part)
}

/// Something that a transaction has done and that counts if it is committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(Option<usize>);

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(tally: &Tally) -> Vec<(&'static str, [&str; 3], u64)> {
        let row = |it: &Occurrence| (it.kind, it.labels.clone(), it.count.get());
        let mut rows: Vec<_> = tally.iter().map(row).collect();
        rows.sort();
        rows.into_iter().map(|(kind, labels, n)| (kind, labels.map(|it| &*it.leak()), n)).collect()
    }

    #[test]
    fn the_same_labels_share_a_count() {
        let tally = Tally::default();
        tally.count("a", ["X.Y", "failed", ""]);
        tally.count("a", ["X.Y", "failed", ""]);
        tally.count("b", ["X.Y", "failed", ""]);
        let expected = [("a", ["X.Y", "failed", ""], 2), ("b", ["X.Y", "failed", ""], 1)];
        assert_eq!(seen(&tally), expected);
    }

    #[test]
    fn what_could_be_data_is_no_label() {
        let tally = Tally::default();
        for data in ["ann@bank.example", "two words", "\"", &"x".repeat(65)] {
            tally.count("a", [data, "", ""]);
        }
        assert_eq!(seen(&tally), [("a", ["other", "", ""], 4)]);
    }

    #[test]
    fn the_table_does_not_grow() {
        let tally = Tally::default();
        for number in 0..CAPACITY + 9 {
            tally.count("a", [&number.to_string(), "", ""]);
        }
        assert_eq!((tally.iter().count(), tally.overflow()), (CAPACITY, 9));
    }
}
