//! `/{environment}/signon`: the hosted pages. Each form posts one choice, and a choice that was taken redirects, so that a
//! page can be read again without being sent again.

mod events;
mod screen;

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Query},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use countersign_domain::{
    flow::{Flow, State as FlowState},
    id::Id,
};
use countersign_protocol::secret::Secret;
use url::Url;

use self::screen::{Facts, Words, screen};
use super::{
    authorize::{Named as NamedFlow, PageAt, gone, knows, resume_url, see, sign_on_url},
    caller::Browser,
    correlation::Correlation,
    form::{FormError, Members},
    limit::retry_after,
    page::{Form, Page, Problem, Screen},
    problem::{fault_status, mark_fault},
};
use crate::app::{
    AdvanceError, AdvanceFlow, App, ChangePassword, ChangePasswordError, CheckPasscode,
    CheckPasscodeError, CheckPassword, CheckPasswordError, Choice, Fault, FlowHandle, FlowView,
    PasscodeOutcome, PasswordOutcome, ReadFlowError, Realm,
};

/// `GET /{environment}/signon?flowId=`
pub(crate) async fn show(visit: Visit) -> Response {
    match visit.read().await {
        Ok(view) => visit.page(&view, None),
        Err(response) => response,
    }
}

/// `POST /{environment}/signon?flowId=`
pub(crate) async fn act(visit: Visit, members: Result<Members, FormError>) -> Response {
    let members = members.unwrap_or_default();
    let token = members.text("token").unwrap_or_default();
    let is_ours = visit.realm.owns_form(visit.flow, visit.cookie.expose(), &token);
    if !(is_ours && visit.from_own_page) {
        return visit.again(Problem::Expired).await;
    }
    visit.act(&members).await
}

/// `GET /{environment}/signon/events?flowId=`: what the page of an authentication code listens to.
pub(crate) async fn listen(visit: Visit) -> Response {
    events::told(visit).await
}

/// A [`Browser`] at the page of a flow.
pub(crate) struct Visit {
    pub app: Arc<App>,
    pub realm: Arc<Realm>,
    flow: Id<Flow>,
    cookie: Secret<String>,
    known_browser: Option<Secret<String>>,
    from_own_page: bool,
    pub correlation: String,
}

impl FromRequestParts<Arc<App>> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let PageAt(realm) = PageAt::from_request_parts(parts, app).await?;
        let from_own_page = is_from_own_page(&parts.headers, &app.settings().base_url);
        let Ok(Browser { cookie, remembered: known_browser, .. }) =
            Browser::from_request_parts(parts, app).await;
        let correlation = Correlation::from_request_parts(parts, app).await;
        let Correlation(correlation) = correlation.map_err(IntoResponse::into_response)?;
        let named = Query::<NamedFlow>::from_request_parts(parts, app).await.map_err(|_| gone())?;
        let (flow, cookie) = named.id().zip(cookie).ok_or_else(gone)?;
        let app = Arc::clone(app);
        Ok(Self { app, realm, flow, cookie, known_browser, from_own_page, correlation })
    }
}

/// Whether a browser sends what a page of this server holds, as far as it says: beside the token of the form, for the day on
/// which one leaks. Our pages send no referrer, so their `Origin` is `null`, and only `Sec-Fetch-Site` says more (Fetch
/// Metadata, section 2.3). What comes from no page, such as a bookmark, is `none`.
pub(crate) fn is_from_own_page(headers: &HeaderMap, base_url: &str) -> bool {
    let said = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    match (said("sec-fetch-site"), headers.get(header::ORIGIN).map(HeaderValue::as_bytes)) {
        (Some(site), _) => matches!(site, b"same-origin" | b"none"),
        (None, Some(origin)) => origin == b"null" || origin == base_url.as_bytes(),
        (None, None) => true,
    }
}

impl Visit {
    fn handle(&self) -> FlowHandle {
        FlowHandle::of_browser(self.flow, Some(self.cookie.clone()))
    }

    /// The flow, or the page that says why there is none.
    pub async fn read(&self) -> Result<FlowView, Response> {
        self.app.read_flow(&self.realm, self.handle()).await.map_err(|error| match error {
            ReadFlowError::NotFound => gone(),
            ReadFlowError::Fault(fault) => fault_page(&fault, &self.correlation),
        })
    }

    /// The page as it stands, with what was wrong.
    async fn again(&self, problem: Problem) -> Response {
        match self.read().await {
            Ok(view) => self.page(&view, Some(problem)),
            Err(response) => response,
        }
    }

