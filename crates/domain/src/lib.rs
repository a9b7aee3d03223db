//! What is true: entities, policies and state machines. No I/O, no async, no clock and no randomness of its own.
//!
//! # Words
//!
//! | Word | Is |
//! |---|---|
//! | environment | a tenant: users, applications, policies, keys; every id lives in one |
//! | application | an OIDC client; a *native application* also has a mobile section |
//! | MFA policy | which methods count and how each application behaves (`deviceAuthenticationPolicies` on the wire) |
//! | sign-on policy | ordered steps (actions): login, identifier first, MFA |
//! | installation | one copy of an app on one phone, known by the thumbprint of its possession key |
//! | device | an installation paired to one user; also any other authenticator of a user |
//! | authenticator | what a user can be asked for beside a paired phone: an authenticator app, a mail address, recovery codes |
//! | mobile payload | short-lived proof signed by the installation, carried by the customer's app to authorize |
//! | pairing ticket | the server's offer to pair, carried inside the ID token |
//! | pairing key | the digits or characters by which a person pairs a phone by hand |
//! | flow | one run of authorize, from request to code or error |
//! | session | a browser in which somebody has signed in; its id is the `sid` of tokens |
//! | device code | a request of a device without a browser, which a person allows somewhere else (RFC 8628) |
//! | grant | what an authorization code or a refresh token stands for |
//! | challenge | one question put to one device, silent or visible, with one answer |
//! | authentication code | the eight characters behind the QR code, by which a phone signs somebody on at another screen |
//! | outbox | what must be sent after a commit |
//! | signing key | what an environment signs tokens with, one at a time of each algorithm |
//!
//! A machine is an enum that carries exactly its data and one function `apply(state, event, now)`; it answers with a
//! `Step` (the next state and the effects that must be committed with it) or a `Refusal`.

// A new state or event must be answered everywhere, not fall into an arm that was written without it.
#![deny(clippy::wildcard_enum_match_arm)]

// The fixture serves the tests inside and outside of this crate, and names it the same way in both.
#[cfg(test)]
extern crate self as countersign_domain;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod stored_forms;

pub mod access_control;
pub mod account;
pub mod application;
pub mod audit;
pub mod audit_seal;
pub mod authentication_code;
pub mod authenticator;
pub mod authorization;
pub mod challenge;
pub mod claims;
pub mod client_jwt;
pub mod client_key;
pub mod condition;
pub mod console;
pub mod device;
pub mod device_code;
pub mod dpop;
pub mod environment;
pub mod expression;
pub mod filter;
pub mod flow;
pub mod grant;
pub mod group;
pub mod id;
pub mod id_token_hint;
pub mod installation;
pub mod invalid;
pub mod lockout;
pub mod mfa;
pub mod mfa_policy;
pub mod mfa_settings;
pub mod outbox;
pub mod pairing;
pub mod pairing_key;
pub mod password;
pub mod population;
pub mod protected_resource;
pub mod push_credentials;
pub mod push_health;
pub mod push_limit;
pub mod pushed_request;
pub mod rate;
pub mod role;
pub mod sealed;
pub mod session;
pub mod sign_on_policy;
pub mod signing_key;
pub mod spent_jwt;
pub mod subscription;
pub mod unpairing;
pub mod user;
