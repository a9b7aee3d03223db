//! The five things that can be done with whatever is set up: list, create, read, replace, delete.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_domain::{
    environment::Environment,
    filter::Filter,
    id::Id,
    invalid::{Invalid, Rule},
    role::Area,
};
use countersign_protocol::time::Timestamp;
use countersign_store::configured::Range;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    administrator::Administrator,
    hal::{Address, Links, Page, Shown, Wanted, link, time},
    refusal::{Refusal, parse},
};
use crate::app::{AdministerError, Administered, App, Listed, MAX_COUNT};

/// Something that is set up, as it looks on the wire.
pub(super) trait Resource: Administered {
    /// What it is, in words.
    const NAME: &'static str;

    /// The key of its lists.
    const COLLECTION: &'static str;

    /// What one must be allowed to look at or to manage.
    const AREA: Area;

    /// The parameter of the address that names its owner.
    const OWNER: &'static str = "environment";

    /// What is sent, and answered with defaults filled in.
    type Body: Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static;

    /// One about which nothing is known but where it lives. What a body leaves out has these values.
    fn blank(new: &New<Self>) -> Self;

    /// Takes over what a body says. Every member of the body counts: one that is left out is cleared.
    fn put(&mut self, body: Self::Body) -> Result<(), AdministerError>;

    /// What it says.
    fn body(&self) -> Self::Body;

    /// When it was made and last changed.
    fn times(&self) -> (Option<Timestamp>, Option<Timestamp>);

    /// The last body that it was told by, if it is kept. Members that nobody has told are then answered only where they are not
    /// as they would be anyhow, since clients that manage what they set up take anything else for somebody's change.
    fn told(&self) -> Option<&str> {
        None
    }

    /// Keeps the body that it was told by.
    fn tell(&mut self, told: String) {
        let _ = told;
    }

    /// The body of one that was told nothing. Lists have one entry, which is what each entry has that was told nothing.
    fn defaults(blank: &Self) -> Value {
        serde_json::to_value(blank.body()).unwrap_or_default()
    }

    /// Links beside those to itself and its environment.
    fn links(&self, address: &Address) -> Links {
        let _ = address;
        Links::new()
    }
}

/// What a new one is given.
pub(super) struct New<T: Administered> {
    pub id: Id<T>,
    pub environment: Id<Environment>,
    pub owner: Id<T::Owner>,
    pub now: Timestamp,
}

type Answer = Result<Response, Refusal>;

/// A resource as it is answered.
pub(super) fn show<T: Resource>(shown: &T, address: &Address) -> Shown<Value> {
    let mut links = Links::from([
        link("self", address.of(shown.id())),
        link("environment", address.environment(shown.environment())),
    ]);
    links.extend(shown.links(address));
    Shown { links, ..without_links(shown) }
}

/// A resource as filters see it, which can name no link.
pub(super) fn seen<T: Resource>(shown: &T) -> Value {
    serde_json::to_value(without_links(shown)).unwrap_or_default()
}

fn without_links<T: Resource>(shown: &T) -> Shown<Value> {
    let (created_at, updated_at) = shown.times();
    Shown {
        links: Links::new(),
        id: shown.id().to_string(),
        environment: shown.environment().into(),
        body: presented(shown),
        created_at: created_at.map(time),
        updated_at: updated_at.map(time),
    }
}

/// What is told of a resource: everything, but of what nobody has told only what is not as it would be anyhow.
fn presented<T: Resource>(shown: &T) -> Value {
    let body = serde_json::to_value(shown.body()).unwrap_or_default();
    let Some(told) = shown.told().and_then(|told| serde_json::from_str(told).ok()) else {
        return body;
    };
    let new = New {
        id: shown.id(),
        environment: shown.environment(),
        owner: shown.owner(),
        now: Timestamp::from_micros(0),
    };
    without_defaults(body, &told, &T::defaults(&T::blank(&new)))
}

/// A body without the members that are as by default and were not told.
pub(super) fn without_defaults(body: Value, told: &Value, default: &Value) -> Value {
    match (body, told) {
        (Value::Object(members), Value::Object(told)) => {
            let kept = members.into_iter().filter_map(|(name, value)| {
                let default = default.get(&name).unwrap_or(&Value::Null);
                match told.get(&name) {
                    Some(told) => Some((name, without_defaults(value, told, default))),
                    None if value == *default => None,
                    None => Some((name, value)),
                }
            });
            Value::Object(kept.collect())
        }
        (Value::Array(items), Value::Array(told)) if items.len() == told.len() => {
            let default = default.get(0).unwrap_or(&Value::Null);
            let items = items.into_iter().zip(told);
            items.map(|(item, told)| without_defaults(item, told, default)).collect()
        }
        (body, _) => body,
    }
}

/// What a resource keeps for others of the body that it was told by.
pub(super) fn kept<T: Resource, K: DeserializeOwned + Default>(resource: &T) -> K {
    let told = resource.told().and_then(|told| serde_json::from_str(told).ok());
    told.unwrap_or_default()
}

/// A body as it was sent.
#[derive(Clone)]
pub(super) struct Sent<B> {
    body: B,
    /// The members of it that are known, without those that are secret.
    told: String,
}

impl<B: Serialize + DeserializeOwned> Sent<B> {
    /// Reads it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let body: B = parse(bytes)?;
        let sent: Value = parse(bytes)?;
        let known = serde_json::to_value(&body).unwrap_or_default();
        Ok(Self { body, told: sent_of(known, &sent).to_string() })
    }

    /// Takes it over, and keeps it where that is done.
    pub fn put<T: Resource<Body = B>>(self, resource: &mut T) -> Result<(), AdministerError> {
        resource.put(self.body)?;
        resource.tell(self.told);
        Ok(())
    }
}

