//! Many clients that do not finish their handshakes: other clients are served, and the stalled ones
//! are closed at the handshake timeout.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod client;
mod fixture;
mod wire;

use anyport_core::{Server, Timeouts, serve_with};
use anyport_tcp::Tcp;
use anyport_tls::TlsExt;
use client::Authority;
use fixture::{TIMEOUT, TestServer, app, equals, over_tcp, wait_until};
use std::{
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use wire::client_hello;

/// The tests of a process share its descriptors and cores, so one test runs at a time.
static SERIAL: Mutex<()> = Mutex::new(());

/// How many clients stall at each stage.
const EACH: usize = 300;

#[test]
fn stalled_handshakes_do_not_block_others_on_ambient_tokio() {
    check_stalled_handshakes_do_not_block_others(|authority| over_tcp(authority.server()));
}

#[test]
fn stalled_handshakes_do_not_block_others_on_one_worker() {
    check_stalled_handshakes_do_not_block_others(|authority| {
        let tcp = Tcp::bind("127.0.0.1:0").per_core().with_workers(1);
        serve_with(tcp.tls(authority.server()), app())
    });
}

fn check_stalled_handshakes_do_not_block_others(server: impl Fn(&Authority) -> Server) {
    let _guard = SERIAL.lock().unwrap_or_else(PoisonError::into_inner);
    // A process's first runtime opens descriptors that stay open.
    TestServer::start(over_tcp(Authority::new().server())).shut_down();
    let before = descriptors();
    // The test must finish before the stalled handshakes time out. On a machine that is too busy
    // for that, the timeout is longer.
    let deadlines = [2, 10, 40].map(Duration::from_secs);
    let finishes_in_time =
        |&deadline: &Duration| serves_beside_stalled_handshakes(deadline, &server);
    assert!(
        deadlines.iter().any(finishes_in_time),
        "the handshakes timed out too soon"
    );
    wait_until("all descriptors are closed", || {
        equals(before, descriptors())
    });
}

/// Serves other clients beside stalled handshakes. The result does not count if the stalled ones
/// time out too soon.
fn serves_beside_stalled_handshakes(
    deadline: Duration,
    server: impl Fn(&Authority) -> Server,
) -> bool {
    const OTHERS: usize = 31;
    let authority = Authority::new();
    let timeouts = Timeouts::default().with_handshake(deadline);
    let server = TestServer::start(server(&authority).timeouts(timeouts));
    let client_hello = client_hello(&authority);

    let began = Instant::now();
    let mut stalled = Vec::new();
    for begin in [
        &client_hello[..0],
        &client_hello[..1],
        &client_hello[..client_hello.len() / 2],
        &client_hello[..],
    ] {
        stalled.extend((0..EACH).map(|_| connect_and_stall(&server, begin)));
    }
    // The stalled ClientHellos have just arrived, and wait for their responses.
    let first = handshake(&authority, &server);
    // Each client that has sent its whole ClientHello has received a response.
    let mut responses = stalled[3 * EACH..].iter_mut();
    let received = responses.try_for_each(|client| client.read_exact(&mut [0; 5]));
    let others = (0..OTHERS).try_for_each(|_| handshake(&authority, &server));
    if !server.log.events().failed.is_empty() {
        return false;
    }
    first.and(received).and(others).unwrap();

    wait_until("all stalled handshakes have failed", || {
        equals(4 * EACH, server.log.events().failed.len())
    });
    assert!(began.elapsed() >= deadline);
    for (_, kind, _) in &server.log.events().failed {
        assert_eq!(*kind, io::ErrorKind::TimedOut);
    }
    for mut client in stalled {
        // Some clients get an alert. Others are reset, because the server closed with unread bytes.
        let _ = client.read_to_end(&mut Vec::new());
    }
    let good = server.log.events().established.len();
    server.log.wait_closed(4 * EACH + good);
    server.shut_down();
    true
}

fn connect_and_stall(server: &TestServer, begin: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(server.addr()).unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    // An error means that the server has closed the connection already.
    let _ = client.write_all(begin);
    client
}

fn handshake(authority: &Authority, server: &TestServer) -> io::Result<()> {
    let client = authority.client();
    server.run(async {
        let stream = server.connect().await;
        client.connect(stream).await.map(drop)
    })
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}
