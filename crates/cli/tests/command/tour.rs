//! The tour on both engines, and what the command says and returns when it cannot run.

use std::process::{Command, Output, id};

use serde_json::Value;
use tokio_postgres::NoTls;

/// What the tour shows, in its order.
const STEPS: [(&str, &str); 40] = [
    ("F1", "platform started, bank set up"),
    ("F1", "enrolment offered and approved"),
    ("F2", "device authorization: no prompt"),
    ("F2", "passcode in another browser"),
    ("F1", "enrolment denied"),
    ("F1", "device limit reached"),
    ("F2", "no device, policy blocks"),
    ("F2", "replayed payload refused"),
    ("F2", "expired payload refused"),
    ("F2", "foreign environment refused"),
    ("F2", "restart loses nothing"),
    ("F2", "blocked device refused"),
    ("F1", "installation unpairs itself"),
    ("F3", "a back end shows codes"),
    ("F3", "one user, nobody asked"),
    ("F3", "approved on the phone"),
    ("F3", "three users, the second chosen"),
    ("F3", "denied on the phone"),
    ("F3", "code expired"),
    ("F3", "two phones at once: one wins"),
    ("F3", "other app, unpaired phone"),
    ("F3", "signed in at the web site"),
    ("F3", "ten thousand guessed codes"),
    ("F1", "paired by a key, two formats"),
    ("F1", "key expired, key reused"),
    ("F1", "the 21st key"),
    ("F1", "phones paired that can be woken"),
    ("F2", "silent push, permissive: answered"),
    ("F2", "silent push, permissive: unanswered"),
    ("F2", "silent push, restrictive: answered"),
    ("F2", "silent push, restrictive: unanswered"),
    ("P", "number picked on the phone"),
    ("P", "number typed on the phone"),
    ("P", "wrong number refused"),
    ("P", "denied and reported as fraud"),
    ("P", "asked too often: pushes stop"),
    ("F4", "APNs: app removed, device gone"),
    ("F4", "FCM: app removed, device gone"),
    ("F4", "bad token never unpairs"),
    ("F4", "storm of dead tokens: unpairing stops"),
];

fn countersign(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign")).args(arguments).output().unwrap()
}

/// The lines of `--json`; each is an object.
fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn assert_whole(output: &Output) {
    assert!(output.status.success(), "{output:?}");
    let mut lines = lines(output);
    let end = lines.pop().unwrap();
    assert_eq!((&end["steps"], &end["passed"]), (&STEPS.len().into(), &true.into()), "{end}");
    assert!(end["ms"].is_number());
    assert_eq!(lines.len(), STEPS.len());
    for (number, (line, (flow, title))) in (1..).zip(lines.iter().zip(STEPS)) {
        assert_eq!(line["step"], number, "{line}");
        assert_eq!((&line["flow"], &line["title"]), (&flow.into(), &title.into()), "{line}");
        assert_eq!(line["passed"], true, "{line}");
        assert!(line["ms"].is_number() && line["detail"].is_string(), "{line}");
    }
}

#[test]
fn the_tour_passes_on_sqlite() {
    assert_whole(&countersign(&["tour", "--json"]));
}

#[test]
fn the_tour_passes_twice_on_one_sqlite_file() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("tour.db").display());
    // Secrets of the first rest under a key that is gone; the second makes its own.
    assert_whole(&countersign(&["tour", "--json", "--database", &database]));
    assert_whole(&countersign(&["tour", "--json", "--database", &database]));
}

#[tokio::test]
async fn the_tour_passes_on_postgres() {
    let skipped = environment("COUNTERSIGN_TEST_SKIP").unwrap_or_default();
    if skipped.split(',').any(|part| part == "postgres") {
        return;
    }
    let base = environment("TEST_DATABASE_URL").expect(
        "TEST_DATABASE_URL names no PostgreSQL: use `cargo xtask test`, or set COUNTERSIGN_TEST_SKIP=postgres",
    );
    let schema = format!("tour_{}", id());
    administer(&base, &format!("CREATE SCHEMA {schema}")).await;
    let mark = if base.contains('?') { '&' } else { '?' };
    let database = format!("{base}{mark}options=-csearch_path%3D{schema}");
    assert_whole(&countersign(&["tour", "--json", "--database", &database]));
    administer(&base, &format!("DROP SCHEMA {schema} CASCADE")).await;
}

#[expect(clippy::disallowed_methods, reason = "the test harness reads the environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

async fn administer(url: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

#[test]
fn a_tour_without_a_usable_database_fails_and_says_why() {
    let databases = [
        ("postgres://nobody@127.0.0.1:1/none", "no connection to PostgreSQL"),
        ("sqlite:/dev/null/tour.db", "cannot open /dev/null/tour.db"),
        ("mysql://127.0.0.1/none", "the URL must begin with sqlite: or postgres:"),
        ("sqlite:", "the URL must name a file"),
    ];
    for (database, reason) in databases {
        let output = countersign(&["tour", "--json", "--database", database]);
        assert_eq!(output.status.code(), Some(1), "{database}: {output:?}");
        let lines = lines(&output);
        assert_eq!((lines.len(), &lines[0]["passed"]), (2, &false.into()), "{output:?}");
        let detail = lines[0]["detail"].as_str().unwrap();
        assert!(
            detail.contains("the database does not open") && detail.contains(reason),
            "{detail}"
        );
        assert_eq!((&lines[1]["steps"], &lines[1]["passed"]), (&1.into(), &false.into()));
    }
}

#[test]
fn a_demo_that_cannot_start_complains_apart_from_its_results() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let keyless = folder.path().join("keyless");
    std::fs::create_dir(&keyless).unwrap();
    std::fs::write(keyless.join("key-encryption.key"), "short").unwrap();
    let (file, keyless) = (file.to_str().unwrap(), keyless.to_str().unwrap());
    let new = folder.path().join("new");
    let (new, any) = (new.to_str().unwrap(), "127.0.0.1:0");
    for (folder, listen, pages, reason) in [
        (file, any, any, "File exists"),
        (keyless, any, any, "key-encryption.key is not a key: it must be 32 bytes"),
        (new, "0.0.0.0:0", any, "it listens on loopback only"),
        (new, any, "0.0.0.0:0", "it listens on loopback only"),
        (new, any, &taken, "Address already in use"),
        (new, &taken, any, "Address already in use"),
    ] {
        let addresses = ["--listen", listen, "--pages", pages];
        let output = countersign(&[&["demo", "--folder", folder], &addresses[..]].concat());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(
            complaint.starts_with("countersign: ") && complaint.contains(reason),
            "{complaint}"
        );
    }
}
