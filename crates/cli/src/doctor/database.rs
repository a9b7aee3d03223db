//! Whether the database answers, is sound and of the right schema, its clock is right, and its secrets open.

use std::{fs, time::Duration};

use countersign_protocol::time::{Clock, SystemClock};
use countersign_server::control::Examined;
use countersign_store::migrate::MIGRATIONS;

use super::{Finding, push};
use crate::{config::Resolved, operator::Operator};

/// Milliseconds that two clocks may differ before proofs and tokens begin to be refused.
const SKEW_MS: u64 = 5_000;

pub(super) async fn look(configuration: &Resolved) -> Vec<Finding> {
    let operator = match Operator::open(configuration).await {
        Ok(operator) => operator,
        Err(error) => {
            let mend = "start it, or correct [database] and [encryption]";
            return vec![Finding::error(format!("database: it cannot be opened: {error}"), mend)];
        }
    };
    let by = match &operator {
        Operator::Server(_) => "a server runs on it",
        Operator::Alone(_) => "no server runs on it",
    };
    let mut findings = vec![Finding::ok(format!("database: it answers; {by}"))];
    match operator.examine().await {
        Ok(found) => findings.extend(judge(&found)),
        Err(error) => findings.push(Finding::error(
            format!("database: it cannot be examined: {error}"),
            "look at the log of the database",
        )),
    }
    match operator.examine_push().await {
        Ok(found) => findings.extend(push::judge(&found)),
        Err(error) => findings.push(Finding::error(
            format!("push: it cannot be examined: {error}"),
            "look at the log of the database",
        )),
    }
    operator.close().await;
    findings.extend(clock(configuration));
    findings
}

fn judge(found: &Examined) -> Vec<Finding> {
    let known = MIGRATIONS.last().map_or(0, |migration| migration.version);
    let mut findings = Vec::new();
    let schema = format!("database: the schema is at version {}", found.schema);
    findings.push(if found.schema == known {
        Finding::ok(schema)
    } else {
        let what = format!("{schema}, and this program knows {known}");
        Finding::error(what, "run the same version of the program everywhere")
    });
    if let Some(damage) = &found.damage {
        findings.push(Finding::error(
            format!("database: the file is damaged: {damage}"),
            "stop the server, keep the file, and restore the last backup",
        ));
    }
    if let Some(skew) = found.skew_ms {
        let what = format!("clock: the database is {skew} ms ahead of this machine");
        findings.push(if skew.unsigned_abs() <= SKEW_MS {
            Finding::ok(what)
        } else {
            Finding::error(what, "synchronise both by NTP")
        });
    }
    findings.push(if found.keys_open {
        Finding::ok("keys: what is sealed in the database opens under the key-encryption key")
    } else {
        Finding::error(
            "keys: what is sealed in the database does not open",
            "put the key-encryption key of this database where [encryption] says",
        )
    });
    findings
}

/// Whether it is later here than when the database was last written.
fn clock(configuration: &Resolved) -> Option<Finding> {
    let file = configuration.data.join("countersign.db");
    let written = fs::metadata(file).ok()?.modified().ok()?;
    let written = written.duration_since(std::time::UNIX_EPOCH).ok()?;
    let now = Duration::from_micros(u64::try_from(SystemClock.now().micros()).ok()?);
    let is_plausible = written <= now + Duration::from_millis(SKEW_MS);
    Some(if is_plausible {
        Finding::ok("clock: it is later than when the database was last written")
    } else {
        Finding::error(
            "clock: the database was last written in the future, so the clock was put back",
            "synchronise it by NTP; proofs that were spent may count again until then",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn each_fault_is_told_by_itself() {
        let known = MIGRATIONS.last().unwrap().version;
        let sound =
            || Examined { schema: known, damage: None, skew_ms: Some(-20), keys_open: true };
        let errors = |found: &Examined| {
            judge(found).iter().filter(|finding| finding.level == Level::Error).count()
        };
        assert_eq!(errors(&sound()), 0);
        for broken in [
            Examined { schema: known + 1, ..sound() },
            Examined { damage: Some("page 3".to_owned()), ..sound() },
            Examined { skew_ms: Some(-6_000), ..sound() },
            Examined { keys_open: false, ..sound() },
        ] {
            assert_eq!(errors(&broken), 1, "{broken:?}");
        }
    }
}
