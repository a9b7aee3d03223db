//! Where an installation can be woken from now on, and a test of the way there.

use std::sync::Arc;

use countersign_domain::{audit, environment::Environment, id::Id};
use countersign_protocol::{
    challenge::{PushAddressRequest, PushAddressResponse, PushTestRequest, PushTestResponse},
    jwk::Thumbprint,
    pairing::Reference,
    push::Hint,
};
use countersign_push::{Outcome, Style};
use countersign_store::{StoreError, Tx, Work, device};

use super::{
    App, DeviceCall, DeviceCallError, Fault, Realm,
    deliver_push::Recipient,
    installation::{Proved, answer, peek_at, spend},
};

/// How long a push service may keep a test, in seconds.
const TEST_SECONDS: i64 = 60;

impl App {
    /// The installation can be woken there from now on: what `POST D/push-address` answers.
    pub async fn change_push_address(
        &self,
        realm: &Arc<Realm>,
        request: DeviceCall,
    ) -> Result<String, DeviceCallError> {
        let peeked = peek_at::<PushAddressRequest>(realm, &request, self.now())?;
        let key = self.key_of(realm, &peeked).await?;
        let proof = self.verify(realm, peeked, &key)?;
        let call = self.call(realm.environment, &request.correlation);
        let proved = Proved { realm: Arc::clone(realm), call: call.clone(), proof };
        let answered = self.store.write(Change(proved)).await;
        if matches!(answered, Err(DeviceCallError::Clash)) {
            self.note_clash(call).await?;
        }
        answered
    }

    /// Sends a test to the installation: what `POST D/push-tests` answers, once the push service has.
    pub async fn test_push(
        &self,
        realm: &Arc<Realm>,
        request: DeviceCall,
    ) -> Result<String, DeviceCallError> {
        let now = self.now();
        let peeked = peek_at::<PushTestRequest>(realm, &request, now)?;
        let key = self.key_of(realm, &peeked).await?;
        let proof = self.verify(realm, peeked, &key)?;
        let (environment, thumbprint) = (realm.environment, proof.thumbprint());
        let call = self.call(environment, &request.correlation);
        let id = call.new_id::<PushTestRequest>().to_string();
        let proved = Proved { realm: Arc::clone(realm), call: call.clone(), proof };
        // What was sent before is not sent again: the answer says only that it was.
        if let Some(answer) = self.store.write(Begin { proved, id: id.clone() }).await? {
            return Ok(answer);
        }
        let to = self.store.read(FindRecipient { environment, thumbprint }).await?;
        let to = to.ok_or(DeviceCallError::NotPaired)?;
        let hint = Hint::Test { id: id.clone() };
        let expires_at = now.plus_seconds(TEST_SECONDS);
        let sent = self.send_hint(&to, hint, Style::Silent, expires_at).await?;
        let accepted = sent.outcome == Outcome::Accepted;
        let error_code = (!accepted).then_some(sent.raw.reason);
        let response = PushTestResponse { id, accepted, error_code };
        let json = serde_json::to_string(&response);
        json.map_err(|_| Fault::broken("an answer has no JSON").into())
    }
}

struct Change(Proved<PushAddressRequest>);

impl Work for Change {
    type Output = String;
    type Error = DeviceCallError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<String, DeviceCallError> {
        let Self(proved) = self;
        let Proved { realm, call, proof } = proved;
        if let Some(answer) = spend(tx, &proved.key()).await? {
            return Ok(answer);
        }
        realm.check_nonce(&proof.body().nonce, call.now)?;
        let push = &proof.body().push;
        let own = device::list_of_installation(tx, realm.environment, proof.thumbprint()).await?;
        for old in &own {
            device::swap(tx, old, &old.at_address(push.clone(), call.now)).await?;
            let reason = Some("push_address_changed");
            let event = audit::Event::of(audit::Action::DeviceUpdated, reason);
            let event = event.about(old.user).on(&**old).through(old.installation.application);
            call.audit(tx, event).await?;
        }
        let devices = own.iter().map(|device| Reference { id: device.id.to_string() }).collect();
        answer(tx, &proved.key(), &PushAddressResponse { devices }).await
    }
}

struct Begin {
    proved: Proved<PushTestRequest>,
    id: String,
}

impl Work for Begin {
    type Output = Option<String>;
    type Error = DeviceCallError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<String>, DeviceCallError> {
        let Self { proved, id } = self;
        if let Some(answer) = spend(tx, &proved.key()).await? {
            return Ok(Some(answer));
        }
        proved.realm.check_nonce(&proved.proof.body().nonce, proved.call.now)?;
        let sent = PushTestResponse { id: id.clone(), accepted: true, error_code: None };
        answer(tx, &proved.key(), &sent).await?;
        Ok(None)
    }
}

/// Whom a test is for: one device of the installation stands for all, since they share the address.
struct FindRecipient {
    environment: Id<Environment>,
    thumbprint: Thumbprint,
}

impl Work for FindRecipient {
    type Output = Option<Recipient>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Recipient>, StoreError> {
        let devices = device::list_of_installation(tx, self.environment, self.thumbprint).await?;
        match devices.into_iter().next() {
            Some(device) => Recipient::of(tx, device.into_value()).await,
            None => Ok(None),
        }
    }
}
