//! Applications: the guided way to a native app, and one application with its tabs.

mod one;

use askama::Template;
use countersign_domain::role::Area;
use serde_json::{Value, json};

use crate::{
    Outcome, Visit,
    form::{Choice, Field, Form, Group},
    frame::{Frame, Page, see},
    item::Item,
    part::{Buttons, Cell, Empty, Table, Text},
};

pub(crate) async fn route(visit: &Visit<'_>, frame: &Frame<'_>, segments: &[&str]) -> Outcome {
    match segments {
        [] => list(visit, frame).await,
        ["new"] => choose(frame),
        ["new", kind] => create(visit, frame, kind).await,
        [application, rest @ ..] => one::route(visit, frame, application, rest).await,
    }
}

/// What an application is, for people.
fn kind_name(kind: &str) -> &'static str {
    match kind {
        "NATIVE_APP" => "Native app",
        "WEB_APP" => "Web site",
        "SINGLE_PAGE_APP" => "Single page app",
        "WORKER" => "Worker",
        "PING_ONE_SELF_SERVICE" => "My account",
        "PING_ONE_ADMIN_CONSOLE" => "This console",
        _ => "Application",
    }
}

/// Applications of an environment, by id and name, that fit.
pub(crate) async fn known(
    visit: &Visit<'_>,
    frame: &Frame<'_>,
    fits: impl Fn(&Item) -> bool,
) -> Vec<(String, String)> {
    let found = visit.api.find(frame.api("/applications?limit=200")).await;
    let fitting = found.entries("applications").into_iter().filter(fits);
    fitting.map(|application| (application.id(), application.text("name"))).collect()
}

async fn list(visit: &Visit<'_>, frame: &Frame<'_>) -> Outcome {
    let path = frame.api("/applications?limit=200");
    let found = visit.api.get(path.clone()).await?;
    let rows = found.entries("applications").into_iter().map(|application| {
        vec![
            Cell::link(
                frame.page(&format!("/applications/{}", application.id())),
                application.text("name"),
            ),
            Cell::text(kind_name(&application.text("type"))),
            Cell::either(application.flag("enabled"), "On", "Off"),
            match application.text("mobile.packageName") {
                package if package.is_empty() => Cell::text(application.text("mobile.bundleId")),
                package => Cell::text(package),
            },
        ]
    });
    let table = Table {
        columns: vec!["Name", "Kind", "", "App"],
        rows: rows.collect(),
        empty: Empty::new(
            "There are no applications yet. Begin with the native app that shall be the second factor.",
        ),
        next: None,
    };
    let mut page = Page::new(frame, "Applications");
    if visit.may_manage(&frame.id(), Area::Applications) {
        page = page.with(&Buttons {
            links: vec![(frame.page("/applications/new"), "Add an application")],
        });
    }
    page.with(&table).same_as(path, &found, None).reply()
}

/// The choice of what to add.
#[derive(Template)]
#[template(path = "application_kinds.html", whitespace = "minimize")]
struct Kinds {
    kinds: Vec<(String, &'static str, &'static str)>,
}

fn choose(frame: &Frame<'_>) -> Outcome {
    let kind =
        |word: &str, name, help| (frame.page(&format!("/applications/new/{word}")), name, help);
    let kinds = vec![
        kind(
            "native",
            "Native app",
            "Your own app for iOS and Android. With the SDK inside, the phone it runs on becomes the second factor.",
        ),
        kind(
            "web",
            "Web site",
            "A site with a server. Its users may sign in by scanning a code with your app.",
        ),
        kind(
            "single-page",
            "Single page app",
            "A site that runs in the browser alone, without a secret.",
        ),
        kind(
            "worker",
            "Worker",
            "A back end that calls the API on its own, such as for device authentications or Terraform.",
        ),
    ];
    Page::new(frame, "Add an application")
        .below("/applications", "Applications")
        .with(&Kinds { kinds })
        .reply()
}

