//! Parts of what is set up that have addresses of their own and are kept in the whole, since they are read with it: listed, made,
//! read, replaced and deleted.

use std::{borrow::Cow, marker::PhantomData, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_domain::{id::Id, role::Area};
use countersign_protocol::time::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    administrator::Administrator,
    hal::{Links, Page, Shown, link, time},
    refusal::{Refusal, parse},
};
use crate::app::{AdministerError, Administered, App};

/// A part, as it looks on the wire.
pub(super) trait Part: Clone + Send + Sync + 'static {
    /// What it is a part of.
    type Whole: Administered;

    /// What it is, in words.
    const NAME: &'static str;

    /// The key of its lists, and the end of their address.
    const COLLECTION: &'static str;

    /// What one must be allowed to look at or to manage.
    const AREA: Area;

    /// The parameter of the address that names the whole, and the relation of the link to it.
    const WHOLE: &'static str;

    /// What is sent and answered.
    type Body: Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static;

    /// Its id.
    fn id(&self) -> Id<Self>;

    /// All parts of a whole. They are few, and come in one list.
    fn all(whole: &Self::Whole) -> Vec<Self>;

    /// What a body tells of one.
    fn read(body: Self::Body, place: &Place<'_, Self>) -> Result<Self, AdministerError>;

    /// What it says.
    fn body(&self, whole: &Self::Whole) -> Self::Body;

    /// When it was made and last changed, where that is known.
    fn times(&self) -> Option<(Timestamp, Timestamp)> {
        None
    }

    /// Adds it, or puts it in the place of what it replaces.
    fn put(self, whole: &mut Self::Whole) -> Result<(), AdministerError>;

    /// Takes it away.
    fn remove(&self, whole: &mut Self::Whole) -> Result<(), AdministerError>;
}

/// The schema of a list of parts.
pub(super) struct Parts<P>(PhantomData<P>);

impl<P: Part> JsonSchema for Parts<P> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Collection", P::Body::schema_name()).into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let item = schemas.subschema_for::<Shown<P::Body>>();
        json_schema!({
            "type": "object",
            "required": ["_embedded"],
            "properties": {
                "_embedded": {
                    "type": "object",
                    "required": [P::COLLECTION],
                    "properties": { P::COLLECTION: { "type": "array", "items": item } },
                },
            },
        })
    }
}

/// Where a body goes.
pub(super) struct Place<'a, P> {
    /// The id of the part.
    pub id: Id<P>,
    /// What it replaces.
    pub old: Option<&'a P>,
    /// The time.
    pub now: Timestamp,
}

/// Puts a part in the place of the one with its id, or at the end.
pub(super) fn put_in<P: Part>(parts: &mut Vec<P>, new: P) {
    match parts.iter_mut().find(|part| part.id() == new.id()) {
        Some(part) => *part = new,
        None => parts.push(new),
    }
}

type Answer = Result<Response, Refusal>;

fn shown<P: Part>(
    administrator: &Administrator,
    part: &P,
    whole: &P::Whole,
) -> Result<Shown<P::Body>, Refusal> {
    let (address, environment) = (administrator.address(), administrator.environment()?);
    let list = address.list.as_str();
    let of = list.strip_suffix(P::COLLECTION).unwrap_or(list).trim_end_matches('/').to_owned();
    let links = Links::from([
        link("self", address.of(part.id())),
        link("environment", address.environment(environment)),
        link(P::WHOLE, of),
    ]);
    let (created_at, updated_at) = part.times().unzip();
    Ok(Shown {
        links,
        id: part.id().to_string(),
        environment: environment.into(),
        body: part.body(whole),
        created_at: created_at.map(time),
        updated_at: updated_at.map(time),
    })
}

fn find<P: Part>(whole: &P::Whole, id: Id<P>) -> Result<P, AdministerError> {
    P::all(whole).into_iter().find(|part| part.id() == id).ok_or(AdministerError::NotFound)
}

/// The whole that the address names.
async fn whole<P: Part>(app: &App, administrator: &Administrator) -> Result<P::Whole, Refusal> {
    let (environment, id) = (administrator.environment()?, administrator.id(P::WHOLE)?);
    Ok(app.get(environment, id).await?)
}

/// Changes the whole that the address names.
async fn change<P: Part>(
    app: &App,
    administrator: &Administrator,
    edit: impl Fn(&mut P::Whole) -> Result<(), AdministerError> + Send + Sync + 'static,
) -> Result<P::Whole, Refusal> {
    let (environment, id) = (administrator.environment()?, administrator.id(P::WHOLE)?);
    let edit = move |mut whole: P::Whole| {
        edit(&mut whole)?;
        Ok(whole)
    };
    Ok(administrator.act(app.replace(environment, id, edit)).await?)
}

/// `GET` of all.
pub(super) async fn list<P: Part>(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Answer {
    let whole = whole::<P>(&app, &administrator).await?;
    let items = P::all(&whole);
    let items = items.iter().map(|part| shown(&administrator, part, &whole));
    let items = items.collect::<Result<_, _>>()?;
    Ok(Page::whole(P::COLLECTION, items, administrator.address()).into_response())
}

/// `GET` of one.
pub(super) async fn read<P: Part>(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Answer {
    let whole = whole::<P>(&app, &administrator).await?;
    let part = find::<P>(&whole, administrator.id("id")?)?;
    Ok(Json(shown(&administrator, &part, &whole)?).into_response())
}

/// `POST` to the list.
pub(super) async fn create<P: Part>(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let body: P::Body = parse(&body)?;
    let (id, now) = (app.new_id(), app.now());
    let new = P::read(body, &Place { id, old: None, now })?;
    let changed = change::<P>(&app, &administrator, move |whole| new.clone().put(whole)).await?;
    let made = find::<P>(&changed, id)?;
    let location = [(header::LOCATION, administrator.address().of(id))];
    let made = shown(&administrator, &made, &changed)?;
    Ok((StatusCode::CREATED, location, Json(made)).into_response())
}

/// `PUT` of one.
pub(super) async fn replace<P: Part>(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let body: P::Body = parse(&body)?;
    let (id, now) = (administrator.id("id")?, app.now());
    let changed = change::<P>(&app, &administrator, move |whole| {
        let old = find::<P>(whole, id)?;
        P::read(body.clone(), &Place { id, old: Some(&old), now })?.put(whole)
    });
    let changed = changed.await?;
    let replaced = find::<P>(&changed, id)?;
    Ok(Json(shown(&administrator, &replaced, &changed)?).into_response())
}

/// `DELETE` of one.
pub(super) async fn delete<P: Part>(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Answer {
    let id = administrator.id("id")?;
    let changed =
        change::<P>(&app, &administrator, move |whole| find::<P>(whole, id)?.remove(whole));
    changed.await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
