//! A start that fails half-way leaves nothing behind: no socket listens when the error is returned.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{Server, serve_with};
use anyport_tcp::Tcp;
use std::net::{SocketAddr, TcpListener, TcpStream};

mod fixture;

use fixture::{TIMEOUT, hello};

/// Four workers listen on threads of their own when `then` fails.
fn fail_start(addr: TcpListener, then: impl FnOnce(Server) -> Server) -> SocketAddr {
    let at = addr.local_addr().unwrap();
    let first = serve_with(Tcp::from_std(addr).per_core().with_workers(4), hello());
    then(first).start().unwrap_err();
    at
}

/// Whether a socket listens at `addr`. A connect to a free local port may connect to itself.
fn is_listening(addr: SocketAddr) -> bool {
    let connected = TcpStream::connect_timeout(&addr, TIMEOUT);
    connected.is_ok_and(|stream| stream.local_addr().unwrap() != addr)
}

#[test]
fn failed_start_closes_its_listening_sockets() {
    // There is no ambient tokio here for the second transport.
    let no_runtime = |first: Server| first.and(Tcp::bind("127.0.0.1:0"), hello());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|addr| (addr, taken)).unwrap();
    let in_use = |first: Server| first.and(Tcp::bind(taken.0).per_core().with_workers(1), hello());
    for _ in 0..20 {
        let addr = fail_start(TcpListener::bind("127.0.0.1:0").unwrap(), no_runtime);
        assert!(
            !is_listening(addr),
            "without a runtime for the second transport"
        );
        let addr = fail_start(TcpListener::bind("127.0.0.1:0").unwrap(), in_use);
        assert!(
            !is_listening(addr),
            "with a port in use for the second transport"
        );
    }
    // The address that the failed server had bound is free again.
    for _ in 0..20 {
        let probe = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = probe.local_addr().unwrap();
        drop(probe);
        let first = serve_with(Tcp::bind(addr).per_core().with_workers(4), hello());
        first
            .and(Tcp::bind("127.0.0.1:0"), hello())
            .start()
            .unwrap_err();
        // This socket has no SO_REUSEPORT, so a remaining socket of the failed server would be an
        // error.
        TcpListener::bind(addr).unwrap();
    }
}
