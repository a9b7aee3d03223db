//! What a command tells beside its result: log lines always; metrics and traces if it serves.

use std::{io::stderr, sync::Arc};

use countersign_protocol::{entropy::SystemEntropy, time::SystemClock};
use countersign_server::{
    app::App,
    serve_operators,
    telemetry::{Exporter, Settings, subscriber},
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tracing_subscriber::util::SubscriberInitExt;

use crate::{Broken, config};

/// For commands whose result is on standard output.
pub const QUIET: &str = "warn";

/// For commands that tell by themselves what is wrong.
pub const SILENT: &str = "off";

/// Starts the log of a command that does not serve, with the lines from this level on.
pub fn log_to_stderr(level: &str) -> Result<(), Broken> {
    start(&Settings { log_filter: level.to_owned(), ..Settings::default() }).map(drop)
}

/// Starts the log, and readies what it names for metrics and traces. `RUST_LOG`, if set, wins over the configured level.
pub fn start(settings: &Settings) -> Result<Option<Exporter>, Broken> {
    let log_filter = config::environment("RUST_LOG").unwrap_or(settings.log_filter.clone());
    let settings = Settings { log_filter, ..settings.clone() };
    let exporter = |otlp| Exporter::new(otlp, Arc::new(SystemClock), Arc::new(SystemEntropy));
    let (layer, exporter) = settings.otlp.clone().map(exporter).transpose()?.unzip();
    subscriber(&settings, stderr, layer)?.init();
    Ok(exporter)
}

/// The listener of the operators and the exporter, while the server runs.
pub struct Telemetry {
    tasks: JoinSet<()>,
    stopped: watch::Sender<bool>,
}

impl Telemetry {
    /// Serves on this listener, and sends with this exporter.
    pub fn run(app: &Arc<App>, listener: Option<TcpListener>, exporter: Option<Exporter>) -> Self {
        let (mut tasks, stopped) = (JoinSet::new(), watch::Sender::new(false));
        let until = || {
            let mut told = stopped.subscribe();
            // An error means that nobody can tell any more.
            async move { told.wait_for(|told| *told).await.map(drop).unwrap_or_default() }
        };
        if let Some(listener) = listener {
            tasks.spawn(serve_operators(Arc::clone(app), listener, until()));
        }
        if let Some(exporter) = exporter {
            tasks.spawn(exporter.run(Arc::clone(app), until()));
        }
        Self { tasks, stopped }
    }

    /// Ends both. Call it after the server has stopped, so that its end is told too.
    pub async fn stop(mut self) {
        self.stopped.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}
