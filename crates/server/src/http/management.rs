//! `/v1`: what administrators set up, for worker applications with roles (platform API, sections 1 to 6).
//!
//! Every route is declared here with the permission that it demands; the document at `/openapi.json` is made of the same
//! declarations.

mod activity;
mod administrator;
mod api;
mod application;
mod application_secret;
mod attribute;
mod device;
mod duration;
mod environment;
mod group;
mod hal;
mod import;
mod key;
mod media;
mod mfa_policy;
mod mfa_settings;
mod of_user;
mod openapi;
mod pairing_key;
mod part;
mod population;
mod protected_resource;
mod push_credentials;
mod push_health;
mod refusal;
mod resource;
mod resource_grant;
mod role;
mod sign_on_policy;
mod subscription;
mod user;
mod user_password;
mod user_session;

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_domain::{
    application::{Application, AttributeMapping, ResourceGrant},
    group::Group,
    mfa_policy::MfaPolicy,
    population::Population,
    protected_resource::{ProtectedResource, ResourceAttribute, ResourceScope},
    push_credentials::PushCredentials,
    role::{Area, Permission},
    sign_on_policy::{SignOnPolicy, SignOnPolicyAssignment},
    subscription::Subscription,
    user::User,
};

use serde_json::Value;

use self::{
    api::{Api, JSON, Operation},
    hal::{Collection, Reference, Shown},
};
use super::caller::Anyone;
use crate::app::{Activity, App};

/// A route of the management API, as tests and documents see it.
#[derive(Clone, Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// What the caller must be allowed to do.
    pub permission: Permission,
}

const OK: StatusCode = StatusCode::OK;
const CREATED: StatusCode = StatusCode::CREATED;

/// The routes.
pub(super) fn router() -> Router<Arc<App>> {
    api().into_router()
}

/// The document of these routes, made once.
pub(super) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| openapi::document(api().operations()));

/// `GET /openapi.json`
pub(super) async fn document(_: Anyone) -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| DOCUMENT.to_string());
    ([(header::CONTENT_TYPE, JSON)], TEXT.as_str()).into_response()
}

/// Every route, in the order of their declaration.
#[must_use]
pub fn routes() -> Vec<Route> {
    api().into_routes()
}

fn api() -> Api {
    let api = Api::default().resource::<Population>(
        "/v1/environments/{environment}/populations",
        "/v1/environments/{environment}/populations/{id}",
    );
    let api = of_user::routes(groups(users(environments(api))));
    let api = protected_resources(applications(api));
    let api = sign_on_policies(mfa_policies(mfa_settings(roles(api))));
    keys(subscriptions(activities(api)))
}

fn mfa_settings(api: Api) -> Api {
    const PATH: &str = "/v1/environments/{environment}/mfaSettings";
    let (read, manage) = (Permission::read(Area::Policies), Permission::manage(Area::Policies));
    let replace = Operation::get(PATH, manage, "Replace: MFA settings").by(Method::PUT);
    let reset = Operation::get(PATH, manage, "Make the MFA settings the defaults again");
    api.route(
        Operation::get(PATH, read, "Read: MFA settings").answers::<mfa_settings::View>(OK),
        mfa_settings::read,
    )
    .route(
        replace.takes::<mfa_settings::Body>(JSON).answers::<mfa_settings::View>(OK),
        mfa_settings::replace,
    )
    .route(reset.by(Method::DELETE).answers_nothing(), mfa_settings::reset)
}

fn mfa_policies(api: Api) -> Api {
    const LIST: &str = "/v1/environments/{environment}/deviceAuthenticationPolicies";
    api.resource_by::<MfaPolicy, _, _>(
        LIST,
        "/v1/environments/{environment}/deviceAuthenticationPolicies/{id}",
        (mfa_policy::create, resource::replace::<MfaPolicy>),
    )
}

