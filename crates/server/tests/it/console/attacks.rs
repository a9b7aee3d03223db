//! What somebody tries who is not let do it.

use countersign_domain::role::{Role, Scope};
use http::header;

use super::{NEW_PASSWORD, Visitor, title};
use crate::world::{FORM, Members, World, post, with};

#[tokio::test]
async fn nobody_comes_in_without_signing_on_at_the_console() {
    let w = World::new().await;
    let (here, _) = Visitor::arrive(&w, "grace", "/console").await;
    // A user of the bank has a session, and it is of another environment.
    let mut stranger = w.browser();
    let page = stranger.open(&w.url("/account")).await;
    let page = stranger
        .press(&page, "login", &[("username", "ann"), ("password", crate::world::PASSWORD)])
        .await;
    page.answer.must_be(200);
    let page = stranger.open(&format!("{}{}", here.base, here.root)).await;
    assert_eq!(page.heading(), "Sign in");
    // One who signs in for another page of the administrators has not come by the console, which asks for a device too.
    let home = w.server.administrators_realm().await.unwrap().unwrap().environment;
    let mut other = w.browser();
    let page = other.open(&format!("{}/{home}/account", here.base)).await;
    let page =
        other.press(&page, "login", &[("username", "grace"), ("password", NEW_PASSWORD)]).await;
    page.answer.must_be(200);
    let cookies = other.cookie();
    assert!(cookies.contains("SID-") && !cookies.contains("CON="), "{cookies}");
}

#[tokio::test]
async fn the_cookie_of_one_session_opens_nothing_with_another() {
    let w = World::new().await;
    let (one, _) = Visitor::arrive(&w, "grace", "/console").await;
    let (other, _) = Visitor::arrive(&w, "heidi", "/console").await;
    let part = |cookies: &str, name: &str| {
        cookies.split("; ").find(|pair| pair.contains(name)).unwrap().to_owned()
    };
    let (one, other) = (one.browser.cookie(), other.browser.cookie());
    let mixed = format!("{}; {}", part(&one, "CON"), part(&other, "SID-"));
    let url = format!("{}/console/environments", w.server.settings().base_url);
    let answer = w.browser().send(with(crate::world::get(&url), "cookie", &mixed)).await;
    assert_eq!(answer.status.as_u16(), 303, "to the sign-on");
    let whole = format!("{}; {}", part(&one, "CON"), part(&one, "SID-"));
    let answer = w.browser().send(with(crate::world::get(&url), "cookie", &whole)).await;
    answer.must_be(200);
}

#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let w = World::new().await;
    let mut here = Visitor::new(&w).await;
    let page = here.at("/users/new").await;
    let token = page.value_of("token");
    let url = format!("{}{}/users/new", here.base, here.root);
    let form = Members::from([("username", "mallory"), ("email", "m@example.org")]);
    let tries = [
        (form.clone(), here.base.clone()),
        (form.clone().and("token", "AAAA"), here.base.clone()),
        (form.clone().and("token", &token), "https://evil.example".to_owned()),
    ];
    for (form, origin) in tries {
        let request = with(post(&url, FORM, form.encoded()), header::ORIGIN.as_str(), &origin);
        let answer = here.browser.send(request).await;
        assert_eq!(answer.location(), Some("/console"), "{origin}");
    }
    assert!(
        w.audit_of("USER.CREATED").await.iter().all(|it| it
            .event
            .user
            .as_ref()
            .unwrap()
            .name
            .as_deref()
            != Some("mallory"))
    );
    // The token of somebody else is none.
    let (mut other, _) = Visitor::arrive(&w, "ivan", "/console").await;
    let stolen = other.at("/users/new").await.value_of("token");
    assert_ne!(stolen, token);
    let page = here
        .send_with("/users/new", &stolen, &[("username", "mallory"), ("email", "m@example.org")])
        .await;
    assert_eq!(title(&page), "Overview");
}

#[tokio::test]
async fn roles_count_at_the_console_as_in_the_api() {
    let w = World::new().await;
    let here = Scope::Environment(w.bank.environment.id);
    let mut reader = Visitor::with_roles(&w, &[(Role::IdentityDataReadOnly, here)]).await;
    let page = reader.at("/users").await;
    assert!(!page.answer.text().contains("Create a user"), "what is not allowed is not offered");
    assert!(!page.answer.text().contains(">Webhooks</a>"));
    reader.at("/webhooks").await.answer.must_be(403);
    reader.at("/audit").await.answer.must_be(403);
    // The form can be had by its address, and is refused when it is sent.
    let token = reader.at("/users/new").await.value_of("token");
    let page = reader
        .send_with("/users/new", &token, &[("username", "m"), ("email", "m@example.org")])
        .await;
    page.answer.must_be(403);
    // Nor is anything told of another environment.
    let home = w.server.administrators_realm().await.unwrap().unwrap().environment;
    reader.get(&format!("/console/{home}/users")).await.answer.must_be(403);
}

#[tokio::test]
async fn who_has_no_role_any_more_or_is_stopped_is_out_at_once() {
    let w = World::new().await;
    let mut here = Visitor::with_roles(&w, &[]).await;
    here.at("").await.answer.must_be(403);
    assert!(
        here.get("/console").await.answer.text().contains("Your roles reach into no environment")
    );
    let (mut there, _) = Visitor::arrive(&w, "grace", "/console").await;
    assert_eq!(title(&there.at("/users").await), "Users");
    // A new password, which only who is at the machine gives, ends what came by the old one.
    w.advance(1);
    w.server.reset_administrator("grace").await.unwrap();
    let page = there.at("/users").await;
    assert_eq!(page.heading(), "Sign in");
}

#[tokio::test]
async fn who_signs_off_is_out() {
    let w = World::new().await;
    let mut here = Visitor::new(&w).await;
    let page = here.get("/console/sign-off").await;
    let page = here.browser.press(&page, "signoff", &[]).await;
    assert_eq!(page.heading(), "You are signed out");
    assert_eq!(here.at("/users").await.heading(), "Sign in");
}
