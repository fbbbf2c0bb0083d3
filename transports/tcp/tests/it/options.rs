//! Socket options apply to the connections that are accepted.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::fixture::{GRACE, addr_of, connect};
use anyport_core::{Limits, Server, protocol::Accepted, serve_raw_with, socket::SocketOptions};
use anyport_tcp::{Tcp, TcpConnection};
use socket2::SockRef;
use std::{future::pending, net::TcpStream, sync::mpsc::channel, time::Duration};

/// The options of one connection, as the kernel reports them.
#[derive(Debug, PartialEq)]
struct Found {
    nodelay: bool,
    keepalive: Option<Duration>,
    user_timeout: Option<Duration>,
    recv_buffer: usize,
    send_buffer: usize,
}

impl Found {
    fn on(connection: &Accepted<TcpConnection>) -> Self {
        let socket = SockRef::from(connection.io().stream());
        Self {
            nodelay: socket.tcp_nodelay().unwrap(),
            keepalive: socket
                .keepalive()
                .unwrap()
                .then(|| socket.tcp_keepalive_time().unwrap()),
            user_timeout: socket.tcp_user_timeout().unwrap(),
            recv_buffer: socket.recv_buffer_size().unwrap(),
            send_buffer: socket.send_buffer_size().unwrap(),
        }
    }
}

/// The options of a connection to this transport.
async fn found(transport: Tcp) -> Found {
    let (tx, rx) = channel();
    let server = serve_raw_with(transport, move |connection| {
        // Only the first connection is received.
        let _ = tx.send(Found::on(&connection));
        async {}
    });
    let handle = server.start().unwrap();
    let _stream = connect(addr_of(&handle)).unwrap();
    let found = tokio::task::spawn_blocking(move || rx.recv_timeout(crate::fixture::TIMEOUT));
    let found = found.await.unwrap().unwrap();
    handle.shutdown(GRACE).await.unwrap();
    found
}

fn tcp() -> Tcp {
    Tcp::bind("127.0.0.1:0")
}

#[tokio::test]
async fn defaults_set_nodelay_and_nothing_else() {
    let found = found(tcp()).await;
    assert_eq!(
        (found.nodelay, found.keepalive, found.user_timeout),
        (true, None, None)
    );
}

#[tokio::test]
async fn options_apply_to_accepted_connections() {
    let second = Duration::from_secs(1);
    assert!(!found(tcp().with_nodelay(false)).await.nodelay);
    assert_eq!(
        found(tcp().with_keepalive(42 * second)).await.keepalive,
        Some(42 * second)
    );
    assert_eq!(
        found(tcp().with_user_timeout(7 * second))
            .await
            .user_timeout,
        Some(7 * second)
    );
}

#[tokio::test]
async fn buffer_sizes_apply_to_accepted_connections() {
    let mut options = SocketOptions::default();
    options.recv_buffer = Some(20_000);
    options.send_buffer = Some(30_000);
    let found = found(tcp().with_options(options)).await;
    // The kernel doubles a requested size, for its own bookkeeping (socket(7)).
    assert_eq!((found.recv_buffer, found.send_buffer), (40_000, 60_000));
}

#[tokio::test]
async fn adopted_socket_keeps_its_options() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let found = found(Tcp::from_std(listener)).await;
    assert!(!found.nodelay);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backlog_limits_the_accept_queue() {
    let few = queued(serve_one(tcp().with_backlog(1))).await;
    let more = queued(serve_one(tcp().with_backlog(20))).await;
    // The kernel queues one connection more than requested, and a client may consider itself
    // connected one step earlier.
    assert!((1..=4).contains(&few), "{few}");
    assert!((20..=23).contains(&more), "{more}");
}

/// A server that is full with one connection, which does not end.
fn serve_one(transport: Tcp) -> Server {
    serve_raw_with(transport, |_| pending::<()>()).limits(Limits::default().with_connections(1))
}

/// How many connections can be made besides the one that is served.
async fn queued(server: Server) -> usize {
    let handle = server.start().unwrap();
    let addr = addr_of(&handle);
    let served = connect(addr).unwrap();
    while handle.connections() == 0 {
        tokio::task::yield_now().await;
    }
    // A connect beyond the queue gets no response, and the client would retry after a second.
    let one_more = || TcpStream::connect_timeout(&addr, Duration::from_millis(500));
    let queued: Vec<_> = std::iter::from_fn(|| one_more().ok()).take(100).collect();
    handle.abort().await.unwrap();
    drop(served);
    queued.len()
}
