//! `countersign doctor`: looks at everything that tends to be wrong, and says what to mend.
//!
//! Each concern has a file of its own with a function that returns findings; a new concern is one more line in [`look`].

mod certificate;
mod database;
mod files;
mod push;

use std::process::ExitCode;

use crate::{
    Broken,
    config::{Place, Resolved},
    operator::Control,
    say,
    telemetry::{SILENT, log_to_stderr},
};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// As it should be.
    Ok,
    /// It works, and will not for ever or not for everybody.
    Warning,
    /// It does not work.
    Error,
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    level: Level,
    what: String,
    /// What to do about it.
    mend: Option<String>,
}

impl Finding {
    fn ok(what: impl Into<String>) -> Self {
        Self { level: Level::Ok, what: what.into(), mend: None }
    }

    fn warning(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Warning, what: what.into(), mend: Some(mend.into()) }
    }

    fn error(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Error, what: what.into(), mend: Some(mend.into()) }
    }

    fn tell(&self) {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        say(&format!("{level:<8} {}", self.what));
        if let Some(mend) = &self.mend {
            say(&format!("{:<8} -> {mend}", ""));
        }
    }
}

/// Looks at everything. Succeeds unless something does not work.
pub async fn run(place: &Place) -> Result<ExitCode, Broken> {
    log_to_stderr(SILENT)?;
    let findings = match place.resolve() {
        Ok(configuration) => look(&configuration).await,
        Err(error) => vec![Finding::error(error.to_string(), "see `countersign config example`")],
    };
    findings.iter().for_each(Finding::tell);
    let worst = findings.iter().map(|finding| finding.level).max();
    Ok(if worst < Some(Level::Error) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether a server runs on this data and its database answers; for health checks of containers.
pub async fn is_alive(place: &Place) -> Result<ExitCode, Broken> {
    log_to_stderr(SILENT)?;
    match Control::find(&place.resolve()?.data).await? {
        Some(_) => Ok(ExitCode::SUCCESS),
        None => Err(Broken::new("no server runs on this data")),
    }
}

async fn look(configuration: &Resolved) -> Vec<Finding> {
    let mut findings = vec![configured(configuration)];
    findings.extend(address(configuration));
    findings.extend(files::look(configuration));
    findings.extend(database::look(configuration).await);
    findings.extend(certificate::look(configuration));
    findings
}

fn configured(configuration: &Resolved) -> Finding {
    match &configuration.file {
        Some(file) => Finding::ok(format!("configuration: {} can be used", file.display())),
        None => Finding::ok("configuration: no file, so everything has its default"),
    }
}

/// Whether passwords and cookies could be seen on their way.
fn address(configuration: &Resolved) -> Vec<Finding> {
    let settings = configuration.settings(configuration.listen);
    let url = &settings.base_url;
    let mut findings = Vec::new();
    if settings.is_https() || configuration.listen.ip().is_loopback() {
        findings.push(Finding::ok(format!("public address: {url}")));
    } else {
        findings.push(Finding::warning(
            format!("public address: {url} is not protected by TLS, and others can reach it"),
            "set [tls], or a proxy before the server, and server.public_url = \"https://...\"",
        ));
    }
    let has_proxy = settings.is_https() && configuration.tls.is_none();
    if has_proxy && settings.trusted_proxies.is_empty() {
        findings.push(Finding::warning(
            "proxies: a proxy ends TLS and none is trusted, so all clients seem to have its address",
            "set server.trusted_proxies to the address of the proxy",
        ));
    }
    findings
}
