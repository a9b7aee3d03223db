//! The steps in which phones are woken: silently, to prove that the app is where it was, and visibly, to ask its owner.

use countersign_domain::{
    application::NumberMatchingKind,
    audit::{Action, Record},
    environment::Environment,
    id::Id,
    mfa_policy::{DeviceAuthorization, ExtraVerification, MobileApplication, PushRules},
    user::User,
};
use countersign_emulator::Phone;
use countersign_protocol::mobile_payload::PushService;
use countersign_sdk::{
    DenyReason, Error, NotificationObject, NumberMatchingType, RemoteNotification,
};
use countersign_server::app::AuditQuery;

use super::{
    Seen,
    stage::{AppSession, SignOn, Stage, text},
    steps::{amr, require},
};
use crate::{Broken, push::name, setup};

/// Somebody whose phone is paired and can be woken.
pub struct Owner {
    pub user: User,
    pub phone: Phone,
    pub service: PushService,
    pub token: String,
}

/// Dora has an iPhone, and Eric an Android phone.
pub struct Cast {
    pub dora: Owner,
    pub eric: Owner,
}

const WAITS: &str = "PUSH_CONFIRMATION_REQUIRED";

/// How long a silent push is waited for.
const SILENT_SECONDS: i64 = 20;

/// Phones that are paired with their push addresses.
pub async fn cast(stage: &Stage) -> Seen<Cast> {
    let dora = Owner::pair(stage, "dora", PushService::Apns).await?;
    let eric = Owner::pair(stage, "eric", PushService::Fcm).await?;
    let urls = format!("APNs {}, FCM {}", stage.services.apns.url(), stage.services.fcm.url());
    Ok((Cast { dora, eric }, urls))
}

impl Owner {
    pub async fn pair(stage: &Stage, name: &str, service: PushService) -> Result<Self, Broken> {
        let user = setup::user(stage.platform.app(), &stage.bank, name).await?;
        let phone = stage.new_phone(name).await?;
        let token = stage.services.connect(phone.sdk(), service).await?;
        stage.pair(&phone, name).await?;
        Self { user, phone, service, token }.tried(stage).await
    }

    /// The platform tries at once whether a new phone can be reached.
    async fn tried(self, stage: &Stage) -> Result<Self, Broken> {
        let tried = self.wake(stage).await?;
        require(matches!(tried, RemoteNotification::Test { .. }), "a new phone must be tried")?;
        Ok(self)
    }

    /// Signs in on the phone itself, whose policy wants a silent push.
    async fn sign_in_here(&self, stage: &Stage) -> Result<(AppSession, String), Broken> {
        let payload = self.phone.sdk().generate_mobile_payload().await?;
        let app = stage.native()?;
        let flow = app.sign_in(&self.user.username, Some(&payload)).await?.waiting_at(WAITS)?;
        Ok((app, flow))
    }

    /// Signs in on the web site, for which the phone is asked.
    async fn sign_in_there(&self, stage: &Stage) -> Result<(AppSession, String), Broken> {
        let site = stage.site()?;
        let flow = site.sign_in(&self.user.username, None).await?.waiting_at(WAITS)?;
        Ok((site, flow))
    }

    /// Gives the next push to the app.
    async fn wake(&self, stage: &Stage) -> Result<RemoteNotification, Broken> {
        let message = stage.services.receive(self.service, &self.token).await?;
        Ok(self.phone.sdk().process_remote_notification(&message.delivered).await?)
    }

    /// The question that the next push brings.
    async fn question(&self, stage: &Stage) -> Result<NotificationObject, Broken> {
        match self.wake(stage).await? {
            RemoteNotification::Notification(question) => Ok(question),
            other => Err(Broken::new(format!("the push brings no question: {other:?}"))),
        }
    }
}

/// Lets device authorization want a silent push.
async fn verify(stage: &Stage, mode: ExtraVerification) -> Result<(), Broken> {
    let extra_verification = Some(mode);
    let authorization = Some(DeviceAuthorization { extra_verification });
    stage.change_policy(|rules| rules.device_authorization = authorization).await
}

/// Lets phones be asked by push, by these rules.
pub async fn ask(stage: &Stage, push: PushRules) -> Result<(), Broken> {
    stage.change_policy(|rules| rules.push = PushRules { enabled: true, ..push }).await
}

