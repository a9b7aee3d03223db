//! Authentication codes: what a phone reads off a screen, and how it says who signs on there.

use serde::{Deserialize, Serialize};

use crate::challenge::{NumberMatching, Origin};
use crate::device_api::DeviceRequest;
use crate::pairing::Name;
use crate::proof::Proof;
use crate::secret::{self, Secret};
use crate::time::{Timestamp, unix_seconds};

/// How many characters a code has.
pub const CODE_CHARACTERS: usize = 8;

/// The characters of codes: 32, without those that are taken for others. Forty bits in all.
pub const CODE_ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// The member of an address that carries a code.
pub const CODE_MEMBER: &str = "authentication_code";

/// The paths of such addresses: ours, and the one of `PingOne`.
pub const CODE_PATHS: [&str; 2] = ["countersign", "pingonesdk"];

/// A code, in capital letters.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Code(#[serde(serialize_with = "secret::reveal")] Secret<String>);

/// Says nothing: for as long as it lives, whoever has it can claim it.
impl std::fmt::Debug for Code {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Code(..)")
    }
}

/// A text in which there is no authentication code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an authentication code of eight letters and digits, or an address with one")]
pub struct NoCode;

impl Code {
    /// The code of forty bits.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        let character = |place: usize| {
            let index = usize::try_from(bits >> (place * 5) & 31).unwrap_or_default();
            char::from(CODE_ALPHABET.get(index).copied().unwrap_or(b'2'))
        };
        Self(Secret::new((0..CODE_CHARACTERS).map(character).collect()))
    }

    /// Finds a code in what a phone has read: the bare code, the app scheme, or a universal link.
    pub fn find(text: &str) -> Result<Self, NoCode> {
        let text = text.trim();
        match text.split_once('?') {
            None => text.parse(),
            Some((path, query)) => {
                let last = path.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
                if !CODE_PATHS.contains(&last) && !path.contains("://") {
                    return Err(NoCode);
                }
                let query = query.split('#').next().unwrap_or_default();
                let members = query.split('&').filter_map(|member| member.split_once('='));
                let mut codes = members.filter(|(name, _)| *name == CODE_MEMBER);
                codes.next().ok_or(NoCode)?.1.parse()
            }
        }
    }

    /// Its characters.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl std::str::FromStr for Code {
    type Err = NoCode;

    fn from_str(text: &str) -> Result<Self, NoCode> {
        let code = text.to_ascii_uppercase();
        let known = |byte: u8| CODE_ALPHABET.contains(&byte);
        let fits = code.len() == CODE_CHARACTERS && code.bytes().all(known);
        fits.then(|| Self(Secret::new(code))).ok_or(NoCode)
    }
}

impl TryFrom<String> for Code {
    type Error = NoCode;

    fn try_from(text: String) -> Result<Self, NoCode> {
        text.parse()
    }
}

/// The phone has read a code. The first that says so has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// From `GET D/nonce`, at most 300 s old.
    pub nonce: String,
    /// The code.
    pub code: Code,
}

impl Proof for ClaimRequest {
    const TYP: &'static str = "countersign-claim+jwt";
    const LIFE_SECONDS: i64 = 60;
}

impl DeviceRequest for ClaimRequest {
    const PATH: &'static str = "/authentication-codes/claims";
    type Response = ClaimResponse;
}

/// What the platform answers to a [`ClaimRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimResponse {
    /// Id of the code, to approve or deny it by.
    pub id: String,
    /// What has become of it.
    pub status: CodeStatus,
    /// The users of this installation, of whom one signs on.
    pub users: Vec<CodeUser>,
    /// Whether the person must agree.
    pub needs_approval: NeedsApproval,
    /// Name of the application that is signed on to.
    pub application: String,
    /// What its creator wants shown: the text of a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_context: Option<String>,
    /// From where it is asked.
    #[serde(default, skip_serializing_if = "Origin::is_empty")]
    pub origin: Origin,
    /// The number that the other screen shows now and that must come back, if one must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_matching: Option<NumberMatching>,
    /// From when on it is too late, whole seconds.
    #[serde(with = "unix_seconds")]
    pub expires_at: Timestamp,
}

