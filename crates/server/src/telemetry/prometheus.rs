//! Metrics in the text format of Prometheus, version 0.0.4.

use std::fmt::Write;

use super::family::{Family, Sample, Value, number};

/// The media type of [`render`].
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes metrics down.
pub(crate) fn render(families: &[Family]) -> String {
    let mut text = String::with_capacity(32 * 1024);
    for family in families {
        // Writing to a string does not fail.
        let _ = write_family(&mut text, family);
    }
    text
}

fn write_family(text: &mut String, family: &Family) -> std::fmt::Result {
    let Family { name, kind, meaning, samples } = family;
    writeln!(text, "# HELP {name} {meaning}")?;
    writeln!(text, "# TYPE {name} {}", kind.name())?;
    for sample in samples {
        match &sample.value {
            Value::Number(value) => write_sample(text, name, sample, None, *value)?,
            Value::Distribution { values, per_unit } => {
                let mut below = 0;
                let bounds =
                    values.bounds.iter().map(|bound| (number(*bound) / per_unit).to_string());
                let bounds = bounds.chain(std::iter::once("+Inf".to_owned()));
                for (bound, count) in bounds.zip(&values.counts) {
                    below += count;
                    let name = format!("{name}_bucket");
                    write_sample(text, &name, sample, Some(&bound), number(below))?;
                }
                let sum = number(values.sum) / per_unit;
                write_sample(text, &format!("{name}_sum"), sample, None, sum)?;
                write_sample(text, &format!("{name}_count"), sample, None, number(below))?;
            }
        }
    }
    Ok(())
}

fn write_sample(
    text: &mut String,
    name: &str,
    sample: &Sample,
    bound: Option<&str>,
    value: f64,
) -> std::fmt::Result {
    text.write_str(name)?;
    let labels = sample.labels.iter().map(|(name, value)| (*name, value.as_str()));
    let mut separator = '{';
    for (name, value) in labels.chain(bound.map(|bound| ("le", bound))) {
        write!(text, "{separator}{name}=\"{}\"", escaped(value))?;
        separator = ',';
    }
    if separator == ',' {
        text.write_char('}')?;
    }
    writeln!(text, " {value}")
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use countersign_store::meter::Histogram;

    use super::*;

    #[test]
    fn a_counter_is_written_with_its_labels() {
        let family = Family::counter("a_total", "What it is.")
            .with([("x", "1"), ("none", "")], 2.0)
            .with([("x", "\"\\\n")], 0.5)
            .is(7.0);
        let expected = "# HELP a_total What it is.\n# TYPE a_total counter\na_total{x=\"1\"} 2\n\
                        a_total{x=\"\\\"\\\\\\n\"} 0.5\na_total 7\n";
        assert_eq!(render(&[family]), expected);
    }

    #[test]
    fn the_ranges_of_a_histogram_add_up() {
        let histogram = Histogram::new(&[100, 250_000]);
        for value in [50, 100, 200, 1_000_000] {
            histogram.observe(value);
        }
        let family = Family::histogram("a_seconds", "How long.")
            .times([("x", "1")], histogram.distribution());
        let expected = "# HELP a_seconds How long.\n# TYPE a_seconds histogram\n\
                        a_seconds_bucket{x=\"1\",le=\"0.0001\"} 2\n\
                        a_seconds_bucket{x=\"1\",le=\"0.25\"} 3\n\
                        a_seconds_bucket{x=\"1\",le=\"+Inf\"} 4\n\
                        a_seconds_sum{x=\"1\"} 1.00035\na_seconds_count{x=\"1\"} 4\n";
        assert_eq!(render(&[family]), expected);
    }
}
