//! What waits for an installation, told for as long as it listens: by a socket, beside the long poll of `list_challenges`.

use std::{pin::Pin, sync::Arc};

use countersign_domain::{
    challenge::Challenge,
    device::{Device, State},
    environment::Environment,
    id::Id,
};
use countersign_protocol::{
    challenge::{ChallengesResponse, SocketRequest},
    jwk::Thumbprint,
};
use countersign_store::{StoreError, Tx, Waiter, Work, device, spent_proof, spent_proof::Spending};

use super::{
    App, DeviceCall, DeviceCallError, Fault, Realm,
    challenge::phone_topic,
    fault::faults,
    installation::{Proved, answer, peek_at},
    list_challenges::{Waiting, look, response},
};
use crate::sockets::Seat;

/// Why an installation may not listen.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Its proof does not count.
    #[error(transparent)]
    Call(#[from] DeviceCallError),
    /// Its proof has counted before. It would not give the same answer again, but take the place of the socket that it opened.
    #[error("the proof was used before")]
    Replayed,
    /// An administrator has blocked all of its devices.
    #[error("the device is blocked")]
    Blocked,
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(WatchError);

/// An installation that listens.
pub struct Watch {
    realm: Arc<Realm>,
    thumbprint: Thumbprint,
    waiter: Waiter,
    woken: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// What it was told last.
    told: Option<Vec<Id<Challenge>>>,
    seat: Seat,
}

/// What an installation that listens is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Nothing that it does not know.
    Same,
    /// What waits now: a [`ChallengesResponse`] as JSON.
    Changed(String),
    /// Nothing any more: it is not paired, or all of its devices are blocked.
    Barred,
}

impl App {
    /// Lets an installation listen that has said who it is: the first frame of `GET D/socket`.
    pub async fn watch_challenges(
        &self,
        realm: &Arc<Realm>,
        request: DeviceCall,
    ) -> Result<Watch, WatchError> {
        let peeked = peek_at::<SocketRequest>(realm, &request, self.now())?;
        let key = self.key_of(realm, &peeked).await?;
        let proof = self.verify(realm, peeked, &key)?;
        let thumbprint = proof.thumbprint();
        let call = self.call(realm.environment, &request.correlation);
        let proved = Proved { realm: Arc::clone(realm), call: call.clone(), proof };
        match self.store.write(Admit(proved)).await {
            Ok(()) => {}
            Err(WatchError::Call(DeviceCallError::Clash)) => {
                self.note_clash(call).await?;
                return Err(DeviceCallError::Clash.into());
            }
            Err(error) => return Err(error),
        }
        let waiter = self.store.waiter(phone_topic(thumbprint));
        let seat = self.sockets.take_seat((realm.environment, thumbprint));
        let woken = Box::pin(waiter.woken());
        Ok(Watch { realm: Arc::clone(realm), thumbprint, waiter, woken, told: None, seat })
    }

    /// Looks what an installation that listens is to be told.
    pub async fn look_for(&self, watch: &mut Watch) -> Result<Sight, Fault> {
        // Before anything is read, so that no commit slips in between.
        watch.woken = Box::pin(watch.waiter.woken());
        let (environment, thumbprint) = (watch.realm.environment, watch.thumbprint);
        let Some(waiting) = self.store.read(Look { environment, thumbprint }).await? else {
            return Ok(Sight::Barred);
        };
        let ids = Some(waiting.ids());
        if watch.told == ids {
            return Ok(Sight::Same);
        }
        let text = response(&watch.realm, &waiting)?;
        watch.told = ids;
        Ok(Sight::Changed(text))
    }
}

impl Watch {
    /// Waits until something may have changed. Then [`App::look_for`] says whether it has.
    pub async fn woken(&mut self) -> Woken {
        tokio::select! {
            () = self.seat.taken() => Woken::Superseded,
            () = &mut self.woken => Woken::Look,
        }
    }
}

/// Why an installation that listens was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Something may have changed.
    Look,
    /// Another socket of the same installation listens from now on.
    Superseded,
}

struct Admit(Proved<SocketRequest>);

impl Work for Admit {
    type Output = ();
    type Error = WatchError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), WatchError> {
        let Self(Proved { realm, call, proof }) = self;
        match spent_proof::spend(tx, &self.0.key()).await? {
            Spending::First => {}
            Spending::Again { .. } => return Err(WatchError::Replayed),
            Spending::Clash => return Err(DeviceCallError::Clash.into()),
        }
        answer(tx, &self.0.key(), &ChallengesResponse::default()).await?;
        realm.check_nonce(&proof.body().nonce, call.now)?;
        let devices =
            device::list_of_installation(tx, realm.environment, proof.thumbprint()).await?;
        if devices.is_empty() {
            return Err(DeviceCallError::NotPaired.into());
        }
        if devices.iter().any(|device| may_listen(device)) {
            Ok(())
        } else {
            Err(WatchError::Blocked)
        }
    }
}

/// A lock ends by itself, so who is locked may wait for that.
const fn may_listen(device: &Device) -> bool {
    match device.state {
        State::Active { .. } | State::Locked { .. } => true,
        State::Blocked { .. } | State::Removed { .. } => false,
    }
}

struct Look {
    environment: Id<Environment>,
    thumbprint: Thumbprint,
}

impl Work for Look {
    type Output = Option<Waiting>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Waiting>, StoreError> {
        let devices = device::list_of_installation(tx, self.environment, self.thumbprint).await?;
        if devices.iter().any(|device| may_listen(device)) {
            Ok(Some(look(tx, self.environment, self.thumbprint).await?))
        } else {
            Ok(None)
        }
    }
}
