//! The provider under test: a server on loopback, with an application for each way in which a client can be.

use std::sync::Arc;

use countersign_domain::{
    application::{
        Application, ClientKeys, DeviceGrantRules, GrantType, Kind, Oidc, PushedRequestRules,
        RequestObjectRules, ResponseType, TokenEndpointAuthMethod as Method,
    },
    environment::Environment,
    id::Id,
    user::Name,
};
use countersign_protocol::{
    encoding,
    entropy::{SystemEntropy, random},
    jose::Algorithm,
    private_key::EcPrivateKey,
    secret::Secret,
    time::SystemClock,
};
use countersign_server::{
    LimitSettings, Parts, PasswordSettings, Server, Settings,
    app::{App, NewApplication, NewUser},
    open,
};
use countersign_store::Settings as StoreSettings;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

const USERNAME: &str = "ann";
const PASSWORD: &str = "correct horse battery staple";
const EMAIL: &str = "ann@bank.example";
/// Where browsers are sent back to. Nobody is there: the clients read the address.
const REDIRECT_URI: &str = "https://client.example/callback";
const NATIVE_REDIRECT_URI: &str = "org.example.client:/callback";
const POST_LOGOUT_REDIRECT_URI: &str = "https://client.example/bye";

/// A server, and what its clients must know of it.
pub struct Provider {
    pub facts: Value,
    server: Server,
    _folder: TempDir,
}

impl Provider {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let settings = Settings {
            // Hashing is not what is tested here.
            passwords: PasswordSettings { memory_kib: 64, passes: 1, workers: 1, queue: 8 },
            limits: LimitSettings::off(),
            dpop_nonce_required: true,
            ..Settings::new(&base_url)
        };
        let database = format!("sqlite:{}", folder.path().join("interop.db").display());
        let app = open(Parts {
            store: StoreSettings::new(database),
            key_encryption_key: Secret::new(random(&SystemEntropy)),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            settings,
        })
        .await
        .unwrap();
        let server = Server::start(app, listener).unwrap();
        let facts = facts(server.app(), &base_url).await;
        Self { facts, server, _folder: folder }
    }

    pub async fn stop(self) {
        self.server.stop().await;
    }
}

async fn facts(app: &App, base_url: &str) -> Value {
    let environment = app.create_environment("Interop").await.unwrap().id;
    let new = NewUser {
        username: USERNAME.to_owned(),
        email: EMAIL.to_owned(),
        name: Name {
            given: Some("Ann".to_owned()),
            family: Some("Lee".to_owned()),
            ..Name::default()
        },
        population: None,
        password: Some(Secret::new(PASSWORD.to_owned())),
        mfa_enabled: Some(false),
        ..NewUser::default()
    };
    app.create_user(environment, new).await.unwrap();
    let key = EcPrivateKey::generate(&SystemEntropy);
    let receiver = free_address().await;
    let mut clients = Map::new();
    for (name, new) in applications(&public_keys(&key), &receiver) {
        clients.insert(name.to_owned(), client(app, environment, new).await);
    }
    json!({
        "issuer": format!("{base_url}/{environment}/as"),
        "username": USERNAME,
        "password": PASSWORD,
        "email": EMAIL,
        "backchannel_logout_uri": receiver,
        "private_key": private_jwk(&key),
        "clients": clients,
    })
}

/// Where a client can listen for logout tokens.
async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/logout", listener.local_addr().unwrap())
}

