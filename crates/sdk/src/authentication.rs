//! Signing on elsewhere with a code that this phone has read.

use std::fmt;
use std::sync::{Arc, Mutex};

use countersign_protocol::authentication_code::{
    ClaimRequest, ClaimResponse, Code, CodeApproval, CodeDenial, CodeRequest, CodeResponse,
    CodeStatus, CodeUser, NeedsApproval,
};
use countersign_protocol::challenge::Origin;
use countersign_protocol::jwk::Thumbprint;

use crate::client::Countersign;
use crate::error::{CodeRefusal, Error};
use crate::installation::{Installation, lock};
use crate::number_matching::{self, NumberMatchingType};
use crate::push_address;
use crate::reply::{Replies, Reply};
use crate::state::SignedProof;

/// What the key store is asked to verify the person for, when a sign-on by code is approved: a key for which the app has its
/// own words.
pub const AUTHENTICATION_REASON: &str = "countersign.reason.authenticate";

impl Countersign {
    /// Claims the authentication code in what the camera has read: a bare code (`7F45HGF5`), the app scheme
    /// (`countersign?authentication_code=…`), or a universal link that ends so. The first phone that claims a code has it.
    ///
    /// When [`AuthenticationObject::status`] is [`CodeStatus::Completed`], the other screen is signed on already. When it is
    /// [`CodeStatus::Claimed`], show what the object says, let the person choose among [`AuthenticationObject::users`],
    /// and call [`AuthenticationObject::approve`] or [`AuthenticationObject::deny`].
    pub async fn authenticate(&self, code_or_uri: &str) -> Result<AuthenticationObject, Error> {
        let code = Code::find(code_or_uri)?;
        push_address::register_quietly(&self.installation).await;
        let nonce = self.installation.nonce().await?;
        let claim = self.installation.call(ClaimRequest { nonce, code }).await?;
        Ok(AuthenticationObject::new(Arc::clone(&self.installation), claim))
    }
}

/// A sign-on elsewhere, whose code this phone has claimed.
pub struct AuthenticationObject {
    installation: Arc<Installation>,
    claim: ClaimResponse,
    status: Mutex<CodeStatus>,
    replies: Replies<Said>,
}

/// What the person says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Approve(CodeApproval),
    Deny(CodeDenial),
}

impl Reply for Said {
    async fn sign(
        &self,
        installation: &Installation,
        address: &str,
        reason: &str,
    ) -> Result<SignedProof, Error> {
        match self.clone() {
            Self::Approve(approval) if installation.verifies_people().await? => {
                installation.sign_verified(address, approval, reason).await
            }
            Self::Approve(approval) => installation.sign(address, approval).await,
            Self::Deny(denial) => installation.sign(address, denial).await,
        }
    }

    async fn signer(&self, installation: &Installation) -> Result<Thumbprint, Error> {
        match self {
            Self::Approve(_) if installation.verifies_people().await? => {
                installation.verification_thumbprint().await
            }
            Self::Approve(_) | Self::Deny(_) => installation.thumbprint().await,
        }
    }
}

impl AuthenticationObject {
    fn new(installation: Arc<Installation>, claim: ClaimResponse) -> Self {
        let status = Mutex::new(claim.status);
        Self { installation, claim, status, replies: Replies::default() }
    }

    /// Id of the code.
    #[must_use]
    pub fn request(&self) -> &str {
        &self.claim.id
    }

    /// What has become of it. Unless it is [`CodeStatus::Claimed`], there is nothing left to do here.
    #[must_use]
    pub fn status(&self) -> CodeStatus {
        *lock(&self.status)
    }

    /// The users of this installation, of whom one signs on.
    #[must_use]
    pub fn users(&self) -> &[CodeUser] {
        &self.claim.users
    }

    /// Whether the person must agree. If not, choosing the user is all there is to do.
    #[must_use]
    pub const fn needs_approval(&self) -> NeedsApproval {
        self.claim.needs_approval
    }

    /// Name of the application that is signed on to.
    #[must_use]
    pub fn application(&self) -> &str {
        &self.claim.application
    }

