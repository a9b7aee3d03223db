//! Forms: what is asked, how the answer goes into the body of a call, and what the API found wrong with it.
//!
//! A field is named by the path of its member on the wire, so that forms, the API and its refusals speak of the same thing.

use askama::Template;
use serde_json::{Value, json};

use crate::{
    api::Refused,
    item::{Item, set},
};

/// A form of a page.
#[derive(Clone, Debug, Template)]
#[template(path = "form.html", whitespace = "minimize")]
pub(crate) struct Form {
    /// Where it is sent.
    pub action: String,
    /// What keeps other sites from sending it.
    pub token: String,
    pub groups: Vec<Group>,
    /// What the button says.
    pub submit: String,
    /// What is wrong with the whole.
    pub problem: Option<String>,
    /// Whether there is something to lose.
    pub is_destructive: bool,
}

/// Fields that belong together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    pub title: String,
    pub help: String,
    pub fields: Vec<Field>,
}

/// Something that is asked.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// The path of the member.
    pub name: String,
    pub label: String,
    pub help: String,
    pub kind: Kind,
    /// The values; most kinds have one.
    pub values: Vec<String>,
    pub problem: Option<String>,
    pub is_required: bool,
}

/// How something is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// A text of several lines.
    Area,
    /// A list of texts, one a line.
    Lines,
    Password,
    Number {
        min: i64,
        max: i64,
    },
    Switch,
    /// One of a few, each explained.
    Choice(Vec<Choice>),
    /// One of many.
    Select(Vec<(String, String)>),
    /// Some of many: a list of words.
    Many(Vec<(String, String)>),
    /// Nothing to see.
    Hidden,
}

/// One of a few values, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub value: &'static str,
    pub label: &'static str,
    pub help: &'static str,
}

impl Field {
    fn of(name: impl Into<String>, label: &str, kind: Kind) -> Self {
        Self {
            name: name.into(),
            label: label.to_owned(),
            help: String::new(),
            kind,
            values: Vec::new(),
            problem: None,
            is_required: false,
        }
    }

    pub fn text(name: impl Into<String>, label: &str) -> Self {
        Self::of(name, label, Kind::Text)
    }

    pub fn area(name: impl Into<String>, label: &str) -> Self {
        Self::of(name, label, Kind::Area)
    }

    pub fn lines(name: impl Into<String>, label: &str) -> Self {
        Self::of(name, label, Kind::Lines)
    }

    pub fn password(name: impl Into<String>, label: &str) -> Self {
        Self::of(name, label, Kind::Password)
    }

    pub fn number(name: impl Into<String>, label: &str, (min, max): (i64, i64)) -> Self {
        Self::of(name, label, Kind::Number { min, max })
    }

    pub fn switch(name: impl Into<String>, label: &str) -> Self {
        Self::of(name, label, Kind::Switch)
    }

    pub fn choice(name: impl Into<String>, label: &str, choices: &[Choice]) -> Self {
        Self::of(name, label, Kind::Choice(choices.to_vec()))
    }

    pub fn select(name: impl Into<String>, label: &str, options: Vec<(String, String)>) -> Self {
        Self::of(name, label, Kind::Select(options))
    }

    pub fn many(name: impl Into<String>, label: &str, options: Vec<(String, String)>) -> Self {
        Self::of(name, label, Kind::Many(options))
    }

    /// A value that the page knows, and nobody types.
    pub fn hidden(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { values: vec![value.into()], ..Self::of(name, "", Kind::Hidden) }
    }

    pub fn help(self, help: &str) -> Self {
        Self { help: help.to_owned(), ..self }
    }

    pub fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    /// With a value that stands there at first.
    pub fn preset(self, value: impl Into<String>) -> Self {
        Self { values: vec![value.into()], ..self }
    }

    /// Its id in the page.
    pub fn id(&self) -> String {
        self.name.replace('.', "-")
    }

    pub fn value(&self) -> &str {
        self.values.first().map(String::as_str).unwrap_or_default()
    }

    /// Whether it may be left empty.
    pub fn is_optional(&self) -> bool {
        !self.is_required && !matches!(self.kind, Kind::Select(_))
    }

    pub fn is_on(&self) -> bool {
        self.value() == "true"
    }

    pub fn holds(&self, value: &str) -> bool {
        self.values.iter().any(|held| held == value)
    }

    pub fn lines_text(&self) -> String {
        self.values.join("\n")
    }

    /// Takes the value that something has.
    fn fill(&mut self, from: &Item) {
        self.values = match self.kind {
            Kind::Lines | Kind::Many(_) => from.words(&self.name),
            Kind::Switch => vec![from.flag(&self.name).to_string()],
            // Never told.
            Kind::Password => Vec::new(),
            Kind::Hidden => return,
            Kind::Text | Kind::Area | Kind::Number { .. } | Kind::Choice(_) | Kind::Select(_) => {
                vec![from.text(&self.name)]
            }
        };
    }

    /// Takes what was sent.
    fn take(&mut self, sent: &[(String, String)]) {
        let mut values = sent.iter().filter(|(name, _)| *name == self.name).map(|(_, value)| value);
        self.values = match self.kind {
            Kind::Many(_) => values.cloned().collect(),
            Kind::Switch => vec![values.next().is_some().to_string()],
            Kind::Lines => {
                let text = values.next().map(String::as_str).unwrap_or_default();
                text.lines()
                    .map(str::trim)
                    .filter(|line| !line.is_empty())
                    .map(str::to_owned)
                    .collect()
            }
            _ => values.next().map(|value| vec![value.trim().to_owned()]).unwrap_or_default(),
        };
    }

