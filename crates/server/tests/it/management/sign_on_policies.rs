//! Sign-on policies, their actions and their assignments by the management API.

use countersign_domain::id::Id;
use serde_json::{Value, json};

use crate::world::{PASSWORD, Phone, SignOn, World, administrator::Administrator};

const LIST: &str = "/signOnPolicies";

/// A sign-on policy that the web site uses.
struct Policy {
    admin: Administrator,
    url: String,
    name: String,
}

fn url(made: &Value) -> String {
    made["_links"]["self"]["href"].as_str().unwrap().to_owned()
}

fn login() -> Value {
    json!({ "type": "LOGIN", "priority": 1 })
}

impl Policy {
    /// One in the place of the one that the web site uses.
    async fn new(w: &World) -> Self {
        let admin = w.administrator().await;
        let made = admin.make(LIST, &json!({ "name": "By_Http", "default": false })).await;
        let assignments = assignments(w);
        let list = admin.get(&assignments).await.must_be(200).json();
        let first = url(&list["_embedded"]["signOnPolicyAssignments"][0]);
        let body = json!({ "signOnPolicy": { "id": made["id"] }, "priority": 1 });
        admin.put(&first, &body).await.must_be(200);
        Self { admin, url: url(&made), name: "By_Http".to_owned() }
    }

    async fn action(&self, body: &Value) -> Value {
        self.admin.make(&format!("{}/actions", self.url), body).await
    }

    async fn mfa(&self, w: &World, condition: Value) -> Value {
        self.action(&json!({
            "type": "MULTI_FACTOR_AUTHENTICATION", "priority": 2, "noDevicesMode": "BLOCK",
            "deviceAuthenticationPolicy": { "id": w.bank.mfa_policy.id }, "condition": condition,
        }))
        .await
    }

    async fn refuses(&self, body: &Value) -> String {
        let answer = self.admin.post(&format!("{}/actions", self.url), body).await;
        let answer = answer.must_be(400).json();
        answer["details"][0]["target"].as_str().unwrap_or_default().to_owned()
    }
}

fn assignments(w: &World) -> String {
    format!("/applications/{}/signOnPolicyAssignments", w.bank.site.id)
}

/// A sign-on after the password.
async fn after_password(w: &World) -> SignOn {
    let mut sign_on = w.site().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    sign_on
}

#[tokio::test]
async fn a_policy_is_made_read_replaced_and_deleted_with_its_actions() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let body = json!({ "name": "urn:bank:strong", "description": "Two factors" });
    let made = admin.make(LIST, &body).await;
    assert_eq!(made["default"], false);
    assert_eq!(made["description"], "Two factors");
    let actions = made["_links"]["actions"]["href"].as_str().unwrap();
    assert_eq!(admin.get(actions).await.must_be(200).json()["_embedded"]["actions"], json!([]));
    let action = admin.make(actions, &login()).await;
    let replaced = admin.put(&url(&made), &json!({ "name": "Plain" })).await.must_be(200).json();
    assert!(replaced.get("description").is_none() && replaced["name"] == "Plain");
    // Its actions are not a matter of its body.
    assert_eq!(admin.get(&url(&action)).await.must_be(200).json(), action);
    admin.delete(&url(&made)).await.must_be(204);
    admin.get(&url(&action)).await.must_be(404);
    let taken = json!({ "name": "Multi_Factor" });
    let answer = admin.post(LIST, &taken).await.must_be(400).json();
    assert_eq!(answer["details"][0]["code"], "UNIQUENESS_VIOLATION");
    let answer = admin.post(LIST, &json!({ "name": "a/b" })).await.must_be(400).json();
    assert_eq!(answer["details"][0]["target"], "name");
    let answer = admin.post(LIST, &json!({ "name": "x", "default": true })).await;
    assert_eq!(answer.must_be(400).json()["details"][0]["target"], "default");
}

