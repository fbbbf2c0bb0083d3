//! What a session may go on from, and for how long.
#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on should stop, and say where"
)]

use crate::client::{Authority, Client};
use crate::scene::{HELLO, Served, over_tcp};
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

/// One request on a connection of its own, and how its session began.
fn visit(served: &Served, client: &Client) -> io::Result<HandshakeKind> {
    served.run(async {
        let mut stream = client.handshake(served.connect().await).await?;
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        while !answer.ends_with(HELLO.as_bytes()) {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(stream.get_ref().1.handshake_kind().unwrap())
    })
}

#[test]
fn a_session_is_resumed_by_a_ticket_and_not_by_its_number() {
    let authority = Authority::new();
    let served = Served::start(over_tcp(authority.server()));
    for (how, second) in [
        (Tls12Resumption::SessionIdOrTickets, HandshakeKind::Resumed),
        (Tls12Resumption::SessionIdOnly, HandshakeKind::Full),
    ] {
        let mut config = authority.only(&TLS12);
        config.resumption = Resumption::in_memory_sessions(8).tls12_resumption(how);
        let client = Client::new(config);
        assert_eq!(visit(&served, &client).unwrap(), HandshakeKind::Full);
        assert_eq!(visit(&served, &client).unwrap(), second);
    }
    served.ends();
}

#[test]
fn no_session_outlives_its_clients_certificate() {
    thread::scope(|scope| {
        for version in [&TLS12, &TLS13] {
            // On a busy machine, one visit may take the whole of the certificate's time: then
            // there's more.
            let in_time = move |seconds: &u64| outlives_not(version, Duration::from_secs(*seconds));
            scope.spawn(move || assert!([4, 12, 36].iter().any(in_time)));
        }
    });
}

/// Whether the client was resumed before its certificate ended; afterwards it must not be.
fn outlives_not(version: &'static SupportedProtocolVersion, time: Duration) -> bool {
    const PATIENCE: Duration = Duration::from_secs(60);
    let authority = Authority::new();
    let roots = ClientAuth::Required(Roots::pem(authority.root_pem()));
    let served = Served::start(over_tcp(authority.server().with_client_auth(roots)));
    // Certificates know no fractions of a second.
    let ends = SystemTime::now() + time;
    let identity = authority.issue_with(&["client"], |params| params.not_after = ends.into());
    let client = Client::new(authority.only_as(version, &identity));
    let visits = [visit(&served, &client), visit(&served, &client)];
    if SystemTime::now() > ends - Duration::from_secs(1) {
        return false;
    }
    let kinds = visits.map(Result::unwrap);
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
    let begun = Instant::now();
    let error = loop {
        match visit(&served, &client) {
            Ok(kind) => assert_eq!(kind, HandshakeKind::Resumed),
            Err(error) => break error,
        }
        assert!(begun.elapsed() < PATIENCE, "still resumed: {version:?}");
    };
    assert!(
        SystemTime::now() > ends - Duration::from_secs(1),
        "too early: {error}"
    );
    served.ends();
    true
}
