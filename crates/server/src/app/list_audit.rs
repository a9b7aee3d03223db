//! Reads the audit log.

use countersign_domain::{
    application::Application,
    audit::{Action, Record, Resource},
    environment::Environment,
    filter::{Filter, Operator},
    id::Id,
    user::User,
};
use countersign_protocol::time::Timestamp;
use countersign_store::{
    StoreError, Tx, Work,
    audit::{self, ENDS},
};

use serde_json::json;

use super::{Activity, App, Fault};

/// Which records are wanted. All that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Recorded at this time or later.
    pub since: Option<Timestamp>,
    /// Recorded before this time.
    pub until: Option<Timestamp>,
    /// Any of these actions; none: any action.
    pub actions: Vec<Action>,
    /// The application that acted.
    pub client: Option<Id<Application>>,
    /// The user who acted.
    pub user: Option<Id<User>>,
    /// Something that it happened to, of whatever kind.
    pub resource: Option<Id<Resource>>,
    /// The name of the request.
    pub correlation: Option<String>,
    /// What else must hold of a record as [`Activity`] tells it.
    pub filter: Option<Filter>,
    /// Newest first.
    pub newest_first: bool,
    /// Where the last page ended.
    pub cursor: Option<Id<Record>>,
    /// The most records of the page: 1 to 1,000.
    pub limit: u32,
}

/// A page of the audit log.
#[derive(Clone, Debug)]
pub struct AuditPage {
    /// The records, in the order that was asked for. There may be none on a page that has a next.
    pub records: Vec<Record>,
    /// Where the next page goes on; none: there are no more.
    pub next: Option<Id<Record>>,
}

/// The most records of a page.
const PAGE: u32 = 1_000;
/// The most records that are looked at for one page: about a tenth of a second.
const SCAN: usize = 20_000;
/// Records that one statement reads.
const CHUNK: u32 = 500;

impl App {
    /// A page of the audit log, oldest first, after a record. At most 1,000 records.
    pub async fn list_audit(
        &self,
        environment: Id<Environment>,
        after: Option<Id<Record>>,
        limit: u32,
    ) -> Result<Vec<Record>, Fault> {
        let query = AuditQuery { cursor: after, limit, ..AuditQuery::default() };
        Ok(self.search_audit(environment, query).await?.records)
    }

    /// A page of the records that a query wants.
    ///
    /// The range of times is read by the key of the table; everything else is looked for in it. A page looks at a bounded number
    /// of records, so it may hold fewer than the limit, and yet have a next one.
    pub async fn search_audit(
        &self,
        environment: Id<Environment>,
        query: AuditQuery,
    ) -> Result<AuditPage, Fault> {
        let query = AuditQuery { limit: query.limit.clamp(1, PAGE), ..query };
        let base_url = self.settings.base_url.clone();
        Ok(self.store.read(Search { environment, query, base_url }).await?)
    }

    /// One record of the audit log.
    pub async fn read_audit(
        &self,
        environment: Id<Environment>,
        id: Id<Record>,
    ) -> Result<Option<Record>, Fault> {
        Ok(self.store.read(Read { environment, id }).await?)
    }
}

struct Read {
    environment: Id<Environment>,
    id: Id<Record>,
}

impl Work for Read {
    type Output = Option<Record>;
    type Error = StoreError;
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Record>, StoreError> {
        audit::load(tx, self.environment, self.id).await
    }
}

/// A filter compares a time with something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time must be written as 2026-01-05T09:00:00Z")]
pub struct FilterTimeError;

impl AuditQuery {
    /// The records of which a filter holds. What it demands of times, actions, actors, resources and requests narrows the search.
    pub fn with(mut self, filter: Filter) -> Result<Self, FilterTimeError> {
        let filter = with_times(filter)?;
        self.narrow(&filter);
        Ok(Self { filter: Some(filter), ..self })
    }

    fn narrow(&mut self, filter: &Filter) {
        match filter {
            Filter::And(one, other) => {
                self.narrow(one);
                self.narrow(other);
            }
            Filter::Or(..) => {
                let mut actions = Vec::new();
                if self.actions.is_empty() && only_actions(filter, &mut actions) {
                    self.actions = actions;
                }
            }
            Filter::Compare { attribute, operator, value } => {
                let Some(value) = value.as_str() else { return };
                if is_time(attribute) {
                    self.narrow_time(*operator, value);
                } else if *operator == Operator::Equal {
                    self.narrow_equal(attribute, value);
                }
            }
            Filter::Not(_) | Filter::Present { .. } => {}
        }
    }

    fn narrow_time(&mut self, operator: Operator, value: &str) {
        let Some(at) = Timestamp::parse_rfc3339(value) else { return };
        match operator {
            Operator::Greater | Operator::GreaterOrEqual => {
                self.since = self.since.max(Some(at));
            }
            Operator::Less | Operator::LessOrEqual => {
                // The place of a record may be a little behind its time.
                let until = at.plus_seconds(1);
                self.until = Some(self.until.map_or(until, |known| known.min(until)));
            }
            _ => {}
        }
    }

