//! The one place that signs, sends and remembers; shared by all objects of an installation.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use countersign_protocol::device_api::{
    DeviceRequest, NONCE_PATH, NonceResponse, ProofBody, ServerTime, TimeResponse,
};
use countersign_protocol::jwk::{JwkSet, Thumbprint};
use countersign_protocol::platform_token::TokenError;
use countersign_protocol::proof::{Jti, Proof, Unsigned};
use countersign_protocol::secret::Secret;
use countersign_protocol::time::Timestamp;
use serde::de::DeserializeOwned;

use crate::answer::{self, Failure};
use crate::config::Settings;
use crate::error::Error;
use crate::keys::{KeySetError, PlatformKeys};

use crate::platform::{Method, Platform, PublicKeys, Request, Response, TransportError};
use crate::push_test::PushTests;
use crate::remote_notification::ShownNotifications;
use crate::state::{SignedProof, State};

/// Name of the blob in which the SDK keeps its state.
pub const STATE_BLOB: &str = "countersign";

/// How often a request is sent in all when no answer comes.
const MAX_TRIES: u32 = 3;

/// One copy of the app on this phone.
pub struct Installation {
    pub settings: Settings,
    pub platform: Platform,
    pub keys: PlatformKeys,
    pub shown: ShownNotifications,
    pub push_tests: PushTests,
    state: Mutex<State>,
    is_pairing: AtomicBool,
}

impl Installation {
    pub async fn open(settings: Settings, platform: Platform) -> Result<Self, Error> {
        let installation = platform.key_store.ensure().await?.possession.thumbprint();
        let fresh = State::new(&settings.issuer, &settings.application, installation);
        let state = match platform.storage.load(STATE_BLOB)? {
            Some(blob) => State::from_blob(blob.expose())?.restored(&fresh)?,
            None => fresh,
        };
        Ok(Self {
            keys: PlatformKeys::new(&settings.issuer),
            settings,
            platform,
            shown: ShownNotifications::default(),
            push_tests: PushTests::default(),
            state: Mutex::new(state),
            is_pairing: AtomicBool::new(false),
        })
    }

