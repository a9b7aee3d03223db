//! Access tokens for the resources of others: what an application was granted, and nothing else, by every way to get tokens.

use countersign_domain::application::{
    Application, GrantType, RequestObjectRules, ResponseType, TokenEndpointAuthMethod,
};
use countersign_protocol::encoding;
use serde_json::{Value, json};

use crate::world::{
    Bank, Client, FORM, Members, PASSWORD, SITE_ADDRESS, SignOn, Tokens, World,
    administrator::Administrator, basic, claims, get, post, with,
};

const AUDIENCE: &str = "https://payments.bank.example";

/// The payments of the bank, with a site that was granted two of their three scopes.
struct Payments {
    admin: Administrator,
    /// Below the environment.
    path: String,
    id: Value,
    /// `pay`, `read`, `close`.
    scopes: [Value; 3],
    site: Client,
}

async fn unusual(w: &World, change: impl FnOnce(&mut Application)) -> Client {
    let site = w.bank.unusual_site(&w.server, change).await;
    w.client(&site.id.to_string(), SITE_ADDRESS)
}

async fn resource(admin: &Administrator, name: &str, audience: &str) -> (String, Value) {
    let body = json!({ "name": name, "audience": audience, "accessTokenValiditySeconds": 900 });
    let id = admin.make("/resources", &body).await["id"].clone();
    (format!("/resources/{}", id.as_str().unwrap()), id)
}

async fn scope(admin: &Administrator, resource: &str, name: &str) -> Value {
    admin.make(&format!("{resource}/scopes"), &json!({ "name": name })).await["id"].clone()
}

async fn grant(
    admin: &Administrator,
    application: &str,
    resource: &Value,
    scopes: &[&Value],
) -> String {
    let scopes: Vec<_> = scopes.iter().map(|id| json!({ "id": id })).collect();
    let body = json!({ "resource": { "id": resource }, "scopes": scopes });
    let made = admin.make(&format!("/applications/{application}/grants"), &body).await;
    made.pointer("/_links/self/href").unwrap().as_str().unwrap().to_owned()
}

impl Payments {
    async fn of(w: &World) -> Self {
        let admin = w.administrator().await;
        let (path, id) = resource(&admin, "Payments", AUDIENCE).await;
        let attributes = format!("{path}/attributes");
        for (name, value) in
            [("mail", "${user.email}"), ("tier", "gold"), ("line", "${user.mobilePhone}")]
        {
            admin.make(&attributes, &json!({ "name": name, "value": value })).await;
        }
        let scopes = [
            scope(&admin, &path, "payments:pay").await,
            scope(&admin, &path, "payments:read").await,
            scope(&admin, &path, "payments:close").await,
        ];
        let site = unusual(w, |site| {
            site.grant_types = vec![
                GrantType::AuthorizationCode,
                GrantType::RefreshToken,
                GrantType::DeviceCode,
                GrantType::Implicit,
            ];
            site.oidc.response_types =
                vec![ResponseType::Code, ResponseType::Token, ResponseType::IdToken];
            site.oidc.request_objects =
                RequestObjectRules { unsigned_allowed: true, signature_required: false };
        })
        .await;
        grant(&admin, &site.id, &id, &[&scopes[0], &scopes[1]]).await;
        Self { admin, path, id, scopes, site }
    }

    async fn signed_on(&self, scope: &str) -> SignOn {
        let request = self.site.request().with("scope", scope);
        let mut sign_on = self.site.clone().begin_with(request).await;
        sign_on.password("ann", PASSWORD).await.must_be(200);
        sign_on
    }

    async fn sign_in(&self, scope: &str) -> Tokens {
        self.signed_on(scope).await.tokens().await
    }

    /// What the token endpoint answers to a refresh with this `scope`.
    async fn refresh(&self, refresh_token: &str, scope: &str) -> Value {
        let request = self.site.refresh_request(refresh_token).with("scope", scope);
        self.site.redeem(&request).await.json()
    }
}

