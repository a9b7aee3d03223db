//! The key-encryption key of a data folder.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    path::Path,
};

use countersign_protocol::{
    entropy::{SystemEntropy, random},
    secret::Secret,
};

/// The key-encryption key in a folder, or a new one put there for its owner alone, under the name that the server looks for.
pub fn key_encryption_key(folder: &Path) -> io::Result<Secret<[u8; 32]>> {
    let path = folder.join("key-encryption.key");
    match fs::read(&path) {
        Ok(bytes) => {
            let broken = |_| io::Error::new(ErrorKind::InvalidData, "not a key of 32 bytes");
            bytes.try_into().map(Secret::new).map_err(broken)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = random(&SystemEntropy);
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(&path)?.write_all(&key)?;
            Ok(Secret::new(key))
        }
        Err(error) => Err(error),
    }
}
