//! The native SDK: lets an app be the second factor of the user who signs in with it.
//!
//! The core is async and does no I/O of its own: transport, keys, storage, clock and randomness are
//! injected through [`Platform`], so that a phone uses what its system has. Names follow the
//! `PingOne` SDK's.
//!
//! 1. [`Countersign::open`] at the start of the app, then [`Countersign::resume_pairing`].
//! 2. [`Countersign::generate_mobile_payload`] before each sign-in; the app adds it to the
//!    authorize request.
//! 3. [`Countersign::process_id_token`] after it. When that gives a [`PairingObject`], ask the
//!    user, and call [`PairingObject::approve`] or [`PairingObject::deny`]. Or [`Countersign::pair`] with a key that the user has
//!    typed or scanned.
//! 4. [`Countersign::set_device_token`] at every start, and [`Countersign::process_remote_notification`]
//!    for every push message. When that gives a [`NotificationObject`], show it, and call
//!    [`NotificationObject::approve`] or [`NotificationObject::deny`].
//!    [`Countersign::pending_notifications`] whenever the app comes to the front, and [`Countersign::notifications`]
//!    while it runs without a push service.
//! 5. [`Countersign::authenticate`] with what the camera reads off a sign-on page. When the
//!    [`AuthenticationObject`] needs approval or several users could sign on, ask, and call
//!    [`AuthenticationObject::approve`] or [`AuthenticationObject::deny`].
//! 6. [`Countersign::one_time_passcode`], [`Countersign::info`], [`Countersign::send_logs`] and
//!    [`Countersign::unpair`] any time.
//!
//! `docs/sdk.md` has it all with examples.
//!
//! # Errors
//!
//! | [`Error`] | [`Category`] | retry | `PingOne` | What the app does |
//! |---|---|---|---|---|
//! | `Config` | Input | | 10018 | mend the configuration |
//! | `OtherEnvironment` | State | | 10019 | delete the stored state |
//! | `Transport(NoAnswer)` | Network | yes | 10004 | try again when there is a network |
//! | `Transport(NotTrusted)` | Security | | 10017 | do not go on |
//! | `Transport(TooLong)`, `Transport(NoSockets)` | Server | | 10003 | report |
//! | `Unavailable` | Server | yes | 10003 | wait for `retry_after_seconds` |
//! | `Server` | Server | yes | 10003 | try later, then report with the correlation id |
//! | `Rejected`, `Answer` | Server | | 10000 | report with the correlation id |
//! | `NotPaired` | State | | 10008 | show that the phone is not paired |
//! | `PairingRefused` by ticket, `OfferUsed`, `OfferExpired` | State | | 10005 | sign in again |
//! | `PairingRefused` by key | State | | 10005 | ask for a fresh key |
//! | `PairingRefused` by `AlreadyPaired` | State | | 10005 | nothing: it is paired |
//! | `PairingRefused` by `OtherApplication` | State | | 10006 | say that the key is for another app |
//! | `PairingRefused` by limit, switch or requirements | Policy | | 10012 | explain |
//! | `NoPairingKey` | Input | | 10005 | say that this is no pairing key |
//! | `PairingAlreadyRunning` | State | yes | 10013 | wait |
//! | `IdToken`, `Discovery`, `ServerTime` | Security | | 10017 | do not go on |
//! | `OtherInstallation` | Security | | 10023 | do not go on |
//! | `Clock`, `NoPasscodes` | State | | 10010 | ask to set the clock; pair again |
//! | `AmbiguousUser` | Input | | 10000 | say which user |
//! | `DeviceToken` | Input | | 10001 | mend the call |
//! | `Statement` | Security | | 10017 | do not go on |
//! | `ChallengeExpired` | State | | 10009 | say that it was too late |
//! | `ChallengeCancelled`, `ChallengeAnswered` | State | | 10020 | take the question down |
//! | `ChallengeInvalid` | State | | 10023 | take the question down |
//! | `NotificationUsed` | State | | 10000 | nothing: it was answered |
//! | `NoCode` | Input | | 10011 | say that this is no code to sign on with |
//! | `CodeRefused` by barred device | Policy | | 10011 | explain |
//! | `CodeRefused` by anything else | State | | 10011 | ask for a fresh code |
//! | `AuthenticationUsed` | State | | 10000 | nothing: it was answered |
//! | `WrongNumber` | State | | 10000 | say so; sign in again |
//! | `NumberMissing`, `NumberNotOffered` | Input | | 10000 | ask for the number |
//! | `AuthenticationMethod` | Input | | 10000 | mend the call |
//! | `UserNotVerified` | State | yes | 10000 | let the person try again, or deny |
//! | `NoUserVerification` | State | | 10000 | ask to set a screen lock; deny |
//! | `TestRunning` | State | yes | 10016 | wait |
//! | `KeyStore`, `Storage` | State | yes | 10000 | try again, then report |
//! | `State` | State | | 10000 | delete the stored state |

mod answer;
mod authentication;
mod client;
mod config;
mod device_log;
mod device_token;
mod error;
mod installation;
pub mod key_store;
mod keys;
mod notification;
mod notification_stream;
mod number_matching;
mod pairing;
mod passcode;
mod platform;
mod push_address;
mod push_test;
mod remote_notification;
mod reply;
mod sealed_file;
mod state;
pub mod storage;
pub mod transport;

pub use countersign_protocol as protocol;

pub use crate::authentication::{AUTHENTICATION_REASON, AuthenticationObject};
pub use crate::client::Countersign;
pub use crate::config::{App, Config, ConfigError, Device};
pub use crate::device_token::DeviceTokenError;
pub use crate::error::{Category, CodeRefusal, Error, PairingRefusal};
pub use crate::installation::STATE_BLOB;
pub use crate::notification::NotificationObject;
pub use crate::notification_stream::NotificationStream;
pub use crate::number_matching::NumberMatchingType;
pub use crate::pairing::{PairingInfo, PairingObject, PairingOutcome};
pub use crate::passcode::OneTimePasscode;
pub use crate::platform::{
    KeyStore, KeyStoreError, MAX_BODY_BYTES, MAX_MESSAGE_BYTES, Method, PAIRING_REASON, Platform,
    PublicKeys, Received, Request, Response, Socket, Storage, StorageError, Transport,
    TransportError,
};
pub use crate::push_test::{NotificationTest, NotificationTestReport, TestResult, TestType};
pub use crate::remote_notification::RemoteNotification;
pub use countersign_protocol::authentication_code::{CodeStatus, CodeUser, NeedsApproval};
pub use countersign_protocol::challenge::RefusalReason as DenyReason;
pub use countersign_protocol::mobile_payload::{PushEnvironment, PushService};

#[cfg(test)]
mod tests;
