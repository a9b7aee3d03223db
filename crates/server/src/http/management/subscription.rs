//! Subscriptions on the wire (platform API, section 12.3).

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countersign_domain::{
    id::Id,
    invalid::{Invalid, Rule},
    role::{Area, Permission},
    subscription::{
        Delivery, Encoding, FilterOptions, Format, Payload, PayloadLimit, Subscription, Tag,
    },
};
use countersign_protocol::{secret::Secret, time::Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    administrator::Administrator,
    hal::{Address, Links, Page, Reference, Shown, Wanted, link, time},
    media::Media,
    refusal::{Refusal, parse},
    resource::{New, Resource, Sent, found, id_in, listed, show},
};
use crate::app::{AdministerError, App, Fault, Headers};

/// A webhook: somebody who is told of the audit log.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Subscription")]
pub(super) struct Body {
    /// 1 to 256 characters.
    name: String,
    /// Whether it is told. What happens meanwhile is kept for two weeks.
    #[serde(default)]
    enabled: bool,
    /// Whether the receiver must show a certificate that the platform believes.
    #[serde(default = "yes")]
    verify_tls_certificates: bool,
    #[serde(default)]
    protocol: Protocol,
    #[serde(default)]
    format: FormatWord,
    http_endpoint: HttpEndpoint,
    filter_options: FilterBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_options: Option<PayloadBody>,
    /// Not supported.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_client_auth_key_pair: Option<Reference>,
}

const fn yes() -> bool {
    true
}

/// How the receiver is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum Protocol {
    #[default]
    #[serde(rename = "HTTPS")]
    Https,
    /// Not supported.
    #[serde(rename = "TCP_IP")]
    TcpIp,
}

/// How records are written.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "SubscriptionFormat")]
enum FormatWord {
    #[default]
    Activity,
    Splunk,
    NewRelic,
}

/// Where records are sent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct HttpEndpoint {
    /// An `https` address.
    url: String,
    /// At most 20 header fields that go with every call. Who may not manage webhooks is told their names alone.
    #[serde(default, skip_serializing)]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    headers: Option<Headers>,
}

