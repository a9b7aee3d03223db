//! Keys and signatures that others made, and keys that are not what they say.

use serde_json::{Value, json};

use super::*;
use crate::client_jwt::signer::{jwks, key_set};

/// Signatures over [`MESSAGE`], made with OpenSSL.
const MESSAGE: &[u8] = b"Countersign";
const MODULUS: &str = "i55Ic60iZsE9eqWkMh3Yn0rIJZGi3rDRgCLidc34Wh5LgSS-c-HnIDxuA9YUBLAYNizZ4nYdZBbbfxl6mHSDNVrjjp2pJXFOzEOsI2MFLtiq1Jwdl7tThE2MBJ9uH6vbj0V6UNMyZnFN1C3--Xxn7rxrha9OWJIBSaGWzwM6Cb_HiY0NAIjG0cJ6p87Of5gF9nwDo9yKZiMIvNVj_pt_IiZn2UeorOd_toHMx9LiPW-vktUafg1vl30c2k6t0XED-SJIxfCVmJ7l_uBJPX2Zso9iSdIPEV0T6jpeJwTDhsO1r7ZahqCxrwp5rM_NUVCsFS8KbO3QRWTec34zuiDOfQ";
const RS256: &str = "TsCA5zphQV0X73ZveRbPPvup0l0VBtmTEaS-l1_GDJNZianBdpHFbdNfd0uhExU8iM5eTOvvLWcJtp7BHTAF9UPF0oeTbIiMUdMy2hTaQa3GtbGzFl7BTWQo802zXAk4EzhrciAM7PWk0iKh9TVEKtuTZnEJDitx8tNkza4gMO3kVaIjS0jcM4hJbn25lvwjLgoVOlrtUj18oi57TQ-qfh9_y_rzOHp-PCE62nLkLFXNvpguMr4Hs8tHglMvLXKAvcaaPk2-61UO14ojQ4qDs4822ARvE3siW1g-jss3BLZy6xtNUfiuntlBmI_Croa1qWFsTtiM0FySklh1qv-qbQ";
const RS512: &str = "YdwPHHXs2bQMxiaj3ATiuXXQymjwQoWw7zDEfY44HVOGYZS47VmfxKbR4v-d0SQm27IxayeRYOVrzYCaPE_tVoRPuKihbwlBNbRh6gKpkw34vWb5W2TaAxhpZmfnO9glCLRm2OIBZ9x6bhzE9RmZ7QWw1qxU-WM8CMmI_WP4CWdsjdV8i40jjQqybgqaqHgvHNnsoTjiBqGy8b3gU2PV3bGc5BMF69gK4yL7WSdCPKgJoMCO-k7VwcE8krYVgT9Df3Ic_g7d-XjNrg65b5HKTzDTt1FyVKtYW8D5Pdppxb6rSgBNCHqVYKhFOOtvRTylbwjM7DyUymYbobDEuea-cA";
const PS256: &str = "RRIGGSGJpavBlJfnZguirmCqcUAmd4_r1MNt3wAJKg4wOP1-pDxJTqHWHNX_S3PO6gbb4GEDDg-c_7k5b3jXDjBT2HxYRRLExhT3y7xT_6WryYGsofSqsYulWWjWhM7NEBQXJBy3vSNF9oAnKW4KTb7sWDtHIwa6cc208l41YN_Kr9mxxsLFdZ6vLrBBnIY2dYgclRFUgFjgRNJFl2vjic6wtlPJGKQBhD9T8EJx0aGX52m6LwP0wUozEqDYEvmJIzrprAd6K9r_70a9gfXV5nWffyLpgbXvx_d_SDVf2C3bwOkVAyzHtRi37Cg6Gd4BHKlNd8a7VvtRDxScV-dtcQ";
const PS512: &str = "PVFfkQrUFs3xXKzYiOhAmD1lzJxdccnYweZkuhsRdqk2-XVOnwCeysbV6FYeRh6GK_cchOFQNVjD0ro6ZVUmypeu3ikvnS600jIj_3rqQyHiNGeKsv0cpJeSoJ1Ex2w5em1w9NPWkHNezfjwl74rE7M9Umbrr-Q-BB34-tFUPnga7G_z9lVL18S8P8N44WPSmDsBX2WtdLIrNwesZKeMIbLeXWPoLXWT90Zuc_NrQn9EsyCvV7d0XW1mtk8lbtjDsqjqeCVSZTDdnGIUvFeEfVBSl09pZXiO6j_mLAxS7u1CuTEYqkCqUtNdvfK7lFNQ3MkF0mjOM6ox0S4iQeejCQ";
/// PSS with a salt of 20 bytes, where RFC 7518, section 3.5, wants 32.
const PS256_SHORT_SALT: &str = "EoeV1d8r2GUuEgQ3L4DxaYOwCgaNzrZsWmA9iCetAsG1Dg2x-LTtGxnYRyil_uiEp_eUV59MOHFrEWDMfF8hojsaMzMAv28QpZnaPnlxbd8U6K-h71q9hBWGHoWU0xXA1Qw4N89s8j2Hfx_AujkxwnCmyCjOADtAyhcFoNHAkU5WMTNZ2eSfGZ5Ue-Gd1s3TNVn7ovRuNr0Lk5OKEPNtD6Ca7Tl3WO_xco6k7G6D8W6XQiy460oWtYO06TArBZsqVmK8OcXfj6noI9wF7hnjpO53vVS3d7hl4F6yzleClnEChOdc5gFX_8ZOjss4Et0lg62mfTfsdTHvQCLSwx2jpw";
const ES384: &str = "EuOeqDH22RS6qg9Q_OxvaiOPc-VoLh4AZkpnefPKLUygH4mV1l3DwLNb1s22ZM0wCJevKJG0HTiB14JL1KEq55oJFBkpQyOtBPHU8HUpIfm-xoo6hLfSYxQeokf4lJ43";
/// The same as [`ES384`], as X.509 and CMS write it.
const ES384_DER: &str = "MGQCMBLjnqgx9tkUuqoPUPzsb2ojj3PlaC4eAGZKZ3nzyi1MoB-JldZdw8CzW9bNtmTNMAIwCJevKJG0HTiB14JL1KEq55oJFBkpQyOtBPHU8HUpIfm-xoo6hLfSYxQeokf4lJ43";

