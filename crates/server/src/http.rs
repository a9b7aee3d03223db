//! Every route of the server on one page, and the layers around them. Handlers translate; `app` decides.

mod asset;
mod authorize;
mod caller;
mod client;
mod correlation;
mod device;
mod device_authorization;
mod discovery;
mod dpop;
mod flow;
mod form;
mod introspect;
mod oauth_error;
mod page;
mod problem;
mod revoke;
mod sign_on;
mod token;
mod user_code;
mod user_info;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, Method, StatusCode, header},
    middleware,
    routing::{get, post},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{Any, CorsLayer},
};

use self::problem::Problem;
use crate::app::App;

/// The whole server as a service.
pub(crate) fn router(app: Arc<App>) -> Router {
    let settings = app.settings().clone();
    Router::new()
        .merge(openid_provider())
        .merge(people())
        .merge(installations())
        .fallback(async || Problem::not_found("there is nothing at this address"))
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(settings.body_bytes))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(middleware::from_fn_with_state(settings.request_timeout, problem::in_time))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), correlation::layer))
        .with_state(app)
}

async fn no_such_method() -> Problem {
    let message = "the address does not have this method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "INVALID_REQUEST", message)
}

/// For OIDC clients. Those without cookies may be called from any origin, as single page applications do.
fn openid_provider() -> Router<Arc<App>> {
    let anywhere = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, dpop::DPOP])
        .expose_headers([HeaderName::from_static("correlation-id"), dpop::DPOP_NONCE]);
    Router::new()
        .route("/{environment}/as/.well-known/openid-configuration", get(discovery::configuration))
        .route("/{environment}/as/jwks", get(discovery::jwks))
        .route("/{environment}/as/token", post(token::issue))
        .route("/{environment}/as/device_authorization", post(device_authorization::authorize))
        .route("/{environment}/as/introspect", post(introspect::introspect))
        .route("/{environment}/as/revoke", post(revoke::revoke))
        .route("/{environment}/as/userinfo", get(user_info::read).post(user_info::read))
        // Set below the layer, which otherwise would not see the preflight.
        .method_not_allowed_fallback(no_such_method)
        .layer(anywhere)
        .route("/{environment}/as/authorize", get(authorize::by_query).post(authorize::by_form))
        .route("/{environment}/as/resume", get(authorize::resume))
}

/// For people who sign in: on hosted pages, or on screens that an app draws itself.
fn people() -> Router<Arc<App>> {
    Router::new()
        .route("/{environment}/signon", get(sign_on::show).post(sign_on::act))
        .route("/{environment}/device", get(user_code::show).post(user_code::act))
        .route("/{environment}/flows/{flow}", get(flow::read).post(flow::act))
        .route("/assets/{name}", get(asset::read))
}

/// For the SDK.
fn installations() -> Router<Arc<App>> {
    Router::new()
        .route("/{environment}/device/v1/nonce", get(device::nonce))
        .route("/{environment}/device/v1/time", get(device::time))
        .route("/{environment}/device/v1/pairings", post(device::approve_pairing))
        .route("/{environment}/device/v1/pairings/denials", post(device::deny_pairing))
        .route("/{environment}/device/v1/info", post(device::info))
        .route("/{environment}/device/v1/unpairings", post(device::unpair))
}
