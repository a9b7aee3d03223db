//! Pairs an installation by the pairing key that its person has typed or scanned.

use std::sync::Arc;

use countersign_domain::{
    application::Application,
    audit,
    id::Id,
    pairing::{NoOffer, Voucher},
    pairing_key::{self as machine, Effect, Event, PairingKey, Refusal, State, Step},
};
use countersign_protocol::{
    device_api::DeviceRequest,
    pairing_key::{KeyFormat, KeyPairingRequest},
    proof::verify_confirmed,
    time::Timestamp,
};
use countersign_store::{
    StoreError, Tx, Versioned, Work, application, pairing_key as keys, user, wakes,
};

use super::{
    App, Call, DeviceCall, DeviceCallError, Fault, Realm,
    installation::{Proved, spend},
    pair_installation::{Answered, Ground, PairError, Paired, Pairing},
    pairing_key::key_topic,
};
use crate::limits::Limited;

impl App {
    /// Pairs an installation by a key: what `POST D/pairing-keys/claims` answers.
    pub async fn claim_pairing_key(
        self: &Arc<Self>,
        realm: &Arc<Realm>,
        request: DeviceCall,
    ) -> Result<String, PairError> {
        let now = self.now();
        let address = KeyPairingRequest::address(&realm.device_base);
        let proof = verify_confirmed::<KeyPairingRequest>(request.proof.expose(), &address, now);
        let proof = proof.map_err(|error| realm.refuse(error, now))?;
        self.limits.installation(realm.environment, proof.thumbprint(), now)?;
        let key = proof.body().key.clone();
        let is_numeric = key.format() == KeyFormat::Numeric;
        if is_numeric && self.pairing_key_guesses.are_spent(realm.environment, now) {
            return Err(Limited { seconds: seconds_of_the_minute_left(now) }.into());
        }
        let call = self.call(realm.environment, &request.correlation);
        let application = proof.body().app.id.parse().map_err(|_| Refusal::OtherApplication)?;
        let hash = realm.pairing_key_hash(&key);
        let proved = Proved { realm: Arc::clone(realm), call: call.clone(), proof };
        let pairing = Pairing::new(self, proved)?;
        let claimed = self.store.write(Claim { pairing, hash, application }).await;
        // The transaction of a refusal is gone; the creator of the key and the audit log shall know of it all the same.
        match &claimed {
            Err(PairError::UnknownKey) if is_numeric => {
                self.pairing_key_guesses.count(realm.environment, now);
            }
            Err(PairError::Call(DeviceCallError::Clash)) => self.note_clash(call).await?,
            Err(PairError::NoOffer(why)) => {
                self.store.write(Refuse { call, hash, application, why: Some(*why) }).await?;
            }
            Err(PairError::Key(Refusal::OtherApplication)) => {
                self.store.write(Refuse { call, hash, application, why: None }).await?;
            }
            _ => {}
        }
        Ok(self.test_paired(claimed?).await?)
    }
}

fn seconds_of_the_minute_left(now: Timestamp) -> u32 {
    u32::try_from(60 - now.unix_seconds().rem_euclid(60)).unwrap_or(60)
}

struct Claim {
    pairing: Pairing<KeyPairingRequest>,
    hash: [u8; 32],
    application: Id<Application>,
}

impl Work for Claim {
    type Output = Answered;
    type Error = PairError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Answered, PairError> {
        let Self { pairing, hash, application } = self;
        let Proved { realm, call, proof } = &pairing.proved;
        if let Some(answer) = spend(tx, &pairing.proved.key()).await? {
            return Ok(Answered::again(answer));
        }
        realm.check_nonce(&proof.body().nonce, call.now)?;
        let key = keys::find(tx, realm.environment, hash, call.now).await?;
        let key = key.ok_or(PairError::UnknownKey)?;
        let (installation, device) = (proof.thumbprint(), pairing.device);
        let event = Event::Claim { installation, application: *application, device };
        let step = machine::apply(&key, &event, call.now)?;
        // The key first, as a ticket: who claims it alone looks at the devices.
        let effects = commit(tx, call, &key, step).await?;
        let mut paired = None;
        for effect in effects.iter().copied() {
            match effect {
                Effect::CreateDevice(_) => {
                    let ground = ground(tx, &key, *application).await?;
                    paired = Some(pairing.pair(tx, ground).await?);
                }
                Effect::Audit { action, reason } => {
                    let event = audit::Event::of(action, Some(reason));
                    let event = match &paired {
                        Some(paired) => paired.tell(event),
                        None => event.about(key.user).through(*application),
                    };
                    call.audit(tx, event).await?;
                }
            }
        }
        match (paired, &key.state) {
            (Some(Paired { device, .. }), _) => pairing.respond(tx, &device, true).await,
            // The phone has lost the answer and asks again with a new proof.
            (None, State::Claimed { device, .. }) => {
                let device = pairing.usable(tx, *device).await?.ok_or(Refusal::Claimed)?;
                pairing.respond(tx, &device, false).await
            }
            (None, State::Unclaimed { .. } | State::Expired { .. }) => {
                Err(Fault::broken("a key that was claimed has made no device").into())
            }
        }
    }
}

/// What the device of a key rests on.
async fn ground(
    tx: &mut Tx<'_>,
    key: &PairingKey,
    id: Id<Application>,
) -> Result<Ground, PairError> {
    let application = application::load(tx, key.environment, id).await?;
    let user = user::load(tx, key.environment, key.user).await?;
    Ok(Ground {
        application: application.ok_or(NoOffer::Disabled)?.into_value(),
        user: user.ok_or(PairError::UnknownKey)?,
        mfa_policy: key.mfa_policy,
        voucher: Voucher::Key { first_only: key.first_only },
    })
}

/// Commits the next state of a key, wakes who waits for it, and returns what is left to do.
async fn commit(
    tx: &mut Tx<'_>,
    call: &Call,
    old: &Versioned<PairingKey>,
    step: Step,
) -> Result<Vec<Effect>, StoreError> {
    if step.state != old.state {
        let key = PairingKey { state: step.state, updated_at: call.now, ..(**old).clone() };
        keys::swap(tx, old, &key).await?;
        wakes::wake(tx, key_topic(old.id), call.now).await?;
    }
    Ok(step.effects)
}

/// A phone with this application has shown a key and may not be paired. None: the key is not for its application.
struct Refuse {
    call: Call,
    hash: [u8; 32],
    application: Id<Application>,
    why: Option<NoOffer>,
}

impl Work for Refuse {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let Self { call, hash, application, why } = self;
        let Some(key) = keys::find(tx, call.environment, hash, call.now).await? else {
            return Ok(());
        };
        let about = |event: audit::Event| event.about(key.user).through(*application);
        let Some(why) = *why else {
            let action = audit::Action::DeviceActivationFailed;
            let event = audit::Event::failed(action, "other_application");
            // It may be none of this environment.
            return call.audit(tx, event.about(key.user)).await;
        };
        // Another phone may have been paired meanwhile, or the time be over: then nobody needs to know.
        let Ok(step) = machine::apply(&key, &Event::Refuse { why }, call.now) else {
            return Ok(());
        };
        for effect in commit(tx, call, &key, step).await? {
            match effect {
                Effect::Audit { action, reason } => {
                    call.audit(tx, about(audit::Event::of(action, Some(reason)))).await?;
                }
                Effect::CreateDevice(_) => {}
            }
        }
        Ok(())
    }
}
