//! `cargo xtask check-architecture`: the rules of the repository that the compiler does not know.
//!
//! Each rule is a pure function, over one file or over the list of crates, that returns what breaks it.

mod dependencies;
mod sources;

use crate::{Outcome, workspace::Workspace};
use dependencies::Crate;
use sources::Source;
use std::{
    fmt::{self, Display},
    fs, io,
    path::Path,
};

/// One place that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    /// Relative to the root of the workspace.
    path: String,
    /// Counts from 1.
    line: usize,
    rule: &'static str,
    detail: String,
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.detail)
    }
}

pub fn check(workspace: &Workspace) -> Outcome {
    let mut violations = Vec::new();
    let crates = crates(workspace)?;
    for member in &crates {
        violations.extend(dependencies::violations(member));
    }
    let mut files = 0_usize;
    for folder in ["crates", "xtask"] {
        visit(&workspace.root().join(folder), &mut |file| {
            if let Some(path) = source_path(workspace.root(), file) {
                let text = fs::read_to_string(file)?;
                violations.extend(sources::violations(Source { path: &path, text: &text }));
                files += 1;
            }
            Ok(())
        })?;
    }
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => {
            println!("{} crates and {files} files keep the rules", crates.len());
            Ok(())
        }
        1 => Err("the rules are broken in one place".into()),
        n => Err(format!("the rules are broken in {n} places").into()),
    }
}

fn crates(workspace: &Workspace) -> Outcome<Vec<Crate>> {
    let read = |package: &cargo_metadata::Package| -> Outcome<Crate> {
        let manifest = package.manifest_path.as_std_path();
        Ok(Crate {
            name: package.name.to_string(),
            path: relative(workspace.root(), manifest)
                .unwrap_or_else(|| manifest.display().to_string()),
            manifest: fs::read_to_string(manifest)?,
            dependencies: package
                .dependencies
                .iter()
                .map(|dependency| (dependency.name.clone(), dependency.kind))
                .collect(),
        })
    };
    workspace.metadata.workspace_packages().into_iter().map(read).collect()
}

/// The path of a file that the rules are about, from the root, with `/` between its parts.
fn source_path(root: &Path, file: &Path) -> Option<String> {
    let extension = file.extension()?.to_str()?;
    ["rs", "sql", "html", "css", "js", "toml"].contains(&extension).then(|| relative(root, file))?
}

fn relative(root: &Path, file: &Path) -> Option<String> {
    file.strip_prefix(root).ok()?.to_str().map(str::to_owned)
}

fn visit(folder: &Path, found: &mut impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            visit(&entry.path(), found)?;
        } else {
            found(&entry.path())?;
        }
    }
    Ok(())
}