fn text<'a>(answer: &'a Value, member: &str) -> &'a str {
    answer[member].as_str().unwrap_or_else(|| panic!("{member} of {answer}"))
}

on_both_engines!(
    a_granted_scope_is_in_a_token_for_its_resource,
    a_refresh_may_narrow_and_never_widens_what_was_granted,
    what_administrators_take_away_is_gone_at_the_next_token,
);

async fn a_granted_scope_is_in_a_token_for_its_resource(w: &mut World) {
    let payments = Payments::of(w).await;
    let sign_on = payments.signed_on("openid payments:read email payments:pay").await;
    let request = payments.site.token_request(&sign_on.code());
    let answer = payments.site.redeem(&request).await.must_be(200);
    let (body, tokens) = (answer.json(), Tokens::of(&answer));
    assert_eq!(body["expires_in"], 900);
    assert_eq!(body["scope"], "openid email payments:pay payments:read");
    let told = claims(&tokens.access_token);
    assert_eq!((&told["aud"], &told["scope"]), (&json!([AUDIENCE]), &body["scope"]));
    assert_eq!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(), 900);
    assert_eq!((&told["mail"], &told["tier"]), (&json!("ann@bank.example"), &json!("gold")));
    assert!(told.get("line").is_none(), "ann has none");
    let id_token = tokens.id_claims();
    assert_eq!(id_token["aud"], payments.site.id);
    assert!(id_token.get("tier").is_none());
    // The scopes of the user are as good as ever.
    let info = payments.site.user_info(&tokens.access_token).await.must_be(200).json();
    assert_eq!(info, json!({ "sub": w.bank.ann.id, "email": "ann@bank.example" }));
    let worker = w.worker().await;
    let mut expected = told;
    expected["active"] = true.into();
    expected["token_type"] = "Bearer".into();
    expected["username"] = "ann".into();
    let told = worker.ask("introspect", &worker.about(&tokens.access_token)).await;
    assert_eq!(told.must_be(200).json(), expected);
    let told = worker.ask("introspect", &worker.about(tokens.refresh_token())).await.json();
    assert_eq!(told["scope"], body["scope"]);
    // Without such scopes everything is as it is for other applications.
    let usual = claims(&payments.sign_in("openid email").await.access_token);
    assert_eq!((&usual["aud"], usual.get("tier")), (&json!([w.issuer()]), None));
    w.advance(900);
    assert!(!worker.is_active(&tokens.access_token).await);
}

async fn a_refresh_may_narrow_and_never_widens_what_was_granted(w: &mut World) {
    let payments = Payments::of(w).await;
    let tokens = payments.sign_in("openid payments:pay").await;
    let first = tokens.refresh_token().to_owned();
    for wider in [
        "payments:read",
        "payments:pay payments:read",
        "payments:close",
        "openid email payments:pay",
        "payments:PAY",
    ] {
        assert_eq!(payments.refresh(&first, wider).await["error"], "invalid_scope", "{wider}");
    }
    // What was refused has spent nothing.
    let plain = payments.refresh(&first, "payments:pay").await;
    assert_eq!((&plain["scope"], plain.get("id_token")), (&json!("payments:pay"), None));
    assert_eq!(claims(text(&plain, "access_token"))["aud"], json!([AUDIENCE]));
    let user = payments.refresh(text(&plain, "refresh_token"), "openid offline_access").await;
    assert_eq!((&user["scope"], &user["expires_in"]), (&json!("openid"), &json!(3_600)));
    let told = claims(text(&user, "access_token"));
    assert_eq!((&told["aud"], told.get("tier")), (&json!([w.issuer()]), None));
    let whole = payments.site.refresh(text(&user, "refresh_token")).await;
    assert_eq!(claims(&whole.access_token)["scope"], "openid payments:pay");
    // Scopes that are granted later were not granted by this sign-on.
    let later = payments.refresh(whole.refresh_token(), "payments:read").await;
    assert_eq!(later["error"], "invalid_scope");
}

