//! `cargo xtask test`: every check and every test of the repository, with what they need set up.

use crate::{
    Outcome, architecture, browser, interop,
    interop::Language,
    postgres,
    postgres::Postgres,
    workspace::{Workspace, succeed},
};
use clap::{Args, ValueEnum};
use std::{
    fmt::{self, Display},
    time::{Duration, Instant},
};

/// Names to the tests what this run goes without.
const SKIP: &str = "COUNTERSIGN_TEST_SKIP";

#[derive(Args)]
pub struct Options {
    /// Leave a part out; the summary says so
    #[arg(long, value_name = "PART")]
    skip: Vec<Part>,
    /// Also walk through the four flows with a release build
    #[arg(long)]
    release_tour: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The format of the source
    Rustfmt,
    /// The rules of the architecture
    Architecture,
    /// The lints
    Clippy,
    /// A private PostgreSQL, unless `TEST_DATABASE_URL` names one
    Postgres,
    /// Libraries of other languages, by which clients that we did not write sign in
    Interop,
    /// PingOne's client for Go, by which an environment is managed
    Go,
    /// PingOne's provider for Terraform, likewise
    Terraform,
    /// A Chromium, in which the hosted pages are looked at
    Browser,
    /// Unit, integration and documentation tests
    Tests,
    /// The documentation builds and its links lead somewhere
    Docs,
    /// The four flows, with a release build
    Tour,
}

impl Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rustfmt => "rustfmt",
            Self::Architecture => "architecture",
            Self::Clippy => "clippy",
            Self::Postgres => "postgres",
            Self::Interop => "interop",
            Self::Go => "go",
            Self::Terraform => "terraform",
            Self::Browser => "browser",
            Self::Tests => "tests",
            Self::Docs => "docs",
            Self::Tour => "tour",
        })
    }
}

/// A failed part does not keep the following ones from running, so that one run tells everything.
pub fn run(workspace: &Workspace, options: &Options) -> Outcome {
    let mut report = Report { skip: &options.skip, lines: Vec::new() };
    report.run(Part::Rustfmt, || succeed(&mut workspace.cargo(&["fmt", "--all", "--check"])));
    report.run(Part::Architecture, || architecture::check(workspace));
    report.run(Part::Clippy, || clippy(workspace));
    let database = report.run(Part::Postgres, Postgres::given_or_private);
    let clients = match interop::missing(interop::RELYING_PARTIES) {
        Some(reason) => report.go_without(Part::Interop, reason),
        None => report.run(Part::Interop, || interop::install(workspace, interop::RELYING_PARTIES)),
    };
    let go = report.run_if_had(Part::Go, workspace, interop::GO);
    let terraform = report.run_if_had(Part::Terraform, workspace, interop::TERRAFORM);
    let browser = match browser::missing() {
        Some(reason) => report.go_without(Part::Browser, reason),
        None => report.run(Part::Browser, || Ok(())),
    };
    let without = [
        (database.is_none(), Part::Postgres),
        (clients.is_none(), Part::Interop),
        (go.is_none(), Part::Go),
        (terraform.is_none(), Part::Terraform),
        (browser.is_none(), Part::Browser),
    ];
    report.run(Part::Tests, || tests(workspace, database.as_ref(), without));
    drop(database);
    report.run(Part::Docs, || documentation(workspace));
    if options.release_tour {
        report.run(Part::Tour, || tour(workspace));
    }
    report.close()
}

fn clippy(workspace: &Workspace) -> Outcome {
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    succeed(&mut workspace.cargo(&arguments))
}

/// Without a database, clients of other languages, or a browser, the tests that need them are told to stand aside, and the
/// report says so.
fn tests(
    workspace: &Workspace,
    database: Option<&Postgres>,
    without: [(bool, Part); 5],
) -> Outcome {
    let mut cargo = workspace.cargo(&["test", "--workspace", "--no-fail-fast"]);
    match database {
        Some(postgres) => cargo.env(postgres::URL, &postgres.url),
        None => cargo.env_remove(postgres::URL),
    };
    let skipped = without.iter().filter(|(without, _)| *without);
    let skipped: Vec<String> = skipped.map(|(_, part)| part.to_string()).collect();
    succeed(cargo.env(SKIP, skipped.join(",")))
}

fn documentation(workspace: &Workspace) -> Outcome {
    let mut cargo = workspace.cargo(&["doc", "--workspace", "--no-deps"]);
    succeed(cargo.env("RUSTDOCFLAGS", "--deny warnings"))
}

