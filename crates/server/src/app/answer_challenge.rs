//! What a phone answers to a challenge, and what happens to one that nobody answers.

use std::sync::Arc;

use countersign_domain::{
    challenge::{self as challenges, Cancellation, Challenge, Denial, Event, State},
    device::Device,
    environment::Environment,
    id::Id,
};
use countersign_protocol::{
    challenge::{
        Acknowledgement, Approval, ChallengeRequest, ChallengeResponse, ChallengeStatus, Refusal,
        ShownHash,
    },
    jwk::EcPublicKey,
    time::Timestamp,
};
use countersign_store::{StoreError, Tx, Versioned, Work, challenge, device};

use super::{
    App, Call, DeviceCall, DeviceCallError, Fault, Realm,
    challenge::{EndError, cancel, end, may_answer},
    installation::{Proved, answer, peek_at, spend},
    list_challenges::statement,
};

/// Why an answer does not count.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The proof does not count.
    #[error(transparent)]
    Call(#[from] DeviceCallError),
    /// No such challenge, or not for this installation.
    #[error("there is no such challenge for this installation")]
    Unknown,
    /// The challenge does not take it.
    #[error(transparent)]
    Refused(#[from] challenges::Refusal),
    /// The approval names something else than was asked.
    #[error("proof.shown must be the hash of what was asked")]
    OtherShown,
    /// The nonce is not that of the push message.
    #[error("proof.nonce must be the one of the push message")]
    WrongNonce,
}

impl From<StoreError> for AnswerError {
    fn from(error: StoreError) -> Self {
        Self::Call(error.into())
    }
}

impl From<Fault> for AnswerError {
    fn from(fault: Fault) -> Self {
        Self::Call(fault.into())
    }
}

impl From<EndError> for AnswerError {
    fn from(error: EndError) -> Self {
        match error {
            EndError::Refused(refusal) => Self::Refused(refusal),
            EndError::Fault(fault) => fault.into(),
        }
    }
}

/// An answer that is about to be held against its challenge.
trait Answer: ChallengeRequest + Clone + Send + Sync + 'static {
    /// The key that must have signed it.
    fn key(device: &Device) -> Option<EcPublicKey>;

    /// What it does to the challenge, if it is about it.
    fn event(&self, realm: &Realm, challenge: &Challenge) -> Result<Event, AnswerError>;
}

impl Answer for Acknowledgement {
    fn key(device: &Device) -> Option<EcPublicKey> {
        Some(device.installation.key)
    }

    fn event(&self, realm: &Realm, challenge: &Challenge) -> Result<Event, AnswerError> {
        let is_right = realm.is_push_nonce(challenge.id, self.nonce.as_bytes());
        if is_right { Ok(Event::Acknowledge) } else { Err(AnswerError::WrongNonce) }
    }
}

impl Answer for Approval {
    /// Only the key that has asked the person.
    fn key(device: &Device) -> Option<EcPublicKey> {
        device.verification
    }

    fn event(&self, realm: &Realm, challenge: &Challenge) -> Result<Event, AnswerError> {
        let claims = statement(realm, challenge).ok_or(challenges::Refusal::OtherQuestion)?;
        let claims =
            serde_json::to_vec(&claims).map_err(|_| Fault::broken("claims have no JSON"))?;
        if ShownHash::of(&claims) != self.shown {
            return Err(AnswerError::OtherShown);
        }
        Ok(Event::Approve { number: self.number, method: self.method.clone() })
    }
}

impl Answer for Refusal {
    fn key(device: &Device) -> Option<EcPublicKey> {
        Some(device.installation.key)
    }

    fn event(&self, _: &Realm, _: &Challenge) -> Result<Event, AnswerError> {
        Ok(Event::Deny { why: Denial::from(self.reason) })
    }
}

impl App {
    /// A silent push has arrived: what `POST D/challenges/{id}/acknowledge` answers.
    pub async fn acknowledge(
        &self,
        realm: &Arc<Realm>,
        challenge: Id<Challenge>,
        request: DeviceCall,
    ) -> Result<String, AnswerError> {
        self.answer::<Acknowledgement>(realm, challenge, request).await
    }

    /// The person agrees: what `POST D/challenges/{id}/approve` answers.
    pub async fn approve_challenge(
        &self,
        realm: &Arc<Realm>,
        challenge: Id<Challenge>,
        request: DeviceCall,
    ) -> Result<String, AnswerError> {
        self.answer::<Approval>(realm, challenge, request).await
    }

    /// The person does not agree: what `POST D/challenges/{id}/deny` answers.
    pub async fn deny_challenge(
        &self,
        realm: &Arc<Realm>,
        challenge: Id<Challenge>,
        request: DeviceCall,
    ) -> Result<String, AnswerError> {
        self.answer::<Refusal>(realm, challenge, request).await
    }