fn sign_on_policies(api: Api) -> Api {
    use sign_on_policy::action;
    const LIST: &str = "/v1/environments/{environment}/signOnPolicies/{policy}/actions";
    const ONE: &str = "/v1/environments/{environment}/signOnPolicies/{policy}/actions/{id}";
    let (read, manage) = (Permission::read(Area::Policies), Permission::manage(Area::Policies));
    let api = api
        .resource::<SignOnPolicy>(
            "/v1/environments/{environment}/signOnPolicies",
            "/v1/environments/{environment}/signOnPolicies/{id}",
        )
        .resource::<SignOnPolicyAssignment>(
            "/v1/environments/{environment}/applications/{application}/signOnPolicyAssignments",
            "/v1/environments/{environment}/applications/{application}/signOnPolicyAssignments/{id}",
        );
    let all = Operation::get(LIST, read, "List: action of a sign-on policy");
    let create = Operation::get(LIST, manage, "Create: action of a sign-on policy");
    let one = Operation::get(ONE, read, "Read: action of a sign-on policy");
    let replace = Operation::get(ONE, manage, "Replace: action of a sign-on policy");
    let delete = Operation::get(ONE, manage, "Delete: action of a sign-on policy");
    api.route(all.answers::<Shown<action::Body>>(OK), action::list)
        .route(
            create
                .by(Method::POST)
                .takes::<action::Body>(JSON)
                .answers::<Shown<action::Body>>(CREATED),
            action::create,
        )
        .route(one.answers::<Shown<action::Body>>(OK), action::read)
        .route(
            replace.by(Method::PUT).takes::<action::Body>(JSON).answers::<Shown<action::Body>>(OK),
            action::replace,
        )
        .route(delete.by(Method::DELETE).answers_nothing(), action::delete)
}

fn applications(api: Api) -> Api {
    let api = api.resource_by::<Application, _, _>(
        "/v1/environments/{environment}/applications",
        "/v1/environments/{environment}/applications/{id}",
        (application::create, application::replace),
    );
    let api = api.resource_by::<PushCredentials, _, _>(
        "/v1/environments/{environment}/applications/{application}/pushCredentials",
        "/v1/environments/{environment}/applications/{application}/pushCredentials/{id}",
        (push_credentials::create, push_credentials::replace),
    );
    let api = push_health(api).parts::<AttributeMapping>(
        "/v1/environments/{environment}/applications/{application}/attributes",
        "/v1/environments/{environment}/applications/{application}/attributes/{id}",
    );
    let secret = "/v1/environments/{environment}/applications/{application}/secret";
    let (read, manage) = (Permission::read(Area::Secrets), Permission::manage(Area::Secrets));
    api.route(
        Operation::get(secret, read, "Read the secret of an application")
            .answers::<application_secret::Body>(OK),
        application_secret::read,
    )
    .route(
        Operation::get(secret, manage, "Give an application a new secret")
            .by(Method::POST)
            .takes::<application_secret::Rotation>(JSON)
            .answers::<application_secret::Body>(OK),
        application_secret::rotate,
    )
    .route(
        Operation::get(secret, manage, "Let the previous secret of an application count no longer")
            .by(Method::DELETE)
            .answers_nothing(),
        application_secret::forget_previous,
    )
}

fn push_health(api: Api) -> Api {
    const PATH: &str = "/v1/environments/{environment}/applications/{application}/pushHealth";
    let (read, manage) =
        (Permission::read(Area::Applications), Permission::manage(Area::Applications));
    let resume = Operation::get(PATH, manage, "Let automatic unpairing go on").by(Method::POST);
    api.route(
        Operation::get(PATH, read, "How pushes to an application fare")
            .answers::<push_health::View>(OK),
        push_health::read,
    )
    .route(resume.answers::<push_health::View>(OK), push_health::act)
}

