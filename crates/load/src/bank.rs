//! Whom the rounds are about: a tenant with its apps, users and phones, as a small file that seeding leaves for the load.

use std::{fs, path::Path};

use countersign_protocol::jose::Algorithm;
use serde::{Deserialize, Serialize};

use crate::LoadError;

/// Where the apps are sent back to.
pub const REDIRECT_URI: &str = "org.countersign.bank:/callback";

/// A tenant that was seeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bank {
    /// The environment.
    pub environment: String,
    /// The issuer, as the phones address it.
    pub issuer: String,
    /// The native app whose ID tokens are signed with ES256.
    pub es256: String,
    /// The native app whose ID tokens are signed with RS256.
    pub rs256: String,
    /// The web site at which people sign in by password, and then have a session.
    pub site: String,
    /// A worker application.
    pub worker: String,
    /// Its secret, worth nothing outside of this tenant.
    pub worker_secret: String,
    /// How many users there are. Each has two devices, one for each app.
    pub users: u64,
    /// How many users' phones can be driven; they are spread evenly over the users.
    pub driven: u64,
}

impl Bank {
    /// Reads the file that seeding has left.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }

    /// Leaves the file for the load.
    pub fn save(&self, path: &Path) -> Result<(), LoadError> {
        Ok(fs::write(path, serde_json::to_vec_pretty(self)?)?)
    }

    /// The native app whose ID tokens are signed so.
    #[must_use]
    pub fn application(&self, algorithm: Algorithm) -> &str {
        match algorithm {
            Algorithm::Es256 => &self.es256,
            Algorithm::Rs256 => &self.rs256,
        }
    }

    /// The numbers of the users whose phones can be driven.
    pub fn driven_users(&self) -> impl Iterator<Item = u64> + use<> {
        let (users, driven) = (self.users, self.driven);
        // Division last, so that the steps are even also where `driven` does not divide `users`.
        (0..driven).map(move |index| index * users / driven.max(1))
    }

    /// The path of an address of this tenant: `/{environment}` and what follows.
    #[must_use]
    pub fn path(&self, rest: &str) -> String {
        format!("/{}{rest}", self.environment)
    }
}

/// How many users have a password. They have no phone.
pub const PEOPLE: usize = 64;

/// The password of all of them.
pub const PASSWORD: &str = "a password of the bank";

/// The name of a user who has a password.
#[must_use]
pub fn person(number: usize) -> String {
    format!("person-{number}")
}

/// The name of a user.
#[must_use]
pub fn username(number: u64) -> String {
    format!("user-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn driven_users_are_spread_over_all() {
        let empty = String::new;
        let bank = |users, driven| Bank {
            environment: empty(),
            issuer: empty(),
            es256: empty(),
            rs256: empty(),
            site: empty(),
            worker: empty(),
            worker_secret: empty(),
            users,
            driven,
        };
        assert_eq!(bank(10, 4).driven_users().collect::<Vec<_>>(), [0, 2, 5, 7]);
        assert_eq!(bank(3, 3).driven_users().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(bank(3, 0).driven_users().count(), 0);
    }
}
