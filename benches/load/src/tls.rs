//! The client's side of TLS, with one suite and key exchange, so that all servers compute the same.
//!
//! Certificates are not verified: the servers make theirs at start, on this machine, and the load
//! has to cost less than the servers.

use crate::Handshake;
use crate::connection::Bytes;
use anyhow::Context as _;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme, version};
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const HTTP_1_1: &[u8] = b"http/1.1";

/// TLS 1.3 with AES-256-GCM, X25519 and a certificate on P-256; HTTP/1.1 by ALPN.
pub(crate) fn config(resumption: Resumption) -> anyhow::Result<Arc<ClientConfig>> {
    let provider = CryptoProvider {
        cipher_suites: vec![ring::cipher_suite::TLS13_AES_256_GCM_SHA384],
        kx_groups: vec![ring::kx_group::X25519],
        ..ring::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&version::TLS13])
        .context("rustls has no TLS 1.3")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    config.resumption = resumption;
    Ok(Arc::new(config))
}

/// Makes a handshake.
pub(crate) async fn handshake(
    config: &Arc<ClientConfig>,
    stream: Box<dyn Bytes>,
) -> anyhow::Result<TlsStream<Box<dyn Bytes>>> {
    let name = ServerName::try_from("localhost")?;
    let connector = TlsConnector::from(Arc::clone(config));
    let connected = connector.connect(name, stream).await;
    let stream = connected.context("cannot make a TLS handshake")?;
    anyhow::ensure!(
        stream.get_ref().1.alpn_protocol().is_some(),
        "the server chooses nothing by ALPN"
    );
    Ok(stream)
}

/// Waits for a ticket, which the server sends after it has verified the client's last message; then
/// closes.
pub(crate) async fn check_and_close(
    stream: &mut TlsStream<Box<dyn Bytes>>,
    handshake: Handshake,
) -> anyhow::Result<()> {
    let ticket = poll_fn(|cx| {
        let mut byte = [0];
        let read = Pin::new(&mut *stream).poll_read(cx, &mut ReadBuf::new(&mut byte));
        match (read, stream.get_ref().1.tls13_tickets_received()) {
            (Poll::Pending, 0) => Poll::Pending,
            (Poll::Ready(read), 0) => {
                Poll::Ready(read.and_then(|()| Err(ErrorKind::UnexpectedEof.into())))
            }
            _ => Poll::Ready(Ok(())),
        }
    });
    ticket
        .await
        .context("the server closed a connection instead of sending a ticket")?;
    match (handshake, stream.get_ref().1.handshake_kind()) {
        (Handshake::Full, Some(HandshakeKind::Full)) => {}
        (Handshake::Resumed, Some(HandshakeKind::Resumed)) => {}
        (Handshake::Resumed, _) => {
            anyhow::bail!("the server did not resume a session that it had sent a ticket for")
        }
        (Handshake::Full, kind) => {
            anyhow::bail!("the server made a handshake of kind {kind:?} instead of a full one")
        }
    }
    // The server may have closed first.
    let _ = stream.shutdown().await;
    Ok(())
}

/// Accepts every certificate.
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
