//! Push credentials: what an application proves itself with to a push service.

use countersign_protocol::{mobile_payload::PushService, time::Timestamp};
use serde::{Deserialize, Serialize};

use crate::{application::Application, environment::Environment, id::Id, sealed::Sealed};

/// What an application proves itself with to one push service; one of each service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushCredentials {
    /// Its id.
    pub id: Id<PushCredentials>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// The native application.
    pub application: Id<Application>,
    /// The service.
    pub service: PushService,
    /// The credentials themselves: the JSON of what the service asks for.
    pub secret: Sealed,
    /// When they were made.
    pub created_at: Timestamp,
    /// When they were last replaced.
    pub updated_at: Timestamp,
}
