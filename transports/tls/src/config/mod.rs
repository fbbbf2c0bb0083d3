//! The configuration of a TLS transport.
mod certificate;
mod client_auth;
mod live;
mod pem;
mod provider;
mod resolver;

pub use certificate::Certificate;
pub(crate) use certificate::has_expired;
pub use client_auth::{ClientAuth, Roots};
pub use provider::Provider;

use anyport_core::{Error, Result, TlsVersion};
use live::{Live, Loaded};
use resolver::BySni;
use rustls::{ServerConfig, server::NoServerSessionStorage, version};
use std::{fmt, path::PathBuf, sync::Arc};

/// What a TLS transport shows, asks for and offers.
///
/// It's a description: files are read when the server starts, and again at
/// [`reload`](Self::reload). Clones of one are *one* configuration, so keep a clone to reload it;
/// each `with_` makes a new one.
///
/// | | default |
/// |---|---|
/// | versions | TLS 1.2 and 1.3 |
/// | cipher suites | rustls's, in the order of the server |
/// | ALPN | what the server speaks: `h2` and `http/1.1`; nothing for a raw protocol |
/// | client certificates | not asked for |
/// | HTTP without TLS | answered with 400 |
/// | resumption | by tickets, whose keys change every six hours and at each reload; not after a client's certificate has expired; without early data |
/// | cryptography | [`Provider`]: ring, if its feature is on |
///
/// # Examples
///
/// Two certificates, and clients that have to show one:
///
/// ```
/// # use anyport_tls::{Certificate, ClientAuth, Roots, TlsConfig};
/// let tls = TlsConfig::from_pem_files("example.com.pem", "example.com.key")
///     .with_certificate(Certificate::pem_files("example.org.pem", "example.org.key"))
///     .with_client_auth(ClientAuth::Required(Roots::pem_file("clients.pem")));
/// ```
///
/// # Errors
///
/// Whatever can't be used is an error at start, in one line that names the file and the reason:
///
/// ```text
/// cannot use the private key key.pem: it does not belong to the certificate cert.pem
/// ```
///
/// A certificate that has expired, or isn't valid yet, is used nevertheless;
/// [`warnings`](Self::warnings) tells, and so does the server's
/// [`Observer`](anyport_core::Observer) at start.
#[derive(Clone)]
pub struct TlsConfig {
    source: Source,
    alpn: Option<Arc<[Vec<u8>]>>,
    redirects: bool,
    live: Arc<Live>,
}

#[derive(Clone)]
enum Source {
    Described(Description),
    Rustls {
        config: Arc<ServerConfig>,
        /// What else was asked for, in vain.
        refused: Option<&'static str>,
    },
}

#[derive(Clone, Debug)]
struct Description {
    certificates: Vec<Certificate>,
    client_auth: ClientAuth,
    provider: Option<Provider>,
    at_least: TlsVersion,
}

impl TlsConfig {
    /// Shows this certificate, whatever name the client asks for; as long as there's no [other
    /// one](Self::with_certificate).
    #[must_use]
    pub fn new(certificate: Certificate) -> Self {
        Self::of(Source::Described(Description {
            certificates: vec![certificate],
            client_auth: ClientAuth::Off,
            provider: Provider::DEFAULT,
            at_least: TlsVersion::Tls12,
        }))
    }

    /// Short for `TlsConfig::new(Certificate::pem_files(chain, key))`.
    #[must_use]
    pub fn from_pem_files(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self::new(Certificate::pem_files(chain, key))
    }

    /// Short for `TlsConfig::new(Certificate::pem(chain, key))`.
    #[must_use]
    pub fn from_pem(chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self::new(Certificate::pem(chain, key))
    }

