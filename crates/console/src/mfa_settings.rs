//! MFA settings: what holds for the devices of all users of an environment.

use countersign_domain::role::Area;

use crate::{
    Outcome, Visit,
    form::{Choice, Field, Form, Group},
    frame::{Frame, Page, see},
};

const FORMATS: [Choice; 2] = [
    Choice { value: "NUMERIC", label: "Twelve digits", help: "Quick to type on a phone." },
    Choice {
        value: "ALPHANUMERIC",
        label: "Sixteen letters and digits",
        help: "Harder to guess; best scanned.",
    },
];

pub(crate) async fn route(visit: &Visit<'_>, frame: &Frame<'_>) -> Outcome {
    let path = frame.api("/mfaSettings");
    let settings = visit.api.get(path.clone()).await?;
    let pairing = vec![
        Field::number("pairing.maxAllowedDevices", "Devices a person may have", (1, 15))
            .help("Further phones are not offered to be trusted, and the app is told why."),
        Field::choice("pairing.pairingKeyFormat", "Keys for pairing by hand", &FORMATS),
    ];
    let lockout = vec![
        Field::number("lockout.failureCount", "Wrong passcodes", (1, 100))
            .help("Over all devices of a person together. Empty: 10."),
        Field::number("lockout.durationSeconds", "Seconds of lock", (1, 86_400))
            .help("Empty: until an administrator unlocks the person."),
    ];
    let users = vec![
        Field::switch("users.mfaEnabled", "MFA is on for new users")
            .help("Their devices count from the first day."),
    ];
    let groups = vec![
        Group::new("Pairing", "", pairing),
        Group::new("When wrong passcodes lock a person out of MFA", "", lockout),
        Group::new("New users", "", users),
    ];
    let may_manage = visit.may_manage(&frame.id(), Area::Policies);
    let mut form = Form::new(frame.page("/mfa-settings"), visit.request.token, "Save", groups)
        .filled(&settings);
    if visit.is_post() {
        form = form.sent(&visit.request.form);
        match visit.api.put(path.clone(), form.body(settings.sendable())).await {
            Ok(_) => return see(frame.page("/mfa-settings"), "saved"),
            Err(refused) => form = form.mend(refused)?,
        }
    }
    let page = Page::new(frame, "MFA settings");
    let page = if may_manage { page.form(&form) } else { page };
    page.same_as(path, &settings, Some("pingone_mfa_settings")).reply()
}
