//! A question of the platform, and the person's answer to it.

use std::fmt;
use std::sync::Arc;

use countersign_protocol::challenge::{
    Approval, ChallengeRequest, ChallengeResponse, ChallengeStatus, Origin, Refusal, RefusalReason,
    ShownHash, Statement,
};
use countersign_protocol::jwk::Thumbprint;
use countersign_protocol::pairing::UserFacts;
use countersign_protocol::proof::Proof;

use crate::error::Error;
use crate::installation::Installation;
use crate::number_matching::{self, NumberMatchingType};
use crate::reply::{Replies, Reply};
use crate::state::SignedProof;

/// A sign-on that the person is asked to approve. Show it, then call [`Self::approve`] or [`Self::deny`].
///
/// Everything that it says was signed by the platform for this installation, and an approval names the hash of it: nobody
/// approves what was not shown.
pub struct NotificationObject {
    installation: Arc<Installation>,
    statement: Statement,
    shown: ShownHash,
    replies: Replies<Said>,
}

/// What the person says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Approve(Approval),
    Deny(Refusal),
}

impl Reply for Said {
    async fn sign(
        &self,
        installation: &Installation,
        address: &str,
        reason: &str,
    ) -> Result<SignedProof, Error> {
        match self.clone() {
            Self::Approve(approval) => installation.sign_verified(address, approval, reason).await,
            Self::Deny(refusal) => installation.sign(address, refusal).await,
        }
    }

    async fn signer(&self, installation: &Installation) -> Result<Thumbprint, Error> {
        match self {
            Self::Approve(_) => installation.verification_thumbprint().await,
            Self::Deny(_) => installation.thumbprint().await,
        }
    }
}

impl NotificationObject {
    pub(crate) fn new(
        installation: Arc<Installation>,
        (statement, shown): (Statement, ShownHash),
    ) -> Self {
        Self { installation, statement, shown, replies: Replies::default() }
    }

    /// Id of the challenge.
    #[must_use]
    pub fn challenge(&self) -> &str {
        &self.statement.jti
    }

    /// Whose sign-on it is. One phone may vouch for several people: show it.
    #[must_use]
    pub const fn user(&self) -> &UserFacts {
        &self.statement.user
    }

    /// Name of the application that is signed on to.
    #[must_use]
    pub fn application(&self) -> &str {
        &self.statement.application
    }

    /// Title, in the language of the phone.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.statement.title
    }

    /// Text, in the language of the phone.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.statement.message
    }

    /// What the application wants shown: the text of a JSON object.
    #[must_use]
    pub fn client_context(&self) -> Option<&str> {
        self.statement.client_context.as_deref()
    }

    /// From where it is asked.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.statement.origin
    }

    /// Whether and how a number must be matched.
    #[must_use]
    pub fn number_matching_type(&self) -> Option<NumberMatchingType> {
        self.statement.number_matching.as_ref().map(NumberMatchingType::of)
    }

    /// The numbers to pick from; empty unless the type is [`NumberMatchingType::SelectNumber`].
    #[must_use]
    pub fn number_matching_options(&self) -> &[u32] {
        number_matching::options(self.statement.number_matching.as_ref())
    }

    /// Seconds that are left to answer, by the platform's clock as far as it is known.
    #[must_use]
    pub fn timeout_duration(&self) -> i64 {
        self.statement.exp.seconds_since(self.installation.now()).max(0)
    }

    /// Approves, once the key store has verified the person.
    ///
    /// `authentication_method` says how the person was verified, by a name of RFC 8176: `fpt`, `face`, `pin`, `user`.
    /// `number` is the one that was picked or typed, when one must be.
    ///
    /// After an error that [`Error::is_retriable`], call it again: what was sent is sent again, has no second effect, and
    /// asks the person no second time. After [`Error::UserNotVerified`] it may also be denied with
    /// [`RefusalReason::BiometricsRejected`].
    pub async fn approve(
        &self,
        authentication_method: &str,
        number: Option<u32>,
    ) -> Result<(), Error> {
        number_matching::check(self.statement.number_matching.as_ref(), number)?;
        let method = authentication_method.to_owned();
        let approval = Approval { shown: self.shown, method, number };
        approval.check()?;
        self.answer(Said::Approve(approval)).await
    }

    /// Says no. Nobody needs to be verified for that.
    pub async fn deny(&self, reason: RefusalReason) -> Result<(), Error> {
        self.answer(Said::Deny(Refusal { reason })).await
    }

    async fn answer(&self, said: Said) -> Result<(), Error> {
        let turn = self.replies.begin().ok_or(Error::NotificationUsed)?;
        let result = self.send(&said).await;
        if result.as_ref().err().is_none_or(is_over) {
            self.installation.shown.remove(self.challenge());
            turn.keep();
        }
        result
    }

    async fn send(&self, said: &Said) -> Result<(), Error> {
        let at = (&*self.address(said), &*self.statement.message);
        let ChallengeResponse { status } = self.replies.send(&self.installation, at, said).await?;
        match (said, status) {
            (Said::Approve(_), ChallengeStatus::Approved)
            | (Said::Deny(_), ChallengeStatus::Denied) => Ok(()),
            (Said::Approve(_), ChallengeStatus::WrongNumber) => Err(Error::WrongNumber),
            (_, status) => Err(Error::Answer(format!("the challenge is {status:?}"))),
        }
    }

    fn address(&self, said: &Said) -> String {
        let base = &self.installation.settings.device_base;
        match said {
            Said::Approve(_) => Approval::address(base, self.challenge()),
            Said::Deny(_) => Refusal::address(base, self.challenge()),
        }
    }
}

/// Its text is the person's own business, so only the id is shown.
impl fmt::Debug for NotificationObject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NotificationObject")
            .field("challenge", &self.statement.jti)
            .finish_non_exhaustive()
    }
}

/// Whether no answer can count any more.
pub const fn is_over(error: &Error) -> bool {
    matches!(
        error,
        Error::WrongNumber
            | Error::ChallengeInvalid { .. }
            | Error::ChallengeExpired { .. }
            | Error::ChallengeCancelled { .. }
            | Error::ChallengeAnswered { .. }
    )
}
