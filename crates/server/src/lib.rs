//! The HTTP surfaces and the use cases behind them: `http` translates, `app` decides, `worker` sweeps.

pub mod app;
mod backup;
mod client_keys;
mod hook;
mod http;
mod keys;
mod limits;
mod mail;
mod outbound;
mod passwords;
mod reseal;
mod serve;
mod settings;
mod sockets;
pub mod telemetry;
mod worker;

/// What operators ask of a server that runs.
pub mod control {
    pub use crate::http::control::{
        Administrator, Application, BackUp, BackedUp, DeletePushCredentials, Examined,
        KeptPushCredentials, Key, KeysOf, Made, MadeWorker, NewWorker, PutPushCredentials, Refused,
        RotateKeys,
    };
}

/// The routes of the management API, for tests that walk over them.
pub mod management {
    pub use crate::http::management::{Route, routes};
}

pub use backup::{RestoreError, restore};
pub use client_keys::KeysUnavailable;
pub use countersign_push::{Endpoints as PushEndpoints, Settings as PushSettings, egress::Egress};
pub use hook::Settings as HookSettings;
pub use keys::{KeyError, Vault};
pub use limits::{Budget, Limit, Limited, Limits, Settings as LimitSettings};
pub use mail::{
    Security as MailSecurity, Server as MailServer, Settings as MailSettings, Way as MailWay,
};
pub use outbound::Settings as OutboundSettings;
pub use passwords::Settings as PasswordSettings;
pub use reseal::{ResealError, reseal};
pub use serve::{
    Parts, ServeError, Server, Tls, TlsError, TlsFiles, is_new, open, operator_router, router,
    serve_operators,
};
pub use settings::{
    Connections, Settings, Sockets as SocketSettings, Subscriptions as SubscriptionSettings,
};
