//! The client's side of TLS: the same suite and key exchange with every server, so that none has
//! less to compute.
//!
//! Any certificate is taken, and its signature isn't looked at: the servers make theirs at start,
//! on this machine, and the load has to cost less than what it measures.

use anyhow::Context as _;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConnection, Resumption};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme, version};
use std::sync::Arc;

/// What ALPN calls it.
pub(crate) const HTTP_1_1: &[u8] = b"http/1.1";

/// TLS 1.3 with AES-256-GCM, X25519 and a certificate on P-256; `protocol` by ALPN.
///
/// # Errors
///
/// When rustls can't do that.
pub(crate) fn config(resumption: Resumption, protocol: &[u8]) -> anyhow::Result<Arc<ClientConfig>> {
    let provider = CryptoProvider {
        cipher_suites: vec![ring::cipher_suite::TLS13_AES_256_GCM_SHA384],
        kx_groups: vec![ring::kx_group::X25519],
        ..ring::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&version::TLS13])
        .context("no TLS 1.3 to ask with")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = resumption;
    Ok(Arc::new(config))
}

/// A session whose handshake is still to be made.
///
/// # Errors
///
/// When there are no random numbers.
pub(crate) fn session(config: &Arc<ClientConfig>) -> anyhow::Result<ClientConnection> {
    let name = ServerName::try_from("localhost")?;
    ClientConnection::new(Arc::clone(config), name).context("cannot begin a TLS session")
}

/// That a server chose what was offered; rustls takes nothing else.
///
/// # Errors
///
/// When it ignores ALPN.
pub(crate) fn check(session: &ClientConnection) -> anyhow::Result<()> {
    anyhow::ensure!(
        session.alpn_protocol().is_some(),
        "the server chooses nothing by ALPN"
    );
    Ok(())
}

/// Trusts whoever answers.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
