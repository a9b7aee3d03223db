//! `/{environment}/as/authorize` and `/{environment}/as/resume`: where an application sends its user, and gets its answer.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, RawQuery, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use countersign_domain::{
    authorization::{Answer, Parameters},
    flow::{Flow, State as FlowState},
    id::Id,
};
use countersign_protocol::secret::Secret;
use serde::Deserialize;

use super::{
    account::account_url,
    caller::{Browser, cookie_name, known_browser_name, realm, session_cookie_name},
    console,
    correlation::Correlation,
    flow::flow_json,
    form::{FormError, Members},
    limit::Surface,
    page::{Page, Screen},
    problem::{Detail, FaultResponse, Problem},
    sign_on::{Visit, fault_page, html},
};
use crate::{
    app::{App, Ending, FlowView, Realm, StartError, StartFlow, Started},
    limits::Group,
    settings::Settings,
};

/// The environment of a page's address. Without one there is a page that says so.
pub(crate) struct PageAt(pub Arc<Realm>);

impl FromRequestParts<Arc<App>> for PageAt {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let Correlation(correlation) = Correlation::from_request_parts(parts, app)
            .await
            .map_err(IntoResponse::into_response)?;
        match realm(parts, app).await {
            Ok(Some(realm)) => Ok(Self(realm)),
            Ok(None) => {
                let description = "there is no environment of this id";
                Err(refused(StatusCode::NOT_FOUND, description, &correlation))
            }
            Err(FaultResponse(fault)) => Err(fault_page(&fault, &correlation)),
        }
    }
}

/// `GET /{environment}/as/authorize`
pub(crate) async fn by_query(
    State(app): State<Arc<App>>,
    PageAt(realm): PageAt,
    browser: Browser,
    correlation: Correlation,
    RawQuery(query): RawQuery,
) -> Response {
    let members = Members::parse(query.unwrap_or_default().as_bytes());
    Box::pin(authorize(&app, &realm, browser, correlation, members)).await
}

/// `POST /{environment}/as/authorize`
pub(crate) async fn by_form(
    State(app): State<Arc<App>>,
    PageAt(realm): PageAt,
    browser: Browser,
    correlation: Correlation,
    members: Result<Members, FormError>,
) -> Response {
    Box::pin(authorize(&app, &realm, browser, correlation, members)).await
}

async fn authorize(
    app: &App,
    realm: &Arc<Realm>,
    browser: Browser,
    Correlation(correlation): Correlation,
    members: Result<Members, FormError>,
) -> Response {
    let members = match members {
        Ok(members) => members,
        Err(error) => return refused(error.status(), &error.to_string(), &correlation),
    };
    let draws_itself = members.text("response_mode").as_deref() == Some("pi.flow");
    let client_id = members.text("client_id");
    let named = client_id.as_deref().unwrap_or_default();
    if let Err(limited) = app.limits().application(Group::Flow, realm.environment, named, app.now())
    {
        let surface = if draws_itself { Surface::Envelope } else { Surface::Page };
        return surface.refuse(limited);
    }
    let request = StartFlow {
        parameters: Parameters::read(|name| members.text(name)),
        cookie: browser.cookie,
        session: browser.session,
        correlation: correlation.clone(),
    };
    match app.start_flow(realm, request).await {
        Ok(started) => begun(app, realm, &started, &correlation).await,
        Err(StartError::Untrusted { description }) if draws_itself => {
            refusal_json(&description).into_response()
        }
        Err(StartError::Untrusted { description }) => {
            refused(StatusCode::BAD_REQUEST, &description, &correlation)
        }
        Err(StartError::Answered { answer: Answer::Flow { .. }, description, .. }) => {
            refusal_json(&description).into_response()
        }
        Err(StartError::Answered { answer, state, error, description }) => {
            answer_with(&realm.refusal(answer, state, error, &description))
        }
        Err(StartError::Fault(fault)) if draws_itself => FaultResponse(fault).into_response(),
        Err(StartError::Fault(fault)) => fault_page(&fault, &correlation),
    }
}

/// The flow itself for an app that draws its own screens, a page for everybody else, or at once the answer.
async fn begun(app: &App, realm: &Arc<Realm>, started: &Started, correlation: &str) -> Response {
    let (view, flow) = (&started.view, &started.view.flow);
    let response = match &flow.request.answer {
        Answer::Flow { .. } => match flow_json(app, realm, view, correlation).await {
            Ok(flow) => Json(flow).into_response(),
            Err(fault) => FaultResponse(fault).into_response(),
        },
        Answer::Query { .. }
        | Answer::FormPost { .. }
        | Answer::Fragment { .. }
        | Answer::Device { .. }
        | Answer::Worker
        | Answer::Account
        | Answer::Console => onward(app, realm, view, correlation).await,
    };
    let https = app.settings().is_https();
    let response = set_cookie(response, https, cookie_name(https), started.cookie.expose());
    with_session(response, app, realm, flow)
}

/// To the application if the flow has ended, to its page if not.
async fn onward(app: &App, realm: &Arc<Realm>, view: &FlowView, correlation: &str) -> Response {
    match app.finish_flow(realm, view, correlation).await {
        Ok(Some(ending)) => answer_with(&ending),
        // The answer was given already, or may no longer be.
        Ok(None) if matches!(view.flow.state, FlowState::Completed { .. }) => gone(),
        Ok(None) => see(StatusCode::FOUND, &sign_on_url(app, &view.flow)),
        Err(fault) => fault_page(&fault, correlation),
    }
}

