//! The page of the own account in a real browser.

use serde_json::json;

use crate::{
    account::trust,
    world::{PASSWORD, Scene, is_browser_skipped},
};

impl Scene {
    /// Signs ann in at the page, with a passcode of her phone.
    async fn open_account(&mut self) {
        let url = self.w.world.url("/account");
        self.browser.open(&url).await;
        self.browser.arrive("Sign in").await;
        self.sign_in().await;
        self.browser.arrive("Enter your passcode").await;
        self.browser.fill("passcode", &self.w.phone.passcode()).await;
        self.browser.press("passcode").await;
        self.browser.arrive("Your account").await;
    }

    /// What the Tab key comes to, one after the other: words of links, buttons and fields.
    async fn tab_order(&mut self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        self.browser.evaluate("document.activeElement.blur()").await;
        loop {
            for kind in ["rawKeyDown", "keyUp"] {
                let key = json!({
                    "type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9,
                });
                self.browser.call("Input.dispatchKeyEvent", key).await;
            }
            let focused = "document.activeElement === document.body ? '' : \
                           (document.activeElement.labels?.[0] ?? document.activeElement).textContent";
            let focused = self.browser.evaluate(focused).await.as_str().unwrap().to_owned();
            if focused.is_empty() || found.len() > 40 {
                return found;
            }
            found.push(focused);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_manages_the_own_devices_with_the_keyboard_alone_and_adds_one() {
    if is_browser_skipped() {
        return;
    }
    let mut scene = Scene::new().await;
    trust(&scene.w.world).await;
    let other = scene.w.world.phone().await;
    scene.w.world.pair_beside(&scene.w.phone, &other, "ann").await;
    scene.open_account().await;
    scene.picture("account").await;
    let order = scene.tab_order().await;
    let expected = [
        "Rename FP5",
        "Move down FP5",
        "Remove FP5",
        "Rename FP5",
        "Move up FP5",
        "Remove FP5",
        "Add a phone",
        "Sign out",
    ];
    assert_eq!(order, expected);
    let rename = "document.querySelector('details').open = true; \
                  document.querySelector('[name=nickname]').select()";
    scene.browser.evaluate(rename).await;
    scene.picture("account-rename").await;
    scene.browser.call("Input.insertText", json!({ "text": "My phone" })).await;
    for kind in ["keyDown", "keyUp"] {
        let key = json!({
            "type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r",
        });
        scene.browser.call("Input.dispatchKeyEvent", key).await;
    }
    let renamed =
        "document.querySelector('.notice')?.textContent === 'The device has its new name.'";
    scene.browser.until(renamed).await;
    scene.picture("account-done").await;
    scene.browser.press("remove").await;
    scene.browser.arrive("Remove this device?").await;
    scene.picture("account-remove").await;
    scene.browser.open(&scene.w.world.url("/account")).await;
    scene.browser.arrive("Your account").await;
    scene.browser.press("add").await;
    scene.browser.arrive("Add a phone").await;
    scene.picture("account-add").await;
    let key = scene.browser.evaluate("document.getElementById('key').textContent").await;
    let third = scene.w.world.phone().await;
    third.sdk.pair(key.as_str().unwrap()).await.unwrap();
    // The page finds out by itself.
    let paired = "document.querySelector('.notice')?.textContent.startsWith('The phone is paired')";
    scene.browser.until(paired).await;
    let count = scene.browser.evaluate("document.querySelectorAll('ol.cards > li').length").await;
    assert_eq!(count, 3);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_before_a_proof_and_without_a_device_shows_itself() {
    if is_browser_skipped() {
        return;
    }
    let mut scene = Scene::new().await;
    trust(&scene.w.world).await;
    scene.open_account().await;
    scene.w.world.advance(600);
    scene.browser.open(&scene.w.world.url("/account")).await;
    scene.browser.arrive("Your account").await;
    scene.w.world.advance(400);
    scene.browser.open(&scene.w.world.url("/account")).await;
    scene.browser.until("document.querySelector('[value=confirm]') !== null").await;
    scene.picture("account-confirm").await;
    scene.browser.press("confirm").await;
    scene.browser.arrive("Enter your password").await;
    scene.browser.fill("password", PASSWORD).await;
    scene.browser.press("password").await;
    scene.browser.arrive("Enter your passcode").await;
    scene.browser.fill("passcode", &scene.w.phone.passcode()).await;
    scene.browser.press("passcode").await;
    scene.browser.arrive("Your account").await;
    scene.browser.press("remove").await;
    scene.browser.arrive("Remove this device?").await;
    scene.picture("account-remove-last").await;
    scene.browser.press("remove_confirmed").await;
    scene.browser.until("document.querySelector('ol.cards') === null").await;
    scene.picture("account-empty").await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_scripts_the_page_of_a_key_reads_itself_anew() {
    if is_browser_skipped() {
        return;
    }
    let mut scene = Scene::new().await;
    trust(&scene.w.world).await;
    let off = json!({ "value": true });
    scene.browser.call("Emulation.setScriptExecutionDisabled", off).await;
    scene.open_account().await;
    scene.browser.press("add").await;
    scene.browser.arrive("Add a phone").await;
    let key = scene.browser.evaluate("document.getElementById('key').textContent").await;
    let other = scene.w.world.phone().await;
    other.sdk.pair(key.as_str().unwrap()).await.unwrap();
    scene.browser.arrive("Your account").await;
    scene.end().await;
}
