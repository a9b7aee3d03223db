//! `/v1`: what administrators set up, for worker applications with roles (platform API, sections 1 to 6).
//!
//! Every route is declared here with the permission that it demands; the document at `/openapi.json` is made of the same
//! declarations.

mod administrator;
mod api;
mod hal;
mod population;
mod refusal;
mod resource;
mod role;

use std::sync::Arc;

use axum::{
    Router,
    http::{Method, StatusCode},
};
use countersign_domain::{
    population::Population,
    role::{Area, Permission},
};

use self::{
    api::{Api, JSON, Operation},
    hal::Shown,
};
use crate::app::App;

/// A route of the management API, as tests and documents see it.
#[derive(Clone, Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// What the caller must be allowed to do.
    pub permission: Permission,
}

const OK: StatusCode = StatusCode::OK;
const CREATED: StatusCode = StatusCode::CREATED;

/// The routes.
pub(super) fn router() -> Router<Arc<App>> {
    api().into_router()
}

/// Every route, in the order of their declaration.
#[must_use]
pub fn routes() -> Vec<Route> {
    api().into_routes()
}

fn api() -> Api {
    let api = Api::default().resource::<Population>(
        "/v1/environments/{environment}/populations",
        "/v1/environments/{environment}/populations/{id}",
    );
    roles(api)
}

fn roles(api: Api) -> Api {
    let (read, manage) = (Permission::read(Area::Roles), Permission::manage(Area::Roles));
    let anybody = Permission::read(Area::Environment);
    let mut api = api
        .route(
            Operation::get("/v1/roles", anybody, "List the roles").answers::<role::RoleView>(OK),
            role::list,
        )
        .route(
            Operation::get("/v1/roles/{id}", anybody, "Read a role").answers::<role::RoleView>(OK),
            role::read,
        );
    for (list, one) in [
        (
            "/v1/environments/{environment}/applications/{application}/roleAssignments",
            "/v1/environments/{environment}/applications/{application}/roleAssignments/{id}",
        ),
        (
            "/v1/environments/{environment}/users/{user}/roleAssignments",
            "/v1/environments/{environment}/users/{user}/roleAssignments/{id}",
        ),
    ] {
        let all = Operation::get(list, read, "List the roles of somebody");
        let give = Operation::get(list, manage, "Give a role").by(Method::POST);
        let one_of = Operation::get(one, read, "Read a role of somebody");
        let take = Operation::get(one, manage, "Take a role").by(Method::DELETE);
        api = api
            .route(Operation { is_list: true, ..all }, role::list_assignments)
            .route(give.takes::<role::Body>(JSON).answers::<Shown<role::Body>>(CREATED), role::give)
            .route(one_of.answers::<Shown<role::Body>>(OK), role::read_assignment)
            .route(take.answers_nothing(), role::take);
    }
    api
}
