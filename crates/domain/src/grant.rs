//! Grants: what an authorization code, the tokens of an authorization response and the refresh tokens after them stand for
//! (RFC 6749, sections 4.1, 4.2 and 6). A code counts once, the tokens of a response are given once, and each generation of
//! refresh tokens counts once.

use countersign_protocol::{jwk::Thumbprint, time::Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    application::{Application, GrantType, RefreshRules},
    audit,
    authorization::{Asked, Scope},
    environment::Environment,
    flow::Identity,
    id::Id,
    installation::Installation,
    protected_resource::ResourceAccess,
    session::Session,
};

/// Life of an authorization code, in seconds (FAPI 2.0 Security Profile, section 5.3.2.1: at most 60).
pub const CODE_SECONDS: i64 = 60;

/// Life of ID tokens, in seconds, and of access tokens unless the application says otherwise.
pub const TOKEN_SECONDS: i64 = 3_600;

/// The longest life of a token that an application may have, in seconds. The key that signed it is published for longer.
pub const MAX_TOKEN_SECONDS: i64 = 86_400;

/// What a completed flow gives to its application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Shares its bits with the id of the flow.
    pub id: Id<Grant>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// Who may redeem the code.
    pub application: Id<Application>,
    /// Who signed in, when and how.
    pub identity: Identity,
    /// What was asked for of the user.
    pub scopes: Vec<Scope>,
    /// What was asked for at a protected resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<ResourceAccess>,
    /// Name of the sign-on policy.
    pub acr: String,
    /// Goes into the ID token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// What the token request must repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// RFC 7636, S256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_challenge: Option<String>,
    /// The phone on which the user signed in, if the request carried a mobile payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation: Option<Installation>,
    /// The session in which the flow completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Id<Session>>,
    /// The key that the code, and the refresh tokens of a public client, are bound to (RFC 9449, sections 5 and 10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<Thumbprint>,
    /// When the code was made.
    pub issued_at: Timestamp,
    /// How far it has come.
    pub state: State,
}

/// How far a grant has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// The code waits, or the tokens of the authorization response do.
    Issued,
    /// The authorization response was given, with tokens and a code (OIDC Core, section 3.3), which waits. Its access token
    /// lives until then.
    Answered { access_until: Timestamp },
    /// The code was redeemed for an access token that lives until then.
    Redeemed { at: Timestamp, access_until: Timestamp },
    /// The code was redeemed, and refresh tokens renew what it gave. Only the newest generation counts, and the one before
    /// it for a moment.
    Refreshable {
        generation: u32,
        rotated_at: Timestamp,
        access_until: Timestamp,
        refresh_until: Timestamp,
    },
    /// A code or a refresh token came a second time, or the application gave up its tokens: nothing of it counts.
    Revoked { at: Timestamp },
}

/// How long what a grant gives may live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Seconds of an access token.
    pub access_seconds: u32,
    /// Rules of the refresh tokens, if there are any.
    pub refresh: Option<RefreshRules>,
}

/// What can happen to a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The browser or app of the flow fetches an authorization response with tokens.
    Answer {
        /// Whether a code is in it too.
        with_code: bool,
        /// Seconds of its access token; none: there is none in it.
        access_seconds: Option<u32>,
    },
    /// The application presents the code.
    Redeem {
        /// Who presents it.
        application: Id<Application>,
        /// `redirect_uri` of the token request.
        redirect_uri: Option<String>,
        /// S256 of the `code_verifier` of the token request.
        code_challenge: Option<String>,
        /// What the application may have now.
        terms: Terms,
    },
    /// The application presents a refresh token.
    Refresh {
        /// Who presents it.
        application: Id<Application>,
        /// Which one.
        generation: u32,
        /// What the application may have now.
        terms: Terms,
    },
    /// The application gives up what it got (RFC 7009).
    Revoke {
        /// Who asks.
        application: Id<Application>,
    },
}

/// The next state and what must be committed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The next state.
    pub state: State,
    /// What must be committed with it.
    pub effects: Vec<Effect>,
}

