//! Counts and times what happens, by relaxed atomics: an update takes a few nanoseconds, no lock and no memory.

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash},
    sync::{
        OnceLock,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// What it has come to.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Replaces it.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    /// Moves it by `n`.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// What it is now.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// Upper bounds for times, in microseconds: 0.1 ms to 10 s.
pub const TIMES: &[u64] = &[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// Upper bounds for the sizes of groups.
pub const SIZES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128];

/// How values are spread over ranges.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound and one for what is above all of them.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// A histogram with these upper bounds, which rise and belong to their ranges.
    #[must_use]
    pub fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Adds a value.
    pub fn observe(&self, value: u64) {
        let range = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(range) {
            count.fetch_add(1, Relaxed);
        }
        self.sum.fetch_add(value, Relaxed);
    }

    /// Adds a time, in microseconds.
    pub fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// What it holds. Values that come meanwhile may be in one part of it and not yet in the other.
    #[must_use]
    pub fn distribution(&self) -> Distribution {
        let counts = self.counts.iter().map(|count| count.load(Relaxed)).collect();
        Distribution { bounds: self.bounds, counts, sum: self.sum.load(Relaxed) }
    }
}

/// The values of a [`Histogram`] at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// Upper bounds of the ranges but the last.
    pub bounds: &'static [u64],
    /// How many values are in each range.
    pub counts: Vec<u64>,
    /// The sum of all values.
    pub sum: u64,
}

impl Distribution {
    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "measures a time; nothing is decided or stored by it"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since it began.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A bounded table of things that are found again by their names, without a lock. Nothing is ever removed from it.
#[derive(Debug)]
pub struct Slots<T>(Box<[OnceLock<T>]>);

impl<T> Slots<T> {
    /// A table of at most `capacity` things.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self((0..capacity).map(|_| OnceLock::new()).collect())
    }

    /// The place of the thing that `is` recognises, made on first sight; nothing when it is new and the table is full.
    ///
    /// `name` must be the same whenever `is` is, and comes from the program: an attacker who chose it could make many collide.
    pub fn find(
        &self,
        name: impl Hash,
        is: impl Fn(&T) -> bool,
        make: impl Fn() -> T,
    ) -> Option<usize> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
        let capacity = u64::try_from(self.0.len()).ok().filter(|capacity| *capacity > 0)?;
        let start = usize::try_from(hash % capacity).ok()?;
        let places = (start..self.0.len()).chain(0..start);
        places
            .into_iter()
            .find(|place| self.0.get(*place).is_some_and(|slot| is(slot.get_or_init(&make))))
    }

    /// The thing at a place that was found.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&T> {
        self.0.get(place)?.get()
    }

    /// All that was found so far, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(OnceLock::get)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_range() {
        let histogram = Histogram::new(&[1, 10]);
        for value in [0, 1, 2, 10, 11] {
            histogram.observe(value);
        }
        let seen = histogram.distribution();
        assert_eq!((seen.counts.as_slice(), seen.sum, seen.count()), (&[2, 2, 1][..], 24, 5));
    }

    #[test]
    fn bounds_rise() {
        for bounds in [TIMES, SIZES] {
            assert!(bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
        }
    }

    #[test]
    fn a_table_finds_what_it_has_and_refuses_what_does_not_fit() {
        let slots = Slots::new(3);
        let find = |name: &'static str| {
            slots.find(name, |it| *it == name, || name).and_then(|at| slots.get(at).copied())
        };
        for name in ["a", "b", "c", "a", "b", "c"] {
            assert_eq!(find(name), Some(name));
        }
        assert_eq!(find("d"), None);
        assert_eq!(slots.iter().count(), 3);
    }

    #[test]
    fn threads_that_meet_a_name_at_once_share_its_place() {
        let slots = Slots::new(64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for name in 0..40_u64 {
                        let place = slots.find(
                            name,
                            |(other, _): &(u64, Counter)| *other == name,
                            || (name, Counter::default()),
                        );
                        slots.get(place.unwrap()).unwrap().1.add(1);
                    }
                });
            }
        });
        assert_eq!(slots.iter().count(), 40);
        assert!(slots.iter().all(|(_, count)| count.get() == 4));
    }
}
