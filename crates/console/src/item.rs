//! JSON as pages read it: members by their paths, and nothing where there is none.

use serde_json::{Map, Value};

/// Something that the API has answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Item(pub Value);

impl Item {
    /// The value at a path of names and places, with dots between.
    fn find(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.0, |value, name| match value {
            Value::Array(items) => items.get(name.parse::<usize>().ok()?),
            value => value.get(name),
        })
    }

    pub fn at(&self, path: &str) -> Self {
        Self(self.find(path).cloned().unwrap_or_default())
    }

    /// A value as text; empty if there is none.
    pub fn text(&self, path: &str) -> String {
        match self.find(path) {
            Some(Value::String(text)) => text.clone(),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
            _ => String::new(),
        }
    }

    pub fn id(&self) -> String {
        self.text("id")
    }

    pub fn has(&self, path: &str) -> bool {
        self.find(path).is_some_and(|value| !value.is_null())
    }

    pub fn flag(&self, path: &str) -> bool {
        self.find(path).and_then(Value::as_bool).unwrap_or_default()
    }

    pub fn number(&self, path: &str) -> i64 {
        self.find(path).and_then(Value::as_i64).unwrap_or_default()
    }

    /// The entries of an array.
    pub fn items(&self, path: &str) -> Vec<Self> {
        let found = self.find(path).and_then(Value::as_array);
        found.map(|items| items.iter().cloned().map(Self).collect()).unwrap_or_default()
    }

    /// The entries of a list of the API.
    pub fn entries(&self, collection: &str) -> Vec<Self> {
        self.items(&format!("_embedded.{collection}"))
    }

    /// The strings of an array.
    pub fn words(&self, path: &str) -> Vec<String> {
        self.items(path).iter().map(Self::text_itself).collect()
    }

    fn text_itself(&self) -> String {
        self.0.as_str().map(str::to_owned).unwrap_or_default()
    }

    /// A time for people: date and minute, in UTC.
    pub fn time(&self, path: &str) -> String {
        let text = self.text(path);
        let minute = text.get(..16).map(|minute| minute.replace('T', " "));
        minute.map(|minute| format!("{minute} UTC")).unwrap_or_default()
    }

    /// Without what only the platform says, as it would be sent.
    pub fn sendable(&self) -> Value {
        let mut value = self.0.clone();
        if let Value::Object(members) = &mut value {
            for name in ["_links", "_embedded", "id", "environment", "createdAt", "updatedAt"] {
                members.remove(name);
            }
        }
        value
    }

    /// In several lines, for people.
    pub fn pretty(&self) -> String {
        serde_json::to_string_pretty(&self.0).unwrap_or_default()
    }
}

/// Sets the value at a path, and makes what leads there. Null takes it away.
pub(crate) fn set(root: &mut Value, path: &str, new: Value) {
    let Some((name, rest)) = path.split_once('.') else {
        match root {
            Value::Array(items) => {
                if let Some(item) =
                    path.parse::<usize>().ok().and_then(|place| items.get_mut(place))
                {
                    *item = new;
                }
            }
            _ => {
                if let Some(members) = object(root) {
                    if new.is_null() {
                        members.remove(path);
                    } else {
                        members.insert(path.to_owned(), new);
                    }
                }
            }
        }
        return;
    };
    if let Value::Array(items) = root {
        if let Some(item) = name.parse::<usize>().ok().and_then(|place| items.get_mut(place)) {
            set(item, rest, new);
        }
        return;
    }
    let Some(members) = object(root) else { return };
    let takes = new.is_null();
    if takes && !members.contains_key(name) {
        return;
    }
    set(members.entry(name).or_insert(Value::Null), rest, new);
    // What has lost its last member says nothing any more.
    let is_empty = members.get(name).and_then(Value::as_object).is_some_and(Map::is_empty);
    if takes && is_empty {
        members.remove(name);
    }
}

fn object(value: &mut Value) -> Option<&mut Map<String, Value>> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_read_and_set_by_their_paths() {
        let mut value = json!({ "a": { "b": [{ "c": 1 }] }, "on": true });
        set(&mut value, "a.b.0.c", json!(2));
        set(&mut value, "x.y", json!("z"));
        set(&mut value, "on", Value::Null);
        set(&mut value, "not.there", Value::Null);
        set(&mut value, "gone.last", json!(1));
        set(&mut value, "gone.last", Value::Null);
        assert_eq!(value, json!({ "a": { "b": [{ "c": 2 }] }, "x": { "y": "z" } }));
        let item = Item(value);
        assert_eq!((item.number("a.b.0.c"), item.text("x.y").as_str()), (2, "z"));
        assert_eq!((item.text("x.y.z"), item.flag("on")), (String::new(), false));
    }
}
