//! Users: the people who sign in.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    environment::Environment,
    id::Id,
    invalid::{Check, Invalid, Rule},
    lockout::Lockout,
    population::Population,
};

/// The most characters of a user name.
pub const MAX_USERNAME_CHARACTERS: usize = 128;

/// A person who signs in to the applications of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The subject of tokens.
    pub id: Id<User>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// The population.
    pub population: Id<Population>,
    /// Unique in the environment without regard to case, 1 to 128 characters.
    pub username: String,
    /// Mail address.
    pub email: String,
    /// What the person is called.
    #[serde(default)]
    pub name: Name,
    /// Whether the person may sign in at all.
    pub enabled: bool,
    /// Whether the user may pass MFA steps with devices.
    pub mfa_enabled: bool,
    /// Wrong passcodes and denied pushes over all devices (MFA settings, lockout).
    #[serde(default)]
    pub mfa_lockout: Lockout,
    /// What else is known of the person.
    #[serde(default, skip_serializing_if = "Profile::is_empty")]
    pub profile: Profile,
    /// Since when an administrator keeps the person from signing in, until one ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_at: Option<Timestamp>,
    /// When the user was made.
    pub created_at: Timestamp,
    /// When the user last changed.
    pub updated_at: Timestamp,
}

/// Declares members that are texts, each of 1 to so many characters, and may all be left out.
macro_rules! texts {
    (
        $(#[$meta:meta])* $name:ident at $prefix:literal {
            $( #[doc = $doc:literal] $member:ident: $target:literal, $max:literal; )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            $(
                #[doc = $doc]
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $member: Option<String>,
            )+
        }

        impl $name {
            /// Whether nothing is known.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                *self == Self::default()
            }

            fn validate_texts(&self, check: &mut Check) {
                $(
                    if let Some(text) = &self.$member {
                        check.text(text, concat!($prefix, $target), $max);
                    }
                )+
            }
        }
    };
}

texts! {
    /// Parts of a name.
    Name at "name." {
        /// Given name.
        given: "given", 256;
        /// Family name.
        family: "family", 256;
        /// What stands between the two.
        middle: "middle", 256;
        /// The whole name, as it is to be shown.
        formatted: "formatted", 256;
        /// What stands before it: Dr.
        honorific_prefix: "honorific_prefix", 256;
        /// What stands behind it: Jr.
        honorific_suffix: "honorific_suffix", 256;
    }
}

texts! {
    /// A postal address.
    Address at "address." {
        /// Street, number and what else the house is found by.
        street_address: "street_address", 256;
        /// Town.
        locality: "locality", 256;
        /// Canton, state or province.
        region: "region", 256;
        /// Postal code.
        postal_code: "postal_code", 40;
        /// Two capitals (ISO 3166-1).
        country_code: "country_code", 2;
    }
}

/// What else is known of a person. Nothing of it decides anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The parts that are texts.
    #[serde(flatten)]
    pub texts: Texts,
    /// Where the person lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Whether the mail address was seen to be the person's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub email_verified: bool,
}

texts! {
    /// Texts about a person.
    Texts at "" {
        /// What friends call the person.
        nickname: "nickname", 256;
        /// What the person does.
        title: "title", 256;
        /// What kind of user it is: Employee.
        kind: "type", 256;
        /// Where the person lives, for dates and numbers: `de-CH`.
        locale: "locale", 256;
        /// The language of messages, by preference (RFC 9110, section 12.5.4).
        preferred_language: "preferred_language", 256;
        /// `Europe/Zurich`
        timezone: "timezone", 256;
        /// A telephone.
        primary_phone: "primary_phone", 32;
        /// A telephone that gets messages.
        mobile_phone: "mobile_phone", 32;
        /// Where a picture is.
        photo: "photo.href", 2_048;
        /// What the user is called elsewhere.
        external_id: "external_id", 1_024;
    }
}

