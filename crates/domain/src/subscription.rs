//! Subscriptions: webhooks by which others are told of the audit log.

mod delivery;

use std::collections::{BTreeMap, BTreeSet};

use countersign_protocol::{secret::Secret, time::Timestamp};
use serde::{Deserialize, Serialize};
use url::Url;

pub use self::delivery::{Delivery, Failure, KEPT_SECONDS, LEASE_SECONDS, Lease};
use crate::{
    application::Application,
    audit::{Action, Kind, Record},
    environment::Environment,
    id::Id,
    invalid::{Check, Invalid, Rule},
    population::Population,
    sealed::Sealed,
    user::User,
};

/// Somebody who wants to be told of the audit log of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id.
    pub id: Id<Subscription>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// 1 to 256 characters.
    pub name: String,
    /// Whether it is told. What happens meanwhile is kept for [`KEPT_SECONDS`].
    pub enabled: bool,
    /// Whether the receiver must show a certificate that the platform believes.
    pub verify_tls_certificates: bool,
    /// How records are written.
    pub format: Format,
    /// Where they are sent.
    pub url: String,
    /// Header fields that go with them, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Sealed>,
    /// Which records it is told of, and what of them.
    pub filter: FilterOptions,
    /// How many at a time, and in which form.
    pub payload: Payload,
    /// The last body that the platform API was told it by, without the header fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// How records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Format {
    /// As the platform API writes them.
    #[default]
    Activity,
    /// As the HTTP Event Collector of Splunk reads them.
    Splunk,
    /// As the Log API of New Relic reads them.
    NewRelic,
}

/// Which records are wanted, and what of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterOptions {
    /// Names of actions, one at least. Those of which this version knows nothing never occur.
    pub action_types: Vec<String>,
    /// Only of these applications; none: of all.
    pub applications: Vec<Id<Application>>,
    /// Only of these populations; none: of all.
    pub populations: Vec<Id<Population>>,
    /// Only with all of these tags.
    pub tags: Vec<Tag>,
    /// Whether it is told the addresses of callers.
    pub ip_address_exposed: bool,
    /// Whether it is told what callers call themselves.
    pub user_agent_exposed: bool,
}

/// What marks a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tag {
    /// Somebody was given a role or has lost one.
    AdminIdentityEvent,
}

/// How records are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// The most of one call.
    pub limit: PayloadLimit,
    /// What is around the records.
    pub encoding: Encoding,
    /// Whether it is written for people, on many lines.
    pub pretty_print: bool,
}

/// The most of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "size", rename_all = "snake_case")]
pub enum PayloadLimit {
    /// Records, 1 to 500.
    Events(u32),
    /// Units of 1,024 bytes, 1 to 4,096. A record that is larger goes alone.
    Kilobytes(u32),
}

impl Default for PayloadLimit {
    fn default() -> Self {
        Self::Events(MAX_EVENTS)
    }
}

/// What is around the records of a call in the format [`Format::Activity`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// An array.
    #[default]
    JsonArray,
    /// A record a line.
    NdJson,
}

/// The most records of one call, whatever its limit.
pub const MAX_EVENTS: u32 = 500;

const MAX_ACTIONS: usize = 500;
const MAX_ACTION_CHARACTERS: usize = 100;
const MAX_REFERENCES: usize = 10;
const MAX_URL_CHARACTERS: usize = 2_048;
const MAX_HEADERS: usize = 20;
const MAX_HEADER_NAME_CHARACTERS: usize = 100;
const MAX_HEADER_CHARACTERS: usize = 4_096;

/// Header fields that the platform sets, or by which one call could be taken for another.
const OWN_HEADERS: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-encoding",
];

impl Subscription {
    /// The rules for what an administrator may store.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text(&self.name, "name", 256);
        let form = "an https address without user, password and fragment";
        check.require(is_address(&self.url), "http_endpoint.url", Rule::Form { form });
        self.filter.check(&mut check);
        let (size, max) = match self.payload.limit {
            PayloadLimit::Events(size) => (size, MAX_EVENTS),
            PayloadLimit::Kilobytes(size) => (size, 4_096),
        };
        let target = "payload_options.maximum_payload_limit.size";
        check.range(size.into(), target, 1, max.into());
        check.finish()
    }

    /// Whether it is to be told of a record. `population` knows of users where they are, as far as it is known.
    #[must_use]
    pub fn wants(&self, record: &Record, population: &Populations) -> bool {
        let FilterOptions { action_types, applications, populations, tags, .. } = &self.filter;
        let event = &record.event;
        let actors = record.actors();
        let is_of_application = || {
            let named = [&event.application, &actors.client];
            named.into_iter().flatten().any(|application| applications.contains(&application.id))
                || record.resources().iter().any(|resource| {
                    resource.kind == Kind::Application && applications.contains(&resource.id.cast())
                })
        };
        let is_of_population = || {
            let users = [&event.user, &actors.user].into_iter().flatten().map(|user| user.id);
            let users = users.filter_map(|user| population.get(&user));
            users.into_iter().any(|population| populations.contains(population))
                || record.resources().iter().any(|resource| {
                    resource.kind == Kind::Population && populations.contains(&resource.id.cast())
                })
        };
        action_types.iter().any(|wanted| wanted == event.action.name())
            && (applications.is_empty() || is_of_application())
            && (populations.is_empty() || is_of_population())
            && tags.iter().all(|tag| tag.marks(event.action))
    }
}

