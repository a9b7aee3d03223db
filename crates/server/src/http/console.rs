//! `/console`: lets administrators in, and hands their requests to the pages of the `console` crate, which ask the management API
//! as any other client does.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Extension, Path, State as Shared},
    http::{HeaderValue, Method, Request, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use countersign_console::{self as console, Api, ApiAnswer, ApiCall, Reply, Verb};
use countersign_domain::flow::{Flow, State};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{
    authorize::{see, set_cookie, sign_on_url, with_session},
    caller::{
        Anyone, COOKIE_CHARACTERS, SESSION_CHARACTERS, console_cookie_name, cookie, cookie_name,
        session_cookie,
    },
    correlation::Correlation,
    management,
    page::{Asset, FailureText, Page, Screen, asset::ICON},
    problem::Problem,
    sign_on::{fault_page, html, is_from_own_page},
};
use crate::app::{
    App, Attendant, Destination, Fault, FlowView, OpenAccount, OpenAccountError, Realm, Started,
};

/// The management API in this process, which the pages ask.
#[derive(Clone)]
pub(super) struct InProcess(pub Router);

/// The path below which the pages are.
const ROOT: &str = "/console";

/// `GET` and `POST` of `/console` and what is below.
pub(super) async fn serve(
    _: Anyone,
    Shared(app): Shared<Arc<App>>,
    Extension(api): Extension<InProcess>,
    parts: Parts,
    body: Bytes,
) -> Response {
    let correlation = Correlation::of(&parts);
    let answered = answer(&app, &api, (&parts, &body), &correlation).await;
    answered.unwrap_or_else(|fault| fault_page(&fault, &correlation))
}

async fn answer(
    app: &Arc<App>,
    api: &InProcess,
    (parts, body): (&Parts, &Bytes),
    correlation: &str,
) -> Result<Response, Fault> {
    let Some(realm) = app.administrators_realm().await? else {
        return Ok(html(StatusCode::NOT_FOUND, &Page::new("", Screen::AccountOff), None));
    };
    let https = app.settings().is_https();
    let cookie = cookie(parts, console_cookie_name(https), |length| length == SESSION_CHARACTERS);
    let session = session_cookie(parts, https, realm.environment);
    let Some(cookie) = cookie else { return open(app, &realm, parts, correlation).await };
    let session = session.and_then(|session| realm.session_of(session.expose()));
    let entered = session.filter(|session| realm.console_of(cookie.expose()) == Some(*session));
    let attendant = match entered {
        Some(session) => app.enter_console(realm.environment, session).await?,
        None => None,
    };
    let Some(attendant) = attendant else { return open(app, &realm, parts, correlation).await };
    let form = pairs(body);
    let is_post = parts.method == Method::POST;
    if is_post {
        let token = form.iter().find(|(name, _)| name == "token").map(|(_, value)| value.as_str());
        let is_own = is_from_own_page(&parts.headers, &app.settings().base_url)
            && realm.owns_console_form(cookie.expose(), token.unwrap_or_default());
        if !is_own {
            return Ok(see(StatusCode::SEE_OTHER, ROOT));
        }
    }
    let token = realm.console_form(cookie.expose());
    let request = console::Request {
        verb: if is_post { Verb::Post } else { Verb::Get },
        path: parts.uri.path(),
        query: pairs(parts.uri.query().unwrap_or_default().as_bytes()),
        form,
        base_url: &app.settings().base_url,
        token: &token,
        assets: &ASSETS,
        now: app.now(),
    };
    let visitor = console::Visitor {
        user: &attendant.user,
        authority: &attendant.authority,
        has_device: attendant.has_device,
    };
    let caller = Caller { api, attendant: &attendant, correlation };
    Ok(respond(console::answer(&request, &visitor, &caller).await))
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    /// More than any page has.
    const MAX: usize = 1_000;
    form_urlencoded::parse(encoded).into_owned().take(MAX).collect()
}

fn respond(reply: Reply) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
                          form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    match reply {
        Reply::See(url) => see(StatusCode::SEE_OTHER, &url),
        Reply::Page { status, html } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let headers = [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::CONTENT_SECURITY_POLICY, POLICY),
                (header::X_FRAME_OPTIONS, "DENY"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (status, headers, html).into_response()
        }
    }
}

/// `GET /openapi` and `GET /openapi/{area}`: the document of the management API, to read.
pub(super) async fn reference(_: Anyone, area: Option<Path<String>>) -> Response {
    let area = area.map(|Path(area)| area);
    match console::reference(&management::DOCUMENT, area.as_deref(), &ASSETS) {
        Some(html) => respond(Reply::Page { status: 200, html }),
        None => Problem::not_found("there is no area of this name").into_response(),
    }
}

