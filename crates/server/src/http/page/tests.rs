//! What every page must keep: its words, its escaping, its labels and its token.

use std::sync::LazyLock;

use countersign_domain::password::Unmet;

use super::*;
use crate::app::Offers;

const FORM: Form<'static> = Form { action: "/env/flows/flow", token: "t0ken" };

fn devices() -> [DeviceChoice; 2] {
    let choice = |id: &str, name: &str, push, detail: &str| DeviceChoice {
        id: id.to_owned(),
        name: name.to_owned(),
        push,
        source: Source::Authenticator,
        detail: detail.to_owned(),
    };
    [
        choice("device-1", "Ann's phone", true, "Paired 2026-01-05"),
        choice("device-2", "Old phone", false, ""),
    ]
}

const ALL: Others = Others { push: true, passcode: true, device: true };

const MEMBERS: &[(&str, &str)] = &[("code", "c0de"), ("state", "a\"b<c>")];

const FAILURES: [FailureText; 13] = [
    FailureText::NoUsableDevice,
    FailureText::DeviceBlocked,
    FailureText::DeviceLocked,
    FailureText::UserLocked,
    FailureText::MfaDisabled,
    FailureText::Compromised,
    FailureText::ExtraVerificationFailed,
    FailureText::PushDenied,
    FailureText::PushesStopped,
    FailureText::Cancelled,
    FailureText::OtherUser,
    FailureText::NoSteps,
    FailureText::MissingClaim,
];

const PROBLEMS: [Problem; 32] = [
    Problem::WrongCredentials,
    Problem::PasswordLocked { minutes: 0 },
    Problem::PasswordLocked { minutes: 15 },
    Problem::NewPassword(Unmet::TooShort { min: 8 }),
    Problem::NewPassword(Unmet::TooLong { max: 256 }),
    Problem::NewPassword(Unmet::NamesUser),
    Problem::NewPassword(Unmet::Common),
    Problem::NewPassword(Unmet::SameAsBefore),
    Problem::PasswordsDiffer,
    Problem::Required("new password"),
    Problem::WrongPasscode,
    Problem::WrongUserCode,
    Problem::TooManyUserCodes,
    Problem::Required("user_code"),
    Problem::Required("username"),
    Problem::Required("device"),
    Problem::Busy,
    Problem::TooMany { seconds: 1 },
    Problem::TooMany { seconds: 30 },
    Problem::Expired,
    Problem::NotNow,
    Problem::DeviceChanged,
    Problem::DeviceBarred,
    Problem::Nickname,
    Problem::KeyExpired,
    Problem::TooManyKeys,
    Problem::NoPairing,
    Problem::NotOffered,
    Problem::TooManyDevices,
    Problem::ActivationOver,
    Problem::BadAddress,
    Problem::TooManyPasscodes,
];

/// The screens that ask, with the same text wherever one of them takes text.
fn asking<'a>(
    text: &'a str,
    devices: &'a [DeviceChoice],
    problem: Option<Problem>,
) -> [(&'static str, Screen<'a>); 18] {
    let form = FORM;
    let waiting = |question, others| Screen::Waiting {
        form,
        device: text,
        question,
        wait: Wait { status: text, seconds: 34 },
        others,
        problem,
    };
    let others = Others { passcode: false, ..ALL };
    let passcode = |source| Screen::Passcode { form, device: text, source, others, problem };
    let without_push = Others { push: false, ..ALL };
    let scan = |stage| Screen::Scan { form, code: shown(text, stage), problem };
    [
        ("login", Screen::Login { form, username: text, phone: true, problem }),
        ("identifier", Screen::Identifier { form, username: text, phone: true, problem }),
        ("password", Screen::Password { form, username: text, phone: true, problem }),
        (
            "password_change",
            Screen::PasswordChange { form, username: text, min_characters: 8, problem },
        ),
        ("device_selection", Screen::DeviceSelection { form, devices, problem }),
        ("waiting_scan", scan(Stage::Unclaimed)),
        ("waiting_claimed", scan(Stage::Claimed(Question::Type("048213")))),
        ("code_denied", scan(Stage::Denied)),
        ("code_expired", scan(Stage::Expired)),
        ("timed_out", Screen::TimedOut { form, device: text, others: ALL, problem }),
        ("waiting_silent", waiting(Question::Silent, Others::default())),
        ("waiting_approve", waiting(Question::Approve, without_push)),
        ("waiting_pick", waiting(Question::Pick("47"), without_push)),
        ("waiting_type", waiting(Question::Type("048213"), without_push)),
        ("passcode", passcode(Source::Phone)),
        ("passcode_of_app", passcode(Source::Authenticator)),
        ("recovery_code", passcode(Source::RecoveryCodes)),
        ("passcode_by_mail", passcode(Source::Email)),
    ]
}

