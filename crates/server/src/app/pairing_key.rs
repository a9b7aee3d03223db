//! Pairing keys as their creator sees them: made, read, waited for, withdrawn.

use std::sync::Arc;

use countersign_domain::{
    application::{Application, Kind},
    audit,
    id::Id,
    mfa_policy::MfaPolicy,
    pairing_key::{Event, MAX_KEYS, PairingKey, State, apply},
    user::User,
};
use countersign_protocol::{secret::Secret, time::Timestamp};
use countersign_store::{
    Topic, Tx, Versioned, Work, application, configured::Range, mfa_policy, mfa_settings,
    pairing_key as keys, user, wakes,
};
use tokio::time::Duration;

use super::{App, Call, Fault, Listed, MAX_COUNT, Realm, fault::faults};

/// A key to be made, whoever asks for it: a back end, or the user.
#[derive(Clone, Debug)]
pub struct NewPairingKey {
    /// To whom a phone is to be paired.
    pub user: Id<User>,
    /// The native applications whose phones may be; none: all that the policy lets be paired.
    pub applications: Vec<Id<Application>>,
    /// The MFA policy that must allow it; none: the default one of the environment.
    pub mfa_policy: Option<Id<MfaPolicy>>,
    /// Whether it counts only as long as the user has no device.
    pub first_only: bool,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// A key as it stands.
#[derive(Clone, Debug)]
pub struct PairingKeyView {
    /// The key.
    pub key: PairingKey,
    /// Its characters, which are also what a QR code of it holds.
    pub characters: Secret<String>,
}

/// Why a key was not made, or is not shown.
#[derive(Debug, thiserror::Error)]
pub enum PairingKeyError {
    /// The user has none of this id, or it is forgotten.
    #[error("the user has no pairing key of this id, or it has expired long ago")]
    NotFound,
    /// Nobody to be paired to.
    #[error("there is no user of this id")]
    UnknownUser,
    /// Nothing that could allow it.
    #[error("policy.id must be an MFA policy of this environment")]
    UnknownPolicy,
    /// Its phones cannot be paired.
    #[error(
        "applications[{place}].id must be a native application of this environment, with a mobile section, that the MFA policy \
         lets be paired"
    )]
    Application {
        /// Which of those that were asked for, from 0.
        place: usize,
    },
    /// None was asked for, and there is none.
    #[error("the MFA policy lets no application be paired")]
    NoApplication,
    /// The user has enough of them.
    #[error("the user has {MAX_KEYS} pairing keys that can be used, and may have no more")]
    TooMany,
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(PairingKeyError);

impl App {
    /// Makes a key. Who asks for it must be known to be allowed to.
    pub async fn create_pairing_key(
        &self,
        realm: &Arc<Realm>,
        new: NewPairingKey,
    ) -> Result<PairingKeyView, PairingKeyError> {
        let call = self.call(realm.environment, &new.correlation);
        let create = || Create {
            realm: Arc::clone(realm),
            call: call.clone(),
            id: call.new_id(),
            new: new.clone(),
        };
        self.write_drawn(create, |error| matches!(error, PairingKeyError::Fault(Fault::Busy(_))))
            .await
    }

    /// The keys of a user that are not forgotten, the oldest first.
    pub async fn list_pairing_keys(
        &self,
        realm: &Arc<Realm>,
        user: Id<User>,
        range: Range<PairingKey>,
    ) -> Result<Listed<PairingKeyView>, PairingKeyError> {
        let (realm, now) = (Arc::clone(realm), self.now());
        self.store.read(List { realm, user, range, now }).await
    }

    /// Reads a key of a user.
    pub async fn read_pairing_key(
        &self,
        realm: &Arc<Realm>,
        (user, id): (Id<User>, Id<PairingKey>),
    ) -> Result<PairingKeyView, PairingKeyError> {
        let now = self.now();
        self.store.read(Read { realm: Arc::clone(realm), user, id, now }).await
    }

    /// Reads a key of a user once it is no longer as it is now, though at the latest after this long, and at once if it has
    /// come to its end.
    pub async fn await_pairing_key(
        &self,
        realm: &Arc<Realm>,
        (user, id): (Id<User>, Id<PairingKey>),
        most: Duration,
    ) -> Result<PairingKeyView, PairingKeyError> {
        let mut first = None;
        let look = || self.read_pairing_key(realm, (user, id));
        self.await_change((key_topic(id), most), look, |view| {
            let is_same = *first.get_or_insert_with(|| view.key.state.clone()) == view.key.state;
            (is_same && view.key.is_open()).then(|| view.key.expires_at())
        })
        .await
    }

    /// Withdraws a key of a user. A phone that was paired by it stays so.
    pub async fn delete_pairing_key(
        &self,
        realm: &Arc<Realm>,
        (user, id): (Id<User>, Id<PairingKey>),
        correlation: &str,
    ) -> Result<(), PairingKeyError> {
        let call = self.call(realm.environment, correlation);
        self.store.write(Delete { call, user, id }).await
    }
}

/// What those wait for who wait for a key.
pub(super) fn key_topic(id: Id<PairingKey>) -> Topic {
    Topic::new(*id.as_bytes())
}

/// Makes one key. Another transaction may ask for it after it has looked who asks.
pub(super) struct Create {
    pub realm: Arc<Realm>,
    pub call: Call,
    pub id: Id<PairingKey>,
    pub new: NewPairingKey,
}

