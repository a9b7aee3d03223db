//! Trace context: which trace a request belongs to (W3C Trace Context, level 1).

/// What `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext {
    /// The trace; never zero.
    pub trace: u128,
    /// The caller's span; never zero.
    pub parent: u64,
    /// Whether the caller may have kept its part of the trace.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent` (section 3.2). A malformed one counts as none: then a trace begins here.
    pub fn parse(value: &str) -> Option<Self> {
        let mut parts = value.splitn(5, '-');
        let version = hex(parts.next()?, 2)?;
        let trace = hex(parts.next()?, 32)?;
        let parent = u64::try_from(hex(parts.next()?, 16)?).ok()?;
        let flags = hex(parts.next()?, 2)?;
        // Section 3.2.4: what comes after the flags belongs to later versions, and version ff is invalid.
        let ends = parts.next().is_none();
        let is_valid = version != 0xff && (ends || version != 0) && trace != 0 && parent != 0;
        is_valid.then_some(Self { trace, parent, sampled: flags & 1 == 1 })
    }
}

/// A number of exactly so many digits; capitals are not allowed.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
    let is_number = text.len() == digits && text.bytes().all(is_digit);
    is_number.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_context_is_read() {
        let read = |flags| TraceContext::parse(&format!("00-{TRACE}-00f067aa0ba902b7-{flags}"));
        let trace = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
        let parent = 0x00f0_67aa_0ba9_02b7;
        assert_eq!(read("01"), Some(TraceContext { trace, parent, sampled: true }));
        assert_eq!(read("00"), Some(TraceContext { trace, parent, sampled: false }));
    }

    #[test]
    fn a_later_version_may_say_more() {
        let more = format!("cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-says");
        assert!(TraceContext::parse(&more).is_some());
    }

    #[test]
    fn what_is_malformed_is_ignored() {
        let zeros = "0".repeat(32);
        for value in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{zeros}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-+{}-00f067aa0ba902b7-01", &TRACE[1..]),
            format!("0-{TRACE}-00f067aa0ba902b7-01"),
        ] {
            assert_eq!(TraceContext::parse(&value), None, "{value}");
        }
    }
}
