//! A machine as a page: a diagram of what moves it, and a table of what does not.

use std::fmt::{Display, Write};

use countersign_domain::audit;

use crate::fixture::Named;

/// Values that stand for all others: what is peculiar to each, and the value. Nothing is peculiar to an only one.
pub type Samples<T> = Vec<(&'static str, T)>;

/// What a machine answers to an event.
#[derive(Clone, PartialEq)]
pub enum Answer {
    /// It moves, or has effects.
    Moves { to: &'static str, effects: Vec<String> },
    /// It takes the event and stays as it is.
    Stays,
    /// It refuses the event.
    Refuses { refusal: &'static str, because: String },
}

impl Answer {
    pub fn step<S: Named + PartialEq>(from: &S, to: &S, effects: Vec<String>) -> Self {
        if from == to && effects.is_empty() {
            return Self::Stays;
        }
        Self::Moves { to: to.name(), effects }
    }

    pub fn refusal(refusal: &(impl Named + Display)) -> Self {
        Self::Refuses { refusal: refusal.name(), because: refusal.to_string() }
    }
}

/// What there is to say of a machine whose states are seen in an `S`.
pub struct Machine<S, E> {
    pub title: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Where it begins.
    pub begins: Vec<&'static str>,
    pub states: Samples<S>,
    pub events: Samples<E>,
    /// All that it may answer; each is to be seen.
    pub refusals: &'static [&'static str],
    pub name: fn(&S) -> &'static str,
    pub apply: fn(&S, &E) -> Answer,
}

/// One answer of one state to one event, in the situations that lead to it.
struct Row {
    state: &'static str,
    event: String,
    answer: Answer,
}

impl<S, E: Named> Machine<S, E> {
    pub fn page(&self) -> String {
        let rows = self.rows();
        for name in self.refusals {
            let is_it = |row: &Row| matches!(&row.answer, Answer::Refuses { refusal, .. } if refusal == name);
            assert!(rows.iter().any(is_it), "no sample is refused with {name}");
        }
        let Self { title, about, .. } = self;
        let (diagram, table) = (self.diagram(&rows), table(&rows));
        format!(
            "# {title}\n\n{about}\n\n\
             An arrow tells the event and, in brackets, what is committed with it.\n\n\
             ```mermaid\nstateDiagram-v2\n{diagram}```\n\n\
             What else comes changes nothing:\n\n{table}\n\
             Rendered from the code by `cargo xtask docs`.\n"
        )
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for state in distinct(self.states.iter().map(|(_, state)| (self.name)(state))) {
            let states = self.states.iter().filter(|(_, value)| (self.name)(value) == state);
            let states: Vec<_> = states.collect();
            for event in E::NAMES {
                let events = self.events.iter().filter(|(_, value)| value.name() == *event);
                rows.extend(self.cell(state, event, &states, &events.collect::<Vec<_>>()));
            }
        }
        rows
    }

    /// A row for each answer that this state gives to this event.
    fn cell(
        &self,
        state: &'static str,
        event: &str,
        states: &[&(&'static str, S)],
        events: &[&(&'static str, E)],
    ) -> Vec<Row> {
        let situations: Vec<_> = states
            .iter()
            .flat_map(|(when, state)| {
                events.iter().map(move |(what, event)| (*when, state, *what, event))
            })
            .map(|(when, state, what, event)| ((when, what), (self.apply)(state, event)))
            .collect();
        let answers = distinct(situations.iter().map(|(_, answer)| answer.clone()));
        let row = |answer: Answer| {
            let led = situations.iter().filter(|(_, other)| *other == answer);
            let led: Vec<_> = led.map(|(situation, _)| *situation).collect();
            let all: Vec<_> = situations.iter().map(|(situation, _)| *situation).collect();
            Row { state, event: format!("{event}{}", describe(&led, &all)), answer }
        };
        answers.into_iter().map(row).collect()
    }

    fn diagram(&self, rows: &[Row]) -> String {
        let mut text = String::new();
        for state in &self.begins {
            line(&mut text, format_args!("    [*] --> {state}"));
        }
        for Row { state, event, answer } in rows {
            if let Answer::Moves { to, effects } = answer {
                let effects = if effects.is_empty() {
                    String::new()
                } else {
                    format!(" [{}]", effects.join(", "))
                };
                line(&mut text, format_args!("    {state} --> {to}: {event}{effects}"));
            }
        }
        for state in distinct(rows.iter().map(|row| row.state)) {
            let leaves =
                |row: &Row| row.state == state && matches!(row.answer, Answer::Moves { .. });
            if !rows.iter().any(leaves) {
                line(&mut text, format_args!("    {state} --> [*]"));
            }
        }
        text
    }
}

/// What stays or is refused; events with the same answer share a line.
fn table(rows: &[Row]) -> String {
    let mut text = "| State | Event | Answer |\n|---|---|---|\n".to_owned();
    for state in distinct(rows.iter().map(|row| row.state)) {
        let own: Vec<_> = rows.iter().filter(|row| row.state == state).collect();
        for answer in distinct(own.iter().map(|row| row.answer.clone())) {
            let events: Vec<_> = own
                .iter()
                .filter(|row| row.answer == answer)
                .map(|row| row.event.as_str())
                .collect();
            let answer = match answer {
                Answer::Moves { .. } => continue,
                Answer::Stays => "taken".to_owned(),
                Answer::Refuses { refusal, because } => format!("`{refusal}`: {because}"),
            };
            line(&mut text, format_args!("| {state} | {} | {answer} |", events.join("; ")));
        }
    }
    text
}

/// The situations that lead to an answer, among all there are: of the state, of the event, or both.
fn describe(led: &[(&str, &str)], all: &[(&str, &str)]) -> String {
    if led.len() == all.len() {
        return String::new();
    }
    let states = distinct(all.iter().map(|(state, _)| *state));
    let events = distinct(all.iter().map(|(_, event)| *event));
    let (always, depends): (Vec<_>, Vec<_>) = states
        .into_iter()
        .partition(|state| events.iter().all(|event| led.contains(&(state, event))));
    let (any, some): (Vec<_>, Vec<_>) = events
        .into_iter()
        .partition(|event| depends.iter().all(|state| led.contains(&(state, event))));
    let both = led.iter().filter(|(state, event)| depends.contains(state) && some.contains(event));
    let both = both.map(|(state, event)| match (*state, *event) {
        ("", alone) | (alone, "") => alone.to_owned(),
        (state, event) => format!("{event}, {state}"),
    });
    let told = always.into_iter().chain(any).map(str::to_owned).chain(both);
    format!(", {}", told.collect::<Vec<_>>().join(" or "))
}

/// A line of the audit log as an effect.
pub fn audited(action: audit::Action, reason: Option<&str>) -> String {
    let action = serde_json::to_value(action).unwrap_or_default();
    let action = action.as_str().unwrap_or_default();
    match reason {
        Some(reason) => format!("audit {action} ({reason})"),
        None => format!("audit {action}"),
    }
}

fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.fold(Vec::new(), |mut seen, value| {
        if !seen.contains(&value) {
            seen.push(value);
        }
        seen
    })
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = writeln!(text, "{line}");
}
