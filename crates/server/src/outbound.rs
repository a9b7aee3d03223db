//! Calls that the server makes to addresses which clients have registered: what may be called, and how long it may take.
//!
//! Such an address is a stranger's word, so the rules of `countersign_push::egress` hold for it.

use std::time::Duration;

use countersign_push::egress::{Egress, Forbidden};
use reqwest::{
    Certificate, Client, Method, RequestBuilder, Response,
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use tokio::sync::OnceCell;
use url::Url;

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
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The authorities cannot be read.
    #[error("the client for outbound calls cannot be made")]
    Client(#[source] reqwest::Error),
    /// No answer, not in time, or not over a connection that can be trusted.
    #[error("the call failed")]
    Call(#[source] reqwest::Error),
    /// Not 200. Redirects are not followed.
    #[error("the answer has status {0}")]
    Status(u16),
    /// A header field cannot be sent.
    #[error("a header field cannot be sent")]
    Header,
    /// More than may be read.
    #[error("the answer is too long")]
    TooLong,
}

impl OutboundError {
    /// Whether the address must not be called, by itself or by what its name resolves to.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Forbidden(_)) || Forbidden::is_cause_of(self)
    }
}

/// Makes outbound calls.
pub(crate) struct Outbound {
    settings: Settings,
    egress: Egress,
    /// Made with the first call, since reading the system's authorities takes longer than starting the server.
    client: OnceCell<Client>,
    /// Believes every certificate, for receivers of which an administrator has said so.
    credulous: OnceCell<Client>,
}

/// A call with a body of its own.
pub(crate) struct Call<'a> {
    pub address: &'a str,
    /// Of two of the same name the later one counts.
    pub headers: Vec<(&'a str, &'a str)>,
    pub body: String,
    pub timeout: Duration,
    pub verifies_certificate: bool,
}

impl Outbound {
    /// For a server that says that it is at `base_url`.
    pub fn new(settings: Settings, base_url: &str) -> Self {
        let egress = Egress::new(settings.private_addresses, base_url);
        Self { settings, egress, client: OnceCell::new(), credulous: OnceCell::new() }
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

    /// Whether an address may be called, as far as it tells by itself.
    pub fn allows(&self, address: &str) -> bool {
        Url::parse(address).is_ok_and(|url| self.egress.allows(&url))
    }

    /// Posts to an address, and tells the status of the answer. Its body is not read.
    pub async fn post(&self, call: Call<'_>) -> Result<u16, OutboundError> {
        let Call { address, headers, body, timeout, verifies_certificate } = call;
        let mut fields = HeaderMap::new();
        for (name, value) in headers {
            let name =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| OutboundError::Header)?;
            let mut value = HeaderValue::from_str(value).map_err(|_| OutboundError::Header)?;
            value.set_sensitive(true);
            fields.insert(name, value);
        }
        let client = if verifies_certificate { &self.client } else { &self.credulous };
        let client = client.get_or_try_init(async || self.build(verifies_certificate)).await?;
        let request = client.post(self.permitted(address)?).headers(fields).body(body);
        let response = request.timeout(timeout).send().await.map_err(OutboundError::Call)?;
        Ok(response.status().as_u16())
    }

    fn permitted(&self, address: &str) -> Result<Url, OutboundError> {
        let url = Url::parse(address).map_err(|_| Forbidden)?;
        if self.egress.allows(&url) { Ok(url) } else { Err(Forbidden.into()) }
    }

    async fn call(
        &self,
        method: Method,
        address: &str,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, OutboundError> {
        let url = self.permitted(address)?;
        let client = self.client.get_or_try_init(async || self.build(true)).await?;
        fill(client.request(method, url)).send().await.map_err(OutboundError::Call)
    }

    fn build(&self, verifies_certificates: bool) -> Result<Client, OutboundError> {
        let authorities = Certificate::from_pem_bundle(&self.settings.authorities);
        let authorities = authorities.map_err(OutboundError::Client)?;
        Client::builder()
            .timeout(self.settings.timeout)
            .redirect(redirect::Policy::none())
            // A proxy would resolve the name itself.
            .no_proxy()
            .dns_resolver(self.egress)
            .pool_max_idle_per_host(0)
            .tls_certs_merge(authorities)
            .tls_danger_accept_invalid_certs(!verifies_certificates)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_of_this_machine_is_refused_when_it_has_been_resolved() {
        let outbound = Outbound::new(Settings::default(), "https://id.example");
        let refused = outbound.get("https://localhost:1/jwks", 1).await;
        let Err(error @ OutboundError::Call(_)) = refused else { panic!("not refused") };
        assert!(error.is_forbidden());
    }

    #[test]
    fn the_age_of_an_answer_is_read() {
        assert_eq!(max_age("public, max-age=300, must-revalidate"), Some(300));
        assert_eq!(max_age("s-maxage=300"), None);
        assert_eq!(max_age("max-age=x"), None);
    }
}