fn subscriptions(api: Api) -> Api {
    const ALL: &str = "/v1/environments/{environment}/subscriptions";
    const ONE: &str = "/v1/environments/{environment}/subscriptions/{id}";
    const SECRET: &str = "/v1/environments/{environment}/subscriptions/{id}/secret";
    let (read, manage) =
        (Permission::read(Area::Subscriptions), Permission::manage(Area::Subscriptions));
    let change = |method, path, summary| Operation::get(path, manage, summary).by(method);
    let list = Operation { is_list: true, ..Operation::get(ALL, read, "List webhooks") };
    let create = change(Method::POST, ALL, "Create a webhook");
    let replace = change(Method::PUT, ONE, "Replace a webhook");
    let replay = change(Method::POST, ONE, "Tell a webhook once more");
    let secret = Operation::get(SECRET, manage, "Read the key that a receiver verifies with");
    api.route(list.answers::<Collection<Subscription>>(OK), subscription::list)
        .route(
            create.takes::<subscription::Body>(JSON).answers::<Shown<subscription::Body>>(CREATED),
            subscription::create,
        )
        .route(
            Operation::get(ONE, read, "Read a webhook").answers::<subscription::WithDelivery>(OK),
            subscription::read,
        )
        .route(
            replace.takes::<subscription::Body>(JSON).answers::<Shown<subscription::Body>>(OK),
            subscription::replace,
        )
        .route(
            replay
                .takes::<subscription::Replay>(subscription::REPLAY)
                .answers::<subscription::WithDelivery>(OK),
            subscription::act,
        )
        .route(
            change(Method::DELETE, ONE, "Delete a webhook").answers_nothing(),
            resource::delete::<Subscription>,
        )
        .route(secret.answers::<subscription::SecretView>(OK), subscription::read_secret)
}

fn keys(api: Api) -> Api {
    const ALL: &str = "/v1/environments/{environment}/keys";
    const ONE: &str = "/v1/environments/{environment}/keys/{id}";
    const POLICIES: &str = "/v1/environments/{environment}/keyRotationPolicies";
    const POLICY: &str = "/v1/environments/{environment}/keyRotationPolicies/{id}";
    let (read, manage) = (Permission::read(Area::Keys), Permission::manage(Area::Keys));
    let create = Operation::get(ALL, manage, "Make a successor of a signing key").by(Method::POST);
    let delete = Operation::get(ONE, manage, "Withdraw a key that does not sign");
    let rotate = Operation::get(POLICY, manage, "Replace the key of an algorithm in order");
    let policies = Operation::get(POLICIES, read, "List how signing keys follow each other");
    let policy =
        Operation::get(POLICY, read, "Read how the keys of an algorithm follow each other");
    api.route(Operation::get(ALL, read, "List signing keys").answers::<key::All>(OK), key::list)
        .route(create.takes::<key::New>(JSON).answers::<Shown<key::Body>>(CREATED), key::create)
        .route(
            Operation::get(ONE, read, "Read a signing key").answers::<Shown<key::Body>>(OK),
            key::read,
        )
        .route(delete.by(Method::DELETE).answers_nothing(), key::delete)
        .route(policies.answers::<key::Policies>(OK), key::list_policies)
        .route(policy.answers::<Shown<key::Policy>>(OK), key::read_policy)
        .route(rotate.by(Method::POST).answers::<Shown<key::Policy>>(OK), key::rotate)
}

fn activities(api: Api) -> Api {
    const ALL: &str = "/v1/environments/{environment}/activities";
    const ONE: &str = "/v1/environments/{environment}/activities/{id}";
    let read = Permission::read(Area::Audit);
    let list = Operation { is_list: true, ..Operation::get(ALL, read, "Read the audit log") };
    let search = Operation::get(ALL, read, "Search the audit log").by(Method::POST);
    api.route(list.answers::<activity::Part>(OK), activity::list)
        .route(
            search.takes::<activity::Search>(JSON).answers::<activity::Part>(OK),
            activity::search,
        )
        .route(
            Operation::get(ONE, read, "Read a record of the audit log").answers::<Activity>(OK),
            activity::read,
        )
}

