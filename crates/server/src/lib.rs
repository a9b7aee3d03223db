//! The HTTP surfaces and the use cases behind them: `http` translates, `app` decides, `worker` sweeps.

pub mod app;
mod client_keys;
mod http;
mod keys;
mod limits;
mod outbound;
mod passwords;
mod reseal;
mod serve;
mod settings;
mod worker;

pub use client_keys::KeysUnavailable;
pub use keys::{KeyError, Vault};
pub use limits::{Budget, Limit, Limited, Limits, Settings as LimitSettings};
pub use outbound::Settings as OutboundSettings;
pub use passwords::Settings as PasswordSettings;
pub use reseal::{ResealError, reseal};
pub use serve::{Parts, ServeError, Server, open, router};
pub use settings::Settings;
