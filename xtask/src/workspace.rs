//! Where the workspace is, what it is made of, and how its commands are run.

use crate::Outcome;
use cargo_metadata::{Metadata, MetadataCommand};
use std::{env, path::Path, process::Command};

pub struct Workspace {
    pub metadata: Metadata,
}

impl Workspace {
    /// The workspace around the current folder.
    pub fn find() -> Outcome<Self> {
        Ok(Self { metadata: MetadataCommand::new().no_deps().exec()? })
    }

    pub fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// Cargo, the one that started this program, at the root of the workspace.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).current_dir(self.root());
        command
    }
}

/// Runs the command with its output passed through.
pub fn succeed(command: &mut Command) -> Outcome {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or_default().display().to_string();
    let status = command.status().map_err(|error| format!("cannot run {name}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} ended with {status}").into()) }
}
