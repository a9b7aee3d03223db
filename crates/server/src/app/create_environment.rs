//! Makes an environment with what every environment has: keys, a population, an MFA policy, two sign-on policies, the
//! application that the pages of the own account are, and the resources of OpenID Connect and of the platform.

use countersign_domain::{
    account,
    application::{Application, Kind, Oidc, Pkce, TokenEndpointAuthMethod},
    audit::{Action as Told, Event},
    environment::{self, Environment},
    id::Id,
    mfa_policy::MfaPolicy,
    population::Population,
    protected_resource::{Kind as ResourceKind, ProtectedResource},
    sealed::Sealed,
    sign_on_policy::{Action, ActionKind, NoDevicesMode, SignOnPolicy},
    signing_key::SigningKey,
};
use countersign_protocol::{entropy::random, jose::Algorithm, secret::Secret};
use countersign_store::{
    Tx, Work, application, environment as environments, mfa_policy, population, protected_resource,
    sign_on_policy, signing_key,
};

use super::{AdministerError, App, Call, realms::MAC};
use crate::keys::{MAC_BYTES, Place};

impl App {
    /// Makes an environment of this name.
    pub async fn create_environment(&self, name: &str) -> Result<Environment, AdministerError> {
        self.create_environment_like(self.blank_environment(name)).await
    }

    /// One of this name about which nothing else is known.
    #[must_use]
    pub fn blank_environment(&self, name: &str) -> Environment {
        let now = self.now();
        Environment {
            id: self.new_id(),
            name: name.to_owned(),
            description: None,
            kind: environment::Kind::default(),
            deleted_at: None,
            told: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// Makes an environment like this.
    pub async fn create_environment_like(
        &self,
        environment: Environment,
    ) -> Result<Environment, AdministerError> {
        let work = self.prepare_environment(environment).await?;
        let environment = work.environment.clone();
        self.store.write(work).await?;
        Ok(environment)
    }

    /// All that an environment begins with, keys too, not yet stored.
    pub(super) async fn prepare_environment(
        &self,
        environment: Environment,
    ) -> Result<CreateEnvironment, AdministerError> {
        environment.validate()?;
        let mac = Secret::new(random::<MAC_BYTES>(self.entropy.as_ref()));
        let place = Place { column: MAC, row: environment.id.as_bytes() };
        let mac = self.vault.seal(place, mac.expose(), self.entropy.as_ref())?;
        let keys = self.first_keys(environment.id).await?;
        let call = self.call(environment.id, "");
        let defaults = Box::new(Defaults::new(&call));
        Ok(CreateEnvironment { call, environment, mac, keys, defaults })
    }
}

pub(super) struct CreateEnvironment {
    call: Call,
    pub(super) environment: Environment,
    mac: Sealed,
    keys: Vec<SigningKey>,
    /// On the heap: it is large, and waits in futures.
    defaults: Box<Defaults>,
}

struct Defaults {
    population: Population,
    mfa_policy: MfaPolicy,
    sign_on_policies: [SignOnPolicy; 2],
    account: Application,
    resources: [ProtectedResource; 2],
}

impl Work for CreateEnvironment {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let Self { call, environment, mac, keys, defaults } = self;
        environments::insert(tx, environment).await?;
        environments::insert_mac(tx, environment.id, mac).await?;
        let none = signing_key::list(tx, environment.id).await?.ok_or(AdministerError::NotFound)?;
        signing_key::swap(tx, environment.id, &none, keys).await?;
        call.audit(tx, Event::succeeded(Told::EnvironmentCreated).to(environment)).await?;
        population::insert(tx, &defaults.population).await?;
        let created = Event::succeeded(Told::PopulationCreated).to(&defaults.population);
        call.audit(tx, created).await?;
        mfa_policy::insert(tx, &defaults.mfa_policy).await?;
        let created = Event::succeeded(Told::MfaPolicyCreated).to(&defaults.mfa_policy);
        call.audit(tx, created).await?;
        for policy in &defaults.sign_on_policies {
            sign_on_policy::insert(tx, policy).await?;
            call.audit(tx, Event::succeeded(Told::SignOnPolicyCreated).to(policy)).await?;
        }
        application::insert(tx, &defaults.account).await?;
        let created = Event::succeeded(Told::ApplicationCreated).to(&defaults.account);
        call.audit(tx, created).await?;
        for resource in &defaults.resources {
            protected_resource::insert(tx, resource).await?;
            call.audit(tx, Event::succeeded(Told::ResourceCreated).to(resource)).await?;
        }
        Ok(())
    }
}

impl CreateEnvironment {
    /// The population of users that are made without one.
    pub(super) fn population(&self) -> Id<Population> {
        self.defaults.population.id
    }
}

impl Defaults {
    fn new(call: &Call) -> Self {
        let (environment, now) = (call.environment, call.now);
        let population = Population {
            id: call.new_id(),
            environment,
            name: "Default".to_owned(),
            default: true,
            description: None,
            preferred_language: None,
            told: None,
            created_at: now,
            updated_at: now,
        };
        let name = "Default MFA Policy".to_owned();
        let blank = MfaPolicy::new((call.new_id(), environment), name, now);
        let mfa_policy = MfaPolicy { default: true, ..blank };
        let login = ActionKind::Login;
        let mfa = ActionKind::MultiFactorAuthentication {
            mfa_policy: None,
            no_devices_mode: NoDevicesMode::Block,
        };
        let policy = |name: &str, default, kinds: &[ActionKind]| {
            let (id, name) = (call.new_id(), name.to_owned());
            let blank = SignOnPolicy::new((id, environment), name, now);
            SignOnPolicy { default, actions: actions(call, kinds), ..blank }
        };
        let single = policy("Single_Factor", true, &[login]);
        let multi = policy("Multi_Factor", false, &[login, mfa]);
        let sign_on_policies = [single, multi];
        let resource = |kind| ProtectedResource::built_in(call.new_id(), environment, kind, now);
        let resources = [ResourceKind::OpenIdConnect, ResourceKind::Platform].map(resource);
        Self { population, mfa_policy, sign_on_policies, account: own_account(call), resources }
    }
}

/// What the pages of the own account are among the applications: a name, a policy that can be assigned, and a switch. It gets
/// neither codes nor tokens.
fn own_account(call: &Call) -> Application {
    page_of_ours(call, account::application(call.environment), account::NAME)
}

/// A page of the platform itself among the applications.
pub(super) fn page_of_ours(call: &Call, id: Id<Application>, name: &str) -> Application {
    Application {
        id,
        environment: call.environment,
        name: name.to_owned(),
        kind: Kind::Web,
        enabled: true,
        token_endpoint_auth_method: TokenEndpointAuthMethod::None,
        secret: None,
        grant_types: Vec::new(),
        redirect_uris: Vec::new(),
        pkce: Pkce::Required,
        id_token_algorithm: Algorithm::Rs256,
        oidc: Oidc::default(),
        mobile: None,
        previous_secret: None,
        description: None,
        told: None,
        created_at: call.now,
        updated_at: call.now,
    }
}

/// Steps in this order, with priorities from 1.
pub(super) fn actions(call: &Call, kinds: &[ActionKind]) -> Vec<Action> {
    let action = |(priority, kind): (u16, &ActionKind)| {
        Action::new(Id::new(call.now, call.entropy.as_ref()), priority, *kind)
    };
    (1..).zip(kinds).map(action).collect()
}
