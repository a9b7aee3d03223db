//! `/{environment}/account`: the own devices and sign-ons of whoever is signed in at a browser, and what can be done to devices.

mod authenticator;
mod screen;

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, Path, Query, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use countersign_domain::{
    account,
    audit::Record,
    device::{Device, Move},
    flow::{Flow, State as FlowState},
    id::Id,
    pairing_key::PairingKey,
    user::User,
};
use countersign_protocol::secret::Secret;
use serde::Deserialize;
use serde_json::json;

use self::screen::{KeyWords, Words, in_groups, key_status};
use super::{
    action::preferred_wait,
    authorize::{PageAt, gone, see, set_cookie, sign_on_url, with_session},
    caller::{Anyone, At, Browser, cookie_name},
    correlation::Correlation,
    form::{FormError, Members},
    page::{Done, FailureText, Form, Page, Problem, Screen},
    problem::{self, FaultResponse, mark_fault},
    sign_on::{fault_page, html, is_from_own_page},
};
use crate::app::{
    Account, AccountView, AccountVisit, AddOwnDeviceError, App, ChangeOwnDevice,
    ChangeOwnDeviceError, Destination, Fault, NewKind, OpenAccount, OpenAccountError,
    OwnDeviceChange, Realm, Started,
};

/// `GET /{environment}/account`
pub(crate) async fn show(_: Anyone, stay: Stay) -> Response {
    let Some(flow) = stay.named.flow() else { return stay.open(None).await };
    match (stay.named.key(), stay.named.authenticator()) {
        (Some(key), _) => stay.key(flow, key).await,
        (None, Some(authenticator)) => stay.authenticator(flow, authenticator, None).await,
        (None, None) => stay.read(flow, None).await,
    }
}

/// `POST /{environment}/account`
pub(crate) async fn act(_: Browser, stay: Stay, members: Result<Members, FormError>) -> Response {
    let members = members.unwrap_or_default();
    let (Some(flow), Some(cookie)) = (stay.named.flow(), &stay.cookie) else { return gone() };
    let token = members.text("token").unwrap_or_default();
    if !(stay.realm.owns_form(flow, cookie.expose(), &token) && stay.from_own_page) {
        return stay.read(flow, Some(Problem::Expired)).await;
    }
    match members.text("action").as_deref() {
        Some("confirm") => stay.confirm(flow).await,
        Some("add") => stay.add(flow).await,
        Some("withdraw") => stay.withdraw(flow).await,
        Some("add_authenticator") => stay.add_authenticator(flow, NewKind::Totp).await,
        Some("add_email") => stay.add_authenticator(flow, NewKind::Email(address(&members))).await,
        Some("add_sms") => stay.add_authenticator(flow, NewKind::Sms(address(&members))).await,
        Some("add_voice") => stay.add_authenticator(flow, NewKind::Voice(address(&members))).await,
        Some("send_again") => stay.send_activation(flow).await,
        Some("activate") => stay.activate(flow, &members).await,
        Some("make_codes") => stay.make_codes(flow).await,
        Some("remove") => stay.ask_to_remove(flow, &members).await,
        Some("remove_confirmed") => {
            stay.change(flow, &members, OwnDeviceChange::Remove, Done::Removed).await
        }
        Some("up") => {
            stay.change(flow, &members, OwnDeviceChange::Move(Move::Up), Done::Moved).await
        }
        Some("down") => {
            stay.change(flow, &members, OwnDeviceChange::Move(Move::Down), Done::Moved).await
        }
        Some("rename") => {
            let nickname = members.text("nickname").map(|name| name.trim().to_owned());
            let nickname = nickname.filter(|name| !name.is_empty());
            stay.change(flow, &members, OwnDeviceChange::Rename(nickname), Done::Renamed).await
        }
        Some(_) | None => stay.read(flow, Some(Problem::NotNow)).await,
    }
}

