//! What an administrator sets up before the first user signs in, through the use cases that the HTTP API calls.

use countersign_domain::{
    account,
    application::{
        Application, GrantType, Kind, Mobile, NumberMatchingKind, Oidc, TokenEndpointAuthMethod,
    },
    environment::Environment,
    id::Id,
    lockout::Limit,
    mfa_policy::{
        CodeRules, DEFAULT_PAIRING_KEY_LIFE_SECONDS, DeviceAuthorization, DeviceSelection,
        MfaPolicy, Mobile as MobileMethod, MobileApplication, PushRules,
    },
    sign_on_policy::{ActionKind, NoDevicesMode, SignOnPolicy},
    user::{Name, User},
};
use countersign_protocol::{jose::Algorithm, secret::Secret};
use countersign_server::app::{App, NewApplication, NewMfaPolicy, NewSignOnPolicy, NewUser};

use crate::Broken;

/// Where the native app is sent back to.
pub const NATIVE_REDIRECT_URI: &str = "org.countersign.bank:/callback";
/// Where the web site is sent back to.
pub const WEB_REDIRECT_URI: &str = "https://bank.example/callback";
/// What Apple calls the native app, and Google too.
pub const BUNDLE_ID: &str = "org.countersign.bank";
/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery staple";

/// Ids of what was set up.
pub struct Bank {
    /// The tenant.
    pub environment: Environment,
    /// The customer's app, which becomes the authenticator.
    pub native: Application,
    /// The customer's web site.
    pub web: Application,
    /// Automatic enrolment and device authorization on.
    pub mfa_policy: MfaPolicy,
    /// Login, then MFA, with bypass for users without a device.
    pub sign_on_policy: SignOnPolicy,
}

/// Sets up an environment of this name.
pub async fn bank(app: &App, name: &str) -> Result<Bank, Broken> {
    let environment = app.create_environment(name).await?;
    let id = environment.id;
    let kind = NumberMatchingKind::SelectNumber;
    let native = native(app, id, ("Bank app", BUNDLE_ID), kind).await?;
    let web = app
        .create_application(
            id,
            NewApplication {
                name: "Bank web site".to_owned(),
                kind: Kind::SinglePage,
                token_endpoint_auth_method: TokenEndpointAuthMethod::None,
                grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
                redirect_uris: vec![WEB_REDIRECT_URI.to_owned()],
                id_token_algorithm: Algorithm::Es256,
                oidc: Oidc { phone_sign_on: Some(native.id), ..Oidc::default() },
                mobile: None,
            },
        )
        .await?
        .application;
    let mfa_policy = app.create_mfa_policy(id, trusting(native.id)).await?;
    let steps = vec![ActionKind::Login, mfa(&mfa_policy, NoDevicesMode::Bypass)];
    let policy = NewSignOnPolicy { name: "Trusted_Phone".to_owned(), steps };
    let sign_on_policy = app.create_sign_on_policy(id, policy).await?;
    for application in [native.id, web.id, account::application(id)] {
        app.assign_sign_on_policy(id, application, sign_on_policy.id, 1).await?;
    }
    Ok(Bank { environment, native, web, mfa_policy, sign_on_policy })
}

/// Sets up a native app of this name and bundle id, which is its package name too.
pub async fn native(
    app: &App,
    environment: Id<Environment>,
    (name, bundle_id): (&str, &str),
    number_matching: NumberMatchingKind,
) -> Result<Application, Broken> {
    let new = NewApplication {
        name: name.to_owned(),
        kind: Kind::Native,
        token_endpoint_auth_method: TokenEndpointAuthMethod::None,
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        redirect_uris: vec![NATIVE_REDIRECT_URI.to_owned()],
        id_token_algorithm: Algorithm::Rs256,
        oidc: Oidc::default(),
        mobile: Some(Mobile {
            package_name: Some(bundle_id.to_owned()),
            bundle_id: Some(bundle_id.to_owned()),
            uri_prefix: Some(format!("{bundle_id}:")),
            number_matching,
            ..Mobile::default()
        }),
    };
    Ok(app.create_application(environment, new).await?.application)
}

/// An MFA step under this policy.
pub const fn mfa(policy: &MfaPolicy, no_devices_mode: NoDevicesMode) -> ActionKind {
    ActionKind::MultiFactorAuthentication { mfa_policy: Some(policy.id), no_devices_mode }
}

/// A policy under which the app enrols by itself and vouches by itself.
fn trusting(application: Id<Application>) -> NewMfaPolicy {
    let application = MobileApplication {
        application,
        passcode_enabled: true,
        device_authorization: Some(DeviceAuthorization { extra_verification: None }),
        auto_enrollment: true,
        codes: CodeRules::default(),
        pairing_disabled: false,
        pairing_key_life_seconds: DEFAULT_PAIRING_KEY_LIFE_SECONDS,
        push: PushRules::default(),
    };
    NewMfaPolicy {
        name: "Bank MFA".to_owned(),
        mobile: MobileMethod {
            enabled: true,
            passcode_limit: Limit { failures: 3, lock_seconds: 120 },
            applications: vec![application],
        },
        device_selection: DeviceSelection::DefaultToFirst,
    }
}

/// Makes a user with the password of everybody.
pub async fn user(app: &App, bank: &Bank, username: &str) -> Result<User, Broken> {
    let new = NewUser {
        username: username.to_owned(),
        email: format!("{username}@bank.example"),
        name: Name {
            given: Some(capitalised(username)),
            family: Some("Lee".to_owned()),
            ..Name::default()
        },
        population: None,
        password: Some(Secret::new(PASSWORD.to_owned())),
        mfa_enabled: Some(true),
        ..NewUser::default()
    };
    Ok(app.create_user(bank.environment.id, new).await?)
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
