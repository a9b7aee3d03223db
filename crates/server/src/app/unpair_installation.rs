//! What an installation asks about itself, and its own end.

use std::sync::Arc;

use countersign_domain::{
    device::{Device, Event, Logs, State},
    id::Id,
    user::User,
};
use countersign_protocol::{
    device_api::{
        BlockStatus, DeviceStatus, InfoRequest, InfoResponse, LockStatus, PairedDevice, PairedUser,
        UnpairingRequest, UnpairingResponse,
    },
    pairing::{Reference, UserFacts},
    time::Timestamp,
};
use countersign_store::{Tx, Versioned, Work, device, user};

use super::{
    App, ChangeDeviceError, DeviceCall, DeviceCallError, Fault, Realm,
    change_device::change,
    installation::{Proved, answer, peek_at, spend},
    pair_installation::user_facts,
};

impl App {
    /// Tells an installation for whom it vouches: what `POST D/info` answers.
    pub async fn read_installation(
        &self,
        realm: &Arc<Realm>,
        request: DeviceCall,
    ) -> Result<String, DeviceCallError> {
        let peeked = peek_at::<InfoRequest>(realm, &request, self.now())?;
        let key = self.key_of(realm, &peeked).await?;
        let proof = self.verify(realm, peeked, &key)?;
        let call = self.call(realm.environment, &request.correlation);
        let proved = Proved { realm: Arc::clone(realm), call: call.clone(), proof };
        let answered = self.store.write(Info(proved)).await;
        if matches!(answered, Err(DeviceCallError::Clash)) {
            self.note_clash(call).await?;
        }
        answered
    }

    /// Ends the pairings of an installation, of one user or of all: what `POST D/unpairings` answers.
    pub async fn unpair_installation(
        &self,
        realm: &Arc<Realm>,
        request: DeviceCall,
    ) -> Result<String, DeviceCallError> {
        let peeked = peek_at::<UnpairingRequest>(realm, &request, self.now())?;
        let key = self.key_of(realm, &peeked).await?;
        let proof = self.verify(realm, peeked, &key)?;
        let user = proof.body().user.as_deref().map(str::parse).transpose();
        let user = user.map_err(|_| DeviceCallError::UserId)?;
        let call = self.call(realm.environment, &request.correlation);
        let proved = Proved { realm: Arc::clone(realm), call: call.clone(), proof };
        let answered = self.store.write(Unpair { proved, user }).await;
        if matches!(answered, Err(DeviceCallError::Clash)) {
            self.note_clash(call).await?;
        }
        answered
    }
}

struct Info(Proved<InfoRequest>);

impl Work for Info {
    type Output = String;
    type Error = DeviceCallError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<String, DeviceCallError> {
        let Self(proved) = self;
        if let Some(answer) = spend(tx, &proved.key()).await? {
            return Ok(answer);
        }
        let mut users = Vec::new();
        for device in own_devices(tx, proved).await? {
            let user = user::load(tx, device.environment, device.user).await?;
            let user = user.ok_or_else(|| Fault::broken("a device has no user"))?;
            users.push(paired_user(&user, &device, proved.call.now));
        }
        answer(tx, &proved.key(), &InfoResponse { users }).await
    }
}

async fn own_devices<P>(
    tx: &mut Tx<'_>,
    proved: &Proved<P>,
) -> Result<Vec<Versioned<Device>>, DeviceCallError> {
    let thumbprint = proved.proof.thumbprint();
    Ok(device::list_of_installation(tx, proved.realm.environment, thumbprint).await?)
}

fn paired_user(user: &User, device: &Device, now: Timestamp) -> PairedUser {
    let UserFacts { id, username, name } = user_facts(user);
    let state = device.state.settled(now);
    let block = match state {
        State::Blocked { .. } => BlockStatus::Blocked,
        State::Active { .. } | State::Locked { .. } | State::Removed { .. } => {
            BlockStatus::Unblocked
        }
    };
    let lock = match state {
        State::Locked { .. } => LockStatus::Locked,
        State::Active { .. } | State::Blocked { .. } | State::Removed { .. } => {
            LockStatus::Unlocked
        }
    };
    let device = PairedDevice {
        id: device.id.to_string(),
        nickname: device.nickname.clone(),
        status: DeviceStatus::Active,
        block,
        lock,
        created_at: device.created_at.to_rfc3339_millis(),
        logs_requested: matches!(device.logs(now), Some(Logs::Pending { .. })),
    };
    let environment = Reference { id: user.environment.to_string() };
    PairedUser { id, username, name, environment, device }
}

struct Unpair {
    proved: Proved<UnpairingRequest>,
    user: Option<Id<User>>,
}

impl Work for Unpair {
    type Output = String;
    type Error = DeviceCallError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<String, DeviceCallError> {
        let Proved { realm, call, proof } = &self.proved;
        if let Some(answer) = spend(tx, &self.proved.key()).await? {
            return Ok(answer);
        }
        realm.check_nonce(&proof.body().nonce, call.now)?;
        let mut removed = Vec::new();
        for device in own_devices(tx, &self.proved).await? {
            if self.user.is_some_and(|user| user != device.user) {
                continue;
            }
            let event = Event::Unpair { reason: "unpaired_by_installation" };
            match change(tx, call, &device, event).await {
                Ok(()) => removed.push(Reference { id: device.id.to_string() }),
                // Barred: only an administrator takes it away.
                Err(ChangeDeviceError::Refused(_)) => {}
                Err(ChangeDeviceError::NotFound) => {
                    return Err(Fault::broken("a stored device is gone").into());
                }
                Err(ChangeDeviceError::Fault(fault)) => return Err(fault.into()),
            }
        }
        answer(tx, &self.proved.key(), &UnpairingResponse { removed }).await
    }
}
