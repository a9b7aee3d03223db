//! Push credentials as an operator gives them, and what the doctor says of them, with a server that runs and without.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::server::{Serve, complaint, configure, countersign, said};

/// A platform with a bank, and an emulator's folder with credentials for it.
fn scene(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let (data, emulator) = (folder.join("data"), folder.join("emulator"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(["demo", "--listen", "127.0.0.1:0", "--folder"]).arg(&data);
    let mut demo = Serve::from(&mut command);
    assert!(demo.read_until("Stop it with Ctrl-C."), "{}", demo.text);
    demo.kill();
    // It has credentials of its own emulated services.
    for service in ["apns", "fcm"] {
        said(&credentials(&data, "delete", &["--type", service]));
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.arg("emulator").arg("--folder").arg(&emulator);
    for service in ["--apns", "--fcm", "--admin"] {
        command.args([service, "127.0.0.1:0"]);
    }
    let mut started = Serve::from(&mut command);
    assert!(started.read_until("Stop it with Ctrl-C."), "{}", started.text);
    started.kill();
    (data, emulator)
}

const OF: [&str; 4] = ["--environment", "Bank", "--application", "Bank app"];

fn credentials(data: &Path, verb: &str, more: &[&str]) -> std::process::Output {
    let arguments = [&["push-credentials", verb], &OF[..], more].concat();
    countersign(&arguments, data)
}

fn health(data: &Path, verb: &str) -> String {
    said(&countersign(&[&["push-health", verb], &OF[..]].concat(), data))
}

#[test]
fn push_credentials_are_given_listed_examined_and_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (data, emulator) = scene(folder.path());
    let file = |name: &str| emulator.join(name).display().to_string();
    let ids: Value = serde_json::from_slice(&fs::read(file("apns.json")).unwrap()).unwrap();
    let (key_id, team_id) = (ids["key_id"].as_str().unwrap(), ids["team_id"].as_str().unwrap());
    let (p8, account) = (file("apns-key.p8"), file("fcm-service-account.json"));
    let apns = ["--type", "apns", "--file", &p8, "--key-id", key_id, "--team-id", team_id];
    let fcm = ["--type", "fcm", "--file", &account];

    assert!(said(&credentials(&data, "list", &[])).contains("has no push credentials"));
    said(&credentials(&data, "put", &apns));
    let config =
        configure(folder.path(), "[server]\nlisten = \"127.0.0.1:0\"\n[shutdown]\nlinger_ms = 0");
    let server = Serve::spawn(&config, &data).ready();
    let told = said(&credentials(&data, "put", &fcm));
    assert!(told.starts_with("fcm       since "), "{told}");
    let listed = said(&credentials(&data, "list", &[]));
    assert!(listed.contains("apns ") && listed.contains("fcm "), "{listed}");
    let told = said(&countersign(&["doctor"], &data));
    for service in ["apns", "fcm"] {
        let line =
            format!("ok       push: credentials of {service} for Bank, Bank app can be used");
        assert!(told.contains(&line), "{told}");
    }
    let expected = "Automatic unpairing goes on.\nThere are no warnings.\n";
    assert_eq!(
        (health(&data, "show"), health(&data, "resume")),
        (expected.into(), expected.into())
    );
    assert!(server.end());

    said(&credentials(&data, "delete", &["--type", "apns"]));
    let told = complaint(&credentials(&data, "delete", &["--type", "apns"]));
    assert!(told.contains("has no credentials of this service"), "{told}");
    assert!(!said(&credentials(&data, "list", &[])).contains("apns"));
}

#[test]
fn what_is_wrong_with_push_credentials_is_told_by_field_and_rule_and_never_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let (data, emulator) = scene(folder.path());
    let file = |name: &str| emulator.join(name).display().to_string();
    let (p8, key) = (file("apns-key.p8"), file("authority.key"));
    let secret = file("secret");
    fs::write(&secret, "open sesame").unwrap();
    for (arguments, reason) in [
        (
            vec!["--type", "apns", "--file", &p8, "--key-id", "ABCDE12345"],
            "--team-id must be given for apns",
        ),
        (
            vec!["--type", "fcm", "--file", &p8, "--key-id", "x"],
            "--key-id must not be given for fcm",
        ),
        (vec!["--type", "fcm", "--file", &p8], "service_account must be the JSON file"),
        (
            vec![
                "--type",
                "apns",
                "--file",
                &secret,
                "--key-id",
                "ABCDE12345",
                "--team-id",
                "ABCDE12345",
            ],
            "private_key must be the text of the .p8 file",
        ),
        (
            vec!["--type", "apns", "--file", &key, "--key-id", "abc", "--team-id", "ABCDE12345"],
            "key_id must have ten capital letters or digits",
        ),
        (vec!["--type", "hms", "--file", &secret, "--client-id", "12"], "client_secret must have"),
        (
            vec!["--type", "web-push", "--file", &secret, "--subject", "mailto:a@b.example"],
            "private_key must",
        ),
        (vec!["--type", "fcm", "--file", "/nowhere"], "--file: /nowhere cannot be read"),
        (
            vec!["--type", "fcm", "--file", "/dev/zero"],
            "--file: /dev/zero must have at most 65536 bytes",
        ),
    ] {
        let told = complaint(&credentials(&data, "put", &arguments));
        assert!(told.contains(reason), "{arguments:?}: {told}");
        assert!(!told.contains("sesame"), "{told}");
    }
    let unknown = ["push-credentials", "list", "--environment", "Bank", "--application", "Nobody"];
    assert!(complaint(&countersign(&unknown, &data)).contains("--application: nothing with that"));
    let unknown =
        ["push-credentials", "list", "--environment", "None", "--application", "Bank app"];
    assert!(complaint(&countersign(&unknown, &data)).contains("--environment: nothing with that"));
    assert!(said(&credentials(&data, "list", &[])).contains("has no push credentials"));
}
