//! The result of a TLS handshake, as data that names no TLS library.
use bytes::Bytes;
use std::fmt;

/// What a TLS handshake agreed on, and whom the client proved to be: from
/// [`ConnInfo::tls`](crate::ConnInfo::tls).
///
/// A TLS transport makes one, whatever library it uses:
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
    /// A handshake that agreed on this version and this cipher suite, by its name in the library's
    /// spelling.
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

    /// The same with the name that the client asked for (SNI, RFC 6066 3).
    #[must_use]
    pub fn with_server_name(mut self, name: impl Into<Box<str>>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The same with the client's verified certificates, its own first, in DER.
    #[must_use]
    pub fn with_peer_certificates(mut self, certificates: impl Into<Box<[Bytes]>>) -> Self {
        self.peer_certificates = certificates.into();
        self
    }

    /// The same for a session that went on from an earlier one.
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

    /// The client's certificates in DER, its own first; they've been verified. Empty if it showed
    /// none.
    ///
    /// Of a resumed session, these are the ones that were verified when it began.
    #[must_use]
    pub fn peer_certificates(&self) -> &[Bytes] {
        &self.peer_certificates
    }

    /// Whether the session went on from an earlier one, without a signature (RFC 8446 2.2).
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
