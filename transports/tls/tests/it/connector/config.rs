//! Configurations and targets that cannot be used.
use super::trusting;
use crate::{client::Authority, fixture::Folder};
use anyport_core::{
    Connection, Transport,
    runtime::Worker,
    transport::{Connector, Target},
};
use anyport_memory::Memory;
use anyport_tcp::TcpConnector;
use anyport_tls::{Certificate, Roots, TlsClientConfig, TlsConnectorExt};
use std::{io, net::SocketAddr};

fn error(config: TlsClientConfig) -> String {
    TcpConnector::new().tls(config).unwrap_err().to_string()
}

#[test]
fn unusable_files_are_named() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let path = folder.path("none.pem");
    assert_eq!(
        error(TlsClientConfig::new(Roots::pem_file(&path))),
        format!(
            "cannot use the certificate authorities {}: no such file",
            path.display()
        )
    );
    let key = &authority.localhost().key;
    assert_eq!(
        error(TlsClientConfig::new(Roots::pem(&**key))),
        "cannot use the certificate authorities (given as bytes): it contains a private key and no certificate (are the two swapped?)"
    );
    let other = authority.issue("client", &["client"]);
    let mismatch = Certificate::pem(&*other.chain, &**key);
    assert_eq!(
        error(trusting(&authority).with_certificate(mismatch)),
        "cannot use the private key (given as bytes): it does not belong to the certificate (given as bytes)"
    );
}

#[test]
fn method_that_does_not_apply_is_named() {
    let authority = Authority::new();
    let identity = authority.localhost();
    let config = TlsClientConfig::from_rustls(authority.client_config(None));
    let with_certificate = config.with_certificate(identity.certificate());
    assert_eq!(
        error(with_certificate),
        "cannot use the TLS configuration: `with_certificate` does not apply to a rustls ClientConfig (set it there before `TlsClientConfig::from_rustls`)"
    );
    assert_eq!(
        error(trusting(&authority).with_server_name("a b")),
        "cannot use the TLS configuration: `a b` is neither a DNS name nor an IP address (without a port, without brackets)"
    );
}

#[tokio::test]
async fn target_without_a_name_is_an_error() {
    let authority = Authority::new();
    let memory = Memory::new();
    let target = Target::new(memory.connector().endpoint().clone());
    let connector = memory.connector().tls(trusting(&authority)).unwrap();
    let error = connector.connect(&target).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot connect to {target}: TLS needs a name to verify the server by (set `Target::with_host`, or `TlsClientConfig::with_server_name`)"
        )
    );
    let target = Target::new(SocketAddr::from(([127, 0, 0, 1], 1))).with_host("[::1]:443");
    let connector = TcpConnector::new().tls(trusting(&authority)).unwrap();
    let error = connector.connect(&target).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(
        error
            .to_string()
            .contains("`[::1]:443` is neither a DNS name nor"),
        "{error}"
    );
}

#[tokio::test]
async fn memory_is_connected_by_a_configured_name() {
    use anyport_core::Listener;
    use anyport_tls::TlsExt;
    use std::future::poll_fn;

    let authority = Authority::new();
    let memory = Memory::new();
    let connector = memory
        .connector()
        .tls(trusting(&authority).with_server_name("localhost"))
        .unwrap();
    let target = Target::new(memory.connector().endpoint().clone());
    let tls = memory.tls(authority.server());
    let socket = tls.open(1).unwrap().remove(0);
    let mut listener = tls.listen(socket, &Worker::new(0, 1)).unwrap();
    let server = async {
        let accepted = poll_fn(|cx| listener.poll_accept(cx)).await?;
        accepted.handshake.await
    };
    let client = async { connector.connect(&target).await?.await };
    let (server, client) = tokio::join!(server, client);
    let (server, client) = (server.unwrap(), client.unwrap());
    assert_eq!(server.info().peer(), client.info().local());
    assert_eq!(
        server.info().tls().unwrap().server_name(),
        Some("localhost")
    );
}
