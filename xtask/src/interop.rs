//! The libraries of other languages that the tests of interoperability use, installed where no other program sees them.

use crate::{
    Outcome,
    workspace::{Workspace, succeed},
};
use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Clients in a language, as their folder under `interop` has them.
pub struct Language {
    folder: &'static str,
    /// Names each library; what is installed is kept under the hash of it. Without one, under the hash of all files.
    lock: Option<&'static str>,
    /// What is installed, as the clients and their tests find it, beside the sources.
    libraries: &'static str,
    /// Programs that must be there.
    programs: &'static [&'static str],
    install: fn(Place) -> Outcome,
}

/// The source of the clients, and the new folder for their libraries.
#[derive(Clone, Copy)]
struct Place<'a> {
    source: &'a Path,
    target: &'a Path,
}

/// Relying parties.
pub const RELYING_PARTIES: &[Language] = &[
    Language {
        folder: "node",
        lock: Some("package-lock.json"),
        libraries: "node_modules",
        programs: &["node", "npm"],
        install: node,
    },
    Language {
        folder: "python",
        lock: Some("requirements.txt"),
        libraries: "venv",
        programs: &["python3"],
        install: python,
    },
];

/// Administrators, by the client that PingOne's own tools are made of.
pub const GO: &[Language] =
    &[Language { folder: "go", lock: None, libraries: "manage", programs: &["go"], install: go }];

/// Administrators, by Terraform. What `terraform providers mirror` fetches is kept under the hash of the file with the version.
pub const TERRAFORM: &[Language] = &[Language {
    folder: "terraform",
    lock: Some("main.tf"),
    libraries: "providers",
    programs: &["terraform"],
    install: terraform,
}];

/// The programs that are not on this machine, as a reason to go without.
pub fn missing(languages: &[Language]) -> Option<String> {
    let programs = languages.iter().flat_map(|language| language.programs);
    let missing: Vec<&str> = programs.copied().filter(|program| !runs(program)).collect();
    (!missing.is_empty()).then(|| format!("not on this machine: {}", missing.join(", ")))
}

fn runs(program: &str) -> bool {
    let asked = if program == "go" { "version" } else { "--version" };
    let mut command = Command::new(program);
    command.arg(asked).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Installs what is not installed yet, in the folder of the build, and leads the clients to it.
pub fn install(workspace: &Workspace, languages: &[Language]) -> Outcome {
    let cache = workspace.metadata.target_directory.as_std_path().join("interop");
    for language in languages {
        let source = workspace.root().join("interop").join(language.folder);
        let target = cache.join(format!("{}-{}", language.folder, key(&source, language.lock)?));
        if !target.join(language.libraries).exists() {
            let unfinished = PathBuf::from(format!("{}.new", target.display()));
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished)?;
            }
            fs::create_dir_all(&unfinished)?;
            (language.install)(Place { source: &source, target: &unfinished })?;
            fs::rename(&unfinished, &target)?;
        }
        lead(&source.join(language.libraries), &target.join(language.libraries))?;
    }
    Ok(())
}

/// A name for what the lock file names, or for all files.
fn key(source: &Path, lock: Option<&str>) -> Outcome<String> {
    let mut hasher = DefaultHasher::new();
    let mut files = match lock {
        Some(lock) => vec![source.join(lock)],
        None => fs::read_dir(source)?.map(|entry| Ok(entry?.path())).collect::<Outcome<_>>()?,
    };
    // What an earlier run has led here is not a source.
    files.retain(|file| !file.is_symlink());
    files.sort();
    for file in files {
        fs::read(file)?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// A link in the place of an older one. A folder that somebody made there by hand stays.
fn lead(from: &Path, to: &Path) -> Outcome {
    if from.is_symlink() {
        fs::remove_file(from)?;
    }
    if !from.exists() {
        std::os::unix::fs::symlink(to, from)?;
    }
    Ok(())
}

fn node(place: Place) -> Outcome {
    for file in ["package.json", "package-lock.json"] {
        fs::copy(place.source.join(file), place.target.join(file))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    succeed(npm.current_dir(place.target))
}

fn python(place: Place) -> Outcome {
    let venv = place.target.join("venv");
    succeed(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary=:all:", "-r"]);
    succeed(pip.arg(place.source.join("requirements.txt")))
}

fn go(place: Place) -> Outcome {
    let mut go = Command::new("go");
    go.args(["build", "-mod=readonly", "-o"]).arg(place.target.join("manage"));
    succeed(go.arg(".").current_dir(place.source))
}

fn terraform(place: Place) -> Outcome {
    let mut terraform = Command::new("terraform");
    terraform.args(["providers", "mirror"]).arg(place.target.join("providers"));
    // Where it cannot be had, that is to be known soon.
    terraform.env("TF_REGISTRY_DISCOVERY_RETRY", "0").env("TF_REGISTRY_CLIENT_TIMEOUT", "10");
    succeed(terraform.current_dir(place.source))
}
