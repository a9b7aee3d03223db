//! The admin interface: what a test in another language, or a person with curl, does to phones and services.

use countersign_emulator::push_service::admin::{Admin, AdminError};
use countersign_emulator::push_service::fault::{Fault, Order};
use countersign_emulator::push_service::fcm::{FcmServer, FcmSettings};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::apns::World;
use crate::world::{SOON, TOPIC, host};

struct Operator {
    world: World,
    fcm: FcmServer,
    admin: Admin,
    client: Client,
}

impl Operator {
    async fn new() -> Self {
        let world = World::new().await;
        let fcm = FcmServer::start(FcmSettings::new(Vec::new()), host().0).await.unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let admin = Admin::start(listen, &world.server, &fcm).await.unwrap();
        let client = Client::builder().timeout(SOON).build().unwrap();
        Self { world, fcm, admin, client }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("http://{}/__admin{path}", self.admin.address());
        let request = self.client.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        let request = request.body(body.map(|body| body.to_string()).unwrap_or_default());
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
    }
}

#[tokio::test]
async fn a_phone_is_installed_receives_and_is_removed() {
    let operator = Operator::new().await;
    let (status, made) = operator.ask("POST", "/apns/phones", Some(json!({ "app": TOPIC }))).await;
    assert_eq!(status, 201);
    let token = made["token"].as_str().unwrap();
    let phone = format!("/apns/phones/{token}");
    let expected = json!({
        "token": token, "app": TOPIC, "environment": "production", "state": "installed", "online": true,
    });
    assert_eq!(operator.ask("GET", &phone, None).await, (200, expected));

    let limit = Some(json!({ "limit_ms": 0 }));
    let receive = format!("{phone}/receive");
    assert_eq!(operator.ask("POST", &receive, limit.clone()).await, (204, Value::Null));
    let push = operator.world.request().to(token).header("apns-collapse-id", "mfa");
    assert_eq!(operator.world.send(push).await.status, 200);
    let (status, message) = operator.ask("POST", &receive, limit).await;
    assert_eq!(status, 200);
    assert_eq!(message["kind"], "visible");
    assert_eq!(message["accepted_at"], "2026-01-05T09:00:00.000Z");
    assert_eq!(message["sent"], json!({ "aps": { "alert": "Sign in?" } }));
    assert_eq!(message["headers"]["apns-collapse-id"], "mfa");
    let messages = operator.ask("GET", &format!("{phone}/messages"), None).await;
    assert_eq!(messages, (200, json!({ "messages": [message] })));

    assert_eq!(operator.ask("DELETE", &phone, None).await.0, 204);
    let (_, shown) = operator.ask("GET", &phone, None).await;
    assert_eq!(
        (&shown["state"], &shown["at"]),
        (&json!("uninstalled"), &json!("2026-01-05T09:00:00.000Z"))
    );
    let (status, again) = operator.ask("POST", &format!("{phone}/reinstall"), None).await;
    assert_eq!(status, 201);
    assert_ne!(again["token"], token);
}

#[tokio::test]
async fn a_phone_goes_offline_and_comes_back() {
    let operator = Operator::new().await;
    let phone = format!("/apns/phones/{}", operator.world.token);
    let (status, shown) = operator.ask("PATCH", &phone, Some(json!({ "online": false }))).await;
    assert_eq!((status, &shown["online"]), (200, &json!(false)));
    operator.world.send(operator.world.request()).await;
    let messages = format!("{phone}/messages");
    assert_eq!(operator.ask("GET", &messages, None).await.1, json!({ "messages": [] }));
    operator.ask("PATCH", &phone, Some(json!({ "online": true }))).await;
    let (_, shown) = operator.ask("GET", &messages, None).await;
    assert_eq!(shown["messages"].as_array().unwrap().len(), 1);
    let hold = json!({ "fault": { "kind": "hold_back" }, "token": operator.world.token });
    assert_eq!(operator.ask("POST", "/apns/faults", Some(hold)).await.0, 204);
    operator.world.send(operator.world.request()).await;
    assert_eq!(
        operator.ask("GET", &messages, None).await.1["messages"].as_array().unwrap().len(),
        1
    );
    assert_eq!(operator.ask("POST", &format!("{phone}/release"), None).await.0, 204);
    assert_eq!(
        operator.ask("GET", &messages, None).await.1["messages"].as_array().unwrap().len(),
        2
    );
    operator.ask("PATCH", &phone, Some(json!({ "expired": true }))).await;
    assert_eq!(operator.world.send(operator.world.request()).await.reason(), "ExpiredToken");
}

