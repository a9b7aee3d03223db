//! Which crate may use which.

use super::Violation;
use cargo_metadata::DependencyKind;

const PREFIX: &str = "countersign-";

/// `(used, by)`. A crate may use all that is upstream of it along these arrows, and nothing else.
const ARROWS: [(&str, &str); 17] = [
    ("protocol", "domain"),
    ("domain", "store"),
    ("store", "server"),
    ("domain", "console"),
    ("console", "server"),
    ("protocol", "push"),
    ("push", "server"),
    ("server", "cli"),
    ("protocol", "sdk"),
    ("sdk", "sdk-ffi"),
    ("sdk", "emulator"),
    ("emulator", "cli"),
    ("server", "demo"),
    ("emulator", "demo"),
    ("demo", "cli"),
    ("server", "load"),
    ("emulator", "load"),
];

/// Further arrows for tests.
const TEST_ARROWS: [(&str, &str); 3] =
    [("emulator", "server"), ("emulator", "push"), ("load", "cli")];

/// What only one crate may use, so that SQL is spoken in one place.
const CONFINED: [(&str, &str); 3] =
    [("rusqlite", "store"), ("tokio-postgres", "store"), ("deadpool-postgres", "store")];

/// The crates that do no I/O, and what would let them.
const PURE: [&str; 3] = ["protocol", "domain", "console"];
const IO: [&str; 5] = ["tokio", "reqwest", "hyper", "axum", "tempfile"];

/// One member of the workspace, as its manifest says.
pub struct Crate {
    pub name: String,
    /// Of the manifest, relative to the root of the workspace.
    pub path: String,
    /// The text of the manifest.
    pub manifest: String,
    pub dependencies: Vec<(String, DependencyKind)>,
}

pub fn violations(member: &Crate) -> Vec<Violation> {
    let name = short(&member.name);
    let refused = member.dependencies.iter().filter_map(|(dependency, kind)| {
        let detail = refusal(name, dependency, *kind)?;
        Some(Violation {
            path: member.path.clone(),
            line: line_of(&member.manifest, dependency),
            rule: "dependencies",
            detail,
        })
    });
    refused.collect()
}

fn refusal(name: &str, dependency: &str, kind: DependencyKind) -> Option<String> {
    let in_tests = kind == DependencyKind::Development;
    if let Some(used) = dependency.strip_prefix(PREFIX) {
        let allowed = is_upstream(used, name, in_tests);
        return (!allowed).then(|| format!("{name} may not use {used}"));
    }
    if in_tests {
        return None;
    }
    if PURE.contains(&name) && IO.contains(&dependency) {
        return Some(format!("{name} does no I/O and may not use {dependency}"));
    }
    let (_, home) = CONFINED.iter().find(|(confined, _)| *confined == dependency)?;
    (name != *home).then(|| format!("only {home} may use {dependency}"))
}

/// Whether a chain of arrows leads from `used` to `by`.
fn is_upstream(used: &str, by: &str, in_tests: bool) -> bool {
    let test_arrows = if in_tests { TEST_ARROWS.as_slice() } else { &[] };
    ARROWS.iter().chain(test_arrows).any(|(from, to)| {
        // Only the last step may be an arrow for tests: what a crate uses, it uses as it is.
        *to == by && (*from == used || is_upstream(used, from, false))
    })
}

fn short(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// The line of the manifest that names the dependency, else the first.
fn line_of(manifest: &str, dependency: &str) -> usize {
    let names = |line: &str| {
        line.strip_prefix(dependency)
            .is_some_and(|rest| rest.starts_with(['.', ' ', '=']) || rest.is_empty())
    };
    manifest.lines().position(names).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use DependencyKind::{Development, Normal};

    #[test]
    fn a_crate_may_use_all_that_is_upstream_of_it() {
        for (name, used) in [
            ("domain", "countersign-protocol"),
            ("server", "countersign-protocol"),
            ("push", "countersign-protocol"),
            ("server", "countersign-push"),
            ("cli", "countersign-domain"),
            ("cli", "countersign-sdk"),
            ("sdk-ffi", "countersign-sdk"),
            ("store", "rusqlite"),
            ("server", "tokio"),
        ] {
            assert_eq!(refusal(name, used, Normal), None, "{name} uses {used}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (name, used) in [
            ("protocol", "countersign-domain"),
            ("sdk", "countersign-domain"),
            ("sdk", "countersign-server"),
            ("server", "countersign-emulator"),
            ("server", "countersign-sdk"),
            ("push", "countersign-store"),
            ("store", "countersign-sdk"),
            ("xtask", "countersign-domain"),
            ("newcomer", "countersign-protocol"),
            ("server", "rusqlite"),
            ("domain", "tokio"),
        ] {
            assert!(refusal(name, used, Normal).is_some(), "{name} uses {used}");
        }
    }

    #[test]
    fn tests_of_server_and_push_may_use_the_emulator() {
        assert_eq!(refusal("server", "countersign-emulator", Development), None);
        assert_eq!(refusal("server", "countersign-sdk", Development), None);
        assert_eq!(refusal("push", "countersign-emulator", Development), None);
        assert!(refusal("store", "countersign-sdk", Development).is_some());
        assert!(refusal("domain", "countersign-emulator", Development).is_some());
    }

    #[test]
    fn a_violation_names_the_line_of_the_manifest() {
        let manifest = "[dependencies]\nserde.workspace = true\ntokio-postgres = \"0.7\"\n\
                        tokio = { workspace = true }\n";
        let member = Crate {
            name: "countersign-domain".to_owned(),
            path: "crates/domain/Cargo.toml".to_owned(),
            manifest: manifest.to_owned(),
            dependencies: vec![("tokio".to_owned(), Normal)],
        };
        let shown: Vec<String> = violations(&member).iter().map(ToString::to_string).collect();
        let expected =
            "crates/domain/Cargo.toml:4: dependencies: domain does no I/O and may not use tokio";
        assert_eq!(shown, [expected]);
    }
}
