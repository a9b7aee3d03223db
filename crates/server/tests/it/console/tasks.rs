//! What administrators do at the console, form by form.

use serde_json::json;

use super::{Visitor, title};
use crate::world::World;

#[tokio::test]
async fn who_signs_on_comes_to_the_page_that_was_asked_for() {
    let w = World::new().await;
    let path = format!("/console/{}/mfa-settings", w.bank.environment.id);
    let (mut here, page) = Visitor::arrive(&w, "grace", &path).await;
    assert_eq!(title(&page), "MFA settings");
    // Whoever is signed on goes on without being asked.
    assert_eq!(title(&here.get("/console").await), "Overview");
    assert_eq!(title(&here.get("/console/environments").await), "Environments");
}

#[tokio::test]
async fn a_native_app_becomes_a_second_factor_by_forms_alone() {
    let w = World::new().await;
    let mut here = Visitor::new(&w).await;
    let page = here
        .send(
            "/applications/new/native",
            &[
                ("name", "Shop app"),
                ("mobile.packageName", "org.shop.app"),
                ("mobile.bundleId", "org.shop.app"),
                ("redirectUris", "org.shop.app:/back\norg.shop.app:/other"),
            ],
        )
        .await;
    assert_eq!(title(&page), "Shop app");
    let id = page.url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    let admin = w.administrator().await;
    let shop = admin.get(&format!("/applications/{id}")).await.must_be(200).json();
    assert_eq!(shop["redirectUris"], json!(["org.shop.app:/back", "org.shop.app:/other"]));
    assert_eq!(shop["mobile"]["bundleId"], "org.shop.app");
    // Into the MFA policy, with device authorization and an extra verification.
    let policies = admin.get("/deviceAuthenticationPolicies").await.must_be(200).json();
    let policy = policies["_embedded"]["deviceAuthenticationPolicies"][0]["id"].as_str().unwrap();
    let policy = format!("/mfa-policies/{policy}");
    here.send(&policy, &[]).await;
    let token = here.at(&policy).await.value_of("token");
    let page =
        here.send_with(&format!("{policy}/applications"), &token, &[("application", &id)]).await;
    assert!(title(&page).starts_with("Shop app in "), "{}", title(&page));
    let place = |path: &str| {
        let listed =
            policies["_embedded"]["deviceAuthenticationPolicies"][0]["mobile"]["applications"]
                .as_array();
        format!("mobile.applications.{}.{path}", listed.map_or(0, Vec::len))
    };
    let page = here
        .send(
            &format!("{policy}/applications/{id}"),
            &[
                (&place("autoEnrollment.enabled"), "true"),
                (&place("deviceAuthorization.enabled"), "on"),
                (&place("deviceAuthorization.extraVerification"), "restrictive"),
                (&place("push.enabled"), "on"),
                (&place("pushTimeout.duration"), "60"),
            ],
        )
        .await;
    page.answer.must_be(200);
    let told =
        admin.get(&policy.replace("/mfa-policies", "/deviceAuthenticationPolicies")).await.json();
    let listed = told["mobile"]["applications"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        listed["deviceAuthorization"],
        json!({ "enabled": true, "extraVerification": "restrictive" })
    );
    assert_eq!(listed["autoEnrollment"]["enabled"], true);
    assert_eq!(listed["pushTimeout"], json!({ "duration": 60, "timeUnit": "SECONDS" }));
    assert_eq!(listed["otp"]["enabled"], false, "an unticked box says no");
    // And a sign-on policy with an MFA step that lets people without a device pass.
    let page = here.send("/sign-on-policies/new", &[("name", "Shop"), ("description", "")]).await;
    let signing =
        page.url.split("/sign-on-policies/").nth(1).unwrap().split('?').next().unwrap().to_owned();
    let steps = format!("/sign-on-policies/{signing}/steps/new");
    here.send(&format!("{steps}/login"), &[("priority", "1")]).await;
    here.send(&format!("{steps}/mfa"), &[("priority", "2"), ("noDevicesMode", "BYPASS")]).await;
    let actions = admin.get(&format!("/signOnPolicies/{signing}/actions")).await.json();
    assert_eq!(actions["_embedded"]["actions"][1]["noDevicesMode"], "BYPASS");
    let assign = format!("/applications/{id}/policies");
    let page = here.send(&assign, &[("signOnPolicy.id", &signing), ("priority", "1")]).await;
    assert!(page.answer.text().contains("Shop</a>"), "{}", page.answer.text());
}