/// `GET /{environment}/account/pairing-keys/{key}?flowId=`: whether a phone has come, for the page that waits for one. With
/// `Prefer: wait=SECONDS` it is answered once one has, or when the time is over.
pub(crate) async fn pairing_key(
    State(app): State<Arc<App>>,
    At(realm): At,
    browser: Browser,
    Path((_, key)): Path<(String, String)>,
    request: Parts,
) -> Response {
    let not_found = || problem::Problem::not_found("there is no such pairing key").into_response();
    let named = Query::<Named>::try_from_uri(&request.uri).map(|Query(named)| named);
    let flow = named.unwrap_or_default().flow();
    let (Some(flow), Ok(key)) = (flow, key.parse::<Id<PairingKey>>()) else { return not_found() };
    let wait = preferred_wait(&request.headers);
    let wait = wait.map(|wait| wait.min(app.settings().longest_wait()));
    let visit = AccountVisit { flow, cookie: browser.cookie, session: browser.session };
    match app.read_own_key(&realm, (visit, key), wait).await {
        Ok(Some(view)) => Json(json!({ "status": key_status(&view.key) })).into_response(),
        Ok(None) => not_found(),
        Err(fault) => FaultResponse(fault).into_response(),
    }
}

/// Address of the page, for the browser in which a flow is complete.
pub(crate) fn account_url(realm: &Realm, flow: Id<Flow>) -> String {
    format!("{}?flowId={flow}", realm.account_page)
}

/// A [`Browser`] at this page, with what its address names.
pub(crate) struct Stay {
    app: Arc<App>,
    realm: Arc<Realm>,
    cookie: Option<Secret<String>>,
    session: Option<Secret<String>>,
    from_own_page: bool,
    correlation: String,
    named: Named,
}

#[derive(Default, Deserialize)]
struct Named {
    #[serde(rename = "flowId")]
    flow: Option<String>,
    before: Option<String>,
    key: Option<String>,
    authenticator: Option<String>,
    done: Option<String>,
}

impl Named {
    fn flow(&self) -> Option<Id<Flow>> {
        self.flow.as_deref()?.parse().ok()
    }

    fn before(&self) -> Option<Id<Record>> {
        self.before.as_deref()?.parse().ok()
    }

    fn key(&self) -> Option<Id<PairingKey>> {
        self.key.as_deref()?.parse().ok()
    }

    fn authenticator(&self) -> Option<Id<Device>> {
        self.authenticator.as_deref()?.parse().ok()
    }

    fn done(&self) -> Option<Done> {
        Done::named(self.done.as_deref()?)
    }
}

impl FromRequestParts<Arc<App>> for Stay {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let PageAt(realm) = PageAt::from_request_parts(parts, app).await?;
        let from_own_page = is_from_own_page(&parts.headers, &app.settings().base_url);
        let Ok(Browser { cookie, session, .. }) = Browser::from_request_parts(parts, app).await;
        let correlation = Correlation::from_request_parts(parts, app).await;
        let Correlation(correlation) = correlation.map_err(IntoResponse::into_response)?;
        let named = Query::<Named>::from_request_parts(parts, app).await;
        let named = named.map(|Query(named)| named).unwrap_or_default();
        let app = Arc::clone(app);
        Ok(Self { app, realm, cookie, session, from_own_page, correlation, named })
    }
}

impl Stay {
    fn visit(&self, flow: Id<Flow>) -> AccountVisit {
        AccountVisit { flow, cookie: self.cookie.clone(), session: self.session.clone() }
    }

    /// Lets the person sign in, or prove anew to be this user, and come back.
    async fn open(&self, confirms: Option<Id<User>>) -> Response {
        let request = OpenAccount {
            destination: Destination::Account,
            cookie: self.cookie.clone(),
            session: self.session.clone(),
            confirms,
            correlation: self.correlation.clone(),
        };
        match self.app.open_account(&self.realm, request).await {
            Ok(Started { view, cookie }) => {
                let url = match view.flow.state {
                    FlowState::Completed { .. } => account_url(&self.realm, view.flow.id),
                    _ => sign_on_url(&self.app, &view.flow),
                };
                let https = self.app.settings().is_https();
                let response = see(StatusCode::SEE_OTHER, &url);
                let response = set_cookie(response, https, cookie_name(https), cookie.expose());
                with_session(response, &self.app, &self.realm, &view.flow)
            }
            Err(OpenAccountError::Off) => {
                html(StatusCode::NOT_FOUND, &Page::new("", Screen::AccountOff), None)
            }
            Err(OpenAccountError::Fault(fault)) => fault_page(&fault, &self.correlation),
        }
    }

