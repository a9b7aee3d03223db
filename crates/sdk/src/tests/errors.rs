//! What an app learns of each error. The table in the crate's documentation follows this one.

use countersign_protocol::authentication_code::NoCode;
use countersign_protocol::challenge::{Approval, ShownHash, StatementError};
use countersign_protocol::device_api::ServerTimeError;
use countersign_protocol::id_token::IdTokenError;
use countersign_protocol::pairing_key::NoKey;

use crate::protocol::proof::Proof;
use crate::{
    CodeRefusal, ConfigError, DeviceTokenError, Error, KeyStoreError, PairingRefusal, StorageError,
    TransportError,
};

fn text() -> String {
    "x".to_owned()
}

fn all() -> Vec<Error> {
    let method = Approval { shown: ShownHash::of(b"{}"), method: String::new(), number: None };
    let correlation_id = Some("c".to_owned());
    let refused = |reason| Error::PairingRefused { reason, correlation_id: Some("c".to_owned()) };
    let code = |reason| Error::CodeRefused { reason, correlation_id: Some("c".to_owned()) };
    vec![
        Error::Config(ConfigError::Insecure),
        Error::OtherEnvironment,
        Error::Transport(TransportError::NoAnswer(text())),
        Error::Transport(TransportError::NotTrusted(text())),
        Error::Transport(TransportError::TooLong),
        Error::Transport(TransportError::NoSockets),
        Error::Unavailable { status: 503, retry_after_seconds: Some(5), correlation_id: None },
        Error::Server { status: 500, correlation_id: Some("c".to_owned()) },
        Error::Rejected { status: 400, message: text(), correlation_id: Some("c".to_owned()) },
        Error::Answer(text()),
        Error::NotPaired { correlation_id: Some("c".to_owned()) },
        refused(PairingRefusal::TicketInvalid),
        refused(PairingRefusal::TicketExpired),
        refused(PairingRefusal::TicketSpent),
        refused(PairingRefusal::LimitExceeded),
        refused(PairingRefusal::PairingDisabled),
        refused(PairingRefusal::DeviceCompromised),
        refused(PairingRefusal::KeyInvalid),
        refused(PairingRefusal::KeyExpired),
        refused(PairingRefusal::KeyClaimed),
        refused(PairingRefusal::OtherApplication),
        refused(PairingRefusal::AlreadyPaired),
        Error::NoPairingKey(NoKey),
        Error::PairingAlreadyRunning,
        Error::OfferUsed,
        Error::IdToken(IdTokenError::Expired),
        Error::OtherInstallation,
        Error::OfferExpired,
        Error::Discovery(text()),
        Error::ServerTime(ServerTimeError::OtherRequest),
        Error::Clock,
        Error::AmbiguousUser,
        Error::NoPasscodes,
        Error::DeviceToken(DeviceTokenError::NotHexadecimal),
        Error::Statement(StatementError::NotOurs),
        Error::ChallengeInvalid { correlation_id: correlation_id.clone() },
        Error::ChallengeExpired { correlation_id: correlation_id.clone() },
        Error::ChallengeCancelled { correlation_id: correlation_id.clone() },
        Error::ChallengeAnswered { correlation_id },
        Error::NotificationUsed,
        Error::NoCode(NoCode),
        code(CodeRefusal::Invalid),
        code(CodeRefusal::OtherApplication),
        code(CodeRefusal::Expired),
        code(CodeRefusal::Claimed),
        code(CodeRefusal::Ended),
        code(CodeRefusal::DeviceBarred),
        Error::AuthenticationUsed,
        Error::WrongNumber,
        Error::NumberMissing,
        Error::NumberNotOffered,
        Error::AuthenticationMethod(method.check().unwrap_err()),
        Error::UserNotVerified,
        Error::NoUserVerification,
        Error::TestRunning,
        Error::KeyStore(KeyStoreError::Failed(text())),
        Error::Storage(StorageError(text())),
        Error::State(text()),
    ]
}

#[test]
fn what_an_app_learns_of_each_error_does_not_change() {
    let rows: Vec<_> = all()
        .iter()
        .map(|error| {
            format!(
                "{:?} retry={} after={:?} id={:?} {} {} | {error}",
                error.category(),
                error.is_retriable(),
                error.retry_after_seconds(),
                error.correlation_id(),
                error.pingone_code(),
                error.message_key(),
            )
        })
        .collect();
    insta::assert_snapshot!(rows.join("\n"));
}
