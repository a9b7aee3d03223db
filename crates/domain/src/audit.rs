//! Audit: who did what to what, committed with the change itself.

mod action;
mod party;

use std::ops::Deref;

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use self::action::Outcome;
pub use self::{
    action::Action,
    party::{Actors, Kind, Mention, Mentionable, Part, Resource, Source},
};
use crate::{
    application::Application, device::Device, environment::Environment, flow::Flow, id::Id,
    user::User,
};

/// One line of the audit log: an entry, and its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Its id; time-ordered.
    pub id: Id<Record>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// What it says.
    #[serde(flatten)]
    pub entry: Entry,
}

impl Deref for Record {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.entry
    }
}

/// What a record says. This is what is stored; the place is in the key of its row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When the request that it belongs to began.
    pub recorded_at: Timestamp,
    /// What the answer to the caller and the log carry too.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub correlation: String,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Who did it, if not those whom the event names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Actors>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened, before it is known when, in which request and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The action.
    pub action: Action,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// Why, in words that stay the same: `push_unregistered`, `limit_reached`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The application through which it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<Mention<Application>>,
    /// The user that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Mention<User>>,
    /// The device that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Mention<Device>>,
    /// The `kid` of the signing key that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What else it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Resource>,
    /// The sign-on that it is a step of: the transaction, on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<Id<Flow>>,
    /// The session of the browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What a service outside has said, word for word as far as it is kept: at most [`MAX_SAID_CHARACTERS`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
}

/// The most characters that are kept of what a service outside has said.
pub const MAX_SAID_CHARACTERS: usize = 300;

impl Event {
    /// What a machine tells by its effects.
    #[must_use]
    pub fn of(action: Action, reason: Option<&'static str>) -> Self {
        let succeeded = action.outcome() == Outcome::Success;
        Self { succeeded, reason: reason.map(str::to_owned), ..Self::succeeded(action) }
    }

    /// Something that succeeded.
    #[must_use]
    pub const fn succeeded(action: Action) -> Self {
        Self {
            action,
            succeeded: true,
            reason: None,
            application: None,
            user: None,
            device: None,
            key: None,
            resources: Vec::new(),
            flow: None,
            session: None,
            said: None,
        }
    }

    /// Something that failed, and why.
    #[must_use]
    pub fn failed(action: Action, reason: impl Into<String>) -> Self {
        Self { succeeded: false, reason: Some(reason.into()), ..Self::succeeded(action) }
    }

    /// Adds the application.
    #[must_use]
    pub fn through(self, application: impl Mentionable<Application>) -> Self {
        Self { application: application.mention(), ..self }
    }

    /// Adds the user.
    #[must_use]
    pub fn about(self, user: impl Mentionable<User>) -> Self {
        Self { user: user.mention(), ..self }
    }

    /// Adds the device.
    #[must_use]
    pub fn on(self, device: impl Mentionable<Device>) -> Self {
        Self { device: device.mention(), ..self }
    }

    /// Adds the signing key.
    #[must_use]
    pub fn of_key(self, kid: &str) -> Self {
        Self { key: Some(kid.to_owned()), ..self }
    }

    /// Adds something else that it is about.
    #[must_use]
    pub fn to(mut self, resource: impl Into<Resource>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// Adds the sign-on that it is a step of.
    #[must_use]
    pub fn within(self, flow: Id<Flow>) -> Self {
        Self { flow: Some(flow), ..self }
    }

    /// Whose sign-on has ended with this, if anybody's.
    #[must_use]
    pub fn sign_on_of(&self) -> Option<Id<User>> {
        let ends = matches!(self.action, Action::AccessAllowed | Action::AccessDenied);
        self.user.as_ref().filter(|_| ends).map(|user| user.id)
    }

    /// Adds what a service outside has said.
    #[must_use]
    pub fn as_said(self, said: &str) -> Self {
        Self { said: Some(said.chars().take(MAX_SAID_CHARACTERS).collect()), ..self }
    }

    /// Adds the session of the browser.
    #[must_use]
    pub fn in_session(self, session: impl Into<String>) -> Self {
        Self { session: Some(session.into()), ..self }
    }
}

impl Entry {
    /// Who did it: those who asked for it, else the application and the user whom the event names.
    #[must_use]
    pub fn actors(&self) -> Actors {
        self.by.clone().unwrap_or_else(|| Actors {
            client: self.event.application.clone(),
            user: self.event.user.clone(),
            platform: None,
        })
    }

    /// What it happened to.
    #[must_use]
    pub fn resources(&self) -> Vec<Resource> {
        let Event { application, user, device, resources, .. } = &self.event;
        // Without another actor the application is the means and not what was changed.
        let application = application.as_ref().filter(|_| self.by.is_some());
        let user = user.as_ref().map(|user| Resource::mentioned(Kind::User, user));
        let device = device.as_ref().map(|device| Resource::mentioned(Kind::Device, device));
        let application =
            application.map(|application| Resource::mentioned(Kind::Application, application));
        let mut all = resources.clone();
        all.extend([device, user, application].into_iter().flatten());
        all
    }
}
