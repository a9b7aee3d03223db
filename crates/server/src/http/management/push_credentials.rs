//! Push credentials on the wire (platform API, section 3.6). What is secret goes in and never comes out.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use countersign_domain::{
    application::Application,
    environment::Environment,
    id::Id,
    invalid::{Invalid, Rule},
    push_credentials::PushCredentials,
    role::Area,
    sealed::Sealed,
};
use countersign_protocol::{mobile_payload::PushService, secret::Secret, time::Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    administrator::Administrator,
    hal::{Address, Links, link},
    refusal::{Refusal, not_found, parse},
    resource::{self, New, Resource},
};
use crate::{
    app::{AdministerError, App, NewPushCredentials, PushCredentialsError},
    http::problem::{Detail, Problem},
};

/// What an application proves itself with to a push service.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PushCredentials")]
pub(super) struct Body {
    /// The service. An application has at most one of each; cannot be changed.
    #[serde(rename = "type")]
    kind: TypeWord,
    /// `APNS`: id of the signing key, ten characters.
    #[serde(skip_serializing)]
    key: Option<String>,
    /// `APNS`: id of the team, ten characters.
    #[serde(skip_serializing)]
    team_id: Option<String>,
    /// `APNS`: the text of the `.p8` file.
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    token: Option<Secret<String>>,
    /// `FCM_HTTP_V1`: the text of the JSON file of a service account.
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    google_service_account_credentials: Option<Secret<String>>,
    /// `HMS`: id of the app.
    #[serde(skip_serializing)]
    client_id: Option<String>,
    /// `HMS`: secret of the app.
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    client_secret: Option<Secret<String>>,
    /// `WEB_PUSH`: the P-256 scalar, base64url.
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    private_key: Option<Secret<String>>,
    /// `WEB_PUSH`: a `mailto:` or `https:` address of who runs the platform.
    #[serde(skip_serializing)]
    subject: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "PushCredentialsType")]
enum TypeWord {
    Apns,
    FcmHttpV1,
    Hms,
    WebPush,
    /// The service that Google has shut down in 2024: refused.
    Fcm,
}

impl TypeWord {
    /// Of a service that has credentials.
    const fn of(service: PushService) -> Self {
        match service {
            PushService::Apns => Self::Apns,
            PushService::Fcm => Self::FcmHttpV1,
            PushService::Hms => Self::Hms,
            PushService::WebPush | PushService::Direct => Self::WebPush,
        }
    }
}

impl Body {
    /// The credentials, if all is given that the service asks for.
    fn credentials(self) -> Result<NewPushCredentials, Invalid> {
        fn given<T>(member: Option<T>, target: &'static str) -> Result<T, Invalid> {
            member.ok_or_else(|| Invalid::new(target, Rule::Required))
        }
        match self.kind {
            TypeWord::Apns => Ok(NewPushCredentials::Apns {
                key_id: given(self.key, "key")?,
                team_id: given(self.team_id, "team_id")?,
                private_key: given(self.token, "token")?,
            }),
            TypeWord::FcmHttpV1 => Ok(NewPushCredentials::Fcm {
                service_account: given(
                    self.google_service_account_credentials,
                    "google_service_account_credentials",
                )?,
            }),
            TypeWord::Hms => Ok(NewPushCredentials::Hms {
                client_id: given(self.client_id, "client_id")?,
                client_secret: given(self.client_secret, "client_secret")?,
            }),
            TypeWord::WebPush => Ok(NewPushCredentials::WebPush {
                private_key: given(self.private_key, "private_key")?,
                subject: given(self.subject, "subject")?,
            }),
            TypeWord::Fcm => {
                let form = "FCM_HTTP_V1 for Google, which has shut down the service of FCM keys";
                Err(Invalid::new("type", Rule::Form { form }))
            }
        }
    }
}

impl Resource for PushCredentials {
    const NAME: &'static str = "push credentials";
    const COLLECTION: &'static str = "pushCredentials";
    const AREA: Area = Area::Applications;
    const OWNER: &'static str = "application";
    type Body = Body;

    /// Nothing is known yet, not even the secret: [`create`] seals it.
    fn blank(new: &New<Self>) -> Self {
        Self {
            id: new.id,
            environment: new.environment,
            application: new.owner,
            service: PushService::Fcm,
            secret: Sealed::new(Vec::new()),
            created_at: new.now,
            updated_at: new.now,
        }
    }

    fn put(&mut self, body: Body) -> Result<(), AdministerError> {
        self.service = body.credentials()?.service();
        Ok(())
    }

    fn body(&self) -> Body {
        Body {
            kind: TypeWord::of(self.service),
            key: None,
            team_id: None,
            token: None,
            google_service_account_credentials: None,
            client_id: None,
            client_secret: None,
            private_key: None,
            subject: None,
        }
    }

    fn times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (Some(self.created_at), Some(self.updated_at))
    }

    fn links(&self, address: &Address) -> Links {
        let application = address.list.trim_end_matches("/pushCredentials").to_owned();
        Links::from([link("application", application)])
    }
}

impl From<PushCredentialsError> for Refusal {
    fn from(error: PushCredentialsError) -> Self {
        match error {
            PushCredentialsError::Invalid(invalid) => {
                let target = match invalid.field().split('.').next().unwrap_or_default() {
                    "key_id" => "key",
                    "team_id" => "teamId",
                    "private_key" => "token",
                    "service_account" => "googleServiceAccountCredentials",
                    "client_id" => "clientId",
                    "client_secret" => "clientSecret",
                    "topic" => "mobile.bundleId",
                    other => other,
                }
                .to_owned();
                let message = invalid.to_string();
                Problem::invalid_data(Detail::new("INVALID_VALUE", target, message)).into()
            }
            PushCredentialsError::BundleIdRequired => {
                let message = "mobile.bundleId of the application must be set first".to_owned();
                Problem::invalid_data(Detail::new("REQUIRED_VALUE", "mobile.bundleId", message))
                    .into()
            }
            PushCredentialsError::NotNative => {
                let message = "the application must have mobile".to_owned();
                Problem::invalid_data(Detail::new("INVALID_VALUE", "application.mobile", message))
                    .into()
            }
            PushCredentialsError::NotFound => not_found().into(),
            PushCredentialsError::Fault(fault) => fault.into(),
        }
    }
}

/// `POST .../pushCredentials`
pub(super) async fn create(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Result<Response, Refusal> {
    let (environment, application) = of(&administrator)?;
    let new = parse::<Body>(&body)?.credentials()?;
    let sealed = app.seal_push_credentials((environment, application), app.new_id(), new).await?;
    let made = administrator.act(app.create(sealed)).await?;
    Ok(resource::created(&made, administrator.address()))
}

/// `PUT .../pushCredentials/{id}`
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Result<Response, Refusal> {
    let (environment, application) = of(&administrator)?;
    let old = resource::found::<PushCredentials>(&app, &administrator).await?;
    let new = parse::<Body>(&body)?.credentials()?;
    if new.service() != old.service {
        return Err(Invalid::new("type", Rule::Immutable).into());
    }
    let sealed = app.seal_push_credentials((environment, application), old.id, new).await?;
    let edit = move |old| Ok(PushCredentials { secret: sealed.secret.clone(), ..old });
    let replaced = administrator.act(app.replace(environment, old.id, edit)).await?;
    Ok(Json(resource::show(&replaced, administrator.address())).into_response())
}

fn of(administrator: &Administrator) -> Result<(Id<Environment>, Id<Application>), Refusal> {
    Ok((administrator.environment()?, administrator.id(PushCredentials::OWNER)?))
}
