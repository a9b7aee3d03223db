//! Roles: what users may do to the platform itself.

use serde::{Deserialize, Serialize};

/// What an administrator may do. Written as the vendor names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Everything, in every environment.
    #[serde(rename = "Organization Admin")]
    OrganizationAdmin,
}