/// Adds the cookie of the session that a flow has completed in.
pub(crate) fn with_session(response: Response, app: &App, realm: &Realm, flow: &Flow) -> Response {
    let (FlowState::Completed { .. }, Some(session)) = (&flow.state, flow.session) else {
        return response;
    };
    let https = app.settings().is_https();
    let name = session_cookie_name(https, &realm.environment.to_string());
    set_cookie(response, https, &name, realm.session_cookie(session).expose())
}

/// For how long a browser stays known to a user who does not sign in with it, in seconds: half a year.
const KNOWN_BROWSER_SECONDS: u32 = 180 * 86_400;

/// The answer to a right password: the browser is known to the user from now on.
pub(crate) fn knows(settings: &Settings, cookie: &Secret<String>, response: Response) -> Response {
    let https = settings.is_https();
    let value = format!("{}; Max-Age={KNOWN_BROWSER_SECONDS}", cookie.expose());
    set_cookie(response, https, known_browser_name(https), &value)
}

/// Lax, because an application sends its user here from another site. It lasts as long as the browser, unless the value says
/// otherwise.
pub(crate) fn set_cookie(mut response: Response, https: bool, name: &str, value: &str) -> Response {
    let secure = if https { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Address of the hosted page of a flow.
pub(crate) fn sign_on_url(app: &App, flow: &Flow) -> String {
    format!("{}/{}/signon?flowId={}", app.settings().base_url, flow.environment, flow.id)
}

/// Address at which a flow that has ended gives its answer.
pub(crate) fn resume_url(realm: &Realm, flow: Id<Flow>) -> String {
    format!("{}/resume?flowId={flow}", realm.issuer)
}

/// Which flow an address names.
#[derive(Deserialize)]
pub(crate) struct Named {
    #[serde(rename = "flowId")]
    pub flow: Option<String>,
}

impl Named {
    /// The id, if it is one.
    pub fn id(&self) -> Option<Id<Flow>> {
        self.flow.as_deref()?.parse().ok()
    }
}

/// `GET /{environment}/as/resume?flowId=`
pub(crate) async fn resume(visit: Visit) -> Response {
    match visit.read().await {
        Ok(view) if view.answered => gone(),
        Ok(view) if matches!(view.flow.request.answer, Answer::Device { .. }) => {
            let url = format!("{}?flowId={}", visit.realm.device_page, view.flow.id);
            see(StatusCode::FOUND, &url)
        }
        Ok(view) if view.flow.request.answer == Answer::Account => {
            let url = account_url(&visit.realm, view.flow.id);
            with_session(see(StatusCode::FOUND, &url), &visit.app, &visit.realm, &view.flow)
        }
        Ok(view) if view.flow.request.answer == Answer::Console => {
            console::arrive(&visit.app, &visit.realm, &view)
        }
        Ok(view) => {
            let Visit { app, realm, correlation, .. } = &visit;
            let response = onward(app, realm, &view, correlation).await;
            with_session(response, app, realm, &view.flow)
        }
        Err(response) => response,
    }
}

/// The authorization response, in the way that the application asked for.
fn answer_with(ending: &Ending) -> Response {
    match &ending.answer {
        Answer::Query { redirect_uri } => {
            let separator = if redirect_uri.contains('?') { '&' } else { '?' };
            see(StatusCode::FOUND, &with_members(redirect_uri, separator, ending))
        }
        Answer::Fragment { redirect_uri } => {
            see(StatusCode::FOUND, &with_members(redirect_uri, '#', ending))
        }
        Answer::FormPost { redirect_uri } => {
            let members =
                ending.members.iter().map(|(name, value)| (*name, value.expose().as_str()));
            let members: Vec<(&str, &str)> = members.collect();
            let screen = Screen::FormPost { action: redirect_uri, members: &members };
            html(StatusCode::OK, &Page::new("", screen), Some(redirect_uri))
        }
        // The answer is in the flow, which an app reads; a browser has nothing to do here.
        Answer::Flow { .. }
        | Answer::Device { .. }
        | Answer::Worker
        | Answer::Account
        | Answer::Console => gone(),
    }
}

/// A redirect URI with the members of the answer after its own (RFC 6749, section 3.1.2).
fn with_members(redirect_uri: &str, separator: char, ending: &Ending) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in &ending.members {
        query.append_pair(name, value.expose());
    }
    format!("{redirect_uri}{separator}{}", query.finish())
}

/// A redirect.
pub(crate) fn see(status: StatusCode, url: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(url) else {
        return gone();
    };
    (status, [(header::LOCATION, location)]).into_response()
}

/// The page for a request that can be answered to nobody.
pub(crate) fn refused(status: StatusCode, description: &str, correlation: &str) -> Response {
    let screen = Screen::Refused { description, correlation };
    html(status, &Page::new("", screen), None)
}

/// The page for a flow that is none, or not this browser's.
pub(crate) fn gone() -> Response {
    html(StatusCode::NOT_FOUND, &Page::new("", Screen::Gone), None)
}

/// A refused request of an app that draws its own screens. The description begins with the member.
fn refusal_json(description: &str) -> Problem {
    let target: String =
        description.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let detail = Detail::new("INVALID_VALUE", target, description);
    Problem::invalid_request(description).with(detail)
}
