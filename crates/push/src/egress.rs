//! Where the platform may call when a stranger has named the address.
//!
//! Such an address must not reach what only this machine or its network can reach (server-side request forgery), so each
//! address that a name resolves to is checked, and the connection goes to the checked one.

use std::error::Error;
use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The address must not be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address must be https, or http on this machine, and not of a private network")]
pub struct Forbidden;

impl Forbidden {
    /// Whether it is what caused `error`.
    #[must_use]
    pub fn is_cause_of(error: &(dyn Error + 'static)) -> bool {
        iter::successors(Some(error), |&error| error.source()).any(<dyn Error>::is::<Self>)
    }
}

/// Which addresses may be called. As a resolver it gives only those.
#[derive(Clone, Copy, Debug, Default)]
pub struct Egress {
    private: bool,
    loopback: bool,
}

impl Egress {
    /// For a server that says that it is at `base_url`. Where that is on this machine, the machine may be called. `private`:
    /// private networks may be, and this machine too.
    #[must_use]
    pub fn new(private: bool, base_url: &str) -> Self {
        let loopback = private || Url::parse(base_url).is_ok_and(|url| is_this_machine(&url));
        Self { private, loopback }
    }

    /// Whether an address may be called as far as it tells by itself. What its name resolves to is checked by the resolver.
    #[must_use]
    pub fn allows(self, url: &Url) -> bool {
        let scheme = match url.scheme() {
            "https" => true,
            "http" => self.loopback && is_this_machine(url),
            _ => false,
        };
        // A name is checked when it has been resolved; an address never is.
        let host = match url.host() {
            Some(Host::Domain(_)) => true,
            Some(Host::Ipv4(address)) => self.allows_address(address.into()),
            Some(Host::Ipv6(address)) => self.allows_address(address.into()),
            None => false,
        };
        scheme && host
    }

    /// Whether an address on the network may be called.
    #[must_use]
    pub fn allows_address(self, address: IpAddr) -> bool {
        let address = embedded(address);
        if address.is_loopback() {
            return self.loopback;
        }
        let public = match address {
            IpAddr::V4(address) => is_public_v4(address),
            IpAddr::V6(address) => is_public_v6(address),
        };
        public || self.private
    }
}

impl Resolve for Egress {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let usable: Vec<SocketAddr> =
                found.filter(|address| egress.allows_address(address.ip())).collect();
            if usable.is_empty() {
                return Err(Forbidden.into());
            }
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}

/// Whether an address names this machine.
#[must_use]
pub fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, translated (RFC 6052) or tunnelled (RFC 3056).
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => v4(high, low),
        _ => address,
    }
}

/// Not of the special purposes of RFC 6890.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        [0 | 10 | 127 | 240..=255, ..]
        | [100, 64..=127, ..]
        | [169, 254, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [192, 0, 0 | 2, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => true,
        _ => address.is_multicast(),
    };
    !special
}

/// Global unicast is all that is given out (RFC 4291, section 2.4), without what is for documentation and for protocols: of
/// the latter, Teredo hides an IPv4 address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, 0xdb8 | 0..=0x1ff, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Egress = Egress { private: false, loopback: false };

    #[test]
    fn only_public_addresses_may_be_called() {
        for (address, public) in [
            ("93.184.215.14", true),
            ("2606:2800:21f::1", true),
            ("127.0.0.1", false),
            ("127.9.9.9", false),
            ("0.0.0.0", false),
            ("10.0.0.1", false),
            ("100.64.0.1", false),
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("172.32.0.1", true),
            ("192.168.1.1", false),
            ("192.0.2.1", false),
            ("198.19.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:169.254.169.254", false),
            ("::ffff:93.184.215.14", true),
            ("64:ff9b::a00:1", false),
            ("2002:a00:1::", false),
            ("2001:0:5ef5::1", false),
            ("2001:4860::8888", true),
            ("3fff::1", false),
            ("fc00::1", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(STRICT.allows_address(address.parse().unwrap()), public, "{address}");
            let anywhere = Egress { private: true, loopback: true };
            assert!(anywhere.allows_address(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn other_spellings_of_an_address_are_seen_through() {
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:7f00:1]/",
            "http://bank.example/",
            "ftp://bank.example/",
            "file:///etc/passwd",
        ] {
            assert!(!STRICT.allows(&Url::parse(url).unwrap()), "{url}");
        }
        assert!(STRICT.allows(&Url::parse("https://bank.example/jwks").unwrap()));
    }

    #[test]
    fn the_machine_may_be_called_where_the_server_says_that_it_is_on_it() {
        let on_loopback = Egress::new(false, "http://127.0.0.1:8080");
        assert!(on_loopback.allows(&Url::parse("http://127.0.0.1:9/jwks").unwrap()));
        assert!(!on_loopback.allows(&Url::parse("https://10.0.0.1/jwks").unwrap()));
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_this_machine_has_no_address() {
        let resolved = STRICT.resolve("localhost".parse().unwrap()).await;
        let Err(error) = resolved else { panic!("it was resolved") };
        assert!(Forbidden::is_cause_of(&*error));
    }
}