    /// The present by the platform's clock, as far as it is known.
    pub fn now(&self) -> Timestamp {
        let offset = self.read(|state| state.clock_offset_seconds);
        self.platform.clock.now().plus_seconds(offset)
    }

    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&lock(&self.state))
    }

    /// Changes the state and stores it. When it cannot be stored, nothing has changed.
    pub fn update(&self, change: impl FnOnce(&mut State)) -> Result<(), Error> {
        let mut state = lock(&self.state);
        let mut changed = state.clone();
        change(&mut changed);
        if changed != *state {
            self.platform.storage.save(STATE_BLOB, changed.to_blob()?.expose())?;
            *state = changed;
        }
        Ok(())
    }

    /// Forgets keys and state, and becomes another installation.
    pub async fn reset(&self) -> Result<(), Error> {
        self.platform.storage.delete(STATE_BLOB)?;
        self.platform.key_store.wipe().await?;
        let installation = self.thumbprint().await?;
        self.shown.clear();
        *lock(&self.state) =
            State::new(&self.settings.issuer, &self.settings.application, installation);
        Ok(())
    }

    pub async fn public_keys(&self) -> Result<PublicKeys, Error> {
        Ok(self.platform.key_store.ensure().await?)
    }

    /// The name of the installation: the possession key's thumbprint.
    pub async fn thumbprint(&self) -> Result<Thumbprint, Error> {
        Ok(self.public_keys().await?.possession.thumbprint())
    }

    /// The name of the user-verification key.
    pub async fn verification_thumbprint(&self) -> Result<Thumbprint, Error> {
        let key = self.public_keys().await?.verification.ok_or(Error::NoUserVerification)?;
        Ok(key.thumbprint())
    }

    /// Whether there is a user-verification key.
    pub async fn verifies_people(&self) -> Result<bool, Error> {
        Ok(self.public_keys().await?.verification.is_some())
    }

    /// Lets one pairing run at a time.
    pub fn begin_pairing(&self) -> Result<PairingTurn<'_>, Error> {
        if self.is_pairing.swap(true, Ordering::AcqRel) {
            return Err(Error::PairingAlreadyRunning);
        }
        Ok(PairingTurn(&self.is_pairing))
    }

    /// Signs `body` for `audience` at the corrected time.
    pub async fn sign<P: Proof>(&self, audience: &str, body: P) -> Result<SignedProof, Error> {
        let unsigned = self.unsigned(self.thumbprint().await?, audience, body);
        let signature = self.platform.key_store.sign(unsigned.signing_input().as_bytes()).await?;
        Ok(signed(&unsigned, &signature))
    }

    /// Signs `body` for `audience` with the user-verification key, which asks the person for `reason`.
    pub async fn sign_verified<P: Proof>(
        &self,
        audience: &str,
        body: P,
        reason: &str,
    ) -> Result<SignedProof, Error> {
        let unsigned = self.unsigned(self.verification_thumbprint().await?, audience, body);
        let input = unsigned.signing_input().as_bytes();
        let signature = self.platform.key_store.sign_verified(input, reason).await?;
        // A person who takes longer than the proof lives would have to be asked again.
        if unsigned.expires_at() <= self.now() {
            return Err(Error::UserNotVerified);
        }
        Ok(signed(&unsigned, &signature))
    }

    fn unsigned<P: Proof>(&self, kid: Thumbprint, audience: &str, body: P) -> Unsigned {
        let jti = Jti::new(self.platform.entropy.as_ref());
        Unsigned::new(kid, audience, body, self.now(), jti)
    }

    /// Signs `body` for its address.
    pub async fn sign_request<R: DeviceRequest>(&self, body: R) -> Result<SignedProof, Error> {
        self.sign(&R::address(&self.settings.device_base), body).await
    }

    /// States `body` to the platform at its address.
    pub async fn call<R: DeviceRequest + Clone>(&self, body: R) -> Result<R::Response, Error> {
        self.state_to(&R::address(&self.settings.device_base), body, 0).await
    }

    /// States `body` to the platform at `address`, once more with the right time when the clock was wrong. The platform
    /// may hold its answer back for `wait_seconds`.
    pub async fn state_to<P: Proof + Clone, T: DeserializeOwned>(
        &self,
        address: &str,
        body: P,
        wait_seconds: u8,
    ) -> Result<T, Error> {
        let proof = self.sign(address, body.clone()).await?;
        match self.post(address, &proof, wait_seconds).await {
            Ok(answer) => Ok(answer),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Skew(server_time)) => {
                self.correct_clock(&server_time, (self.thumbprint().await?, proof.jti)).await?;
                let proof = self.sign(address, body).await?;
                self.post(address, &proof, wait_seconds).await.map_err(Failure::into_error)
            }
        }
    }

    /// Sends a proof to its address and reads the answer.
    pub async fn deliver<R: DeviceRequest>(
        &self,
        proof: &SignedProof,
    ) -> Result<R::Response, Failure> {
        self.post(&R::address(&self.settings.device_base), proof, 0).await
    }

    /// Sends a proof and reads the answer. Sending the same proof again has no second effect, so
    /// lost answers are asked for again, as long as it lives.
    pub async fn post<T: DeserializeOwned>(
        &self,
        address: &str,
        proof: &SignedProof,
        wait_seconds: u8,
    ) -> Result<T, Failure> {
        let body = ProofBody { proof: proof.jws.expose().clone() };
        let request = Request {
            method: Method::Post,
            url: address.to_owned(),
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            body: serde_json::to_vec(&body).map_err(|error| Error::State(error.to_string()))?,
            wait_seconds,
        };
        answer::read(&self.send(request, || self.now() < proof.expires_at).await?)
    }

    pub async fn nonce(&self) -> Result<String, Error> {
        let url = format!("{}{NONCE_PATH}", self.settings.device_base);
        Ok(self.fetch::<NonceResponse>(url).await?.nonce)
    }

    pub async fn fetch<T: DeserializeOwned>(&self, url: String) -> Result<T, Error> {
        answer::read(&self.send(get(url), || true).await?).map_err(Failure::into_error)
    }

    /// Sends `request`, and again while no answer comes and `is_good` holds.
    async fn send(
        &self,
        request: Request,
        is_good: impl Fn() -> bool,
    ) -> Result<Response, TransportError> {
        let mut tries = 1;
        loop {
            match self.platform.transport.send(request.clone()).await {
                Err(TransportError::NoAnswer(_)) if tries < MAX_TRIES && is_good() => tries += 1,
                result => return result,
            }
        }
    }

    /// Asks for the platform's time unless the phone's clock is known to be right. Best effort:
    /// without an answer the present stays what it was taken to be.
    pub async fn check_clock(&self) {
        let own = self.platform.clock.now();
        if !self.read(|state| state.is_clock_right(own)) {
            let _ = self.ask_time().await;
        }
    }

    /// Asks the platform what time it is, and believes it.
    pub async fn ask_time(&self) -> Result<(), Error> {
        let kid = self.thumbprint().await?;
        let jti = Jti::new(self.platform.entropy.as_ref());
        let request = get(ServerTime::address(&self.settings.device_base, (kid, jti)));
        // Once only: somebody waits to sign in.
        let response = self.platform.transport.send(request).await?;
        let answer: TimeResponse = answer::read(&response).map_err(Failure::into_error)?;
        self.correct_clock(&answer.server_time, (kid, jti)).await
    }

    /// Learns the platform's time from its answer, just received, to the request `jti` of the key `kid`.
    pub async fn correct_clock(
        &self,
        server_time: &str,
        (kid, jti): (Thumbprint, Jti),
    ) -> Result<(), Error> {
        // Before the keys are fetched, which takes time.
        let own = self.platform.clock.now();
        let theirs = self
            .with_platform_keys(|keys| {
                ServerTime::verify(server_time, keys, &self.settings.issuer, (kid, jti))
            })
            .await?;
        self.update(|state| state.learn_time(theirs, own))
    }

    /// Runs `verify` with the platform's keys, and again with newer ones when it meets a key it
    /// does not know.
    pub async fn with_platform_keys<T, E>(
        &self,
        verify: impl Fn(&JwkSet) -> Result<T, E>,
    ) -> Result<T, Error>
    where
        E: KeySetError + Into<Error>,
    {
        let keys = self.keys.known(self).await?;
        match verify(&keys) {
            Err(error) if matches!(error.token(), Some(TokenError::UnknownKey(_))) => {
                match self.keys.newer(self).await? {
                    Some(keys) => verify(&keys).map_err(Into::into),
                    None => Err(error.into()),
                }
            }
            result => result.map_err(Into::into),
        }
    }
}

impl fmt::Debug for Installation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Installation")
            .field("issuer", &self.settings.issuer)
            .finish_non_exhaustive()
    }
}

const fn get(url: String) -> Request {
    Request { method: Method::Get, url, headers: Vec::new(), body: Vec::new(), wait_seconds: 0 }
}

fn signed(unsigned: &Unsigned, signature: &[u8]) -> SignedProof {
    SignedProof {
        jws: Secret::new(unsigned.signed(signature)),
        jti: unsigned.jti(),
        expires_at: unsigned.expires_at(),
    }
}

/// The right to pair, given back when dropped.
pub struct PairingTurn<'a>(&'a AtomicBool);

impl Drop for PairingTurn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A panic elsewhere leaves the value whole: every change is one assignment.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
