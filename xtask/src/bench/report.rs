//! The report: what was measured on which machine, against which targets.

use super::{Effort, figure::Figure};
use std::fmt::Write;

/// What belongs together, with how it was measured.
pub struct Section {
    pub title: &'static str,
    pub method: String,
    pub figures: Vec<Figure>,
}

pub struct Report {
    machine: Vec<String>,
    effort: Effort,
    sections: Vec<Section>,
}

const PREAMBLE: &str = "\
# Benchmarks

Written by `cargo xtask bench`. The server runs on the first core, the load on the second, over loopback without TLS; PostgreSQL,
where it takes part, shares the core of the load. Nothing in the server is switched off: SQLite is durable (`synchronous=FULL`),
every audit line is written, metrics are counted, and the limits of requests count, but are too wide to refuse the load. Only the log is at `warn`, so there is no line for each request.
";

impl Report {
    pub fn new(machine: Vec<String>, effort: Effort) -> Self {
        Self { machine, effort, sections: Vec::new() }
    }

    pub fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    pub fn render(&self) -> String {
        let mut text = format!("{PREAMBLE}\n");
        for line in &self.machine {
            let _ = writeln!(text, "- {line}");
        }
        let Effort { runs, seconds, .. } = self.effort;
        let _ = writeln!(text, "- Runs: {runs} of {seconds} s for each figure under load");
        for Section { title, method, figures } in &self.sections {
            let _ = writeln!(text, "\n## {title}\n\n{method}\n");
            text.push_str("| What | Median | Spread | Target | |\n|---|---|---|---|---|\n");
            text.extend(figures.iter().map(Figure::row));
        }
        text
    }
}
