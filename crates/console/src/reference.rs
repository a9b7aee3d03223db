//! The document of the management API as pages to read: what can be done, area by area, and the form of what goes in and out.

use std::collections::BTreeSet;

use askama::Template;
use serde_json::Value;

use crate::{Assets, item::Item};

/// The page of one area of the API, or of all areas by their names; none if there is no such area.
#[must_use]
pub fn reference(document: &Value, area: Option<&str>, assets: &Assets) -> Option<String> {
    let operations = operations(document);
    let areas: BTreeSet<&str> = operations.iter().map(|it| it.area.as_str()).collect();
    let areas: Vec<String> = areas.into_iter().map(str::to_owned).collect();
    let shown: Vec<Operation> = match area {
        None => Vec::new(),
        Some(area) if areas.iter().any(|known| known == area) => {
            operations.into_iter().filter(|it| it.area == area).collect()
        }
        Some(_) => return None,
    };
    let schemas = schemas(document, &shown);
    let page =
        Reference { assets, area: area.unwrap_or_default(), areas, operations: shown, schemas };
    page.render().ok()
}

#[derive(Template)]
#[template(path = "reference.html", whitespace = "minimize")]
struct Reference<'a> {
    assets: &'a Assets,
    area: &'a str,
    areas: Vec<String>,
    operations: Vec<Operation>,
    /// Names, and the members of each.
    schemas: Vec<(String, Vec<Member>)>,
}

/// Something that can be done.
struct Operation {
    area: String,
    method: String,
    path: String,
    summary: String,
    description: String,
    /// Media types, and the schemas of their bodies.
    requests: Vec<(String, String)>,
    /// The status of success, and the schema of its body.
    response: (String, String),
    is_list: bool,
}

/// A member of a body.
struct Member {
    name: String,
    kind: String,
    /// The schema that it has, if it has a name.
    link: String,
    is_required: bool,
    description: String,
}

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn operations(document: &Value) -> Vec<Operation> {
    let paths = document.get("paths").and_then(Value::as_object);
    let all = paths.into_iter().flatten().flat_map(|(path, at)| {
        let told = METHODS.iter().filter_map(move |method| Some((*method, at.get(method)?)));
        told.map(|(method, told)| operation(path, method, &Item(told.clone())))
    });
    all.collect()
}

fn operation(path: &str, method: &str, told: &Item) -> Operation {
    let requests = contents(&told.at("requestBody.content").0);
    let responses = told.at("responses");
    let success =
        responses.0.as_object().into_iter().flatten().find(|(status, _)| status.starts_with('2'));
    let response = success.map(|(status, told)| {
        let body = contents(told.get("content").unwrap_or(&Value::Null));
        (status.clone(), body.into_iter().next().map(|(_, schema)| schema).unwrap_or_default())
    });
    Operation {
        area: told.words("tags").into_iter().next().unwrap_or_default(),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: told.text("summary"),
        description: told.text("description"),
        requests,
        response: response.unwrap_or_default(),
        is_list: !told.items("parameters").is_empty(),
    }
}

/// Media types, and the names of the schemas of their bodies.
fn contents(content: &Value) -> Vec<(String, String)> {
    let all = content.as_object().into_iter().flatten();
    all.map(|(media, told)| (media.clone(), named(told.get("schema").unwrap_or(&Value::Null))))
        .collect()
}

/// The name of a schema that is referred to, somewhere within this one.
fn named(schema: &Value) -> String {
    match schema {
        Value::Object(members) => match members.get("$ref").and_then(Value::as_str) {
            Some(name) => name.rsplit('/').next().unwrap_or_default().to_owned(),
            None => members.values().map(named).find(|name| !name.is_empty()).unwrap_or_default(),
        },
        Value::Array(items) => {
            items.iter().map(named).find(|name| !name.is_empty()).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// The schemas that operations speak of, and those within them.
fn schemas(document: &Value, operations: &[Operation]) -> Vec<(String, Vec<Member>)> {
    let mut open: Vec<String> = operations
        .iter()
        .flat_map(|it| {
            it.requests.iter().map(|(_, name)| name.clone()).chain([it.response.1.clone()])
        })
        .filter(|name| !name.is_empty())
        .collect();
    let mut known = BTreeSet::new();
    let mut shown = Vec::new();
    while let Some(name) = open.pop() {
        if !known.insert(name.clone()) {
            continue;
        }
        let Some(schema) = document.pointer(&format!("/components/schemas/{name}")) else {
            continue;
        };
        let members = members(schema);
        open.extend(
            members.iter().map(|member| member.link.clone()).filter(|link| !link.is_empty()),
        );
        shown.push((name, members));
    }
    shown.sort_by(|(one, _), (other, _)| one.cmp(other));
    shown
}

fn members(schema: &Value) -> Vec<Member> {
    let item = Item(schema.clone());
    let required = item.words("required");
    let properties = schema.get("properties").and_then(Value::as_object);
    let own = properties.into_iter().flatten().map(|(name, told)| Member {
        name: name.clone(),
        kind: kind(told),
        link: named(told),
        is_required: required.contains(name),
        description: Item(told.clone()).text("description"),
    });
    let parts = ["allOf", "oneOf", "anyOf"].into_iter().flat_map(|word| item.items(word));
    own.chain(parts.flat_map(|part| members(&part.0))).collect()
}

/// What kind of value a schema allows, in a word or two.
fn kind(schema: &Value) -> String {
    let item = Item(schema.clone());
    let words = item.words("enum");
    if !words.is_empty() {
        return words.join(" | ");
    }
    match schema.get("type") {
        Some(Value::String(kind)) if kind == "array" => "list".to_owned(),
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            kinds.collect::<Vec<_>>().join(" | ")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        let schema = json!({ "$ref": "#/components/schemas/Thing" });
        json!({
            "paths": { "/things": { "parameters": [], "post": {
                "summary": "Make <one>", "tags": ["thing"],
                "requestBody": { "content": { "application/json": { "schema": schema } } },
                "responses": { "201": { "content": { "application/json": { "schema": schema } } }, "400": {} },
            } } },
            "components": { "schemas": {
                "Thing": { "required": ["name"], "properties": {
                    "name": { "type": "string", "description": "Its name." },
                    "parts": { "type": "array", "items": { "$ref": "#/components/schemas/Part" } } } },
                "Part": { "properties": { "size": { "type": ["integer", "null"] } } },
                "Other": {} } },
        })
    }

    #[test]
    fn an_area_is_shown_with_all_that_its_bodies_are_made_of() {
        let assets =
            Assets { icon: String::new(), stylesheet: String::new(), script: String::new() };
        let page = reference(&document(), Some("thing"), &assets).unwrap();
        for shown in [
            "POST",
            "/things",
            "Make &#60;one&#62;",
            "id=\"Thing\"",
            "href=\"#Part\"",
            "id=\"Part\"",
            "Its name.",
            "201",
        ] {
            assert!(page.contains(shown), "{shown} is not on {page}");
        }
        assert!(!page.contains("id=\"Other\""));
        assert!(reference(&document(), None, &assets).unwrap().contains("/openapi/thing"));
        assert_eq!(reference(&document(), Some("nothing"), &assets), None);
    }
}
