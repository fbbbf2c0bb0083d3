//! The configuration of a TLS transport, and of a TLS connector.
mod certificate;
mod client;
mod client_auth;
mod pem;
mod provider;
mod reloadable;
mod resolver;
mod roots;
mod verifier;

pub use certificate::Certificate;
pub(crate) use certificate::has_expired;
pub use client::TlsClientConfig;
pub(crate) use client::{LoadedClient, invalid_name, server_name};
pub use client_auth::ClientAuth;
pub use provider::Provider;
pub use roots::Roots;
pub(crate) use verifier::explained;

use anyport_core::{Error, Result, transport::TlsVersion};
use reloadable::{Loaded, Reloadable};
use resolver::SniResolver;
use rustls::{ServerConfig, server::NoServerSessionStorage, version};
use std::{fmt, path::PathBuf, sync::Arc};

/// The certificates, client authentication and protocols of a TLS transport.
///
/// A `TlsConfig` is only a description: files are read when the server starts, and again at
/// [`reload`](Self::reload). Clones share *one* configuration, so keep a clone to reload it. Each
/// `with_` method makes a new configuration, which earlier clones do not share. Only
/// [`with_https_redirect`] keeps the shared one: a redirect is not part of what is loaded.
///
/// [`with_https_redirect`]: Self::with_https_redirect
///
/// | | default |
/// |---|---|
/// | versions | TLS 1.2 and 1.3 |
/// | cipher suites | rustls's, in the order of the server |
/// | ALPN | the server's protocols: `h2` and `http/1.1`; none for a raw protocol |
/// | client certificates | not requested |
/// | HTTP without TLS | gets a 400 response |
/// | resumption | by tickets, whose keys change every six hours and at each reload; not after a client's certificate has expired; without early data |
/// | cryptography | [`Provider`]: ring, if its feature is enabled |
///
/// # Examples
///
/// Two certificates, and clients that must present one:
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
/// A file that cannot be used is an error at start. One line names the file and the reason:
///
/// ```text
/// cannot use the private key key.pem: it does not belong to the certificate cert.pem
/// ```
///
/// A certificate that has expired or is not valid yet is used nevertheless.
/// [`warnings`](Self::warnings) lists such certificates, and the server's
/// [`Observer`](anyport_core::observe::Observer) receives the warnings at start.
#[derive(Clone)]
pub struct TlsConfig {
    source: Source,
    alpn: Option<Arc<[Vec<u8>]>>,
    redirects: bool,
    reloadable: Arc<Reloadable>,
}

#[derive(Clone)]
enum Source {
    Options(Options),
    Rustls {
        config: Arc<ServerConfig>,
        /// The last called method that does not apply to a rustls configuration.
        unsupported: Option<&'static str>,
    },
}

#[derive(Clone, Debug)]
struct Options {
    certificates: Vec<Certificate>,
    client_auth: ClientAuth,
    provider: Option<Provider>,
    min_version: TlsVersion,
}