    /// A certificate for development: short for `TlsConfig::new(Certificate::self_signed(names))`.
    ///
    /// ```
    /// # use anyport_tls::TlsConfig;
    /// let tls = TlsConfig::self_signed(["localhost", "127.0.0.1"]);
    /// ```
    #[cfg(feature = "self-signed")]
    #[must_use]
    pub fn self_signed<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::new(Certificate::self_signed(names))
    }

    /// A configuration of rustls, as it is: for what has no method here, such as a certificate
    /// source or a verifier of your own. Only if it has no ALPN protocols, what the server speaks
    /// is added; nothing else can be changed here.
    #[must_use]
    pub fn from_rustls(config: impl Into<Arc<ServerConfig>>) -> Self {
        Self::of(Source::Rustls {
            config: config.into(),
            refused: None,
        })
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            alpn: None,
            redirects: false,
            live: Arc::default(),
        }
    }

    fn describe(mut self, method: &'static str, change: impl FnOnce(&mut Description)) -> Self {
        match &mut self.source {
            Source::Described(description) => change(description),
            Source::Rustls { refused, .. } => *refused = Some(method),
        }
        self.live = Arc::default();
        self
    }

    /// Shows one more certificate. Then the client's name for the server decides (SNI, RFC 6066 3):
    /// the certificate that's for it is shown, of several the first one that the client can verify.
    /// Who asks for a name that's in none is refused; who asks for none is shown the first
    /// certificate.
    #[must_use]
    pub fn with_certificate(self, certificate: Certificate) -> Self {
        self.describe("with_certificate", |description| {
            description.certificates.push(certificate)
        })
    }

    /// Whether clients have to show a certificate (mTLS). Default: [`ClientAuth::Off`].
    #[must_use]
    pub fn with_client_auth(self, client_auth: ClientAuth) -> Self {
        self.describe("with_client_auth", |description| {
            description.client_auth = client_auth
        })
    }

    /// Who does the cryptography. Default: ring, if its feature is on, otherwise aws-lc-rs.
    #[must_use]
    pub fn with_provider(self, provider: Provider) -> Self {
        self.describe("with_provider", |description| {
            description.provider = Some(provider)
        })
    }

    /// Refuses clients that can do only less. Default: [`TlsVersion::Tls12`].
    #[must_use]
    pub fn with_min_version(self, version: TlsVersion) -> Self {
        self.describe("with_min_version", |description| {
            description.at_least = version
        })
    }

    /// Offers these protocols by ALPN (RFC 7301), the preferred one first, instead of what the
    /// server speaks; for a raw protocol that has a name.
    #[must_use]
    pub fn with_alpn<P: Into<Vec<u8>>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = Some(protocols.into_iter().map(Into::into).collect());
        self.live = Arc::default();
        self
    }

    /// Redirects a client that speaks HTTP without TLS to `https://` at the host, port and path
    /// that it asked for, by 308 (RFC 9110 15.4.9). Default: it's answered with 400. One that
    /// doesn't say which host it wants (RFC 9112 3.2) is answered with 400 in any case.
    ///
    /// Use it on a port that clients reach by its number. For links that begin with plain
    /// `http://`, serve port 80 as well, and redirect there.
    #[must_use]
    pub fn with_https_redirect(mut self) -> Self {
        self.redirects = true;
        self
    }

    pub(crate) fn redirects(&self) -> bool {
        self.redirects
    }

    /// Reads the files again. The next handshakes use what they hold now; connections aren't
    /// touched. Tickets that were given out before are of no use any more, so that no session
    /// outlives what it was verified with. It reads files, so it blocks for as long as the disk
    /// takes.
    ///
    /// # Errors
    ///
    /// What can't be used: then all that was in use stays in use.
    pub fn reload(&self) -> Result<()> {
        if let Source::Rustls { .. } = self.source {
            return Err(Error::config(
                "cannot reload the TLS configuration: it was made of a rustls ServerConfig, so there's no file to read again \
                 (its certificate resolver can change what it resolves)",
            ));
        }
        self.load().map_err(|error| {
            Error::config(format!("{error}; what was in use stays in use")).with_source(error)
        })
    }

    /// What's wrong with the certificates in use, though not so that they can't be used: one line
    /// for each that isn't valid at this time. Empty before the server starts.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.live.warnings()
    }

    /// Reads the files, and uses what's in them from now on.
    pub(crate) fn load(&self) -> Result<()> {
        self.live.load(|| self.build())
    }

    /// What's in use, with these protocols to offer.
    pub(crate) fn current(&self, alpn: &'static [&'static [u8]]) -> Result<Arc<ServerConfig>> {
        self.live.current(alpn)
    }

    fn build(&self) -> Result<Loaded> {
        let mut loaded = match &self.source {
            Source::Described(description) => description.build()?,
            Source::Rustls {
                refused: Some(method),
                ..
            } => {
                return Err(Error::config(format!(
                    "cannot use the TLS configuration: `{method}` changes nothing in a rustls ServerConfig (do that before `TlsConfig::from_rustls`)"
                )));
            }
            Source::Rustls { config, .. } => {
                Loaded::new(ServerConfig::clone(config), Vec::new(), Vec::new())
            }
        };
        if let Some(alpn) = &self.alpn {
            loaded.offer(alpn.to_vec());
        }
        Ok(loaded)
    }
}

impl Description {
    fn build(&self) -> Result<Loaded> {
        let Some(chosen) = self.provider else {
            return Err(Error::config(
                "cannot use the TLS configuration: nobody does the cryptography (turn on anyport's feature `tls` or `tls-aws-lc-rs`)",
            ));
        };
        let provider = chosen.rustls();
        let mut certificates = Vec::new();
        for certificate in &self.certificates {
            certificates.push(certificate.load(&provider)?);
        }
        let verifier = self.client_auth.verifier(&provider)?;
        let versions: &[_] = match self.at_least {
            TlsVersion::Tls13 => &[&version::TLS13],
            _ => &[&version::TLS13, &version::TLS12],
        };
        let unusable = |error: rustls::Error| {
            Error::config(format!("cannot use the TLS configuration: {error}")).with_source(error)
        };
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(unusable)?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let validity = certificates
            .iter_mut()
            .flat_map(|c| std::mem::take(&mut c.validity))
            .collect();
        let mut unreachable = Vec::new();
        if certificates.len() > 1 {
            let nameless = certificates
                .iter()
                .zip(&self.certificates)
                .filter(|(usable, _)| usable.names.is_empty());
            unreachable.extend(nameless.map(|(_, certificate)| {
                format!("the certificate {certificate} is for no DNS name (subjectAltName), so no client that asks for a name is shown it")
            }));
        }
        let mut config = builder.with_cert_resolver(Arc::new(BySni::new(certificates)));
        // All of them are strong; but scanners frown on a server that has no order of its own.
        config.ignore_client_order = true;
        // By tickets alone: a session that's kept by its number has no end.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = chosen.ticketer().map_err(unusable)?;
        Ok(Loaded::new(config, validity, unreachable))
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Described(description) => description.fmt(f),
            Source::Rustls { .. } => f.debug_struct("TlsConfig").finish_non_exhaustive(),
        }
    }
}