#[tokio::test]
async fn the_default_policy_and_one_in_use_stay() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let list = admin.get(LIST).await.must_be(200).json();
    let policies = list["_embedded"]["signOnPolicies"].as_array().unwrap();
    let default = policies.iter().find(|policy| policy["default"] == true).unwrap();
    let answer = admin.delete(&url(default)).await.must_be(400).json();
    let message = answer["details"][0]["message"].as_str().unwrap();
    assert!(message.contains("delete a default policy"), "{message}");
    let used = format!("{LIST}/{}", w.bank.sign_on_policy.id);
    let answer = admin.delete(&used).await.must_be(400).json();
    assert_eq!(answer["details"][0]["code"], "CONSTRAINT_VIOLATION");
}

#[tokio::test]
async fn actions_are_answered_as_they_were_sent() {
    let w = World::new().await;
    let policy = Policy::new(&w).await;
    let mfa = w.bank.mfa_policy.id;
    let remote = "${flow.request.http.remoteIp}";
    let bodies = [
        json!({
            "type": "LOGIN", "priority": 1, "recovery": { "enabled": true },
            "registration": { "enabled": false }, "enforceLockoutForIdentityProviders": true,
            "socialProviders": [{ "id": "0fb0e5ac-3aef-4cbb-a3d1-fcb2d0bf4fa0" }],
        }),
        json!({ "type": "IDENTIFIER_FIRST", "priority": 2, "discoveryRules": [] }),
        json!({
            "type": "MULTI_FACTOR_AUTHENTICATION", "priority": 3, "noDevicesMode": "BYPASS",
            "deviceAuthenticationPolicy": { "id": mfa },
            "condition": { "or": [
                { "greater": 600, "secondsSince": "${session.lastSignOn.withAuthenticator.mfa.at}" },
                { "not": { "ipRange": ["10.1.2.3/8"], "contains": remote } },
                { "value": "${user.population.id}", "equals": w.bank.ann.population },
                { "ipRisk": { "minScore": 80, "maxScore": 100 }, "valid": remote },
            ] },
        }),
    ];
    for body in &bodies {
        let made = policy.action(body).await;
        assert_eq!(policy.admin.get(&url(&made)).await.must_be(200).json(), made);
        for (name, value) in body.as_object().unwrap() {
            assert_eq!(made[name], *value, "{name}");
        }
        let own: Vec<_> = made.as_object().unwrap().keys().collect();
        let known = body.as_object().unwrap().len() + 4;
        assert_eq!(
            own.len(),
            known,
            "nothing else but _links, id, environment, signOnPolicy: {made}"
        );
    }
    let list = policy.admin.get(&format!("{}/actions", policy.url)).await.must_be(200).json();
    assert_eq!((&list["count"], &list["size"]), (&json!(3), &json!(3)));
    // Two that change places have the same for a while.
    let second = &list["_embedded"]["actions"][1];
    let moved = json!({ "type": "IDENTIFIER_FIRST", "priority": 3 });
    policy.admin.put(&url(second), &moved).await.must_be(200);
}

