//! Requests that nobody would write: none of them makes the server fail.

use std::collections::BTreeMap;

use axum::body::Body;
use countersign_store::Engine;
use http::{HeaderValue, Request};
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use tokio::runtime::Runtime;

use crate::{
    database::is_skipped,
    endpoints,
    world::{FORM, JSON, MFA_BYPASS, Members, PASSWORD, SignOn, Step, World, request},
};

/// What a request is made of.
#[derive(Clone, Debug)]
struct Wild {
    method: &'static str,
    path: &'static str,
    /// What stands where the path has a name.
    segment: String,
    /// Whether it stands where the path has an id too.
    is_lost: bool,
    /// Whether the members begin with those of a good request to this path.
    begins_well: bool,
    members: Vec<(&'static str, String)>,
    content: Content,
    has_cookie: bool,
    media_type: &'static str,
    headers: Vec<(&'static str, Vec<u8>)>,
}

/// The body.
#[derive(Clone, Debug)]
enum Content {
    Form,
    Json,
    Bytes(Vec<u8>),
}

const NAMES: [&str; 26] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "login_hint",
    "mobilePayload",
    "request",
    "flowId",
    "grant_type",
    "code",
    "code_verifier",
    "client_secret",
    "action",
    "token",
    "username",
    "password",
    "passcode",
    "device",
    "otp",
    "proof",
];

const VALUES: [&str; 17] = [
    "code",
    "pi.flow",
    "query",
    "form_post",
    "openid",
    "S256",
    "none",
    "authorization_code",
    "login",
    "passcode",
    "devices",
    "reset",
    "cancel",
    "ann",
    "CLIENT",
    "\0",
    "FLOW",
];

const MEDIA_TYPES: [&str; 8] = [
    FORM,
    JSON,
    "application/vnd.pingidentity.usernamePassword.check+json",
    "application/vnd.pingidentity.user.lookup+json",
    "application/vnd.pingidentity.device.select+json",
    "application/vnd.pingidentity.otp.check+json",
    "application/vnd.pingidentity.session.reset+json",
    "\u{ff}",
];

const HEADERS: [&str; 5] = ["authorization", "cookie", "origin", "content-type", "accept"];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![3 => select(&VALUES[..]).prop_map(str::to_owned), 1 => any::<String>(), 1 => "[A-Za-z0-9_-]{64}"]
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        6 => Just(Content::Form),
        6 => Just(Content::Json),
        2 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Content::Bytes),
        1 => (0_usize..200_000).prop_map(|length| Content::Bytes(vec![b'a'; length])),
    ]
}

fn header() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let wild = (select(&HEADERS[..]), prop::collection::vec(any::<u8>(), 0..60));
    let scheme = select(&["Basic ", "Bearer ", "basic", ""][..]);
    let authorization = (scheme, "[A-Za-z0-9+/=.]{0,80}")
        .prop_map(|(scheme, rest)| ("authorization", format!("{scheme}{rest}").into_bytes()));
    prop_oneof![wild, authorization]
}

fn method() -> impl Strategy<Value = &'static str> {
    let others = select(&["HEAD", "OPTIONS", "PUT", "DELETE"][..]);
    prop_oneof![4 => Just("GET"), 8 => Just("POST"), 1 => others]
}

prop_compose! {
    fn wild()(
        method in method(),
        path in select(endpoints::paths()),
        is_lost in prop::bool::weighted(0.1),
        segment in "([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2}){0,40}",
        (begins_well, has_cookie) in (prop::bool::weighted(0.7), prop::bool::weighted(0.8)),
        members in prop::collection::vec((select(&NAMES[..]), value()), 0..6),
        content in content(),
        media_type in prop_oneof![3 => Just(FORM), 3 => Just(JSON), 4 => select(&MEDIA_TYPES[..])],
        headers in prop::collection::vec(header(), 0..3),
    ) -> Wild {
        Wild { method, path, segment, is_lost, begins_well, members, content, has_cookie, media_type, headers }
    }
}

/// A flow that waits for something, and the token of the form on its page.
struct Waiting {
    sign_on: SignOn,
    token: String,
}