/// Which records are sent, and what of them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SubscriptionFilterOptions")]
struct FilterBody {
    /// 1 to 500 types of actions. Those that this version does not know never occur.
    included_action_types: Vec<String>,
    /// At most 10 applications; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    included_applications: Vec<Reference>,
    /// At most 10 populations; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    included_populations: Vec<Reference>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    included_tags: Vec<TagWord>,
    /// Whether addresses of callers are sent.
    #[serde(default)]
    ip_address_exposed: bool,
    /// Whether it is sent what callers call themselves.
    #[serde(default)]
    user_agent_exposed: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SubscriptionTag")]
enum TagWord {
    AdminIdentityEvent,
}

/// How many records go together, and in which form.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SubscriptionPayloadOptions")]
struct PayloadBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_payload_limit: Option<LimitBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_format: Option<PayloadFormat>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SubscriptionPayloadLimit")]
struct LimitBody {
    #[serde(rename = "type")]
    kind: LimitKind,
    /// 1 to 500 records, or 1 to 4,096 units of 1,024 bytes.
    size: u32,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum LimitKind {
    EventsPerPayload,
    KbPerPayload,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SubscriptionPayloadFormat")]
struct PayloadFormat {
    #[serde(skip_serializing_if = "Option::is_none")]
    https: Option<HttpsFormat>,
    /// Not supported.
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<Value>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SubscriptionHttpsFormat")]
struct HttpsFormat {
    #[serde(default)]
    format: EncodingWord,
    /// Whether it is written for people, on many lines; not with `ND_JSON`.
    #[serde(default)]
    pretty_print: bool,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "SubscriptionEncoding")]
enum EncodingWord {
    #[default]
    JsonArray,
    NdJson,
}

impl FilterBody {
    fn of(filter: &FilterOptions) -> Self {
        let tag = |tag: &Tag| match tag {
            Tag::AdminIdentityEvent => TagWord::AdminIdentityEvent,
        };
        Self {
            included_action_types: filter.action_types.clone(),
            included_applications: filter.applications.iter().map(|id| (*id).into()).collect(),
            included_populations: filter.populations.iter().map(|id| (*id).into()).collect(),
            included_tags: filter.tags.iter().map(tag).collect(),
            ip_address_exposed: filter.ip_address_exposed,
            user_agent_exposed: filter.user_agent_exposed,
        }
    }

    fn read(self) -> Result<FilterOptions, AdministerError> {
        let tag = |tag: TagWord| match tag {
            TagWord::AdminIdentityEvent => Tag::AdminIdentityEvent,
        };
        Ok(FilterOptions {
            action_types: self.included_action_types,
            applications: ids(&self.included_applications, "filterOptions.includedApplications")?,
            populations: ids(&self.included_populations, "filterOptions.includedPopulations")?,
            tags: self.included_tags.into_iter().map(tag).collect(),
            ip_address_exposed: self.ip_address_exposed,
            user_agent_exposed: self.user_agent_exposed,
        })
    }
}

fn ids<T>(given: &[Reference], target: &'static str) -> Result<Vec<Id<T>>, AdministerError> {
    given.iter().map(|reference| id_in(&reference.id, target)).collect()
}

impl PayloadBody {
    fn of(payload: Payload) -> Self {
        let limit = match payload.limit {
            PayloadLimit::Events(size) => LimitBody { kind: LimitKind::EventsPerPayload, size },
            PayloadLimit::Kilobytes(size) => LimitBody { kind: LimitKind::KbPerPayload, size },
        };
        let format = match payload.encoding {
            Encoding::JsonArray => EncodingWord::JsonArray,
            Encoding::NdJson => EncodingWord::NdJson,
        };
        let https = HttpsFormat { format, pretty_print: payload.pretty_print };
        Self {
            maximum_payload_limit: Some(limit),
            payload_format: Some(PayloadFormat { https: Some(https), tcp: None }),
        }
    }

    fn read(self) -> Result<Payload, Invalid> {
        let limit = self.maximum_payload_limit.map(|LimitBody { kind, size }| match kind {
            LimitKind::EventsPerPayload => PayloadLimit::Events(size),
            LimitKind::KbPerPayload => PayloadLimit::Kilobytes(size),
        });
        let PayloadFormat { https, tcp } = self.payload_format.unwrap_or_default();
        if tcp.is_some() {
            let form = "absent: webhooks are called by HTTPS";
            return Err(Invalid::new("payloadOptions.payloadFormat.tcp", Rule::Form { form }));
        }
        let HttpsFormat { format, pretty_print } = https.unwrap_or_default();
        let encoding = match format {
            EncodingWord::JsonArray => Encoding::JsonArray,
            EncodingWord::NdJson => Encoding::NdJson,
        };
        Ok(Payload { limit: limit.unwrap_or_default(), encoding, pretty_print })
    }
}

impl Resource for Subscription {
    const NAME: &'static str = "webhook";
    const COLLECTION: &'static str = "subscriptions";
    const AREA: Area = Area::Subscriptions;
    type Body = Body;

    fn blank(new: &New<Self>) -> Self {
        Self {
            id: new.id,
            environment: new.environment,
            name: String::new(),
            enabled: false,
            verify_tls_certificates: true,
            format: Format::default(),
            url: String::new(),
            headers: None,
            filter: FilterOptions::default(),
            payload: Payload::default(),
            told: None,
            created_at: new.now,
            updated_at: new.now,
        }
    }

    fn put(&mut self, body: Body) -> Result<(), AdministerError> {
        if body.protocol != Protocol::Https {
            return Err(Invalid::new("protocol", Rule::OneOf { words: &["HTTPS"] }).into());
        }
        if body.tls_client_auth_key_pair.is_some() {
            let form = "absent: the platform does not show a certificate to receivers";
            return Err(Invalid::new("tlsClientAuthKeyPair", Rule::Form { form }).into());
        }
        self.name = body.name;
        self.enabled = body.enabled;
        self.verify_tls_certificates = body.verify_tls_certificates;
        self.format = match body.format {
            FormatWord::Activity => Format::Activity,
            FormatWord::Splunk => Format::Splunk,
            FormatWord::NewRelic => Format::NewRelic,
        };
        self.url = body.http_endpoint.url;
        self.filter = body.filter_options.read()?;
        self.payload = body.payload_options.unwrap_or_default().read()?;
        Ok(())
    }

    /// Without the header fields, which are not for everybody.
    fn body(&self) -> Body {
        Body {
            name: self.name.clone(),
            enabled: self.enabled,
            verify_tls_certificates: self.verify_tls_certificates,
            protocol: Protocol::Https,
            format: match self.format {
                Format::Activity => FormatWord::Activity,
                Format::Splunk => FormatWord::Splunk,
                Format::NewRelic => FormatWord::NewRelic,
            },
            http_endpoint: HttpEndpoint { url: self.url.clone(), headers: None },
            filter_options: FilterBody::of(&self.filter),
            payload_options: Some(PayloadBody::of(self.payload)),
            tls_client_auth_key_pair: None,
        }
    }

    fn told(&self) -> Option<&str> {
        self.told.as_deref()
    }

    fn tell(&mut self, told: String) {
        self.told = Some(told);
    }

    fn links(&self, address: &Address) -> Links {
        let own = address.of(self.id);
        Links::from([link("secret", format!("{own}/secret"))])
    }

    fn times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (Some(self.created_at), Some(self.updated_at))
    }
}

type Answer = Result<Response, Refusal>;

/// How a webhook fares.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DeliveryView {
    /// It was told of everything that was recorded before this time.
    delivered_through: String,
    /// Calls that failed since one succeeded.
    failures: u32,
    /// When the next one is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_success_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<FailureView>,
    /// When records were last dropped that had waited for two weeks.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeliveryFailure")]
struct FailureView {
    at: String,
    message: String,
}

/// A webhook as it is answered.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SubscriptionWithDelivery")]
pub(super) struct WithDelivery {
    #[serde(flatten)]
    #[schemars(with = "Shown<Body>")]
    shown: Shown<Value>,
    delivery: DeliveryView,
}

fn delivery_view(delivery: Delivery) -> DeliveryView {
    DeliveryView {
        delivered_through: time(delivery.position.time()),
        failures: delivery.failures,
        next_attempt_at: delivery.retry_at.map(time),
        last_success_at: delivery.succeeded_at.map(time),
        last_error: delivery
            .failure
            .map(|failure| FailureView { at: time(failure.at), message: failure.message }),
        dropped_at: delivery.dropped_at.map(time),
    }
}

/// What stands for the value of a header field, for those who may not know it.
const HIDDEN: &str = "********";

/// A webhook with its header fields.
fn shown(
    app: &App,
    administrator: &Administrator,
    subscription: &Subscription,
) -> Result<Shown<Value>, Fault> {
    let manage = Permission::manage(Area::Subscriptions);
    let authority = &administrator.authority;
    let is_manager = authority.allows(manage, Some(subscription.environment));
    let told = |(name, value): (String, Secret<String>)| {
        let value = if is_manager { value.expose().clone() } else { HIDDEN.to_owned() };
        (name, Value::from(value))
    };
    let mut shown = show(subscription, administrator.address());
    let headers: serde_json::Map<_, _> =
        app.open_headers(subscription)?.into_iter().map(told).collect();
    if !headers.is_empty()
        && let Some(endpoint) =
            shown.body.pointer_mut("/httpEndpoint").and_then(Value::as_object_mut)
    {
        endpoint.insert("headers".to_owned(), Value::Object(headers));
    }
    Ok(shown)
}

async fn with_delivery(app: &App, administrator: &Administrator, of: &Subscription) -> Answer {
    let shown = shown(app, administrator, of)?;
    let delivery = delivery_view(app.delivery_of(of).await?);
    Ok(Json(WithDelivery { shown, delivery }).into_response())
}

/// `GET .../subscriptions`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    RawQuery(query): RawQuery,
) -> Answer {
    let wanted = Wanted::parse(query.as_deref())?;
    let listed = listed::<Subscription>(&app, &administrator, &wanted).await?;
    let shown = listed.items.iter().map(|item| shown(&app, &administrator, item));
    let shown = shown.collect::<Result<_, _>>()?;
    let address = administrator.address();
    let part = Page::part(Subscription::COLLECTION, shown, &listed, &wanted, address);
    Ok(part.into_response())
}

/// The header fields of a body, which are secrets and sealed, apart from what is kept as it was sent.
fn apart(bytes: &[u8]) -> Result<(Headers, Sent<Body>), Refusal> {
    let body: Body = parse(bytes)?;
    let headers = body.http_endpoint.headers.unwrap_or_default();
    let mut sent: Value = parse(bytes)?;
    if let Some(endpoint) = sent.get_mut("httpEndpoint").and_then(Value::as_object_mut) {
        endpoint.remove("headers");
    }
    Ok((headers, Sent::parse(sent.to_string().as_bytes())?))
}

/// `POST .../subscriptions`
pub(super) async fn create(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let environment = administrator.environment()?;
    let new = New { id: app.new_id(), environment, owner: environment, now: app.now() };
    let (headers, sent) = apart(&body)?;
    let mut made = Subscription::blank(&new);
    sent.put(&mut made)?;
    let made = administrator.act(app.create_subscription(made, &headers)).await?;
    let location = [(axum::http::header::LOCATION, administrator.address().of(made.id))];
    let shown = shown(&app, &administrator, &made)?;
    Ok((StatusCode::CREATED, location, Json(shown)).into_response())
}

/// `GET .../subscriptions/{id}`
pub(super) async fn read(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let found = found::<Subscription>(&app, &administrator).await?;
    with_delivery(&app, &administrator, &found).await
}

/// `PUT .../subscriptions/{id}`
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let (headers, sent) = apart(&body)?;
    let edit = move |mut old| {
        sent.clone().put(&mut old)?;
        Ok(old)
    };
    let (environment, id) = (administrator.environment()?, administrator.id("id")?);
    let replace = app.replace_subscription(environment, id, &headers, edit);
    let replaced = administrator.act(replace).await?;
    Ok(Json(shown(&app, &administrator, &replaced)?).into_response())
}

