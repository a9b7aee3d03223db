//! A certificate authority of this emulator alone. Those who trust it trust it for the names of the emulator and for nothing else.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CidrSubnet, DnType, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What every emulator is called.
pub const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// Why there is no authority, or no certificate of it.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A name is not one, or a key is not one.
    #[error("no certificate can be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The certificate cannot be served.
    #[error("the certificate cannot be served: {0}")]
    Tls(#[from] rustls::Error),
}

/// A private certificate authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    names: Vec<String>,
}

impl Authority {
    /// A new authority for [`NAMES`].
    pub fn new() -> Result<Self, AuthorityError> {
        Self::open(&Self::new_key()?, &[])
    }

    /// The private key of a new authority, in PEM.
    pub fn new_key() -> Result<String, AuthorityError> {
        Ok(KeyPair::generate()?.serialize_pem())
    }

    /// The authority of this private key, for [`NAMES`] and `further_names`. Its certificate is made anew, but what it has signed before
    /// is valid under the new one too, and the other way round.
    pub fn open(key: &str, further_names: &[String]) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(key)?;
        let names: Vec<_> =
            NAMES.into_iter().map(str::to_owned).chain(further_names.iter().cloned()).collect();
        let mut parameters = CertificateParams::default();
        parameters
            .distinguished_name
            .push(DnType::CommonName, "Countersign emulator: trust it in tests only");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters.name_constraints = Some(NameConstraints {
            permitted_subtrees: names.iter().map(|name| subtree(name)).collect(),
            excluded_subtrees: Vec::new(),
        });
        Ok(Self { issuer: CertifiedIssuer::self_signed(parameters, key)?, names })
    }

    /// Its certificate, which a client of the emulated services must trust.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// How a server proves to be this emulator, and which protocols it speaks.
    pub(crate) fn tls(&self, protocols: &[&str]) -> Result<Arc<ServerConfig>, AuthorityError> {
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new(self.names.clone())?.signed_by(&key, &self.issuer)?;
        let chain = vec![certificate.der().clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        tls.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Arc::new(tls))
    }
}

fn subtree(name: &str) -> GeneralSubtree {
    match name.parse::<IpAddr>() {
        Ok(address) => {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, bits))
        }
        Err(_) => GeneralSubtree::DnsName(name.to_owned()),
    }
}