/// In which population users are.
pub type Populations = BTreeMap<Id<User>, Id<Population>>;

impl Tag {
    /// Whether it marks records of an action.
    #[must_use]
    pub fn marks(self, action: Action) -> bool {
        match self {
            Self::AdminIdentityEvent => {
                [Action::RoleAssignmentCreated, Action::RoleAssignmentDeleted].contains(&action)
            }
        }
    }
}

impl FilterOptions {
    fn check(&self, check: &mut Check) {
        let target = "filter_options.included_action_types";
        check.require(!self.action_types.is_empty(), target, Rule::Required);
        let is_bounded = self.action_types.len() <= MAX_ACTIONS;
        check.require(is_bounded, target, Rule::Form { form: "at most 500 names" });
        let form = "names of actions, such as DEVICE.CREATED";
        let are_names = self.action_types.iter().all(|name| is_action_type(name));
        check.require(are_names, target, Rule::Form { form });
        let form = "at most 10 of them";
        for (count, target) in [
            (self.applications.len(), "filter_options.included_applications"),
            (self.populations.len(), "filter_options.included_populations"),
            (self.tags.len(), "filter_options.included_tags"),
        ] {
            check.require(count <= MAX_REFERENCES, target, Rule::Form { form });
        }
    }
}

fn is_action_type(name: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    let parts = name.split_once('.');
    name.len() <= MAX_ACTION_CHARACTERS
        && parts.is_some_and(|(noun, verb)| is_word(noun) && is_word(verb))
}

/// Whether this machine may be called by `http` is for the server to say.
fn is_address(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    text.len() <= MAX_URL_CHARACTERS
        && matches!(url.scheme(), "https" | "http")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
}

