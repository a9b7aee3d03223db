//! `/{environment}/device`: where a person types the code of a device, and allows it after the sign-on (RFC 8628, section
//! 3.3).

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Query},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use countersign_domain::{flow::Flow, id::Id};
use countersign_protocol::secret::Secret;
use serde::Deserialize;

use super::{
    authorize::{PageAt, see, set_cookie, sign_on_url},
    caller::{Anyone, Browser, cookie_name},
    correlation::Correlation,
    form::{FormError, Members},
    page::{Form, Page, Problem, Screen},
    problem::mark_fault,
    sign_on::{fault_page, html},
};
use crate::app::{
    App, DecideDevice, DecideDeviceError, DeviceDecision, Fault, FlowHandle, FlowView, Realm,
    Started, UserCodeError, VerifyUserCode,
};

/// `GET /{environment}/device`
pub(crate) async fn show(_: Anyone, visit: Stop) -> Response {
    match visit.flow {
        Some(flow) => visit.decide(flow, None).await,
        None => visit.ask(None),
    }
}

/// `POST /{environment}/device`
pub(crate) async fn act(_: Browser, visit: Stop, members: Result<Members, FormError>) -> Response {
    let members = members.unwrap_or_default();
    let token = members.text("token").unwrap_or_default();
    let Some(cookie) = &visit.cookie else { return visit.ask(Some(Problem::Expired)) };
    let own = match visit.flow {
        Some(flow) => visit.realm.owns_form(flow, cookie.expose(), &token),
        None => visit.realm.owns_user_code_form(cookie.expose(), &token),
    };
    match (visit.flow, members.text("action").as_deref()) {
        _ if !own => visit.ask(Some(Problem::Expired)),
        (None, Some("verify")) => visit.verify(members.text("user_code")).await,
        (Some(flow), Some("allow")) => visit.decide(flow, Some(true)).await,
        (Some(flow), Some("refuse")) => visit.decide(flow, Some(false)).await,
        (Some(_) | None, _) => visit.ask(Some(Problem::NotNow)),
    }
}

/// A browser at this page, with what its address names.
pub(crate) struct Stop {
    app: Arc<App>,
    realm: Arc<Realm>,
    cookie: Option<Secret<String>>,
    correlation: String,
    flow: Option<Id<Flow>>,
    user_code: String,
}

#[derive(Default, Deserialize)]
struct Named {
    #[serde(rename = "flowId")]
    flow: Option<String>,
    user_code: Option<String>,
}

impl FromRequestParts<Arc<App>> for Stop {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let PageAt(realm) = PageAt::from_request_parts(parts, app).await?;
        let Ok(Browser { cookie, .. }) = Browser::from_request_parts(parts, app).await;
        let correlation = Correlation::from_request_parts(parts, app).await;
        let Correlation(correlation) = correlation.map_err(IntoResponse::into_response)?;
        let named = Query::<Named>::from_request_parts(parts, app).await;
        let Named { flow, user_code } = named.map(|Query(named)| named).unwrap_or_default();
        let flow = flow.and_then(|id| id.parse().ok());
        let user_code = user_code.unwrap_or_default().chars().take(64).collect();
        Ok(Self { app: Arc::clone(app), realm, cookie, correlation, flow, user_code })
    }
}

impl Stop {
    /// The page that asks for a code, with what was wrong.
    fn ask(&self, problem: Option<Problem>) -> Response {
        let cookie = self.cookie.clone().unwrap_or_else(|| self.app.new_cookie());
        let token = self.realm.user_code_form(cookie.expose());
        let action = format!("/{}/device", self.realm.environment);
        let form = Form { action: &action, token: &token };
        let screen = Screen::UserCode { form, user_code: &self.user_code, problem };
        let status = match problem {
            None => StatusCode::OK,
            Some(Problem::TooManyUserCodes) => StatusCode::TOO_MANY_REQUESTS,
            Some(_) => StatusCode::BAD_REQUEST,
        };
        let mut response = html(status, &Page::new("", screen), None);
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(60));
        }
        self.with_cookie(response, &cookie)
    }

    fn with_cookie(&self, response: Response, cookie: &Secret<String>) -> Response {
        let https = self.app.settings().is_https();
        set_cookie(response, https, cookie_name(https), cookie.expose())
    }

    async fn verify(mut self, user_code: Option<String>) -> Response {
        let Some(user_code) = user_code else {
            return self.ask(Some(Problem::Required("user_code")));
        };
        self.user_code = user_code.chars().take(64).collect();
        let (cookie, correlation) = (self.cookie.clone(), self.correlation.clone());
        let request = VerifyUserCode { user_code, cookie, correlation };
        match self.app.verify_user_code(&self.realm, request).await {
            Ok(Started { view, cookie }) => {
                let url = sign_on_url(&self.app, &view.flow);
                self.with_cookie(see(StatusCode::SEE_OTHER, &url), &cookie)
            }
            Err(UserCodeError::Unknown) => self.ask(Some(Problem::WrongUserCode)),
            Err(UserCodeError::TooManyGuesses) => self.ask(Some(Problem::TooManyUserCodes)),
            Err(UserCodeError::Fault(fault)) => self.fault(&fault),
        }
    }

    async fn decide(&self, flow: Id<Flow>, allow: Option<bool>) -> Response {
        let handle = FlowHandle::of_browser(flow, self.cookie.clone());
        let request = DecideDevice { handle, allow, correlation: self.correlation.clone() };
        match self.app.decide_device(&self.realm, request).await {
            Ok(DeviceDecision::SigningOn(view)) => {
                see(StatusCode::SEE_OTHER, &sign_on_url(&self.app, &view.flow))
            }
            Ok(DeviceDecision::Asked(view)) => self.consent(&view),
            Ok(DeviceDecision::Allowed) => done(true),
            Ok(DeviceDecision::Refused) => done(false),
            Ok(DeviceDecision::Over) => self.ask(Some(Problem::WrongUserCode)),
            Ok(DeviceDecision::Failed) => self.ask(None),
            Err(DecideDeviceError::NotFound) => self.ask(Some(Problem::Expired)),
            Err(DecideDeviceError::Fault(fault)) => self.fault(&fault),
        }
    }

    fn consent(&self, view: &FlowView) -> Response {
        let Some(cookie) = &self.cookie else { return self.ask(Some(Problem::Expired)) };
        let flow = view.flow.id;
        let action = format!("/{}/device?flowId={flow}", self.realm.environment);
        let token = self.realm.form_token(flow, cookie.expose());
        let form = Form { action: &action, token: &token };
        let username = view.user.as_ref().map(|user| user.username.as_str()).unwrap_or_default();
        let screen = Screen::DeviceConsent { form, username };
        html(StatusCode::OK, &Page::new(&view.application, screen), None)
    }

    fn fault(&self, fault: &Fault) -> Response {
        match fault {
            Fault::Busy(_) => mark_fault(self.ask(Some(Problem::Busy)), fault),
            Fault::Internal(_) => fault_page(fault, &self.correlation),
        }
    }
}

fn done(allowed: bool) -> Response {
    html(StatusCode::OK, &Page::new("", Screen::DeviceDone { allowed }), None)
}
