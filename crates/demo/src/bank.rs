//! The bank of the demo: what its administrator has set up, and who its customers are.

use std::path::Path;

use countersign_domain::{
    account,
    application::{
        Application, GrantType, Kind, Mobile, NumberMatchingKind, Oidc, TokenEndpointAuthMethod,
    },
    environment::Environment,
    id::Id,
    lockout::Limit,
    mfa_policy::{
        DeviceAuthorization, DeviceSelection, MfaPolicy, Mobile as MobileMethod, MobileApplication,
        PushRules,
    },
    role::{Holder, Role, RoleAssignment, Scope},
    sign_on_policy::{ActionKind, NoDevicesMode},
    user::{Name, User},
};
use countersign_protocol::{
    jose::Algorithm,
    secret::{self, Secret},
};
use countersign_server::app::{
    AdministerError, App, NewApplication, NewMfaPolicy, NewSignOnPolicy, NewUser,
};
use serde::{Deserialize, Serialize};

use crate::{BUNDLE_ID, DemoError, file};

/// Everybody's password.
pub const PASSWORD: &str = "harbour lights";

/// Who may do everything at the console, by the same password.
pub const ADMINISTRATOR: &str = "dana";

/// Where the app is sent back to.
pub const APP_REDIRECT_URI: &str = "example.harbourbank.app:/callback";

/// The file that tells the next start of all this.
const FILE: &str = "bank.json";

/// The bank.
#[derive(Serialize, Deserialize)]
pub struct Bank {
    /// Its tenant.
    pub environment: Id<Environment>,
    /// Its app, which becomes the authenticator.
    pub native: Id<Application>,
    /// Its web site.
    pub web: Id<Application>,
    /// How its web site proves itself.
    #[serde(serialize_with = "secret::reveal")]
    pub web_secret: Secret<String>,
    /// Its back end, which asks for payments.
    pub worker: Id<Application>,
    /// How its back end proves itself.
    #[serde(serialize_with = "secret::reveal")]
    pub worker_secret: Secret<String>,
    /// How its app behaves.
    pub mfa_policy: Id<MfaPolicy>,
    /// Its customers.
    pub people: Vec<Person>,
    /// Where its web site is.
    pub url: String,
}

/// A customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The subject of tokens.
    pub id: Id<User>,
    /// For signing in.
    pub username: String,
    /// For people.
    pub name: String,
}

const PEOPLE: [(&str, &str, &str); 3] =
    [("ann", "Ann", "Lee"), ("ben", "Ben", "Okafor"), ("cleo", "Cleo", "Marin")];

impl Bank {
    /// The bank in the folder, moved to this address, or a new one.
    pub async fn find_or_set_up(folder: &Path, app: &App, url: &str) -> Result<Self, DemoError> {
        let path = folder.join(FILE);
        let known: Option<Self> = file::read(&path)?;
        let bank = match known {
            Some(bank) if bank.url == url => return Ok(bank),
            Some(bank) => bank.moved(app, url).await?,
            None => set_up(app, url).await?,
        };
        file::write(&path, &bank)?;
        Ok(bank)
    }

    /// Its issuer.
    #[must_use]
    pub fn issuer(&self, app: &App) -> String {
        format!("{}/{}/as", app.settings().base_url, self.environment)
    }

    /// The customer of this id.
    #[must_use]
    pub fn person(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.id.to_string() == id)
    }

    async fn moved(self, app: &App, url: &str) -> Result<Self, AdministerError> {
        let (callback, home) = addresses(url);
        let edit = move |mut web: Application| {
            web.redirect_uris = vec![callback.clone()];
            web.oidc.post_logout_redirect_uris = vec![home.clone()];
            Ok(web)
        };
        app.replace(self.environment, self.web, edit).await?;
        Ok(Self { url: url.to_owned(), ..self })
    }
}

/// Where the web site wants its visitors back: after a sign-on, and after a sign-off.
pub fn addresses(url: &str) -> (String, String) {
    (format!("{url}/bank/callback"), format!("{url}/bank"))
}

