//! Users: found, made and imported; and one user with devices, groups and activity.

mod import;
mod one;

use countersign_domain::role::Area;
use serde_json::json;

use crate::{
    Outcome, Visit,
    api::{Refused, query},
    form::{Field, Form, Group},
    frame::{Frame, Page, see},
    item::Item,
    part::{Buttons, Cell, Empty, Table, Tone},
};
use askama::Template;

/// How many users are on a page.
const PAGE: &str = "50";

pub(crate) async fn route(visit: &Visit<'_>, frame: &Frame<'_>, segments: &[&str]) -> Outcome {
    match segments {
        [] => list(visit, frame).await,
        ["new"] => create(visit, frame).await,
        ["import"] => import::route(visit, frame).await,
        [user, rest @ ..] => one::route(visit, frame, user, rest).await,
    }
}

/// The search field, which shows what it finds while one types.
#[derive(Template)]
#[template(path = "search.html", whitespace = "minimize")]
struct Search<'a> {
    action: String,
    sought: &'a str,
}

/// What a search finds, in the filters of the API.
fn filter(sought: &str) -> String {
    let quoted = json!(sought).to_string();
    let by = ["username", "email", "name.family", "name.given"];
    by.map(|attribute| format!("{attribute} sw {quoted}")).join(" or ")
}

async fn list(visit: &Visit<'_>, frame: &Frame<'_>) -> Outcome {
    let sought = visit.request.query("q").unwrap_or_default().trim();
    let filter = if sought.is_empty() { String::new() } else { filter(sought) };
    let cursor = visit.request.query("cursor").unwrap_or_default();
    let members = query(&[("limit", PAGE), ("filter", &filter), ("cursor", cursor)]);
    let path = frame.api(&format!("/users?{members}"));
    let found = visit.api.get(path.clone()).await?;
    let rows = found.entries("users").into_iter().map(|user| {
        vec![
            Cell::link(frame.page(&format!("/users/{}", user.id())), user.text("username")),
            Cell::text(full_name(&user)),
            Cell::text(user.text("email")),
            state(&user),
        ]
    });
    let may_manage = visit.may_manage(&frame.id(), Area::Users);
    let empty = if sought.is_empty() && may_manage {
        Empty::new("There are no users yet. Create the first one, or import many.")
            .or(frame.page("/users/new"), "Create a user")
    } else {
        Empty::new("Nobody is called that. Names are sought from their beginning.")
    };
    let next = found.text("_links.next.href");
    let cursor = cursor_of(&next);
    let next = cursor.map(|cursor| {
        format!("{}?{}", frame.page("/users"), query(&[("q", sought), ("cursor", &cursor)]))
    });
    let table = Table {
        columns: vec!["User name", "Name", "E-mail", "State"],
        rows: rows.collect(),
        empty,
        next,
    };
    let mut page = Page::new(frame, "Users");
    if may_manage {
        let links = vec![
            (frame.page("/users/new"), "Create a user"),
            (frame.page("/users/import"), "Import users"),
        ];
        page = page.with(&Buttons { links });
    }
    let search = Search { action: frame.page("/users"), sought };
    page.with(&search).with(&Results(&table)).same_as(path, &found, None).reply()
}

/// What a search renews.
#[derive(Template)]
#[template(
    source = r#"<div id="results" aria-live="polite">{{ self.0|safe }}</div>"#,
    ext = "html"
)]
struct Results<'a>(&'a Table);

/// The cursor in the address of the next part.
pub(crate) fn cursor_of(next: &str) -> Option<String> {
    let (_, query) = next.split_once('?')?;
    let found = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "cursor");
    found.map(|(_, cursor)| cursor.into_owned())
}

fn full_name(user: &Item) -> String {
    [user.text("name.given"), user.text("name.family")].join(" ").trim().to_owned()
}

/// How a user stands, in a word.
fn state(user: &Item) -> Cell {
    if !user.flag("enabled") {
        Cell::mark("Disabled", Tone::Bad)
    } else if user.text("account.status") == "LOCKED" {
        Cell::mark("Locked", Tone::Bad)
    } else if !user.flag("mfaEnabled") {
        Cell::mark("MFA off", Tone::Quiet)
    } else {
        Cell::mark("Active", Tone::Good)
    }
}

async fn populations(visit: &Visit<'_>, frame: &Frame<'_>) -> Vec<(String, String)> {
    let found = visit.api.find(frame.api("/populations?limit=200")).await;
    let known = found.entries("populations").into_iter();
    known.map(|population| (population.id(), population.text("name"))).collect()
}

fn person() -> Vec<Field> {
    vec![
        Field::text("username", "User name")
            .help("What the person types to sign in. Capital letters make no difference.")
            .required(),
        Field::text("email", "E-mail").required(),
        Field::text("name.given", "Given name"),
        Field::text("name.family", "Family name"),
    ]
}

async fn create(visit: &Visit<'_>, frame: &Frame<'_>) -> Outcome {
    let mut fields = person();
    fields.push(Field::select("population.id", "Population", {
        let mut options = vec![(String::new(), "The default one".to_owned())];
        options.extend(populations(visit, frame).await);
        options
    }));
    let password = vec![
        Field::password("password.value", "Password")
            .help("Leave it empty if the person gets one in another way."),
        Field::switch("password.forceChange", "Must be changed at the first sign-on")
            .preset("true"),
    ];
    let groups = vec![Group::new("", "", fields), Group::new("First password", "", password)];
    let mut form = Form::new(frame.page("/users/new"), visit.request.token, "Create", groups);
    if visit.is_post() {
        form = form.sent(&visit.request.form);
        match make(visit, frame, &form).await {
            Ok(made) => return see(frame.page(&format!("/users/{}", made.id())), "created"),
            Err(refused) => form = form.mend(refused)?,
        }
    }
    Page::new(frame, "Create a user").below("/users", "Users").form(&form).reply()
}

/// Makes a user, by import where there is a password.
async fn make(visit: &Visit<'_>, frame: &Frame<'_>, form: &Form) -> Result<Item, Refused> {
    const IMPORT: &str = "application/vnd.pingidentity.user.import+json";
    let mut body = form.body(json!({}));
    let has_password = body.pointer("/password/value").is_some();
    let path = frame.api("/users");
    if has_password {
        visit.api.act(crate::Method::Post, IMPORT, path, crate::api::Body::Json(body)).await
    } else {
        if let Some(members) = body.as_object_mut() {
            members.remove("password");
        }
        visit.api.post(path, body).await
    }
}
