//! Takes the person's answer to an offer: a ticket of an ID token pairs the installation, or is spent for nothing.

use std::sync::Arc;

use countersign_domain::{
    audit,
    id::Id,
    pairing::{self, Effect, Event, NoOffer, State, Ticket, Voucher},
};
use countersign_protocol::{
    device_api::DeviceRequest,
    jose::Part,
    jwk::EcPublicKey,
    pairing::{DenialResponse, DenialStatus, PairingDenial, PairingRequest},
    proof::{Peeked, ProofError},
    secret::Secret,
};
use countersign_store::{StoreError, Tx, Versioned, Work, application, pairing as tickets, user};
use serde::Deserialize;

use super::{
    App, DeviceCall, DeviceCallError, Fault, Realm,
    installation::{Proved, answer, peek_at, spend},
    pair_installation::{Answered, Ground, PairError, Paired, Pairing},
    realm::split_handle,
};

impl App {
    /// Pairs an installation: what `POST D/pairings` answers.
    pub async fn approve_pairing(
        self: &Arc<Self>,
        realm: &Arc<Realm>,
        request: DeviceCall,
    ) -> Result<String, PairError> {
        let peeked = peek_at::<PairingRequest>(realm, &request, self.now())?;
        let key = self.key_of_ticket(realm, &peeked).await?;
        let proof = self.verify(realm, peeked, &key)?;
        let call = self.call(realm.environment, &request.correlation);
        let proved = Proved { realm: Arc::clone(realm), call: call.clone(), proof };
        let pairing = Pairing::new(self, proved)?;
        let paired = self.store.write(Approve(pairing)).await;
        // The transaction of a refusal is gone; the audit log shall know all the same.
        match &paired {
            Err(PairError::NoOffer(why)) => {
                let failed = audit::Action::DeviceActivationFailed;
                self.note(call, audit::Event::failed(failed, why.name())).await?;
            }
            Err(PairError::Call(DeviceCallError::Clash)) => self.note_clash(call).await?,
            _ => {}
        }
        Ok(self.test_paired(paired?).await?)
    }

    /// Spends the ticket of a person who said no: what `POST D/pairings/denials` answers.
    pub async fn deny_pairing(
        &self,
        realm: &Arc<Realm>,
        request: DeviceCall,
    ) -> Result<String, PairError> {
        let peeked = peek_at::<PairingDenial>(realm, &request, self.now())?;
        let key = self.key_of_ticket(realm, &peeked).await?;
        let proof = self.verify(realm, peeked, &key)?;
        let call = self.call(realm.environment, &request.correlation);
        let proved = Proved { realm: Arc::clone(realm), call: call.clone(), proof };
        let answered = self.store.write(Deny(proved)).await;
        if let Err(PairError::Call(DeviceCallError::Clash)) = &answered {
            self.note_clash(call).await?;
        }
        answered
    }

    /// The key that a ticket is bound to. The ticket is read before the signature is checked, since it says which key must
    /// have made it.
    async fn key_of_ticket<P: DeviceRequest>(
        &self,
        realm: &Arc<Realm>,
        peeked: &Peeked<P>,
    ) -> Result<EcPublicKey, PairError> {
        #[derive(Deserialize)]
        struct Bearing {
            ticket: Secret<String>,
        }
        let in_claims = |source| ProofError::Json { part: Part::Claims, source };
        let Bearing { ticket } = peeked
            .unverified_claims()
            .map_err(|error| realm.refuse(in_claims(error), self.now()))?;
        let ticket =
            self.store.read(FindTicket { realm: Arc::clone(realm), value: ticket }).await?;
        Ok(ticket.ok_or(PairError::UnknownTicket)?.key)
    }
}

struct FindTicket {
    realm: Arc<Realm>,
    value: Secret<String>,
}

impl Work for FindTicket {
    type Output = Option<Versioned<Ticket>>;
    type Error = StoreError;
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        load(tx, &self.realm, &self.value).await
    }
}

/// The ticket of this value, if the secret in it is right.
async fn load(
    tx: &mut Tx<'_>,
    realm: &Realm,
    value: &Secret<String>,
) -> Result<Option<Versioned<Ticket>>, StoreError> {
    let Some((id, secret)) = split_handle(value.expose()) else { return Ok(None) };
    let id = Id::from_bytes(id);
    let ticket = tickets::load(tx, realm.environment, id).await?;
    Ok(ticket.filter(|ticket| realm.owns_ticket(id, &secret, &ticket.secret_hash)))
}

