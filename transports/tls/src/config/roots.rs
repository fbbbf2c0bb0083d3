//! The certificate authorities that a peer's certificate is verified by.
use super::pem::Pem;
#[cfg(feature = "platform-roots")]
use anyport_core::Error;
use anyport_core::Result;
use rustls::RootCertStore;
use std::path::PathBuf;

/// The certificate authorities that issue the peers' certificates.
#[derive(Clone, Debug)]
pub struct Roots(Vec<Source>);

#[derive(Clone, Debug)]
enum Source {
    Pem(Pem),
    #[cfg(feature = "platform-roots")]
    Platform,
}

impl Roots {
    /// The certificates in a PEM file.
    #[must_use]
    pub fn pem_file(path: impl Into<PathBuf>) -> Self {
        Self(vec![Source::Pem(Pem::File(path.into()))])
    }

    /// The certificates in these bytes, in PEM.
    #[must_use]
    pub fn pem(bytes: impl Into<Vec<u8>>) -> Self {
        Self(vec![Source::Pem(Pem::Bytes(bytes.into().into()))])
    }

    /// The authorities that this system trusts. On Linux, that is a file such as
    /// `/etc/ssl/certs/ca-certificates.crt`, or the file and the directory that the variables
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` name. A certificate there that cannot be parsed is
    /// skipped. None at all is an error.
    #[cfg(feature = "platform-roots")]
    #[must_use]
    pub fn platform() -> Self {
        Self(vec![Source::Platform])
    }

    /// The certificates of both.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// `what` says what they are, in an error.
    pub(super) fn load(&self, what: &str) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        for source in &self.0 {
            match source {
                Source::Pem(pem) => load_pem(pem, what, &mut roots)?,
                #[cfg(feature = "platform-roots")]
                Source::Platform => load_platform(&mut roots)?,
            }
        }
        Ok(roots)
    }
}

fn load_pem(pem: &Pem, what: &str, roots: &mut RootCertStore) -> Result<()> {
    for (n, certificate) in pem.certificates(what)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| {
            let message = format!("certificate {} cannot be parsed: {error}", n + 1);
            pem.error(what, &message).with_source(error)
        })?;
    }
    Ok(())
}

#[cfg(feature = "platform-roots")]
fn load_platform(roots: &mut RootCertStore) -> Result<()> {
    let loaded = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(loaded.certs);
    if added > 0 {
        return Ok(());
    }
    let reason = match loaded.errors.first() {
        Some(error) => error.to_string(),
        None => "there are none".to_owned(),
    };
    Err(Error::config(format!(
        "cannot use the certificate authorities of this system: {reason} (install them, such as Debian's package `ca-certificates`, or name a file by `Roots::pem_file`)"
    )))
}
