//! What many rounds took, in a few figures.

use serde::Serialize;

/// Times of single rounds, in microseconds.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<u64>);

/// What they come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// Half of the rounds took at most so many microseconds.
    pub p50_us: u64,
    /// 99 of 100 rounds.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Latencies {
    /// Adds a round.
    pub fn push(&mut self, micros: u64) {
        self.0.push(micros);
    }

    /// Adds those of another client.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// How many rounds there were.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there was none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they come to; zeros when there was none.
    #[must_use]
    pub fn quantiles(mut self) -> Quantiles {
        self.0.sort_unstable();
        let rank = |per_cent: usize| {
            // Nearest rank: the smallest value that so many of the values do not exceed.
            let rank = (self.0.len() * per_cent).div_ceil(100);
            self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Quantiles { p50_us: rank(50), p99_us: rank(99), max_us: rank(100) }
    }
}

/// A count as a number that can be divided.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
pub const fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantiles(micros: impl IntoIterator<Item = u64>) -> Quantiles {
        Latencies(micros.into_iter().collect()).quantiles()
    }

    #[test]
    fn quantiles_are_of_the_nearest_rank_whatever_the_order() {
        let expected = Quantiles { p50_us: 100, p99_us: 198, max_us: 200 };
        assert_eq!(quantiles((1..=200).rev()), expected);
        assert_eq!(quantiles([7]), Quantiles { p50_us: 7, p99_us: 7, max_us: 7 });
        assert_eq!(quantiles([]), Quantiles { p50_us: 0, p99_us: 0, max_us: 0 });
    }
}