    async fn answer<A: Answer>(
        &self,
        realm: &Arc<Realm>,
        id: Id<Challenge>,
        request: DeviceCall,
    ) -> Result<String, AnswerError> {
        let now = self.now();
        let peeked = peek_at::<A>(realm, &request, now)?;
        let environment = realm.environment;
        let device = self.store.read(FindDevice { environment, id }).await?;
        // Whose key it is not learns nothing: not even whether there is such a challenge.
        let key = device.as_ref().and_then(A::key);
        let key = key.filter(|key| key.thumbprint() == peeked.unverified_kid());
        let key = key.ok_or(AnswerError::Unknown)?;
        let address = A::address(&realm.device_base, &id.to_string());
        let proof = peeked.verify(&key, &address, now);
        let proof = proof.map_err(|error| realm.refuse(error, now))?;
        let call = self.call(environment, &request.correlation);
        let proved = Proved { realm: Arc::clone(realm), call: call.clone(), proof };
        let answered = self.store.write(Take { proved, id }).await;
        match &answered {
            Err(AnswerError::Call(DeviceCallError::Clash)) => self.note_clash(call).await?,
            // The transaction that refused the answer is gone, and with it what it could have ended.
            Err(AnswerError::Refused(challenges::Refusal::Cancelled)) => {
                self.store.write(EndBarred { call, id }).await?;
            }
            Ok(_) | Err(_) => {}
        }
        answered
    }

    /// Ends a challenge whose time for an answer is over.
    pub(super) async fn end_overdue(
        &self,
        environment: Id<Environment>,
        id: Id<Challenge>,
    ) -> Result<(), Fault> {
        self.store.write(EndOverdue { call: self.call(environment, ""), id }).await
    }

    /// Ends the challenges of all environments whose time for an answer is over, and returns how many.
    pub async fn end_all_overdue(&self) -> Result<u64, Fault> {
        let overdue = self.store.read(ListOverdue { now: self.now() }).await?;
        let mut ended = 0;
        for (environment, id) in overdue {
            match self.end_overdue(environment, id).await {
                Ok(()) => ended += 1,
                // One that cannot be ended shall not keep the others waiting.
                Err(fault @ Fault::Internal(_)) => {
                    tracing::error!(challenge = %id, error = %fault, "cannot end a challenge that is overdue");
                }
                Err(busy @ Fault::Busy(_)) => return Err(busy),
            }
        }
        Ok(ended)
    }
}

struct FindDevice {
    environment: Id<Environment>,
    id: Id<Challenge>,
}

impl Work for FindDevice {
    type Output = Option<Device>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Device>, StoreError> {
        let Some(challenge) = challenge::load(tx, self.environment, self.id).await? else {
            return Ok(None);
        };
        let device = device::load(tx, self.environment, challenge.device).await?;
        Ok(device.map(Versioned::into_value))
    }
}

struct Take<A> {
    proved: Proved<A>,
    id: Id<Challenge>,
}

impl<A: Answer> Work for Take<A> {
    type Output = String;
    type Error = AnswerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<String, AnswerError> {
        let Proved { realm, call, proof } = &self.proved;
        if let Some(answer) = spend(tx, &self.proved.key()).await? {
            return Ok(answer);
        }
        let old = challenge::load(tx, call.environment, self.id).await?;
        let old = old.ok_or(AnswerError::Unknown)?;
        let event = proof.body().event(realm, &old)?;
        if !may_answer(tx, call, &old).await? {
            return Err(challenges::Refusal::Cancelled.into());
        }
        let state = end(tx, call, &old, &event).await?;
        let response = ChallengeResponse { status: status(&state) };
        Ok(answer(tx, &self.proved.key(), &response).await?)
    }
}

const fn status(state: &State) -> ChallengeStatus {
    match state {
        State::Acknowledged { .. } => ChallengeStatus::Acknowledged,
        State::Approved { .. } => ChallengeStatus::Approved,
        State::Denied { why: Denial::WrongNumber, .. } => ChallengeStatus::WrongNumber,
        State::Denied { .. } => ChallengeStatus::Denied,
        State::Pending | State::TimedOut | State::Cancelled { .. } => ChallengeStatus::Unknown,
    }
}

struct EndBarred {
    call: Call,
    id: Id<Challenge>,
}

/// Ends a question to somebody who may not answer any more.
impl Work for EndBarred {
    type Output = ();
    type Error = Fault;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let Self { call, id } = self;
        match challenge::load(tx, call.environment, *id).await? {
            Some(old) if !may_answer(tx, call, &old).await? => {
                cancel(tx, call, &old, Cancellation::DeviceGone).await
            }
            Some(_) | None => Ok(()),
        }
    }
}

struct EndOverdue {
    call: Call,
    id: Id<Challenge>,
}

impl Work for EndOverdue {
    type Output = ();
    type Error = Fault;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let Some(old) = challenge::load(tx, self.call.environment, self.id).await? else {
            return Ok(());
        };
        match end(tx, &self.call, &old, &Event::Tick).await {
            Ok(_) => Ok(()),
            Err(EndError::Refused(_)) => Err(Fault::broken("a challenge refuses that time passes")),
            Err(EndError::Fault(fault)) => Err(fault),
        }
    }
}

/// The most challenges that are ended in one go.
const MAX_OVERDUE: i64 = 1_000;

struct ListOverdue {
    now: Timestamp,
}

impl Work for ListOverdue {
    type Output = Vec<(Id<Environment>, Id<Challenge>)>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        let overdue = challenge::list_overdue(tx, self.now, MAX_OVERDUE).await?;
        Ok(overdue.iter().map(|challenge| (challenge.environment, challenge.id)).collect())
    }
}
