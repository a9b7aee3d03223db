//! Signing keys: which there are, and making a new one count.

use countersign_domain::role::Area;
use serde_json::json;

use crate::{
    Method, Outcome, Visit,
    api::{Body, Refused},
    form::Form,
    frame::{Frame, Page, see},
    part::{Buttons, Cell, Empty, Table, Text, Tone},
};

pub(crate) async fn route(visit: &Visit<'_>, frame: &Frame<'_>, segments: &[&str]) -> Outcome {
    match segments {
        [] => list(visit, frame).await,
        ["rotate"] => rotate(visit, frame).await,
        _ => Err(Refused::not_found()),
    }
}

async fn list(visit: &Visit<'_>, frame: &Frame<'_>) -> Outcome {
    let path = frame.api("/keys");
    let found = visit.api.get(path.clone()).await?;
    let rows = found.entries("keys").into_iter().map(|key| {
        let status = key.text("status");
        let tone = if key.flag("default") { Tone::Good } else { Tone::Quiet };
        vec![
            Cell::text(key.text("name")),
            Cell::text(key.text("algorithm")),
            if key.flag("default") {
                Cell::mark("Signs", tone)
            } else {
                Cell::mark(status.to_lowercase(), tone)
            },
            Cell::text(key.time("startsAt")),
            Cell::text(key.time("expiresAt")),
        ]
    });
    let table = Table {
        columns: vec!["Name", "Algorithm", "", "From", "Until"],
        rows: rows.collect(),
        empty: Empty::new("There are no keys."),
        next: None,
    };
    let lead = "Tokens are signed with these keys. They are renewed by themselves: a new one is published before it signs, and an old one stays until its last token has expired.";
    let mut page = Page::new(frame, "Keys").with(&Text::lead(lead)).with(&table);
    if visit.may_manage(&frame.id(), Area::Keys) {
        page = page.with(&Buttons { links: vec![(frame.page("/keys/rotate"), "Rotate now")] });
    }
    page.same_as(path, &found, None).reply()
}

async fn rotate(visit: &Visit<'_>, frame: &Frame<'_>) -> Outcome {
    if visit.is_post() {
        let policies = visit.api.get(frame.api("/keyRotationPolicies")).await?;
        for policy in policies.entries("keyRotationPolicies") {
            let path = frame.api(&format!("/keyRotationPolicies/{}", policy.id()));
            let media_type = "application/vnd.pingidentity.keyRotationPolicy.rotate+json";
            visit.api.act(Method::Post, media_type, path, Body::Json(json!({}))).await?;
        }
        return see(frame.page("/keys"), "saved");
    }
    let form = Form::new(frame.page("/keys/rotate"), visit.request.token, "Rotate now", vec![]);
    let lead = "New keys sign as soon as they are known everywhere. Tokens that were signed before go on to count. Do it when a key may have become known to somebody.";
    Page::new(frame, "Rotate the keys?")
        .below("/keys", "Keys")
        .with(&Text::lead(lead))
        .form(&form)
        .reply()
}
