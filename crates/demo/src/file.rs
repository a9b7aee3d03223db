//! Small JSON files in the demo's folder, each written whole or not at all.

use std::{fs, io, path::Path};

use serde::{Serialize, de::DeserializeOwned};

use crate::DemoError;

/// What a file says, or nothing if there is none.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, DemoError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let broken = |source| DemoError::File { file: path.display().to_string(), source };
    serde_json::from_slice(&bytes).map(Some).map_err(broken)
}

/// Writes a file.
pub fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let unfinished = path.with_extension("json.new");
    fs::write(&unfinished, serde_json::to_vec_pretty(value)?)?;
    fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_what_is_not_there_is_nothing() {
        let folder = std::env::temp_dir().join(format!("countersign-demo-{}", std::process::id()));
        let path = folder.join("deeper").join("numbers.json");
        assert_eq!(read::<Vec<u8>>(&path).unwrap(), None);
        write(&path, &[1, 2, 3]).unwrap();
        assert_eq!(read::<Vec<u8>>(&path).unwrap(), Some(vec![1, 2, 3]));
        fs::write(&path, "{").unwrap();
        let error = read::<Vec<u8>>(&path).unwrap_err().to_string();
        assert!(error.ends_with("numbers.json cannot be read"), "{error}");
        fs::remove_dir_all(folder).unwrap();
    }
}
