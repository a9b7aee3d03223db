//! Writes a migration in the words of `SQLite`.

/// The same statements with the four kinds of columns spelled so that tables can be `STRICT`, and every table strict.
pub(crate) fn translate(sql: &str) -> String {
    let mut translated = String::with_capacity(sql.len() + 64);
    let mut rest = sql;
    // The first two words of the statement, to know a CREATE TABLE at its end.
    let mut head = Vec::with_capacity(2);
    while let Some(token) = next_token(rest) {
        rest = rest.get(token.len()..).unwrap_or_default();
        if is_word(token) && head.len() < 2 {
            head.push(token.to_ascii_uppercase());
        }
        if token == ";" {
            if head == ["CREATE", "TABLE"] {
                translated.push_str(" STRICT");
            }
            head.clear();
        }
        translated.push_str(match token {
            "BIGINT" | "BOOLEAN" => "INTEGER",
            "BYTEA" => "BLOB",
            _ => token,
        });
    }
    translated
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// A comment, a quoted text, a word, or any other single character.
fn next_token(sql: &str) -> Option<&str> {
    let first = sql.chars().next()?;
    let end = if sql.starts_with("--") {
        sql.find('\n')
    } else if first == '\'' {
        // A doubled quote inside ends one token and begins the next: their text is copied all the same.
        sql.char_indices().skip(1).find(|(_, c)| *c == '\'').map(|(at, _)| at + 1)
    } else if first.is_ascii_alphabetic() || first == '_' {
        sql.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
    } else {
        Some(first.len_utf8())
    };
    sql.get(..end.unwrap_or(sql.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_respelled_and_tables_are_strict() {
        for (sql, expected) in [
            (
                "-- A BYTEA; here.\nCREATE TABLE a (id BYTEA PRIMARY KEY, n BIGINT, ok BOOLEAN);",
                "-- A BYTEA; here.\nCREATE TABLE a (id BLOB PRIMARY KEY, n INTEGER, ok INTEGER) STRICT;",
            ),
            (
                "CREATE TABLE a (s TEXT DEFAULT 'it''s;BYTEA', my_BIGINT TEXT);",
                "CREATE TABLE a (s TEXT DEFAULT 'it''s;BYTEA', my_BIGINT TEXT) STRICT;",
            ),
            ("CREATE INDEX a_n ON a (n);", "CREATE INDEX a_n ON a (n);"),
        ] {
            assert_eq!(translate(sql), expected);
        }
    }
}
