//! Whether an application takes a user: asked at the end of a sign-on, and whenever tokens are renewed.

use countersign_domain::{access_control::AccessControl, id::Id, role::Holder, user::User};
use countersign_store::{StoreError, Tx, group, role_assignment};

/// Whether an application takes a user. Costs nothing where it takes everybody.
pub(super) async fn admits(
    tx: &mut Tx<'_>,
    control: Option<&AccessControl>,
    user: Id<User>,
) -> Result<bool, StoreError> {
    let Some(control) = control else { return Ok(true) };
    let mut memberships = Vec::new();
    for id in control.groups() {
        if group::has(tx, user, *id).await? {
            memberships.push(*id);
        }
    }
    let has_role = control.administrators_only
        && !role_assignment::of(tx, Holder::User(user)).await?.is_empty();
    Ok(control.admits(has_role, &memberships))
}
