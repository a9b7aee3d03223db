//! Configuration as a connection to `SQLite` has decoded it: a sign-on asks for four documents that change once in a month.
//!
//! Nobody but the writer's connection changes the file, so a document counts until a statement of the writer changes what may be
//! configuration. From then on the writer keeps nothing until the group has ended, whether it was committed or not; and before
//! anybody is told that it was, the [`Generation`] ends, by which the readers know.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    Value, Versioned,
    unaudited::{PASSING, changed_table},
};

/// Tables of people, which sign-ons change. Their documents are never kept, nor are those of tables whose rows end by themselves.
/// Any other table counts as configuration, so that one which is new is not overlooked.
const PEOPLE: &[&str] = &["users", "passwords", "devices", "authenticators", "memberships"];

/// The most documents. More are rare, and then all begin anew.
const CAPACITY: usize = 1_024;

/// A statement with its parameters.
type Question = (&'static str, Vec<Value<'static>>);

/// How often the configuration has changed.
#[derive(Debug, Default)]
pub(crate) struct Generation(AtomicU64);

/// The documents that one connection has decoded.
pub(crate) struct Kept {
    generation: Arc<Generation>,
    /// The generation that the documents are of.
    seen: u64,
    documents: HashMap<Question, Arc<dyn Any + Send + Sync>>,
    /// Whether this group has changed what documents are read from.
    is_changing: bool,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("documents", &self.documents.len()).finish_non_exhaustive()
    }
}

impl Kept {
    /// Nothing yet.
    pub fn new(generation: Arc<Generation>) -> Self {
        Self { generation, seen: 0, documents: HashMap::new(), is_changing: false }
    }

    /// A reader begins: what is of an earlier generation is forgotten.
    pub fn renew(&mut self) {
        let present = self.generation.0.load(Ordering::Acquire);
        if self.seen != present {
            self.documents.clear();
            self.seen = present;
        }
    }

    /// Sees a statement before it runs.
    pub fn see(&mut self, sql: &str) {
        let is_change = match changed_table(sql) {
            Some(table) => is_configuration(table),
            None => !sql.starts_with("SELECT"),
        };
        if is_change {
            self.forget();
        }
    }

    /// Forgets everything, and keeps nothing until the group has ended.
    pub fn forget(&mut self) {
        self.documents.clear();
        self.is_changing = true;
    }

    /// The group of the writer has ended: what is read from now on is committed.
    pub fn end_group(&mut self) {
        if std::mem::take(&mut self.is_changing) {
            self.generation.0.fetch_add(1, Ordering::Release);
        }
    }

    /// The document that answered this question, if it is kept.
    pub fn find<T: Clone + 'static>(
        &self,
        sql: &'static str,
        params: &[Value<'_>],
    ) -> Option<Versioned<T>> {
        let question = (sql, owned(params));
        self.documents.get(&question)?.downcast_ref::<Versioned<T>>().cloned()
    }

    /// Keeps the answer to a question.
    pub fn keep<T: Clone + Send + Sync + 'static>(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
        document: &Versioned<T>,
    ) {
        // What a change would not end must never be kept, whoever asks.
        if self.is_changing || !read_table(sql).is_some_and(is_configuration) {
            return;
        }
        if self.documents.len() >= CAPACITY {
            self.documents.clear();
        }
        self.documents.insert((sql, owned(params)), Arc::new(document.clone()));
    }
}

fn is_configuration(table: &str) -> bool {
    !PASSING.contains(&table) && !PEOPLE.contains(&table)
}

/// The table that a query begins with. The documents that are kept come from it, or from another of configuration joined to it.
fn read_table(sql: &str) -> Option<&str> {
    sql.split_whitespace().skip_while(|word| *word != "FROM").nth(1)
}

fn owned(params: &[Value<'_>]) -> Vec<Value<'static>> {
    params.iter().map(Value::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "SELECT data, version FROM applications WHERE id = $1";

    fn kept() -> Kept {
        kept_of(&Arc::default())
    }

    fn kept_of(generation: &Arc<Generation>) -> Kept {
        let mut kept = Kept::new(Arc::clone(generation));
        kept.keep(SQL, &[1.into()], &Versioned::new("one".to_owned(), 7));
        kept
    }

    fn find(kept: &Kept, id: i64) -> Option<String> {
        kept.find::<String>(SQL, &[id.into()]).map(Versioned::into_value)
    }

    #[test]
    fn an_answer_is_kept_for_its_own_question() {
        let kept = kept();
        assert_eq!(find(&kept, 1).as_deref(), Some("one"));
        assert_eq!(find(&kept, 2), None);
        assert!(kept.find::<i64>(SQL, &[1.into()]).is_none(), "of another type");
    }

    #[test]
    fn a_change_of_configuration_ends_all_and_others_end_nothing() {
        for (sql, ends) in [
            ("UPDATE applications SET data = $1", true),
            ("INSERT INTO sign_on_policy_assignments (id) VALUES ($1)", true),
            ("DELETE FROM mfa_policies WHERE id = $1", true),
            ("INSERT INTO a_new_table (id) VALUES ($1)", true),
            ("REPLACE INTO applications VALUES ($1)", true),
            ("WITH x AS (SELECT 1) UPDATE applications SET data = $1", true),
            ("INSERT INTO flows (id) VALUES ($1)", false),
            ("UPDATE users SET data = $1", false),
            (SQL, false),
        ] {
            let mut kept = kept();
            kept.see(sql);
            assert_eq!(find(&kept, 1).is_none(), ends, "{sql}");
        }
    }

    #[test]
    fn a_person_is_never_kept() {
        for sql in [
            "SELECT data, version FROM users WHERE id = $1",
            "SELECT data, version FROM devices WHERE id = $1",
            "SELECT data, version FROM flows WHERE id = $1",
        ] {
            let mut kept = kept();
            kept.keep(sql, &[1.into()], &Versioned::new("somebody".to_owned(), 1));
            assert!(kept.find::<String>(sql, &[1.into()]).is_none(), "{sql}");
        }
    }

    #[test]
    fn nothing_is_kept_until_a_change_has_ended() {
        let mut kept = kept();
        kept.forget();
        kept.keep(SQL, &[1.into()], &Versioned::new("not committed".to_owned(), 8));
        assert_eq!(find(&kept, 1), None);
        kept.end_group();
        assert_eq!(find(&kept, 1), None);
        kept.keep(SQL, &[1.into()], &Versioned::new("committed".to_owned(), 8));
        assert_eq!(find(&kept, 1).as_deref(), Some("committed"));
    }

    #[test]
    fn readers_forget_what_the_writer_has_changed() {
        let generation = Arc::default();
        let (mut writer, mut reader) = (kept_of(&generation), kept_of(&generation));
        writer.see("INSERT INTO flows (id) VALUES ($1)");
        writer.end_group();
        reader.renew();
        assert_eq!(find(&reader, 1).as_deref(), Some("one"), "nothing has changed");
        writer.see("UPDATE applications SET data = $1");
        reader.renew();
        assert_eq!(find(&reader, 1).as_deref(), Some("one"), "nothing is committed");
        writer.end_group();
        reader.renew();
        assert_eq!(find(&reader, 1), None);
    }

    #[test]
    fn what_is_kept_does_not_grow_beyond_its_limit() {
        let mut kept = Kept::new(Arc::default());
        for id in (0_i64..).take(CAPACITY + 9) {
            kept.keep(SQL, &[id.into()], &Versioned::new(id, 1));
        }
        assert_eq!(kept.documents.len(), 9);
    }
}