fn environments(api: Api) -> Api {
    const ALL: &str = "/v1/environments";
    const ONE: &str = "/v1/environments/{environment}";
    const TYPE: &str = "/v1/environments/{environment}/type";
    const BILL: &str = "/v1/environments/{environment}/billOfMaterials";
    const ORGANIZATION: &str = "/v1/organizations/{organization}";
    const LICENSES: &str = "/v1/organizations/{organization}/licenses";
    const LICENSE: &str = "/v1/organizations/{organization}/licenses/{id}";
    let read = Permission::read(Area::Environment);
    let (manage, own) =
        (Permission::manage(Area::Environment), Permission::manage(Area::Organization));
    let get = |path, summary| Operation::get(path, read, summary);
    let change =
        |method, path, permission, summary| Operation::get(path, permission, summary).by(method);
    let list = Operation { is_list: true, ..get(ALL, "List environments") };
    let create = change(Method::POST, ALL, own, "Create an environment");
    let replace = change(Method::PUT, ONE, manage, "Replace an environment");
    let set_type = change(Method::PUT, TYPE, manage, "Say what an environment is for");
    let bill = change(Method::PUT, BILL, manage, "Say which services an environment has");
    api.route(list, environment::list)
        .route(
            create.takes::<environment::Body>(JSON).answers::<environment::Body>(CREATED),
            environment::create,
        )
        .route(get(ONE, "Read an environment").answers::<environment::Body>(OK), environment::read)
        .route(
            replace.takes::<environment::Body>(JSON).answers::<environment::Body>(OK),
            environment::replace,
        )
        .route(
            change(Method::DELETE, ONE, own, "Delete an environment").answers_nothing(),
            environment::delete,
        )
        .route(set_type.takes::<environment::TypeBody>(JSON), environment::replace_type)
        .route(
            get(BILL, "The services of an environment").answers::<environment::BillOfMaterials>(OK),
            environment::read_bill,
        )
        .route(
            bill.takes::<environment::BillOfMaterials>(JSON)
                .answers::<environment::BillOfMaterials>(OK),
            environment::replace_bill,
        )
        .route(get("/v1/organizations", "The organization"), environment::list_organizations)
        .route(get(ORGANIZATION, "The organization"), environment::read_organization)
        .route(get(LICENSES, "The license"), environment::list_licenses)
        .route(get(LICENSE, "The license"), environment::read_license)
}

fn users(api: Api) -> Api {
    const LIST: &str = "/v1/environments/{environment}/users";
    const ONE: &str = "/v1/environments/{environment}/users/{id}";
    const ENABLED: &str = "/v1/environments/{environment}/users/{id}/enabled";
    const MFA_ENABLED: &str = "/v1/environments/{environment}/users/{id}/mfaEnabled";
    const POPULATION: &str = "/v1/environments/{environment}/users/{id}/population";
    const PASSWORD: &str = "/v1/environments/{environment}/users/{id}/password";
    let (read, manage) = (Permission::read(Area::Users), Permission::manage(Area::Users));
    let get = |path, summary| Operation::get(path, read, summary);
    let change = |method, path, summary| Operation::get(path, manage, summary).by(method);
    let create = |media_type| {
        let create = change(Method::POST, LIST, "Create a user");
        create.takes::<user::Body>(media_type).answers::<Shown<user::Body>>(CREATED)
    };
    let one = |operation: Operation| operation.answers::<Shown<user::Body>>(OK);
    let lists = Operation { is_list: true, ..get(LIST, "List users") };
    let api = api
        .route(lists.answers::<Collection<User>>(OK), user::list)
        .route_of(
            [
                create(JSON),
                create("application/vnd.pingidentity.user.import+json"),
                change(Method::POST, LIST, "Import users").takes::<user::Body>(import::LINES),
            ],
            user::create,
        )
        .route(one(get(ONE, "Read a user")), resource::read::<User>)
        .route(
            one(change(Method::PUT, ONE, "Replace a user").takes::<user::Body>(JSON)),
            user::replace,
        )
        .route(
            one(change(Method::PATCH, ONE, "Change members of a user").takes::<user::Body>(JSON)),
            user::merge,
        )
        .route(change(Method::DELETE, ONE, "Delete a user").answers_nothing(), user::delete)
        .route(one(change(Method::POST, ONE, "Lock or unlock a user")), user::act)
        .route(get(ENABLED, "Whether a user may sign in"), user::read_enabled)
        .route(
            change(Method::PUT, ENABLED, "Let a user sign in, or not").takes::<user::Enabled>(JSON),
            user::put_enabled,
        )
        .route(get(MFA_ENABLED, "Whether devices of a user count"), user::read_mfa_enabled)
        .route(
            change(Method::PUT, MFA_ENABLED, "Let devices of a user count, or not")
                .takes::<user::MfaEnabled>(JSON),
            user::put_mfa_enabled,
        );
    let set = change(Method::PUT, PASSWORD, "Set or replace the password");
    let reset = change(Method::PUT, PASSWORD, "Set or replace the password");
    let check = change(Method::POST, PASSWORD, "Check the password");
    api.route(get(POPULATION, "The population of a user"), user::read_population)
        .route(
            change(Method::PUT, POPULATION, "Move a user").takes::<Reference>(JSON),
            user::put_population,
        )
        .route(get(PASSWORD, "The state of the password of a user"), user_password::read)
        .route_of(
            [
                set.takes::<user::PasswordBody>("application/vnd.pingidentity.password.set+json"),
                reset.takes::<user_password::Replaced>(
                    "application/vnd.pingidentity.password.reset+json",
                ),
            ],
            user_password::put,
        )
        .route_of(
            [check
                .takes::<user_password::Tried>("application/vnd.pingidentity.password.check+json")],
            user_password::act,
        )
}

