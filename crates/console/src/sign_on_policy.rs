//! Sign-on policies: the steps of a sign-on, in order.

use countersign_domain::role::Area;
use serde_json::json;

use crate::{
    Outcome, Visit,
    api::Refused,
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
            let item = visit.api.get(frame.api(&format!("/signOnPolicies/{policy}"))).await?;
            let here = One { visit, frame, item };
            match rest {
                [] => here.show().await,
                ["steps", "new", kind] => here.add(kind).await,
                ["steps", step] => here.step(step).await,
                ["steps", step, "remove"] => here.remove(step).await,
                ["delete"] => here.delete().await,
                _ => Err(Refused::not_found()),
            }
        }
    }
}

async fn list(visit: &Visit<'_>, frame: &Frame<'_>) -> Outcome {
    let path = frame.api("/signOnPolicies?limit=200");
    let found = visit.api.get(path.clone()).await?;
    let rows = found.entries("signOnPolicies").into_iter().map(|policy| {
        vec![
            Cell::link(
                frame.page(&format!("/sign-on-policies/{}", policy.id())),
                policy.text("name"),
            ),
            if policy.flag("default") { Cell::either(true, "Default", "") } else { Cell::Nothing },
            Cell::text(policy.text("description")),
        ]
    });
    let table = Table {
        columns: vec!["Name", "", "Description"],
        rows: rows.collect(),
        empty: Empty::new("There is no sign-on policy."),
        next: None,
    };
    let lead = "A sign-on policy is a list of steps: who is it, and with what is it proved. It is assigned to applications; the default is for those without one.";
    let mut page = Page::new(frame, "Sign-on policies").with(&Text::lead(lead));
    if visit.may_manage(&frame.id(), Area::Policies) {
        page = page.with(&Buttons {
            links: vec![(frame.page("/sign-on-policies/new"), "Create a policy")],
        });
    }
    page.with(&table).same_as(path, &found, None).reply()
}

fn about() -> Vec<Field> {
    vec![
        Field::text("name", "Name")
            .help("Letters, digits, spaces, dots, - and _. Tokens name it as their acr.")
            .required(),
        Field::text("description", "Description"),
        Field::switch("default", "The default of the environment"),
    ]
}

async fn create(visit: &Visit<'_>, frame: &Frame<'_>) -> Outcome {
    let action = frame.page("/sign-on-policies/new");
    let mut form =
        Form::new(action, visit.request.token, "Create", vec![Group::new("", "", about())]);
    if visit.is_post() {
        form = form.sent(&visit.request.form);
        match visit.api.post(frame.api("/signOnPolicies"), form.body(json!({}))).await {
            Ok(made) => {
                return see(frame.page(&format!("/sign-on-policies/{}", made.id())), "created");
            }
            Err(refused) => form = form.mend(refused)?,
        }
    }
    Page::new(frame, "Create a sign-on policy")
        .below("/sign-on-policies", "Sign-on policies")
        .form(&form)
        .reply()
}

fn kind_name(kind: &str) -> &'static str {
    match kind {
        "LOGIN" => "Login: user name and password",
        "IDENTIFIER_FIRST" => "Identifier first: user name, then password",
        "MULTI_FACTOR_AUTHENTICATION" => "MFA: a device of the person",
        _ => "Step",
    }
}

const NO_DEVICES: [Choice; 2] = [
    Choice {
        value: "BLOCK",
        label: "Block",
        help: "Nobody passes without a device. Pair the phones first, by key.",
    },
    Choice {
        value: "BYPASS",
        label: "Bypass",
        help: "The person passes, and a phone is offered to be trusted. This is how automatic enrolment begins.",
    },
];

struct One<'a> {
    visit: &'a Visit<'a>,
    frame: &'a Frame<'a>,
    item: Item,
}

