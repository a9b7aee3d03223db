//! `/`: what this is, who is in it, and the things to try.

use std::{collections::BTreeSet, sync::Arc};

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use countersign_protocol::time::Timestamp;

use super::{asset, broken, page, versions};
use crate::{
    PASSWORD, Person, World,
    handset::{Facts, Fields},
    mode::Mode,
    progress::Happening,
    thing::{CHAPTERS, Chapter},
};

#[derive(Template)]
#[template(path = "start.html", whitespace = "minimize")]
struct Start<'a> {
    version: i64,
    chapters: &'a [Chapter],
    done: BTreeSet<String>,
    total: usize,
    people: &'a [Person],
    phones: Vec<(&'static str, Facts)>,
    mode: Mode,
    latest: Vec<Happening>,
    account: String,
    console: String,
    issuer: String,
}

impl Start<'_> {
    /// The window in which a place opens: each has its own.
    fn window(&self, path: &&'static str) -> String {
        path.split('/')
            .skip(1)
            .take(2)
            .filter(|part| *part != "account")
            .collect::<Vec<_>>()
            .join("-")
    }

    fn is_done(&self, key: &&'static str) -> bool {
        self.done.contains(*key)
    }
}

/// `GET /`
pub async fn show(State(world): State<Arc<World>>) -> Response {
    let mode = match Mode::read(&world.app, &world.bank).await {
        Ok(mode) => mode,
        Err(error) => return broken(&error),
    };
    // Before what it is the version of.
    let version = world.progress.feed.version();
    let (done, latest) = world.progress.told();
    let base = &world.app.settings().base_url;
    let start = Start {
        version,
        chapters: &CHAPTERS,
        done,
        total: CHAPTERS.iter().map(|chapter| chapter.things.len()).sum(),
        people: &world.bank.people,
        phones: world.phones.iter().map(|phone| (phone.key, phone.facts())).collect(),
        mode,
        latest,
        account: format!("{base}/{}/account", world.bank.environment),
        console: format!("{base}/console"),
        issuer: world.bank.issuer(&world.app),
    };
    page(StatusCode::OK, &start)
}

/// `GET /events`
pub async fn events(State(world): State<Arc<World>>) -> Response {
    versions(&world.progress.feed)
}

/// `POST /mode`
pub async fn switch(State(world): State<Arc<World>>, Form(fields): Form<Fields>) -> Response {
    let Some(mode) = fields.get("mode").and_then(|key| Mode::named(key)) else {
        return (StatusCode::BAD_REQUEST, "mode must be off, permissive or restrictive\n")
            .into_response();
    };
    match mode.demand(&world.app, &world.bank).await {
        Ok(()) => Redirect::to("/#switch").into_response(),
        Err(error) => broken(&error),
    }
}

/// The time of the day in UTC, which a script puts into the visitor's own.
pub fn clock(at: &Timestamp) -> String {
    let text = at.to_rfc3339_millis();
    text.get(11..19).unwrap_or_default().to_owned()
}
