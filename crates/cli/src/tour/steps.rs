//! The steps of the tour. Each plays one scene, checks what must be true after it, and says what was seen.

use countersign_domain::{mfa_settings::MfaSettings, sign_on_policy::NoDevicesMode};
use countersign_emulator::{Browser, Page, Phone};
use countersign_sdk::PairingOutcome;
use countersign_server::app::DeviceChange;
use serde_json::json;

use super::{
    Seen,
    stage::{AppSession, Stage, claims, text},
};
use crate::{
    Broken,
    setup::{self, PASSWORD},
};

/// Stops the step unless something is true.
pub fn require(holds: bool, what: &str) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken::new(what)) }
}

/// The `amr` of an ID token, as text.
pub fn amr(id_token: &str) -> Result<String, Broken> {
    Ok(claims(id_token)?.pointer("/amr").map(ToString::to_string).unwrap_or_default())
}

async fn devices(stage: &Stage) -> Result<usize, Broken> {
    let environment = stage.bank.environment.id;
    Ok(stage.platform.app().list_devices(environment, stage.ann.id).await?.len())
}

/// First sign-on on ann's phone: the app is offered to become the authenticator, and ann approves.
pub async fn enrol(stage: &Stage) -> Seen<()> {
    let sdk = stage.ann_phone.sdk();
    let payload = sdk.generate_mobile_payload().await?;
    let id_token = stage.native()?.sign_in("ann", Some(&payload)).await?.id_token()?;
    let offer = sdk.process_id_token(&id_token).await?;
    let offer = offer.ok_or_else(|| Broken::new("the phone was not offered to be paired"))?;
    let info = offer.approve().await?;
    require(devices(stage).await? == 1, "ann must have one device")?;
    let users = sdk.info().await?;
    let known = users.iter().any(|user| user.username.as_deref() == Some("ann"));
    require(known, "the platform must tell the phone whom it vouches for")?;
    let passcodes = info.authenticators.len();
    Ok((
        (),
        format!(
            "ann's phone is paired; {passcodes} authenticators reported; amr {}",
            amr(&id_token)?
        ),
    ))
}

/// Second sign-on on the same phone: the MFA step passes by itself.
pub async fn vouch(stage: &Stage) -> Seen<()> {
    let sdk = stage.ann_phone.sdk();
    let payload = sdk.generate_mobile_payload().await?;
    let id_token = stage.native()?.sign_in("ann", Some(&payload)).await?.id_token()?;
    let offer = sdk.process_id_token(&id_token).await?;
    require(offer.is_none(), "a paired phone must not be offered again")?;
    require(sdk.pairing_outcome() == PairingOutcome::AlreadyPaired, "the SDK must know why")?;
    let amr = amr(&id_token)?;
    require(amr.contains("swk") && amr.contains("mfa"), "amr must say that the phone vouched")?;
    Ok(((), format!("password, then nothing to do; amr {amr}")))
}

/// Ann signs in on the web site, where her phone is not, with a passcode that it shows.
pub async fn passcode(stage: &Stage) -> Seen<()> {
    let site = stage.site()?;
    let page = at_passcode_page(&site, &stage.issuer()).await?;
    let wrong =
        submit(&site.browser, &page, &[("action", "passcode"), ("passcode", "000000")]).await?;
    require(wrong.status == 400, "a wrong passcode must be refused")?;
    let code = stage.ann_phone.sdk().one_time_passcode()?;
    let code = code.passcode.expose().to_owned();
    let done =
        submit(&site.browser, &wrong, &[("action", "passcode"), ("passcode", &code)]).await?;
    let answer = done.location_parameter("code");
    let answer = answer.ok_or_else(|| Broken::new("the right passcode did not sign in"))?;
    let amr = amr(&site.redeem(&answer).await?)?;
    let again = stage.site()?;
    let page = at_passcode_page(&again, &stage.issuer()).await?;
    let spent =
        submit(&again.browser, &page, &[("action", "passcode"), ("passcode", &code)]).await?;
    require(spent.status == 400, "a passcode must count once")?;
    Ok(((), format!("wrong one refused, right one counted once; amr {amr}")))
}

