//! Every route with every wrong caller. A route that is added without an entry here fails the first test.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use countersign_domain::application::TokenEndpointAuthMethod;
use countersign_protocol::device_api::InfoRequest;
use http::{Method, Request};

use crate::world::{Answer, Bank, FORM, HTTPS, JSON, World, basic, request, with};

/// Who may call, as the signature of the handler says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Anyone,
    Browser,
    Client,
    Bearer,
    Installation,
    Worker,
}

/// What an error looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surface {
    Page,
    OAuth,
    Envelope,
}

use Caller::{Anyone, Bearer, Browser, Client, Installation, Worker};
use Surface::{Envelope, OAuth, Page};

const ENDPOINTS: [(&str, &str, Caller, Surface); 59] = [
    ("GET", "/{environment}/as/.well-known/openid-configuration", Anyone, Envelope),
    ("GET", "/.well-known/oauth-authorization-server/{environment}/as", Anyone, Envelope),
    ("GET", "/{environment}/as/jwks", Anyone, Envelope),
    ("POST", "/{environment}/as/token", Client, OAuth),
    ("POST", "/{environment}/as/device_authorization", Client, OAuth),
    ("GET", "/{environment}/device", Anyone, Page),
    ("POST", "/{environment}/device", Browser, Page),
    ("GET", "/console", Anyone, Page),
    ("POST", "/console", Anyone, Page),
    ("GET", "/console/{*path}", Anyone, Page),
    ("POST", "/console/{*path}", Anyone, Page),
    ("GET", "/{environment}/account", Anyone, Page),
    ("POST", "/{environment}/account", Browser, Page),
    ("GET", "/{environment}/account/pairing-keys/{key}", Browser, Envelope),
    ("POST", "/{environment}/as/introspect", Client, OAuth),
    ("POST", "/{environment}/as/revoke", Client, OAuth),
    ("GET", "/{environment}/as/userinfo", Bearer, OAuth),
    ("POST", "/{environment}/as/userinfo", Bearer, OAuth),
    ("GET", "/{environment}/as/authorize", Browser, Page),
    ("POST", "/{environment}/as/authorize", Browser, Page),
    ("GET", "/{environment}/as/resume", Browser, Page),
    ("POST", "/{environment}/as/par", Client, OAuth),
    ("GET", "/{environment}/as/signoff", Anyone, Page),
    ("POST", "/{environment}/as/signoff", Anyone, Page),
    ("GET", "/{environment}/signon/events", Browser, Page),
    ("GET", "/{environment}/signon", Browser, Page),
    ("POST", "/{environment}/signon", Browser, Page),
    ("GET", "/{environment}/flows/{flow}", Browser, Envelope),
    ("POST", "/{environment}/flows/{flow}", Browser, Envelope),
    ("GET", "/assets/{name}", Anyone, Envelope),
    ("GET", "/openapi.json", Anyone, Envelope),
    ("GET", "/openapi", Anyone, Envelope),
    ("GET", "/openapi/{area}", Anyone, Envelope),
    ("GET", "/healthz", Anyone, Envelope),
    ("GET", "/readyz", Anyone, Envelope),
    ("GET", "/{environment}/device/v1/nonce", Anyone, Envelope),
    ("GET", "/{environment}/device/v1/time", Anyone, Envelope),
    ("POST", "/{environment}/device/v1/pairings", Installation, Envelope),
    ("POST", "/{environment}/device/v1/pairings/denials", Installation, Envelope),
    ("POST", "/{environment}/device/v1/info", Installation, Envelope),
    ("POST", "/{environment}/device/v1/unpairings", Installation, Envelope),
    ("POST", "/{environment}/device/v1/logs", Installation, Envelope),
    ("POST", "/{environment}/device/v1/challenges", Installation, Envelope),
    ("GET", "/{environment}/device/v1/socket", Installation, Envelope),
    ("POST", "/{environment}/device/v1/challenges/{challenge}/acknowledge", Installation, Envelope),
    ("POST", "/{environment}/device/v1/challenges/{challenge}/approve", Installation, Envelope),
    ("POST", "/{environment}/device/v1/challenges/{challenge}/deny", Installation, Envelope),
    ("POST", "/{environment}/device/v1/push-address", Installation, Envelope),
    ("POST", "/{environment}/device/v1/push-tests", Installation, Envelope),
    ("POST", "/{environment}/device/v1/authentication-codes/claims", Installation, Envelope),
    (
        "POST",
        "/{environment}/device/v1/authentication-codes/{code}/approve",
        Installation,
        Envelope,
    ),
    ("POST", "/{environment}/device/v1/authentication-codes/{code}/deny", Installation, Envelope),
    ("POST", "/{environment}/device/v1/pairing-keys/claims", Installation, Envelope),
    ("POST", "/{environment}/authenticationCodes", Worker, Envelope),
    ("GET", "/{environment}/authenticationCodes/{code}", Worker, Envelope),
    ("DELETE", "/{environment}/authenticationCodes/{code}", Worker, Envelope),
    ("POST", "/{environment}/deviceAuthentications", Worker, Envelope),
    ("GET", "/{environment}/deviceAuthentications/{authentication}", Worker, Envelope),
    ("POST", "/{environment}/deviceAuthentications/{authentication}", Worker, Envelope),
];