fn key(jwk: Value) -> Result<ClientKey, String> {
    let jwk: Jwk = serde_json::from_value(jwk).map_err(|error| error.to_string())?;
    ClientKey::try_from(jwk).map_err(|error| error.to_string())
}

fn rsa() -> Value {
    json!({"kty": "RSA", "n": MODULUS, "e": "AQAB"})
}

fn p384() -> Value {
    let (x, y) = (
        "qor4IwpidOmpNdKayyD9C7EU8WElTZhDDlX5BPeHEW7qmyCpDhk8hCgvDRp18jjv",
        "v2_e14bGfEsemzc1wCAuxe1WN6qbqwerIxQkXGUbKP2ABN5jBF7tZ9bl8jCi4Zsz",
    );
    json!({"kty": "EC", "crv": "P-384", "x": x, "y": y})
}

/// RFC 8037, appendix A.2.
fn ed25519() -> Value {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    json!({"kty": "OKP", "crv": "Ed25519", "x": x})
}

/// RFC 7515, appendix A.3.
fn p256() -> Value {
    let (x, y) = (
        "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    );
    json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
}

#[test]
fn signatures_that_others_made_verify_with_their_own_algorithm_alone() {
    for (jwk, algorithm, signature) in [
        (rsa(), Algorithm::Rs256, RS256),
        (rsa(), Algorithm::Rs512, RS512),
        (rsa(), Algorithm::Ps256, PS256),
        (rsa(), Algorithm::Ps512, PS512),
        (p384(), Algorithm::Es384, ES384),
    ] {
        let (key, signature) = (key(jwk).unwrap(), encoding::decode(signature).unwrap());
        for other in Algorithm::SYMMETRIC.into_iter().chain(Algorithm::ASYMMETRIC) {
            assert_eq!(key.verify(other, MESSAGE, &signature), other == algorithm, "{other:?}");
        }
        assert!(!key.verify(algorithm, b"countersign", &signature));
    }
}

#[test]
fn the_examples_of_the_rfcs_verify() {
    // RFC 7515, appendix A.3.
    let input = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let signature = encoding::decode(signature).unwrap();
    assert!(key(p256()).unwrap().verify(Algorithm::Es256, input.as_bytes(), &signature));
    // RFC 8037, appendix A.4 and A.3.
    let input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let signature = encoding::decode(signature).unwrap();
    let key = key(ed25519()).unwrap();
    assert!(key.verify(Algorithm::EdDsa, input.as_bytes(), &signature));
    assert_eq!(key.thumbprint().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn a_signature_of_another_form_is_refused() {
    let decode = |text| encoding::decode(text).unwrap();
    let (rsa, p384) = (key(rsa()).unwrap(), key(p384()).unwrap());
    assert!(!rsa.verify(Algorithm::Ps256, MESSAGE, &decode(PS256_SHORT_SALT)));
    assert!(!p384.verify(Algorithm::Es384, MESSAGE, &decode(ES384_DER)));
    // r = s = 0 verified everything where the range was forgotten.
    assert!(!p384.verify(Algorithm::Es384, MESSAGE, &[0; 96]));
}

#[test]
fn the_thumbprint_of_an_rsa_key_is_the_one_of_rfc_7638() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let jwk = json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"});
    let thumbprint = key(jwk).unwrap().thumbprint().to_string();
    assert_eq!(thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn a_key_that_is_not_what_it_says_is_refused() {
    let kind = "kty and crv must be RSA, EC with P-256 or P-384, or OKP with Ed25519";
    let invalid = "is not a valid public key; RSA keys must have 2048 to 8192 bits";
    let private = |name: &str| format!("{name} must not be there: this is a private key");
    let member = |name: &str| format!("{name} is missing or is not base64url of the right length");
    let usage = "use must be sig and key_ops must contain verify, where they are given";
    let short = encoding::encode([vec![0x80], vec![1; 127]].concat());
    let long = encoding::encode([vec![0x80], vec![1; 1_024]].concat());
    for (jwk, name, value, told) in [
        (rsa(), "use", json!("sig"), String::new()),
        (rsa(), "use", json!("enc"), usage.to_owned()),
        (rsa(), "key_ops", json!(["verify"]), String::new()),
        (rsa(), "key_ops", json!(["encrypt"]), usage.to_owned()),
        (rsa(), "alg", json!("PS384"), String::new()),
        (rsa(), "alg", json!("ES256"), "alg does not fit the kind of key".to_owned()),
        (rsa(), "alg", json!("HS256"), "alg does not fit the kind of key".to_owned()),
        (rsa(), "alg", json!("RSA-OAEP"), "alg does not fit the kind of key".to_owned()),
        (rsa(), "kty", json!("oct"), kind.to_owned()),
        (rsa(), "kty", json!("rsa"), kind.to_owned()),
        (rsa(), "k", json!("AA"), private("k")),
        (rsa(), "d", json!("AA"), private("d")),
        (rsa(), "p", json!("AA"), private("p")),
        (rsa(), "n", json!(short), invalid.to_owned()),
        (rsa(), "n", json!(long), invalid.to_owned()),
        (rsa(), "e", Value::Null, member("e")),
        (rsa(), "e", json!("AQAB="), member("e")),
        (rsa(), "e", json!("AQ"), invalid.to_owned()),
        (rsa(), "e", json!("AAAB"), invalid.to_owned()),
        (rsa(), "e", json!("Ag"), invalid.to_owned()),
        (rsa(), "x5c", json!(["AA"]), String::new()),
        (p256(), "crv", json!("P-384"), member("x")),
        (p256(), "crv", json!("secp256k1"), kind.to_owned()),
        (p256(), "crv", Value::Null, kind.to_owned()),
        (p256(), "y", p256()["x"].clone(), invalid.to_owned()),
        (p384(), "x", json!("AA"), member("x")),
        (p384(), "y", p384()["x"].clone(), invalid.to_owned()),
        (ed25519(), "crv", json!("X25519"), kind.to_owned()),
        (ed25519(), "d", json!("AA"), private("d")),
        (ed25519(), "alg", json!("Ed25519"), String::new()),
    ] {
        let mut jwk = jwk;
        jwk[name] = value.clone();
        assert_eq!(key(jwk).err().unwrap_or_default(), told, "{name}: {value}");
    }
}

fn parse(set: &Value) -> Result<ClientKeySet, String> {
    ClientKeySet::parse(set.to_string().as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn a_set_skips_what_it_cannot_use_but_not_a_private_key() {
    let unknown = json!({"kty": "AKP", "alg": "ML-DSA-65", "pub": "AA"});
    let odd = json!(7);
    let for_encryption = json!({"kty": "RSA", "n": MODULUS, "e": "AQAB", "use": "enc"});
    let read = parse(&json!({"keys": [unknown, odd, for_encryption, p384()]})).unwrap();
    assert_eq!(read, parse(&json!({"keys": [p384()]})).unwrap());
    let mut private = p256();
    private["d"] = json!("AA");
    for (set, told) in [
        (json!({"keys": []}), "the key set has no usable key"),
        (
            json!({"keys": [for_encryption]}),
            "the key set has no usable key: use must be sig and key_ops must contain verify, where they are given",
        ),
        (
            json!({"keys": [p384(), private]}),
            "a key of the set: d must not be there: this is a private key",
        ),
        (json!({"keys": vec![p384(); 51]}), "the key set must not have more than 50 keys"),
    ] {
        assert_eq!(parse(&set).unwrap_err(), told);
    }
    for text in ["", "[]", "{}", r#"{"keys":[],"keys":[]}"#, r#"{"keys":{}}"#] {
        let told = ClientKeySet::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(told.starts_with("the key set "), "{text}: {told}");
    }
    let long = " ".repeat(MAX_SET_BYTES + 1);
    assert_eq!(ClientKeySet::parse(long.as_bytes()), Err(KeySetError::TooLong));
}

#[test]
fn a_key_is_chosen_by_its_name_or_as_the_only_one_that_fits() {
    let set = key_set();
    let chosen = |kid, algorithm| set.choose(kid, algorithm).map(|_| ());
    assert_eq!(chosen(Some("rsa"), Algorithm::Rs384), Ok(()));
    assert_eq!(chosen(None, Algorithm::Es384), Ok(()));
    assert_eq!(chosen(Some("rsa"), Algorithm::Es384), Err(ChoiceError::Unknown));
    assert_eq!(chosen(Some("newer"), Algorithm::Es384), Err(ChoiceError::Unknown));
    assert_eq!(chosen(None, Algorithm::Hs256), Err(ChoiceError::NoneFits));
    let mut two = jwks();
    let mut second = two["keys"][0].clone();
    second["kid"] = json!("second");
    second["alg"] = json!("PS256");
    two["keys"].as_array_mut().unwrap().push(second);
    let two = ClientKeySet::parse(two.to_string().as_bytes()).unwrap();
    // The second is for PS256 alone, so that only the first fits RS256.
    assert!(two.choose(None, Algorithm::Rs256).is_ok());
    assert_eq!(two.choose(None, Algorithm::Ps256).unwrap_err(), ChoiceError::Ambiguous);
    assert!(two.choose(Some("second"), Algorithm::Ps256).is_ok());
}
