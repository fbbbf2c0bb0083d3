//! Handshakes that one side rejects: both sides learn why.
use super::{connect, read_all, server};
use crate::{
    client::{Authority, Client},
    fixture::{TestServer, over_tcp},
    wire::RawClient,
};
use anyport_tls::{
    ClientAuth, Roots, TlsConfig,
    rustls::{ClientConfig, version},
};
use std::io::{self, Write};

#[test]
fn tampered_finished_is_rejected() {
    let authority = Authority::new();
    for version in [&version::TLS13, &version::TLS12] {
        let server = server(&authority);
        let mut stream = connect(&server);
        let mut client = RawClient::new(authority.only(version));
        let mut last = client.last_flight(&mut stream).unwrap();
        *last.last_mut().unwrap() ^= 1;
        stream.write_all(&last).unwrap();
        read_all(&mut stream);
        assert_eq!(
            server.log.single_failure(),
            (
                io::ErrorKind::InvalidData,
                "cannot decrypt peer's message".to_owned()
            )
        );
        server.shut_down();
    }
}

/// The errors of a rustls client and of the server.
fn handshake(tls: TlsConfig, client: ClientConfig, name: &'static str) -> (String, String) {
    let server = TestServer::start(over_tcp(tls));
    let error = server.run(async {
        let stream = server.connect().await;
        let connected = Client::new(client).handshake_with(name, stream).await;
        let mut stream = match connected {
            Ok(stream) => stream,
            Err(error) => return error,
        };
        // In TLS 1.3 the client finishes before the server has verified its certificate.
        tokio::io::AsyncReadExt::read_u8(&mut stream)
            .await
            .unwrap_err()
    });
    let (kind, why) = server.log.single_failure();
    assert_eq!(kind, io::ErrorKind::InvalidData, "{why}");
    server.shut_down();
    (error.to_string(), why)
}

#[test]
fn handshake_failures_are_reported_on_both_sides() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let two = || {
        let more = authority.issue("other", &["other.example"]);
        authority.server().with_certificate(more.certificate())
    };
    let with_alpn = |protocol: &str| {
        let mut config = authority.client_config(None);
        config.alpn_protocols = vec![protocol.into()];
        config
    };
    let mutual = || {
        let roots = Roots::pem(authority.root_pem());
        authority
            .server()
            .with_client_auth(ClientAuth::Required(roots))
    };
    let unknown_client = foreign.issue("stranger", &["stranger"]);
    let expired = authority.issue_with(&["old"], |params| {
        params.not_after = rcgen::date_time_ymd(2020, 2, 29)
    });
    let plain = || authority.client_config(None);
    for (tls, client, name, client_error, server_error) in [
        (
            two(),
            plain(),
            "unknown.example",
            "received fatal alert: AccessDenied",
            "no server certificate chain resolved",
        ),
        (
            authority.server(),
            with_alpn("spdy/1"),
            "localhost",
            "received fatal alert: NoApplicationProtocol",
            "peer doesn't support any known protocol",
        ),
        (
            mutual(),
            plain(),
            "localhost",
            "received fatal alert: CertificateRequired",
            "peer sent no certificates",
        ),
        (
            mutual(),
            authority.client_config(Some(&unknown_client)),
            "localhost",
            "received fatal alert: UnknownCA",
            "invalid peer certificate: UnknownIssuer",
        ),
        (
            mutual(),
            authority.client_config(Some(&expired)),
            "localhost",
            "received fatal alert: CertificateExpired",
            "invalid peer certificate: certificate expired",
        ),
        // The client does not trust the server's issuer.
        (
            foreign.server(),
            plain(),
            "localhost",
            "invalid peer certificate: UnknownIssuer",
            "received fatal alert: UnknownCA",
        ),
    ] {
        let (client, server) = handshake(tls, client, name);
        assert!(
            client.contains(client_error),
            "{client}, not {client_error}"
        );
        assert!(
            server.contains(server_error),
            "{server}, not {server_error}"
        );
    }
}
