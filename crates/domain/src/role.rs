//! Roles: what users and applications may do to the platform itself. They are the platform's own and cannot be changed.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{application::Application, environment::Environment, id::Id, user::User};

/// Declares the roles: the vendor's name, and a sentence for administrators.
macro_rules! roles {
    ($($role:ident = $number:literal, $name:literal, $description:literal;)+) => {
        /// What an administrator may do. Written as the vendor names it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Role {
            $(
                #[doc = $description]
                #[serde(rename = $name)]
                $role,
            )+
        }

        impl Role {
            /// Every role.
            pub const ALL: &[Self] = &[$(Self::$role),+];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$role => $name),+ }
            }

            /// What it is for, in a sentence.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$role => $description),+ }
            }

            /// Its id, the same in every installation.
            #[must_use]
            pub const fn id(self) -> Id<Self> {
                let mut id = [0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 1, 0];
                id[15] = match self { $(Self::$role => $number),+ };
                Id::from_bytes(id)
            }
        }
    };
}

roles! {
    OrganizationAdmin = 1, "Organization Admin", "Everything, in every environment.";
    EnvironmentAdmin = 2, "Environment Admin",
        "Everything that is set up in an environment, and who administers it, but not its users.";
    IdentityDataAdmin = 3, "Identity Data Admin", "Users, their devices and their groups.";
    IdentityDataReadOnly = 4, "Identity Data Read Only", "Looks at users, their devices and their groups.";
    ClientApplicationDeveloper = 5, "Client Application Developer",
        "Applications, their push credentials and the resources that they use.";
    ConfigurationReadOnly = 6, "Configuration Read Only",
        "Looks at everything that is set up, but neither at users nor at secrets.";
}

/// Declares the areas: the word in ids of permissions, and what belongs to it.
macro_rules! areas {
    ($($area:ident = $word:literal, $description:literal;)+) => {
        /// A part of the platform over which roles decide.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Area {
            $(
                #[doc = $description]
                $area,
            )+
        }

        impl Area {
            /// Every area.
            pub const ALL: &[Self] = &[$(Self::$area),+];

            /// The word for it in the ids of permissions.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$area => $word),+ }
            }

            /// What belongs to it.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$area => $description),+ }
            }
        }
    };
}

areas! {
    Organization = "organization", "The list of environments, new ones, and their end.";
    Environment = "environment", "One environment, its populations and its services.";
    Users = "user", "Users, their devices, pairing keys, groups and sessions.";
    Applications = "application", "Applications, their attributes and grants, push credentials and resources.";
    Secrets = "secret", "The secrets of applications.";
    Policies = "policy", "Sign-on policies, MFA policies, MFA settings and templates of messages.";
    Keys = "key", "Signing keys.";
    Audit = "activity", "The audit log.";
    Subscriptions = "subscription", "Webhooks, by which others hear of the audit log.";
    Roles = "role", "Who has which role.";
}

/// What is done to something of an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// It is looked at.
    Read,
    /// It is made, changed or deleted.
    Manage,
}

impl Access {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Manage => "manage",
        }
    }
}

/// Something that a route demands of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Over what.
    pub area: Area,
    /// To do what.
    pub access: Access,
}

impl Permission {
    /// To look at things of an area.
    #[must_use]
    pub const fn read(area: Area) -> Self {
        Self { area, access: Access::Read }
    }

    /// To make, change or delete things of an area.
    #[must_use]
    pub const fn manage(area: Area) -> Self {
        Self { area, access: Access::Manage }
    }
}

