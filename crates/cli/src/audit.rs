//! `countersign audit`: verifies the audit log and writes it out.

use std::{io::Write, process::ExitCode};

use clap::Subcommand;
use countersign_domain::{environment::Environment, id::Id};
use countersign_protocol::time::Timestamp;
use countersign_server::app::{App, AuditQuery, AuditReport, VerifyAudit};

use crate::{
    Broken,
    config::Place,
    key_file, say,
    serve::open_app,
    telemetry::{QUIET, log_to_stderr},
};

/// What to do with the log.
#[derive(Subcommand)]
pub enum AuditCommand {
    /// Recompute the hash chain. Fails if a record or a seal was changed, removed or slipped in.
    Verify {
        /// Only this environment.
        #[arg(long)]
        environment: Option<Id<Environment>>,
        /// What an earlier run has printed for the environment, so that a log that was cut since is found.
        #[arg(long, value_name = "NUMBER:HASH", requires = "environment", value_parser = seal)]
        expect: Option<(i64, [u8; 32])>,
        #[command(flatten)]
        place: Place,
    },
    /// Write the records to standard output, one JSON object a line, oldest first.
    Export {
        /// Only this environment.
        #[arg(long)]
        environment: Option<Id<Environment>>,
        /// Only what was recorded at this time or later: `2026-01-05` or `2026-01-05T09:00:00Z`.
        #[arg(long, value_parser = time)]
        since: Option<Timestamp>,
        #[command(flatten)]
        place: Place,
    },
}

/// Does it. A server on SQLite has the database for itself and must be stopped; beside one on PostgreSQL it may run.
pub async fn run(command: AuditCommand) -> Result<ExitCode, Broken> {
    log_to_stderr(QUIET)?;
    let (AuditCommand::Verify { place, .. } | AuditCommand::Export { place, .. }) = &command;
    let configuration = place.resolve()?;
    if key_file::find(&configuration.key)?.is_none() {
        let data = configuration.data.display();
        return Err(Broken::new(format!("there is no platform in {data} yet")));
    }
    let app = open_app(&configuration, configuration.settings(configuration.listen)).await?;
    let done = match command {
        AuditCommand::Verify { environment, expect, .. } => verify(&app, environment, expect).await,
        AuditCommand::Export { environment, since, .. } => {
            let mut to = std::io::stdout().lock();
            export_all(&app, environment, since, &mut to).await.map(|()| ExitCode::SUCCESS)
        }
    };
    app.store().close().await;
    done
}

async fn export_all(
    app: &App,
    environment: Option<Id<Environment>>,
    since: Option<Timestamp>,
    to: &mut impl Write,
) -> Result<(), Broken> {
    for environment in environments(app, environment).await? {
        export(app, environment, since, to).await?;
    }
    Ok(())
}

async fn verify(
    app: &App,
    environment: Option<Id<Environment>>,
    expected: Option<(i64, [u8; 32])>,
) -> Result<ExitCode, Broken> {
    let mut code = ExitCode::SUCCESS;
    for environment in environments(app, environment).await? {
        let report = app.verify_audit(environment, VerifyAudit { from: None, expected }).await?;
        let report = report.ok_or_else(|| Broken::new(format!("no environment {environment}")))?;
        say(&line(environment, &report));
        if report.finding.is_some() {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// What is known of the log of one environment, on a line.
fn line(environment: Id<Environment>, report: &AuditReport) -> String {
    let AuditReport { seals, records, unsealed, number, hash, finding } = report;
    let verdict = finding.map_or_else(|| "good".to_owned(), |wrong| format!("NOT GOOD: {wrong}"));
    let counts = format!("seals={seals} records={records} unsealed={unsealed}");
    format!("{environment} {verdict}; {counts} last={number}:{}", hexadecimal(hash))
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Writes the records of an environment, a page at a time.
async fn export(
    app: &App,
    environment: Id<Environment>,
    since: Option<Timestamp>,
    to: &mut impl Write,
) -> Result<(), Broken> {
    let mut cursor = None;
    loop {
        let query = AuditQuery { since, cursor, limit: 1_000, ..AuditQuery::default() };
        let page = app.search_audit(environment, query).await?;
        for record in &page.records {
            serde_json::to_writer(&mut *to, record)?;
            to.write_all(b"\n")?;
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(to.flush()?);
        }
    }
}

/// The one that is named, or all.
async fn environments(
    app: &App,
    named: Option<Id<Environment>>,
) -> Result<Vec<Id<Environment>>, Broken> {
    if let Some(named) = named {
        return Ok(vec![named]);
    }
    let mut all = Vec::new();
    loop {
        let page = app.list_environments(all.last().copied()).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text)
        .ok_or_else(|| "must be a date or a time in UTC, as in RFC 3339".to_owned())
}

fn seal(text: &str) -> Result<(i64, [u8; 32]), String> {
    let read = || {
        let (number, hash) = text.split_once(':')?;
        let byte = |place: usize| u8::from_str_radix(hash.get(place * 2..place * 2 + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..32).map(byte).collect();
        let hash = bytes?.try_into().ok().filter(|_| hash.len() == 64)?;
        Some((number.parse().ok()?, hash))
    };
    read().ok_or_else(|| "must be a number, a colon and 64 hexadecimal digits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_a_number_and_a_hash() {
        let hash = hexadecimal(&[10; 32]);
        assert_eq!(seal(&format!("7:{hash}")), Ok((7, [10; 32])));
        for text in ["", "7", "7:", "7:0a", &hash, &format!("x:{hash}"), &format!("7:{hash}0a")] {
            assert!(seal(text).is_err(), "{text}");
        }
    }
}
