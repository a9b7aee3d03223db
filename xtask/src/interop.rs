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

/// A language, as its folder under `interop` has it.
struct Language {
    folder: &'static str,
    /// Names each library with its hash; what is installed is kept under the hash of it.
    lock: &'static str,
    /// Where the clients look for the libraries, beside themselves.
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

const LANGUAGES: [Language; 2] = [
    Language {
        folder: "node",
        lock: "package-lock.json",
        libraries: "node_modules",
        programs: &["node", "npm"],
        install: node,
    },
    Language {
        folder: "python",
        lock: "requirements.txt",
        libraries: "venv",
        programs: &["python3"],
        install: python,
    },
];

/// The programs that are not on this machine, as a reason to go without.
pub fn missing() -> Option<String> {
    let programs = LANGUAGES.iter().flat_map(|language| language.programs);
    let missing: Vec<&str> = programs.copied().filter(|program| !runs(program)).collect();
    (!missing.is_empty()).then(|| format!("not on this machine: {}", missing.join(", ")))
}

fn runs(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Installs what is not installed yet, in the folder of the build, and leads the clients to it.
pub fn install(workspace: &Workspace) -> Outcome {
    let cache = workspace.metadata.target_directory.as_std_path().join("interop");
    for language in LANGUAGES {
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

/// A name for what a lock file names.
fn key(source: &Path, lock: &str) -> Outcome<String> {
    let mut hasher = DefaultHasher::new();
    fs::read(source.join(lock))?.hash(&mut hasher);
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
