//! Makes the recovery codes of the own account, which take the place of those before.

use std::sync::Arc;

use countersign_domain::{
    audit::{self, Action},
    authenticator::{Authenticator, Kind, RECOVERY_CODES, RecoveryCode, State},
    device::{Device, Refusal, State as DeviceState},
    id::Id,
};
use countersign_protocol::secret::Secret;
use countersign_store::{Tx, Versioned, Work, authenticator};

use super::{
    AddOwnDeviceError, App, Call, Realm,
    change_own_device::{ChangeOwnDeviceError, on_behalf_of, require_proof},
    holdings::Holdings,
    read_account::{AccountVisit, Entered, Offers, enter, policy_of},
};

impl App {
    /// Makes ten codes for the person who is signed in at this browser. They are shown this once.
    pub async fn make_recovery_codes(
        &self,
        realm: &Arc<Realm>,
        visit: AccountVisit,
        correlation: &str,
    ) -> Result<Vec<Secret<String>>, AddOwnDeviceError> {
        let call = self.call(realm.environment, correlation);
        let codes: Vec<_> =
            (0..RECOVERY_CODES).map(|_| RecoveryCode::draw(self.entropy.as_ref())).collect();
        let shown = codes.iter().map(RecoveryCode::in_groups).collect();
        let (realm, id) = (Arc::clone(realm), call.new_id());
        self.store.write(Make { realm, call, visit, id, codes }).await?;
        Ok(shown)
    }
}

struct Make {
    realm: Arc<Realm>,
    call: Call,
    visit: AccountVisit,
    id: Id<Device>,
    codes: Vec<RecoveryCode>,
}

impl Work for Make {
    type Output = ();
    type Error = AddOwnDeviceError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AddOwnDeviceError> {
        let Self { realm, call, visit, .. } = self;
        let Entered::Present(present) = enter(tx, realm, visit, call.now).await? else {
            return Err(ChangeOwnDeviceError::SignedOut.into());
        };
        let all = Holdings::load(tx, present.user.id).await?;
        require_proof(&present, &all, call)?;
        let policy = policy_of(tx, realm.environment, present.mfa_policy).await?;
        if !Offers::of(&policy, &present.user, &all).recovery_codes {
            return Err(AddOwnDeviceError::NoPairing);
        }
        let call = on_behalf_of(call, &present);
        let is_codes =
            |known: &&Versioned<Authenticator>| matches!(known.kind, Kind::RecoveryCodes { .. });
        let old = all.authenticators.iter().find(is_codes);
        if let Some(old) = old {
            // New codes do not lift what bars the old ones.
            match old.device_state().map(|state| state.settled(call.now)) {
                Some(DeviceState::Blocked { .. }) => return refused(Refusal::Blocked),
                Some(DeviceState::Locked { until, .. }) => {
                    return refused(Refusal::Locked { until });
                }
                Some(DeviceState::Active { .. } | DeviceState::Removed { .. }) | None => {}
            }
            let new = Authenticator { kind: self.kind(old.id), ..(**old).clone() };
            authenticator::swap(tx, old, &new).await?;
            let event = audit::Event::of(Action::DeviceUpdated, Some("codes_replaced"));
            return Ok(call.audit(tx, event.about(new.user).on(&new)).await?);
        }
        let new = Authenticator {
            id: self.id,
            environment: present.user.environment,
            user: present.user.id,
            kind: self.kind(self.id),
            nickname: None,
            place: None,
            created_at: call.now,
            state: State::paired(0),
        };
        authenticator::insert(tx, &new).await?;
        let event = audit::Event::of(Action::DeviceCreated, Some("codes_made"));
        Ok(call.audit(tx, event.about(new.user).on(&new)).await?)
    }
}

impl Make {
    fn kind(&self, of: Id<Device>) -> Kind {
        let hash = |code| self.realm.recovery_code_hash(of, code);
        Kind::RecoveryCodes { hashes: self.codes.iter().map(hash).collect() }
    }
}

const fn refused(why: Refusal) -> Result<(), AddOwnDeviceError> {
    Err(AddOwnDeviceError::Refused(ChangeOwnDeviceError::Refused(why)))
}
