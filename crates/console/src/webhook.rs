//! Webhooks: who is told of the audit log, how it goes, and telling once more.

use countersign_domain::role::Area;
use serde_json::{Value, json};

use crate::{
    Method, Outcome, Visit,
    api::{Body, Refused},
    form::{Field, Form, Group},
    frame::{Frame, Page, see},
    item::Item,
    part::{Buttons, Cell, Empty, Facts, Heading, Table, Text, Tone},
};

pub(crate) async fn route(visit: &Visit<'_>, frame: &Frame<'_>, segments: &[&str]) -> Outcome {
    match segments {
        [] => list(visit, frame).await,
        ["new"] => write(visit, frame, None).await,
        [webhook] => one(visit, frame, webhook).await,
        [webhook, "edit"] => {
            let item = visit.api.get(frame.api(&format!("/subscriptions/{webhook}"))).await?;
            write(visit, frame, Some(&item)).await
        }
        [webhook, "replay"] => replay(visit, frame, webhook).await,
        [webhook, "delete"] => delete(visit, frame, webhook).await,
        _ => Err(Refused::not_found()),
    }
}

async fn list(visit: &Visit<'_>, frame: &Frame<'_>) -> Outcome {
    let path = frame.api("/subscriptions");
    let found = visit.api.get(path.clone()).await?;
    let rows = found.entries("subscriptions").into_iter().map(|webhook| {
        vec![
            Cell::link(frame.page(&format!("/webhooks/{}", webhook.id())), webhook.text("name")),
            Cell::either(webhook.flag("enabled"), "On", "Off"),
            Cell::text(webhook.text("httpEndpoint.url")),
        ]
    });
    let table = Table {
        columns: vec!["Name", "", "Address"],
        rows: rows.collect(),
        empty: Empty::new(
            "Nobody is told of the audit log yet. A webhook sends events to your own systems as they happen.",
        ),
        next: None,
    };
    let mut page = Page::new(frame, "Webhooks");
    if visit.may_manage(&frame.id(), Area::Subscriptions) {
        page = page.with(&Buttons { links: vec![(frame.page("/webhooks/new"), "Add a webhook")] });
    }
    page.with(&table).same_as(path, &found, None).reply()
}

fn form(visit: &Visit<'_>, action: String, submit: &str) -> Form {
    let fields = vec![
        Field::text("name", "Name").required(),
        Field::switch("enabled", "It is told")
            .help("Off: what happens meanwhile is kept for two weeks."),
        Field::text("httpEndpoint.url", "Address").help("Must be https.").required(),
        Field::lines("filterOptions.includedActionTypes", "Of what")
            .help("Types of actions, one a line, such as USER.ACCESS_ALLOWED or DEVICE.DELETED."),
        Field::switch("filterOptions.ipAddressExposed", "With addresses of callers"),
        Field::switch("filterOptions.userAgentExposed", "With what callers call themselves"),
    ];
    Form::new(action, visit.request.token, submit, vec![Group::new("", "", fields)])
}

async fn write(visit: &Visit<'_>, frame: &Frame<'_>, old: Option<&Item>) -> Outcome {
    let mut form =
        form(visit, visit.request.path.to_owned(), if old.is_some() { "Save" } else { "Add" });
    form = match old {
        Some(old) => form.filled(old),
        None => form.filled(&Item(json!({ "enabled": true, "filterOptions": { "includedActionTypes": ["USER.ACCESS_ALLOWED", "USER.ACCESS_DENIED", "DEVICE.CREATED", "DEVICE.DELETED"] } }))),
    };
    if visit.is_post() {
        form = form.sent(&visit.request.form);
        let base = old.map_or_else(
            || json!({ "format": "ACTIVITY", "verifyTlsCertificates": true }),
            Item::sendable,
        );
        let body: Value = form.body(base);
        let written = match old {
            Some(old) => {
                visit.api.put(frame.api(&format!("/subscriptions/{}", old.id())), body).await
            }
            None => visit.api.post(frame.api("/subscriptions"), body).await,
        };
        match written {
            Ok(made) => return see(frame.page(&format!("/webhooks/{}", made.id())), "saved"),
            Err(refused) => form = form.mend(refused)?,
        }
    }
    let title = if old.is_some() { "Edit a webhook" } else { "Add a webhook" };
    Page::new(frame, title).below("/webhooks", "Webhooks").form(&form).reply()
}

