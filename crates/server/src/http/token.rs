//! `POST /{environment}/as/token` (RFC 6749, section 3.2): one form, and a way to tokens for each grant type.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use countersign_domain::{device_code::Refusal, dpop::DpopProof};
use serde::Serialize;

use super::{
    caller::{At, Client},
    correlation::Correlation,
    form::{FormError, Members},
    oauth_error::OAuthError,
};
use crate::{
    app::{
        App, ClientCredentials, ClientTokenError, ExchangeCode, ExchangeError, IssueClientToken,
        Realm, RedeemDeviceCode, RedeemDeviceCodeError, RefreshError, RefreshTokens, Tokens,
    },
    telemetry::TOKENS_ISSUED,
};

/// The grant types that are offered, as discovery tells them.
pub(crate) const GRANT_TYPES: [&str; 4] =
    [AUTHORIZATION_CODE, REFRESH_TOKEN, CLIENT_CREDENTIALS, DEVICE_CODE];

const AUTHORIZATION_CODE: &str = "authorization_code";
const REFRESH_TOKEN: &str = "refresh_token";
const CLIENT_CREDENTIALS: &str = "client_credentials";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// `POST /{environment}/as/token`
pub(crate) async fn issue(
    State(app): State<Arc<App>>,
    At(realm): At,
    client: Client,
    Correlation(correlation): Correlation,
    members: Result<Members, FormError>,
) -> Response {
    let call = Call { app, realm, correlation };
    match call.tokens(&client, members).await {
        Ok(tokens) => success(&tokens),
        Err(error) => error.told_to(&client),
    }
}

/// One token request.
struct Call {
    app: Arc<App>,
    realm: Arc<Realm>,
    correlation: String,
}

impl Call {
    async fn tokens(
        self,
        client: &Client,
        members: Result<Members, FormError>,
    ) -> Result<Tokens, OAuthError> {
        let members = members?;
        let credentials = client.credentials(&self.app, &self.realm, &members).await?;
        let address = format!("{}/token", self.realm.issuer);
        let dpop = client.dpop.verify(&self.app, &self.realm, &address)?;
        let app = Arc::clone(&self.app);
        let grant_type = members.required("grant_type")?;
        let (tokens, counted) = match grant_type.as_str() {
            AUTHORIZATION_CODE => {
                (self.exchange(credentials, dpop, &members).await?, AUTHORIZATION_CODE)
            }
            REFRESH_TOKEN => (self.refresh(credentials, dpop, &members).await?, REFRESH_TOKEN),
            CLIENT_CREDENTIALS => {
                let request =
                    IssueClientToken { client: credentials, scope: members.text("scope"), dpop };
                (app.issue_client_token(&self.realm, request).await?, CLIENT_CREDENTIALS)
            }
            DEVICE_CODE => {
                (self.redeem_device_code(credentials, dpop, &members).await?, "device_code")
            }
            _ => {
                let description = format!("grant_type must be one of {}", GRANT_TYPES.join(", "));
                return Err(OAuthError::new("unsupported_grant_type", description));
            }
        };
        app.store().meters().tally.count(TOKENS_ISSUED, [counted, "", ""]);
        Ok(tokens)
    }

    async fn exchange(
        self,
        client: ClientCredentials,
        dpop: Option<DpopProof>,
        members: &Members,
    ) -> Result<Tokens, OAuthError> {
        let request = ExchangeCode {
            client,
            code: members.required_secret("code")?,
            redirect_uri: members.text("redirect_uri"),
            code_verifier: members.secret("code_verifier"),
            dpop,
            correlation: self.correlation,
        };
        Ok(self.app.exchange_code(&self.realm, request).await?)
    }

    async fn redeem_device_code(
        self,
        client: ClientCredentials,
        dpop: Option<DpopProof>,
        members: &Members,
    ) -> Result<Tokens, OAuthError> {
        let request = RedeemDeviceCode {
            client,
            device_code: members.required_secret("device_code")?,
            dpop,
            correlation: self.correlation,
        };
        Ok(self.app.redeem_device_code(&self.realm, request).await?)
    }