/// A client by each name that the checks use.
#[expect(clippy::too_many_lines, reason = "a list, with one entry for each application")]
fn applications(keys: &ClientKeys, receiver: &str) -> Vec<(&'static str, NewApplication)> {
    let site = || NewApplication {
        name: String::new(),
        kind: Kind::SinglePage,
        token_endpoint_auth_method: Method::None,
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        redirect_uris: vec![REDIRECT_URI.to_owned()],
        id_token_algorithm: Algorithm::Es256,
        oidc: Oidc {
            post_logout_redirect_uris: vec![POST_LOGOUT_REDIRECT_URI.to_owned()],
            ..Oidc::default()
        },
        mobile: None,
    };
    let web = |token_endpoint_auth_method| NewApplication {
        kind: Kind::Web,
        token_endpoint_auth_method,
        ..site()
    };
    let with_key = |oidc: Oidc| NewApplication {
        oidc: Oidc { keys: Some(keys.clone()), ..oidc },
        ..web(Method::PrivateKeyJwt)
    };
    let native = NewApplication {
        kind: Kind::Native,
        redirect_uris: vec![NATIVE_REDIRECT_URI.to_owned()],
        id_token_algorithm: Algorithm::Rs256,
        ..site()
    };
    let worker = NewApplication {
        grant_types: vec![GrantType::ClientCredentials],
        redirect_uris: Vec::new(),
        kind: Kind::Worker,
        ..web(Method::ClientSecretBasic)
    };
    let device_grant = DeviceGrantRules { interval_seconds: 1, ..DeviceGrantRules::default() };
    let device = NewApplication {
        grant_types: vec![GrantType::DeviceCode, GrantType::RefreshToken],
        redirect_uris: Vec::new(),
        kind: Kind::Native,
        oidc: Oidc { device_grant, ..Oidc::default() },
        ..site()
    };
    let bound = NewApplication { oidc: Oidc { dpop_required: true, ..site().oidc }, ..site() };
    let response_types = vec![ResponseType::Code, ResponseType::Token, ResponseType::IdToken];
    let front = NewApplication {
        grant_types: vec![GrantType::AuthorizationCode, GrantType::Implicit],
        oidc: Oidc { response_types, ..Oidc::default() },
        ..site()
    };
    let backchannel_logout_uri = Some(receiver.to_owned());
    let told = NewApplication { oidc: Oidc { backchannel_logout_uri, ..site().oidc }, ..site() };
    let pushed_requests = PushedRequestRules { required: true, ..PushedRequestRules::default() };
    let request_objects = RequestObjectRules { signature_required: true, unsigned_allowed: false };
    vec![
        ("site", site()),
        ("native", native),
        ("worker", worker),
        ("device", device),
        ("bound", bound),
        ("front", front),
        ("told", told),
        ("client_secret_basic", web(Method::ClientSecretBasic)),
        ("client_secret_post", web(Method::ClientSecretPost)),
        ("client_secret_jwt", web(Method::ClientSecretJwt)),
        ("private_key_jwt", with_key(Oidc::default())),
        ("pushing", with_key(Oidc { pushed_requests, ..Oidc::default() })),
        ("fapi", with_key(Oidc { pushed_requests, dpop_required: true, ..Oidc::default() })),
        ("signing", with_key(Oidc { request_objects, ..Oidc::default() })),
    ]
    .into_iter()
    .map(|(name, new)| (name, NewApplication { name: name.to_owned(), ..new }))
    .collect()
}

async fn client(app: &App, environment: Id<Environment>, new: NewApplication) -> Value {
    let created = app.create_application(environment, new).await.unwrap();
    let Application { id, redirect_uris, id_token_algorithm, token_endpoint_auth_method, .. } =
        created.application;
    json!({
        "client_id": id.to_string(),
        "secret": created.secret.map(|secret| secret.expose().clone()),
        "method": token_endpoint_auth_method,
        "redirect_uri": redirect_uris.first(),
        "post_logout_redirect_uri": POST_LOGOUT_REDIRECT_URI,
        "id_token_algorithm": match id_token_algorithm {
            Algorithm::Rs256 => "RS256",
            Algorithm::Es256 => "ES256",
        },
    })
}

const KID: &str = "interop";

fn public_keys(key: &EcPrivateKey) -> ClientKeys {
    let mut jwk = json!(key.public());
    jwk["kid"] = json!(KID);
    ClientKeys::Inline(json!({ "keys": [jwk] }).to_string())
}

fn private_jwk(key: &EcPrivateKey) -> Value {
    let mut jwk = json!(key.public());
    jwk["kid"] = json!(KID);
    jwk["alg"] = json!("ES256");
    jwk["d"] = json!(encoding::encode(key.scalar().expose()));
    jwk
}
