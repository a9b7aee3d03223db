//! MFA policies by the management API.

use countersign_domain::id::Id;
use serde_json::{Value, json};

use crate::world::{PASSWORD, World, administrator::Administrator};

const LIST: &str = "/deviceAuthenticationPolicies";

fn message() -> Value {
    json!({
        "enabled": false, "pairingDisabled": false,
        "otp": {
            "failure": { "coolDown": { "duration": 0, "timeUnit": "MINUTES" }, "count": 3 },
            "lifeTime": { "duration": 30, "timeUnit": "MINUTES" }, "otpLength": 6,
        },
    })
}

fn failure(minutes: u32) -> Value {
    json!({ "coolDown": { "duration": minutes, "timeUnit": "MINUTES" }, "count": 3 })
}

/// As Terraform sends it.
fn sent(application: &str) -> Value {
    let mut whats_app = message();
    whats_app.as_object_mut().unwrap().remove("pairingDisabled");
    json!({
        "name": "Bank MFA by Terraform", "default": false, "forSignOnPolicy": false, "ignoreUserLock": false,
        "newDeviceNotification": "NONE",
        "authentication": { "deviceSelection": "DEFAULT_TO_FIRST" },
        "rememberMe": { "web": { "enabled": false, "lifeTime": { "duration": 30, "timeUnit": "MINUTES" } } },
        "sms": message(), "voice": message(), "email": message(), "whatsApp": whats_app,
        "totp": { "enabled": true, "otp": { "failure": failure(2) }, "pairingDisabled": false, "passcodeGracePeriod": 5 },
        "fido2": { "enabled": false, "failure": failure(2), "pairingDisabled": false },
        "mobile": {
            "enabled": true, "otp": { "failure": failure(2) },
            "applications": [{
                "id": application,
                "autoEnrollment": { "enabled": true },
                "deviceAuthorization": { "enabled": true, "extraVerification": "permissive" },
                "integrityDetection": "permissive",
                "otp": { "enabled": true },
                "pairingDisabled": false,
                "pairingKeyLifetime": { "duration": 10, "timeUnit": "MINUTES" },
                "push": { "enabled": true, "numberMatching": { "enabled": false } },
                "pushLimit": {
                    "count": 5, "lockDuration": { "duration": 30, "timeUnit": "MINUTES" },
                    "timePeriod": { "duration": 10, "timeUnit": "MINUTES" },
                },
                "pushTimeout": { "duration": 40, "timeUnit": "SECONDS" },
            }],
        },
    })
}

fn own(answer: &Value) -> Value {
    let mut answer = answer.clone();
    for name in ["_links", "id", "environment", "updatedAt"] {
        assert!(answer.as_object_mut().unwrap().remove(name).is_some(), "{name}");
    }
    answer
}

fn url(made: &Value) -> &str {
    made["_links"]["self"]["href"].as_str().unwrap()
}

async fn refused(admin: &Administrator, body: &Value) -> (String, String) {
    let answer = admin.post(LIST, body).await.must_be(400).json();
    let detail = &answer["details"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&detail["code"]), text(&detail["target"]))
}

#[tokio::test]
async fn a_policy_is_answered_exactly_as_it_was_sent() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let mut body = sent(&w.bank.native.id.to_string());
    let made = admin.make(LIST, &body).await;
    assert_eq!(own(&made), body);
    assert_eq!(admin.get(url(&made)).await.must_be(200).json(), made);
    // Each in the unit in which it was told, and what is not told is not answered.
    body["mobile"]["applications"][0]["pairingKeyLifetime"] =
        json!({ "duration": 60, "timeUnit": "MINUTES" });
    body["mobile"]["applications"][0]["pushLimit"]["timePeriod"] =
        json!({ "duration": 90, "timeUnit": "SECONDS" });
    body["mobile"]["applications"][0].as_object_mut().unwrap().remove("pushTimeout");
    body["mobile"]["otp"]["window"] =
        json!({ "stepSize": { "duration": 30, "timeUnit": "SECONDS" } });
    body["mobile"]["applications"][0]["deviceAuthorization"] =
        json!({ "enabled": false, "extraVerification": "restrictive" });
    body["mobile"]["applications"][0]["codes"] = json!({ "numberMatching": { "enabled": true } });
    body["oathToken"] = json!({ "enabled": false, "otp": { "failure": failure(30) } });
    body["blockDisabledUsers"] = json!(false);
    body.as_object_mut().unwrap().remove("rememberMe");
    let replaced = admin.put(url(&made), &body).await.must_be(200).json();
    assert_eq!(own(&replaced), body);
    // An empty list is none.
    body["mobile"]["applications"] = json!([]);
    let replaced = admin.put(url(&made), &body).await.must_be(200).json();
    assert!(replaced["mobile"].get("applications").is_none(), "{replaced}");
    admin.delete(url(&made)).await.must_be(204);
    assert_eq!(admin.get(url(&made)).await.must_be(404).problem().0, "NOT_FOUND");
}