/// What must be committed with a change of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Tokens may be made, with a refresh token of this generation. Without it the request is refused, although the state
    /// changes.
    IssueTokens { refresh: Option<u32> },
    /// A line in the audit log.
    Audit { action: audit::Action, reason: &'static str },
}

/// Why a code or a refresh token does not count. All of them are `invalid_grant` on the wire; the description tells which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The code is older than [`CODE_SECONDS`].
    #[error("code has expired")]
    CodeExpired,
    /// Made for another application.
    #[error("code or refresh_token was made for another client_id")]
    OtherApplication,
    /// Not what the authorization request said.
    #[error("redirect_uri must be the one of the authorization request")]
    OtherRedirectUri,
    /// The authorization response was given before.
    #[error("the authorization response was given already")]
    Answered,
    /// Missing, superfluous or wrong.
    #[error("code_verifier does not match the code_challenge of the authorization request")]
    WrongVerifier,
    /// No proof, or one by another key than that which the code or the refresh token is bound to.
    #[error("the DPoP proof must be by the key that the code or refresh_token is bound to")]
    OtherKey,
    /// The refresh token has rested too long, or the sign-on is too long ago.
    #[error("refresh_token has expired")]
    RefreshExpired,
    /// Another refresh token has taken its place, and the application does not want that to have consequences; or the grant
    /// has none.
    #[error("refresh_token is not the newest one")]
    NotNewest,
    /// Presented a second time before, or given up.
    #[error("code or refresh_token was used already or revoked")]
    Revoked,
}

impl Terms {
    /// Those of an application.
    #[must_use]
    pub fn of(application: &Application) -> Self {
        let rules = application.oidc.refresh;
        Self {
            access_seconds: application.oidc.access_token_seconds,
            refresh: application.may(GrantType::RefreshToken).then_some(rules),
        }
    }

    /// The same, with access tokens that may live as long as those of a resource, if that is longer.
    #[must_use]
    pub fn or_for(self, resource_seconds: Option<u32>) -> Self {
        let access_seconds = self.access_seconds.max(resource_seconds.unwrap_or_default());
        Self { access_seconds, ..self }
    }

    fn access_until(&self, now: Timestamp) -> Timestamp {
        now.plus_seconds(self.access_seconds.into())
    }
}

