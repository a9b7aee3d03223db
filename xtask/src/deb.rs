//! `cargo xtask deb`: a Debian package of the command, with its unit, its user and its configuration.

use crate::{
    Outcome,
    workspace::{self, Workspace},
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

#[derive(clap::Args)]
pub struct Options {
    /// Pack this binary instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Where to put the package
    #[arg(long, value_name = "FOLDER", default_value = "target/debian")]
    to: PathBuf,
}

/// `(source, place in the package, mode)`.
const FILES: [(&str, &str, u32); 7] = [
    ("packaging/systemd/countersign.service", "usr/lib/systemd/system/countersign.service", 0o644),
    ("packaging/systemd/countersign.socket", "usr/lib/systemd/system/countersign.socket", 0o644),
    ("packaging/systemd/countersign.sysusers", "usr/lib/sysusers.d/countersign.conf", 0o644),
    ("packaging/debian/copyright", "usr/share/doc/countersign/copyright", 0o644),
    ("docs/operations.md", "usr/share/doc/countersign/operations.md", 0o644),
    ("CHANGELOG.md", "usr/share/doc/countersign/CHANGELOG.md", 0o644),
    ("packaging/debian/conffiles", "DEBIAN/conffiles", 0o644),
];

const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

pub fn build(workspace: &Workspace, options: &Options) -> Outcome {
    let root = workspace.root();
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build_binary(workspace)?,
    };
    let architecture = architecture()?;
    let version = version(workspace)?;
    let folder = root.join(&options.to);
    let tree = folder.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    put(&fs::read(binary)?, &tree.join("usr/bin/countersign"), 0o755)?;
    for (source, place, mode) in FILES {
        put(&fs::read(root.join(source))?, &tree.join(place), mode)?;
    }
    for script in SCRIPTS {
        let text = fs::read(root.join("packaging/debian").join(script))?;
        put(&text, &tree.join("DEBIAN").join(script), 0o755)?;
    }
    let example = fs::read_to_string(root.join("crates/cli/src/config/example.toml"))?;
    let configuration = configuration(&example)?;
    put(configuration.as_bytes(), &tree.join("etc/countersign/countersign.toml"), 0o640)?;
    let control = fs::read_to_string(root.join("packaging/debian/control"))?;
    let control = control
        .replace("@VERSION@", &version)
        .replace("@ARCHITECTURE@", &architecture)
        .replace("@SIZE@", &(size(&tree)? / 1024).to_string());
    put(control.as_bytes(), &tree.join("DEBIAN/control"), 0o644)?;
    let package = folder.join(format!("countersign_{version}_{architecture}.deb"));
    let mut pack = Command::new("dpkg-deb");
    pack.args(["--root-owner-group", "--build"]).arg(&tree).arg(&package);
    workspace::succeed(&mut pack)?;
    fs::remove_dir_all(&tree)?;
    println!("{}", package.display());
    Ok(())
}

fn build_binary(workspace: &Workspace) -> Outcome<PathBuf> {
    let arguments = ["build", "--release", "--locked", "--package", "countersign-cli"];
    workspace::succeed(&mut workspace.cargo(&arguments))?;
    let target = workspace.metadata.target_directory.as_std_path();
    Ok(target.join("release/countersign"))
}

/// The example, with the folder that the unit makes.
fn configuration(example: &str) -> Outcome<String> {
    let (default, packaged) =
        ("data_folder = \"countersign-data\"", "data_folder = \"/var/lib/countersign\"");
    if !example.contains(default) {
        return Err(format!("the example of the configuration lacks {default}").into());
    }
    Ok(example.replace(default, packaged))
}

fn version(workspace: &Workspace) -> Outcome<String> {
    let packages = workspace.metadata.workspace_packages();
    let package = packages.iter().find(|package| package.name.as_str() == "countersign-cli");
    Ok(package.ok_or("the workspace has no countersign-cli")?.version.to_string())
}

fn architecture() -> Outcome<String> {
    let output = Command::new("dpkg").arg("--print-architecture").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn put(bytes: &[u8], path: &Path, mode: u32) -> Outcome {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(())
}

fn size(folder: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            size(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packaged_configuration_keeps_its_data_where_the_unit_makes_the_folder() {
        let example = include_str!("../../crates/cli/src/config/example.toml");
        let packaged = configuration(example).unwrap();
        assert!(packaged.contains("data_folder = \"/var/lib/countersign\"\n"));
        let unit = include_str!("../../packaging/systemd/countersign.service");
        assert!(unit.contains("StateDirectory=countersign\n"));
        assert!(configuration("").is_err());
    }
}
