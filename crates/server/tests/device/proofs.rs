//! Header, key, address, time and signature of each of the five statements, broken one at a time.

use countersign_protocol::{
    device_api::ServerTime,
    encoding,
    jwk::{EcPublicKey, JwkSet},
    proof::Jti,
};
use serde_json::json;

use crate::{
    draft::{Draft, EVERY, Kind, Phone, REQUESTS, malleated, with_signature},
    scene::{Fault, Scene},
    world::World,
};

on_both_engines!(
    the_type_of_another_statement_is_refused,
    the_address_of_another_endpoint_or_environment_is_refused,
    a_statement_in_the_name_of_another_key_is_refused,
    a_statement_outside_its_time_is_refused,
    a_proof_outside_its_time_is_told_the_time_under_the_servers_signature,
    a_header_with_more_or_other_members_is_refused,
    a_signature_in_any_other_form_is_refused,
);

async fn the_type_of_another_statement_is_refused(world: World) {
    let scene = Scene::new(world).await;
    for kind in EVERY {
        let rule = format!("must be {}", kind.typ());
        let fault = Fault { target: "proof.header.typ", rule: &rule };
        for other in EVERY.into_iter().filter(|other| *other != kind) {
            scene.refuses(&[kind], fault, |draft| draft.head("typ", other.typ()).sign()).await;
        }
        let spelled_otherwise = kind.typ().to_uppercase();
        for typ in [json!("JWT"), json!(spelled_otherwise), json!(null)] {
            scene.refuses(&[kind], fault, |draft| draft.head("typ", typ.clone()).sign()).await;
        }
        scene.refuses(&[kind], fault, |draft| draft.headless("typ").sign()).await;
    }
    scene.accepts_the_rest().await;
}

async fn the_address_of_another_endpoint_or_environment_is_refused(world: World) {
    let scene = Scene::new(world).await;
    for kind in EVERY {
        let own = kind.address(&scene.world);
        let rule = format!("must be {own}");
        let fault = Fault { target: "proof.aud", rule: &rule };
        let others = EVERY.into_iter().filter(|other| *other != kind);
        let mut addresses: Vec<String> = others.map(|other| other.address(&scene.world)).collect();
        let environment = scene.world.bank.environment.to_string();
        addresses.push(own.replace(&environment, "0190c1d2-0000-7000-8000-000000000009"));
        addresses.push(own.replace("https:", "http:"));
        addresses.push(format!("{own}/"));
        addresses.push(own.to_uppercase());
        addresses.push(String::new());
        for address in addresses {
            scene.refuses(&[kind], fault, |draft| draft.claim("aud", &*address).sign()).await;
        }
        let fault = Fault { target: "proof", rule: "invalid type: sequence" };
        scene.refuses(&[kind], fault, |draft| draft.claim("aud", json!([own])).sign()).await;
    }
    scene.accepts_the_rest().await;
}

