//! The key-encryption key: read from where the configuration says, made where there is nothing yet.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    path::Path,
};

use countersign_protocol::{
    entropy::{SystemEntropy, random},
    secret::Secret,
};

use crate::{Broken, config::KeySource};

/// A key-encryption key.
pub type Key = Secret<[u8; 32]>;

/// The key, or nothing if its file does not exist.
pub fn find(source: &KeySource) -> Result<Option<Key>, Broken> {
    match source {
        KeySource::File(path) => read(path),
        KeySource::Variable(name) => {
            let text = variable(name).map(Secret::new).ok_or_else(|| {
                Broken::new(format!("the key-encryption key is missing: {name} is not set"))
            })?;
            let key = parse(text.expose().as_bytes());
            let why = || format!("{name} is not a key: it must be 64 hexadecimal digits");
            key.map(Some).ok_or_else(|| Broken::new(why()))
        }
    }
}

/// The key in a file, or a new one put there for its owner's eyes only.
pub fn find_or_make(path: &Path) -> Result<Key, Broken> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    make(path)?;
    // What counts is what stands there: another process may have been faster.
    let gone = || Broken::new(format!("{} is gone again", path.display()));
    read(path)?.ok_or_else(gone)
}

/// Puts a new key there, whole or not at all, unless there is one.
fn make(path: &Path) -> Result<(), Broken> {
    let cannot = |error: std::io::Error| {
        Broken::new(format!("the key-encryption key cannot be made at {}: {error}", path.display()))
    };
    let key = Secret::new(random::<32>(&SystemEntropy));
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let unfinished = Path::new(&name);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(unfinished).map_err(cannot)?;
    file.write_all(key.expose()).map_err(cannot)?;
    // What rests under the key is worth no more than the key.
    file.sync_all().map_err(cannot)?;
    match fs::hard_link(unfinished, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(cannot(error)),
        Ok(()) | Err(_) => {}
    }
    fs::remove_file(unfinished).map_err(cannot)?;
    sync_folder(path).map_err(cannot)
}

/// A file is only as durable as its entry in the folder.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn read(path: &Path) -> Result<Option<Key>, Broken> {
    let bytes = match fs::read(path) {
        Ok(bytes) => Secret::new(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let path = path.display();
            return Err(Broken::new(format!(
                "the key-encryption key {path} cannot be read: {error}"
            )));
        }
    };
    let why =
        || format!("{} is not a key: it must be 32 bytes or 64 hexadecimal digits", path.display());
    parse(bytes.expose()).map(Some).ok_or_else(|| Broken::new(why()))
}

fn parse(bytes: &[u8]) -> Option<Key> {
    if let Ok(key) = bytes.try_into() {
        return Some(Secret::new(key));
    }
    let digits = bytes.trim_ascii();
    if digits.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = *pair else { return None };
        *byte = (digit(high)? << 4) | digit(low)?;
    }
    Some(Secret::new(key))
}

#[expect(clippy::disallowed_methods, reason = "the command line reads the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_bytes_or_64_hexadecimal_digits() {
        let hex = "00ff".repeat(16);
        let key = parse(format!("{hex}\n").as_bytes()).unwrap();
        assert_eq!(key.expose()[..4], [0, 255, 0, 255]);
        assert_eq!(parse(&[7; 32]).unwrap().expose(), &[7; 32]);
        for wrong in [&b""[..], &[7; 31], &[7; 33], "0g".repeat(32).as_bytes()] {
            assert!(parse(wrong).is_none());
        }
    }

    #[test]
    fn a_key_is_made_once_and_a_broken_one_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        let key = find_or_make(&path).unwrap();
        make(&path).unwrap();
        assert_eq!(find_or_make(&path).unwrap(), key);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::write(&path, b"short").unwrap();
        assert!(find_or_make(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"short");
    }
}
