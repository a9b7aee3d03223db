//! Why a screen is shown again, in words.

use std::fmt;

use countersign_domain::password::Unmet;

/// Why the same screen is shown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No user has this name and this password.
    WrongCredentials,
    /// Too many wrong passwords for this name; wait for so many minutes.
    PasswordLocked { minutes: i64 },
    /// The new password cannot be one.
    NewPassword(Unmet),
    /// The new password was not typed twice alike.
    PasswordsDiffer,
    /// The passcode is not one of the device.
    WrongPasscode,
    /// No device waits with this code.
    WrongUserCode,
    /// Somebody guesses codes.
    TooManyUserCodes,
    /// The field of this name came empty.
    Required(&'static str),
    /// The server has too much to do.
    Busy,
    /// Too many attempts under this name, right or wrong; wait for so many seconds.
    TooMany { seconds: u32 },
    /// The form's token is too old.
    Expired,
    /// The sign-on has moved on since the page was shown, for instance in another tab.
    NotNow,
    /// A device has changed since the page was shown.
    DeviceChanged,
    /// A device is blocked or locked, so it stays.
    DeviceBarred,
    /// A device cannot be called that.
    Nickname,
    /// The time of a pairing key is over.
    KeyExpired,
    /// So many pairing keys wait for a phone that there is no other.
    TooManyKeys,
    /// The policy lets no phone be paired.
    NoPairing,
    /// The policy lets nothing of this kind be added.
    NotOffered,
    /// The user has as many devices as allowed.
    TooManyDevices,
    /// Time or tries to activate a device are used up.
    ActivationOver,
    /// Nothing can be sent to this address or number.
    BadAddress,
    /// Too many passcodes were sent lately.
    TooManyPasscodes,
}

impl Problem {
    /// Whether the field of this name holds something that must change.
    pub(super) fn concerns(self, field: &str) -> bool {
        match self {
            Self::WrongCredentials => matches!(field, "username" | "password"),
            Self::NewPassword(_) | Self::Required("new password") => field == "new_password",
            Self::PasswordsDiffer => field == "repeated_password",
            Self::WrongPasscode => field == "passcode",
            Self::WrongUserCode => field == "user_code",
            Self::Required(required) => field == required,
            Self::PasswordLocked { .. }
            | Self::TooManyUserCodes
            | Self::Busy
            | Self::TooMany { .. }
            | Self::Expired
            | Self::NotNow
            | Self::DeviceChanged
            | Self::DeviceBarred
            | Self::Nickname
            | Self::KeyExpired
            | Self::TooManyKeys
            | Self::NoPairing
            | Self::NotOffered
            | Self::TooManyDevices
            | Self::ActivationOver
            | Self::TooManyPasscodes => false,
            Self::BadAddress => field == "address",
        }
    }
}

impl fmt::Display for Problem {
    #[expect(clippy::too_many_lines, reason = "each problem has its words here")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongCredentials => {
                "We could not sign you in with this username and password. \
                 Check both and try again."
            }
            Self::PasswordLocked { minutes: ..=1 } => {
                "Too many wrong passwords. Try again in a minute."
            }
            Self::PasswordLocked { minutes } => {
                return write!(f, "Too many wrong passwords. Try again in {minutes} minutes.");
            }
            Self::NewPassword(Unmet::TooShort { min }) => {
                return write!(f, "That is too short. Choose at least {min} characters.");
            }
            Self::NewPassword(Unmet::TooLong { max }) => {
                return write!(f, "That is too long. Choose at most {max} characters.");
            }
            Self::NewPassword(Unmet::NamesUser) => {
                "Choose something else than your username or your e-mail address."
            }
            Self::NewPassword(Unmet::Common) => {
                "Many people use that password, so it is easily guessed. Choose another one."
            }
            Self::NewPassword(Unmet::SameAsBefore) => {
                "That is your old password. Choose another one."
            }
            Self::PasswordsDiffer => "You typed two different passwords. Type the same one twice.",
            Self::WrongPasscode => {
                "That passcode did not work. Enter the one that your device shows now."
            }
            Self::WrongUserCode => {
                "No device waits with this code. Enter the one that your device shows now."
            }
            Self::TooManyUserCodes => "Too many wrong codes. Try again in a minute.",
            Self::Required("user_code") => "Enter the code that your device shows.",
            Self::Required("device") => "Choose a device to continue.",
            Self::Required(field) => return write!(f, "Enter your {field} to continue."),
            Self::Busy => "Many people are signing in right now. Wait a moment, then try again.",
            Self::TooMany { seconds: ..=1 } => "Too many attempts. Try again in a second.",
            Self::TooMany { seconds } => {
                return write!(f, "Too many attempts. Try again in {seconds} seconds.");
            }
            Self::Expired => "This page was open for a long time. Please try again.",
            Self::NotNow => "You are already one step further. Please go on from here.",
            Self::DeviceChanged => {
                "The device has changed since you saw it. See what it is now, then try again."
            }
            Self::DeviceBarred => "A device that is blocked or locked cannot be removed here.",
            Self::Nickname => {
                "A device cannot be called that. Choose a name of 1 to 100 letters, digits and signs."
            }
            Self::KeyExpired => "The time was over before a phone was added. Try again.",
            Self::TooManyKeys => {
                "Very many keys wait for a phone already. Wait until they expire, then try again."
            }
            Self::NoPairing => {
                "Your organisation lets no phone be added here. Ask your administrator for help."
            }
            Self::NotOffered => {
                "Your organisation does not let you add that here. Ask your administrator for help."
            }
            Self::TooManyDevices => {
                "You have as many devices as you may. Remove one, then try again."
            }
            Self::BadAddress => {
                "Nothing can be sent there. Enter a mail address, or a phone number with its country code: +49 151 …"
            }
            Self::TooManyPasscodes => {
                "Very many passcodes were sent lately. Wait a quarter of an hour, or use another device."
            }
            Self::ActivationOver => {
                "The time or the tries to add it are used up, and nothing was added. Try again."
            }
        })
    }
}