/// Lets the person sign on, and come back to the page that was asked for.
async fn open(
    app: &Arc<App>,
    realm: &Arc<Realm>,
    parts: &Parts,
    correlation: &str,
) -> Result<Response, Fault> {
    let https = app.settings().is_https();
    let at = parts.uri.path_and_query().map_or(ROOT, |path| path.as_str());
    // A form that nobody may send any more leads to the start.
    let path = if parts.method == Method::GET && at.len() <= 1_024 { at } else { ROOT };
    let request = OpenAccount {
        destination: Destination::Console { path: path.to_owned() },
        cookie: cookie(parts, cookie_name(https), |length| length == COOKIE_CHARACTERS),
        session: session_cookie(parts, https, realm.environment),
        confirms: None,
        correlation: correlation.to_owned(),
    };
    match app.open_account(realm, request).await {
        Ok(Started { view, cookie }) => {
            let response = match view.flow.session {
                Some(_) if is_completed(&view.flow) => arrive(app, realm, &view),
                _ => see(StatusCode::SEE_OTHER, &sign_on_url(app, &view.flow)),
            };
            Ok(set_cookie(response, https, cookie_name(https), cookie.expose()))
        }
        Err(OpenAccountError::Off) => {
            Ok(html(StatusCode::NOT_FOUND, &Page::new("", Screen::AccountOff), None))
        }
        Err(OpenAccountError::Fault(fault)) => Err(fault),
    }
}

/// The end of a sign-on that leads here: the browser is let in, or told why not.
pub(super) fn arrive(app: &App, realm: &Realm, view: &FlowView) -> Response {
    let flow: &Flow = &view.flow;
    let https = app.settings().is_https();
    let path = flow.request.state.as_deref().filter(|path| path.starts_with(ROOT));
    let Some(session) = flow.session.filter(|_| is_completed(flow)) else {
        let screen = Screen::Failed { reason: FailureText::Cancelled, continue_url: ROOT };
        return html(StatusCode::OK, &Page::new(countersign_domain::console::NAME, screen), None);
    };
    let response = see(StatusCode::SEE_OTHER, path.unwrap_or(ROOT));
    let cookie = realm.console_cookie(session);
    let response = set_cookie(response, https, console_cookie_name(https), cookie.expose());
    with_session(response, app, realm, flow)
}

const fn is_completed(flow: &Flow) -> bool {
    matches!(flow.state, State::Completed { .. })
}

/// Calls the management API in the name of the person at the console.
struct Caller<'a> {
    api: &'a InProcess,
    attendant: &'a Attendant,
    correlation: &'a str,
}

/// The most that is read of an answer: a thousand entries of a list.
const MAX_ANSWER_BYTES: usize = 16 << 20;

#[async_trait]
impl Api for Caller<'_> {
    async fn call(&self, call: ApiCall) -> ApiAnswer {
        let unavailable = || ApiAnswer { status: 503, body: Value::Null };
        let body = call.body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder()
            .method(call.method.name())
            .uri(&call.path)
            .header(header::CONTENT_TYPE, HeaderValue::from_static(call.media_type))
            .extension(self.attendant.clone())
            .extension(Correlation(self.correlation.to_owned()))
            .body(body);
        let Ok(request) = request else { return unavailable() };
        let Ok(response) = self.api.0.clone().oneshot(request).await;
        let status = response.status().as_u16();
        let problem =
            response.extensions().get::<Problem>().map(|it| it.envelope(self.correlation));
        if let Some(problem) = problem {
            let body = serde_json::to_value(problem).unwrap_or_default();
            return ApiAnswer { status, body };
        }
        let Ok(bytes) = to_bytes(response.into_body(), MAX_ANSWER_BYTES).await else {
            return unavailable();
        };
        ApiAnswer { status, body: read(&bytes) }
    }
}

/// JSON, or JSON in lines, which become the member `lines`.
fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| {
        let lines = bytes.split(|byte| *byte == b'\n');
        let lines = lines.filter_map(|line| serde_json::from_slice(line).ok());
        json!({ "lines": lines.collect::<Vec<Value>>() })
    })
}

/// The files of the pages, under names that change with their content.
static ASSETS: LazyLock<console::Assets> = LazyLock::new(|| console::Assets {
    icon: ICON.path.clone(),
    stylesheet: STYLESHEET.path.clone(),
    script: SCRIPT.path.clone(),
});

static STYLESHEET: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("console", "css", console::STYLESHEET.as_bytes()));

static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("htmx", "js", console::SCRIPT.as_bytes()));

/// The file of the pages at this path, if there is one.
pub(super) fn asset(path: &str) -> Option<&'static Asset> {
    [&*STYLESHEET, &*SCRIPT].into_iter().find(|asset| asset.path == path)
}
