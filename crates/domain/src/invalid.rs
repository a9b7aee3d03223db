//! What is wrong with a value: the member and the rule it breaks.

use std::{borrow::Cow, fmt};

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The member, in the words of the domain, dotted: `mobile.otp.failure_count`.
    pub target: Cow<'static, str>,
    /// The rule that it breaks.
    pub rule: Rule,
}

/// A rule that a value can break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It must be given.
    Required,
    /// It must be at most so many characters long.
    TooLong { max: usize },
    /// It must be at least so many characters long.
    TooShort { min: usize },
    /// It must lie in this range.
    Range { min: i64, max: i64 },
    /// It must have this form, told in words.
    Form { form: &'static str },
    /// No two may have the same.
    Unique,
    /// What it refers to must exist in the same environment.
    Unknown,
    /// It must be one of these, as they are written outside.
    OneOf { words: &'static [&'static str] },
    /// Once set, it stays.
    Immutable,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.target)?;
        match &self.rule {
            Rule::Required => write!(f, "must be given"),
            Rule::TooLong { max } => write!(f, "must have at most {max} characters"),
            Rule::TooShort { min } => write!(f, "must have at least {min} characters"),
            Rule::Range { min, max } => write!(f, "must be from {min} to {max}"),
            Rule::Form { form } => write!(f, "must be {form}"),
            Rule::Unique => write!(f, "is taken"),
            Rule::Unknown => write!(f, "refers to nothing in this environment"),
            Rule::OneOf { words } => write!(f, "must be one of {}", words.join(", ")),
            Rule::Immutable => write!(f, "cannot be changed once it is set"),
        }
    }
}

/// Everything that is wrong with a value, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(Vec<Violation>);

impl Invalid {
    /// One broken rule.
    #[must_use]
    pub fn new(target: impl Into<Cow<'static, str>>, rule: Rule) -> Self {
        Self(vec![Violation { target: target.into(), rule }])
    }

    /// The broken rules, in the order of the members.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.0
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, violation) in self.0.iter().enumerate() {
            write!(f, "{}{violation}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// Collects broken rules, so that a caller learns all of them at once.
#[derive(Default)]
pub struct Check(Vec<Violation>);

impl Check {
    /// A rule that must hold.
    pub fn require(&mut self, holds: bool, target: &'static str, rule: Rule) -> &mut Self {
        if !holds {
            self.0.push(Violation { target: target.into(), rule });
        }
        self
    }

    /// Rules for a member of this name: their targets are members of it.
    pub fn within(&mut self, member: &str, rules: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::default();
        rules(&mut inner);
        let named = inner.0.into_iter().map(|Violation { target, rule }| {
            let target = Cow::Owned(format!("{member}.{target}"));
            Violation { target, rule }
        });
        self.0.extend(named);
        self
    }

    /// A text of 1 to `max` characters without control characters or surrounding space.
    pub fn text(&mut self, value: &str, target: &'static str, max: usize) -> &mut Self {
        self.require(!value.is_empty(), target, Rule::Required);
        self.require(value.chars().count() <= max, target, Rule::TooLong { max });
        let clean = value.trim() == value && !value.chars().any(is_unprintable);
        self.require(clean, target, Rule::Form { form: "printable text without surrounding space" })
    }

    /// Text of several lines that may be left out, at most `max` characters, without control characters other than line breaks.
    pub fn optional_prose(
        &mut self,
        value: Option<&str>,
        target: &'static str,
        max: usize,
    ) -> &mut Self {
        let Some(value) = value else { return self };
        self.require(value.chars().count() <= max, target, Rule::TooLong { max });
        let clean = !value.chars().any(|c| is_unprintable(c) && !"\n\r\t".contains(c));
        self.require(clean, target, Rule::Form { form: "printable text" })
    }

    /// A number in a range.
    pub fn range(&mut self, value: i64, target: &'static str, min: i64, max: i64) -> &mut Self {
        self.require((min..=max).contains(&value), target, Rule::Range { min, max })
    }

    /// Nothing, or everything that is wrong.
    pub fn finish(&mut self) -> Result<(), Invalid> {
        let violations = std::mem::take(&mut self.0);
        if violations.is_empty() { Ok(()) } else { Err(Invalid(violations)) }
    }
}

/// Control characters, and the bidirectional overrides that can make a text read as another.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_broken_rules_are_told_at_once() {
        let told = Check::default().text("", "name", 5).range(9, "count", 1, 7).finish();
        let told = told.map_err(|invalid| invalid.to_string());
        assert_eq!(told, Err("name must be given; count must be from 1 to 7".to_owned()));
    }

    #[test]
    fn a_text_that_could_read_as_another_is_refused() {
        for text in ["a\u{202e}b", "a\nb", " a", "a ", "a\u{2067}"] {
            assert!(Check::default().text(text, "name", 9).finish().is_err(), "{text:?}");
        }
        assert_eq!(Check::default().text("Ann Lee", "name", 7).finish(), Ok(()));
    }
}