static PICTURE: LazyLock<Qr> = LazyLock::new(|| Qr::new("7F45HGF5", "QR code").unwrap());

fn shown<'a>(text: &'a str, stage: Stage<'a>) -> ShownCode<'a> {
    ShownCode {
        picture: &PICTURE,
        characters: text,
        link: Some(text),
        stage,
        state: text,
        events: text,
        seconds: 34,
    }
}

/// The screens for a person with a device, whose forms have no way out but to go away.
fn connecting(text: &str, problem: Option<Problem>) -> [(&'static str, Screen<'_>); 4] {
    let form = FORM;
    [
        ("user_code", Screen::UserCode { form, user_code: text, problem }),
        ("device_consent", Screen::DeviceConsent { form, username: text }),
        ("device_allowed", Screen::DeviceDone { allowed: true }),
        ("device_refused", Screen::DeviceDone { allowed: false }),
    ]
}

const OFFERS: Offers =
    Offers { totp: true, email: true, sms: true, voice: true, recovery_codes: true };

const DONE: [Done; 6] =
    [Done::Renamed, Done::Moved, Done::Removed, Done::Paired, Done::Added, Done::Withdrawn];

fn own_devices(text: &str) -> [OwnDevice; 3] {
    let device = |id: &str, bar| OwnDevice {
        id: id.to_owned(),
        version: 7,
        name: text.to_owned(),
        nickname: text.to_owned(),
        details: vec![text.to_owned()],
        bar,
    };
    [
        device("device-1", None),
        device("device-2", Some(Bar::Blocked)),
        device("device-3", Some(Bar::Locked(text.to_owned()))),
    ]
}

fn own_sign_ons(text: &str) -> [SignOn; 2] {
    let sign_on = |device: &str, succeeded| SignOn {
        at: "2026-01-05T09:00:00.000Z".to_owned(),
        time: "5 January 2026, 09:00 UTC".to_owned(),
        application: text.to_owned(),
        device: device.to_owned(),
        address: device.to_owned(),
        succeeded,
    };
    [sign_on(text, true), sign_on("", false)]
}

fn own_qr() -> Qr {
    Qr::new("1", "QR code of the key").unwrap()
}

