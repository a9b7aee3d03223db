//! Everything on one machine: a platform with emulated push services, and the bank, its web site and its phones of the demo.

use std::{
    fs,
    io::{ErrorKind, IsTerminal, stdout},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::Arc,
};

use clap::Args;
use countersign_demo::{ADMINISTRATOR, BUNDLE_ID, Bank, Demo as Pages, Ground, PASSWORD, Push};
use countersign_protocol::time::SystemClock;
use countersign_server::{app::App, serve_operators};
use tokio::net::TcpListener;

use crate::{
    Broken, key_file,
    platform::{Plan, Platform},
    push_services::{PROJECT, PushServices},
    say,
    serve::make_folder,
};

/// What the demo leaves in its folder.
const FILES: [&str; 7] = [
    "countersign.db",
    "countersign.db-wal",
    "countersign.db-shm",
    "key-encryption.key",
    "bank.json",
    "progress.json",
    "payments.json",
];

/// What the demo leaves of its phones.
const PHONES: &str = "phones";

#[derive(Args)]
pub struct Demo {
    /// Where the platform listens.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the start page, the bank and the phones are; the next port after that of the platform unless said.
    #[arg(long)]
    pages: Option<SocketAddr>,
    /// Where everything is kept. The next start goes on with it.
    #[arg(long, default_value = "countersign-demo")]
    folder: PathBuf,
    /// Begin anew: forget what earlier starts have left in the folder.
    #[arg(long)]
    fresh: bool,
    /// Do not open a browser.
    #[arg(long)]
    no_open: bool,
    /// Where to serve health and metrics for operators; nowhere unless said.
    #[arg(long)]
    operators: Option<SocketAddr>,
}

impl Demo {
    /// Serves until it is interrupted.
    pub async fn run(self) -> Result<ExitCode, Broken> {
        let pages = self.pages.unwrap_or_else(|| beside(self.listen));
        if !self.listen.ip().is_loopback() || !pages.ip().is_loopback() {
            return Err(Broken::new(
                "the demo has a well-known password: it listens on loopback only",
            ));
        }
        let taken = |error| {
            let why = "--pages puts the demo's pages elsewhere, --listen the platform";
            Broken::new(format!("cannot listen on {pages}: {error}; {why}"))
        };
        let listener = TcpListener::bind(pages).await.map_err(taken)?;
        if self.fresh {
            forget(&self.folder)?;
        }
        make_folder(&self.folder)?;
        let services = PushServices::start(Arc::new(SystemClock), BUNDLE_ID).await?;
        let platform = self.platform(&services).await?;
        let app = platform.app();
        let url = format!("http://{}", listener.local_addr()?);
        let push = Push {
            apns: Arc::clone(services.apns.installations()),
            fcm: Arc::clone(services.fcm.installations()),
            project: PROJECT.to_owned(),
        };
        let (folder, of_pages) = (self.folder.clone(), url.clone());
        let ground = Ground { app: Arc::clone(app), folder, push, url: of_pages };
        let demo = Box::pin(Pages::open(ground)).await?;
        services.give(app, demo.bank().environment, demo.bank().native).await?;
        if let Some(address) = self.operators {
            serve_metrics(app, address).await?;
        }
        self.tell(&platform, demo.bank(), &url);
        tokio::select! {
            served = demo.serve(listener) => served?,
            interrupted = tokio::signal::ctrl_c() => interrupted?,
        }
        platform.stop().await;
        Ok(ExitCode::SUCCESS)
    }

    async fn platform(&self, services: &PushServices) -> Result<Platform, Broken> {
        let plan = Plan {
            database: format!("sqlite:{}", self.folder.join("countersign.db").display()),
            key_encryption_key: key_file::find_or_make(&self.folder.join("key-encryption.key"))?,
            clock: Arc::new(SystemClock),
            push: services.settings()?,
        };
        Platform::start(plan, self.listen).await
    }

    fn tell(&self, platform: &Platform, bank: &Bank, url: &str) {
        let base_url = platform.base_url();
        let environment = format!("{base_url}/{}", bank.environment);
        say(&format!("Countersign is listening on {base_url}."));
        say("");
        say(&format!("  start here       {url}/"));
        say(&format!("  Harbour Bank     {url}/bank"));
        for (phone, name) in [("ann", "Ann"), ("ben", "Ben"), ("spare", "spare")] {
            say(&format!("  {:<16} {url}/phones/{phone}", format!("phone ({name})")));
        }
        say(&format!("  account page     {environment}/account"));
        say(&format!("  console          {base_url}/console  ({ADMINISTRATOR})"));
        let names: Vec<_> = bank.people.iter().map(|person| &*person.username).collect();
        say(&format!("  users            {}; password: {PASSWORD}", names.join(", ")));
        say(&format!("  issuer           {environment}/as"));
        say("");
        let folder = self.folder.display();
        say(&format!("All of it is kept in {folder}; --fresh begins anew."));
        if !self.no_open && stdout().is_terminal() {
            open_browser(&format!("{url}/"));
        }
        say("Stop it with Ctrl-C.");
    }
}

/// The next port; any where any will do.
fn beside(listen: SocketAddr) -> SocketAddr {
    let port = if listen.port() == 0 { 0 } else { listen.port().wrapping_add(1) };
    SocketAddr::new(listen.ip(), port)
}

/// Removes what the demo has made, and nothing else.
fn forget(folder: &Path) -> Result<(), Broken> {
    for file in FILES {
        gone(fs::remove_file(folder.join(file)))?;
    }
    Ok(gone(fs::remove_dir_all(folder.join(PHONES)))?)
}

fn gone(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Opens a page, where the system knows how. Where it does not, the link is on the terminal.
fn open_browser(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _ = command.spawn();
}

/// Serves health and metrics until the program ends.
async fn serve_metrics(app: &Arc<App>, address: SocketAddr) -> Result<(), Broken> {
    let listener = TcpListener::bind(address).await?;
    say(&format!("Metrics are at http://{}/metrics.", listener.local_addr()?));
    tokio::spawn(serve_operators(Arc::clone(app), listener, std::future::pending()));
    Ok(())
}
