//! Devices of a user on the wire (platform API, sections 9.1 to 9.4).
//!
//! The members that belong to one type of devices only are in a file of that type.

mod mobile;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countersign_domain::{
    device::{Device, State as DeviceState},
    id::Id,
    invalid::{Invalid, Rule},
};
use countersign_protocol::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) use self::mobile::{LogsBody, LogsRequest};
use self::mobile::{LogsStatus, Mobile};
use super::{
    administrator::Administrator,
    hal::{Address, Links, Page, Reference, Shown, Wanted, link, time},
    media::Media,
    refusal::{Refusal, not_found, parse},
    resource::id_in,
};
use crate::app::{App, DeviceChange, DeviceEdit, Devices, Listed, OfUser};

const COLLECTION: &str = "devices";

/// Something by which a user passes the MFA step.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Device")]
pub(super) struct Body {
    /// Whose it is.
    user: Reference,
    #[serde(rename = "type")]
    kind: Kind,
    status: Status,
    /// What the user calls it, at most 100 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    nickname: Option<String>,
    block: Block,
    lock: Lock,
    usable_status: Usable,
    #[serde(flatten)]
    mobile: Mobile,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "DeviceType")]
enum Kind {
    /// A phone with the app.
    Mobile,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "DeviceStatus")]
enum Status {
    Active,
}

/// Whether an administrator has blocked a device.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DeviceBlock")]
struct Block {
    /// `BLOCKED` or `UNBLOCKED`.
    status: &'static str,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked_at: Option<String>,
}

