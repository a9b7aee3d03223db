//! MFA policies: which devices count, and how each native app behaves.

use askama::Template;
use countersign_domain::role::Area;
use serde_json::{Value, json};

use crate::{
    Outcome, Visit,
    api::Refused,
    application,
    form::{Choice, Field, Form, Group},
    frame::{Frame, Page, see},
    item::Item,
    part::{Buttons, Cell, Empty, Heading, Table, Text},
};

pub(crate) async fn route(visit: &Visit<'_>, frame: &Frame<'_>, segments: &[&str]) -> Outcome {
    match segments {
        [] => list(visit, frame).await,
        ["new"] => create(visit, frame).await,
        [policy, rest @ ..] => {
            let item = visit
                .api
                .get(frame.api(&format!("/deviceAuthenticationPolicies/{policy}")))
                .await?;
            let here = One { visit, frame, item };
            match rest {
                [] => here.show().await,
                ["delete"] => here.delete().await,
                ["applications"] if visit.is_post() => here.add().await,
                ["applications", id] => here.application(id).await,
                ["applications", id, "remove"] => here.remove(id).await,
                _ => Err(Refused::not_found()),
            }
        }
    }
}

async fn list(visit: &Visit<'_>, frame: &Frame<'_>) -> Outcome {
    let path = frame.api("/deviceAuthenticationPolicies?limit=200");
    let found = visit.api.get(path.clone()).await?;
    let rows = found.entries("deviceAuthenticationPolicies").into_iter().map(|policy| {
        let on = METHODS.iter().filter(|(word, ..)| policy.flag(&format!("{word}.enabled")));
        let on: Vec<&str> = on.map(|(_, name, _)| *name).collect();
        vec![
            Cell::link(frame.page(&format!("/mfa-policies/{}", policy.id())), policy.text("name")),
            if policy.flag("default") { Cell::either(true, "Default", "") } else { Cell::Nothing },
            Cell::text(on.join(", ")),
            Cell::text(policy.items("mobile.applications").len().to_string()),
        ]
    });
    let table = Table {
        columns: vec!["Name", "", "Methods", "Native apps"],
        rows: rows.collect(),
        empty: Empty::new("There is no MFA policy."),
        next: None,
    };
    let lead = "An MFA policy says which devices count at an MFA step, and how your apps behave there. A sign-on policy's MFA step names one.";
    let mut page = Page::new(frame, "MFA policies").with(&Text::lead(lead));
    if visit.may_manage(&frame.id(), Area::Policies) {
        page = page
            .with(&Buttons { links: vec![(frame.page("/mfa-policies/new"), "Create a policy")] });
    }
    page.with(&table).same_as(path, &found, None).reply()
}

/// The methods: their words, their names, and what they mean for the person.
const METHODS: [(&str, &str, &str); 6] = [
    (
        "mobile",
        "Your apps",
        "The phone on which the person signs in is trusted once, and vouches from then on.",
    ),
    ("totp", "Authenticator app", "Six digits of any authenticator app."),
    ("fido2", "Passkey", "A fingerprint, a face or a security key."),
    ("email", "E-mail", "A passcode by e-mail."),
    (
        "sms",
        "Text message",
        "A passcode by text message. Phone numbers can be taken over: prefer another.",
    ),
    ("voice", "Call", "A passcode that is read out on the phone."),
];

async fn create(visit: &Visit<'_>, frame: &Frame<'_>) -> Outcome {
    let fields = vec![Field::text("name", "Name").help("Unique in the environment.").required()];
    let mut form = Form::new(
        frame.page("/mfa-policies/new"),
        visit.request.token,
        "Create",
        vec![Group::new("", "", fields)],
    );
    if visit.is_post() {
        form = form.sent(&visit.request.form);
        match visit.api.post(frame.api("/deviceAuthenticationPolicies"), form.body(blank())).await {
            Ok(made) => return see(frame.page(&format!("/mfa-policies/{}", made.id())), "created"),
            Err(refused) => form = form.mend(refused)?,
        }
    }
    let lead = "It begins with your apps as the only method. What else counts is said on its page.";
    Page::new(frame, "Create an MFA policy")
        .below("/mfa-policies", "MFA policies")
        .with(&Text::lead(lead))
        .form(&form)
        .reply()
}

/// A policy that is still to be told anything.
fn blank() -> Value {
    let cool_down = json!({ "duration": 2, "timeUnit": "MINUTES" });
    let failure = json!({ "count": 3, "coolDown": cool_down });
    let message = json!({
        "enabled": false,
        "otp": { "lifeTime": { "duration": 30, "timeUnit": "MINUTES" },
                 "failure": { "count": 3, "coolDown": { "duration": 0, "timeUnit": "MINUTES" } } },
    });
    json!({
        "forSignOnPolicy": false,
        "mobile": { "enabled": true, "otp": { "failure": failure } },
        "totp": { "enabled": false, "otp": { "failure": failure } },
        "fido2": { "enabled": false },
        "sms": message, "voice": message, "email": message,
    })
}

