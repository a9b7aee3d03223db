//! `/{environment}/as/.well-known/openid-configuration` and `/{environment}/as/jwks`.

use std::collections::BTreeSet;

use crate::world::World;

#[tokio::test]
async fn the_discovery_document_does_not_change() {
    let w = World::new().await;
    let answer = w.wire.get(&w.url("/as/.well-known/openid-configuration")).await.must_be(200);
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    snapshot!("discovery", &answer.json());
}

/// RFC 8414, section 3.1: where the issuer has a path, the well-known part comes before it.
#[tokio::test]
async fn clients_of_plain_oauth_find_the_same_document_where_they_look() {
    let w = World::new().await;
    let openid = w.wire.get(&w.url("/as/.well-known/openid-configuration")).await.json();
    let environment = w.bank.environment.id;
    let path = format!("/.well-known/oauth-authorization-server/{environment}/as");
    let answer = w.wire.get(&path).await.must_be(200);
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    assert_eq!(answer.json(), openid);
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        w.wire.get(path).await.must_be(404);
    }
}

#[tokio::test]
async fn the_key_set_has_one_key_of_each_algorithm_and_nothing_private() {
    let w = World::new().await;
    let set = w.wire.get(&w.url("/as/jwks")).await.must_be(200).json();
    let keys = set["keys"].as_array().unwrap();
    let algorithms: Vec<&str> = keys.iter().filter_map(|key| key["alg"].as_str()).collect();
    assert_eq!(algorithms, ["RS256", "ES256"]);
    let public = ["kty", "use", "alg", "kid", "n", "e", "crv", "x", "y"];
    let members: BTreeSet<&str> =
        keys.iter().flat_map(|key| key.as_object().unwrap().keys().map(String::as_str)).collect();
    assert_eq!(members, BTreeSet::from(public));
    assert_ne!(keys[0]["kid"], keys[1]["kid"]);
}

#[tokio::test]
async fn each_environment_has_keys_of_its_own() {
    let w = World::new().await;
    let other = w.server.create_environment("Other").await.unwrap();
    let own = w.wire.get(&w.url("/as/jwks")).await.json();
    let others = w.wire.get(&format!("/{}/as/jwks", other.id)).await.must_be(200).json();
    assert_ne!(own["keys"][0]["n"], others["keys"][0]["n"]);
    assert_ne!(own["keys"][1]["x"], others["keys"][1]["x"]);
}
