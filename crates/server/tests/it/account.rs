//! The page of the own account: who sees it, what can be done there, and who tries to.

use std::collections::BTreeMap;

use countersign_domain::{
    account,
    audit::Record,
    device::Device,
    id::Id,
    lockout::Limit,
    mfa_policy::{Authenticators, Messages, RecoveryCodes, Totp},
    user::User,
};
use countersign_protocol::otp;

use crate::world::{Browser, PASSWORD, Page, Phone, Step, World};

mod adding;
mod attacks;
mod authenticator_app;
mod changes;
mod chromium;
mod messages;
mod pages;
mod recovery_codes;

/// The application that the page is.
fn own_account(w: &World) -> Id<countersign_domain::application::Application> {
    account::application(w.bank.environment.id)
}

/// Lets people come to the page as to the applications of the bank: by a password, then by a device if they have one.
async fn trust(w: &World) {
    let (environment, policy) = (w.bank.environment.id, w.bank.sign_on_policy.id);
    w.server.assign_sign_on_policy(environment, own_account(w), policy, 1).await.unwrap();
}

/// Goes on with a browser that was asked to sign in, until the page is there.
async fn sign_in(browser: &mut Browser, page: Page, username: &str, phone: Option<&Phone>) -> Page {
    let fields = [("username", username), ("password", PASSWORD)];
    let page = browser.press(&page, "login", &fields).await;
    let Some(phone) = phone else { return page };
    let passcode = phone.passcode();
    browser.press(&page, "passcode", &[("passcode", &passcode)]).await
}

/// A browser at the page, whose user has given a password, and a passcode of the phone if there is one.
async fn at_the_page(w: &World, username: &str, phone: Option<&Phone>) -> (Browser, Page) {
    let mut browser = w.browser();
    let page = browser.open(&w.url("/account")).await;
    assert_eq!(page.heading(), "Sign in");
    let page = sign_in(&mut browser, page, username, phone).await;
    assert_eq!(page.heading(), "Your account", "{}", page.answer.text());
    (browser, page)
}

/// Presses a button of the form of a device, as the page shows it.
async fn press(browser: &mut Browser, page: &Page, action: &str, own: &Own) -> Page {
    let version = own.version.to_string();
    let fields = [("device", own.id.as_str()), ("version", &version)];
    browser.press(page, action, &fields).await
}

/// A device as its forms on the page name it.
#[derive(Clone, Debug)]
struct Own {
    id: String,
    version: i64,
}

/// The devices whose forms are on a page, in their order.
fn own_devices(page: &Page) -> Vec<Own> {
    let mut found: Vec<Own> = Vec::new();
    for part in page.answer.text().split("name=\"device\" value=\"").skip(1) {
        let (id, rest) = part.split_once('"').unwrap();
        let version = rest.split_once("name=\"version\" value=\"").unwrap().1;
        let version = version.split('"').next().unwrap().parse().unwrap();
        if found.iter().all(|own| own.id != id) {
            found.push(Own { id: id.to_owned(), version });
        }
    }
    found
}

/// What the page calls devices, in their order.
fn names(page: &Page) -> Vec<String> {
    let text = page.answer.text();
    let list = text.split_once("<ol class=\"cards\">").map_or("", |(_, rest)| rest);
    let list = list.split("</ol>").next().unwrap_or_default();
    let names = list.split("<div class=\"card\">\n<strong>").skip(1);
    names.map(|name| name.split('<').next().unwrap().to_owned()).collect()
}

/// The applications of the sign-ons on a page, in their order.
fn sign_ons(page: &Page) -> Vec<String> {
    let text = page.answer.text();
    let list = text.split_once("<ul class=\"cards\">").map_or("", |(_, rest)| rest);
    let names = list.split("<div class=\"card\">\n<strong>").skip(1);
    names.map(|name| name.split('<').next().unwrap().to_owned()).collect()
}

async fn devices(w: &World, user: &User) -> Vec<Device> {
    w.server.list_devices(w.bank.environment.id, user.id).await.unwrap()
}

/// Whom a record names as those who did it.
fn actors(record: &Record) -> (Option<String>, Option<String>) {
    let actors = record.entry.actors();
    (actors.client.and_then(|client| client.name), actors.user.and_then(|user| user.name))
}

/// Whether a page only looks, and says so.
fn asks_to_confirm(page: &Page) -> bool {
    let text = page.answer.text();
    let confirms = text.contains("value=\"confirm\"");
    assert!(!(confirms && text.contains("value=\"add\"")), "one of the two: {text}");
    confirms
}

/// Two phones of ann, the second paired beside the first.
async fn two_phones(w: &World) -> (Phone, Phone) {
    let first = w.phone_paired_to("ann").await;
    let second = w.phone().await;
    w.pair_beside(&first, &second, "ann").await;
    (first, second)
}

/// Whoever signs on gives a password and nothing more, also at the page.
async fn ask_for_passwords_alone(w: &mut World) {
    trust(w).await;
    w.bank.require(&w.server, &[Step::Login]).await;
}

/// Lets people add authenticator apps and recovery codes, and come to the page as to the applications of the bank.
async fn accept_authenticators(w: &mut World) {
    trust(w).await;
    let passcode_limit = Limit { failures: 3, lock_seconds: 120 };
    let totp = Totp {
        passcode_limit,
        grace_steps: 1,
        pairing_disabled: false,
        uri_parameters: BTreeMap::new(),
    };
    let recovery_codes = Some(RecoveryCodes { passcode_limit });
    let messages = Some(Messages::USUAL);
    let accepted = Authenticators {
        totp: Some(totp),
        recovery_codes,
        email: messages,
        sms: messages,
        voice: messages,
    };
    w.bank.change_mfa_policy(&w.server, |policy| policy.authenticators = accepted).await;
}

/// An authenticator app that knows a seed.
struct App {
    seed: Vec<u8>,
}

impl App {
    /// One that has read the page.
    fn on(page: &Page) -> Self {
        let uri = page.answer.text().split_once("?secret=").unwrap().1;
        let (mut bits, mut held, mut seed) = (0_u32, 0, Vec::new());
        for letter in uri.split('&').next().unwrap().bytes() {
            let place = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|b| *b == letter);
            bits = bits << 5 | u32::try_from(place.unwrap()).unwrap();
            held += 5;
            if held >= 8 {
                held -= 8;
                seed.push(u8::try_from(bits >> held & 0xff).unwrap());
            }
        }
        assert_eq!(seed.len(), 20);
        Self { seed }
    }

    fn passcode(&self, w: &World) -> String {
        otp::generate(&self.seed, 30, w.server.now()).expose().to_owned()
    }

    /// Six digits that it does not show now, nor a little before or after.
    fn wrong(&self, w: &World) -> String {
        let now = w.server.now();
        let near = |code: &str| otp::matching_step(&self.seed, 30, 10, code, now).is_some();
        let mut codes = (0..).map(|n| format!("{n:06}"));
        codes.find(|code| !near(code)).unwrap()
    }
}

/// An authenticator app of a user who had nothing, which shows the next passcode already.
async fn with_app(w: &mut World, username: &str) -> App {
    if w.bank.mfa_policy.authenticators.none() {
        accept_authenticators(w).await;
    }
    let (mut browser, page) = at_the_page(w, username, None).await;
    let page = browser.press(&page, "add_authenticator", &[]).await;
    let app = App::on(&page);
    let page = browser.press(&page, "activate", &[("passcode", &app.passcode(w))]).await;
    assert_eq!(names(&page), ["Authenticator app"], "{}", page.answer.text());
    w.advance(30);
    app
}
