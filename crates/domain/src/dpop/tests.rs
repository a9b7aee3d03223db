//! Every rule of a proof with what breaks it.

use serde_json::{Value, json};

use super::*;
use crate::{
    client_jwt::signer::{jwks, raw},
    fixture::NOW,
};

const TOKEN: &str = "https://id.example/e/as/token";

fn expected() -> Expected<'static> {
    Expected { method: "POST", address: TOKEN, access_token: None, now: NOW }
}

fn header(algorithm: Algorithm) -> Value {
    let keys = jwks();
    let kinds = ["", "ES256", "ES384", "EdDSA"];
    let index = kinds.iter().position(|kind| *kind == algorithm.name()).unwrap_or(0);
    json!({"typ": "dpop+jwt", "alg": algorithm.name(), "jwk": keys["keys"][index]})
}

fn claims() -> Value {
    json!({"jti": "a", "htm": "POST", "htu": TOKEN, "iat": NOW.unix_seconds()})
}

fn with(mut value: Value, changes: &Value) -> String {
    for (name, change) in changes.as_object().unwrap() {
        value[name.as_str()] = change.clone();
    }
    value.to_string()
}

fn verify(header: &str, claims: &str, expected: Expected<'_>) -> Result<DpopProof, String> {
    let proof = raw(Algorithm::Es256, header, claims);
    DpopProof::verify(&proof, expected).map_err(|error| error.to_string())
}

#[test]
fn the_example_of_rfc_9449_verifies() {
    // Section 4.2; the thumbprint is the one of section 6.1.
    let proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
    let expected = Expected {
        address: "https://server.example.com/token",
        now: Timestamp::from_unix_seconds(1_562_262_618),
        ..expected()
    };
    let proof = DpopProof::verify(proof, expected).unwrap();
    assert_eq!(proof.key.to_string(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

#[test]
fn a_proof_counts_with_each_kind_of_key_and_ends_by_its_age() {
    for algorithm in Algorithm::ASYMMETRIC {
        let proof = raw(algorithm, &header(algorithm).to_string(), &claims().to_string());
        let read = DpopProof::verify(&proof, expected()).unwrap();
        assert_eq!(read.spent.until, NOW.plus_seconds(MAX_AGE_SECONDS + LEEWAY_SECONDS));
        let at = |now| DpopProof::verify(&proof, Expected { now, ..expected() });
        assert_eq!(at(read.spent.until.minus_seconds(1)), Ok(read.clone()));
        assert!(at(read.spent.until).is_err());
    }
}

#[test]
fn each_broken_claim_is_told() {
    let header = header(Algorithm::Es256).to_string();
    let htu = "the DPoP proof: htu must be the address of the request, without query and fragment";
    let iat = NOW.unix_seconds();
    for (changes, told) in [
        (json!({"htm": "GET"}), "the DPoP proof: htm must be the method of the request"),
        (json!({"htm": "post"}), "the DPoP proof: htm must be the method of the request"),
        (json!({"htm": null}), "the DPoP proof: htm must be the method of the request"),
        (json!({"htu": "HTTPS://ID.example:443/e/x/../as/token?a=b#c"}), ""),
        (json!({"htu": "https://id.example/e/as/tok%65n"}), htu),
        (json!({"htu": "https://id.example/e/as/token/"}), htu),
        (json!({"htu": "https://id.example/f/as/token"}), htu),
        (json!({"htu": "http://id.example/e/as/token"}), htu),
        (json!({"htu": "https://id.example:8443/e/as/token"}), htu),
        (json!({"htu": "https://evil@id.example/e/as/token"}), htu),
        (json!({"htu": "/e/as/token"}), htu),
        (json!({"htu": null}), htu),
        (json!({"iat": iat + 60}), ""),
        (json!({"iat": iat + 61}), "the DPoP proof: iat must not be in the future"),
        (json!({"iat": iat - 119}), ""),
        (json!({"iat": iat - 120}), "the DPoP proof: iat must not be longer than a minute ago"),
        (json!({"iat": null}), "the DPoP proof: iat must be given"),
        (json!({"jti": null}), "the DPoP proof: jti must be given"),
        (json!({"jti": "x".repeat(257)}), "the DPoP proof: jti must have 1 to 256 characters"),
        (json!({"nonce": 7}), "the DPoP proof: nonce must be a string"),
        (json!({"exp": 1}), ""),
    ] {
        let checked = verify(&header, &with(claims(), &changes), expected());
        assert_eq!(checked.err().unwrap_or_default(), told, "{changes}");
    }
}

#[test]
fn each_broken_header_is_told() {
    let keys = jwks();
    let key = &keys["keys"][1];
    let mut private = key.clone();
    private["d"] = json!("AA");
    let alg = "the DPoP proof: alg must be that of a signature by the kind of key in jwk";
    let kind =
        "the DPoP proof: jwk: kty and crv must be RSA, EC with P-256 or P-384, or OKP with Ed25519";
    for (changes, told) in [
        (json!({"typ": "JWT"}), "the DPoP proof: typ must be dpop+jwt"),
        (json!({"typ": null}), "the DPoP proof: typ must be dpop+jwt"),
        (json!({"alg": "none"}), alg),
        (json!({"alg": "HS256"}), alg),
        (json!({"alg": "ES384"}), alg),
        (json!({"jwk": null}), "the DPoP proof: jwk must be in the header"),
        (
            json!({"jwk": private}),
            "the DPoP proof: jwk: d must not be there: this is a private key",
        ),
        (json!({"jwk": {"kty": "oct", "alg": "HS256"}}), kind),
        (json!({"jwk": "p256"}), kind),
        (
            json!({"alg": "RS256", "jwk": keys["keys"][0]}),
            "the DPoP proof: the signature does not match",
        ),
        (
            json!({"crit": ["x"]}),
            "the DPoP proof: crit must not be in the header: no extensions are understood",
        ),
    ] {
        let header = with(header(Algorithm::Es256), &changes);
        let checked = verify(&header, &claims().to_string(), expected());
        assert_eq!(checked.err().unwrap_or_default(), told, "{changes}");
    }
}

#[test]
fn the_hash_of_the_access_token_must_be_there_where_one_is_sent() {
    let header = header(Algorithm::Es256).to_string();
    let told = "the DPoP proof: ath must be the SHA-256 hash of the access token in base64url";
    let with_token = Expected { access_token: Some("token"), ..expected() };
    let ath = encoding::encode(jose::digest("token"));
    let other = encoding::encode(jose::digest("other"));
    for (changes, refusal) in
        [(json!({"ath": ath}), ""), (json!({"ath": other}), told), (json!({"ath": null}), told)]
    {
        let checked = verify(&header, &with(claims(), &changes), with_token);
        assert_eq!(checked.err().unwrap_or_default(), refusal, "{changes}");
    }
}

#[test]
fn proofs_of_two_keys_with_one_name_are_two() {
    let spent = |algorithm| {
        let proof = raw(algorithm, &header(algorithm).to_string(), &claims().to_string());
        DpopProof::verify(&proof, expected()).unwrap().spent
    };
    assert_eq!(spent(Algorithm::Es256), spent(Algorithm::Es256));
    assert_ne!(spent(Algorithm::Es256), spent(Algorithm::EdDsa));
}
