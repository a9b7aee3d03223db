//! `cargo xtask bench`: measures the server and holds the figures against their targets.
//!
//! The server has the first core to itself, the load the second; so has PostgreSQL, where it takes part. Every figure is the
//! median of several runs, with the smallest and the largest beside it.

mod figure;
mod ground;
mod machine;
mod push;
mod report;
mod scenarios;

use crate::{Outcome, workspace::Workspace};
use clap::{Args, ValueEnum};
use ground::Ground;
pub use ground::on_load_core;
use report::Report;
use std::{fs, path::PathBuf};

#[derive(Args)]
pub struct Options {
    /// Few and short runs and a smaller million, in two minutes: to see that all works, not to publish
    #[arg(long)]
    quick: bool,
    /// Measure only this; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<Name>,
    /// Where to write the report; a complete run writes docs/benchmarks.md
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Device authorization on SQLite
    Sqlite,
    /// Device authorization on PostgreSQL
    Postgres,
    /// Code flow with a session, refreshes and client credentials, on SQLite
    Tokens,
    /// Silent and visible pushes, the connection to APNs, and flows that wait, on SQLite
    Push,
    /// Device authorization with a million users, on SQLite
    Million,
    /// Commits under so many callers
    Commits,
    /// First start, start with data, memory, size
    Start,
}

/// How long and how often.
#[derive(Clone, Copy)]
pub struct Effort {
    runs: usize,
    seconds: u32,
    few_users: u32,
    many_users: u32,
    waiting_flows: u32,
}

impl Effort {
    const FULL: Self = Self {
        runs: 5,
        seconds: 5,
        few_users: 1_000,
        many_users: 1_000_000,
        waiting_flows: 10_000,
    };
    const QUICK: Self =
        Self { runs: 2, seconds: 2, few_users: 1_000, many_users: 20_000, waiting_flows: 1_000 };
}

/// Where a complete run leaves its report.
const DOCUMENT: &str = "docs/benchmarks.md";

pub fn run(workspace: &Workspace, options: &Options) -> Outcome {
    let effort = if options.quick { Effort::QUICK } else { Effort::FULL };
    let ground = Ground::prepare(workspace, effort)?;
    let complete = options.only.is_empty() && !options.quick;
    let document = complete.then(|| workspace.root().join(DOCUMENT));
    let path = options.output.clone().or(document);
    let mut report = Report::new(machine::describe(&ground)?, effort);
    for name in Name::value_variants() {
        if !options.only.is_empty() && !options.only.contains(name) {
            continue;
        }
        println!("==> {name:?}");
        let figures = match name {
            Name::Sqlite => scenarios::sqlite(&ground),
            Name::Postgres => scenarios::postgres(&ground),
            Name::Tokens => scenarios::tokens(&ground),
            Name::Push => push::push(&ground),
            Name::Million => scenarios::million(&ground),
            Name::Commits => scenarios::commits(&ground),
            Name::Start => scenarios::start(&ground),
        };
        report.add(figures?);
        // A run that breaks off has told what it knew.
        if let Some(path) = &path {
            fs::write(path, report.render())?;
        }
    }
    println!("\n{}", report.render());
    Ok(())
}
