//! How many pushes a second go through one connection to APNs: the gateway in the process that measures, the emulated service in
//! another, so that each has a core.

use std::{fs, io, path::Path, sync::Arc, time::Duration};

use countersign_emulator::push_service::{
    Host,
    apns::{ApnsServer, ApnsSettings},
    authority::Authority,
    credentials::ApnsCredentials,
};
use countersign_protocol::{
    entropy::{SystemEntropy, random},
    mobile_payload::{PushAddress, PushEnvironment, PushService},
    push::{Hint, PushMessage},
    secret::Secret,
    time::{Clock, SystemClock},
};
use countersign_push::{Credentials, Gateway, Gateways, Outcome, Push, Settings, Style};
use serde::{Deserialize, Serialize};
use tokio::task::{JoinSet, spawn_blocking};
use url::Url;

use crate::{
    LoadError,
    figures::{Latencies, Quantiles, real},
    process::Process,
    stopwatch::Stopwatch,
};

/// The app that is pushed to.
const BUNDLE: &str = "org.countersign.bank";

/// Phones that have it. Each keeps the last messages only, so they need not be emptied.
const PHONES: usize = 1_000;

/// How long a push is of use, in seconds.
const LIFE_SECONDS: i64 = 60;

/// What those who push must know of the service.
#[derive(Serialize, Deserialize)]
struct Service {
    url: String,
    roots: String,
    key_id: String,
    team_id: String,
    private_key: String,
    tokens: Vec<String>,
}

/// What was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Report {
    /// Pushes that the service has accepted.
    pub pushes: u64,
    /// How many of them in a second.
    pub pushes_per_second: f64,
    /// What one took.
    #[serde(flatten)]
    pub latency: Quantiles,
    /// CPU time of the gateway for each, in microseconds.
    pub cpu_us_per_push: f64,
}

/// Is an emulated APNs until the standard input ends. `ready` is called once it can be pushed to.
pub async fn serve(
    path: &Path,
    ready: impl FnOnce() -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    let other = |error: &dyn std::error::Error| LoadError::other(error.to_string());
    let credentials = ApnsCredentials::generate(&SystemEntropy).map_err(|error| other(&error))?;
    let authority = Arc::new(Authority::new().map_err(|error| other(&error))?);
    let host = Host { authority, clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) };
    let settings = ApnsSettings::new(vec![credentials.team(&[BUNDLE])]);
    let server = ApnsServer::start(settings, host).await.map_err(|error| other(&error))?;
    let install = |_| server.installations().install(BUNDLE).map_err(|error| other(&error));
    let service = Service {
        url: server.url(),
        roots: server.authority_pem(),
        private_key: credentials.p8(),
        key_id: credentials.key_id,
        team_id: credentials.team_id,
        tokens: (0..PHONES).map(install).collect::<Result<_, _>>()?,
    };
    fs::write(path, serde_json::to_vec(&service)?)?;
    ready()?;
    // Blocking, so that the thread of the service is free.
    let ended = spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await;
    ended.map_err(|error| other(&error))??;
    Ok(())
}

/// Pushes from so many callers, each one push after another.
pub async fn measure(path: &Path, callers: usize, time: Duration) -> Result<Report, LoadError> {
    let service: Service = serde_json::from_slice(&fs::read(path)?)?;
    let gateway = gateway(&service)?;
    let phones: Vec<PushAddress> = service.tokens.into_iter().map(address).collect();
    let phones: Arc<[PushAddress]> = phones.into();
    // The first push opens the connection and makes the token.
    push(gateway.as_ref(), phones.first().ok_or_else(no_phones)?).await?;
    let (own, watch) = (Process::own(), Stopwatch::start());
    let cpu = own.cpu_us()?;
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let (gateway, phones) = (Arc::clone(&gateway), Arc::clone(&phones));
        tasks.spawn(async move {
            let mut latencies = Latencies::default();
            for phone in phones.iter().cycle().skip(caller) {
                if watch.elapsed() >= time {
                    break;
                }
                let lap = Stopwatch::start();
                push(gateway.as_ref(), phone).await?;
                latencies.push(lap.micros());
            }
            Ok::<_, LoadError>(latencies)
        });
    }
    let mut all = Latencies::default();
    while let Some(ended) = tasks.join_next().await {
        all.append(ended.map_err(|error| LoadError::other(error.to_string()))??);
    }
    let (pushes, micros) = (all.len() as u64, watch.micros());
    Ok(Report {
        pushes,
        pushes_per_second: real(pushes) / real(micros) * 1e6,
        latency: all.quantiles(),
        cpu_us_per_push: real(own.cpu_us()? - cpu) / real(pushes),
    })
}

fn no_phones() -> LoadError {
    LoadError::other("the service has no phones")
}

fn gateway(service: &Service) -> Result<Arc<dyn Gateway>, LoadError> {
    let other = |error: &dyn std::error::Error| LoadError::other(error.to_string());
    let mut settings =
        Settings { roots: service.roots.clone().into_bytes(), ..Settings::default() };
    settings.endpoints.apns_production = Url::parse(&service.url).map_err(|error| other(&error))?;
    let gateways = Gateways::new(settings, Arc::new(SystemClock), Arc::new(SystemEntropy));
    let credentials = Credentials::Apns {
        key_id: service.key_id.clone(),
        team_id: service.team_id.clone(),
        private_key: Secret::new(service.private_key.clone()),
        topic: BUNDLE.to_owned(),
    };
    let gateway = gateways.map_err(|error| other(&error))?.open("apns", 1, &credentials);
    gateway.map_err(|error| other(&error))
}

fn address(token: String) -> PushAddress {
    let environment = Some(PushEnvironment::Production);
    PushAddress { service: PushService::Apns, address: token, environment, enabled: true }
}

/// One visible push. That it is accepted is part of what is measured.
async fn push(gateway: &dyn Gateway, address: &PushAddress) -> Result<(), LoadError> {
    let message =
        PushMessage::new(Hint::Challenge { id: "019b0000-0000-7000-8000-000000000000".to_owned() });
    let style = Style::Visible {
        title: "Is it you?",
        body: "Open the app to answer.",
        category: "countersign.challenge",
    };
    let expires_at = SystemClock.now().plus_seconds(LIFE_SECONDS);
    let id = random(&SystemEntropy);
    let collapse = "019b0000-0000-7000-8000-000000000000";
    let push = Push { id, address, message: &message, style, collapse, expires_at };
    match gateway.send(&push).await {
        answer if answer.outcome == Outcome::Accepted => Ok(()),
        answer => Err(LoadError::other(format!("a push is not accepted: {:?}", answer.raw))),
    }
}
