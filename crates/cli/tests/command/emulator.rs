//! The emulated push services as an operator starts them: what is in the folder, and what answers.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::server::Serve;

fn start(folder: &Path, more: &[&str]) -> Serve {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.arg("emulator").arg("--folder").arg(folder).args(more);
    for service in ["--apns", "--fcm", "--admin"] {
        command.args([service, "127.0.0.1:0"]);
    }
    let mut emulator = Serve::from(&mut command);
    assert!(emulator.read_until("Stop it with Ctrl-C."), "{}", emulator.text);
    emulator
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What stands behind this name in what the program has said.
fn said<'a>(emulator: &'a Serve, name: &str) -> &'a str {
    let line = emulator.text.lines().find_map(|line| line.trim().strip_prefix(name));
    line.unwrap().split_whitespace().next().unwrap()
}

#[tokio::test]
async fn an_emulator_gives_credentials_and_manages_phones() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = start(folder.path(), &["--name", "push.test", "--project", "bank"]);
    let file = |name: &str| folder.path().join(name);
    assert_eq!(said(&emulator, "trust"), file("authority.pem").display().to_string());
    assert!(said(&emulator, "APNs").starts_with("https://push.test:"));
    assert_eq!(json(&file("apns.json"))["base_url"], said(&emulator, "APNs"));
    let account = json(&file("fcm-service-account.json"));
    assert_eq!(account["project_id"], "bank");
    assert_eq!(account["token_uri"], format!("{}/token", said(&emulator, "FCM")));
    #[cfg(unix)]
    for secret in ["authority.key", "apns-key.p8", "fcm-service-account.json"] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(file(secret)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    let phones = format!("{}/apns/phones", said(&emulator, "phones, faults"));
    let client = reqwest::Client::new();
    let body = json!({ "app": "org.bank.app" }).to_string();
    let made = client.post(&phones).body(body).send().await.unwrap();
    assert_eq!(made.status().as_u16(), 201);
    let made: Value = serde_json::from_slice(&made.bytes().await.unwrap()).unwrap();
    let listed = client.get(&phones).send().await.unwrap().bytes().await.unwrap();
    let listed: Value = serde_json::from_slice(&listed).unwrap();
    assert_eq!(listed["phones"][0]["token"], made["token"]);
}

#[test]
fn the_next_start_keeps_the_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let contents = || {
        let account = json(&folder.path().join("fcm-service-account.json"));
        let ids = json(&folder.path().join("apns.json"));
        let p8 = fs::read_to_string(folder.path().join("apns-key.p8")).unwrap();
        let authority = fs::read_to_string(folder.path().join("authority.key")).unwrap();
        let account = (account["private_key"].clone(), account["client_email"].clone());
        (account, ids["key_id"].clone(), ids["team_id"].clone(), p8, authority)
    };
    start(folder.path(), &[]).kill();
    let first = contents();
    start(folder.path(), &["--sandbox"]).kill();
    assert_eq!(contents(), first);
}

#[test]
fn an_emulator_that_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    fs::create_dir(&broken).unwrap();
    fs::write(broken.join("fcm-service-account.json"), "{}").unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let good = folder.path().join("good");
    for (folder, argument, value, reason) in [
        (&broken, "--apns", "127.0.0.1:0", "remove it to get a new one"),
        (&good, "--apns", taken.as_str(), "cannot listen on"),
        (&good, "--admin", "0.0.0.0:0", "listens on loopback only"),
    ] {
        let free = ["--apns", "--fcm", "--admin"].into_iter().filter(|name| *name != argument);
        let free = free.flat_map(|name| [name, "127.0.0.1:0"]);
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.arg("emulator").arg("--folder").arg(folder).args([argument, value]).args(free);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(complaint.contains(reason), "{complaint}");
    }
}
