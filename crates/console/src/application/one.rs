//! One application: configuration, the app on phones, the authenticator, policies, secret and roles.

mod push;

use askama::Template;
use countersign_domain::role::Area;
use serde_json::{Value, json};

use super::{AUTH_METHODS, kind_name, known, package, redirects};
use crate::{
    Outcome, Visit,
    administrator::Roles,
    api::Refused,
    form::{Field, Form, Group},
    frame::{Frame, Page, see},
    item::Item,
    part::{Buttons, Cell, Deeds, Empty, Facts, Heading, Table, Tabs, Text},
    qr::Qr,
};

pub(super) async fn route(
    visit: &Visit<'_>,
    frame: &Frame<'_>,
    application: &str,
    segments: &[&str],
) -> Outcome {
    let item = visit.api.get(frame.api(&format!("/applications/{application}"))).await?;
    let here = One { visit, frame, item };
    match segments {
        [] => here.overview().await,
        ["configuration"] => here.configuration().await,
        ["mobile"] => here.mobile().await,
        ["push"] => here.push().await,
        ["push", credentials, "remove"] => here.remove_push(credentials).await,
        ["authenticator"] => here.authenticator().await,
        ["policies"] => here.policies().await,
        ["policies", assignment, "remove"] => here.unassign(assignment).await,
        ["secret"] => here.secret().await,
        ["roles"] => here.roles().await,
        ["delete"] => here.delete().await,
        _ => Err(Refused::not_found()),
    }
}

struct One<'a> {
    visit: &'a Visit<'a>,
    frame: &'a Frame<'a>,
    item: Item,
}

/// What is still to do until an app is a second factor.
#[derive(Template)]
#[template(path = "steps.html", whitespace = "minimize")]
struct Steps {
    steps: Vec<(bool, String, String)>,
}

