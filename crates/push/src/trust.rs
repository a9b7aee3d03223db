//! Which certificates of push services are believed: those that the system believes, and those that the operator adds.

use std::sync::Arc;

use reqwest::{Certificate, Client, ClientBuilder, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, crypto};
use tokio::sync::OnceCell;

use crate::egress::Egress;
use crate::settings::{Settings, SettingsError};

/// The protocol that APNs speaks, as TLS names it (RFC 7301).
pub const H2: &[u8] = b"h2";

/// The certificates that are believed, and clients that believe them. Each is made when it is first needed, since reading the
/// system's certificates takes longer than starting the server.
pub struct Trust {
    settings: Settings,
    added: RootCertStore,
    config: OnceCell<Arc<ClientConfig>>,
    of_operator: OnceCell<Client>,
    of_strangers: OnceCell<Client>,
}

impl Trust {
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let mut added = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&settings.roots) {
            let certificate = certificate.map_err(|_| SettingsError::Roots)?;
            added.add(certificate).map_err(|_| SettingsError::Roots)?;
        }
        // A file of something else would be found out by failed handshakes only.
        if added.is_empty() && !settings.roots.is_empty() {
            return Err(SettingsError::Roots);
        }
        let [of_operator, of_strangers] = [OnceCell::new(), OnceCell::new()];
        Ok(Self { settings, added, config: OnceCell::new(), of_operator, of_strangers })
    }

    /// For TLS to APNs.
    pub async fn client_config(&self) -> Arc<ClientConfig> {
        let made = self.config.get_or_init(|| async {
            let mut roots = self.added.clone();
            let native = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
            // Without the system's certificates, those of the operator still count; a failed handshake says the rest.
            if let Ok(native) = native {
                roots.add_parsable_certificates(native.certs);
            }
            let mut config = client_config(roots);
            config.alpn_protocols = vec![H2.to_vec()];
            Arc::new(config)
        });
        Arc::clone(made.await)
    }

    /// For calls to addresses that the operator has set, or that are built in.
    pub async fn client_of_operator(&self) -> Result<&Client, reqwest::Error> {
        self.of_operator.get_or_try_init(async || self.builder()?.build()).await
    }

    /// For calls to addresses that strangers have named.
    pub async fn client_of_strangers(&self) -> Result<&Client, reqwest::Error> {
        let egress: Egress = self.settings.egress;
        self.of_strangers
            .get_or_try_init(async || self.builder()?.dns_resolver(egress).build())
            .await
    }

    fn builder(&self) -> Result<ClientBuilder, reqwest::Error> {
        let added = Certificate::from_pem_bundle(&self.settings.roots)?;
        Ok(Client::builder()
            .connect_timeout(self.settings.connect_timeout)
            .timeout(self.settings.request_timeout)
            .redirect(redirect::Policy::none())
            // A proxy would resolve the name itself.
            .no_proxy()
            .tls_certs_merge(added))
    }
}

#[expect(clippy::expect_used, reason = "the provider supports the versions that rustls has")]
fn client_config(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