async fn a_statement_in_the_name_of_another_key_is_refused(world: World) {
    let scene = Scene::new(world).await;
    let (bob, stranger) = (scene.bob.thumbprint(), Phone::new());
    let kid = |rule| Fault { target: "proof.header.kid", rule };
    let signature = Fault { target: "proof.signature", rule: "signature is not valid" };
    let issuer = Fault { target: "proof.iss", rule: "must equal kid" };

    scene.refuses(&EVERY, signature, |draft| draft.signed_by(&scene.bob).sign()).await;
    scene.refuses(&EVERY, signature, |draft| draft.signed_by(&stranger).sign()).await;
    scene.refuses(&EVERY, issuer, |draft| draft.claim("iss", bob.to_string()).sign()).await;
    let named = [Kind::Payload, Kind::Pairing, Kind::Denial];
    let fault = kid("must be the thumbprint of the signing key");
    scene.refuses(&named, fault, |draft| draft.head("kid", bob.to_string()).sign()).await;
    // By kid alone the key of bob's phone is found, and the issuer is not bob's.
    let found = [Kind::Info, Kind::Unpairing];
    scene.refuses(&found, issuer, |draft| draft.head("kid", bob.to_string()).sign()).await;
    let as_bob = |draft: Draft| draft.head("kid", bob.to_string()).claim("iss", bob.to_string());
    scene.refuses(&found, signature, |draft| as_bob(draft).sign()).await;
    let confirmed = |draft| as_bob(draft).claim("cnf", json!({ "jwk": scene.bob.key.public() }));
    scene.refuses(&[Kind::Payload], signature, |draft| confirmed(draft).sign()).await;
    for text in [json!(null), json!(""), json!("x"), json!("A".repeat(44))] {
        let fault = kid("must be an RFC 7638 thumbprint");
        scene.refuses(&EVERY, fault, |draft| draft.head("kid", text.clone()).sign()).await;
    }
    scene.refuses(&EVERY, kid("thumbprint"), |draft| draft.headless("kid").sign()).await;

    let before = scene.trace().await;
    let unknown = [stranger.info(&scene.world), stranger.unpairing(&scene.world, &scene.nonce)];
    for draft in unknown {
        let answer = scene.send(draft.kind, &draft.sign()).await;
        answer.refusal(401, "DEVICE_NOT_PAIRED");
        assert!(answer.text("/message").contains("no device"), "{answer:?}");
    }
    assert_eq!(scene.trace().await, before);
    scene.accepts_the_rest().await;
}

async fn a_statement_outside_its_time_is_refused(world: World) {
    let scene = Scene::new(world).await;
    let now = scene.world.now().unix_seconds();
    let before = scene.trace().await;
    for kind in EVERY {
        let life = kind.life_seconds();
        let from_to = |iat: i64, exp: i64| scene.draft(kind).claim("iat", iat).claim("exp", exp);
        let skewed = [
            (from_to(now - life, now), "proof.exp", "has passed"),
            (from_to(now - life - 86_400, now - 86_400), "proof.exp", "has passed"),
            (from_to(now + 61, now + 61 + life), "proof.iat", "is in the future"),
            (from_to(now + 61, now + 62), "proof.iat", "is in the future"),
        ];
        for (draft, target, rule) in skewed {
            let answer = scene.send(kind, &draft.sign()).await;
            Fault { target, rule }.assert(kind, "CLOCK_SKEW", &answer);
        }
        let life_rule = format!("must be after iat by at most {life} s");
        for (iat, exp) in [(0, life + 1), (0, 0), (1, 0), (-life, 1), (0, i64::MAX - now)] {
            let fault = Fault { target: "proof.exp", rule: &life_rule };
            let jws = from_to(now + iat, now + exp).sign();
            fault.assert(kind, "INVALID_VALUE", &scene.send(kind, &jws).await);
        }
    }
    assert_eq!(scene.trace().await, before);
    let last = |kind: Kind| {
        let (iat, exp) = (now - kind.life_seconds() + 1, now + 1);
        scene.draft(kind).claim("iat", iat).claim("exp", exp).sign()
    };
    let first = |kind: Kind| {
        let (iat, exp) = (now + 60, now + 60 + kind.life_seconds());
        scene.draft(kind).claim("iat", iat).claim("exp", exp).sign()
    };
    for jws in [last(Kind::Payload), first(Kind::Payload)] {
        assert!(scene.send(Kind::Payload, &jws).await.status.is_success());
    }
    for jws in [last(Kind::Info), first(Kind::Info)] {
        assert!(scene.send(Kind::Info, &jws).await.status.is_success());
    }
    for (kind, jws) in [(Kind::Pairing, last(Kind::Pairing)), (Kind::Denial, first(Kind::Denial))] {
        assert!(scene.send(kind, &jws).await.status.is_success(), "{kind:?}");
    }
}

