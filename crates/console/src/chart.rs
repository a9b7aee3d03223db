//! Bars over time, as images that are made here.

use askama::Template;
use countersign_protocol::time::Timestamp;

use crate::item::Item;

/// A kind of thing, counted in each stretch of time.
pub(crate) struct Series {
    pub name: &'static str,
    pub class: &'static str,
    pub counts: Vec<u32>,
}

impl Series {
    /// Counts the records of an action over a time that ends now, in stretches of some seconds.
    pub fn of(
        records: &[Item],
        (name, class): (&'static str, &'static str),
        action: &str,
        (now, seconds, bar): (Timestamp, i64, i64),
    ) -> Self {
        let bars = usize::try_from(seconds / bar).unwrap_or(1);
        let mut counts = vec![0; bars];
        for record in records.iter().filter(|record| record.text("action.type") == action) {
            let Some(at) = Timestamp::parse_rfc3339(&record.text("recordedAt")) else { continue };
            let ago = usize::try_from(now.seconds_since(at).max(0) / bar).unwrap_or(usize::MAX);
            if let Some(count) = bars.checked_sub(1 + ago).and_then(|place| counts.get_mut(place)) {
                *count += 1;
            }
        }
        Self { name, class, counts }
    }

    fn total(&self) -> u32 {
        self.counts.iter().sum()
    }
}

/// The image.
#[derive(Template)]
#[template(path = "chart.html", whitespace = "minimize")]
pub(crate) struct Chart {
    title: &'static str,
    legend: Vec<(&'static str, &'static str, u32)>,
    bars: Vec<Bar>,
    /// The highest count.
    top: u32,
    /// When it begins, in words.
    since: &'static str,
}

struct Bar {
    x: i32,
    y: i32,
    width: i32,
    height: i32,
    class: &'static str,
}

const WIDTH: i32 = 360;
const HEIGHT: i32 = 90;

impl Chart {
    /// Bars of several series on each other.
    pub fn new(title: &'static str, series: &[Series], seconds: i64) -> Self {
        let places = series.first().map_or(0, |first| first.counts.len());
        let sum = |place: usize| series.iter().filter_map(|it| it.counts.get(place)).sum::<u32>();
        let top = (0..places).map(sum).max().unwrap_or_default();
        let step = WIDTH / i32::try_from(places.max(1)).unwrap_or(1);
        let mut bars = Vec::new();
        for place in 0..places {
            let mut below = 0;
            for one in series {
                let count = one.counts.get(place).copied().unwrap_or_default();
                if count == 0 {
                    continue;
                }
                let height = scaled(below + count, top) - scaled(below, top);
                let x = i32::try_from(place).unwrap_or_default() * step;
                bars.push(Bar {
                    x,
                    y: HEIGHT - scaled(below + count, top),
                    width: (step - 2).max(1),
                    height,
                    class: one.class,
                });
                below += count;
            }
        }
        let legend = series.iter().map(|it| (it.name, it.class, it.total())).collect();
        let since = match seconds {
            3_600 => "An hour ago",
            86_400 => "A day ago",
            _ => "A week ago",
        };
        Self { title, legend, bars, top, since }
    }
}

/// A count as a height.
fn scaled(count: u32, top: u32) -> i32 {
    let height = u64::from(count) * u64::try_from(HEIGHT).unwrap_or_default();
    i32::try_from(height.checked_div(top.into()).unwrap_or_default()).unwrap_or(HEIGHT)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_happened_is_counted_where_it_happened() {
        let record = |at: &str| Item(json!({ "recordedAt": at, "action": { "type": "A" } }));
        let records = [
            record("2030-01-01T00:59:59Z"),
            record("2030-01-01T00:00:01Z"),
            record("2029-12-31T23:00:00Z"),
        ];
        let now = Timestamp::parse_rfc3339("2030-01-01T01:00:00Z").unwrap();
        let series = Series::of(&records, ("", "good"), "A", (now, 3_600, 1_200));
        assert_eq!(series.counts, [1, 0, 1]);
        let chart = Chart::new("", &[series], 3_600);
        assert_eq!(
            chart.bars.iter().map(|bar| (bar.x, bar.height)).collect::<Vec<_>>(),
            [(0, 90), (240, 90)]
        );
    }
}
