//! A thousand people whose phones were paired long ago, to see what a storm of answers does to them.

use std::{sync::Arc, time::Duration};

use countersign_domain::{
    application::{Application, NumberMatchingKind},
    device::{AddressState, Device, State},
    environment::Environment,
    id::Id,
    installation::Installation,
    lockout::{Limit, Lockout},
    mfa_policy::{
        CodeRules, DEFAULT_PAIRING_KEY_LIFE_SECONDS, DeviceAuthorization, DeviceSelection,
        ExtraVerification, Mobile, MobileApplication, PushRules,
    },
    population::Population,
    sealed::Sealed,
    sign_on_policy::NoDevicesMode,
    user::{Name, Profile, User},
};
use countersign_emulator::payload;
use countersign_protocol::{
    entropy::SystemEntropy,
    mobile_payload::{AppFacts, MobilePayload, PushAddress, PushService},
    private_key::EcPrivateKey,
    proof::{Jti, Unsigned},
};
use countersign_server::app::{App, NewMfaPolicy, NewSignOnPolicy};
use countersign_store::{StoreError, Tx, Versioned, Work, device, population, user};
use tokio::task::JoinSet;

use super::stage::{AppSession, SignOn, Stage};
use crate::{
    Broken,
    setup::{self, BUNDLE_ID, NATIVE_REDIRECT_URI},
};

/// How many there are.
pub const PHONES: usize = 1_000;
/// Of ten phones, so many have a token that FCM says is nobody's.
const DEAD_OF_TEN: usize = 3;
/// Sign-ons at once from one address that no limit holds, with room to spare.
const BATCH: usize = 250;
/// Apps that sign on at the same time.
const APPS: usize = 8;
/// How often an app asks a platform that is busy, and the time between two.
const MAX_TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(200);

/// They and their bank, which asks for no password where a phone vouches.
pub struct Crowd {
    pub environment: Id<Environment>,
    pub native: Application,
    phones: Vec<Arc<CrowdPhone>>,
}

/// A phone reduced to what a sign-on needs of it.
pub struct CrowdPhone {
    /// Whether FCM says that its token is nobody's. It is wrong.
    pub is_dead: bool,
    username: String,
    key: EcPrivateKey,
    body: MobilePayload,
}

impl Crowd {
    /// Sets them up.
    pub async fn gather(stage: &Stage) -> Result<Self, Broken> {
        let app = stage.platform.app();
        let name = format!("Storm in {}", stage.bank.environment.name);
        let environment = app.create_environment(&name).await?.id;
        let kind = NumberMatchingKind::SelectNumber;
        let native = setup::native(app, environment, ("Bank app", BUNDLE_ID), kind).await?;
        stage.services.give(app, environment, native.id).await?;
        vouch_by_silent_push(app, &native).await?;
        let mut phones = Vec::with_capacity(PHONES);
        for number in 0..PHONES {
            let phone = CrowdPhone::new(stage, &native, number)?;
            phones.push(Arc::new(phone));
        }
        let population = app.store().read(DefaultPopulation(environment)).await?;
        let population = population.ok_or_else(|| Broken::new("there is no population"))?;
        let (app, shared) = (Arc::clone(app), phones.clone());
        let settle = Settle { app, phones: shared, environment, population };
        stage.platform.app().store().write(settle).await?;
        Ok(Self { environment, native, phones })
    }

    /// All of them, some at a time.
    pub fn batches(&self) -> impl Iterator<Item = &[Arc<CrowdPhone>]> {
        self.phones.chunks(BATCH)
    }

