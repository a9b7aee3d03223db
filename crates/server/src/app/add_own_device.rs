//! Makes the key by which a person pairs another phone, and tells what has become of it.

use std::sync::Arc;

use countersign_domain::{id::Id, pairing_key::PairingKey, user::User};
use countersign_store::{Tx, Work};
use tokio::time::Duration;

use super::{
    App, Call, Fault, NewPairingKey, PairingKeyError, PairingKeyView, Realm,
    change_own_device::{ChangeOwnDeviceError, on_behalf_of, require_proof},
    fault::faults,
    holdings::Holdings,
    pairing_key::Create,
    read_account::{AccountVisit, Entered, enter},
};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum AddOwnDeviceError {
    /// The person may not change devices now.
    #[error(transparent)]
    Refused(ChangeOwnDeviceError),
    /// The policy lets no phone, or nothing of this kind, be paired.
    #[error("the MFA policy lets nothing of this kind be paired")]
    NoPairing,
    /// Nothing can be sent there.
    #[error("the address or number cannot be one")]
    BadAddress,
    /// Too many passcodes were sent lately.
    #[error("too many passcodes were sent lately")]
    TooManyPasscodes,
    /// The user has as many devices as allowed.
    #[error("the user has the maximum number of devices")]
    LimitReached,
    /// As many keys wait for a phone as may.
    #[error("too many pairing keys wait for a phone")]
    TooMany,
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(AddOwnDeviceError);

impl From<ChangeOwnDeviceError> for AddOwnDeviceError {
    fn from(error: ChangeOwnDeviceError) -> Self {
        match error {
            ChangeOwnDeviceError::Fault(fault) => Self::Fault(fault),
            refused => Self::Refused(refused),
        }
    }
}

impl From<PairingKeyError> for AddOwnDeviceError {
    fn from(error: PairingKeyError) -> Self {
        match error {
            PairingKeyError::NoApplication
            | PairingKeyError::Application { .. }
            | PairingKeyError::UnknownPolicy => Self::NoPairing,
            PairingKeyError::TooMany => Self::TooMany,
            PairingKeyError::NotFound | PairingKeyError::UnknownUser => {
                Self::Refused(ChangeOwnDeviceError::SignedOut)
            }
            PairingKeyError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl App {
    /// Makes a key for the person who is signed in at this browser.
    pub async fn add_own_device(
        &self,
        realm: &Arc<Realm>,
        visit: AccountVisit,
        correlation: &str,
    ) -> Result<PairingKeyView, AddOwnDeviceError> {
        let call = self.call(realm.environment, correlation);
        self.store.write(Add { realm: Arc::clone(realm), id: call.new_id(), call, visit }).await
    }

    /// A key of the person who is signed in at this browser, as it is now, or once it is otherwise, though at the latest after
    /// this long. Nothing if there is none, or if it could be used and the person may not add devices now.
    pub async fn read_own_key(
        &self,
        realm: &Arc<Realm>,
        (visit, id): (AccountVisit, Id<PairingKey>),
        most: Option<Duration>,
    ) -> Result<Option<PairingKeyView>, Fault> {
        let call = self.call(realm.environment, "");
        let find = FindPerson { realm: Arc::clone(realm), call, visit };
        let Some(Person { user, may_add }) = self.store.read(find).await? else { return Ok(None) };
        let read = match most {
            Some(most) => self.await_pairing_key(realm, (user, id), most).await,
            None => self.read_pairing_key(realm, (user, id)).await,
        };
        match read {
            Ok(view) => Ok(Some(view).filter(|view| may_add || !view.key.is_open())),
            Err(PairingKeyError::Fault(fault)) => Err(fault),
            Err(_) => Ok(None),
        }
    }

    /// Withdraws a key of the person who is signed in at this browser, if there is one.
    pub async fn withdraw_own_key(
        &self,
        realm: &Arc<Realm>,
        (visit, id): (AccountVisit, Id<PairingKey>),
        correlation: &str,
    ) -> Result<(), Fault> {
        let call = self.call(realm.environment, correlation);
        let find = FindPerson { realm: Arc::clone(realm), call, visit };
        let Some(Person { user, .. }) = self.store.read(find).await? else { return Ok(()) };
        match self.delete_pairing_key(realm, (user, id), correlation).await {
            Err(PairingKeyError::Fault(fault)) => Err(fault),
            // What is gone needs not be withdrawn.
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

struct Add {
    realm: Arc<Realm>,
    call: Call,
    visit: AccountVisit,
    id: Id<PairingKey>,
}

impl Work for Add {
    type Output = PairingKeyView;
    type Error = AddOwnDeviceError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<PairingKeyView, AddOwnDeviceError> {
        let Self { realm, call, visit, id } = self;
        let Entered::Present(present) = enter(tx, realm, visit, call.now).await? else {
            return Err(ChangeOwnDeviceError::SignedOut.into());
        };
        let all = Holdings::load(tx, present.user.id).await?;
        require_proof(&present, &all, call)?;
        let new = NewPairingKey {
            user: present.user.id,
            applications: Vec::new(),
            mfa_policy: present.mfa_policy,
            first_only: all.count() == 0,
            correlation: call.origin.correlation.clone(),
        };
        let call = on_behalf_of(call, &present);
        Ok(Create { realm: Arc::clone(realm), call, id: *id, new }.run(tx).await?)
    }
}

struct FindPerson {
    realm: Arc<Realm>,
    call: Call,
    visit: AccountVisit,
}

/// Who is at the page.
struct Person {
    user: Id<User>,
    may_add: bool,
}

impl Work for FindPerson {
    type Output = Option<Person>;
    type Error = Fault;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Person>, Fault> {
        let Entered::Present(present) = enter(tx, &self.realm, &self.visit, self.call.now).await?
        else {
            return Ok(None);
        };
        let all = Holdings::load(tx, present.user.id).await?;
        let may_add = require_proof(&present, &all, &self.call).is_ok();
        Ok(Some(Person { user: present.user.id, may_add }))
    }
}
