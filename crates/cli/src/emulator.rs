//! Push services on one machine: for those who try the platform out without phones, or see how it takes a failure.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use countersign_emulator::push_service::{
    Host,
    admin::Admin,
    apns::{ApnsServer, ApnsSettings},
    authority::Authority,
    credentials::{ApnsCredentials, FcmCredentials},
    fcm::{FcmServer, FcmSettings},
};
use countersign_protocol::{
    entropy::SystemEntropy, mobile_payload::PushEnvironment, time::SystemClock,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Broken, say};

/// Where the emulator listens, and who may push.
#[derive(Args)]
pub struct Emulator {
    /// Where the authority and the credentials are put, and found again by the next start.
    #[arg(long, value_name = "FOLDER", default_value = "countersign-emulator")]
    folder: PathBuf,
    /// Where APNs listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:2197")]
    apns: SocketAddr,
    /// Where FCM listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8446")]
    fcm: SocketAddr,
    /// Where phones and faults are managed by HTTP. On loopback only.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8447")]
    admin: SocketAddr,
    /// Another name by which clients reach it, for its certificate. May be given several times; the first is the one in the credentials.
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// The project of FCM, when its account is made.
    #[arg(long, value_name = "PROJECT", default_value = "countersign-emulator")]
    project: String,
    /// Be APNs for apps in development, instead of production.
    #[arg(long)]
    sandbox: bool,
}

/// What Apple's web site shows beside the key, and where to push.
#[derive(Serialize, Deserialize)]
struct ApnsFile {
    team_id: String,
    key_id: String,
    base_url: String,
}

impl Emulator {
    /// Serves until it is interrupted.
    pub async fn run(self) -> Result<ExitCode, Broken> {
        let folder = self.folder.as_path();
        fs::create_dir_all(folder)?;
        let key = find_or_make(&folder.join("authority.key"), || Ok(Authority::new_key()?))?;
        let host = Host {
            authority: Arc::new(Authority::open(&key, &self.names)?),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        };
        fs::write(folder.join("authority.pem"), host.authority.pem())?;
        let apns = self.start_apns(host.clone()).await?;
        let fcm = self.start_fcm(host).await?;
        let admin = Admin::start(self.admin, &apns, &fcm).await?;
        self.explain(&apns, &fcm, &admin);
        tokio::signal::ctrl_c().await?;
        Ok(ExitCode::SUCCESS)
    }

    async fn start_apns(&self, host: Host) -> Result<ApnsServer, Broken> {
        let file = self.folder.join("apns.json");
        let credentials = match read_json::<ApnsFile>(&file)? {
            Some(known) => {
                let p8 = fs::read_to_string(self.folder.join("apns-key.p8"))?;
                ApnsCredentials::open(known.team_id, known.key_id, &p8)?
            }
            None => ApnsCredentials::generate(&SystemEntropy)?,
        };
        let environment =
            if self.sandbox { PushEnvironment::Sandbox } else { PushEnvironment::Production };
        let teams = vec![credentials.team(&[])];
        let settings = ApnsSettings { listen: self.apns, environment, ..ApnsSettings::new(teams) };
        let server = ApnsServer::start(settings, host).await?;
        write_secret(&self.folder.join("apns-key.p8"), &credentials.p8())?;
        let known = ApnsFile {
            team_id: credentials.team_id,
            key_id: credentials.key_id,
            base_url: self.base_url(server.address()),
        };
        fs::write(file, serde_json::to_vec_pretty(&known)?)?;
        Ok(server)
    }

    async fn start_fcm(&self, host: Host) -> Result<FcmServer, Broken> {
        let file = self.folder.join("fcm-service-account.json");
        let credentials = match read_json::<Value>(&file)? {
            Some(known) => FcmCredentials::open(&known).ok_or_else(|| {
                let path = file.display();
                Broken::new(format!("{path} is not a service account: remove it to get a new one"))
            })?,
            None => FcmCredentials::generate(&self.project, &SystemEntropy)?,
        };
        let settings = FcmSettings {
            listen: self.fcm,
            name: self.names.first().cloned(),
            ..FcmSettings::new(vec![credentials.account()])
        };
        let server = FcmServer::start(settings, host).await?;
        let account = credentials.json(&server.token_uri());
        write_secret(&file, &serde_json::to_string_pretty(&account)?)?;
        Ok(server)
    }

    fn base_url(&self, address: SocketAddr) -> String {
        match self.names.first() {
            Some(name) => format!("https://{name}:{}", address.port()),
            None => format!("https://{address}"),
        }
    }

    fn explain(&self, apns: &ApnsServer, fcm: &FcmServer, admin: &Admin) {
        let file = |name: &str| self.folder.join(name).display().to_string();
        let world = if self.sandbox { "sandbox" } else { "production" };
        say("Push services of Countersign's emulator. No real phone is reached.");
        say("");
        say(&format!("  trust            {}", file("authority.pem")));
        say(&format!("  APNs             {}  ({world})", self.base_url(apns.address())));
        say(&format!("    key            {}", file("apns-key.p8")));
        say(&format!("    ids            {}", file("apns.json")));
        say(&format!("  FCM              {}", fcm.url()));
        say(&format!("    account        {}", file("fcm-service-account.json")));
        say(&format!("  phones, faults   http://{}/__admin", admin.address()));
        say("");
        say("Install an app on a phone and get its token:");
        say(&format!(
            "  curl http://{}/__admin/apns/phones -d '{{\"app\":\"org.countersign.bank\"}}'",
            admin.address()
        ));
        say("");
        say("Stop it with Ctrl-C.");
    }
}

/// The text of a file, or a new one put there for its owner's eyes only.
fn find_or_make(
    path: &Path,
    make: impl FnOnce() -> Result<String, Broken>,
) -> Result<String, Broken> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let text = make()?;
            write_secret(path, &text)?;
            Ok(text)
        }
        Err(error) => Err(Broken::new(format!("{} cannot be read: {error}", path.display()))),
    }
}

/// Writes a file for its owner's eyes only, whole or not at all.
fn write_secret(path: &Path, text: &str) -> Result<(), Broken> {
    let unfinished = path.with_extension("new");
    let _ = fs::remove_file(&unfinished);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&unfinished)?.write_all(text.as_bytes())?;
    fs::rename(&unfinished, path)?;
    Ok(())
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, Broken> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Broken::new(format!("{} cannot be read: {error}", path.display())));
        }
    };
    let broken = |error| Broken::new(format!("{} is not what it was: {error}", path.display()));
    serde_json::from_slice(&bytes).map(Some).map_err(broken)
}