/// From when on a webhook is told once more.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "SubscriptionReplay")]
pub(super) struct Replay {
    /// A time of the last two weeks.
    from: String,
}

pub(super) const REPLAY: &str = "application/vnd.pingidentity.subscription.replay+json";

/// `POST .../subscriptions/{id}`: what the media type says.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    media: Media,
    body: Bytes,
) -> Answer {
    media.action(&["subscription.replay"])?;
    let Replay { from } = parse(&body)?;
    let form = "a time, such as 2026-01-05T09:00:00Z";
    let from =
        Timestamp::parse_rfc3339(&from).ok_or_else(|| Invalid::new("from", Rule::Form { form }))?;
    let (environment, id) = (administrator.environment()?, administrator.id("id")?);
    let replayed = administrator.act(app.replay_subscription(environment, id, from)).await?;
    with_delivery(&app, &administrator, &replayed).await
}

/// What the receiver verifies signatures with.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SubscriptionSecret")]
pub(super) struct SecretView {
    environment: Reference,
    /// `whsec_` and the key in base64, as libraries of Standard Webhooks take it.
    #[serde(serialize_with = "countersign_protocol::secret::reveal")]
    #[schemars(with = "String")]
    secret: Secret<String>,
}

/// `GET .../subscriptions/{id}/secret`
pub(super) async fn read_secret(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Answer {
    let found = found::<Subscription>(&app, &administrator).await?;
    let secret = app.subscription_secret(&found).await?;
    let environment = found.environment.into();
    Ok(Json(SecretView { environment, secret }).into_response())
}