    fn narrow_equal(&mut self, attribute: &str, value: &str) {
        match attribute.to_ascii_lowercase().as_str() {
            "action.type" if self.actions.is_empty() => {
                self.actions.extend(named_action(value));
            }
            "actors.user.id" => self.user = self.user.or(value.parse().ok()),
            "actors.client.id" => self.client = self.client.or(value.parse().ok()),
            "resources.id" => self.resource = self.resource.or(value.parse().ok()),
            _ => {}
        }
    }
    /// The ids between which the page lies: behind the first, and up to the second or before it.
    fn range(&self) -> (Id<Record>, Id<Record>) {
        let mut after = self.since.map_or(ENDS.0, Id::before);
        let mut before = self.until.map_or(ENDS.1, Id::before);
        if let Some(cursor) = self.cursor {
            if self.newest_first {
                before = before.min(cursor);
            } else {
                after = after.max(cursor);
            }
        }
        (after, before)
    }

    /// Texts that the JSON of every wanted record holds. It is cheaper to look for them than to read the JSON.
    fn needles(&self) -> Vec<String> {
        let Self { client, user, resource, correlation, .. } = self;
        let action = match self.actions.as_slice() {
            [action] => Some(action.name().to_owned()),
            [] | [_, ..] => None,
        };
        let client = client.as_ref().map(ToString::to_string);
        let user = user.as_ref().map(ToString::to_string);
        let resource = resource.as_ref().map(ToString::to_string);
        let correlation = correlation.as_ref().map(|text| json!(text).to_string());
        [action, client, user, resource, correlation].into_iter().flatten().collect()
    }

    fn wants(&self, record: &Record, base_url: &str) -> bool {
        let actors = record.actors();
        let is = |wanted: Option<Id<Resource>>, found: Option<Id<Resource>>| {
            wanted.is_none() || wanted == found
        };
        (self.actions.is_empty() || self.actions.contains(&record.event.action))
            && is(self.client.map(Id::cast), actors.client.map(|client| client.id.cast()))
            && is(self.user.map(Id::cast), actors.user.map(|user| user.id.cast()))
            && self.resource.is_none_or(|wanted| {
                record.resources().iter().any(|resource| resource.id == wanted)
            })
            && self.correlation.as_ref().is_none_or(|wanted| *wanted == record.correlation)
            && self.filter.as_ref().is_none_or(|filter| {
                let told = serde_json::to_value(Activity::of(record, base_url));
                told.is_ok_and(|told| filter.matches(&told))
            })
    }
}

fn is_time(attribute: &str) -> bool {
    ["recordedat", "createdat"].contains(&attribute.to_ascii_lowercase().as_str())
}

/// The same filter, with times as they are told: so they compare as texts do.
fn with_times(filter: Filter) -> Result<Filter, FilterTimeError> {
    let both =
        |one: Filter, other: Filter| Ok((Box::new(with_times(one)?), Box::new(with_times(other)?)));
    Ok(match filter {
        Filter::And(one, other) => {
            let (one, other) = both(*one, *other)?;
            Filter::And(one, other)
        }
        Filter::Or(one, other) => {
            let (one, other) = both(*one, *other)?;
            Filter::Or(one, other)
        }
        Filter::Not(inner) => Filter::Not(Box::new(with_times(*inner)?)),
        Filter::Compare { attribute, operator, value } if is_time(&attribute) => {
            let at = value.as_str().and_then(Timestamp::parse_rfc3339).ok_or(FilterTimeError)?;
            Filter::Compare { attribute, operator, value: json!(at.to_rfc3339_millis()) }
        }
        filter @ (Filter::Present { .. } | Filter::Compare { .. }) => filter,
    })
}

/// Whether a filter is but a choice of actions, which are added to these.
fn only_actions(filter: &Filter, actions: &mut Vec<Action>) -> bool {
    match filter {
        Filter::Or(one, other) => only_actions(one, actions) && only_actions(other, actions),
        Filter::Compare { attribute, operator: Operator::Equal, value } => {
            let named = value.as_str().and_then(named_action);
            actions.extend(named);
            attribute.eq_ignore_ascii_case("action.type") && named.is_some()
        }
        _ => false,
    }
}

fn named_action(value: &str) -> Option<Action> {
    Action::named(&value.to_ascii_uppercase())
}

struct Search {
    environment: Id<Environment>,
    query: AuditQuery,
    base_url: String,
}

impl Work for Search {
    type Output = AuditPage;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<AuditPage, StoreError> {
        let Self { environment, query, base_url } = self;
        let needles = query.needles();
        let (mut after, mut before) = query.range();
        let (mut records, mut seen) = (Vec::new(), 0);
        loop {
            let chunk = if query.newest_first {
                audit::list_backwards(tx, *environment, (after, before), CHUNK).await?
            } else {
                audit::list(tx, *environment, (after, before), CHUNK).await?
            };
            let is_last = chunk.len() < CHUNK as usize;
            seen += chunk.len();
            for stored in &chunk {
                if query.newest_first {
                    before = stored.0;
                } else {
                    after = stored.0;
                }
                if !needles.iter().all(|needle| stored.1.contains(needle)) {
                    continue;
                }
                let record = audit::read(*environment, stored)?;
                if query.wants(&record, base_url) {
                    records.push(record);
                }
                if records.len() >= query.limit as usize {
                    return Ok(AuditPage { records, next: Some(stored.0) });
                }
            }
            if is_last {
                return Ok(AuditPage { records, next: None });
            }
            if seen >= SCAN {
                let next = Some(if query.newest_first { before } else { after });
                return Ok(AuditPage { records, next });
            }
        }
    }
}
