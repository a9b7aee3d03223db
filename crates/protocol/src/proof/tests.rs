//! Every rule of a proof, broken one at a time.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::device_api::{DeviceRequest, InfoRequest, UnpairingRequest};
use crate::fixture::{DEVICE_BASE, NOW, Seeded, private_key};
use crate::private_key::EcPrivateKey;

type Proven = UnpairingRequest;

fn audience() -> String {
    Proven::address(DEVICE_BASE)
}

fn key() -> EcPrivateKey {
    private_key(1)
}

fn body() -> Proven {
    Proven { nonce: "nonce".to_owned(), user: Some("user".to_owned()) }
}

fn unsigned() -> Unsigned {
    let jti = Jti::new(&Seeded::new(7));
    Unsigned::new(key().public().thumbprint(), &audience(), body(), NOW, jti)
}

fn signed(unsigned: &Unsigned) -> String {
    unsigned.signed(&key().sign(unsigned.signing_input().as_bytes()))
}

/// Header and claims of a good proof, to be spoiled.
fn parts() -> (Value, Value) {
    let unsigned = unsigned();
    let (header, claims) = unsigned.signing_input().split_once('.').unwrap();
    let read = |part| serde_json::from_slice(&encoding::decode(part).unwrap()).unwrap();
    (read(header), read(claims))
}

fn sign_texts(header: &str, claims: &str) -> String {
    let input = format!("{}.{}", encoding::encode(header), encoding::encode(claims));
    jose::assemble(&input, &key().sign(input.as_bytes()))
}

/// A proof that its owner signs although something is wrong with it.
fn spoiled(spoil: impl FnOnce(&mut Value, &mut Value)) -> String {
    let (mut header, mut claims) = parts();
    spoil(&mut header, &mut claims);
    sign_texts(&header.to_string(), &claims.to_string())
}

fn verify_at(jws: &str, now: Timestamp) -> Result<Verified<Proven>, ProofError> {
    peek::<Proven>(jws)?.verify(&key().public(), &audience(), now)
}

fn check(jws: &str) -> (&'static str, String) {
    let error = verify_at(jws, NOW).unwrap_err();
    assert_eq!(error.skew(), None);
    (error.target(), error.to_string())
}

