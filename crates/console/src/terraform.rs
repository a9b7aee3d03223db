//! Things that are set up as Terraform writes them, for the provider of the vendor.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::item::Item;

/// A block of the configuration that makes this thing.
pub(crate) fn resource(kind: &str, environment: &str, item: &Item) -> String {
    let name = label(&item.text("name"));
    let mut text = format!("resource \"{kind}\" \"{name}\" {{\n");
    let _ = writeln!(text, "  environment_id = \"{environment}\"");
    if let Value::Object(members) = item.sendable() {
        write_members(&mut text, &members, 1);
    }
    text.push_str("}\n");
    let _ = write!(text, "\n# terraform import {kind}.{name} {environment}/{}", item.id());
    text
}

fn write_members(text: &mut String, members: &Map<String, Value>, depth: usize) {
    let indent = "  ".repeat(depth);
    for (name, value) in members {
        let name = snake(name);
        match value {
            // A reference to something else is its id.
            Value::Object(inner) if inner.len() == 1 && inner.contains_key("id") => {
                let id = inner.get("id").cloned().unwrap_or_default();
                let _ = writeln!(text, "{indent}{name}_id = {id}");
            }
            Value::Null => {}
            value => {
                let _ = write!(text, "{indent}{name} = ");
                write_value(text, value, depth);
                text.push('\n');
            }
        }
    }
}

fn write_value(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) => {
            text.push_str("{\n");
            write_members(text, members, depth + 1);
            let _ = write!(text, "{indent}}}");
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            text.push_str("[\n");
            for item in items {
                let _ = write!(text, "{indent}  ");
                write_value(text, item, depth + 1);
                text.push_str(",\n");
            }
            let _ = write!(text, "{indent}]");
        }
        // Text of JSON is text of HCL, except that `${` and `%{` begin templates there.
        Value::String(_) => {
            let quoted = value.to_string().replace("${", "$${").replace("%{", "%%{");
            text.push_str(&quoted);
        }
        value => {
            let _ = write!(text, "{value}");
        }
    }
}

fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// A name that Terraform takes.
fn label(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect();
    let starts_well = plain.starts_with(|c: char| c.is_ascii_alphabetic());
    if starts_well { plain } else { format!("this_{plain}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_thing_is_written_as_a_block_without_what_only_the_platform_says() {
        let item = Item(json!({
            "_links": {}, "id": "i", "environment": { "id": "e" }, "name": "My ${app}", "enabled": true,
            "population": { "id": "p" }, "redirectUris": ["https://a"], "list": [{ "maxCount": 1 }],
        }));
        let text = resource("pingone_thing", "e", &item);
        assert_eq!(
            text,
            "resource \"pingone_thing\" \"my___app_\" {\n  environment_id = \"e\"\n  enabled = true\n  list = [\n    {\n      \
             max_count = 1\n    },\n  ]\n  name = \"My $${app}\"\n  population_id = \"p\"\n  redirect_uris = [\"https://a\"]\n}\n\n\
             # terraform import pingone_thing.my___app_ e/i"
        );
    }
}
