//! What answers look like: resources with links, and parts of lists (platform API, section 1.4).

use std::{borrow::Cow, collections::BTreeMap};

use axum::Json;
use countersign_domain::{environment::Environment, filter::Filter, id::Id};
use countersign_protocol::{encoding, time::Timestamp};
use countersign_store::configured::Range;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{refusal::Refusal, resource::Resource};
use crate::{app::Listed, http::form::Members};

/// Where something is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Link {
    /// The absolute address.
    pub href: String,
}

/// Links by their relations.
pub(super) type Links = BTreeMap<Cow<'static, str>, Link>;

/// Something else, by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Reference {
    /// Its id.
    pub id: String,
}

impl<T> From<Id<T>> for Reference {
    fn from(id: Id<T>) -> Self {
        Self { id: id.to_string() }
    }
}

/// A resource as it is answered: what its body says, and what only the platform says.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown<B> {
    /// What belongs to it, and what can be done.
    #[serde(rename = "_links")]
    pub links: Links,
    /// Its id.
    pub id: String,
    /// The environment that it lives in.
    pub environment: Reference,
    /// What it is.
    #[serde(flatten)]
    pub body: B,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

/// A part of a list.
#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    #[serde(rename = "_links")]
    pub links: Links,
    #[serde(rename = "_embedded")]
    pub embedded: BTreeMap<&'static str, Vec<T>>,
    /// How many there are in all, as far as 10,000.
    pub count: i64,
    /// How many are in this part.
    pub size: usize,
}

impl<T: Serialize> Page<T> {
    /// A part of a list, with its entries as they are shown.
    pub fn part<L>(
        collection: &'static str,
        items: Vec<T>,
        listed: &Listed<L>,
        wanted: &Wanted,
        address: &Address,
    ) -> Json<Self> {
        let Json(mut page) = Self::whole(collection, items, address);
        page.count = listed.total;
        if let Some(last) = listed.next {
            page.links.extend([link("next", wanted.next(&address.list, last))]);
        }
        Json(page)
    }

    /// A list that comes whole, since it is short.
    pub fn whole(collection: &'static str, items: Vec<T>, address: &Address) -> Json<Self> {
        let links = Links::from([link("self", address.list.clone())]);
        let (count, size) = (i64::try_from(items.len()).unwrap_or(i64::MAX), items.len());
        Json(Self { links, embedded: [(collection, items)].into(), count, size })
    }
}

/// The schema of a [`Page`] of a resource.
pub(super) struct Collection<T>(std::marker::PhantomData<T>);

impl<T: Resource> JsonSchema for Collection<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Collection", T::Body::schema_name()).into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let item = schemas.subschema_for::<Shown<T::Body>>();
        let links = schemas.subschema_for::<Links>();
        json_schema!({
            "type": "object",
            "required": ["_links", "_embedded", "count", "size"],
            "properties": {
                "_links": links,
                "_embedded": {
                    "type": "object",
                    "required": [T::COLLECTION],
                    "properties": { T::COLLECTION: { "type": "array", "items": item } },
                },
                "count": { "type": "integer", "description": "How many there are in all, as far as 10,000." },
                "size": { "type": "integer", "description": "How many are in this part." },
            },
        })
    }
}

/// A time as it is written.
pub(super) fn time(at: Timestamp) -> String {
    at.to_rfc3339_millis()
}

/// The addresses of one request: of what is asked for, and of its environment.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// `https://HOST/v1`.
    pub base: String,
    /// The path of the list, absolute.
    pub list: String,
}

impl Address {
    /// The address of one entry of the list.
    pub fn of<T>(&self, id: Id<T>) -> String {
        format!("{}/{id}", self.list)
    }

    /// The address of an environment.
    pub fn environment(&self, id: Id<Environment>) -> String {
        format!("{}/environments/{id}", self.base)
    }
}

/// A link without anything else.
pub(super) fn link(relation: &'static str, href: String) -> (Cow<'static, str>, Link) {
    (Cow::Borrowed(relation), Link { href })
}

/// What a request for a list says: which part, and of what.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub limit: u16,
    pub cursor: Option<[u8; 16]>,
    pub filter: Option<String>,
}

/// Entries of a part, unless the request says how many.
const DEFAULT_LIMIT: u16 = 100;
const MAX_LIMIT: u16 = 1_000;

impl Wanted {
    pub fn parse(query: Option<&str>) -> Result<Self, Refusal> {
        let members = Members::parse(query.unwrap_or_default().as_bytes())
            .map_err(|error| Refusal::invalid_request(error.to_string()))?;
        let limit = match members.text("limit") {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| Refusal::out_of_range("limit", 1, MAX_LIMIT.into()))?,
        };
        let read = |text: String| encoding::decode(&text).ok()?.try_into().ok();
        let cursor = match members.text("cursor") {
            None => None,
            Some(text) => Some(read(text).ok_or_else(Refusal::not_a_cursor)?),
        };
        Ok(Self { limit, cursor, filter: members.text("filter") })
    }

    /// The part of a list that it is.
    pub fn range<T>(&self) -> Range<T> {
        Range { after: self.cursor.map(Id::from_bytes), limit: self.limit }
    }

    /// What must hold of the entries, if it says so.
    pub fn filter(&self) -> Result<Option<Filter>, Refusal> {
        let filter = self.filter.as_deref().map(Filter::parse).transpose();
        filter.map_err(|error| Refusal::invalid_request(format!("filter: {error}")))
    }

    /// The address of the part behind an entry.
    pub fn next<T>(&self, list: &str, from: Id<T>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(filter) = &self.filter {
            query.append_pair("filter", filter);
        }
        query.append_pair("limit", &self.limit.to_string());
        query.append_pair("cursor", &encoding::encode(from.as_bytes()));
        format!("{list}?{}", query.finish())
    }
}
