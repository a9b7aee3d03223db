//! Who administers an environment, and the roles that they have.

use countersign_domain::role::Area;
use serde_json::json;

use crate::{
    Outcome, Visit,
    api::Refused,
    application,
    form::{Field, Form, Group},
    frame::{Frame, Page, see},
    item::Item,
    part::{Cell, Empty, Heading, Table, Text},
};

pub(crate) async fn route(visit: &Visit<'_>, frame: &Frame<'_>, segments: &[&str]) -> Outcome {
    match segments {
        [] => list(visit, frame).await,
        [user] => one(visit, frame, user).await,
        _ => Err(Refused::not_found()),
    }
}

/// The users of the administrators, and the workers here.
async fn list(visit: &Visit<'_>, frame: &Frame<'_>) -> Outcome {
    let home = visit.visitor.user.environment;
    let users = visit.api.find(format!("/v1/environments/{home}/users?limit=200")).await;
    let people = users.entries("users").into_iter().map(|user| {
        let page = format!("/console/{home}/administrators/{}", user.id());
        vec![
            Cell::link(page, user.text("username")),
            Cell::either(user.flag("enabled"), "Active", "Disabled"),
        ]
    });
    let people = Table {
        columns: vec!["User name", ""],
        rows: people.collect(),
        empty: Empty::new("Your roles do not let you see the people who administer this platform."),
        next: None,
    };
    let workers = application::known(visit, frame, |it| it.text("type") == "WORKER").await;
    let workers = workers
        .into_iter()
        .map(|(id, name)| vec![Cell::link(frame.page(&format!("/applications/{id}/roles")), name)]);
    let workers = Table {
        columns: vec!["Name"],
        rows: workers.collect(),
        empty: Empty::new("No worker calls the API of this environment yet."),
        next: None,
    };
    let lead = "People sign in here with a user of the administrators' environment; what they may do is said by their roles. A further one is made with “countersign admin create”.";
    Page::new(frame, "Administrators")
        .with(&Text::lead(lead))
        .with(&Heading { id: "people", title: "People", text: "" })
        .with(&people)
        .with(&Heading { id: "workers", title: "Workers", text: "Back ends and Terraform." })
        .with(&workers)
        .same_as(frame.api("/roleAssignments"), &Item::default(), None)
        .reply()
}

async fn one(visit: &Visit<'_>, frame: &Frame<'_>, user: &str) -> Outcome {
    let found = visit.api.get(frame.api(&format!("/users/{user}"))).await?;
    let roles = Roles {
        visit,
        frame,
        api: frame.api(&format!("/users/{user}/roleAssignments")),
        page: frame.page(&format!("/administrators/{user}")),
    };
    let page = Page::new(frame, found.text("username")).below("/administrators", "Administrators");
    roles.answer(page).await
}

/// The roles of somebody, and giving and taking them.
pub(crate) struct Roles<'a> {
    pub visit: &'a Visit<'a>,
    pub frame: &'a Frame<'a>,
    /// The address of the assignments in the API.
    pub api: String,
    /// The page.
    pub page: String,
}

impl Roles<'_> {
    pub async fn answer(&self, page: Page<'_>) -> Outcome {
        let api = self.visit.api;
        let roles = api.get("/v1/roles").await?.entries("roles");
        let organization = api.find("/v1/organizations").await.entries("organizations");
        let organization = organization.first().map(Item::id).unwrap_or_default();
        let environments = crate::frame::environments(self.visit).await;
        let mut form = self.form(&roles, &environments);
        if self.visit.is_post() {
            let taken = self.visit.request.sent("take");
            let done = if let Some(id) = taken {
                api.delete(format!("{}/{id}", self.api)).await.map(|_| "taken")
            } else {
                form = form.sent(&self.visit.request.form);
                let mut body = form.body(json!({}));
                let scope = match Item(body.clone()).text("scope").as_str() {
                    "" => json!({ "id": organization, "type": "ORGANIZATION" }),
                    id => json!({ "id": id, "type": "ENVIRONMENT" }),
                };
                crate::item::set(&mut body, "scope", scope);
                api.post(self.api.clone(), body).await.map(|_| "given")
            };
            match done {
                Ok(done) => return see(self.page.clone(), done),
                Err(refused) => form = form.mend(refused)?,
            }
        }
        let found = api.get(self.api.clone()).await?;
        let page = page.with(&self.given(&found, &roles, &environments));
        let page = if self.visit.may_manage(&self.frame.id(), Area::Roles) {
            page.with(&Heading {
                id: "give",
                title: "Give a role",
                text: "Nobody can give more than they have.",
            })
            .form(&form)
        } else {
            page
        };
        page.same_as(self.api.clone(), &found, Some("pingone_application_role_assignment")).reply()
    }

    fn form(&self, roles: &[Item], environments: &[(String, String)]) -> Form {
        let options = roles.iter().map(|role| {
            (role.id(), format!("{}: {}", role.text("name"), role.text("description")))
        });
        let mut scopes = vec![(String::new(), "Everywhere".to_owned())];
        scopes.extend(environments.iter().map(|(id, name)| (id.clone(), format!("In {name}"))));
        let fields = vec![
            Field::select("role.id", "Role", options.collect()),
            Field::select("scope", "Where", scopes).preset(self.frame.id()),
        ];
        Form::new(
            self.page.clone(),
            self.visit.request.token,
            "Give",
            vec![Group::new("", "", fields)],
        )
    }

    fn given(&self, found: &Item, roles: &[Item], environments: &[(String, String)]) -> Given {
        let name = |id: &str| {
            let role = roles.iter().find(|role| role.id() == id);
            role.map(|role| (role.text("name"), role.text("description"))).unwrap_or_default()
        };
        let scope = |it: &Item| {
            if it.text("scope.type") == "ORGANIZATION" {
                return "Everywhere".to_owned();
            }
            let id = it.text("scope.id");
            let known = environments.iter().find(|(known, _)| *known == id);
            known.map_or(id, |(_, name)| format!("In {name}"))
        };
        let entries = found.entries("roleAssignments");
        let roles = entries.iter().map(|it| {
            let (name, description) = name(&it.text("role.id"));
            Role { id: it.id(), name, description, scope: scope(it) }
        });
        Given {
            action: self.page.clone(),
            token: self.visit.request.token.to_owned(),
            roles: roles.collect(),
        }
    }
}

/// The roles of somebody.
#[derive(askama::Template)]
#[template(path = "roles.html", whitespace = "minimize")]
struct Given {
    action: String,
    token: String,
    roles: Vec<Role>,
}

struct Role {
    id: String,
    name: String,
    description: String,
    scope: String,
}
