//! What a phone does with an authentication code: claims it, and says who signs on, or that nobody does.

use std::sync::Arc;

use countersign_domain::{
    audit,
    authentication_code::{
        self as machine, Approval, AuthenticationCode, Candidate, Effect, Event, State, Step,
    },
    device::Device,
    environment::Environment,
    id::Id,
    user::User,
};
use countersign_protocol::{
    authentication_code::{
        ClaimRequest, ClaimResponse, Code, CodeApproval, CodeDenial, CodeRequest, CodeResponse,
        CodeStatus, CodeUser, NeedsApproval,
    },
    jwk::{EcPublicKey, Thumbprint},
    proof::Proof,
};
use countersign_store::{
    StoreError, Tx, Versioned, Work, authentication_code as codes, device, user, wakes,
};

use super::{
    App, Call, DeviceCall, DeviceCallError, Fault, Realm,
    authentication_code::code_topic,
    challenge::flow_topic,
    installation::{Proved, answer, peek_at, spend},
    pair_installation::name,
    phone_sign_on,
};
use crate::limits::Limited;

/// Why a code was not claimed or decided.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The proof does not count.
    #[error(transparent)]
    Call(#[from] DeviceCallError),
    /// The installation has tried too many.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// No such code, or not one for this installation.
    #[error("there is no such authentication code")]
    Unknown,
    /// The code is for the phones of another application.
    #[error("the code is for another application")]
    OtherApplication,
    /// All devices of the installation are blocked or locked.
    #[error("the installation may not vouch for anybody now")]
    Barred,
    /// An id in it is none.
    #[error("proof.user must be the id of a user of the claim")]
    UserId,
    /// The code does not take it.
    #[error(transparent)]
    Refused(#[from] machine::Refusal),
}

impl From<StoreError> for ClaimError {
    fn from(error: StoreError) -> Self {
        Self::Call(error.into())
    }
}

impl From<Fault> for ClaimError {
    fn from(fault: Fault) -> Self {
        Self::Call(fault.into())
    }
}

impl App {
    /// Claims a code: what `POST D/authentication-codes/claims` answers.
    pub async fn claim_code(
        &self,
        realm: &Arc<Realm>,
        request: DeviceCall,
    ) -> Result<String, ClaimError> {
        let peeked = peek_at::<ClaimRequest>(realm, &request, self.now())?;
        let key = self.key_of(realm, &peeked).await?;
        let proof = self.verify(realm, peeked, &key)?;
        self.limits.installation(realm.environment, proof.thumbprint(), self.now())?;
        let call = self.call(realm.environment, &request.correlation);
        let proved = Proved { realm: Arc::clone(realm), call: call.clone(), proof };
        let claimed = self.store.write(Claim(proved)).await;
        // The transaction of a refusal is gone; the audit log shall know of guesses and thieves all the same.
        match &claimed {
            Err(ClaimError::Call(DeviceCallError::Clash)) => self.note_clash(call).await?,
            Err(error @ (ClaimError::OtherApplication | ClaimError::Barred)) => {
                let reason = match error {
                    ClaimError::OtherApplication => "other_application",
                    _ => "installation_barred",
                };
                let action = audit::Action::AuthenticationCodeUpdated;
                self.note(call, audit::Event::failed(action, reason)).await?;
            }
            _ => {}
        }
        claimed
    }

    /// This user signs on: what `POST D/authentication-codes/{id}/approve` answers.
    pub async fn approve_code(
        &self,
        realm: &Arc<Realm>,
        id: Id<AuthenticationCode>,
        request: DeviceCall,
    ) -> Result<String, ClaimError> {
        self.decide_code::<CodeApproval>(realm, id, request).await
    }

    /// Nobody signs on: what `POST D/authentication-codes/{id}/deny` answers.
    pub async fn deny_code(
        &self,
        realm: &Arc<Realm>,
        id: Id<AuthenticationCode>,
        request: DeviceCall,
    ) -> Result<String, ClaimError> {
        self.decide_code::<CodeDenial>(realm, id, request).await
    }

    async fn decide_code<D: Decision>(
        &self,
        realm: &Arc<Realm>,
        id: Id<AuthenticationCode>,
        request: DeviceCall,
    ) -> Result<String, ClaimError> {
        let now = self.now();
        let peeked = peek_at::<D>(realm, &request, now)?;
        let devices = self.store.read(FindClaimant { environment: realm.environment, id }).await?;
        // Whose key it is not learns nothing: not even whether there is such a code.
        let mut keys = devices.iter().map(|device| (D::key(device), device));
        let (key, device) = keys
            .find(|(key, _)| key.thumbprint() == peeked.unverified_kid())
            .ok_or(ClaimError::Unknown)?;
        let address = D::address(&realm.device_base, &id.to_string());
        let proof = peeked.verify(&key, &address, now);
        let proof = proof.map_err(|error| realm.refuse(error, now))?;
        let call = self.call(realm.environment, &request.correlation);
        let proved = Proved { realm: Arc::clone(realm), call: call.clone(), proof };
        let installation = device.installation.thumbprint;
        let decided = self.store.write(Decide { proved, id, installation }).await;
        if let Err(ClaimError::Call(DeviceCallError::Clash)) = &decided {
            self.note_clash(call).await?;
        }
        decided
    }
}

/// What a person can decide about a code.
trait Decision: CodeRequest + Proof + Clone + Send + Sync + 'static {
    /// The key that must have signed it, where it is about the user of this device.
    fn key(device: &Device) -> EcPublicKey;

    /// What it does to the code.
    fn event(&self, installation: Thumbprint) -> Result<Event, ClaimError>;
}

