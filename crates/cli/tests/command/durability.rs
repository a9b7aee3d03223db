//! A demo that is killed under load, again and again: what it has acknowledged is there at the next start, and counts once. The
//! long run of the same is `cargo xtask crash`.

use std::{net::TcpListener, path::Path};

use countersign_load::crash::{Plan, Program, Site, crash};

const CUSTOMERS: usize = 4;
const KILLS: u32 = 6;

/// An address that is free.
fn address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn demo(folder: &Path, listen: &str) -> Program {
    let folder = folder.as_os_str().to_owned();
    let (listen, pages) = (["--listen", listen], ["--pages", "127.0.0.1:0"]);
    let mut arguments: Vec<_> =
        ["demo"].iter().chain(&listen).chain(&pages).map(Into::into).collect();
    arguments.extend(["--folder".into(), folder]);
    Program { path: env!("CARGO_BIN_EXE_countersign").into(), arguments }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_that_is_killed_under_load_forgets_nothing_that_it_acknowledged() {
    let (folder, phones) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let listen = address();
    let database = format!("sqlite:{}", folder.path().join("countersign.db").display());
    let base_url = format!("http://{listen}");
    let site =
        Site::set_up(database, folder.path().to_owned(), base_url, CUSTOMERS, None).await.unwrap();
    let program = demo(folder.path(), &listen);
    let phones = phones.path().to_owned();
    let plan = Plan { program, kills: KILLS, seed: 1, customers: CUSTOMERS, phones };
    let verdict = crash(&plan, &site).await.unwrap();
    assert!(verdict.is_good(), "{verdict:#?}");
    assert_eq!(verdict.kills, KILLS);
    assert!(verdict.payloads > 0 && verdict.codes > 0 && verdict.pairings > 0, "{verdict:#?}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_key_beside_the_data_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    demo(folder.path(), "127.0.0.1:0").start().await.unwrap().kill().unwrap();
    for name in ["key-encryption.key", "countersign.db"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
