//! What a URL says of the way to the server, and the way itself.

use std::{net::IpAddr, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{Cause, StoreError};

pub(super) type Connector = MakeRustlsConnect;

/// Reads a URL of libpq's kind. TLS, which always checks the certificate and the name in it, is the rule; plain text is
/// for `sslmode=disable` and for a server on this machine.
pub(super) fn parse(url: &str) -> Result<(Config, Option<Connector>), StoreError> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let mut kept = Vec::new();
    let (mut mode, mut authorities) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match form_urlencoded::parse(pair.as_bytes()).next() {
            Some((name, value)) if name == "sslmode" => mode = Some(value.into_owned()),
            Some((name, value)) if name == "sslrootcert" => authorities = Some(value.into_owned()),
            _ => kept.push(pair),
        }
    }
    let mut config: Config = format!("{address}?{}", kept.join("&"))
        .parse()
        .map_err(|error| misfit("the URL of PostgreSQL makes no sense", Arc::new(error)))?;
    let is_plain = match mode.as_deref() {
        Some("disable") => true,
        Some("require" | "verify-full") => false,
        None | Some("prefer") => authorities.is_none() && is_local(&config),
        Some(_) => return Err(StoreError::unavailable("sslmode must be disable or verify-full")),
    };
    config.ssl_mode(if is_plain { SslMode::Disable } else { SslMode::Require });
    let connector = if is_plain { None } else { Some(connector(authorities.as_deref())?) };
    Ok((config, connector))
}

fn is_local(config: &Config) -> bool {
    let hosts = config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
    });
    hosts && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

/// Trusts the authorities in the PEM file, or those of the system.
fn connector(authorities: Option<&str>) -> Result<Connector, StoreError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| misfit("cannot read sslrootcert", Arc::new(error)))?;
            roots.add_parsable_certificates(certificates);
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(StoreError::unavailable("there is no authority to trust: set sslrootcert"));
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| misfit("TLS cannot be set up", Arc::new(error)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(tls))
}

fn misfit(what: &str, cause: Cause) -> StoreError {
    StoreError::Unavailable { what: what.to_owned(), source: Some(cause) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_plain(url: &str) -> bool {
        let (config, connector) = parse(url).unwrap();
        assert_eq!(config.get_ssl_mode() == SslMode::Disable, connector.is_none(), "{url}");
        connector.is_none()
    }

    #[test]
    fn plain_text_stays_on_the_machine_unless_asked_for() {
        for url in [
            "postgres://u@localhost/d",
            "postgres://u@127.0.0.1,[::1]/d",
            "postgres://u@%2Frun%2Fpostgresql/d",
            "postgres://u@db.example/d?sslmode=disable",
        ] {
            assert!(is_plain(url), "{url}");
        }
        let roots = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(roots.path(), AUTHORITY).unwrap();
        let roots = roots.path().display();
        for url in [
            format!("postgres://u@db.example/d?sslrootcert={roots}"),
            format!("postgres://u@localhost,db.example/d?sslrootcert={roots}"),
            format!("postgres://u@localhost/d?sslmode=require&sslrootcert={roots}"),
        ] {
            assert!(!is_plain(&url), "{url}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for url in [
            "postgres://u@localhost/d?sslmode=verify-ca",
            "postgres://u@localhost/d?colour=blue",
            "postgres://u@localhost/d?sslrootcert=/does/not/exist",
        ] {
            assert!(matches!(parse(url), Err(StoreError::Unavailable { .. })), "{url}");
        }
    }

    const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBiTCCAS+gAwIBAgIUSIMDDA3hdB3Jo1kdKSxG2RKCR9AwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOVGVzdCBhdXRob3JpdHkwIBcNMjYxMTIzMjIyNzA0WhgPMjEy
NjEwMzAyMjI3MDRaMBkxFzAVBgNVBAMMDlRlc3QgYXV0aG9yaXR5MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEubX5r6ywneY9dGNullEpMckFB40e4zhuGfE9KJSQ
2rfBFCwbzM6kduPFQ01Ilv6NU0H9ZnsHlsKDJQ0olBbR7KNTMFEwHQYDVR0OBBYE
FBNyB+ozO9k0VmpwEStuQc5EAQtrMB8GA1UdIwQYMBaAFBNyB+ozO9k0VmpwEStu
Qc5EAQtrMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgGi4Uz3VC
zvfWdAwPLfGu7g11mdTjIVC6Ndt9Aha673QCIQD0d2aVLkehaSma15KdyleV5eQf
xfp0zGy2jyHE2qq8Rw==
-----END CERTIFICATE-----
";
}