impl Waiting {
    async fn new(mut sign_on: SignOn) -> Self {
        let page = sign_on.flow.pointer("/_links/signOnPage/href").unwrap().as_str().unwrap();
        let token = sign_on.client.browser.open(page).await.value_of("token");
        Self { sign_on, token }
    }

    /// The members of a request to a path, of a good one as far as it goes.
    fn members(&self, wild: &Wild) -> Members {
        let (client, flow) = (&self.sign_on.client, self.sign_on.flow["id"].as_str().unwrap());
        let good = match wild.path {
            "/{environment}/as/authorize" => client.request(),
            "/{environment}/as/token" => client.token_request("x"),
            "/{environment}/signon" => {
                Members::from([("token", self.token.as_str()), ("username", "ann")])
            }
            _ => Members::default(),
        };
        let begun = if wild.begins_well { good.with("flowId", flow) } else { Members::default() };
        wild.members.iter().fold(begun, |all, (name, value)| {
            let value = value.replace("CLIENT", &client.id).replace("FLOW", flow);
            if wild.begins_well { all.with(name, &value) } else { all.and(name, &value) }
        })
    }

    fn request(&self, environment: &str, wild: &Wild) -> Request<Body> {
        let flow = self.sign_on.flow["id"].as_str().unwrap();
        let fill = |segment| match segment {
            "{environment}" if !wild.is_lost => environment.to_owned(),
            "{flow}" if !wild.is_lost => flow.to_owned(),
            "{environment}" | "{flow}" | "{name}" => wild.segment.clone(),
            other => other.to_owned(),
        };
        let path: Vec<String> = wild.path.split('/').map(fill).collect();
        let members = self.members(wild);
        let query = match (wild.method, wild.begins_well) {
            ("POST", true) => format!("flowId={flow}"),
            _ => members.encoded(),
        };
        let body = match &wild.content {
            Content::Form => members.encoded().into(),
            Content::Json => {
                serde_json::to_vec(&BTreeMap::from_iter(wild.members.clone())).unwrap()
            }
            Content::Bytes(bytes) => bytes.clone(),
        };
        let url = format!("{}?{query}", path.join("/"));
        let mut request = request(wild.method.parse().unwrap(), &url).map(|_| body.into());
        let cookie = self.sign_on.client.browser.cookie().as_bytes().to_vec();
        let cookie = wild.has_cookie.then_some(("cookie", cookie));
        let media_type = ("content-type", wild.media_type.as_bytes().to_vec());
        for (name, value) in cookie.into_iter().chain([media_type]).chain(wild.headers.clone()) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                request.headers_mut().append(name, value);
            }
        }
        request
    }
}

#[test]
fn no_request_makes_the_server_fail() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        if !is_skipped(engine) {
            no_request_makes_the_server_fail_on(engine);
        }
    }
}

fn no_request_makes_the_server_fail_on(engine: Engine) {
    let runtime = Runtime::new().unwrap();
    let (w, waiting) = runtime.block_on(async {
        let mut w = World::on(engine).await;
        let login = w.app().begin().await;
        w.phone_paired_to("ann").await;
        let mut passcode = w.site().begin().await;
        passcode.password("ann", PASSWORD).await.must_be(200);
        w.bank.require(&w.server, &[Step::IdentifierFirst, MFA_BYPASS]).await;
        let identifier = w.site().begin().await;
        let flows = [login, passcode, identifier].map(Waiting::new);
        let mut waiting = Vec::new();
        for flow in flows {
            waiting.push(flow.await);
        }
        (w, waiting)
    });
    let environment = w.bank.environment.id.to_string();
    // The same requests in every run, so that a failure is a change of the code.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config =
        ProptestConfig { cases: 8_000, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new_with_rng(config, rng)
        .run(&(0..waiting.len(), wild()), |(place, wild)| {
            // What every answer must be, `send` looks at.
            runtime.block_on(w.wire.send(waiting[place].request(&environment, &wild)));
            Ok(())
        })
        .unwrap();
    runtime.block_on(w.end());
}
