//! Filters of lists (SCIM, RFC 7644, section 3.4.2.2): `name eq "Ann" and (enabled eq true or email pr)`.

use std::{iter::Peekable, str::Chars};

use serde_json::Value;

/// What must hold of an entry of a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// One of them at least.
    Or(Box<Filter>, Box<Filter>),
    /// The contrary.
    Not(Box<Filter>),
    /// A member has any value.
    Present {
        /// The member, dotted.
        attribute: String,
    },
    /// A member compares like this to a value.
    Compare {
        /// The member, dotted.
        attribute: String,
        /// How.
        operator: Operator,
        /// To what: a text, a number, a truth value or null.
        value: Value,
    },
}

/// How a member is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `eq`
    Equal,
    /// `ne`
    NotEqual,
    /// `co`
    Contains,
    /// `sw`
    StartsWith,
    /// `ew`
    EndsWith,
    /// `gt`
    Greater,
    /// `ge`
    GreaterOrEqual,
    /// `lt`
    Less,
    /// `le`
    LessOrEqual,
}

impl Operator {
    fn named(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "eq" => Self::Equal,
            "ne" => Self::NotEqual,
            "co" => Self::Contains,
            "sw" => Self::StartsWith,
            "ew" => Self::EndsWith,
            "gt" => Self::Greater,
            "ge" => Self::GreaterOrEqual,
            "lt" => Self::Less,
            "le" => Self::LessOrEqual,
            _ => return None,
        })
    }
}

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Something else was expected.
    #[error("{expected} is expected at character {at}")]
    Expected {
        /// What.
        expected: &'static str,
        /// Where, counted from 1.
        at: usize,
    },
    /// It is nested too deep, or has too many terms.
    #[error("at most {MAX_TERMS} comparisons and parentheses may be in it")]
    TooLong,
}

/// The most comparisons and parentheses of a filter.
pub const MAX_TERMS: usize = 64;

impl Filter {
    /// Reads a filter.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let mut parser = Parser { rest: text.chars().peekable(), at: 1, terms: 0 };
        let filter = parser.disjunction("")?;
        parser.skip_space();
        if parser.rest.peek().is_some() {
            return Err(parser.expected("and, or, or the end"));
        }
        Ok(filter)
    }

    /// Whether it holds of an entry. Texts are compared without regard to case; of several values one is enough.
    #[must_use]
    pub fn matches(&self, entry: &Value) -> bool {
        match self {
            Self::And(one, other) => one.matches(entry) && other.matches(entry),
            Self::Or(one, other) => one.matches(entry) || other.matches(entry),
            Self::Not(inner) => !inner.matches(entry),
            Self::Present { attribute } => {
                values(entry, attribute).iter().any(|value| !value.is_null())
            }
            Self::Compare { attribute, operator, value } => {
                let found = values(entry, attribute);
                let holds = |operator| found.iter().any(|found| compare(found, operator, value));
                match operator {
                    Operator::NotEqual => !holds(Operator::Equal),
                    // What is absent is null.
                    Operator::Equal if value.is_null() => found.iter().all(|found| found.is_null()),
                    Operator::Equal
                    | Operator::Contains
                    | Operator::StartsWith
                    | Operator::EndsWith
                    | Operator::Greater
                    | Operator::GreaterOrEqual
                    | Operator::Less
                    | Operator::LessOrEqual => holds(*operator),
                }
            }
        }
    }

    /// The members that it names.
    #[must_use]
    pub fn attributes(&self) -> Vec<&str> {
        match self {
            Self::And(one, other) | Self::Or(one, other) => {
                [one.attributes(), other.attributes()].concat()
            }
            Self::Not(inner) => inner.attributes(),
            Self::Present { attribute } | Self::Compare { attribute, .. } => vec![attribute],
        }
    }
}

/// Every value that a dotted path leads to. Names are compared without regard to case (RFC 7643, section 2.1).
fn values<'a>(entry: &'a Value, path: &str) -> Vec<&'a Value> {
    let step = |found: Vec<&'a Value>, name: &str| {
        let inner = found.into_iter().flat_map(each).filter_map(|value| {
            let members = value.as_object()?;
            let named = members.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            named.map(|(_, value)| value)
        });
        inner.collect()
    };
    path.split('.').fold(vec![entry], step).into_iter().flat_map(each).collect()
}

fn each(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |items| items.iter().collect())
}