    /// From where it is asked, as far as the platform knows. Show it: who sits somewhere else is being robbed.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.claim.origin
    }

    /// What the creator of the code wants shown: the text of a JSON object.
    #[must_use]
    pub fn client_context(&self) -> Option<&str> {
        self.claim.client_context.as_deref()
    }

    /// Whether and how the number on the other screen must be matched.
    #[must_use]
    pub fn number_matching_type(&self) -> Option<NumberMatchingType> {
        self.claim.number_matching.as_ref().map(NumberMatchingType::of)
    }

    /// The numbers to pick from; empty unless the type is [`NumberMatchingType::SelectNumber`].
    #[must_use]
    pub fn number_matching_options(&self) -> &[u32] {
        number_matching::options(self.claim.number_matching.as_ref())
    }

    /// Seconds that are left to answer, by the platform's clock as far as it is known.
    #[must_use]
    pub fn timeout_duration(&self) -> i64 {
        self.claim.expires_at.seconds_since(self.installation.now()).max(0)
    }

    /// Signs `user` on, once the key store has verified the person. The user may be left out when there is only one; `number` is
    /// the one that the other screen shows, when one must be matched.
    ///
    /// After an error that [`Error::is_retriable`], call it again: it has no second effect, and as long as what was signed is
    /// good nobody is asked again.
    pub async fn approve(&self, user: Option<&str>, number: Option<u32>) -> Result<(), Error> {
        let user = match (user, self.users()) {
            (Some(user), users) => users.iter().find(|one| one.id == user),
            (None, [user]) => Some(user),
            (None, _) => None,
        };
        let user = user.ok_or(Error::AmbiguousUser)?.id.clone();
        number_matching::check(self.claim.number_matching.as_ref(), number)?;
        self.answer(Said::Approve(CodeApproval { user, number })).await
    }

    /// Signs nobody on. Nobody needs to be verified for that.
    pub async fn deny(&self, user: Option<&str>) -> Result<(), Error> {
        if user.is_some_and(|user| !self.users().iter().any(|one| one.id == user)) {
            return Err(Error::AmbiguousUser);
        }
        self.answer(Said::Deny(CodeDenial { user: user.map(str::to_owned) })).await
    }

    async fn answer(&self, said: Said) -> Result<(), Error> {
        if self.status() != CodeStatus::Claimed {
            return Err(Error::AuthenticationUsed);
        }
        let turn = self.replies.begin().ok_or(Error::AuthenticationUsed)?;
        let result = self.send(&said).await;
        if result.as_ref().err().is_none_or(is_over) {
            turn.keep();
        }
        result
    }

    async fn send(&self, said: &Said) -> Result<(), Error> {
        let at = (&*self.address(said), AUTHENTICATION_REASON);
        let CodeResponse { status } = self.replies.send(&self.installation, at, said).await?;
        *lock(&self.status) = status;
        match (said, status) {
            (Said::Approve(_), CodeStatus::Completed) | (Said::Deny(_), CodeStatus::Denied) => {
                Ok(())
            }
            (Said::Approve(_), CodeStatus::Denied) => Err(Error::WrongNumber),
            (_, status) => Err(Error::Answer(format!("the code is {status:?}"))),
        }
    }

    fn address(&self, said: &Said) -> String {
        let base = &self.installation.settings.device_base;
        match said {
            Said::Approve(_) => CodeApproval::address(base, self.request()),
            Said::Deny(_) => CodeDenial::address(base, self.request()),
        }
    }
}

/// Who signs on where is the person's own business, so only the id is shown.
impl fmt::Debug for AuthenticationObject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AuthenticationObject")
            .field("request", &self.claim.id)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// Whether no answer can count any more.
const fn is_over(error: &Error) -> bool {
    matches!(
        error,
        Error::WrongNumber
            | Error::CodeRefused {
                reason: CodeRefusal::Invalid | CodeRefusal::Expired | CodeRefusal::Ended,
                ..
            }
    )
}
