//! A certificate authority, and clients that trust it.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_tls::{
    Certificate, Provider, TlsConfig,
    rustls::{
        ClientConfig, DEFAULT_VERSIONS, RootCertStore, SupportedProtocolVersion,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    },
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{Connect, TlsConnector, client::TlsStream};

static AUTHORITIES: AtomicUsize = AtomicUsize::new(1);

/// A certificate authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    server: Identity,
}

/// A certificate and its key.
pub(crate) struct Identity {
    /// The chain in PEM.
    pub(crate) chain: String,
    /// The key in PEM.
    pub(crate) key: String,
    pub(crate) der: CertificateDer<'static>,
    pub(crate) key_der: PrivateKeyDer<'static>,
}

impl Identity {
    pub(crate) fn certificate(&self) -> Certificate {
        Certificate::pem(&*self.chain, &*self.key)
    }

    pub(crate) fn server(&self) -> TlsConfig {
        TlsConfig::new(self.certificate())
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::of(CertifiedIssuer::self_signed(authority(), KeyPair::generate().unwrap()).unwrap())
    }

    /// An intermediate authority that this one has signed.
    pub(crate) fn intermediate(&self) -> Self {
        self.sign(authority())
    }

    /// One whose certificate has expired on 2020-02-29.
    pub(crate) fn expired_intermediate(&self) -> Self {
        let mut params = authority();
        params.not_after = date_time_ymd(2020, 2, 29);
        self.sign(params)
    }

    fn sign(&self, authority: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        Self::of(CertifiedIssuer::signed_by(authority, key, &self.issuer).unwrap())
    }

    fn of(issuer: CertifiedIssuer<'static, KeyPair>) -> Self {
        let server = issue(&issuer, "server", &["localhost"], |_| {});
        Self { issuer, server }
    }

    /// A certificate for these names. Only tests use its common name.
    pub(crate) fn issue(&self, common_name: &str, names: &[&str]) -> Identity {
        issue(&self.issuer, common_name, names, |_| {})
    }

    pub(crate) fn issue_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        issue(&self.issuer, "server", names, change)
    }

    /// The authority's own certificate, in PEM.
    pub(crate) fn root_pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn root_der(&self) -> CertificateDer<'static> {
        let root: &CertificateDer<'static> = self.issuer.der();
        root.clone()
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.root_der()).unwrap();
        roots
    }

    /// The certificate for `localhost`.
    pub(crate) fn localhost(&self) -> &Identity {
        &self.server
    }

    /// A configuration with the certificate for `localhost`.
    pub(crate) fn server(&self) -> TlsConfig {
        self.server.server()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.client_config(None))
    }

    /// A client that offers HTTP/2 by ALPN.
    pub(crate) fn h2_client(&self) -> Client {
        let mut config = self.client_config(None);
        config.alpn_protocols = vec![b"h2".to_vec()];
        Client::new(config)
    }

    /// The configuration of a client that trusts this authority, and presents `identity` on
    /// request.
    pub(crate) fn client_config(&self, identity: Option<&Identity>) -> ClientConfig {
        self.config_of(DEFAULT_VERSIONS, identity)
    }

    /// The configuration of a client that supports only this version.
    pub(crate) fn only(&self, version: &'static SupportedProtocolVersion) -> ClientConfig {
        self.config_of(&[version], None)
    }

    pub(crate) fn only_as(
        &self,
        version: &'static SupportedProtocolVersion,
        identity: &Identity,
    ) -> ClientConfig {
        self.config_of(&[version], Some(identity))
    }

    fn config_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        identity: Option<&Identity>,
    ) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(Provider::Ring.rustls())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots());
        match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(vec![identity.der.clone()], identity.key_der.clone_key())
                .unwrap(),
        }
    }
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // With two authorities of one name, clients would check a certificate with the wrong key.
    let name = format!("authority {}", AUTHORITIES.fetch_add(1, Relaxed));
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn issue(
    issuer: &CertifiedIssuer<'static, KeyPair>,
    common_name: &str,
    names: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> Identity {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    change(&mut params);
    let certificate = params.signed_by(&key, issuer).unwrap();
    Identity {
        chain: certificate.pem(),
        key: key.serialize_pem(),
        der: certificate.der().clone(),
        key_der: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
    }
}

/// A client that trusts an [`Authority`].
#[derive(Clone)]
pub(crate) struct Client(TlsConnector);

impl Client {
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self(TlsConnector::from(Arc::new(config)))
    }

    pub(crate) async fn connect<S: Stream>(&self, stream: S) -> io::Result<LazyTls<S>> {
        Ok(LazyTls::Connected(Box::new(self.handshake(stream).await?)))
    }

    /// A stream whose handshake starts when it is used.
    pub(crate) fn connect_lazily<S: Stream>(&self, stream: S) -> LazyTls<S> {
        LazyTls::Handshaking(Box::new(self.handshake(stream)))
    }

    /// The future of a handshake with `localhost`.
    pub(crate) fn handshake<S: Stream>(&self, stream: S) -> Connect<S> {
        self.handshake_with("localhost", stream)
    }

    pub(crate) fn handshake_with<S: Stream>(&self, name: &'static str, stream: S) -> Connect<S> {
        self.0.connect(ServerName::try_from(name).unwrap(), stream)
    }
}

/// A stream over which a client can run TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// A client's stream, whose handshake may not have finished.
pub(crate) enum LazyTls<S> {
    Handshaking(Box<Connect<S>>),
    Connected(Box<TlsStream<S>>),
    Refused,
}

impl<S: Stream> LazyTls<S> {
    /// The inner stream, once the handshake has finished.
    pub(crate) fn inner(&self) -> Option<&S> {
        match self {
            Self::Connected(stream) => Some(stream.get_ref().0),
            _ => None,
        }
    }

    fn poll_connected(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut TlsStream<S>>>> {
        if let Self::Handshaking(connect) = self {
            let connected = ready!(Pin::new(&mut **connect).poll(cx));
            *self = Self::Refused;
            *self = Self::Connected(Box::new(connected?));
        }
        match self {
            Self::Connected(stream) => Poll::Ready(Ok(Pin::new(&mut **stream))),
            _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl<S: Stream> AsyncRead for LazyTls<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_connected(cx))?.poll_read(cx, buf)
    }
}

impl<S: Stream> AsyncWrite for LazyTls<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_connected(cx))?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_connected(cx))?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_connected(cx))?.poll_shutdown(cx)
    }
}
