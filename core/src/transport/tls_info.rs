//! The result of a TLS handshake, as data that names no TLS library.
use bytes::Bytes;
use std::fmt;

/// The result of a TLS handshake, with the peer's certificates: see
/// [`ConnInfo::tls`](crate::ConnInfo::tls).
///
/// Every TLS transport makes one, with any TLS library:
///
/// ```
/// # use anyport_core::transport::{TlsInfo, TlsVersion};
/// let tls = TlsInfo::new(TlsVersion::Tls13, "TLS13_AES_128_GCM_SHA256").with_server_name("example.com");
/// assert_eq!(tls.version().to_string(), "TLSv1.3");
/// ```
#[derive(Clone)]
pub struct TlsInfo {
    version: TlsVersion,
    resumed: bool,
    cipher_suite: &'static str,
    server_name: Option<Box<str>>,
    peer_certificates: Box<[Bytes]>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl TlsInfo {
    /// The result of a handshake with this version and cipher suite; the suite's name is spelled as
    /// in the library.
    #[must_use]
    pub fn new(version: TlsVersion, cipher_suite: &'static str) -> Self {
        Self {
            version,
            resumed: false,
            cipher_suite,
            server_name: None,
            peer_certificates: Box::default(),
        }
    }

    /// Sets the name that the client asked for (SNI, RFC 6066 3).
    #[must_use]
    pub fn with_server_name(mut self, name: impl Into<Box<str>>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Sets the peer's verified certificates in DER, its own first.
    #[must_use]
    pub fn with_peer_certificates(mut self, certificates: impl Into<Box<[Bytes]>>) -> Self {
        self.peer_certificates = certificates.into();
        self
    }

    /// Sets whether the session was resumed.
    #[must_use]
    pub fn with_resumed(mut self, resumed: bool) -> Self {
        self.resumed = resumed;
        self
    }

    /// The version of TLS.
    #[must_use]
    pub fn version(&self) -> TlsVersion {
        self.version
    }

    /// The cipher suite's name, such as `TLS13_AES_128_GCM_SHA256`.
    #[must_use]
    pub fn cipher_suite(&self) -> &'static str {
        self.cipher_suite
    }

    /// The name that the client asked for (SNI, RFC 6066 3), in lower case. A client that connects
    /// to an IP address sends none.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The verified certificates of the peer in DER, its own first: the client's, or on a client
    /// the server's. Empty if a client sent none.
    ///
    /// In a resumed session, these are the certificates verified at its first handshake.
    #[must_use]
    pub fn peer_certificates(&self) -> &[Bytes] {
        &self.peer_certificates
    }

    /// Whether the session was resumed from an earlier one, without a signature (RFC 8446 2.2).
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.resumed
    }
}

impl fmt::Debug for TlsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsInfo")
            .field("version", &self.version)
            .field("cipher_suite", &self.cipher_suite)
            .field("server_name", &self.server_name)
            .field("peer_certificates", &self.peer_certificates.len())
            .field("resumed", &self.resumed)
            .finish()
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        })
    }
}
