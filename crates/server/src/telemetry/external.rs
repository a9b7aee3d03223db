//! Names that callers give to what they do: the vendor's transaction and session ids.

/// The longest such id, in characters.
const MAX_CHARS: usize = 100;

/// An id that a caller has given, made fit to be written down: letters, digits, combining marks and `. _ - / @ = # +`, at
/// most 100 characters. Others become underscores and what is too long is cut, because no request fails for its telemetry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExternalId(String);

impl ExternalId {
    /// The id in the value of a header; none if it is empty.
    pub fn new(value: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(value);
        let fit = |c: char| if is_fit(c) { c } else { '_' };
        let id: String = text.trim().chars().take(MAX_CHARS).map(fit).collect();
        (!id.is_empty()).then_some(Self(id))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a request says of the transaction and the session that it belongs to.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExternalIds {
    pub transaction: Option<ExternalId>,
    pub session: Option<ExternalId>,
}

fn is_fit(c: char) -> bool {
    c.is_alphanumeric() || "._-/@=#+".contains(c) || is_combining(c)
}

/// The blocks of combining marks; those of single scripts are letters' companions and pass as alphabetic.
const fn is_combining(c: char) -> bool {
    matches!(
        c,
        '\u{300}'..='\u{36f}'
            | '\u{1ab0}'..='\u{1aff}'
            | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}'
            | '\u{fe20}'..='\u{fe2f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_fit_becomes_underscores() {
        for (given, kept) in [
            ("a.b_c-d/e@f=g#h+9", "a.b_c-d/e@f=g#h+9"),
            ("a b\"c\nd\u{1b}[31m", "a_b_c_d__31m"),
            ("e\u{301}t\u{e9}", "e\u{301}t\u{e9}"),
            ("{\"x\":1}", "__x__1_"),
            ("  padded ", "padded"),
        ] {
            assert_eq!(ExternalId::new(given.as_bytes()).unwrap().as_str(), kept, "{given}");
        }
        assert_eq!(ExternalId::new(b"a\xff").unwrap().as_str(), "a_");
    }

    #[test]
    fn what_is_empty_is_absent_and_what_is_long_is_cut() {
        assert_eq!(ExternalId::new(b"  "), None);
        let long = ExternalId::new("\u{e9}".repeat(101).as_bytes()).unwrap();
        assert_eq!(long.as_str().chars().count(), 100);
    }
}
