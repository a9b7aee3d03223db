//! Holds requests to the keys of their senders (RFC 9449): verifies `DPoP` proofs, and spends them with what they are for.

use countersign_domain::{
    application::Application,
    dpop::{DpopError, DpopProof, Expected},
    environment::Environment,
    id::Id,
};
use countersign_protocol::jwk::Thumbprint;
use countersign_store::{Tx, spent_jwt};

use super::{App, Fault, Realm, fault::faults};

/// A request that brings a proof.
#[derive(Clone, Copy, Debug)]
pub struct ProvenRequest<'a> {
    /// What the `DPoP` header says.
    pub proof: &'a str,
    /// The method.
    pub method: &'a str,
    /// The address.
    pub address: &'a str,
    /// The access token that is sent with it, if one is.
    pub access_token: Option<&'a str>,
}

/// Why a request is not held to a key.
#[derive(Debug, thiserror::Error)]
pub enum DpopRefusal {
    /// The proof breaks a rule.
    #[error(transparent)]
    Proof(#[from] DpopError),
    /// The proof has counted.
    #[error("the DPoP proof: jti must not have been used before")]
    Used,
    /// The proof must repeat a nonce of ours (RFC 9449, section 8): this one.
    #[error("the DPoP proof: nonce must be the one of the DPoP-Nonce header")]
    Nonce(String),
    /// There is no proof, and the application must bring one.
    #[error("a DPoP proof is required for this application")]
    Required,
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(DpopRefusal);

impl App {
    /// Verifies the proof of a request. It counts with what is done with it: see `bind` and `spend`.
    pub fn verify_dpop(
        &self,
        realm: &Realm,
        request: ProvenRequest<'_>,
    ) -> Result<DpopProof, DpopRefusal> {
        let ProvenRequest { proof, method, address, access_token } = request;
        let now = self.now();
        let proof = DpopProof::verify(proof, Expected { method, address, access_token, now })?;
        let is_ours = |nonce: &String| realm.check_nonce(nonce, now).is_ok();
        // Without it, whoever holds the key for a moment could make proofs for later.
        if self.settings.dpop_nonce_required && !proof.nonce.as_ref().is_some_and(is_ours) {
            return Err(DpopRefusal::Nonce(realm.nonce(now, self.entropy.as_ref())));
        }
        Ok(proof)
    }
}

/// The key that the tokens of a request are bound to, if any. The proof is spent.
pub(super) async fn bind(
    tx: &mut Tx<'_>,
    application: &Application,
    proof: Option<&DpopProof>,
) -> Result<Option<Thumbprint>, DpopRefusal> {
    if proof.is_none() && application.oidc.dpop_required {
        return Err(DpopRefusal::Required);
    }
    spend(tx, application.environment, proof).await?;
    Ok(proof.map(|proof| proof.key))
}

/// Lets a proof count, if there is one, and only once.
pub(super) async fn spend(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    proof: Option<&DpopProof>,
) -> Result<(), DpopRefusal> {
    match proof {
        Some(proof) if !spent_jwt::spend(tx, environment, &proof.spent).await? => {
            Err(DpopRefusal::Used)
        }
        Some(_) | None => Ok(()),
    }
}
