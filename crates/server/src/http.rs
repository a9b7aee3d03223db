//! Every route of the server on one page, and the layers around them. Handlers translate; `app` decides.

mod account;
mod action;
mod asset;
mod authentication_code;
mod authorize;
mod caller;
mod challenge;
mod client;
mod console;
pub(crate) mod control;
mod correlation;
mod device;
mod device_authentication;
mod device_authorization;
mod discovery;
mod dpop;
mod flow;
mod form;
mod health;
mod introspect;
mod limit;
pub mod management;
mod oauth_error;
mod page;
mod pairing_key;
mod par;
pub(crate) mod peer;
mod problem;
mod revoke;
mod seen_device;
mod sign_off;
mod sign_on;
mod size;
pub(crate) mod socket;
mod token;
mod user_code;
mod user_info;
mod worker;

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, Method, StatusCode, header},
    middleware,
    routing::{get, post},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{Any, CorsLayer},
};

pub(crate) use self::health::operator_router;
use self::{
    limit::{Counted, Surface},
    problem::Problem,
};
use crate::{app::App, limits::Group};

/// The whole server as a service.
pub(crate) fn router(app: Arc<App>) -> Router {
    let settings = app.settings().clone();
    Router::new()
        .merge(openid_provider(&app))
        .merge(people(&app))
        .merge(installations(&app))
        .merge(workers(&app))
        .merge(administrators(&app))
        .merge(console(&app))
        .merge(machines())
        .fallback(async || Problem::not_found("there is nothing at this address"))
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(settings.body_bytes))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), size::layer))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(middleware::from_fn_with_state(settings.request_timeout, problem::in_time))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), correlation::layer))
        .with_state(app)
}

async fn no_such_method() -> Problem {
    let message = "the address does not have this method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "INVALID_REQUEST", message)
}

/// Routes whose requests are counted as this, with refusals for these readers.
fn counted(
    app: &Arc<App>,
    (reads, writes): (Group, Group),
    surface: Surface,
    routes: Router<Arc<App>>,
) -> Router<Arc<App>> {
    let counted = Counted { app: Arc::clone(app), reads, writes, surface };
    routes.route_layer(middleware::from_fn_with_state(counted, limit::layer))
}

/// For OIDC clients. Those without cookies may be called from any origin, as single page applications do.
fn openid_provider(app: &Arc<App>) -> Router<Arc<App>> {
    let anywhere = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, dpop::DPOP])
        .expose_headers([
            HeaderName::from_static("correlation-id"),
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            dpop::DPOP_NONCE,
        ]);
    let published = Router::new()
        .route("/{environment}/as/.well-known/openid-configuration", get(discovery::configuration))
        // Where clients of plain OAuth look for the same (RFC 8414, section 3.1).
        .route(
            "/.well-known/oauth-authorization-server/{environment}/as",
            get(discovery::configuration),
        )
        .route("/{environment}/as/jwks", get(discovery::jwks));
    let tokens = Router::new()
        .route("/{environment}/as/token", post(token::issue))
        .route("/{environment}/as/par", post(par::push))
        .route("/{environment}/as/device_authorization", post(device_authorization::authorize))
        .route("/{environment}/as/introspect", post(introspect::introspect))
        .route("/{environment}/as/revoke", post(revoke::revoke))
        .route("/{environment}/as/userinfo", get(user_info::read).post(user_info::read));
    let pages = Router::new()
        .route("/{environment}/as/authorize", get(authorize::by_query).post(authorize::by_form))
        .route("/{environment}/as/resume", get(authorize::resume))
        .route("/{environment}/as/signoff", get(sign_off::by_query).post(sign_off::by_form));
    counted(app, (Group::Read, Group::Read), Surface::OAuth, published)
        .merge(counted(app, (Group::Token, Group::Token), Surface::OAuth, tokens))
        // Set below the layer, which otherwise would not see the preflight.
        .method_not_allowed_fallback(no_such_method)
        .layer(anywhere)
        .merge(counted(app, (Group::Flow, Group::Flow), Surface::Page, pages))
}

