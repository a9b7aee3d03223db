//! The `countersign-load` command: each of its commands prints one JSON object.

use std::{
    error::Error, ffi::OsString, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use countersign_load::{
    LoadError, acknowledgement, apns,
    bank::Bank,
    client_credentials::ClientCredentials,
    code_flow::CodeFlow,
    crash::{self, Outage, Plan, Program, PushService, Site, Verdict},
    device_authorization::DeviceAuthorization,
    disk,
    drive::{self, drive},
    floor, group_commit,
    process::Process,
    push_round::PushRound,
    refresh::Refresh,
    seed, waiting,
};
use countersign_protocol::jose;
use serde::Serialize;

/// Phones and clients in great number.
#[derive(Parser)]
#[command(name = "countersign-load", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set up a tenant with users and devices in a database that nobody serves.
    Seed {
        /// `sqlite:PATH` or `postgres://...`.
        #[arg(long)]
        database: String,
        /// Where the key-encryption key is or comes to be.
        #[arg(long)]
        folder: PathBuf,
        /// Where the tenant will be served: `http://127.0.0.1:8080`.
        #[arg(long)]
        base_url: String,
        /// Users, with two devices each.
        #[arg(long)]
        users: u64,
        /// Users whose phones can be driven.
        #[arg(long, default_value_t = 10_000)]
        driven: u64,
        /// Ask the phones, silently where they sign in themselves, else visibly.
        #[arg(long)]
        push: bool,
        /// The file to leave for the load.
        #[arg(long)]
        bank: PathBuf,
    },
    /// Sign in with paired phones, again and again.
    DeviceAuthorization {
        #[command(flatten)]
        target: Target,
        /// The algorithm of the ID tokens.
        #[arg(long, value_enum, default_value_t = Algorithm::Es256)]
        algorithm: Algorithm,
    },
    /// Get tokens by the plain code flow in browsers that have a session.
    CodeFlow {
        #[command(flatten)]
        target: Target,
    },
    /// Refresh tokens.
    Refresh {
        #[command(flatten)]
        target: Target,
    },
    /// Get access tokens for a worker application.
    ClientCredentials {
        #[command(flatten)]
        target: Target,
    },
    /// Sign in elsewhere and say yes on the phone, again and again.
    PushRound {
        #[command(flatten)]
        target: Target,
    },
    /// Measure how soon a flow goes on after the phone has acknowledged a silent push.
    Acknowledgement {
        #[command(flatten)]
        target: Target,
        /// How long a phone pauses after a sign-on, on average, in seconds.
        #[arg(long, default_value_t = 0.0)]
        pause: f64,
    },
    /// Measure what flows cost that wait, each with a request that is held open.
    Waiting {
        #[command(flatten)]
        target: Target,
        /// How many.
        #[arg(long, default_value_t = 10_000)]
        flows: usize,
    },
    /// Be an emulated APNs until the standard input ends.
    ApnsService {
        /// The file to leave for those who push.
        #[arg(long)]
        service: PathBuf,
    },
    /// Push through one connection to an emulated APNs.
    Apns {
        /// The file that the emulated APNs has left.
        #[arg(long)]
        service: PathBuf,
        /// Pushes under way at the same time.
        #[arg(long, default_value_t = 64)]
        callers: usize,
        /// How long.
        #[arg(long, default_value_t = 2.0)]
        seconds: f64,
    },
    /// Measure the cryptography of device authorization alone.
    Floor {
        /// The algorithm of the ID tokens.
        #[arg(long, value_enum, default_value_t = Algorithm::Es256)]
        algorithm: Algorithm,
        /// How long.
        #[arg(long, default_value_t = 2.0)]
        seconds: f64,
    },
    /// Write lines of the audit log from many callers at once.
    GroupCommit {
        /// `sqlite:PATH` or `postgres://...`.
        #[arg(long)]
        database: String,
        /// How many.
        #[arg(long)]
        callers: usize,
        /// How long.
        #[arg(long, default_value_t = 2.0)]
        seconds: f64,
    },
    /// Kill the server under load, again and again, and hold each next one against what was acknowledged.
    Crash {
        #[command(flatten)]
        scene: Scene,
    },
    /// Fill the disk of a running server, again and again.
    FullDisk {
        #[command(flatten)]
        scene: Scene,
        /// A folder on the small file system that has the data.
        #[arg(long)]
        disk: PathBuf,
    },
    /// Take the database away from a running server, again and again.
    NoDatabase {
        #[command(flatten)]
        scene: Scene,
        /// The shell command that takes it away.
        #[arg(long)]
        begin: String,
        /// The shell command that brings it back.
        #[arg(long)]
        end: String,
    },
    /// Measure how often a second the disk makes a block durable.
    Disk {
        /// Where to write.
        #[arg(long)]
        folder: PathBuf,
        /// How long.
        #[arg(long, default_value_t = 2.0)]
        seconds: f64,
    },
}