impl One<'_> {
    fn api(&self, path: &str) -> String {
        self.frame.api(&format!("/applications/{}{path}", self.item.id()))
    }

    fn page(&self, path: &str) -> String {
        self.frame.page(&format!("/applications/{}{path}", self.item.id()))
    }

    fn token(&self) -> &str {
        self.visit.request.token
    }

    fn is_native(&self) -> bool {
        self.item.text("type") == "NATIVE_APP"
    }

    fn may_manage(&self) -> bool {
        self.visit.may_manage(&self.frame.id(), Area::Applications)
    }

    /// The page with the tab of this word.
    fn tabbed(&self, here: &str) -> Page<'_> {
        let kind = self.item.text("type");
        let mut tabs = vec![("", "Overview")];
        match kind.as_str() {
            "NATIVE_APP" => tabs.extend([
                ("configuration", "Configuration"),
                ("mobile", "Mobile"),
                ("push", "Push"),
                ("authenticator", "Authenticator"),
                ("policies", "Policies"),
            ]),
            "WORKER" => tabs.extend([("secret", "Secret"), ("roles", "Roles")]),
            "PING_ONE_SELF_SERVICE" | "PING_ONE_ADMIN_CONSOLE" => {
                tabs.push(("policies", "Policies"));
            }
            _ => {
                tabs.extend([("configuration", "Configuration"), ("policies", "Policies")]);
                if self.item.text("tokenEndpointAuthMethod") != "NONE" {
                    tabs.push(("secret", "Secret"));
                }
            }
        }
        let tabs = tabs.into_iter().map(|(word, name)| {
            let path = if word.is_empty() { self.page("") } else { self.page(&format!("/{word}")) };
            (path, name, word == here)
        });
        Page::new(self.frame, self.item.text("name"))
            .below("/applications", "Applications")
            .with(&Tabs { tabs: tabs.collect() })
    }

    fn shown<'p>(&self, page: Page<'p>) -> Page<'p> {
        page.same_as(self.api(""), &self.item, Some("pingone_application"))
    }

    async fn overview(&self) -> Outcome {
        let issuer = format!("{}/{}/as", self.visit.request.base_url, self.frame.id());
        let facts = Facts(vec![
            ("Kind", Cell::text(kind_name(&self.item.text("type")))),
            ("State", Cell::either(self.item.flag("enabled"), "On", "Off")),
            ("Client id", Cell::text(self.item.id())),
            ("Issuer", Cell::text(issuer)),
            ("Since", Cell::text(self.item.time("createdAt"))),
        ]);
        let mut page = self.tabbed("").with(&facts);
        if self.is_native() {
            let heading = Heading { id: "steps", title: "On the way to a second factor", text: "" };
            page = page.with(&heading).with(&Steps { steps: self.steps().await });
        }
        let is_own = self.item.text("type").starts_with("PING_ONE");
        if self.may_manage() && !is_own {
            page = page.with(&Buttons { links: vec![(self.page("/delete"), "Delete")] });
        }
        self.shown(page).reply()
    }

    async fn steps(&self) -> Vec<(bool, String, String)> {
        let credentials = self.visit.api.find(self.api("/pushCredentials")).await;
        let policies =
            self.visit.api.find(self.frame.api("/deviceAuthenticationPolicies?limit=200")).await;
        let id = self.item.id();
        let lists = |policy: &Item| {
            policy.items("mobile.applications").iter().any(|listed| listed.text("id") == id)
        };
        let listed = policies.entries("deviceAuthenticationPolicies").into_iter().find(lists);
        let policy = match &listed {
            Some(policy) => format!("/mfa-policies/{}/applications/{id}", policy.id()),
            None => "/mfa-policies".to_owned(),
        };
        let assigned = self.visit.api.find(self.api("/signOnPolicyAssignments")).await;
        vec![
            (self.item.has("mobile.packageName") || self.item.has("mobile.bundleId"), self.page("/mobile"), "Say which app it is in the stores".to_owned()),
            (!credentials.entries("pushCredentials").is_empty(), self.page("/push"), "Give it push credentials, so that phones can be woken".to_owned()),
            (listed.is_some(), self.frame.page(&policy), "Add it to an MFA policy: auto enrolment and device authorization are switched on there".to_owned()),
            (!assigned.entries("signOnPolicyAssignments").is_empty(), self.page("/policies"), "Assign a sign-on policy with an MFA step".to_owned()),
        ]
    }

    /// Shows a form over the application, and takes what is sent.
    async fn change(&self, tab: &str, groups: Vec<Group>, before: &[&dyn Part]) -> Outcome {
        let action = self.page(&format!("/{tab}"));
        let mut form = Form::new(action.clone(), self.token(), "Save", groups).filled(&self.item);
        if self.visit.is_post() {
            form = form.sent(&self.visit.request.form);
            match self.visit.api.put(self.api(""), form.body(self.item.sendable())).await {
                Ok(_) => return see(action, "saved"),
                Err(refused) => form = form.mend(refused)?,
            }
        }
        let mut page = self.tabbed(tab);
        for part in before {
            page.content.push_str(&part.html());
        }
        let page = if self.may_manage() { page.form(&form) } else { page };
        self.shown(page).reply()
    }

    async fn configuration(&self) -> Outcome {
        let mut first = vec![
            Field::text("name", "Name").required(),
            Field::text("description", "Description").help("For administrators."),
            Field::switch("enabled", "It may be used")
                .help("Off: nobody signs in to it, and its tokens no longer count."),
            redirects("One a line."),
            Field::lines("postLogoutRedirectUris", "Where people go after signing out")
                .help("One a line."),
        ];
        if !self.is_native() {
            first.push(Field::choice(
                "tokenEndpointAuthMethod",
                "How it proves itself",
                &AUTH_METHODS,
            ));
            let mut phones = vec![(String::new(), "No".to_owned())];
            phones.extend(
                known(self.visit, self.frame, |it| {
                    it.text("type") == "NATIVE_APP" && it.has("mobile")
                })
                .await,
            );
            first.push(
                Field::select("phoneSignOn.id", "Sign in by scanning with", phones)
                    .help("The sign-on page then shows a QR code that this app reads."),
            );
        }
        let tokens = vec![
            Field::many(
                "grantTypes",
                "How it may get tokens",
                [
                    ("AUTHORIZATION_CODE", "Authorization code"),
                    ("REFRESH_TOKEN", "Refresh token"),
                    ("DEVICE_CODE", "Device code"),
                    ("CLIENT_CREDENTIALS", "Client credentials"),
                    ("IMPLICIT", "Implicit (old)"),
                ]
                .map(|(value, label)| (value.to_owned(), label.to_owned()))
                .to_vec(),
            ),
            Field::number("accessTokenDuration", "Access tokens live", (300, 86_400))
                .help("In seconds."),
            Field::number("refreshTokenDuration", "Refresh tokens may rest", (60, 2_147_483_647))
                .help("In seconds."),
            Field::number(
                "refreshTokenRollingDuration",
                "Refresh tokens end at last",
                (60, 2_147_483_647),
            )
            .help("Seconds after the sign-on. Empty: they are renewed for ever."),
            Field::switch("dpopRequired", "Tokens are bound to a key of the app (DPoP)"),
        ];
        self.change(
            "configuration",
            vec![Group::new("", "", first), Group::new("Tokens", "", tokens)],
            &[],
        )
        .await
    }

    async fn mobile(&self) -> Outcome {
        let mut app = package("mobile.");
        app.push(
            Field::text("mobile.huaweiAppId", "Huawei app id")
                .help("For Huawei's push service. Empty if there is none."),
        );
        let passcodes = vec![
            Field::number(
                "mobile.passcodeRefreshDuration.duration",
                "A new passcode every",
                (30, 60),
            )
            .help("Seconds, 30 to 60."),
        ];
        let groups = vec![
            Group::new(
                "The app in the stores",
                "The phone says which app it runs, and others are refused.",
                app,
            ),
            Group::new(
                "One-time passcodes",
                "What the app shows where a phone has no network.",
                passcodes,
            ),
        ];
        self.change("mobile", groups, &[]).await
    }

    async fn authenticator(&self) -> Outcome {
        let prefix = self.item.text("mobile.uriPrefix");
        let link = match prefix.trim_end_matches('/') {
            "" => "pingonesdk?authentication_code=7F45HGF5".to_owned(),
            prefix => format!("{prefix}/pingonesdk?authentication_code=7F45HGF5"),
        };
        let preview = Preview { qr: Qr::new(&link, "QR code of an example"), link };
        let field = Field::text("mobile.uriPrefix", "Universal link, App Link or app scheme")
            .help("Where the camera of a phone leads: https://app.example.com or com.example.bank://. Empty: only the app itself can read the code.");
        let group = Group::new("Sign in by QR code", "", vec![field]);
        self.change("authenticator", vec![group], &[&preview]).await
    }

    async fn policies(&self) -> Outcome {
        let path = self.api("/signOnPolicyAssignments");
        let policies = self.visit.api.find(self.frame.api("/signOnPolicies?limit=200")).await;
        let policies: Vec<_> = policies.entries("signOnPolicies");
        let named = |id: &str| {
            policies
                .iter()
                .find(|policy| policy.id() == id)
                .map(|policy| policy.text("name"))
                .unwrap_or_default()
        };
        let options = policies.iter().map(|policy| (policy.id(), policy.text("name"))).collect();
        let fields = vec![
            Field::select("signOnPolicy.id", "Policy", options),
            Field::number("priority", "Priority", (1, 1_000))
                .help("The lowest that fits is used.")
                .preset("1"),
        ];
        let mut form = Form::new(
            self.page("/policies"),
            self.token(),
            "Assign",
            vec![Group::new("", "", fields)],
        );
        if self.visit.is_post() {
            form = form.sent(&self.visit.request.form);
            match self.visit.api.post(path.clone(), form.body(json!({}))).await {
                Ok(_) => return see(self.page("/policies"), "saved"),
                Err(refused) => form = form.mend(refused)?,
            }
        }
        let found = self.visit.api.get(path.clone()).await?;
        let rows = found.entries("signOnPolicyAssignments").into_iter().map(|it| {
            let policy = it.text("signOnPolicy.id");
            vec![
                Cell::link(self.frame.page(&format!("/sign-on-policies/{policy}")), named(&policy)),
                Cell::text(it.text("priority")),
                Cell::link(self.page(&format!("/policies/{}/remove", it.id())), "Remove"),
            ]
        });
        let empty = Empty::new(
            "No policy is assigned: the default sign-on policy of the environment is used.",
        );
        let table = Table {
            columns: vec!["Sign-on policy", "Priority", ""],
            rows: rows.collect(),
            empty,
            next: None,
        };
        let mut page = self.tabbed("policies").with(&table);
        if self.visit.may_manage(&self.frame.id(), Area::Policies) {
            page = page
                .with(&Heading { id: "assign", title: "Assign a policy", text: "" })
                .form(&form);
        }
        page.same_as(path, &found, None).reply()
    }

    async fn unassign(&self, assignment: &str) -> Outcome {
        let path = self.api(&format!("/signOnPolicyAssignments/{assignment}"));
        if self.visit.is_post() {
            self.visit.api.delete(path).await?;
            return see(self.page("/policies"), "deleted");
        }
        let lead = "People sign in to this application by its next policy then, or by the default of the environment if there is none. If that one has no MFA step, nobody is asked for a device.";
        let action = self.page(&format!("/policies/{assignment}/remove"));
        let mut form = Form::new(action, self.token(), "Remove the assignment", vec![]);
        form.is_destructive = true;
        self.tabbed("policies").with(&Text::lead(lead)).form(&form).reply()
    }

    async fn secret(&self) -> Outcome {
        if self.visit.is_post() {
            match self.visit.request.sent("deed") {
                Some("rotate") => {
                    let until = self.visit.request.now.plus_seconds(86_400).to_rfc3339_millis();
                    let body: Value = json!({ "previous": { "expiresAt": until } });
                    self.visit.api.post(self.api("/secret"), body).await?;
                    return see(self.page("/secret"), "rotated");
                }
                Some("show") => {}
                _ => return Err(Refused::not_found()),
            }
        }
        let page = self.tabbed("secret");
        let shows = self.visit.is_post();
        let page = if shows {
            let secret = self.visit.api.get(self.api("/secret")).await?;
            let mut facts = vec![
                ("Client id", Cell::text(self.item.id())),
                ("Secret", Cell::text(secret.text("secret"))),
            ];
            if secret.has("previous.secret") {
                facts.push((
                    "The one before counts until",
                    Cell::text(secret.time("previous.expiresAt")),
                ));
            }
            page.with(&Facts(facts))
        } else {
            page.with(&Text::lead("Who has it can act as this application. That it was looked at is told in the audit log."))
        };
        let mut deeds = vec![("rotate", "Make a new one".to_owned(), true)];
        if !shows {
            deeds.insert(0, ("show", "Show the secret".to_owned(), false));
        }
        let help = "A new secret counts at once; the old one still counts for a day, so that you can bring the new one to where it is used.";
        page.with(&Deeds { action: self.page("/secret"), token: self.token(), buttons: deeds })
            .with(&Text { class: "help", text: help.to_owned() })
            .reply()
    }

    async fn roles(&self) -> Outcome {
        let roles = Roles {
            visit: self.visit,
            frame: self.frame,
            api: self.api("/roleAssignments"),
            page: self.page("/roles"),
        };
        roles.answer(self.tabbed("roles")).await
    }

    async fn delete(&self) -> Outcome {
        let name = self.item.text("name");
        let mut form =
            Form::new(self.page("/delete"), self.token(), "Delete the application", vec![]);
        form.is_destructive = true;
        if self.visit.is_post() {
            match self.visit.api.delete(self.api("")).await {
                Ok(_) => return see(self.frame.page("/applications"), "deleted"),
                Err(refused) => form = form.mend(refused)?,
            }
        }
        let lead = "Nobody can sign in to it any more, its tokens no longer count, and the phones that are paired with it vouch for nobody. This cannot be undone.";
        Page::new(self.frame, format!("Delete {name}?"))
            .below("/applications", "Applications")
            .with(&Text::lead(lead))
            .form(&form)
            .reply()
    }
}

/// Something that is shown before a form.
trait Part: Sync {
    fn html(&self) -> String;
}

/// What the QR code of a sign-on looks like.
#[derive(Template)]
#[template(path = "preview.html", whitespace = "minimize")]
struct Preview {
    qr: Option<Qr>,
    link: String,
}

impl Part for Preview {
    fn html(&self) -> String {
        self.render().unwrap_or_default()
    }
}