#[tokio::test]
async fn what_is_no_action_is_told() {
    let w = World::new().await;
    let policy = Policy::new(&w).await;
    let first = policy.action(&login()).await;
    let mfa = |condition: Value| json!({ "type": "MULTI_FACTOR_AUTHENTICATION", "priority": 2, "condition": condition });
    let table = [
        (json!({ "type": "AGREEMENT", "priority": 2 }), "type"),
        (json!({ "type": "LOGIN" }), "priority"),
        (json!({ "type": "LOGIN", "priority": 0 }), "priority"),
        (json!({ "type": "LOGIN", "priority": 1.5 }), "priority"),
        (mfa(json!({ "secondsSince": "x", "greater": 1 })), "condition"),
        (mfa(json!({ "value": "${user.shoeSize}", "equals": "9" })), "condition"),
        (
            json!({
                "type": "MULTI_FACTOR_AUTHENTICATION", "priority": 2,
                "deviceAuthenticationPolicy": { "id": Id::<()>::from_bytes([9; 16]) },
            }),
            "deviceAuthenticationPolicy.id",
        ),
    ];
    for (body, target) in table {
        assert_eq!(policy.refuses(&body).await, target, "{body}");
    }
    // Before the first step nobody is known.
    let about_user = json!({
        "type": "LOGIN", "priority": 1,
        "condition": { "value": "${user.username}", "equals": "ann" },
    });
    let answer = policy.admin.put(&url(&first), &about_user).await.must_be(400).json();
    assert_eq!(answer["details"][0]["target"], "condition");
    let gone = format!("{}/actions/{}", policy.url, Id::<()>::from_bytes([9; 16]));
    policy.admin.get(&gone).await.must_be(404);
    policy.admin.put(&gone, &login()).await.must_be(404);
    policy.admin.delete(&gone).await.must_be(404);
    let other =
        format!("{LIST}/{}/actions/{}", w.bank.sign_on_policy.id, first["id"].as_str().unwrap());
    policy.admin.get(&other).await.must_be(404);
}

#[tokio::test]
async fn a_policy_without_steps_lets_nobody_in_and_one_in_use_keeps_its_last_step() {
    let w = World::new().await;
    let policy = Policy::new(&w).await;
    let sign_on = w.site().begin().await;
    assert_eq!(sign_on.status(), "FAILED");
    let told = sign_on.response("error_description");
    assert_eq!(told, "the sign-on policy of the application has no steps");
    let denied = w.audit_of("USER.ACCESS_DENIED").await;
    assert_eq!(denied[0].entry.event.reason.as_deref(), Some("policy_without_steps"));
    let first = policy.action(&login()).await;
    let second = policy.action(&json!({ "type": "IDENTIFIER_FIRST", "priority": 2 })).await;
    after_password(&w).await.tokens().await;
    policy.admin.delete(&url(&first)).await.must_be(204);
    let answer = policy.admin.delete(&url(&second)).await.must_be(400).json();
    let message = answer["details"][0]["message"].as_str().unwrap();
    assert!(message.contains("Cannot delete last action from the policy"), "{message}");
    assert_eq!(w.site().begin().await.status(), "SIGN_ON_REQUIRED");
}

#[tokio::test]
async fn an_action_without_an_mfa_policy_is_answered_with_the_default() {
    let w = World::new().await;
    let admin = w.administrator().await;
    let list = admin.get(&format!("{LIST}?filter=name%20eq%20%22Multi_Factor%22")).await.json();
    let actions = &list["_embedded"]["signOnPolicies"][0]["_links"]["actions"]["href"];
    let list = admin.get(actions.as_str().unwrap()).await.must_be(200).json();
    let mfa = &list["_embedded"]["actions"][1];
    let policies = admin.get("/deviceAuthenticationPolicies").await.json();
    let policies = policies["_embedded"]["deviceAuthenticationPolicies"].as_array().unwrap();
    let default = policies.iter().find(|policy| policy["default"] == true).unwrap();
    assert_eq!(mfa["deviceAuthenticationPolicy"]["id"], default["id"]);
    assert_eq!(mfa["noDevicesMode"], "BLOCK");
}