/// The rules for header fields that go with every call.
pub fn validate_headers(headers: &BTreeMap<String, Secret<String>>) -> Result<(), Invalid> {
    let target = "http_endpoint.headers";
    let mut check = Check::default();
    let is_bounded = headers.len() <= MAX_HEADERS;
    check.require(is_bounded, target, Rule::Form { form: "at most 20 fields" });
    let mut names = BTreeSet::new();
    let mut characters = 0;
    for (name, value) in headers {
        let value = value.expose();
        characters += name.len() + value.len();
        let is_token = !name.is_empty()
            && name.len() <= MAX_HEADER_NAME_CHARACTERS
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        let form = "named by letters, digits and hyphens";
        check.require(is_token, target, Rule::Form { form });
        let name = name.to_ascii_lowercase();
        let is_own = OWN_HEADERS.contains(&name.as_str())
            || name.starts_with("webhook-")
            || name.starts_with("proxy-");
        let form = "other fields than those that the platform sets";
        check.require(!is_own, target, Rule::Form { form });
        let is_text = value.bytes().all(|b| b == b'\t' || (0x20..0x7f).contains(&b));
        let is_trimmed = value.trim() == value;
        let form = "printable ASCII text without surrounding space";
        check.require(is_text && is_trimmed, target, Rule::Form { form });
        check.require(names.insert(name), target, Rule::Unique);
    }
    check.require(
        characters <= MAX_HEADER_CHARACTERS,
        target,
        Rule::TooLong { max: MAX_HEADER_CHARACTERS },
    );
    check.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{Actors, Event, Mentionable},
        fixture::{application, assert_told, id, population, record, subscription, user},
    };

    #[test]
    fn each_broken_rule_is_told() {
        const URL: &str =
            "http_endpoint.url must be an https address without user, password and fragment";
        const TYPES: &str =
            "filter_options.included_action_types must be names of actions, such as DEVICE.CREATED";
        const EVENTS: &str = "payload_options.maximum_payload_limit.size must be from 1 to 500";
        const SIZE: &str = "payload_options.maximum_payload_limit.size must be from 1 to 4096";
        assert_told(
            subscription,
            Subscription::validate,
            &[
                (|s| s.name = String::new(), "name must be given"),
                (|s| s.name = "x".repeat(256), ""),
                (|s| s.url = "https://siem.example".to_owned(), ""),
                (|s| s.url = "https://siem.example:8443/in?a=b".to_owned(), ""),
                (|s| s.url = "siem.example".to_owned(), URL),
                (|s| s.url = "ftp://siem.example".to_owned(), URL),
                (|s| s.url = "https://a@siem.example".to_owned(), URL),
                (|s| s.url = "https://:b@siem.example".to_owned(), URL),
                (|s| s.url = "https://siem.example/#c".to_owned(), URL),
                (|s| s.url = format!("https://siem.example/{}", "x".repeat(2_048)), URL),
                (
                    |s| s.filter.action_types.clear(),
                    "filter_options.included_action_types must be given",
                ),
                (|s| s.filter.action_types = vec!["FLOW.EATEN".to_owned()], ""),
                (|s| s.filter.action_types = vec!["DEVICE".to_owned()], TYPES),
                (|s| s.filter.action_types = vec!["device.created".to_owned()], TYPES),
                (|s| s.filter.action_types = vec![format!("A.{}", "B".repeat(99))], TYPES),
                (
                    |s| s.filter.action_types = vec!["A.B".to_owned(); 501],
                    "filter_options.included_action_types must be at most 500 names",
                ),
                (|s| s.filter.applications = vec![id(1); 10], ""),
                (
                    |s| s.filter.applications = vec![id(1); 11],
                    "filter_options.included_applications must be at most 10 of them",
                ),
                (
                    |s| s.filter.populations = vec![id(1); 11],
                    "filter_options.included_populations must be at most 10 of them",
                ),
                (|s| s.payload.limit = PayloadLimit::Events(0), EVENTS),
                (|s| s.payload.limit = PayloadLimit::Events(501), EVENTS),
                (|s| s.payload.limit = PayloadLimit::Kilobytes(4_096), ""),
                (|s| s.payload.limit = PayloadLimit::Kilobytes(4_097), SIZE),
            ],
        );
    }

    #[test]
    fn header_fields_cannot_make_two_calls_of_one() {
        let told = |name: &str, value: &str| {
            let headers = BTreeMap::from([(name.to_owned(), Secret::new(value.to_owned()))]);
            validate_headers(&headers).is_ok()
        };
        assert!(
            told("Authorization", "Bearer x") && told("X-Empty", "") && told("content-type", "a/b")
        );
        for name in ["", "a b", "a:", "ä", "Host", "CONTENT-LENGTH", "Webhook-Id", "Proxy-X", "te"]
        {
            assert!(!told(name, "x"), "{name}");
        }
        for value in ["a\r\nb: c", "a\nb", "\u{0}", "ä", " a", "a "] {
            assert!(!told("X-A", value), "{value:?}");
        }
        assert!(!told("X-A", &"x".repeat(4_094)) && told("X-A", &"x".repeat(4_093)));
        let field = |name: &str| (name.to_owned(), Secret::new(String::new()));
        assert!(validate_headers(&BTreeMap::from([field("X-A"), field("x-a")])).is_err());
        let many = (0..21).map(|n| field(&format!("X-{n}"))).collect();
        assert!(validate_headers(&many).is_err());
    }

    #[test]
    fn a_record_is_wanted_if_all_that_is_asked_of_it_holds() {
        let of = |event: Event| {
            let mut record = record();
            (record.entry.event, record.entry.by) = (event, None);
            record
        };
        let nowhere = Populations::new();
        let mut wanting = subscription();
        let created = of(Event::succeeded(Action::DeviceCreated).about(&user()));
        assert!(wanting.wants(&created, &nowhere));
        assert!(!wanting.wants(&of(Event::succeeded(Action::FlowCreated)), &nowhere));
        // Of an application: through it, by it, or about it.
        wanting.filter.applications = vec![application().id];
        assert!(!wanting.wants(&created, &nowhere));
        assert!(wanting.wants(&of(created.event.clone().through(&application())), &nowhere));
        let client = (&application()).mention();
        let mut by = created.clone();
        by.entry.by = Some(Actors { client, user: None, platform: None });
        assert!(wanting.wants(&by, &nowhere));
        assert!(wanting.wants(&of(created.event.clone().to(&application())), &nowhere));
        // Of a population: of a user who is in it, or about it.
        wanting.filter.applications = vec![];
        wanting.filter.populations = vec![population().id];
        assert!(!wanting.wants(&created, &nowhere));
        assert!(wanting.wants(&created, &Populations::from([(user().id, population().id)])));
        assert!(!wanting.wants(&created, &Populations::from([(user().id, id(9))])));
        assert!(wanting.wants(&of(created.event.clone().to(&population())), &nowhere));
        wanting.filter.populations = vec![];
        wanting.filter.tags = vec![Tag::AdminIdentityEvent];
        assert!(!wanting.wants(&created, &nowhere));
        wanting.filter.action_types.push("ROLE_ASSIGNMENT.CREATED".to_owned());
        assert!(wanting.wants(&of(Event::succeeded(Action::RoleAssignmentCreated)), &nowhere));
    }
}
