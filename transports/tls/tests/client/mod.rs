//! A certificate authority and the clients that trust it.
use anyport_tls::{
    Provider, TlsConfig,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName},
    },
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{Connect, TlsConnector, client::TlsStream};

/// A certificate authority of a test's own.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    server: (String, String),
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = ["localhost".to_owned()];
        let certificate = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        Self {
            server: (certificate.pem(), key.serialize_pem()),
            issuer,
        }
    }

    /// Shows a certificate for `localhost`.
    pub(crate) fn server(&self) -> TlsConfig {
        TlsConfig::from_pem(&*self.server.0, &*self.server.1)
    }

    pub(crate) fn client(&self) -> Client {
        let mut roots = RootCertStore::empty();
        let root: &CertificateDer<'static> = self.issuer.der();
        roots.add(root.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Provider::Ring.rustls());
        let config = builder
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Client(TlsConnector::from(Arc::new(config)))
    }
}

/// Trusts an [`Authority`].
pub(crate) struct Client(TlsConnector);

impl Client {
    /// Makes the handshake.
    pub(crate) async fn connect<S: Stream>(&self, stream: S) -> io::Result<Lazy<S>> {
        Ok(Lazy::Up(Box::new(self.handshake(stream).await?)))
    }

    /// Makes it when the stream is used.
    pub(crate) fn knock<S: Stream>(&self, stream: S) -> Lazy<S> {
        Lazy::Knocking(Box::new(self.handshake(stream)))
    }

    fn handshake<S: Stream>(&self, stream: S) -> Connect<S> {
        let name = ServerName::try_from("localhost").unwrap();
        self.0.connect(name, stream)
    }
}

/// What TLS can be spoken over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// A client's stream, perhaps with its handshake yet to come.
pub(crate) enum Lazy<S> {
    Knocking(Box<Connect<S>>),
    Up(Box<TlsStream<S>>),
    Refused,
}

impl<S: Stream> Lazy<S> {
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut TlsStream<S>>>> {
        if let Self::Knocking(connect) = self {
            let connected = ready!(Pin::new(&mut **connect).poll(cx));
            *self = Self::Refused;
            *self = Self::Up(Box::new(connected?));
        }
        match self {
            Self::Up(stream) => Poll::Ready(Ok(Pin::new(&mut **stream))),
            _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl<S: Stream> AsyncRead for Lazy<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_up(cx))?.poll_read(cx, buf)
    }
}

impl<S: Stream> AsyncWrite for Lazy<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_up(cx))?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_up(cx))?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_up(cx))?.poll_shutdown(cx)
    }
}
