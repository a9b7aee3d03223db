//! Claims of a JWT, and the rules that all kinds of statements share (RFC 7519, section 4.1).

use countersign_protocol::time::Timestamp;
use serde_json::{Map, Value};

use super::{LEEWAY_SECONDS, Refusal};

/// The most characters of a `jti`.
const MAX_JTI: usize = 256;

/// The claims of a JWT, as they came.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    pub(super) const fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// A claim.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// All of them.
    pub(super) fn into_members(self) -> Map<String, Value> {
        self.0
    }

    /// A claim that is text, if it is there.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::claim(name, "must be a string")),
        }
    }

    /// A claim that must be exactly this text.
    pub fn require(
        &self,
        name: &'static str,
        value: &str,
        rule: &'static str,
    ) -> Result<(), Refusal> {
        if self.text(name)? == Some(value) { Ok(()) } else { Err(Refusal::claim(name, rule)) }
    }

    /// Who the statement is for: nothing if `aud` is not a string or a list of strings.
    fn audiences(&self) -> Option<Vec<&str>> {
        match self.get("aud")? {
            Value::String(only) => Some(vec![only]),
            Value::Array(list) => list.iter().map(Value::as_str).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
        }
    }

    /// Requires `aud` to be `audience`, or a list that contains it.
    pub fn require_audience(&self, audience: &str, rule: &'static str) -> Result<(), Refusal> {
        let is_meant = self.audiences().is_some_and(|list| list.contains(&audience));
        if is_meant { Ok(()) } else { Err(Refusal::claim("aud", rule)) }
    }

    /// Requires `aud` to name nobody but one of `accepted`. A statement that proves who somebody is must not be of use to
    /// another server that it is also for.
    pub fn require_only_audiences(
        &self,
        accepted: &[&str],
        rule: &'static str,
    ) -> Result<(), Refusal> {
        let audiences = self.audiences().unwrap_or_default();
        let ours = audiences.iter().all(|audience| accepted.contains(audience));
        if ours && !audiences.is_empty() { Ok(()) } else { Err(Refusal::claim("aud", rule)) }
    }

    /// A point in time, if it is there. A fraction of a second is cut off.
    pub fn time(&self, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let wrong = Refusal::claim(name, "must be a number of seconds since 1970");
        let seconds = match (value.as_i64(), value.as_f64()) {
            (Some(seconds), _) => seconds,
            // The cast saturates, as the type of the result does.
            #[expect(clippy::cast_possible_truncation, reason = "a fraction is cut off on purpose")]
            (None, Some(seconds)) => seconds.floor() as i64,
            (None, None) => return Err(wrong),
        };
        if seconds < 0 { Err(wrong) } else { Ok(Some(Timestamp::from_unix_seconds(seconds))) }
    }

    /// Requires the statement to count now: `exp` not passed, `nbf` and `iat` not to come, all give or take
    /// [`LEEWAY_SECONDS`], and `exp` at most `max_seconds` ahead. Returns `exp`, if there is one.
    pub fn require_time(
        &self,
        now: Timestamp,
        max_seconds: i64,
        too_late: &'static str,
    ) -> Result<Option<Timestamp>, Refusal> {
        let latest = now.plus_seconds(LEEWAY_SECONDS);
        for name in ["nbf", "iat"] {
            if self.time(name)?.is_some_and(|time| time > latest) {
                return Err(Refusal::claim(name, "must not be in the future"));
            }
        }
        let Some(expires_at) = self.time("exp")? else { return Ok(None) };
        if expires_at.plus_seconds(LEEWAY_SECONDS) <= now {
            return Err(Refusal::claim("exp", "has passed"));
        }
        if expires_at > latest.plus_seconds(max_seconds) {
            return Err(Refusal::claim("exp", too_late));
        }
        Ok(Some(expires_at))
    }

    /// `jti`, if it is there.
    pub fn jti(&self) -> Result<Option<&str>, Refusal> {
        let jti = self.text("jti")?;
        match jti {
            Some(jti) if jti.is_empty() || jti.len() > MAX_JTI => {
                Err(Refusal::claim("jti", "must have 1 to 256 characters"))
            }
            Some(_) | None => Ok(jti),
        }
    }
}