    async fn refresh(
        self,
        client: ClientCredentials,
        dpop: Option<DpopProof>,
        members: &Members,
    ) -> Result<Tokens, OAuthError> {
        let request = RefreshTokens {
            client,
            refresh_token: members.required_secret("refresh_token")?,
            scope: members.text("scope"),
            dpop,
            correlation: self.correlation,
        };
        Ok(self.app.refresh_tokens(&self.realm, request).await?)
    }
}

#[derive(Serialize)]
struct Body<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

fn success(tokens: &Tokens) -> Response {
    let body = Body {
        access_token: tokens.access_token.expose(),
        token_type: tokens.token_type,
        expires_in: tokens.expires_in_seconds,
        scope: &tokens.scope,
        id_token: tokens.id_token.as_ref().map(|token| token.expose().as_str()),
        refresh_token: tokens.refresh_token.as_ref().map(|token| token.expose().as_str()),
    };
    // RFC 6749, section 5.1.
    ([(header::PRAGMA, "no-cache")], Json(body)).into_response()
}

impl From<ExchangeError> for OAuthError {
    fn from(error: ExchangeError) -> Self {
        let description = error.to_string();
        match error {
            ExchangeError::Client(error) => error.into(),
            ExchangeError::UnauthorizedClient => Self::new("unauthorized_client", description),
            ExchangeError::MalformedVerifier => Self::invalid_request(description),
            ExchangeError::UnknownCode | ExchangeError::NothingLeft | ExchangeError::Grant(_) => {
                Self::new("invalid_grant", description)
            }
            ExchangeError::Dpop(refusal) => refusal.into(),
            ExchangeError::Fault(fault) => fault.into(),
        }
    }
}

impl From<RefreshError> for OAuthError {
    fn from(error: RefreshError) -> Self {
        let description = error.to_string();
        match error {
            RefreshError::Client(error) => error.into(),
            RefreshError::UnauthorizedClient => Self::new("unauthorized_client", description),
            RefreshError::UnknownToken | RefreshError::NothingLeft | RefreshError::Grant(_) => {
                Self::new("invalid_grant", description)
            }
            RefreshError::WiderScope => Self::new("invalid_scope", description),
            RefreshError::Dpop(refusal) => refusal.into(),
            RefreshError::Fault(fault) => fault.into(),
        }
    }
}

impl From<RedeemDeviceCodeError> for OAuthError {
    /// RFC 8628, section 3.5.
    fn from(error: RedeemDeviceCodeError) -> Self {
        let description = error.to_string();
        let code = match error {
            RedeemDeviceCodeError::Client(error) => return error.into(),
            RedeemDeviceCodeError::Dpop(refusal) => return refusal.into(),
            RedeemDeviceCodeError::Fault(fault) => return fault.into(),
            RedeemDeviceCodeError::UnauthorizedClient => "unauthorized_client",
            RedeemDeviceCodeError::Pending => "authorization_pending",
            RedeemDeviceCodeError::SlowDown => "slow_down",
            RedeemDeviceCodeError::Refused(Refusal::Expired) => "expired_token",
            RedeemDeviceCodeError::Refused(Refusal::Denied) => "access_denied",
            RedeemDeviceCodeError::UnknownCode
            | RedeemDeviceCodeError::NothingLeft
            | RedeemDeviceCodeError::Refused(
                Refusal::OtherApplication | Refusal::Spent | Refusal::Answered,
            ) => "invalid_grant",
        };
        Self::new(code, description)
    }
}

impl From<ClientTokenError> for OAuthError {
    fn from(error: ClientTokenError) -> Self {
        let description = error.to_string();
        match error {
            ClientTokenError::Client(error) => error.into(),
            ClientTokenError::UnauthorizedClient => Self::new("unauthorized_client", description),
            ClientTokenError::OfUsers | ClientTokenError::Scope(_) => {
                Self::new("invalid_scope", description)
            }
            ClientTokenError::Dpop(refusal) => refusal.into(),
            ClientTokenError::Fault(fault) => fault.into(),
        }
    }
}
