//! Whether the certificate can be used, is for the public address, and is valid for a while.

use std::{fs, time::Duration};

use countersign_protocol::time::{Clock, SystemClock};
use countersign_server::{Tls, TlsFiles};
use rustls::pki_types::{CertificateDer, ServerName};
use url::Url;
use webpki::EndEntityCert;
use x509_cert::Certificate;

use super::Finding;
use crate::config::Resolved;

/// How long before its end a certificate should have been renewed.
const SOON: Duration = Duration::from_hours(14 * 24);

pub(super) fn look(configuration: &Resolved) -> Vec<Finding> {
    let Some(files) = &configuration.tls else { return Vec::new() };
    let shown = files.certificate.display();
    if let Err(error) = Tls::load(files.clone()) {
        let error = crate::Broken::from(error);
        return vec![Finding::error(format!("certificate: {error}"), "see [tls]")];
    }
    let url = configuration.settings(configuration.listen).base_url;
    let host = Url::parse(&url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let now = Duration::from_micros(u64::try_from(SystemClock.now().micros()).unwrap_or(0));
    match first(files) {
        Some(certificate) => judge(&certificate, host.as_deref().unwrap_or_default(), now),
        None => vec![Finding::error(format!("certificate: {shown} cannot be read"), "see [tls]")],
    }
}

fn first(files: &TlsFiles) -> Option<Certificate> {
    let pem = fs::read(&files.certificate).ok()?;
    Certificate::load_pem_chain(&pem).ok()?.into_iter().next()
}

fn judge(certificate: &Certificate, host: &str, now: Duration) -> Vec<Finding> {
    let validity = &certificate.tbs_certificate.validity;
    let (begin, end) =
        (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration());
    let until = validity.not_after;
    let renew = "renew it; the server takes new files by itself";
    let life = if now < begin {
        Finding::error(format!("certificate: it is valid only from {}", validity.not_before), renew)
    } else if now >= end {
        Finding::error(format!("certificate: it has ended on {until}"), renew)
    } else if now + SOON >= end {
        Finding::warning(format!("certificate: it ends soon, on {until}"), renew)
    } else {
        Finding::ok(format!("certificate: it is valid until {until}"))
    };
    let name = if is_for(certificate, host) {
        Finding::ok(format!("certificate: it is for {host}"))
    } else {
        Finding::error(
            format!("certificate: it is not for {host}, which is the public address"),
            "get one for that name, or correct server.public_url",
        )
    };
    vec![life, name]
}

fn is_for(certificate: &Certificate, host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let Ok(name) = ServerName::try_from(bare) else { return false };
    let Ok(der) = x509_cert::der::Encode::to_der(certificate) else { return false };
    let der = CertificateDer::from(der);
    EndEntityCert::try_from(&der)
        .is_ok_and(|certificate| certificate.verify_is_valid_for_subject_name(&name).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_certificate_is_judged_by_its_name_and_its_life() {
        let made = rcgen::generate_simple_self_signed(["id.example".to_owned(), "::1".to_owned()]);
        let pem = made.unwrap().cert.pem();
        let certificate = Certificate::load_pem_chain(pem.as_bytes()).unwrap().remove(0);
        let validity = certificate.tbs_certificate.validity;
        let end = validity.not_after.to_unix_duration();
        let before = |days: u64| end.saturating_sub(Duration::from_hours(24 * days));
        for (host, now, levels) in [
            ("id.example", before(100), [Level::Ok, Level::Ok]),
            ("[::1]", before(100), [Level::Ok, Level::Ok]),
            ("other.example", before(1), [Level::Warning, Level::Error]),
            ("id.example", end, [Level::Error, Level::Ok]),
            ("id.example", Duration::ZERO, [Level::Error, Level::Ok]),
        ] {
            let found = judge(&certificate, host, now);
            assert_eq!(found.iter().map(|f| f.level).collect::<Vec<_>>(), levels, "{found:?}");
        }
    }
}
