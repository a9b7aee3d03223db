//! The one place that signs, sends and remembers; shared by all objects of an installation.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use countersign_protocol::device_api::{
    DeviceRequest, NONCE_PATH, NonceResponse, ProofBody, ServerTime, TimeResponse,
};
use countersign_protocol::jwk::JwkSet;
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
        let installation = self.public_keys().await?.possession.thumbprint();
        *lock(&self.state) =
            State::new(&self.settings.issuer, &self.settings.application, installation);
        Ok(())
    }

    pub async fn public_keys(&self) -> Result<PublicKeys, Error> {
        Ok(self.platform.key_store.ensure().await?)
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
        let kid = self.public_keys().await?.possession.thumbprint();
        let jti = Jti::new(self.platform.entropy.as_ref());
        let unsigned = Unsigned::new(kid, audience, body, self.now(), jti);
        let signature = self.platform.key_store.sign(unsigned.signing_input().as_bytes()).await?;
        let jws = Secret::new(unsigned.signed(&signature));
        Ok(SignedProof { jws, jti, expires_at: unsigned.expires_at() })
    }

    /// Signs `body` for its address.
    pub async fn sign_request<R: DeviceRequest>(&self, body: R) -> Result<SignedProof, Error> {
        self.sign(&R::address(&self.settings.device_base), body).await
    }

    /// States `body` to the platform, once more with the right time when the clock was wrong.
    pub async fn call<R: DeviceRequest + Clone>(&self, body: R) -> Result<R::Response, Error> {
        let proof = self.sign_request(body.clone()).await?;
        match self.deliver::<R>(&proof).await {
            Ok(answer) => Ok(answer),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Skew(server_time)) => {
                self.correct_clock(&server_time, proof.jti).await?;
                let proof = self.sign_request(body).await?;
                self.deliver::<R>(&proof).await.map_err(Failure::into_error)
            }
        }
    }

    /// Sends a proof and reads the answer. Sending the same proof again has no second effect, so
    /// lost answers are asked for again.
    pub async fn deliver<R: DeviceRequest>(
        &self,
        proof: &SignedProof,
    ) -> Result<R::Response, Failure> {
        let body = ProofBody { proof: proof.jws.expose().clone() };
        let request = Request {
            method: Method::Post,
            url: R::address(&self.settings.device_base),
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            body: serde_json::to_vec(&body).map_err(|error| Error::State(error.to_string()))?,
        };
        answer::read(&self.send(request).await?)
    }

    pub async fn nonce(&self) -> Result<String, Error> {
        let url = format!("{}{NONCE_PATH}", self.settings.device_base);
        Ok(self.fetch::<NonceResponse>(url).await?.nonce)
    }

    pub async fn fetch<T: DeserializeOwned>(&self, url: String) -> Result<T, Error> {
        answer::read(&self.send(get(url)).await?).map_err(Failure::into_error)
    }

    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let mut tries = 1;
        loop {
            match self.platform.transport.send(request.clone()).await {
                Err(TransportError::NoAnswer(_)) if tries < MAX_TRIES => tries += 1,
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

    async fn ask_time(&self) -> Result<(), Error> {
        let kid = self.public_keys().await?.possession.thumbprint();
        let jti = Jti::new(self.platform.entropy.as_ref());
        let request = get(ServerTime::address(&self.settings.device_base, (kid, jti)));
        // Once only: somebody waits to sign in.
        let response = self.platform.transport.send(request).await?;
        let answer: TimeResponse = answer::read(&response).map_err(Failure::into_error)?;
        self.correct_clock(&answer.server_time, jti).await
    }

    /// Learns the platform's time from its answer, just received, to the request `jti`.
    pub async fn correct_clock(&self, server_time: &str, jti: Jti) -> Result<(), Error> {
        // Before the keys are fetched, which takes time.
        let own = self.platform.clock.now();
        let aud = self.public_keys().await?.possession.thumbprint();
        let theirs = self
            .with_platform_keys(|keys| {
                ServerTime::verify(server_time, keys, &self.settings.issuer, (aud, jti))
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
    Request { method: Method::Get, url, headers: Vec::new(), body: Vec::new() }
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