    async fn act(&self, members: &Members) -> Response {
        match members.text("action").as_deref() {
            Some("login" | "password") => self.password(members).await,
            Some("new_password") => self.new_password(members).await,
            Some("identify") => match members.text("username") {
                Some(username) => self.choose(Choice::Identify { username }).await,
                None => self.again(Problem::Required("username")).await,
            },
            Some("device") => match members.text("device").and_then(|id| id.parse().ok()) {
                Some(device) => self.choose(Choice::Device { device }).await,
                None => self.again(Problem::Required("device")).await,
            },
            Some("devices") => self.choose(Choice::AnotherDevice).await,
            Some("passcode") => self.passcode(members).await,
            Some("use_passcode") => self.choose(Choice::Passcode).await,
            Some("push" | "send_again") => self.push().await,
            Some("phone") => self.choose(Choice::Phone).await,
            Some("reset") => self.choose(Choice::Reset).await,
            Some("cancel") => self.choose(Choice::Cancel).await,
            Some(_) | None => self.again(Problem::NotNow).await,
        }
    }

    async fn password(&self, members: &Members) -> Response {
        let Some(password) = members.secret("password") else {
            return self.again(Problem::Required("password")).await;
        };
        let request = CheckPassword {
            handle: self.handle(),
            username: members.text("username"),
            password,
            known_browser: self.known_browser.clone(),
            correlation: self.correlation.clone(),
        };
        match self.app.check_password(&self.realm, request).await {
            Ok(PasswordOutcome::Accepted { view, known_browser }) => {
                knows(self.app.settings(), &known_browser, self.moved(&view))
            }
            Ok(PasswordOutcome::Refused(view)) => {
                self.page_for(&view, members, Problem::WrongCredentials)
            }
            Ok(PasswordOutcome::LockedOut { view, seconds_until_unlock }) => {
                let minutes = (seconds_until_unlock + 59) / 60;
                self.page_for(&view, members, Problem::PasswordLocked { minutes })
            }
            Err(CheckPasswordError::UsernameRequired) => {
                self.again(Problem::Required("username")).await
            }
            Err(CheckPasswordError::NotNow) => self.again(Problem::NotNow).await,
            Err(CheckPasswordError::NotFound) => gone(),
            Err(CheckPasswordError::Limited(limited)) => {
                let problem = Problem::TooMany { seconds: limited.seconds };
                let mut response = retry_after(self.again(problem).await, limited);
                *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
                response
            }
            Err(CheckPasswordError::Fault(fault)) => self.fault(&fault).await,
        }
    }

    /// The old password was given a page before, so it is not asked for again.
    async fn new_password(&self, members: &Members) -> Response {
        let (new, repeated) = (members.secret("new_password"), members.secret("repeated_password"));
        let Some(new) = new else { return self.again(Problem::Required("new password")).await };
        if repeated.is_none_or(|repeated| repeated.expose() != new.expose()) {
            return self.again(Problem::PasswordsDiffer).await;
        }
        let (handle, correlation) = (self.handle(), self.correlation.clone());
        let request = ChangePassword { handle, current: None, new, correlation };
        match self.app.change_password(&self.realm, request).await {
            Ok(view) => self.moved(&view),
            Err(ChangePasswordError::Unmet(unmet)) => self.again(Problem::NewPassword(unmet)).await,
            Err(ChangePasswordError::NotNow | ChangePasswordError::WrongPassword) => {
                self.again(Problem::NotNow).await
            }
            Err(ChangePasswordError::NotFound) => gone(),
            Err(ChangePasswordError::Fault(fault)) => self.fault(&fault).await,
        }
    }

    async fn passcode(&self, members: &Members) -> Response {
        let Some(passcode) = members.secret("passcode") else {
            return self.again(Problem::Required("passcode")).await;
        };
        let request = CheckPasscode {
            handle: self.handle(),
            passcode,
            correlation: self.correlation.clone(),
        };
        match self.app.check_passcode(&self.realm, request).await {
            Ok(PasscodeOutcome::Accepted(view)) => self.moved(&view),
            // The flow may have failed over the wrong passcode: then its page says why.
            Ok(PasscodeOutcome::Refused(view)) => self.page(&view, Some(Problem::WrongPasscode)),
            Err(CheckPasscodeError::NotNow) => self.again(Problem::NotNow).await,
            Err(CheckPasscodeError::NotFound) => gone(),
            Err(CheckPasscodeError::Fault(fault)) => self.fault(&fault).await,
        }
    }

    /// The device is asked once more: by push, or by another passcode that is sent.
    async fn push(&self) -> Response {
        match self.read().await.map(|view| view.flow.state) {
            Ok(FlowState::PushTimedOut { device, .. } | FlowState::Passcode { device, .. }) => {
                self.choose(Choice::Device { device }).await
            }
            Ok(_) => self.again(Problem::NotNow).await,
            Err(response) => response,
        }
    }

