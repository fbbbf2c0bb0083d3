//! The configuration of a TLS connector.
use super::{Certificate, Provider, Roots, verifier::Explaining};
use anyport_core::{Error, Result, transport::TlsVersion};
use rustls::{
    ClientConfig, client::WebPkiServerVerifier, pki_types::ServerName, sign::SingleCertAndKey,
    version,
};
use std::{fmt, sync::Arc};

/// The trusted roots, certificate and protocols of a TLS connector.
///
/// It only describes: files are read by [`tls`](crate::TlsConnectorExt::tls).
///
/// | | default |
/// |---|---|
/// | versions | TLS 1.2 and 1.3 |
/// | server name | the target's [host](anyport_core::transport::Target::host), otherwise its IP address |
/// | ALPN | none: name `h2` or `http/1.1` |
/// | client certificate | none |
/// | revocation | not checked |
/// | resumption | by tickets, kept in memory; without early data |
/// | cryptography | [`Provider`]: ring, if its feature is enabled |
///
/// ```
/// # use anyport_tls::{Certificate, Roots, TlsClientConfig};
/// let tls = TlsClientConfig::new(Roots::pem_file("authority.pem"))
///     .with_certificate(Certificate::pem_files("client.pem", "client.key"))
///     .with_alpn(["h2", "http/1.1"]);
/// ```
#[derive(Clone)]
pub struct TlsClientConfig {
    source: Source,
    alpn: Option<Vec<Vec<u8>>>,
    server_name: Option<String>,
}

#[derive(Clone)]
enum Source {
    Options(Options),
    Rustls {
        config: Arc<ClientConfig>,
        /// The last called method that does not apply to a rustls configuration.
        unsupported: Option<&'static str>,
    },
}

#[derive(Clone, Debug)]
struct Options {
    roots: Roots,
    certificate: Option<Certificate>,
    provider: Option<Provider>,
    min_version: TlsVersion,
}

/// A configuration in use.
pub(crate) struct LoadedClient {
    pub(crate) rustls: Arc<ClientConfig>,
    /// Verified instead of the target's host.
    pub(crate) server_name: Option<ServerName<'static>>,
}

impl TlsClientConfig {
    /// Trusts servers whose certificates these roots have issued.
    #[must_use]
    pub fn new(roots: Roots) -> Self {
        Self {
            source: Source::Options(Options {
                roots,
                certificate: None,
                provider: Provider::DEFAULT,
                min_version: TlsVersion::Tls12,
            }),
            alpn: None,
            server_name: None,
        }
    }

    /// Short for `TlsClientConfig::new(Roots::platform())`.
    #[cfg(feature = "platform-roots")]
    #[must_use]
    pub fn platform() -> Self {
        Self::new(Roots::platform())
    }

    /// Uses a rustls configuration unchanged. It is for what has no method here, such as a verifier
    /// of your own. Errors then say what rustls says. [`with_alpn`](Self::with_alpn) and
    /// [`with_server_name`](Self::with_server_name) apply to it; other methods are an error of
    /// [`tls`](crate::TlsConnectorExt::tls).
    #[must_use]
    pub fn from_rustls(config: impl Into<Arc<ClientConfig>>) -> Self {
        Self {
            source: Source::Rustls {
                config: config.into(),
                unsupported: None,
            },
            alpn: None,
            server_name: None,
        }
    }

    fn with_options(mut self, method: &'static str, change: impl FnOnce(&mut Options)) -> Self {
        match &mut self.source {
            Source::Options(options) => change(options),
            Source::Rustls { unsupported, .. } => *unsupported = Some(method),
        }
        self
    }

    /// Presents this certificate to a server that requests one (mTLS). Default: none.
    #[must_use]
    pub fn with_certificate(self, certificate: Certificate) -> Self {
        self.with_options("with_certificate", |options| {
            options.certificate = Some(certificate);
        })
    }

    /// The cryptography provider. Default: ring if its feature is enabled, otherwise aws-lc-rs.
    #[must_use]
    pub fn with_provider(self, provider: Provider) -> Self {
        self.with_options("with_provider", |options| options.provider = Some(provider))
    }

    /// Refuses servers that support only older versions. Default: [`TlsVersion::Tls12`].
    #[must_use]
    pub fn with_min_version(self, version: TlsVersion) -> Self {
        self.with_options("with_min_version", |options| options.min_version = version)
    }

    /// Offers these ALPN protocols (RFC 7301), the preferred one first. The server's choice is
    /// [`ConnInfo::alpn`](anyport_core::ConnInfo::alpn). Default: none.
    #[must_use]
    pub fn with_alpn<P: Into<Vec<u8>>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = Some(protocols.into_iter().map(Into::into).collect());
        self
    }

    /// Asks for this name, and verifies the certificate by it, at every target: a DNS name, or an
    /// IP address as text. Default: the target's host, otherwise its IP address. A Unix socket
    /// without a host needs it.
    #[must_use]
    pub fn with_server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    pub(crate) fn load(&self) -> Result<LoadedClient> {
        let mut rustls = match &self.source {
            Source::Options(options) => options.build()?,
            Source::Rustls {
                unsupported: Some(method),
                ..
            } => {
                return Err(Error::config(format!(
                    "cannot use the TLS configuration: `{method}` does not apply to a rustls ClientConfig (set it there before `TlsClientConfig::from_rustls`)"
                )));
            }
            Source::Rustls { config, .. } => ClientConfig::clone(config),
        };
        if let Some(alpn) = &self.alpn {
            rustls.alpn_protocols.clone_from(alpn);
        }
        let server_name = self.server_name.as_deref().map(|name| {
            server_name(name).ok_or_else(|| {
                Error::config(format!(
                    "cannot use the TLS configuration: {}",
                    invalid_name(name)
                ))
            })
        });
        Ok(LoadedClient {
            rustls: Arc::new(rustls),
            server_name: server_name.transpose()?,
        })
    }
}

/// A name that a certificate can be verified by.
pub(crate) fn server_name(name: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(name).ok().map(|name| name.to_owned())
}

/// Says why a name is not a [`server_name`].
pub(crate) fn invalid_name(name: &str) -> String {
    format!(
        "`{}` is neither a DNS name nor an IP address (without a port, without brackets)",
        name.escape_debug()
    )
}

impl Options {
    fn build(&self) -> Result<ClientConfig> {
        let Some(chosen) = self.provider else {
            return Err(Error::config(
                "cannot use the TLS configuration: no cryptography provider is enabled (turn on anyport's feature `tls` or `tls-aws-lc-rs`)",
            ));
        };
        let provider = chosen.rustls();
        let roots = Arc::new(self.roots.load("certificate authorities")?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let verifier = verifier.build().map_err(|error| {
            Error::config(format!("cannot verify servers' certificates: {error}"))
                .with_source(error)
        })?;
        let versions: &[_] = match self.min_version {
            TlsVersion::Tls13 => &[&version::TLS13],
            _ => &[&version::TLS13, &version::TLS12],
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| {
                Error::config(format!("cannot use the TLS configuration: {error}"))
                    .with_source(error)
            })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Explaining::new(verifier)));
        Ok(match &self.certificate {
            Some(certificate) => {
                let key = certificate.load(&provider)?.key;
                let key = SingleCertAndKey::from(rustls::sign::CertifiedKey::clone(&key));
                builder.with_client_cert_resolver(Arc::new(key))
            }
            None => builder.with_no_client_auth(),
        })
    }
}

impl fmt::Debug for TlsClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Options(options) => options.fmt(f),
            Source::Rustls { .. } => f.debug_struct("TlsClientConfig").finish_non_exhaustive(),
        }
    }
}
