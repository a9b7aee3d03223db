//! Parts that pages are made of: tables, facts, buttons, tabs and headings.

use askama::Template;

/// A table of things, each with a page of its own.
#[derive(Debug, Default, Template)]
#[template(path = "table.html", whitespace = "minimize")]
pub(crate) struct Table {
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<Cell>>,
    /// What is said where there are no rows, and what to do then.
    pub empty: Empty,
    /// The address of the next part.
    pub next: Option<String>,
}

/// What is in a place of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Text(String),
    Link { href: String, text: String },
    Mark(Mark),
    Nothing,
}

/// A word about how something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub text: String,
    pub tone: Tone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Quiet,
}

impl Tone {
    pub const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Quiet => "quiet",
        }
    }
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub fn link(href: impl Into<String>, text: impl Into<String>) -> Self {
        let (href, text) = (href.into(), text.into());
        // A link of no letters cannot be followed.
        let text = if text.is_empty() { "(no name)".to_owned() } else { text };
        Self::Link { href, text }
    }

    pub fn mark(text: impl Into<String>, tone: Tone) -> Self {
        Self::Mark(Mark { text: text.into(), tone })
    }

    /// A word for a yes, and another for a no.
    pub fn either(is_so: bool, yes: &str, no: &str) -> Self {
        if is_so { Self::mark(yes, Tone::Good) } else { Self::mark(no, Tone::Quiet) }
    }
}

/// What is said where there is nothing, and where to go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Empty {
    pub text: String,
    pub action: Option<(String, &'static str)>,
}

impl Empty {
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), action: None }
    }

    pub fn or(self, href: String, text: &'static str) -> Self {
        Self { action: Some((href, text)), ..self }
    }
}

/// Names and values.
#[derive(Debug, Template)]
#[template(path = "facts.html", whitespace = "minimize")]
pub(crate) struct Facts(pub Vec<(&'static str, Cell)>);

/// A heading within a page, and a sentence about it.
#[derive(Debug, Template)]
#[template(
    source = r#"<h2 id="{{ id }}">{{ title }}</h2>{% if !text.is_empty() %}<p class="lead">{{ text }}</p>{% endif %}"#,
    ext = "html"
)]
pub(crate) struct Heading {
    pub id: &'static str,
    pub title: &'static str,
    pub text: &'static str,
}

/// A sentence.
#[derive(Debug, Template)]
#[template(source = r#"<p class="{{ class }}">{{ text }}</p>"#, ext = "html")]
pub(crate) struct Text {
    pub class: &'static str,
    pub text: String,
}

impl Text {
    pub fn lead(text: impl Into<String>) -> Self {
        Self { class: "lead", text: text.into() }
    }
}

/// Links that look like buttons.
#[derive(Debug, Template)]
#[template(
    source = r#"<p class="actions">{% for (href, text) in links %}<a class="button" href="{{ href }}">{{ text }}</a> {% endfor %}</p>"#,
    ext = "html"
)]
pub(crate) struct Buttons {
    pub links: Vec<(String, &'static str)>,
}

/// A button that does something at once, and can be undone.
#[derive(Debug, Template)]
#[template(path = "deeds.html", whitespace = "minimize")]
pub(crate) struct Deeds<'a> {
    pub action: String,
    pub token: &'a str,
    /// What is done, what the button says, and whether something is lost.
    pub buttons: Vec<(&'static str, String, bool)>,
}

/// The tabs of a page.
#[derive(Debug, Template)]
#[template(
    source = r#"<nav class="tabs" aria-label="Tabs"><ul>{% for (href, text, is_here) in tabs %}<li><a href="{{ href }}"{% if is_here %} aria-current="page"{% endif %}>{{ text }}</a></li>{% endfor %}</ul></nav>"#,
    ext = "html"
)]
pub(crate) struct Tabs {
    pub tabs: Vec<(String, &'static str, bool)>,
}
