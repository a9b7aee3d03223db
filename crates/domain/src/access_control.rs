//! Access control: which users an application takes.

use serde::{Deserialize, Serialize};

use crate::{group::Group, id::Id};

/// Whom an application takes, of those who can sign in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessControl {
    /// Only users who have a role.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub administrators_only: bool,
    /// Only members of groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Groups>,
}

/// Groups of which a user must be a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    /// Of each of them, and not of one.
    pub all: bool,
    /// The groups. A group that is gone has no members.
    pub of: Vec<Id<Group>>,
}

/// The most groups that an application names.
pub const MAX_GROUPS: usize = 100;

impl AccessControl {
    /// Whether it takes a user who is a member of these groups, or who has a role.
    #[must_use]
    pub fn admits(&self, has_role: bool, memberships: &[Id<Group>]) -> bool {
        let is_member = |group: &Id<Group>| memberships.contains(group);
        let by_group = self.groups.as_ref().is_none_or(|groups| {
            if groups.all {
                groups.of.iter().all(is_member)
            } else {
                groups.of.iter().any(is_member)
            }
        });
        by_group && (has_role || !self.administrators_only)
    }

    /// The groups that decide.
    #[must_use]
    pub fn groups(&self) -> &[Id<Group>] {
        self.groups.as_ref().map(|groups| groups.of.as_slice()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::id;

    fn control(administrators_only: bool, groups: Option<(bool, &[u8])>) -> AccessControl {
        let of = |of: &[u8]| of.iter().map(|n| id(*n)).collect();
        let groups = groups.map(|(all, numbers)| Groups { all, of: of(numbers) });
        AccessControl { administrators_only, groups }
    }

    #[test]
    fn an_application_takes_whom_all_of_its_rules_take() {
        let any: Option<(bool, &[u8])> = Some((false, &[1, 2]));
        let all: Option<(bool, &[u8])> = Some((true, &[1, 2]));
        let table: [(AccessControl, bool, &[u8], bool); 10] = [
            (control(false, None), false, &[], true),
            (control(true, None), false, &[1], false),
            (control(true, None), true, &[], true),
            (control(false, any), false, &[2], true),
            (control(false, any), true, &[3], false),
            (control(false, all), false, &[2], false),
            (control(false, all), false, &[1, 2, 3], true),
            (control(true, all), false, &[1, 2], false),
            (control(true, any), true, &[1], true),
            // Groups of which there is none take nobody, where one of them must be had.
            (control(false, Some((false, &[]))), true, &[1], false),
        ];
        for (control, has_role, memberships, expected) in table {
            let memberships: Vec<Id<Group>> = memberships.iter().map(|n| id(*n)).collect();
            assert_eq!(control.admits(has_role, &memberships), expected, "{control:?}");
        }
    }
}
