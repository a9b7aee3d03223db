//! What the tour plays on: the platform, the bank, its users, their phones, and a clock that can be put forward.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use countersign_domain::{application::Application, user::User};
use countersign_emulator::{Browser, Phone, PhoneConfig, ShiftedClock};
use countersign_protocol::{
    encoding,
    entropy::{SystemEntropy, random},
    jose,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Seen;
use crate::{
    Broken,
    platform::{Plan, Platform},
    setup::{self, Bank, NATIVE_REDIRECT_URI, PASSWORD},
};

/// Everything that a step needs.
pub struct Stage {
    pub platform: Platform,
    pub bank: Bank,
    pub clock: Arc<ShiftedClock>,
    pub ann: User,
    pub ann_phone: Phone,
    folder: TempDir,
}

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl Stage {
    /// Starts a platform and sets up the bank, ann, and ann's phone.
    pub async fn start(database: Option<String>) -> Seen<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("countersign.db");
        let database = database.unwrap_or_else(|| format!("sqlite:{}", file.display()));
        let clock = Arc::new(ShiftedClock::default());
        let plan = Plan::new(database, Arc::<ShiftedClock>::clone(&clock));
        let platform = Platform::start(plan, LOOPBACK).await?;
        // A database that is used again holds the banks of earlier tours.
        let name = format!("Bank {}", encoding::encode(random::<6>(&SystemEntropy)));
        let bank = setup::bank(platform.app(), &name).await?;
        let ann = setup::user(platform.app(), &bank, "ann").await?;
        let ann_phone = phone(&platform, &bank, &clock, &folder, "ann").await?;
        let seen = format!("{}, environment {}", platform.base_url(), bank.environment.id);
        Ok((Self { platform, bank, clock, ann, ann_phone, folder }, seen))
    }

    /// Another phone with the bank's app.
    pub async fn new_phone(&self, name: &str) -> Result<Phone, Broken> {
        phone(&self.platform, &self.bank, &self.clock, &self.folder, name).await
    }

    /// The same platform, stopped and started again.
    pub async fn restart(self) -> Result<Self, Broken> {
        let platform = self.platform.restart().await?;
        Ok(Self { platform, ..self })
    }

    /// The end.
    pub async fn stop(self) {
        self.platform.stop().await;
    }

    /// The issuer of the bank.
    pub fn issuer(&self) -> String {
        issuer(&self.platform, &self.bank)
    }

    /// The bank's app on a phone: draws its own screens, and remembers its session.
    pub fn native(&self) -> Result<AppSession, Broken> {
        AppSession::new(&self.issuer(), &self.bank.native, NATIVE_REDIRECT_URI)
    }
}

fn issuer(platform: &Platform, bank: &Bank) -> String {
    format!("{}/{}/as", platform.base_url(), bank.environment.id)
}

async fn phone(
    platform: &Platform,
    bank: &Bank,
    clock: &Arc<ShiftedClock>,
    folder: &TempDir,
    name: &str,
) -> Result<Phone, Broken> {
    let (issuer, application) = (issuer(platform, bank), bank.native.id.to_string());
    let config = PhoneConfig::new(name, &folder.path().join(name), &issuer, &application, b"")?;
    let clock = Arc::<ShiftedClock>::clone(clock);
    Ok(Phone::new(PhoneConfig { clock, ..config }).await?)
}

/// One sign-on of an application that draws its own screens or shows the hosted pages.
pub struct AppSession {
    pub browser: Browser,
    issuer: String,
    client_id: String,
    redirect_uri: &'static str,
    verifier: String,
}

/// What a sign-on came to.
#[derive(Debug)]
pub enum SignOn {
    /// Signed in, with this ID token.
    Done { id_token: String },
    /// The flow waits, at this status and address.
    Waiting { status: String, flow: String },
    /// The flow failed, or the request was refused, for this reason.
    Refused { why: String },
}

impl AppSession {
    pub fn new(
        issuer: &str,
        application: &Application,
        redirect_uri: &'static str,
    ) -> Result<Self, Broken> {
        Ok(Self {
            browser: Browser::new(redirect_uri, b"")?,
            issuer: issuer.to_owned(),
            client_id: application.id.to_string(),
            redirect_uri,
            verifier: encoding::encode(random::<32>(&SystemEntropy)),
        })
    }

