//! Everything on one machine: sets up what the tour sets up, and stays as a server.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use countersign_protocol::time::SystemClock;

use crate::{
    Broken,
    platform::{Plan, Platform},
    say,
    setup::{self, PASSWORD, WEB_REDIRECT_URI},
};

/// Serves until it is interrupted.
pub async fn run(listen: SocketAddr, folder: Option<PathBuf>) -> Result<ExitCode, Broken> {
    if !listen.ip().is_loopback() {
        return Err(Broken::new("the demo has a well-known password: it listens on loopback only"));
    }
    let temporary = tempfile::tempdir()?;
    let folder = folder.unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&folder)?;
    let database = format!("sqlite:{}", folder.join("countersign.db").display());
    let platform = Platform::start(Plan::new(database, Arc::new(SystemClock)), listen).await?;
    let bank = setup::bank(platform.app(), "Bank").await?;
    setup::user(platform.app(), &bank, "ann").await?;
    let issuer = format!("{}/{}/as", platform.base_url(), bank.environment.id);
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    say(&format!("Countersign is listening on {}.", platform.base_url()));
    say("");
    say(&format!("  issuer           {issuer}"));
    say(&format!("  discovery        {issuer}/.well-known/openid-configuration"));
    say(&format!("  native app       {}  (ann's phone would run it)", bank.native.id));
    say(&format!("  web site         {}", bank.web.id));
    say(&format!("  user             ann, password: {PASSWORD}"));
    say("");
    say(
        "Sign in with a browser (the answer goes to an address that does not exist; look at its query):",
    );
    say(&format!(
        "  {issuer}/authorize?client_id={}&response_type=code&scope=openid+profile&redirect_uri={WEB_REDIRECT_URI}\
         &code_challenge={challenge}&code_challenge_method=S256",
        bank.web.id
    ));
    say("");
    say("Stop it with Ctrl-C.");
    tokio::signal::ctrl_c().await?;
    platform.stop().await;
    Ok(ExitCode::SUCCESS)
}