#[tokio::test]
async fn what_the_api_refuses_is_said_at_its_field_with_what_was_typed() {
    let w = World::new().await;
    let mut here = Visitor::new(&w).await;
    let page =
        here.send("/users/new", &[("username", "ann"), ("email", "not an address <b>")]).await;
    assert_eq!(page.answer.status, 400);
    let text = page.answer.text();
    assert!(text.contains("<title>Error: "), "{text}");
    assert!(text.contains("value=\"not an address &#60;b&#62;\""), "{text}");
    assert!(page.problem().contains("email"), "{}", page.problem());
    let page = here
        .send(
            "/mfa-settings",
            &[("pairing.maxAllowedDevices", "99"), ("pairing.pairingKeyFormat", "NUMERIC")],
        )
        .await;
    assert_eq!(page.answer.status, 400);
    assert!(page.problem().contains("pairing.maxAllowedDevices"), "{}", page.problem());
}

#[tokio::test]
async fn users_are_found_made_imported_stopped_and_deleted() {
    let w = World::new().await;
    let mut here = Visitor::new(&w).await;
    let page = here
        .send(
            "/users/new",
            &[
                ("username", "olga"),
                ("email", "olga@example.org"),
                ("name.given", "Olga"),
                ("password.value", "correct horse battery 9"),
            ],
        )
        .await;
    assert_eq!(title(&page), "olga");
    let user = page.url.split("/users/").nth(1).unwrap().split('?').next().unwrap().to_owned();
    let lines = "username;email\nolga;olga@example.org\npaul;paul@example.org";
    let page = here.send("/users/import", &[("lines", lines)]).await;
    let text = page.answer.text();
    assert!(text.contains("1 users are imported; 1 are not"), "{text}");
    let found = here.at("/users?q=ol").await;
    assert!(
        found.answer.text().contains(">olga</a>") && !found.answer.text().contains(">paul</a>")
    );
    let path = format!("/users/{user}");
    let page = here.send(&path, &[("deed", "disable")]).await;
    assert!(page.answer.text().contains("may not sign in any more"), "{}", page.answer.text());
    let page = here
        .send(
            &format!("{path}/edit"),
            &[("username", "olga"), ("email", "o@example.org"), ("name.family", "Orlova")],
        )
        .await;
    assert!(page.answer.text().contains("Orlova"), "{}", page.answer.text());
    let page = here.at(&format!("{path}/delete")).await;
    assert!(page.answer.text().contains("This cannot be undone"));
    here.send(&format!("{path}/delete"), &[]).await;
    here.at(&path).await.answer.must_be(404);
    // Who did it is told.
    let told = w.audit_of("USER.DELETED").await;
    let by = told.last().unwrap().actors();
    assert_eq!(by.user.unwrap().name.as_deref(), Some("grace"));
    assert!(by.client.is_some());
}

#[tokio::test]
async fn a_sign_on_is_drawn_as_a_sequence() {
    let w = World::new().await;
    w.app().sign_in("ann").await;
    let mut here = Visitor::new(&w).await;
    let flow = w.audit_of("USER.ACCESS_ALLOWED").await.last().unwrap().event.flow.unwrap();
    let page = here.at(&format!("/sign-ons/{flow}")).await;
    let text = page.answer.text();
    assert_eq!(title(&page), "A sign-on of ann");
    for said in ["Authorize: who is it?", "Password: right", "Signed in", "+0 ms"] {
        assert!(text.contains(said), "{said} is not on {text}");
    }
    here.at("/sign-ons/00000000-0000-7000-8000-000000000000").await.answer.must_be(404);
}

#[tokio::test]
async fn no_page_is_heavy_or_carries_scripts_and_styles_of_its_own() {
    let w = World::new().await;
    let mut here = Visitor::new(&w).await;
    let native = format!("/applications/{}", w.bank.native.id);
    let pages = [
        "",
        "/users",
        "/users/new",
        "/users/import",
        "/applications",
        "/applications/new",
        "/applications/new/native",
        &native,
        &format!("{native}/configuration"),
        &format!("{native}/mobile"),
        &format!("{native}/push"),
        &format!("{native}/push?type=APNS"),
        &format!("{native}/authenticator"),
        &format!("{native}/policies"),
        &format!("{native}/delete"),
        "/mfa-policies",
        "/mfa-policies/new",
        "/sign-on-policies",
        "/mfa-settings",
        "/audit",
        "/webhooks",
        "/webhooks/new",
        "/administrators",
    ];
    let fixed = countersign_console::STYLESHEET.len() + countersign_console::SCRIPT.len();
    for path in pages {
        let page = here.at(path).await;
        assert_eq!(page.answer.status, 200, "{path}");
        let text = page.answer.text();
        assert!(text.len() + fixed < 150 * 1_024, "{path} weighs {}", text.len() + fixed);
        assert!(
            !text.contains(" style=") && !text.contains("<style") && !text.contains("<script>"),
            "{path}"
        );
        let policy = page.answer.headers["content-security-policy"].to_str().unwrap();
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}