const AUTH_METHODS: [Choice; 3] = [
    Choice {
        value: "CLIENT_SECRET_BASIC",
        label: "Secret in the header",
        help: "What most libraries do.",
    },
    Choice {
        value: "CLIENT_SECRET_POST",
        label: "Secret in the form",
        help: "For libraries that cannot do the other.",
    },
    Choice { value: "NONE", label: "No secret", help: "With PKCE alone." },
];

fn package(prefix: &str) -> Vec<Field> {
    vec![
        Field::text(format!("{prefix}packageName"), "Android package name")
            .help("Such as com.example.bank. Empty if there is no Android app."),
        Field::text(format!("{prefix}bundleId"), "iOS bundle id")
            .help("Such as com.example.bank. Empty if there is no iOS app."),
    ]
}

fn redirects(text: &str) -> Field {
    Field::lines("redirectUris", "Redirect URIs").help(text)
}

async fn create(visit: &Visit<'_>, frame: &Frame<'_>, kind: &str) -> Outcome {
    let name = |help: &str| Field::text("name", "Name").help(help).required();
    let seen = "The person who signs in sees it.";
    let (title, lead, base, groups) = match kind {
        "native" => (
            "Add a native app",
            "Three things make it a second factor: the app here, its push credentials, and its place in an MFA policy. \
             This is the first; the next page leads on.",
            json!({ "type": "NATIVE_APP", "grantTypes": ["AUTHORIZATION_CODE", "REFRESH_TOKEN"], "tokenEndpointAuthMethod": "NONE",
                    "pkceEnforcement": "S256_REQUIRED" }),
            vec![
                Group::new("", "", vec![name(seen), redirects("Where the app gets its answer, one a line: com.example.bank:/signed-in").preset("")]),
                Group::new("The app in the stores", "One of the two at least.", package("mobile.")),
            ],
        ),
        "web" => (
            "Add a web site",
            "The site gets a client id and a secret for its OIDC library.",
            json!({ "type": "WEB_APP", "grantTypes": ["AUTHORIZATION_CODE"], "pkceEnforcement": "S256_REQUIRED" }),
            vec![Group::new("", "", vec![
                name(seen),
                redirects("One a line, each an https address: https://www.example.com/callback"),
                Field::choice("tokenEndpointAuthMethod", "How it proves itself", &AUTH_METHODS).preset("CLIENT_SECRET_BASIC"),
            ])],
        ),
        "single-page" => (
            "Add a single page app",
            "It has no secret: PKCE protects its sign-ons.",
            json!({ "type": "SINGLE_PAGE_APP", "grantTypes": ["AUTHORIZATION_CODE"], "tokenEndpointAuthMethod": "NONE",
                    "pkceEnforcement": "S256_REQUIRED" }),
            vec![Group::new("", "", vec![name(seen), redirects("One a line, each an https address.")])],
        ),
        "worker" => (
            "Add a worker",
            "It acts for itself, with the roles that you give it on its page.",
            json!({ "type": "WORKER", "grantTypes": ["CLIENT_CREDENTIALS"], "tokenEndpointAuthMethod": "CLIENT_SECRET_BASIC" }),
            vec![Group::new("", "", vec![name("For administrators.")])],
        ),
        _ => return Err(crate::api::Refused::not_found()),
    };
    let action = frame.page(&format!("/applications/new/{kind}"));
    let mut form = Form::new(action, visit.request.token, "Add", groups);
    if visit.is_post() {
        form = form.sent(&visit.request.form);
        let mut body = form.body(base);
        for (member, value) in
            [("enabled", Value::Bool(true)), ("protocol", json!("OPENID_CONNECT"))]
        {
            if let Some(members) = body.as_object_mut() {
                members.insert(member.to_owned(), value);
            }
        }
        match visit.api.post(frame.api("/applications"), body).await {
            Ok(made) => return see(frame.page(&format!("/applications/{}", made.id())), "created"),
            Err(refused) => form = form.mend(refused)?,
        }
    }
    Page::new(frame, title)
        .below("/applications", "Applications")
        .below("/applications/new", "Add")
        .with(&Text::lead(lead))
        .form(&form)
        .reply()
}
