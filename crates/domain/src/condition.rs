//! Conditions of a step of a sign-on: whether it runs, by the session, the user and the network (platform API, section 6.4).
//!
//! A condition is stored as it is written on the wire. What asks for the judgement of a risk service is kept and never holds, since
//! the platform has none.

use std::net::IpAddr;

use countersign_protocol::time::Timestamp;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{expression::Expression, flow::Identity, user::User};

/// Whether a step runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Condition {
    /// More than so many seconds have passed since the person last gave this proof, or it was never given.
    SecondsSince { proof: Proof, greater: u32 },
    /// The request comes from one of these networks.
    InNetworks(Vec<Network>),
    /// This says that of the user: one reference such as `${user.population.id}`.
    Equals { reference: String, value: Scalar },
    /// A question to a risk service, as it was written. Never holds.
    Risk(Value),
    /// All hold.
    And(Vec<Condition>),
    /// One holds.
    Or(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
}

/// What a session remembers the time of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The password, or what took its place.
    Password,
    /// A device.
    Mfa,
}

/// What a reference is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    Text(String),
    Truth(bool),
}

/// Addresses with a common beginning, as they were written: `10.0.0.0/8`, or one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network(String);

/// What conditions look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What the session has proved that the flow goes on.
    pub resumed: Option<&'a Identity>,
    /// The user, once it is known who it is.
    pub user: Option<&'a User>,
    /// Where the request comes from.
    pub remote: Option<IpAddr>,
    /// The time.
    pub now: Timestamp,
}

/// Why something is no condition: what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub struct NotACondition(pub &'static str);

const REMOTE: &str = "${flow.request.http.remoteIp}";
const FORM: &str = "one of the forms secondsSince and greater, contains and ipRange, value and equals, valid and ipRisk, valid and geoVelocity, valid and anonymousNetwork, and, or, not";

/// Conditions inside a condition, itself counted.
const MAX_PARTS: usize = 50;
/// Networks in a list, and conditions in one.
const MAX_LIST: usize = 100;
const MAX_TEXT: usize = 256;
/// Conditions inside one another.
const MAX_DEPTH: usize = 6;
const MAX_SECONDS: u32 = 365 * 86_400;

impl Proof {
    const ALL: [Self; 2] = [Self::Password, Self::Mfa];

    const fn reference(self) -> &'static str {
        match self {
            Self::Password => "${session.lastSignOn.withAuthenticator.pwd.at}",
            Self::Mfa => "${session.lastSignOn.withAuthenticator.mfa.at}",
        }
    }

    fn last(self, identity: &Identity) -> Option<Timestamp> {
        match self {
            Self::Password => identity.signed_on_at,
            Self::Mfa => identity.possession.map(|possession| possession.at),
        }
    }
}

impl Network {
    /// Reads a network.
    pub fn parse(text: &str) -> Result<Self, NotACondition> {
        let network = Self(text.to_owned());
        let form = NotACondition("networks such as 192.0.2.0/24, or addresses, in ipRange");
        network.read().map(|_| network).ok_or(form)
    }

    fn read(&self) -> Option<IpNet> {
        let network = self.0.parse().ok();
        network.or_else(|| self.0.parse().ok().map(|address: IpAddr| address.into()))
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.read().is_some_and(|network| network.contains(&address.to_canonical()))
    }
}

impl Condition {
    /// Reads a condition as it is written on the wire.
    pub fn parse(value: &Value) -> Result<Self, NotACondition> {
        let condition = Self::read(value, MAX_DEPTH)?;
        if condition.parts() > MAX_PARTS {
            return Err(NotACondition("made of at most 50 conditions"));
        }
        Ok(condition)
    }

    fn read(value: &Value, depth: usize) -> Result<Self, NotACondition> {
        let members = value.as_object().ok_or(NotACondition(FORM))?;
        let has = |names: &[&str]| {
            members.len() == names.len() && names.iter().all(|name| members.contains_key(*name))
        };
        let depth = depth
            .checked_sub(1)
            .ok_or(NotACondition("made of conditions at most 6 inside one another"))?;
        if has(&["and"]) {
            Ok(Self::And(list(&members["and"], depth)?))
        } else if has(&["or"]) {
            Ok(Self::Or(list(&members["or"], depth)?))
        } else if has(&["not"]) {
            Ok(Self::Not(Box::new(Self::read(&members["not"], depth)?)))
        } else if has(&["secondsSince", "greater"]) {
            seconds_since(members)
        } else if has(&["contains", "ipRange"]) {
            let form = "of the form contains ${flow.request.http.remoteIp} and ipRange, a list";
            networks(members, form)
        } else if has(&["value", "equals"]) {
            equals(members)
        } else if ["ipRisk", "geoVelocity", "anonymousNetwork"]
            .iter()
            .any(|kind| has(&[kind, "valid"]))
        {
            risk(value)
        } else {
            Err(NotACondition(FORM))
        }
    }