impl Profile {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn validate(&self, check: &mut Check) {
        self.texts.validate_texts(check);
        if let Some(address) = &self.address {
            address.validate_texts(check);
            let is_country = |code: &String| {
                code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
            };
            let form = Rule::Form { form: "two capital letters (ISO 3166-1)" };
            let holds = address.country_code.as_ref().is_none_or(is_country);
            check.require(holds, "address.country_code", form);
        }
        let is_web = |href: &String| {
            url::Url::parse(href).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        };
        let form = Rule::Form { form: "an http or https address" };
        check.require(self.texts.photo.as_ref().is_none_or(is_web), "photo.href", form);
    }
}

impl Name {
    /// The whole name: as it is to be shown, or given and family name in one, or nothing if neither is known.
    #[must_use]
    pub fn whole(&self) -> Option<String> {
        if self.formatted.is_some() {
            return self.formatted.clone();
        }
        let parts: Vec<&str> =
            [&self.given, &self.family].into_iter().flatten().map(String::as_str).collect();
        if parts.is_empty() { None } else { Some(parts.join(" ")) }
    }
}

impl User {
    /// The rules for what an administrator may store.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text(&self.username, "username", MAX_USERNAME_CHARACTERS).text(
            &self.email,
            "email",
            254,
        );
        check.require(is_address(&self.email), "email", Rule::Form { form: "a mail address" });
        self.name.validate_texts(&mut check);
        self.profile.validate(&mut check);
        check.finish()
    }

    /// Whether the person may sign in: neither disabled nor locked by an administrator.
    #[must_use]
    pub const fn may_sign_in(&self) -> bool {
        self.enabled && self.locked_at.is_none()
    }

    /// Whether anybody could have this user name. Others are nobody's, and are not looked for.
    #[must_use]
    pub fn is_username(text: &str) -> bool {
        Check::default().text(text, "username", MAX_USERNAME_CHARACTERS).finish().is_ok()
    }

    /// The form of a user name under which it is unique and looked up.
    #[must_use]
    pub fn username_key(username: &str) -> String {
        username.to_lowercase()
    }

    /// The form of a mail address under which it is looked up.
    #[must_use]
    pub fn email_key(email: &str) -> String {
        email.to_lowercase()
    }
}

/// One `@` with something on both sides and no space: what can be checked without sending mail.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    !local.is_empty()
        && !domain.is_empty()
        && !text.contains(char::is_whitespace)
        && !local.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{assert_told, user};

    #[test]
    fn each_broken_rule_is_told() {
        assert_told(
            user,
            User::validate,
            &[
                (|u| u.username = String::new(), "username must be given"),
                (|u| u.username = "x".repeat(128), ""),
                (|u| u.username = "x".repeat(129), "username must have at most 128 characters"),
                (
                    |u| u.username = "a\u{202e}b".to_owned(),
                    "username must be printable text without surrounding space",
                ),
                (|u| u.email = format!("{}@x", "x".repeat(252)), ""),
                (
                    |u| u.email = format!("{}@x", "x".repeat(253)),
                    "email must have at most 254 characters",
                ),
                (|u| u.email = "ann".to_owned(), "email must be a mail address"),
                (|u| u.email = "@bank.example".to_owned(), "email must be a mail address"),
                (|u| u.email = "ann@".to_owned(), "email must be a mail address"),
                (|u| u.email = "ann@lee@bank.example".to_owned(), "email must be a mail address"),
                (|u| u.email = "ann lee@bank.example".to_owned(), "email must be a mail address"),
                (|u| u.name = Name::default(), ""),
                (
                    |u| u.profile.texts.photo = Some("ftp://x".to_owned()),
                    "photo.href must be an http or https address",
                ),
                (
                    |u| {
                        let country_code = Some("ch".to_owned());
                        u.profile.address = Some(Address { country_code, ..Address::default() });
                    },
                    "address.country_code must be two capital letters (ISO 3166-1)",
                ),
                (
                    |u| u.profile.texts.mobile_phone = Some("1".repeat(33)),
                    "mobile_phone must have at most 32 characters",
                ),
                (|u| u.name.given = Some(String::new()), "name.given must be given"),
                (
                    |u| u.name.family = Some("x".repeat(257)),
                    "name.family must have at most 256 characters",
                ),
            ],
        );
    }
}