fn groups(api: Api) -> Api {
    const LIST: &str = "/v1/environments/{environment}/users/{user}/memberOfGroups";
    const ONE: &str = "/v1/environments/{environment}/users/{user}/memberOfGroups/{id}";
    let (read, manage) = (Permission::read(Area::Users), Permission::manage(Area::Users));
    let list = Operation::get(LIST, read, "List the groups of a user");
    let join = Operation::get(LIST, manage, "Let a user be in a group").by(Method::POST);
    let leave = Operation::get(ONE, manage, "Let a user leave a group").by(Method::DELETE);
    api.resource::<Group>(
        "/v1/environments/{environment}/groups",
        "/v1/environments/{environment}/groups/{id}",
    )
    .route(Operation { is_list: true, ..list.answers::<Collection<Group>>(OK) }, group::of_user)
    .route(join.takes::<Reference>(JSON).answers::<Shown<group::Body>>(CREATED), group::join)
    .route(
        Operation::get(ONE, read, "Read a group of a user").answers::<Shown<group::Body>>(OK),
        group::read_membership,
    )
    .route(leave.answers_nothing(), group::leave)
}

/// What applications may ask for beside what they may know of users.
fn protected_resources(api: Api) -> Api {
    api.resource::<ProtectedResource>(
        "/v1/environments/{environment}/resources",
        "/v1/environments/{environment}/resources/{id}",
    )
    .parts::<ResourceScope>(
        "/v1/environments/{environment}/resources/{resource}/scopes",
        "/v1/environments/{environment}/resources/{resource}/scopes/{id}",
    )
    .parts::<ResourceAttribute>(
        "/v1/environments/{environment}/resources/{resource}/attributes",
        "/v1/environments/{environment}/resources/{resource}/attributes/{id}",
    )
    .parts::<ResourceGrant>(
        "/v1/environments/{environment}/applications/{application}/grants",
        "/v1/environments/{environment}/applications/{application}/grants/{id}",
    )
}

fn roles(api: Api) -> Api {
    let (read, manage) = (Permission::read(Area::Roles), Permission::manage(Area::Roles));
    let anybody = Permission::read(Area::Environment);
    let mut api = api
        .route(
            Operation::get("/v1/roles", anybody, "List the roles").answers::<role::RoleView>(OK),
            role::list,
        )
        .route(
            Operation::get("/v1/roles/{id}", anybody, "Read a role").answers::<role::RoleView>(OK),
            role::read,
        );
    for (list, one) in [
        (
            "/v1/environments/{environment}/applications/{application}/roleAssignments",
            "/v1/environments/{environment}/applications/{application}/roleAssignments/{id}",
        ),
        (
            "/v1/environments/{environment}/users/{user}/roleAssignments",
            "/v1/environments/{environment}/users/{user}/roleAssignments/{id}",
        ),
    ] {
        let all = Operation::get(list, read, "List the roles of somebody");
        let give = Operation::get(list, manage, "Give a role").by(Method::POST);
        let one_of = Operation::get(one, read, "Read a role of somebody");
        let take = Operation::get(one, manage, "Take a role").by(Method::DELETE);
        api = api
            .route(Operation { is_list: true, ..all }, role::list_assignments)
            .route(give.takes::<role::Body>(JSON).answers::<Shown<role::Body>>(CREATED), role::give)
            .route(one_of.answers::<Shown<role::Body>>(OK), role::read_assignment)
            .route(take.answers_nothing(), role::take);
    }
    api
}
