//! Groups on the wire, and who is in them.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_domain::{group::Group, id::Id, role::Area, user::User};
use countersign_protocol::time::Timestamp;
use countersign_store::configured::Range;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    administrator::Administrator,
    hal::{Address, Page, Reference, Wanted},
    refusal::{Refusal, not_found, parse},
    resource::{New, Resource, id_in, kept, show},
};
use crate::app::{AdministerError, App};

/// Users that belong together.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Group")]
pub(super) struct Body {
    /// Unique in the environment, 1 to 256 characters.
    name: String,
    /// For administrators, at most 1,024 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// The only population whose users can be in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    population: Option<Reference>,
    /// What it is called elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(flatten)]
    kept: Kept,
}

/// What is kept for others, and not acted on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Kept {
    /// Who is in the group by themselves. Nobody is yet: users join.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_filter: Option<String>,
    /// What others want to know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_data: Option<Map<String, Value>>,
}

impl Resource for Group {
    const NAME: &'static str = "group";
    const COLLECTION: &'static str = "groups";
    const AREA: Area = Area::Users;
    type Body = Body;

    fn blank(new: &New<Self>) -> Self {
        Self {
            id: new.id,
            environment: new.environment,
            name: String::new(),
            description: None,
            population: None,
            external_id: None,
            told: None,
            created_at: new.now,
            updated_at: new.now,
        }
    }

    fn put(&mut self, body: Body) -> Result<(), AdministerError> {
        let Body { name, description, population, external_id, kept: _ } = body;
        (self.name, self.description, self.external_id) = (name, description, external_id);
        let population = population.map(|population| id_in(&population.id, "population.id"));
        self.population = population.transpose()?;
        Ok(())
    }

    fn body(&self) -> Body {
        Body {
            name: self.name.clone(),
            description: self.description.clone(),
            population: self.population.map(Reference::from),
            external_id: self.external_id.clone(),
            kept: kept(self),
        }
    }

    fn times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (Some(self.created_at), Some(self.updated_at))
    }

    fn told(&self) -> Option<&str> {
        self.told.as_deref()
    }

    fn tell(&mut self, told: String) {
        self.told = Some(told);
    }
}

type Answer = Result<Response, Refusal>;

/// Where the groups themselves are.
fn groups(administrator: &Administrator) -> Result<Address, Refusal> {
    let base = administrator.address().base.clone();
    let environment = administrator.address().environment(administrator.environment()?);
    Ok(Address { base, list: format!("{environment}/groups") })
}

/// `GET .../users/{user}/memberOfGroups`
pub(super) async fn of_user(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    RawQuery(query): RawQuery,
) -> Answer {
    let wanted = Wanted::parse(query.as_deref())?;
    let user = administrator.id::<User>("user")?;
    let listed = app.groups_of(administrator.environment()?, user, wanted.range()).await?;
    let address = groups(&administrator)?;
    let items = listed.items.iter().map(|group| show(group, &address)).collect();
    let list = administrator.address();
    Ok(Page::part("groupMemberships", items, &listed, &wanted, list).into_response())
}

/// `POST .../users/{user}/memberOfGroups`
pub(super) async fn join(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let body: Reference = parse(&body)?;
    let (environment, user) = (administrator.environment()?, administrator.id("user")?);
    let group = id_in(&body.id, "id")?;
    let joined = administrator.act(app.join_group(environment, user, group)).await?;
    let location = format!("{}/{}", administrator.address().list, joined.id);
    let shown = show(&joined, &groups(&administrator)?);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(shown)).into_response())
}

/// `GET .../users/{user}/memberOfGroups/{id}`
pub(super) async fn read_membership(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Answer {
    let (environment, user) = (administrator.environment()?, administrator.id::<User>("user")?);
    let group = administrator.id::<Group>("id")?;
    // The one right behind all that come before it.
    let before =
        Id::from_bytes(u128::from_be_bytes(*group.as_bytes()).saturating_sub(1).to_be_bytes());
    let range = Range { after: Some(before), limit: 1 };
    let found = app.groups_of(environment, user, range).await?.items.into_iter().next();
    let found = found.filter(|found| found.id == group).ok_or_else(not_found)?;
    Ok(Json(show(&found, &groups(&administrator)?)).into_response())
}

/// `DELETE .../users/{user}/memberOfGroups/{id}`
pub(super) async fn leave(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let (environment, user) = (administrator.environment()?, administrator.id("user")?);
    let group = administrator.id("id")?;
    administrator.act(app.leave_group(environment, user, group)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
