//! Counts what went wrong over all devices of a user: wrong passcodes, and questions that were denied.

use countersign_domain::{
    application::Application, audit, flow::Flow, id::Id, lockout::Lockout, user::User,
};
use countersign_store::{Tx, Versioned, mfa_settings, user};

use super::{Call, Fault};

/// Counts an attempt of a user. Says whether the user may go on.
pub(super) async fn count_attempt(
    tx: &mut Tx<'_>,
    call: &Call,
    user: &Versioned<User>,
    (application, flow): (Id<Application>, Id<Flow>),
    failed: bool,
) -> Result<bool, Fault> {
    let limit = mfa_settings::load(tx, user.environment).await?.lockout;
    let mfa_lockout = match limit {
        Some(limit) if failed => user.mfa_lockout.failed(limit, call.now),
        None if failed => user.mfa_lockout,
        Some(_) | None => Lockout::cleared(),
    };
    let locked = mfa_lockout.locked_until(call.now).is_some();
    if mfa_lockout == user.mfa_lockout {
        return Ok(!locked);
    }
    if locked && user.mfa_lockout.locked_until(call.now).is_none() {
        let event = audit::Event::succeeded(audit::Action::UserLocked).about(&**user);
        call.audit(tx, event.through(application).within(flow)).await?;
    } else {
        tx.needs_no_audit("the attempt itself is told");
    }
    user::swap(tx, user, &User { mfa_lockout, ..(**user).clone() }).await?;
    Ok(!locked)
}
