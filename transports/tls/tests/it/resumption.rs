//! How sessions are resumed, and for how long.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::client::{Authority, Client};
use crate::fixture::{HELLO, TestServer, over_tcp};
use anyport_tls::{
    ClientAuth, Roots,
    rustls::{
        HandshakeKind, SupportedProtocolVersion,
        client::{Resumption, Tls12Resumption},
        version::{TLS12, TLS13},
    },
};
use std::{
    io, thread,
    time::{Duration, Instant, SystemTime},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Sends one request on a new connection, and returns the kind of its handshake.
fn handshake_kind(server: &TestServer, client: &Client) -> io::Result<HandshakeKind> {
    server.run(async {
        let mut stream = client.handshake(server.connect().await).await?;
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await?;
        stream.flush().await?;
        let mut response = Vec::new();
        while !response.ends_with(HELLO.as_bytes()) {
            if stream.read_buf(&mut response).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(stream.get_ref().1.handshake_kind().unwrap())
    })
}

#[test]
fn sessions_resume_by_ticket_not_by_session_id() {
    let authority = Authority::new();
    let server = TestServer::start(over_tcp(authority.server()));
    for (how, second) in [
        (Tls12Resumption::SessionIdOrTickets, HandshakeKind::Resumed),
        (Tls12Resumption::SessionIdOnly, HandshakeKind::Full),
    ] {
        let mut config = authority.only(&TLS12);
        config.resumption = Resumption::in_memory_sessions(8).tls12_resumption(how);
        let client = Client::new(config);
        assert_eq!(
            handshake_kind(&server, &client).unwrap(),
            HandshakeKind::Full
        );
        assert_eq!(handshake_kind(&server, &client).unwrap(), second);
    }
    server.shut_down();
}

#[test]
fn session_ends_with_its_client_certificate() {
    thread::scope(|scope| {
        for version in [&TLS12, &TLS13] {
            // On a busy machine a connection may take as long as the certificate is valid. It is
            // valid for longer then.
            let in_time =
                move |seconds: &u64| resumes_until_expiry(version, Duration::from_secs(*seconds));
            scope.spawn(move || assert!([4, 12, 36].iter().any(in_time)));
        }
    });
}

/// Whether the client was resumed before its certificate expired. Asserts that it is not resumed
/// afterwards.
fn resumes_until_expiry(version: &'static SupportedProtocolVersion, time: Duration) -> bool {
    const TIMEOUT: Duration = Duration::from_secs(60);
    let authority = Authority::new();
    let roots = ClientAuth::Required(Roots::pem(authority.root_pem()));
    let server = TestServer::start(over_tcp(authority.server().with_client_auth(roots)));
    // Certificates have no fractions of a second.
    let ends = SystemTime::now() + time;
    let identity = authority.issue_with(&["client"], |params| params.not_after = ends.into());
    let client = Client::new(authority.only_as(version, &identity));
    let kinds = [
        handshake_kind(&server, &client),
        handshake_kind(&server, &client),
    ];
    if SystemTime::now() > ends - Duration::from_secs(1) {
        return false;
    }
    let kinds = kinds.map(Result::unwrap);
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
    let begun = Instant::now();
    let error = loop {
        match handshake_kind(&server, &client) {
            Ok(kind) => assert_eq!(kind, HandshakeKind::Resumed),
            Err(error) => break error,
        }
        assert!(begun.elapsed() < TIMEOUT, "still resumed: {version:?}");
    };
    assert!(
        SystemTime::now() > ends - Duration::from_secs(1),
        "too early: {error}"
    );
    server.shut_down();
    true
}