fn after(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

#[test]
fn a_good_proof_is_verified_and_says_what_was_signed() {
    let unsigned = unsigned();
    let jws = signed(&unsigned);
    assert_eq!(peek::<Proven>(&jws).unwrap().unverified_kid(), key().public().thumbprint());
    let verified = verify_at(&jws, NOW).unwrap();
    assert_eq!(verified.key(), &key().public());
    assert_eq!(verified.thumbprint(), key().public().thumbprint());
    assert_eq!(verified.jti(), unsigned.jti());
    assert_eq!(verified.issued_at(), NOW);
    assert_eq!(verified.expires_at(), unsigned.expires_at());
    assert_eq!(verified.digest(), jose::digest(unsigned.signing_input()));
    assert_eq!(verified.body(), &body());
    assert_eq!(verified.into_body(), body());
}

#[test]
fn the_wire_form_does_not_change() {
    let unsigned = unsigned();
    insta::assert_snapshot!(unsigned.signing_input());
    let (header, claims) = unsigned.signing_input().split_once('.').unwrap();
    let [header, claims] =
        [header, claims].map(|part| String::from_utf8(encoding::decode(part).unwrap()).unwrap());
    insta::assert_snapshot!(format!("{header}\n{claims}"));
}

#[test]
fn another_type_is_refused_before_anything_else() {
    let (target, message) = check(&spoiled(|header, claims| {
        *header = json!({"typ": "countersign-info+jwt", "alg": "none", "jwk": {}});
        *claims = json!({});
    }));
    assert_eq!(target, "proof.header.typ");
    assert_eq!(message, "proof.header.typ must be countersign-unpairing+jwt");
    for typ in [json!("Countersign-Unpairing+JWT"), json!("JWT"), Value::Null] {
        assert_eq!(check(&spoiled(|header, _| header["typ"] = typ)).0, "proof.header.typ");
    }
}

#[test]
fn a_proof_of_one_kind_is_not_one_of_another() {
    let info = Unsigned::new(
        key().public().thumbprint(),
        &InfoRequest::address(DEVICE_BASE),
        InfoRequest::default(),
        NOW,
        Jti::new(&Seeded::new(7)),
    );
    assert_eq!(check(&signed(&info)).0, "proof.header.typ");
}

#[test]
fn extra_header_members_are_refused() {
    for name in ["jwk", "x5c", "jku", "x5u", "crit", "cty", "b64", "zip", "extra"] {
        let (target, message) = check(&spoiled(|header, _| header[name] = json!([])));
        assert_eq!(target, "proof.header");
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn only_the_algorithm_of_the_key_is_accepted() {
    for alg in [json!("none"), json!("HS256"), json!("RS256"), json!("es256"), Value::Null] {
        assert_eq!(check(&spoiled(|header, _| header["alg"] = alg)).0, "proof.header.alg");
    }
}

#[test]
fn a_key_id_that_is_no_thumbprint_is_refused() {
    for kid in [json!("key-1"), json!(""), Value::Null] {
        let (target, message) = check(&spoiled(|header, _| header["kid"] = kid));
        assert_eq!(target, "proof.header.kid");
        assert!(message.contains("RFC 7638"), "{message}");
    }
}

#[test]
fn the_key_id_of_another_key_is_refused() {
    let other = private_key(2).public();
    let (target, _) = check(&spoiled(|header, _| header["kid"] = json!(other.thumbprint())));
    assert_eq!(target, "proof.header.kid");
    let refusal = peek::<Proven>(&signed(&unsigned())).unwrap().verify(&other, &audience(), NOW);
    assert!(matches!(refusal, Err(ProofError::WrongKey)));
}

#[test]
fn the_issuer_must_be_the_key() {
    let other = private_key(2).public().thumbprint();
    let (target, message) = check(&spoiled(|_, claims| claims["iss"] = json!(other)));
    assert_eq!((target, message.as_str()), ("proof.iss", "proof.iss must equal kid"));
}

#[test]
fn another_audience_or_environment_is_refused() {
    let other_environment = audience().replace("0001/device", "0002/device");
    for aud in [DEVICE_BASE, &other_environment, &format!("{}/", audience()), "*", ""] {
        let (target, message) = check(&spoiled(|_, claims| claims["aud"] = json!(aud)));
        assert_eq!(target, "proof.aud");
        assert_eq!(message, format!("proof.aud must be {}", audience()));
    }
    // One string, never a list, even of one.
    assert_eq!(check(&spoiled(|_, claims| claims["aud"] = json!([audience()]))).0, "proof");
}

#[test]
fn a_signature_of_another_key_is_refused() {
    let unsigned = unsigned();
    let jws = unsigned.signed(&private_key(2).sign(unsigned.signing_input().as_bytes()));
    assert_eq!(check(&jws).0, "proof.signature");
}

#[test]
fn a_stripped_signature_is_refused() {
    let input = unsigned().signing_input().to_owned();
    assert!(check(&input).1.contains("three parts"));
    assert!(check(&format!("{input}.")).1.contains("signature"));
    for length in [1, 32, 63, 65] {
        assert_eq!(check(&jose::assemble(&input, &vec![1; length])).0, "proof.signature");
    }
    assert_eq!(check(&jose::assemble(&input, &[0; 64])).0, "proof.signature");
}

#[test]
fn a_signature_in_der_is_refused() {
    let unsigned = unsigned();
    let fixed = key().sign(unsigned.signing_input().as_bytes());
    let integer = |part: &[u8]| {
        let mut part = part.to_vec();
        while part.len() > 1 && part[0] == 0 {
            part.remove(0);
        }
        if part[0] >= 0x80 {
            part.insert(0, 0);
        }
        [vec![2, u8::try_from(part.len()).unwrap()], part].concat()
    };
    let integers = [integer(&fixed[..32]), integer(&fixed[32..])].concat();
    let der = [vec![0x30, u8::try_from(integers.len()).unwrap()], integers].concat();
    assert_eq!(check(&unsigned.signed(&der)).0, "proof.signature");
}

/// (r, s) turned into (r, n - s), which anybody can do and which verifies as well.
fn malleated(signature: &[u8; 64]) -> [u8; 64] {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut other = *signature;
    let mut borrow = 0;
    for i in (0..32).rev() {
        let difference = i16::from(ORDER[i]) - i16::from(signature[32 + i]) - borrow;
        borrow = i16::from(difference < 0);
        other[32 + i] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    other
}

#[test]
fn a_malleated_signature_has_the_same_digest() {
    let unsigned = unsigned();
    let signature = key().sign(unsigned.signing_input().as_bytes());
    let [first, second] = [signature, malleated(&signature)].map(|bytes| unsigned.signed(&bytes));
    assert_ne!(first, second);
    let [first, second] = [first, second].map(|jws| verify_at(&jws, NOW).unwrap().digest());
    assert_eq!(first, second);
}

#[test]
fn an_altered_claim_breaks_the_signature() {
    let jws = signed(&unsigned());
    let signature = jws.rsplit_once('.').unwrap().1;
    let (header, mut claims) = parts();
    claims["user"] = json!("another");
    let [header, claims] = [header, claims].map(|part| encoding::encode(part.to_string()));
    assert_eq!(check(&format!("{header}.{claims}.{signature}")).0, "proof.signature");
}

#[test]
fn a_life_longer_than_its_kind_allows_is_refused() {
    let at = |seconds: i64| json!(after(seconds).unix_seconds());
    for exp in [at(61), at(0), at(-1), json!(i64::MAX), json!(i64::MIN)] {
        let (target, message) = check(&spoiled(|_, claims| claims["exp"] = exp));
        assert_eq!(target, "proof.exp");
        assert_eq!(message, "proof.exp must be after iat by at most 60 s");
    }
    assert!(verify_at(&spoiled(|_, claims| claims["exp"] = at(1)), NOW).is_ok());
}

#[test]
fn an_expired_proof_is_refused_and_named() {
    let unsigned = unsigned();
    let jws = signed(&unsigned);
    assert!(verify_at(&jws, after(59)).is_ok());
    let error = verify_at(&jws, after(60)).unwrap_err();
    assert_eq!((error.target(), error.to_string().as_str()), ("proof.exp", "proof.exp has passed"));
    let expected = Skew { key: key().public().thumbprint(), jti: unsigned.jti() };
    assert_eq!(error.skew(), Some(expected));
}

#[test]
fn a_proof_from_the_future_is_refused_and_named() {
    let unsigned = unsigned();
    let jws = signed(&unsigned);
    assert!(verify_at(&jws, after(-60)).is_ok());
    let error = verify_at(&jws, after(-61)).unwrap_err();
    assert_eq!(error.target(), "proof.iat");
    assert_eq!(error.skew().map(|skew| skew.jti), Some(unsigned.jti()));
}

#[test]
fn the_time_is_not_told_to_who_cannot_sign() {
    let unsigned = unsigned();
    let forged = unsigned.signed(&private_key(2).sign(unsigned.signing_input().as_bytes()));
    let error = verify_at(&forged, after(1_000)).unwrap_err();
    assert!(matches!(error, ProofError::BadSignature));
}

#[test]
fn missing_and_mistyped_claims_are_refused() {
    for name in ["iss", "aud", "iat", "exp", "jti", "nonce"] {
        let (target, message) = check(&spoiled(|_, claims| {
            claims.as_object_mut().unwrap().remove(name);
        }));
        assert_eq!(target, "proof");
        assert!(message.contains(name), "{message}");
    }
    for (name, value) in [
        ("iat", json!(1.5)),
        ("iat", json!("0")),
        ("exp", json!(1e300)),
        ("jti", json!("AAAA")),
        ("jti", json!("AAAAAAAAAAAAAAAAAAAAAB")),
        ("nonce", json!(1)),
        ("user", json!({})),
    ] {
        assert_eq!(check(&spoiled(|_, claims| claims[name] = value)).0, "proof");
    }
}

#[test]
fn unknown_claims_are_ignored() {
    let jws = spoiled(|_, claims| claims["new_in_a_later_version"] = json!({"a": [1]}));
    assert_eq!(verify_at(&jws, NOW).unwrap().body(), &body());
}

#[test]
fn duplicate_members_are_refused_even_when_signed() {
    let (header, claims) = parts();
    let twice = |text: &str, member: &str| text.replacen('{', &format!("{{{member},"), 1);
    let (header, claims) = (header.to_string(), claims.to_string());
    let (target, message) = check(&sign_texts(&header, &twice(&claims, r#""aud":"elsewhere""#)));
    assert_eq!(target, "proof");
    assert!(message.contains(r#"member "aud" appears twice"#), "{message}");
    let (target, _) = check(&sign_texts(&twice(&header, r#""alg":"ES256""#), &claims));
    assert_eq!(target, "proof.header");
    let nested = twice(&claims, r#""x":{"a":1,"a":2}"#);
    assert_eq!(check(&sign_texts(&header, &nested)).0, "proof");
}

#[test]
fn too_deep_or_too_long_is_refused() {
    let deep = spoiled(|_, claims| claims["x"] = json!([[[[[[[[1]]]]]]]]));
    assert!(check(&deep).1.contains("nested deeper than 8 levels"));
    let long = spoiled(|_, claims| claims["x"] = json!("x".repeat(jose::MAX_BYTES)));
    assert_eq!(check(&long), ("proof", "proof must not be longer than 16384 bytes".to_owned()));
}

#[test]
fn another_spelling_of_the_same_bytes_is_refused() {
    let jws = signed(&unsigned());
    for other in [format!("{jws}="), format!("{jws}\n"), format!(" {jws}"), jws.replace('-', "+")] {
        assert!(jws == other || check(&other).0 == "proof");
    }
    // 64 bytes leave four bits over in the last character; setting one is another text of the same
    // bytes.
    let last = jws.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
    let other = format!("{}{next}", &jws[..jws.len() - 1]);
    assert!(check(&other).1.contains("base64url"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_stated_is_what_is_verified(
        nonce in ".{0,64}",
        user in proptest::option::of(".{0,64}"),
        seed: u64,
        micros in 0..4_000_000_000_000_000_i64,
    ) {
        let (key, jti) = (private_key(seed), Jti::new(&Seeded::new(seed)));
        let (public, now) = (key.public(), Timestamp::from_micros(micros));
        let body = Proven { nonce, user };
        let unsigned = Unsigned::new(public.thumbprint(), &audience(), body.clone(), now, jti);
        let jws = unsigned.signed(&key.sign(unsigned.signing_input().as_bytes()));
        let verified = peek::<Proven>(&jws).unwrap().verify(&public, &audience(), now).unwrap();
        prop_assert_eq!(verified.expires_at(), unsigned.expires_at());
        prop_assert_eq!(verified.into_body(), body);
    }

    #[test]
    fn a_changed_character_is_always_refused(position in 0_usize..400, change in "[A-Za-z0-9_-]") {
        let mut jws = signed(&unsigned());
        let position = position % jws.len();
        if jws[position..=position] != change && &jws[position..=position] != "." {
            jws.replace_range(position..=position, &change);
            prop_assert!(verify_at(&jws, NOW).is_err());
        }
    }

    #[test]
    fn no_text_makes_it_panic(text: String) {
        prop_assert!(verify_at(&text, NOW).is_err());
    }
}