async fn a_proof_outside_its_time_is_told_the_time_under_the_servers_signature(world: World) {
    let scene = Scene::new(world).await;
    let issuer = scene.world.bank.issuer();
    let keys = scene.world.get(&format!("{issuer}/jwks")).await.body;
    let keys: JwkSet = serde_json::from_str(&keys).unwrap();
    let (now, before) = (scene.world.now(), scene.trace().await);
    for kind in REQUESTS {
        for ahead_seconds in [-86_400, 86_400] {
            let good = scene.draft(kind);
            let (iat, exp) = (good.seconds("iat"), good.seconds("exp"));
            let late = good.claim("iat", iat + ahead_seconds).claim("exp", exp + ahead_seconds);
            let answer = scene.send(kind, &late.sign()).await;
            let time = answer.text("/details/0/innerError/serverTime");
            let jti: Jti = serde_json::from_value(late.claims["jti"].clone()).unwrap();
            let kid = late.signer.public().thumbprint();
            assert_eq!(ServerTime::verify(&time, &keys, &issuer, (kid, jti)).unwrap(), now);
            assert!(ServerTime::verify(&time, &keys, "https://other/as", (kid, jti)).is_err());
            let other = Jti::from_bytes([7; 16]);
            assert!(ServerTime::verify(&time, &keys, &issuer, (kid, other)).is_err());
            let bob = scene.bob.thumbprint();
            assert!(ServerTime::verify(&time, &keys, &issuer, (bob, jti)).is_err());

            // Whoever has not the key learns nothing.
            let answer = scene.send(kind, &late.signed_by(&scene.bob).sign()).await;
            let (code, target, _) = answer.refusal(400, "INVALID_REQUEST");
            assert_eq!((&*code, &*target), ("INVALID_VALUE", "proof.signature"));
            assert!(!answer.body.contains("serverTime"), "{answer:?}");
        }
    }
    assert_eq!(scene.trace().await, before);
    scene.accepts_the_rest().await;
}

async fn a_header_with_more_or_other_members_is_refused(world: World) {
    let scene = Scene::new(world).await;
    let jwk = json!(scene.bob.key.public());
    let members = [
        ("jwk", jwk),
        ("jku", json!("https://evil.example/keys")),
        ("x5c", json!(["MIIB"])),
        ("x5u", json!("https://evil.example/chain")),
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("", json!(null)),
    ];
    for (name, value) in members {
        let rule = format!("must not have the member {name:?}");
        let fault = Fault { target: "proof.header", rule: &rule };
        scene.refuses(&EVERY, fault, |draft| draft.head(name, value.clone()).sign()).await;
    }
    let algorithm = Fault { target: "proof.header.alg", rule: "must be ES256" };
    for alg in ["none", "None", "HS256", "RS256", "PS256", "ES384", "ES256K", "EdDSA", "es256", ""]
    {
        scene.refuses(&EVERY, algorithm, |draft| draft.head("alg", alg).sign()).await;
    }
    scene.refuses(&EVERY, algorithm, |draft| draft.headless("alg").sign()).await;
    for name in ["alg", "kid", "typ"] {
        let rule = format!("member \"{name}\" appears twice");
        let fault = Fault { target: "proof.header", rule: &rule };
        let twice = |draft: Draft| {
            let header = draft.header_text();
            let again = format!("{{\"{name}\":{},{}", draft.header[name], &header[1..]);
            draft.sign_texts(&again, &draft.claims_text())
        };
        scene.refuses(&EVERY, fault, twice).await;
    }
    for (header, rule) in [
        ("", "base64url"),
        ("[]", "other members than expected"),
        ("\"ES256\"", "other members than expected"),
        ("{}{}", "is not strict JSON"),
        ("{\"typ\":", "is not strict JSON"),
        ("{\"a\":[[[[[[[[1]]]]]]]]}", "nested deeper than 8 levels"),
    ] {
        let target = if header.is_empty() { "proof" } else { "proof.header" };
        let fault = Fault { target, rule };
        scene.refuses(&EVERY, fault, |draft| draft.sign_texts(header, &draft.claims_text())).await;
    }
    scene.accepts_the_rest().await;
}

