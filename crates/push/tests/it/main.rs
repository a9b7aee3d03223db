//! Gateways against small servers that speak as the push services do.

#![cfg(test)]

mod apns;
mod apns_connection;
mod apns_token;
mod credentials;
mod emulator;
mod fcm;
mod frames;
mod gateways;
mod hms;
mod server;
mod web_push;
mod world;