async fn one(visit: &Visit<'_>, frame: &Frame<'_>, id: &str) -> Outcome {
    let path = frame.api(&format!("/subscriptions/{id}"));
    let webhook = visit.api.get(path.clone()).await?;
    let mut facts = vec![
        ("State", Cell::either(webhook.flag("enabled"), "On", "Off")),
        ("Address", Cell::text(webhook.text("httpEndpoint.url"))),
        ("Of what", Cell::text(webhook.words("filterOptions.includedActionTypes").join(", "))),
    ];
    let delivery = webhook.at("delivery");
    let error = delivery.text("lastError.message");
    facts.extend([
        ("Told of everything before", Cell::text(delivery.time("deliveredThrough"))),
        ("Last call that succeeded", Cell::text(delivery.time("lastSuccessAt"))),
        ("Calls that failed since", Cell::text(delivery.text("failures"))),
        ("Next try", Cell::text(delivery.time("nextAttemptAt"))),
        ("Dropped after two weeks", Cell::text(delivery.time("droppedAt"))),
    ]);
    if !error.is_empty() {
        facts.push(("Last failure", Cell::mark(error, Tone::Bad)));
    }
    facts.retain(|(_, cell)| !matches!(cell, Cell::Text(text) if text.is_empty()));
    let mut page =
        Page::new(frame, webhook.text("name")).below("/webhooks", "Webhooks").with(&Facts(facts));
    if visit.may_manage(&frame.id(), Area::Subscriptions) {
        let at = |word: &str| frame.page(&format!("/webhooks/{id}/{word}"));
        let links = vec![
            (at("edit"), "Edit"),
            (at("replay"), "Send events again"),
            (at("delete"), "Delete"),
        ];
        page = page.with(&Buttons { links });
        let secret = visit.api.find(frame.api(&format!("/subscriptions/{id}/secret"))).await;
        if secret.has("secret") {
            let text =
                "Each call is signed (Standard Webhooks). Your receiver verifies it with this key.";
            page = page.with(&Heading { id: "key", title: "Signature", text });
            page = page.with(&Facts(vec![("Key", Cell::text(secret.text("secret")))]));
        }
    }
    page.same_as(path, &webhook, Some("pingone_webhook")).reply()
}

async fn replay(visit: &Visit<'_>, frame: &Frame<'_>, id: &str) -> Outcome {
    let field = Field::text("from", "From when")
        .help("As 2030-01-31T08:00:00Z. What happened since is sent again, in order.")
        .required();
    let action = frame.page(&format!("/webhooks/{id}/replay"));
    let since = visit.request.now.minus_seconds(3_600).to_rfc3339_millis();
    let mut form = Form::new(
        action,
        visit.request.token,
        "Send again",
        vec![Group::new("", "", vec![field.preset(since)])],
    );
    if visit.is_post() {
        form = form.sent(&visit.request.form);
        let media_type = "application/vnd.pingidentity.subscription.replay+json";
        let path = frame.api(&format!("/subscriptions/{id}"));
        match visit.api.act(Method::Post, media_type, path, Body::Json(form.body(json!({})))).await
        {
            Ok(_) => return see(frame.page(&format!("/webhooks/{id}")), "replayed"),
            Err(refused) => form = form.mend(refused)?,
        }
    }
    let lead = "For a receiver that has lost something. It sees the same ids again, and should take each once.";
    Page::new(frame, "Send events again")
        .below("/webhooks", "Webhooks")
        .below(&format!("/webhooks/{id}"), "Webhook")
        .with(&Text::lead(lead))
        .form(&form)
        .reply()
}

async fn delete(visit: &Visit<'_>, frame: &Frame<'_>, id: &str) -> Outcome {
    let path = frame.api(&format!("/subscriptions/{id}"));
    if visit.is_post() {
        visit.api.delete(path).await?;
        return see(frame.page("/webhooks"), "deleted");
    }
    let webhook = visit.api.get(path).await?;
    let action = frame.page(&format!("/webhooks/{id}/delete"));
    let mut form = Form::new(action, visit.request.token, "Delete the webhook", vec![]);
    form.is_destructive = true;
    let lead =
        "Its receiver is told nothing any more, also not of what waits now. The audit log stays.";
    Page::new(frame, format!("Delete {}?", webhook.text("name")))
        .below("/webhooks", "Webhooks")
        .with(&Text::lead(lead))
        .form(&form)
        .reply()
}
