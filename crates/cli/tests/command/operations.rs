//! An operator's day: the first start, starts that are killed, administrators, backups, and the doctor.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::server::{Serve, complaint, configure, countersign, said};

const ANY_PORT: &str = "[server]\nlisten = \"127.0.0.1:0\"\n[shutdown]\nlinger_ms = 0";

struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        configure(folder.path(), ANY_PORT);
        Self { folder }
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    fn spawn(&self) -> Serve {
        Serve::spawn(&self.folder.path().join("countersign.toml"), &self.data())
    }

    fn serve(&self) -> Serve {
        self.spawn().ready()
    }

    fn run(&self, arguments: &[&str]) -> std::process::Output {
        countersign(arguments, &self.data())
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Administrators, and how many of them must change their password.
    fn administrators(&self) -> (i64, i64) {
        let connection = Connection::open(self.data().join("countersign.db")).unwrap();
        let count = |sql| connection.query_row(sql, [], |row| row.get(0)).unwrap();
        let users =
            "SELECT COUNT(*) FROM role_assignments WHERE data LIKE '%\"Organization Admin\"%'";
        let passwords = "SELECT COUNT(*) FROM passwords WHERE data LIKE '%\"must_change\":true%'";
        (count(users), count(passwords))
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_start_shows_a_password_and_the_second_does_not() {
    let scene = Scene::new();
    let first = scene.serve();
    assert!(first.text.contains("user name          admin"), "{}", first.text);
    assert_eq!(first.password().unwrap().len(), 19);
    for name in ["countersign.db", "key-encryption.key", "control.sock"] {
        assert_eq!(mode(&scene.data().join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&scene.data()), 0o700);
    assert!(first.end());
    let second = scene.serve();
    assert_eq!(second.text.lines().count(), 1, "{}", second.text);
    assert!(second.end());
    assert_eq!(scene.administrators(), (1, 1));
}

#[test]
fn a_first_start_that_is_killed_anywhere_is_completed_by_the_next() {
    // What each word follows: the key and the database, the environment, the password before it counts.
    for word in ["", "This is the first start", "one-time password", "listening on"] {
        let scene = Scene::new();
        let mut killed = scene.spawn();
        killed.read_until(word);
        let shown = killed.kill();
        let next = scene.serve();
        assert!(shown.is_some() || next.password().is_some(), "nobody knows a password: {word}");
        assert_ne!(shown.as_deref(), next.password(), "{word}");
        assert!(next.end());
        assert_eq!(scene.administrators(), (1, 1), "{word}");
        assert_eq!(scene.serve().password(), None, "{word}");
    }
}

#[test]
fn what_a_killed_start_leaves_in_the_folder_is_taken_up() {
    let scene = Scene::new();
    fs::create_dir(scene.data()).unwrap();
    fs::write(scene.data().join("key-encryption.key"), [7; 32]).unwrap();
    fs::write(scene.data().join("countersign.db"), "").unwrap();
    fs::write(scene.data().join("control.sock"), "").unwrap();
    let served = scene.serve();
    assert!(served.password().is_some());
    assert_eq!(fs::read(scene.data().join("key-encryption.key")).unwrap(), [7; 32]);
}

#[test]
fn a_key_that_is_lost_or_another_is_told_and_nothing_is_made_anew() {
    let scene = Scene::new();
    assert!(scene.serve().end());
    let key = scene.data().join("key-encryption.key");
    let bytes = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let told = complaint(&scene.run(&["serve"]));
    assert!(told.contains("is missing, and the database holds secrets"), "{told}");
    assert!(!key.exists());
    fs::write(&key, [9; 32]).unwrap();
    let told = complaint(&scene.run(&["serve"]));
    assert!(told.contains("the key-encryption key is not the one"), "{told}");
    fs::write(&key, bytes).unwrap();
    assert!(scene.serve().end());
}

#[test]
fn administrators_are_made_and_reset_whether_a_server_runs_or_not() {
    let scene = Scene::new();
    let told = complaint(&scene.run(&["admin", "create", "grace"]));
    assert!(told.contains("there is no platform in"), "{told}");
    let server = scene.serve();
    let made = said(&scene.run(&["admin", "create", "grace"]));
    assert!(made.contains("user name          grace\none-time password  "), "{made}");
    let told = complaint(&scene.run(&["admin", "create", "Grace"]));
    assert!(told.contains("username is taken"), "{told}");
    assert!(server.end());
    assert_ne!(said(&scene.run(&["admin", "reset", "grace"])), made);
    let told = complaint(&scene.run(&["admin", "reset", "nobody"]));
    assert!(told.contains("nothing with that name"), "{told}");
    said(&scene.run(&["admin", "create", "ada"]));
    assert_eq!(scene.administrators(), (3, 3));
}

#[test]
fn a_backup_of_a_server_that_runs_is_restored_elsewhere() {
    let scene = Scene::new();
    let server = scene.serve();
    let file = scene.path("backup.db");
    let told = said(&scene.run(&["backup", "--to", &file]));
    assert!(told.contains("1  environments") && told.contains("SHA-256 "), "{told}");
    assert!(complaint(&scene.run(&["backup", "--to", &file])).contains("exists already"));
    let told = complaint(&scene.run(&["restore", "--from", &file]));
    assert!(told.contains("a server runs on this data"), "{told}");
    assert!(server.end());
    assert!(complaint(&scene.run(&["restore", "--from", &file])).contains("is not empty"));

    let other = Scene::new();
    let told = complaint(&other.run(&["restore", "--from", &file]));
    assert!(told.contains("put the key-encryption key of the backup at"), "{told}");
    let key = other.data().join("key-encryption.key");
    fs::write(&key, [9; 32]).unwrap();
    let told = complaint(&other.run(&["restore", "--from", &file]));
    assert!(told.contains("the key-encryption key is not the one"), "{told}");
    fs::copy(scene.data().join("key-encryption.key"), &key).unwrap();
    said(&other.run(&["restore", "--from", &file]));
    let server = other.serve();
    assert_eq!(server.password(), None);
    assert!(server.end());
    assert_eq!(other.administrators(), (1, 1));
    // What is sealed is all that a backup has of keys.
    let bytes = fs::read(&file).unwrap();
    let secret = fs::read(&key).unwrap();
    assert!(!bytes.windows(secret.len()).any(|window| window == secret));
}

#[test]
fn the_doctor_finds_what_is_wrong() {
    let scene = Scene::new();
    let server = scene.serve();
    let told = said(&scene.run(&["doctor"]));
    assert!(told.contains("ok       database: it answers; a server runs on it"), "{told}");
    assert!(told.contains("ok       keys: "), "{told}");
    said(&scene.run(&["doctor", "--live"]));
    assert!(server.end());
    assert!(complaint(&scene.run(&["doctor", "--live"])).contains("no server runs"));
    let told = said(&scene.run(&["doctor"]));
    assert!(told.contains("no server runs on it"), "{told}");
    let key = scene.data().join("key-encryption.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&key, [9; 32]).unwrap();
    let found = scene.run(&["doctor"]);
    let told = String::from_utf8(found.stdout).unwrap();
    assert!(!found.status.success());
    assert!(told.contains("error    key-encryption key: everybody"), "{told}");
    assert!(told.contains("error    keys: what is sealed"), "{told}");
}

#[test]
fn the_example_of_a_configuration_is_one() {
    let scene = Scene::new();
    let example = scene.path("example.toml");
    fs::write(&example, said(&countersign_alone(&["config", "example"]))).unwrap();
    said(&countersign_alone(&["config", "check", "--config", &example]));
    fs::write(&example, "[server]\nlisten = \"nowhere\"").unwrap();
    let told = complaint(&countersign_alone(&["config", "check", "--config", &example]));
    assert!(told.contains("example.toml, line 2: server.listen: must be"), "{told}");
}

fn countersign_alone(arguments: &[&str]) -> std::process::Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_countersign")).args(arguments).output().unwrap()
}
