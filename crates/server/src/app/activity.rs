//! Audit records as others are told of them, by the management API and by webhooks (platform API, section 12.1).

use countersign_domain::{
    audit::{Actors, Kind, Mention, Part, Record, Resource},
    environment::Environment,
    id::Id,
    subscription::Tag,
};
use schemars::JsonSchema;
use serde::Serialize;

/// A record of the audit log, in the words of the wire.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    id: String,
    /// When the request that it belongs to began.
    recorded_at: String,
    created_at: String,
    /// The environment that the log is of.
    environment: Reference,
    /// The name of the request: the `Correlation-Id` of its answer.
    #[serde(skip_serializing_if = "String::is_empty")]
    correlation_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    internal_correlation: Option<InternalCorrelation>,
    actors: ActorsView,
    action: ActionView,
    /// What it happened to.
    resources: Vec<ResourceView>,
    result: ResultView,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<SourceView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Tags>,
    /// What a service outside has answered, word for word.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ActivityReference")]
struct Reference {
    id: String,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct InternalCorrelation {
    /// The session of the browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    /// The sign-on that it is a step of.
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "ActivityActors")]
struct ActorsView {
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<ActorView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<ActorView>,
    /// The platform by itself (`WORKER`), or somebody at its machine (`OPERATOR`).
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'static str>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ActivityActor")]
struct ActorView {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Absent for administrators, who may be of another environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    href: Option<String>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ActivityAction")]
struct ActionView {
    #[serde(rename = "type")]
    kind: &'static str,
    description: &'static str,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ActivityResource")]
struct ResourceView {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    environment: Reference,
    #[serde(skip_serializing_if = "Option::is_none")]
    href: Option<String>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ActivityResult")]
struct ResultView {
    /// `SUCCESS` or `FAILED`.
    status: &'static str,
    description: String,
    /// Why, in a word that stays the same: `wrong_password`, `limit_reached`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ActivitySource")]
struct SourceView {
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ActivityTags")]
struct Tags {
    /// Somebody was given a role or lost one.
    admin_identity_event: bool,
}

impl Activity {
    /// A record as it is told by a platform at this address.
    #[must_use]
    pub fn of(record: &Record, base_url: &str) -> Self {
        let at = Addresses { environment: record.environment, base_url };
        let event = &record.event;
        let recorded_at = record.recorded_at.to_rfc3339_millis();
        let (session_id, transaction_id) =
            (event.session.clone(), event.flow.map(|flow| flow.to_string()));
        let is_correlated = session_id.is_some() || transaction_id.is_some();
        let device_of = event.user.as_ref().map(|user| user.id.to_string());
        let mut resources: Vec<_> =
            record.resources().iter().map(|it| at.resource(it, device_of.as_deref())).collect();
        resources.extend(event.key.as_ref().map(|kid| at.key(kid)));
        let description = event.reason.as_deref().map(|reason| reason.replace('_', " "));
        Self {
            id: record.id.to_string(),
            created_at: recorded_at.clone(),
            recorded_at,
            environment: at.environment(),
            correlation_id: record.correlation.clone(),
            internal_correlation: is_correlated
                .then_some(InternalCorrelation { session_id, transaction_id }),
            actors: at.actors(&record.actors(), record.by.is_none()),
            action: ActionView { kind: event.action.name(), description: event.action.meaning() },
            resources,
            result: ResultView {
                status: if event.succeeded { "SUCCESS" } else { "FAILED" },
                description: description.unwrap_or_else(|| event.action.meaning().to_owned()),
                reason: event.reason.clone(),
            },
            source: record.source.as_ref().map(|source| SourceView {
                ip_address: source.address.map(|address| address.to_string()),
                user_agent: source.user_agent.clone(),
            }),
            tags: Tag::AdminIdentityEvent
                .marks(event.action)
                .then_some(Tags { admin_identity_event: true }),
            answer: event.said.clone(),
        }
    }

    /// Leaves out of where the request came from what is not to be told.
    #[must_use]
    pub fn exposing(mut self, ip_address: bool, user_agent: bool) -> Self {
        self.source = self.source.and_then(|source| {
            let ip_address = source.ip_address.filter(|_| ip_address);
            let user_agent = source.user_agent.filter(|_| user_agent);
            let is_left = ip_address.is_some() || user_agent.is_some();
            is_left.then_some(SourceView { ip_address, user_agent })
        });
        self
    }
}

/// Where things of an environment are.
struct Addresses<'a> {
    environment: Id<Environment>,
    base_url: &'a str,
}

impl Addresses<'_> {
    fn environment(&self) -> Reference {
        Reference { id: self.environment.to_string() }
    }

    fn href(&self, rest: &str) -> String {
        format!("{}/v1/environments/{}{rest}", self.base_url, self.environment)
    }

    fn actors(&self, actors: &Actors, are_here: bool) -> ActorsView {
        let platform = actors.platform.map(|part| match part {
            Part::Worker => "WORKER",
            Part::Operator => "OPERATOR",
        });
        ActorsView {
            client: actors.client.as_ref().map(|client| {
                let href = are_here.then(|| self.href(&format!("/applications/{}", client.id)));
                self.actor(client, "CLIENT", href)
            }),
            user: actors.user.as_ref().map(|user| {
                let href = are_here.then(|| self.href(&format!("/users/{}", user.id)));
                self.actor(user, "USER", href)
            }),
            platform,
        }
    }

    fn actor<T>(
        &self,
        mention: &Mention<T>,
        kind: &'static str,
        href: Option<String>,
    ) -> ActorView {
        ActorView {
            id: mention.id.to_string(),
            name: mention.name.clone(),
            kind,
            environment: href.is_some().then(|| self.environment()),
            href,
        }
    }

    fn resource(&self, resource: &Resource, user: Option<&str>) -> ResourceView {
        let id = resource.id;
        let href = match resource.kind {
            Kind::Environment => Some(String::new()),
            Kind::Population => Some(format!("/populations/{id}")),
            Kind::Application => Some(format!("/applications/{id}")),
            Kind::SignOnPolicy => Some(format!("/signOnPolicies/{id}")),
            Kind::DeviceAuthenticationPolicy => Some(format!("/deviceAuthenticationPolicies/{id}")),
            Kind::User => Some(format!("/users/{id}")),
            Kind::Device => user.map(|user| format!("/users/{user}/devices/{id}")),
            // The record does not say of which application or user it is a part.
            _ => None,
        };
        let kind = serde_json::to_value(resource.kind).ok();
        ResourceView {
            kind: kind.and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default(),
            id: id.to_string(),
            name: resource.name.clone(),
            environment: self.environment(),
            href: href.map(|rest| self.href(&rest)),
        }
    }

    fn key(&self, kid: &str) -> ResourceView {
        ResourceView {
            kind: "KEY".to_owned(),
            id: kid.to_owned(),
            name: None,
            environment: self.environment(),
            href: None,
        }
    }
}