impl Work for Create {
    type Output = PairingKeyView;
    type Error = PairingKeyError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<PairingKeyView, PairingKeyError> {
        let Self { realm, call, id, new } = self;
        let user = user::load(tx, call.environment, new.user).await?;
        let user = user.ok_or(PairingKeyError::UnknownUser)?;
        let policy = match new.mfa_policy {
            Some(id) => mfa_policy::load(tx, call.environment, id).await?,
            None => mfa_policy::load_default(tx, call.environment).await?,
        };
        let policy = policy.ok_or(PairingKeyError::UnknownPolicy)?;
        let Applications { ids, life_seconds } = self.applications(tx, &policy).await?;
        // Two that take the last place at once meet at the user's row: one of them counts again.
        user::swap(tx, &user, &user).await?;
        if keys::count_valid(tx, user.id, call.now).await? >= i64::from(MAX_KEYS) {
            return Err(PairingKeyError::TooMany);
        }
        let settings = mfa_settings::load(tx, call.environment).await?;
        let key = PairingKey {
            id: *id,
            environment: call.environment,
            user: user.id,
            applications: ids,
            mfa_policy: policy.id,
            format: settings.pairing_key_format,
            first_only: new.first_only,
            life_seconds,
            created_at: call.now,
            updated_at: call.now,
            state: State::Unclaimed { refused: None },
        };
        let hash = realm.pairing_key_hash(&realm.pairing_key(&key));
        keys::insert(tx, &key, &hash).await?;
        let event = audit::Event::succeeded(audit::Action::PairingKeyCreated);
        call.audit(tx, event.about(&*user)).await?;
        Ok(view(realm, key, call.now))
    }
}

/// Whose phones may be paired by a key, and for how long.
struct Applications {
    ids: Vec<Id<Application>>,
    /// Where they differ, the shortest.
    life_seconds: u32,
}

impl Create {
    async fn applications(
        &self,
        tx: &mut Tx<'_>,
        policy: &MfaPolicy,
    ) -> Result<Applications, PairingKeyError> {
        let wanted = &self.new.applications;
        let listed = policy.mobile.applications.iter().map(|rules| rules.application);
        let candidates = if wanted.is_empty() { listed.collect() } else { wanted.clone() };
        let mut found = Applications { ids: Vec::new(), life_seconds: u32::MAX };
        for (place, id) in candidates.into_iter().enumerate() {
            let rules = policy.application(id).filter(|rules| !rules.pairing_disabled);
            let application = match rules {
                Some(_) => application::load(tx, self.call.environment, id).await?,
                None => None,
            };
            match rules.filter(|_| application.is_some_and(|found| is_pairable(&found))) {
                Some(_) if found.ids.contains(&id) => {}
                Some(rules) => {
                    found.ids.push(id);
                    found.life_seconds = found.life_seconds.min(rules.pairing_key_life_seconds);
                }
                None if wanted.is_empty() => {}
                None => return Err(PairingKeyError::Application { place }),
            }
        }
        if found.ids.is_empty() { Err(PairingKeyError::NoApplication) } else { Ok(found) }
    }
}

fn is_pairable(application: &Application) -> bool {
    application.enabled && application.kind == Kind::Native && application.mobile.is_some()
}

struct List {
    realm: Arc<Realm>,
    user: Id<User>,
    range: Range<PairingKey>,
    now: Timestamp,
}

impl Work for List {
    type Output = Listed<PairingKeyView>;
    type Error = PairingKeyError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, PairingKeyError> {
        let Self { realm, user, range, now } = self;
        let of = (realm.environment, *user);
        user::load(tx, realm.environment, *user).await?.ok_or(PairingKeyError::UnknownUser)?;
        let limit = range.limit.saturating_add(1);
        let found = keys::list_of_user(tx, of, *now, Range { limit, ..*range }).await?;
        let total = keys::count_of_user(tx, of, *now, MAX_COUNT).await?;
        let is_cut = found.len() > usize::from(range.limit);
        let shown = found.into_iter().take(range.limit.into());
        let items: Vec<_> = shown.map(|key| view(realm, key.into_value(), *now)).collect();
        let next = items.last().filter(|_| is_cut).map(|last| last.key.id.cast());
        Ok(Listed { items, next, total })
    }
}

struct Read {
    realm: Arc<Realm>,
    user: Id<User>,
    id: Id<PairingKey>,
    now: Timestamp,
}

impl Work for Read {
    type Output = PairingKeyView;
    type Error = PairingKeyError;
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<PairingKeyView, PairingKeyError> {
        let key = keys::load(tx, self.realm.environment, self.id, self.now).await?;
        let key = key.filter(|key| key.user == self.user).ok_or(PairingKeyError::NotFound)?;
        Ok(view(&self.realm, key.into_value(), self.now))
    }
}

fn view(realm: &Realm, mut key: PairingKey, now: Timestamp) -> PairingKeyView {
    if let Ok(step) = apply(&key, &Event::Tick, now) {
        key.state = step.state;
    }
    let characters = Secret::new(realm.pairing_key(&key).expose().to_owned());
    PairingKeyView { key, characters }
}

struct Delete {
    call: Call,
    user: Id<User>,
    id: Id<PairingKey>,
}

impl Work for Delete {
    type Output = ();
    type Error = PairingKeyError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), PairingKeyError> {
        let call = &self.call;
        let old = keys::load(tx, call.environment, self.id, call.now).await?;
        let is_own = |key: &Versioned<PairingKey>| key.user == self.user;
        let old = old.filter(is_own).ok_or(PairingKeyError::NotFound)?;
        keys::delete(tx, &old).await?;
        wakes::wake(tx, key_topic(old.id), call.now).await?;
        let event = audit::Event::succeeded(audit::Action::PairingKeyDeleted);
        Ok(call.audit(tx, event.about(old.user)).await?)
    }
}
