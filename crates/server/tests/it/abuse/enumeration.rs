//! Who asks whether a user exists learns nothing: not from what is said, and not from what is done for it.

use countersign_domain::sign_on_policy::NoDevicesMode;
use countersign_server::app::{DeviceChange, NewUser};
use serde_json::json;

use crate::world::{Answer, PASSWORD, Step, World};

/// Names of equal length: a user, one who is disabled, one without a password, nobody, and one whom no database can hold.
const NAMES: [&str; 5] = ["bob", "ann", "pat", "zed", "z\0d"];

async fn everybody() -> World {
    let w = World::new().await;
    w.bank.disable_ann(&w.server).await;
    w.user("bob").await;
    let new = NewUser {
        username: "pat".to_owned(),
        email: "pat@bank.example".to_owned(),
        name: countersign_domain::user::Name::default(),
        population: None,
        password: None,
        mfa_enabled: Some(true),
        ..NewUser::default()
    };
    w.server.create_user(w.bank.environment.id, new).await.unwrap();
    w
}

/// What an answer shows of itself, but for what is different in each.
fn shown(answer: &Answer, name: &str, own: &[&str]) -> (u16, Vec<(String, String)>, String) {
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "correlation-id")
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    let correlation = answer.header("correlation-id");
    // Short names are parts of other words, so only what is the name as a whole is hidden.
    let whole = [format!("\"{name}\""), format!(">{name}<")];
    let own = own.iter().copied().chain([correlation]).chain(whole.iter().map(String::as_str));
    let own = own.filter(|own| !own.is_empty());
    let hide = |text: String| own.clone().fold(text, |text, own| text.replace(own, "OWN"));
    let headers = headers.into_iter().map(|(name, value)| (name, hide(value))).collect();
    (answer.status.as_u16(), headers, hide(answer.text().to_owned()))
}

#[tokio::test]
async fn the_flow_api_answers_alike_to_the_seventh_wrong_password_whoever_is_named() {
    let w = Box::pin(everybody()).await;
    let mut seen = Vec::new();
    for name in NAMES {
        let mut answers = Vec::new();
        for _ in 0..7 {
            let mut sign_on = w.app().begin().await;
            answers.push(shown(&sign_on.password(name, "wrong").await, name, &[]));
        }
        assert!(answers[3].2.contains("INVALID_CREDENTIALS"), "{}", answers[3].2);
        assert!(answers[4].2.contains("\"secondsUntilUnlock\":900"), "{}", answers[4].2);
        seen.push(answers);
    }
    for other in &seen[1..] {
        assert_eq!(*other, seen[0]);
    }
}

#[tokio::test]
async fn the_right_password_of_a_user_who_may_not_sign_in_is_a_wrong_one() {
    let w = Box::pin(everybody()).await;
    let mut seen = Vec::new();
    for name in ["ann", "zed"] {
        let mut sign_on = w.app().begin().await;
        seen.push(shown(&sign_on.password(name, PASSWORD).await, name, &[]));
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn while_a_name_is_locked_the_right_password_is_answered_like_any_other() {
    let w = Box::pin(everybody()).await;
    let mut seen = Vec::new();
    for (name, password) in [("bob", PASSWORD), ("ann", PASSWORD), ("zed", "wrong")] {
        let mut sign_on = w.app().begin().await;
        for _ in 0..5 {
            sign_on.password(name, "wrong").await;
        }
        seen.push(shown(&sign_on.password(name, password).await, name, &[]));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

#[tokio::test]
async fn the_pages_look_alike_whoever_is_named() {
    let mut w = Box::pin(everybody()).await;
    for step in [Step::Login, Step::IdentifierFirst] {
        w.bank.require(&w.server, &[step]).await;
        // Counted under the name, whatever the policy: so that both policies see each number of wrong passwords.
        w.advance(86_401);
        let mut seen = Vec::new();
        for name in NAMES.into_iter().filter(|name| !name.contains('\0')) {
            let mut site = w.site();
            let mut page = site.browser.open(&site.authorize_url(&site.request())).await;
            let mut pages = Vec::new();
            for _ in 0..6 {
                let flow = page.url.split_once("flowId=").unwrap().1.to_owned();
                let token = page.value_of("token");
                if page.answer.text().contains("value=\"identify\"") {
                    page = site.browser.press(&page, "identify", &[("username", name)]).await;
                    pages.push(shown(&page.answer, name, &[&flow, &page.value_of("token")]));
                }
                let login = page.answer.text().contains("value=\"login\"");
                let typed = [("username", name), ("password", "wrong")];
                let (action, typed) =
                    if login { ("login", &typed[..]) } else { ("password", &typed[1..]) };
                page = site.browser.press(&page, action, typed).await;
                pages.push(shown(&page.answer, name, &[&flow, &token]));
            }
            seen.push(pages);
        }
        for other in &seen[1..] {
            assert_eq!(*other, seen[0]);
        }
    }
}

#[tokio::test]
async fn a_policy_that_begins_with_a_device_refuses_all_who_cannot_use_one_alike() {
    let mut w = World::new().await;
    w.phone_paired_to("ann").await;
    w.user("bob").await;
    let environment = w.bank.environment.id;
    let device = w.server.list_devices(environment, w.bank.ann.id).await.unwrap().remove(0);
    w.server.change_device(environment, device.id, DeviceChange::Block).await.unwrap();
    for mode in [NoDevicesMode::Bypass, NoDevicesMode::Block] {
        w.bank.require(&w.server, &[Step::Mfa(mode), Step::Login]).await;
        let mut seen = Vec::new();
        for name in ["zed", "ann", "bob"] {
            let hinted = w.app().request().with("login_hint", name);
            let hinted = w.app().begin_with(hinted).await.flow;
            let mut sign_on = w.app().begin().await;
            sign_on.act("user.lookup", &json!({ "username": name })).await.must_be(200);
            let mut site = w.site();
            let page = site.browser.open(&site.authorize_url(&site.request())).await;
            let page = site.browser.press(&page, "identify", &[("username", name)]).await;
            let text = page.answer.text().split("flowId=").next().unwrap().to_owned();
            let told = |flow: &serde_json::Value| {
                (flow["status"].clone(), flow["authorizeResponse"].clone())
            };
            seen.push((told(&hinted), told(&sign_on.flow), text));
        }
        assert_eq!(seen[0], seen[1], "{mode:?}");
        assert_eq!(seen[0], seen[2], "{mode:?}");
    }
}

#[tokio::test]
async fn a_hint_is_shown_as_it_came_and_looked_for_nowhere() {
    let w = World::new().await;
    let mut seen = Vec::new();
    for name in ["ann", "zed"] {
        let mut site = w.site();
        let hinted = site.request().with("login_hint", name);
        let page = site.browser.open(&site.authorize_url(&hinted)).await;
        let flow = page.url.split_once("flowId=").unwrap().1.to_owned();
        seen.push(shown(&page.answer, name, &[&flow, &page.value_of("token")]));
    }
    assert_eq!(seen[0], seen[1]);
}