#[derive(Args)]
struct Target {
    /// The file that seeding left.
    #[arg(long)]
    bank: PathBuf,
    /// The server's address.
    #[arg(long)]
    address: SocketAddr,
    /// The server's process.
    #[arg(long)]
    server: u32,
    /// Connections, each with one client.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How long to play before anything is measured.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// How long to measure.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

/// A bank that is set up anew, and the server for it.
#[derive(Args)]
struct Scene {
    /// `sqlite:PATH` or `postgres://...`, with nothing in it.
    #[arg(long)]
    database: String,
    /// Where the key-encryption key comes to be.
    #[arg(long)]
    folder: PathBuf,
    /// Where the server will serve: `http://127.0.0.1:8080`.
    #[arg(long)]
    base_url: String,
    /// Where to be the FCM that the server is configured for; without, phones are not asked.
    #[arg(long, requires = "authorities")]
    fcm: Option<SocketAddr>,
    /// Where to leave the certificate of that FCM, for the server.
    #[arg(long)]
    authorities: Option<PathBuf>,
    /// Where the phones of the customers keep their keys.
    #[arg(long)]
    phones: PathBuf,
    /// How many customers.
    #[arg(long, default_value_t = 8)]
    customers: usize,
    /// How often.
    #[arg(long, default_value_t = 20)]
    times: u32,
    /// Decides on moments and steps.
    #[arg(long)]
    seed: u64,
    /// The server and its arguments.
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

impl Scene {
    async fn set(self) -> Result<(Plan, Site), LoadError> {
        let mut words = self.program.into_iter();
        let path = words.next().map(PathBuf::from).unwrap_or_default();
        let program = Program { path, arguments: words.collect() };
        let (kills, seed, customers) = (self.times, self.seed, self.customers);
        let plan = Plan { program, kills, seed, customers, phones: self.phones };
        let push = match (self.fcm, &self.authorities) {
            (Some(listen), Some(authorities)) => {
                Some(PushService::start(listen, authorities).await?)
            }
            _ => None,
        };
        let site = Site::set_up(self.database, self.folder, self.base_url, customers, push).await?;
        Ok((plan, site))
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Algorithm {
    Es256,
    Rs256,
}

impl From<Algorithm> for jose::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Es256 => Self::Es256,
            Algorithm::Rs256 => Self::Rs256,
        }
    }
}

impl Target {
    fn plan(&self) -> Result<drive::Plan, std::time::TryFromFloatSecsError> {
        Ok(drive::Plan {
            address: self.address,
            server: Process::new(self.server),
            warm_up: Duration::try_from_secs_f64(self.warm_up)?,
            measured: Duration::try_from_secs_f64(self.seconds)?,
        })
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Seed { database, folder, base_url, users, driven, push, bank } => {
            let plan = seed::Plan { database, base_url, users, driven, push };
            let seeded = runtime()?.block_on(seed::seed(&plan, &folder))?;
            seeded.save(&bank)?;
            say(&seeded)
        }
        Command::DeviceAuthorization { target, algorithm } => {
            let bank = Bank::load(&target.bank)?;
            let clients =
                DeviceAuthorization::clients(&bank, algorithm.into(), target.connections)?;
            say(&runtime()?.block_on(drive(clients, target.plan()?))?)
        }
        Command::CodeFlow { target } => {
            let bank = Bank::load(&target.bank)?;
            let clients = CodeFlow::clients(&bank, target.connections)?;
            say(&runtime()?.block_on(drive(clients, target.plan()?))?)
        }
        Command::Refresh { target } => {
            let bank = Bank::load(&target.bank)?;
            let clients = Refresh::clients(&bank, jose::Algorithm::Es256, target.connections)?;
            say(&runtime()?.block_on(drive(clients, target.plan()?))?)
        }
        Command::ClientCredentials { target } => {
            let clients =
                ClientCredentials::clients(&Bank::load(&target.bank)?, target.connections);
            say(&runtime()?.block_on(drive(clients, target.plan()?))?)
        }
        Command::PushRound { target } => {
            let clients = PushRound::clients(&Bank::load(&target.bank)?, target.connections)?;
            say(&runtime()?.block_on(drive(clients, target.plan()?))?)
        }
        Command::Acknowledgement { target, pause } => {
            let drive::Plan { address, server, warm_up, measured } = target.plan()?;
            let (phones, pause) = (target.connections, Duration::try_from_secs_f64(pause)?);
            let plan = acknowledgement::Plan { address, server, phones, pause, warm_up, measured };
            let bank = Bank::load(&target.bank)?;
            say(&runtime()?.block_on(acknowledgement::measure(&bank, plan))?)
        }
        Command::Waiting { target, flows } => {
            let bank = Bank::load(&target.bank)?;
            let server = (target.address, Process::new(target.server));
            say(&runtime()?.block_on(waiting::measure(&bank, server, flows))?)
        }
        Command::ApnsService { service } => {
            let ready = || say(&"ready").map_err(|error| LoadError::other(error.to_string()));
            Ok(runtime()?.block_on(apns::serve(&service, ready))?)
        }
        Command::Apns { service, callers, seconds } => {
            let time = Duration::try_from_secs_f64(seconds)?;
            say(&runtime()?.block_on(apns::measure(&service, callers, time))?)
        }
        Command::Floor { algorithm, seconds } => {
            say(&floor::measure(algorithm.into(), Duration::try_from_secs_f64(seconds)?)?)
        }
        Command::GroupCommit { database, callers, seconds } => {
            let time = Duration::try_from_secs_f64(seconds)?;
            say(&runtime()?.block_on(group_commit::measure(&database, callers, time))?)
        }
        Command::Crash { scene } => kills(scene),
        Command::FullDisk { scene, disk } => outages(scene, &Outage::FullDisk(disk)),
        Command::NoDatabase { scene, begin, end } => {
            outages(scene, &Outage::NoDatabase { begin, end })
        }
        Command::Disk { folder, seconds } => {
            say(&disk::measure(&folder, Duration::try_from_secs_f64(seconds)?)?)
        }
    }
}

fn kills(scene: Scene) -> Result<(), Box<dyn Error>> {
    runtime()?.block_on(async {
        let (plan, site) = scene.set().await?;
        let verdict = crash::crash(&plan, &site).await?;
        say(&verdict)?;
        good(&verdict)
    })
}

fn outages(scene: Scene, outage: &Outage) -> Result<(), Box<dyn Error>> {
    runtime()?.block_on(async {
        let (plan, site) = scene.set().await?;
        let all = crash::outages(&plan, &site, outage).await?;
        say(&all)?;
        good(&all.verdict)
    })
}

fn good(verdict: &Verdict) -> Result<(), Box<dyn Error>> {
    if verdict.is_good() { Ok(()) } else { Err("something was lost, or counted twice".into()) }
}

/// One thread, because the load has one core.
fn runtime() -> Result<tokio::runtime::Runtime, LoadError> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

#[expect(clippy::print_stdout, reason = "this is a command: its JSON is its result")]
fn say(result: &impl Serialize) -> Result<(), Box<dyn Error>> {
    println!("{}", serde_json::to_string(result)?);
    Ok(())
}

#[expect(clippy::print_stderr, reason = "this is a command: its complaints are for the terminal")]
fn complain(line: &str) {
    eprintln!("countersign-load: {line}");
}