/// The app answers by itself, and nobody sees anything.
pub async fn answered(stage: &Stage, owner: &Owner, mode: ExtraVerification) -> Seen<()> {
    verify(stage, mode).await?;
    let (app, flow) = owner.sign_in_here(stage).await?;
    let woken = owner.wake(stage).await?;
    let silent = matches!(woken, RemoteNotification::Silent);
    require(silent, "the SDK must answer a silent push by itself")?;
    let amr = amr(&app.read(&flow).await?.id_token()?)?;
    require(amr.contains("mca"), "amr must say that the push was answered")?;
    Ok(((), format!("{} woke the app, it answered by itself; amr {amr}", name(owner.service))))
}

/// The app does not answer.
pub async fn unanswered(stage: &Stage, owner: &Owner, mode: ExtraVerification) -> Seen<()> {
    verify(stage, mode).await?;
    let (app, flow) = owner.sign_in_here(stage).await?;
    stage.services.receive(owner.service, &owner.token).await?;
    stage.clock.advance(SILENT_SECONDS);
    let ended = app.read(&flow).await?;
    let seen = match mode {
        ExtraVerification::Permissive => {
            let amr = amr(&ended.id_token()?)?;
            require(!amr.contains("mca"), "amr must not say that the push was answered")?;
            let told = records(stage, stage.bank.environment.id, Action::DeviceAuthorized);
            let told = told.await?.into_iter().next().and_then(|record| record.entry.event.reason);
            format!("let pass; amr {amr}, the audit log: {}", told.unwrap_or_default())
        }
        ExtraVerification::Restrictive => format!("refused: {}", ended.refusal()?),
    };
    Ok(((), format!("no answer within {SILENT_SECONDS} s, {seen}")))
}

/// The page shows a number, which is picked out of three on the phone.
pub async fn number_picked(stage: &Stage, owner: &Owner) -> Seen<()> {
    ask(stage, PushRules { number_matching: true, ..PushRules::default() }).await?;
    let (site, flow) = owner.sign_in_there(stage).await?;
    let (number, question) = (number(&site, &flow).await?, owner.question(stage).await?);
    let options = question.number_matching_options().to_vec();
    require(options.contains(&number), "the number must be among the options")?;
    question.approve("user", Some(number)).await?;
    let amr = amr(&site.read(&flow).await?.id_token()?)?;
    Ok(((), format!("page: {number}, phone: {options:?}, approved; amr {amr}")))
}

/// The page shows a number, which is typed on the phone and was never sent to it.
pub async fn number_typed(stage: &Stage) -> Seen<()> {
    let (app, environment) = (stage.platform.app(), stage.bank.environment.id);
    let kind = NumberMatchingKind::EnterManually;
    let names = ("Bank app for staff", "org.countersign.staff");
    let typing = setup::native(app, environment, names, kind).await?;
    stage.services.give(app, environment, typing.id).await?;
    app.assign_sign_on_policy(environment, typing.id, stage.bank.sign_on_policy.id, 1).await?;
    let push = PushRules { enabled: true, number_matching: true, ..PushRules::default() };
    let mut policy = stage.bank.mfa_policy.clone();
    let listed: Vec<_> = policy.mobile.applications.clone();
    let rules =
        |rules: MobileApplication| MobileApplication { application: typing.id, push, ..rules };
    policy.mobile.applications.extend(listed.into_iter().map(rules));
    app.replace_mfa_policy(policy).await?;
    let user = setup::user(app, &stage.bank, "finn").await?;
    let phone = stage.new_phone_of(&typing, "finn").await?;
    let token = stage.services.connect(phone.sdk(), PushService::Fcm).await?;
    stage.pair_by(&stage.session(&typing, setup::NATIVE_REDIRECT_URI)?, &phone, "finn").await?;
    let finn = Owner { user, phone, service: PushService::Fcm, token }.tried(stage).await?;
    let (site, flow) = finn.sign_in_there(stage).await?;
    let (number, question) = (number(&site, &flow).await?, finn.question(stage).await?);
    let typed = question.number_matching_type();
    let is_typed = matches!(typed, Some(NumberMatchingType::EnterManually { .. }));
    require(is_typed, "the phone must ask for the number")?;
    require(question.number_matching_options().is_empty(), "the phone must not know the number")?;
    question.approve("user", Some(number)).await?;
    let amr = amr(&site.read(&flow).await?.id_token()?)?;
    Ok(((), format!("page: {number:06}, typed and approved; amr {amr}")))
}

