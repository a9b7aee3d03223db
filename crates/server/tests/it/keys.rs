//! Signing keys that follow each other: what applications, phones and other nodes notice.

mod emergency;
mod nodes;
mod reseal;
mod rotation;

use countersign_domain::signing_key::{Rules, SigningKey};
use countersign_protocol::{encoding, jose::Algorithm};
use countersign_server::app::Rotation;
use serde_json::Value;

use crate::world::{Wire, World};

/// How long a key is published before it signs.
fn publish_seconds() -> i64 {
    Rules::default().publish_seconds
}

/// How long a key stays published after it has signed.
fn retired_seconds() -> i64 {
    Rules::default().retired_seconds
}

/// Replaces the keys.
async fn rotate(w: &World, rotation: Rotation) -> Vec<SigningKey> {
    w.server.rotate_keys(w.bank.environment.id, None, rotation).await.unwrap()
}

/// Lets the keys be replaced in order, until the new ones sign.
async fn rotate_and_wait(w: &World) {
    rotate(w, Rotation::InOrder).await;
    w.advance(publish_seconds());
    w.server.tend_keys().await.unwrap();
}

/// The key set as a node publishes it.
async fn key_set(w: &World, wire: &Wire) -> Vec<Value> {
    let set = wire.get(&w.url("/as/jwks")).await.must_be(200).json();
    set["keys"].as_array().unwrap().clone()
}

/// The names of the published keys, in their order.
async fn kids(w: &World, wire: &Wire) -> Vec<String> {
    let name = |key: &Value| key["kid"].as_str().unwrap().to_owned();
    key_set(w, wire).await.iter().map(name).collect()
}

/// The name of the key that signed a token.
fn kid(token: &str) -> String {
    let header = encoding::decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

/// The states of the keys of an algorithm, oldest first.
async fn states(w: &World, algorithm: Algorithm) -> Vec<&'static str> {
    let keys = w.server.list_keys(w.bank.environment.id).await.unwrap();
    let own = keys.iter().filter(|key| key.algorithm() == algorithm);
    let mut states: Vec<_> = own.map(|key| key.state.name()).collect();
    // Keys that were made in the same moment have no order.
    states.sort_by_key(|state| ["retired", "current", "next"].iter().position(|s| s == state));
    states
}
