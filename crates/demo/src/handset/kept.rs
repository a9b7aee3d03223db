//! What a phone remembers over restarts of the demo, beside the memory of its SDK.

use std::{fs, io, path::Path};

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{DemoError, file};

const FILE: &str = "phone.json";

/// The most addresses of removed apps whose end the push service remembers.
const GONE: usize = 5;

/// A phone, as it was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The issuer that its app belongs to. When the platform has moved, the app begins anew.
    pub issuer: String,
    /// What its owner calls it.
    pub name: String,
    /// Whether the app is on it.
    pub installed: bool,
    /// Whether it has no network.
    pub airplane: bool,
    /// Whether push messages do not reach it.
    pub deaf: bool,
    /// The push address of the app.
    pub token: Option<String>,
    /// Addresses of apps that were removed.
    pub gone: Vec<Gone>,
    /// Who is signed in in the app.
    pub account: Option<Account>,
}

/// The address of an app that was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    pub token: String,
    pub at_micros: i64,
}

/// Who is signed in in the app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub id: String,
    pub name: String,
}

impl Kept {
    /// The phone in the folder, or a new one of this name.
    pub fn read(folder: &Path, issuer: &str, name: &str) -> Result<Self, DemoError> {
        let kept: Option<Self> = file::read(&folder.join(FILE))?;
        Ok(match kept {
            Some(kept) if kept.issuer == issuer => kept,
            Some(kept) => {
                remove_app(folder)?;
                Self { name: kept.name, ..Self::new(issuer, name) }
            }
            None => Self::new(issuer, name),
        })
    }

    /// Keeps it.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        file::write(&folder.join(FILE), self)
    }

    /// Its app goes, at this time.
    pub fn remove(&mut self, at: Timestamp) {
        (self.installed, self.account) = (false, None);
        if let Some(token) = self.token.take() {
            if self.gone.len() == GONE {
                self.gone.remove(0);
            }
            self.gone.push(Gone { token, at_micros: at.micros() });
        }
    }

    fn new(issuer: &str, name: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            name: name.to_owned(),
            installed: true,
            airplane: false,
            deaf: false,
            token: None,
            gone: Vec::new(),
            account: None,
        }
    }
}

/// Removes the memory of the app.
pub fn remove_app(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder.join("app")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_app_leaves_its_address_and_few_are_remembered() {
        let mut kept = Kept::new("issuer", "Phone");
        for n in 0..7 {
            kept.installed = true;
            kept.token = Some(n.to_string());
            kept.remove(Timestamp::from_micros(n));
        }
        assert_eq!((kept.installed, &kept.token), (false, &None));
        let tokens: Vec<_> = kept.gone.iter().map(|gone| &*gone.token).collect();
        assert_eq!(tokens, ["2", "3", "4", "5", "6"]);
    }
}