/// A user who may sign on by a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeUser {
    /// Id of the user.
    pub id: String,
    /// Name for signing in.
    pub username: String,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
    /// The e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// Whether the person must agree to a sign-on by code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NeedsApproval {
    /// Yes.
    Required,
    /// No: where there is one user, the claim is all.
    NotRequired,
}

/// What has become of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CodeStatus {
    /// A phone has it, and the person decides.
    Claimed,
    /// Somebody is signed on by it.
    Completed,
    /// The person has said no.
    Denied,
    /// The time was over.
    Expired,
    /// Something this version does not know.
    #[serde(other)]
    Unknown,
}

/// An answer about a code that this installation has claimed.
pub trait CodeRequest: Proof {
    /// Last part of the path.
    const ACTION: &'static str;

    /// Address and audience of this answer in the environment of `device_base`.
    #[must_use]
    fn address(device_base: &str, code: &str) -> String {
        format!("{device_base}/authentication-codes/{code}/{}", Self::ACTION)
    }
}

/// This user signs on. Signed by the user-verification key, where the installation has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeApproval {
    /// Id of the user.
    pub user: String,
    /// The number that the other screen shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
}

impl Proof for CodeApproval {
    const TYP: &'static str = "countersign-code-approval+jwt";
    const LIFE_SECONDS: i64 = 60;
}

impl CodeRequest for CodeApproval {
    const ACTION: &'static str = "approve";
}

/// Nobody signs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeDenial {
    /// Who says so, if somebody was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl Proof for CodeDenial {
    const TYP: &'static str = "countersign-code-denial+jwt";
    const LIFE_SECONDS: i64 = 60;
}

impl CodeRequest for CodeDenial {
    const ACTION: &'static str = "deny";
}

/// What the platform answers to an approval or a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeResponse {
    /// What has become of the code.
    pub status: CodeStatus,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_found_bare_in_an_app_scheme_and_in_a_universal_link() {
        for text in [
            "7F45HGF5",
            " 7f45hgf5 ",
            "countersign?authentication_code=7F45HGF5",
            "pingonesdk?authentication_code=7F45HGF5",
            "bank:countersign?authentication_code=7F45HGF5",
            "org.bank.app://countersign?x=1&authentication_code=7F45HGF5",
            "https://www.bank.example/countersign?authentication_code=7F45HGF5#top",
            "https://www.bank.example/some/path?authentication_code=7F45HGF5&y=2",
        ] {
            assert_eq!(
                Code::find(text).map(|code| code.expose().to_owned()).as_deref(),
                Ok("7F45HGF5"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_has_no_code_is_refused() {
        for text in [
            "",
            "7F45HGF",
            "7F45HGF55",
            "7F45HGF0",
            "7F45HGFI",
            "https://bank.example/",
            "https://bank.example/countersign?code=7F45HGF5",
            "elsewhere?authentication_code=7F45HGF5",
            "countersign?authentication_code=",
        ] {
            assert_eq!(Code::find(text), Err(NoCode), "{text}");
        }
    }

    #[test]
    fn a_code_does_not_show_itself() {
        assert_eq!(format!("{:?}", Code::from_bits(7)), "Code(..)");
    }

    proptest! {
        #[test]
        fn each_of_forty_bits_counts(bits in 0_u64..1 << 40, other in 0_u64..1 << 40) {
            let code = Code::from_bits(bits);
            prop_assert_eq!(code.expose().len(), CODE_CHARACTERS);
            prop_assert_eq!(Code::find(code.expose()), Ok(code.clone()));
            prop_assert_eq!(code == Code::from_bits(other), bits == other);
        }

        #[test]
        fn whatever_a_camera_reads_does_no_harm(text in ".{0,200}") {
            let _ = Code::find(&text);
        }
    }
}
