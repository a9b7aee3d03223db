//! Roles, and who has them (platform API, section 1.9).

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_domain::{
    id::Id,
    invalid::{Invalid, Rule},
    role::{Access, Area, Holder, Role, RoleAssignment, Scope},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    administrator::Administrator,
    hal::{Address, Links, Page, Reference, Shown, Wanted, link, time},
    refusal::{Refusal, not_found, parse},
};
use crate::app::{AdministerError, App};

type Answer = Result<Response, Refusal>;

/// A role of the platform.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Role")]
pub(super) struct RoleView {
    #[serde(rename = "_links")]
    links: Links,
    id: String,
    name: &'static str,
    description: &'static str,
    /// Where it can count.
    applicable_to: [ScopeKind; 2],
    permissions: Vec<PermissionView>,
}

/// Something that a role allows.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Permission")]
struct PermissionView {
    id: String,
    classifier: &'static str,
    description: String,
}

/// Kinds of scopes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ScopeKind {
    Organization,
    Environment,
}

fn view(role: Role, address: &Address) -> RoleView {
    let permission = |area: &Area| {
        let access = role.access(*area)?;
        let kinds = [Access::Read, Access::Manage].into_iter().filter(move |kind| *kind <= access);
        let area = *area;
        Some(kinds.map(move |kind| PermissionView {
            id: format!("{}:{}", kind.word(), area.word()),
            classifier: area.word(),
            description: area.description().to_owned(),
        }))
    };
    RoleView {
        links: Links::from([link("self", format!("{}/roles/{}", address.base, role.id()))]),
        id: role.id().to_string(),
        name: role.name(),
        description: role.description(),
        applicable_to: [ScopeKind::Organization, ScopeKind::Environment],
        permissions: Area::ALL.iter().filter_map(permission).flatten().collect(),
    }
}

/// `GET /v1/roles`
pub(super) async fn list(administrator: Administrator) -> Response {
    let address = administrator.address();
    let roles: Vec<_> = Role::ALL.iter().map(|role| view(*role, address)).collect();
    Page::whole("roles", roles, address).into_response()
}

/// `GET /v1/roles/{id}`
pub(super) async fn read(administrator: Administrator) -> Answer {
    let role = Role::by_id(administrator.id("id")?).ok_or_else(not_found)?;
    Ok(Json(view(role, administrator.address())).into_response())
}

/// A role that somebody has.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RoleAssignment")]
pub(super) struct Body {
    /// The role.
    role: Reference,
    /// Where it counts.
    scope: ScopeBody,
    /// Whether it cannot be taken.
    #[serde(default)]
    read_only: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RoleScope")]
struct ScopeBody {
    /// The environment, or the organization.
    id: String,
    #[serde(rename = "type")]
    kind: ScopeKind,
}

/// The organization that every installation is.
pub(super) const ORGANIZATION: Id<Scope> =
    Id::from_bytes([0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 3, 1]);

impl Body {
    fn of(given: &RoleAssignment) -> Self {
        let (id, kind) = match given.scope {
            Scope::Organization => (ORGANIZATION.to_string(), ScopeKind::Organization),
            Scope::Environment(id) => (id.to_string(), ScopeKind::Environment),
        };
        let scope = ScopeBody { id, kind };
        Self { role: given.role.id().into(), scope, read_only: false }
    }

    fn scope(&self) -> Result<Scope, AdministerError> {
        let unknown = || Invalid::new("scope.id", Rule::Unknown);
        match self.scope.kind {
            ScopeKind::Organization if self.scope.id == ORGANIZATION.to_string() => {
                Ok(Scope::Organization)
            }
            ScopeKind::Organization => Err(unknown().into()),
            ScopeKind::Environment => {
                Ok(Scope::Environment(self.scope.id.parse().map_err(|_| unknown())?))
            }
        }
    }

    fn role(&self) -> Result<Role, AdministerError> {
        let role = self.role.id.parse().ok().and_then(Role::by_id);
        role.ok_or_else(|| Invalid::new("role.id", Rule::Unknown).into())
    }
}

fn shown(given: &RoleAssignment, address: &Address) -> Shown<Body> {
    let links = Links::from([
        link("self", address.of(given.id)),
        link("environment", address.environment(given.environment)),
    ]);
    Shown {
        links,
        id: given.id.to_string(),
        environment: given.environment.into(),
        body: Body::of(given),
        created_at: Some(time(given.created_at)),
        updated_at: None,
    }
}

/// Who has the roles of the address.
fn holder(administrator: &Administrator) -> Result<Holder, Refusal> {
    let application = administrator.id("application").map(Holder::Application);
    Ok(application.or_else(|_| administrator.id("user").map(Holder::User))?)
}

/// `GET .../roleAssignments`
pub(super) async fn list_assignments(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    RawQuery(query): RawQuery,
) -> Answer {
    let wanted = Wanted::parse(query.as_deref())?;
    let holder = holder(&administrator)?.id();
    let environment = administrator.environment()?;
    let listed = app.list::<RoleAssignment>(environment, holder, wanted.range()).await?;
    let address = administrator.address();
    let items = listed.items.iter().map(|given| shown(given, address)).collect();
    Ok(Page::part("roleAssignments", items, &listed, &wanted, address).into_response())
}

/// `POST .../roleAssignments`
pub(super) async fn give(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let body: Body = parse(&body)?;
    let given = (holder(&administrator)?, body.role()?, body.scope()?);
    let environment = administrator.environment()?;
    let give = app.give_role(&administrator.authority, environment, given);
    let given = administrator.act(give).await?;
    let address = administrator.address();
    let location = [(header::LOCATION, address.of(given.id))];
    Ok((StatusCode::CREATED, location, Json(shown(&given, address))).into_response())
}

/// The assignment of the address.
async fn found(app: &App, administrator: &Administrator) -> Result<RoleAssignment, Refusal> {
    let found: RoleAssignment =
        app.get(administrator.environment()?, administrator.id("id")?).await?;
    if found.holder != holder(administrator)? {
        return Err(AdministerError::NotFound.into());
    }
    Ok(found)
}

/// `GET .../roleAssignments/{id}`
pub(super) async fn read_assignment(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Answer {
    let found = found(&app, &administrator).await?;
    Ok(Json(shown(&found, administrator.address())).into_response())
}

/// `DELETE .../roleAssignments/{id}`
pub(super) async fn take(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let found = found(&app, &administrator).await?;
    administrator.act(app.take_role(&administrator.authority, &found)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