/// The path of each route.
pub fn paths() -> Vec<&'static str> {
    let paths: BTreeSet<_> = ENDPOINTS.iter().map(|(_, path, ..)| *path).collect();
    paths.into_iter().collect()
}

const ROUTES: &str = include_str!("../../src/http.rs");
const HANDLERS: [(&str, &str); 23] = [
    ("account", include_str!("../../src/http/account.rs")),
    ("asset", include_str!("../../src/http/asset.rs")),
    ("console", include_str!("../../src/http/console.rs")),
    ("authentication_code", include_str!("../../src/http/authentication_code.rs")),
    ("authorize", include_str!("../../src/http/authorize.rs")),
    ("challenge", include_str!("../../src/http/challenge.rs")),
    ("device", include_str!("../../src/http/device.rs")),
    ("device_authentication", include_str!("../../src/http/device_authentication.rs")),
    ("discovery", include_str!("../../src/http/discovery.rs")),
    ("flow", include_str!("../../src/http/flow.rs")),
    ("device_authorization", include_str!("../../src/http/device_authorization.rs")),
    ("user_code", include_str!("../../src/http/user_code.rs")),
    ("management", include_str!("../../src/http/management.rs")),
    ("introspect", include_str!("../../src/http/introspect.rs")),
    ("pairing_key", include_str!("../../src/http/pairing_key.rs")),
    ("par", include_str!("../../src/http/par.rs")),
    ("sign_off", include_str!("../../src/http/sign_off.rs")),
    ("revoke", include_str!("../../src/http/revoke.rs")),
    ("health", include_str!("../../src/http/health.rs")),
    ("socket", include_str!("../../src/http/socket.rs")),
    ("sign_on", include_str!("../../src/http/sign_on.rs")),
    ("token", include_str!("../../src/http/token.rs")),
    ("user_info", include_str!("../../src/http/user_info.rs")),
];

/// Method and path of each route of `http.rs`, with its handler.
fn routes() -> BTreeMap<(String, String), String> {
    for other_way in [".nest(", ".route_service(", ".nest_service(", " any(", " on("] {
        assert!(!ROUTES.contains(other_way), "routes are written one by one, without {other_way}");
    }
    let mut routes = BTreeMap::new();
    for route in ROUTES.split(".route(").skip(1).map(up_to_the_end_of_the_call) {
        let path = route.split('"').nth(1).unwrap();
        for method in ["get", "post", "put", "patch", "delete"] {
            let call = format!("{method}(");
            for (at, _) in route.match_indices(&call) {
                let rest = &route[at + call.len()..];
                let handler = &rest[..rest.find(')').unwrap()];
                let route = (method.to_uppercase(), path.to_owned());
                assert_eq!(routes.insert(route, handler.to_owned()), None);
            }
        }
    }
    routes
}

fn up_to_the_end_of_the_call(text: &str) -> &str {
    let mut open = 1;
    let end = text.find(|c| {
        open += i32::from(c == '(') - i32::from(c == ')');
        open == 0
    });
    &text[..end.unwrap()]
}

/// The caller that the signature of a handler names.
fn caller_of(handler: &str) -> Option<Caller> {
    let (module, name) = handler.split_once("::")?;
    let (_, source) = HANDLERS.iter().find(|(known, _)| *known == module)?;
    let (_, rest) = source.split_once(&format!("async fn {name}("))?;
    let (signature, _) = rest.split_once("->")?;
    let words: BTreeSet<&str> = signature.split(|c: char| !c.is_alphanumeric()).collect();
    let named = [
        ("Anyone", Anyone),
        ("Browser", Browser),
        ("Visit", Browser),
        ("Client", Client),
        ("TokenHolder", Bearer),
        ("Leaving", Anyone),
        ("Installation", Installation),
        ("Worker", Worker),
        ("Knock", Installation),
    ];
    named.into_iter().find(|(word, _)| words.contains(word)).map(|(_, caller)| caller)
}