    /// Whether it holds.
    #[must_use]
    pub fn holds(&self, facts: Facts<'_>) -> bool {
        match self {
            Self::SecondsSince { proof, greater } => {
                let last = facts.resumed.and_then(|identity| proof.last(identity));
                last.is_none_or(|at| facts.now.seconds_since(at) > i64::from(*greater))
            }
            Self::InNetworks(networks) => facts
                .remote
                .is_some_and(|remote| networks.iter().any(|network| network.contains(remote))),
            Self::Equals { reference, value } => {
                let said = facts.user.and_then(|user| {
                    Expression::parse(reference).ok().and_then(|read| read.evaluate(user))
                });
                match value {
                    Scalar::Text(text) => said.as_ref() == Some(text),
                    Scalar::Truth(truth) => said == Some(truth.to_string()),
                }
            }
            Self::Risk(_) => false,
            Self::And(all) => all.iter().all(|condition| condition.holds(facts)),
            Self::Or(any) => any.iter().any(|condition| condition.holds(facts)),
            Self::Not(condition) => !condition.holds(facts),
        }
    }

    /// Whether it can be judged only when it is known who signs in.
    #[must_use]
    pub fn mentions_user(&self) -> bool {
        match self {
            Self::Equals { .. } => true,
            Self::And(parts) | Self::Or(parts) => parts.iter().any(Self::mentions_user),
            Self::Not(condition) => condition.mentions_user(),
            Self::SecondsSince { .. } | Self::InNetworks(_) | Self::Risk(_) => false,
        }
    }

    fn parts(&self) -> usize {
        match self {
            Self::And(parts) | Self::Or(parts) => 1 + parts.iter().map(Self::parts).sum::<usize>(),
            Self::Not(condition) => 1 + condition.parts(),
            Self::SecondsSince { .. }
            | Self::InNetworks(_)
            | Self::Equals { .. }
            | Self::Risk(_) => 1,
        }
    }
}

fn list(value: &Value, depth: usize) -> Result<Vec<Condition>, NotACondition> {
    let form = NotACondition("a list of 1 to 100 conditions in and, and in or");
    let items = value.as_array().filter(|items| (1..=MAX_LIST).contains(&items.len()));
    items.ok_or(form)?.iter().map(|item| Condition::read(item, depth)).collect()
}

fn seconds_since(members: &Map<String, Value>) -> Result<Condition, NotACondition> {
    let proof = Proof::ALL.into_iter().find(|proof| members["secondsSince"] == proof.reference());
    let proof = proof.ok_or(NotACondition("about ${session.lastSignOn.withAuthenticator.pwd.at} or ${session.lastSignOn.withAuthenticator.mfa.at} in secondsSince"))?;
    let greater = members["greater"].as_u64().and_then(|seconds| u32::try_from(seconds).ok());
    let greater = greater.filter(|seconds| *seconds <= MAX_SECONDS);
    let form = NotACondition("a whole number from 0 to 31536000 in greater");
    Ok(Condition::SecondsSince { proof, greater: greater.ok_or(form)? })
}

fn networks(members: &Map<String, Value>, form: &'static str) -> Result<Condition, NotACondition> {
    let ranges = members["ipRange"].as_array().filter(|_| members["contains"] == REMOTE);
    let ranges = ranges.ok_or(NotACondition(form))?;
    if !(1..=MAX_LIST).contains(&ranges.len()) {
        return Err(NotACondition("a list of 1 to 100 networks in ipRange"));
    }
    let read = |range: &Value| Network::parse(range.as_str().unwrap_or_default());
    Ok(Condition::InNetworks(ranges.iter().map(read).collect::<Result<_, _>>()?))
}

fn equals(members: &Map<String, Value>) -> Result<Condition, NotACondition> {
    let form =
        NotACondition("about something of the user, such as ${user.population.id}, in value");
    let reference = members["value"].as_str().filter(|text| is_reference(text)).ok_or(form)?;
    let equals = &members["equals"];
    let text = equals.as_str().filter(|text| text.chars().count() <= MAX_TEXT);
    let text = text.map(|text| Scalar::Text(text.to_owned()));
    let value = text.or_else(|| equals.as_bool().map(Scalar::Truth));
    let form = NotACondition("text of at most 256 characters, true or false in equals");
    let value = value.ok_or(form)?;
    Ok(Condition::Equals { reference: reference.to_owned(), value })
}

/// Whether a text is one reference to a user, and nothing else.
fn is_reference(text: &str) -> bool {
    let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|inner| !inner.contains(['{', '}'])) && Expression::parse(text).is_ok()
}

fn risk(value: &Value) -> Result<Condition, NotACondition> {
    if value.to_string().len() > 8 * 1_024 {
        return Err(NotACondition("of at most 8192 characters"));
    }
    Ok(Condition::Risk(value.clone()))
}

impl TryFrom<Value> for Condition {
    type Error = NotACondition;

    fn try_from(value: Value) -> Result<Self, NotACondition> {
        Self::parse(&value)
    }
}

impl From<Condition> for Value {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::SecondsSince { proof, greater } => {
                json!({ "secondsSince": proof.reference(), "greater": greater })
            }
            Condition::InNetworks(networks) => {
                let ranges: Vec<String> = networks.into_iter().map(|network| network.0).collect();
                json!({ "contains": REMOTE, "ipRange": ranges })
            }
            Condition::Equals { reference, value: Scalar::Text(text) } => {
                json!({ "value": reference, "equals": text })
            }
            Condition::Equals { reference, value: Scalar::Truth(truth) } => {
                json!({ "value": reference, "equals": truth })
            }
            Condition::Risk(value) => value,
            Condition::And(parts) => json!({ "and": parts }),
            Condition::Or(parts) => json!({ "or": parts }),
            Condition::Not(condition) => json!({ "not": condition }),
        }
    }
}

#[cfg(test)]
mod tests;
