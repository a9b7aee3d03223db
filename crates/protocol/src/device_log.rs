//! The log of an app, as its phone sends it to whoever supports its user.

use serde::{Deserialize, Serialize};

use crate::device_api::DeviceRequest;
use crate::mobile_payload::{TextRule, Unfit};
use crate::pairing::Reference;
use crate::proof::Proof;

/// The most characters of a log. It must fit into a proof besides.
pub const MAX_LOG_CHARACTERS: usize = 8_192;

/// The most bytes that a log may have as a JSON string, so that its proof is not too long.
pub const MAX_LOG_BYTES: usize = 11_000;

/// Brings the newest lines of an app's log to the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRequest {
    /// From `GET D/nonce`, at most 300 s old.
    pub nonce: String,
    /// The lines: no control characters but line feeds and tabulators.
    pub log: String,
}

impl Proof for LogRequest {
    const TYP: &'static str = "countersign-log+jwt";
    const LIFE_SECONDS: i64 = 60;

    fn check(&self) -> Result<(), Unfit> {
        let rule = if self.log.is_empty() {
            Err(TextRule::Empty)
        } else if self.log.chars().nth(MAX_LOG_CHARACTERS).is_some() {
            Err(TextRule::TooLong(MAX_LOG_CHARACTERS))
        } else if self.log.chars().any(is_foreign) {
            Err(TextRule::ForbiddenCharacter)
        } else {
            Ok(())
        };
        rule.map_err(|rule| Unfit::new("proof.log", rule))
    }
}

impl DeviceRequest for LogRequest {
    const PATH: &'static str = "/logs";
    type Response = LogResponse;
}

/// What the platform answers to a [`LogRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogResponse {
    /// The devices of this installation, with which the log is kept.
    pub devices: Vec<Reference>,
}

/// Whether a character has no place in a log: it could make lines read as others (UAX 9).
#[must_use]
pub fn is_foreign(c: char) -> bool {
    let reorders = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && c != '\n' && c != '\t') || reorders
}

/// What can be sent of a log: its end, from the beginning of a line, with a space in place of each foreign character.
#[must_use]
pub fn newest_lines(log: &str) -> String {
    let (mut room, mut characters) = (MAX_LOG_BYTES, 0);
    let fits = |(_, c): &(usize, char)| {
        let bytes = if matches!(c, '\n' | '\t' | '"' | '\\') { 2 } else { c.len_utf8() };
        characters += 1;
        let fits = characters <= MAX_LOG_CHARACTERS && bytes <= room;
        room = room.saturating_sub(bytes);
        fits
    };
    let start = log.char_indices().rev().take_while(fits).last().map_or(log.len(), |(at, _)| at);
    let (before, end) = log.split_at(start);
    let is_whole = before.is_empty() || before.ends_with('\n');
    let line = if is_whole { None } else { end.split_once('\n').map(|(_, lines)| lines) };
    let clean = |c| if is_foreign(c) { ' ' } else { c };
    line.filter(|lines| !lines.is_empty()).unwrap_or(end).chars().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(log: &str) -> Result<(), TextRule> {
        let request = LogRequest { nonce: "n".to_owned(), log: log.to_owned() };
        request.check().map_err(|unfit| unfit.rule())
    }

    #[test]
    fn a_log_is_text_of_a_bounded_length() {
        assert_eq!(checked("one\n\ttwo"), Ok(()));
        assert_eq!(checked(""), Err(TextRule::Empty));
        assert_eq!(checked(&"x".repeat(8_193)), Err(TextRule::TooLong(8_192)));
        for bad in ["a\u{1b}[2J", "a\rb", "a\u{202e}b", "a\0"] {
            assert_eq!(checked(bad), Err(TextRule::ForbiddenCharacter), "{bad:?}");
        }
    }

    #[test]
    fn of_a_long_log_the_newest_whole_lines_are_sent() {
        assert_eq!(newest_lines("one\ntwo"), "one\ntwo");
        assert_eq!(newest_lines("a\r\nb\u{1b}c"), "a \nb c");
        let lines = (0..4_000).fold(String::new(), |lines, line| lines + &format!("line {line}\n"));
        let newest = newest_lines(&lines);
        assert!(newest.starts_with("line ") && newest.ends_with("line 3999\n"));
        assert!(newest.len() > 8_000, "{}", newest.len());
        for log in [&lines, &"\n".repeat(20_000), &"\u{1f600}".repeat(20_000), &"x".repeat(9_000)] {
            let newest = newest_lines(log);
            assert_eq!(checked(&newest), Ok(()));
            assert!(serde_json::to_string(&newest).unwrap().len() <= MAX_LOG_BYTES + 2);
        }
        assert_eq!(newest_lines(""), "");
    }
}