#[test]
fn each_route_is_in_the_table_under_the_caller_that_its_handler_names() {
    let routes = routes();
    let listed = |(method, path, ..): &(&str, &str, Caller, Surface)| {
        ((*method).to_owned(), (*path).to_owned())
    };
    let table: BTreeSet<_> = ENDPOINTS.iter().map(listed).collect();
    assert_eq!(routes.keys().cloned().collect::<BTreeSet<_>>(), table);
    for endpoint in &ENDPOINTS {
        let handler = &routes[&listed(endpoint)];
        assert_eq!(caller_of(handler), Some(endpoint.2), "{handler}");
    }
}

/// A request to a route in this environment, about this flow. Its body is of the kind that the route reads.
fn call(
    (method, path, caller, _): (&str, &str, Caller, Surface),
    environment: &str,
    flow: &str,
    body: &str,
) -> Request<Body> {
    let path = path.replace("{environment}", environment).replace("{flow}", flow);
    let path = path.replace("{name}", "x").replace("{authentication}", flow);
    let path = path.replace("{code}", flow).replace("{user}", flow).replace("{key}", flow);
    let url = match path.rsplit('/').next() {
        Some("signon" | "events" | "resume") => format!("{path}?flowId={flow}"),
        Some("time") => format!("{path}?kid={}&jti={}", "A".repeat(43), "A".repeat(22)),
        Some(_) | None => path,
    };
    let media_type = match caller {
        Installation => JSON,
        Browser if url.contains("/flows/") => "application/vnd.pingidentity.session.reset+json",
        Worker if url.ends_with("/deviceAuthentications") => JSON,
        Worker if url.ends_with("/authenticationCodes") => JSON,
        Worker => "application/vnd.pingidentity.device.select+json",
        Anyone | Browser | Client | Bearer => FORM,
    };
    let request = request(method.parse::<Method>().unwrap(), &url);
    with(request.map(|_| body.to_owned().into()), "content-type", media_type)
}

/// Every refusal is a client error in the form of its surface, or in the envelope where the surface has not been reached.
fn is_refused(answer: &Answer, surface: Surface, context: &str) {
    assert!(answer.status.is_client_error(), "{context}: {answer:?}");
    let told = match (answer.media_type(), surface) {
        ("text/html", Page) => answer.text().contains("<h1"),
        (JSON, OAuth) => {
            answer.json().get("error").is_some() || answer.json().get("code").is_some()
        }
        ("", OAuth) => answer.header("www-authenticate").starts_with("Bearer"),
        (JSON, Envelope) => answer.json().get("code").is_some(),
        _ => false,
    };
    assert!(told, "{context}: {answer:?}");
}

const NO_ID: &str = "00000000-0000-7000-8000-000000000000";

#[tokio::test]
async fn nothing_is_there_in_an_environment_that_is_none() {
    let w = World::new().await;
    let shouted = w.bank.environment.id.to_string().to_uppercase();
    let long = "x".repeat(5_000);
    for environment in [NO_ID, "x", "%00", "%FF", "..%2f", "{environment}", &shouted, &long] {
        let environment = environment.replace('{', "%7B").replace('}', "%7D");
        for endpoint in ENDPOINTS.iter().filter(|(_, path, ..)| path.contains("{environment}")) {
            let answer = w.wire.send(call(*endpoint, &environment, NO_ID, "")).await;
            let context = format!("{endpoint:?} in {environment}");
            assert_eq!(answer.status, 404, "{context}: {answer:?}");
            is_refused(&answer, endpoint.3, &context);
        }
    }
}

#[tokio::test]
async fn who_shows_nothing_is_refused_unless_the_answer_is_for_everybody() {
    let w = World::new().await;
    w.server.ensure_administrators().await.unwrap();
    for endpoint in ENDPOINTS {
        let request = call(endpoint, &w.bank.environment.id.to_string(), NO_ID, "");
        let answer = w.wire.send(request).await;
        match endpoint {
            (_, "/assets/{name}" | "/openapi/{area}", ..) => assert_eq!(answer.status, 404),
            // Whoever comes signs in first.
            ("GET", "/{environment}/account", ..) | (_, "/console" | "/console/{*path}", ..) => {
                assert_eq!(answer.status, 303);
            }
            (_, _, Anyone, _) => assert_eq!(answer.status, 200, "{endpoint:?}"),
            _ => is_refused(&answer, endpoint.3, &format!("{endpoint:?}")),
        }
    }
}

fn of(caller: Caller) -> impl Iterator<Item = (&'static str, &'static str, Caller, Surface)> {
    ENDPOINTS.into_iter().filter(move |(_, _, named, _)| *named == caller)
}

