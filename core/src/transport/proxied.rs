//! The facts that a proxy sends about the connection that it forwards, as data that names no
//! protocol.
use super::Endpoint;
use std::fmt;

/// The facts that a proxy sends about the connection of its client: from
/// [`ConnInfo::proxied`](crate::ConnInfo::proxied).
///
/// The server does not verify these facts. A transport accepts them only from proxies that its
/// operator trusts.
///
/// ```
/// # use anyport_core::{ConnInfo, transport::{Endpoint, Proxied}};
/// let mut proxied = Proxied::default();
/// proxied.authority = Some("example.com".into());
/// let info = ConnInfo::new(Endpoint::custom("proxy"), Endpoint::custom("server"));
/// let info = info.with_client(Endpoint::custom("client"), proxied);
/// assert_eq!(info.peer().to_string(), "client");
/// assert_eq!(info.proxy().unwrap().to_string(), "proxy");
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Proxied {
    /// The address that the client connected to.
    pub destination: Option<Endpoint>,
    /// The protocol that the client and the proxy agreed on (ALPN, RFC 7301), such as `h2`.
    pub alpn: Option<Box<[u8]>>,
    /// The host that the client asked for: with TLS, its server name (SNI, RFC 6066 3).
    pub authority: Option<Box<str>>,
    /// The proxy's identifier of the connection, of at most 128 bytes: for logs.
    pub unique_id: Option<Box<[u8]>>,
    /// The network namespace at the proxy.
    pub namespace: Option<Box<str>>,
    /// The TLS connection between the client and the proxy. `None`: the proxy does not say that
    /// there is one.
    pub tls: Option<Box<ProxiedTls>>,
    /// Values of the types that the protocol leaves to vendors and experiments, in the order in
    /// which they were sent: type and value.
    pub extensions: Vec<(u8, Box<[u8]>)>,
}

/// The TLS connection between a client and a proxy, as the proxy describes it.
///
/// The strings are in the proxy's spelling, such as `TLSv1.3` and `TLS_AES_256_GCM_SHA384`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxiedTls {
    /// The version of TLS.
    pub version: Option<Box<str>>,
    /// The cipher suite.
    pub cipher: Option<Box<str>>,
    /// The common name in the client's certificate. Believe it only if
    /// [`verified`](Self::verified) is `true`.
    pub common_name: Option<Box<str>>,
    /// The algorithm of the signature in the proxy's own certificate.
    pub signature_algorithm: Option<Box<str>>,
    /// The algorithm of the key in the proxy's own certificate.
    pub key_algorithm: Option<Box<str>>,
    /// The client presented a certificate, in this connection or earlier in its TLS session.
    pub has_certificate: bool,
    /// The client presented a certificate, and the proxy verified it.
    pub verified: bool,
}

impl fmt::Debug for Proxied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &Option<Box<[u8]>>| {
            let text = bytes.as_deref().map(<[u8]>::escape_ascii);
            text.map(|text| text.to_string())
        };
        f.debug_struct("Proxied")
            .field("destination", &self.destination)
            .field("alpn", &text(&self.alpn))
            .field("authority", &self.authority)
            .field("unique_id", &text(&self.unique_id))
            .field("namespace", &self.namespace)
            .field("tls", &self.tls)
            .field("extensions", &self.extensions.len())
            .finish()
    }
}