/// For people who sign in: on hosted pages, or on screens that an app draws itself.
fn people(app: &Arc<App>) -> Router<Arc<App>> {
    let pages = Router::new()
        .route("/{environment}/signon", get(sign_on::show).post(sign_on::act))
        .route("/{environment}/signon/events", get(sign_on::listen))
        .route("/{environment}/device", get(user_code::show).post(user_code::act))
        .route("/{environment}/account", get(account::show).post(account::act));
    let flows = Router::new()
        .route("/{environment}/flows/{flow}", get(flow::read).post(flow::act))
        .route("/{environment}/account/pairing-keys/{key}", get(account::pairing_key));
    let assets = Router::new()
        .route("/assets/{name}", get(asset::read))
        .route("/openapi.json", get(management::document))
        .route("/openapi", get(console::reference))
        .route("/openapi/{area}", get(console::reference));
    counted(app, (Group::Flow, Group::SignOn), Surface::Page, pages)
        .merge(counted(app, (Group::Flow, Group::SignOn), Surface::Envelope, flows))
        .merge(counted(app, (Group::Read, Group::Read), Surface::Envelope, assets))
}

/// For load balancers. Not counted by the limits: the answer is remembered, and a node must not seem dead to a crowd.
fn machines() -> Router<Arc<App>> {
    Router::new().route("/healthz", get(health::live)).route("/readyz", get(health::ready))
}

/// For the SDK.
fn installations(app: &Arc<App>) -> Router<Arc<App>> {
    let routes = Router::new()
        .route("/{environment}/device/v1/nonce", get(device::nonce))
        .route("/{environment}/device/v1/time", get(device::time))
        .route("/{environment}/device/v1/pairings", post(device::approve_pairing))
        .route("/{environment}/device/v1/pairings/denials", post(device::deny_pairing))
        .route("/{environment}/device/v1/info", post(device::info))
        .route("/{environment}/device/v1/unpairings", post(device::unpair))
        .route("/{environment}/device/v1/logs", post(device::receive_log))
        .route("/{environment}/device/v1/challenges", post(challenge::list))
        .route("/{environment}/device/v1/socket", get(socket::open))
        .route(
            "/{environment}/device/v1/challenges/{challenge}/acknowledge",
            post(challenge::acknowledge),
        )
        .route("/{environment}/device/v1/challenges/{challenge}/approve", post(challenge::approve))
        .route("/{environment}/device/v1/challenges/{challenge}/deny", post(challenge::deny))
        .route("/{environment}/device/v1/push-address", post(challenge::change_push_address))
        .route("/{environment}/device/v1/push-tests", post(challenge::test_push));
    let codes = Router::new()
        .route(
            "/{environment}/device/v1/authentication-codes/claims",
            post(authentication_code::claim),
        )
        .route(
            "/{environment}/device/v1/authentication-codes/{code}/approve",
            post(authentication_code::approve),
        )
        .route(
            "/{environment}/device/v1/authentication-codes/{code}/deny",
            post(authentication_code::deny),
        )
        .route("/{environment}/device/v1/pairing-keys/claims", post(pairing_key::claim));
    counted(app, (Group::Device, Group::Device), Surface::Envelope, routes).merge(counted(
        app,
        (Group::Code, Group::Code),
        Surface::Envelope,
        codes,
    ))
}

/// For those who set the platform up. Tokens and not cookies let them in, so any origin may call (platform API, section 1.7).
fn administrators(app: &Arc<App>) -> Router<Arc<App>> {
    let anywhere = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, dpop::DPOP])
        .expose_headers([
            HeaderName::from_static("correlation-id"),
            header::LOCATION,
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            dpop::DPOP_NONCE,
        ]);
    let routes = management::router();
    counted(app, (Group::Token, Group::Token), Surface::Envelope, routes)
        // Set below the layer, which otherwise would not see the preflight.
        .method_not_allowed_fallback(no_such_method)
        .layer(anywhere)
}

/// For administrators at a browser. The pages ask the management API within the process.
fn console(app: &Arc<App>) -> Router<Arc<App>> {
    let api = console::InProcess(management::router().with_state(Arc::clone(app)));
    let routes = Router::new()
        .route("/console", get(console::serve).post(console::serve))
        .route("/console/{*path}", get(console::serve).post(console::serve))
        .layer(Extension(api));
    counted(app, (Group::Flow, Group::SignOn), Surface::Page, routes)
}

/// For back ends, which act for the environment.
fn workers(app: &Arc<App>) -> Router<Arc<App>> {
    let routes = Router::new()
        .route("/{environment}/authenticationCodes", post(authentication_code::create))
        .route(
            "/{environment}/authenticationCodes/{code}",
            get(authentication_code::read).delete(authentication_code::delete),
        )
        .route("/{environment}/deviceAuthentications", post(device_authentication::create))
        .route(
            "/{environment}/deviceAuthentications/{authentication}",
            get(device_authentication::read).post(device_authentication::act),
        );
    counted(app, (Group::Token, Group::Token), Surface::Envelope, routes)
}