impl Role {
    /// The role of this id.
    #[must_use]
    pub fn by_id(id: Id<Self>) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.id() == id)
    }

    /// The most that it may do to things of an area.
    #[must_use]
    pub const fn access(self, area: Area) -> Option<Access> {
        use Access::{Manage, Read};
        match self {
            Self::OrganizationAdmin => Some(Manage),
            Self::EnvironmentAdmin => match area {
                Area::Organization | Area::Users => None,
                Area::Environment
                | Area::Applications
                | Area::Secrets
                | Area::Policies
                | Area::Keys
                | Area::Subscriptions
                | Area::Roles => Some(Manage),
                Area::Audit => Some(Read),
            },
            Self::IdentityDataAdmin => match area {
                Area::Users => Some(Manage),
                Area::Environment | Area::Applications | Area::Policies | Area::Audit => Some(Read),
                Area::Organization
                | Area::Secrets
                | Area::Keys
                | Area::Subscriptions
                | Area::Roles => None,
            },
            Self::IdentityDataReadOnly => match area {
                Area::Users | Area::Environment | Area::Policies => Some(Read),
                Area::Organization
                | Area::Applications
                | Area::Secrets
                | Area::Keys
                | Area::Audit
                | Area::Subscriptions
                | Area::Roles => None,
            },
            Self::ClientApplicationDeveloper => match area {
                Area::Applications | Area::Secrets => Some(Manage),
                Area::Environment | Area::Policies | Area::Keys => Some(Read),
                Area::Organization
                | Area::Users
                | Area::Audit
                | Area::Subscriptions
                | Area::Roles => None,
            },
            Self::ConfigurationReadOnly => match area {
                Area::Environment
                | Area::Applications
                | Area::Policies
                | Area::Keys
                | Area::Subscriptions
                | Area::Roles => Some(Read),
                Area::Organization | Area::Users | Area::Secrets | Area::Audit => None,
            },
        }
    }

    /// Whether it may do this.
    #[must_use]
    pub fn allows(self, permission: Permission) -> bool {
        self.access(permission.area) >= Some(permission.access)
    }
}

/// Who has a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "snake_case")]
pub enum Holder {
    /// A worker application.
    Application(Id<Application>),
    /// A person.
    User(Id<User>),
}

impl Holder {
    /// Its id.
    #[must_use]
    pub const fn id(self) -> Id<Self> {
        match self {
            Self::Application(id) => id.cast(),
            Self::User(id) => id.cast(),
        }
    }
}

/// Where a role counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "snake_case")]
pub enum Scope {
    /// Everywhere.
    Organization,
    /// In one environment.
    Environment(Id<Environment>),
}

impl Scope {
    /// Whether it reaches into an environment; none is the organization itself.
    #[must_use]
    pub fn covers(self, environment: Option<Id<Environment>>) -> bool {
        match self {
            Self::Organization => true,
            Self::Environment(own) => environment == Some(own),
        }
    }
}

/// A role that somebody has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleAssignment {
    /// Its id.
    pub id: Id<RoleAssignment>,
    /// The tenant in which the holder lives.
    pub environment: Id<Environment>,
    /// Who has it.
    pub holder: Holder,
    /// The role.
    pub role: Role,
    /// Where it counts.
    pub scope: Scope,
    /// When it was given.
    pub created_at: Timestamp,
}

impl RoleAssignment {
    /// Role and scope in one word, which a holder has once.
    #[must_use]
    pub fn what(&self) -> String {
        let role = self.role.id();
        match self.scope {
            Scope::Organization => format!("{role} organization"),
            Scope::Environment(id) => format!("{role} {id}"),
        }
    }
}

/// What somebody may do, by all roles together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority(Vec<(Role, Scope)>);