fn compare(found: &Value, operator: Operator, value: &Value) -> bool {
    use std::cmp::Ordering;
    let order = match (found, value) {
        (Value::String(found), Value::String(value)) => {
            let (found, value) = (found.to_lowercase(), value.to_lowercase());
            match operator {
                Operator::Contains => return found.contains(&value),
                Operator::StartsWith => return found.starts_with(&value),
                Operator::EndsWith => return found.ends_with(&value),
                Operator::Equal
                | Operator::NotEqual
                | Operator::Greater
                | Operator::GreaterOrEqual
                | Operator::Less
                | Operator::LessOrEqual => found.cmp(&value),
            }
        }
        (Value::Number(found), Value::Number(value)) => {
            let order = found.as_f64().zip(value.as_f64()).and_then(|(f, v)| f.partial_cmp(&v));
            let Some(order) = order else { return false };
            order
        }
        (found, value) => return operator == Operator::Equal && found == value,
    };
    match operator {
        Operator::Equal => order == Ordering::Equal,
        Operator::NotEqual => order != Ordering::Equal,
        Operator::Greater => order == Ordering::Greater,
        Operator::GreaterOrEqual => order != Ordering::Less,
        Operator::Less => order == Ordering::Less,
        Operator::LessOrEqual => order != Ordering::Greater,
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => false,
    }
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    at: usize,
    terms: usize,
}

