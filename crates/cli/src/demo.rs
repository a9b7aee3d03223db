//! Everything on one machine: sets up what the tour sets up, and stays as a server.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use countersign_protocol::time::SystemClock;
use countersign_server::{PushSettings, app::App, serve_operators};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::{
    Broken, key_file,
    platform::{Plan, Platform},
    say,
    serve::make_folder,
    setup::{self, PASSWORD, WEB_REDIRECT_URI},
};

/// Serves until it is interrupted. A folder that was served before is served again as it was left.
pub async fn run(
    listen: SocketAddr,
    folder: Option<PathBuf>,
    operators: Option<SocketAddr>,
) -> Result<ExitCode, Broken> {
    if !listen.ip().is_loopback() {
        return Err(Broken::new("the demo has a well-known password: it listens on loopback only"));
    }
    let temporary = tempfile::tempdir()?;
    let folder = folder.unwrap_or_else(|| temporary.path().to_owned());
    make_folder(&folder)?;
    let database = format!("sqlite:{}", folder.join("countersign.db").display());
    let key_encryption_key = key_file::find_or_make(&folder.join("key-encryption.key"))?;
    let plan = Plan {
        database,
        key_encryption_key,
        clock: Arc::new(SystemClock),
        push: PushSettings::default(),
    };
    let platform = Platform::start(plan, listen).await?;
    let site = Site::find_or_set_up(&folder, platform.app()).await?;
    if let Some(address) = operators {
        serve_metrics(platform.app(), address).await?;
    }
    let environment = format!("{}/{}", platform.base_url(), site.environment);
    let issuer = format!("{environment}/as");
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    say(&format!("Countersign is listening on {}.", platform.base_url()));
    say("");
    say(&format!("  issuer           {issuer}"));
    say(&format!("  discovery        {issuer}/.well-known/openid-configuration"));
    say(&format!("  native app       {}  (ann's phone would run it)", site.native));
    say(&format!("  web site         {}", site.web));
    say(&format!("  user             ann, password: {PASSWORD}"));
    say(&format!("  her account      {environment}/account"));
    say("");
    say(
        "Sign in with a browser (the answer goes to an address that does not exist; look at its query):",
    );
    say(&format!(
        "  {issuer}/authorize?client_id={}&response_type=code&scope=openid+profile&redirect_uri={WEB_REDIRECT_URI}\
         &code_challenge={challenge}&code_challenge_method=S256",
        site.web
    ));
    say("");
    say("Stop it with Ctrl-C.");
    tokio::signal::ctrl_c().await?;
    platform.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Serves health and metrics until the program ends.
async fn serve_metrics(app: &Arc<App>, address: SocketAddr) -> Result<(), Broken> {
    let listener = TcpListener::bind(address).await?;
    say(&format!("Metrics are at http://{}/metrics.", listener.local_addr()?));
    tokio::spawn(serve_operators(Arc::clone(app), listener, std::future::pending()));
    Ok(())
}

/// What people are told of the bank. Kept beside the database, so that the next start need not set it up again.
#[derive(Serialize, Deserialize)]
struct Site {
    environment: String,
    native: String,
    web: String,
}

impl Site {
    async fn find_or_set_up(folder: &Path, app: &App) -> Result<Self, Broken> {
        let path = folder.join("bank.json");
        if path.exists() {
            return Ok(serde_json::from_slice(&fs::read(&path)?)?);
        }
        let bank = setup::bank(app, "Bank").await.map_err(|Broken(why)| {
            let folder = folder.display();
            Broken::new(format!("{why}; if an earlier start broke off, empty {folder} first"))
        })?;
        setup::user(app, &bank, "ann").await?;
        let site = Self {
            environment: bank.environment.id.to_string(),
            native: bank.native.id.to_string(),
            web: bank.web.id.to_string(),
        };
        // Whole or not at all.
        let unfinished = folder.join("bank.json.new");
        fs::write(&unfinished, serde_json::to_vec_pretty(&site)?)?;
        fs::rename(&unfinished, &path)?;
        Ok(site)
    }
}
