//! Who and what an audit record names: actors, resources, and where a request came from.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    application::Application,
    authenticator::{AnyDevice, Authenticator},
    device::Device,
    environment::Environment,
    group::Group,
    id::Id,
    mfa_policy::MfaPolicy,
    population::Population,
    protected_resource::ProtectedResource,
    push_credentials::PushCredentials,
    role::RoleAssignment,
    sign_on_policy::SignOnPolicy,
    sign_on_policy::SignOnPolicyAssignment,
    subscription::Subscription,
    user::User,
};

/// Somebody or something, under the name that it had then.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Mention<T> {
    /// Its id.
    pub id: Id<T>,
    /// Its name at the time of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl<T> Clone for Mention<T> {
    fn clone(&self) -> Self {
        Self { id: self.id, name: self.name.clone() }
    }
}

impl<T> PartialEq for Mention<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.id, &self.name) == (other.id, &other.name)
    }
}

impl<T> Eq for Mention<T> {}

/// What can be mentioned: an id, or better the thing itself, which has its name with it.
pub trait Mentionable<T> {
    /// The mention, if there is anything to mention.
    fn mention(self) -> Option<Mention<T>>;
}

impl<T> Mentionable<T> for Id<T> {
    fn mention(self) -> Option<Mention<T>> {
        Some(Mention { id: self, name: None })
    }
}

impl<T> Mentionable<T> for Option<Id<T>> {
    fn mention(self) -> Option<Mention<T>> {
        self.and_then(Id::mention)
    }
}

impl<T> Mentionable<T> for Mention<T> {
    fn mention(self) -> Option<Mention<T>> {
        Some(self)
    }
}

impl<T> Mentionable<T> for Option<Mention<T>> {
    fn mention(self) -> Option<Mention<T>> {
        self
    }
}

impl Mentionable<Application> for &Application {
    fn mention(self) -> Option<Mention<Application>> {
        Some(Mention { id: self.id, name: Some(self.name.clone()) })
    }
}

impl Mentionable<User> for &User {
    fn mention(self) -> Option<Mention<User>> {
        Some(Mention { id: self.id, name: Some(self.username.clone()) })
    }
}

impl Mentionable<Device> for &Device {
    /// A device has the name that its user gave it, else that of its model.
    fn mention(self) -> Option<Mention<Device>> {
        let name = self.nickname.as_ref().or(self.installation.device.model.as_ref());
        Some(Mention { id: self.id, name: name.cloned() })
    }
}

impl Mentionable<Device> for &Authenticator {
    /// The name that its user gave it, else that of its kind.
    fn mention(self) -> Option<Mention<Device>> {
        let name = self.nickname.clone().unwrap_or_else(|| self.kind.label().to_owned());
        Some(Mention { id: self.id, name: Some(name) })
    }
}

impl Mentionable<Device> for AnyDevice<'_> {
    fn mention(self) -> Option<Mention<Device>> {
        match self {
            Self::Phone(phone) => phone.mention(),
            Self::Authenticator(authenticator) => authenticator.mention(),
        }
    }
}

/// Kinds of resources, in the words of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// An environment.
    Environment,
    /// A population.
    Population,
    /// An application.
    Application,
    /// A sign-on policy.
    SignOnPolicy,
    /// A sign-on policy that an application uses.
    SignOnPolicyAssignment,
    /// An MFA policy.
    DeviceAuthenticationPolicy,
    /// A group.
    Group,
    /// A protected resource.
    Resource,
    /// What an application proves itself with to a push service.
    PushCredentials,
    /// A role that somebody has.
    RoleAssignment,
    /// A webhook.
    Subscription,
    /// A user.
    User,
    /// A device.
    Device,
}

/// Something that an event happened to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Its id.
    pub id: Id<Self>,
    /// Its name at the time of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Resource {
    fn new<T>(kind: Kind, id: Id<T>, name: Option<&str>) -> Self {
        Self { kind, id: id.cast(), name: name.map(str::to_owned) }
    }

    pub(super) fn mentioned<T>(kind: Kind, mention: &Mention<T>) -> Self {
        Self::new(kind, mention.id, mention.name.as_deref())
    }
}

/// Lets things be resources by their ids and names.
macro_rules! resources {
    ($($thing:ident as $kind:ident, |$of:ident| $name:expr;)+) => {$(
        impl From<&$thing> for Resource {
            fn from($of: &$thing) -> Self {
                Self::new(Kind::$kind, $of.id, $name)
            }
        }
    )+};
}

resources! {
    Environment as Environment, |of| Some(&of.name);
    Population as Population, |of| Some(&of.name);
    Application as Application, |of| Some(&of.name);
    SignOnPolicy as SignOnPolicy, |of| Some(&of.name);
    SignOnPolicyAssignment as SignOnPolicyAssignment, |of| None;
    Group as Group, |of| Some(&of.name);
    ProtectedResource as Resource, |of| Some(&of.name);
    User as User, |of| Some(&of.username);
    RoleAssignment as RoleAssignment, |of| Some(of.role.name());
    PushCredentials as PushCredentials, |of| None;
    MfaPolicy as DeviceAuthenticationPolicy, |of| Some(&of.name);
    Subscription as Subscription, |of| Some(&of.name);
}

/// On whose behalf something was done that those it is about did not do themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actors {
    /// The application that asked: a worker, or the console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Mention<Application>>,
    /// The user who asked: an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Mention<User>>,
    /// The part of the platform that did it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Part>,
}

/// Parts of the platform that change things without a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Part {
    /// What runs beside requests.
    Worker,
    /// A person at the machine that the platform runs on.
    Operator,
}

impl Actors {
    /// A part of the platform.
    #[must_use]
    pub const fn part(part: Part) -> Self {
        Self { client: None, user: None, platform: Some(part) }
    }
}

/// The most characters of a user agent that are kept.
const USER_AGENT_CHARACTERS: usize = 256;

/// Where a request came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The address of the caller, as far as the listener and its trusted proxies know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// What the caller calls itself, cut to 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

impl Source {
    /// What is known of a caller; nothing if nothing is. Control characters do not get into the log.
    #[must_use]
    pub fn of(address: Option<IpAddr>, user_agent: Option<&str>) -> Option<Self> {
        let kept = |text: &str| -> String {
            text.chars().filter(|c| !c.is_control()).take(USER_AGENT_CHARACTERS).collect()
        };
        let user_agent = user_agent.map(kept).filter(|text| !text.is_empty());
        let known = address.is_some() || user_agent.is_some();
        known.then_some(Self { address, user_agent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_user_agent_is_cut_and_control_characters_are_dropped() {
        let long = format!("a\u{7}b{}", "ü".repeat(400));
        let source = Source::of(None, Some(&long)).unwrap();
        let kept = source.user_agent.unwrap();
        assert_eq!(kept.chars().count(), 256);
        assert!(kept.starts_with("abü"));
        assert_eq!(Source::of(None, Some("\n")), None);
        assert_eq!(Source::of(None, None), None);
    }
}