#[tokio::test]
async fn a_browser_of_one_environment_has_no_flow_in_another() {
    let w = World::new().await;
    let other = Bank::open(&w.server, "Other").await.environment.id.to_string();
    let sign_on = w.app().begin().await;
    let flow = sign_on.flow["id"].as_str().unwrap();
    for endpoint in of(Browser) {
        let request =
            with(call(endpoint, &other, flow, ""), "cookie", &sign_on.client.browser.cookie());
        is_refused(&w.wire.send(request).await, endpoint.3, &format!("{endpoint:?}"));
    }
    let own = sign_on.client.authorize_url(&sign_on.client.request());
    let elsewhere = own.replace(&w.bank.environment.id.to_string(), &other);
    w.wire.get(&elsewhere).await.must_be(400);
    w.wire.get(&own).await.must_be(302);
}

#[tokio::test]
async fn a_client_of_one_environment_is_unknown_in_another() {
    let w = World::new().await;
    let other = Bank::open(&w.server, "Other").await.environment.id.to_string();
    let method = TokenEndpointAuthMethod::ClientSecretBasic;
    let created = w.bank.confidential(&w.server, method).await;
    let id = created.application.id.to_string();
    let portal = w.client(&id, "https://portal.example/callback").with_secret(&created);
    let form = portal.token_request(&portal.code_for("ann").await).with("token", "x");
    let form = form.with("response_type", "code").with("scope", "openid");
    for endpoint in of(Client) {
        let send = async |environment: &str| {
            let request = call(endpoint, environment, NO_ID, &form.encoded());
            w.wire.send(with(request, "authorization", &basic(&id, portal.secret()))).await
        };
        assert_eq!(send(&other).await.must_be(401).json()["error"], "invalid_client");
        let own = send(&w.bank.environment.id.to_string()).await;
        assert!(own.status.is_success(), "{endpoint:?}: {own:?}");
    }
}

#[tokio::test]
async fn an_access_token_of_one_environment_is_none_in_another() {
    let w = World::new().await;
    let other = Bank::open(&w.server, "Other").await.environment.id.to_string();
    let bearer = format!("Bearer {}", w.app().sign_in("ann").await.access_token);
    for endpoint in of(Bearer) {
        let send = async |environment: &str| {
            let request = call(endpoint, environment, NO_ID, "");
            w.wire.send(with(request, "authorization", &bearer)).await
        };
        let refused = send(&other).await.must_be(401);
        assert!(refused.header("www-authenticate").contains("invalid_token"));
        send(&w.bank.environment.id.to_string()).await.must_be(200);
    }
}

#[tokio::test]
async fn a_worker_acts_in_its_own_environment_alone_and_with_its_own_token() {
    let w = World::new().await;
    let other = Bank::open(&w.server, "Other").await.environment.id.to_string();
    let own = w.bank.environment.id.to_string();
    let (worker, user) = (w.backend().await.token, w.app().sign_in("ann").await.access_token);
    for endpoint in of(Worker) {
        let send = async |environment: &str, token: &str| {
            let request = call(endpoint, environment, NO_ID, "");
            w.wire.send(with(request, "authorization", &format!("Bearer {token}"))).await
        };
        for refused in [send(&other, &worker).await, send(&own, &user).await] {
            assert_eq!(refused.status, 401, "{endpoint:?}: {refused:?}");
            assert_eq!(refused.problem().0, "INVALID_TOKEN");
            assert!(refused.header("www-authenticate").contains("error=\"invalid_token\""));
        }
        // Past the door it is the request itself that is wrong.
        let told = send(&own, &worker).await;
        assert!([400, 404].contains(&told.status.as_u16()), "{endpoint:?}: {told:?}");
    }
}

#[tokio::test]
async fn a_phone_of_one_environment_is_unknown_in_another() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let other = Bank::open(&w.server, "Other").await.environment.id.to_string();
    let own = w.bank.environment.id.to_string();
    for endpoint in of(Installation) {
        let send = async |from: &str, to: &str| {
            let path = endpoint.1.replace("{environment}", from);
            let audience = format!("{HTTPS}{path}");
            let proof = phone.proof(&audience, InfoRequest::default()).await;
            let body = format!(r#"{{"proof":"{proof}"}}"#);
            w.wire.send(call(endpoint, to, NO_ID, &body)).await
        };
        let context = format!("{endpoint:?}");
        is_refused(&send(&other, &other).await, Envelope, &context);
        is_refused(&send(&own, &other).await, Envelope, &context);
        if endpoint.1.ends_with("/info") {
            send(&own, &own).await.must_be(200);
            send(&other, &other).await.must_be(401);
            send(&other, &own).await.must_be(400);
        }
    }
}
