//! The client for HTTP and HTTPS over TCP.
use crate::{Builder, Client, Names};
use anyport_connect::HappyEyeballs;
use anyport_core::{Result, Runtime, runtime::Tokio};
use anyport_tcp::TcpConnector;
use anyport_tls::{TlsClientConfig, TlsConnector, TlsConnectorExt};

/// The factory of [`HttpsClient`].
pub type HttpsNames = Names<TcpConnector, TlsConnector<TcpConnector>>;

/// The client that [`Client::new`] makes.
pub type HttpsClient = Client<HttpsNames>;

impl HttpsClient {
    /// A client for `http` and `https` over TCP on tokio: HTTP/1.1 and, by ALPN, HTTP/2, with the
    /// root certificates of the system.
    ///
    /// ```no_run
    /// use anyport_client::Client;
    /// use anyport_core::Body;
    ///
    /// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::new()?;
    /// let request = http::Request::get("https://example.com/").body(Body::empty())?;
    /// println!("{}", client.send(request).await?.status());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// The system's root certificates cannot be read.
    pub fn new() -> Result<Self> {
        Ok(Self::https_builder(TlsClientConfig::platform())?.build())
    }

    /// The same with other settings, and with a TLS configuration of your own. ALPN is set to `h2`
    /// and `http/1.1`.
    ///
    /// # Errors
    ///
    /// A file of the configuration cannot be used.
    pub fn https_builder(tls: TlsClientConfig) -> Result<Builder<HttpsNames>> {
        let timer = Tokio::current().timer();
        let tls = TcpConnector::new().tls(tls.with_alpn(["h2", "http/1.1"]))?;
        let names = Names::new(HappyEyeballs::new(TcpConnector::new(), timer.clone()))
            .with_https(HappyEyeballs::new(tls, timer));
        Ok(Builder::new(names))
    }
}
