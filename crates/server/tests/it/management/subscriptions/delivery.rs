//! How webhooks are told: signed, at least once, in bounded calls, whatever breaks on the way.

use std::{sync::Arc, time::Duration};

use countersign_domain::{
    audit::{Action, Entry, Event, Record},
    id::Id,
    population::Population,
};
use countersign_protocol::{entropy::SystemEntropy, time::Timestamp};
use countersign_server::{Server, Settings, app::App};
use countersign_store::{Engine, StoreError, Tx, Work, audit};
use http::Method;
use serde_json::{Value, json};

use crate::world::{Behaviour, Hook, PASSWORD, Told, World, administrator::Administrator};

on_both_engines!(
    what_happens_is_told_once_signed_and_with_the_header_fields,
    what_becomes_visible_late_is_told_too,
    a_restart_repeats_the_last_minute_at_most,
    a_receiver_in_trouble_is_told_when_it_is_well_again,
    what_happens_while_a_webhook_is_off_is_told_when_it_is_on,
    a_replay_tells_everything_once_more,
);

/// A webhook of new populations.
fn wanting(hook: &Hook) -> Value {
    json!({
        "name": "SIEM",
        "enabled": true,
        "verifyTlsCertificates": true,
        "httpEndpoint": { "url": hook.url(), "headers": { "Authorization": "Bearer sesame" } },
        "filterOptions": { "includedActionTypes": ["POPULATION.CREATED"] },
    })
}

/// An administrator, and the address of a webhook that is told here.
async fn told_here(w: &World, body: &Value) -> (Administrator, String) {
    let admin = w.administrator().await;
    w.advance(1);
    let made = admin.make("/subscriptions", body).await;
    w.advance(1);
    let url = made["_links"]["self"]["href"].as_str().unwrap().to_owned();
    (admin, url)
}

async fn happens(w: &World, admin: &Administrator, names: &[&str]) {
    for name in names {
        admin.make("/populations", &json!({ "name": name })).await;
        w.advance(1);
    }
}

/// One run for every webhook, by a node.
async fn run(app: &App) -> u64 {
    let mut told = 0;
    for (id, environment) in app.list_enabled_subscriptions(None).await.unwrap() {
        told += app.deliver_subscription(id, environment).await.unwrap();
    }
    told
}

async fn delivery(admin: &Administrator, url: &str) -> Value {
    admin.get(url).await.must_be(200).json()["delivery"].clone()
}

async fn what_happens_is_told_once_signed_and_with_the_header_fields(w: &mut World) {
    let mut hook = Hook::open().await;
    let (admin, url) = told_here(w, &wanting(&hook)).await;
    assert_eq!(run(&w.server).await, 0, "what happened before is not told");
    happens(w, &admin, &["North", "South"]).await;
    w.user("bob").await;
    assert_eq!(run(&w.server).await, 2);
    let [told] = hook.told().try_into().unwrap();
    let records = told.records();
    let names: Vec<_> = records.iter().map(|it| &it["resources"][0]["name"]).collect();
    assert_eq!(names, ["North", "South"]);
    let filter = "/activities?order=ASC&filter=action.type%20eq%20%22POPULATION.CREATED%22";
    let log = admin.get(filter).await.json();
    assert_eq!(records[0]["id"], log["_embedded"]["activities"][1]["id"]);
    assert_eq!(told.header("authorization"), "Bearer sesame");
    assert_eq!(told.header("content-type"), "application/json");
    let secret = admin.get(&format!("{url}/secret")).await.must_be(200).json();
    let secret = secret["secret"].as_str().unwrap();
    assert!(told.is_signed_with(secret));
    for forged in [
        Told { body: told.body.replace("North", "Worth"), ..told.clone() },
        with_header(&told, "webhook-id", "msg_other"),
        with_header(&told, "webhook-timestamp", "1"),
    ] {
        assert!(!forged.is_signed_with(secret));
    }
    let other = admin.make("/subscriptions", &wanting(&hook)).await;
    let other = format!("/subscriptions/{}/secret", other["id"].as_str().unwrap());
    let other = admin.get(&other).await.must_be(200).json();
    assert!(!told.is_signed_with(other["secret"].as_str().unwrap()));
    // Not again: neither now, nor when the sweep passes.
    for seconds in [0, 5, 60, 120] {
        w.advance(seconds);
        assert_eq!(run(&w.server).await, 0, "after {seconds} s");
    }
    let delivery = delivery(&admin, &url).await;
    assert_eq!(delivery["failures"], 0);
    assert!(delivery["lastSuccessAt"].is_string() && delivery["lastError"].is_null());
}