/// The hosted pages up to the one that asks for a passcode.
async fn at_passcode_page(site: &AppSession, issuer: &str) -> Result<Page, Broken> {
    let parameters = site.parameters();
    let parameters: Vec<(&str, &str)> =
        parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let login = site.browser.authorize(issuer, &parameters).await?;
    let fields = [("action", "login"), ("username", "ann"), ("password", PASSWORD)];
    let page = submit(&site.browser, &login, &fields).await?;
    require(page.body.contains("name=\"passcode\""), "the page must ask for a passcode")?;
    Ok(page)
}

/// Posts a form of a hosted page with the token that the page carries.
async fn submit(browser: &Browser, page: &Page, fields: &[(&str, &str)]) -> Result<Page, Broken> {
    let token = page.body.split("name=\"token\" value=\"").nth(1);
    let token = token.and_then(|rest| rest.split('"').next()).unwrap_or_default();
    let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("token", token)]).collect();
    Ok(browser.submit(&page.url, &fields).await?)
}

/// Bob is offered the same, and says no.
pub async fn deny(stage: &Stage) -> Seen<()> {
    let bob = setup::user(stage.platform.app(), &stage.bank, "bob").await?;
    let phone = stage.new_phone("bob").await?;
    let payload = phone.sdk().generate_mobile_payload().await?;
    let id_token = stage.native()?.sign_in("bob", Some(&payload)).await?.id_token()?;
    let offer = phone.sdk().process_id_token(&id_token).await?;
    let offer = offer.ok_or_else(|| Broken::new("bob's phone was not offered to be paired"))?;
    offer.deny().await?;
    let devices = stage.platform.app().list_devices(stage.bank.environment.id, bob.id).await?;
    require(devices.is_empty(), "a denied phone must not be paired")?;
    let again = phone.sdk().process_id_token(&id_token).await?;
    let spent = match again {
        Some(offer) => offer.approve().await.is_err(),
        None => true,
    };
    require(spent, "a denied ticket must be spent")?;
    Ok(((), "bob is signed in, his phone is not paired, the ticket is spent".to_owned()))
}

/// Ann may have one device, and signs in on a second phone.
pub async fn limit(stage: &Stage) -> Seen<()> {
    let environment = stage.bank.environment.id;
    let settings = MfaSettings { max_allowed_devices: 1, ..MfaSettings::default() };
    stage.platform.app().put_mfa_settings(environment, settings).await?;
    // The passcode that ann's phone shows has counted: half a minute later it shows another.
    stage.clock.advance(30);
    let phone = stage.new_phone("ann-2").await?;
    let payload = phone.sdk().generate_mobile_payload().await?;
    let app = stage.native()?;
    let flow = app.sign_in("ann", Some(&payload)).await?.waiting_at("OTP_REQUIRED")?;
    let code = stage.ann_phone.sdk().one_time_passcode()?;
    let otp = json!({ "otp": code.passcode.expose() });
    let id_token = app.act(&flow, "otp.check", &otp).await?.id_token()?;
    let offer = phone.sdk().process_id_token(&id_token).await?;
    require(offer.is_none(), "a phone beyond the limit must not be offered")?;
    let outcome = phone.sdk().pairing_outcome();
    require(outcome == PairingOutcome::LimitReached, "the SDK must know why")?;
    stage.platform.app().put_mfa_settings(environment, MfaSettings::default()).await?;
    Ok(((), format!("ann is signed in, the second phone is told: {outcome:?}")))
}

/// Carol has no device, and the policy says block.
pub async fn block_without_device(stage: &Stage) -> Seen<()> {
    let app = stage.platform.app();
    setup::user(app, &stage.bank, "carol").await?;
    let mut policy = stage.bank.sign_on_policy.clone();
    for action in &mut policy.actions {
        if action.priority == 2 {
            action.kind = setup::mfa(&stage.bank.mfa_policy, NoDevicesMode::Block);
        }
    }
    app.replace_sign_on_policy(policy).await?;
    let why = stage.native()?.sign_in("carol", None).await?.refusal()?;
    app.replace_sign_on_policy(stage.bank.sign_on_policy.clone()).await?;
    Ok(((), format!("access denied: {why}")))
}

