//! What an installation remembers, and the form in which it is stored.

use countersign_protocol::device_api::PairedUser;
use countersign_protocol::jwk::Thumbprint;
use countersign_protocol::otp::{self, Passcode};
use countersign_protocol::pairing::{Reference, UserFacts};
use countersign_protocol::pairing_key::Key;
use countersign_protocol::proof::Jti;
use countersign_protocol::secret::{self, Secret};
use countersign_protocol::time::{Timestamp, unix_seconds};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::passcode::OneTimePasscode;
use crate::push_address::PushState;

/// A difference up to this is left alone: telling the time takes time itself.
const TOLERATED_CLOCK_OFFSET_SECONDS: i64 = 5;

/// A clock that was right is looked at again after this long.
const MAX_CLOCK_AGE_SECONDS: i64 = 24 * 60 * 60;

/// Everything that survives a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub issuer: String,
    pub application: String,
    /// The possession key that all else belongs to.
    pub installation: Thumbprint,
    /// What to add to the phone's clock in proofs. Never in passcodes.
    #[serde(default)]
    pub clock_offset_seconds: i64,
    /// When that was learnt, by the phone's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_learnt_at: Option<Timestamp>,
    #[serde(default)]
    pub pairings: Vec<Pairing>,
    /// A pairing that was approved and of which the answer is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingPairing>,
    #[serde(default, skip_serializing_if = "PushState::is_default")]
    pub push: PushState,
}

/// One user that this installation vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    pub user: UserFacts,
    pub environment: Reference,
    pub device: Reference,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<PasscodeSeed>,
}

/// What one user's passcodes are made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasscodeSeed {
    /// 20 bytes, base64url.
    #[serde(serialize_with = "secret::reveal")]
    pub secret: Secret<String>,
    pub step_seconds: i64,
}

/// What a person wants to be paired by, and the proof that says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingPairing {
    #[serde(flatten)]
    pub ground: Ground,
    pub proof: SignedProof,
}

/// What a pairing rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
    /// An offer that the user approved.
    Offer(Offer),
    /// A key that the user typed or scanned.
    Key(Key),
}

/// An offer of the platform to pair, as far as it is needed to answer it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Id of the user.
    pub user: String,
    #[serde(serialize_with = "secret::reveal")]
    pub ticket: Secret<String>,
    pub step_seconds: i64,
    #[serde(with = "unix_seconds")]
    pub expires_at: Timestamp,
}

/// A proof ready to be sent, again if need be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedProof {
    #[serde(serialize_with = "secret::reveal")]
    pub jws: Secret<String>,
    pub jti: Jti,
    #[serde(with = "unix_seconds")]
    pub expires_at: Timestamp,
}

/// The stored form. A change of it is a new variant, and the old ones stay readable.
#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum Stored {
    #[serde(rename = "1")]
    V1(State),
}

impl State {
    pub fn new(issuer: &str, application: &str, installation: Thumbprint) -> Self {
        Self {
            issuer: issuer.to_owned(),
            application: application.to_owned(),
            installation,
            clock_offset_seconds: 0,
            clock_learnt_at: None,
            pairings: Vec::new(),
            pending: None,
            push: PushState::default(),
        }
    }

    pub fn from_blob(blob: &[u8]) -> Result<Self, Error> {
        let Stored::V1(state) =
            serde_json::from_slice(blob).map_err(|error| Error::State(error.to_string()))?;
        Ok(state)
    }

    pub fn to_blob(&self) -> Result<Secret<Vec<u8>>, Error> {
        serde_json::to_vec(&Stored::V1(self.clone()))
            .map(Secret::new)
            .map_err(|error| Error::State(error.to_string()))
    }

    /// What the blob means for the installation that has these keys and this configuration.
    ///
    /// Keys and state can part: a backup restores the state on another phone, a re-installation
    /// finds the old keys. State without its keys proves nothing and is dropped.
    pub fn restored(self, fresh: &Self) -> Result<Self, Error> {
        if (&self.issuer, &self.application) != (&fresh.issuer, &fresh.application) {
            return Err(Error::OtherEnvironment);
        }
        if self.installation == fresh.installation { Ok(self) } else { Ok(fresh.clone()) }
    }

