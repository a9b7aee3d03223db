//! PingOne's client for Go.

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};

use crate::{clients, platform::Platform};

/// What is made, read, listed, changed and removed.
const OBJECTS: [&str; 15] = [
    "a population",
    "a group",
    "a user",
    "a native application",
    "a push credential",
    "an attribute mapping",
    "an MFA policy",
    "a sign-on policy",
    "an action with MFA",
    "an assignment of a policy",
    "a resource",
    "an attribute of a resource",
    "a scope",
    "a webhook",
    // Cannot be changed, only given and taken.
    "a grant",
];

/// What else is tried.
const FURTHER: [&str; 9] = [
    "the environment is read",
    "users come by pages",
    "a pairing key is made",
    "a pairing key is read",
    "a pairing key is removed",
    "a role is found by its name",
    "a role assignment is made",
    "a role assignment is removed",
    "the MFA settings are changed and reset",
];

fn checks() -> BTreeSet<String> {
    let steps = |object: &str| {
        let all = ["is made", "is read", "is listed", "is changed", "stays changed", "is removed"];
        let changes = object != "a grant";
        let kept = all.into_iter().filter(move |step| changes || !step.contains("changed"));
        kept.map(|step| format!("{object} {step}")).collect::<Vec<_>>()
    };
    let further = FURTHER.into_iter().map(str::to_owned);
    OBJECTS.into_iter().flat_map(steps).chain(further).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_for_go_manages_an_environment() {
    let Some(folder) = clients("go", "manage") else { return };
    let platform = Platform::start().await;
    let command = platform.command(folder.join("manage"));
    let facts = platform.facts.to_string();
    let told = tokio::task::spawn_blocking(move || run(command, &facts)).await.unwrap();
    platform.stop().await;
    let refused: Vec<&str> = told.lines().filter(|line| !line.starts_with("ok - ")).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    let passed: BTreeSet<&str> =
        told.lines().filter_map(|line| line.strip_prefix("ok - ")).collect();
    let checks = checks();
    let missing: Vec<_> = checks.iter().filter(|check| !passed.contains(check.as_str())).collect();
    assert!(missing.is_empty(), "there is no {missing:?}:\n{told}");
}

/// What a program says that reads the facts. It ends by itself after three minutes.
fn run(mut command: Command, facts: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(facts.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}