impl One<'_> {
    fn api(&self, path: &str) -> String {
        self.frame.api(&format!("/signOnPolicies/{}{path}", self.item.id()))
    }

    fn page(&self, path: &str) -> String {
        self.frame.page(&format!("/sign-on-policies/{}{path}", self.item.id()))
    }

    fn titled(&self, title: impl Into<String>) -> Page<'_> {
        Page::new(self.frame, title).below("/sign-on-policies", "Sign-on policies")
    }

    fn below(&self, title: impl Into<String>) -> Page<'_> {
        self.titled(title)
            .below(&format!("/sign-on-policies/{}", self.item.id()), &self.item.text("name"))
    }

    async fn actions(&self) -> Result<Vec<Item>, Refused> {
        Ok(self.visit.api.get(self.api("/actions")).await?.entries("actions"))
    }

    async fn show(&self) -> Outcome {
        let may_manage = self.visit.may_manage(&self.frame.id(), Area::Policies);
        let mut form = Form::new(
            self.page(""),
            self.visit.request.token,
            "Save",
            vec![Group::new("", "", about())],
        )
        .filled(&self.item);
        if self.visit.is_post() {
            form = form.sent(&self.visit.request.form);
            match self.visit.api.put(self.api(""), form.body(self.item.sendable())).await {
                Ok(_) => return see(self.page(""), "saved"),
                Err(refused) => form = form.mend(refused)?,
            }
        }
        let rows = self.actions().await?.into_iter().map(|action| {
            let without = match action.text("noDevicesMode").as_str() {
                "BYPASS" => "None or incompatible methods: bypass",
                "BLOCK" => "None or incompatible methods: block",
                _ => "",
            };
            vec![
                Cell::text(action.text("priority")),
                Cell::link(
                    self.page(&format!("/steps/{}", action.id())),
                    kind_name(&action.text("type")),
                ),
                Cell::text(without),
                if action.has("condition") {
                    Cell::text("Under a condition")
                } else {
                    Cell::text("Always")
                },
            ]
        });
        let table = Table {
            columns: vec!["Order", "Step", "", "When"],
            rows: rows.collect(),
            empty: Empty::new(
                "There are no steps yet: begin with a login. A policy without steps lets nobody in.",
            ),
            next: None,
        };
        let mut page = self
            .titled(self.item.text("name"))
            .with(&Heading { id: "steps", title: "Steps", text: "" })
            .with(&table);
        if may_manage {
            let links = vec![
                (self.page("/steps/new/login"), "Add a login"),
                (self.page("/steps/new/identifier-first"), "Add identifier first"),
                (self.page("/steps/new/mfa"), "Add MFA"),
            ];
            page = page
                .with(&Buttons { links })
                .with(&Heading { id: "about", title: "About", text: "" })
                .form(&form);
            if !self.item.flag("default") {
                page = page.with(&Buttons { links: vec![(self.page("/delete"), "Delete")] });
            }
        }
        page.same_as(self.api(""), &self.item, Some("pingone_sign_on_policy")).reply()
    }

    async fn fields(&self, kind: &str) -> Vec<Field> {
        let mut fields = vec![
            Field::number("priority", "Order", (1, 1_000)).help("The lowest is first.").required(),
        ];
        if kind == "MULTI_FACTOR_AUTHENTICATION" {
            let policies = self
                .visit
                .api
                .find(self.frame.api("/deviceAuthenticationPolicies?limit=200"))
                .await;
            let mut options = vec![(String::new(), "The default of the environment".to_owned())];
            options.extend(
                policies
                    .entries("deviceAuthenticationPolicies")
                    .iter()
                    .map(|policy| (policy.id(), policy.text("name"))),
            );
            fields.push(Field::select("deviceAuthenticationPolicy.id", "MFA policy", options));
            fields.push(
                Field::choice("noDevicesMode", "None or incompatible methods", &NO_DEVICES)
                    .preset("BLOCK"),
            );
        }
        let help = "Empty: always. Else a condition as the API has it, in JSON, such as {\"secondsSince\": \"${session.lastSignOn.at}\", \"greater\": 3600}.";
        fields.push(Field::area("condition", "Condition").help(help));
        fields
    }

    async fn add(&self, kind: &str) -> Outcome {
        let kind = match kind {
            "login" => "LOGIN",
            "identifier-first" => "IDENTIFIER_FIRST",
            "mfa" => "MULTI_FACTOR_AUTHENTICATION",
            _ => return Err(Refused::not_found()),
        };
        let last = self
            .actions()
            .await?
            .iter()
            .map(|action| action.number("priority"))
            .max()
            .unwrap_or_default();
        let mut fields = self.fields(kind).await;
        if let Some(order) = fields.first_mut() {
            order.values = vec![(last + 1).to_string()];
        }
        let action = self.visit.request.path.to_owned();
        let form =
            Form::new(action, self.visit.request.token, "Add", vec![Group::new("", "", fields)]);
        let base = json!({ "type": kind });
        self.write(form, base, kind, None).await
    }

    async fn step(&self, step: &str) -> Outcome {
        let path = self.api(&format!("/actions/{step}"));
        let action = self.visit.api.get(path).await?;
        let kind = action.text("type");
        let fields = self.fields(&kind).await;
        let groups = vec![Group::new("", "", fields)];
        let mut shown = action.clone();
        if shown.has("condition") {
            let text = shown.at("condition").pretty();
            crate::item::set(&mut shown.0, "condition", json!(text));
        }
        let form = Form::new(
            self.page(&format!("/steps/{step}")),
            self.visit.request.token,
            "Save",
            groups,
        )
        .filled(&shown);
        let mut base = action.sendable();
        crate::item::set(&mut base, "signOnPolicy", serde_json::Value::Null);
        self.write(form, base, &kind, Some(&action)).await
    }

    /// Takes what is sent for a step that is new or there.
    async fn write(
        &self,
        mut form: Form,
        base: serde_json::Value,
        kind: &str,
        old: Option<&Item>,
    ) -> Outcome {
        if self.visit.is_post() {
            form = form.sent(&self.visit.request.form);
            let mut body = form.body(base);
            // What is no JSON goes as it is: the API says what is wrong.
            if let Some(condition) = body
                .get("condition")
                .and_then(|it| it.as_str())
                .and_then(|text| serde_json::from_str(text).ok())
            {
                crate::item::set(&mut body, "condition", condition);
            }
            let written = match old {
                Some(old) => {
                    self.visit.api.put(self.api(&format!("/actions/{}", old.id())), body).await
                }
                None => self.visit.api.post(self.api("/actions"), body).await,
            };
            match written {
                Ok(_) => return see(self.page(""), "saved"),
                Err(refused) => form = form.mend(refused)?,
            }
        }
        let page = self.below(kind_name(kind)).form(&form);
        match old {
            None => page.reply(),
            Some(old) => {
                let path = self.api(&format!("/actions/{}", old.id()));
                let links = vec![(self.page(&format!("/steps/{}/remove", old.id())), "Remove")];
                page.with(&Buttons { links })
                    .same_as(path, old, Some("pingone_sign_on_policy_action"))
                    .reply()
            }
        }
    }

    async fn remove(&self, step: &str) -> Outcome {
        let path = self.api(&format!("/actions/{step}"));
        let mut form = Form::new(
            self.page(&format!("/steps/{step}/remove")),
            self.visit.request.token,
            "Remove the step",
            vec![],
        );
        form.is_destructive = true;
        if self.visit.is_post() {
            match self.visit.api.delete(path.clone()).await {
                Ok(_) => return see(self.page(""), "deleted"),
                Err(refused) => form = form.mend(refused)?,
            }
        }
        let action = self.visit.api.get(path).await?;
        let lead = format!(
            "“{}” is no longer a part of sign-ons by this policy, from the next one on.",
            kind_name(&action.text("type"))
        );
        self.below("Remove this step?").with(&Text::lead(lead)).form(&form).reply()
    }

    async fn delete(&self) -> Outcome {
        let mut form =
            Form::new(self.page("/delete"), self.visit.request.token, "Delete the policy", vec![]);
        form.is_destructive = true;
        if self.visit.is_post() {
            match self.visit.api.delete(self.api("")).await {
                Ok(_) => return see(self.frame.page("/sign-on-policies"), "deleted"),
                Err(refused) => form = form.mend(refused)?,
            }
        }
        let lead = "Its steps are lost. It can only go when it is assigned to no application.";
        self.below(format!("Delete {}?", self.item.text("name")))
            .with(&Text::lead(lead))
            .form(&form)
            .reply()
    }
}
