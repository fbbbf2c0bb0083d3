//! Client authentication: whether clients present certificates, and which roots verify them.
use super::pem::Pem;
use anyport_core::{Error, Result};
use rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::{path::PathBuf, sync::Arc};

/// Whether clients present a certificate (mTLS). Their chain is verified up to one of the roots, at
/// the time of the handshake. Revocation is not checked. The app finds the chain in
/// [`TlsInfo::peer_certificates`](anyport_core::transport::TlsInfo::peer_certificates).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum ClientAuth {
    /// No certificate is requested.
    #[default]
    Off,
    /// A certificate is requested, and a client without one is served. A certificate that cannot be
    /// verified is rejected nevertheless.
    Optional(Roots),
    /// A client without a certificate is rejected.
    Required(Roots),
}

/// The certificate authorities that issue the clients' certificates, in PEM.
#[derive(Clone, Debug)]
pub struct Roots(Vec<Pem>);

impl Roots {
    /// The certificates in a file.
    #[must_use]
    pub fn pem_file(path: impl Into<PathBuf>) -> Self {
        Self(vec![Pem::File(path.into())])
    }

    /// The certificates in these bytes.
    #[must_use]
    pub fn pem(bytes: impl Into<Vec<u8>>) -> Self {
        Self(vec![Pem::Bytes(bytes.into().into())])
    }

    /// The certificates of both.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    fn load(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        for pem in &self.0 {
            for (n, certificate) in pem
                .certificates("client authorities")?
                .into_iter()
                .enumerate()
            {
                roots.add(certificate).map_err(|error| {
                    let message = format!("certificate {} cannot be parsed: {error}", n + 1);
                    pem.error("client authorities", &message).with_source(error)
                })?;
            }
        }
        Ok(roots)
    }
}

impl ClientAuth {
    pub(super) fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>> {
        let (roots, required) = match self {
            Self::Off => return Ok(None),
            Self::Optional(roots) => (roots, false),
            Self::Required(roots) => (roots, true),
        };
        let mut builder = WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots.load()?),
            Arc::clone(provider),
        );
        if !required {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().map_err(|error| {
            Error::config(format!("cannot verify clients' certificates: {error}"))
                .with_source(error)
        })?;
        Ok(Some(verifier))
    }
}
