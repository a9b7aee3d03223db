//! What the application is told when a flow has ended.

use std::sync::Arc;

use countersign_domain::{
    application::{Application, GrantType, ResponseType},
    audit,
    authorization::{Answer, ErrorCode},
    claims,
    flow::{Failure, Flow, State},
    grant::{self, Effect, Event, Grant},
    mfa::Reason,
};
use countersign_protocol::{secret::Secret, time::Timestamp};
use countersign_store::{Tx, Work, application, grant as grants, user};

use super::{
    App, Call, Fault, FlowView, Realm,
    issue_tokens::Issue,
    protected_resource::{self, Held},
};
use crate::telemetry::TOKENS_ISSUED;

/// The authorization response (RFC 6749, section 4.1.2; RFC 9207).
#[derive(Clone, Debug)]
pub struct Ending {
    /// How the application gets it.
    pub answer: Answer,
    /// The members, in the order in which they are written.
    pub members: Vec<(&'static str, Secret<String>)>,
}

impl App {
    /// The authorization response of a flow, if the flow has ended and there is one to give.
    ///
    /// Tokens are made when they are fetched for the first time, and not given again: whoever reads the page once more gets
    /// nothing, and the application begins anew if they were lost on the way.
    pub async fn finish_flow(
        &self,
        realm: &Arc<Realm>,
        view: &FlowView,
        correlation: &str,
    ) -> Result<Option<Ending>, Fault> {
        let flow = &view.flow;
        let completed = matches!(flow.state, State::Completed { .. });
        if view.answered || !completed || !flow.request.answers_with_tokens() {
            return Ok(realm.ending(view));
        }
        let call = self.call(realm.environment, correlation);
        let now = call.now;
        let issue = self.store.write(GiveAnswer { call, flow: flow.clone() }).await?;
        issue.map(|issue| self.with_tokens(realm, flow, &issue, now)).transpose()
    }