/// A payload that was seen once, maybe by somebody else, does not count again.
pub async fn replay(stage: &Stage) -> Seen<()> {
    let payload = stage.ann_phone.sdk().generate_mobile_payload().await?;
    stage.native()?.begin(Some(&payload)).await?.waiting_at("USERNAME_PASSWORD_REQUIRED")?;
    let why = stage.native()?.begin(Some(&payload)).await?.refusal()?;
    Ok(((), why))
}

/// A payload is good for two minutes.
pub async fn expire(stage: &Stage) -> Seen<()> {
    let payload = stage.ann_phone.sdk().generate_mobile_payload().await?;
    stage.clock.advance(121);
    let why = stage.native()?.begin(Some(&payload)).await?.refusal()?;
    Ok(((), why))
}

/// A payload for one environment is nothing in another.
pub async fn foreign(stage: &Stage) -> Seen<()> {
    let name = format!("Other {}", stage.bank.environment.name);
    let other = setup::bank(stage.platform.app(), &name).await?;
    let issuer = format!("{}/{}/as", stage.platform.base_url(), other.environment.id);
    let payload = stage.ann_phone.sdk().generate_mobile_payload().await?;
    let app = AppSession::new(&issuer, &other.native, setup::NATIVE_REDIRECT_URI)?;
    let why = app.begin(Some(&payload)).await?.refusal()?;
    Ok(((), why))
}

/// The platform stops in the middle of a sign-on, and the sign-on goes on.
pub async fn restart(stage: Stage) -> Seen<Stage> {
    let payload = stage.ann_phone.sdk().generate_mobile_payload().await?;
    let app = stage.native()?;
    let flow = app.begin(Some(&payload)).await?.waiting_at("USERNAME_PASSWORD_REQUIRED")?;
    let mut stage = stage.restart().await?;
    stage.ann_phone.restart().await?;
    let credentials = json!({ "username": "ann", "password": PASSWORD });
    let id_token = app.act(&flow, "usernamePassword.check", &credentials).await?.id_token()?;
    let offer = stage.ann_phone.sdk().process_id_token(&id_token).await?;
    require(offer.is_none(), "the phone must still be paired")?;
    let why = stage.native()?.begin(Some(&payload)).await?.refusal()?;
    Ok((stage, format!("the flow went on and ended; the payload is still spent: {why}")))
}

/// An administrator blocks ann's phone: it vouches no more, although users without a device would pass.
pub async fn blocked(stage: &Stage) -> Seen<()> {
    let (app, environment) = (stage.platform.app(), stage.bank.environment.id);
    let devices = app.list_devices(environment, stage.ann.id).await?;
    let device = devices.first().ok_or_else(|| Broken::new("ann has no device"))?.id;
    app.change_device(environment, device, DeviceChange::Block).await?;
    let payload = stage.ann_phone.sdk().generate_mobile_payload().await?;
    let why = stage.native()?.sign_in("ann", Some(&payload)).await?.refusal()?;
    app.change_device(environment, device, DeviceChange::Unblock).await?;
    let payload = stage.ann_phone.sdk().generate_mobile_payload().await?;
    stage.native()?.sign_in("ann", Some(&payload)).await?.id_token()?;
    Ok(((), format!("{why}; unblocked, it vouches again")))
}

/// Ann signs out for good: the phone tells the platform first, then forgets.
pub async fn unpair(stage: &Stage) -> Seen<()> {
    let phone: &Phone = &stage.ann_phone;
    phone.sdk().unpair(None).await?;
    require(devices(stage).await? == 0, "ann must have no device")?;
    require(phone.sdk().info().await?.is_empty(), "the platform must not know the phone")?;
    require(phone.sdk().one_time_passcode().is_err(), "the phone must show no passcode")?;
    let records = stage.platform.app().list_audit(stage.bank.environment.id, None, 1_000).await?;
    let last = records.last().map(|record| serde_json::to_value(record.event.action));
    let last = last.transpose()?.and_then(|action| text(&action, "")).unwrap_or_default();
    Ok(((), format!("no device left; {} audit records, the last is {last}", records.len())))
}