#[tokio::test]
async fn phones_are_listed_page_by_page() {
    let operator = Operator::new().await;
    for _ in 0..101 {
        operator.fcm.installations().install("p").unwrap();
    }
    let (_, first) = operator.ask("GET", "/fcm/phones", None).await;
    assert_eq!(first["phones"].as_array().unwrap().len(), 100);
    let next = first["next"].as_str().unwrap();
    let (_, second) = operator.ask("GET", &format!("/fcm/phones?after={next}"), None).await;
    assert_eq!((second["phones"].as_array().unwrap().len(), &second["next"]), (1, &Value::Null));
}

#[tokio::test]
async fn faults_are_ordered_listed_and_forgotten() {
    let operator = Operator::new().await;
    let order = json!({ "fault": { "kind": "reason", "reason": "Shutdown" }, "times": 2 });
    assert_eq!(operator.ask("POST", "/apns/faults", Some(order)).await, (204, Value::Null));
    assert_eq!(operator.world.send(operator.world.request()).await.reason(), "Shutdown");
    let (_, listed) = operator.ask("GET", "/apns/faults", None).await;
    assert_eq!(listed["faults"][0]["times"], 1);
    assert_eq!(operator.ask("DELETE", "/apns/faults", None).await.0, 204);
    assert_eq!(operator.world.send(operator.world.request()).await.status, 200);
}

#[tokio::test]
async fn every_fault_of_the_document_can_be_ordered() {
    let operator = Operator::new().await;
    let document = include_str!("../../../../docs/emulator.md");
    let mut orders = 0;
    let mut kinds = std::collections::BTreeSet::new();
    for line in document.lines().filter(|line| line.starts_with("| `{\"kind\"")) {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let fault: Value = serde_json::from_str(cells.next().unwrap().trim_matches('`')).unwrap();
        kinds.insert(fault["kind"].as_str().unwrap().to_owned());
        for service in cells.next().unwrap().split(", ") {
            let path = format!("/{}/faults", service.to_lowercase());
            let order = json!({ "fault": fault });
            assert_eq!(
                operator.ask("POST", &path, Some(order)).await,
                (204, Value::Null),
                "{line}"
            );
            orders += 1;
        }
    }
    assert!(orders > kinds.len());
    // What is not a kind is answered with the list of all kinds.
    let order = json!({ "fault": { "kind": "earthquake" } });
    let (_, refusal) = operator.ask("POST", "/fcm/faults", Some(order)).await;
    let (_, known) = refusal["error"].as_str().unwrap().split_once("expected one of ").unwrap();
    let known =
        known.split(" at line").next().unwrap().split(", ").map(|name| name.trim_matches('`'));
    assert_eq!(known.map(str::to_owned).collect::<std::collections::BTreeSet<_>>(), kinds);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let operator = Operator::new().await;
    for (method, path, body, status, error) in [
        ("GET", "/hms/phones", None, 404, "nothing here"),
        ("GET", "/apns/phones/00", None, 404, "ever installed"),
        ("DELETE", "/apns/phones/00", None, 404, "ever installed"),
        ("POST", "/apns/phones/00/reinstall", None, 404, "ever installed"),
        ("POST", "/apns/phones", Some(json!({ "app": "" })), 400, "app: must be"),
        ("POST", "/apns/phones", Some(json!({ "ap": "x" })), 400, "unknown field `ap`"),
        ("POST", "/apns/phones/00/receive", Some(json!({ "limit_ms": 60_001 })), 400, "limit_ms"),
        (
            "POST",
            "/fcm/faults",
            Some(json!({ "fault": { "kind": "shutdown" } })),
            400,
            "no such fault",
        ),
        (
            "POST",
            "/apns/faults",
            Some(json!({ "fault": { "kind": "lose", "extra": 1 } })),
            400,
            "unknown field `extra`",
        ),
    ] {
        let (got, answer) = operator.ask(method, path, body).await;
        let said = answer["error"].as_str().unwrap();
        assert!(got == status && said.contains(error), "{method} {path}: {got} {said}");
    }
}

#[tokio::test]
async fn neither_web_pages_nor_other_machines_reach_it() {
    let operator = Operator::new().await;
    let url = format!("http://{}/__admin", operator.admin.address());
    let ask = async |name: &str, value: &str| {
        let request = operator.client.get(&url).header(name, value);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask("accept", "*/*").await, 200);
    assert_eq!(ask("host", "localhost:1").await, 200);
    assert_eq!(ask("host", "rebound.example:80").await, 403);
    assert_eq!(ask("origin", "https://evil.example").await, 403);
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let refused = Admin::start(everywhere, &operator.world.server, &operator.fcm).await;
    assert!(matches!(refused, Err(AdminError::NotLoopback(_))));
}

#[test]
fn an_order_is_for_once_unless_it_says_otherwise() {
    let order: Order = serde_json::from_value(json!({ "fault": { "kind": "lose" } })).unwrap();
    assert_eq!(order, Order::from(Fault::Lose {}));
}
