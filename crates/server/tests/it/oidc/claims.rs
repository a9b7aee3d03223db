//! What an application tells of users by its own mappings, and redirect URIs with stars.

use countersign_domain::{
    application::{Application, AttributeMapping, GrantType, ResponseType},
    id::Id,
    user::Name,
};
use countersign_protocol::secret::Secret;
use countersign_server::app::NewUser;

use crate::world::{Client, PASSWORD, SITE_ADDRESS, World, claims};

fn mapping(name: &str, value: &str) -> AttributeMapping {
    AttributeMapping {
        id: Id::from_bytes([1; 16]),
        name: name.to_owned(),
        value: value.to_owned(),
        required: false,
        id_token: true,
        user_info: true,
        scopes: Vec::new(),
    }
}

async fn mapping_site(w: &World, attributes: Vec<AttributeMapping>) -> Client {
    let change = |site: &mut Application| {
        site.oidc.attributes = attributes;
        site.grant_types.extend([GrantType::RefreshToken, GrantType::Implicit]);
        site.oidc.response_types =
            vec![ResponseType::Code, ResponseType::Token, ResponseType::IdToken];
    };
    let site = w.bank.unusual_site(&w.server, change).await;
    w.client(&site.id.to_string(), SITE_ADDRESS)
}

async fn nameless(w: &World) {
    let new = NewUser {
        username: "bob".to_owned(),
        email: "bob@bank.example".to_owned(),
        name: Name::default(),
        population: None,
        password: Some(Secret::new(PASSWORD.to_owned())),
        mfa_enabled: Some(true),
        ..NewUser::default()
    };
    w.server.create_user(w.bank.environment.id, new).await.unwrap();
}

#[tokio::test]
async fn mapped_claims_are_in_the_id_token_and_in_userinfo_as_the_mapping_says() {
    let w = World::new().await;
    let site = mapping_site(
        &w,
        vec![
            mapping("greeting", "Dear ${user.name.given} ${user.name.family}"),
            AttributeMapping { user_info: false, ..mapping("tenant", "${user.environment.id}") },
            AttributeMapping { id_token: false, ..mapping("mail", "${user.email}") },
            AttributeMapping {
                scopes: vec!["phone".to_owned()],
                ..mapping("line", "${user.username}")
            },
            mapping("name", "${user.username}"),
            mapping("sub", "${user.id}"),
        ],
    )
    .await;
    let tokens = site.clone().sign_in("ann").await;
    let check = async |id_token: &str, access_token: &str| {
        let token = claims(id_token);
        let info = site.user_info(access_token).await.must_be(200);
        assert_eq!(info.media_type(), "application/json");
        let info = info.json();
        assert_eq!(
            (&token["sub"], &info["sub"]),
            (&w.bank.ann.id.to_string().into(), &token["sub"])
        );
        assert_eq!(
            (&token["greeting"], &info["greeting"]),
            (&"Dear Ann Lee".into(), &token["greeting"])
        );
        assert_eq!(token["tenant"], w.bank.environment.id.to_string());
        assert_eq!((info.get("tenant"), token.get("mail")), (None, None));
        assert_eq!(info["mail"], "ann@bank.example");
        assert_eq!((token.get("line"), info.get("line")), (None, None));
        assert_eq!((&token["name"], &info["name"]), (&"ann".into(), &"ann".into()));
    };
    check(&tokens.id_token, &tokens.access_token).await;
    let renewed = site.refresh(tokens.refresh_token()).await;
    check(&renewed.id_token, &renewed.access_token).await;
    let request = site.request().with("scope", "openid phone address");
    let request = request.with("response_type", "token id_token");
    let mut sign_on = site.clone().begin_with(request).await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(claims(sign_on.response("id_token"))["line"], "ann");
    assert_eq!(sign_on.response("scope"), "openid address phone");
}

#[tokio::test]
async fn who_has_no_value_for_a_required_claim_is_not_let_in_and_the_application_learns_why() {
    let w = World::new().await;
    nameless(&w).await;
    let required = AttributeMapping { required: true, ..mapping("surname", "${user.name.family}") };
    let mut site = mapping_site(&w, vec![mapping("first", "${user.name.given}"), required]).await;
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let fields = [("username", "bob"), ("password", PASSWORD)];
    let page = site.browser.press(&page, "login", &fields).await;
    assert_eq!(page.heading(), "You are not signed in");
    assert!(page.answer.text().contains("complete it"), "{}", page.answer.text());
    let back = site.browser.open(&page.link()).await;
    assert_eq!(back.returned("error").as_deref(), Some("access_denied"));
    let description = "the user has no value for the claim surname, which the application requires";
    assert_eq!(back.returned("error_description").as_deref(), Some(description));
    assert_eq!(site.browser.session(), None);
    let tokens = site.clone().sign_in("ann").await;
    assert_eq!(tokens.id_claims()["surname"], "Lee");
}

#[tokio::test]
async fn a_session_does_not_get_around_a_required_claim() {
    let w = World::new().await;
    nameless(&w).await;
    let mut plain = w.site();
    let page = plain.browser.open(&plain.authorize_url(&plain.request())).await;
    let fields = [("username", "bob"), ("password", PASSWORD)];
    plain.browser.press(&page, "login", &fields).await;
    let required = AttributeMapping { required: true, ..mapping("surname", "${user.name.family}") };
    let mut site = mapping_site(&w, vec![required]).await;
    site.browser = plain.browser;
    let answer = site.authorize(&site.request().with("prompt", "none")).await.must_be(302);
    assert_eq!(answer.returned("error").as_deref(), Some("access_denied"));
}

#[tokio::test]
async fn a_star_in_a_redirect_uri_serves_previews_and_nobody_else() {
    let w = World::new().await;
    let change = |site: &mut Application| {
        site.oidc.wildcard_redirect_uris = true;
        site.redirect_uris = vec!["https://*.preview.bank.example/cb".to_owned()];
    };
    let site = w.bank.unusual_site(&w.server, change).await;
    let address = "https://pr-17.preview.bank.example/cb";
    let mut client = w.client(&site.id.to_string(), address);
    let page = client.browser.open(&client.authorize_url(&client.request())).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let end = client.browser.press(&page, "login", &fields).await;
    assert!(end.url.starts_with(&format!("{address}?code=")), "{}", end.url);
    let code = end.returned("code").unwrap();
    let other = "https://pr-18.preview.bank.example/cb";
    let elsewhere = client.token_request(&code).with("redirect_uri", other);
    client.redeem(&elsewhere).await.must_be(400);
    client.tokens(&code).await;
    for evil in [
        "https://evil.example/.preview.bank.example/cb",
        "https://a.preview.bank.example.evil.example/cb",
        "https://a.preview.bank.example@evil.example/cb",
        "https://*.preview.bank.example/cb",
    ] {
        let request = client.request().with("redirect_uri", evil);
        let refused = client.authorize(&request).await.must_be(400);
        assert_eq!(refused.location(), None, "{evil}");
    }
}
