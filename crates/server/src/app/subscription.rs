//! Subscriptions: their rules among the things around them, their secrets, and what becomes of their deliveries.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_domain::{
    application::Application,
    audit::{Action, Event, Resource},
    environment::Environment,
    id::Id,
    invalid::{Invalid, Rule},
    population::Population,
    sealed::Sealed,
    subscription::{Delivery, KEPT_SECONDS, Subscription, validate_headers},
};
use countersign_protocol::{secret::Secret, time::Timestamp};
use countersign_store::{
    StoreError, Tx, Versioned, Work,
    configured::{self, Configured},
    subscription,
};

use super::{
    AdministerError, App, Call, Fault, Realm,
    configure::{Administered, Events},
};
use crate::keys::{Place, Purpose};

/// Header fields that go with every call to a receiver.
pub type Headers = BTreeMap<String, Secret<String>>;

/// The most subscriptions of one environment: each of them reads the log.
const MAX_SUBSCRIPTIONS: u32 = 50;

impl Administered for Subscription {
    const EVENTS: Events = Events {
        created: Action::SubscriptionCreated,
        updated: Action::SubscriptionUpdated,
        deleted: Action::SubscriptionDeleted,
    };

    fn resource(&self) -> Resource {
        self.into()
    }

    fn validate(&self) -> Result<(), Invalid> {
        Self::validate(self)
    }

    fn touch(&mut self, now: Timestamp) {
        self.updated_at = now;
    }

    /// What it was of before may have been deleted since, which is no reason to refuse another change.
    async fn settle(&self, old: Option<&Self>, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let unknown = |target| Invalid::new(target, Rule::Unknown);
        for id in &self.filter.applications {
            let is_known = old.is_some_and(|old| old.filter.applications.contains(id));
            if !is_known && !exists::<Application>(tx, self.environment, *id).await? {
                return Err(unknown("filter_options.included_applications").into());
            }
        }
        for id in &self.filter.populations {
            let is_known = old.is_some_and(|old| old.filter.populations.contains(id));
            if !is_known && !exists::<Population>(tx, self.environment, *id).await? {
                return Err(unknown("filter_options.included_populations").into());
            }
        }
        let count = subscription::count::<Self>(tx, self.environment, MAX_SUBSCRIPTIONS).await?;
        if old.is_none() && count >= i64::from(MAX_SUBSCRIPTIONS) {
            let rule = Rule::Form { form: "that of one of at most 50 webhooks of the environment" };
            return Err(Invalid::new("name", rule).into());
        }
        Ok(())
    }
}

async fn exists<T: Configured>(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<T>,
) -> Result<bool, StoreError> {
    Ok(configured::load(tx, environment, id).await?.is_some())
}

const HEADERS: &str = "subscriptions.headers";

const fn place(id: &Id<Subscription>) -> Place<'_> {
    Place { column: HEADERS, row: id.as_bytes() }
}

impl App {
    /// Makes a subscription, with header fields that are sealed.
    pub async fn create_subscription(
        &self,
        mut new: Subscription,
        headers: &Headers,
    ) -> Result<Subscription, AdministerError> {
        new.headers = self.seal_headers(new.id, headers)?;
        self.check_receiver(&new)?;
        self.create(new).await
    }

    /// Replaces a subscription and its header fields.
    pub async fn replace_subscription(
        self: &Arc<Self>,
        environment: Id<Environment>,
        id: Id<Subscription>,
        headers: &Headers,
        edit: impl Fn(Subscription) -> Result<Subscription, AdministerError> + Send + Sync + 'static,
    ) -> Result<Subscription, AdministerError> {
        let sealed = self.seal_headers(id, headers)?;
        let app = Arc::clone(self);
        let edit = move |old| {
            let new = Subscription { headers: sealed.clone(), ..edit(old)? };
            app.check_receiver(&new)?;
            Ok(new)
        };
        self.replace(environment, id, edit).await
    }

