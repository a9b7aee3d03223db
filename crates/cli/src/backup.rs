//! `countersign backup` and `countersign restore`.

use std::{path::Path, process::ExitCode};

use countersign_protocol::time::SystemClock;
use countersign_server::{control::BackedUp, restore as restore_platform};

use crate::{
    Broken,
    config::{KeySource, Place},
    key_file,
    operator::{Control, Operator},
    say,
    serve::make_folder,
    telemetry::{QUIET, log_to_stderr},
};

/// Writes everything into a new file, while the server runs or when it does not.
pub async fn back_up(place: &Place, to: &Path) -> Result<ExitCode, Broken> {
    log_to_stderr(QUIET)?;
    let operator = Operator::open(&place.resolve()?).await?;
    let written = operator.back_up(to).await;
    operator.close().await;
    let written = written?;
    say(&format!("The backup is in {}.", to.display()));
    tell(&written);
    say(
        "It does not hold the key-encryption key, without which it cannot be restored: keep a copy of that elsewhere.",
    );
    Ok(ExitCode::SUCCESS)
}

/// Puts everything from a backup into a database that holds nothing, on either engine.
pub async fn restore(place: &Place, from: &Path) -> Result<ExitCode, Broken> {
    log_to_stderr(QUIET)?;
    let configuration = place.resolve()?;
    if Control::find(&configuration.data).await?.is_some() {
        return Err(Broken::new("a server runs on this data: stop it first"));
    }
    make_folder(&configuration.data)?;
    let Some(key) = key_file::find(&configuration.key)? else {
        let KeySource::File(path) = &configuration.key else {
            return Err(Broken::new("the key-encryption key is missing"));
        };
        let why = format!("put the key-encryption key of the backup at {} first", path.display());
        return Err(Broken::new(why));
    };
    let report = restore_platform(&configuration.store, &key, &SystemClock, from).await?;
    say(&format!("{} was restored.", from.display()));
    tell(&report.into());
    Ok(ExitCode::SUCCESS)
}

fn tell(backup: &BackedUp) {
    for (table, rows) in backup.tables.iter().filter(|(_, rows)| *rows > 0) {
        say(&format!("  {rows:>10}  {table}"));
    }
    let BackedUp { schema, bytes, digest, .. } = backup;
    say(&format!("schema {schema}, {bytes} bytes, SHA-256 {digest}"));
}
