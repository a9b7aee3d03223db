//! Keeps what a phone sends of the log of its app, for whoever supports its user.

use std::sync::Arc;

use countersign_domain::{
    audit::{Action, Event},
    device::{Device, Logs},
};
use countersign_protocol::{
    device_log::{LogRequest, LogResponse},
    pairing::Reference,
};
use countersign_store::{Tx, Work, device, device_log};

use super::{
    App, DeviceCall, DeviceCallError, Realm,
    installation::{Proved, answer, peek_at, spend},
};

impl App {
    /// Keeps the log of an installation with its devices: what `POST D/logs` answers.
    pub async fn receive_log(
        &self,
        realm: &Arc<Realm>,
        request: DeviceCall,
    ) -> Result<String, DeviceCallError> {
        let peeked = peek_at::<LogRequest>(realm, &request, self.now())?;
        let key = self.key_of(realm, &peeked).await?;
        let proof = self.verify(realm, peeked, &key)?;
        let call = self.call(realm.environment, &request.correlation);
        let proved = Proved { realm: Arc::clone(realm), call: call.clone(), proof };
        let answered = self.store.write(Receive(proved)).await;
        if matches!(answered, Err(DeviceCallError::Clash)) {
            self.note_clash(call).await?;
        }
        answered
    }
}

struct Receive(Proved<LogRequest>);

impl Work for Receive {
    type Output = String;
    type Error = DeviceCallError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<String, DeviceCallError> {
        let Self(proved) = self;
        let Proved { realm, call, proof } = proved;
        if let Some(answer) = spend(tx, &proved.key()).await? {
            return Ok(answer);
        }
        realm.check_nonce(&proof.body().nonce, call.now)?;
        let until = call.now.plus_seconds(Logs::KEPT_SECONDS);
        let own = device::list_of_installation(tx, realm.environment, proof.thumbprint()).await?;
        for old in &own {
            device_log::put(tx, old.id, &proof.body().log, until).await?;
            let logs = Some(Logs::Received { at: call.now, until });
            device::swap(tx, old, &Device { logs, ..(**old).clone() }).await?;
            let event = Event::succeeded(Action::DeviceLogsReceived).about(old.user).on(&**old);
            call.audit(tx, event.through(old.installation.application)).await?;
        }
        let devices = own.iter().map(|device| Reference { id: device.id.to_string() }).collect();
        answer(tx, &proved.key(), &LogResponse { devices }).await
    }
}
