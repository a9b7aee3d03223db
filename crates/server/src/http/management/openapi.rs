//! The document of the management API (`OpenAPI` 3.1), made of the declarations of its routes.

use axum::http::Method;
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::api::Operation;

/// The document.
pub(super) fn document(operations: &[Operation]) -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for operation in operations {
        let at = paths.entry(operation.path).or_insert_with(|| parameters(operation.path));
        let method = operation.method.as_str().to_ascii_lowercase();
        let Some(at) = at.as_object_mut() else { continue };
        match at.get_mut(&method) {
            // Another media type of the same address.
            Some(known) => add_request(known, operation, &mut schemas),
            None => drop(at.insert(method, told(operation, &mut schemas))),
        }
    }
    let mut definitions = schemas.take_definitions(true);
    definitions.insert("Error".to_owned(), error_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Countersign",
            "description": "What administrators set up, by worker applications with roles.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "security": [{ "worker": [] }],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {
                "worker": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token that a worker application got for itself by client_credentials.",
                },
            },
        },
    })
}

/// The parameters of a path, which all of its operations share.
fn parameters(path: &str) -> Value {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name| {
        let schema = json!({ "type": "string" });
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    };
    json!({ "parameters": names.map(parameter).collect::<Vec<_>>() })
}

fn told(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let (status, form) = &operation.response;
    let mut success = json!({ "description": status.canonical_reason().unwrap_or_default() });
    if let (Some(form), Some(success)) = (form, success.as_object_mut()) {
        let content = json!({ "application/json": { "schema": form(schemas) } });
        success.insert("content".to_owned(), content);
    }
    let mut responses = Map::from_iter([(status.as_str().to_owned(), success)]);
    let refusals = [
        ("400", "A member breaks a rule, or the thing cannot be done as it is."),
        ("401", "There is no token, or it does not count."),
        ("403", "No role of the caller allows this."),
        ("404", "There is nothing at this address."),
        ("413", "The body is too large."),
        ("415", "The media type is another one."),
        ("429", "Too many requests; Retry-After says when to come back."),
        ("503", "The service is busy; Retry-After says when to come back."),
    ];
    let reads = operation.method == Method::GET;
    for (status, why) in refusals {
        // What has no body has none that is too large or of another kind.
        if reads && matches!(status, "413" | "415") {
            continue;
        }
        let schema = json!({ "$ref": "#/components/schemas/Error" });
        let content = json!({ "application/json": { "schema": schema } });
        responses.insert(status.to_owned(), json!({ "description": why, "content": content }));
    }
    let permission = operation.permission;
    let mut told = json!({
        "summary": operation.summary,
        "description": format!("Needs a role that allows to {} {}.", permission.access.word(), permission.area.word()),
        "tags": [permission.area.word()],
        "responses": responses,
    });
    if operation.is_list
        && let Some(told) = told.as_object_mut()
    {
        told.insert("parameters".to_owned(), list_parameters());
    }
    add_request(&mut told, operation, schemas);
    told
}

fn add_request(told: &mut Value, operation: &Operation, schemas: &mut SchemaGenerator) {
    let Some((media_type, form)) = &operation.request else { return };
    let schema = form(schemas);
    if let Some(told) = told.as_object_mut() {
        let body = told.entry("requestBody");
        let body = body.or_insert_with(|| json!({ "required": true, "content": {} }));
        if let Some(content) = body.get_mut("content").and_then(Value::as_object_mut) {
            content.insert((*media_type).to_owned(), json!({ "schema": schema }));
        }
    }
}

fn list_parameters() -> Value {
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": 1_000, "default": 100 });
    json!([
        { "name": "limit", "in": "query", "schema": limit, "description": "The most entries of the answer." },
        { "name": "cursor", "in": "query", "schema": { "type": "string" },
          "description": "Where the answer begins, as the link to the next part says." },
        { "name": "filter", "in": "query", "schema": { "type": "string" },
          "description": "What must hold of the entries (RFC 7644, section 3.4.2.2)." },
    ])
}

/// The envelope of refusals (`problem.rs`).
fn error_schema() -> Value {
    let text = json!({ "type": "string" });
    let detail = json!({
        "type": "object",
        "required": ["code", "message"],
        "properties": { "code": text, "target": text, "message": text, "innerError": { "type": "object" } },
    });
    json!({
        "type": "object",
        "required": ["id", "code", "message"],
        "properties": {
            "id": text, "code": text, "message": text,
            "details": { "type": "array", "items": detail },
        },
    })
}
