//! Relying parties that we did not write, each on a library of its language, against the real server on loopback. What they do
//! is in `interop/` at the top of the repository.

#![cfg(test)]

mod provider;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use provider::Provider;

/// What each language must have seen to work, by the names that its checks say.
const CHECKS: [&str; 31] = [
    "discovery",
    "code flow with an ES256 ID token",
    "code flow with an RS256 ID token",
    "answer by form post",
    "hybrid flow",
    "implicit flow",
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "userinfo",
    "refresh with rotation",
    "pushed authorization request",
    "signed request object",
    "DPoP with a nonce of the server",
    "FAPI 2.0 Security Profile",
    "client credentials",
    "device authorization",
    "device authorization that is refused",
    "introspection",
    "revocation",
    "prompt=none with a session and without",
    "max_age",
    "prompt=login signs in anew",
    "sign-off by the application",
    "back-channel logout",
    "a wrong nonce is refused",
    "an answer of another issuer is refused",
    "a code counts once",
    "a wrong verifier is refused",
    "a wrong redirect_uri is never followed",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openid_client_for_node_passes_every_check() {
    every_check_passes("node", "node_modules", |folder| {
        let mut node = Command::new("node");
        node.arg(folder.join("main.js"));
        node
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authlib_for_python_passes_every_check() {
    every_check_passes("python", "venv", |folder| {
        let mut python = Command::new(folder.join("venv/bin/python"));
        python.arg(folder.join("main.py"));
        python
    })
    .await;
}

async fn every_check_passes(
    language: &str,
    libraries: &str,
    command: impl FnOnce(&Path) -> Command,
) {
    if is_skipped() {
        return;
    }
    let folder = folder(language);
    assert!(
        folder.join(libraries).exists(),
        "the libraries are not installed: use `cargo xtask test`, or set COUNTERSIGN_TEST_SKIP=interop"
    );
    let provider = Provider::start().await;
    let facts = provider.facts.to_string();
    let command = command(&folder);
    let told = tokio::task::spawn_blocking(move || run(command, &facts)).await.unwrap();
    provider.stop().await;
    let passed: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("ok - ")).collect();
    let missing: Vec<&str> =
        CHECKS.iter().copied().filter(|check| !passed.contains(check)).collect();
    let refused: Vec<&str> = told.lines().filter(|line| line.starts_with("not ok")).collect();
    assert!(refused.is_empty(), "{language}:\n{}", refused.join("\n"));
    assert!(missing.is_empty(), "{language} has no {missing:?}:\n{told}");
}

/// What a program says that reads the facts. It ends by itself after three minutes.
fn run(mut command: Command, facts: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(facts.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn folder(language: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop");
    root.canonicalize().unwrap().join(language)
}

/// Whether this run goes without the clients of other languages, by request.
#[expect(clippy::disallowed_methods, reason = "the test harness reads the environment")]
fn is_skipped() -> bool {
    let skipped = std::env::var("COUNTERSIGN_TEST_SKIP").unwrap_or_default();
    skipped.split(',').any(|part| part == "interop")
}
