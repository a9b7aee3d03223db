//! `/{environment}/as/signoff` (OIDC RP-Initiated Logout 1.0).

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

use super::{
    authorize::{PageAt, refused, see},
    caller::{Browser, session_cookie_name},
    correlation::Correlation,
    form::{FormError, Members},
    page::{Form, Page, Screen},
    sign_on::{fault_page, html, is_from_own_page},
};
use crate::app::{App, Realm, SignOff, SignOffError, SignedOff};

/// The members that are kept from one request to the next.
const KEPT: [&str; 4] = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"];

/// `GET /{environment}/as/signoff`
pub(crate) async fn by_query(leaving: Leaving, RawQuery(query): RawQuery) -> Response {
    let members = Members::parse(query.unwrap_or_default().as_bytes());
    leaving.act(members, false).await
}

/// `POST /{environment}/as/signoff`: from an application, or from the page that asks.
pub(crate) async fn by_form(leaving: Leaving, members: Result<Members, FormError>) -> Response {
    let confirms = |members: &Members| members.text("action").as_deref() == Some("signoff");
    let confirmed = members.as_ref().is_ok_and(confirms) && leaving.from_own_page;
    match &members {
        // A form of another site comes without our cookies, which browsers send with a navigation only.
        Ok(members)
            if leaving.browser.session.is_none()
                && KEPT.iter().any(|name| members.text(name).is_some()) =>
        {
            leaving.again(members)
        }
        _ => leaving.act(members, confirmed).await,
    }
}

/// A [`Browser`] whose user may want to be signed off.
pub(crate) struct Leaving {
    app: Arc<App>,
    realm: Arc<Realm>,
    browser: Browser,
    correlation: String,
    from_own_page: bool,
}

impl FromRequestParts<Arc<App>> for Leaving {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let PageAt(realm) = PageAt::from_request_parts(parts, app).await?;
        let State(app) = State::<Arc<App>>::from_request_parts(parts, app)
            .await
            .map_err(IntoResponse::into_response)?;
        let Ok(browser) = Browser::from_request_parts(parts, &app).await;
        let correlation = Correlation::from_request_parts(parts, &app).await;
        let Correlation(correlation) = correlation.map_err(IntoResponse::into_response)?;
        let from_own_page = is_from_own_page(&parts.headers, &app.settings().base_url);
        Ok(Self { app, realm, browser, correlation, from_own_page })
    }
}

impl Leaving {
    async fn act(self, members: Result<Members, FormError>, confirmed: bool) -> Response {
        let members = match members {
            Ok(members) => members,
            Err(error) => return refused(error.status(), &error.to_string(), &self.correlation),
        };
        // Who confirms must show the token of the page, which another site cannot know.
        let token = members.text("token").unwrap_or_default();
        let confirmed = confirmed && self.is_own(&token);
        let request = SignOff {
            id_token_hint: members.text("id_token_hint"),
            client_id: members.text("client_id"),
            post_logout_redirect_uri: members.text("post_logout_redirect_uri"),
            state: members.text("state"),
            session: self.browser.session.clone(),
            confirmed,
            correlation: self.correlation.clone(),
        };
        match self.app.sign_off(&self.realm, request).await {
            Ok(SignedOff::Done { redirect_uri: Some(url) }) => {
                self.forget(see(StatusCode::SEE_OTHER, &url))
            }
            Ok(SignedOff::Done { redirect_uri: None }) => {
                let page = Page::new("", Screen::SignedOff);
                self.forget(html(StatusCode::OK, &page, None))
            }
            Ok(SignedOff::Ask) => self.ask(&members),
            Err(SignOffError::Fault(fault)) => fault_page(&fault, &self.correlation),
            Err(error) => refused(StatusCode::BAD_REQUEST, &error.to_string(), &self.correlation),
        }
    }

    /// The page that asks, with what the application has sent, so that it counts once the person has confirmed.
    fn ask(&self, members: &Members) -> Response {
        let action = format!("/{}/as/signoff", self.realm.environment);
        let values: Vec<(&str, String)> =
            KEPT.iter().filter_map(|name| Some((*name, members.text(name)?))).collect();
        let members: Vec<(&str, &str)> =
            values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let session = self.browser.session.as_ref().map(|cookie| cookie.expose().as_str());
        let token = self.realm.sign_off_form(session.unwrap_or_default());
        let form = Form { action: &action, token: &token };
        let leads_to = members.iter().find(|(name, _)| *name == "post_logout_redirect_uri");
        let leads_to = leads_to.map(|(_, value)| *value);
        let page = Page::new("", Screen::SignOff { form, members: &members });
        html(StatusCode::OK, &page, leads_to)
    }

    /// The same request as a navigation.
    fn again(&self, members: &Members) -> Response {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in KEPT.iter().filter_map(|name| Some((name, members.text(name)?))) {
            query.append_pair(name, &value);
        }
        see(StatusCode::SEE_OTHER, &format!("{}/signoff?{}", self.realm.issuer, query.finish()))
    }

    fn is_own(&self, token: &str) -> bool {
        let session = self.browser.session.as_ref().map(|cookie| cookie.expose().as_str());
        session.is_some_and(|session| self.realm.owns_sign_off_form(session, token))
    }

    /// Takes the cookie of the session away.
    fn forget(&self, mut response: Response) -> Response {
        let https = self.app.settings().is_https();
        let name = session_cookie_name(https, &self.realm.environment.to_string());
        let secure = if https { "; Secure" } else { "" };
        let cookie = format!("{name}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax{secure}");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            let headers: &mut HeaderMap = response.headers_mut();
            headers.append(header::SET_COOKIE, cookie);
        }
        response
    }
}
