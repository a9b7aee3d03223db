//! The bank whose server is killed: set up while nobody serves, and opened between two servers.

use std::{path::PathBuf, sync::Arc};

use countersign_domain::{
    application::{Application, GrantType, Kind, Mobile, Oidc, TokenEndpointAuthMethod},
    environment::Environment,
    id::Id,
    lockout::Limit,
    mfa_policy::{
        CodeRules, DEFAULT_PAIRING_KEY_LIFE_SECONDS, DeviceAuthorization, DeviceSelection,
        ExtraVerification, Mobile as MobileMethod, MobileApplication, PushRules,
    },
    push_limit::PushLimitRules,
    sign_on_policy::{ActionKind, NoDevicesMode},
    user::Name,
};
use countersign_protocol::{
    entropy::SystemEntropy, jose::Algorithm, secret::Secret, time::SystemClock,
};
use countersign_server::{
    Parts, PasswordSettings, Settings,
    app::{App, NewApplication, NewMfaPolicy, NewPushCredentials, NewSignOnPolicy, NewUser},
    open,
};
use countersign_store::Settings as StoreSettings;

use super::push_service::PushService;
use crate::{LoadError, bank::REDIRECT_URI, seed::key_encryption_key};

/// The sign-on policy that asks phones by push.
pub(super) const ASKING: &str = "Asking";

/// Everybody's password.
pub(super) const PASSWORD: &str = "a password of everybody";

/// A bank with its data.
#[derive(Clone, Debug)]
pub struct Site {
    /// `sqlite:PATH` or `postgres://...`
    pub database: String,
    /// Where the key-encryption key is.
    pub folder: PathBuf,
    /// Scheme and authority at which it is served.
    pub base_url: String,
    /// The tenant.
    pub environment: Id<Environment>,
    /// Its issuer.
    pub issuer: String,
    /// The native app.
    pub native: String,
    /// The web site.
    pub web: String,
    /// The push service that the server is configured for, if phones are asked.
    pub push: Option<Arc<PushService>>,
}

/// The name of a customer.
pub(super) fn username(number: usize) -> String {
    format!("customer-{number}")
}

impl Site {
    /// Sets up a bank with so many customers, in a folder or database that nobody serves.
    pub async fn set_up(
        database: String,
        folder: PathBuf,
        base_url: String,
        customers: usize,
        push: Option<PushService>,
    ) -> Result<Self, LoadError> {
        let app = open_app(&database, &folder, &base_url).await?;
        let environment = app.create_environment("Crash").await?.id;
        let native = application(&app, environment, Kind::Native).await?;
        let web = application(&app, environment, Kind::SinglePage).await?;
        policy(&app, environment, [native, web], Asks::Nothing).await?;
        if let Some(push) = &push {
            let account = NewPushCredentials::Fcm { service_account: push.account() };
            let put = app.put_push_credentials(environment, native, account).await;
            put.map_err(|error| LoadError::other(error.to_string()))?;
            policy(&app, environment, [native, web], Asks::ByPush).await?;
        }
        for number in 0..customers {
            let name = username(number);
            let new = NewUser {
                email: format!("{name}@bank.example"),
                username: name,
                name: Name::default(),
                population: None,
                password: Some(Secret::new(PASSWORD.to_owned())),
                mfa_enabled: Some(true),
                ..NewUser::default()
            };
            app.create_user(environment, new).await?;
        }
        app.store().close().await;
        let issuer = format!("{base_url}/{environment}/as");
        let (native, web) = (native.to_string(), web.to_string());
        let push = push.map(Arc::new);
        Ok(Self { database, folder, base_url, environment, issuer, native, web, push })
    }

    /// The use cases, while nobody serves.
    pub async fn open(&self) -> Result<Arc<App>, LoadError> {
        open_app(&self.database, &self.folder, &self.base_url).await
    }
}

async fn open_app(
    database: &str,
    folder: &std::path::Path,
    base_url: &str,
) -> Result<Arc<App>, LoadError> {
    let mut settings = Settings::new(base_url);
    // A password check costs what its hash says. Passwords are not what is tested here.
    settings.passwords = PasswordSettings { memory_kib: 64, passes: 1, workers: 2, queue: 256 };
    let parts = Parts {
        store: StoreSettings::new(database),
        key_encryption_key: key_encryption_key(folder)?,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        settings,
    };
    Ok(open(parts).await?)
}

async fn application(
    app: &App,
    environment: Id<Environment>,
    kind: Kind,
) -> Result<Id<Application>, LoadError> {
    let new = NewApplication {
        name: format!("{kind:?}"),
        kind,
        token_endpoint_auth_method: TokenEndpointAuthMethod::None,
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        redirect_uris: vec![REDIRECT_URI.to_owned()],
        id_token_algorithm: Algorithm::Es256,
        oidc: Oidc::default(),
        mobile: (kind == Kind::Native).then(Mobile::default),
    };
    Ok(app.create_application(environment, new).await?.application.id)
}

/// How phones that are paired pass.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// By themselves.
    Nothing,
    /// By an answer to a push.
    ByPush,
}

/// Login, then MFA, which users without a device pass. Flows that wish for no policy run under the first.
async fn policy(
    app: &App,
    environment: Id<Environment>,
    [native, web]: [Id<Application>; 2],
    asks: Asks,
) -> Result<(), LoadError> {
    let (name, priority) = match asks {
        Asks::Nothing => ("Phones", 1),
        Asks::ByPush => (ASKING, 2),
    };
    let push = asks == Asks::ByPush;
    let extra_verification = push.then_some(ExtraVerification::Restrictive);
    // As many without an answer as there can be, since those that a kill leaves have none.
    let limit = PushLimitRules { count: 50, period_seconds: 60, lock_seconds: 60 };
    let rules = MobileApplication {
        application: native,
        passcode_enabled: true,
        device_authorization: Some(DeviceAuthorization { extra_verification }),
        auto_enrollment: true,
        codes: CodeRules::default(),
        pairing_disabled: false,
        pairing_key_life_seconds: DEFAULT_PAIRING_KEY_LIFE_SECONDS,
        push: PushRules { enabled: push, limit, ..PushRules::default() },
    };
    let mfa = NewMfaPolicy {
        name: name.to_owned(),
        mobile: MobileMethod {
            enabled: true,
            passcode_limit: Limit { failures: 7, lock_seconds: 120 },
            applications: vec![rules],
        },
        device_selection: DeviceSelection::DefaultToFirst,
    };
    let mfa_policy = Some(app.create_mfa_policy(environment, mfa).await?.id);
    let no_devices_mode = NoDevicesMode::Bypass;
    let step = ActionKind::MultiFactorAuthentication { mfa_policy, no_devices_mode };
    let steps = vec![ActionKind::Login, step];
    let policy = NewSignOnPolicy { name: name.to_owned(), steps };
    let policy = app.create_sign_on_policy(environment, policy).await?;
    for application in [native, web] {
        app.assign_sign_on_policy(environment, application, policy.id, priority).await?;
    }
    Ok(())
}
