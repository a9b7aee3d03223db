//! The platform under test: a server by TLS, an environment, and a worker in it who may do everything.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use countersign_domain::{
    application::{GrantType, Kind, Oidc, TokenEndpointAuthMethod},
    environment::Environment,
    id::Id,
    role::{Holder, Role, RoleAssignment, Scope},
};
use countersign_emulator::push_service::credentials::{ApnsCredentials, FcmCredentials};
use countersign_protocol::{
    entropy::{SystemEntropy, random},
    jose::Algorithm,
    secret::Secret,
    time::SystemClock,
};
use countersign_server::{
    LimitSettings, Parts, PasswordSettings, Server, Settings, Tls, TlsFiles,
    app::{App, NewApplication},
    open,
};
use countersign_store::Settings as StoreSettings;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::proxy::Proxy;

/// Tools of PingOne take a name with a dot in it, and neither an address nor a port.
const HOST: &str = "id.countersign.test";

/// A server, and what its administrators must know of it.
pub struct Platform {
    /// The values of the variables in `interop/terraform`.
    pub facts: Value,
    pub proxy: Proxy,
    environment: Id<Environment>,
    server: Server,
    folder: TempDir,
}

impl Platform {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(&format!("{HOST}:443"), listener.local_addr().unwrap()).await;
        let settings = Settings {
            // Hashing is not what is tested here.
            passwords: PasswordSettings { memory_kib: 64, passes: 1, workers: 1, queue: 8 },
            limits: LimitSettings::off(),
            ..Settings::new(format!("https://{HOST}"))
        };
        let database = format!("sqlite:{}", folder.path().join("management.db").display());
        let app = open(Parts {
            store: StoreSettings::new(database),
            key_encryption_key: Secret::new(random(&SystemEntropy)),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            settings,
        })
        .await
        .unwrap();
        let tls = Tls::load(certificate(folder.path())).unwrap();
        let server = Server::start_on(app, listener, Some(tls)).unwrap();
        let environment = server.app().create_environment("Management").await.unwrap().id;
        let facts = facts(server.app(), environment, &proxy).await;
        Self { facts, proxy, environment, server, folder }
    }

    /// The certificate of the authority that everybody must trust.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// A program that trusts the authority, goes by the proxy, and sees nothing else of this process that names servers.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("SSL_CERT_FILE", self.authority())
            .env("HTTPS_PROXY", &self.proxy.url)
            .env_remove("NO_PROXY");
        command
    }

    /// The ids of all objects of a kind.
    pub async fn ids(&self, collection: &str) -> Vec<String> {
        let authority = fs::read(self.authority()).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&authority).unwrap()])
            .proxy(reqwest::Proxy::all(&self.proxy.url).unwrap())
            .build()
            .unwrap();
        let fact = |name: &str| self.facts[name].as_str().unwrap();
        let token = format!("https://{HOST}/{}/as/token", self.environment);
        let answer = client
            .post(token)
            .basic_auth(fact("worker_client_id"), Some(fact("worker_client_secret")))
            .form(&[("grant_type", "client_credentials")])
            .send();
        let token: Value = json(answer.await.unwrap()).await;
        let list = format!("https://{HOST}/v1/environments/{}/{collection}", self.environment);
        let answer = client.get(list).bearer_auth(token["access_token"].as_str().unwrap()).send();
        let list: Value = json(answer.await.unwrap()).await;
        let listed = list["_embedded"][collection].as_array().unwrap();
        listed.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    }

    pub async fn stop(self) {
        assert_eq!(self.proxy.refused(), [""; 0], "another host was asked for something");
        self.server.stop().await;
    }
}

async fn json(answer: reqwest::Response) -> Value {
    assert!(answer.status().is_success(), "{answer:?}");
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

/// A certificate for the host, by an authority that exists for this test.
fn certificate(folder: &Path) -> TlsFiles {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
    fs::write(folder.join("authority.pem"), issuer.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    let certificate = parameters.signed_by(&key, &issuer).unwrap();
    let files = TlsFiles {
        certificate: folder.join("server.pem"),
        key: folder.join("server.key"),
        reload: Duration::from_hours(1),
    };
    fs::write(&files.certificate, certificate.pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    files
}

async fn facts(app: &App, environment: Id<Environment>, proxy: &Proxy) -> Value {
    let worker = NewApplication {
        name: "Administrator".to_owned(),
        kind: Kind::Worker,
        token_endpoint_auth_method: TokenEndpointAuthMethod::ClientSecretBasic,
        grant_types: vec![GrantType::ClientCredentials],
        redirect_uris: Vec::new(),
        id_token_algorithm: Algorithm::Es256,
        oidc: Oidc::default(),
        mobile: None,
    };
    let worker = app.create_application(environment, worker).await.unwrap();
    let given = RoleAssignment {
        id: app.new_id(),
        environment,
        holder: Holder::Application(worker.application.id),
        role: Role::OrganizationAdmin,
        scope: Scope::Organization,
        created_at: app.now(),
    };
    app.create(given).await.unwrap();
    let android = FcmCredentials::generate("bank", &SystemEntropy).unwrap();
    let ios = ApnsCredentials::generate(&SystemEntropy).unwrap();
    json!({
        "environment_id": environment.to_string(),
        "worker_client_id": worker.application.id.to_string(),
        "worker_client_secret": worker.secret.unwrap().expose(),
        "auth_hostname": HOST,
        "api_hostname": HOST,
        "http_proxy": proxy.url,
        "google_service_account_key": android.json("https://fcm.example").to_string(),
        "apns_signing_key": ios.p8(),
    })
}
