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
    ADMINISTRATOR, PASSWORD, Person, World,
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
        account: account_page(&world),
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

/// The window in which a place opens: each has its own.
fn window(path: &str) -> String {
    match path.strip_prefix("/phones/") {
        Some(key) => format!("phones-{key}"),
        None => path.split('/').nth(1).unwrap_or_default().to_owned(),
    }
}

/// `GET /account`: the platform's page for customers.
pub async fn account(State(world): State<Arc<World>>) -> Redirect {
    Redirect::temporary(&account_page(&world))
}

fn account_page(world: &World) -> String {
    format!("{}/{}/account", world.app.settings().base_url, world.bank.environment)
}

/// The time of the day in UTC, which a script puts into the visitor's own.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates call it so")]
pub fn clock(at: &Timestamp) -> String {
    let text = at.to_rfc3339_millis();
    text.get(11..19).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_a_window() {
        for (path, name) in [
            ("/bank", "bank"),
            ("/bank/account", "bank"),
            ("/phones/ann", "phones-ann"),
            ("/account", "account"),
        ] {
            assert_eq!(window(path), name);
        }
    }

    #[test]
    fn a_time_of_the_day_is_read_off_a_timestamp() {
        let at = Timestamp::parse_rfc3339("2026-05-20T08:09:10.000Z").unwrap();
        assert_eq!(clock(&at), "08:09:10");
    }
}
