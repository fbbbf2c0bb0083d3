//! The connector, which wraps another one.
use crate::{
    TlsClientConfig, TlsClientHandshake, TlsConnection,
    config::{LoadedClient, invalid_name, server_name},
};
use anyport_core::{
    Result,
    transport::{Connector, Endpoint, Target},
};
use rustls::{ClientConnection, pki_types::ServerName};
use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// TLS over another connector: `TcpConnector::new().tls(config)?`.
///
/// The server's certificate is verified by the target's [host](Target::host), a DNS name or an IP
/// address. Without a host, it is verified by the IP address of the endpoint. A DNS name is sent to
/// the server (SNI, RFC 6066 3).
///
/// The first phase is that of the inner connector. The second phase is the handshake, which has no
/// deadline: drop it when your own deadline passes.
///
/// # Errors
///
/// An error says, after the target, what is wrong and what to do:
///
/// ```text
/// cannot connect to 192.0.2.1:443 (example.com): the server's certificate expired on 2026-01-31T12:00:00Z (renew it, or correct the clock of this machine)
/// ```
///
/// A refused certificate, an alert of the server and a peer that does not speak TLS are errors of
/// kind [`InvalidData`](io::ErrorKind). A target without a name to verify is
/// [`InvalidInput`](io::ErrorKind).
#[derive(Clone)]
pub struct TlsConnector<C> {
    inner: C,
    config: Arc<LoadedClient>,
}

/// Adds the method [`tls`](Self::tls) to every connector.
pub trait TlsConnectorExt: Connector {
    /// TLS over this connector. It reads the files of the configuration.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use anyport_core::{Connection, transport::{Connector, Target}};
    /// use anyport_tcp::TcpConnector;
    /// use anyport_tls::{Roots, TlsClientConfig, TlsConnectorExt};
    /// use std::net::SocketAddr;
    ///
    /// let config = TlsClientConfig::new(Roots::pem_file("authority.pem")).with_alpn(["h2"]);
    /// let connector = TcpConnector::new().tls(config)?;
    /// let target = Target::new(SocketAddr::from(([192, 0, 2, 1], 443))).with_host("example.com");
    /// let connection = connector.connect(&target).await?.await?;
    /// assert_eq!(connection.info().alpn(), Some(&b"h2"[..]));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// A file cannot be used. One line names the file and the reason.
    fn tls(self, config: TlsClientConfig) -> Result<TlsConnector<Self>> {
        Ok(TlsConnector {
            inner: self,
            config: Arc::new(config.load()?),
        })
    }
}

impl<C: Connector> TlsConnectorExt for C {}

impl<C: Connector> Connector for TlsConnector<C> {
    type Connection = TlsConnection<C::Connection, ClientConnection>;
    type Connecting = TlsConnecting<C>;
    type Handshake = TlsClientHandshake<C::Handshake, C::Connection>;

    fn connect(&self, target: &Target) -> TlsConnecting<C> {
        TlsConnecting {
            inner: self.inner.connect(target),
            target: target.clone(),
            config: Arc::clone(&self.config),
        }
    }
}

pin_project_lite::pin_project! {
    /// A [`TlsConnector`] in its first phase, which is that of the inner connector.
    #[must_use = "futures do nothing unless polled"]
    pub struct TlsConnecting<C: Connector> {
        #[pin]
        inner: C::Connecting,
        target: Target,
        config: Arc<LoadedClient>,
    }
}

impl<C: Connector> Future for TlsConnecting<C> {
    type Output = io::Result<TlsClientHandshake<C::Handshake, C::Connection>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let me = self.project();
        let name = match name_of(me.target, me.config) {
            Ok(name) => name,
            Err(error) => return Poll::Ready(Err(me.target.error(error))),
        };
        let handshake = ready!(me.inner.poll(cx))?;
        let (target, config) = (me.target.clone(), Arc::clone(me.config));
        Poll::Ready(Ok(TlsClientHandshake::new(handshake, target, name, config)))
    }
}

/// The name that the certificate is verified by.
fn name_of(target: &Target, config: &LoadedClient) -> io::Result<ServerName<'static>> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
    match (&config.server_name, target.host(), target.endpoint()) {
        (Some(name), ..) => Ok(name.clone()),
        (None, Some(host), _) => server_name(host)
            .ok_or_else(|| invalid(format!("TLS cannot verify the host: {}", invalid_name(host)))),
        (None, None, Endpoint::Tcp(address)) => Ok(ServerName::from(address.ip())),
        (None, None, _) => Err(invalid(
            "TLS needs a name to verify the server by (set `Target::with_host`, or `TlsClientConfig::with_server_name`)".to_owned(),
        )),
    }
}

impl<C: fmt::Debug> fmt::Debug for TlsConnector<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<C: Connector> fmt::Debug for TlsConnecting<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnecting")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
