//! Verifies what an application has signed, with what is registered for it: its secret, its keys, or the address of these.

use countersign_domain::{
    application::{Application, ClientKeys},
    client_jwt::{Keys, Refusal},
    client_key::{ClientKeySet, KeySetError},
};

use super::{App, Fault, application_secret::Secrets, fault::faults};
use crate::client_keys::KeysUnavailable;

/// What an application signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignedWith {
    /// Its secret.
    Secret,
    /// A key of its own.
    Key,
    /// Whichever the statement says. A secret is no key of a set, so one cannot be taken for the other.
    Either,
}

/// Why a statement of an application does not count.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignedError {
    /// It breaks a rule.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The keys are elsewhere, and cannot be had.
    #[error(transparent)]
    Unavailable(#[from] KeysUnavailable),
    /// The keys that are registered cannot be read.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(SignedError);

impl App {
    /// Runs a rule of `client_jwt` with what is registered for the application. A key that is not found is looked for a
    /// second time, where the client may have published a newer set.
    pub(super) async fn verify_signed<T: Send>(
        &self,
        application: &Application,
        with: SignedWith,
        verify: impl Fn(Keys<'_>) -> Result<T, Refusal> + Send + Sync,
    ) -> Result<T, SignedError> {
        let secrets = match with {
            SignedWith::Secret | SignedWith::Either => {
                Secrets::open(&self.vault, application, self.now())?
            }
            SignedWith::Key => Secrets::default(),
        };
        let keys = application.oidc.keys.as_ref().filter(|_| with != SignedWith::Secret);
        // What the previous secret does not verify either is refused as by the present one.
        let verify = |set: Option<&ClientKeySet>| {
            let decided = verify(Keys { secret: secrets.current.as_ref(), set });
            match (decided, &secrets.previous) {
                (Err(refusal), Some(previous)) => {
                    verify(Keys { secret: Some(previous), set }).map_err(|_| refusal)
                }
                (decided, _) => decided,
            }
        };
        let with_set = |set: &ClientKeySet| verify(Some(set));
        match keys {
            None => Ok(verify(None)?),
            Some(ClientKeys::Inline(text)) => Ok(with_set(&ClientKeySet::parse(text.as_bytes())?)?),
            Some(ClientKeys::Url(address)) => {
                let now = self.now();
                let set = self.client_keys.current(address, now).await?;
                match with_set(&set) {
                    Err(refusal) if refusal.may_be_of_newer_key() => {
                        Ok(with_set(&*self.client_keys.newer(address, now).await?)?)
                    }
                    decided => Ok(decided?),
                }
            }
        }
    }
}
