//! Why APNs refuses.

use serde::Serialize;

/// Declares the reasons with the status of each.
macro_rules! reasons {
    ($($status:literal: $($name:ident),+;)+) => {
        /// The reasons that Apple documents, and two that were seen. Each is spelled as on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        #[expect(missing_docs, reason = "Apple's words, explained by Apple")]
        pub enum Reason {
            $($($name,)+)+
        }

        impl Reason {
            /// All of them.
            pub const ALL: &[Self] = &[$($(Self::$name,)+)+];

            /// The status that comes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self {
                    $($(Self::$name)|+ => $status,)+
                }
            }

            /// As on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$name => stringify!($name),)+)+
                }
            }
        }
    };
}

reasons! {
    400: BadCollapseId, BadDeviceToken, BadExpirationDate, BadMessageId, BadPriority, BadRequestPayload, BadTopic,
        DeviceTokenNotForTopic, DuplicateHeaders, IdleTimeout, InvalidPushType, MissingDeviceToken, MissingTopic,
        PayloadEmpty, TopicDisallowed;
    403: BadCertificate, BadCertificateEnvironment, BadEnvironmentKeyIdInToken, BadEnvironmentKeyInToken,
        ExpiredProviderToken, Forbidden, InvalidProviderToken, MissingProviderToken, UnrelatedKeyIdInToken;
    404: BadPath;
    405: MethodNotAllowed;
    410: ExpiredToken, Unregistered;
    413: PayloadTooLarge;
    429: TooManyProviderTokenUpdates, TooManyRequests;
    500: InternalServerError;
    503: ServiceUnavailable, Shutdown;
}

impl Reason {
    /// The reason of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.name() == name)
    }
}
