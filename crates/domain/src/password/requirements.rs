//! What a password that a person chooses must be (NIST SP 800-63B-4, section 3.1.1.2): long enough, and not easily guessed. There
//! are no rules on its composition, and none on its age.

use super::{MAX_CHARACTERS, MIN_CHARACTERS};
use crate::{
    invalid::{Check, Invalid},
    user::User,
};

/// Passwords that many people have chosen, in small letters, one a line. Those of fewer than [`MIN_CHARACTERS`] need not be there.
const COMMON: &str = include_str!("common.txt");

/// What is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirements {
    /// The fewest characters, 8 to 64. NIST recommends 15 where a password is the only factor.
    pub min_characters: u8,
}

impl Default for Requirements {
    fn default() -> Self {
        Self { min_characters: 8 }
    }
}

/// What a password is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmet {
    /// It is too short.
    #[error("must have at least {min} characters")]
    TooShort {
        /// The fewest.
        min: usize,
    },
    /// It is too long.
    #[error("must have at most {max} characters")]
    TooLong {
        /// The most.
        max: usize,
    },
    /// It is the user name or the e-mail address.
    #[error("must not be the user name or the e-mail address")]
    NamesUser,
    /// It is one that many people have, or one short text over and over.
    #[error("must not be a password that many people use")]
    Common,
    /// It is the one that must be changed.
    #[error("must not be the old password")]
    SameAsBefore,
}

impl Unmet {
    /// The rule's name in the vendor's password policies (platform API, section 2.6).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooShort { .. } => "length.min",
            Self::TooLong { .. } => "length.max",
            Self::NamesUser => "excludesProfileData",
            Self::Common => "excludesCommonlyUsed",
            Self::SameAsBefore => "notSimilarToCurrent",
        }
    }
}

impl Requirements {
    /// The bounds.
    pub fn validate(self) -> Result<(), Invalid> {
        let min = i64::from(self.min_characters);
        let mut check = Check::default();
        check.range(min, "new_passwords.min_characters", 8, 64).finish()
    }

    /// Whether this may be the password of a user. That it is not the old one is found out by its hash.
    pub fn check(self, password: &str, user: &User) -> Result<(), Unmet> {
        let length = password.chars().count();
        let min = usize::from(self.min_characters).max(MIN_CHARACTERS);
        if length < min {
            return Err(Unmet::TooShort { min });
        }
        if length > MAX_CHARACTERS {
            return Err(Unmet::TooLong { max: MAX_CHARACTERS });
        }
        let folded = password.to_lowercase();
        let mailbox = user.email.split('@').next().unwrap_or_default();
        let own = [user.username.as_str(), user.email.as_str(), mailbox];
        if own.iter().any(|name| name.to_lowercase() == folded) {
            return Err(Unmet::NamesUser);
        }
        if COMMON.lines().any(|common| common == folded) || is_repetition(&folded) {
            return Err(Unmet::Common);
        }
        Ok(())
    }
}

/// Whether a text is one of at most four characters over and over.
fn is_repetition(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    (1..=4).any(|period| {
        let shifted = characters.iter().skip(period);
        characters.iter().zip(shifted).all(|(one, other)| one == other)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::user;

    #[test]
    fn each_requirement_is_told() {
        let strict = Requirements { min_characters: 15 };
        let usual = Requirements::default();
        for (rules, password, told) in [
            (usual, "pear-tram", Ok(())),
            (usual, "sevenn7", Err(Unmet::TooShort { min: 8 })),
            (strict, "only fourteen!", Err(Unmet::TooShort { min: 15 })),
            (strict, "just as long 15", Ok(())),
            (usual, "Password1", Err(Unmet::Common)),
            (usual, "QWERTYUIOP", Err(Unmet::Common)),
            (usual, "aaaaaaaaaaaaaaaa", Err(Unmet::Common)),
            (usual, "abcdabcdabcda", Err(Unmet::Common)),
            (usual, "abcdeabcdeab", Ok(())),
            (usual, "ééééééé", Err(Unmet::TooShort { min: 8 })),
            (usual, "пароль и ключ", Ok(())),
        ] {
            assert_eq!(rules.check(password, &user()), told, "{password}");
        }
        let long = "0123456789abcdef".repeat(16);
        assert_eq!(usual.check(&long, &user()), Ok(()));
        let longer = format!("{long}x");
        assert_eq!(usual.check(&longer, &user()), Err(Unmet::TooLong { max: 256 }));
    }

    #[test]
    fn what_names_the_user_is_no_password() {
        let ann = User {
            username: "ann.lee.1984".to_owned(),
            email: "Annabelle@bank.example".to_owned(),
            ..user()
        };
        let check = |password| Requirements::default().check(password, &ann);
        for own in ["Ann.Lee.1984", "annabelle@bank.example", "ANNABELLE"] {
            assert_eq!(check(own), Err(Unmet::NamesUser), "{own}");
        }
        assert_eq!(check("annabelle sells sea shells"), Ok(()));
    }

    #[test]
    fn the_common_passwords_are_what_is_looked_for() {
        let lines: Vec<&str> = COMMON.lines().collect();
        assert!(lines.len() >= 250, "{}", lines.len());
        assert!(lines.is_sorted_by(|one, other| one < other), "sorted, each once");
        for line in lines {
            assert_eq!(line.trim(), line);
            assert_eq!(line.to_lowercase(), line);
            assert!(line.chars().count() >= MIN_CHARACTERS, "{line}");
        }
    }
}
