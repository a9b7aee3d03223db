//! From the ID token's offer, or from a pairing key, to a paired device.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign_protocol::challenge::VerificationKey;
use countersign_protocol::device_api::{DeviceRequest, PairedUser};
use countersign_protocol::encoding;
use countersign_protocol::mobile_payload::Confirmation;
use countersign_protocol::otp::DEFAULT_STEP_SECONDS;
use countersign_protocol::pairing::{
    Authenticator, AuthenticatorKind, AuthenticatorStatus, PairingDenial, PairingRequest,
    PairingResponse, Reference, UserFacts, passcode_proof,
};
use countersign_protocol::pairing_key::KeyPairingRequest;
use countersign_protocol::seed::SealedSeed;
use countersign_protocol::time::Timestamp;

use crate::answer::Failure;
use crate::client::{self, Countersign};
use crate::error::{Error, PairingRefusal};
use crate::installation::Installation;
use crate::platform::{PAIRING_REASON, PublicKeys};
use crate::state::{Ground, Offer, Pairing, PasscodeSeed, PendingPairing, SignedProof, State};

/// What became of the mobile payload, as the last processed ID token says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PairingOutcome {
    /// The token answers no mobile payload, or no token was processed yet.
    #[default]
    NotRequested,
    /// There is an offer to be approved or denied.
    Offered,
    /// This installation is paired to the user: nothing to do.
    AlreadyPaired,
    /// The user has as many devices as allowed.
    LimitReached,
    /// The application does not enrol automatically, or pairing is switched off.
    Disabled,
    /// The policy holds the phone to be compromised.
    Compromised,
}

/// The result of a pairing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairingInfo {
    /// Id of the new device.
    pub device: String,
    /// Id of the environment it lives in.
    pub environment: String,
    /// Whose it is.
    pub user: UserFacts,
    /// What it can be used for, and what not and why. Pairing may succeed although one of them
    /// failed.
    pub authenticators: Vec<Authenticator>,
}

/// The platform's offer to pair this installation with the user who signed in. Ask the user, then
/// call [`Self::approve`] or [`Self::deny`].
#[derive(Debug)]
pub struct PairingObject {
    installation: Arc<Installation>,
    offer: Offer,
    is_used: AtomicBool,
}

impl PairingObject {
    pub(crate) fn new(installation: Arc<Installation>, offer: Offer) -> Self {
        Self { installation, offer, is_used: AtomicBool::new(false) }
    }

    /// Id of the user who signed in.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.offer.user
    }

    /// From when on the platform refuses it.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.offer.expires_at
    }

    /// Pairs. After an error that [`Error::is_retriable`], call it again, or `resume_pairing` after
    /// a restart of the app: what was sent is sent again and has no second effect.
    pub async fn approve(&self) -> Result<PairingInfo, Error> {
        let _turn = self.installation.begin_pairing()?;
        self.answer(pair(&self.installation, &Ground::Offer(self.offer.clone()))).await
    }

    /// Refuses. The offer is spent and the refusal is recorded.
    pub async fn deny(&self) -> Result<(), Error> {
        let _turn = self.installation.begin_pairing()?;
        self.answer(deny(&self.installation, &self.offer)).await
    }

    async fn answer<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        if self.is_used.load(Ordering::Acquire) {
            return Err(Error::OfferUsed);
        }
        let result = answer.await;
        let is_final = result.as_ref().err().is_none_or(|error| !error.is_retriable());
        self.is_used.store(is_final, Ordering::Release);
        result
    }
}

impl Countersign {
    /// Pairs this installation by the pairing key that the user has typed, in either case and with spaces or dashes, or scanned: its
    /// QR code holds the key itself. The key says to whom.
    ///
    /// Once the key store has verified the person, so that the phone can approve later. After an error that
    /// [`Error::is_retriable`], call it again with the same key, or [`Self::resume_pairing`] after a restart of the app: what was
    /// sent is sent again and has no second effect. Each user has one device per installation: another user is paired by another
    /// key.
    pub async fn pair(&self, key: &str) -> Result<PairingInfo, Error> {
        let ground = Ground::Key(key.parse()?);
        let _turn = self.installation.begin_pairing()?;
        pair(&self.installation, &ground).await
    }
}

/// Goes on with a pairing of which the answer was never seen. `None` when there is none.
pub(crate) async fn resume(installation: &Installation) -> Result<Option<PairingInfo>, Error> {
    let _turn = installation.begin_pairing()?;
    match installation.read(|state| state.pending.as_ref().map(|pending| pending.ground.clone())) {
        Some(ground) => pair(installation, &ground).await.map(Some),
        None => Ok(None),
    }
}

