//! Who is at the other end of a connection: the client itself, or what trusted proxies say of it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::{
    extract::ConnectInfo,
    http::{Extensions, HeaderMap, HeaderName},
};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client. The listener puts it among the extensions of every request; the port is 0 when a proxy did
/// not tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer(pub SocketAddr);

impl Peer {
    /// The client behind a connection.
    ///
    /// Each proxy adds at the right of `X-Forwarded-For` whom it was called by, and everything further left is what that
    /// one claims. So the list is read from the right, as long as those who wrote it are trusted.
    pub fn of(socket: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let mut peer = canonical(socket);
        let lines: Vec<&str> =
            headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()).collect();
        let mut hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
        while trusts(trusted, peer.ip()) {
            // A trusted proxy that writes what cannot be read is itself the last that is known.
            let Some(hop) = hops.next().and_then(|hop| read(hop.trim())) else { break };
            peer = canonical(hop);
        }
        Self(peer)
    }

    /// The address that a request came from, where the listener tells it.
    pub fn address(extensions: &Extensions) -> Option<IpAddr> {
        let connected = || extensions.get().map(|ConnectInfo(address)| Self(*address));
        let Self(address) = extensions.get().copied().or_else(connected)?;
        Some(address.ip())
    }
}

/// Whether one of the blocks holds the address.
pub(crate) fn trusts(trusted: &[IpNet], address: IpAddr) -> bool {
    trusted.iter().any(|block| block.contains(&address.to_canonical()))
}

/// What is counted as one client: an IPv4 address, or the /64 of an IPv6 address, of which one customer has all.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// An address with or without a port.
fn read(hop: &str) -> Option<SocketAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let alone = || bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 0));
    hop.parse().ok().or_else(alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(socket: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        Peer::of(socket.parse().unwrap(), &headers, &trusted).0.to_string()
    }

    #[test]
    fn the_client_is_the_right_most_that_no_trusted_proxy_is() {
        for (socket, lines, expected) in [
            ("192.0.2.1:5", &[][..], "192.0.2.1:5"),
            // Nobody trusts this one, so what it says is nothing.
            ("192.0.2.1:5", &["198.51.100.1"], "192.0.2.1:5"),
            ("10.0.0.1:5", &[], "10.0.0.1:5"),
            ("10.0.0.1:5", &["198.51.100.1"], "198.51.100.1:0"),
            ("[::ffff:10.0.0.1]:5", &["198.51.100.1"], "198.51.100.1:0"),
            // The left part is a lie of the client.
            ("10.0.0.1:5", &["127.0.0.1, 198.51.100.1"], "198.51.100.1:0"),
            ("10.0.0.1:5", &["127.0.0.1", "198.51.100.1, 10.0.0.2"], "198.51.100.1:0"),
            ("10.0.0.1:5", &["198.51.100.1:77 ,10.0.0.2:88"], "198.51.100.1:77"),
            ("10.0.0.1:5", &["[2001:db8::1]:77"], "[2001:db8::1]:77"),
            ("10.0.0.1:5", &["2001:db8::1, fd00::1"], "[2001:db8::1]:0"),
            ("10.0.0.1:5", &["[2001:db8::1]"], "[2001:db8::1]:0"),
            ("10.0.0.1:5", &["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2:0"),
            ("10.0.0.1:5", &[""], "10.0.0.1:5"),
            ("10.0.0.1:5", &["10.0.0.3, 10.0.0.2"], "10.0.0.3:0"),
        ] {
            assert_eq!(peer(socket, lines), expected, "{socket} {lines:?}");
        }
    }

    #[test]
    fn a_customer_of_ipv6_is_one_client() {
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            assert_eq!(network(address.parse().unwrap()).to_string(), expected);
        }
    }
}
