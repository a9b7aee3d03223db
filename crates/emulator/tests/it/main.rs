//! The emulated push services, from the outside: over TLS and HTTP/2, with clients that are not ours.

mod apns;
mod world;
