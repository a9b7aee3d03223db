//! A question of the platform, and the person's answer to it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use countersign_protocol::challenge::{
    Approval, ChallengeRequest, ChallengeResponse, ChallengeStatus, NumberMatching, Origin,
    Refusal, RefusalReason, ShownHash, Statement,
};
use countersign_protocol::pairing::UserFacts;
use countersign_protocol::proof::Proof;

use crate::answer::Failure;
use crate::error::Error;
use crate::installation::{Installation, lock};
use crate::state::SignedProof;

/// How the number that the sign-on page shows comes into the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberMatchingType {
    /// The person picks it out of [`NotificationObject::number_matching_options`].
    SelectNumber,
    /// The person types it.
    EnterManually {
        /// How many digits it has, with leading zeros.
        digits: u8,
    },
}

/// A sign-on that the person is asked to approve. Show it, then call [`Self::approve`] or [`Self::deny`].
///
/// Everything that it says was signed by the platform for this installation, and an approval names the hash of it: nobody
/// approves what was not shown.
pub struct NotificationObject {
    installation: Arc<Installation>,
    statement: Statement,
    shown: ShownHash,
    /// Whether it was answered for good, or is being answered.
    is_taken: AtomicBool,
    sent: Mutex<Option<(Reply, SignedProof)>>,
}

/// What the person says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reply {
    Approve(Approval),
    Deny(Refusal),
}

impl NotificationObject {
    pub(crate) fn new(
        installation: Arc<Installation>,
        (statement, shown): (Statement, ShownHash),
    ) -> Self {
        let (is_taken, sent) = (AtomicBool::new(false), Mutex::new(None));
        Self { installation, statement, shown, is_taken, sent }
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
    pub const fn number_matching_type(&self) -> Option<NumberMatchingType> {
        match self.statement.number_matching {
            Some(NumberMatching::SelectNumber { .. }) => Some(NumberMatchingType::SelectNumber),
            Some(NumberMatching::EnterManually { digits }) => {
                Some(NumberMatchingType::EnterManually { digits })
            }
            None => None,
        }
    }

    /// The numbers to pick from; empty unless the type is [`NumberMatchingType::SelectNumber`].
    #[must_use]
    pub fn number_matching_options(&self) -> &[u32] {
        match &self.statement.number_matching {
            Some(NumberMatching::SelectNumber { options }) => options,
            Some(NumberMatching::EnterManually { .. }) | None => &[],
        }
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
        self.check_number(number)?;
        let method = authentication_method.to_owned();
        let approval = Approval { shown: self.shown, method, number };
        approval.check()?;
        self.answer(Reply::Approve(approval)).await
    }

    /// Says no. Nobody needs to be verified for that.
    pub async fn deny(&self, reason: RefusalReason) -> Result<(), Error> {
        self.answer(Reply::Deny(Refusal { reason })).await
    }

    fn check_number(&self, number: Option<u32>) -> Result<(), Error> {
        match (&self.statement.number_matching, number) {
            (None, None) => Ok(()),
            (Some(_), None) => Err(Error::NumberMissing),
            (Some(NumberMatching::SelectNumber { options }), Some(number))
                if options.contains(&number) =>
            {
                Ok(())
            }
            (Some(NumberMatching::EnterManually { digits }), Some(number))
                if number.checked_ilog10().unwrap_or(0) < u32::from(*digits) =>
            {
                Ok(())
            }
            (_, Some(_)) => Err(Error::NumberNotOffered),
        }
    }

    async fn answer(&self, reply: Reply) -> Result<(), Error> {
        let turn = Turn::begin(&self.is_taken)?;
        let result = self.send(&reply).await;
        if result.as_ref().err().is_none_or(is_over) {
            self.installation.shown.remove(self.challenge());
            turn.keep();
        }
        result
    }

    /// Sends the proof that may have been sent before, or a new one when that is out of date or says something else.
    async fn send(&self, reply: &Reply) -> Result<(), Error> {
        let proof = match self.sent_before(reply) {
            Some(proof) => proof,
            None => self.sign(reply).await?,
        };
        let address = self.address(reply);
        let answer = match self.installation.post(&address, &proof, 0).await {
            Err(Failure::Skew(server_time)) => {
                let kid = match reply {
                    Reply::Approve(_) => self.installation.verification_thumbprint().await?,
                    Reply::Deny(_) => self.installation.thumbprint().await?,
                };
                self.installation.correct_clock(&server_time, (kid, proof.jti)).await?;
                let proof = self.sign(reply).await?;
                self.installation.post(&address, &proof, 0).await
            }
            answer => answer,
        };
        let ChallengeResponse { status } = answer.map_err(Failure::into_error)?;
        match (reply, status) {
            (Reply::Approve(_), ChallengeStatus::Approved)
            | (Reply::Deny(_), ChallengeStatus::Denied) => Ok(()),
            (Reply::Approve(_), ChallengeStatus::WrongNumber) => Err(Error::WrongNumber),
            (_, status) => Err(Error::Answer(format!("the challenge is {status:?}"))),
        }
    }

    fn sent_before(&self, reply: &Reply) -> Option<SignedProof> {
        let sent = lock(&self.sent);
        let (said, proof) = sent.as_ref()?;
        let is_good = said == reply && self.installation.now() < proof.expires_at;
        is_good.then(|| proof.clone())
    }

    /// Signs an answer and remembers it before anybody can have seen it.
    async fn sign(&self, reply: &Reply) -> Result<SignedProof, Error> {
        let address = self.address(reply);
        let proof = match reply.clone() {
            Reply::Approve(approval) => {
                let reason = &self.statement.message;
                self.installation.sign_verified(&address, approval, reason).await?
            }
            Reply::Deny(refusal) => self.installation.sign(&address, refusal).await?,
        };
        *lock(&self.sent) = Some((reply.clone(), proof.clone()));
        Ok(proof)
    }

    fn address(&self, reply: &Reply) -> String {
        let base = &self.installation.settings.device_base;
        match reply {
            Reply::Approve(_) => Approval::address(base, self.challenge()),
            Reply::Deny(_) => Refusal::address(base, self.challenge()),
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

/// The right to answer, given back when dropped, unless the answer was final.
struct Turn<'a> {
    is_taken: &'a AtomicBool,
    is_final: bool,
}

impl<'a> Turn<'a> {
    fn begin(is_taken: &'a AtomicBool) -> Result<Self, Error> {
        if is_taken.swap(true, Ordering::AcqRel) {
            return Err(Error::NotificationUsed);
        }
        Ok(Self { is_taken, is_final: false })
    }

    fn keep(mut self) {
        self.is_final = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.is_taken.store(self.is_final, Ordering::Release);
    }
}