fn with_header(told: &Told, name: &'static str, value: &str) -> Told {
    let mut told = told.clone();
    told.headers.insert(name, value.parse().unwrap());
    told
}

/// A record of a request that has begun then, and is committed now.
struct Late {
    record: Record,
}

impl Work for Late {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        audit::insert(tx, &self.record).await
    }
}

async fn comes_late(w: &World, name: &str, at: Timestamp) {
    let population = Population {
        id: w.server.new_id(),
        environment: w.bank.environment.id,
        name: name.to_owned(),
        default: false,
        description: None,
        preferred_language: None,
        told: None,
        created_at: at,
        updated_at: at,
    };
    let event = Event::succeeded(Action::PopulationCreated).to(&population);
    let entry =
        Entry { recorded_at: at, correlation: String::new(), source: None, by: None, event };
    let id = Id::new(at, &SystemEntropy);
    let record = Record { id, environment: w.bank.environment.id, entry };
    w.server.store().write(Late { record }).await.unwrap();
}

async fn what_becomes_visible_late_is_told_too(w: &mut World) {
    let mut hook = Hook::open().await;
    let (admin, _) = told_here(w, &wanting(&hook)).await;
    w.advance(40);
    let begun = w.server.now();
    w.advance(20);
    happens(w, &admin, &["North"]).await;
    assert_eq!(run(&w.server).await, 1);
    // A little late: the front looks back. Very late: the sweep finds it.
    comes_late(w, "A little", w.server.now().minus_seconds(2)).await;
    comes_late(w, "Very", begun).await;
    assert_eq!(run(&w.server).await, 1);
    assert_eq!(hook.names(), ["North", "A little"]);
    w.advance(60);
    assert_eq!(run(&w.server).await, 1);
    assert_eq!(hook.names(), ["Very"]);
    w.advance(60);
    assert_eq!(run(&w.server).await, 0);
}

async fn a_restart_repeats_the_last_minute_at_most(w: &mut World) {
    let mut hook = Hook::open().await;
    let (admin, _) = told_here(w, &wanting(&hook)).await;
    happens(w, &admin, &["North"]).await;
    assert_eq!(run(&w.server).await, 1);
    w.advance(30);
    happens(w, &admin, &["South"]).await;
    assert_eq!(run(&w.server).await, 1);
    // The sweep passes the first and not yet the second.
    w.advance(40);
    assert_eq!(run(&w.server).await, 0);
    let before = hook.told();
    w.restart().await;
    // The process before has it for a minute.
    w.advance(60);
    assert_eq!(run(&w.server).await, 1);
    let [again] = hook.told().try_into().unwrap();
    assert_eq!(again.records(), before[1].records());
    assert_eq!(again.header("webhook-id"), before[1].header("webhook-id"));
    w.advance(60);
    assert_eq!(run(&w.server).await, 0);
}

