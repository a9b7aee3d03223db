//! The pages of the demo over HTTP. They are for this machine alone, and for no page of anybody else.

mod asset;
mod bank;
mod phone;
mod start;

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header, uri::Authority},
    middleware::{Next, from_fn_with_state},
    response::{
        IntoResponse, Redirect, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use futures_util::stream;
use tokio::net::TcpListener;

use crate::{World, feed::Feed};

/// The most bytes of a form.
const FORM_BYTES: usize = 64 * 1024;

/// The most bytes of a picture of a screen.
const PICTURE_BYTES: usize = 24 * 1024 * 1024;

/// When a browser comes back after the demo was stopped.
const RETRY: Duration = Duration::from_secs(1);

/// Serves the pages.
pub async fn serve(world: Arc<World>, listener: TcpListener) -> io::Result<()> {
    axum::serve(listener, router(world)).await
}

fn router(world: Arc<World>) -> Router {
    let camera = post(phone::camera).layer(DefaultBodyLimit::max(PICTURE_BYTES));
    Router::new()
        .route("/", get(start::show))
        .route("/events", get(start::events))
        .route("/mode", post(start::switch))
        .route("/account", get(start::account))
        .route("/assets/{name}", get(asset::show))
        .route("/phones/{key}", get(phone::show))
        .route("/phones/{key}/events", get(phone::events))
        .route("/phones/{key}/camera", camera)
        .route("/phones/{key}/block", post(phone::block))
        .route("/phones/{key}/{act}", post(phone::act))
        .route("/bank", get(bank::home))
        .route("/bank/sign-in", get(bank::sign_in))
        .route("/bank/callback", get(bank::callback))
        .route("/bank/account", get(bank::account))
        .route("/bank/sign-out", post(bank::sign_out))
        .route("/bank/payments", post(bank::order))
        .route("/bank/payments/{id}", get(bank::payment))
        .route("/bank/payments/{id}/events", get(bank::payment_events))
        .fallback(missing)
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(from_fn_with_state(Arc::clone(&world), guard))
        .with_state(world)
}

/// Lets in only requests that are meant for this machine, and changes only by its own pages: else any page that somebody looks
/// at could press the buttons here. And tells browsers what pages may do.
async fn guard(State(world): State<Arc<World>>, request: Request, next: Next) -> Response {
    if let Some(refused) = refusal(&world, &request) {
        return refused;
    }
    let mut response = next.run(request).await;
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self' {}; frame-ancestors 'none'; base-uri 'none'",
        world.app.settings().base_url
    );
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // With no-referrer a browser would hide where its own forms come from.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn refusal(world: &World, request: &Request) -> Option<Response> {
    let of = |name: HeaderName| request.headers().get(name)?.to_str().ok();
    let own = world.url.trim_start_matches("http://");
    let host = of(header::HOST).or_else(|| request.uri().authority().map(Authority::as_str));
    if host != Some(own) {
        return Some(elsewhere(world, host, request));
    }
    if request.method() == Method::GET {
        return None;
    }
    let site = of(HeaderName::from_static("sec-fetch-site"));
    let is_foreign = site.is_some_and(|site| site != "same-origin")
        || of(header::ORIGIN).is_some_and(|origin| origin != world.url);
    let why = "Only the demo's own pages may do this.\n";
    is_foreign.then(|| (StatusCode::FORBIDDEN, why).into_response())
}

/// A request that calls this machine by another name: `localhost` is led here, anything else is somebody's trick (DNS rebinding).
fn elsewhere(world: &World, host: Option<&str>, request: &Request) -> Response {
    let port = world.url.rsplit(':').next().unwrap_or_default();
    let is_local = host.is_some_and(|host| host == format!("localhost:{port}"));
    if is_local && request.method() == Method::GET {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        return Redirect::temporary(&format!("{}{path}", world.url)).into_response();
    }
    let why = format!("The demo is at {} only.\n", world.url);
    (StatusCode::MISDIRECTED_REQUEST, why).into_response()
}

async fn missing() -> Response {
    (StatusCode::NOT_FOUND, "There is no such page. The demo begins at /.\n").into_response()
}

fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => {
            (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
        }
        Err(error) => broken(&error),
    }
}

fn broken(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "a page of the demo is broken");
    let why = format!("Something went wrong in the demo: {error}\n");
    (StatusCode::INTERNAL_SERVER_ERROR, why).into_response()
}

/// The versions of a page, now and whenever it changes.
fn versions(feed: &Feed) -> Response {
    let state = (feed.hear(), true);
    let told = stream::unfold(state, |(mut heard, first)| async move {
        if !first && heard.changed().await.is_err() {
            return None;
        }
        let version = *heard.borrow_and_update();
        let event = Event::default().event("version").retry(RETRY).data(version.to_string());
        Some((Ok::<_, Infallible>(event), (heard, false)))
    });
    Sse::new(told).keep_alive(KeepAlive::default()).into_response()
}
