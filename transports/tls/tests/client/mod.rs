//! A certificate authority and the clients that trust it.
use anyport_tls::{
    Provider, TlsConfig,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName},
    },
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::{io, sync::Arc};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

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
        let builder = ClientConfig::builder_with_provider(Provider::default().rustls());
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
    pub(crate) async fn connect<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from("localhost").unwrap();
        self.0.connect(name, stream).await
    }
}
