//! The emulated push services, from the outside: over TLS and HTTP/2, with clients that are not ours.

#![cfg(test)]

mod admin;
mod apns;
mod fcm;
mod world;
