//! Metrics as they are told, in whatever format.

use countersign_store::meter::Distribution;

/// A metric: what it means, and its values by labels.
#[derive(Clone, Debug)]
pub struct Family {
    /// `countersign_http_requests_total`
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it means, in a sentence.
    pub meaning: &'static str,
    /// Its values. It is told even without any, so that nobody wonders whether there is such a metric.
    pub samples: Vec<Sample>,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, and begins at zero when the process does.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How values are spread.
    Histogram,
}

impl Kind {
    /// Its name in the text format.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A value and what it is about.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Names and values; those without a value are left out.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// Of a counter or a gauge.
    Number(f64),
    /// Of a histogram.
    Distribution {
        /// How many values are where.
        values: Distribution,
        /// How many of these make one of the metric's unit. Divided by it, bounds are written as people expect.
        per_unit: f64,
    },
}

const MICROSECONDS_PER_SECOND: f64 = 1e6;

impl Family {
    /// A counter, of which nothing is told yet.
    pub(crate) const fn counter(name: &'static str, meaning: &'static str) -> Self {
        Self { name, kind: Kind::Counter, meaning, samples: Vec::new() }
    }

    /// A gauge, of which nothing is told yet.
    pub(crate) const fn gauge(name: &'static str, meaning: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, meaning, samples: Vec::new() }
    }

    /// A histogram, of which nothing is told yet.
    pub(crate) const fn histogram(name: &'static str, meaning: &'static str) -> Self {
        Self { name, kind: Kind::Histogram, meaning, samples: Vec::new() }
    }

    /// Adds a value without labels.
    pub(crate) fn is(self, value: f64) -> Self {
        self.with::<0>([], value)
    }

    /// Adds a value.
    pub(crate) fn with<const N: usize>(
        self,
        labels: [(&'static str, &str); N],
        value: f64,
    ) -> Self {
        self.and(labels, Value::Number(value))
    }

    /// Adds times that were measured in microseconds and are told in seconds.
    pub(crate) fn times<const N: usize>(
        self,
        labels: [(&'static str, &str); N],
        values: Distribution,
    ) -> Self {
        self.and(labels, Value::Distribution { values, per_unit: MICROSECONDS_PER_SECOND })
    }

    /// Adds sizes.
    pub(crate) fn sizes<const N: usize>(
        self,
        labels: [(&'static str, &str); N],
        values: Distribution,
    ) -> Self {
        self.and(labels, Value::Distribution { values, per_unit: 1.0 })
    }

    fn and<const N: usize>(mut self, labels: [(&'static str, &str); N], value: Value) -> Self {
        let given = labels.into_iter().filter(|(_, value)| !value.is_empty());
        let labels = given.map(|(name, value)| (name, value.to_owned())).collect();
        self.samples.push(Sample { labels, value });
        self
    }
}

/// A count as a number of a metric.
#[expect(clippy::cast_precision_loss, reason = "nine quadrillion may be off by one")]
pub(crate) const fn number(count: u64) -> f64 {
    count as f64
}
