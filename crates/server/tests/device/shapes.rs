//! Claims, texts, bodies and sizes that no statement has.

use serde_json::{Value, json};

use crate::{
    draft::{Draft, EVERY, Kind, REQUESTS},
    scene::{Fault, Scene},
    world::World,
};

on_both_engines!(
    a_claim_that_is_missing_or_of_another_form_is_refused,
    claims_that_two_parsers_could_read_differently_are_refused,
    texts_that_could_mislead_a_reader_are_refused,
    a_statement_of_more_than_sixteen_kibibytes_is_refused,
    a_body_that_is_not_one_proof_is_refused,
);

const CLAIMS: Fault<'_> = Fault { target: "proof", rule: "claims has other members than expected" };

async fn a_claim_that_is_missing_or_of_another_form_is_refused(world: World) {
    let scene = Scene::new(world).await;
    for name in ["iss", "aud", "iat", "exp", "jti"] {
        let rule = format!("missing field `{name}`");
        let fault = Fault { target: "proof", rule: &rule };
        scene.refuses(&EVERY, fault, |draft| draft.without(name).sign()).await;
        for value in [json!(null), json!({}), json!([]), json!(true), json!("x"), json!(1.5)] {
            // An address of another form is a text like any other.
            if name != "aud" || !value.is_string() {
                scene
                    .refuses(&EVERY, CLAIMS, |draft| draft.claim(name, value.clone()).sign())
                    .await;
            }
        }
    }
    for jti in [json!(""), json!("AAAA"), json!("A".repeat(22) + "="), json!("B".repeat(22))] {
        scene.refuses(&EVERY, CLAIMS, |draft| draft.claim("jti", jti.clone()).sign()).await;
    }
    let own: [(Kind, &[&str]); 4] = [
        (Kind::Payload, &["app", "dev"]),
        (Kind::Pairing, &["nonce", "ticket", "agreement", "passcode", "app", "dev"]),
        (Kind::Denial, &["nonce", "ticket"]),
        (Kind::Unpairing, &["nonce"]),
    ];
    for (kind, names) in own {
        for name in names {
            let rule = format!("missing field `{name}`");
            let fault = Fault { target: "proof", rule: &rule };
            scene.refuses(&[kind], fault, |draft| draft.without(name).sign()).await;
            let null = |draft: Draft| draft.claim(name, Value::Null).sign();
            scene.refuses(&[kind], CLAIMS, null).await;
        }
    }
    let forms = [
        ("passcode", json!("12345")),
        ("passcode", json!("12345x")),
        ("passcode", json!(123_456)),
        ("agreement", json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" })),
        ("agreement", json!({ "kty": "oct", "k": "AAAA" })),
        ("push", json!({ "service": "pigeon", "address": "x", "enabled": true })),
        ("app", json!({ "id": "x", "platform": "toaster" })),
    ];
    for (name, value) in forms {
        let other = |draft: Draft| draft.claim(name, value.clone()).sign();
        scene.refuses(&[Kind::Pairing], CLAIMS, other).await;
    }
    let key = Fault { target: "proof.cnf.jwk", rule: "cnf.jwk must be a P-256 public key" };
    for cnf in [json!(null), json!({}), json!({ "jwk": {} }), json!({ "jkt": "x" })] {
        let other = |draft: Draft| draft.claim("cnf", cnf.clone()).sign();
        scene.refuses(&[Kind::Payload], key, other).await;
    }
    let before = scene.trace().await;
    let user = scene.draft(Kind::Unpairing).claim("user", "ann").sign();
    let (code, target, message) =
        scene.send(Kind::Unpairing, &user).await.refusal(400, "INVALID_REQUEST");
    assert_eq!((&*code, &*target), ("INVALID_VALUE", "proof.user"));
    assert!(message.contains("must be the id of a user"), "{message}");
    assert_eq!(scene.trace().await, before);
    scene.accepts_the_rest().await;
}

async fn claims_that_two_parsers_could_read_differently_are_refused(world: World) {
    let scene = Scene::new(world).await;
    for name in ["iss", "aud", "iat", "exp", "jti", "unknown"] {
        let rule = format!("member \"{name}\" appears twice");
        let fault = Fault { target: "proof", rule: &rule };
        let twice = |draft: Draft| {
            let claims = draft.claim("unknown", 1).claims_text_with_twice(name);
            claims.0.sign_texts(&claims.0.header_text(), &claims.1)
        };
        scene.refuses(&EVERY, fault, twice).await;
    }
    let inner = Fault { target: "proof", rule: "member \"a\" appears twice" };
    let twice_inside = |draft: Draft| {
        let claims =
            draft.claims_text().replacen('{', "{\"unknown\":[{\"a\":1,\"\\u0061\":2}],", 1);
        draft.sign_texts(&draft.header_text(), &claims)
    };
    scene.refuses(&EVERY, inner, twice_inside).await;
    let deep = Fault { target: "proof", rule: "nested deeper than 8 levels" };
    let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    scene.refuses(&EVERY, deep, |draft| draft.claim("unknown", nested(8)).sign()).await;
    let strict = Fault { target: "proof", rule: "is not strict JSON" };
    for tail in ["{}", "]", ",", "\0"] {
        let followed = |draft: Draft| {
            draft.sign_texts(&draft.header_text(), &format!("{}{tail}", draft.claims_text()))
        };
        scene.refuses(&EVERY, strict, followed).await;
    }
    for kind in EVERY {
        let deepest = scene.draft(kind).claim("unknown", nested(7)).sign();
        let answer = scene.send(kind, &deepest).await;
        assert!(answer.status.is_success(), "{kind:?}: {answer:?}");
    }
}

impl Draft {
    /// The claims with one of them at both ends, and the draft itself.
    fn claims_text_with_twice(self, name: &str) -> (Self, String) {
        let claims = self.claims_text();
        let claims = format!("{{\"{name}\":{},{}", self.claims[name], &claims[1..]);
        (self, claims)
    }
}

async fn texts_that_could_mislead_a_reader_are_refused(world: World) {
    let scene = Scene::new(world).await;
    let kinds = [Kind::Payload, Kind::Pairing];
    let texts = [
        ("app", "package"),
        ("app", "version"),
        ("dev", "manufacturer"),
        ("dev", "model"),
        ("dev", "os_version"),
        ("dev", "locale"),
        ("dev", "sdk_version"),
    ];
    let forbidden =
        ["a\nb", "\u{0}", "a\u{7f}", "\u{85}", "\u{202e}txt.exe", "a\u{2066}b", "\u{2069}"];
    for (claim, name) in texts {
        let target = format!("proof.{claim}.{name}");
        let words = format!("{claim}.{name} must not have control");
        for text in forbidden {
            let fault = Fault { target: &target, rule: &words };
            scene.refuses(&kinds, fault, |draft| draft.inside(claim, name, text).sign()).await;
        }
        let words = format!("{claim}.{name} must have at most 256 characters");
        let fault = Fault { target: &target, rule: &words };
        let long = |draft: Draft| draft.inside(claim, name, "é".repeat(257)).sign();
        scene.refuses(&kinds, fault, long).await;
    }
    for (claim, name) in [("app", "id"), ("dev", "sdk_version")] {
        let (target, words) =
            (format!("proof.{claim}.{name}"), format!("{claim}.{name} must not be empty"));
        let fault = Fault { target: &target, rule: &words };
        scene.refuses(&kinds, fault, |draft| draft.inside(claim, name, "").sign()).await;
    }
    let push = |address: String| json!({ "service": "fcm", "address": address, "enabled": true });
    for (address, words) in [
        (String::new(), "push.address must not be empty"),
        ("a\u{202d}b".to_owned(), "push.address must not have control"),
        ("x".repeat(4_097), "push.address must have at most 4096 characters"),
    ] {
        let fault = Fault { target: "proof.push.address", rule: words };
        let addressed = |draft: Draft| draft.claim("push", push(address.clone())).sign();
        scene.refuses(&kinds, fault, addressed).await;
    }
    for kind in kinds {
        let longest = scene.draft(kind).inside("dev", "model", "é".repeat(256));
        let longest = longest.claim("push", push("x".repeat(4_096))).sign();
        let answer = scene.send(kind, &longest).await;
        assert!(answer.status.is_success(), "{kind:?}: {answer:?}");
    }
}

const SIXTEEN_KIBIBYTES: usize = 16 * 1024;

/// The shortest statement that is not shorter than this.
fn padded(draft: &Draft, length: usize) -> String {
    let bare = draft.clone().claim("unknown", "").sign().len();
    let characters = (length - bare).div_ceil(4) * 3;
    let lengths = characters.saturating_sub(6)..=characters + 6;
    let mut padded = lengths.map(|n| draft.clone().claim("unknown", "x".repeat(n)).sign());
    padded.find(|jws| jws.len() >= length).unwrap()
}

async fn a_statement_of_more_than_sixteen_kibibytes_is_refused(world: World) {
    let scene = Scene::new(world).await;
    let fault = Fault { target: "proof", rule: "must not be longer than 16384 bytes" };
    scene.refuses(&EVERY, fault, |draft| padded(&draft, SIXTEEN_KIBIBYTES + 1)).await;
    for kind in REQUESTS {
        let url = kind.address(&scene.world);
        // The body as a whole has its own limit, whatever is in it.
        let body = json!({ "proof": "x".repeat(64 * 1024) }).to_string();
        let answer = scene.world.post(&url, "application/json", body).await;
        answer.refusal(413, "INVALID_REQUEST");
    }
    for kind in EVERY {
        let longest = padded(&scene.draft(kind), SIXTEEN_KIBIBYTES - 2);
        assert!(longest.len() <= SIXTEEN_KIBIBYTES, "{}", longest.len());
        let answer = scene.send(kind, &longest).await;
        assert!(answer.status.is_success(), "{kind:?}: {answer:?}");
    }
}

async fn a_body_that_is_not_one_proof_is_refused(world: World) {
    let scene = Scene::new(world).await;
    let before = scene.trace().await;
    for kind in REQUESTS {
        let url = kind.address(&scene.world);
        let jws = scene.draft(kind).sign();
        let bodies = [
            String::new(),
            "null".to_owned(),
            "{}".to_owned(),
            jws.clone(),
            json!(jws).to_string(),
            json!([{ "proof": jws }]).to_string(),
            json!({ "Proof": jws }).to_string(),
            json!({ "proof": [jws] }).to_string(),
            json!({ "proof": null }).to_string(),
            json!({ "proof": 1 }).to_string(),
            format!("{{\"proof\":\"{jws}\",\"proof\":\"{jws}\"}}"),
            format!("{{\"proof\":\"{jws}\"}}{{}}"),
            format!("{{\"proof\":\"{jws}\",\"a\":[[[[[[[[[1]]]]]]]]]}}"),
            format!("\u{feff}{{\"proof\":\"{jws}\"}}"),
        ];
        for body in bodies {
            let answer = scene.world.post(&url, "application/json", body.clone()).await;
            let (code, target, message) = answer.refusal(400, "INVALID_REQUEST");
            assert_eq!((&*code, &*target), ("INVALID_VALUE", "proof"), "{body}");
            assert!(message.starts_with("the body "), "{message}");
        }
        let not_utf8 = [b"{\"proof\":\"".as_slice(), &[0xff], b"\"}"].concat();
        scene.world.post(&url, "application/json", not_utf8).await.refusal(400, "INVALID_REQUEST");
        let (code, target, _) = scene.send(kind, "").await.refusal(400, "INVALID_REQUEST");
        assert_eq!((&*code, &*target), ("INVALID_VALUE", "proof"));

        let body = json!({ "proof": jws }).to_string();
        let form = "application/x-www-form-urlencoded";
        for media_type in ["text/plain", form, "application/jwt", "application/json5", "", "json"] {
            let answer = scene.world.post(&url, media_type, body.clone()).await;
            answer.refusal(415, "INVALID_REQUEST");
            assert!(answer.text("/message").contains("application/json"), "{answer:?}");
        }
        let unnamed = scene.world.post_unnamed(&url, body).await;
        unnamed.refusal(415, "INVALID_REQUEST");
        scene.world.get(&url).await.refusal(405, "INVALID_REQUEST");
        scene.world.get(&format!("{url}/more")).await.refusal(404, "NOT_FOUND");
    }
    assert_eq!(scene.trace().await, before);
    for kind in REQUESTS {
        let body = json!({ "proof": scene.draft(kind).sign(), "more": 1 }).to_string();
        let url = kind.address(&scene.world);
        let answer = scene.world.post(&url, "Application/JSON; charset=utf-8", body).await;
        assert!(answer.status.is_success(), "{kind:?}: {answer:?}");
    }
}
