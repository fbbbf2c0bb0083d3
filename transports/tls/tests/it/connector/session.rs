//! What a handshake negotiates, and peers that refuse it.
use super::{connect, connector, refusal, serve, target, trusting};
use crate::{
    client::Authority,
    fixture::{TestServer, app},
};
use anyport_core::{
    Connection, serve_with,
    transport::{Connector, TlsVersion},
};
use anyport_tcp::Tcp;
use anyport_tls::{
    ClientAuth, Roots, TlsClientConfig,
    rustls::version::{TLS12, TLS13},
};
use hyper_util::rt::TokioIo;
use std::{io, sync::Arc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LOCALHOST: Option<&str> = Some("localhost");

#[test]
fn alpn_is_negotiated() {
    let authority = Authority::new();
    let server = serve(authority.server());
    for (offered, chosen) in [
        (vec!["h2", "http/1.1"], Some(&b"h2"[..])),
        (vec!["spdy/1", "http/1.1"], Some(b"http/1.1")),
        (vec![], None),
    ] {
        let config = trusting(&authority).with_alpn(offered);
        let connection = connect(&server, config, LOCALHOST).unwrap();
        assert_eq!(connection.info().alpn(), chosen);
    }
    let refused = refusal(
        &server,
        trusting(&authority).with_alpn(["spdy/1"]),
        LOCALHOST,
    );
    assert_eq!(
        refused,
        "the server refused the TLS handshake: NoApplicationProtocol (it offers none of the ALPN protocols)"
    );
}

#[test]
fn versions_are_those_of_both() {
    let authority = Authority::new();
    let server = serve(authority.server());
    for (only, version) in [(&TLS12, TlsVersion::Tls12), (&TLS13, TlsVersion::Tls13)] {
        let config = TlsClientConfig::from_rustls(authority.only(only));
        let connection = connect(&server, config, LOCALHOST).unwrap();
        assert_eq!(connection.info().tls().unwrap().version(), version);
    }
    let newer = serve(authority.server().with_min_version(TlsVersion::Tls13));
    let older = TlsClientConfig::from_rustls(authority.only(&TLS12));
    assert_eq!(
        refusal(&newer, older, LOCALHOST),
        "the server refused the TLS handshake: ProtocolVersion (no version of TLS in common)"
    );
    let config = trusting(&authority).with_min_version(TlsVersion::Tls13);
    connect(&newer, config, LOCALHOST).unwrap();
}

#[test]
fn sessions_of_one_connector_are_resumed() {
    let authority = Authority::new();
    let server = serve(authority.server());
    let (connector, target) = (connector(trusting(&authority)), target(&server, LOCALHOST));
    let resumed = server.run(async {
        let mut resumed = Vec::new();
        for _ in 0..2 {
            let connection = connector.connect(&target).await?.await?;
            resumed.push(connection.info().tls().unwrap().resumed());
            // The tickets come after the handshake (RFC 8446 4.6.1).
            let mut io = TokioIo::new(connection);
            io.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                .await?;
            io.read_to_end(&mut Vec::new()).await?;
        }
        io::Result::Ok(resumed)
    });
    assert_eq!(resumed.unwrap(), [false, true]);
}

#[test]
fn client_presents_its_certificate() {
    let authority = Authority::new();
    let roots = Roots::pem(authority.root_pem());
    let server = serve(
        authority
            .server()
            .with_client_auth(ClientAuth::Required(roots)),
    );
    let identity = authority.issue("client", &["client"]);
    let get = |config| {
        server.run(async {
            let connection = connector(config)
                .connect(&target(&server, LOCALHOST))
                .await?
                .await?;
            let mut io = TokioIo::new(connection);
            io.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                .await?;
            let mut answer = String::new();
            io.read_to_string(&mut answer).await?;
            io::Result::Ok(answer)
        })
    };
    let with_certificate = trusting(&authority).with_certificate(identity.certificate());
    assert!(get(with_certificate).unwrap().ends_with("Hello"));
    // A TLS 1.3 server refuses after the client's part of the handshake.
    let error = get(trusting(&authority)).unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
    let older = TlsClientConfig::from_rustls(authority.only(&TLS12));
    let refused = refusal(&server, older, LOCALHOST);
    assert!(
        refused.starts_with("the server refused the TLS handshake: "),
        "{refused}"
    );
}

#[test]
fn server_without_tls_is_named() {
    let authority = Authority::new();
    let server = TestServer::start(serve_with(Tcp::bind("127.0.0.1:0"), app()));
    assert_eq!(
        refusal(&server, trusting(&authority), LOCALHOST),
        "the server's answer is not TLS (does it speak TLS on this port?)"
    );
}

#[test]
fn connection_is_send_and_so_are_its_phases() {
    fn is_send<T: Send>(_: T) {}
    let authority = Authority::new();
    let server = serve(authority.server());
    let connector = Arc::new(connector(trusting(&authority)));
    let target = target(&server, LOCALHOST);
    is_send(async move { connector.connect(&target).await?.await });
}
