//! Whom to trust: the system's authorities, and those of configured files.
//!
//! The system's are read once, when the first connection needs them. Where a host is insecure nothing is checked: that is
//! what was asked for.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::error::Error;
use crate::limits::CERTIFICATE_BYTES;

/// What is known of authorities.
#[derive(Debug)]
pub(crate) struct Trust {
    provider: Arc<CryptoProvider>,
    system: OnceLock<System>,
}

/// The system's authorities, and why there are none if there are none.
#[derive(Debug)]
struct System {
    certificates: Vec<Certificate<'static>>,
    problem: Option<String>,
}

impl Trust {
    pub(crate) fn new() -> Self {
        Self { provider: Arc::new(rustls::crypto::ring::default_provider()), system: OnceLock::new() }
    }

    /// How TLS is spoken: unchecked, or with the system's authorities and those of files.
    ///
    /// # Errors
    /// A file cannot be used, or there is no authority at all.
    pub(crate) fn config(&self, insecure: bool, files: &[PathBuf]) -> Result<TlsConfig, Error> {
        let builder = TlsConfig::builder().unversioned_rustls_crypto_provider(Arc::clone(&self.provider));
        if insecure {
            // The empty list stands for itself: without one, ureq looks for a list of its own.
            return Ok(builder.root_certs(RootCerts::new_with_certs(&[])).disable_verification(true).build());
        }
        let system = self.system.get_or_init(System::load);
        let mut certificates = system.certificates.clone();
        for file in files {
            certificates.extend(read(file)?);
        }
        if certificates.is_empty() {
            let problem = system.problem.as_deref().map_or(String::new(), |problem| format!(" ({problem})"));
            return Err(Error::Settings {
                what: "certificates of the system".to_owned(),
                reason: format!("there are none, so that no server can be trusted{problem}"),
            });
        }
        Ok(builder.root_certs(RootCerts::new_with_certs(&certificates)).build())
    }
}

impl System {
    fn load() -> Self {
        let loaded = rustls_native_certs::load_native_certs();
        Self {
            certificates: loaded.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect(),
            problem: loaded.errors.first().map(ToString::to_string),
        }
    }
}

/// The certificates of a file (PEM).
fn read(path: &Path) -> Result<Vec<Certificate<'static>>, Error> {
    let unusable = |reason: String| Error::Settings { what: format!("certificates {}", path.display()), reason };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(CERTIFICATE_BYTES.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|error| unusable(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > CERTIFICATE_BYTES {
        return Err(unusable(format!("it has more than {CERTIFICATE_BYTES} bytes")));
    }
    let mut certificates = Vec::new();
    for item in parse_pem(&bytes) {
        match item {
            Ok(PemItem::Certificate(certificate)) => {
                // One that does not parse would be left out later, without a word.
                RootCertStore::empty()
                    .add(CertificateDer::from(certificate.der()))
                    .map_err(|error| unusable(format!("a certificate in it cannot be used: {error}")))?;
                certificates.push(certificate);
            }
            Ok(_) => {}
            Err(error) => return Err(unusable(format!("it is not PEM: {error}"))),
        }
    }
    if certificates.is_empty() {
        return Err(unusable("there is no certificate in it (PEM is expected)".to_owned()));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let cases: [(&str, Option<&[u8]>, &str); 4] = [
            ("missing.pem", None, "cannot be read"),
            ("empty.pem", Some(b""), "no certificate"),
            ("text.pem", Some(b"hello"), "no certificate"),
            ("bad.pem", Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "cannot be used"),
        ];
        for (name, content, reason) in cases {
            let path = directory.path().join(name);
            if let Some(content) = content {
                std::fs::write(&path, content).expect("written");
            }
            let error = Trust::new().config(false, &[path]).expect_err(name).to_string();
            assert!(error.contains(name) && error.contains(reason), "{error}");
        }
    }

    #[test]
    fn an_insecure_host_needs_no_file() {
        let config = Trust::new().config(true, &["/nowhere".into()]).expect("a configuration");
        assert!(config.disable_verification());
    }
}