impl TlsConfig {
    /// Presents this certificate for every server name, unless there are
    /// [more](Self::with_certificate).
    #[must_use]
    pub fn new(certificate: Certificate) -> Self {
        Self::from_source(Source::Options(Options {
            certificates: vec![certificate],
            client_auth: ClientAuth::Off,
            provider: Provider::DEFAULT,
            min_version: TlsVersion::Tls12,
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

    /// Uses a rustls configuration unchanged. Use it for a setting that has no method here, such as
    /// a certificate source or a verifier of your own. If it has no ALPN protocols, those of the
    /// server are added. [`with_alpn`](Self::with_alpn) and
    /// [`with_https_redirect`](Self::with_https_redirect) apply to it. The other `with_` methods do
    /// not, and are an error at start.
    #[must_use]
    pub fn from_rustls(config: impl Into<Arc<ServerConfig>>) -> Self {
        Self::from_source(Source::Rustls {
            config: config.into(),
            unsupported: None,
        })
    }

    fn from_source(source: Source) -> Self {
        Self {
            source,
            alpn: None,
            redirects: false,
            reloadable: Arc::default(),
        }
    }

    fn with_options(mut self, method: &'static str, change: impl FnOnce(&mut Options)) -> Self {
        match &mut self.source {
            Source::Options(options) => change(options),
            Source::Rustls { unsupported, .. } => *unsupported = Some(method),
        }
        self.reloadable = Arc::default();
        self
    }

    /// Adds a certificate. From then on the client's server name (SNI, RFC 6066 3) selects the
    /// certificate. If several match, the first one that the client can verify is presented. A
    /// client whose server name matches no certificate is rejected. A client that sends no server
    /// name gets the first certificate that it can verify.
    #[must_use]
    pub fn with_certificate(self, certificate: Certificate) -> Self {
        self.with_options("with_certificate", |options| {
            options.certificates.push(certificate)
        })
    }

    /// Whether clients must present a certificate (mTLS). Default: [`ClientAuth::Off`].
    #[must_use]
    pub fn with_client_auth(self, client_auth: ClientAuth) -> Self {
        self.with_options("with_client_auth", |options| {
            options.client_auth = client_auth
        })
    }

    /// The cryptography provider. Default: ring if its feature is enabled, otherwise aws-lc-rs.
    #[must_use]
    pub fn with_provider(self, provider: Provider) -> Self {
        self.with_options("with_provider", |options| options.provider = Some(provider))
    }

    /// Rejects clients that support only older versions. Default: [`TlsVersion::Tls12`].
    #[must_use]
    pub fn with_min_version(self, version: TlsVersion) -> Self {
        self.with_options("with_min_version", |options| options.min_version = version)
    }

    /// Offers these ALPN protocols (RFC 7301), the preferred one first, instead of those of the
    /// server. Use it for a raw protocol that has an ALPN name.
    #[must_use]
    pub fn with_alpn<P: Into<Vec<u8>>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = Some(protocols.into_iter().map(Into::into).collect());
        self.reloadable = Arc::default();
        self
    }

    /// Redirects a client that sends plain HTTP to `https://` at the requested host, port and path,
    /// with 308 (RFC 9110 15.4.9). Default: the client gets a 400 response. A request without a
    /// valid Host field (RFC 9112 3.2) gets a 400 response in any case.
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

    /// Reads the files again. Later handshakes use their new contents; established connections are
    /// not affected. Session tickets that were issued before become invalid, so that no session
    /// outlives the certificates that it was verified with. The call blocks while it reads files.
    ///
    /// # Errors
    ///
    /// A file cannot be used. The previous configuration then stays in use.
    pub fn reload(&self) -> Result<()> {
        if let Source::Rustls { .. } = self.source {
            return Err(Error::config(
                "cannot reload the TLS configuration: it was built from a rustls ServerConfig, so there is no file to read again \
                 (its certificate resolver can change what it resolves)",
            ));
        }
        self.load().map_err(|error| {
            Error::config(format!("{error}; the previous configuration stays in use"))
                .with_source(error)
        })
    }

    /// The problems of the certificates in use that do not prevent their use. There is one line for
    /// each certificate that is not valid now, or that no client can select. Empty before the
    /// server starts.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.reloadable.warnings()
    }

    pub(crate) fn load(&self) -> Result<()> {
        self.reloadable.load(|| self.build())
    }

    /// The configuration in use, with `alpn` if it has no ALPN protocols of its own.
    pub(crate) fn current(&self, alpn: &'static [&'static [u8]]) -> Result<Arc<ServerConfig>> {
        self.reloadable.current(alpn)
    }

    fn build(&self) -> Result<Loaded> {
        let mut loaded = match &self.source {
            Source::Options(options) => options.build()?,
            Source::Rustls {
                unsupported: Some(method),
                ..
            } => {
                return Err(Error::config(format!(
                    "cannot use the TLS configuration: `{method}` does not apply to a rustls ServerConfig (set it there before `TlsConfig::from_rustls`)"
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

impl Options {
    fn build(&self) -> Result<Loaded> {
        let Some(chosen) = self.provider else {
            return Err(Error::config(
                "cannot use the TLS configuration: no cryptography provider is enabled (turn on anyport's feature `tls` or `tls-aws-lc-rs`)",
            ));
        };
        let provider = chosen.rustls();
        let mut certificates = Vec::new();
        for certificate in &self.certificates {
            certificates.push(certificate.load(&provider)?);
        }
        let verifier = self.client_auth.verifier(&provider)?;
        let versions: &[_] = match self.min_version {
            TlsVersion::Tls13 => &[&version::TLS13],
            _ => &[&version::TLS13, &version::TLS12],
        };
        let config_error = |error: rustls::Error| {
            Error::config(format!("cannot use the TLS configuration: {error}")).with_source(error)
        };
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(config_error)?;
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
            let without_name = certificates
                .iter()
                .zip(&self.certificates)
                .filter(|(usable, _)| usable.names.is_empty());
            unreachable.extend(without_name.map(|(_, certificate)| {
                format!("the certificate {certificate} has no DNS name (subjectAltName), so no client that sends a server name gets it")
            }));
        }
        let mut config = builder.with_cert_resolver(Arc::new(SniResolver::new(certificates)));
        // All suites are strong, but scanners report a server that has no order of its own.
        config.ignore_client_order = true;
        // Sessions resume by ticket only: a session that is stored by its ID has no expiry.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = chosen.ticketer().map_err(config_error)?;
        Ok(Loaded::new(config, validity, unreachable))
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Options(options) => options.fmt(f),
            Source::Rustls { .. } => f.debug_struct("TlsConfig").finish_non_exhaustive(),
        }
    }
}