async fn deny(installation: &Installation, offer: &Offer) -> Result<(), Error> {
    let nonce = installation.nonce().await?;
    installation.call(PairingDenial { nonce, ticket: offer.ticket.clone() }).await?;
    installation.update(|state| {
        // An approval that got no answer and was thought better of.
        state.pending.take_if(|pending| is_of(&pending.ground, offer));
    })
}

fn is_of(ground: &Ground, offer: &Offer) -> bool {
    matches!(ground, Ground::Offer(other) if other.ticket == offer.ticket)
}

/// Sends the proof that may have been sent before, or a new one when that is out of date.
async fn pair(installation: &Installation, ground: &Ground) -> Result<PairingInfo, Error> {
    let is_pending = |state: &State| state.pending.as_ref().is_some_and(|one| is_same(one, ground));
    let was_sent = installation.read(is_pending);
    let proof = match sent_before(installation, ground) {
        Some(proof) => proof,
        None => sign(installation, ground).await?,
    };
    let answer = match deliver(installation, ground, &proof).await {
        Err(Failure::Skew(server_time)) => {
            let name = installation.thumbprint().await?;
            installation.correct_clock(&server_time, (name, proof.jti)).await?;
            let proof = sign(installation, ground).await?;
            deliver(installation, ground, &proof).await
        }
        answer => answer,
    };
    match answer.map_err(Failure::into_error) {
        Ok(response) => complete(installation, response).await,
        Err(error) if error.is_retriable() => Err(error),
        Err(error) => {
            installation.update(|state| state.pending = None)?;
            recover(installation, (ground, was_sent), error).await
        }
    }
}

async fn deliver(
    installation: &Installation,
    ground: &Ground,
    proof: &SignedProof,
) -> Result<PairingResponse, Failure> {
    match ground {
        Ground::Offer(_) => installation.deliver::<PairingRequest>(proof).await,
        Ground::Key(_) => installation.deliver::<KeyPairingRequest>(proof).await,
    }
}

fn is_same(pending: &PendingPairing, ground: &Ground) -> bool {
    match ground {
        Ground::Offer(offer) => is_of(&pending.ground, offer),
        Ground::Key(_) => pending.ground == *ground,
    }
}

fn sent_before(installation: &Installation, ground: &Ground) -> Option<SignedProof> {
    let now = installation.now();
    installation.read(|state| {
        let pending = state.pending.as_ref()?;
        let is_good = is_same(pending, ground) && now < pending.proof.expires_at;
        is_good.then(|| pending.proof.clone())
    })
}

/// Signs what asks to be paired, and remembers it before anybody can have seen it.
async fn sign(installation: &Installation, ground: &Ground) -> Result<SignedProof, Error> {
    let nonce = installation.nonce().await?;
    let PublicKeys { possession, agreement, .. } = installation.public_keys().await?;
    let (app, dev) = (installation.settings.app.clone(), installation.settings.device.clone());
    let push = installation.read(|state| state.push.address());
    // The phone's own clock: a corrected one would hide that its passcodes will be wrong.
    let now = installation.platform.clock.now();
    let proof = match ground {
        Ground::Offer(Offer { ticket, step_seconds, .. }) => {
            let verification = sign_verification_key::<PairingRequest>(installation, &nonce);
            let verification = verification.await?;
            let passcode = passcode_proof(ticket.expose().as_bytes(), *step_seconds, now);
            let ticket = ticket.clone();
            let request =
                PairingRequest { nonce, ticket, agreement, verification, passcode, app, dev, push };
            installation.sign_request(request).await?
        }
        Ground::Key(key) => {
            let verification = sign_verification_key::<KeyPairingRequest>(installation, &nonce);
            let verification = verification.await?;
            let passcode = passcode_proof(key.expose().as_bytes(), DEFAULT_STEP_SECONDS, now);
            let (key, cnf) = (key.clone(), Confirmation { jwk: possession });
            let request = KeyPairingRequest {
                nonce,
                key,
                cnf,
                agreement,
                verification,
                passcode,
                app,
                dev,
                push,
            };
            installation.sign_request(request).await?
        }
    };
    let pending = PendingPairing { ground: ground.clone(), proof: proof.clone() };
    installation.update(|state| state.begin_pairing(pending))?;
    Ok(proof)
}

