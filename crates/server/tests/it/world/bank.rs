//! An environment as an administrator sets it up, and the ways in which tests change it.

use countersign_domain::{
    application::{Application, GrantType, Kind, Mobile, Oidc, TokenEndpointAuthMethod},
    environment::Environment,
    id::Id,
    lockout::Limit,
    mfa_policy::{
        CodeRules, DEFAULT_PAIRING_KEY_LIFE_SECONDS, DeviceAuthorization, DeviceSelection,
        MfaPolicy, Mobile as MobileMethod, MobileApplication, PushRules,
    },
    sign_on_policy::{Action, ActionKind, NoDevicesMode, SignOnPolicy},
    user::{Name, User},
};
use countersign_protocol::{jose::Algorithm, secret::Secret};
use countersign_server::app::{
    App, CreatedApplication, NewApplication, NewMfaPolicy, NewSignOnPolicy, NewUser,
};
use countersign_store::{StoreError, Tx, Work, application, user};

use super::client::NATIVE_ADDRESS;

pub const PASSWORD: &str = "correct horse battery staple";
pub const SITE_ADDRESS: &str = "https://bank.example/callback";

/// Ids of what was set up.
pub struct Bank {
    pub environment: Environment,
    pub native: Application,
    pub site: Application,
    pub mfa_policy: MfaPolicy,
    pub sign_on_policy: SignOnPolicy,
    pub ann: User,
}

/// A step of a sign-on.
#[derive(Clone, Copy)]
pub enum Step {
    Login,
    IdentifierFirst,
    Mfa(NoDevicesMode),
}

/// Who has no device passes.
pub const MFA_BYPASS: Step = Step::Mfa(NoDevicesMode::Bypass);

impl Bank {
    /// Sets up an environment: password, then MFA, which who has no device passes.
    pub async fn open(app: &App, name: &str) -> Self {
        let environment = app.create_environment(name).await.unwrap();
        let id = environment.id;
        let mobile = Mobile {
            package_name: Some("org.bank.app".to_owned()),
            bundle_id: Some("org.bank.app".to_owned()),
            ..Mobile::default()
        };
        let native = NewApplication {
            mobile: Some(mobile),
            kind: Kind::Native,
            ..public("Bank app", NATIVE_ADDRESS, Algorithm::Rs256)
        };
        let native = app.create_application(id, native).await.unwrap().application;
        let site = public("Bank site", SITE_ADDRESS, Algorithm::Es256);
        let site = app.create_application(id, site).await.unwrap().application;
        let mfa_policy = app.create_mfa_policy(id, trusting(native.id)).await.unwrap();
        let steps = [Step::Login, MFA_BYPASS].map(|step| kind(&mfa_policy, step)).to_vec();
        let policy = NewSignOnPolicy { name: "Trusted_Phone".to_owned(), steps };
        let sign_on_policy = app.create_sign_on_policy(id, policy).await.unwrap();
        for application in [&native, &site] {
            app.assign_sign_on_policy(id, application.id, sign_on_policy.id, 1).await.unwrap();
        }
        let ann = create_user(app, id, "ann").await;
        Self { environment, native, site, mfa_policy, sign_on_policy, ann }
    }

    pub async fn user(&self, app: &App, username: &str) -> User {
        create_user(app, self.environment.id, username).await
    }

    /// Replaces the steps of a sign-on.
    pub async fn require(&mut self, app: &App, steps: &[Step]) {
        let action = |(priority, step): (u16, &Step)| {
            Action::new(app.new_id(), priority, kind(&self.mfa_policy, *step))
        };
        let actions = (1..).zip(steps).map(action).collect();
        self.sign_on_policy = SignOnPolicy { actions, ..self.sign_on_policy.clone() };
        app.replace_sign_on_policy(self.sign_on_policy.clone()).await.unwrap();
    }

    /// Lets the applications use another sign-on policy, where they ask for it.
    pub async fn assign_also(&self, app: &App, name: &str, steps: &[Step]) {
        let steps = steps.iter().map(|step| kind(&self.mfa_policy, *step)).collect();
        let policy = NewSignOnPolicy { name: name.to_owned(), steps };
        let id = self.environment.id;
        let policy = app.create_sign_on_policy(id, policy).await.unwrap();
        for application in [&self.native, &self.site] {
            app.assign_sign_on_policy(id, application.id, policy.id, 2).await.unwrap();
        }
    }

    /// Changes the MFA policy.
    pub async fn change_mfa_policy(&mut self, app: &App, change: impl FnOnce(&mut MfaPolicy)) {
        change(&mut self.mfa_policy);
        app.replace_mfa_policy(self.mfa_policy.clone()).await.unwrap();
    }

