//! `countersign keys`: the signing keys of an environment, and a new key-encryption key.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::Subcommand;
use countersign_protocol::entropy::SystemEntropy;
use countersign_server::{control::Key, reseal as reseal_platform};

use crate::{
    Broken,
    config::Place,
    key_file,
    operator::{Control, Operator},
    say,
    telemetry::{QUIET, log_to_stderr},
};

#[derive(Subcommand)]
pub enum KeysCommand {
    /// List the signing keys of an environment.
    List {
        /// Its id or its name.
        environment: String,
        #[command(flatten)]
        place: Place,
    },
    /// Replace the signing keys of an environment. Nobody notices, unless they are withdrawn.
    Rotate {
        /// Its id or its name.
        environment: String,
        /// The old keys may be known to others: the new ones sign at once, and after so many seconds nothing that the old
        /// ones signed verifies any more.
        #[arg(long, value_name = "SECONDS")]
        withdraw_after: Option<i64>,
        #[command(flatten)]
        place: Place,
    },
    /// Encrypt all secrets anew under another key-encryption key, while no server runs.
    Reseal {
        /// The file of the other key; it is made if it is missing.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        #[command(flatten)]
        place: Place,
    },
}

/// Does it, by the server if one runs.
pub async fn run(command: KeysCommand) -> Result<ExitCode, Broken> {
    log_to_stderr(QUIET)?;
    match command {
        KeysCommand::List { environment, place } => {
            let operator = Operator::open(&place.resolve()?).await?;
            let keys = operator.list_keys(environment).await;
            operator.close().await;
            keys?.iter().for_each(tell);
        }
        KeysCommand::Rotate { environment, withdraw_after, place } => {
            let operator = Operator::open(&place.resolve()?).await?;
            let keys = operator.rotate_keys(environment, withdraw_after).await;
            operator.close().await;
            let keys = keys?;
            if keys.is_empty() {
                say("Nothing changes: new keys are published already and wait for their time.");
            }
            keys.iter().for_each(tell);
        }
        KeysCommand::Reseal { to, place } => reseal(&place, &to).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn reseal(place: &Place, to: &std::path::Path) -> Result<(), Broken> {
    let configuration = place.resolve()?;
    if Control::find(&configuration.data).await?.is_some() {
        return Err(Broken::new("a server runs on this data: stop it first"));
    }
    let old = key_file::find(&configuration.key)?;
    let old = old.ok_or_else(|| Broken::new("the key-encryption key is missing"))?;
    let new = key_file::find_or_make(to)?;
    let changed =
        reseal_platform(&configuration.store, (&old, &new), Arc::new(SystemEntropy)).await?;
    say(&format!("{changed} secrets rest under the key in {} now.", to.display()));
    say(
        "Put it where [encryption] says, or change [encryption], before the next start. Backups from before need the old key.",
    );
    Ok(())
}

fn tell(key: &Key) {
    let Key { kid, algorithm, state } = key;
    say(&format!("{algorithm}  {state:<8}  {kid}"));
}
