//! TLS: one certificate from files, which may be replaced while the server runs.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{sync::Notify, time::MissedTickBehavior};
use tokio_rustls::TlsAcceptor;

/// Where certificate and key are, and how often to look whether they changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the certificate of the server, then those of its issuers.
    pub certificate: PathBuf,
    /// PEM: the private key.
    pub key: PathBuf,
    /// Time between two looks.
    pub reload: Duration,
}

/// Why certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("{} cannot be read", .0.display())]
    File(PathBuf, #[source] pem::Error),
    /// The file holds no certificate.
    #[error("{} holds no certificate", .0.display())]
    Empty(PathBuf),
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("{} and {} cannot be used together", .0.certificate.display(), .0.key.display())]
    Pair(Box<TlsFiles>, #[source] rustls::Error),
    /// The library has no protocol version.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// The certificate in use and where it comes from. Clones share everything.
#[derive(Clone)]
pub struct Tls {
    files: Arc<TlsFiles>,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
    look: Arc<Notify>,
}

impl Tls {
    /// Reads certificate and key. TLS 1.2 and newer, HTTP/2 and HTTP/1.1.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pair = read(&files, &provider)?;
        let current =
            Arc::new(Current { pair: RwLock::new(pair), provider: Arc::clone(&provider) });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Current>::clone(&current));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Setup)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { files: Arc::new(files), current, acceptor, look: Arc::default() })
    }

    /// Looks at the files now.
    pub fn reload(&self) {
        self.look.notify_one();
    }

    pub(super) const fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Looks at the files until `stopped`, and takes a new pair. One that cannot be used is told, and the old one stays.
    pub(super) async fn watch(self, stopped: impl Future<Output = ()>) {
        let mut stopped = std::pin::pin!(stopped);
        let mut ticks = tokio::time::interval(self.files.reload);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = State::of(&self.files);
        loop {
            let asked = tokio::select! {
                () = &mut stopped => return,
                () = self.look.notified() => true,
                _ = ticks.tick() => false,
            };
            let found = State::of(&self.files);
            if asked || found != seen {
                seen = found;
                let this = self.clone();
                // Nothing else is lost with a look that panics.
                let _ = tokio::task::spawn_blocking(move || this.replace()).await;
            }
        }
    }

    fn replace(&self) {
        let certificate = self.files.certificate.display();
        match read(&self.files, &self.current.provider) {
            Ok(pair) => {
                *self.current.pair.write().unwrap_or_else(PoisonError::into_inner) = pair;
                tracing::info!(%certificate, "the certificate was read again");
            }
            Err(error) => {
                let cause = chain(&error);
                tracing::error!(%certificate, cause, "the certificate cannot be used; the old one stays");
            }
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.files).finish()
    }
}

fn chain(error: &TlsError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, TlsError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        |error| TlsError::File(path, error)
    };
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(at(&files.certificate))?;
    if certificates.is_empty() {
        return Err(TlsError::Empty(files.certificate.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(at(&files.key))?;
    let pair = CertifiedKey::from_der(certificates, key, provider);
    pair.map(Arc::new).map_err(|error| TlsError::Pair(Box::new(files.clone()), error))
}

struct Current {
    pair: RwLock<Arc<CertifiedKey>>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.pair.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// By what a change of the files is noticed.
#[derive(PartialEq, Eq)]
struct State([Option<(SystemTime, u64)>; 2]);

impl State {
    fn of(files: &TlsFiles) -> Self {
        let look = |path: &Path| -> io::Result<_> {
            let found = fs::metadata(path)?;
            Ok((found.modified()?, found.len()))
        };
        Self([look(&files.certificate).ok(), look(&files.key).ok()])
    }
}