impl Decision for CodeApproval {
    /// The one that asks the person, where there is one.
    fn key(device: &Device) -> EcPublicKey {
        device.verification.unwrap_or(device.installation.key)
    }

    fn event(&self, installation: Thumbprint) -> Result<Event, ClaimError> {
        let user = self.user.parse().map_err(|_| ClaimError::UserId)?;
        Ok(Event::Approve { installation, user, number: self.number })
    }
}

impl Decision for CodeDenial {
    fn key(device: &Device) -> EcPublicKey {
        device.installation.key
    }

    fn event(&self, installation: Thumbprint) -> Result<Event, ClaimError> {
        let user = self.user.as_deref().map(str::parse).transpose();
        Ok(Event::Deny { installation, user: user.map_err(|_| ClaimError::UserId)? })
    }
}

struct Claim(Proved<ClaimRequest>);

impl Work for Claim {
    type Output = String;
    type Error = ClaimError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<String, ClaimError> {
        let Self(proved) = self;
        let Proved { realm, call, proof } = proved;
        if let Some(answer) = spend(tx, &proved.key()).await? {
            return Ok(answer);
        }
        let ClaimRequest { nonce, code } = proof.body();
        realm.check_nonce(nonce, call.now)?;
        let old = find(tx, realm, code, call).await?.ok_or(ClaimError::Unknown)?;
        let people = people(tx, call, proof.thumbprint(), &old).await?;
        let candidate =
            |(device, user): &(Device, User)| Candidate { user: user.id, device: device.id };
        let candidates = people.iter().map(candidate).collect();
        let event = Event::Claim { installation: proof.thumbprint(), candidates };
        let step = machine::apply(&old, &event, call.now)?;
        let response = response(&old, &step.state, people);
        commit(tx, call, &old, step).await?;
        Ok(answer(tx, &proved.key(), &response).await?)
    }
}

async fn find(
    tx: &mut Tx<'_>,
    realm: &Realm,
    code: &Code,
    call: &Call,
) -> Result<Option<Versioned<AuthenticationCode>>, StoreError> {
    let hash = realm.authentication_code_hash(code);
    codes::find(tx, realm.environment, &hash, call.now).await
}

/// The users for whom an installation may vouch now, and the devices that it is for them. On a sign-on page the code takes the
/// place of a password, so the device must verify its person.
async fn people(
    tx: &mut Tx<'_>,
    call: &Call,
    thumbprint: Thumbprint,
    code: &AuthenticationCode,
) -> Result<Vec<(Device, User)>, ClaimError> {
    let devices = device::list_of_installation(tx, call.environment, thumbprint).await?;
    let own = |device: &Versioned<Device>| device.installation.application == code.application;
    if !devices.iter().any(own) {
        return Err(ClaimError::OtherApplication);
    }
    let mut people = Vec::new();
    let vouches = |device: &Versioned<Device>| {
        let verifies = code.flow.is_none() || device.verification.is_some();
        own(device) && device.is_usable(call.now) && verifies
    };
    for device in devices.into_iter().filter(vouches) {
        let user = user::load(tx, call.environment, device.user).await?;
        let free = |user: &Versioned<User>| {
            let locked = user.mfa_lockout.locked_until(call.now).is_some();
            user.may_sign_in() && user.mfa_enabled && !locked
        };
        if let Some(user) = user.filter(free) {
            people.push((device.into_value(), user.into_value()));
        }
    }
    if people.is_empty() { Err(ClaimError::Barred) } else { Ok(people) }
}