/// Whoever was fooled into approving somebody else's sign-on does not know the number.
pub async fn wrong_number(stage: &Stage, owner: &Owner) -> Seen<()> {
    ask(stage, PushRules { number_matching: true, ..PushRules::default() }).await?;
    let (site, flow) = owner.sign_in_there(stage).await?;
    let (number, question) = (number(&site, &flow).await?, owner.question(stage).await?);
    let wrong = question.number_matching_options().iter().find(|option| **option != number);
    let wrong = *wrong.ok_or_else(|| Broken::new("there is no wrong number"))?;
    let refused = question.approve("user", Some(wrong)).await;
    require(matches!(refused, Err(Error::WrongNumber)), "the SDK must say what was wrong")?;
    let why = site.read(&flow).await?.refusal()?;
    Ok(((), format!("page: {number}, phone: {wrong}; one try, {why}")))
}

/// Somebody else has the password, and the owner says so.
pub async fn fraud(stage: &Stage, owner: &Owner) -> Seen<()> {
    ask(stage, PushRules::default()).await?;
    let (site, flow) = owner.sign_in_there(stage).await?;
    owner.question(stage).await?.deny(DenyReason::ReportFraud).await?;
    let why = site.read(&flow).await?.refusal()?;
    let told = records(stage, stage.bank.environment.id, Action::DeviceFraudReported).await?;
    require(told.len() == 1, "the audit log must tell of the fraud")?;
    Ok(((), format!("{why}; the audit log has DEVICE.FRAUD_REPORTED")))
}

/// Somebody else has the password, and asks until pushes stop.
pub async fn asked_too_often(stage: &Stage) -> Seen<()> {
    let mut rules = PushRules::default();
    rules.limit.count = 3;
    ask(stage, rules).await?;
    let gina = Owner::pair(stage, "gina", PushService::Fcm).await?;
    for _ in 0..rules.limit.count {
        gina.sign_in_there(stage).await?;
        gina.question(stage).await?.deny(DenyReason::None).await?;
    }
    let told = records(stage, stage.bank.environment.id, Action::PushesStopped).await?;
    require(told.len() == 1, "the audit log must tell that pushes stop")?;
    // Her passcodes still count, and nobody bothers her.
    let next = stage.site()?.sign_in("gina", None).await?;
    next.waiting_at("OTP_REQUIRED")?;
    stage.clock.advance(rules.limit.lock_seconds.into());
    gina.sign_in_there(stage).await?;
    let minutes = rules.limit.lock_seconds / 60;
    Ok(((), format!("3 times no: only a passcode helps for {minutes} minutes, then push again")))
}

/// The number that the page of a sign-on shows.
async fn number(site: &AppSession, flow: &str) -> Result<u32, Broken> {
    let shown = text(&site.show(flow).await?, "/numberMatching/number");
    Ok(shown.ok_or_else(|| Broken::new("the page shows no number"))?.parse()?)
}

/// What the audit log has of an action, the newest first.
pub async fn records(
    stage: &Stage,
    environment: Id<Environment>,
    action: Action,
) -> Result<Vec<Record>, Broken> {
    let actions = vec![action];
    let query = AuditQuery { actions, newest_first: true, limit: 1_000, ..AuditQuery::default() };
    Ok(stage.platform.app().search_audit(environment, query).await?.records)
}

/// A sign-on on the web site that need not wait: its push may be answered before its page is shown.
pub async fn begin_there(
    stage: &Stage,
    owner: &Owner,
) -> Result<(AppSession, Option<String>), Broken> {
    let site = stage.site()?;
    match site.sign_in(&owner.user.username, None).await? {
        SignOn::Waiting { flow, .. } => Ok((site, Some(flow))),
        SignOn::Done { .. } => Ok((site, None)),
        SignOn::Busy => Err(Broken::new("the platform is busy")),
        SignOn::Refused { why } => Err(Broken::new(why)),
    }
}
