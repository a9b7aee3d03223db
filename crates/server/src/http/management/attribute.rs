//! Attribute mappings of applications on the wire (platform API, section 3.5): what tokens and userinfo tell of a user.
//!
//! They are kept in the application, since each sign-on reads them with it. Each application has the mapping of `sub`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_domain::{
    application::{Application, AttributeMapping, SUBJECT},
    authorization::Scope,
    id::Id,
    invalid::{Invalid, Rule},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    administrator::Administrator,
    hal::{Links, Page, Reference, Shown, link},
    refusal::{Refusal, parse},
};
use crate::app::{AdministerError, App};

type Answer = Result<Response, Refusal>;

/// An attribute mapping.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ApplicationAttribute")]
pub(super) struct Body {
    /// Name of the claim.
    name: String,
    /// What it says, at most 2,048 characters: text with references such as `${user.name.given}`.
    value: String,
    /// Whether a sign-on fails for a user for whom it is empty.
    #[serde(default)]
    required: bool,
    /// Whether it is in ID tokens.
    #[serde(default = "yes")]
    id_token: bool,
    /// Whether userinfo tells it.
    #[serde(default = "yes")]
    user_info: bool,
    /// Ids of the scopes of which one must be granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    oidc_scopes: Option<Vec<String>>,
    /// Whether it comes with every application.
    #[serde(skip_deserializing)]
    mapping_type: MappingType,
    /// Whose it is.
    #[serde(skip_deserializing)]
    application: Option<Reference>,
}

/// Whether a mapping comes with every application.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "ApplicationAttributeType")]
enum MappingType {
    Core,
    #[default]
    Custom,
}

const fn yes() -> bool {
    true
}

/// The mappings of an application.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApplicationAttributeCollection")]
pub(super) struct All {
    #[serde(rename = "_embedded")]
    embedded: BTreeMap<String, Vec<Shown<Body>>>,
}

impl Body {
    fn of(mapping: AttributeMapping, application: Id<Application>) -> Self {
        let id = |name: &String| {
            let scope = Scope::ALL.iter().find(|scope| scope.name() == name)?;
            Some(scope.id().to_string())
        };
        let scopes: Vec<_> = mapping.scopes.iter().filter_map(id).collect();
        let core = mapping.name == SUBJECT;
        Self {
            name: mapping.name,
            value: mapping.value,
            required: mapping.required,
            id_token: mapping.id_token,
            user_info: mapping.user_info,
            oidc_scopes: (!scopes.is_empty()).then_some(scopes),
            mapping_type: if core { MappingType::Core } else { MappingType::Custom },
            application: Some(application.into()),
        }
    }

    fn mapping(self, id: Id<AttributeMapping>) -> Result<AttributeMapping, AdministerError> {
        let name = |id: String| {
            let scope = Scope::ALL.iter().find(|scope| scope.id().to_string() == id);
            let unknown = || Invalid::new("oidc.attributes.scopes", Rule::Unknown);
            scope.map(|scope| scope.name().to_owned()).ok_or_else(unknown)
        };
        let scopes = self.oidc_scopes.unwrap_or_default().into_iter().map(name);
        Ok(AttributeMapping {
            id,
            scopes: scopes.collect::<Result<_, _>>()?,
            name: self.name,
            value: self.value,
            required: self.required,
            id_token: self.id_token,
            user_info: self.user_info,
        })
    }
}

fn shown(
    administrator: &Administrator,
    mapping: AttributeMapping,
    of: &Application,
) -> Shown<Body> {
    let (address, id) = (administrator.address(), mapping.id);
    let application = address.list.trim_end_matches("/attributes").to_owned();
    let links = Links::from([
        link("self", address.of(id)),
        link("environment", address.environment(of.environment)),
        link("application", application),
    ]);
    Shown {
        links,
        id: id.to_string(),
        environment: of.environment.into(),
        body: Body::of(mapping, of.id),
        created_at: None,
        updated_at: None,
    }
}

/// The mappings of an application, that of `sub` first.
fn all(application: &Application) -> impl Iterator<Item = AttributeMapping> {
    let own = application.oidc.attributes.iter().filter(|mapping| mapping.name != SUBJECT);
    std::iter::once(application.subject_mapping()).chain(own.cloned())
}

fn find(
    application: &Application,
    id: Id<AttributeMapping>,
) -> Result<AttributeMapping, AdministerError> {
    all(application).find(|mapping| mapping.id == id).ok_or(AdministerError::NotFound)
}

async fn application(app: &App, administrator: &Administrator) -> Result<Application, Refusal> {
    let (environment, id) = (administrator.environment()?, administrator.id("application")?);
    Ok(app.get(environment, id).await?)
}

/// Changes the mappings of the application of the address.
async fn change(
    app: &App,
    administrator: &Administrator,
    edit: impl Fn(&mut Application) -> Result<(), AdministerError> + Send + Sync + 'static,
) -> Result<Application, Refusal> {
    let (environment, id) = (administrator.environment()?, administrator.id("application")?);
    let edit = move |mut application: Application| {
        edit(&mut application)?;
        Ok(application)
    };
    Ok(administrator.act(app.replace(environment, id, edit)).await?)
}

/// `GET .../attributes`: all of them, since there are at most 101.
pub(super) async fn list(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let application = application(&app, &administrator).await?;
    let items =
        all(&application).map(|mapping| shown(&administrator, mapping, &application)).collect();
    Ok(Page::whole("attributes", items, administrator.address()).into_response())
}

/// `GET .../attributes/{id}`
pub(super) async fn read(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let application = application(&app, &administrator).await?;
    let mapping = find(&application, administrator.id("id")?)?;
    Ok(Json(shown(&administrator, mapping, &application)).into_response())
}

/// `POST .../attributes`
pub(super) async fn create(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let new = parse::<Body>(&body)?.mapping(app.new_id())?;
    let made = new.clone();
    let changed = change(&app, &administrator, move |application| {
        // That of the subject is there already.
        if new.name == SUBJECT {
            return Err(Invalid::new("oidc.attributes.name", Rule::Unique).into());
        }
        application.oidc.attributes.push(new.clone());
        Ok(())
    });
    let changed = changed.await?;
    let location = [(header::LOCATION, administrator.address().of(made.id))];
    let made = shown(&administrator, made, &changed);
    Ok((StatusCode::CREATED, location, Json(made)).into_response())
}

/// `PUT .../attributes/{id}`
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let id = administrator.id("id")?;
    let new = parse::<Body>(&body)?.mapping(id)?;
    let replaced = new.clone();
    let changed = change(&app, &administrator, move |application| {
        let old = find(application, id)?;
        if (old.name == SUBJECT) != (new.name == SUBJECT) {
            return Err(Invalid::new("oidc.attributes.name", Rule::Immutable).into());
        }
        let mappings = &mut application.oidc.attributes;
        match mappings.iter_mut().find(|mapping| mapping.id == id) {
            Some(mapping) => *mapping = new.clone(),
            None => mappings.push(new.clone()),
        }
        Ok(())
    });
    let changed = changed.await?;
    Ok(Json(shown(&administrator, replaced, &changed)).into_response())
}

/// `DELETE .../attributes/{id}`
pub(super) async fn delete(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let id = administrator.id("id")?;
    let changed = change(&app, &administrator, move |application| {
        if find(application, id)?.name == SUBJECT {
            return Err(AdministerError::InUse { by: "every token, as its subject" });
        }
        application.oidc.attributes.retain(|mapping| mapping.id != id);
        Ok(())
    });
    changed.await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
