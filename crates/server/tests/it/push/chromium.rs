//! The hosted pages of a question to a phone, in a real browser.

use countersign_domain::{
    application::NumberMatchingKind,
    mfa_policy::{DeviceAuthorization, ExtraVerification, MfaPolicy},
    sign_on_policy::NoDevicesMode,
};
use countersign_sdk::{DenyReason, NotificationObject, RemoteNotification};
use tokio::time::Instant;

use crate::world::{Scene, Step, is_browser_skipped};

impl Scene {
    async fn ask_by_push(&mut self, kind: Option<NumberMatchingKind>) {
        self.w.ask_by_push(|rules| rules.number_matching = kind.is_some()).await;
        let kind = kind.unwrap_or_default();
        let change = |native: &mut countersign_domain::application::Application| {
            native.mobile.as_mut().unwrap().number_matching = kind;
        };
        self.w.world.change_native(change).await;
    }

    async fn change_policy(&mut self, change: impl FnOnce(&mut MfaPolicy)) {
        let world = &mut self.w.world;
        world.bank.change_mfa_policy(&world.server, change).await;
    }

    async fn asked(&mut self) -> NotificationObject {
        self.arrive().await;
        self.sign_in().await;
        self.browser.arrive("Check your phone").await;
        self.w.question().await
    }

    async fn number(&mut self) -> u32 {
        let number = self.browser.evaluate("document.getElementById('number').textContent").await;
        number.as_str().unwrap().parse().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yes_on_the_phone_lets_the_page_go_on_by_itself() {
    if is_browser_skipped() {
        return;
    }
    let mut scene = Scene::new().await;
    for (name, kind) in [
        ("waiting-approve", None),
        ("waiting-pick", Some(NumberMatchingKind::SelectNumber)),
        ("waiting-type", Some(NumberMatchingKind::EnterManually)),
    ] {
        scene.ask_by_push(kind).await;
        let question = scene.asked().await;
        let number = match kind {
            Some(_) => Some(scene.number().await),
            None => None,
        };
        scene.picture(name).await;
        question.approve("fpt", number).await.unwrap();
        let approved = Instant::now();
        scene.browser.arrive("Welcome").await;
        println!("{name}: at the application {:?} after the yes", approved.elapsed());
        let code = scene.browser.evaluate("new URLSearchParams(location.search).get('code')").await;
        scene.site.tokens(code.as_str().unwrap()).await;
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_page_shows_itself_on_phone_and_desk_by_day_and_by_night() {
    if is_browser_skipped() {
        return;
    }
    let mut scene = Scene::new().await;
    let other = scene.w.world.phone().await;
    scene.w.world.pair_beside(&scene.w.phone, &other, "ann").await;
    scene.ask_by_push(None).await;
    scene.arrive().await;
    scene.picture("login").await;
    scene.browser.fill("username", "ann").await;
    scene.browser.fill("password", "wrong").await;
    scene.browser.press("login").await;
    scene.browser.arrive("Sign in").await;
    scene.picture("login-wrong").await;
    let question = scene.asked().await;
    scene.picture("waiting-others").await;
    scene.browser.press("use_passcode").await;
    scene.browser.arrive("Enter your passcode").await;
    scene.picture("passcode").await;
    assert!(question.approve("fpt", None).await.is_err());
    scene.browser.press("devices").await;
    scene.browser.arrive("Choose a device").await;
    scene.picture("devices").await;
    scene.browser.press("device").await;
    scene.browser.arrive("Check your phone").await;
    // The time is over, and the page finds out by itself.
    scene.w.world.advance(40);
    scene.browser.arrive("No answer from your phone").await;
    scene.picture("timed-out").await;
    scene.browser.press("push").await;
    scene.browser.arrive("Check your phone").await;
    let question = scene.w.phone.sdk.pending_notifications().await.unwrap().remove(0);
    question.deny(DenyReason::None).await.unwrap();
    scene.browser.arrive("You are not signed in").await;
    scene.picture("denied").await;
    // The push service says at once that the app is gone.
    scene.w.uninstall();
    scene.arrive().await;
    scene.sign_in().await;
    scene.browser.arrive("Enter your passcode").await;
    scene.browser.evaluate("document.querySelector('.notice').textContent").await;
    scene.picture("notice").await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_an_app_goes_on_after_the_silent_push_and_offers_a_button_where_the_app_does_not_open()
 {
    if is_browser_skipped() {
        return;
    }
    let mut scene = Scene::new().await;
    let world = &mut scene.w.world;
    world.bank.require(&world.server, &[Step::Login, Step::Mfa(NoDevicesMode::Block)]).await;
    let extra_verification = Some(ExtraVerification::Restrictive);
    let authorization = DeviceAuthorization { extra_verification };
    scene
        .change_policy(|policy| {
            policy.mobile.applications[0].device_authorization = Some(authorization);
        })
        .await;
    scene.site = scene.w.world.app();
    let payload = scene.w.phone.sdk.generate_mobile_payload().await.unwrap();
    let request = scene.site.request().with("mobilePayload", &payload);
    scene.browser.open(&scene.site.authorize_url(&request)).await;
    scene.browser.arrive("Sign in").await;
    scene.sign_in().await;
    scene.browser.arrive("Checking your phone").await;
    scene.picture("waiting-silent").await;
    assert!(matches!(scene.w.deliver().await, RemoteNotification::Silent));
    let offered = "new Promise((offered) => new MutationObserver(() => onward.hidden || \
                   offered(onward.textContent)).observe(onward, { attributes: true }))";
    assert_eq!(scene.browser.evaluate(offered).await, "Continue");
    scene.picture("waiting-answered").await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_scripts_the_page_reads_itself_anew() {
    if is_browser_skipped() {
        return;
    }
    let mut scene = Scene::new().await;
    scene.ask_by_push(None).await;
    let off = serde_json::json!({ "value": true });
    scene.browser.call("Emulation.setScriptExecutionDisabled", off).await;
    let question = scene.asked().await;
    question.approve("fpt", None).await.unwrap();
    scene.browser.arrive("Welcome").await;
    scene.end().await;
}
