//! Both ends of TLS, with a certificate generated for the test.
use crate::{client::Version, servers::Stream};
use anyport::tls::{
    Provider, TlsConfig,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName},
    },
};
use std::sync::Arc;
use tokio_rustls::{Connect, TlsConnector};

/// The configuration of a server, and a function for the handshake of a client that trusts it.
pub(crate) fn server_and_client() -> (TlsConfig, impl Fn(Version) -> Handshake + Send + Sync) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let server = TlsConfig::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::clone(made.cert.der())).unwrap();
    let config = ClientConfig::builder_with_provider(Provider::Ring.rustls())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, move |version| handshake(config.clone(), version))
}

pub(crate) type Handshake = Box<dyn FnOnce(Box<dyn Stream>) -> Connect<Box<dyn Stream>> + Send>;

fn handshake(mut config: ClientConfig, version: Version) -> Handshake {
    config.alpn_protocols = match version {
        Version::Http1 => vec![b"http/1.1".to_vec()],
        Version::Http2 => vec![b"h2".to_vec()],
    };
    Box::new(|stream| {
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream)
    })
}