async fn what_administrators_take_away_is_gone_at_the_next_token(w: &mut World) {
    let payments = Payments::of(w).await;
    let admin = &payments.admin;
    let worker = w.worker().await;
    let tokens = payments.sign_in("openid payments:pay payments:read").await;
    let plain = payments.sign_in("payments:pay").await;
    assert!(worker.is_active(&tokens.access_token).await);
    let pay = payments.scopes[0].as_str().unwrap();
    let pending = payments.signed_on("payments:pay").await.code();
    let late = payments.signed_on("openid payments:pay").await.code();
    admin.delete(&format!("{}/scopes/{pay}", payments.path)).await.must_be(204);
    // The token says more than is so now.
    assert!(!worker.is_active(&tokens.access_token).await);
    let asked = payments.refresh(tokens.refresh_token(), "payments:pay").await;
    assert_eq!(asked["error"], "invalid_scope");
    let next = payments.site.redeem(&payments.site.refresh_request(tokens.refresh_token())).await;
    let next = next.must_be(200).json();
    assert_eq!(next["scope"], "openid payments:read");
    for request in [
        payments.site.refresh_request(plain.refresh_token()),
        payments.site.token_request(&pending),
    ] {
        assert_eq!(
            payments.site.redeem(&request).await.must_be(400).json()["error"],
            "invalid_grant"
        );
    }
    let rest = payments.site.tokens(&late).await;
    assert_eq!(claims(&rest.access_token)["aud"], json!([w.issuer()]));
    // One of the same name is another scope.
    let again = scope(admin, &payments.path, "payments:pay").await;
    assert_ne!(again, payments.scopes[0]);
    let mut site = payments.site.clone();
    let request = site.request().with("scope", "openid payments:pay");
    let answer = site.authorize(&request).await.must_be(302);
    assert_eq!(answer.returned("error").as_deref(), Some("invalid_scope"));
    admin.delete(&payments.path).await.must_be(204);
    let gone =
        payments.site.redeem(&payments.site.refresh_request(text(&next, "refresh_token"))).await;
    let gone = gone.must_be(200).json();
    assert_eq!(gone["scope"], "openid");
    assert_eq!(claims(text(&gone, "access_token"))["aud"], json!([w.issuer()]));
    assert!(!worker.is_active(text(&next, "access_token")).await);
}

#[tokio::test]
async fn what_an_application_was_not_granted_it_does_not_get_by_any_way() {
    let w = World::new().await;
    let mut payments = Payments::of(&w).await;
    let other = Bank::open(&w.server, "Other").await;
    let elsewhere = w.environment_url(other.environment.id);
    let foreign = json!({ "name": "Foreign", "audience": AUDIENCE });
    let foreign = payments.admin.post(&format!("{elsewhere}/resources"), &foreign).await;
    let foreign = foreign.must_be(201).json();
    let href = foreign.pointer("/_links/self/href").unwrap().as_str().unwrap();
    payments.admin.make(&format!("{href}/scopes"), &json!({ "name": "foreign:read" })).await;
    for scope in [
        "openid payments:close",
        "openid payments:pay payments:close",
        "openid nothing",
        "openid foreign:read",
        "openid \"",
        "payments:close",
    ] {
        let request = payments.site.request().with("scope", scope);
        let answer = payments.site.authorize(&request).await.must_be(302);
        assert_eq!(answer.returned("error").as_deref(), Some("invalid_scope"), "{scope}");
        let request = Members::from([("client_id", payments.site.id.as_str()), ("scope", scope)]);
        let answer = payments.site.ask("device_authorization", &request).await.must_be(400);
        assert_eq!(answer.json()["error"], "invalid_scope", "{scope}");
    }
    // Those of another application are not its own.
    let mut site = w.site();
    let request = site.request().with("scope", "openid payments:pay");
    let answer = site.authorize(&request).await.must_be(302);
    assert_eq!(answer.returned("error").as_deref(), Some("invalid_scope"));
    let code = payments.signed_on("openid payments:pay").await.code();
    let stolen = w.site().redeem(&w.site().token_request(&code)).await.must_be(400);
    assert_eq!(stolen.json()["error"], "invalid_grant");
    let refresh_token = payments.sign_in("openid payments:pay").await.refresh_token.unwrap();
    let stolen = payments.site.refresh_request(&refresh_token).with("client_id", &w.site().id);
    payments.site.redeem(&stolen).await.must_be(400);
}

