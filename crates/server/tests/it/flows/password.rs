//! The action `usernamePassword.check`.

use serde_json::json;
use tokio::task::JoinSet;

use crate::world::{MFA_BYPASS, PASSWORD, SignOn, Step, World};

fn problem(code: &str) -> (String, String, String) {
    ("INVALID_DATA".to_owned(), code.to_owned(), "password".to_owned())
}

on_both_engines!(
    five_wrong_passwords_lock_for_a_quarter_of_an_hour,
    a_right_password_starts_the_count_anew,
    guesses_at_the_same_time_all_count,
    a_name_that_no_database_can_hold_is_nobodys,
);

async fn wrong_passwords(sign_on: &mut SignOn, times: u32) {
    for _ in 0..times {
        let answer = sign_on.password("ann", "wrong").await.must_be(400);
        assert_eq!(answer.problem(), problem("INVALID_CREDENTIALS"));
    }
}

async fn five_wrong_passwords_lock_for_a_quarter_of_an_hour(w: &mut World) {
    let mut sign_on = w.app().begin().await;
    wrong_passwords(&mut sign_on, 4).await;
    let answer = sign_on.password("ann", "wrong").await.must_be(400);
    assert_eq!(answer.problem(), problem("PASSWORD_LOCKED_OUT"));
    let seconds = |body: &serde_json::Value| {
        body.pointer("/details/0/innerError/secondsUntilUnlock").unwrap().as_i64().unwrap()
    };
    assert_eq!(seconds(&answer.json()), 900);
    w.advance(899);
    let mut sign_on = w.app().begin().await;
    let answer = sign_on.password("ann", PASSWORD).await.must_be(400);
    assert_eq!((answer.problem(), seconds(&answer.json())), (problem("PASSWORD_LOCKED_OUT"), 1));
    assert_eq!(sign_on.status(), "USERNAME_PASSWORD_REQUIRED");
    w.advance(1);
    sign_on.password("ann", PASSWORD).await.must_be(200);
    sign_on.tokens().await;
}

async fn a_right_password_starts_the_count_anew(w: &mut World) {
    for _ in 0..2 {
        let mut sign_on = w.app().begin().await;
        wrong_passwords(&mut sign_on, 4).await;
        sign_on.password("ann", PASSWORD).await.must_be(200);
    }
}

async fn guesses_at_the_same_time_all_count(w: &mut World) {
    let sign_on = w.app().begin().await;
    let mut guesses = JoinSet::new();
    for _ in 0..6 {
        let mut sign_on = sign_on.clone();
        guesses.spawn(async move { sign_on.password("ann", "wrong").await.must_be(400).problem() });
    }
    let told = guesses.join_all().await;
    let locked = told.iter().filter(|told| **told == problem("PASSWORD_LOCKED_OUT")).count();
    assert_eq!(locked, 2, "the fifth and the sixth");
}

async fn a_name_that_no_database_can_hold_is_nobodys(w: &mut World) {
    for name in ["\0", "ann\0", &"x".repeat(10_000)] {
        let mut sign_on = w.app().begin().await;
        let answer = sign_on.password(name, PASSWORD).await.must_be(400);
        assert_eq!(answer.problem(), problem("INVALID_CREDENTIALS"));
        w.bank.require(&w.server, &[MFA_BYPASS]).await;
        let request = w.app().request().with("login_hint", &name[..name.len().min(256)]);
        let sign_on = w.app().begin_with(request).await;
        assert_eq!(sign_on.status(), "FAILED");
        w.bank.require(&w.server, &[Step::Login]).await;
    }
}

#[tokio::test]
async fn a_user_who_is_not_there_gets_the_answer_of_a_wrong_password() {
    let w = World::new().await;
    let mut sign_on = w.app().begin().await;
    let mut told = Vec::new();
    for username in ["ann", "nobody"] {
        let mut body = sign_on.password(username, "wrong").await.must_be(400).json();
        body["id"].take();
        told.push(body);
    }
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn a_user_who_is_disabled_gets_the_answer_of_a_wrong_password() {
    let w = World::new().await;
    w.bank.disable_ann(&w.server).await;
    let answer = w.app().begin().await.password("ann", PASSWORD).await.must_be(400);
    assert_eq!(answer.problem(), problem("INVALID_CREDENTIALS"));
}

#[tokio::test]
async fn a_user_name_is_taken_without_regard_to_case() {
    let w = World::new().await;
    let mut sign_on = w.app().begin().await;
    sign_on.password("ANN", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.flow["_embedded"]["user"]["username"], "ann");
}

#[tokio::test]
async fn where_the_user_is_known_the_name_may_be_left_out_but_not_be_anothers() {
    let mut w = World::new().await;
    w.user("bob").await;
    w.bank.require(&w.server, &[Step::IdentifierFirst]).await;
    let mut sign_on = w.app().begin().await;
    sign_on.act("user.lookup", &json!({ "username": "ann" })).await.must_be(200);
    sign_on.password("bob", PASSWORD).await.must_be(400);
    sign_on.act("usernamePassword.check", &json!({ "password": PASSWORD })).await.must_be(200);
    assert_eq!(sign_on.tokens().await.id_claims()["sub"], w.bank.ann.id.to_string());
}

#[tokio::test]
async fn nobody_has_no_password() {
    let mut w = World::new().await;
    w.bank.require(&w.server, &[Step::IdentifierFirst]).await;
    let mut sign_on = w.app().begin().await;
    sign_on.act("user.lookup", &json!({ "username": "nobody" })).await.must_be(200);
    for told in ["INVALID_CREDENTIALS"; 4].into_iter().chain(["PASSWORD_LOCKED_OUT"; 2]) {
        let body = json!({ "password": PASSWORD });
        let answer = sign_on.act("usernamePassword.check", &body).await.must_be(400);
        assert_eq!(answer.problem(), problem(told));
    }
}