    /// Signs what the answer holds (OIDC Core, sections 3.2.2.5 and 3.3.2.5). Only after the commit.
    fn with_tokens(
        &self,
        realm: &Realm,
        flow: &Flow,
        issue: &Issue,
        now: Timestamp,
    ) -> Result<Ending, Fault> {
        let request = &flow.request;
        let holds = |part| request.response_types.contains(&part);
        let plain = |text: &str| Secret::new(text.to_owned());
        let mut members = Vec::new();
        let code = holds(ResponseType::Code).then(|| realm.code(flow.id.cast()));
        members.extend(code.clone().map(|code| ("code", code)));
        let mut access_token = None;
        if holds(ResponseType::Token) {
            let access = issue.access(realm, now, self.entropy.as_ref());
            let signed = access_token.insert(access.sign(realm)?);
            members.extend([
                ("access_token", signed.clone()),
                ("token_type", plain(access.token_type())),
                ("expires_in", Secret::new(issue.access_seconds.to_string())),
                ("scope", Secret::new(issue.scope())),
            ]);
        }
        if holds(ResponseType::IdToken) {
            let beside = (access_token.as_ref(), code.as_ref());
            members.push(("id_token", issue.id_token(realm, now, beside)?));
        }
        Ok(realm.ended(request.answer.clone(), request.state.clone(), members))
    }
}

/// Gives the tokens of an authorization response, once.
struct GiveAnswer {
    call: Call,
    flow: Flow,
}

impl Work for GiveAnswer {
    /// Nothing if they were given, or if the application or the user may no longer have them.
    type Output = Option<Issue>;
    type Error = Fault;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Issue>, Fault> {
        let (flow, now) = (&self.flow, self.call.now);
        let request = &flow.request;
        let holds = |part| request.response_types.contains(&part);
        let application = application::load(tx, flow.environment, request.application).await?;
        let application = application.filter(|application| may_answer(application));
        let Some(application) = application else { return Ok(None) };
        let old = grants::load(tx, flow.environment, flow.id.cast(), now).await?;
        let Some(old) = old else { return Ok(None) };
        let user = user::load(tx, flow.environment, old.identity.user).await?;
        let Some(user) = user.filter(|user| user.may_sign_in()) else { return Ok(None) };
        let held = protected_resource::held(tx, &application, old.access.as_ref()).await?;
        let usual = application.oidc.access_token_seconds;
        let seconds = held.as_ref().map_or(usual, Held::token_seconds);
        let access_seconds = holds(ResponseType::Token).then_some(seconds);
        let event = Event::Answer { with_code: holds(ResponseType::Code), access_seconds };
        let Ok(step) = grant::apply(&old, &event, now) else { return Ok(None) };
        let grant = Grant { state: step.state, ..(*old).clone() };
        grants::swap(tx, &old, &grant).await?;
        let (mut issue, mut held) = (None, held);
        for effect in step.effects {
            match effect {
                Effect::IssueTokens { refresh } => {
                    let is_alone = request.response_types == [ResponseType::IdToken];
                    let claims = claims::of_id_token(&application, &grant.scopes, &user, is_alone);
                    let whole = Issue::whole(grant.clone(), &application, &user, refresh);
                    issue = Some(Issue { claims, ..whole.at(held.take(), &user) });
                }
                Effect::Audit { action, reason } => {
                    let event = audit::Event::of(action, Some(reason));
                    let event = event.through(application.id).about(user.id);
                    self.call.audit(tx, event).await?;
                }
            }
        }
        tx.tally(TOKENS_ISSUED, ["implicit", "", ""]);
        Ok(issue)
    }
}

/// Whether the application may still have tokens in answers: that may have been taken from it since the flow began.
fn may_answer(application: &Application) -> bool {
    application.enabled && application.may(GrantType::Implicit)
}

impl Realm {
    /// The authorization response of a flow that has ended, without tokens. A code is not given again after it was redeemed: a page that is
    /// read again would make the application present it twice, which revokes its tokens.
    #[must_use]
    pub fn ending(&self, view: &FlowView) -> Option<Ending> {
        let flow = &view.flow;
        if !flow.request.answer.is_awaited() {
            return None;
        }
        if view.answered {
            return None;
        }
        let request = &flow.request;
        let result = match &flow.state {
            State::Completed { .. } => Ok(self.code(flow.id.cast())),
            State::Failed { why, .. } => Err(*why),
            State::Identifier { .. }
            | State::Login { .. }
            | State::Password { .. }
            | State::AuthenticationCode { .. }
            | State::PasswordChange { .. }
            | State::Deciding { .. }
            | State::DeviceSelection { .. }
            | State::Passcode { .. }
            | State::Verification { .. }
            | State::Push { .. }
            | State::PushTimedOut { .. } => return None,
        };
        let state = request.state.clone();
        Some(match result {
            Ok(code) => self.ended(request.answer.clone(), state, vec![("code", code)]),
            Err(why) => {
                let error = match why {
                    // OIDC Core, section 3.1.2.1, of `id_token_hint`.
                    Failure::OtherUser => ErrorCode::LoginRequired,
                    Failure::Cancelled
                    | Failure::NoSteps
                    | Failure::Mfa(_)
                    | Failure::MissingClaim { .. }
                    | Failure::NotAdmitted => ErrorCode::AccessDenied,
                };
                let description = describe(flow, why);
                self.refusal(request.answer.clone(), state, error, &description)
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
        let description = describable(description);
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

/// A text as `error_description` may carry it (RFC 6749, sections 4.1.2.1 and 5.2). What a stranger wrote may be in it.
#[must_use]
pub fn describable(text: &str) -> String {
    let carried = |c| match c {
        '"' | '\\' => Some('\''),
        ' '..='~' => Some(c),
        _ => None,
    };
    text.chars().filter_map(carried).collect()
}

/// Why a flow failed, for developers.
#[must_use]
pub fn describe(flow: &Flow, why: Failure) -> String {
    let text = match why {
        Failure::NotAdmitted => "the application does not take this user",
        Failure::MissingClaim { place } => {
            let claim = flow.required_claims.get(place);
            let name = claim.map(|claim| claim.name.as_str()).unwrap_or_default();
            return format!(
                "the user has no value for the claim {name}, which the application requires"
            );
        }
        Failure::Cancelled => "the user cancelled",
        Failure::NoSteps => "the sign-on policy of the application has no steps",
        Failure::OtherUser => "another user signed in than the one of id_token_hint",
        Failure::Mfa(reason) => match reason {
            Reason::NoUsableDevice => "the user has no device that the MFA policy accepts",
            Reason::DeviceBlocked => "the device of the user is blocked",
            Reason::DeviceLocked => "the device of the user is locked",
            Reason::UserLocked => "the MFA of the user is locked",
            Reason::MfaDisabled => "the MFA of the user is disabled",
            Reason::Compromised => "the device does not meet the integrity requirements",
            Reason::ExtraVerificationFailed => "the device could not be verified",
            Reason::PushDenied => "the user denied the sign-on on the device",
            Reason::PushesStopped => "the user was asked too often",
        },
    };
    text.to_owned()
}
