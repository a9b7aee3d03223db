//! Environments on the wire, and the organization and license around them (platform API, section 2.1). There is one of each.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_domain::{
    environment::{Environment, Kind},
    id::Id,
    invalid::{Invalid, Rule},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    administrator::Administrator,
    hal::{Address, Link, Links, Page, Reference, Wanted, link, time},
    refusal::{Refusal, not_found, parse},
    role::ORGANIZATION,
};
use crate::app::{AdministerError, App};

/// The license that every installation has.
const LICENSE: Id<Reference> =
    Id::from_bytes([0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 4, 1]);

/// A tenant: its own users, applications, policies and keys.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Environment")]
pub(super) struct Body {
    /// Unique on this platform, 1 to 256 characters.
    name: String,
    /// For administrators, at most 1,024 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// What it is for.
    #[serde(rename = "type", default)]
    kind: KindBody,
    /// Kept and told again; where data is, is where the platform runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<Reference>,
    /// What it is used for.
    #[serde(skip_serializing_if = "Option::is_none")]
    bill_of_materials: Option<BillOfMaterials>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "EnvironmentType")]
enum KindBody {
    #[default]
    Production,
    Sandbox,
}

impl From<KindBody> for Kind {
    fn from(body: KindBody) -> Self {
        match body {
            KindBody::Production => Self::Production,
            KindBody::Sandbox => Self::Sandbox,
        }
    }
}

impl From<Kind> for KindBody {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Production => Self::Production,
            Kind::Sandbox => Self::Sandbox,
        }
    }
}

/// The services of an environment. They are kept for those who ask; all that the platform has is there in any case.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct BillOfMaterials {
    #[serde(skip_serializing_if = "Option::is_none")]
    solution_type: Option<String>,
    products: Vec<Product>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Product {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    console: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bookmarks: Option<Vec<Bookmark>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Bookmark {
    name: String,
    href: String,
}

/// What is kept of the body.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Kept {
    region: Option<String>,
    icon: Option<String>,
    bill_of_materials: Option<BillOfMaterials>,
}

impl Kept {
    fn of(environment: &Environment) -> Self {
        let told = environment.told.as_deref();
        told.and_then(|told| serde_json::from_str(told).ok()).unwrap_or_default()
    }
}

fn put(mut environment: Environment, body: &Body) -> Result<Environment, AdministerError> {
    let kept = Kept::of(&environment);
    let moves = kept.region.is_some() && body.region.is_some() && kept.region != body.region;
    if moves {
        return Err(Invalid::new("region", Rule::Immutable).into());
    }
    let mut body = body.clone();
    body.region = body.region.or(kept.region);
    // It has an address of its own, at which it is changed.
    body.bill_of_materials = body.bill_of_materials.or(kept.bill_of_materials);
    environment.told = Some(serde_json::to_string(&body).unwrap_or_default());
    environment.name = body.name;
    environment.description = body.description;
    environment.kind = body.kind.into();
    Ok(environment)
}

fn view(environment: &Environment, base: &str) -> Value {
    let own = format!("{base}/environments/{}", environment.id);
    let mut links = Links::from([
        link("self", own.clone()),
        link("organization", format!("{base}/organizations/{ORGANIZATION}")),
    ]);
    for part in
        ["populations", "users", "groups", "applications", "activities", "billOfMaterials", "keys"]
    {
        links.extend([link(part, format!("{own}/{part}"))]);
    }
    let kept = Kept::of(environment);
    let body = Body {
        name: environment.name.clone(),
        description: environment.description.clone(),
        kind: environment.kind.into(),
        region: Some(kept.region.unwrap_or_else(|| "EU".to_owned())),
        icon: kept.icon,
        license: Some(LICENSE.into()),
        bill_of_materials: None,
    };
    let mut view = json!({
        "_links": links,
        "id": environment.id,
        "organization": { "id": ORGANIZATION },
        "status": if environment.is_there() { "ACTIVE" } else { "DELETE_PENDING" },
        "createdAt": time(environment.created_at),
        "updatedAt": time(environment.updated_at),
    });
    if let (Some(view), Ok(Value::Object(body))) =
        (view.as_object_mut(), serde_json::to_value(body))
    {
        view.extend(body);
    }
    view
}

fn seen(environment: &Environment) -> Value {
    view(environment, "")
}

type Answer = Result<Response, Refusal>;

/// `GET /v1/environments`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    RawQuery(query): RawQuery,
) -> Answer {
    let wanted = Wanted::parse(query.as_deref())?;
    let by = administrator.authority.clone();
    let listed = app.visible_environments(by, wanted.range(), wanted.filter()?, seen).await?;
    let address = administrator.address();
    let items = listed.items.iter().map(|item| view(item, &address.base)).collect();
    Ok(Page::part("environments", items, &listed, &wanted, address).into_response())
}

/// `POST /v1/environments`
pub(super) async fn create(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let body: Body = parse(&body)?;
    let new = put(app.blank_environment(""), &body)?;
    let made = administrator.act(Box::pin(app.create_environment_like(new))).await?;
    let Address { base, list } = administrator.address();
    let location = [(header::LOCATION, format!("{list}/{}", made.id))];
    Ok((StatusCode::CREATED, location, Json(view(&made, base))).into_response())
}

/// `GET /v1/environments/{environment}`
pub(super) async fn read(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let found = app.read_environment(administrator.environment()?).await?;
    Ok(Json(view(&found, &administrator.address().base)).into_response())
}