    /// The account, or where to go instead.
    async fn account(&self, flow: Id<Flow>) -> Result<Box<Account>, Response> {
        let read = self.app.read_account(&self.realm, self.visit(flow), self.named.before());
        match read.await {
            Ok(AccountView::Open(account)) => Ok(account),
            Ok(AccountView::SigningOn(flow)) => {
                Err(see(StatusCode::SEE_OTHER, &sign_on_url(&self.app, &flow)))
            }
            Ok(AccountView::Cancelled) => {
                let reason = FailureText::Cancelled;
                let screen = Screen::Failed { reason, continue_url: &self.realm.account_page };
                Err(html(StatusCode::OK, &Page::new(account::NAME, screen), None))
            }
            Ok(AccountView::Over) => Err(self.anew()),
            Err(fault) => Err(fault_page(&fault, &self.correlation)),
        }
    }

    /// To the page as if for the first time.
    fn anew(&self) -> Response {
        see(StatusCode::SEE_OTHER, &self.realm.account_page)
    }

    /// The page as it stands, with what was wrong.
    async fn read(&self, flow: Id<Flow>, problem: Option<Problem>) -> Response {
        match self.account(flow).await {
            Ok(account) => self.page(flow, &account, problem),
            Err(response) => response,
        }
    }

    fn page(&self, flow: Id<Flow>, account: &Account, problem: Option<Problem>) -> Response {
        let words = Words::of(account, &self.realm, (flow, self.app.now()));
        let (action, token) = (self.action(flow), self.token(flow));
        let form = Form { action: &action, token: &token };
        let is_later_page = self.named.before().is_some();
        let done = self.named.done().filter(|_| problem.is_none());
        let screen = Screen::Account(words.screen(account, form, (done, problem), is_later_page));
        let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        html(status, &Page::new(account::NAME, screen), None)
    }

    fn action(&self, flow: Id<Flow>) -> String {
        format!("/{}/account?flowId={flow}", self.realm.environment)
    }

    fn token(&self, flow: Id<Flow>) -> String {
        let cookie = self.cookie.as_ref().map(|cookie| cookie.expose().as_str());
        self.realm.form_token(flow, cookie.unwrap_or_default())
    }

    /// Back to the page after something was done, so that it can be read again without being done again.
    fn back(&self, flow: Id<Flow>, done: Done) -> Response {
        let url = format!("{}&done={}", account_url(&self.realm, flow), done.name());
        see(StatusCode::SEE_OTHER, &url)
    }

    async fn confirm(&self, flow: Id<Flow>) -> Response {
        match self.account(flow).await {
            Ok(account) => self.open(Some(account.user.id)).await,
            Err(response) => response,
        }
    }

    async fn change(
        &self,
        flow: Id<Flow>,
        members: &Members,
        change: OwnDeviceChange,
        done: Done,
    ) -> Response {
        let Some((device, version)) = seen(members) else {
            return self.read(flow, Some(Problem::DeviceChanged)).await;
        };
        let (visit, correlation) = (self.visit(flow), self.correlation.clone());
        let request = ChangeOwnDevice { visit, device, version, change, correlation };
        match self.app.change_own_device(&self.realm, request).await {
            Ok(()) => self.back(flow, done),
            Err(error) => self.refuse(flow, error).await,
        }
    }

