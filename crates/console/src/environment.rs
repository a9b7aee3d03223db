//! The environments: where one goes from here, and a new one.

use countersign_domain::role::{Area, Permission};

use crate::{
    Outcome, Reply, Visit,
    form::{Choice, Field, Form, Group},
    frame::{Frame, Page, environments, see},
    part::{Cell, Empty, Heading, Table, Text},
};

const KINDS: [Choice; 2] = [
    Choice { value: "SANDBOX", label: "Sandbox", help: "To try things out." },
    Choice { value: "PRODUCTION", label: "Production", help: "Real users sign in here." },
];

pub(crate) async fn route(visit: &Visit<'_>) -> Outcome {
    let request = visit.request;
    let fields = vec![
        Field::text("name", "Name").help("For people, such as “Bank”.").required(),
        Field::choice("type", "What it is for", &KINDS).preset("SANDBOX"),
    ];
    let form = Form::new(
        "/console/environments",
        request.token,
        "Create",
        vec![Group::new("", "", fields)],
    );
    let mut form = if visit.is_post() { form.sent(&request.form) } else { form };
    if visit.is_post() {
        match visit
            .api
            .post("/v1/environments", form.body(serde_json::json!({ "region": "EU" })))
            .await
        {
            Ok(made) => return see(format!("/console/{}", made.id()), "created"),
            Err(refused) => form = form.mend(refused)?,
        }
    }
    let known = environments(visit).await;
    // Whoever has one to look after is there at once.
    let of_people: Vec<_> = known
        .iter()
        .filter(|(_, name)| name != countersign_domain::environment::ADMINISTRATORS)
        .collect();
    let is_start = request.path.trim_end_matches('/') == "/console";
    if let ([(id, _)], true, false) = (of_people.as_slice(), is_start, visit.is_post()) {
        return Ok(Reply::See(format!("/console/{id}")));
    }
    let frame = Frame::blank(visit);
    let rows = known.iter().map(|(id, name)| {
        let what = if name == countersign_domain::environment::ADMINISTRATORS {
            "The people who administer this platform"
        } else {
            ""
        };
        vec![Cell::link(format!("/console/{id}"), name), Cell::text(what)]
    });
    let table = Table {
        columns: vec!["Name", ""],
        rows: rows.collect(),
        empty: Empty::new("Your roles reach into no environment."),
        next: None,
    };
    let lead = "Each environment has its own users, applications, policies and keys. Nothing is shared between two.";
    let page = Page::new(&frame, "Environments").with(&Text::lead(lead)).with(&table);
    let may_create = visit.visitor.authority.allows(Permission::manage(Area::Organization), None);
    if may_create {
        let heading = Heading { id: "new", title: "New environment", text: "" };
        page.with(&heading).form(&form).reply()
    } else {
        page.reply()
    }
}
