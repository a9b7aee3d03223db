//! Where a request comes from.

use std::net::{IpAddr, SocketAddr};

use axum::{extract::ConnectInfo, http::Extensions};

/// The other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub SocketAddr);

impl Peer {
    /// The address that a request came from, where the listener tells it.
    pub fn address(extensions: &Extensions) -> Option<IpAddr> {
        let connected = || extensions.get().map(|ConnectInfo(address)| Self(*address));
        let Self(address) = extensions.get().copied().or_else(connected)?;
        Some(address.ip())
    }
}
