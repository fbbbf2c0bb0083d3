//! Client authentication: whether clients present certificates, and which roots verify them.
use super::Roots;
use anyport_core::{Error, Result};
use rustls::{
    crypto::CryptoProvider,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::sync::Arc;

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
            Arc::new(roots.load("client authorities")?),
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