async fn change(
    app: &App,
    administrator: &Administrator,
    edit: impl Fn(Environment) -> Result<Environment, AdministerError> + Send + Sync + 'static,
) -> Answer {
    let id = administrator.environment()?;
    let changed = administrator.act(app.replace_environment(id, edit)).await?;
    Ok(Json(view(&changed, &administrator.address().base)).into_response())
}

/// `PUT /v1/environments/{environment}`
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let body: Body = parse(&body)?;
    change(&app, &administrator, move |old| put(old, &body)).await
}

/// What an environment is for.
#[derive(Deserialize, JsonSchema)]
pub(super) struct TypeBody {
    #[serde(rename = "type")]
    kind: KindBody,
}

/// `PUT /v1/environments/{environment}/type`
pub(super) async fn replace_type(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let TypeBody { kind } = parse(&body)?;
    let kind = kind.into();
    change(&app, &administrator, move |old| Ok(Environment { kind, ..old })).await
}

/// `DELETE /v1/environments/{environment}`
pub(super) async fn delete(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let id = administrator.environment()?;
    administrator.act(app.delete_environment(id)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /v1/environments/{environment}/billOfMaterials`
pub(super) async fn read_bill(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let found = app.read_environment(administrator.environment()?).await?;
    Ok(bill_of(&found, &administrator))
}

/// `PUT /v1/environments/{environment}/billOfMaterials`
pub(super) async fn replace_bill(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let bill: BillOfMaterials = parse(&body)?;
    if bill.products.len() > 100 {
        return Err(Invalid::new("products", Rule::Form { form: "a list of at most 100" }).into());
    }
    let edit = move |mut old: Environment| {
        let told = old.told.as_deref().and_then(|told| serde_json::from_str::<Value>(told).ok());
        let mut told = told.unwrap_or_else(|| json!({}));
        if let (Some(told), Ok(bill)) = (told.as_object_mut(), serde_json::to_value(&bill)) {
            told.insert("billOfMaterials".to_owned(), bill);
        }
        old.told = Some(told.to_string());
        Ok(old)
    };
    let id = administrator.environment()?;
    let changed = administrator.act(app.replace_environment(id, edit)).await?;
    Ok(bill_of(&changed, &administrator))
}

fn bill_of(environment: &Environment, administrator: &Administrator) -> Response {
    let own = administrator.address().environment(environment.id);
    // What the platform has, as long as nobody has said otherwise.
    let bill = Kept::of(environment).bill_of_materials.unwrap_or_else(|| BillOfMaterials {
        solution_type: Some("CUSTOMER".to_owned()),
        products: ["PING_ONE_BASE", "PING_ONE_MFA"]
            .map(|kind| Product { kind: kind.to_owned(), ..Product::default() })
            .into(),
    });
    let mut view = json!({
        "_links": {
            "self": { "href": format!("{own}/billOfMaterials") },
            "environment": { "href": own },
        },
        "createdAt": time(environment.created_at),
        "updatedAt": time(environment.updated_at),
    });
    if let (Some(view), Ok(Value::Object(bill))) =
        (view.as_object_mut(), serde_json::to_value(bill))
    {
        view.extend(bill);
    }
    Json(view).into_response()
}

fn organization(base: &str) -> Value {
    let own = format!("{base}/organizations/{ORGANIZATION}");
    json!({
        "_links": {
            "self": { "href": own },
            "environments": { "href": format!("{base}/environments") },
            "licenses": { "href": format!("{own}/licenses") },
        },
        "id": ORGANIZATION,
        "name": "Countersign",
        "type": "CUSTOMER",
    })
}

fn license(base: &str) -> Value {
    let organization = format!("{base}/organizations/{ORGANIZATION}");
    json!({
        "_links": {
            "self": { "href": format!("{organization}/licenses/{LICENSE}") },
            "organization": { "href": organization },
        },
        "id": LICENSE,
        "name": "Countersign",
        "status": "ACTIVE",
        "package": "GLOBAL",
        "organization": { "id": ORGANIZATION },
        "environments": { "allowAddResources": true, "allowProduction": true },
        "mfa": { "allowPushNotification": true, "allowTotp": true },
    })
}

fn only(administrator: &Administrator, collection: &'static str, item: Value) -> Response {
    Page::whole(collection, vec![item], administrator.address()).into_response()
}

/// `GET /v1/organizations`
pub(super) async fn list_organizations(administrator: Administrator) -> Response {
    let item = organization(&administrator.address().base);
    only(&administrator, "organizations", item)
}

/// `GET /v1/organizations/{id}`
pub(super) async fn read_organization(administrator: Administrator) -> Answer {
    if administrator.parameter("organization")? != ORGANIZATION.to_string() {
        return Err(not_found().into());
    }
    Ok(Json(organization(&administrator.address().base)).into_response())
}

/// `GET /v1/organizations/{organization}/licenses`
pub(super) async fn list_licenses(administrator: Administrator) -> Answer {
    if administrator.parameter("organization")? != ORGANIZATION.to_string() {
        return Err(not_found().into());
    }
    let item = license(&administrator.address().base);
    Ok(only(&administrator, "licenses", item))
}

/// `GET /v1/organizations/{organization}/licenses/{id}`
pub(super) async fn read_license(administrator: Administrator) -> Answer {
    let named = (administrator.parameter("organization")?, administrator.parameter("id")?);
    if named != (ORGANIZATION.to_string().as_str(), LICENSE.to_string().as_str()) {
        return Err(not_found().into());
    }
    Ok(Json(license(&administrator.address().base)).into_response())
}