/// The screens of the own account, with the same text wherever one of them takes text.
fn own<'a>(
    text: &'a str,
    (devices, sign_ons, qr): (&'a [OwnDevice], &'a [SignOn], &'a Qr),
    problem: Option<Problem>,
) -> [(&'static str, Screen<'a>); 12] {
    let account = |standing, devices| {
        Screen::Account(Account {
            form: FORM,
            username: text,
            standing,
            devices,
            offers: OFFERS,
            sign_ons,
            older: Some(text),
            newest: Some(text),
            sign_off: text,
            done: None,
            problem,
        })
    };
    let authenticator = AddAuthenticator {
        form: FORM,
        qr: Some(qr),
        secret: text,
        link: text,
        back: text,
        problem,
    };
    let removal = |last| {
        Screen::RemoveDevice(RemoveDevice { form: FORM, device: &devices[0], last, back: text })
    };
    let addition = |refused| {
        Screen::AddDevice(AddDevice {
            form: FORM,
            qr: Some(qr),
            key: text,
            status: "UNCLAIMED",
            wait: Wait { status: text, seconds: 598 },
            onward: text,
            refused,
        })
    };
    [
        ("account", account(Standing::Change, devices)),
        ("account_without_device", account(Standing::Change, &[])),
        ("account_to_confirm", account(Standing::Confirm, devices)),
        ("account_unconfirmed", account(Standing::Unconfirmed, devices)),
        ("account_barred", account(Standing::Barred, devices)),
        ("remove_device", removal(false)),
        ("remove_last_device", removal(true)),
        ("add_authenticator", Screen::AddAuthenticator(authenticator)),
        ("add_target", Screen::AddTarget(AddTarget { form: FORM, to: text, back: text, problem })),
        (
            "recovery_codes",
            Screen::RecoveryCodes(RecoveryCodes { codes: &["ABCDE-FGHJK"], back: text }),
        ),
        ("add_device", addition(None)),
        ("add_device_refused", addition(Some("That phone is one of yours."))),
    ]
}

#[test]
fn the_screens_of_the_account_read_as_agreed_and_escape_every_text() {
    let (devices, sign_ons, qr) = (own_devices("Ann's phone"), own_sign_ons("Bank"), own_qr());
    let off = ("account_off", Screen::AccountOff);
    for (name, screen) in own("ann", (&devices, &sign_ons, &qr), None).into_iter().chain([off]) {
        insta::assert_snapshot!(name, without_hashes(&html(screen)));
    }
    let text = r#""><script>'&"#;
    let (devices, sign_ons) = (own_devices(text), own_sign_ons(text));
    for (name, screen) in own(text, (&devices, &sign_ons, &qr), Some(Problem::Busy)) {
        let html = html(screen);
        assert!(!html.contains(text) && !html.contains("<script>"), "{name}");
        assert!(html.contains("&#34;&#62;&#60;script&#62;&#39;&#38;"), "{name}");
        assert!(!html.contains("style=") && !html.contains("<style"), "{name}");
    }
}

#[test]
fn every_control_of_the_account_is_named_and_every_form_has_the_token() {
    let (devices, sign_ons, qr) = (own_devices("Phone"), own_sign_ons("Bank"), own_qr());
    for (name, screen) in own("ann", (&devices, &sign_ons, &qr), None) {
        let html = html(screen);
        let labelled: Vec<_> =
            tags(&html, "label").iter().filter_map(|tag| attribute(tag, "for")).collect();
        let inputs = tags(&html, "input");
        let visible = inputs.iter().filter(|tag| attribute(tag, "type") != Some("hidden"));
        let ids: Vec<_> = visible.map(|tag| attribute(tag, "id").unwrap()).collect();
        assert_eq!(ids, labelled, "{name}");
        let mut distinct = ids.clone();
        distinct.dedup();
        assert_eq!(ids, distinct, "{name}: two controls of one name");
        let tokens = html.matches(r#"name="token" value="t0ken""#).count();
        assert_eq!(tokens, tags(&html, "form").len(), "{name}");
        assert!(!html.contains("\"></button>"), "{name}: a button without words");
        assert_eq!(html.contains("http-equiv"), name.starts_with("add_device"), "{name}");
        assert_eq!(tags(&html, "h1").len(), 1, "{name}");
    }
}

#[test]
fn what_was_done_is_named_and_said_before_what_can_be_done() {
    for done in DONE {
        assert_eq!(Done::named(done.name()), Some(done));
        let account = Account {
            form: FORM,
            username: "ann",
            standing: Standing::Change,
            devices: &[],
            offers: OFFERS,
            sign_ons: &[],
            older: None,
            newest: None,
            sign_off: "/signoff",
            done: Some(done),
            problem: None,
        };
        let html = html(Screen::Account(account));
        let said = format!("<p class=\"notice\" role=\"status\">{}</p>", done.text());
        assert!(html.split("<section").next().unwrap().contains(&said), "{html}");
    }
    assert_eq!(Done::named("<script>"), None);
}

/// The screens that end a sign-on.
fn closing(text: &str) -> [(&'static str, Screen<'_>); 7] {
    [
        ("failed", Screen::Failed { reason: FailureText::DeviceBlocked, continue_url: text }),
        ("refused", Screen::Refused { description: text, correlation: text }),
        ("too_many", Screen::TooMany { seconds: 30 }),
        ("sign_off", Screen::SignOff { form: FORM, members: MEMBERS }),
        ("signed_off", Screen::SignedOff),
        ("gone", Screen::Gone),
        ("form_post", Screen::FormPost { action: "https://app.example/cb", members: MEMBERS }),
    ]
}

fn html(screen: Screen<'_>) -> String {
    Page::new("Acme Bank", screen).render().unwrap()
}

/// What a person writes into, or chooses by.
fn has_fields(screen: &Screen<'_>) -> bool {
    !matches!(screen, Screen::Waiting { .. } | Screen::TimedOut { .. } | Screen::Scan { .. })
}

/// The tags of this name, each from `<` to `>`. Good enough because every attribute here is escaped.
fn tags<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let is_it = |tag: &&str| tag.split([' ', '>']).next() == Some(name);
    html.split('<')
        .filter(is_it)
        .filter_map(|tag| tag.split_once('>'))
        .map(|(tag, _)| tag)
        .collect()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.split_once(&format!(" {name}=\""))?.1.split('"').next()
}

