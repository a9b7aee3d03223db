//! Finds use cases that change something that lasts and tell the audit log nothing. Looks in debug builds only; tests ask.

use std::{
    any::type_name,
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use crate::audit;

/// Tables whose rows end by themselves. What happens to their machines is told by the effects of the machines, and what is kept for the
/// log itself is not told in it.
pub(crate) const PASSING: &[&str] = &[
    "flows",
    "challenges",
    "authentication_codes",
    "push_limits",
    "push_answers",
    "push_health",
    "wakes",
    "subscription_deliveries",
    "sessions",
    "grants",
    "lasting_grants",
    "revoked_tokens",
    "device_codes",
    "device_logs",
    "lockouts",
    "pairing_tickets",
    "pairing_keys",
    "pushed_requests",
    "spent_proofs",
    "spent_jwts",
    "outbox",
    "audit_records",
    "audit_seals",
    "audit_bases",
    "schema_migration",
];

static FOUND: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The works of this process that have changed something without an audit record, each with the statement that did.
#[must_use]
pub fn found() -> Vec<String> {
    FOUND.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
}

/// What one transaction has done so far.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    changed: Option<&'static str>,
    audited: bool,
}

impl Watch {
    /// Sees a statement that changes something.
    pub fn see(&mut self, sql: &'static str) {
        if !cfg!(debug_assertions) {
            return;
        }
        if sql == audit::INSERT {
            self.audited = true;
        } else if changed_table(sql).is_some_and(|table| !PASSING.contains(&table)) {
            self.changed = Some(sql);
        }
    }

    /// Is told that there is nothing to tell.
    pub const fn excuse(&mut self) {
        self.audited = true;
    }

    /// Sees the body of a `W` end well.
    pub fn end<W>(&self) {
        if let (Some(sql), false) = (self.changed, self.audited) {
            let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
            found.insert(format!("{}: {sql}", type_name::<W>()));
        }
    }
}

/// The table that a statement changes, if it begins with how these do.
pub(crate) fn changed_table(sql: &str) -> Option<&str> {
    let mut words = sql.split_whitespace();
    match (words.next()?, words.next()?) {
        ("INSERT", "INTO") | ("DELETE", "FROM") => words.next(),
        ("UPDATE", table) => Some(table),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Careless;
    struct Careful;
    struct Passing;

    const CHANGE: &str = "UPDATE users SET data = $1";

    fn end_of<W>(statements: &[&'static str]) {
        let mut watch = Watch::default();
        for sql in statements {
            watch.see(sql);
        }
        watch.end::<W>();
    }

    #[test]
    fn a_lasting_change_without_a_record_is_found_and_no_other() {
        end_of::<Careless>(&["SELECT 1", CHANGE]);
        end_of::<Careful>(&[CHANGE, audit::INSERT]);
        end_of::<Passing>(&["INSERT INTO flows (id) VALUES ($1)", "DELETE FROM grants"]);
        let found = found().join("\n");
        assert!(found.contains("Careless: UPDATE users"), "{found}");
        assert!(!found.contains("Careful") && !found.contains("Passing"), "{found}");
    }
}
