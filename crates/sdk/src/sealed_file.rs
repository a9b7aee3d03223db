//! Files that only the app can read: AES-256-GCM, replaced as a whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use countersign_protocol::entropy::{Entropy, random};
use countersign_protocol::secret::Secret;

/// The first bytes of every sealed file: what it is, and which form.
const MAGIC: &[u8] = b"countersign sealed 1\n";

/// Seals and opens the files of one folder.
pub struct SealedFolder {
    folder: PathBuf,
    key: LessSafeKey,
    entropy: Arc<dyn Entropy>,
}

impl SealedFolder {
    /// Uses `folder`, which is made when it is missing.
    pub fn open(
        folder: &Path,
        key: &Secret<[u8; 32]>,
        entropy: Arc<dyn Entropy>,
    ) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let key = UnboundKey::new(&AES_256_GCM, key.expose()).map_err(io::Error::other)?;
        Ok(Self { folder: folder.to_owned(), key: LessSafeKey::new(key), entropy })
    }

    pub fn read(&self, name: &str) -> io::Result<Option<Secret<Vec<u8>>>> {
        let sealed = match fs::read(self.path(name)?) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let broken = || io::Error::new(ErrorKind::InvalidData, "not sealed with this key");
        let sealed = sealed.strip_prefix(MAGIC).ok_or_else(broken)?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or_else(broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let mut text = sealed.to_vec();
        let length = self
            .key
            .open_in_place(nonce, Aad::from(name.as_bytes()), &mut text)
            .map_err(|_| broken())?
            .len();
        text.truncate(length);
        Ok(Some(Secret::new(text)))
    }

    /// Seals under the name too, so that one file cannot be put in another's place.
    pub fn write(&self, name: &str, text: &[u8]) -> io::Result<()> {
        let path = self.path(name)?;
        let nonce = random::<NONCE_LEN>(self.entropy.as_ref());
        let mut sealed = text.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut sealed,
            )
            .map_err(io::Error::other)?;
        replace(&path, &[MAGIC, &nonce, &sealed].concat())
    }

    pub fn delete(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)?) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => sync_folder(&self.folder),
        }
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "not a name for a blob"));
        }
        Ok(self.folder.join(format!("{name}.sealed")))
    }
}

/// Old or new, never a mixture, whenever the power goes.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes a rename or removal last. Other systems do it by themselves.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use countersign_protocol::entropy::SystemEntropy;

    use super::*;

    fn open(folder: &Path, key: u8) -> SealedFolder {
        SealedFolder::open(folder, &Secret::new([key; 32]), Arc::new(SystemEntropy)).unwrap()
    }

    #[test]
    fn what_is_written_is_read_with_the_same_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let files = open(folder.path(), 1);
        assert!(files.read("a").unwrap().is_none());
        files.write("a", b"first").unwrap();
        files.write("a", b"second").unwrap();
        assert_eq!(files.read("a").unwrap().unwrap().expose(), b"second");
        assert_eq!(open(folder.path(), 1).read("a").unwrap().unwrap().expose(), b"second");
        let error = open(folder.path(), 2).read("a").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        files.delete("a").unwrap();
        files.delete("a").unwrap();
        assert!(files.read("a").unwrap().is_none());
    }

    #[test]
    fn nothing_can_be_read_or_exchanged_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let files = open(folder.path(), 1);
        files.write("a", b"correct horse").unwrap();
        let path = folder.path().join("a.sealed");
        let mut bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"correct"));
        fs::write(folder.path().join("b.sealed"), &bytes).unwrap();
        assert!(files.read("b").is_err());
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(files.read("a").is_err());
        fs::write(&path, b"").unwrap();
        assert!(files.read("a").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_the_file_and_no_other_file_stays() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), 1).write("a", b"text").unwrap();
        let entries: Vec<_> = fs::read_dir(folder.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_name_cannot_lead_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "../a", "a/b", "A", "a.b", "."] {
            assert!(open(folder.path(), 1).write(name, b"").is_err());
        }
    }
}
