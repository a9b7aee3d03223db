//! The SDK's front: what an app calls.

use std::sync::{Arc, Mutex};

use countersign_protocol::device_api::{InfoRequest, PairedUser, UnpairingRequest};
use countersign_protocol::id_token::{self, Expected, IdTokenClaims};
use countersign_protocol::mobile_payload::{Confirmation, MobilePayload};
use countersign_protocol::pairing::{PairingClaim, UserFacts};

use crate::config::{Config, Settings};
use crate::error::Error;
use crate::installation::{Installation, lock};
use crate::pairing::{self, PairingInfo, PairingObject, PairingOutcome};
use crate::passcode::OneTimePasscode;
use crate::platform::Platform;
use crate::push_address;
use crate::state::Offer;

/// How long ago an ID token may have been issued to be processed.
const MAX_ID_TOKEN_AGE_SECONDS: i64 = 600;

/// One installation of an app. Clones share everything.
#[derive(Debug, Clone)]
pub struct Countersign {
    pub(crate) installation: Arc<Installation>,
    outcome: Arc<Mutex<PairingOutcome>>,
}

impl Countersign {
    /// Checks `config`, makes the keys when there are none and loads what was stored. Needs no
    /// network.
    pub async fn open(config: Config, platform: Platform) -> Result<Self, Error> {
        let installation = Installation::open(Settings::new(config)?, platform).await?;
        Ok(Self { installation: Arc::new(installation), outcome: Arc::default() })
    }

    /// The mobile payload to put into the next authorize request, as `mobilePayload`. Good for two
    /// minutes, once.
    ///
    /// The first one asks the platform for its time, and so does one a day, or each while the
    /// phone's clock is wrong. Without an answer it is made all the same, when the transport has
    /// given up.
    pub async fn generate_mobile_payload(&self) -> Result<String, Error> {
        self.installation.check_clock().await;
        push_address::register_quietly(&self.installation).await;
        let settings = &self.installation.settings;
        let payload = MobilePayload {
            cnf: Confirmation { jwk: self.installation.public_keys().await?.possession },
            app: settings.app.clone(),
            dev: settings.device.clone(),
            push: self.installation.read(|state| state.push.address()),
        };
        let proof = self.installation.sign(&settings.issuer, payload).await?;
        Ok(proof.jws.expose().clone())
    }

    /// Checks the ID token of a sign-in that carried a mobile payload, and gives the offer to pair
    /// that it may have. Otherwise [`Self::pairing_outcome`] says why there is none.
    pub async fn process_id_token(&self, id_token: &str) -> Result<Option<PairingObject>, Error> {
        let claims = self.verify_id_token(id_token).await?;
        let (outcome, offer) = match claims.countersign_pairing {
            None => (PairingOutcome::NotRequested, None),
            Some(PairingClaim::AlreadyPaired) => (PairingOutcome::AlreadyPaired, None),
            Some(PairingClaim::LimitReached) => (PairingOutcome::LimitReached, None),
            Some(PairingClaim::Disabled) => (PairingOutcome::Disabled, None),
            Some(PairingClaim::Compromised) => (PairingOutcome::Compromised, None),
            Some(PairingClaim::Offered { ticket, jkt, expires_at, step_seconds }) => {
                if jkt != self.installation.thumbprint().await? {
                    return Err(Error::OtherInstallation);
                }
                if expires_at <= self.installation.now() {
                    return Err(Error::OfferExpired);
                }
                let offer = Offer { user: claims.sub, ticket, step_seconds, expires_at };
                (PairingOutcome::Offered, Some(offer))
            }
        };
        *lock(&self.outcome) = outcome;
        Ok(offer.map(|offer| PairingObject::new(Arc::clone(&self.installation), offer)))
    }

    async fn verify_id_token(&self, id_token: &str) -> Result<IdTokenClaims, Error> {
        let settings = &self.installation.settings;
        let expected = Expected {
            issuer: &settings.issuer,
            audience: &settings.application,
            nonce: None,
            max_age_seconds: Some(MAX_ID_TOKEN_AGE_SECONDS),
        };
        self.installation
            .with_platform_keys(|keys| {
                id_token::verify(id_token, keys, &expected, self.installation.now())
            })
            .await
    }

    /// What the last processed ID token says of the mobile payload.
    #[must_use]
    pub fn pairing_outcome(&self) -> PairingOutcome {
        *lock(&self.outcome)
    }

    /// Goes on with a pairing that was approved and whose answer was lost, across restarts of the
    /// app. `None` when there is none; so call it at every start.
    pub async fn resume_pairing(&self) -> Result<Option<PairingInfo>, Error> {
        pairing::resume(&self.installation).await
    }

    /// The users of this installation as the platform knows them; empty when it knows none. The
    /// stored pairings follow.
    pub async fn info(&self) -> Result<Vec<PairedUser>, Error> {
        push_address::register_quietly(&self.installation).await;
        refresh(&self.installation).await
    }

    /// The users of this installation as of the last answer of the platform. Needs no network.
    #[must_use]
    pub fn paired_users(&self) -> Vec<UserFacts> {
        self.installation
            .read(|state| state.pairings.iter().map(|pairing| pairing.user.clone()).collect())
    }

    /// Unpairs `user`, or everybody. The platform is told first, so when it cannot be, nothing has
    /// changed.
    pub async fn unpair(&self, user: Option<&str>) -> Result<(), Error> {
        let nonce = self.installation.nonce().await?;
        let request = UnpairingRequest { nonce, user: user.map(str::to_owned) };
        match self.installation.call(request).await {
            // It does not know this installation: that is what was asked for.
            Ok(_) | Err(Error::NotPaired { .. }) => {
                self.installation.update(|state| state.remove_pairing(user))
            }
            Err(error) => Err(error),
        }
    }

    /// The present passcode of the only paired user. Needs no network.
    pub fn one_time_passcode(&self) -> Result<OneTimePasscode, Error> {
        let now = self.installation.platform.clock.now();
        self.installation.read(|state| state.passcode(None, now))
    }

    /// The present passcode of `user`. Needs no network.
    pub fn one_time_passcode_for(&self, user: &str) -> Result<OneTimePasscode, Error> {
        let now = self.installation.platform.clock.now();
        self.installation.read(|state| state.passcode(Some(user), now))
    }

    /// Forgets everything on this side only: the platform keeps its devices. For development and
    /// for tests; users want [`Self::unpair`].
    pub async fn remove_local_data(&self) -> Result<(), Error> {
        let _turn = self.installation.begin_pairing()?;
        *lock(&self.outcome) = PairingOutcome::NotRequested;
        self.installation.reset().await
    }
}

/// Asks the platform for the users of this installation and follows its answer.
pub(crate) async fn refresh(installation: &Installation) -> Result<Vec<PairedUser>, Error> {
    let users = match installation.call(InfoRequest::default()).await {
        Ok(answer) => answer.users,
        Err(Error::NotPaired { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    installation.update(|state| state.follow(&users))?;
    Ok(users)
}
