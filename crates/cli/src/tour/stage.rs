//! What the tour plays on: the platform, the bank, its users, their phones, and a clock that can be put forward.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use countersign_domain::{application::Application, mfa_policy::MobileApplication, user::User};
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
    push_services::PushServices,
    setup::{self, BUNDLE_ID, Bank, NATIVE_REDIRECT_URI, PASSWORD, WEB_REDIRECT_URI},
};

/// Everything that a step needs.
pub struct Stage {
    pub platform: Platform,
    pub bank: Bank,
    pub clock: Arc<ShiftedClock>,
    pub ann: User,
    pub ann_phone: Phone,
    pub services: PushServices,
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
        let services =
            PushServices::start(Arc::<ShiftedClock>::clone(&clock) as _, BUNDLE_ID).await?;
        let plan =
            Plan::new(database, Arc::<ShiftedClock>::clone(&clock) as _, services.settings()?);
        let platform = Platform::start(plan, LOOPBACK).await?;
        // A database that is used again holds the banks of earlier tours.
        let name = format!("Bank {}", encoding::encode(random::<6>(&SystemEntropy)));
        let bank = setup::bank(platform.app(), &name).await?;
        services.give(platform.app(), bank.environment.id, bank.native.id).await?;
        let ann = setup::user(platform.app(), &bank, "ann").await?;
        let issuer = issuer(&platform, &bank);
        let ann_phone = phone(&issuer, &bank.native, &clock, &folder.path().join("ann")).await?;
        let seen = format!("{}, environment {}", platform.base_url(), bank.environment.id);
        Ok((Self { platform, bank, clock, ann, ann_phone, services, folder }, seen))
    }

    /// Another phone with the bank's app.
    pub async fn new_phone(&self, name: &str) -> Result<Phone, Broken> {
        self.new_phone_of(&self.bank.native, name).await
    }

    /// Another phone with this app.
    pub async fn new_phone_of(&self, app: &Application, name: &str) -> Result<Phone, Broken> {
        phone(&self.issuer(), app, &self.clock, &self.folder.path().join(name)).await
    }

    /// Pairs a phone at the first sign-on of its owner in the bank's app.
    pub async fn pair(&self, phone: &Phone, username: &str) -> Result<(), Broken> {
        self.pair_by(&self.native()?, phone, username).await
    }

    /// The same by this app.
    pub async fn pair_by(
        &self,
        app: &AppSession,
        phone: &Phone,
        username: &str,
    ) -> Result<(), Broken> {
        let payload = phone.sdk().generate_mobile_payload().await?;
        let id_token = app.sign_in(username, Some(&payload)).await?.id_token()?;
        let offer = phone.sdk().process_id_token(&id_token).await?;
        let offer = offer.ok_or_else(|| Broken::new("the phone was not offered to be paired"))?;
        offer.approve().await?;
        Ok(())
    }

    /// Changes how the bank's app behaves under its MFA policy. What an earlier step has changed is as it was.
    pub async fn change_policy(
        &self,
        change: impl FnOnce(&mut MobileApplication),
    ) -> Result<(), Broken> {
        let mut policy = self.bank.mfa_policy.clone();
        if let Some(rules) = policy.mobile.applications.first_mut() {
            change(rules);
        }
        Ok(self.platform.app().replace_mfa_policy(policy).await?)
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
        self.session(&self.bank.native, NATIVE_REDIRECT_URI)
    }

    /// The bank's web site in a browser, which draws its own screens too.
    pub fn site(&self) -> Result<AppSession, Broken> {
        self.session(&self.bank.web, WEB_REDIRECT_URI)
    }

    /// An application of the bank.
    pub fn session(
        &self,
        application: &Application,
        redirect_uri: &'static str,
    ) -> Result<AppSession, Broken> {
        AppSession::new(&self.issuer(), application, redirect_uri)
    }
}

fn issuer(platform: &Platform, bank: &Bank) -> String {
    format!("{}/{}/as", platform.base_url(), bank.environment.id)
}

async fn phone(
    issuer: &str,
    application: &Application,
    clock: &Arc<ShiftedClock>,
    folder: &Path,
) -> Result<Phone, Broken> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let application = application.id.to_string();
    let config = PhoneConfig::new(&name, folder, issuer, &application, b"")?;
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
    /// The platform has too much to do, and asks to be asked again.
    Busy,
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
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
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
        self.begin_with(payload.map(|payload| ("mobilePayload", payload.to_owned()))).await
    }

    /// Begins a flow with further members in the request.
    pub async fn begin_with(
        &self,
        more: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<SignOn, Broken> {
        let mut parameters = self.parameters();
        parameters.push(("response_mode", "pi.flow".to_owned()));
        parameters.extend(more);
        let parameters: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = self.browser.authorize(&self.issuer, &parameters).await?;
        self.result(&page.json()?).await
    }

    /// What a flow shows now.
    pub async fn show(&self, flow: &str) -> Result<Value, Broken> {
        Ok(self.browser.visit(flow).await?.json()?)
    }

    /// What a flow has come to.
    pub async fn read(&self, flow: &str) -> Result<SignOn, Broken> {
        self.result(&self.show(flow).await?).await
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
            if text(body, "/code").as_deref() == Some("UNAVAILABLE") {
                return Ok(SignOn::Busy);
            }
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