fn tour(workspace: &Workspace) -> Outcome {
    succeed(&mut workspace.cargo(&["run", "--release", "--", "tour"]))
}

/// Announces each part, times it, and sums up at the end.
struct Report<'a> {
    skip: &'a [Part],
    lines: Vec<(Part, Verdict)>,
}

enum Verdict {
    Passed(Duration),
    Failed(Duration, String),
    Skipped,
    Missing(String),
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(time) => write!(f, "passed   {:7.1} s", time.as_secs_f64()),
            Self::Failed(time, reason) => {
                write!(f, "FAILED   {:7.1} s  {reason}", time.as_secs_f64())
            }
            Self::Skipped => f.write_str("SKIPPED  on request"),
            Self::Missing(reason) => write!(f, "SKIPPED  {reason}"),
        }
    }
}

impl Report<'_> {
    /// What the part gave, or nothing when it was skipped or failed.
    fn run<T>(&mut self, part: Part, body: impl FnOnce() -> Outcome<T>) -> Option<T> {
        if self.skip.contains(&part) {
            self.lines.push((part, Verdict::Skipped));
            return None;
        }
        println!("==> {part}");
        let started_at = Instant::now();
        let outcome = body();
        let time = started_at.elapsed();
        let verdict = match &outcome {
            Ok(_) => Verdict::Passed(time),
            Err(error) => Verdict::Failed(time, error.to_string()),
        };
        println!("==> {part} {verdict}");
        self.lines.push((part, verdict));
        outcome.ok()
    }

    /// Installs clients, or leaves them out where they cannot be had: not every machine reaches all that they come from.
    fn run_if_had(
        &mut self,
        part: Part,
        workspace: &Workspace,
        clients: &[Language],
    ) -> Option<()> {
        if self.skip.contains(&part) {
            return self.run(part, || Ok(()));
        }
        let had = match interop::missing(clients) {
            Some(reason) => Err(reason),
            None => interop::install(workspace, clients).map_err(|error| error.to_string()),
        };
        match had {
            Ok(()) => self.run(part, || Ok(())),
            Err(reason) => self.go_without(part, reason),
        }
    }

    /// Leaves a part out because this machine lacks something for it.
    fn go_without<T>(&mut self, part: Part, reason: String) -> Option<T> {
        let verdict =
            if self.skip.contains(&part) { Verdict::Skipped } else { Verdict::Missing(reason) };
        println!("==> {part} {verdict}");
        self.lines.push((part, verdict));
        None
    }

    fn close(self) -> Outcome {
        println!("\n==> summary");
        for (part, verdict) in &self.lines {
            println!("    {part:<14}{verdict}");
        }
        let skipped =
            self.names(|verdict| matches!(verdict, Verdict::Skipped | Verdict::Missing(_)));
        if !skipped.is_empty() {
            println!("\nNOT A COMPLETE RUN. Skipped: {skipped}.");
        }
        let failed = self.names(|verdict| matches!(verdict, Verdict::Failed(..)));
        if failed.is_empty() { Ok(()) } else { Err(format!("failed: {failed}").into()) }
    }

    fn names(&self, chosen: impl Fn(&Verdict) -> bool) -> String {
        let names = self.lines.iter().filter(|(_, verdict)| chosen(verdict));
        names.map(|(part, _)| part.to_string()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_part_fails_the_run_and_lets_the_others_run() {
        let mut report = Report { skip: &[], lines: Vec::new() };
        assert_eq!(report.run(Part::Clippy, || Err::<(), _>("no".into())), None);
        assert_eq!(report.run(Part::Tests, || Ok(7)), Some(7));
        assert_eq!(report.close().unwrap_err().to_string(), "failed: clippy");
    }

    #[test]
    fn a_part_that_the_machine_has_not_the_means_for_is_told_and_does_not_fail() {
        let mut report = Report { skip: &[], lines: Vec::new() };
        let without: Option<()> = report.go_without(Part::Interop, "no node".to_owned());
        assert_eq!((without, report.lines[0].1.to_string()), (None, "SKIPPED  no node".to_owned()));
        assert!(report.close().is_ok());
    }

    #[test]
    fn a_skipped_part_does_not_run_and_does_not_fail() {
        let mut report = Report { skip: &[Part::Postgres], lines: Vec::new() };
        assert_eq!(report.run(Part::Postgres, || -> Outcome { panic!("was run") }), None);
        assert!(report.close().is_ok());
    }
}