impl Grant {
    /// From when nothing that the grant may still give or has given can count.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        match self.state {
            State::Issued | State::Revoked { .. } => {
                self.issued_at.plus_seconds(CODE_SECONDS + TOKEN_SECONDS)
            }
            State::Answered { access_until } => {
                access_until.max(self.issued_at.plus_seconds(CODE_SECONDS + TOKEN_SECONDS))
            }
            State::Redeemed { access_until, .. } => access_until,
            State::Refreshable { access_until, refresh_until, .. } => {
                access_until.max(refresh_until)
            }
        }
    }

    /// The key that the grant is bound to after a token request with a proof by `key`, or with none.
    ///
    /// A code is bound to the key that its authorization request named. The refresh tokens of a public client are bound to the
    /// key that it showed; those of other clients are bound to how the client proves itself (RFC 9449, section 5).
    pub fn confirm(
        &self,
        key: Option<Thumbprint>,
        is_public: bool,
    ) -> Result<Option<Thumbprint>, Refusal> {
        let is_bound = match self.state {
            State::Issued | State::Answered { .. } => true,
            State::Redeemed { .. } | State::Refreshable { .. } | State::Revoked { .. } => is_public,
        };
        match self.confirmation {
            Some(bound) if is_bound && key != Some(bound) => Err(Refusal::OtherKey),
            Some(bound) => Ok(Some(bound)),
            None => Ok(key.filter(|_| is_public)),
        }
    }

    /// Whether access tokens that came of it count, as far as the grant can say.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        match self.state {
            State::Answered { .. } | State::Redeemed { .. } | State::Refreshable { .. } => true,
            State::Issued | State::Revoked { .. } => false,
        }
    }

    /// Until when an access token of the authorization response lives; without one, a time that does not matter.
    const fn answered_until(&self) -> Timestamp {
        match self.state {
            State::Answered { access_until } => access_until,
            State::Issued
            | State::Redeemed { .. }
            | State::Refreshable { .. }
            | State::Revoked { .. } => self.issued_at,
        }
    }

    /// All that was granted, on the wire.
    #[must_use]
    pub fn scope(&self) -> String {
        let own = self.scopes.iter().map(|scope| scope.name());
        let at_resource = self.access.iter().flat_map(|access| access.scopes.iter());
        own.chain(at_resource.map(String::as_str)).collect::<Vec<_>>().join(" ")
    }

    /// The scopes of a refresh request: some of those that were granted, in their order (RFC 6749, section 6), or all of them
    /// if it names none. Nothing if it asks for one that was not granted.
    #[must_use]
    pub fn narrowed(&self, asked: &str) -> Option<Narrowed> {
        let asked = Asked::parse(asked);
        if asked.is_empty() {
            return Some((self.scopes.clone(), self.access.clone()));
        }
        let own: &[String] = self.access.as_ref().map_or(&[], |access| &access.scopes);
        let granted = asked.scopes.iter().all(|scope| self.scopes.contains(scope))
            && asked.others.iter().all(|name| own.iter().any(|own| own == name));
        let kept = own.iter().filter(|own| asked.others.contains(&own.as_str())).cloned();
        let kept: Vec<String> = kept.collect();
        let access = self.access.as_ref().filter(|_| !kept.is_empty());
        let access = access.map(|access| ResourceAccess { scopes: kept, ..access.clone() });
        granted.then(|| {
            let scopes = self.scopes.iter().filter(|scope| asked.scopes.contains(scope));
            (scopes.copied().collect(), access)
        })
    }
}

/// What is left of what was granted: of the user, and at a protected resource.
pub type Narrowed = (Vec<Scope>, Option<ResourceAccess>);

/// The whole life of a grant.
pub fn apply(grant: &Grant, event: &Event, now: Timestamp) -> Result<Step, Refusal> {
    match event {
        Event::Redeem { application, .. }
        | Event::Refresh { application, .. }
        | Event::Revoke { application }
            if *application != grant.application =>
        {
            Err(Refusal::OtherApplication)
        }
        Event::Answer { with_code, access_seconds } => match grant.state {
            // A page that was left open gives nothing later than a code would.
            State::Issued if is_late(grant, now) => Err(Refusal::CodeExpired),
            State::Issued => Ok(answered(*with_code, *access_seconds, now)),
            State::Answered { .. }
            | State::Redeemed { .. }
            | State::Refreshable { .. }
            | State::Revoked { .. } => Err(Refusal::Answered),
        },
        Event::Redeem { redirect_uri, code_challenge, terms, .. } => match grant.state {
            State::Issued | State::Answered { .. } if is_late(grant, now) => {
                Err(Refusal::CodeExpired)
            }
            State::Issued | State::Answered { .. } if *redirect_uri != grant.redirect_uri => {
                Err(Refusal::OtherRedirectUri)
            }
            State::Issued | State::Answered { .. } if *code_challenge != grant.code_challenge => {
                Err(Refusal::WrongVerifier)
            }
            State::Issued | State::Answered { .. } => Ok(redeemed(grant, terms, now)),
            // RFC 6749, section 4.1.2: what the code gave must be taken back.
            State::Redeemed { .. } | State::Refreshable { .. } => {
                Ok(revoked(audit::Action::GrantReused, "code_used_twice", now))
            }
            State::Revoked { .. } => Err(Refusal::Revoked),
        },
        Event::Refresh { generation, terms, .. } => match grant.state {
            State::Issued | State::Answered { .. } | State::Redeemed { .. } => {
                Err(Refusal::NotNewest)
            }
            State::Refreshable { .. } => refreshed(grant, *generation, terms, now),
            State::Revoked { .. } => Err(Refusal::Revoked),
        },
        Event::Revoke { .. } => match grant.state {
            State::Issued
            | State::Answered { .. }
            | State::Redeemed { .. }
            | State::Refreshable { .. } => {
                Ok(revoked(audit::Action::GrantRevoked, "given_up_by_application", now))
            }
            State::Revoked { .. } => Err(Refusal::Revoked),
        },
    }
}