#[tokio::test]
async fn an_access_token_is_for_one_resource() {
    let w = World::new().await;
    let mut payments = Payments::of(&w).await;
    let (path, id) = resource(&payments.admin, "Loans", "https://loans.bank.example").await;
    let loan = scope(&payments.admin, &path, "loans:ask").await;
    grant(&payments.admin, &payments.site.id, &id, &[&loan]).await;
    let both = payments.site.request().with("scope", "openid loans:ask payments:pay");
    let answer = payments.site.authorize(&both).await.must_be(302);
    assert_eq!(answer.returned("error").as_deref(), Some("invalid_scope"));
    let told = answer.returned("error_description").unwrap();
    assert_eq!(told, "may not request scopes for multiple resources");
    let loans = payments.sign_in("openid loans:ask").await;
    assert_eq!(claims(&loans.access_token)["aud"], json!(["https://loans.bank.example"]));
    assert_eq!(
        payments.refresh(loans.refresh_token(), "payments:pay").await["error"],
        "invalid_scope"
    );
}

#[tokio::test]
async fn a_plain_token_says_nothing_of_the_user_to_userinfo_and_opens_no_other_door() {
    let w = World::new().await;
    let payments = Payments::of(&w).await;
    let sign_on = payments.signed_on("payments:pay").await;
    let answer = payments.site.redeem(&payments.site.token_request(&sign_on.code())).await;
    let body = answer.must_be(200).json();
    assert_eq!((&body["scope"], body.get("id_token")), (&json!("payments:pay"), None));
    let token = text(&body, "access_token");
    payments.site.user_info(token).await.must_be(403);
    let address = payments.admin.environment.clone();
    let request = with(get(&address), "authorization", &format!("Bearer {token}"));
    w.wire.send(request).await.must_be(401);
    // An ID token is about somebody.
    let mut site = payments.site.clone();
    let request =
        site.request().with("scope", "payments:pay").with("response_type", "code id_token");
    let answer = site.authorize(&request).await.must_be(302);
    assert!(answer.location().unwrap().contains("error=invalid_scope"));
}

#[tokio::test]
async fn an_authorization_response_and_a_request_object_keep_the_same_rules() {
    let w = World::new().await;
    let payments = Payments::of(&w).await;
    let object = |scope: &str| {
        let claims = json!({
            "iss": payments.site.id, "aud": w.issuer(), "scope": scope, "client_id": payments.site.id,
        });
        format!(
            "{}.{}.",
            encoding::encode(r#"{"alg":"none"}"#),
            encoding::encode(claims.to_string())
        )
    };
    let request = payments.site.request().with("response_type", "code token");
    let request = request.with("request", &object("openid payments:read"));
    let mut sign_on = payments.site.clone().begin_with(request.clone()).await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.response("scope"), "openid payments:read");
    let told = claims(sign_on.response("access_token"));
    assert_eq!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(), 900);
    assert_eq!((&told["aud"], &told["tier"]), (&json!([AUDIENCE]), &json!("gold")));
    let later = payments.site.tokens(sign_on.response("code")).await;
    assert_eq!(claims(&later.access_token)["scope"], "openid payments:read");
    let mut site = payments.site.clone();
    let wider = request.with("request", &object("openid payments:close"));
    let answer = site.authorize(&wider).await.must_be(302);
    assert!(answer.location().unwrap().contains("error=invalid_scope"));
}