    async fn refuse(&self, flow: Id<Flow>, error: ChangeOwnDeviceError) -> Response {
        let problem = match error {
            ChangeOwnDeviceError::SignedOut => return self.anew(),
            ChangeOwnDeviceError::Unproved => return self.confirm(flow).await,
            // The page says it in full.
            ChangeOwnDeviceError::Barred => Problem::NotNow,
            ChangeOwnDeviceError::Stale => Problem::DeviceChanged,
            ChangeOwnDeviceError::Invalid(_) => Problem::Nickname,
            ChangeOwnDeviceError::Refused(_) => Problem::DeviceBarred,
            ChangeOwnDeviceError::Fault(fault) => return self.fault(flow, &fault).await,
        };
        self.read(flow, Some(problem)).await
    }

    async fn fault(&self, flow: Id<Flow>, fault: &Fault) -> Response {
        match fault {
            Fault::Busy(_) => mark_fault(self.read(flow, Some(Problem::Busy)).await, fault),
            Fault::Internal(_) => fault_page(fault, &self.correlation),
        }
    }

    async fn ask_to_remove(&self, flow: Id<Flow>, members: &Members) -> Response {
        let account = match self.account(flow).await {
            Ok(account) => account,
            Err(response) => return response,
        };
        if account.standing == account::Standing::Unproved {
            return self.open(Some(account.user.id)).await;
        }
        let words = Words::of(&account, &self.realm, (flow, self.app.now()));
        let seen = seen(members).and_then(|seen| words.device(seen));
        let Some(device) = seen else {
            return self.page(flow, &account, Some(Problem::DeviceChanged));
        };
        let (action, token) = (self.action(flow), self.token(flow));
        let form = Form { action: &action, token: &token };
        let screen = Screen::RemoveDevice(words.removal(device, form));
        html(StatusCode::OK, &Page::new(account::NAME, screen), None)
    }

    async fn add(&self, flow: Id<Flow>) -> Response {
        let added = self.app.add_own_device(&self.realm, self.visit(flow), &self.correlation);
        let problem = match added.await {
            Ok(view) => {
                let url = format!("{}&key={}", account_url(&self.realm, flow), view.key.id);
                return see(StatusCode::SEE_OTHER, &url);
            }
            Err(AddOwnDeviceError::NoPairing) => Problem::NoPairing,
            Err(error) => return self.refuse_addition(flow, error).await,
        };
        self.read(flow, Some(problem)).await
    }

    /// The page that shows a key for as long as a phone may come.
    async fn key(&self, flow: Id<Flow>, key: Id<PairingKey>) -> Response {
        let view = match self.app.read_own_key(&self.realm, (self.visit(flow), key), None).await {
            Ok(Some(view)) => view,
            Ok(None) => return self.read(flow, None).await,
            Err(fault) => return fault_page(&fault, &self.correlation),
        };
        let words = match KeyWords::of(&view, &self.realm, (flow, self.app.now())) {
            Ok(words) => words,
            Err(None) => return self.read(flow, Some(Problem::KeyExpired)).await,
            Err(Some(done)) => return self.back(flow, done),
        };
        let action = format!("{}&key={key}", self.action(flow));
        let token = self.token(flow);
        let form = Form { action: &action, token: &token };
        let screen = Screen::AddDevice(words.screen(form));
        html(StatusCode::OK, &Page::new(account::NAME, screen), None)
    }

    async fn withdraw(&self, flow: Id<Flow>) -> Response {
        let Some(key) = self.named.key() else { return self.read(flow, None).await };
        let visit = (self.visit(flow), key);
        match self.app.withdraw_own_key(&self.realm, visit, &self.correlation).await {
            Ok(()) => self.back(flow, Done::Withdrawn),
            Err(fault) => self.fault(flow, &fault).await,
        }
    }
}

/// The address or number that somebody wants to add.
fn address(members: &Members) -> String {
    members.text("address").unwrap_or_default().trim().to_owned()
}

/// Which device a form is about, and as of which version.
fn seen(members: &Members) -> Option<(Id<Device>, i64)> {
    Some((members.text("device")?.parse().ok()?, members.text("version")?.parse().ok()?))
}