async fn a_receiver_in_trouble_is_told_when_it_is_well_again(w: &mut World) {
    let mut hook = Hook::open().await;
    let (admin, url) = told_here(w, &wanting(&hook)).await;
    happens(w, &admin, &["North"]).await;
    hook.will(Behaviour::Answer(503));
    assert_eq!(run(&w.server).await, 0);
    assert_eq!(run(&w.server).await, 0);
    assert_eq!(hook.told().len(), 1, "it is not called again at once");
    let now = delivery(&admin, &url).await;
    assert_eq!(
        (&now["failures"], &now["lastError"]["message"]),
        (&json!(1), &json!("the answer has status 503"))
    );
    assert!(now["nextAttemptAt"].is_string() && now["lastSuccessAt"].is_null());
    let mut calls = 0;
    for _ in 0..24 {
        w.advance(300);
        run(&w.server).await;
        calls += hook.told().len();
    }
    assert!((12..=20).contains(&calls), "{calls} in two hours");
    let admin = w.administrator().await;
    happens(w, &admin, &["South"]).await;
    hook.will(Behaviour::Answer(204));
    w.advance(600);
    assert_eq!(run(&w.server).await, 2);
    assert_eq!(hook.names(), ["North", "South"]);
    let now = delivery(&admin, &url).await;
    assert_eq!(now["failures"], 0);
    assert!(now["nextAttemptAt"].is_null() && now["lastSuccessAt"].is_string());
    // What has waited for two weeks is dropped, and that is told.
    hook.will(Behaviour::Answer(500));
    happens(w, &admin, &["East"]).await;
    run(&w.server).await;
    w.advance(14 * 86_400 - 30);
    let admin = w.administrator().await;
    happens(w, &admin, &["West"]).await;
    w.advance(60);
    hook.will(Behaviour::Answer(200));
    hook.told();
    assert_eq!(run(&w.server).await, 1);
    assert_eq!(hook.names(), ["West"]);
    assert!(delivery(&admin, &url).await["droppedAt"].is_string());
}

async fn what_happens_while_a_webhook_is_off_is_told_when_it_is_on(w: &mut World) {
    let mut hook = Hook::open().await;
    let mut body = wanting(&hook);
    let (admin, url) = told_here(w, &body).await;
    happens(w, &admin, &["North"]).await;
    assert_eq!(run(&w.server).await, 1);
    w.advance(120);
    run(&w.server).await;
    hook.told();
    body["enabled"] = json!(false);
    admin.put(&url, &body).await.must_be(200);
    happens(w, &admin, &["South"]).await;
    w.advance(600);
    assert_eq!(run(&w.server).await, 0);
    body["enabled"] = json!(true);
    admin.put(&url, &body).await.must_be(200);
    assert_eq!(run(&w.server).await, 1);
    assert_eq!(hook.names(), ["South"]);
    admin.delete(&url).await.must_be(204);
    happens(w, &admin, &["West"]).await;
    assert_eq!(run(&w.server).await, 0);
}

async fn a_replay_tells_everything_once_more(w: &mut World) {
    let mut hook = Hook::open().await;
    let (admin, url) = told_here(w, &wanting(&hook)).await;
    let since = w.server.now().to_rfc3339_millis();
    happens(w, &admin, &["North"]).await;
    w.advance(120);
    happens(w, &admin, &["South"]).await;
    assert_eq!(run(&w.server).await, 2);
    hook.told();
    let replay = async |from: &str| {
        admin.act(Method::POST, &url, "subscription.replay", &json!({ "from": from })).await
    };
    let answer = replay(&since).await.must_be(200).json();
    assert_eq!(answer["delivery"]["deliveredThrough"], since.as_str());
    assert_eq!(run(&w.server).await, 2);
    assert_eq!(hook.names(), ["North", "South"]);
    assert_eq!(run(&w.server).await, 0);
    for wrong in ["2025-12-01T00:00:00Z", "2027-01-01T00:00:00Z", "yesterday"] {
        let refused = replay(wrong).await.must_be(400).json();
        assert_eq!(refused["details"][0]["target"], "from");
    }
}

mod nodes {
    use super::*;

    mod postgres {
        on_engine!(one_node_at_a_time_tells_a_webhook, countersign_store::Engine::Postgres);
    }

    async fn one_node_at_a_time_tells_a_webhook(w: &mut World) {
        let mut hook = Hook::open().await;
        let (admin, _) = told_here(w, &wanting(&hook)).await;
        let (other, _) = w.another_node().await;
        happens(w, &admin, &["North"]).await;
        let (one, two) = tokio::join!(run(&w.server), run(&other));
        assert_eq!((one + two, hook.names().len()), (1, 1));
        let (holder, waiting) = if one == 1 { (&w.server, &other) } else { (&other, &w.server) };
        happens(w, &admin, &["South"]).await;
        assert_eq!((run(waiting).await, run(holder).await), (0, 1));
        // The holder is gone: after its lease another goes on, and repeats the last minute.
        w.advance(61);
        happens(w, &admin, &["West"]).await;
        assert!(run(waiting).await >= 1);
        assert!(hook.names().ends_with(&["West".to_owned()]));
        other.store().close().await;
    }
}

