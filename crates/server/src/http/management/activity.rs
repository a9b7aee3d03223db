//! The audit log on the wire (platform API, section 12.1).

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use countersign_domain::{
    id::Id,
    invalid::{Invalid, Rule},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    administrator::Administrator,
    hal::{Links, Wanted, link},
    refusal::{Refusal, not_found, parse},
};
use crate::{
    app::{Activity, App, AuditQuery},
    http::form::Members,
};

type Answer = Result<Response, Refusal>;

/// A part of the log. How much there is in all is not counted.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ActivityCollection")]
pub(super) struct Part {
    #[serde(rename = "_links")]
    links: Links,
    #[serde(rename = "_embedded")]
    embedded: BTreeMap<&'static str, Vec<Activity>>,
    /// How many are in this part.
    size: usize,
}

/// A search whose filter does not belong into addresses, which are logged.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ActivitySearch")]
pub(super) struct Search {
    /// As in the query of a list, at most 4,096 characters.
    filter: String,
    /// `ASC` or `DESC`.
    order: Option<String>,
    /// The most records, 1 to 1,000.
    limit: Option<u16>,
}

/// A filter goes into the address of the next part, where it may become three times as long.
const MAX_FILTER_CHARACTERS: usize = 4_096;

/// `GET .../activities`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    RawQuery(query): RawQuery,
) -> Answer {
    let query = query.unwrap_or_default();
    let members = Members::parse(query.as_bytes());
    let order = members.ok().and_then(|members| members.text("order"));
    answer(&app, &administrator, Wanted::parse(Some(&query))?, order).await
}

/// `POST .../activities`
pub(super) async fn search(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Answer {
    let Search { filter, order, limit } = parse(&body)?;
    let wanted = Wanted::parse(query.as_deref())?;
    let limit = limit.unwrap_or(wanted.limit);
    if !(1..=1_000).contains(&limit) {
        return Err(Refusal::out_of_range("limit", 1, 1_000));
    }
    let wanted = Wanted { filter: Some(filter), limit, ..wanted };
    answer(&app, &administrator, wanted, order).await
}

async fn answer(
    app: &App,
    administrator: &Administrator,
    wanted: Wanted,
    order: Option<String>,
) -> Answer {
    let newest_first = match order.as_deref().map(str::to_ascii_uppercase).as_deref() {
        None | Some("DESC") => true,
        Some("ASC") => false,
        Some(_) => {
            return Err(Invalid::new("order", Rule::OneOf { words: &["ASC", "DESC"] }).into());
        }
    };
    let mut query = AuditQuery {
        newest_first,
        cursor: wanted.cursor.map(Id::from_bytes),
        limit: wanted.limit.into(),
        ..AuditQuery::default()
    };
    let length = wanted.filter.as_deref().map_or(0, |text| text.chars().count());
    if length > MAX_FILTER_CHARACTERS {
        return Err(Invalid::new("filter", Rule::TooLong { max: MAX_FILTER_CHARACTERS }).into());
    }
    if let Some(filter) = wanted.filter()? {
        query = query
            .with(filter)
            .map_err(|error| Refusal::invalid_request(format!("filter: {error}")))?;
    }
    let page = app.search_audit(administrator.environment()?, query).await?;
    let address = administrator.address();
    let mut links = Links::from([link("self", address.list.clone())]);
    if let Some(last) = page.next {
        let next = wanted.next(&address.list, last);
        let order = if newest_first { "DESC" } else { "ASC" };
        links.extend([link("next", format!("{next}&order={order}"))]);
    }
    let base_url = &app.settings().base_url;
    let told: Vec<_> = page.records.iter().map(|it| Activity::of(it, base_url)).collect();
    let size = told.len();
    Ok(Json(Part { links, embedded: [("activities", told)].into(), size }).into_response())
}

/// `GET .../activities/{id}`
pub(super) async fn read(State(app): State<Arc<App>>, administrator: Administrator) -> Answer {
    let id = administrator.id("id")?;
    let found = app.read_audit(administrator.environment()?, id).await?;
    let found = found.ok_or_else(not_found)?;
    Ok(Json(Activity::of(&found, &app.settings().base_url)).into_response())
}
