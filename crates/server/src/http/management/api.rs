//! Declarations of routes: each with what it demands of its caller and what goes in and out.

use std::sync::Arc;

use axum::{
    Extension, Router,
    handler::Handler,
    http::{Method, StatusCode},
    routing::{MethodFilter, on},
};
use countersign_domain::role::Permission;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{
    Route,
    hal::{Collection, Shown},
    part::{self, Part, Parts},
    resource::{self, Resource},
};
use crate::app::App;

/// One thing that can be done at an address.
pub(super) struct Operation {
    pub method: Method,
    pub path: &'static str,
    pub permission: Permission,
    /// What it does, in a few words.
    pub summary: String,
    /// The media type of the request and its form, if it has a body.
    pub request: Option<(&'static str, Form)>,
    /// The status of success, and the form of its body, if it has one.
    pub response: (StatusCode, Option<Form>),
    /// Whether it reads `limit`, `cursor` and `filter`.
    pub is_list: bool,
}

/// Makes the schema of a body.
pub(super) type Form = fn(&mut SchemaGenerator) -> Schema;

pub(super) const JSON: &str = "application/json";

impl Operation {
    /// Something that is looked at.
    pub fn get(path: &'static str, permission: Permission, summary: impl Into<String>) -> Self {
        let response = (StatusCode::OK, None);
        let (method, summary) = (Method::GET, summary.into());
        Self { method, path, permission, summary, request: None, response, is_list: false }
    }

    pub fn by(self, method: Method) -> Self {
        Self { method, ..self }
    }

    pub fn takes<B: JsonSchema>(self, media_type: &'static str) -> Self {
        Self { request: Some((media_type, |schemas| schemas.subschema_for::<B>())), ..self }
    }

    pub fn answers<B: JsonSchema>(self, status: StatusCode) -> Self {
        Self { response: (status, Some(SchemaGenerator::subschema_for::<B>)), ..self }
    }

    pub fn answers_nothing(self) -> Self {
        Self { response: (StatusCode::NO_CONTENT, None), ..self }
    }
}

/// The routes so far.
#[derive(Default)]
pub(super) struct Api {
    router: Router<Arc<App>>,
    operations: Vec<Operation>,
}

impl Api {
    /// Adds a route. Its handler has `Administrator` among its arguments, which lets nobody in who may not do this.
    pub fn route<H, T>(self, operation: Operation, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        self.route_of([operation], handler)
    }

    /// Adds a route at which the media type says what is to be done. All of it demands the same permission.
    pub fn route_of<H, T>(
        mut self,
        operations: impl IntoIterator<Item = Operation>,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        let mut operations: Vec<_> = operations.into_iter().collect();
        let Some(first) = operations.first() else { return self };
        let filter = match first.method {
            Method::GET => MethodFilter::GET,
            Method::POST => MethodFilter::POST,
            Method::PUT => MethodFilter::PUT,
            Method::PATCH => MethodFilter::PATCH,
            _ => MethodFilter::DELETE,
        };
        let route = on(filter, handler).layer(Extension(first.permission));
        self.router = self.router.route(first.path, route);
        self.operations.append(&mut operations);
        self
    }

    /// Adds the five routes of something that is listed, read, made, replaced and deleted, at the address of its list.
    pub fn resource<T: Resource>(self, list: &'static str, one: &'static str) -> Self {
        self.resource_by::<T, _, _>(list, one, (resource::create::<T>, resource::replace::<T>))
    }

    /// Like [`Self::resource`], with handlers of its own to make and to replace one.
    pub fn resource_by<T: Resource, C: 'static, R: 'static>(
        self,
        list: &'static str,
        one: &'static str,
        (create, replace): (impl Handler<C, Arc<App>>, impl Handler<R, Arc<App>>),
    ) -> Self {
        let name = T::NAME;
        let (read, manage) = (Permission::read(T::AREA), Permission::manage(T::AREA));
        let all =
            Operation { is_list: true, ..Operation::get(list, read, format!("List: {name}")) };
        self.route(all.answers::<Collection<T>>(StatusCode::OK), resource::list::<T>)
            .route(
                Operation::get(list, manage, format!("Create: {name}"))
                    .by(Method::POST)
                    .takes::<T::Body>(JSON)
                    .answers::<Shown<T::Body>>(StatusCode::CREATED),
                create,
            )
            .route(
                Operation::get(one, read, format!("Read: {name}"))
                    .answers::<Shown<T::Body>>(StatusCode::OK),
                resource::read::<T>,
            )
            .route(
                Operation::get(one, manage, format!("Replace: {name}"))
                    .by(Method::PUT)
                    .takes::<T::Body>(JSON)
                    .answers::<Shown<T::Body>>(StatusCode::OK),
                replace,
            )
            .route(
                Operation::get(one, manage, format!("Delete: {name}"))
                    .by(Method::DELETE)
                    .answers_nothing(),
                resource::delete::<T>,
            )
    }

    /// Adds the five routes of parts of something that is set up, at the address of their list.
    pub fn parts<P: Part>(self, list: &'static str, one: &'static str) -> Self {
        let name = P::NAME;
        let (read, manage) = (Permission::read(P::AREA), Permission::manage(P::AREA));
        let all = Operation::get(list, read, format!("List: {name}"));
        let create = Operation::get(list, manage, format!("Create: {name}")).by(Method::POST);
        let read = Operation::get(one, read, format!("Read: {name}"));
        let replace = Operation::get(one, manage, format!("Replace: {name}")).by(Method::PUT);
        let delete = Operation::get(one, manage, format!("Delete: {name}")).by(Method::DELETE);
        let (ok, created) = (StatusCode::OK, StatusCode::CREATED);
        self.route(all.answers::<Parts<P>>(ok), part::list::<P>)
            .route(
                create.takes::<P::Body>(JSON).answers::<Shown<P::Body>>(created),
                part::create::<P>,
            )
            .route(read.answers::<Shown<P::Body>>(ok), part::read::<P>)
            .route(replace.takes::<P::Body>(JSON).answers::<Shown<P::Body>>(ok), part::replace::<P>)
            .route(delete.answers_nothing(), part::delete::<P>)
    }

    pub fn into_router(self) -> Router<Arc<App>> {
        self.router
    }

    /// What can be done, for the document.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    pub fn into_routes(self) -> Vec<Route> {
        let route = |operation: Operation| {
            let Operation { method, path, permission, .. } = operation;
            Route { method, path, permission }
        };
        self.operations.into_iter().map(route).collect()
    }
}
