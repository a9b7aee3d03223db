//! Which steps of a flow run: the conditions of its policy, and what they look at.

use std::net::IpAddr;

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Identity;
use crate::{
    condition::{Condition, Facts},
    id::Id,
    user::User,
};

/// When the steps of a flow run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// Those of the steps, in their order; none: always.
    pub of_steps: Vec<Option<Condition>>,
    /// Where the request came from that began the flow. The phones that it asks are elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<IpAddr>,
}

impl Conditions {
    /// The condition of a step.
    #[must_use]
    pub fn of(&self, step: usize) -> Option<&Condition> {
        self.of_steps.get(step)?.as_ref()
    }

    /// Whether one of them can be judged only when it is known who signs in.
    #[must_use]
    pub fn mention_user(&self) -> bool {
        self.of_steps.iter().flatten().any(Condition::mentions_user)
    }
}

/// What decides which steps run.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// When they do.
    pub conditions: &'a Conditions,
    /// What the session had proved when the flow began.
    pub resumed: Option<&'a Identity>,
    /// The user, if a condition is about it and it is known who signs in.
    pub user: Option<&'a User>,
    /// The time.
    pub now: Timestamp,
}

impl Judge<'_> {
    /// Whether a step runs for whoever signs in. What cannot be judged runs.
    pub(super) fn runs(&self, step: usize, who: Option<Id<User>>) -> bool {
        let Some(condition) = self.conditions.of(step) else { return true };
        let user = self.user.filter(|user| Some(user.id) == who);
        if user.is_none() && condition.mentions_user() {
            return true;
        }
        let resumed = self.resumed.filter(|known| who.is_none_or(|who| known.user == who));
        let (remote, now) = (self.conditions.remote, self.now);
        condition.holds(Facts { resumed, user, remote, now })
    }

    /// Whether a step has a condition, so that where it runs, what the session has proved is asked for again.
    pub(super) fn renews(&self, step: usize, identity: &Identity) -> bool {
        let known = self.resumed.filter(|known| known.user == identity.user);
        let rests_on_session = known.is_some_and(|k| k.signed_on_at == identity.signed_on_at);
        rests_on_session && self.conditions.of(step).is_some()
    }
}
