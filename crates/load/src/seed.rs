//! Sets up a tenant with very many users: the policies through the use cases, the rows in bulk through the store.

mod keys;
mod rows;

use std::{path::Path, sync::Arc};

use countersign_domain::{
    application::{Application, GrantType, Kind, Mobile, Oidc, TokenEndpointAuthMethod},
    environment::Environment,
    id::Id,
    lockout::Limit,
    mfa_policy::{
        CodeRules, DEFAULT_PAIRING_KEY_LIFE_SECONDS, DeviceAuthorization, DeviceSelection,
        ExtraVerification, Mobile as MobileMethod, MobileApplication, PushRules,
    },
    sign_on_policy::{ActionKind, NoDevicesMode},
    user::Name,
};
use countersign_protocol::{
    entropy::SystemEntropy, jose::Algorithm, secret::Secret, time::SystemClock,
};
use countersign_server::{
    Parts, Settings,
    app::{App, NewApplication, NewMfaPolicy, NewSignOnPolicy, NewUser},
    open,
};
use countersign_store::Settings as StoreSettings;

use crate::{
    LoadError,
    bank::{Bank, PASSWORD, PEOPLE, REDIRECT_URI, person},
};

pub use keys::key_encryption_key;

/// What to set up.
#[derive(Clone, Debug)]
pub struct Plan {
    /// `sqlite:PATH` or `postgres://...`, which nobody serves meanwhile.
    pub database: String,
    /// Scheme and authority at which it will be served.
    pub base_url: String,
    /// How many users, with two devices each.
    pub users: u64,
    /// How many of them have phones that can be driven.
    pub driven: u64,
    /// Whether the phones are asked: silently where they sign in themselves, else visibly. The platform itself wakes them.
    pub push: bool,
}

/// Sets it up, with the key-encryption key that `folder` holds.
pub async fn seed(plan: &Plan, folder: &Path) -> Result<Bank, LoadError> {
    let app = open(Parts {
        store: StoreSettings::new(plan.database.clone()),
        key_encryption_key: key_encryption_key(folder)?,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        settings: Settings::new(plan.base_url.clone()),
    })
    .await?;
    let environment = app.create_environment("Load").await?.id;
    let es256 = application(&app, environment, Algorithm::Es256).await?;
    let rs256 = application(&app, environment, Algorithm::Rs256).await?;
    let site = site(&app, environment).await?;
    let (worker, worker_secret) = worker(&app, environment).await?;
    device_first_policy(&app, environment, [es256, rs256], plan.push).await?;
    let bank = Bank {
        environment: environment.to_string(),
        issuer: format!("{}/{environment}/as", plan.base_url),
        es256: es256.to_string(),
        rs256: rs256.to_string(),
        site,
        worker,
        worker_secret,
        users: plan.users,
        driven: plan.driven.min(plan.users),
    };
    rows::seed(&app, environment, [es256, rs256], (&bank, plan.push)).await?;
    app.store().close().await;
    Ok(bank)
}

async fn application(
    app: &App,
    environment: Id<Environment>,
    algorithm: Algorithm,
) -> Result<Id<Application>, LoadError> {
    let new = NewApplication {
        name: format!("Bank app ({})", algorithm.name()),
        kind: Kind::Native,
        token_endpoint_auth_method: TokenEndpointAuthMethod::None,
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        redirect_uris: vec![REDIRECT_URI.to_owned()],
        id_token_algorithm: algorithm,
        oidc: Oidc::default(),
        mobile: Some(Mobile::default()),
    };
    Ok(app.create_application(environment, new).await?.application.id)
}

/// An application without a policy of its own, so that a password is enough, and users who have one.
async fn site(app: &App, environment: Id<Environment>) -> Result<String, LoadError> {
    let new = NewApplication {
        name: "Web site".to_owned(),
        kind: Kind::SinglePage,
        token_endpoint_auth_method: TokenEndpointAuthMethod::None,
        grant_types: vec![GrantType::AuthorizationCode],
        redirect_uris: vec![REDIRECT_URI.to_owned()],
        id_token_algorithm: Algorithm::Es256,
        oidc: Oidc::default(),
        mobile: None,
    };
    for number in 0..PEOPLE {
        let username = person(number);
        let user = NewUser {
            email: format!("{username}@bank.example"),
            username,
            name: Name::default(),
            population: None,
            password: Some(Secret::new(PASSWORD.to_owned())),
            mfa_enabled: Some(false),
            ..NewUser::default()
        };
        app.create_user(environment, user).await?;
    }
    Ok(app.create_application(environment, new).await?.application.id.to_string())
}

/// An application that acts for itself, and its secret.
async fn worker(app: &App, environment: Id<Environment>) -> Result<(String, String), LoadError> {
    let new = NewApplication {
        name: "Worker".to_owned(),
        kind: Kind::Worker,
        token_endpoint_auth_method: TokenEndpointAuthMethod::ClientSecretPost,
        grant_types: vec![GrantType::ClientCredentials],
        redirect_uris: Vec::new(),
        id_token_algorithm: Algorithm::Es256,
        oidc: Oidc::default(),
        mobile: None,
    };
    let created = app.create_application(environment, new).await?;
    let secret = created.secret.ok_or_else(|| LoadError::other("the worker has no secret"))?;
    Ok((created.application.id.to_string(), secret.expose().clone()))
}

/// How long somebody has to answer: the longest that there is, since nobody here is slow, but very many are asked at once.
const ANSWER_SECONDS: u16 = 150;

/// One MFA step and nothing before it: a paired phone with a `login_hint` passes by itself.
async fn device_first_policy(
    app: &App,
    environment: Id<Environment>,
    applications: [Id<Application>; 2],
    push: bool,
) -> Result<(), LoadError> {
    let extra_verification = push.then_some(ExtraVerification::Restrictive);
    // Of a user's two devices the first is asked, so that only one may count.
    let counting = applications.iter().copied().take(if push { 1 } else { 2 });
    let rules = counting.map(|application| MobileApplication {
        application,
        passcode_enabled: true,
        device_authorization: Some(DeviceAuthorization { extra_verification }),
        auto_enrollment: true,
        codes: CodeRules::default(),
        pairing_disabled: false,
        pairing_key_life_seconds: DEFAULT_PAIRING_KEY_LIFE_SECONDS,
        push: PushRules { enabled: push, timeout_seconds: ANSWER_SECONDS, ..PushRules::default() },
    });
    let mfa = NewMfaPolicy {
        name: "Paired phones pass".to_owned(),
        mobile: MobileMethod {
            enabled: true,
            passcode_limit: Limit { failures: 3, lock_seconds: 120 },
            applications: rules.collect(),
        },
        device_selection: DeviceSelection::DefaultToFirst,
    };
    let mfa_policy = Some(app.create_mfa_policy(environment, mfa).await?.id);
    let no_devices_mode = NoDevicesMode::Block;
    let step = ActionKind::MultiFactorAuthentication { mfa_policy, no_devices_mode };
    let policy = NewSignOnPolicy { name: "Device_First".to_owned(), steps: vec![step] };
    let policy = app.create_sign_on_policy(environment, policy).await?;
    for application in applications {
        app.assign_sign_on_policy(environment, application, policy.id, 1).await?;
    }
    Ok(())
}
