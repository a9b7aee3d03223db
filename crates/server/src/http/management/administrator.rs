//! Who administers: a worker application with roles, by an access token of its own, or a user with roles, at the console.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use countersign_domain::{
    environment::Environment,
    id::Id,
    role::{Area, Authority, Holder, Permission},
};

use super::{hal::Address, refusal::not_found};
use crate::{
    app::{AccessToken, App, Attendant, Fault, Worker},
    http::{
        problem::{FaultResponse, Problem},
        worker,
    },
};

/// An administrator who may do what the route demands, in the environment of the address.
pub(super) struct Administrator {
    caller: Caller,
    /// What its roles allow.
    pub authority: Authority,
    /// The environment of the address; none for the organization itself.
    environment: Option<Id<Environment>>,
    parameters: Vec<(String, String)>,
    address: Address,
}

/// Who calls.
enum Caller {
    Worker(Box<Worker>),
    /// The console puts it beside the request, which no request from outside can do.
    Attendant(Box<Attendant>),
}

impl FromRequestParts<Arc<App>> for Administrator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let parameters = Path::<Vec<(String, String)>>::from_request_parts(parts, app).await;
        let parameters = parameters.map(|Path(parameters)| parameters).unwrap_or_default();
        let environment = match parameters.iter().find(|(name, _)| name == "environment") {
            None => None,
            Some((_, text)) => Some(environment(app, text).await?),
        };
        let (caller, authority) = match parts.extensions.get::<Attendant>().cloned() {
            Some(attendant) => {
                let authority = attendant.authority.clone();
                (Caller::Attendant(Box::new(attendant)), authority)
            }
            None => worker(app, parts).await?,
        };
        let Some(permission) = parts.extensions.get::<Permission>().copied() else {
            return Err(
                FaultResponse(Fault::broken("a route without a permission")).into_response()
            );
        };
        // What is the platform's own, and not the organization's to change, is for whoever administers anything.
        let is_allowed = if environment.is_none() && permission.area != Area::Organization {
            authority.allows_somewhere(permission)
        } else {
            authority.allows(permission, environment)
        };
        if !is_allowed {
            let (access, area) = (permission.access, permission.area);
            let message =
                format!("no role of the caller allows to {} {}", access.word(), area.word());
            return Err(Problem::forbidden(message).into_response());
        }
        let address = Address::of_request(app, parts, &parameters);
        Ok(Self { caller, authority, environment, parameters, address })
    }
}

/// The worker whose access token the request shows.
async fn worker(app: &Arc<App>, parts: &mut Parts) -> Result<(Caller, Authority), Response> {
    let worker = worker::authenticated(app, parts, async |token| {
        let Some(home) = AccessToken::environment_of(token) else { return Ok(None) };
        app.realm(home).await
    });
    let worker = worker.await?;
    let roles = app.roles_of(Holder::Application(worker.application.id)).await;
    let roles = roles.map_err(|fault| FaultResponse(fault).into_response())?;
    Ok((Caller::Worker(Box::new(worker)), Authority::of(&roles)))
}

async fn environment(app: &App, text: &str) -> Result<Id<Environment>, Response> {
    let missing = || Problem::not_found("there is no environment of this id").into_response();
    let id = text.parse().map_err(|_| missing())?;
    let realm = app.realm(id).await.map_err(|fault| FaultResponse(fault).into_response())?;
    realm.map(|_| id).ok_or_else(missing)
}

impl Administrator {
    /// Makes calls in its name: the audit log tells who it was.
    pub async fn act<F: Future>(&self, calls: F) -> F::Output {
        match &self.caller {
            Caller::Worker(worker) => worker.act(calls).await,
            Caller::Attendant(attendant) => attendant.act(calls).await,
        }
    }

    /// The environment of the address, on routes that have one.
    pub fn environment(&self) -> Result<Id<Environment>, Problem> {
        self.environment.ok_or_else(not_found)
    }

    /// An id in the address. What is none leads to nothing.
    pub fn id<T>(&self, parameter: &str) -> Result<Id<T>, Problem> {
        self.parameter(parameter)?.parse().map_err(|_| not_found())
    }

    /// A part of the address.
    pub fn parameter(&self, parameter: &str) -> Result<&str, Problem> {
        let found = self.parameters.iter().find(|(name, _)| name == parameter);
        found.map(|(_, value)| value.as_str()).ok_or_else(not_found)
    }

    /// Where this is.
    pub const fn address(&self) -> &Address {
        &self.address
    }
}

impl Address {
    /// The list that the address is one of, or leads into.
    fn of_request(app: &App, parts: &Parts, parameters: &[(String, String)]) -> Self {
        let root = &app.settings().base_url;
        let path = parts.uri.path();
        let list = match parameters.iter().find(|(name, _)| name == "id") {
            Some((_, id)) => path.split_once(&format!("/{id}")).map_or(path, |(list, _)| list),
            None => path,
        };
        Self { base: format!("{root}/v1"), list: format!("{root}{list}") }
    }
}
