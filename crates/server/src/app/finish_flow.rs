//! What the application is told when a flow has ended.

use countersign_domain::{
    authorization::{Answer, ErrorCode},
    flow::{Failure, State},
    mfa::Reason,
};
use countersign_protocol::secret::Secret;

use super::{FlowView, Realm};

/// The authorization response (RFC 6749, section 4.1.2; RFC 9207).
#[derive(Clone, Debug)]
pub struct Ending {
    /// How the application gets it.
    pub answer: Answer,
    /// The members, in the order in which they are written.
    pub members: Vec<(&'static str, Secret<String>)>,
}

impl Realm {
    /// The authorization response of a flow that has ended. A code is not given again after it was redeemed: a page that is
    /// read again would make the application present it twice, which revokes its tokens.
    #[must_use]
    pub fn ending(&self, view: &FlowView) -> Option<Ending> {
        let flow = &view.flow;
        // No application waits for the browser where a device waits elsewhere.
        if view.answered || matches!(flow.request.answer, Answer::Device { .. }) {
            return None;
        }
        let request = &flow.request;
        let result = match &flow.state {
            State::Completed { .. } => Ok(self.code(flow.id.cast())),
            State::Failed { why, .. } => Err(*why),
            State::Identifier { .. }
            | State::Login { .. }
            | State::Password { .. }
            | State::PasswordChange { .. }
            | State::Deciding { .. }
            | State::DeviceSelection { .. }
            | State::Passcode { .. } => return None,
        };
        let state = request.state.clone();
        Some(match result {
            Ok(code) => self.ended(request.answer.clone(), state, vec![("code", code)]),
            Err(why) => {
                let error = match why {
                    // OIDC Core, section 3.1.2.1, of `id_token_hint`.
                    Failure::OtherUser => ErrorCode::LoginRequired,
                    Failure::Cancelled | Failure::Mfa(_) => ErrorCode::AccessDenied,
                };
                let description = describe(why);
                self.refusal(request.answer.clone(), state, error, description)
            }
        })
    }

    /// The authorization response of a request that was refused.
    #[must_use]
    pub fn refusal(
        &self,
        answer: Answer,
        state: Option<String>,
        error: ErrorCode,
        description: &str,
    ) -> Ending {
        let plain = |text: &str| Secret::new(text.to_owned());
        let description: String = description.chars().filter_map(describable).collect();
        let members =
            vec![("error", plain(error.name())), ("error_description", plain(&description))];
        self.ended(answer, state, members)
    }

    fn ended(
        &self,
        answer: Answer,
        state: Option<String>,
        mut members: Vec<(&'static str, Secret<String>)>,
    ) -> Ending {
        members.extend(state.map(|state| ("state", Secret::new(state))));
        members.push(("iss", Secret::new(self.issuer.clone())));
        Ending { answer, members }
    }
}

/// A character as `error_description` may carry it (RFC 6749, section 4.1.2.1).
fn describable(c: char) -> Option<char> {
    match c {
        '"' | '\\' => Some('\''),
        ' '..='~' => Some(c),
        _ => None,
    }
}

/// Why a flow failed, for developers.
const fn describe(why: Failure) -> &'static str {
    match why {
        Failure::Cancelled => "the user cancelled",
        Failure::OtherUser => "another user signed in than the one of id_token_hint",
        Failure::Mfa(reason) => match reason {
            Reason::NoUsableDevice => "the user has no device that the MFA policy accepts",
            Reason::DeviceBlocked => "the device of the user is blocked",
            Reason::DeviceLocked => "the device of the user is locked",
            Reason::UserLocked => "the MFA of the user is locked",
            Reason::MfaDisabled => "the MFA of the user is disabled",
            Reason::Compromised => "the device does not meet the integrity requirements",
            Reason::ExtraVerificationFailed => "the device could not be verified",
        },
    }
}
