//! Peers that disconnect or stall in the middle of a handshake.
use super::{DEADLINE, connect, read_all, server, start_with_timeout};
use crate::{
    client::Authority,
    fixture::over_tcp,
    wire::{RawClient, client_hello},
};
use anyport_tls::rustls::version;
use std::{
    io::{self, Write},
    net::Shutdown,
    time::Instant,
};

#[test]
fn truncated_client_hello_closes_the_connection() {
    let authority = Authority::new();
    let hello = client_hello(&authority);
    let server = server(&authority);
    for length in 0..hello.len() {
        let mut stream = connect(&server);
        stream.write_all(&hello[..length]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&mut stream), b"", "after {length} bytes");
    }
    server.log.wait_closed(hello.len());
    let events = server.log.events();
    assert_eq!(
        (events.failed.len(), events.established.len()),
        (hello.len(), 0)
    );
    for (_, kind, error) in &events.failed {
        assert_eq!(
            (*kind, &**error),
            (
                io::ErrorKind::UnexpectedEof,
                "the peer closed the connection before it sent a ClientHello"
            )
        );
    }
    drop(events);
    server.shut_down();
}

/// The peer stalls before its ClientHello, within it, and after it.
#[test]
fn stalled_handshake_is_closed_at_the_timeout() {
    let authority = Authority::new();
    let whole = client_hello(&authority);
    for begin in [
        &whole[..0],
        &whole[..1],
        &whole[..whole.len() / 2],
        &whole[..],
    ] {
        let server = start_with_timeout(over_tcp(authority.server()), DEADLINE);
        let began = Instant::now();
        let mut stream = connect(&server);
        // An error means that the timeout has passed already.
        let _ = stream.write_all(begin);
        read_all(&mut stream);
        assert!(began.elapsed() >= DEADLINE);
        assert_eq!(server.log.single_failure().0, io::ErrorKind::TimedOut);
        server.shut_down();
    }
}

/// The last flight is truncated: the Finished message, and in TLS 1.2 also the messages before it.
#[test]
fn disconnect_in_the_last_flight_fails_the_handshake() {
    let authority = Authority::new();
    for version in [&version::TLS13, &version::TLS12] {
        let server = server(&authority);
        let mut stream = connect(&server);
        let last = RawClient::new(authority.only(version))
            .last_flight(&mut stream)
            .unwrap();
        stream.write_all(&last[..last.len() - 10]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        read_all(&mut stream);
        let (kind, error) = server.log.single_failure();
        assert_eq!(
            (kind, &*error),
            (io::ErrorKind::UnexpectedEof, "tls handshake eof")
        );
        server.shut_down();
    }
}

/// The same truncation, but the peer stays connected.
#[test]
fn stall_in_the_last_flight_times_out() {
    let authority = Authority::new();
    for version in [&version::TLS13, &version::TLS12] {
        // On a busy machine the peer may be too late to get this far. The timeout is longer then.
        let gets_that_far = |times: u32| {
            let server = start_with_timeout(over_tcp(authority.server()), times * DEADLINE);
            let mut stream = connect(&server);
            let last = RawClient::new(authority.only(version)).last_flight(&mut stream);
            if let Ok(last) = &last {
                let _ = stream.write_all(&last[..last.len() - 10]);
            }
            read_all(&mut stream);
            assert_eq!(server.log.single_failure().0, io::ErrorKind::TimedOut);
            server.shut_down();
            last.is_ok()
        };
        assert!([1, 10, 100].into_iter().any(gets_that_far));
    }
}
