//! A start that fails half-way leaves nothing behind: by the time of the error, nobody listens any
//! more.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{Server, serve_with};
use anyport_tcp::Tcp;
use std::net::{SocketAddr, TcpListener, TcpStream};

mod scene;

use scene::{PATIENCE, hello};

/// Four workers listen on threads of their own by the time that `then` fails.
fn fails_at(addr: TcpListener, then: impl FnOnce(Server) -> Server) -> SocketAddr {
    let at = addr.local_addr().unwrap();
    let first = serve_with(Tcp::from_std(addr).per_core().with_workers(4), hello());
    then(first).start().unwrap_err();
    at
}

/// Whether somebody listens there. A connect to a free port of the own machine may meet itself.
fn is_listened_to(addr: SocketAddr) -> bool {
    let connected = TcpStream::connect_timeout(&addr, PATIENCE);
    connected.is_ok_and(|stream| stream.local_addr().unwrap() != addr)
}

#[test]
fn a_failed_start_leaves_no_listening_socket() {
    // There's no ambient tokio here for the second part.
    let no_runtime = |first: Server| first.and(Tcp::bind("127.0.0.1:0"), hello());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|addr| (addr, taken)).unwrap();
    let in_use = |first: Server| first.and(Tcp::bind(taken.0).per_core().with_workers(1), hello());
    for _ in 0..20 {
        let addr = fails_at(TcpListener::bind("127.0.0.1:0").unwrap(), no_runtime);
        assert!(
            !is_listened_to(addr),
            "without a runtime for its second part"
        );
        let addr = fails_at(TcpListener::bind("127.0.0.1:0").unwrap(), in_use);
        assert!(
            !is_listened_to(addr),
            "with a second part whose port is in use"
        );
    }
    // What it had bound itself is free again.
    for _ in 0..20 {
        let probe = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = probe.local_addr().unwrap();
        drop(probe);
        let first = serve_with(Tcp::bind(addr).per_core().with_workers(4), hello());
        first
            .and(Tcp::bind("127.0.0.1:0"), hello())
            .start()
            .unwrap_err();
        // Not shared with whoever might be left of the first one.
        TcpListener::bind(addr).unwrap();
    }
}
