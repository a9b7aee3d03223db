//! The screens of the own account: devices and sign-ons, the question before a device goes, and the key that pairs another.

use super::{Form, Problem, Qr, Wait};
use crate::app::Offers;

/// Asks what to do with the own devices. Actions: `confirm`, `add`, and for one `device` of one `version`: `up`, `down`, `remove`,
/// and `rename` with a `nickname`.
#[derive(Clone, Copy)]
pub struct Account<'a> {
    pub form: Form<'a>,
    /// Whose it is.
    pub username: &'a str,
    /// What can be done.
    pub standing: Standing,
    /// The devices, in their order.
    pub devices: &'a [OwnDevice],
    /// What can be added beside a phone. Actions: `add_authenticator`, `make_codes`, and with an `address`: `add_email`, `add_sms`,
    /// `add_voice`.
    pub offers: Offers,
    /// One page of sign-ons, newest first.
    pub sign_ons: &'a [SignOn],
    /// Where the next page is.
    pub older: Option<&'a str>,
    /// Where the first page is, on all others.
    pub newest: Option<&'a str>,
    /// Where the person signs out.
    pub sign_off: &'a str,
    /// What was done on the page before.
    pub done: Option<Done>,
    pub problem: Option<Problem>,
}

/// What a person can do on the page of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Change devices.
    Change,
    /// Confirm to be there, and then change devices.
    Confirm,
    /// Nothing, for no device could be asked when the person wanted to confirm.
    Unconfirmed,
    /// Nothing, as long as all devices are blocked or locked.
    Barred,
}

/// A device of one's own.
#[derive(Clone, Debug)]
pub struct OwnDevice {
    /// What the form sends.
    pub id: String,
    /// What was seen of it.
    pub version: i64,
    /// What the person calls it, or its model.
    pub name: String,
    /// What the person calls it; may be empty.
    pub nickname: String,
    /// What the phone is, when it was paired and when it was last used.
    pub details: Vec<String>,
    /// What keeps it from being used.
    pub bar: Option<Bar>,
}

/// What keeps a device from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bar {
    /// An administrator.
    Blocked,
    /// Wrong passcodes, until this time.
    Locked(String),
}

/// How a sign-on ended.
#[derive(Clone, Debug)]
pub struct SignOn {
    /// When, for machines.
    pub at: String,
    /// When, for people.
    pub time: String,
    /// Where to.
    pub application: String,
    /// By which device; may be empty.
    pub device: String,
    /// From where; may be empty.
    pub address: String,
    pub succeeded: bool,
}

/// What was done on the page before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Renamed,
    Moved,
    Removed,
    Paired,
    Added,
    Withdrawn,
}

impl Done {
    const ALL: [Self; 6] =
        [Self::Renamed, Self::Moved, Self::Removed, Self::Paired, Self::Added, Self::Withdrawn];

    /// Its name in the address of the page.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Renamed => "renamed",
            Self::Moved => "moved",
            Self::Removed => "removed",
            Self::Paired => "paired",
            Self::Added => "added",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// What has this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|done| done.name() == name)
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Renamed => "The device has its new name.",
            Self::Moved => "The order is changed. The first device is asked first.",
            Self::Removed => "The device is removed. It can no longer sign you in.",
            Self::Paired => "The phone is paired. It can sign you in from now on.",
            Self::Added => "It is added, and can sign you in from now on.",
            Self::Withdrawn => "The key no longer counts.",
        }
    }
}

/// Asks whether a device shall go. Action: `remove_confirmed`, of the same `device` and `version`.
#[derive(Clone, Copy)]
pub struct RemoveDevice<'a> {
    pub form: Form<'a>,
    pub device: &'a OwnDevice,
    /// Whether there is no other.
    pub last: bool,
    /// Where the person goes who does not want to.
    pub back: &'a str,
}

/// Shows the key by which a phone is paired, until one is or the time is over. Action: `withdraw`.
#[derive(Clone, Copy)]
pub struct AddDevice<'a> {
    pub form: Form<'a>,
    /// For a camera.
    pub qr: Option<&'a Qr>,
    /// For people, in groups.
    pub key: &'a str,
    /// What its status is as long as the page is true.
    pub status: &'a str,
    pub wait: Wait<'a>,
    /// Where it goes on.
    pub onward: &'a str,
    /// Why the phone that showed the key was not paired.
    pub refused: Option<&'static str>,
}

/// Shows the seed of an authenticator app, and asks for the first `passcode`. Action: `activate`.
#[derive(Clone, Copy)]
pub struct AddAuthenticator<'a> {
    pub form: Form<'a>,
    /// For a camera.
    pub qr: Option<&'a Qr>,
    /// For people, in groups.
    pub secret: &'a str,
    /// What opens an app where the page is read on the phone itself.
    pub link: &'a str,
    /// Where the person goes who does not want to.
    pub back: &'a str,
    pub problem: Option<Problem>,
}

/// Asks for the first `passcode` that was sent to an address or number. Actions: `activate`, `send_again`.
#[derive(Clone, Copy)]
pub struct AddTarget<'a> {
    pub form: Form<'a>,
    /// Where it was sent.
    pub to: &'a str,
    /// Where the person goes who does not want to.
    pub back: &'a str,
    pub problem: Option<Problem>,
}

/// Shows recovery codes, once.
#[derive(Clone, Copy)]
pub struct RecoveryCodes<'a> {
    pub codes: &'a [&'a str],
    /// Where the person goes who has kept them.
    pub back: &'a str,
}
