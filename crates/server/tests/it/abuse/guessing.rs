//! Who guesses passwords and passcodes, and who uses the defence against it to keep others out (docs/adr/0010).

use crate::world::{Client, PASSWORD, SignOn, World};

on_both_engines!(
    an_attacker_locks_out_strangers_and_not_the_user_in_a_known_browser,
    a_known_browser_has_no_more_guesses_than_others,
    a_new_password_ends_the_lock_and_makes_all_browsers_strangers,
    guesses_at_a_name_that_nobody_has_all_count,
    a_hundred_and_one_wrong_passcodes_are_stopped_by_the_lock,
);

/// A sign-on in the same browser as another one, whose session does not count.
async fn beside(known: &Client) -> SignOn {
    let request = known.request().with("prompt", "login");
    known.clone().begin_with(request).await
}

async fn told(sign_on: &mut SignOn, username: &str, password: &str) -> String {
    let answer = sign_on.password(username, password).await;
    if answer.status == 200 { "ACCEPTED".to_owned() } else { answer.problem().1 }
}

/// Wrong passwords of a stranger until there are no more.
async fn lock(w: &World, username: &str) {
    let mut stranger = w.app().begin().await;
    for _ in 0..5 {
        stranger.password(username, "wrong").await.must_be(400);
    }
    assert_eq!(told(&mut stranger, username, PASSWORD).await, "PASSWORD_LOCKED_OUT");
}

async fn an_attacker_locks_out_strangers_and_not_the_user_in_a_known_browser(w: &mut World) {
    let mut known = w.app().begin().await;
    assert_eq!(told(&mut known, "ann", PASSWORD).await, "ACCEPTED");
    for _ in 0..3 {
        lock(w, "ann").await;
        assert_eq!(told(&mut beside(&known.client).await, "ann", PASSWORD).await, "ACCEPTED");
        assert_eq!(told(&mut w.app().begin().await, "ann", PASSWORD).await, "PASSWORD_LOCKED_OUT");
        w.advance(900);
    }
}

async fn a_known_browser_has_no_more_guesses_than_others(w: &mut World) {
    let mut known = w.app().begin().await;
    assert_eq!(told(&mut known, "ann", PASSWORD).await, "ACCEPTED");
    // A right password in between makes it no other browser.
    assert_eq!(told(&mut beside(&known.client).await, "ann", PASSWORD).await, "ACCEPTED");
    let mut thief = beside(&known.client).await;
    for _ in 0..4 {
        assert_eq!(told(&mut thief, "ann", "wrong").await, "INVALID_CREDENTIALS");
    }
    for password in ["wrong", PASSWORD] {
        assert_eq!(told(&mut thief, "ann", password).await, "PASSWORD_LOCKED_OUT");
    }
    assert_eq!(told(&mut w.app().begin().await, "ann", PASSWORD).await, "ACCEPTED");
    // And it is no known browser of anybody else.
    w.user("bob").await;
    lock(w, "bob").await;
    assert_eq!(told(&mut thief, "bob", PASSWORD).await, "PASSWORD_LOCKED_OUT");
}

async fn a_new_password_ends_the_lock_and_makes_all_browsers_strangers(w: &mut World) {
    let mut known = w.app().begin().await;
    assert_eq!(told(&mut known, "ann", PASSWORD).await, "ACCEPTED");
    lock(w, "ann").await;
    w.advance(1);
    let (environment, new) = (w.bank.environment.id, "another battery staple".to_owned());
    let new = countersign_protocol::secret::Secret::new(new);
    w.server.set_password(environment, w.bank.ann.id, &new).await.unwrap();
    let mut stranger = w.app().begin().await;
    assert_eq!(told(&mut stranger, "ann", PASSWORD).await, "INVALID_CREDENTIALS");
    assert_eq!(told(&mut stranger, "ann", new.expose()).await, "ACCEPTED");
    lock(w, "ann").await;
    let mut no_longer_known = beside(&known.client).await;
    assert_eq!(told(&mut no_longer_known, "ann", new.expose()).await, "PASSWORD_LOCKED_OUT");
}

async fn guesses_at_a_name_that_nobody_has_all_count(w: &mut World) {
    let sign_on = w.app().begin().await;
    let mut guesses = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let mut sign_on = sign_on.clone();
        guesses.spawn(async move { told(&mut sign_on, "nobody", "wrong").await });
    }
    let told = guesses.join_all().await;
    let locked = told.iter().filter(|told| *told == "PASSWORD_LOCKED_OUT").count();
    assert_eq!(locked, 2, "the fifth and the sixth");
}

async fn a_hundred_and_one_wrong_passcodes_are_stopped_by_the_lock(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let mut open = Vec::new();
    for _ in 0..34 {
        let mut sign_on = w.site().begin().await;
        sign_on.password("ann", PASSWORD).await.must_be(200);
        assert_eq!(sign_on.status(), "OTP_REQUIRED");
        open.push(sign_on);
    }
    let (mut sent, mut compared) = (0, 0);
    for attempt in 0..101 {
        let sign_on = &mut open[attempt % 34];
        let answer = sign_on.passcode(&phone.wrong_passcode()).await;
        sent += 1;
        // A wrong passcode is told as one, or ends the flow with the lock. What is said of a flow that has ended is said
        // of no passcode.
        let told = answer.json();
        let wrong = told.pointer("/details/0/target").is_some_and(|target| target == "otp");
        compared += usize::from(wrong);
    }
    assert_eq!((sent, compared), (101, 2), "the third wrong one locks");
    let mut next = w.site().begin().await;
    next.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(next.status(), "FAILED");
    w.advance(120);
    let mut next = w.site().begin().await;
    next.password("ann", PASSWORD).await.must_be(200);
    next.passcode(&phone.passcode()).await.must_be(200);
}

#[tokio::test]
async fn the_cookie_of_a_known_browser_is_out_of_reach_and_lasts_half_a_year() {
    let w = World::new().await;
    let mut sign_on = w.app().begin().await;
    let answer = sign_on.password("ann", PASSWORD).await.must_be(200);
    let cookies = answer.headers.get_all("set-cookie").into_iter();
    let known =
        cookies.map(|cookie| cookie.to_str().unwrap()).find(|c| c.starts_with("__Host-KB="));
    let (value, attributes) = known.unwrap().split_once(';').unwrap();
    assert_eq!(value.len(), "__Host-KB=".len() + 64);
    assert_eq!(attributes, " Max-Age=15552000; Path=/; HttpOnly; SameSite=Lax; Secure");
    let wrong = sign_on.client.clone().begin().await.password("ann", "wrong").await;
    assert_eq!(wrong.header("set-cookie"), "", "a wrong password makes nothing known");
}
