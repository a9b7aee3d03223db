//! Users are imported from a table that is pasted or uploaded: a line each.

use askama::Template;
use serde_json::{Value, json};

use crate::{
    Method, Outcome, Visit,
    api::Body,
    form::{Field, Form, Group},
    frame::{Frame, Page},
    item::{Item, set},
    part::{Cell, Empty, Table, Text, Tone},
};

/// What columns may be called, and where they go.
const COLUMNS: [(&str, &str); 8] = [
    ("username", "username"),
    ("email", "email"),
    ("given", "name.given"),
    ("family", "name.family"),
    ("population", "population.id"),
    ("mobile", "mobilePhone"),
    ("external id", "externalId"),
    ("password", "password.value"),
];

/// The most lines of one form.
const MAX_LINES: usize = 5_000;

pub(super) async fn route(visit: &Visit<'_>, frame: &Frame<'_>) -> Outcome {
    let help = "The first line names the columns: username, email, given, family, population (its id), mobile, external id, password. \
                Columns are parted by commas, semicolons or tabs.";
    let field = Field::area("lines", "Users, one a line").help(help).required();
    let mut form = Form::new(
        frame.page("/users/import"),
        visit.request.token,
        "Import",
        vec![Group::new("", "", vec![field])],
    );
    let mut page = Page::new(frame, "Import users").below("/users", "Users");
    if visit.is_post() {
        form = form.sent(&visit.request.form);
        match read(visit.request.sent("lines").unwrap_or_default()) {
            Ok(lines) => {
                let path = frame.api("/users");
                let (lines, numbers): (Vec<_>, Vec<_>) =
                    lines.into_iter().map(|(n, line)| (line.to_string(), n)).unzip();
                let body = Body::Lines(lines.join("\n"));
                let answer =
                    visit.api.act(Method::Post, "application/x-ndjson", path, body).await?;
                return told(page, &answer, &numbers).reply();
            }
            Err(problem) => form.problem = Some(problem),
        }
    }
    let lead = format!(
        "Up to {MAX_LINES} users at once, pasted from a table. Larger files go through the API, which reads a line at a time: \
         POST {}{} with the media type application/x-ndjson.",
        visit.request.base_url,
        frame.api("/users")
    );
    page.has_problem = form.problem.is_some();
    page.with(&Text::lead(lead)).with(&Example).form(&form).reply()
}

#[derive(Template)]
#[template(
    source = "<pre tabindex=\"0\"><code>username,email,given,family\nann,ann@example.org,Ann,Archer\nben,ben@example.org,Ben,Baker</code></pre>",
    ext = "html"
)]
struct Example;

/// What became of each line.
fn told<'a>(page: Page<'a>, answer: &Item, numbers: &[usize]) -> Page<'a> {
    let lines = answer.items("lines");
    let made = lines.iter().filter(|line| line.has("id")).count();
    let refused = lines.iter().filter(|line| line.has("error"));
    let rows: Vec<_> = refused
        .map(|line| {
            // Lines are counted as they were sent, and shown as they were pasted.
            let place = usize::try_from(line.number("line")).unwrap_or_default();
            let number = numbers.get(place.wrapping_sub(1)).copied().unwrap_or(place);
            let details = line.items("error.details");
            let why =
                details.iter().map(|detail| detail.text("message")).collect::<Vec<_>>().join("; ");
            let why = if why.is_empty() { line.text("error.message") } else { why };
            vec![
                Cell::text(number.to_string()),
                Cell::mark("Not imported", Tone::Bad),
                Cell::text(why),
            ]
        })
        .collect();
    let lead = match (made, rows.len()) {
        (made, 0) => format!("All {made} users are imported."),
        (made, not) => format!(
            "{made} users are imported; {not} are not. Mend those lines and import them again."
        ),
    };
    let table = Table {
        columns: vec!["Line", "", "Why"],
        rows,
        empty: Empty::new("Every line was taken."),
        next: None,
    };
    page.with(&Text::lead(lead)).with(&table)
}

/// The lines of a table as bodies of the API, with their numbers.
fn read(text: &str) -> Result<Vec<(usize, Value)>, String> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (_, head) =
        lines.next().ok_or("Paste the users, with a first line that names the columns.")?;
    let separator = [';', '\t'].into_iter().find(|it| head.contains(*it)).unwrap_or(',');
    let columns = head.split(separator).map(|name| {
        let name = name.trim().trim_matches('"').to_lowercase();
        let known =
            COLUMNS.iter().find(|(known, path)| *known == name || path.to_lowercase() == name);
        known.map(|(_, path)| *path).ok_or_else(|| format!("There is no column “{name}”."))
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let lines: Vec<_> =
        lines.map(|(place, line)| (place + 1, body(&columns, line, separator))).collect();
    match lines.len() {
        0 => Err("There is no line below the names of the columns.".to_owned()),
        n if n > MAX_LINES => Err(format!("There are {n} lines; {MAX_LINES} can go at once.")),
        _ => Ok(lines),
    }
}

fn body(columns: &[&str], line: &str, separator: char) -> Value {
    let mut body = json!({});
    for (path, value) in columns.iter().zip(split(line, separator)) {
        if !value.is_empty() {
            set(&mut body, path, json!(value));
        }
    }
    body
}

/// The values of a line (RFC 4180, section 2): between quotes a separator is a letter, and two quotes are one.
fn split(line: &str, separator: char) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut is_quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let Some(value) = values.last_mut() else { continue };
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => {
                letters.next();
                value.push('"');
            }
            '"' => is_quoted = !is_quoted,
            letter if letter == separator && !is_quoted => values.push(String::new()),
            letter => value.push(letter),
        }
    }
    values.into_iter().map(|value| value.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_table_become_bodies() {
        let text = "Username;email;family\nann;a@b.c;\"Archer; \"\"A\"\"\"\n\nben;b@b.c;\n";
        let expected = [
            (
                2,
                json!({ "username": "ann", "email": "a@b.c", "name": { "family": "Archer; \"A\"" } }),
            ),
            (4, json!({ "username": "ben", "email": "b@b.c" })),
        ];
        assert_eq!(read(text).unwrap(), expected);
    }

    #[test]
    fn a_table_that_cannot_be_read_is_told_why() {
        for (text, why) in [
            ("", "Paste"),
            ("username", "no line below"),
            ("username,shoe size\na,b", "no column “shoe size”"),
        ] {
            assert!(read(text).unwrap_err().contains(why), "{text}");
        }
    }
}