    async fn choose(&self, choice: Choice) -> Response {
        let cancels = choice == Choice::Cancel;
        let (handle, correlation) = (self.handle(), self.correlation.clone());
        match self.app.advance_flow(&self.realm, AdvanceFlow { handle, choice, correlation }).await
        {
            // Who cancels wants to be back, not to read that it was cancelled.
            Ok(_) if cancels => see(StatusCode::SEE_OTHER, &resume_url(&self.realm, self.flow)),
            Ok(view) => self.moved(&view),
            Err(AdvanceError::NotNow) => self.again(Problem::NotNow).await,
            Err(AdvanceError::ImpossibleUsername) => {
                self.again(Problem::Required("username")).await
            }
            Err(AdvanceError::UnknownDevice) => self.again(Problem::Required("device")).await,
            Err(AdvanceError::NotFound) => gone(),
            Err(AdvanceError::Fault(fault)) => self.fault(&fault).await,
        }
    }

    /// A choice was taken: to the next page, or back to the application.
    fn moved(&self, view: &FlowView) -> Response {
        let url = match view.flow.state {
            FlowState::Completed { .. } => resume_url(&self.realm, self.flow),
            _ => sign_on_url(&self.app, &view.flow),
        };
        see(StatusCode::SEE_OTHER, &url)
    }

    async fn fault(&self, fault: &Fault) -> Response {
        match fault {
            Fault::Busy(_) => mark_fault(self.again(Problem::Busy).await, fault),
            Fault::Internal(_) => fault_page(fault, &self.correlation),
        }
    }

    /// The page with what the person has typed, except secrets.
    fn page_for(&self, view: &FlowView, members: &Members, problem: Problem) -> Response {
        let mut view = view.clone();
        if let FlowState::Login { .. } = view.flow.state {
            view.flow.request.login_hint = members.text("username");
        }
        self.page(&view, Some(problem))
    }

    fn page(&self, view: &FlowView, problem: Option<Problem>) -> Response {
        let flow = &view.flow;
        let resume = resume_url(&self.realm, flow.id);
        match &flow.state {
            // A page that was read again after the end.
            FlowState::Completed { .. } if view.answered => return gone(),
            FlowState::Completed { .. } => return see(StatusCode::FOUND, &resume),
            _ => {}
        }
        let action = format!("/{}/signon?flowId={}", flow.environment, flow.id);
        let token = self.realm.form_token(flow.id, self.cookie.expose());
        let form = Form { action: &action, token: &token };
        let facts = Facts {
            view,
            form,
            continue_url: &resume,
            min_characters: self.app.settings().new_passwords.min_characters,
            now: self.app.now(),
        };
        let status = match problem {
            None => StatusCode::OK,
            Some(_) => StatusCode::BAD_REQUEST,
        };
        let words = Words::of(view, &self.realm);
        let Some(screen) = screen(&facts, &words, problem) else { return gone() };
        let page = Page { application: &view.application, notice: flow.notice, screen };
        html(status, &page, flow.request.answer.redirect_uri())
    }
}

/// A page as a response. `leads_to` is where its form, or a redirect after it, may lead beside this server: browsers hold
/// redirects after a form to `form-action` too.
pub(crate) fn html(status: StatusCode, page: &Page<'_>, leads_to: Option<&str>) -> Response {
    let Ok(text) = page.render() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let beyond = leads_to.and_then(origin).map(|origin| format!(" {origin}")).unwrap_or_default();
    // Only a page that waits asks by itself.
    let connect = if page.screen.waits() { " connect-src 'self';" } else { "" };
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self';{connect} \
         form-action 'self'{beyond}; frame-ancestors 'none'; base-uri 'none'"
    );
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, "text/html; charset=utf-8");
    set(header::CONTENT_SECURITY_POLICY, &policy);
    set(header::X_FRAME_OPTIONS, "DENY");
    response
}

/// Origin of an address, or the scheme of an app's own.
fn origin(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let origin = url.origin();
    Some(if origin.is_tuple() {
        origin.ascii_serialization()
    } else {
        format!("{}:", url.scheme())
    })
}

/// The page for a fault.
pub(crate) fn fault_page(fault: &Fault, correlation: &str) -> Response {
    let (status, _) = fault_status(fault);
    let description = "something went wrong on our side; please try again";
    let page = Page::new("", Screen::Refused { description, correlation });
    mark_fault(html(status, &page, None), fault)
}
