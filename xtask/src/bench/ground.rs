//! Where measurements take place: release builds, folders, a server on its core, the load on the other.

use super::Effort;
use crate::{
    Outcome, configuration,
    workspace::{Workspace, succeed},
};
use serde_json::Value;
use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{self, Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

/// As many files as the flows that wait need connections, with room.
const FILES: &str = "--nofile=20000:20000";

/// The core of the server, and that of everything else.
const SERVER_CORE: &str = "0";
const LOAD_CORE: &str = "1";

/// What the server says once it answers.
const READY: &str = "Countersign is listening on ";

pub struct Ground {
    pub effort: Effort,
    /// The server's program.
    pub server: PathBuf,
    load: PathBuf,
    folder: PathBuf,
    port: u16,
}

/// What the load printed.
pub struct Said(Value);

impl Said {
    pub fn number(&self, name: &str) -> Outcome<f64> {
        let value = self.0.get(name).and_then(Value::as_f64);
        value.ok_or_else(|| format!("the load says nothing of {name}").into())
    }
}

impl Ground {
    /// Builds what is measured, and makes an empty folder on the disk of the build.
    pub fn prepare(workspace: &Workspace, effort: Effort) -> Outcome<Self> {
        let packages = ["--package", "countersign-cli", "--package", "countersign-load"];
        succeed(workspace.cargo(&["build", "--release"]).args(packages))?;
        let target = workspace.metadata.target_directory.as_std_path();
        let program = |name: &str| target.join("release").join(name);
        // Not the temporary folder: that may be in memory, which makes everything durable at once.
        let folder = target.join(format!("bench-{}", process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self {
            effort,
            server: program("countersign"),
            load: program("countersign-load"),
            folder,
            // Free now; whoever takes it meanwhile makes the server say so.
            port: TcpListener::bind("127.0.0.1:0")?.local_addr()?.port(),
        })
    }

    /// A path in the folder of this run.
    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Runs the load on its core and reads what it says.
    pub fn load(&self, arguments: &[&str]) -> Outcome<Said> {
        self.measure(LOAD_CORE, arguments)
    }

    /// Runs the load on the server's core, for what would happen there.
    pub fn load_on_server_core(&self, arguments: &[&str]) -> Outcome<Said> {
        self.measure(SERVER_CORE, arguments)
    }

    fn measure(&self, core: &str, arguments: &[&str]) -> Outcome<Said> {
        let output = pinned(core, &self.load).args(arguments).output()?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            return Err(format!("countersign-load {}: {error}", arguments.join(" ")).into());
        }
        Ok(Said(serde_json::from_slice(&output.stdout)?))
    }

    /// Starts the load on its core to be there for others, and waits until it says that it is.
    pub fn service(&self, arguments: &[&str]) -> Outcome<Service> {
        let mut command = pinned(LOAD_CORE, &self.load);
        let mut child =
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let said = child.stdout.take().ok_or("the service has no output")?;
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        let service = Service(child);
        if line.is_empty() { Err("the service does not start".into()) } else { Ok(service) }
    }

    /// A data folder with so many users, seeded, and not served yet.
    pub fn seeded(&self, name: &str, database: Option<&str>, users: u32) -> Outcome<Site<'_>> {
        self.seeded_with(name, database, users, &[])
    }

    /// The same, with phones that are asked.
    pub fn seeded_with_push(&self, name: &str, users: u32) -> Outcome<Site<'_>> {
        self.seeded_with(name, None, users, &["--push"])
    }

    fn seeded_with(
        &self,
        name: &str,
        database: Option<&str>,
        users: u32,
        more: &[&str],
    ) -> Outcome<Site<'_>> {
        let site = self.empty(name, database)?;
        let users = users.to_string();
        let seed = ["seed", "--folder", &site.folder, "--base-url", &self.base_url()];
        let into = ["--database", &site.database, "--users", &users, "--bank", &site.bank];
        self.load(&[&seed, into.as_slice(), more].concat())?;
        Ok(site)
    }

    /// A data folder with nothing in it but the configuration.
    pub fn empty(&self, name: &str, database: Option<&str>) -> Outcome<Site<'_>> {
        let folder = self.path(name);
        fs::create_dir(&folder)?;
        let default = format!("sqlite:{folder}/countersign.db");
        let database = database.map_or(default, str::to_owned);
        let site = Site { ground: self, bank: format!("{folder}/load.json"), folder, database };
        let text = configuration::text(&self.address(), &site.folder, &site.database);
        fs::write(site.configuration(), text)?;
        Ok(site)
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn base_url(&self) -> String {
        format!("http://{}", self.address())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("cannot remove {}: {error}", self.folder.display());
        }
    }
}

fn pinned(core: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("prlimit");
    command.args([FILES, "taskset", "-c", core]).arg(program);
    command
}

/// Lets a program that starts children, as PostgreSQL does, run on the core of the load.
pub fn on_load_core(program: impl AsRef<OsStr>) -> Command {
    pinned(LOAD_CORE, program)
}

/// A data folder with its configuration.
pub struct Site<'a> {
    ground: &'a Ground,
    folder: String,
    database: String,
    bank: String,
}

impl Site<'_> {
    fn configuration(&self) -> String {
        format!("{}/countersign.toml", self.folder)
    }

    /// Starts the server and waits until it answers.
    pub fn serve(&self) -> Outcome<Server<'_>> {
        let watch = Instant::now();
        let mut command = pinned(SERVER_CORE, &self.ground.server);
        command.args(["serve", "--config", &self.configuration()]);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let said = child.stdout.take().ok_or("the server has no output")?;
        let mut server =
            Server { site: self, child, said: BufReader::new(said), started_in: Duration::ZERO };
        let mut line = String::new();
        while !line.starts_with(READY) {
            line.clear();
            if server.said.read_line(&mut line)? == 0 {
                return Err(format!("the server ended: {}", server.child.wait()?).into());
            }
        }
        server.started_in = watch.elapsed();
        Ok(server)
    }
}

/// A running server; ends with this value.
pub struct Server<'a> {
    site: &'a Site<'a>,
    child: Child,
    /// Held open, because a program that cannot print ends.
    said: BufReader<ChildStdout>,
    /// From the start of the process until it said that it listens.
    pub started_in: Duration,
}

impl Server<'_> {
    /// Plays a scenario against it.
    pub fn drive(&self, scenario: &[&str]) -> Outcome<Said> {
        let ground = self.site.ground;
        let (address, process) = (ground.address(), self.child.id().to_string());
        let seconds = ground.effort.seconds.to_string();
        let target = ["--bank", &self.site.bank, "--address", &address, "--server", &process];
        ground.load(&[scenario, &target, &["--seconds", &seconds]].concat())
    }

    /// Resident memory now, in MiB.
    pub fn resident_mib(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kib.ok_or("the system does not tell the memory of a process")?.parse::<f64>()? / 1024.0)
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // Asked politely, so that the log is folded into the database; killed if that cannot be asked.
        let process = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &process]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        if let Err(error) = self.child.wait() {
            eprintln!("cannot wait for the server to stop: {error}");
        }
    }
}

/// A program that others need; ends with this value.
pub struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        // It ends when nobody holds its input any more.
        drop(self.0.stdin.take());
        if let Err(error) = self.0.wait() {
            eprintln!("cannot wait for a service to stop: {error}");
        }
    }
}

/// The size of a file in MiB.
pub fn mib(path: &Path) -> Outcome<f64> {
    let bytes = u32::try_from(fs::metadata(path)?.len() / 1024)?;
    Ok(f64::from(bytes) / 1024.0)
}
