//! Socket options: each one asked for is found on the connections that are accepted.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::scene::{GRACE, addr_of, connect};
use anyport_core::{Accepted, Limits, Server, serve_raw_with, socket::SocketOptions};
use anyport_tcp::{Tcp, TcpConnection};
use socket2::SockRef;
use std::{future::pending, net::TcpStream, sync::mpsc::channel, time::Duration};

/// What the kernel says of one connection.
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

/// What's found on a connection to this transport.
async fn found(transport: Tcp) -> Found {
    let (tell, told) = channel();
    let server = serve_raw_with(transport, move |connection| {
        // Nobody waits for a second one.
        let _ = tell.send(Found::on(&connection));
        async {}
    });
    let handle = server.start().unwrap();
    let _stream = connect(addr_of(&handle)).unwrap();
    let found = tokio::task::spawn_blocking(move || told.recv_timeout(crate::scene::PATIENCE));
    let found = found.await.unwrap().unwrap();
    handle.shutdown(GRACE).await.unwrap();
    found
}

fn tcp() -> Tcp {
    Tcp::bind("127.0.0.1:0")
}

#[tokio::test]
async fn by_default_small_writes_are_sent_at_once_and_nothing_else_is_touched() {
    let found = found(tcp()).await;
    assert_eq!(
        (found.nodelay, found.keepalive, found.user_timeout),
        (true, None, None)
    );
}

#[tokio::test]
async fn each_option_is_found_on_an_accepted_connection() {
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
async fn the_sizes_of_the_buffers_are_found_on_an_accepted_connection() {
    let mut options = SocketOptions::default();
    options.recv_buffer = Some(20_000);
    options.send_buffer = Some(30_000);
    let found = found(tcp().with_options(options)).await;
    // The kernel doubles what's asked for, for its own book-keeping (socket(7)).
    assert_eq!((found.recv_buffer, found.send_buffer), (40_000, 60_000));
}

#[tokio::test]
async fn an_adopted_socket_keeps_its_options() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let found = found(Tcp::from_std(listener)).await;
    assert!(!found.nodelay);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backlog_is_what_the_kernel_queues() {
    let few = queued(serve_one(tcp().with_backlog(1))).await;
    let more = queued(serve_one(tcp().with_backlog(20))).await;
    // The kernel queues one more than asked for, and a client may believe itself connected one step
    // earlier.
    assert!((1..=4).contains(&few), "{few}");
    assert!((20..=23).contains(&more), "{more}");
}

/// A server that's full with one connection, which doesn't end.
fn serve_one(transport: Tcp) -> Server {
    serve_raw_with(transport, |_| pending::<()>()).limits(Limits::default().with_connections(1))
}

/// How many connections can be made beside the one that's served.
async fn queued(server: Server) -> usize {
    let handle = server.start().unwrap();
    let addr = addr_of(&handle);
    let served = connect(addr).unwrap();
    while handle.connections() == 0 {
        tokio::task::yield_now().await;
    }
    // What doesn't fit isn't answered, and would be tried again after a second.
    let one_more = || TcpStream::connect_timeout(&addr, Duration::from_millis(500));
    let queued: Vec<_> = std::iter::from_fn(|| one_more().ok()).take(100).collect();
    handle.abort().await.unwrap();
    drop(served);
    queued.len()
}