#[tokio::test]
async fn a_pushed_request_is_refused_when_it_is_pushed_and_when_the_grant_was_taken_since() {
    let w = World::new().await;
    let payments = Payments::of(&w).await;
    let method = TokenEndpointAuthMethod::ClientSecretBasic;
    let created = w.bank.confidential(&w.server, method).await;
    let id = created.application.id.to_string();
    let mut portal = w.client(&id, "https://portal.example/callback").with_secret(&created);
    let push = async |portal: &Client| {
        let request = portal.request().with("scope", "openid payments:pay");
        let sent = post(&format!("{}/par", portal.issuer), FORM, request.encoded());
        w.wire.send(with(sent, "authorization", &basic(&portal.id, portal.secret()))).await
    };
    assert_eq!(push(&portal).await.must_be(400).json()["error"], "invalid_scope");
    let granted = grant(&payments.admin, &id, &payments.id, &[&payments.scopes[0]]).await;
    let pushed = push(&portal).await.must_be(201).json();
    payments.admin.delete(&granted).await.must_be(204);
    let request = Members::default().with("client_id", &portal.id);
    let request = request.with("request_uri", text(&pushed, "request_uri"));
    let answer = portal.authorize(&request).await.must_be(302);
    assert_eq!(answer.returned("error").as_deref(), Some("invalid_scope"));
}

#[tokio::test]
async fn a_device_gets_a_token_for_the_resource_that_it_asked_for() {
    let w = World::new().await;
    let payments = Payments::of(&w).await;
    let request =
        Members::from([("client_id", payments.site.id.as_str()), ("scope", "payments:pay openid")]);
    let told = payments.site.ask("device_authorization", &request).await.must_be(200).json();
    let mut browser = w.browser();
    let page = browser.open(text(&told, "verification_uri")).await;
    let page = browser.press(&page, "verify", &[("user_code", text(&told, "user_code"))]).await;
    let page = browser.press(&page, "login", &[("username", "ann"), ("password", PASSWORD)]).await;
    browser.press(&page, "allow", &[]).await.answer.must_be(200);
    w.advance(5);
    let poll = Members::from([
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", text(&told, "device_code")),
        ("client_id", &payments.site.id),
    ]);
    let answer = payments.site.redeem(&poll).await.must_be(200).json();
    assert_eq!(
        (&answer["scope"], &answer["expires_in"]),
        (&json!("openid payments:pay"), &json!(900))
    );
    let told = claims(text(&answer, "access_token"));
    assert_eq!((&told["aud"], &told["mail"]), (&json!([AUDIENCE]), &json!("ann@bank.example")));
}

#[tokio::test]
async fn an_application_gets_a_token_for_itself_which_is_of_no_use_elsewhere() {
    let w = World::new().await;
    let payments = Payments::of(&w).await;
    let worker = w.worker().await;
    let ask = async |scope: &str| {
        let request = Members::from([("grant_type", "client_credentials"), ("scope", scope)]);
        worker.redeem(&request).await
    };
    assert_eq!(ask("payments:pay").await.must_be(400).json()["error"], "invalid_scope");
    let granted = grant(&payments.admin, &worker.id, &payments.id, &[&payments.scopes[0]]).await;
    for refused in ["payments:read", "payments:pay openid", "email", "payments:pay nothing"] {
        assert_eq!(ask(refused).await.must_be(400).json()["error"], "invalid_scope", "{refused}");
    }
    let body = ask("payments:pay").await.must_be(200).json();
    assert_eq!((&body["scope"], &body["expires_in"]), (&json!("payments:pay"), &json!(900)));
    let token = text(&body, "access_token");
    let told = claims(token);
    assert_eq!((&told["aud"], &told["sub"]), (&json!([AUDIENCE]), &json!(worker.id)));
    assert_eq!((&told["tier"], told.get("mail")), (&json!("gold"), None), "there is no user");
    worker.user_info(token).await.must_be(401);
    let address = payments.admin.environment.clone();
    let request = with(get(&address), "authorization", &format!("Bearer {token}"));
    w.wire.send(request).await.must_be(401);
    assert!(worker.is_active(token).await);
    payments.admin.delete(&granted).await.must_be(204);
    assert!(!worker.is_active(token).await);
    // As every worker, it has its token for the platform without any.
    let usual = worker.redeem(&Members::from([("grant_type", "client_credentials")])).await.json();
    assert!(usual.get("scope").is_none());
}
