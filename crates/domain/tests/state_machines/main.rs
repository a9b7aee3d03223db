//! Renders each machine to `docs/state-machines/` and fails when a page there says something else.

mod authentication_code;
mod authenticator;
mod challenge;
mod device;
mod device_code;
#[cfg(test)]
#[path = "../../src/fixture.rs"]
#[expect(dead_code, unused_imports, reason = "the machines need a part of it")]
mod fixture;
mod flow;
mod grant;
mod page;
mod pairing;
mod pairing_key;
mod session;
mod signing_key;

use std::{fs, io, path::PathBuf};

#[test]
fn the_page_of_the_flow_is_true() -> io::Result<()> {
    check("flow", &flow::page())
}

#[test]
fn the_page_of_the_authentication_code_is_true() -> io::Result<()> {
    check("authentication-code", &authentication_code::page())
}

#[test]
fn the_page_of_the_challenge_is_true() -> io::Result<()> {
    check("challenge", &challenge::page())
}

#[test]
fn the_page_of_the_authenticator_is_true() -> io::Result<()> {
    check("authenticator", &authenticator::page())
}

#[test]
fn the_page_of_the_device_is_true() -> io::Result<()> {
    check("device", &device::page())
}

#[test]
fn the_page_of_the_device_code_is_true() -> io::Result<()> {
    check("device-code", &device_code::page())
}

#[test]
fn the_page_of_the_pairing_ticket_is_true() -> io::Result<()> {
    check("pairing-ticket", &pairing::page())
}

#[test]
fn the_page_of_the_pairing_key_is_true() -> io::Result<()> {
    check("pairing-key", &pairing_key::page())
}

#[test]
fn the_page_of_the_grant_is_true() -> io::Result<()> {
    check("grant", &grant::page())
}

#[test]
fn the_page_of_the_session_is_true() -> io::Result<()> {
    check("session", &session::page())
}

#[test]
fn the_page_of_the_signing_key_is_true() -> io::Result<()> {
    check("signing-key", &signing_key::page())
}

/// Compares a page with its file, or writes the file when `UPDATE_DOCS=1` says so.
#[expect(clippy::disallowed_methods, reason = "`cargo xtask docs` asks for the files this way")]
fn check(name: &str, page: &str) -> io::Result<()> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/state-machines");
    let path = folder.join(name).with_extension("md");
    if std::env::var("UPDATE_DOCS").is_ok_and(|value| value == "1") {
        fs::create_dir_all(&folder)?;
        return fs::write(path, page);
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/state-machines/{name}.md differs from the machine: `cargo xtask docs` mends it"
    );
    Ok(())
}