    /// Learns that the platform's clock showed `theirs` when the phone's showed `own`.
    pub fn learn_time(&mut self, theirs: Timestamp, own: Timestamp) {
        let offset = theirs.seconds_since(own);
        let is_right =
            (-TOLERATED_CLOCK_OFFSET_SECONDS..=TOLERATED_CLOCK_OFFSET_SECONDS).contains(&offset);
        self.clock_offset_seconds = if is_right { 0 } else { offset };
        self.clock_learnt_at = Some(own);
    }

    /// Whether the phone's clock, which shows `own`, was right within the last day.
    ///
    /// A clock that was wrong may be set right at any moment, and then its offset is what is wrong:
    /// so it never counts as known.
    pub fn is_clock_right(&self, own: Timestamp) -> bool {
        // A clock that was set back makes the age negative.
        let is_recent = |at| (0..MAX_CLOCK_AGE_SECONDS).contains(&own.seconds_since(at));
        self.clock_offset_seconds == 0 && self.clock_learnt_at.is_some_and(is_recent)
    }

    /// Whether this installation vouches for anybody.
    pub const fn is_paired(&self) -> bool {
        !self.pairings.is_empty()
    }

    /// Remembers an approval that is about to be sent. It carries the push address, but only to the device that it makes.
    pub fn begin_pairing(&mut self, pending: PendingPairing) {
        self.push.is_pending &= self.is_paired();
        self.pending = Some(pending);
    }

    pub fn add_pairing(&mut self, pairing: Pairing) {
        self.pairings.retain(|other| other.user.id != pairing.user.id);
        self.pairings.push(pairing);
    }

    /// Removes `user`, or everybody.
    pub fn remove_pairing(&mut self, user: Option<&str>) {
        self.pairings.retain(|pairing| user.is_some_and(|user| pairing.user.id != user));
    }

    /// Makes the pairings those that the platform knows. What only the phone knows, the seeds, is
    /// kept as long as user and device are the same.
    pub fn follow(&mut self, users: &[PairedUser]) {
        let seed_of = |user: &PairedUser| {
            let same = |pairing: &&Pairing| {
                (&pairing.user.id, &pairing.device.id) == (&user.id, &user.device.id)
            };
            self.pairings.iter().find(same).and_then(|pairing| pairing.seed.clone())
        };
        self.pairings = users
            .iter()
            .map(|user| Pairing {
                user: UserFacts {
                    id: user.id.clone(),
                    username: user.username.clone(),
                    name: user.name.clone(),
                },
                environment: user.environment.clone(),
                device: Reference { id: user.device.id.clone() },
                seed: seed_of(user),
            })
            .collect();
    }

    /// The passcode of `user`, or of the only user, at `now` by the phone's own clock.
    pub fn passcode(&self, user: Option<&str>, now: Timestamp) -> Result<OneTimePasscode, Error> {
        let mut candidates =
            self.pairings.iter().filter(|pairing| user.is_none_or(|user| pairing.user.id == user));
        let pairing = candidates.next().ok_or(Error::NotPaired { correlation_id: None })?;
        if candidates.next().is_some() {
            return Err(Error::AmbiguousUser);
        }
        let seed = pairing.seed.as_ref().ok_or(Error::NoPasscodes)?;
        let secret = Secret::new(
            countersign_protocol::encoding::decode(seed.secret.expose())
                .map_err(|error| Error::State(error.to_string()))?,
        );
        let passcode = otp::generate(secret.expose(), seed.step_seconds, now);
        Ok(window(passcode, seed.step_seconds, now))
    }
}

fn window(passcode: Passcode, step_seconds: i64, now: Timestamp) -> OneTimePasscode {
    let from = otp::step_at(step_seconds, now).saturating_mul(step_seconds);
    let valid_from = Timestamp::from_unix_seconds(from);
    let valid_until = valid_from.plus_seconds(step_seconds);
    // Rounded up: with half a second left the code is still good.
    let seconds_remaining = -now.seconds_since(valid_until);
    OneTimePasscode { passcode, valid_from, valid_until, step_seconds, seconds_remaining }
}

#[cfg(test)]
mod tests;