fn is_late(grant: &Grant, now: Timestamp) -> bool {
    now >= grant.issued_at.plus_seconds(CODE_SECONDS)
}

/// Without a code there is nothing that could be redeemed any more.
fn answered(with_code: bool, access_seconds: Option<u32>, now: Timestamp) -> Step {
    let access_until = now.plus_seconds(access_seconds.unwrap_or_default().into());
    let state = if with_code {
        State::Answered { access_until }
    } else {
        State::Redeemed { at: now, access_until }
    };
    let (action, reason) = (audit::Action::GrantAnswered, "tokens_in_authorization_response");
    let told = Effect::Audit { action, reason };
    Step { state, effects: vec![told, Effect::IssueTokens { refresh: None }] }
}

fn redeemed(grant: &Grant, terms: &Terms, now: Timestamp) -> Step {
    let access_until = terms.access_until(now).max(grant.answered_until());
    let Some(rules) = terms.refresh else {
        let effects = vec![Effect::IssueTokens { refresh: None }];
        return Step { state: State::Redeemed { at: now, access_until }, effects };
    };
    let state = State::Refreshable {
        generation: 0,
        rotated_at: now,
        access_until,
        refresh_until: refresh_until(grant, rules, now),
    };
    Step { state, effects: vec![Effect::IssueTokens { refresh: Some(0) }] }
}

/// RFC 9700, section 4.14.2: each refresh token counts once, so that of a thief and the application one is found out.
fn refreshed(
    grant: &Grant,
    presented: u32,
    terms: &Terms,
    now: Timestamp,
) -> Result<Step, Refusal> {
    let State::Refreshable { generation, rotated_at, refresh_until: until, .. } = grant.state
    else {
        return Err(Refusal::NotNewest);
    };
    let rules = terms.refresh.ok_or(Refusal::NotNewest)?;
    if now >= until {
        return Err(Refusal::RefreshExpired);
    }
    if presented == generation {
        let generation = generation.checked_add(1).ok_or(Refusal::RefreshExpired)?;
        let state = State::Refreshable {
            generation,
            rotated_at: now,
            access_until: terms.access_until(now),
            refresh_until: refresh_until(grant, rules, now),
        };
        let effects = vec![Effect::IssueTokens { refresh: Some(generation) }];
        return Ok(Step { state, effects });
    }
    let grace_until = rotated_at.plus_seconds(rules.grace_seconds.into());
    if presented.checked_add(1) == Some(generation) && now < grace_until {
        // The answer was lost, or two calls went out at once: the same newest token again, and no other generation.
        let effects = vec![Effect::IssueTokens { refresh: Some(generation) }];
        return Ok(Step { state: grant.state.clone(), effects });
    }
    // One that is newer than the newest was made before the database was put back to an older state, and is nobody's fault.
    if presented < generation && rules.replay_protection {
        return Ok(revoked(audit::Action::GrantReused, "refresh_token_used_twice", now));
    }
    Err(Refusal::NotNewest)
}

/// Until when a refresh token that is made now counts.
fn refresh_until(grant: &Grant, rules: RefreshRules, now: Timestamp) -> Timestamp {
    let idle = now.plus_seconds(rules.idle_seconds.into());
    match rules.life_seconds {
        Some(life) => idle.min(grant.issued_at.plus_seconds(life.into())),
        None => idle,
    }
}

fn revoked(action: audit::Action, reason: &'static str, now: Timestamp) -> Step {
    Step { state: State::Revoked { at: now }, effects: vec![Effect::Audit { action, reason }] }
}

#[cfg(test)]
mod tests;
