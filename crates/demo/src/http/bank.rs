//! `/bank`: the web site of Harbour Bank.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};

use super::{asset, broken, missing, page, versions};
use crate::{
    World,
    handset::{Fields, sentence},
    site::{Account, Entry, Order, PaymentState, SignOnError, Visitor, overview},
};

/// The cookie of a session.
const SESSION: &str = "harbour";

/// The cookie of a sign-on that has begun.
const BEGUN: &str = "harbour_sign_in";

#[derive(Template)]
#[template(path = "bank/home.html", whitespace = "minimize")]
struct Home<'a> {
    visitor: Option<Visitor>,
    problem: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "bank/account.html", whitespace = "minimize")]
struct AccountPage<'a> {
    visitor: Option<Visitor>,
    name: String,
    how: String,
    accounts: [Account; 2],
    entries: Vec<Entry>,
    problem: Option<&'a str>,
    typed: Fields,
}

impl AccountPage<'_> {
    fn typed(&self, field: &str) -> &str {
        self.typed.get(field).map_or("", String::as_str)
    }
}

#[derive(Template)]
#[template(path = "bank/payment.html", whitespace = "minimize")]
struct PaymentPage {
    visitor: Option<Visitor>,
    version: i64,
    id: String,
    order: Order,
    state: PaymentState,
}

/// `GET /bank`
pub async fn home(State(world): State<Arc<World>>, headers: HeaderMap) -> Response {
    let visitor = visitor(&world, &headers);
    page(StatusCode::OK, &Home { visitor, problem: None })
}

/// `GET /bank/sign-in`
pub async fn sign_in(State(world): State<Arc<World>>) -> Response {
    match world.site.begin() {
        Ok((url, state)) => with_cookie(Redirect::to(&url), BEGUN, &state, 900),
        Err(error) => broken(&error),
    }
}

/// `GET /bank/callback`
pub async fn callback(
    State(world): State<Arc<World>>,
    Query(answer): Query<Fields>,
    headers: HeaderMap,
) -> Response {
    let state = answer.get("state").map(String::as_str).unwrap_or_default();
    // Only the browser that has begun a sign-on may end it (RFC 6749, section 10.12).
    if state.is_empty() || cookie(&headers, BEGUN) != Some(state) {
        return refused(&SignOnError::Unknown);
    }
    let Some(code) = answer.get("code") else {
        world.site.give_up(state);
        let why = answer.get("error_description").or_else(|| answer.get("error"));
        return refused(&SignOnError::Refused(why.cloned().unwrap_or_default()));
    };
    match world.site.finish(state, code).await {
        Ok(session) => with_cookie(Redirect::to("/bank/account"), SESSION, &session, 86_400),
        Err(error) => refused(&error),
    }
}

/// `GET /bank/account`
pub async fn account(State(world): State<Arc<World>>, headers: HeaderMap) -> Response {
    match visitor(&world, &headers) {
        Some(visitor) => account_page(&world, visitor, None, Fields::new()),
        None => Redirect::to("/bank").into_response(),
    }
}

/// `POST /bank/sign-out`
pub async fn sign_out(State(world): State<Arc<World>>, headers: HeaderMap) -> Response {
    let onward = world.site.end(cookie(&headers, SESSION).unwrap_or_default());
    with_cookie(Redirect::to(&onward), SESSION, "", 0)
}

/// `POST /bank/payments`
pub async fn order(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Response {
    let Some(visitor) = visitor(&world, &headers) else {
        return Redirect::to("/bank").into_response();
    };
    let text = |field: &str| fields.get(field).map(String::as_str).unwrap_or_default();
    let order = Order::of(&visitor.id, (text("to"), text("amount"), text("note")));
    match order {
        Err(why) => account_page(&world, visitor, Some(why), fields),
        Ok(order) => match world.site.order(order).await {
            Ok(payment) => Redirect::to(&format!("/bank/payments/{}", payment.id)).into_response(),
            Err(error) => broken(&error),
        },
    }
}

/// `GET /bank/payments/{id}`
pub async fn payment(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let Some(visitor) = visitor(&world, &headers) else {
        return Redirect::to("/bank").into_response();
    };
    let Some(payment) = world.site.payment(&visitor, &id) else {
        return Redirect::to("/bank/account").into_response();
    };
    let version = payment.feed.version();
    let (state, order) = (payment.state(), payment.order.clone());
    page(StatusCode::OK, &PaymentPage { visitor: Some(visitor), version, id, order, state })
}

/// `GET /bank/payments/{id}/events`
pub async fn payment_events(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let visitor = visitor(&world, &headers);
    match visitor.and_then(|visitor| world.site.payment(&visitor, &id)) {
        Some(payment) => versions(&payment.feed),
        None => missing().await,
    }
}

fn account_page(world: &World, visitor: Visitor, problem: Option<&str>, typed: Fields) -> Response {
    let (accounts, entries) = overview(&world.site.paid_by(&visitor.id));
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let (name, how) = (visitor.name.clone(), how(&visitor.amr).to_owned());
    let visitor = Some(visitor);
    page(status, &AccountPage { visitor, name, how, accounts, entries, problem, typed })
}

/// How somebody was authenticated, in words (RFC 8176).
fn how(amr: &[String]) -> &'static str {
    let has = |method: &str| amr.iter().any(|one| one == method);
    match (has("pwd"), has("otp"), has("swk")) {
        (true, true, _) => "with your password and a passcode",
        (true, _, true) => "with your password and your phone",
        (false, _, true) => "with your phone",
        _ => "with your password",
    }
}

fn refused(error: &SignOnError) -> Response {
    let why = sentence(&error.to_string());
    let home = Home { visitor: None, problem: Some(&why) };
    with_cookie(page(StatusCode::OK, &home), BEGUN, "", 0)
}

fn visitor(world: &World, headers: &HeaderMap) -> Option<Visitor> {
    world.site.visitor(cookie(headers, SESSION)?)
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split("; "));
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// Ports share cookies, so the path keeps the platform from getting these.
fn with_cookie(response: impl IntoResponse, name: &str, value: &str, seconds: u32) -> Response {
    let mut response = response.into_response();
    let text = format!("{name}={value}; Path=/bank; Max-Age={seconds}; HttpOnly; SameSite=Lax");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "harbour_sign_in=a; harbour=b; other=c".parse().unwrap());
        assert_eq!(cookie(&headers, SESSION), Some("b"));
        assert_eq!(cookie(&headers, BEGUN), Some("a"));
        assert_eq!(cookie(&headers, "harb"), None);
    }

    #[test]
    fn how_somebody_came_in_is_told() {
        let told = |amr: &[&str]| how(&amr.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
        assert_eq!(told(&["pwd"]), "with your password");
        assert_eq!(told(&["pwd", "otp", "mfa"]), "with your password and a passcode");
        assert_eq!(told(&["pwd", "swk", "mca", "mfa"]), "with your password and your phone");
        assert_eq!(told(&["swk", "mca"]), "with your phone");
    }
}
