//! What may stand in which file.

use super::Violation;
use std::path::Path;

const LINE_LIMIT: usize = 600;

/// Written in two halves, because this file is checked too.
const UNFINISHED: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["util", "utils", "helper", "helpers", "common", "misc"];

/// How the statements of SQL begin, in the spelling of this repository.
const SQL: [&str; 10] = [
    "SELECT ",
    "INSERT INTO ",
    "UPDATE ",
    "DELETE FROM ",
    "WITH ",
    "CREATE TABLE ",
    "CREATE INDEX ",
    "CREATE UNIQUE INDEX ",
    "ALTER TABLE ",
    "DROP TABLE ",
];

/// The crates of HTTP, and our own layer that translates it.
const HTTP: [&str; 4] = ["axum", "http", "tower", "tower_http"];

/// Where the server speaks HTTP: the layer itself and the files that put the server together.
const HTTP_HOMES: [&str; 2] = ["crates/server/src/http/", "crates/server/src/serve/"];
const HTTP_FILES: [&str; 3] =
    ["crates/server/src/http.rs", "crates/server/src/lib.rs", "crates/server/src/serve.rs"];

/// A file, by its path from the root of the workspace.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub path: &'a str,
    pub text: &'a str,
}

pub fn violations(source: Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    violations.extend(name(source));
    violations.extend(unfinished(source));
    if source.is_written_in("rs") {
        violations.extend(first_line(source));
        violations.extend(length(source));
        violations.extend(http(source));
    }
    violations.extend(sql(source));
    violations
}

fn name(source: Source) -> Option<Violation> {
    let mut parts = source.path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    let found = parts.find(|part| EMPTY_NAMES.contains(part))?;
    Some(source.violation(1, "name", format!("`{found}` does not say what is inside")))
}

fn unfinished(source: Source) -> Vec<Violation> {
    let found = |line: &str| UNFINISHED.into_iter().find(|mark| has_word(line, mark));
    source.lines_with(found, "unfinished", |mark| {
        format!("{mark}: finish it, or write it down where it will be found")
    })
}

fn first_line(source: Source) -> Option<Violation> {
    let ok = source.text.lines().next().is_some_and(|line| line.starts_with("//! "));
    let detail = || "the file does not begin with a `//!` sentence on what it is".to_owned();
    (!ok).then(|| source.violation(1, "first line", detail()))
}

fn length(source: Source) -> Option<Violation> {
    let lines = production_lines(source.text);
    let detail = || format!("{lines} lines without tests; the limit is {LINE_LIMIT}");
    (!source.is_test() && lines > LINE_LIMIT)
        .then(|| source.violation(LINE_LIMIT + 1, "length", detail()))
}

/// The lines before the tests in the same file.
fn production_lines(text: &str) -> usize {
    let mut lines = text.lines().zip(text.lines().skip(1));
    let tests = lines
        .position(|(first, second)| first == "#[cfg(test)]" && second.starts_with("mod tests {"));
    tests.unwrap_or_else(|| text.lines().count())
}

fn http(source: Source) -> Vec<Violation> {
    let is_inside = source.path.starts_with("crates/server/src/");
    let may = HTTP_HOMES.iter().any(|home| source.path.starts_with(home))
        || HTTP_FILES.contains(&source.path);
    if !is_inside || may {
        return Vec::new();
    }
    let found = |line: &str| HTTP.into_iter().find(|module| has_module(code(line), module));
    source.lines_with(found, "http", |module| format!("`{module}` is used outside the HTTP layer"))
}

fn sql(source: Source) -> Vec<Violation> {
    let is_crate = source.path.starts_with("crates/") && !source.path.starts_with("crates/store/");
    if !is_crate {
        return Vec::new();
    }
    let detail = |_| "SQL text belongs to the store".to_owned();
    if source.is_written_in("sql") {
        return vec![source.violation(1, "sql", detail(""))];
    }
    if !source.is_written_in("rs") || !source.path.contains("/src/") {
        return Vec::new();
    }
    let found =
        |line: &str| SQL.into_iter().find(|statement| begins_literal(code(line), statement));
    source.lines_with(found, "sql", detail)
}

/// Whether a string on this line, or the line of a string over several lines, begins so.
fn begins_literal(line: &str, statement: &str) -> bool {
    let line = line.trim_start();
    line.starts_with(statement)
        || line.split('"').skip(1).any(|piece| piece.trim_start().starts_with(statement))
}

/// The line without its comment, as far as that can be told without parsing.
fn code(line: &str) -> &str {
    if line.trim_start().starts_with("//") { "" } else { line }
}

fn has_module(line: &str, module: &str) -> bool {
    words(line, module).any(|(before, after)| {
        after.starts_with("::") || (before.ends_with("use ") && after.starts_with(';'))
    })
}

fn has_word(line: &str, word: &str) -> bool {
    words(line, word).next().is_some()
}

/// What stands before and after each place where `word` stands by itself.
fn words<'a>(line: &'a str, word: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).filter_map(move |(start, _)| {
        let (before, rest) = line.split_at_checked(start)?;
        let after = rest.strip_prefix(word)?;
        (!before.ends_with(is_part) && !after.starts_with(is_part)).then_some((before, after))
    })
}