#[tokio::test]
async fn the_policy_that_an_environment_begins_with_is_answered_with_every_member() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let list = admin.get(LIST).await.must_be(200).json();
    let policies = list["_embedded"]["deviceAuthenticationPolicies"].as_array().unwrap();
    let default = policies.iter().find(|policy| policy["default"] == true).unwrap();
    for name in ["sms", "voice", "email", "totp", "mobile", "authentication"] {
        assert!(default[name].is_object(), "{name}: {default}");
    }
    // It can be sent back as it is.
    admin.put(url(default), default).await.must_be(200);
    let refusal = admin.delete(url(default)).await.must_be(400).json();
    let detail = &refusal["details"][0];
    assert_eq!(detail["code"], "CONSTRAINT_VIOLATION");
    let message = detail["message"].as_str().unwrap();
    assert!(message.contains("remove default device authentication policy"), "{message}");
    let mut body = sent(&w.bank.native.id.to_string());
    body["default"] = json!(true);
    admin.make(LIST, &body).await;
    assert_eq!(admin.get(url(default)).await.json()["default"], false);
    admin.delete(url(default)).await.must_be(204);
}

#[tokio::test]
async fn each_limit_of_a_policy_is_told_with_its_member() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let native = w.bank.native.id.to_string();
    let minutes = |n: u32| json!({ "duration": n, "timeUnit": "MINUTES" });
    let app = "/mobile/applications/0";
    let table = [
        ("/name", json!("Bank MFA"), "name"),
        ("/sms/otp/otpLength", json!(11), "sms.otp.otpLength"),
        ("/voice/otp/lifeTime", minutes(31), "voice.otp.lifeTime"),
        ("/email/otp/failure/count", json!(8), "email.otp.failure.count"),
        ("/whatsApp/otp/failure/coolDown", minutes(31), "whatsApp.otp.failure.coolDown"),
        ("/totp/otp/failure/coolDown", minutes(1), "totp.otp.failure.coolDown"),
        ("/totp/passcodeGracePeriod", json!(11), "totp.passcodeGracePeriod"),
        ("/fido2/failure/count", json!(0), "fido2.failure.count"),
        ("/mobile/otp/failure/count", json!(0), "mobile.otp.failure.count"),
        ("/mobile/otp/failure/coolDown", minutes(1), "mobile.otp.failure.coolDown"),
        (&format!("{app}/pushTimeout"), minutes(3), "mobile.applications.pushTimeout"),
        (
            &format!("{app}/pairingKeyLifetime"),
            minutes(2_881),
            "mobile.applications.pairingKeyLifetime",
        ),
        (&format!("{app}/pushLimit/count"), json!(51), "mobile.applications.pushLimit.count"),
        (
            &format!("{app}/pushLimit/timePeriod"),
            minutes(121),
            "mobile.applications.pushLimit.timePeriod",
        ),
        (
            &format!("{app}/pushLimit/lockDuration"),
            minutes(0),
            "mobile.applications.pushLimit.lockDuration",
        ),
        (
            &format!("{app}/deviceAuthorization/extraVerification"),
            json!("disabled"),
            "mobile.applications[0].deviceAuthorization.extraVerification",
        ),
        (&format!("{app}/id"), json!("x"), "mobile.applications.id"),
        (&format!("{app}/id"), json!(w.bank.site.id), "mobile.applications.id"),
        (&format!("{app}/id"), json!(Id::<()>::from_bytes([9; 16])), "mobile.applications.id"),
        (
            "/rememberMe/web",
            json!({ "enabled": true, "lifeTime": minutes(59) }),
            "rememberMe.web.lifeTime",
        ),
        ("/forSignOnPolicy", json!(true), "forSignOnPolicy"),
        ("/authentication/deviceSelection", json!("ANY"), "authentication.deviceSelection"),
    ];
    for (pointer, value, target) in table {
        let mut body = sent(&native);
        *body.pointer_mut(pointer).unwrap() = value.clone();
        assert_eq!(refused(&admin, &body).await.1, target, "{pointer} {value}");
    }
    for required in ["name", "sms", "voice", "email", "mobile", "totp"] {
        let mut body = sent(&native);
        body.as_object_mut().unwrap().remove(required);
        let told = refused(&admin, &body).await;
        assert_eq!(told, ("REQUIRED_VALUE".to_owned(), required.to_owned()));
    }
}