/// DER of r and s (RFC 3279, section 2.2.3), as most libraries sign by default.
fn der(signature: &[u8]) -> Vec<u8> {
    let number = |digits: &[u8]| {
        let digits: Vec<u8> = digits.iter().copied().skip_while(|digit| *digit == 0).collect();
        let sign = if digits[0] >= 0x80 { vec![0] } else { vec![] };
        let length = u8::try_from(sign.len() + digits.len()).unwrap();
        [vec![2, length], sign, digits].concat()
    };
    let numbers = [number(&signature[..32]), number(&signature[32..])].concat();
    [vec![0x30, u8::try_from(numbers.len()).unwrap()], numbers].concat()
}

/// HMAC-SHA-256 with the public key as the secret: what a verifier that follows `alg` would accept.
fn authenticated_by_public_key(input: &str, key: &EcPublicKey) -> Vec<u8> {
    use aws_lc_rs::hmac;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key.to_uncompressed());
    hmac::sign(&key, input.as_bytes()).as_ref().to_vec()
}

async fn a_signature_in_any_other_form_is_refused(world: World) {
    let scene = Scene::new(world).await;
    let invalid = Fault { target: "proof.signature", rule: "signature is not valid" };
    let forms: [fn(Vec<u8>) -> Vec<u8>; 8] = [
        |signature| der(&signature),
        |_| vec![0; 64],
        |signature| signature[..63].to_vec(),
        |signature| [signature, vec![0]].concat(),
        |signature| [&signature[32..], &signature[..32]].concat(),
        |signature| [vec![0; 32], signature[32..].to_vec()].concat(),
        |signature| [signature[..32].to_vec(), vec![0; 32]].concat(),
        |signature| [signature[..32].to_vec(), vec![0xff; 32]].concat(),
    ];
    for form in forms {
        scene.refuses(&EVERY, invalid, |draft| with_signature(&draft.sign(), form)).await;
    }
    let encoded = Fault { target: "proof", rule: "the signature must be base64url" };
    let stripped = |jws: &str| jws.rsplit_once('.').unwrap().0.to_owned();
    scene.refuses(&EVERY, encoded, |draft| format!("{}.", stripped(&draft.sign()))).await;
    scene.refuses(&EVERY, encoded, |draft| format!("{}=", draft.sign())).await;
    let parts = Fault { target: "proof", rule: "three parts" };
    scene.refuses(&EVERY, parts, |draft| stripped(&draft.sign())).await;
    scene.refuses(&EVERY, parts, |draft| format!("{}.e30", draft.sign())).await;

    let algorithm = Fault { target: "proof.header.alg", rule: "must be ES256" };
    let unsigned = |draft: Draft| format!("{}.", stripped(&draft.head("alg", "none").sign()));
    scene.refuses(&EVERY, encoded, unsigned).await;
    let by_public_key = |draft: Draft| {
        let key = draft.signer.public();
        let input = stripped(&draft.head("alg", "HS256").sign());
        let tag = authenticated_by_public_key(&input, &key);
        format!("{input}.{}", encoding::encode(tag))
    };
    scene.refuses(&EVERY, algorithm, by_public_key).await;

    // Signed over other bytes of the same meaning.
    let respelled = |draft: Draft| {
        let (good, spaced) = (draft.sign(), format!(" {}", draft.claims_text()));
        let other = draft.sign_texts(&draft.header_text(), &spaced);
        let signature = good.rsplit_once('.').unwrap().1;
        format!("{}.{signature}", stripped(&other))
    };
    scene.refuses(&EVERY, invalid, respelled).await;

    let malleable = scene.draft(Kind::Info).sign();
    assert_ne!(malleated(&malleable), malleable);
    let answers = [
        scene.send(Kind::Info, &malleable).await,
        scene.send(Kind::Info, &malleated(&malleable)).await,
    ];
    assert!(answers[0].status.is_success());
    assert_eq!(answers[0], answers[1]);
    scene.accepts_the_rest().await;
}