fn response(
    code: &AuthenticationCode,
    state: &State,
    people: Vec<(Device, User)>,
) -> ClaimResponse {
    let user = |(_, user): (Device, User)| CodeUser {
        id: user.id.to_string(),
        name: name(&user.name),
        email: Some(user.email).filter(|email| !email.is_empty()),
        username: user.username,
    };
    let needs_approval = match code.approval {
        Approval::Required => NeedsApproval::Required,
        Approval::NotRequired => NeedsApproval::NotRequired,
    };
    ClaimResponse {
        id: code.id.to_string(),
        status: status(state),
        users: people.into_iter().map(user).collect(),
        needs_approval,
        application: code.site.clone(),
        client_context: code.client_context.clone(),
        origin: code.origin.clone(),
        number_matching: code.number.as_ref().map(|number| number.matching.clone()),
        expires_at: code.expires_at(),
    }
}

const fn status(state: &State) -> CodeStatus {
    match state {
        State::Claimed { .. } => CodeStatus::Claimed,
        State::Completed { .. } => CodeStatus::Completed,
        State::Denied { .. } => CodeStatus::Denied,
        State::Expired { .. } => CodeStatus::Expired,
        State::Unclaimed => CodeStatus::Unknown,
    }
}

/// The devices that the installation is that has claimed a code.
struct FindClaimant {
    environment: Id<Environment>,
    id: Id<AuthenticationCode>,
}

impl Work for FindClaimant {
    type Output = Vec<Device>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Device>, StoreError> {
        let code = countersign_store::machine::load(tx, self.environment, self.id).await?;
        let claimant =
            code.as_ref().and_then(|code: &Versioned<AuthenticationCode>| match &code.state {
                State::Claimed { installation, .. }
                | State::Completed { installation, .. }
                | State::Denied { installation, .. } => Some(*installation),
                State::Expired { installation } => *installation,
                State::Unclaimed => None,
            });
        let Some(claimant) = claimant else { return Ok(Vec::new()) };
        let devices = device::list_of_installation(tx, self.environment, claimant).await?;
        Ok(devices.into_iter().map(Versioned::into_value).collect())
    }
}

struct Decide<D> {
    proved: Proved<D>,
    id: Id<AuthenticationCode>,
    installation: Thumbprint,
}

impl<D: Decision> Work for Decide<D> {
    type Output = String;
    type Error = ClaimError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<String, ClaimError> {
        let Proved { call, proof, .. } = &self.proved;
        if let Some(answer) = spend(tx, &self.proved.key()).await? {
            return Ok(answer);
        }
        let old = codes::load(tx, call.environment, self.id, call.now).await?;
        let old = old.ok_or(ClaimError::Unknown)?;
        let event = proof.body().event(self.installation)?;
        let step = machine::apply(&old, &event, call.now)?;
        if let Event::Approve { user, .. } = &event {
            let people = people(tx, call, self.installation, &old).await?;
            may_approve(&people, proof.thumbprint(), *user)?;
        }
        let response = CodeResponse { status: status(&step.state) };
        commit(tx, call, &old, step).await?;
        Ok(answer(tx, &self.proved.key(), &response).await?)
    }
}

/// Whether the installation may still vouch for this user, by this key. One phone can have several keys that verify people: one
/// of each time that it was paired.
fn may_approve(
    people: &[(Device, User)],
    signer: Thumbprint,
    user: Id<User>,
) -> Result<(), ClaimError> {
    let still = people.iter().find(|(_, one)| one.id == user);
    let (device, _) = still.ok_or(ClaimError::Barred)?;
    let is_own = CodeApproval::key(device).thumbprint() == signer;
    if is_own { Ok(()) } else { Err(ClaimError::Unknown) }
}

/// Commits a step of a code, and wakes who waits for it.
pub(super) async fn commit(
    tx: &mut Tx<'_>,
    call: &Call,
    old: &Versioned<AuthenticationCode>,
    step: Step,
) -> Result<(), Fault> {
    if step.state == old.state {
        return Ok(());
    }
    let code = AuthenticationCode { state: step.state, updated_at: call.now, ..(**old).clone() };
    codes::swap(tx, old, &code).await?;
    for effect in step.effects {
        match effect {
            Effect::Audit { action, reason, by } => {
                let event = audit::Event::of(action, Some(reason)).through(old.application);
                let event = match by {
                    Some(by) => event.about(by.user).on(by.device),
                    None => event,
                };
                let event = match old.flow {
                    Some(flow) => event.within(flow),
                    None => event,
                };
                call.audit(tx, event).await?;
            }
            // Boxed, since a flow that goes on can come to much, and most codes have none.
            Effect::TellFlow { by } => Box::pin(phone_sign_on::approved(tx, call, old, by)).await?,
        }
    }
    if let Some(flow) = old.flow {
        wakes::wake(tx, flow_topic(flow), call.now).await?;
    }
    Ok(wakes::wake(tx, code_topic(old.id), call.now).await?)
}