    /// The members of the authorization request.
    pub fn parameters(&self) -> Vec<(&str, String)> {
        vec![
            ("client_id", self.client_id.clone()),
            ("response_type", "code".to_owned()),
            ("redirect_uri", self.redirect_uri.to_owned()),
            ("scope", "openid profile".to_owned()),
            ("code_challenge", encoding::encode(jose::digest(&self.verifier))),
            ("code_challenge_method", "S256".to_owned()),
        ]
    }

    /// Signs in with user name and password on screens of the app's own.
    pub async fn sign_in(&self, username: &str, payload: Option<&str>) -> Result<SignOn, Broken> {
        match self.begin(payload).await? {
            SignOn::Waiting { status, flow } if status == "USERNAME_PASSWORD_REQUIRED" => {
                let credentials = json!({ "username": username, "password": PASSWORD });
                self.act(&flow, "usernamePassword.check", &credentials).await
            }
            other => Ok(other),
        }
    }

    /// Begins a flow.
    pub async fn begin(&self, payload: Option<&str>) -> Result<SignOn, Broken> {
        let mut parameters = self.parameters();
        parameters.push(("response_mode", "pi.flow".to_owned()));
        parameters.extend(payload.map(|payload| ("mobilePayload", payload.to_owned())));
        let parameters: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = self.browser.authorize(&self.issuer, &parameters).await?;
        self.result(&page.json()?).await
    }

    /// Sends an action to a flow.
    pub async fn act(&self, flow: &str, action: &str, body: &Value) -> Result<SignOn, Broken> {
        let media_type = format!("application/vnd.pingidentity.{action}+json");
        let page = self.browser.action(flow, &media_type, body).await?;
        self.result(&page.json()?).await
    }

    /// Redeems a code.
    pub async fn redeem(&self, code: &str) -> Result<String, Broken> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_uri),
            ("client_id", &self.client_id),
            ("code_verifier", &self.verifier),
        ];
        let tokens = self.browser.token(&self.issuer, &fields).await?;
        text(&tokens, "/id_token").ok_or_else(|| Broken::new(format!("no ID token: {tokens}")))
    }

    async fn result(&self, body: &Value) -> Result<SignOn, Broken> {
        let Some(status) = text(body, "/status") else {
            let why = text(body, "/details/0/message").or_else(|| text(body, "/message"));
            return Ok(SignOn::Refused { why: why.unwrap_or_else(|| body.to_string()) });
        };
        match status.as_str() {
            "COMPLETED" => {
                let code = text(body, "/authorizeResponse/code");
                let code = code.ok_or_else(|| Broken::new("a completed flow has no code"))?;
                Ok(SignOn::Done { id_token: self.redeem(&code).await? })
            }
            "FAILED" => {
                let why = text(body, "/authorizeResponse/error_description").unwrap_or_default();
                Ok(SignOn::Refused { why })
            }
            _ => {
                let flow = text(body, "/_links/self/href").unwrap_or_default();
                Ok(SignOn::Waiting { status, flow })
            }
        }
    }
}

impl SignOn {
    /// The ID token, if the user is signed in.
    pub fn id_token(self) -> Result<String, Broken> {
        match self {
            Self::Done { id_token } => Ok(id_token),
            other => Err(Broken::new(format!("not signed in: {other:?}"))),
        }
    }

    /// The reason, if the user is not.
    pub fn refusal(self) -> Result<String, Broken> {
        match self {
            Self::Refused { why } => Ok(why),
            other => Err(Broken::new(format!("not refused: {other:?}"))),
        }
    }

    /// The address of the flow, if it waits at this status.
    pub fn waiting_at(self, expected: &str) -> Result<String, Broken> {
        match self {
            Self::Waiting { status, flow } if status == expected => Ok(flow),
            other => Err(Broken::new(format!("not at {expected}: {other:?}"))),
        }
    }
}

/// A text in JSON.
pub fn text(body: &Value, pointer: &str) -> Option<String> {
    body.pointer(pointer)?.as_str().map(str::to_owned)
}

/// The claims of a token, for showing them.
pub fn claims(token: &str) -> Result<Value, Broken> {
    let payload = token.split('.').nth(1).unwrap_or_default();
    Ok(serde_json::from_slice(&encoding::decode(payload)?)?)
}