    fn seal_headers(
        &self,
        id: Id<Subscription>,
        headers: &Headers,
    ) -> Result<Option<Sealed>, AdministerError> {
        validate_headers(headers)?;
        if headers.is_empty() {
            return Ok(None);
        }
        let plain: BTreeMap<&str, &str> =
            headers.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect();
        let json = serde_json::to_vec(&plain).map(Secret::new);
        let json = json.map_err(|_| Fault::broken("header fields have no JSON"))?;
        Ok(Some(self.vault.seal(place(&id), json.expose(), self.entropy.as_ref())?))
    }

    /// What a name resolves to is looked at with every call.
    fn check_receiver(&self, new: &Subscription) -> Result<(), AdministerError> {
        if self.outbound.allows(&new.url) {
            return Ok(());
        }
        let form = "an https address that is not of a private network";
        Err(Invalid::new("http_endpoint.url", Rule::Form { form }).into())
    }

    /// The header fields of a subscription.
    pub fn open_headers(&self, of: &Subscription) -> Result<Headers, Fault> {
        let Some(sealed) = &of.headers else { return Ok(Headers::new()) };
        let json = self.vault.open(place(&of.id), sealed)?;
        let opened = serde_json::from_slice(json.expose());
        opened.map_err(|_| Fault::broken("header fields have another form"))
    }

    /// What the receiver of a subscription verifies signatures with.
    pub async fn subscription_secret(&self, of: &Subscription) -> Result<Secret<String>, Fault> {
        let realm = self.realm(of.environment).await?;
        let realm = realm.ok_or_else(|| Fault::broken("a subscription without environment"))?;
        let secret = realm.webhook_key(of.id);
        Ok(Secret::new(format!("whsec_{}", STANDARD.encode(secret.expose()))))
    }

    /// How far a subscription was told.
    pub async fn delivery_of(&self, of: &Subscription) -> Result<Delivery, Fault> {
        let known = self.store.read(ReadDelivery { id: of.id }).await?;
        Ok(known.map_or_else(|| Delivery::of(of), Versioned::into_value))
    }

    /// Tells a subscription once more of everything since a time of the last two weeks.
    pub async fn replay_subscription(
        &self,
        environment: Id<Environment>,
        id: Id<Subscription>,
        from: Timestamp,
    ) -> Result<Subscription, AdministerError> {
        let call = self.call(environment, "");
        let oldest = call.now.minus_seconds(KEPT_SECONDS);
        if from < oldest || from > call.now {
            let form = "a time of the last two weeks, such as 2026-01-05T09:00:00Z";
            return Err(Invalid::new("from", Rule::Form { form }).into());
        }
        self.store.write(Replay { call, id, from }).await
    }
}

impl Realm {
    /// The key of the signatures of what a subscription is told. It is the same as long as the subscription lives.
    pub(super) fn webhook_key(&self, id: Id<Subscription>) -> Secret<[u8; 32]> {
        Secret::new(self.keys.mac(Purpose::Webhook, id.as_bytes()))
    }
}

struct ReadDelivery {
    id: Id<Subscription>,
}

impl Work for ReadDelivery {
    type Output = Option<Versioned<Delivery>>;
    type Error = StoreError;
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        subscription::load_delivery(tx, self.id).await
    }
}

struct Replay {
    call: Call,
    id: Id<Subscription>,
    from: Timestamp,
}

impl Work for Replay {
    type Output = Subscription;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Subscription, AdministerError> {
        let Self { call, id, from } = self;
        let found: Option<Versioned<Subscription>> =
            subscription::load(tx, call.environment, *id).await?;
        let found = found.ok_or(AdministerError::NotFound)?.into_value();
        let old = subscription::load_delivery(tx, *id).await?;
        let known = old.as_ref().map_or_else(|| Delivery::of(&found), |old| (**old).clone());
        if !subscription::swap_delivery(tx, old.as_ref(), &known.again_from(*from)).await? {
            return Err(StoreError::Conflict.into());
        }
        let told = Event {
            reason: Some("replayed".to_owned()),
            ..Event::succeeded(Action::SubscriptionUpdated)
        };
        call.audit(tx, told.to(&found)).await?;
        Ok(found)
    }
}
