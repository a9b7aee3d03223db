//! An OIDC client with its user in front of it.

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign_domain::application::TokenEndpointAuthMethod;
use countersign_protocol::{encoding, jose};
use countersign_server::app::CreatedApplication;
use serde_json::{Value, json};

use super::{
    bank::PASSWORD,
    browser::Browser,
    wire::{Answer, FORM, Members, get, post, with},
};

pub const NATIVE_ADDRESS: &str = "org.bank.app:/callback";

/// Any text of the right length and letters will do for a verifier (RFC 7636, section 4.1).
const VERIFIER: &str = "a-verifier-that-is-long-enough-for-rfc-7636-and-known";

/// A client, which keeps the cookie of its user's browser.
#[derive(Clone)]
pub struct Client {
    pub browser: Browser,
    pub issuer: String,
    pub id: String,
    pub redirect_uri: String,
    secret: Option<(TokenEndpointAuthMethod, String)>,
}

/// A sign-on on screens of the client's own (`pi.flow`).
#[derive(Clone)]
pub struct SignOn {
    pub client: Client,
    pub flow: Value,
}

/// What a code was redeemed for.
#[expect(clippy::struct_field_names, reason = "named as in the token response")]
pub struct Tokens {
    pub id_token: String,
    pub access_token: String,
    pub refresh_token: Option<String>,
}

impl Client {
    pub fn new(browser: Browser, issuer: &str, id: &str, redirect_uri: &str) -> Self {
        let (issuer, id, redirect_uri) =
            (issuer.to_owned(), id.to_owned(), redirect_uri.to_owned());
        Self { browser, issuer, id, redirect_uri, secret: None }
    }

    /// The client with this browser in front of it.
    pub fn at(self, browser: &Browser) -> Self {
        Self { browser: browser.clone(), ..self }
    }

    /// A client that proves itself as it was registered.
    pub fn with_secret(self, created: &CreatedApplication) -> Self {
        let method = created.application.token_endpoint_auth_method;
        let secret = created.secret.as_ref().unwrap().expose().clone();
        Self { secret: Some((method, secret)), ..self }
    }

    /// The secret.
    pub fn secret(&self) -> &str {
        &self.secret.as_ref().expect("a secret").1
    }

    /// An authorization request without fault.
    pub fn request(&self) -> Members {
        Members::from([
            ("client_id", self.id.as_str()),
            ("response_type", "code"),
            ("redirect_uri", &self.redirect_uri),
            ("scope", "openid profile email"),
            ("state", "state-1"),
            ("nonce", "nonce-1"),
            ("code_challenge", &encoding::encode(jose::digest(VERIFIER))),
            ("code_challenge_method", "S256"),
        ])
    }

    pub fn authorize_url(&self, request: &Members) -> String {
        format!("{}/authorize?{}", self.issuer, request.encoded())
    }

    /// Sends an authorization request.
    pub async fn authorize(&mut self, request: &Members) -> Answer {
        self.browser.send(get(&self.authorize_url(request))).await
    }

    /// Begins a sign-on on own screens.
    pub async fn begin(self) -> SignOn {
        let request = self.request();
        self.begin_with(request).await
    }

    /// Begins a sign-on on own screens with another request.
    pub async fn begin_with(mut self, request: Members) -> SignOn {
        let answer = self.authorize(&request.with("response_mode", "pi.flow")).await;
        let flow = answer.must_be(200).json();
        SignOn { client: self, flow }
    }

    /// Signs a user in by password, for tokens.
    pub async fn sign_in(self, username: &str) -> Tokens {
        let mut sign_on = self.begin().await;
        sign_on.password(username, PASSWORD).await.must_be(200);
        sign_on.tokens().await
    }

    /// Signs a user in by password, for a code.
    pub async fn code_for(&self, username: &str) -> String {
        let mut sign_on = self.clone().begin().await;
        sign_on.password(username, PASSWORD).await.must_be(200);
        sign_on.code()
    }

    /// A token request without fault.
    pub fn token_request(&self, code: &str) -> Members {
        let request = Members::from([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", VERIFIER),
        ]);
        match &self.secret {
            None => request.with("client_id", &self.id),
            Some((TokenEndpointAuthMethod::ClientSecretPost, secret)) => {
                request.with("client_id", &self.id).with("client_secret", secret)
            }
            Some(_) => request,
        }
    }

    /// A request of the grant type `refresh_token` without fault.
    pub fn refresh_request(&self, refresh_token: &str) -> Members {
        let request = self.token_request("").without("code").without("code_verifier");
        let request = request.without("redirect_uri").with("grant_type", "refresh_token");
        request.with("refresh_token", refresh_token)
    }