async fn set_up(app: &App, url: &str) -> Result<Bank, AdministerError> {
    let environment = app.create_environment("Bank").await?.id;
    let native = app.create_application(environment, native()).await?.application.id;
    let web = app.create_application(environment, web(native, url)).await?;
    let worker = app.create_application(environment, worker()).await?;
    let mfa_policy = app.create_mfa_policy(environment, trusting(native)).await?.id;
    let mfa = ActionKind::MultiFactorAuthentication {
        mfa_policy: Some(mfa_policy),
        no_devices_mode: NoDevicesMode::Bypass,
    };
    let steps = vec![ActionKind::Login, mfa];
    let policy = NewSignOnPolicy { name: "Password_then_phone".to_owned(), steps };
    let policy = app.create_sign_on_policy(environment, policy).await?.id;
    for application in [native, web.application.id, account::application(environment)] {
        app.assign_sign_on_policy(environment, application, policy, 1).await?;
    }
    let mut people = Vec::new();
    for (username, given, family) in PEOPLE {
        let id = app.create_user(environment, user(username, given, family)).await?.id;
        let (username, name) = (username.to_owned(), format!("{given} {family}"));
        people.push(Person { id, username, name });
    }
    administrator(app).await?;
    Ok(Bank {
        environment,
        native,
        web: web.application.id,
        web_secret: web.secret.ok_or(AdministerError::NotFound)?,
        worker: worker.application.id,
        worker_secret: worker.secret.ok_or(AdministerError::NotFound)?,
        mfa_policy,
        people,
        url: url.to_owned(),
    })
}

/// Makes an administrator beside the first one, who gets no password here.
async fn administrator(app: &App) -> Result<(), AdministerError> {
    app.ensure_administrators().await?;
    let realm = app.administrators_realm().await?.ok_or(AdministerError::NotFound)?;
    let environment = realm.environment;
    let user = app.create_user(environment, user(ADMINISTRATOR, "Dana", "Wirth")).await?;
    let (id, created_at) = (app.new_id(), app.now());
    let (holder, role) = (Holder::User(user.id), Role::OrganizationAdmin);
    let scope = Scope::Organization;
    app.create(RoleAssignment { id, environment, holder, role, scope, created_at }).await?;
    Ok(())
}

fn native() -> NewApplication {
    NewApplication {
        name: "Bank app".to_owned(),
        kind: Kind::Native,
        token_endpoint_auth_method: TokenEndpointAuthMethod::None,
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        redirect_uris: vec![APP_REDIRECT_URI.to_owned()],
        id_token_algorithm: Algorithm::Rs256,
        oidc: Oidc::default(),
        mobile: Some(Mobile {
            package_name: Some(BUNDLE_ID.to_owned()),
            bundle_id: Some(BUNDLE_ID.to_owned()),
            uri_prefix: Some("harbourbank:".to_owned()),
            number_matching: NumberMatchingKind::SelectNumber,
            ..Mobile::default()
        }),
    }
}

fn web(native: Id<Application>, url: &str) -> NewApplication {
    let (callback, home) = addresses(url);
    NewApplication {
        name: "Harbour Bank".to_owned(),
        kind: Kind::Web,
        token_endpoint_auth_method: TokenEndpointAuthMethod::ClientSecretBasic,
        grant_types: vec![GrantType::AuthorizationCode],
        redirect_uris: vec![callback],
        id_token_algorithm: Algorithm::Es256,
        oidc: Oidc {
            phone_sign_on: Some(native),
            post_logout_redirect_uris: vec![home],
            ..Oidc::default()
        },
        mobile: None,
    }
}

fn worker() -> NewApplication {
    NewApplication {
        name: "Harbour payments".to_owned(),
        kind: Kind::Worker,
        token_endpoint_auth_method: TokenEndpointAuthMethod::ClientSecretBasic,
        grant_types: vec![GrantType::ClientCredentials],
        redirect_uris: Vec::new(),
        id_token_algorithm: Algorithm::Es256,
        oidc: Oidc::default(),
        mobile: None,
    }
}

/// A policy under which the app enrols by itself, vouches by itself, and asks its user about sign-ons elsewhere.
fn trusting(native: Id<Application>) -> NewMfaPolicy {
    let application = MobileApplication {
        passcode_enabled: true,
        device_authorization: Some(DeviceAuthorization { extra_verification: None }),
        auto_enrollment: true,
        push: PushRules { enabled: true, number_matching: true, ..PushRules::default() },
        ..MobileApplication::new(native)
    };
    NewMfaPolicy {
        name: "Trusted phones".to_owned(),
        mobile: MobileMethod {
            enabled: true,
            passcode_limit: Limit { failures: 3, lock_seconds: 120 },
            applications: vec![application],
        },
        device_selection: DeviceSelection::DefaultToFirst,
    }
}

fn user(username: &str, given: &str, family: &str) -> NewUser {
    let name =
        Name { given: Some(given.to_owned()), family: Some(family.to_owned()), ..Name::default() };
    NewUser {
        username: username.to_owned(),
        email: format!("{username}@harbourbank.example"),
        name,
        password: Some(Secret::new(PASSWORD.to_owned())),
        mfa_enabled: Some(true),
        ..NewUser::default()
    }
}
