//! One PostgreSQL cluster in a folder of its own, from `initdb` to removal.

use super::programs::Programs;
use crate::Outcome;
use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    thread,
};

/// The folder of the socket is the only door, and only its owner may open it.
const SETTINGS: &str = "
listen_addresses = ''
max_connections = 200
";

/// What tests write does not outlive them, so nothing waits for the disk.
const FORGETFUL: &str = "
fsync = off
synchronous_commit = off
full_page_writes = off
";

/// A temporary folder that is never in memory.
const DISK: &str = "/var/tmp";

/// What PostgreSQL logs, with the locale of this cluster, once it can be used.
const READY: &str = "database system is ready to accept connections";

/// Runs from `start` until it is dropped.
pub struct Cluster {
    server: Child,
    // Dropped, and so removed, after the server has stopped.
    site: Site,
}

impl Cluster {
    /// As durable as PostgreSQL is by itself, or not at all.
    pub fn start(programs: Programs, durable: bool) -> Outcome<Self> {
        let parent = if durable { DISK.into() } else { env::temp_dir() };
        let site = Site { programs, folder: Folder::create(&parent)? };
        site.initialize(durable)?;
        let server = site.launch()?;
        Ok(Self { server, site })
    }

    /// In the form that libpq and its kin understand: the host is the folder of the socket.
    pub fn url(&self) -> String {
        let socket = self.site.folder.path.display().to_string().replace('/', "%2F");
        format!("postgresql://postgres@{socket}/postgres")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = self.site.command("pg_ctl");
        let stopped = run(stop.args(["stop", "--mode=immediate", "--wait", "--silent"]))
            .and_then(|()| Ok(self.server.wait()?));
        if let Err(error) = stopped {
            eprintln!("PostgreSQL does not stop: {error}");
        }
    }
}

struct Site {
    programs: Programs,
    folder: Folder,
}

impl Site {
    fn initialize(&self, durable: bool) -> Outcome {
        let mut initdb = self.command("initdb");
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        run(initdb.args(["--no-sync", "--no-instructions"]))?;
        let mut settings =
            fs::OpenOptions::new().append(true).open(self.data().join("postgresql.conf"))?;
        settings.write_all(SETTINGS.as_bytes())?;
        if !durable {
            settings.write_all(FORGETFUL.as_bytes())?;
        }
        writeln!(settings, "unix_socket_directories = '{}'", self.folder.path.display())?;
        Ok(())
    }

    /// The server, ready; or all that it said before it gave up.
    fn launch(&self) -> Outcome<Child> {
        let mut postgres = self.command("postgres");
        postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut server = postgres.spawn()?;
        let mut log = BufReader::new(server.stderr.take().ok_or("the server has no log")?);
        let mut said = String::new();
        while !said.contains(READY) {
            if log.read_line(&mut said)? == 0 {
                return Err(format!("postgres ended with {}\n{said}", server.wait()?).into());
            }
        }
        // A full pipe would stop the server, so somebody has to go on reading.
        thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        Ok(server)
    }

    fn data(&self) -> PathBuf {
        self.folder.path.join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.programs.command(program);
        command.arg("-D").arg(self.data()).current_dir(&self.folder.path);
        if let Some(Account { uid, gid }) = self.folder.owner {
            command.uid(uid).gid(gid);
        }
        command
    }
}

/// A folder under the temporary folder that only its owner may enter; removed when dropped.
struct Folder {
    path: PathBuf,
    /// Who works here, when it is not the account of this process.
    owner: Option<Account>,
}

impl Folder {
    fn create(parent: &Path) -> Outcome<Self> {
        let path = parent.join(format!("countersign-postgres-{}", process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        let mut folder = Self { path, owner: None };
        let is_root = fs::metadata(&folder.path)?.uid() == 0;
        if is_root {
            // PostgreSQL refuses to run as root.
            let account = Account::without_privileges(&fs::read_to_string("/etc/passwd")?)?;
            chown(&folder.path, Some(account.uid), Some(account.gid))?;
            folder.owner = Some(account);
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("cannot remove {}: {error}", self.path.display());
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account of `postgres`, else of `nobody`, from the text of `/etc/passwd`.
    fn without_privileges(accounts: &str) -> Outcome<Self> {
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| accounts.lines().find_map(|line| Self::parse(line, name)))
            .ok_or_else(|| "neither `postgres` nor `nobody` is an account of this system".into())
    }

    fn parse(line: &str, name: &str) -> Option<Self> {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let _password = fields.next()?;
        Some(Self { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    }
}

/// Runs the command silently; its error output is shown when it fails.
fn run(command: &mut Command) -> Outcome {
    let program = Path::new(command.get_program()).display().to_string();
    let output = command.output().map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{program} ended with {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNTS: &str = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65533:n:/:/bin/false\n";

    #[test]
    fn the_account_of_postgres_is_preferred() {
        let accounts = format!("{ACCOUNTS}postgres:x:101:104:,,,:/var/lib/postgresql:/bin/sh\n");
        let account = Account::without_privileges(&accounts).unwrap();
        assert_eq!(account, Account { uid: 101, gid: 104 });
    }

    #[test]
    fn nobody_serves_where_there_is_no_postgres() {
        let account = Account::without_privileges(ACCOUNTS).unwrap();
        assert_eq!(account, Account { uid: 65534, gid: 65533 });
    }

    #[test]
    fn a_system_without_either_is_refused() {
        assert!(Account::without_privileges("root:x:0:0:root:/root:/bin/bash").is_err());
    }
}
