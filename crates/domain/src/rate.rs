//! Rates: how often something may happen, by the generic cell rate algorithm (ITU-T I.371, annex A).
//!
//! A bucket begins full and is filled at a steady rate. What happens takes one out of it, and an empty bucket refuses. All
//! that must be kept of one is a point in time: when it will be full again.

use countersign_protocol::time::Timestamp;

/// So many at once, and so many a second for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds in which one is filled in.
    interval: u64,
    /// Nanoseconds in which an empty bucket becomes full.
    capacity: u64,
}

/// The most a second: one a nanosecond is as good as no limit.
const MAX_PER_SECOND: f64 = 1e9;

/// The least a second: one a day.
const MIN_PER_SECOND: f64 = 1.0 / 86_400.0;

const NANOS_PER_SECOND: f64 = 1e9;
const NANOS_PER_MICRO: u64 = 1_000;

impl Rate {
    /// `burst` at once and `per_second` for ever. Nothing if either is zero, or no number: that is no limit. Rates are
    /// held between one a day and one a nanosecond.
    #[must_use]
    pub fn new(per_second: f64, burst: u32) -> Option<Self> {
        if burst == 0 || per_second.is_nan() || per_second <= 0.0 {
            return None;
        }
        let nanos = NANOS_PER_SECOND / per_second.clamp(MIN_PER_SECOND, MAX_PER_SECOND);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "held between 1 and the nanoseconds of a day"
        )]
        let interval = nanos.ceil() as u64;
        Some(Self { interval, capacity: interval.saturating_mul(u64::from(burst)) })
    }
}

/// How much is left, as the nanoseconds from 1970 until it is full again. Those that will be full sooner are less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket(u64);

/// The bucket is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too often; again in {seconds} seconds")]
pub struct Empty {
    /// When it holds one again, in whole seconds from now, rounded up: at least 1.
    pub seconds: u32,
}

impl Bucket {
    /// The bucket with one taken out, or how long it stays empty.
    ///
    /// A clock that is put back leaves a bucket emptier than empty, which would refuse for as long as it was put back. So
    /// none is ever taken for emptier than empty.
    pub fn take(self, rate: Rate, now: Timestamp) -> Result<Self, Empty> {
        let now = u64::try_from(now.micros()).unwrap_or(0).saturating_mul(NANOS_PER_MICRO);
        let empty = now.saturating_add(rate.capacity);
        let taken = self.0.clamp(now, empty).saturating_add(rate.interval);
        match taken.checked_sub(empty) {
            None | Some(0) => Ok(Self(taken)),
            Some(nanos) => Err(Empty { seconds: seconds(nanos) }),
        }
    }
}

fn seconds(nanos: u64) -> u32 {
    u32::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000 + micros)
    }

    fn rate(per_second: f64, burst: u32) -> Rate {
        Rate::new(per_second, burst).unwrap()
    }

    #[test]
    fn a_burst_passes_and_the_next_one_is_told_when_to_come_back() {
        let rate = rate(0.1, 3);
        let empty = (0..3).fold(Bucket::default(), |bucket, _| bucket.take(rate, at(0)).unwrap());
        assert_eq!(empty.take(rate, at(0)), Err(Empty { seconds: 10 }));
        assert_eq!(empty.take(rate, at(9_000_001)), Err(Empty { seconds: 1 }));
        let again = empty.take(rate, at(10_000_000)).unwrap();
        assert_eq!(again.take(rate, at(10_000_000)), Err(Empty { seconds: 10 }));
    }

    #[test]
    fn zero_and_what_is_no_number_is_no_limit() {
        for (per_second, burst) in [(0.0, 5), (-1.0, 5), (f64::NAN, 5), (5.0, 0)] {
            assert_eq!(Rate::new(per_second, burst), None);
        }
    }

    #[test]
    fn rates_beyond_all_measure_are_held_within_it() {
        assert_eq!(Rate::new(f64::INFINITY, 1), Rate::new(1e9, 1));
        assert_eq!(Rate::new(f64::MIN_POSITIVE, 1), Rate::new(1.0 / 86_400.0, 1));
        let rate = rate(f64::MIN_POSITIVE, u32::MAX);
        assert!(Bucket::default().take(rate, Timestamp::from_micros(i64::MAX)).is_ok());
        assert!(Bucket::default().take(rate, Timestamp::from_micros(i64::MIN)).is_ok());
    }

    #[test]
    fn a_clock_that_is_put_back_refuses_no_longer_than_an_empty_bucket() {
        let rate = rate(1.0, 2);
        let taken = Bucket::default().take(rate, at(3_600_000_000)).unwrap();
        assert_eq!(taken.take(rate, at(0)), Err(Empty { seconds: 1 }));
    }

    /// What passes of requests that come after such gaps, as times in microseconds.
    fn passing(rate: Rate, gaps: &[i64]) -> Vec<i64> {
        let (mut bucket, mut now, mut passed) = (Bucket::default(), 0, Vec::new());
        for gap in gaps {
            now += gap;
            if let Ok(taken) = bucket.take(rate, at(now)) {
                bucket = taken;
                passed.push(now);
            }
        }
        passed
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_the_burst_and_what_is_filled_in(
            gaps in prop::collection::vec(0_i64..400_000, 1..200),
            per_second in 1_u32..50, burst in 1_u32..20
        ) {
            let passed = passing(rate(f64::from(per_second), burst), &gaps);
            for (first, start) in passed.iter().enumerate() {
                for (last, end) in passed.iter().enumerate().skip(first) {
                    let filled = i64::from(per_second) * (end - start) / 1_000_000;
                    let most = i64::from(burst) + filled;
                    prop_assert!(i64::try_from(last - first + 1).unwrap() <= most);
                }
            }
        }

        #[test]
        fn whoever_keeps_to_the_rate_is_never_refused(
            slack in prop::collection::vec(0_i64..100_000, 1..100),
            per_second in 1_u32..50, burst in 1_u32..20
        ) {
            // Rounded up, as a client would that counts in whole microseconds.
            let interval = 1_000_000 / i64::from(per_second) + 1;
            let gaps: Vec<i64> = slack.iter().map(|slack| interval + slack).collect();
            let passed = passing(rate(f64::from(per_second), burst), &gaps);
            prop_assert_eq!(passed.len(), gaps.len());
        }

        #[test]
        fn whoever_waits_as_told_passes(
            gaps in prop::collection::vec(0_i64..200_000, 1..100),
            per_second in 0.01_f64..50.0, burst in 1_u32..20
        ) {
            let rate = rate(per_second, burst);
            let (mut bucket, mut now) = (Bucket::default(), 0);
            for gap in gaps {
                now += gap;
                bucket = match bucket.take(rate, at(now)) {
                    Ok(taken) => taken,
                    Err(Empty { seconds }) => {
                        now += i64::from(seconds) * 1_000_000;
                        bucket.take(rate, at(now)).unwrap()
                    }
                };
            }
        }

        #[test]
        fn a_bucket_only_ever_becomes_full_later(
            full_at in any::<u64>(), now in any::<i64>(), per_second in 0.001_f64..1e6, burst in 1_u32..1_000
        ) {
            let rate = rate(per_second, burst);
            let bucket = Bucket(full_at);
            // Not where the clock was put back, which is what the bound is for.
            if let Ok(taken) = bucket.take(rate, Timestamp::from_micros(now)) {
                let now = u64::try_from(now).unwrap_or(0).saturating_mul(1_000);
                prop_assert!(taken > bucket || full_at > now.saturating_add(rate.capacity - rate.interval));
            }
        }
    }
}