impl Source<'_> {
    fn is_written_in(self, extension: &str) -> bool {
        Path::new(self.path).extension().is_some_and(|found| found == extension)
    }

    fn is_test(self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    fn lines_with<T>(
        self,
        found: impl Fn(&str) -> Option<T>,
        rule: &'static str,
        detail: impl Fn(T) -> String,
    ) -> Vec<Violation> {
        let lines = self.text.lines().zip(1..);
        lines
            .filter_map(|(line, number)| Some(self.violation(number, rule, detail(found(line)?))))
            .collect()
    }

    fn violation(self, line: usize, rule: &'static str, detail: String) -> Violation {
        Violation { path: self.path.to_owned(), line, rule, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule and line of each violation.
    fn check(path: &str, text: &str) -> Vec<(&'static str, usize)> {
        let found = violations(Source { path, text });
        found.into_iter().map(|violation| (violation.rule, violation.line)).collect()
    }

    #[test]
    fn a_file_that_keeps_the_rules_passes() {
        let text = "//! Devices.\n\nconst URL: &str = \"http://localhost\";\n";
        assert_eq!(check("crates/domain/src/device.rs", text), []);
    }

    #[test]
    fn a_file_without_a_first_sentence_is_refused() {
        assert_eq!(check("crates/domain/src/a.rs", "use std::fmt;\n"), [("first line", 1)]);
        assert_eq!(check("crates/domain/src/a.rs", ""), [("first line", 1)]);
        assert_eq!(check("crates/domain/Cargo.toml", "[package]\n"), []);
    }

    #[test]
    fn unfinished_work_is_refused_in_every_kind_of_file() {
        for mark in UNFINISHED {
            let text = format!("//! A.\n// {mark}: later\n");
            assert_eq!(check("crates/sdk/src/a.rs", &text), [("unfinished", 2)]);
            assert_eq!(check("crates/store/migrations/1.sql", &text), [("unfinished", 2)]);
        }
        assert_eq!(check("crates/sdk/src/a.rs", "//! A HACKSAW, aXXXb.\n"), []);
    }

    #[test]
    fn names_without_meaning_are_refused_for_files_and_folders() {
        assert_eq!(check("crates/sdk/src/utils.rs", "//! A.\n"), [("name", 1)]);
        assert_eq!(check("crates/sdk/tests/common/mod.rs", "//! A.\n"), [("name", 1)]);
        assert_eq!(check("crates/sdk/src/commonly.rs", "//! A.\n"), []);
    }

    #[test]
    fn a_file_may_have_600_lines_before_its_tests() {
        let full = format!("//! A.\n{}", "\n".repeat(LINE_LIMIT - 1));
        assert_eq!(check("crates/sdk/src/a.rs", &full), []);
        let tested = format!("{full}#[cfg(test)]\nmod tests {{\n}}\n");
        assert_eq!(check("crates/sdk/src/a.rs", &tested), []);
        let long = format!("{full}\n");
        assert_eq!(check("crates/sdk/src/a.rs", &long), [("length", 601)]);
        assert_eq!(check("crates/sdk/src/flow/tests.rs", &long), []);
        assert_eq!(check("crates/sdk/tests/it/main.rs", &long), []);
    }

    #[test]
    fn http_stays_in_its_layer() {
        let text =
            "//! A.\nuse axum::Router;\nuse crate::http::Caller;\nlet a = http::Uri::new();\n";
        let refused = [("http", 2), ("http", 3), ("http", 4)];
        assert_eq!(check("crates/server/src/app/start_flow.rs", text), refused);
        assert_eq!(check("crates/server/src/http/oidc/token.rs", text), []);
        assert_eq!(check("crates/server/src/http.rs", text), []);
        assert_eq!(check("crates/server/src/lib.rs", text), []);
        assert_eq!(check("crates/server/tests/it/main.rs", text), []);
    }

    #[test]
    fn words_that_only_look_like_http_pass() {
        let text = "//! A.\n// axum::Router\nlet a = \"http://\";\nuse http_body::Body;\n";
        assert_eq!(check("crates/server/src/app/start_flow.rs", text), []);
    }

    #[test]
    fn sql_stays_in_the_store() {
        let text = "//! A.\nconst LOAD: &str = \"SELECT id FROM device\";\nlet a = \"\n    UPDATE device\";\n";
        let refused = [("sql", 2), ("sql", 4)];
        assert_eq!(check("crates/server/src/app/pair_device.rs", text), refused);
        assert_eq!(check("crates/store/src/device.rs", text), []);
        assert_eq!(check("crates/server/migrations/1.sql", "-- A\n"), [("sql", 1)]);
    }

    #[test]
    fn sentences_that_only_sound_like_sql_pass() {
        let text =
            "//! A.\n// SELECT a device\nlet a = \"select a device\";\nlet b = \"Update it\";\n";
        assert_eq!(check("crates/server/src/app/pair_device.rs", text), []);
    }
}
