//! `cargo xtask crash`: kills the server under load, fills its disk, takes its database away, and holds what it says afterwards
//! against what it said before.

use crate::{
    Outcome, configuration,
    postgres::Postgres,
    workspace::{Workspace, succeed},
};
use clap::{Args, ValueEnum};
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{self, Command},
    time::{SystemTime, UNIX_EPOCH},
};

#[derive(Args)]
pub struct Options {
    /// How often to kill the server
    #[arg(long, default_value_t = 20)]
    kills: u32,
    /// How often to fill the disk or to take the database away
    #[arg(long, default_value_t = 5)]
    outages: u32,
    /// Only on this engine
    #[arg(long)]
    engine: Option<Engine>,
    /// Repeats an earlier run; a new one is drawn otherwise
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Engine {
    Sqlite,
    Postgres,
}

/// The command of the load whose customers also ask their phones, through a push service that outlives the servers.
const ASKING: &str = "crash";

/// Room for a database, and soon none.
const SMALL_DISK: &str = "size=24m";

pub fn run(workspace: &Workspace, options: &Options) -> Outcome {
    let packages = ["--package", "countersign-cli", "--package", "countersign-load"];
    succeed(workspace.cargo(&["build", "--release"]).args(packages))?;
    let target = workspace.metadata.target_directory.as_std_path();
    let seed = match options.seed {
        Some(seed) => seed,
        // Which one does not matter, as long as it is told.
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos().into(),
    };
    println!("seed {seed}");
    let arena = Arena {
        release: target.join("release"),
        folder: target.join(format!("crash-{}", process::id())),
        seed: seed.to_string(),
    };
    fs::create_dir_all(&arena.folder)?;
    if options.engine != Some(Engine::Postgres) {
        arena.run(ASKING, None, options.kills, &[])?;
        arena.full_disk(options.outages)?;
    }
    if options.engine != Some(Engine::Sqlite) {
        let postgres = Postgres::durable()?;
        arena.run(ASKING, Some(&postgres.url), options.kills, &[])?;
    }
    if options.engine != Some(Engine::Sqlite) {
        let postgres = Postgres::durable()?;
        let [begin, end] = postgres.outage()?;
        let commands = ["--begin", &begin, "--end", &end];
        arena.run("no-database", Some(&postgres.url), options.outages, &commands)?;
    }
    fs::remove_dir_all(&arena.folder)?;
    println!("nothing was lost, and nothing counted twice (seed {seed})");
    Ok(())
}

/// Two ports that are free now; whoever takes one meanwhile makes a program say so.
fn free_ports() -> Outcome<[u16; 2]> {
    let [first, second] = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    Ok([first.local_addr()?.port(), second.local_addr()?.port()])
}

/// The programs, and a folder that is left behind when something fails, to be looked at.
struct Arena {
    release: PathBuf,
    folder: PathBuf,
    seed: String,
}

impl Arena {
    /// Runs a command of the load on a new bank. It prints its verdict.
    fn run(&self, name: &str, database: Option<&str>, times: u32, more: &[&str]) -> Outcome {
        let engine = if database.is_some() { "PostgreSQL" } else { "SQLite" };
        println!("==> {name}, {engine}, {times} times");
        let data = self.folder.join(format!("{name}-{engine}"));
        fs::create_dir_all(&data)?;
        self.run_in(&data, name, database, (times, more))
    }

    fn run_in(
        &self,
        data: &Path,
        name: &str,
        database: Option<&str>,
        (times, more): (u32, &[&str]),
    ) -> Outcome {
        let [port, fcm] = free_ports()?;
        let data_folder = data.display().to_string();
        let file = format!("sqlite:{data_folder}/countersign.db");
        let database = database.unwrap_or(&file);
        let phones = self.folder.join(format!("phones-{port}"));
        fs::create_dir_all(&phones)?;
        let settings = self.folder.join(format!("{port}.toml"));
        let listen = format!("127.0.0.1:{port}");
        let mut text = configuration::text(&listen, &data_folder, database);
        let fcm = format!("127.0.0.1:{fcm}");
        let authorities = self.folder.join(format!("authorities-{port}.pem")).display().to_string();
        let asks = name == ASKING;
        if asks {
            text.push_str(&configuration::push(&fcm, &authorities));
        }
        fs::write(&settings, text)?;
        let mut load = Command::new(self.release.join("countersign-load"));
        load.args([name, "--database", database, "--folder", &data_folder, "--seed", &self.seed]);
        load.args(["--base-url", &format!("http://127.0.0.1:{port}")]);
        load.args(["--times", &times.to_string()]).arg("--phones").arg(phones).args(more);
        if asks {
            load.args(["--fcm", &fcm, "--authorities", &authorities]);
        }
        load.arg("--").arg(self.release.join("countersign"));
        succeed(load.args(["serve", "--config"]).arg(settings))
    }

    /// A small file system of its own needs root; without, this part is left out, and said to be.
    fn full_disk(&self, times: u32) -> Outcome {
        let disk = self.folder.join("disk");
        fs::create_dir_all(&disk)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", SMALL_DISK, "tmpfs"]).arg(&disk);
        if !mount.status().is_ok_and(|status| status.success()) {
            println!("==> full-disk: LEFT OUT, because no small file system can be mounted here");
            return Ok(());
        }
        println!("==> full-disk, SQLite, {times} times");
        let path = disk.display().to_string();
        let done = self.run_in(&disk, "full-disk", None, (times, &["--disk", &path]));
        succeed(Command::new("umount").arg(&disk))?;
        done
    }
}
