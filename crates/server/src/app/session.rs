//! Sessions as use cases see them: found by their cookie, joined by the flows that complete in them, ended.

use countersign_domain::{
    application::{Application, GrantType},
    audit,
    authorization::Answer,
    flow::{Flow, Identity},
    grant::{self, Grant},
    id::Id,
    outbox::Content,
    session::{self, Effect, Event, Participant, Refusal, Session, Step},
    user::User,
};
use countersign_protocol::secret::Secret;
use countersign_store::{
    StoreError, Tx, Versioned, Work, application, configured::Range, grant as grants,
    session as sessions,
};

use super::{App, Call, Fault, Realm};

/// A session that is not over.
pub(super) struct Found {
    pub id: Id<Session>,
    pub identity: Identity,
}

/// The session of this cookie.
pub(super) async fn find(
    tx: &mut Tx<'_>,
    realm: &Realm,
    call: &Call,
    cookie: Option<&Secret<String>>,
) -> Result<Option<Found>, StoreError> {
    let Some(id) = cookie.and_then(|cookie| realm.session_of(cookie.expose())) else {
        return Ok(None);
    };
    let session = sessions::load(tx, realm.environment, id, call.now).await?;
    let identity = session.and_then(|session| session.identity(call.now).cloned());
    Ok(identity.map(|identity| Found { id, identity }))
}

/// Lets a flow that has completed join its session, or begin one. Nothing if it is to leave none behind.
pub(super) async fn join(
    tx: &mut Tx<'_>,
    call: &Call,
    flow: &Flow,
    identity: &Identity,
) -> Result<Option<Id<Session>>, Fault> {
    // The word of one application is not to open the door of another.
    if identity.methods.is_empty() {
        return Ok(None);
    }
    // An app that shows its phone with each request signs in anew each time, and has no use for a session.
    let shows_phone =
        matches!(flow.request.answer, Answer::Flow { .. }) && flow.installation.is_some();
    if shows_phone && flow.session.is_none() {
        return Ok(None);
    }
    let participant = participant(tx, flow).await?;
    if let Some(id) = flow.session
        && let Some(old) = sessions::load(tx, flow.environment, id, call.now).await?
    {
        let event = Event::SignedOn { identity: identity.clone(), participant };
        match session::apply(&old, event, call.sessions, call.now) {
            Ok(step) => {
                commit(tx, call, &old, step).await?;
                return Ok(Some(id));
            }
            // Somebody else signs in at this browser: the session of the one before is over.
            Err(Refusal::OtherUser) => end(tx, call, &old).await?,
            Err(Refusal::Ended) => {}
        }
    }
    let id = call.new_id();
    let place = (id, flow.environment);
    let begun = Session::begin(place, identity.clone(), participant, (call.sessions, call.now));
    sessions::insert(tx, &begun.session).await?;
    effects(tx, call, (id, identity.user), &begun.effects).await?;
    Ok(Some(id))
}

/// Ends a session, and with it what its applications have of it.
pub(super) async fn end(
    tx: &mut Tx<'_>,
    call: &Call,
    old: &Versioned<Session>,
) -> Result<(), Fault> {
    match session::apply(old, Event::End, call.sessions, call.now) {
        Ok(step) => commit(tx, call, old, step).await,
        Err(Refusal::Ended | Refusal::OtherUser) => Ok(()),
    }
}

/// The most sessions of a user that one transaction ends.
const PAGE: u16 = 100;

/// Ends sessions of a user, the oldest first, and tells whether there may be more: then this is to be done again, in another
/// transaction. For whatever makes it uncertain that it is still the user who is signed in.
pub(super) async fn end_some_of(
    tx: &mut Tx<'_>,
    call: &Call,
    user: Id<User>,
) -> Result<bool, Fault> {
    let oldest = Range { after: None, limit: PAGE };
    let found = sessions::list_of_user(tx, (call.environment, user), call.now, oldest).await?;
    for session in &found {
        end(tx, call, session).await?;
    }
    Ok(found.len() >= usize::from(PAGE))
}

async fn commit(
    tx: &mut Tx<'_>,
    call: &Call,
    old: &Versioned<Session>,
    step: Step,
) -> Result<(), Fault> {
    if old.is_as_good_as(&step.session, call.sessions) {
        return Ok(());
    }
    sessions::swap(tx, old, &step.session).await?;
    if let session::State::Active { identity, .. } = &old.state {
        effects(tx, call, (old.id, identity.user), &step.effects).await?;
    }
    Ok(())
}

async fn effects(
    tx: &mut Tx<'_>,
    call: &Call,
    (session, user): (Id<Session>, Id<User>),
    effects: &[Effect],
) -> Result<(), Fault> {
    for effect in effects {
        match effect {
            Effect::Audit(action) => {
                call.audit(tx, audit::Event::of(*action, None).about(user)).await?;
            }
            Effect::EndParticipation(participant) => {
                revoke(tx, call, *participant).await?;
                tell(tx, call, participant.application, (session, user)).await?;
            }
        }
    }
    Ok(())
}

/// The application learns that the session has ended, if it wants to (OIDC Back-Channel Logout, section 2.2).
async fn tell(
    tx: &mut Tx<'_>,
    call: &Call,
    application: Id<Application>,
    (session, user): (Id<Session>, Id<User>),
) -> Result<(), StoreError> {
    let known = application::load(tx, call.environment, application).await?;
    if known.is_some_and(|known| known.oidc.backchannel_logout_uri.is_some()) {
        call.send(tx, Content::LogoutToken { application, user, session }).await?;
    }
    Ok(())
}

/// The tokens that the application has of the session no longer count.
async fn revoke(tx: &mut Tx<'_>, call: &Call, participant: Participant) -> Result<(), StoreError> {
    let Some(old) = grants::load(tx, call.environment, participant.grant, call.now).await? else {
        return Ok(());
    };
    let event = grant::Event::Revoke { application: participant.application };
    // What no longer counts need not be revoked.
    let Ok(step) = grant::apply(&old, &event, call.now) else { return Ok(()) };
    grants::swap(tx, &old, &Grant { state: step.state, ..(*old).clone() }).await
}

/// The application of a flow, if it has something of the session that must end with it.
async fn participant(tx: &mut Tx<'_>, flow: &Flow) -> Result<Option<Participant>, StoreError> {
    let id = flow.request.application;
    let application = application::load(tx, flow.environment, id).await?;
    let takes_part = application.is_some_and(|application| {
        application.oidc.backchannel_logout_uri.is_some()
            || application.may(GrantType::RefreshToken)
            // What lies about in browsers ends with the session.
            || flow.request.answers_with_tokens()
    });
    Ok(takes_part.then(|| Participant { application: id, grant: flow.id.cast() }))
}

impl App {
    /// Ends the sessions of a user that [`end_some_of`] has left.
    pub(super) async fn end_sessions(&self, call: &Call, user: Id<User>) -> Result<(), Fault> {
        while self.store.write(EndSessions { call: call.clone(), user }).await? {}
        Ok(())
    }
}

struct EndSessions {
    call: Call,
    user: Id<User>,
}

impl Work for EndSessions {
    type Output = bool;
    type Error = Fault;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        end_some_of(tx, &self.call, self.user).await
    }
}
