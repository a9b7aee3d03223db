//! Users and devices in bulk: a thousand users a transaction.

use countersign_domain::{
    application::Application,
    device::{AddressState, Device, State},
    environment::Environment,
    id::Id,
    installation::Installation,
    lockout::Lockout,
    population::Population,
    sealed::Sealed,
    user::{Name, Profile, User},
};
use countersign_protocol::{
    entropy::{SystemEntropy, random},
    jwk::Thumbprint,
    mobile_payload::Platform,
    time::Timestamp,
};
use countersign_server::app::App;
use countersign_store::{StoreError, Tx, Versioned, Work, device, population, user};

use crate::{
    LoadError,
    bank::{Bank, username},
    phone::Phone,
};

/// Users of one transaction: enough that the commit does not count, few enough that the log stays small.
const CHUNK: u64 = 1_000;

/// Bytes of a sealed passcode seed: nonce, 20 bytes, tag. Nobody opens these.
const SEALED_BYTES: usize = 12 + 20 + 16;

/// Writes all users of a bank and two devices of each.
pub(super) async fn seed(
    app: &App,
    environment: Id<Environment>,
    applications: [Id<Application>; 2],
    (bank, push): (&Bank, bool),
) -> Result<(), LoadError> {
    let population = app.store().read(DefaultPopulation(environment)).await?;
    let population = population.ok_or_else(|| LoadError::other("there is no population"))?;
    let stranger = Phone::of(u64::MAX, "")?;
    let mut driven = bank.driven_users().peekable();
    let now = app.now();
    let maker = Maker { environment, population, applications, stranger, push, now };
    let mut first = 0;
    while first < bank.users {
        let end = bank.users.min(first + CHUNK);
        let mut chunk = Chunk::default();
        for number in first..end {
            let is_driven = driven.next_if_eq(&number).is_some();
            maker.add(number, is_driven, &mut chunk)?;
        }
        app.store().write(chunk).await?;
        first = end;
    }
    Ok(())
}

struct DefaultPopulation(Id<Environment>);

impl Work for DefaultPopulation {
    type Output = Option<Id<Population>>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        let population = population::load_default(tx, self.0).await?;
        Ok(population.map(|population: Versioned<Population>| population.id))
    }
}

#[derive(Default)]
struct Chunk {
    users: Vec<User>,
    devices: Vec<Device>,
}

impl Work for Chunk {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        for user in &self.users {
            user::insert(tx, user).await?;
        }
        for device in &self.devices {
            device::insert(tx, device).await?;
        }
        Ok(())
    }
}

struct Maker {
    environment: Id<Environment>,
    population: Id<Population>,
    applications: [Id<Application>; 2],
    stranger: Phone,
    push: bool,
    now: Timestamp,
}

impl Maker {
    fn add(&self, number: u64, is_driven: bool, chunk: &mut Chunk) -> Result<(), LoadError> {
        let now = self.now;
        let user = User {
            id: Id::new(now, &SystemEntropy),
            environment: self.environment,
            population: self.population,
            username: username(number),
            email: format!("{}@bank.example", username(number)),
            name: Name {
                given: Some("Ann".to_owned()),
                family: Some(format!("Lee {number}")),
                ..Name::default()
            },
            enabled: true,
            mfa_enabled: true,
            mfa_lockout: Lockout::cleared(),
            profile: Profile::default(),
            locked_at: None,
            created_at: now,
            updated_at: now,
        };
        for application in self.applications {
            let driven = is_driven.then(|| self.driven(number, application)).transpose()?;
            chunk.devices.push(Device {
                id: Id::new(now, &SystemEntropy),
                environment: self.environment,
                user: user.id,
                installation: self.installation(driven.as_ref(), application),
                verification: driven.as_ref().filter(|_| self.push).map(Phone::verification),
                address: AddressState::Live,
                contact_at: None,
                nickname: None,
                seed: Sealed::new(vec![7; SEALED_BYTES]),
                passcode_step_seconds: 30,
                place: None,
                logs: None,
                updated_at: None,
                created_at: now,
                state: State::paired(0),
            });
        }
        chunk.users.push(user);
        Ok(())
    }

    fn driven(&self, number: u64, application: Id<Application>) -> Result<Phone, LoadError> {
        let phone = Phone::of(number, &application.to_string())?;
        Ok(if self.push { phone.listening() } else { phone })
    }

    /// A key costs as much as fifty rows, so phones that nobody drives share one, under names that differ.
    fn installation(&self, driven: Option<&Phone>, application: Id<Application>) -> Installation {
        let body = driven.unwrap_or(&self.stranger).body();
        let thumbprint =
            driven.map_or_else(|| Thumbprint::from_bytes(random(&SystemEntropy)), Phone::name);
        Installation {
            thumbprint,
            key: body.cnf.jwk,
            application,
            platform: Platform::Android,
            package: body.app.package.clone(),
            version: body.app.version.clone(),
            device: body.dev.clone(),
            push: body.push.clone(),
        }
    }
}
