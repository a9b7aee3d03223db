//! Calls that the server makes to addresses which clients have registered: what may be called, and how long it may take.
//!
//! Such an address is a stranger's word. It must not reach what only this machine or its network can reach (server-side
//! request forgery), so each address that a name resolves to is checked, and the connection goes to the checked one.

use std::{
    error::Error,
    iter,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use reqwest::{
    Certificate, Client, Method, RequestBuilder, Response,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use tokio::sync::OnceCell;
use url::{Host, Url};

/// Settings of outbound calls.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether addresses of private networks and of this machine may be called. The machine itself may always be where the
    /// server says that it is at a loopback address.
    pub private_addresses: bool,
    /// Certificates of authorities to trust beside the system's, in PEM; may be empty.
    pub authorities: Vec<u8>,
    /// How long one call may take, from the name to the last byte.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let timeout = Duration::from_secs(3);
        Self { private_addresses: false, authorities: Vec::new(), timeout }
    }
}

/// Why a call did not succeed. For the log: it would tell a stranger what there is in our network.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The address must not be called.
    #[error("the address must be https, or http on this machine, and not of a private network")]
    Forbidden,
    /// The authorities cannot be read.
    #[error("the client for outbound calls cannot be made")]
    Client(#[source] reqwest::Error),
    /// No answer, not in time, or not over a connection that can be trusted.
    #[error("the call failed")]
    Call(#[source] reqwest::Error),
    /// Not 200. Redirects are not followed.
    #[error("the answer has status {0}")]
    Status(u16),
    /// More than may be read.
    #[error("the answer is too long")]
    TooLong,
}

impl OutboundError {
    /// Whether the address must not be called, by itself or by what its name resolves to.
    pub fn is_forbidden(&self) -> bool {
        let causes =
            iter::successors(Some(self as &(dyn Error + 'static)), |error| (*error).source());
        causes
            .filter_map(|error| error.downcast_ref::<Self>())
            .any(|error| matches!(error, Self::Forbidden))
    }
}

/// Makes outbound calls.
pub(crate) struct Outbound {
    settings: Settings,
    allowed: Allowed,
    /// Made with the first call, since reading the system's authorities takes longer than starting the server.
    client: OnceCell<Client>,
}

impl Outbound {
    /// For a server that says that it is at `base_url`.
    pub fn new(settings: Settings, base_url: &str) -> Self {
        let allowed = Allowed {
            private: settings.private_addresses,
            loopback: settings.private_addresses
                || Url::parse(base_url).is_ok_and(|url| is_this_machine(&url)),
        };
        Self { settings, allowed, client: OnceCell::new() }
    }

    /// Reads at most `max_bytes` from an address.
    pub async fn get(&self, address: &str, max_bytes: usize) -> Result<Answer, OutboundError> {
        let response = self.call(Method::GET, address, |request| request).await?;
        match response.status().as_u16() {
            200 => Answer::read(response, max_bytes).await,
            status => Err(OutboundError::Status(status)),
        }
    }

    /// Posts a form to an address, and tells the status of the answer. Its body is not read.
    pub async fn post_form(
        &self,
        address: &str,
        members: &[(&str, &str)],
    ) -> Result<u16, OutboundError> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish();
        let filled = |request: RequestBuilder| {
            request.header("content-type", "application/x-www-form-urlencoded").body(form)
        };
        let response = self.call(Method::POST, address, filled).await?;
        Ok(response.status().as_u16())
    }

    async fn call(
        &self,
        method: Method,
        address: &str,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, OutboundError> {
        let url = Url::parse(address).map_err(|_| OutboundError::Forbidden)?;
        if !self.allowed.url(&url) {
            return Err(OutboundError::Forbidden);
        }
        let client = self.client.get_or_try_init(async || self.build()).await?;
        fill(client.request(method, url)).send().await.map_err(OutboundError::Call)
    }

    fn build(&self) -> Result<Client, OutboundError> {
        let authorities = Certificate::from_pem_bundle(&self.settings.authorities);
        let authorities = authorities.map_err(OutboundError::Client)?;
        Client::builder()
            .timeout(self.settings.timeout)
            .redirect(redirect::Policy::none())
            // A proxy would resolve the name itself.
            .no_proxy()
            .dns_resolver(self.allowed)
            .pool_max_idle_per_host(0)
            .tls_certs_merge(authorities)
            .build()
            .map_err(OutboundError::Client)
    }
}

/// What was read.
pub(crate) struct Answer {
    pub body: Vec<u8>,
    /// `max-age` of `Cache-Control`, in seconds.
    pub max_age: Option<i64>,
}

impl Answer {
    async fn read(mut response: Response, max_bytes: usize) -> Result<Self, OutboundError> {
        let cache = response.headers().get("cache-control").and_then(|value| value.to_str().ok());
        let max_age = cache.and_then(max_age);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(OutboundError::Call)? {
            if body.len().saturating_add(chunk.len()) > max_bytes {
                return Err(OutboundError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self { body, max_age })
    }
}

/// Seconds that an answer stays fresh (RFC 9111, section 5.2.2.1).
fn max_age(cache_control: &str) -> Option<i64> {
    let mut directives = cache_control.split(',').map(str::trim);
    directives.find_map(|directive| directive.strip_prefix("max-age=")?.parse().ok())
}

/// Which addresses may be called.
#[derive(Clone, Copy, Debug)]
struct Allowed {
    private: bool,
    loopback: bool,
}

impl Allowed {
    fn url(self, url: &Url) -> bool {
        let scheme = match url.scheme() {
            "https" => true,
            "http" => is_this_machine(url),
            _ => false,
        };
        // A name is checked when it has been resolved; an address never is.
        let host = match url.host() {
            Some(Host::Domain(_)) => true,
            Some(Host::Ipv4(address)) => self.address(address.into()),
            Some(Host::Ipv6(address)) => self.address(address.into()),
            None => false,
        };
        scheme && host
    }

    fn address(self, address: IpAddr) -> bool {
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

impl Resolve for Allowed {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let usable: Vec<SocketAddr> =
                found.filter(|address| allowed.address(address.ip())).collect();
            if usable.is_empty() {
                return Err(OutboundError::Forbidden.into());
            }
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}

fn is_this_machine(url: &Url) -> bool {
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

/// Global unicast is all that is given out (RFC 4291, section 2.4), without what is for documentation.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    first & 0xe000 == 0x2000 && (first, second) != (0x2001, 0xdb8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Allowed = Allowed { private: false, loopback: false };

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
            ("fc00::1", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(STRICT.address(address.parse().unwrap()), public, "{address}");
            let anywhere = Allowed { private: true, loopback: true };
            assert!(anywhere.address(address.parse().unwrap()), "{address}");
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
            assert!(!STRICT.url(&Url::parse(url).unwrap()), "{url}");
        }
        assert!(STRICT.url(&Url::parse("https://bank.example/jwks").unwrap()));
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_refused_when_it_has_been_resolved() {
        let outbound = Outbound::new(Settings::default(), "https://id.example");
        let refused = outbound.get("https://localhost:1/jwks", 1).await;
        let Err(error @ OutboundError::Call(_)) = refused else { panic!("not refused") };
        assert!(error.is_forbidden());
    }

    #[test]
    fn the_machine_may_be_called_where_the_server_says_that_it_is_on_it() {
        let on_loopback = Outbound::new(Settings::default(), "http://127.0.0.1:8080").allowed;
        assert!(on_loopback.url(&Url::parse("http://127.0.0.1:9/jwks").unwrap()));
        assert!(!on_loopback.url(&Url::parse("https://10.0.0.1/jwks").unwrap()));
    }

    #[test]
    fn the_age_of_an_answer_is_read() {
        assert_eq!(max_age("public, max-age=300, must-revalidate"), Some(300));
        assert_eq!(max_age("s-maxage=300"), None);
        assert_eq!(max_age("max-age=x"), None);
    }
}
