//! How a phone is woken: by APNs, FCM, Huawei's Push Kit and Web Push.
//!
//! [`Gateways`] keeps a [`Gateway`] for each set of [`Credentials`]. A [`Push`] goes in, and an [`Answer`] comes out, which says
//! what the service's words mean ([`Outcome`]) and keeps the words ([`Raw`]). What they mean is decided by the pure functions
//! named `classify`. `docs/push.md` has it all in tables.
//!
//! A gateway sends again only what was surely not received; whatever else should be tried again is the caller's decision.

mod access_token;
mod answer;
pub mod apns;
mod call;
mod credentials;
pub mod egress;
pub mod fcm;
mod gateway;
mod gateways;
pub mod hms;
mod jwt;
mod payload;
mod reply;
mod settings;
mod trust;
pub mod web_push;

pub use answer::{Answer, MAX_REASON_CHARACTERS, Outcome, Raw, Trouble};
pub use credentials::{Credentials, CredentialsError};
pub use gateway::{Gateway, MAX_COLLAPSE_BYTES, Push, Style};
pub use gateways::{GatewayError, Gateways};
pub use reply::Reply;
pub use settings::{Endpoints, Settings, SettingsError};