/// Whether wrong passcodes have locked a device.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DeviceLock")]
struct Lock {
    /// `LOCKED` or `UNLOCKED`.
    status: &'static str,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

/// Whether a device can vouch now.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeviceUsableStatus")]
struct Usable {
    /// `ENABLED` or `DISABLED`.
    status: &'static str,
    /// `DEVICE_BLOCKED` or `DEVICE_LOCKED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// The devices of a user.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeviceCollection")]
pub(super) struct All {
    #[serde(rename = "_embedded")]
    embedded: Embedded,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeviceCollectionEmbedded")]
struct Embedded {
    devices: Vec<Shown<Body>>,
    /// The order, if an administrator or the user has set one. The first is the default.
    order: Option<Vec<Reference>>,
}

/// Devices in their new order. Those that are left out come behind, by their age.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "DeviceOrder")]
pub(super) struct Order {
    order: Vec<Reference>,
}

/// What a user calls a device.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DeviceNickname")]
pub(super) struct Nickname {
    /// At most 100 characters; without it, the device is called by its model.
    nickname: Option<String>,
}

impl Body {
    fn of(device: &Device, name: Option<&String>, now: Timestamp) -> Self {
        let state = device.state.settled(now);
        let (blocked_at, locked_until) = match state {
            DeviceState::Blocked { at, .. } => (Some(at), None),
            DeviceState::Locked { until, .. } => (None, Some(until)),
            DeviceState::Active { .. } | DeviceState::Removed { .. } => (None, None),
        };
        let reason = match (blocked_at, locked_until) {
            (Some(_), _) => Some("DEVICE_BLOCKED"),
            (None, Some(_)) => Some("DEVICE_LOCKED"),
            (None, None) => None,
        };
        Self {
            user: device.user.into(),
            kind: Kind::Mobile,
            status: Status::Active,
            nickname: device.nickname.clone(),
            block: Block {
                status: if blocked_at.is_some() { "BLOCKED" } else { "UNBLOCKED" },
                blocked_at: blocked_at.map(time),
            },
            lock: Lock {
                status: if locked_until.is_some() { "LOCKED" } else { "UNLOCKED" },
                expires_at: locked_until.map(time),
            },
            usable_status: Usable {
                status: if reason.is_some() { "DISABLED" } else { "ENABLED" },
                reason,
            },
            mobile: Mobile::of(device, name, now),
        }
    }
}

/// What can be done with a device as it is.
const fn actions(state: &DeviceState) -> &'static [&'static str] {
    match state {
        DeviceState::Active { .. } => &["device.block"],
        DeviceState::Blocked { .. } => &["device.unblock"],
        DeviceState::Locked { .. } => &["device.block", "device.unlock"],
        DeviceState::Removed { .. } => &[],
    }
}

fn show(device: &Device, name: Option<&String>, address: &Address, now: Timestamp) -> Shown<Body> {
    let own = address.of(device.id);
    let user = address.list.trim_end_matches("/devices").to_owned();
    let mut links = Links::from([
        link("self", own.clone()),
        link("environment", address.environment(device.environment)),
        link("user", user),
        link("nickname", format!("{own}/nickname")),
        link("logs", format!("{own}/logs")),
    ]);
    let possible = actions(&device.state.settled(now)).iter();
    links.extend(possible.map(|action| link(action, own.clone())));
    Shown {
        links,
        id: device.id.to_string(),
        environment: device.environment.into(),
        body: Body::of(device, name, now),
        created_at: Some(time(device.created_at)),
        updated_at: Some(time(device.updated_at.unwrap_or(device.created_at))),
    }
}

type Answer = Result<Response, Refusal>;

/// The device that the address names.
fn named(administrator: &Administrator) -> Result<OfUser, Refusal> {
    let (environment, user) = (administrator.environment()?, administrator.id("user")?);
    Ok(OfUser { environment, user, device: administrator.id("id")? })
}

async fn found(app: &App, administrator: &Administrator) -> Result<Shown<Body>, Refusal> {
    let Devices { devices, applications } = app.device_of(named(administrator)?).await?;
    let device = devices.first().ok_or_else(not_found)?;
    let name = applications.get(&device.installation.application);
    Ok(show(device, name, administrator.address(), app.now()))
}

/// `GET .../devices`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    RawQuery(query): RawQuery,
) -> Answer {
    let wanted = Wanted::parse(query.as_deref())?;
    part(&app, &administrator, &wanted).await
}

/// The devices that a request wants, with their order. A user has few, so the part is cut out of all.
async fn part(app: &App, administrator: &Administrator, wanted: &Wanted) -> Answer {
    let (filter, address) = (wanted.filter()?, administrator.address());
    let all = app.devices_of(administrator.environment()?, administrator.id("user")?).await?;
    let Devices { devices, applications } = all;
    let order = devices.iter().filter(|device| device.place.is_some());
    let order: Vec<Value> = order.map(|device| json!({ "id": device.id })).collect();
    let shown = devices.iter().map(|device| {
        let name = applications.get(&device.installation.application);
        let shown = show(device, name, address, app.now());
        (device.id, serde_json::to_value(shown).unwrap_or_default())
    });
    let fits = |entry: &Value| filter.as_ref().is_none_or(|filter| filter.matches(entry));
    let fitting: Vec<(Id<Device>, Value)> = shown.filter(|(_, entry)| fits(entry)).collect();
    let first = match wanted.range::<Device>().after {
        None => 0,
        Some(last) => {
            let place = fitting.iter().position(|(id, _)| *id == last);
            place.ok_or_else(Refusal::not_a_cursor)? + 1
        }
    };
    let total = i64::try_from(fitting.len()).unwrap_or(i64::MAX);
    let items: Vec<_> = fitting.iter().skip(first).take(wanted.limit.into()).collect();
    let is_cut = first + items.len() < fitting.len();
    let next = items.last().filter(|_| is_cut).map(|(id, _)| *id);
    let items: Vec<Value> = items.into_iter().map(|(_, entry)| entry.clone()).collect();
    let listed = Listed::<Device> { items: Vec::new(), next, total };
    let Json(mut page) = Page::part(COLLECTION, items, &listed, wanted, address);
    if !order.is_empty() {
        page.embedded.insert("order", order);
    }
    Ok(Json(page).into_response())
}

/// `POST .../devices`: what the media type says.
pub(super) async fn act_on_all(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    media: Media,
    body: Bytes,
) -> Answer {
    media.action(&["devices.reorder"])?;
    let Order { order } = parse(&body)?;
    let order = order.iter().enumerate();
    let order = order.map(|(place, entry)| id_in(&entry.id, format!("order[{place}].id")));
    let order = order.collect::<Result<Vec<_>, _>>()?;
    let (environment, user) = (administrator.environment()?, administrator.id("user")?);
    administrator.act(app.order_devices(environment, user, order)).await?;
    part(&app, &administrator, &Wanted::parse(None)?).await
}

/// `DELETE .../devices`: forgets the order, and no device.
pub(super) async fn forget_order(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    media: Media,
) -> Answer {
    media.action(&["devices.order.remove"])?;
    let (environment, user) = (administrator.environment()?, administrator.id("user")?);
    administrator.act(app.forget_device_order(environment, user)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET .../devices/{id}`
pub(super) async fn read(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    Ok(Json(found(&app, &administrator).await?).into_response())
}

/// `POST .../devices/{id}`: what the media type says.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    media: Media,
) -> Answer {
    let change = match media.action(&["device.block", "device.unblock", "device.unlock"])? {
        "device.block" => DeviceChange::Block,
        "device.unblock" => DeviceChange::Unblock,
        _ => DeviceChange::Unlock,
    };
    administrator.act(app.change_device_of(named(&administrator)?, change)).await?;
    read(State(app), administrator).await
}

/// `DELETE .../devices/{id}`
pub(super) async fn delete(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let of = named(&administrator)?;
    administrator.act(app.change_device_of(of, DeviceChange::Remove)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A part of a device at its own address, with links.
fn own_part(administrator: &Administrator, name: &str, body: &impl Serialize) -> Response {
    let id = administrator.parameter("id").unwrap_or_default();
    let device = format!("{}/{id}", administrator.address().list);
    let links =
        json!({ "self": { "href": format!("{device}/{name}") }, "device": { "href": device } });
    let members = serde_json::to_value(body).unwrap_or_default();
    let members = members.as_object().cloned().unwrap_or_default();
    let answer: BTreeMap<String, Value> =
        [("_links".to_owned(), links)].into_iter().chain(members).collect();
    Json(answer).into_response()
}

/// `PUT .../devices/{id}/nickname`
pub(super) async fn rename(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let told: Nickname = parse(&body)?;
    let edit = DeviceEdit::Rename(told.nickname.clone());
    administrator.act(app.edit_device(named(&administrator)?, edit)).await?;
    Ok(own_part(&administrator, "nickname", &told))
}

/// `PUT .../devices/{id}/logs`
pub(super) async fn request_logs(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let LogsRequest { status } = parse(&body)?;
    if status != LogsStatus::Pending {
        return Err(Invalid::new("status", Rule::OneOf { words: &["PENDING"] }).into());
    }
    let of = named(&administrator)?;
    administrator.act(app.edit_device(of, DeviceEdit::RequestLogs)).await?;
    read_logs(State(app), administrator).await
}

/// `GET .../devices/{id}/logs`: how far the request is, and what the phone has sent.
pub(super) async fn read_logs(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let of = named(&administrator)?;
    let logs = found(&app, &administrator).await?.body.mobile.logs.ok_or_else(not_found)?;
    // What came before is not what is asked for now.
    let log = match logs.status {
        LogsStatus::Received => app.device_log(of).await?,
        LogsStatus::Pending => None,
    };
    Ok(own_part(&administrator, "logs", &logs.with(log)))
}