#[tokio::test]
async fn assignments_order_the_policies_of_an_application() {
    let w = World::new().await;
    let policy = Policy::new(&w).await;
    policy.action(&login()).await;
    let admin = &policy.admin;
    let of_site = assignments(&w);
    let id = policy.url.rsplit('/').next().unwrap();
    let again = json!({ "signOnPolicy": { "id": id }, "priority": 2 });
    let answer = admin.post(&of_site, &again).await.must_be(400).json();
    assert_eq!(answer["details"][0]["code"], "UNIQUENESS_VIOLATION", "{answer}");
    assert_eq!(answer["details"][0]["target"], "signOnPolicy.id");
    let strong = w.bank.sign_on_policy.id;
    let body = json!({ "signOnPolicy": { "id": strong }, "priority": 2 });
    let made = admin.make(&of_site, &body).await;
    assert_eq!(made["application"]["id"], json!(w.bank.site.id));
    assert_eq!((&made["signOnPolicy"]["id"], &made["priority"]), (&json!(strong), &json!(2)));
    let tokens = after_password(&w).await.tokens().await;
    assert_eq!(tokens.id_claims()["acr"], policy.name.as_str());
    let list = admin.get(&of_site).await.must_be(200).json();
    let others = &list["_embedded"]["signOnPolicyAssignments"];
    let plain = others.as_array().unwrap().iter().find(|entry| entry["id"] != made["id"]).unwrap();
    let behind = json!({ "signOnPolicy": { "id": id }, "priority": 3 });
    admin.put(&url(plain), &behind).await.must_be(200);
    let tokens = after_password(&w).await.tokens().await;
    assert_eq!(tokens.id_claims()["acr"], "Trusted_Phone");
    // Under another application it is not found.
    let elsewhere = url(plain).replace(&w.bank.site.id.to_string(), &w.bank.native.id.to_string());
    admin.get(&elsewhere).await.must_be(404);
    admin.delete(&elsewhere).await.must_be(404);
    for (body, target) in [
        (json!({ "signOnPolicy": { "id": "x" }, "priority": 1 }), "signOnPolicy.id"),
        (
            json!({ "signOnPolicy": { "id": Id::<()>::from_bytes([9; 16]) }, "priority": 1 }),
            "signOnPolicy.id",
        ),
        (json!({ "signOnPolicy": { "id": strong }, "priority": 0 }), "priority"),
    ] {
        let answer = admin.put(&url(&made), &body).await.must_be(400).json();
        assert_eq!(answer["details"][0]["target"], target);
    }
    admin.delete(&url(plain)).await.must_be(204);
    admin.delete(&policy.url).await.must_be(204);
}

#[tokio::test]
async fn the_assignments_of_another_environment_are_not_listed() {
    let w = World::new().await;
    let other = crate::world::Bank::open(&w.server, "Other").await;
    let admin = w.administrator().await;
    let of_other = format!("/applications/{}/signOnPolicyAssignments", other.site.id);
    admin.get(&of_other).await.must_be(404);
    let body = json!({ "signOnPolicy": { "id": w.bank.sign_on_policy.id }, "priority": 1 });
    admin.post(&of_other, &body).await.must_be(400);
    let here = format!("{LIST}/{}", other.sign_on_policy.id);
    admin.get(&here).await.must_be(404);
    admin.get(&format!("{here}/actions")).await.must_be(404);
    admin.post(&format!("{here}/actions"), &login()).await.must_be(404);
}

/// Ann's phone, which shows passcodes.
async fn phone(w: &World) -> Phone {
    w.phone_paired_to("ann").await
}

#[tokio::test]
async fn a_condition_on_the_network_decides_on_the_second_factor() {
    let mut w = World::new().await;
    let phone = phone(&w).await;
    let policy = Policy::new(&w).await;
    policy.action(&login()).await;
    let outside = |range: &str| json!({ "not": { "contains": "${flow.request.http.remoteIp}", "ipRange": [range] } });
    // Requests of tests come from nowhere, which is outside of every network.
    let mfa = policy.mfa(&w, outside("10.0.0.0/8")).await;
    let mut sign_on = after_password(&w).await;
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
    sign_on.passcode(&phone.passcode()).await.must_be(200);
    sign_on.tokens().await;
    // From inside, the password is enough.
    w.wire.come_from("10.1.2.3");
    let tokens = after_password(&w).await.tokens().await;
    assert_eq!(tokens.id_claims()["amr"], json!(["pwd"]));
    w.wire.come_from("192.0.2.1");
    assert_eq!(after_password(&w).await.status(), "OTP_REQUIRED");
    let body = json!({
        "type": "MULTI_FACTOR_AUTHENTICATION", "priority": 2, "noDevicesMode": "BLOCK",
        "deviceAuthenticationPolicy": { "id": w.bank.mfa_policy.id },
    });
    policy.admin.put(&url(&mfa), &body).await.must_be(200);
    w.wire.come_from("10.1.2.3");
    assert_eq!(after_password(&w).await.status(), "OTP_REQUIRED");
}

