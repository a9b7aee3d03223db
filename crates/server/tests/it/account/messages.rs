//! Passcodes by mail, text message and phone call: a real conversation with a mail server, and a hook.

use countersign_domain::{mfa_policy::Messages, mfa_settings::MfaSettings};
use countersign_emulator::{MailServer, push_service::authority::Authority};
use countersign_protocol::secret::Secret;
use countersign_server::{HookSettings, MailSecurity, MailSettings, MailWay, Settings};
use countersign_store::Engine;
use serde_json::{Value, json};
use tokio::time::Duration;

use crate::{
    account::{accept_authenticators, asks_to_confirm, at_the_page, names, sign_in},
    world::{Behaviour, Browser, Hook, PASSWORD, Page, SignOn, World},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";
/// `countersign` and `s3cret` as `AUTH PLAIN` has them.
const PLAIN: &str = "AGNvdW50ZXJzaWduAHMzY3JldA==";

/// A mail server, and an authority that vouches for it.
async fn mail_server() -> (MailServer, String) {
    let authority = Authority::new().unwrap();
    (MailServer::open(Some(&authority), Some(PLAIN)).await.unwrap(), authority.pem())
}

fn mail(port: u16, authorities: &str, password: &str) -> MailSettings {
    let credentials = Some(("countersign".to_owned(), Secret::new(password.to_owned())));
    let server = countersign_server::MailServer {
        host: "localhost".to_owned(),
        port,
        security: MailSecurity::Tls,
        credentials,
        authorities: authorities.as_bytes().to_vec(),
    };
    let (from, way) = ("Bank <no-reply@bank.example>".to_owned(), MailWay::Server(server));
    MailSettings { from, way, timeout: Duration::from_secs(10) }
}

/// A world that sends mail.
async fn world(engine: Engine) -> (World, MailServer) {
    let (server, pem) = mail_server().await;
    let mail = mail(server.port(), &pem, "s3cret");
    let mut w = World::with_settings(engine, |settings| settings.mail = Some(mail)).await;
    accept_authenticators(&mut w).await;
    (w, server)
}

/// The passcode of the only mail that has come, or of what else was said.
fn passcode_of(text: &str) -> String {
    let said = text.split_once(" is your passcode").unwrap().0;
    said.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap().to_owned()
}

async fn mailed(w: &World, server: &MailServer) -> String {
    w.server.send_due().await.unwrap();
    let [mail] = server.received().try_into().unwrap();
    assert_eq!(
        (mail.from.as_str(), mail.to.as_slice()),
        ("no-reply@bank.example", &["ann@example.org".to_owned()][..])
    );
    assert!(mail.text.contains("Subject: Your passcode for Bank"), "{}", mail.text);
    passcode_of(&mail.text)
}

/// Ann at her page, asked for the passcode that was sent to her address.
async fn ann_adds_an_address(w: &World) -> (Browser, Page) {
    let (mut browser, page) = at_the_page(w, "ann", None).await;
    let page = browser.press(&page, "add_email", &[("address", "ann@example.org")]).await;
    assert_eq!(page.heading(), "Enter the passcode");
    (browser, page)
}

/// Ann with an address that counts.
async fn ann_with_an_address(w: &World, server: &MailServer) -> (Browser, Page) {
    let (mut browser, page) = ann_adds_an_address(w).await;
    let passcode = mailed(w, server).await;
    let page = browser.press(&page, "activate", &[("passcode", &passcode)]).await;
    assert_eq!(names(&page), ["E-mail to a***@example.org"], "{}", page.answer.text());
    (browser, page)
}

async fn asked(w: &World) -> SignOn {
    let mut sign_on = w.site().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
    sign_on
}

fn other_than(passcode: &str) -> String {
    format!("{:06}", (passcode.parse::<u32>().unwrap() + 1) % 1_000_000)
}

async fn an_address_is_verified_and_then_signs_in(engine: Engine) {
    let (w, server) = world(engine).await;
    let (mut browser, page) = ann_adds_an_address(&w).await;
    let passcode = mailed(&w, &server).await;
    let wrong = other_than(&passcode);
    let page = browser.press(&page, "activate", &[("passcode", &wrong)]).await;
    assert!(page.problem().starts_with("That passcode did not work"));
    let page = browser.press(&page, "activate", &[("passcode", &passcode)]).await;
    assert_eq!(names(&page), ["E-mail to a***@example.org"]);
    let mut site = w.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let login = [("username", "ann"), ("password", PASSWORD)];
    let page = site.browser.press(&page, "login", &login).await;
    assert!(page.answer.text().contains("sent to <strong>a***@example.org</strong>"));
    let first = mailed(&w, &server).await;
    let page = site.browser.press(&page, "send_again", &[]).await;
    let second = mailed(&w, &server).await;
    // The last one counts, and only for the sign-on for which it was sent.
    let page = site.browser.press(&page, "passcode", &[("passcode", &first)]).await;
    assert!(page.problem().starts_with("That passcode did not work"));
    let mut other = asked(&w).await;
    let of_other = mailed(&w, &server).await;
    other.passcode(&second).await.must_be(400);
    let end = site.browser.press(&page, "passcode", &[("passcode", &second)]).await;
    let tokens = site.tokens(&end.returned("code").unwrap()).await;
    assert_eq!(tokens.id_claims()["amr"], json!(["pwd", "otp", "mfa"]));
    other.passcode(&of_other).await.must_be(200);
    assert_eq!(other.flow["status"], "COMPLETED");
    let device = w.audit_of("OTP.CHECK_SUCCESS").await[0].event.device.clone().unwrap();
    assert_eq!(device.name.as_deref(), Some("E-mail"));
    w.end().await;
}

#[tokio::test]
async fn an_address_is_verified_and_then_signs_in_on_sqlite() {
    an_address_is_verified_and_then_signs_in(Engine::Sqlite).await;
}

#[tokio::test]
async fn an_address_is_verified_and_then_signs_in_on_postgres() {
    if !crate::database::is_skipped(Engine::Postgres) {
        an_address_is_verified_and_then_signs_in(Engine::Postgres).await;
    }
}

#[tokio::test]
async fn a_passcode_that_was_sent_ends_with_its_time() {
    let (mut w, server) = world(Engine::Sqlite).await;
    ann_with_an_address(&w, &server).await;
    let brief = |policy: &mut countersign_domain::mfa_policy::MfaPolicy| {
        policy.authenticators.email = Some(Messages { life_seconds: 60, ..Messages::USUAL });
    };
    w.bank.change_mfa_policy(&w.server, brief).await;
    let mut late = asked(&w).await;
    let passcode = mailed(&w, &server).await;
    w.advance(60);
    late.passcode(&passcode).await.must_be(400);
    let mut in_time = asked(&w).await;
    let passcode = mailed(&w, &server).await;
    w.advance(59);
    in_time.passcode(&passcode).await.must_be(200);
}

#[tokio::test]
async fn guessing_ends_the_passcode_even_without_a_lock_and_few_are_sent() {
    let (w, server) = world(Engine::Sqlite).await;
    ann_with_an_address(&w, &server).await;
    // Else the lock of the user would end it before.
    let settings = MfaSettings { lockout: None, ..MfaSettings::default() };
    w.server.put_mfa_settings(w.bank.environment.id, settings).await.unwrap();
    let mut sign_on = asked(&w).await;
    // One was sent to verify the address, so four more are.
    let mut last = String::new();
    for _ in 0..4 {
        last = mailed(&w, &server).await;
        for _ in 0..3 {
            sign_on.passcode(&other_than(&last)).await.must_be(400);
        }
    }
    // The right one of before the lock counts no more, and there is no other.
    sign_on.passcode(&last).await.must_be(400);
    w.server.send_due().await.unwrap();
    assert!(server.received().is_empty());
    assert_eq!(
        w.audit_of("NOTIFICATION.REJECTED").await[0].event.reason.as_deref(),
        Some("too_many_passcodes")
    );
    // Whoever is asked now reads why nothing comes.
    let mut browser = w.browser();
    let page = browser.open(&w.url("/account")).await;
    let page = sign_in(&mut browser, page, "ann", None).await;
    assert!(page.problem().starts_with("Very many passcodes"), "{}", page.answer.text());
    w.advance(900);
    asked(&w).await.passcode(&mailed(&w, &server).await).await.must_be(200);
}

#[tokio::test]
async fn who_asks_again_and_again_fills_nobodys_mailbox() {
    let (w, server) = world(Engine::Sqlite).await;
    let (mut browser, mut page) = at_the_page(&w, "ann", None).await;
    for n in 0..5 {
        let address = format!("victim{n}@example.org");
        let added = browser.press(&page, "add_email", &[("address", &address)]).await;
        assert_eq!(added.heading(), "Enter the passcode");
        page = browser.open(&page.url).await;
    }
    let refused = browser.press(&page, "add_email", &[("address", "victim@example.org")]).await;
    assert!(refused.problem().starts_with("Very many passcodes"), "{}", refused.problem());
    w.server.send_due().await.unwrap();
    // What is no more is not sent either.
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn what_is_no_address_is_not_written_to() {
    let (w, server) = world(Engine::Sqlite).await;
    let (mut browser, mut page) = at_the_page(&w, "ann", None).await;
    for address in ["ann", "ann@example.org\r\nBcc: x@example.org", "a b@example.org", ""] {
        page = browser.press(&page, "add_email", &[("address", address)]).await;
        assert!(page.problem().starts_with("Nothing can be sent there."), "{address}");
    }
    // Without a hook there are no numbers.
    let refused = browser.press(&page, "add_sms", &[("address", "+4915112345678")]).await;
    assert!(refused.problem().starts_with("Your organisation does not let you add that"));
    w.server.send_due().await.unwrap();
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn an_address_is_added_beside_a_device_only_by_who_has_shown_that() {
    let (w, server) = world(Engine::Sqlite).await;
    let (mut thief, page) = ann_adds_an_address(&w).await;
    let passcode = mailed(&w, &server).await;
    w.phone_paired_to("ann").await;
    let refused = thief.press(&page, "activate", &[("passcode", &passcode)]).await;
    assert_eq!(refused.heading(), "Enter your password");
    let refused = thief.press(&page, "send_again", &[]).await;
    assert_eq!(refused.heading(), "Enter your password");
    assert!(asks_to_confirm(&thief.open(&page.url).await));
}

#[tokio::test]
async fn a_mail_server_in_trouble_is_asked_again_and_one_that_refuses_is_not() {
    let (w, server) = world(Engine::Sqlite).await;
    ann_with_an_address(&w, &server).await;
    server.refuse(Some("451 later"));
    let mut sign_on = asked(&w).await;
    w.server.send_due().await.unwrap();
    server.refuse(None);
    w.advance(30);
    let passcode = mailed(&w, &server).await;
    sign_on.passcode(&passcode).await.must_be(200);
    server.refuse(Some("550 nobody of that name"));
    asked(&w).await;
    w.server.send_due().await.unwrap();
    server.refuse(None);
    w.advance(600);
    w.server.send_due().await.unwrap();
    assert!(server.received().is_empty());
    let told = w.audit_of("NOTIFICATION.REJECTED").await;
    assert_eq!(told[0].event.reason.as_deref(), Some("refused_by_application"));
}

#[tokio::test]
async fn no_mail_goes_to_a_server_that_nobody_vouches_for_or_that_does_not_know_us() {
    let (server, pem) = mail_server().await;
    let (_, other) = mail_server().await;
    for (authorities, password) in [(other.as_str(), "s3cret"), (pem.as_str(), "wrong")] {
        let mail = mail(server.port(), authorities, password);
        let mut w = World::with_settings(Engine::Sqlite, |it| it.mail = Some(mail)).await;
        accept_authenticators(&mut w).await;
        ann_adds_an_address(&w).await;
        w.server.send_due().await.unwrap();
        assert!(server.received().is_empty(), "{password}");
    }
}

#[tokio::test]
async fn while_somebody_develops_mail_goes_into_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (from, timeout) = ("no-reply@bank.example".to_owned(), Duration::from_secs(1));
    let mail = MailSettings { from, way: MailWay::Folder(folder.path().join("mailbox")), timeout };
    let mut w = World::with_settings(Engine::Sqlite, |it| it.mail = Some(mail)).await;
    accept_authenticators(&mut w).await;
    let (mut browser, page) = ann_adds_an_address(&w).await;
    w.server.send_due().await.unwrap();
    let files: Vec<_> = std::fs::read_dir(folder.path().join("mailbox")).unwrap().collect();
    let [file] = files.try_into().unwrap();
    let path = file.unwrap().path();
    assert!(path.extension().is_some_and(|it| it == "eml"));
    let passcode = passcode_of(&std::fs::read_to_string(path).unwrap());
    let page = browser.press(&page, "activate", &[("passcode", &passcode)]).await;
    assert_eq!(page.notice(), "It is added, and can sign you in from now on.");
}

fn by_hook(hook: &Hook) -> impl FnOnce(&mut Settings) {
    let url = hook.url();
    move |settings: &mut Settings| {
        let secret = HookSettings::secret(&Secret::new(SECRET.to_owned())).unwrap();
        settings.hook = Some(HookSettings { url, secret, timeout: Duration::from_secs(5) });
    }
}

async fn hooked(w: &World, hook: &mut Hook, channel: &str) -> String {
    w.server.send_due().await.unwrap();
    let [told] = hook.told().try_into().ok().unwrap();
    assert!(told.is_signed_with(SECRET));
    let body: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!((&body["channel"], &body["to"]), (&json!(channel), &json!("+4915112345678")));
    assert_eq!(passcode_of(body["text"].as_str().unwrap()), body["passcode"].as_str().unwrap());
    body["passcode"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_number_is_verified_by_the_hook_and_then_signs_in() {
    for (action, channel, name) in [
        ("add_sms", "SMS", "Text message to ************78"),
        ("add_voice", "VOICE", "Phone call to ************78"),
    ] {
        let mut hook = Hook::open().await;
        let mut w = World::with_settings(Engine::Sqlite, by_hook(&hook)).await;
        accept_authenticators(&mut w).await;
        let longer = Some(Messages { digits: 8, ..Messages::USUAL });
        let change = |policy: &mut countersign_domain::mfa_policy::MfaPolicy| {
            (policy.authenticators.sms, policy.authenticators.voice) = (longer, longer);
        };
        w.bank.change_mfa_policy(&w.server, change).await;
        let (mut browser, page) = at_the_page(&w, "ann", None).await;
        let page = browser.press(&page, action, &[("address", "+49 (151) 123-456-78")]).await;
        let passcode = hooked(&w, &mut hook, channel).await;
        assert_eq!(passcode.len(), 8);
        let page = browser.press(&page, "activate", &[("passcode", &passcode)]).await;
        assert_eq!(names(&page), [name]);
        let (environment, ann) = (w.bank.environment.id, w.bank.ann.id);
        let id = w.server.list_authenticators(environment, ann).await.unwrap()[0].id;
        // A back end sees the number masked, and the hook is tried again with the same id while it is in trouble.
        hook.will(Behaviour::Answer(503));
        let mut authentication = w.backend().await.begin(&w.ann()).await;
        assert_eq!(authentication.device(0), id.to_string());
        assert_eq!(authentication.shown["_embedded"]["devices"][0]["phone"], "************78");
        w.server.send_due().await.unwrap();
        let first = hook.told().remove(0);
        hook.will(Behaviour::Answer(200));
        w.advance(30);
        w.server.send_due().await.unwrap();
        let second = hook.told().remove(0);
        assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
        let body: Value = serde_json::from_str(&second.body).unwrap();
        authentication.passcode(body["passcode"].as_str().unwrap()).await.must_be(200);
        assert_eq!(authentication.status(), "COMPLETED");
    }
}
