//! The page of a code in a real browser, whose picture another library than ours reads.

use countersign_domain::{application::Application, mfa_policy::MfaPolicy};
use countersign_sdk::AuthenticationObject;
use serde_json::json;
use tokio::time::Instant;

use crate::world::{Bank, PASSWORD, Scene, is_browser_skipped};

/// A scene whose site lets people sign on with the bank's app.
async fn offering() -> Scene {
    let offer =
        |bank: &Bank, site: &mut Application| site.oidc.phone_sign_on = Some(bank.native.id);
    let mut scene = Box::pin(Scene::at_site(offer)).await;
    // Its app is opened by an address of the bank.
    let native = |native: &mut Application| {
        let mobile = native.mobile.as_mut().unwrap();
        mobile.uri_prefix = Some("https://bank.example/app".to_owned());
    };
    scene.w.world.change_native(native).await;
    let desk = json!({ "width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": false });
    scene.browser.call("Emulation.setDeviceMetricsOverride", desk).await;
    scene.arrive().await;
    scene
}

impl Scene {
    /// Presses the button that lets a phone sign on, and reads the QR code off the screen.
    async fn scan(&mut self) -> String {
        self.browser.press("phone").await;
        self.browser.arrive("Sign in with your phone").await;
        read(&self.browser.screenshot().await)
    }

    async fn claim(&mut self) -> AuthenticationObject {
        let text = self.scan().await;
        self.w.phone.sdk.authenticate(&text).await.unwrap()
    }

    async fn arrived(&mut self) {
        self.browser.arrive("Welcome").await;
        let code = self.browser.evaluate("new URLSearchParams(location.search).get('code')").await;
        self.site.tokens(code.as_str().unwrap()).await;
    }
}

/// The text of the one QR code in a picture.
fn read(picture: &[u8]) -> String {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(picture));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let (width, samples) = (info.width as usize, info.color_type.samples());
    let grey = |x: usize, y: usize| pixels[(y * width + x) * samples];
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, info.height as usize, grey);
    let grids = image.detect_grids();
    assert_eq!(grids.len(), 1, "one code on the screen");
    grids[0].decode().unwrap().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_reads_the_picture_signs_its_person_on() {
    if is_browser_skipped() {
        return;
    }
    let mut scene = offering().await;
    scene.picture("login-phone").await;
    let text = scene.scan().await;
    assert!(text.starts_with("https://bank.example/app/pingonesdk?authentication_code="), "{text}");
    scene.picture("scan").await;
    let question = scene.w.phone.sdk.authenticate(&text).await.unwrap();
    assert_eq!(question.application(), "Bank");
    assert!(question.origin().browser.as_deref().unwrap().contains("Chrome"));
    scene.browser.arrive("Continue on your phone").await;
    scene.picture("scan-claimed").await;
    question.approve(None, None).await.unwrap();
    let approved = Instant::now();
    scene.arrived().await;
    println!("at the application {:?} after the yes", approved.elapsed());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_runs_out_under_somebodys_eyes_is_shown_anew() {
    if is_browser_skipped() {
        return;
    }
    let mut scene = offering().await;
    let old = scene.scan().await;
    scene.w.world.advance(60);
    // The page that says that the code has run out renews it by itself.
    let old_code = old.rsplit('=').next().unwrap();
    let renewed = format!(
        "(document.querySelector('.characters strong')?.textContent ?? '{old_code}') !== '{old_code}'"
    );
    scene.browser.until(&renewed).await;
    let new = read(&scene.browser.screenshot().await);
    let question = scene.w.phone.sdk.authenticate(&new).await.unwrap();
    question.approve(None, None).await.unwrap();
    scene.arrived().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_is_shown_once_a_phone_has_the_code() {
    if is_browser_skipped() {
        return;
    }
    let mut scene = offering().await;
    let rule = |policy: &mut MfaPolicy| policy.mobile.applications[0].codes.number_matching = true;
    let world = &mut scene.w.world;
    world.bank.change_mfa_policy(&world.server, rule).await;
    let question = scene.claim().await;
    scene.browser.arrive("Continue on your phone").await;
    scene.picture("scan-number").await;
    let number = scene.browser.evaluate("document.getElementById('number').textContent").await;
    let number = number.as_str().unwrap().parse().unwrap();
    question.approve(None, Some(number)).await.unwrap();
    scene.arrived().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_on_the_phone_leaves_the_other_ways_open() {
    if is_browser_skipped() {
        return;
    }
    let mut scene = offering().await;
    let question = scene.claim().await;
    scene.browser.arrive("Continue on your phone").await;
    question.deny(None).await.unwrap();
    scene.browser.arrive("Sign in with your phone").await;
    scene.picture("scan-denied").await;
    scene.browser.press("reset").await;
    scene.browser.arrive("Sign in").await;
    scene.browser.fill("username", "ann").await;
    scene.browser.fill("password", PASSWORD).await;
    scene.browser.press("login").await;
    scene.browser.arrive("Enter your passcode").await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_scripts_the_page_of_a_code_reads_itself_anew() {
    if is_browser_skipped() {
        return;
    }
    let mut scene = offering().await;
    let off = json!({ "value": true });
    scene.browser.call("Emulation.setScriptExecutionDisabled", off).await;
    scene.arrive().await;
    let question = scene.claim().await;
    scene.browser.arrive("Continue on your phone").await;
    question.approve(None, None).await.unwrap();
    scene.arrived().await;
    scene.end().await;
}
