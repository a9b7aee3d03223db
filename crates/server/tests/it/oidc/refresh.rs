//! `grant_type=refresh_token`.

use countersign_domain::application::RefreshRules;
use tokio::task::JoinSet;

use crate::world::{Answer, Bank, Client, SITE_ADDRESS, Tokens, World, claims};

const NO_GRACE: RefreshRules = RefreshRules {
    idle_seconds: 600,
    life_seconds: None,
    grace_seconds: 0,
    replay_protection: true,
};

const GRACE: RefreshRules = RefreshRules { grace_seconds: 30, ..NO_GRACE };

/// How many ask at once.
const CALLERS: usize = 200;

async fn signed_in(w: &World, rules: RefreshRules) -> (Client, Tokens) {
    let site = w.refreshing_site(rules).await;
    let tokens = site.clone().sign_in("ann").await;
    (site, tokens)
}

async fn is_refused(client: &Client, refresh_token: &str) -> Answer {
    let answer = client.redeem(&client.refresh_request(refresh_token)).await.must_be(400);
    assert_eq!(answer.json()["error"], "invalid_grant", "{answer:?}");
    assert!(answer.json().get("access_token").is_none());
    answer
}

on_both_engines!(
    a_refresh_token_gives_new_tokens_and_its_successor,
    a_refresh_token_that_comes_twice_takes_everything_back,
    the_token_before_the_newest_counts_in_its_grace_and_gives_the_same,
    of_many_refreshes_at_once_one_gives_tokens,
    many_refreshes_at_once_agree_in_the_grace,
    a_code_that_comes_twice_takes_its_refresh_tokens_back,
    a_refresh_token_that_rests_too_long_is_over,
);

async fn a_refresh_token_gives_new_tokens_and_its_successor(w: &mut World) {
    let (site, first) = signed_in(w, NO_GRACE).await;
    w.advance(100);
    let second = site.refresh(first.refresh_token()).await;
    let third = site.refresh(second.refresh_token()).await;
    assert_ne!(first.refresh_token, second.refresh_token);
    assert_ne!(second.refresh_token, third.refresh_token);
    for tokens in [&first, &second, &third] {
        site.user_info(&tokens.access_token).await.must_be(200);
    }
    let (old, new) = (claims(&first.access_token), claims(&second.access_token));
    assert_ne!(old["jti"], new["jti"]);
    let (old, new) = (first.id_claims(), second.id_claims());
    for same in ["iss", "sub", "aud", "auth_time", "acr"] {
        assert_eq!(old[same], new[same], "{same}");
    }
    assert_eq!(new["iat"].as_i64().unwrap(), old["iat"].as_i64().unwrap() + 100);
    assert!(new.get("nonce").is_none());
}

async fn a_refresh_token_that_comes_twice_takes_everything_back(w: &mut World) {
    let (site, first) = signed_in(w, NO_GRACE).await;
    let second = site.refresh(first.refresh_token()).await;
    is_refused(&site, first.refresh_token()).await;
    // Whoever of thief and owner has the newer one has nothing any more.
    is_refused(&site, second.refresh_token()).await;
    site.user_info(&first.access_token).await.must_be(401);
    site.user_info(&second.access_token).await.must_be(401);
}

async fn the_token_before_the_newest_counts_in_its_grace_and_gives_the_same(w: &mut World) {
    let (site, first) = signed_in(w, GRACE).await;
    let second = site.refresh(first.refresh_token()).await;
    w.advance(29);
    let again = site.refresh(first.refresh_token()).await;
    assert_eq!(again.refresh_token, second.refresh_token);
    assert_ne!(claims(&again.access_token)["jti"], claims(&second.access_token)["jti"]);
    let third = site.refresh(second.refresh_token()).await;
    // Two behind is a replay, even in the grace.
    is_refused(&site, first.refresh_token()).await;
    is_refused(&site, third.refresh_token()).await;
}

async fn all_at_once(site: &Client, refresh_token: &str) -> Vec<Answer> {
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (site, request) = (site.clone(), site.refresh_request(refresh_token));
        callers.spawn(async move { site.redeem(&request).await });
    }
    callers.join_all().await
}

async fn of_many_refreshes_at_once_one_gives_tokens(w: &mut World) {
    let (site, first) = signed_in(w, NO_GRACE).await;
    let answers = all_at_once(&site, first.refresh_token()).await;
    let given: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    let refused = answers.iter().filter(|answer| answer.status == 400).count();
    assert_eq!((given.len(), refused), (1, CALLERS - 1));
    // Nobody can know which of the callers was the thief.
    is_refused(&site, Tokens::of(given[0]).refresh_token()).await;
}

async fn many_refreshes_at_once_agree_in_the_grace(w: &mut World) {
    let (site, first) = signed_in(w, GRACE).await;
    let answers = all_at_once(&site, first.refresh_token()).await;
    let mut successors: Vec<_> =
        answers.iter().map(|answer| Tokens::of(answer).refresh_token.unwrap()).collect();
    successors.dedup();
    assert_eq!(successors.len(), 1);
    site.refresh(&successors[0]).await;
}

async fn a_code_that_comes_twice_takes_its_refresh_tokens_back(w: &mut World) {
    let site = w.refreshing_site(NO_GRACE).await;
    let code = site.code_for("ann").await;
    let first = site.tokens(&code).await;
    let second = site.refresh(first.refresh_token()).await;
    site.redeem(&site.token_request(&code)).await.must_be(400);
    is_refused(&site, second.refresh_token()).await;
    site.user_info(&second.access_token).await.must_be(401);
}