/// The names of assets change with every change of the looks, which is no change of the markup.
fn without_hashes(html: &str) -> String {
    html.replace(&asset::STYLESHEET.path, "/assets/page-HASH.css")
        .replace(&asset::ICON.path, "/assets/icon-HASH.svg")
        .replace(&asset::SUBMIT.path, "/assets/submit-HASH.js")
        .replace(&asset::WAIT.path, "/assets/wait-HASH.js")
        .replace(&asset::SCAN.path, "/assets/scan-HASH.js")
}

#[test]
fn the_screens_read_as_agreed() {
    let closing = closing("https://app.example/cb?error=access_denied&state=s");
    let connecting = connecting("ann", None);
    for (name, screen) in
        asking("ann", &devices(), None).into_iter().chain(closing).chain(connecting)
    {
        let html = without_hashes(&html(screen));
        insta::assert_snapshot!(name, html);
    }
}

#[test]
fn the_words_are_as_agreed() {
    let lines = PROBLEMS.map(|text| text.to_string()).into_iter();
    let lines = lines.chain(FAILURES.map(|text| text.to_string()));
    let lines = lines.chain([notice_text(Notice::DeviceGone).to_owned()]);
    let lines = lines.chain(DONE.map(|done| done.text().to_owned()));
    insta::assert_snapshot!("words", lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn every_text_is_escaped() {
    let text = r#""><script>'&"#;
    let owned = || text.to_owned();
    let source = Source::RecoveryCodes;
    let devices =
        [DeviceChoice { id: owned(), name: owned(), push: true, source, detail: owned() }];
    let form = Form { action: text, token: text };
    let members = [(text, text)];
    let own = [
        ("form", Screen::Login { form, username: text, phone: false, problem: None }),
        ("form_post", Screen::FormPost { action: text, members: &members }),
        ("sign_off", Screen::SignOff { form, members: &members }),
        ("user_code", Screen::UserCode { form, user_code: text, problem: None }),
        ("device_consent", Screen::DeviceConsent { form, username: text }),
    ];
    let screens = asking(text, &devices, Some(Problem::Busy)).into_iter().chain(closing(text));
    for (name, screen) in screens.chain(own) {
        let html = Page::new(text, screen).render().unwrap();
        assert!(!html.contains(text), "{name}");
        assert!(!html.contains("<script>"), "{name}");
        assert!(html.contains("&#34;&#62;&#60;script&#62;&#39;&#38;"), "{name}");
    }
}

#[test]
fn every_control_has_a_label() {
    for (name, screen) in asking("ann", &devices(), None) {
        let html = html(screen);
        let labelled: Vec<_> =
            tags(&html, "label").iter().filter_map(|tag| attribute(tag, "for")).collect();
        for input in tags(&html, "input") {
            match attribute(input, "type") {
                Some("hidden") => {}
                Some("radio") => {
                    let wrapped = format!("<label class=\"device\"><{input}><span>");
                    assert!(html.contains(&wrapped), "{name}: {input}");
                }
                _ => {
                    let id = attribute(input, "id").unwrap();
                    assert!(labelled.contains(&id), "{name}: {input}");
                }
            }
        }
        assert!(!html.contains("></button>"), "{name}: a button without words");
    }
}

#[test]
fn every_form_of_ours_has_the_token_and_a_way_out() {
    for (name, screen) in asking("ann", &devices(), None) {
        let html = html(screen);
        assert_eq!(tags(&html, "form").len(), 1, "{name}");
        assert!(html.contains(r#"<input type="hidden" name="token" value="t0ken">"#), "{name}");
        assert!(html.contains(r#"name="action" value="cancel" formnovalidate>Cancel<"#), "{name}");
    }
}

#[test]
fn the_enter_key_presses_the_button_that_goes_on() {
    let devices = devices();
    let screens = asking("ann", &devices, None).into_iter();
    for (name, screen) in screens.filter(|(_, screen)| has_fields(screen)) {
        let html = html(screen);
        assert!(!tags(&html, "button")[0].contains("quiet"), "{name}");
    }
}

#[test]
fn every_page_has_one_heading_and_a_language() {
    for (name, screen) in asking("", &devices(), None).into_iter().chain(closing("x")) {
        let html = html(screen);
        assert_eq!(tags(&html, "h1").len(), 1, "{name}");
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"), "{name}");
    }
}

#[test]
fn a_problem_is_an_alert_that_every_field_refers_to() {
    for (name, screen) in asking("ann", &devices(), Some(Problem::Busy)) {
        let html = html(screen);
        assert!(html.contains(r#"id="problem" role="alert">"#), "{name}");
        if has_fields(&screen) {
            assert!(html.contains(r#"aria-describedby="problem""#), "{name}");
        }
        assert!(!html.contains("aria-invalid"), "{name}: nothing typed is wrong");
        assert!(html.contains("<title>Error: "), "{name}");
    }
}

#[test]
fn a_field_that_must_change_is_marked_invalid() {
    let invalid = |screen| {
        let html = html(screen);
        let fields = [tags(&html, "input"), tags(&html, "fieldset")].concat();
        let wrong = fields.into_iter().filter(|tag| attribute(tag, "aria-invalid").is_some());
        wrong.map(|tag| attribute(tag, "id").unwrap_or("device").to_owned()).collect::<Vec<_>>()
    };
    let devices = devices();
    let of = |problem| asking("ann", &devices, Some(problem)).map(|(_, screen)| invalid(screen));
    let [login, identifier, password, ..] = of(Problem::WrongCredentials);
    assert_eq!(login, ["username", "password"]);
    assert_eq!(identifier, ["username"]);
    assert_eq!(password, ["password"]);
    let [.., passcode] = of(Problem::WrongPasscode);
    assert_eq!(passcode, ["passcode"]);
    let [_, _, _, _, chosen, ..] = of(Problem::Required("device"));
    assert_eq!(chosen, ["device"]);
}

#[test]
fn the_first_empty_field_has_the_focus() {
    let focused = |screen| {
        let html = html(screen);
        let fields = tags(&html, "input").into_iter().filter(|tag| tag.contains(" autofocus"));
        fields.map(|tag| attribute(tag, "id").unwrap().to_owned()).collect::<Vec<_>>()
    };
    let form = FORM;
    assert_eq!(
        focused(Screen::Login { form, username: "", phone: false, problem: None }),
        ["username"]
    );
    assert_eq!(
        focused(Screen::Login { form, username: "ann", phone: false, problem: None }),
        ["password"]
    );
    assert_eq!(
        focused(Screen::Password { form, username: "ann", phone: false, problem: None }),
        ["password"]
    );
}

#[test]
fn only_ways_that_there_are_are_offered() {
    let (form, device, problem) = (FORM, "phone", None);
    let wait = Wait { status: "/flow", seconds: 1 };
    let question = Question::Approve;
    let ways = ["value=\"push\"", "value=\"use_passcode\"", "value=\"devices\""];
    for n in 0..8 {
        let others = Others { push: n & 1 > 0, passcode: n & 2 > 0, device: n & 4 > 0 };
        let offered = |screen| {
            let html = html(screen);
            ways.map(|way| html.contains(way))
        };
        let Others { push, passcode, device: another } = others;
        let timed_out = Screen::TimedOut { form, device, others, problem };
        assert_eq!(offered(timed_out), [push, passcode, another]);
        let waiting = Screen::Waiting { form, device, question, wait, others, problem };
        assert_eq!(offered(waiting), [false, passcode, another]);
        let asked = Others { passcode: false, ..others };
        let source = Source::Phone;
        let passcode = Screen::Passcode { form, device, source, others: asked, problem };
        assert_eq!(offered(passcode), [push, false, another]);
    }
}

#[test]
fn who_has_no_way_left_is_told_to_wait() {
    let screen = |others| Screen::TimedOut { form: FORM, device: "phone", others, problem: None };
    assert!(html(screen(Others::default())).contains("cannot be asked again now"));
    assert!(!html(screen(ALL)).contains("cannot be asked again now"));
}

#[test]
fn a_notice_comes_before_what_the_page_asks() {
    let notice = Some(Notice::DeviceGone);
    let devices = devices();
    for (name, screen) in asking("ann", &devices, None).into_iter().chain(closing("x")) {
        let html = Page { notice, ..Page::new("Acme Bank", screen) }.render().unwrap();
        let after_heading = html.split_once("</h1>").unwrap().1.trim_start();
        assert!(
            after_heading.starts_with(r#"<p class="notice" role="status">The phone"#),
            "{name}"
        );
    }
}

#[test]
fn only_a_page_that_waits_reads_itself_anew_and_only_without_scripts() {
    let devices = devices();
    for (name, screen) in asking("ann", &devices, None).into_iter().chain(closing("x")) {
        let refresh = "<noscript><meta http-equiv=\"refresh\" content=\"3\"></noscript>";
        let html = html(screen);
        assert_eq!(html.contains(refresh), name.starts_with("waiting"), "{name}");
        assert_eq!(html.matches("http-equiv").count(), html.matches(refresh).count(), "{name}");
    }
}

#[test]
fn a_page_without_an_application_names_none() {
    let html = Page::new("", Screen::Gone).render().unwrap();
    assert!(html.contains("<title>This sign-on has ended</title>"));
    assert!(!html.contains("monogram"));
}

#[test]
fn what_pages_refer_to_is_there_and_nothing_else_is() {
    let html = html(closing("x")[6].1);
    let [icon, stylesheet] =
        [0, 1].map(|n| asset(attribute(tags(&html, "link")[n], "href").unwrap()).unwrap());
    assert_eq!(icon.content_type, "image/svg+xml");
    assert_eq!(stylesheet.content_type, "text/css; charset=utf-8");
    let script = asset(attribute(tags(&html, "script")[0], "src").unwrap()).unwrap();
    assert_eq!(script.content_type, "text/javascript; charset=utf-8");
    assert!(asset("/assets/page.css").is_none());
}

#[test]
fn pages_carry_no_inline_style_or_script() {
    for (name, screen) in asking("ann", &devices(), None).into_iter().chain(closing("x")) {
        let html = html(screen);
        assert!(!html.contains("style=") && !html.contains("<style"), "{name}");
        assert!(tags(&html, "script").iter().all(|tag| attribute(tag, "src").is_some()), "{name}");
    }
}