/// Lets the user-verification key, if there is one, say for itself that it belongs to this installation. So the person is
/// verified once already here, and a key that cannot be used is noticed before anybody relies on it.
async fn sign_verification_key<R: DeviceRequest>(
    installation: &Installation,
    nonce: &str,
) -> Result<Option<String>, Error> {
    let keys = installation.public_keys().await?;
    let Some(jwk) = keys.verification else { return Ok(None) };
    let statement = VerificationKey {
        cnf: Confirmation { jwk },
        installation: keys.possession.thumbprint(),
        nonce: nonce.to_owned(),
    };
    let audience = R::address(&installation.settings.device_base);
    let proof = installation.sign_verified(&audience, statement, PAIRING_REASON).await?;
    Ok(Some(proof.jws.expose().clone()))
}

async fn complete(
    installation: &Installation,
    response: PairingResponse,
) -> Result<PairingInfo, Error> {
    let PairingResponse { device, environment, user, mut authenticators, seed } = response;
    let seed = match seed {
        None => None,
        Some(jwe) => match open_seed(installation, &jwe, &device).await {
            Ok(seed) => Some(seed),
            Err(why) => {
                fail_passcodes(&mut authenticators, &why);
                None
            }
        },
    };
    let pairing = Pairing {
        user: user.clone(),
        environment: environment.clone(),
        device: device.clone(),
        seed,
    };
    installation.update(|state| {
        state.add_pairing(pairing);
        state.pending = None;
    })?;
    Ok(PairingInfo { device: device.id, environment: environment.id, user, authenticators })
}

async fn open_seed(
    installation: &Installation,
    jwe: &str,
    device: &Reference,
) -> Result<PasscodeSeed, String> {
    let sealed = SealedSeed::parse(jwe).map_err(|error| error.to_string())?;
    let key_store = &installation.platform.key_store;
    let own = key_store.ensure().await.map_err(|error| error.to_string())?.agreement;
    if sealed.recipient() != own.thumbprint() {
        return Err("is sealed to another key".to_owned());
    }
    let shared =
        key_store.agree(sealed.ephemeral_key()).await.map_err(|error| error.to_string())?;
    let seed = sealed.open(&shared).map_err(|error| error.to_string())?;
    if seed.device != device.id {
        return Err("is for another device".to_owned());
    }
    let secret = encoding::encode(seed.secret.expose()).into();
    Ok(PasscodeSeed { secret, step_seconds: seed.step_seconds })
}

/// The device is paired all the same; only its passcodes will not work.
fn fail_passcodes(authenticators: &mut Vec<Authenticator>, why: &str) {
    authenticators.retain(|other| other.kind != AuthenticatorKind::OneTimePasscode);
    authenticators.push(Authenticator {
        kind: AuthenticatorKind::OneTimePasscode,
        status: AuthenticatorStatus::Failed,
        error_code: Some("InvalidSeed".to_owned()),
        error_message: Some(format!("The passcode seed {why}")),
    });
}

/// A ticket or key may have been spent by ourselves, with a proof whose answer was lost for good. Then the device is there, but its
/// seed is not.
async fn recover(
    installation: &Installation,
    (ground, was_sent): (&Ground, bool),
    error: Error,
) -> Result<PairingInfo, Error> {
    let Error::PairingRefused { reason, .. } = &error else { return Err(error) };
    let may_be_own = match reason {
        PairingRefusal::TicketSpent => true,
        PairingRefusal::KeyExpired | PairingRefusal::KeyInvalid | PairingRefusal::AlreadyPaired => {
            was_sent
        }
        _ => false,
    };
    if !may_be_own {
        return Err(error);
    }
    let known = installation.read(|state| {
        state.pairings.iter().map(|pairing| pairing.device.id.clone()).collect::<Vec<_>>()
    });
    let users = client::refresh(installation).await?;
    // A key does not say whose it is: of the devices, the new one was made by it.
    let found = users.into_iter().find(|user| match ground {
        Ground::Offer(offer) => user.id == offer.user,
        Ground::Key(_) => !known.contains(&user.device.id),
    });
    found.map_or(Err(error), |user| Ok(recovered(user)))
}

fn recovered(user: PairedUser) -> PairingInfo {
    let mut authenticators = Vec::new();
    fail_passcodes(&mut authenticators, "was lost with the answer");
    PairingInfo {
        device: user.device.id,
        environment: user.environment.id,
        user: UserFacts { id: user.id, username: user.username, name: user.name },
        authenticators,
    }
}