struct Approve(Pairing<PairingRequest>);

impl Work for Approve {
    type Output = Answered;
    type Error = PairError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Answered, PairError> {
        let Self(pairing) = self;
        let Proved { realm, call, proof } = &pairing.proved;
        if let Some(answer) = spend(tx, &pairing.proved.key()).await? {
            return Ok(Answered::again(answer));
        }
        realm.check_nonce(&proof.body().nonce, call.now)?;
        let ticket = load(tx, realm, &proof.body().ticket).await?;
        let ticket = ticket.ok_or(PairError::UnknownTicket)?;
        if proof.body().app.id != ticket.application.to_string() {
            return Err(PairError::OtherApplication);
        }
        let event = Event::Approve { thumbprint: proof.thumbprint(), device: pairing.device };
        let step = pairing::apply(&ticket, &event, call.now)?;
        // The ticket first: who claims it alone looks at the devices. Else another approval could slip in between, and its
        // device be taken for an older one.
        if step.state != ticket.state {
            let claimed = Ticket { state: step.state.clone(), ..(*ticket).clone() };
            tickets::swap(tx, &ticket, &claimed).await?;
        }
        let mut paired = None;
        for effect in &step.effects {
            match effect {
                Effect::CreateDevice(_) => {
                    let ground = ground(tx, &ticket).await?;
                    paired = Some(pairing.pair(tx, ground).await?);
                }
                Effect::Audit { action, reason } => {
                    let event = audit::Event::of(*action, *reason);
                    let event = match &paired {
                        Some(paired) => paired.tell(event),
                        None => event.about(ticket.user).through(ticket.application),
                    };
                    call.audit(tx, event).await?;
                }
            }
        }
        match (paired, &step.state) {
            (Some(Paired { device, .. }), _) => pairing.respond(tx, &device, true).await,
            // The phone has lost the answer and asks again with a new proof.
            (None, State::Claimed { device, .. }) => {
                let device = pairing.usable(tx, *device).await?.ok_or(pairing::Refusal::Spent)?;
                pairing.respond(tx, &device, false).await
            }
            (None, State::Open | State::Denied { .. } | State::Expired) => {
                Err(Fault::broken("an approved ticket is not claimed").into())
            }
        }
    }
}

/// What the device of a ticket rests on.
async fn ground(tx: &mut Tx<'_>, ticket: &Ticket) -> Result<Ground, PairError> {
    let gone = || Fault::broken("a ticket refers to something that is gone");
    let application = application::load(tx, ticket.environment, ticket.application).await?;
    let user = user::load(tx, ticket.environment, ticket.user).await?;
    Ok(Ground {
        application: application.ok_or_else(gone)?.into_value(),
        user: user.ok_or(NoOffer::Disabled)?,
        mfa_policy: ticket.mfa_policy,
        voucher: Voucher::SignOn { multi_factor: ticket.multi_factor },
    })
}

struct Deny(Proved<PairingDenial>);

impl Work for Deny {
    type Output = String;
    type Error = PairError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<String, PairError> {
        let Self(proved) = self;
        let Proved { realm, call, proof } = proved;
        if let Some(answer) = spend(tx, &proved.key()).await? {
            return Ok(answer);
        }
        realm.check_nonce(&proof.body().nonce, call.now)?;
        let ticket = load(tx, realm, &proof.body().ticket).await?;
        let ticket = ticket.ok_or(PairError::UnknownTicket)?;
        let event = Event::Deny { thumbprint: proof.thumbprint() };
        let step = pairing::apply(&ticket, &event, call.now)?;
        for effect in &step.effects {
            let Effect::Audit { action, reason } = effect else { continue };
            let event = audit::Event::of(*action, *reason);
            call.audit(tx, event.about(ticket.user).through(ticket.application)).await?;
        }
        if step.state != ticket.state {
            tickets::swap(tx, &ticket, &Ticket { state: step.state, ..(*ticket).clone() }).await?;
        }
        let response = DenialResponse { status: DenialStatus::Denied };
        Ok(answer(tx, &proved.key(), &response).await?)
    }
}
