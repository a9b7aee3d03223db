//! `countersign serve`: the platform in production, from an empty folder or as it was left.

mod listen;
mod notify;

use std::{fs, net::SocketAddr, path::Path, process::ExitCode, sync::Arc};

use countersign_protocol::{entropy::SystemEntropy, time::SystemClock};
use countersign_server::{
    KeyError, Parts, Server, Settings, Tls,
    app::{AdministerError, App, Fault},
    is_new, open,
};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};

use self::notify::{READY, STOPPING, notify};

use crate::{
    Broken,
    config::{KeySource, Resolved},
    key_file::{self, Key},
    operator, say,
    telemetry::{self, Telemetry},
};

/// Serves until it is told to stop.
///
/// Every step of the first start looks at what is there: one that was killed is completed by the next.
pub async fn run(configuration: Resolved) -> Result<ExitCode, Broken> {
    let exporter = telemetry::start(&configuration.telemetry)?;
    make_folder(&configuration.data)?;
    let tls = configuration.tls.clone().map(Tls::load).transpose()?;
    let listener = listen::listen(configuration.listen, configuration.reuse_port)?;
    let operators = listen_to_operators(configuration.telemetry.listen).await?;
    let settings = configuration.settings(listener.local_addr()?);
    let base_url = settings.base_url.clone();
    let app = open_app(&configuration, settings).await?;
    ensure_administrators(&app).await?;
    show_first_password(&app, &base_url).await?;
    let mut signals = Signals::new()?;
    let telemetry = Telemetry::run(&app, operators, exporter);
    let mut server = Server::start_on(app, listener, tls)?;
    let socket = operator::socket(&configuration.data);
    server.control(&socket).map_err(|error| {
        let (socket, error) = (socket.display(), Broken::from(error));
        Broken::new(format!("the control socket {socket} cannot be made: {error}"))
    })?;
    say(&format!("Countersign is listening on {base_url}."));
    notify(READY);
    signals.end(|| server.reload()).await;
    notify(STOPPING);
    tracing::info!("the server ends");
    let stop = async {
        server.stop().await;
        telemetry.stop().await;
    };
    tokio::select! {
        () = stop => Ok(ExitCode::SUCCESS),
        // Whoever asks twice does not want to wait.
        () = signals.end(|| ()) => Ok(ExitCode::FAILURE),
    }
}

/// The listener for health and metrics, if there is to be one.
async fn listen_to_operators(address: Option<SocketAddr>) -> Result<Option<TcpListener>, Broken> {
    let Some(address) = address else { return Ok(None) };
    let cannot =
        |error| Broken::new(format!("telemetry.listen: cannot listen on {address}: {error}"));
    TcpListener::bind(address).await.map(Some).map_err(cannot)
}

/// Makes the administrators, or finds them and opens the keys of their environment.
async fn ensure_administrators(app: &App) -> Result<(), Broken> {
    app.ensure_administrators().await.map_err(|error| match error {
        AdministerError::Fault(Fault::Internal(cause)) if cause.is::<KeyError>() => Broken::new(
            "the secrets in the database do not open: the key-encryption key is not the one under which they were sealed",
        ),
        error => error.into(),
    })
}

/// The folder of the data, for its owner alone.
pub fn make_folder(folder: &Path) -> Result<(), Broken> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let cannot =
        |error| Broken::new(format!("cannot make the folder {}: {error}", folder.display()));
    builder.create(folder).map_err(cannot)
}

/// Opens the database under its key.
pub async fn open_app(configuration: &Resolved, settings: Settings) -> Result<Arc<App>, Broken> {
    let key_encryption_key = key(configuration).await?;
    let parts = Parts {
        store: configuration.store.clone(),
        key_encryption_key,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        settings,
    };
    Ok(open(parts).await?)
}

/// The key-encryption key; a new one only for a new database.
async fn key(configuration: &Resolved) -> Result<Key, Broken> {
    if let Some(key) = key_file::find(&configuration.key)? {
        return Ok(key);
    }
    let KeySource::File(path) = &configuration.key else {
        return Err(Broken::new("the key-encryption key is missing"));
    };
    if !is_new(&configuration.store, &SystemClock).await? {
        let path = path.display();
        let why = format!(
            "{path} is missing, and the database holds secrets that no other key opens: put a copy of it there"
        );
        return Err(Broken::new(why));
    }
    key_file::find_or_make(path)
}

/// Shows the password of the first administrator, once: it counts only after it was shown, so a start that is killed
/// in between leaves the next one to show another.
async fn show_first_password(app: &App, base_url: &str) -> Result<(), Broken> {
    let Some(first) = app.first_password().await? else { return Ok(()) };
    let shown = first.shown();
    say("This is the first start. The platform has one administrator:");
    say("");
    say(&format!("  server             {base_url}"));
    say(&format!("  user name          {}", shown.username));
    say(&format!("  one-time password  {}", shown.password.expose()));
    say("");
    say("The password is shown this once and must be changed at the first sign-on.");
    if !app.confirm_first_password(first).await? {
        say(
            "It does NOT count: another node was started at the same time and has shown another one.",
        );
    }
    Ok(())
}

/// What the process is told from outside.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self, Broken> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the end, and meanwhile calls `reload` when asked to.
    async fn end(&mut self, reload: impl Fn()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => reload(),
            }
        }
    }
}
