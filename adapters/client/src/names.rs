//! The factory that connects to the host of an origin, with TLS for `https`.
use crate::{EitherConnection, MakeConnection, Origin};
use anyport_connect::{Connect, HappyEyeballs, Resolve, SystemResolver};
use anyport_core::transport::Connector;
use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

/// Connects to the host of the origin by Happy Eyeballs: to `http` origins with one connector, and
/// to `https` origins with the one of [`with_https`](Self::with_https).
///
/// ```no_run
/// use anyport_client::{Client, Names};
/// use anyport_connect::HappyEyeballs;
/// use anyport_core::{Body, Runtime, runtime::Tokio};
/// use anyport_tcp::TcpConnector;
/// use anyport_tls::{Roots, TlsClientConfig, TlsConnectorExt};
///
/// let timer = Tokio::current().timer();
/// let config = TlsClientConfig::new(Roots::pem_file("authority.pem"));
/// let tls = TcpConnector::new().tls(config.with_alpn(["h2", "http/1.1"]))?;
/// let names = Names::new(HappyEyeballs::new(TcpConnector::new(), timer.clone()))
///     .with_https(HappyEyeballs::new(tls, timer));
/// let client: Client<_, Body> = Client::builder(names).build();
/// # Ok::<(), anyport_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Names<C, S = C, R = SystemResolver> {
    http: HappyEyeballs<C, R>,
    https: Option<HappyEyeballs<S, R>>,
}

impl<C: Connector, R: Resolve> Names<C, C, R> {
    /// Connects to `http` origins. An `https` origin is an error.
    #[must_use]
    pub fn new(http: HappyEyeballs<C, R>) -> Self {
        Self { http, https: None }
    }

    /// Connects to `https` origins with this, whose connector speaks TLS. It offers the ALPN
    /// protocols that the client may speak: `h2` and `http/1.1`.
    #[must_use]
    pub fn with_https<S: Connector>(self, https: HappyEyeballs<S, R>) -> Names<C, S, R> {
        Names {
            http: self.http,
            https: Some(https),
        }
    }
}

impl<C: Connector, S: Connector, R: Resolve> MakeConnection for Names<C, S, R> {
    type Connection = EitherConnection<C::Connection, S::Connection>;
    type Future = ConnectNames<C, S, R>;

    fn make_connection(&self, origin: &Origin) -> Self::Future {
        let (host, port) = (origin.host(), origin.port());
        ConnectNames(match (&self.https, origin.is_https()) {
            (_, false) => Scheme::Http(self.http.connect(host, port)),
            (Some(https), true) => Scheme::Https(https.connect(host, port)),
            (None, true) => Scheme::NoHttps(origin.clone()),
        })
    }
}

/// The future of [`Names`].
#[must_use = "futures do nothing unless polled"]
pub struct ConnectNames<C: Connector, S: Connector, R: Resolve>(Scheme<C, S, R>);

enum Scheme<C: Connector, S: Connector, R: Resolve> {
    Http(Connect<C, R>),
    Https(Connect<S, R>),
    NoHttps(Origin),
}

impl<C: Connector, S: Connector, R: Resolve> Future for ConnectNames<C, S, R> {
    type Output = io::Result<EitherConnection<C::Connection, S::Connection>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Scheme::Http(connect) => {
                let connected = Pin::new(connect).poll(cx);
                connected.map_ok(EitherConnection::Left).map_err(Into::into)
            }
            Scheme::Https(connect) => {
                let connected = Pin::new(connect).poll(cx);
                connected
                    .map_ok(EitherConnection::Right)
                    .map_err(Into::into)
            }
            Scheme::NoHttps(origin) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!(
                    "cannot connect to {origin}: this client has no connector for https (give it one: `Names::with_https`)"
                ),
            ))),
        }
    }
}

impl<C: Connector, S: Connector, R: Resolve> fmt::Debug for ConnectNames<C, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectNames").finish_non_exhaustive()
    }
}