/// What was sent of a body to which defaults were added as it was read.
fn sent_of(known: Value, sent: &Value) -> Value {
    match (known, sent) {
        (Value::Object(known), Value::Object(sent)) => {
            let told = known.into_iter().filter_map(|(name, value)| {
                let sent = sent.get(&name).filter(|sent| !sent.is_null())?;
                Some((name, sent_of(value, sent)))
            });
            Value::Object(told.collect())
        }
        (Value::Array(known), Value::Array(sent)) if known.len() == sent.len() => {
            known.into_iter().zip(sent).map(|(known, sent)| sent_of(known, sent)).collect()
        }
        (known, _) => known,
    }
}

/// `GET` of a list.
pub(super) async fn list<T: Resource>(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    RawQuery(query): RawQuery,
) -> Answer {
    let wanted = Wanted::parse(query.as_deref())?;
    let address = administrator.address();
    let listed = listed::<T>(&app, &administrator, &wanted).await?;
    let items = listed.items.iter().map(|item| show(item, address)).collect();
    Ok(Page::part(T::COLLECTION, items, &listed, &wanted, address).into_response())
}

/// The part of a list that a request wants.
pub(super) async fn listed<T: Resource>(
    app: &App,
    administrator: &Administrator,
    wanted: &Wanted,
) -> Result<Listed<T>, Refusal> {
    let (environment, owner) = (administrator.environment()?, administrator.id(T::OWNER)?);
    match wanted.filter()? {
        None => Ok(app.list::<T>(environment, owner, wanted.range()).await?),
        Some(filter) => filtered::<T>(app, (environment, owner), wanted, &filter).await,
    }
}

/// What a filter leaves of a list. An environment has few of each kind that is set up, and all are looked at.
async fn filtered<T: Resource>(
    app: &App,
    (environment, owner): (Id<Environment>, Id<T::Owner>),
    wanted: &Wanted,
    filter: &Filter,
) -> Result<Listed<T>, Refusal> {
    let mut found = Vec::new();
    let mut after = None;
    // As far as lists are counted.
    for _ in 0..=MAX_COUNT / 1_000 {
        let part = app.list::<T>(environment, owner, Range { after, limit: 1_000 }).await?;
        found.extend(part.items.into_iter().filter(|item| filter.matches(&seen(item))));
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    let total = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let after = wanted.range().after;
    found.retain(|item: &T| Some(item.id()) > after);
    Ok(Listed::cut(found, wanted.limit, total))
}

/// `POST` to a list.
pub(super) async fn create<T: Resource>(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let environment = administrator.environment()?;
    let owner = administrator.id(T::OWNER)?;
    let new = New { id: app.new_id(), environment, owner, now: app.now() };
    let mut made = T::blank(&new);
    Sent::parse(&body)?.put(&mut made)?;
    let made = administrator.act(app.create(made)).await?;
    Ok(created(&made, administrator.address()))
}

/// 201 with the address of what was made.
pub(super) fn created<T: Resource>(made: &T, address: &Address) -> Response {
    let location = [(header::LOCATION, address.of(made.id()))];
    (StatusCode::CREATED, location, Json(show(made, address))).into_response()
}

/// `GET` of one.
pub(super) async fn read<T: Resource>(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Answer {
    let found = found::<T>(&app, &administrator).await?;
    Ok(Json(show(&found, administrator.address())).into_response())
}

/// The one that the address names, under the owner that it names.
pub(super) async fn found<T: Resource>(
    app: &App,
    administrator: &Administrator,
) -> Result<T, Refusal> {
    let found = app.get::<T>(administrator.environment()?, administrator.id("id")?).await?;
    if found.owner() != administrator.id(T::OWNER)? {
        return Err(AdministerError::NotFound.into());
    }
    Ok(found)
}

/// `PUT` of one.
pub(super) async fn replace<T: Resource>(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let owner = administrator.id::<T::Owner>(T::OWNER)?;
    let sent = Sent::parse(&body)?;
    let edit = move |mut old: T| {
        if old.owner() != owner {
            return Err(AdministerError::NotFound);
        }
        sent.clone().put(&mut old)?;
        Ok(old)
    };
    let (environment, id) = (administrator.environment()?, administrator.id("id")?);
    let replaced = administrator.act(app.replace(environment, id, edit)).await?;
    Ok(Json(show(&replaced, administrator.address())).into_response())
}

/// `DELETE` of one.
pub(super) async fn delete<T: Resource>(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Answer {
    let found = found::<T>(&app, &administrator).await?;
    administrator.act(app.delete(found.environment(), found.id())).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// An id in a body that must be one.
pub(super) fn id_in<T>(
    text: &str,
    target: impl Into<Cow<'static, str>>,
) -> Result<Id<T>, AdministerError> {
    let rule = Rule::Form { form: "an id: a UUID in lower case" };
    text.parse().map_err(|_| Invalid::new(target, rule).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nobody_has_told_is_answered_only_where_it_is_not_as_by_default() {
        let default = json!({ "a": 1, "b": { "c": 2, "d": 3 }, "list": [{ "on": false, "n": 5 }] });
        let body = json!({
            "a": 1, "b": { "c": 2, "d": 4 }, "list": [{ "id": "x", "on": false, "n": 5 }], "e": 9,
        });
        let told = json!({ "b": { "c": 2 }, "list": [{ "id": "x", "on": false }] });
        let shown = without_defaults(body.clone(), &told, &default);
        let expected =
            json!({ "b": { "c": 2, "d": 4 }, "list": [{ "id": "x", "on": false }], "e": 9 });
        assert_eq!(shown, expected);
        assert_eq!(without_defaults(body.clone(), &json!({}), &default), {
            let mut all = body;
            all.as_object_mut().unwrap().remove("a");
            all
        });
    }
}