#[tokio::test]
async fn there_is_nothing_to_migrate() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let action = "deviceAuthenticationPolicy.fido2.migrate";
    let body = json!({ "migrationData": [] });
    let answer = admin.act(http::Method::POST, LIST, action, &body).await.must_be(400).json();
    assert!(answer["message"].as_str().unwrap().contains("nothing to migrate"), "{answer}");
}

#[tokio::test]
async fn a_policy_that_an_action_uses_stays() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let used = format!("{LIST}/{}", w.bank.mfa_policy.id);
    let refusal = admin.delete(&used).await.must_be(400).json();
    assert_eq!(refusal["details"][0]["code"], "CONSTRAINT_VIOLATION", "{refusal}");
}

#[tokio::test]
async fn a_phone_signs_in_by_a_policy_that_was_set_up_here() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let mut body = sent(&w.bank.native.id.to_string());
    body["name"] = json!("Bank MFA");
    body["mobile"]["applications"][0]["deviceAuthorization"] = json!({ "enabled": true });
    let url = format!("{LIST}/{}", w.bank.mfa_policy.id);
    admin.put(&url, &body).await.must_be(200);
    let phone = w.phone_paired_to("ann").await;
    let tokens = w.sign_in_on(&phone, "ann").await.tokens().await;
    assert_eq!(tokens.id_claims()["amr"], json!(["pwd", "swk", "mfa"]));
    body["mobile"]["applications"][0]["deviceAuthorization"] = json!({ "enabled": false });
    body["mobile"]["applications"][0]["push"] = json!({ "enabled": false });
    admin.put(&url, &body).await.must_be(200);
    assert_eq!(w.sign_in_on(&phone, "ann").await.status(), "OTP_REQUIRED");
    body["mobile"]["enabled"] = json!(false);
    admin.put(&url, &body).await.must_be(200);
    let tokens = w.sign_in_on(&phone, "ann").await.tokens().await;
    assert_eq!(tokens.id_claims()["amr"], json!(["pwd"]), "the step is bypassed without a method");
}

#[tokio::test]
async fn a_back_end_goes_on_with_a_disabled_user_only_where_the_policy_says_so() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let phone = w.phone_paired_to("ann").await;
    let mut body = sent(&w.bank.native.id.to_string());
    body["name"] = json!("Bank MFA");
    body["mobile"]["applications"][0]["push"] = json!({ "enabled": false });
    let url = format!("{LIST}/{}", w.bank.mfa_policy.id);
    admin.put(&url, &body).await.must_be(200);
    w.bank.disable_ann(&w.server).await;
    let worker = w.backend().await;
    let begin = async || {
        let policy = w.bank.mfa_policy.id.to_string();
        worker.begin(&json!({ "user": { "id": w.bank.ann.id }, "policy": { "id": policy } })).await
    };
    assert_eq!(begin().await.status(), "FAILED");
    body["blockDisabledUsers"] = json!(false);
    admin.put(&url, &body).await.must_be(200);
    let mut authentication = begin().await;
    assert_eq!(authentication.status(), "OTP_REQUIRED");
    authentication.act("otp.check", &json!({ "otp": phone.passcode() })).await.must_be(200);
    assert_eq!(authentication.status(), "COMPLETED");
    // Nobody signs on as a disabled user all the same.
    let mut sign_on = w.site().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(400);
}