async fn a_refresh_token_that_rests_too_long_is_over(w: &mut World) {
    let rules = RefreshRules { life_seconds: Some(900), ..NO_GRACE };
    let (site, first) = signed_in(w, rules).await;
    let other = site.clone().sign_in("ann").await;
    w.advance(599);
    let second = site.refresh(first.refresh_token()).await;
    w.advance(1);
    is_refused(&site, other.refresh_token()).await;
    w.advance(299);
    let third = site.refresh(second.refresh_token()).await;
    w.advance(1);
    // Nine hundred seconds after the sign-on.
    is_refused(&site, third.refresh_token()).await;
}

#[tokio::test]
async fn an_application_without_the_grant_type_gets_no_refresh_token_and_may_not_use_one() {
    let w = World::new().await;
    let site = w.site();
    let request = site.request().with("scope", "openid offline_access");
    let mut sign_on = site.clone().begin_with(request).await;
    sign_on.password("ann", crate::world::PASSWORD).await.must_be(200);
    assert_eq!(sign_on.tokens().await.refresh_token, None);
    let (_, others) = signed_in(&w, NO_GRACE).await;
    let answer = site.redeem(&site.refresh_request(others.refresh_token())).await.must_be(400);
    assert_eq!(answer.json()["error"], "unauthorized_client");
}

#[tokio::test]
async fn scopes_may_be_narrowed_for_one_access_token_and_never_widened() {
    let w = World::new().await;
    let site = w.refreshing_site(GRACE).await;
    let request = site.request().with("scope", "openid profile");
    let mut sign_on = site.clone().begin_with(request).await;
    sign_on.password("ann", crate::world::PASSWORD).await.must_be(200);
    let first = sign_on.tokens().await;
    let good = site.refresh_request(first.refresh_token());
    for wider in ["openid profile email", "openid unknown", "email"] {
        let answer = site.redeem(&good.clone().with("scope", wider)).await.must_be(400);
        assert_eq!(answer.json()["error"], "invalid_scope");
    }
    let narrow = site.redeem(&good.with("scope", "openid offline_access")).await.must_be(200);
    assert_eq!(narrow.json()["scope"], "openid");
    let narrow = Tokens::of(&narrow);
    let told = site.user_info(&narrow.access_token).await.must_be(200).json();
    assert!(told.get("name").is_none(), "{told}");
    // RFC 6749, section 6: the new refresh token has the scopes of the old one.
    let wide = site.redeem(&site.refresh_request(narrow.refresh_token())).await.must_be(200);
    assert_eq!(wide.json()["scope"], "openid profile");
    let profile = site.refresh_request(Tokens::of(&wide).refresh_token()).with("scope", "profile");
    let profile = site.redeem(&profile).await.must_be(200);
    assert!(profile.json().get("id_token").is_none());
}

#[tokio::test]
async fn a_refresh_token_is_of_use_to_its_own_client_in_its_own_environment_only() {
    let w = World::new().await;
    let (site, first) = signed_in(&w, NO_GRACE).await;
    let thief = w.bank.unusual_site(&w.server, |a| {
        "Thief".clone_into(&mut a.name);
        a.grant_types.push(countersign_domain::application::GrantType::RefreshToken);
    });
    let thief = w.client(&thief.await.id.to_string(), SITE_ADDRESS);
    is_refused(&thief, first.refresh_token()).await;
    let other = Bank::open(&w.server, "Other").await;
    let foreign = other.unusual_site(&w.server, |a| {
        a.grant_types.push(countersign_domain::application::GrantType::RefreshToken);
    });
    let issuer =
        w.issuer().replace(&w.bank.environment.id.to_string(), &other.environment.id.to_string());
    let id = foreign.await.id.to_string();
    let foreign = Client::new(w.browser(), &issuer, &id, SITE_ADDRESS);
    is_refused(&foreign, first.refresh_token()).await;
    // None of the refusals has spent it.
    site.refresh(first.refresh_token()).await;
}

#[tokio::test]
async fn a_refresh_token_that_was_changed_is_unknown() {
    let w = World::new().await;
    let (site, first) = signed_in(&w, NO_GRACE).await;
    let token = first.refresh_token();
    let code = site.code_for("ann").await;
    let bent = format!("B{}", &token[1..]);
    let end = if token.ends_with('A') { "B" } else { "A" };
    let bent_end = format!("{}{end}", &token[..token.len() - 1]);
    for unknown in ["x", &bent, &bent_end, &token[1..], &code, first.access_token.as_str()] {
        is_refused(&site, unknown).await;
    }
    site.refresh(token).await;
}

#[tokio::test]
async fn who_may_no_longer_sign_in_gets_no_new_tokens() {
    let w = World::new().await;
    let (site, first) = signed_in(&w, NO_GRACE).await;
    w.bank.disable_ann(&w.server).await;
    is_refused(&site, first.refresh_token()).await;
    site.user_info(&first.access_token).await.must_be(401);
}

#[tokio::test]
async fn a_refresh_request_without_a_token_is_told_so() {
    let w = World::new().await;
    let site = w.refreshing_site(NO_GRACE).await;
    let answer = site.redeem(&site.refresh_request("")).await.must_be(400);
    assert_eq!(answer.json()["error_description"], "refresh_token is required");
}

#[tokio::test]
async fn an_access_token_lives_as_long_as_its_application_says() {
    let w = World::new().await;
    let site = w.bank.unusual_site(&w.server, |site| site.oidc.access_token_seconds = 86_400);
    let site = w.client(&site.await.id.to_string(), SITE_ADDRESS);
    let answer = site.redeem(&site.token_request(&site.code_for("ann").await)).await;
    assert_eq!(answer.json()["expires_in"], 86_400);
    let tokens = Tokens::of(&answer);
    w.advance(86_399);
    site.user_info(&tokens.access_token).await.must_be(200);
    w.advance(1);
    site.user_info(&tokens.access_token).await.must_be(401);
}