    /// Each signs in on the own phone, for which a silent push is sent.
    pub async fn sign_in(&self, stage: &Stage, phones: &[Arc<CrowdPhone>]) -> Result<(), Broken> {
        let issuer = format!("{}/{}/as", stage.platform.base_url(), self.environment);
        let mut apps = JoinSet::new();
        for share in phones.chunks(phones.len().div_ceil(APPS)) {
            let session = AppSession::new(&issuer, &self.native, NATIVE_REDIRECT_URI)?;
            let (share, issuer, app) =
                (share.to_vec(), issuer.clone(), Arc::clone(stage.platform.app()));
            apps.spawn(async move {
                for phone in share {
                    phone.sign_in(&session, &issuer, &app).await?;
                }
                Ok::<_, Broken>(())
            });
        }
        while let Some(ended) = apps.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// A sign-on passes when the phone has answered a silent push, and in no other way.
async fn vouch_by_silent_push(app: &App, native: &Application) -> Result<(), Broken> {
    let extra_verification = Some(ExtraVerification::Restrictive);
    let rules = MobileApplication {
        application: native.id,
        passcode_enabled: false,
        device_authorization: Some(DeviceAuthorization { extra_verification }),
        auto_enrollment: false,
        codes: CodeRules::default(),
        pairing_disabled: false,
        pairing_key_life_seconds: DEFAULT_PAIRING_KEY_LIFE_SECONDS,
        push: PushRules::default(),
    };
    let policy = NewMfaPolicy {
        name: "Silent push".to_owned(),
        mobile: Mobile {
            enabled: true,
            passcode_limit: Limit { failures: 3, lock_seconds: 120 },
            applications: vec![rules],
        },
        device_selection: DeviceSelection::DefaultToFirst,
    };
    let policy = app.create_mfa_policy(native.environment, policy).await?;
    let steps = vec![setup::mfa(&policy, NoDevicesMode::Block)];
    let policy = NewSignOnPolicy { name: "Phone_First".to_owned(), steps };
    let policy = app.create_sign_on_policy(native.environment, policy).await?;
    app.assign_sign_on_policy(native.environment, native.id, policy.id, 1).await?;
    Ok(())
}

impl CrowdPhone {
    fn new(stage: &Stage, native: &Application, number: usize) -> Result<Self, Broken> {
        let token = stage.services.install(PushService::Fcm)?;
        let is_dead = number % 10 < DEAD_OF_TEN;
        if is_dead {
            stage.services.fcm.installations().uninstall(&token)?;
        }
        let key = EcPrivateKey::generate(&SystemEntropy);
        let push = PushAddress {
            service: PushService::Fcm,
            address: token,
            environment: None,
            enabled: true,
        };
        let body = payload(key.public(), (&native.id.to_string(), BUNDLE_ID), Some(push));
        Ok(Self { is_dead, username: format!("person{number}"), key, body })
    }

    async fn sign_in(&self, session: &AppSession, issuer: &str, app: &App) -> Result<(), Broken> {
        for _ in 0..MAX_TRIES {
            let payload = self.payload(issuer, app);
            let members = [("login_hint", self.username.clone()), ("mobilePayload", payload)];
            match session.begin_with(members).await? {
                SignOn::Busy => tokio::time::sleep(PAUSE).await,
                SignOn::Waiting { status, .. } if status == "PUSH_CONFIRMATION_REQUIRED" => {
                    return Ok(());
                }
                // The push was answered before the flow was shown, and who has no device is refused.
                SignOn::Refused { .. } if self.is_dead => return Ok(()),
                other => {
                    let why = format!("{} is not asked by push: {other:?}", self.username);
                    return Err(Broken::new(why));
                }
            }
        }
        Err(Broken::new("the platform is too busy for a crowd"))
    }

    fn payload(&self, issuer: &str, app: &App) -> String {
        let (name, jti) = (self.body.cnf.jwk.thumbprint(), Jti::new(&SystemEntropy));
        let unsigned = Unsigned::new(name, issuer, self.body.clone(), app.now(), jti);
        unsigned.signed(&self.key.sign(unsigned.signing_input().as_bytes()))
    }
}

struct DefaultPopulation(Id<Environment>);

impl Work for DefaultPopulation {
    type Output = Option<Id<Population>>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        let found = population::load_default(tx, self.0).await?;
        Ok(found.map(|population: Versioned<Population>| population.id))
    }
}

/// Writes them down as if they had been paired one by one.
struct Settle {
    app: Arc<App>,
    phones: Vec<Arc<CrowdPhone>>,
    environment: Id<Environment>,
    population: Id<Population>,
}

impl Work for Settle {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        tx.needs_no_audit("the tour stands in for a thousand people");
        let now = self.app.now();
        for phone in &self.phones {
            let username = phone.username.clone();
            let user = User {
                id: self.app.new_id(),
                environment: self.environment,
                population: self.population,
                email: format!("{username}@bank.example"),
                username,
                name: Name::default(),
                enabled: true,
                mfa_enabled: true,
                mfa_lockout: Lockout::cleared(),
                profile: Profile::default(),
                locked_at: None,
                created_at: now,
                updated_at: now,
            };
            user::insert(tx, &user).await?;
            device::insert(tx, &phone.device(&self.app, &user)).await?;
        }
        Ok(())
    }
}

impl CrowdPhone {
    fn device(&self, app: &App, user: &User) -> Device {
        let AppFacts { package, version, platform, .. } = self.body.app.clone();
        let installation = Installation {
            thumbprint: self.body.cnf.jwk.thumbprint(),
            key: self.body.cnf.jwk,
            application: self.body.app.id.parse().unwrap_or_else(|_| app.new_id()),
            platform,
            package,
            version,
            device: self.body.dev.clone(),
            push: self.body.push.clone(),
        };
        Device {
            id: app.new_id(),
            environment: user.environment,
            user: user.id,
            installation,
            verification: None,
            address: AddressState::Live,
            contact_at: None,
            nickname: None,
            // Nobody asks these phones for a passcode.
            seed: Sealed::new(Vec::new()),
            passcode_step_seconds: 30,
            place: None,
            logs: None,
            updated_at: None,
            created_at: user.created_at,
            state: State::paired(0),
        }
    }
}
