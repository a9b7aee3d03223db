//! A person's answer: it counts once, and may be sent again as long as it is not known to have arrived.

use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign_protocol::jwk::Thumbprint;
use serde::de::DeserializeOwned;

use crate::answer::Failure;
use crate::error::Error;
use crate::installation::{Installation, lock};
use crate::state::SignedProof;

/// What a person says.
pub trait Reply: Clone + PartialEq + Send + Sync {
    /// Signs it for `address`. If the person must be verified for it, that is asked for `reason`.
    fn sign(
        &self,
        installation: &Installation,
        address: &str,
        reason: &str,
    ) -> impl Future<Output = Result<SignedProof, Error>> + Send;

    /// Name of the key that signs it.
    fn signer(
        &self,
        installation: &Installation,
    ) -> impl Future<Output = Result<Thumbprint, Error>> + Send;
}

/// Where one question is answered.
pub struct Replies<R> {
    /// Whether it was answered for good, or is being answered.
    is_taken: AtomicBool,
    sent: Mutex<Option<(R, SignedProof)>>,
}

impl<R> Default for Replies<R> {
    fn default() -> Self {
        Self { is_taken: AtomicBool::new(false), sent: Mutex::new(None) }
    }
}

impl<R: Reply> Replies<R> {
    /// Lets one answer be given at a time; `None` when another one is, or was.
    pub fn begin(&self) -> Option<Turn<'_>> {
        let is_taken = &self.is_taken;
        let is_free = !is_taken.swap(true, Ordering::AcqRel);
        is_free.then(|| Turn { is_taken, is_final: false })
    }

    /// Sends the proof that may have been sent before, or a new one when that is out of date or says something else.
    pub async fn send<T: DeserializeOwned>(
        &self,
        installation: &Installation,
        (address, reason): (&str, &str),
        reply: &R,
    ) -> Result<T, Error> {
        let proof = match self.sent_before(reply, installation) {
            Some(proof) => proof,
            None => self.sign(installation, (address, reason), reply).await?,
        };
        match installation.post(address, &proof, 0).await {
            Err(Failure::Skew(server_time)) => {
                let kid = reply.signer(installation).await?;
                installation.correct_clock(&server_time, (kid, proof.jti)).await?;
                let proof = self.sign(installation, (address, reason), reply).await?;
                installation.post(address, &proof, 0).await.map_err(Failure::into_error)
            }
            answer => answer.map_err(Failure::into_error),
        }
    }

    fn sent_before(&self, reply: &R, installation: &Installation) -> Option<SignedProof> {
        let sent = lock(&self.sent);
        let (said, proof) = sent.as_ref()?;
        let is_good = said == reply && installation.now() < proof.expires_at;
        is_good.then(|| proof.clone())
    }

    /// Signs an answer and remembers it before anybody can have seen it.
    async fn sign(
        &self,
        installation: &Installation,
        (address, reason): (&str, &str),
        reply: &R,
    ) -> Result<SignedProof, Error> {
        let proof = reply.sign(installation, address, reason).await?;
        *lock(&self.sent) = Some((reply.clone(), proof.clone()));
        Ok(proof)
    }
}

/// The right to answer, given back when dropped, unless the answer was final.
pub struct Turn<'a> {
    is_taken: &'a AtomicBool,
    is_final: bool,
}

impl Turn<'_> {
    /// No other answer can count any more.
    pub fn keep(mut self) {
        self.is_final = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.is_taken.store(self.is_final, Ordering::Release);
    }
}