async fn with_limit(limit: Value, format: &str) -> Vec<Told> {
    let w = World::new().await;
    let mut hook = Hook::open().await;
    let mut body = wanting(&hook);
    body["payloadOptions"] = json!({
        "maximumPayloadLimit": limit,
        "payloadFormat": { "https": { "format": format, "prettyPrint": true } },
    });
    let (admin, _) = told_here(&w, &body).await;
    happens(&w, &admin, &["A", "B", "C", "D", "E"]).await;
    assert_eq!(run(&w.server).await, 5);
    hook.told()
}

#[tokio::test]
async fn calls_are_no_larger_than_the_receiver_takes() {
    let told =
        Box::pin(with_limit(json!({ "type": "EVENTS_PER_PAYLOAD", "size": 2 }), "JSON_ARRAY"))
            .await;
    let counts: Vec<_> = told.iter().map(|it| it.records().len()).collect();
    assert_eq!(counts, [2, 2, 1]);
    assert!(told[0].body.contains("\n  \"action\""), "pretty: {}", told[0].body);
    let told =
        Box::pin(with_limit(json!({ "type": "KB_PER_PAYLOAD", "size": 2 }), "ND_JSON")).await;
    assert!(told.len() > 1 && told.iter().all(|it| it.body.len() <= 2_048), "{}", told.len());
    let mut names = Vec::new();
    for told in &told {
        assert_eq!(told.header("content-type"), "application/x-ndjson");
        for line in told.body.lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            names.push(record["resources"][0]["name"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(names, ["A", "B", "C", "D", "E"]);
}

#[tokio::test]
async fn splunk_and_new_relic_are_told_in_their_formats() {
    let w = World::new().await;
    let mut hook = Hook::open().await;
    let mut body = wanting(&hook);
    body["format"] = json!("SPLUNK");
    let (admin, url) = told_here(&w, &body).await;
    happens(&w, &admin, &["North", "South"]).await;
    run(&w.server).await;
    let [told] = hook.told().try_into().unwrap();
    let events: Vec<Value> =
        told.body.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(events.len(), 2);
    assert_eq!(
        (&events[0]["time"], &events[0]["host"]),
        (&json!("1767603602.000"), &json!("id.example"))
    );
    assert_eq!(events[0]["event"]["action"]["type"], "POPULATION.CREATED");
    body["format"] = json!("NEWRELIC");
    admin.put(&url, &body).await.must_be(200);
    happens(&w, &admin, &["West"]).await;
    run(&w.server).await;
    let [told] = hook.told().try_into().unwrap();
    let logs = &told.records()[0]["logs"];
    assert_eq!((&logs[0]["message"], logs[1].is_null()), (&json!("POPULATION.CREATED"), true));
    assert_eq!(logs[0]["attributes"]["resources"][0]["name"], "West");
}

#[tokio::test]
async fn a_webhook_is_told_of_no_more_than_it_asks_for() {
    let w = World::new().await;
    let mut hook = Hook::open().await;
    let mut body = wanting(&hook);
    let types = json!(["USER.ACCESS_ALLOWED", "POPULATION.CREATED"]);
    body["filterOptions"] = json!({
        "includedActionTypes": types,
        "includedApplications": [{ "id": w.bank.native.id }],
    });
    let (admin, url) = told_here(&w, &body).await;
    let sign_on = async || {
        let mut sign_on = w.app().begin().await;
        sign_on.password("ann", PASSWORD).await.must_be(200);
    };
    happens(&w, &admin, &["North"]).await;
    sign_on().await;
    assert_eq!(run(&w.server).await, 1);
    let [told] = hook.told().try_into().unwrap();
    assert_eq!(told.records()[0]["action"]["type"], "USER.ACCESS_ALLOWED");
    assert!(told.records()[0]["source"].is_null(), "{}", told.body);
    let staff = admin.make("/populations", &json!({ "name": "Staff" })).await["id"].clone();
    w.advance(120);
    body["filterOptions"] = json!({
        "includedActionTypes": types, "includedPopulations": [{ "id": staff }],
    });
    admin.put(&url, &body).await.must_be(200);
    sign_on().await;
    assert_eq!(run(&w.server).await, 1, "the news of the population itself");
    let ann = format!("/users/{}/population", w.bank.ann.id);
    admin.put(&ann, &json!({ "id": staff })).await.must_be(200);
    w.advance(1);
    sign_on().await;
    assert!(run(&w.server).await >= 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let w = World::new().await;
    let mut hook = Hook::open().await;
    let (admin, url) = told_here(&w, &wanting(&hook)).await;
    happens(&w, &admin, &["North"]).await;
    hook.will(Behaviour::Redirect);
    assert_eq!((run(&w.server).await, hook.told().len()), (0, 1));
    let now = delivery(&admin, &url).await;
    assert_eq!(now["lastError"]["message"], "the answer has status 307");
}

fn strict(settings: &mut Settings) {
    settings.outbound.private_addresses = false;
}

#[tokio::test]
async fn a_private_address_is_refused_and_a_name_of_one_is_not_called() {
    let w = World::with_settings(Engine::Sqlite, strict).await;
    let mut hook = Hook::open().await;
    let admin = w.administrator().await;
    for url in [
        "http://127.0.0.1/in",
        "https://127.0.0.1/in",
        "https://10.0.0.1/in",
        "https://[::1]/in",
        "https://169.254.169.254/in",
    ] {
        let mut body = wanting(&hook);
        body["httpEndpoint"]["url"] = json!(url);
        let refused = admin.post("/subscriptions", &body).await.must_be(400).json();
        assert_eq!(refused["details"][0]["target"], "httpEndpoint.url", "{url}");
    }
    let mut body = wanting(&hook);
    body["httpEndpoint"]["url"] = json!(format!("https://localhost:{}/in", hook.port()));
    body["verifyTlsCertificates"] = json!(false);
    let (admin, url) = told_here(&w, &body).await;
    happens(&w, &admin, &["North"]).await;
    assert_eq!((run(&w.server).await, hook.told().len()), (0, 0));
    let now = delivery(&admin, &url).await;
    let expected = "the address must not be called: it is of a private network";
    assert_eq!(now["lastError"]["message"], expected);
}

#[tokio::test]
async fn a_receiver_that_is_slow_or_never_stops_talking_costs_no_more_than_the_time_limit() {
    let hasty = |settings: &mut Settings| {
        settings.subscriptions.timeout = Duration::from_millis(200);
    };
    let w = World::with_settings(Engine::Sqlite, hasty).await;
    let mut hook = Hook::open().await;
    let (admin, url) = told_here(&w, &wanting(&hook)).await;
    happens(&w, &admin, &["North"]).await;
    hook.will(Behaviour::Silence);
    assert_eq!((run(&w.server).await, hook.told().len()), (0, 1));
    let now = delivery(&admin, &url).await;
    let expected = "there was no answer in time, or no connection that can be trusted";
    assert_eq!(now["lastError"]["message"], expected);
    // The answer counts, and nothing of it is read.
    hook.will(Behaviour::Flood);
    w.advance(10);
    assert_eq!((run(&w.server).await, hook.names().len()), (1, 1));
    w.advance(1);
    assert_eq!(run(&w.server).await, 0);
}

#[tokio::test]
async fn a_server_tells_by_itself() {
    let w = World::new().await;
    let mut hook = Hook::open().await;
    let (admin, _) = told_here(&w, &wanting(&hook)).await;
    happens(&w, &admin, &["North"]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start(Arc::clone(&w.server), listener).unwrap();
    assert_eq!(hook.next().await.records().len(), 1);
    server.stop().await;
}