impl Authority {
    /// The authority that these give.
    #[must_use]
    pub fn of<'a>(assignments: impl IntoIterator<Item = &'a RoleAssignment>) -> Self {
        Self(assignments.into_iter().map(|given| (given.role, given.scope)).collect())
    }

    /// Whether it allows this in an environment; none is the organization itself.
    #[must_use]
    pub fn allows(&self, permission: Permission, environment: Option<Id<Environment>>) -> bool {
        let counts =
            |(role, scope): &(Role, Scope)| scope.covers(environment) && role.allows(permission);
        self.0.iter().any(counts)
    }

    /// Whether it allows this somewhere.
    #[must_use]
    pub fn allows_somewhere(&self, permission: Permission) -> bool {
        self.0.iter().any(|(role, _)| role.allows(permission))
    }

    /// Whether it allows everything that a role does there, so that nobody gives more than they have.
    #[must_use]
    pub fn includes(&self, role: Role, scope: Scope) -> bool {
        let environment = match scope {
            Scope::Organization => None,
            Scope::Environment(id) => Some(id),
        };
        let granted =
            |area: &Area| role.access(*area).map(|access| Permission { area: *area, access });
        Area::ALL.iter().filter_map(granted).all(|permission| self.allows(permission, environment))
    }

    /// Whether it reaches into an environment at all.
    #[must_use]
    pub fn reaches(&self, environment: Id<Environment>) -> bool {
        self.0.iter().any(|(_, scope)| scope.covers(Some(environment)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::id;

    fn authority(given: &[(Role, Scope)]) -> Authority {
        Authority(given.to_vec())
    }

    #[test]
    fn what_each_role_may_do() {
        let word = |access: Option<Access>| access.map_or("-", Access::word);
        let row = |role: &Role| {
            let cells = Area::ALL.iter().map(|area| (area.word(), word(role.access(*area))));
            (role.name(), cells.collect::<std::collections::BTreeMap<_, _>>())
        };
        let table: std::collections::BTreeMap<_, _> = Role::ALL.iter().map(row).collect();
        insta::assert_json_snapshot!("roles", table);
    }

    #[test]
    fn ids_and_names_are_distinct_and_found() {
        for role in Role::ALL.iter().copied() {
            assert_eq!(Role::by_id(role.id()), Some(role));
            assert_eq!(Role::ALL.iter().filter(|other| other.name() == role.name()).count(), 1);
        }
        assert_eq!(Role::by_id(id(1)), None);
    }

    #[test]
    fn a_role_counts_where_its_scope_reaches() {
        let read = Permission::read(Area::Users);
        let here = authority(&[(Role::IdentityDataReadOnly, Scope::Environment(id(1)))]);
        assert!(here.allows(read, Some(id(1))) && here.reaches(id(1)));
        assert!(!here.allows(read, Some(id(2))) && !here.reaches(id(2)));
        assert!(!here.allows(read, None) && here.allows_somewhere(read));
        assert!(!here.allows_somewhere(Permission::manage(Area::Users)));
        assert!(!here.allows(Permission::manage(Area::Users), Some(id(1))));
        let everywhere = authority(&[(Role::OrganizationAdmin, Scope::Organization)]);
        assert!(everywhere.allows(Permission::manage(Area::Organization), None));
        assert!(everywhere.allows(read, Some(id(2))) && everywhere.reaches(id(2)));
        assert!(!Authority::default().allows(read, Some(id(1))));
    }

    #[test]
    fn nobody_includes_a_role_that_may_do_more_or_elsewhere() {
        let here = Scope::Environment(id(1));
        let admin = authority(&[(Role::EnvironmentAdmin, here)]);
        assert!(admin.includes(Role::ClientApplicationDeveloper, here));
        assert!(admin.includes(Role::ConfigurationReadOnly, here));
        assert!(!admin.includes(Role::IdentityDataReadOnly, here));
        assert!(!admin.includes(Role::OrganizationAdmin, here));
        assert!(!admin.includes(Role::ConfigurationReadOnly, Scope::Environment(id(2))));
        assert!(!admin.includes(Role::ConfigurationReadOnly, Scope::Organization));
        let both = authority(&[(Role::EnvironmentAdmin, here), (Role::IdentityDataAdmin, here)]);
        assert!(both.includes(Role::IdentityDataAdmin, here));
        assert!(!both.includes(Role::OrganizationAdmin, here));
    }
}
