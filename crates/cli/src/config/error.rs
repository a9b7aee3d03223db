//! What is wrong with a configuration: file, line, section, key and the rule that is broken.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use toml::de::DeTable;

/// A value that breaks a rule, before it is known where it stands.
#[derive(Debug)]
pub(super) struct Flaw {
    section: &'static str,
    key: String,
    rule: String,
}

impl Flaw {
    pub fn new(section: &'static str, key: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { section, key: key.into(), rule: rule.into() }
    }

    /// The error when nothing was written and a default is at fault.
    pub fn nowhere(self) -> ConfigError {
        let key = Some(format!("{}.{}", self.section, self.key));
        ConfigError { file: None, line: None, key, rule: self.rule }
    }

    /// The error at the line of this text where the value stands, or where its section does.
    pub fn located(self, text: &str) -> ConfigError {
        ConfigError { line: self.line(text), ..self.nowhere() }
    }

    fn line(&self, text: &str) -> Option<usize> {
        let document = DeTable::parse(text).ok()?;
        let (name, section) =
            document.get_ref().iter().find(|(name, _)| name.get_ref() == self.section)?;
        let keys = section.get_ref().as_table();
        let key = keys.and_then(|keys| {
            keys.iter().find(|(key, _)| key.get_ref().as_ref() == self.key.as_str())
        });
        Some(line_of(text, key.map_or(name.span(), |(key, _)| key.span()).start))
    }
}

/// A number from `least` to `most`.
pub(super) fn range<N: PartialOrd + fmt::Display + Copy>(
    (section, key): (&'static str, &'static str),
    value: N,
    least: N,
    most: N,
) -> Result<N, Flaw> {
    let holds = value >= least && value <= most;
    let rule =
        || Flaw::new(section, key, format!("must be from {least} to {most}, and is {value}"));
    holds.then_some(value).ok_or_else(rule)
}

/// Why a configuration cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    file: Option<PathBuf>,
    line: Option<usize>,
    /// Section and key: `server.listen`.
    key: Option<String>,
    rule: String,
}

impl ConfigError {
    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        let rule = format!("cannot be read: {error}");
        Self { file: Some(file.to_owned()), line: None, key: None, rule }
    }

    pub(super) fn syntax(
        text: &str,
        key: Option<String>,
        span: Option<Range<usize>>,
        rule: &str,
    ) -> Self {
        let line = span.map(|span| line_of(text, span.start));
        Self { file: None, line, key, rule: rule.trim().replace('\n', "; ") }
    }

    pub(super) fn in_file(self, file: &Path) -> Self {
        Self { file: Some(file.to_owned()), ..self }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}", file.display())?,
            None => f.write_str("the configuration")?,
        }
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.rule)
    }
}

impl std::error::Error for ConfigError {}