#[tokio::test]
async fn a_condition_on_the_user_is_judged_when_the_user_is_known() {
    let w = World::new().await;
    let _phone = phone(&w).await;
    w.bank.user(&w.server, "bob").await;
    let policy = Policy::new(&w).await;
    policy.action(&login()).await;
    policy.mfa(&w, json!({ "value": "${user.username}", "equals": "ann" })).await;
    assert_eq!(after_password(&w).await.status(), "OTP_REQUIRED");
    let mut bob = w.site().begin().await;
    bob.password("bob", PASSWORD).await.must_be(200);
    assert_eq!(bob.tokens().await.id_claims()["amr"], json!(["pwd"]));
    // And so it is for whoever begins as one and goes on as the other.
    let mut turned = w.site().begin().await;
    turned.password("ann", PASSWORD).await.must_be(200);
    turned.act("session.reset", &json!({})).await.must_be(200);
    turned.password("bob", PASSWORD).await.must_be(200);
    assert_eq!(turned.status(), "COMPLETED");
}

#[tokio::test]
async fn a_condition_on_the_session_asks_again_for_what_is_too_old() {
    let w = World::new().await;
    let phone = phone(&w).await;
    let policy = Policy::new(&w).await;
    let since = |proof: &str, greater: u32| {
        let at = format!("${{session.lastSignOn.withAuthenticator.{proof}.at}}");
        json!({ "secondsSince": at, "greater": greater })
    };
    policy
        .action(&json!({ "type": "LOGIN", "priority": 1, "condition": since("pwd", 1_200) }))
        .await;
    policy.mfa(&w, since("mfa", 600)).await;
    let mut sign_on = w.site().begin().await;
    assert_eq!(sign_on.status(), "USERNAME_PASSWORD_REQUIRED");
    sign_on.password("ann", PASSWORD).await.must_be(200);
    sign_on.passcode(&phone.passcode()).await.must_be(200);
    sign_on.tokens().await;
    // Within ten minutes nothing is asked.
    w.advance(500);
    let again = sign_on.client.clone().begin().await;
    assert_eq!(again.status(), "COMPLETED");
    // Then the phone is, and after twenty also the password.
    w.advance(200);
    let mut again = again.client.clone().begin().await;
    assert_eq!(again.status(), "OTP_REQUIRED");
    again.passcode(&phone.passcode()).await.must_be(200);
    w.advance(550);
    let mut last = again.client.clone().begin().await;
    assert_eq!(last.status(), "PASSWORD_REQUIRED");
    last.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(last.status(), "COMPLETED", "the phone has vouched less than ten minutes ago");
}

#[tokio::test]
async fn where_no_step_would_run_the_first_runs_all_the_same() {
    let w = World::new().await;
    let policy = Policy::new(&w).await;
    let inside = json!({ "contains": "${flow.request.http.remoteIp}", "ipRange": ["10.0.0.0/8"] });
    policy.action(&json!({ "type": "LOGIN", "priority": 1, "condition": inside })).await;
    policy.mfa(&w, inside).await;
    let mut sign_on = w.site().begin().await;
    assert_eq!(sign_on.status(), "USERNAME_PASSWORD_REQUIRED");
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.tokens().await.id_claims()["amr"], json!(["pwd"]));
}