const SELECTION: [Choice; 3] = [
    Choice {
        value: "DEFAULT_TO_FIRST",
        label: "The first device at once",
        help: "The person can choose another there.",
    },
    Choice {
        value: "PROMPT_TO_SELECT",
        label: "Ask which",
        help: "Only where there is more than one.",
    },
    Choice {
        value: "ALWAYS_DISPLAY_DEVICES",
        label: "Always show the devices",
        help: "Even a single one.",
    },
];

const ADMIT: [Choice; 2] = [
    Choice {
        value: "",
        label: "Off",
        help: "The phone is a device like any other: it is asked by push or passcode.",
    },
    Choice {
        value: "on",
        label: "On",
        help: "A trusted phone passes the MFA step of its own sign-ons by itself. The person notices nothing.",
    },
];

const EXTRA: [Choice; 3] = [
    Choice { value: "", label: "None", help: "The signature of the phone is enough." },
    Choice {
        value: "permissive",
        label: "Permissive",
        help: "The phone must also answer a silent push. If the push cannot be delivered or stays unanswered, the person passes all the same, and the audit log says so.",
    },
    Choice {
        value: "restrictive",
        label: "Restrictive",
        help: "Without the answer to the silent push nobody passes: not with a copied phone, and not where push does not work either.",
    },
];

const ENROLL: [Choice; 2] = [
    Choice {
        value: "true",
        label: "Offer it",
        help: "The first sign-on in the app asks “Trust this phone?”. One tap, and it is a second factor.",
    },
    Choice { value: "false", label: "Do not", help: "Phones are paired by hand, with a key." },
];

struct One<'a> {
    visit: &'a Visit<'a>,
    frame: &'a Frame<'a>,
    item: Item,
}

