//! `/phones/{key}`: a phone, and what can be done to it.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use countersign_domain::device::{Device, State as DeviceState};
use countersign_server::app::{DeviceChange, Fault};

use super::{asset, broken, missing, page, start::clock, versions};
use crate::{
    PASSWORD, Person, World,
    handset::{Act, Facts, Fields, Handset, Screen, Tab, find_code},
    site::overview,
};

#[derive(Template)]
#[template(path = "phone.html", whitespace = "minimize")]
struct PhonePage<'a> {
    version: i64,
    key: &'static str,
    model: &'static str,
    service: &'static str,
    facts: Facts,
    screen: Screen,
    people: &'a [Person],
    /// Who is to be filled in, if somebody has asked for it.
    filled: Option<String>,
    devices: Vec<Paired>,
    others: Vec<(&'static str, String)>,
    console: String,
    time: String,
    balance: String,
}

/// A device of the platform that is the app on this phone.
struct Paired {
    id: String,
    owner: String,
    state: &'static str,
    blocked: bool,
}

impl PhonePage<'_> {
    fn lasts(&self) -> String {
        self.screen.lasts().map_or_else(String::new, |seconds| seconds.to_string())
    }
}

/// `GET /phones/{key}`
pub async fn show(
    State(world): State<Arc<World>>,
    Path(key): Path<String>,
    Query(query): Query<Fields>,
) -> Response {
    let Some(phone) = world.phone(&key) else { return missing().await };
    shown(&world, phone, StatusCode::OK, query.get("as").cloned()).await
}

async fn shown(
    world: &World,
    phone: &Handset,
    status: StatusCode,
    filled: Option<String>,
) -> Response {
    // Before what it is the version of.
    let version = phone.feed.version();
    let facts = phone.facts();
    let devices = match devices(world, facts.token.as_deref()).await {
        Ok(devices) => devices,
        Err(fault) => return broken(&fault),
    };
    let others = world.phones.iter().map(|one| (one.key, one.facts().name)).collect();
    let screen = phone.screen();
    let user = if let Screen::Account(account) = &screen { &*account.id } else { "" };
    let ([current, _], _) = overview(&world.site.paid_by(user));
    let shown = PhonePage {
        version,
        key: phone.key,
        model: phone.model,
        service: phone.service.label(),
        screen,
        balance: current.money(),
        people: &world.bank.people,
        filled,
        devices,
        others,
        console: format!("{}/console", world.app.settings().base_url),
        time: clock(&world.app.now()).get(..5).unwrap_or_default().to_owned(),
        facts,
    };
    page(status, &shown)
}

/// What friends call a person of this name.
fn first_name(name: &str) -> &str {
    name.split(' ').next().unwrap_or(name)
}

/// The devices that are reached at this push address.
async fn devices(world: &World, token: Option<&str>) -> Result<Vec<Paired>, Fault> {
    let mut found = Vec::new();
    let Some(token) = token else { return Ok(found) };
    let is_here = |device: &Device| {
        device.installation.push.as_ref().is_some_and(|push| push.address == token)
    };
    for person in &world.bank.people {
        let devices = world.app.list_devices(world.bank.environment, person.id).await?;
        for device in devices.iter().filter(|device| is_here(device)) {
            let (state, blocked) = match device.state.settled(world.app.now()) {
                DeviceState::Active { .. } => ("active", false),
                DeviceState::Blocked { .. } => ("blocked", true),
                DeviceState::Locked { .. } => ("locked", false),
                DeviceState::Removed { .. } => ("removed", false),
            };
            let (id, owner) = (device.id.to_string(), person.name.clone());
            found.push(Paired { id, owner, state, blocked });
        }
    }
    Ok(found)
}

/// `GET /phones/{key}/events`
pub async fn events(State(world): State<Arc<World>>, Path(key): Path<String>) -> Response {
    match world.phone(&key) {
        Some(phone) => versions(&phone.feed),
        None => missing().await,
    }
}

/// `POST /phones/{key}/{act}`
pub async fn act(
    State(world): State<Arc<World>>,
    Path((key, name)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Response {
    let Some(phone) = world.phone(&key) else { return missing().await };
    let Some(act) = Act::of(&name, &fields) else {
        return (StatusCode::BAD_REQUEST, "A phone cannot do that.\n").into_response();
    };
    match phone.act(act).await {
        Ok(()) => Redirect::to(&format!("/phones/{key}")).into_response(),
        Err(error) => broken(&error),
    }
}

/// `POST /phones/{key}/camera`: a picture, as PNG, on which the phone looks for a code. Without one it is answered with 422.
pub async fn camera(
    State(world): State<Arc<World>>,
    Path(key): Path<String>,
    picture: Bytes,
) -> Response {
    let Some(phone) = world.phone(&key) else { return missing().await };
    let found = tokio::task::spawn_blocking(move || find_code(&picture)).await;
    match found.ok().flatten() {
        Some(code) => match phone.act(Act::Scan(code)).await {
            Ok(()) => Redirect::to(&format!("/phones/{key}")).into_response(),
            Err(error) => broken(&error),
        },
        None => (StatusCode::UNPROCESSABLE_ENTITY, "There is no code on this picture.\n")
            .into_response(),
    }
}

/// `POST /phones/{key}/block`: what an administrator does to a device.
pub async fn block(
    State(world): State<Arc<World>>,
    Path(key): Path<String>,
    Form(fields): Form<Fields>,
) -> Response {
    if world.phone(&key).is_none() {
        return missing().await;
    }
    let Some(device) = fields.get("device").and_then(|id| id.parse().ok()) else {
        return (StatusCode::BAD_REQUEST, "device must be the id of a device\n").into_response();
    };
    let is_on = fields.get("on").map(String::as_str) == Some("yes");
    let change = if is_on { DeviceChange::Block } else { DeviceChange::Unblock };
    // Whatever has become of the device meanwhile is on the page.
    let _ = world.app.change_device(world.bank.environment, device, change).await;
    Redirect::to(&format!("/phones/{key}")).into_response()
}

/// A push service under its name for people.
trait Label {
    fn label(self) -> &'static str;
}

impl Label for countersign_protocol::mobile_payload::PushService {
    fn label(self) -> &'static str {
        match self {
            Self::Apns => "APNs",
            _ => "FCM",
        }
    }
}
