//! The routes of what belongs to a user: devices, pairing keys, sessions.

use axum::http::Method;
use countersign_domain::role::{Area, Permission};

use super::{
    CREATED, OK,
    api::{Api, JSON, Operation},
    device,
    hal::Shown,
    pairing_key, user_session,
};

pub(super) fn routes(api: Api) -> Api {
    sessions(pairing_keys(devices(api)))
}

fn devices(api: Api) -> Api {
    const ALL: &str = "/v1/environments/{environment}/users/{user}/devices";
    const ONE: &str = "/v1/environments/{environment}/users/{user}/devices/{id}";
    const NICKNAME: &str = "/v1/environments/{environment}/users/{user}/devices/{id}/nickname";
    const LOGS: &str = "/v1/environments/{environment}/users/{user}/devices/{id}/logs";
    let (read, manage) = (Permission::read(Area::Users), Permission::manage(Area::Users));
    let change = |method, path, summary| Operation::get(path, manage, summary).by(method);
    let list =
        Operation { is_list: true, ..Operation::get(ALL, read, "List the devices of a user") };
    let reorder = change(Method::POST, ALL, "Put the devices of a user in an order");
    let forget = change(Method::DELETE, ALL, "Forget the order of the devices of a user");
    let rename = change(Method::PUT, NICKNAME, "Name a device");
    let request = change(Method::PUT, LOGS, "Ask a phone for the logs of its app");
    api.route(list.answers::<device::All>(OK), device::list)
        .route(
            reorder
                .takes::<device::Order>("application/vnd.pingidentity.devices.reorder+json")
                .answers::<device::All>(OK),
            device::act_on_all,
        )
        .route(forget.answers_nothing(), device::forget_order)
        .route(
            Operation::get(ONE, read, "Read a device").answers::<Shown<device::Body>>(OK),
            device::read,
        )
        .route(
            change(Method::POST, ONE, "Block, unblock or unlock a device")
                .answers::<Shown<device::Body>>(OK),
            device::act,
        )
        .route(change(Method::DELETE, ONE, "Remove a device").answers_nothing(), device::delete)
        .route(
            rename.takes::<device::Nickname>(JSON).answers::<device::Nickname>(OK),
            device::rename,
        )
        .route(
            request.takes::<device::LogsRequest>(JSON).answers::<device::LogsBody>(OK),
            device::request_logs,
        )
        .route(
            Operation::get(LOGS, read, "Read the logs of a phone").answers::<device::LogsBody>(OK),
            device::read_logs,
        )
}

fn pairing_keys(api: Api) -> Api {
    const ALL: &str = "/v1/environments/{environment}/users/{user}/pairingKeys";
    const ONE: &str = "/v1/environments/{environment}/users/{user}/pairingKeys/{id}";
    let (read, manage) = (Permission::read(Area::Users), Permission::manage(Area::Users));
    let list = Operation::get(ALL, read, "List the pairing keys of a user");
    let create = Operation::get(ALL, manage, "Make a pairing key").by(Method::POST);
    let withdraw = Operation::get(ONE, manage, "Withdraw a pairing key").by(Method::DELETE);
    api.route(
        Operation { is_list: true, ..list.answers::<pairing_key::All>(OK) },
        pairing_key::list,
    )
    .route(
        create.takes::<pairing_key::New>(JSON).answers::<Shown<pairing_key::Body>>(CREATED),
        pairing_key::create,
    )
    .route(
        Operation::get(ONE, read, "Read a pairing key").answers::<Shown<pairing_key::Body>>(OK),
        pairing_key::read,
    )
    .route(withdraw.answers_nothing(), pairing_key::delete)
}

fn sessions(api: Api) -> Api {
    const ALL: &str = "/v1/environments/{environment}/users/{user}/sessions";
    const ONE: &str = "/v1/environments/{environment}/users/{user}/sessions/{id}";
    let (read, manage) = (Permission::read(Area::Users), Permission::manage(Area::Users));
    let list = Operation::get(ALL, read, "List the sessions of a user");
    let end = Operation::get(ONE, manage, "End a session").by(Method::DELETE);
    let end_all = Operation::get(ALL, manage, "End all sessions of a user").by(Method::DELETE);
    api.route(
        Operation { is_list: true, ..list.answers::<user_session::All>(OK) },
        user_session::list,
    )
    .route(
        Operation::get(ONE, read, "Read a session").answers::<Shown<user_session::Body>>(OK),
        user_session::read,
    )
    .route(end.answers_nothing(), user_session::end)
    .route(end_all.answers_nothing(), user_session::end_all)
}