impl One<'_> {
    fn api(&self) -> String {
        self.frame.api(&format!("/deviceAuthenticationPolicies/{}", self.item.id()))
    }

    fn page(&self, path: &str) -> String {
        self.frame.page(&format!("/mfa-policies/{}{path}", self.item.id()))
    }

    fn token(&self) -> &str {
        self.visit.request.token
    }

    fn may_manage(&self) -> bool {
        self.visit.may_manage(&self.frame.id(), Area::Policies)
    }

    fn titled(&self) -> Page<'_> {
        Page::new(self.frame, self.item.text("name")).below("/mfa-policies", "MFA policies")
    }

    fn shown<'p>(&self, page: Page<'p>) -> Page<'p> {
        page.same_as(self.api(), &self.item, Some("pingone_mfa_device_policy"))
    }

    async fn save(&self, body: Value) -> Result<Item, Refused> {
        self.visit.api.put(self.api(), body).await
    }

    async fn show(&self) -> Outcome {
        let methods = METHODS
            .iter()
            .map(|(word, name, help)| Field::switch(format!("{word}.enabled"), name).help(help));
        let rules = vec![
            Field::choice(
                "authentication.deviceSelection",
                "Where a person has several devices",
                &SELECTION,
            ),
            Field::number("mobile.otp.failure.count", "Wrong passcodes that lock a phone", (1, 7)),
            Field::switch("blockDisabledUsers", "Refuse users who are disabled"),
            Field::switch("blockUsersWithDisabledMfa", "Refuse users whose MFA is off")
                .help("Off: they pass without a device."),
            Field::switch("ignoreUserLock", "Let users pass who are locked"),
        ];
        let groups = vec![
            Group::new(
                "",
                "",
                vec![
                    Field::text("name", "Name").required(),
                    Field::switch("default", "The default of the environment")
                        .help("MFA steps that name no policy use it."),
                ],
            ),
            Group::new("Methods", "", methods.collect()),
            Group::new("Rules", "", rules),
        ];
        let mut form = Form::new(self.page(""), self.token(), "Save", groups).filled(&self.item);
        if self.visit.is_post() {
            form = form.sent(&self.visit.request.form);
            match self.save(form.body(self.item.sendable())).await {
                Ok(_) => return see(self.page(""), "saved"),
                Err(refused) => form = form.mend(refused)?,
            }
        }
        let mut page = self.applications().await;
        if self.may_manage() {
            page = page
                .with(&Heading { id: "rules", title: "Methods and rules", text: "" })
                .form(&form);
            if !self.item.flag("default") {
                page = page.with(&Buttons { links: vec![(self.page("/delete"), "Delete")] });
            }
        }
        self.shown(page).reply()
    }

    /// The native apps of the policy, and a way to add one.
    async fn applications(&self) -> Page<'_> {
        let native = application::known(self.visit, self.frame, |it| {
            it.text("type") == "NATIVE_APP" && it.has("mobile")
        })
        .await;
        let listed = self.item.items("mobile.applications");
        let named = |id: &str| {
            native
                .iter()
                .find(|(known, _)| known == id)
                .map_or_else(|| id.to_owned(), |(_, name)| name.clone())
        };
        let rows = listed.iter().map(|it| {
            let id = it.text("id");
            let extra = match it.text("deviceAuthorization.extraVerification").as_str() {
                "" => "On",
                "permissive" => "On, permissive",
                _ => "On, restrictive",
            };
            vec![
                Cell::link(self.page(&format!("/applications/{id}")), named(&id)),
                Cell::either(it.flag("autoEnrollment.enabled"), "Offered", "Off"),
                Cell::either(it.flag("deviceAuthorization.enabled"), extra, "Off"),
                Cell::either(
                    it.flag("push.enabled"),
                    if it.flag("push.numberMatching.enabled") { "With a number" } else { "On" },
                    "Off",
                ),
                Cell::either(it.flag("otp.enabled"), "On", "Off"),
            ]
        });
        let table = Table {
            columns: vec![
                "App",
                "Trust at the first sign-on",
                "Passes by itself",
                "Push",
                "Passcodes",
            ],
            rows: rows.collect(),
            empty: Empty::new("No app counts yet. Add your native app, and say how it behaves."),
            next: None,
        };
        let text = "How each of your apps behaves as a second factor.";
        let mut page =
            self.titled().with(&Heading { id: "apps", title: "Your apps", text }).with(&table);
        let others: Vec<_> = native
            .into_iter()
            .filter(|(id, _)| !listed.iter().any(|it| it.text("id") == *id))
            .collect();
        if self.may_manage() && !others.is_empty() {
            let action = self.page("/applications");
            page = page.with(&Add { action, token: self.token(), options: others });
        }
        page
    }

    async fn add(&self) -> Outcome {
        let Some(id) = self.visit.request.sent("application") else {
            return Err(Refused::not_found());
        };
        let mut body = self.item.sendable();
        let mut listed: Vec<Value> =
            self.item.items("mobile.applications").into_iter().map(|it| it.0).collect();
        listed.push(json!({
            "id": id,
            "push": { "enabled": true, "numberMatching": { "enabled": true } },
            "otp": { "enabled": true },
            "autoEnrollment": { "enabled": true },
            "deviceAuthorization": { "enabled": true },
        }));
        crate::item::set(&mut body, "mobile.applications", Value::Array(listed));
        self.save(body).await?;
        see(self.page(&format!("/applications/{id}")), "created")
    }

    fn place(&self, id: &str) -> Result<usize, Refused> {
        let listed = self.item.items("mobile.applications");
        listed.iter().position(|it| it.text("id") == id).ok_or_else(Refused::not_found)
    }

    async fn application(&self, id: &str) -> Outcome {
        let place = self.place(id)?;
        let found = self.visit.api.find(self.frame.api(&format!("/applications/{id}"))).await;
        let mut form = self.application_form(id, place);
        if self.visit.is_post() {
            form = form.sent(&self.visit.request.form);
            match self.save(self.application_body(&form, place)).await {
                Ok(_) => return see(self.page(&format!("/applications/{id}")), "saved"),
                Err(refused) => form = form.mend(refused)?,
            }
        }
        let title = format!("{} in {}", found.text("name"), self.item.text("name"));
        let page = Page::new(self.frame, title)
            .below("/mfa-policies", "MFA policies")
            .below(&format!("/mfa-policies/{}", self.item.id()), &self.item.text("name"));
        let page = if self.may_manage() {
            let links =
                vec![(self.page(&format!("/applications/{id}/remove")), "Remove from the policy")];
            page.form(&form).with(&Buttons { links })
        } else {
            page
        };
        self.shown(page).reply()
    }

    /// The form of one app, filled with what the policy says of it.
    fn application_form(&self, id: &str, place: usize) -> Form {
        let at = |path: &str| format!("mobile.applications.{place}.{path}");
        let trust = vec![
            Field::choice(at("autoEnrollment.enabled"), "At the first sign-on in the app", &ENROLL),
            Field::switch(at("pairingDisabled"), "Refuse new pairings of any kind")
                .help("Phones that are trusted already go on."),
        ];
        let passes = vec![
            Field::choice(at("deviceAuthorization.enabled"), "Device authorization", &ADMIT),
            Field::choice(
                at("deviceAuthorization.extraVerification"),
                "Extra verification",
                &EXTRA,
            ),
        ];
        let asked = vec![
            Field::switch(at("push.enabled"), "Push").help("The phone shows a question: “Are you signing in?”"),
            Field::switch(at("push.numberMatching.enabled"), "With a number").help("The person must pick the number that the sign-on page shows. It stops people from approving what they did not start."),
            Field::number(at("pushTimeout.duration"), "Seconds to answer", (40, 150))
                .help("Empty: 40."),
            Field::switch(at("otp.enabled"), "Passcodes").help("Where the phone has no network, the app shows six digits."),
        ];
        let limits = vec![
            Field::number(at("pushLimit.count"), "Pushes without a yes", (1, 50))
                .help("After so many, no more are sent for a while: nobody wears a person down. Empty: 5."),
            Field::number(at("pushLimit.timePeriod.duration"), "Within minutes", (1, 120))
                .help("Empty: 10."),
            Field::number(at("pushLimit.lockDuration.duration"), "Stopped for minutes", (1, 120))
                .help("Empty: 30."),
        ];
        let pairing = vec![
            Field::number(
                at("pairingKeyLifetime.duration"),
                "A pairing key counts for minutes",
                (1, 48),
            ),
            Field::switch(
                at("codes.numberMatching.enabled"),
                "A number too when a code is scanned",
            )
            .help("Off: scanning and approving is enough."),
        ];
        let groups = vec![
            Group::new("Trust this phone?", "", trust),
            Group::new(
                "Passing by itself",
                "What a trusted phone does when the person signs in on it.",
                passes,
            ),
            Group::new("Being asked", "When the person signs in elsewhere.", asked),
            Group::new("Limits", "", limits),
            Group::new("Keys and codes", "", pairing),
        ];
        let mut item = self.item.clone();
        // A choice has words.
        let is_on = item.flag(&at("deviceAuthorization.enabled"));
        crate::item::set(
            &mut item.0,
            &at("deviceAuthorization.enabled"),
            json!(if is_on { "on" } else { "" }),
        );
        Form::new(self.page(&format!("/applications/{id}")), self.token(), "Save", groups)
            .filled(&item)
    }

    /// The policy as the form says it.
    fn application_body(&self, form: &Form, place: usize) -> Value {
        let mut body = form.body(self.item.sendable());
        let at = |path: &str| format!("mobile.applications.{place}.{path}");
        let told = Item(body.clone());
        let is_on = told.text(&at("deviceAuthorization.enabled")) == "on";
        crate::item::set(&mut body, &at("deviceAuthorization.enabled"), json!(is_on));
        let enrolls = told.text(&at("autoEnrollment.enabled")) == "true";
        crate::item::set(&mut body, &at("autoEnrollment.enabled"), json!(enrolls));
        for (member, unit) in [
            ("pushTimeout", "SECONDS"),
            ("pushLimit.timePeriod", "MINUTES"),
            ("pushLimit.lockDuration", "MINUTES"),
            ("pairingKeyLifetime", "MINUTES"),
        ] {
            if told.has(&at(&format!("{member}.duration")))
                && !told.has(&at(&format!("{member}.timeUnit")))
            {
                crate::item::set(&mut body, &at(&format!("{member}.timeUnit")), json!(unit));
            }
        }
        body
    }

    async fn remove(&self, id: &str) -> Outcome {
        let place = self.place(id)?;
        if self.visit.is_post() {
            let mut listed: Vec<Value> =
                self.item.items("mobile.applications").into_iter().map(|it| it.0).collect();
            listed.remove(place);
            let mut body = self.item.sendable();
            crate::item::set(&mut body, "mobile.applications", Value::Array(listed));
            self.save(body).await?;
            return see(self.page(""), "deleted");
        }
        let lead = "Its phones no longer count where this policy is used: their users must have another device, or the sign-on policy must let them pass without one.";
        let mut form = Form::new(
            self.page(&format!("/applications/{id}/remove")),
            self.token(),
            "Remove the app",
            vec![],
        );
        form.is_destructive = true;
        self.titled().with(&Text::lead(lead)).form(&form).reply()
    }

    async fn delete(&self) -> Outcome {
        let mut form = Form::new(self.page("/delete"), self.token(), "Delete the policy", vec![]);
        form.is_destructive = true;
        if self.visit.is_post() {
            match self.visit.api.delete(self.api()).await {
                Ok(_) => return see(self.frame.page("/mfa-policies"), "deleted"),
                Err(refused) => form = form.mend(refused)?,
            }
        }
        let lead =
            "What it says of your apps is lost. It can only go when no sign-on policy uses it.";
        self.titled().with(&Text::lead(lead)).form(&form).reply()
    }
}

/// Adds an app to the policy.
#[derive(Template)]
#[template(path = "add_application.html", whitespace = "minimize")]
struct Add<'a> {
    action: String,
    token: &'a str,
    options: Vec<(String, String)>,
}
