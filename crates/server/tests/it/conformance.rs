//! Holds `docs/conformance.md` to its word: each test that it names exists, and each requirement has one or a reason.

use std::{collections::BTreeSet, fs, path::Path};

/// A row of a table: clause, requirement, how it is met, tests.
struct Row {
    line: usize,
    cells: Vec<String>,
}

fn rows(document: &str) -> Vec<Row> {
    let lines = (1..).zip(document.lines());
    let tables = lines.filter(|(_, line)| line.starts_with("| ") && !line.starts_with("| Clause"));
    let row = |(line, text): (usize, &str)| Row {
        line,
        cells: text.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect(),
    };
    tables.map(row).collect()
}

/// What is between marks: `oidc/token.rs::a_code_gives_tokens`.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether a file has this function. Files are named from the folder of these tests, or from that of the crates.
fn exists(file: &str, test: &str) -> bool {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let places = [crates.join("server/tests/it").join(file), crates.join(file)];
    let texts = places.iter().filter_map(|place| fs::read_to_string(place).ok());
    texts.into_iter().any(|text| text.contains(&format!("fn {test}(")))
}

fn document() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join("docs/conformance.md")).unwrap()
}

/// What is wrong with the rows of a document.
fn faults(document: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for Row { line, cells } in rows(document) {
        let [_, requirement, how, tests] = cells.as_slice() else {
            faults.push(format!("line {line}: not four cells"));
            continue;
        };
        let unmet = ["not offered", "not met", "not ours"].iter().any(|word| how.starts_with(word));
        if tests.is_empty() && !unmet {
            faults.push(format!("line {line}: no test holds \"{requirement}\""));
        }
        for name in quoted(tests) {
            match name.split_once("::") {
                Some((file, test)) if exists(file, test) => {}
                Some(_) | None => faults.push(format!("line {line}: there is no test {name}")),
            }
        }
    }
    faults
}

#[test]
fn each_requirement_names_a_test_that_exists_or_says_why_it_has_none() {
    let faults = faults(&document());
    assert!(faults.is_empty(), "docs/conformance.md:\n{}", faults.join("\n"));
}

#[test]
fn each_standard_has_its_requirements() {
    let document = document();
    let rows = rows(&document).len();
    assert!(rows > 150, "{rows} rows");
    let headings: BTreeSet<&str> =
        document.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    for standard in [
        "OpenID Connect Core 1.0",
        "OpenID Connect Discovery 1.0",
        "OAuth 2.0 Form Post Response Mode",
        "OpenID Connect RP-Initiated Logout 1.0",
        "RFC 9700: security best current practice",
        "FAPI 2.0 Security Profile",
        "RFC 9126: pushed authorization requests",
        "RFC 9449: DPoP",
        "RFC 9207: issuer identification",
        "RFC 7009: revocation",
        "RFC 7662: introspection",
        "RFC 8628: device authorization grant",
        "RFC 6750: bearer tokens",
        "RFC 7636: PKCE",
        "RFC 9101: request objects",
    ] {
        assert!(headings.contains(standard), "{standard}");
    }
}

#[test]
fn a_test_that_does_not_exist_and_a_row_without_one_are_found() {
    let told =
        faults("| 1 | x | y | `oidc/token.rs::no_such_test` |\n| 2 | x | y |  |\n| 3 | x |\n");
    assert_eq!(
        told,
        [
            "line 1: there is no test oidc/token.rs::no_such_test",
            "line 2: no test holds \"x\"",
            "line 3: not four cells"
        ]
    );
    assert_eq!(faults("| 1 | x | not offered: y |  |\n"), Vec::<String>::new());
}