    /// A web application that keeps a secret.
    pub async fn confidential(
        &self,
        app: &App,
        method: TokenEndpointAuthMethod,
    ) -> CreatedApplication {
        let new = NewApplication {
            kind: Kind::Web,
            token_endpoint_auth_method: method,
            grant_types: vec![GrantType::AuthorizationCode, GrantType::DeviceCode],
            ..public("Bank portal", "https://portal.example/callback", Algorithm::Es256)
        };
        app.create_application(self.environment.id, new).await.unwrap()
    }

    /// Another app, which enrols and vouches by itself as the first one does.
    pub async fn another_native(&mut self, app: &App) -> Application {
        let new = NewApplication {
            // Phones of tests say nothing else of themselves, and no two applications are one package.
            mobile: Some(Mobile::default()),
            kind: Kind::Native,
            ..public("Bank app for firms", NATIVE_ADDRESS, Algorithm::Rs256)
        };
        let id = self.environment.id;
        let other = app.create_application(id, new).await.unwrap().application;
        app.assign_sign_on_policy(id, other.id, self.sign_on_policy.id, 1).await.unwrap();
        self.change_mfa_policy(app, |policy| {
            policy.mobile.applications.extend(trusting(other.id).mobile.applications);
        })
        .await;
        other
    }

    /// An application that acts for itself.
    pub async fn worker(&self, app: &App) -> CreatedApplication {
        let name = format!("Bank worker {}", app.new_id::<Application>());
        let new = NewApplication {
            kind: Kind::Worker,
            token_endpoint_auth_method: TokenEndpointAuthMethod::ClientSecretBasic,
            grant_types: vec![GrantType::ClientCredentials],
            redirect_uris: vec![],
            ..public(&name, SITE_ADDRESS, Algorithm::Es256)
        };
        app.create_application(self.environment.id, new).await.unwrap()
    }

    /// An application like the web site's, changed as no use case changes it yet.
    pub async fn unusual_site(
        &self,
        app: &App,
        change: impl FnOnce(&mut Application),
    ) -> Application {
        let mut application =
            Application { id: app.new_id(), name: "Unusual site".to_owned(), ..self.site.clone() };
        change(&mut application);
        app.store().write(Insert(application.clone())).await.unwrap();
        application
    }

    /// Lets ann no longer sign in, which no use case does yet.
    pub async fn disable_ann(&self, app: &App) {
        app.store().write(Disable(self.ann.clone())).await.unwrap();
    }
}

async fn create_user(app: &App, environment: Id<Environment>, username: &str) -> User {
    let new = NewUser {
        username: username.to_owned(),
        email: format!("{username}@bank.example"),
        name: Name {
            given: Some("Ann".to_owned()),
            family: Some("Lee".to_owned()),
            ..Name::default()
        },
        population: None,
        password: Some(Secret::new(PASSWORD.to_owned())),
        mfa_enabled: Some(true),
        ..NewUser::default()
    };
    app.create_user(environment, new).await.unwrap()
}

fn public(name: &str, redirect_uri: &str, id_token_algorithm: Algorithm) -> NewApplication {
    NewApplication {
        name: name.to_owned(),
        kind: Kind::SinglePage,
        token_endpoint_auth_method: TokenEndpointAuthMethod::None,
        grant_types: vec![GrantType::AuthorizationCode],
        redirect_uris: vec![redirect_uri.to_owned()],
        id_token_algorithm,
        oidc: Oidc::default(),
        mobile: None,
    }
}

fn kind(policy: &MfaPolicy, step: Step) -> ActionKind {
    match step {
        Step::Login => ActionKind::Login,
        Step::IdentifierFirst => ActionKind::IdentifierFirst,
        Step::Mfa(no_devices_mode) => {
            ActionKind::MultiFactorAuthentication { mfa_policy: Some(policy.id), no_devices_mode }
        }
    }
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

struct Insert(Application);

impl Work for Insert {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        application::insert(tx, &self.0).await
    }
}

/// An application in place of what it was.
pub struct Replace(pub Application);

impl Work for Replace {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        tx.needs_no_audit("a test stands in for the administrator");
        let data = serde_json::to_string(&self.0).unwrap();
        let row = [self.0.id.into(), data.into()];
        tx.execute("UPDATE applications SET data = $2 WHERE id = $1", &row).await.map(drop)
    }
}

struct Disable(User);

impl Work for Disable {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let old = user::load(tx, self.0.environment, self.0.id).await?.unwrap();
        user::swap(tx, &old, &User { enabled: false, ..(*old).clone() }).await
    }
}

/// Changes an application.
pub struct Change {
    pub environment: Id<Environment>,
    pub id: Id<Application>,
    pub by: fn(&mut Application),
}

impl Work for Change {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let old = application::load(tx, self.environment, self.id).await?.unwrap();
        let mut changed = old.into_value();
        (self.by)(&mut changed);
        Replace(changed).run(tx).await
    }
}