    /// Says it in a body. What is empty is left out.
    fn say(&self, body: &mut Value) {
        let value = match &self.kind {
            Kind::Switch => json!(self.is_on()),
            Kind::Lines | Kind::Many(_) => json!(self.values),
            _ if self.value().is_empty() => {
                // An empty reference is none.
                let path = self.name.strip_suffix(".id").unwrap_or(&self.name);
                return set(body, path, Value::Null);
            }
            // What is no number goes as it is: the API says what is wrong.
            Kind::Number { .. } => {
                self.value().parse::<i64>().map_or_else(|_| json!(self.value()), |n| json!(n))
            }
            _ => json!(self.value()),
        };
        set(body, &self.name, value);
    }
}

impl Group {
    pub fn new(title: &str, help: &str, fields: Vec<Field>) -> Self {
        Self { title: title.to_owned(), help: help.to_owned(), fields }
    }
}

impl Form {
    pub fn new(action: impl Into<String>, token: &str, submit: &str, groups: Vec<Group>) -> Self {
        Self {
            action: action.into(),
            token: token.to_owned(),
            groups,
            submit: submit.to_owned(),
            problem: None,
            is_destructive: false,
        }
    }

    fn fields(&mut self) -> impl Iterator<Item = &mut Field> {
        self.groups.iter_mut().flat_map(|group| group.fields.iter_mut())
    }

    /// Shows what something is.
    pub fn filled(mut self, from: &Item) -> Self {
        self.fields().for_each(|field| field.fill(from));
        self
    }

    /// Shows what was sent.
    pub fn sent(mut self, sent: &[(String, String)]) -> Self {
        self.fields().for_each(|field| field.take(sent));
        self
    }

    /// A body that says what was sent, beside what it says already.
    pub fn body(&self, mut body: Value) -> Value {
        for field in self.groups.iter().flat_map(|group| &group.fields) {
            field.say(&mut body);
        }
        body
    }

    /// Shows what the API finds wrong, each at its field.
    pub fn refused(mut self, refused: &Refused) -> Self {
        let mut elsewhere = Vec::new();
        for (target, told) in &refused.details {
            match self.fields().find(|field| is_about(target, &field.name)) {
                Some(field) => {
                    field.problem.get_or_insert_with(|| told.clone());
                }
                None => elsewhere.push(told.as_str()),
            }
        }
        let is_told = elsewhere.is_empty() && !refused.details.is_empty();
        self.problem = (!is_told).then(|| match elsewhere.as_slice() {
            [] => refused.message.clone(),
            elsewhere => elsewhere.join(" "),
        });
        self
    }

    /// Shows a refusal that can be mended here; any other is the page's end.
    pub fn mend(self, refused: Refused) -> Result<Self, Refused> {
        if refused.is_mendable() { Ok(self.refused(&refused)) } else { Err(refused) }
    }

    pub fn has_problem(&self) -> bool {
        self.problem.is_some()
            || self
                .groups
                .iter()
                .any(|group| group.fields.iter().any(|field| field.problem.is_some()))
    }
}

/// Whether a refusal that names this target is about a field. Places in lists are not named there, and what is wrong within a
/// member is wrong with it.
fn is_about(target: &str, name: &str) -> bool {
    let plain: Vec<&str> = name.split('.').filter(|part| part.parse::<usize>().is_err()).collect();
    let plain = plain.join(".");
    let bare = plain.strip_suffix(".id").unwrap_or(&plain);
    let target = target.split('.').filter(|part| part.parse::<usize>().is_err());
    let target = target.collect::<Vec<_>>().join(".");
    target == plain
        || target == bare
        || target.strip_prefix(&plain).is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        let fields = vec![
            Field::text("name", "Name"),
            Field::switch("mobile.on", "On"),
            Field::lines("uris", "URIs"),
            Field::number("list.0.seconds", "Seconds", (1, 9)),
            Field::select("policy.id", "Policy", vec![]),
        ];
        Form::new("/x", "t", "Save", vec![Group::new("", "", fields)])
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_sent_goes_into_the_body_beside_what_is_there() {
        let sent = pairs(&[("name", " a "), ("uris", "x\r\n\r\n y"), ("list.0.seconds", "7")]);
        let before = json!({ "kept": 1, "policy": { "id": "p" }, "list": [{ "seconds": 1 }], "mobile": { "on": true } });
        let body = form().sent(&sent).body(before);
        let expected = json!({
            "kept": 1, "name": "a", "uris": ["x", "y"], "list": [{ "seconds": 7 }], "mobile": { "on": false },
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn what_the_api_refuses_is_said_at_its_field_and_the_rest_above() {
        let details = vec![
            ("list.seconds".to_owned(), "too long".to_owned()),
            ("policy".to_owned(), "unknown".to_owned()),
            ("other".to_owned(), "elsewhere".to_owned()),
        ];
        let refused = Refused { status: 400, message: "no".to_owned(), details };
        let form = form().refused(&refused);
        let told: Vec<_> =
            form.groups[0].fields.iter().map(|field| field.problem.as_deref()).collect();
        assert_eq!(told, [None, None, None, Some("too long"), Some("unknown")]);
        assert_eq!(form.problem.as_deref(), Some("elsewhere"));
    }

    #[test]
    fn what_is_typed_is_never_markup() {
        let sent = pairs(&[("name", "<b>\"&")]);
        let html = form().sent(&sent).render().unwrap();
        assert!(!html.contains("<b>"), "{html}");
    }
}
