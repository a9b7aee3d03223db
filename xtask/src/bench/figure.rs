//! One figure of several runs, with its target.

use std::fmt::Write;

/// What a figure is measured against.
#[derive(Clone, Copy)]
pub enum Target {
    /// Nothing: the figure explains others.
    None,
    AtLeast(f64),
    AtMost(f64),
}

/// One line of the report.
pub struct Figure {
    pub what: String,
    pub unit: &'static str,
    pub target: Target,
    values: Vec<f64>,
}

impl Figure {
    pub fn new(what: impl Into<String>, unit: &'static str, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self { what: what.into(), unit, target: Target::None, values }
    }

    pub fn at_least(self, least: f64) -> Self {
        Self { target: Target::AtLeast(least), ..self }
    }

    pub fn at_most(self, most: f64) -> Self {
        Self { target: Target::AtMost(most), ..self }
    }

    /// The middle value, the mean of the two in the middle, or nothing without values.
    pub fn median(&self) -> Option<f64> {
        let half = self.values.len() / 2;
        let upper = self.values.get(half)?;
        if self.values.len() % 2 == 1 {
            return Some(*upper);
        }
        Some(f64::midpoint(*self.values.get(half.checked_sub(1)?)?, *upper))
    }

    /// A row of a Markdown table: what, median, smallest to largest, target, verdict.
    pub fn row(&self) -> String {
        let mut row = String::new();
        let (Some(median), Some(least), Some(most)) =
            (self.median(), self.values.first(), self.values.last())
        else {
            return format!("| {} | not measured | | | |\n", self.what);
        };
        let spread = if self.values.len() > 1 {
            format!("{} to {}", number(*least), number(*most))
        } else {
            String::new()
        };
        let (target, verdict) = match self.target {
            Target::None => (String::new(), ""),
            Target::AtLeast(least) => {
                (format!("at least {}", number(least)), verdict(median >= least))
            }
            Target::AtMost(most) => (format!("at most {}", number(most)), verdict(median <= most)),
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            row,
            "| {} | {} {} | {spread} | {target} | {verdict} |",
            self.what,
            number(median),
            self.unit
        );
        row
    }
}

const fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "**missed**" }
}

/// Three digits that count, with commas between thousands.
fn number(value: f64) -> String {
    if value.abs() < 10.0 {
        return format!("{value:.2}");
    }
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", &*digits), |digits| ("-", digits));
    let mut text = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_the_median_the_spread_and_whether_the_target_is_reached() {
        let figure = Figure::new("flows", "/s", vec![900.0, 1_200.0, 1_100.0]).at_least(1_000.0);
        assert_eq!(
            figure.row(),
            "| flows | 1,100 /s | 900 to 1,200 | at least 1,000 | reached |\n"
        );
        let figure = Figure::new("start", "ms", vec![151.0]).at_most(150.0);
        assert_eq!(figure.row(), "| start | 151 ms |  | at most 150 | **missed** |\n");
        assert_eq!(Figure::new("x", "", vec![]).row(), "| x | not measured | | | |\n");
    }

    #[test]
    fn an_even_number_of_runs_has_a_median_between_two() {
        assert_eq!(Figure::new("x", "", vec![4.0, 1.0, 2.0, 8.0]).median(), Some(3.0));
    }

    #[test]
    fn numbers_are_written_for_people() {
        for (value, text) in
            [(1.234, "1.23"), (45.67, "45.7"), (1_234_567.8, "1,234,568"), (-1_234.0, "-1,234")]
        {
            assert_eq!(number(value), text);
        }
    }
}