    /// A request about a token, for introspection and revocation.
    pub fn about(&self, token: &str) -> Members {
        self.refresh_request("").without("refresh_token").without("grant_type").with("token", token)
    }

    /// Sends a token request, with the `Authorization` header of clients that use one.
    pub async fn redeem(&self, request: &Members) -> Answer {
        self.ask("token", request).await
    }

    /// Sends a form to an endpoint for clients, with the `Authorization` header of clients that use one.
    pub async fn ask(&self, endpoint: &str, request: &Members) -> Answer {
        let authorization = match &self.secret {
            Some((TokenEndpointAuthMethod::ClientSecretBasic, secret)) => {
                Some(basic(&self.id, secret))
            }
            Some(_) | None => None,
        };
        self.ask_as(endpoint, request, authorization.as_deref()).await
    }

    /// Whether the server says to this client that a token counts.
    pub async fn is_active(&self, token: &str) -> bool {
        let told = self.ask("introspect", &self.about(token)).await.must_be(200).json();
        told["active"].as_bool().unwrap()
    }

    /// Sends a token request with this `Authorization` header.
    pub async fn redeem_as(&self, request: &Members, authorization: Option<&str>) -> Answer {
        self.ask_as("token", request, authorization).await
    }

    async fn ask_as(
        &self,
        endpoint: &str,
        request: &Members,
        authorization: Option<&str>,
    ) -> Answer {
        let sent = post(&format!("{}/{endpoint}", self.issuer), FORM, request.encoded());
        let sent = match authorization {
            Some(value) => with(sent, "authorization", value),
            None => sent,
        };
        self.browser.wire.send(sent).await
    }

    /// Redeems a code.
    pub async fn tokens(&self, code: &str) -> Tokens {
        Tokens::of(&self.redeem(&self.token_request(code)).await)
    }

    /// Renews tokens.
    pub async fn refresh(&self, refresh_token: &str) -> Tokens {
        Tokens::of(&self.redeem(&self.refresh_request(refresh_token)).await)
    }

    /// Asks who an access token is about.
    pub async fn user_info(&self, access_token: &str) -> Answer {
        let bearer = format!("Bearer {access_token}");
        let request = with(get(&format!("{}/userinfo", self.issuer)), "authorization", &bearer);
        self.browser.wire.send(request).await
    }
}

/// The value of an `Authorization` header.
pub fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

impl SignOn {
    pub fn status(&self) -> &str {
        self.flow["status"].as_str().unwrap()
    }

    /// The address of the flow.
    pub fn url(&self) -> String {
        self.flow.pointer("/_links/self/href").unwrap().as_str().unwrap().to_owned()
    }

    /// Takes an action. The flow is then as the answer says, if it was taken.
    pub async fn act(&mut self, action: &str, body: &Value) -> Answer {
        let media_type = format!("application/vnd.pingidentity.{action}+json");
        let answer =
            self.client.browser.send(post(&self.url(), &media_type, body.to_string())).await;
        if answer.status == 200 {
            self.flow = answer.json();
        }
        answer
    }

    pub async fn password(&mut self, username: &str, password: &str) -> Answer {
        let body = json!({ "username": username, "password": password });
        self.act("usernamePassword.check", &body).await
    }

    pub async fn passcode(&mut self, passcode: &str) -> Answer {
        self.act("otp.check", &json!({ "otp": passcode })).await
    }

    /// Reads the flow as it is now.
    pub async fn read(&mut self) -> Answer {
        self.client.browser.send(get(&self.url())).await
    }

    /// Reads the flow as it is now, and goes on from there.
    pub async fn refresh(&mut self) -> &str {
        self.flow = self.read().await.must_be(200).json();
        self.status()
    }

    /// A member of the authorization response.
    pub fn response(&self, name: &str) -> &str {
        self.flow["authorizeResponse"][name].as_str().unwrap_or_default()
    }

    pub fn code(&self) -> String {
        assert_eq!(self.status(), "COMPLETED", "{}", self.flow);
        self.response("code").to_owned()
    }

    /// The tokens of a sign-on that is done.
    pub async fn tokens(&self) -> Tokens {
        self.client.tokens(&self.code()).await
    }
}

impl Tokens {
    /// Those of a token response.
    #[track_caller]
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = answer.json();
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        Self {
            id_token: text("id_token").unwrap_or_default(),
            access_token: text("access_token").unwrap(),
            refresh_token: text("refresh_token"),
        }
    }

    #[track_caller]
    pub fn refresh_token(&self) -> &str {
        self.refresh_token.as_deref().expect("a refresh token")
    }

    pub fn id_claims(&self) -> Value {
        claims(&self.id_token)
    }
}

/// The claims of a token, whoever signed it.
pub fn claims(token: &str) -> Value {
    serde_json::from_slice(&encoding::decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}
