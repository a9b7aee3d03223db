//! Users on the wire (platform API, sections 2.3 to 2.6).

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, RawQuery, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countersign_domain::{
    id::Id,
    invalid::{Invalid, Rule},
    lockout::Lockout,
    role::Area,
    user::{Address as Postal, Name, Profile, Texts, User},
};
use countersign_protocol::{secret::Secret, time::Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    administrator::Administrator,
    hal::{Address, Link, Links, Page, Reference, Wanted, link, time},
    import,
    media::Media,
    refusal::{Refusal, parse},
    resource::{New, Resource, created, found, id_in, seen, show},
};
use crate::{
    app::{AdministerError, App, NewUser},
    http::caller::too_large,
};

/// A person who signs in to the applications of an environment.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "User")]
pub(super) struct Body {
    /// Unique in the environment without regard to case, 1 to 128 characters.
    username: String,
    /// Mail address.
    email: String,
    /// Where the user is; the default population unless it is named. Changed at its own address.
    #[serde(skip_serializing_if = "Option::is_none")]
    population: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<NameBody>,
    /// Whether the person may sign in. Changed at its own address.
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    /// Whether devices of the user count. Changed at its own address.
    #[serde(skip_serializing_if = "Option::is_none")]
    mfa_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Account>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifecycle: Option<Lifecycle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify_status: Option<VerifyStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_provider: Option<IdentityProvider>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<PostalBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    photo: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nickname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mobile_phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    /// The first password, by import; never told again.
    #[serde(skip_serializing)]
    password: Option<PasswordBody>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UserName")]
struct NameBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    given: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    middle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    formatted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    honorific_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    honorific_suffix: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PostalAddress")]
struct PostalBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    street_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locality: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postal_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country_code: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Account {
    /// Whether the person may sign in.
    can_authenticate: Option<bool>,
    /// Whether an administrator has locked the user.
    status: Option<AccountStatus>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    locked_at: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum AccountStatus {
    Ok,
    Locked,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Lifecycle {
    /// Whether the mail address is still to be verified. None is.
    status: Option<LifecycleStatus>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum LifecycleStatus {
    AccountOk,
    VerificationRequired,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum VerifyStatus {
    NotInitiated,
    Enabled,
    Disabled,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct IdentityProvider {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}

/// A password that an administrator sets.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "NewPassword")]
pub(super) struct PasswordBody {
    /// In clear text.
    #[schemars(with = "String")]
    #[serde(skip_serializing)]
    pub value: Option<Secret<String>>,
    /// Whether it serves only to choose another one.
    #[serde(default)]
    pub force_change: bool,
}

impl From<NameBody> for Name {
    fn from(body: NameBody) -> Self {
        let NameBody { given, family, middle, formatted, honorific_prefix, honorific_suffix } =
            body;
        Self { given, family, middle, formatted, honorific_prefix, honorific_suffix }
    }
}

impl From<Name> for NameBody {
    fn from(name: Name) -> Self {
        let Name { given, family, middle, formatted, honorific_prefix, honorific_suffix } = name;
        Self { given, family, middle, formatted, honorific_prefix, honorific_suffix }
    }
}

impl From<PostalBody> for Postal {
    fn from(body: PostalBody) -> Self {
        let PostalBody { street_address, locality, region, postal_code, country_code } = body;
        Self { street_address, locality, region, postal_code, country_code }
    }
}

impl From<Postal> for PostalBody {
    fn from(address: Postal) -> Self {
        let Postal { street_address, locality, region, postal_code, country_code } = address;
        Self { street_address, locality, region, postal_code, country_code }
    }
}

impl Body {
    fn profile(&self) -> Profile {
        let body = self.clone();
        let texts = Texts {
            nickname: body.nickname,
            title: body.title,
            kind: body.kind,
            locale: body.locale,
            preferred_language: body.preferred_language,
            timezone: body.timezone,
            primary_phone: body.primary_phone,
            mobile_phone: body.mobile_phone,
            photo: body.photo.map(|link| link.href),
            external_id: body.external_id,
        };
        let address = body.address.map(Postal::from);
        Profile { texts, address, email_verified: body.email_verified.unwrap_or(false) }
    }
}

/// What somebody's account says.
fn account(user: &User) -> Account {
    let is_locked = user.locked_at.is_some();
    let status = if is_locked { AccountStatus::Locked } else { AccountStatus::Ok };
    let locked_at = user.locked_at.map(time);
    Account { can_authenticate: Some(user.may_sign_in()), status: Some(status), locked_at }
}

impl Resource for User {
    const NAME: &'static str = "user";
    const COLLECTION: &'static str = "users";
    const AREA: Area = Area::Users;
    type Body = Body;

    fn blank(new: &New<Self>) -> Self {
        Self {
            id: new.id,
            environment: new.environment,
            population: Id::from_bytes([0; 16]),
            username: String::new(),
            email: String::new(),
            name: Name::default(),
            enabled: true,
            mfa_enabled: false,
            mfa_lockout: Lockout::cleared(),
            profile: Profile::default(),
            locked_at: None,
            created_at: new.now,
            updated_at: new.now,
        }
    }

    /// What is changed at addresses of its own is left as it is.
    fn put(&mut self, body: Body) -> Result<(), AdministerError> {
        self.profile = body.profile();
        (self.username, self.email) = (body.username, body.email);
        self.name = body.name.unwrap_or_default().into();
        Ok(())
    }

    fn body(&self) -> Body {
        let Profile { texts, address, email_verified } = self.profile.clone();
        Body {
            username: self.username.clone(),
            email: self.email.clone(),
            population: Some(self.population.into()),
            name: (!self.name.is_empty()).then(|| self.name.clone().into()),
            enabled: Some(self.enabled),
            mfa_enabled: Some(self.mfa_enabled),
            account: Some(account(self)),
            lifecycle: Some(Lifecycle { status: Some(LifecycleStatus::AccountOk) }),
            verify_status: Some(VerifyStatus::NotInitiated),
            identity_provider: Some(IdentityProvider {
                id: None,
                kind: Some("PING_ONE".to_owned()),
            }),
            email_verified: Some(email_verified),
            address: address.map(PostalBody::from),
            photo: texts.photo.map(|href| Link { href }),
            nickname: texts.nickname,
            title: texts.title,
            kind: texts.kind,
            locale: texts.locale,
            preferred_language: texts.preferred_language,
            timezone: texts.timezone,
            primary_phone: texts.primary_phone,
            mobile_phone: texts.mobile_phone,
            external_id: texts.external_id,
            password: None,
        }
    }

    fn times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (Some(self.created_at), Some(self.updated_at))
    }

    fn links(&self, address: &Address) -> Links {
        let own = address.of(self.id);
        let population =
            format!("{}/populations/{}", address.environment(self.environment), self.population);
        let mut links = Links::from([
            link("population", population),
            link("account.unlock", own.clone()),
            link("account.lock", own.clone()),
        ]);
        for part in
            ["devices", "password", "pairingKeys", "sessions", "roleAssignments", "memberOfGroups"]
        {
            links.extend([link(part, format!("{own}/{part}"))]);
        }
        links
    }
}

type Answer = Result<Response, Refusal>;

/// `GET .../users`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    RawQuery(query): RawQuery,
) -> Answer {
    let wanted = Wanted::parse(query.as_deref())?;
    let environment = administrator.environment()?;
    let listed = match wanted.filter()? {
        None => app.list::<User>(environment, environment, wanted.range()).await?,
        Some(filter) => app.search_users(environment, filter, wanted.range(), seen).await?,
    };
    let address = administrator.address();
    let items = listed.items.iter().map(|user| show(user, address)).collect();
    Ok(Page::part(User::COLLECTION, items, &listed, &wanted, address).into_response())
}

/// `POST .../users`: one that is made, or imported with a password, or many as a stream of lines.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    media: Media,
    request: Request,
) -> Answer {
    let environment = administrator.environment()?;
    if media.is_exactly(import::LINES) {
        return Ok(import::import(app, administrator, environment, request.into_body()));
    }
    let imported = media.is(&["user.import"])?.is_some();
    let body = Bytes::from_request(request, &app).await.map_err(|_| too_large())?;
    let new = new_user(parse(&body)?, imported)?;
    let made = administrator.act(Box::pin(app.create_user(environment, new))).await?;
    Ok(created(&made, administrator.address()))
}

pub(super) fn new_user(body: Body, imported: bool) -> Result<NewUser, AdministerError> {
    let population = match &body.population {
        Some(population) => Some(id_in(&population.id, "population.id")?),
        None => None,
    };
    let profile = body.profile();
    let (password, must_change_password) = match body.password {
        None => (None, false),
        Some(_) if !imported => {
            let form = "absent: set it at its own address, or import the user";
            return Err(Invalid::new("password", Rule::Form { form }).into());
        }
        Some(PasswordBody { value, force_change }) => (value, force_change),
    };
    Ok(NewUser {
        username: body.username,
        email: body.email,
        name: body.name.unwrap_or_default().into(),
        population,
        password,
        mfa_enabled: body.mfa_enabled,
        profile,
        disabled: body.enabled == Some(false),
        must_change_password,
    })
}

/// `PUT .../users/{id}`. Clients that manage users say the password again each time.
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let mut body: Body = parse(&body)?;
    let password = body.password.take();
    let edit = move |mut user: User| {
        user.put(body.clone())?;
        Ok(user)
    };
    let (environment, id) = (administrator.environment()?, administrator.id("id")?);
    let replaced = administrator.act(app.replace(environment, id, edit)).await?;
    if let Some(PasswordBody { value: Some(value), force_change }) = password {
        let keep = app.keep_password(environment, id, &value, force_change);
        administrator.act(Box::pin(keep)).await?;
    }
    Ok(Json(show(&replaced, administrator.address())).into_response())
}

/// `PATCH .../users/{id}`: members that are left out stay as they are (RFC 7396).
pub(super) async fn merge(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let patch: Value = parse(&body)?;
    if !patch.is_object() {
        return Err(Refusal::invalid_request("the body must be an object"));
    }
    // Whatever fails to fit is the request's fault, and is told before anything is written.
    let before = found::<User>(&app, &administrator).await?;
    let _: Body = parse(merged(&before, &patch).to_string().as_bytes())?;
    let edit = move |mut user: User| {
        let body = serde_json::from_value(merged(&user, &patch));
        let invalid = |_| Invalid::new("body", Rule::Form { form: "of the members of a user" });
        user.put(body.map_err(invalid)?)?;
        Ok(user)
    };
    let (environment, id) = (administrator.environment()?, administrator.id("id")?);
    let changed = administrator.act(app.replace(environment, id, edit)).await?;
    Ok(Json(show(&changed, administrator.address())).into_response())
}

fn merged(user: &User, patch: &Value) -> Value {
    let mut body = serde_json::to_value(user.body()).unwrap_or_default();
    merge_into(&mut body, patch);
    body
}

/// RFC 7396, section 2.
fn merge_into(target: &mut Value, patch: &Value) {
    let Some(members) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(target) = target.as_object_mut() else { return };
    for (name, value) in members {
        if value.is_null() {
            target.remove(name);
        } else {
            merge_into(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// `DELETE .../users/{id}`
pub(super) async fn delete(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let (environment, id) = (administrator.environment()?, administrator.id("id")?);
    administrator.act(app.delete_user(environment, id)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST .../users/{id}`: what the media type says.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    media: Media,
) -> Answer {
    let (environment, id) = (administrator.environment()?, administrator.id("id")?);
    let changed = match media.action(&["account.lock", "account.unlock"])? {
        "account.lock" => administrator.act(app.lock_user(environment, id)).await?,
        _ => administrator.act(app.unlock_user(environment, id)).await?,
    };
    Ok(Json(show(&changed, administrator.address())).into_response())
}

/// Whether a person may sign in.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "UserEnabled")]
pub(super) struct Enabled {
    enabled: bool,
}

/// Whether devices of a user count.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UserMfaEnabled")]
pub(super) struct MfaEnabled {
    mfa_enabled: bool,
}

/// A part of a user at its own address, with links.
fn part(administrator: &Administrator, name: &str, body: &impl Serialize) -> Response {
    let address = administrator.address();
    let id = administrator.parameter("id").unwrap_or_default();
    let user = format!("{}/{id}", address.list);
    let links = json!({ "self": { "href": format!("{user}/{name}") }, "user": { "href": user } });
    let mut answer = json!({ "_links": links });
    let members = serde_json::to_value(body).unwrap_or_default();
    if let (Some(answer), Value::Object(members)) = (answer.as_object_mut(), members) {
        answer.extend(members);
    }
    Json(answer).into_response()
}

/// `GET .../users/{id}/enabled`
pub(super) async fn read_enabled(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Answer {
    let enabled = found::<User>(&app, &administrator).await?.enabled;
    Ok(part(&administrator, "enabled", &Enabled { enabled }))
}

/// `PUT .../users/{id}/enabled`
pub(super) async fn put_enabled(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let Enabled { enabled } = parse(&body)?;
    let (environment, id) = (administrator.environment()?, administrator.id("id")?);
    administrator.act(app.enable_user(environment, id, enabled)).await?;
    Ok(part(&administrator, "enabled", &Enabled { enabled }))
}

/// `GET .../users/{id}/mfaEnabled`
pub(super) async fn read_mfa_enabled(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Answer {
    let mfa_enabled = found::<User>(&app, &administrator).await?.mfa_enabled;
    Ok(part(&administrator, "mfaEnabled", &MfaEnabled { mfa_enabled }))
}

/// `PUT .../users/{id}/mfaEnabled`
pub(super) async fn put_mfa_enabled(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let MfaEnabled { mfa_enabled } = parse(&body)?;
    let edit = move |user: User| Ok(User { mfa_enabled, ..user });
    let (environment, id) = (administrator.environment()?, administrator.id("id")?);
    administrator.act(app.replace::<User>(environment, id, edit)).await?;
    Ok(part(&administrator, "mfaEnabled", &MfaEnabled { mfa_enabled }))
}

/// `GET .../users/{id}/population`
pub(super) async fn read_population(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Answer {
    let population = found::<User>(&app, &administrator).await?.population;
    Ok(part(&administrator, "population", &Reference::from(population)))
}

/// `PUT .../users/{id}/population`
pub(super) async fn put_population(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let body: Reference = parse(&body)?;
    let population = id_in(&body.id, "id")?;
    let edit = move |user: User| Ok(User { population, ..user });
    let (environment, id) = (administrator.environment()?, administrator.id("id")?);
    administrator.act(app.replace::<User>(environment, id, edit)).await?;
    Ok(part(&administrator, "population", &body))
}