impl Parser<'_> {
    const fn expected(&self, expected: &'static str) -> FilterError {
        FilterError::Expected { expected, at: self.at }
    }

    fn next(&mut self) -> Option<char> {
        self.at += 1;
        self.rest.next()
    }

    fn skip_space(&mut self) {
        while self.rest.peek().is_some_and(|c| c.is_whitespace()) {
            self.next();
        }
    }

    /// The next word, if it is this one.
    fn takes(&mut self, word: &str) -> bool {
        self.skip_space();
        let mut ahead = self.rest.clone();
        let same = word.chars().all(|c| ahead.next().is_some_and(|a| a.eq_ignore_ascii_case(&c)));
        let ends = ahead.peek().is_none_or(|c| !c.is_alphanumeric());
        if same && ends {
            for _ in word.chars() {
                self.next();
            }
        }
        same && ends
    }

    fn takes_sign(&mut self, sign: char) -> bool {
        self.skip_space();
        let same = self.rest.peek() == Some(&sign);
        if same {
            self.next();
        }
        same
    }

    fn count(&mut self) -> Result<(), FilterError> {
        self.terms += 1;
        if self.terms > MAX_TERMS { Err(FilterError::TooLong) } else { Ok(()) }
    }

    /// `within` is what stands before each member: the name before a bracket, with a dot.
    fn disjunction(&mut self, within: &str) -> Result<Filter, FilterError> {
        let mut filter = self.conjunction(within)?;
        while self.takes("or") {
            let other = self.conjunction(within)?;
            filter = Filter::Or(Box::new(filter), Box::new(other));
        }
        Ok(filter)
    }

    fn conjunction(&mut self, within: &str) -> Result<Filter, FilterError> {
        let mut filter = self.term(within)?;
        while self.takes("and") {
            let other = self.term(within)?;
            filter = Filter::And(Box::new(filter), Box::new(other));
        }
        Ok(filter)
    }

    fn term(&mut self, within: &str) -> Result<Filter, FilterError> {
        self.count()?;
        if self.takes_sign('(') {
            let filter = self.disjunction(within)?;
            return if self.takes_sign(')') { Ok(filter) } else { Err(self.expected(")")) };
        }
        if self.takes("not") {
            return Ok(Filter::Not(Box::new(self.term(within)?)));
        }
        let attribute = format!("{within}{}", self.attribute()?);
        if self.takes_sign('[') {
            let filter = self.disjunction(&format!("{attribute}."))?;
            return if self.takes_sign(']') { Ok(filter) } else { Err(self.expected("]")) };
        }
        if self.takes("pr") {
            return Ok(Filter::Present { attribute });
        }
        let operator = self.operator()?;
        let value = self.value()?;
        Ok(Filter::Compare { attribute, operator, value })
    }

    fn word(&mut self, fits: impl Fn(char) -> bool) -> String {
        self.skip_space();
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(|c| fits(*c)) {
            self.at += 1;
            word.push(c);
        }
        word
    }

    fn attribute(&mut self) -> Result<String, FilterError> {
        let word = self.word(|c| c.is_ascii_alphanumeric() || "._-:$".contains(c));
        let starts = word.starts_with(|c: char| c.is_ascii_alphabetic());
        if starts { Ok(word) } else { Err(self.expected("the name of a member")) }
    }

    fn operator(&mut self) -> Result<Operator, FilterError> {
        let word = self.word(|c| c.is_ascii_alphabetic());
        let expected = self.expected("eq, ne, co, sw, ew, gt, ge, lt, le or pr");
        Operator::named(&word).ok_or(expected)
    }

    fn value(&mut self) -> Result<Value, FilterError> {
        self.skip_space();
        let expected = self.expected("a text in double quotes, a number, true, false or null");
        let text = if self.rest.peek() == Some(&'"') {
            self.quoted().ok_or_else(|| expected.clone())?
        } else {
            self.word(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        };
        serde_json::from_str(&text).map_err(|_| expected)
    }

    /// A text with its quotes, as JSON writes it.
    fn quoted(&mut self) -> Option<String> {
        let mut text = String::from(self.next()?);
        loop {
            let c = self.next()?;
            text.push(c);
            match c {
                '"' => return Some(text),
                '\\' => text.push(self.next()?),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn holds(filter: &str) -> bool {
        let ann = json!({
            "username": "Ann", "enabled": true, "age": 41, "email": null,
            "name": { "given": "Ann", "family": "Lee" },
            "population": { "id": "p1" },
            "groups": [{ "id": "g1" }, { "id": "g2" }],
        });
        Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}")).matches(&ann)
    }

    #[test]
    fn what_holds_of_an_entry() {
        for filter in [
            r#"username eq "ann""#,
            r#"USERNAME EQ "ANN" AND enabled eq true"#,
            r#"name.family sw "L" and name.family ew "e" and name.family co "EE""#,
            r#"username eq "bob" or age gt 40"#,
            "age ge 41 and age le 41 and age lt 42",
            r#"not (username eq "bob")"#,
            r#"username ne "bob""#,
            "email eq null and nothing eq null and not email pr",
            "name.given pr",
            r#"groups[id eq "g2"]"#,
            r#"groups.id eq "g1""#,
            r#"population[id eq "p1"] and (enabled eq false or age eq 41)"#,
            r#"username eq "bob" and age eq 1 or enabled eq true"#,
        ] {
            assert!(holds(filter), "{filter}");
        }
        for filter in [
            r#"username eq "an""#,
            "enabled eq false",
            r#"age eq "41""#,
            r#"groups[id eq "g3"]"#,
            r#"username eq "bob" and (age eq 41 or enabled eq true)"#,
            r#"groups.id ne "g1""#,
            "nothing gt 1",
        ] {
            assert!(!holds(filter), "{filter}");
        }
    }

    #[test]
    fn what_is_no_filter_is_told_with_its_place() {
        let told = |text: &str| Filter::parse(text).map_err(|error| error.to_string());
        for (text, why) in [
            ("", "the name of a member is expected at character 1"),
            ("name", "eq, ne, co, sw, ew, gt, ge, lt, le or pr is expected at character 5"),
            (
                "name is \"x\"",
                "eq, ne, co, sw, ew, gt, ge, lt, le or pr is expected at character 8",
            ),
            (
                "name eq x",
                "a text in double quotes, a number, true, false or null is expected at character 9",
            ),
            ("(name pr", ") is expected at character 9"),
            ("g[id pr", "] is expected at character 8"),
            ("name pr name pr", "and, or, or the end is expected at character 9"),
        ] {
            assert_eq!(told(text), Err(why.to_owned()), "{text}");
        }
        let deep = format!("{}a pr{}", "(".repeat(MAX_TERMS), ")".repeat(MAX_TERMS));
        assert_eq!(Filter::parse(&deep), Err(FilterError::TooLong));
        assert_eq!(Filter::parse(&"not ".repeat(100_000)), Err(FilterError::TooLong));
    }

    #[test]
    fn a_text_may_have_quotes_and_escapes_inside() {
        let filter = Filter::parse(r#"name eq "a\"b\u0041""#).unwrap();
        assert!(filter.matches(&json!({ "name": "a\"bA" })));
        assert_eq!(filter.attributes(), ["name"]);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in ".{0,80}") {
            if let Ok(filter) = Filter::parse(&text) {
                let _ = filter.matches(&json!({ "a": [1, null, "x"] }));
            }
        }
    }
}
