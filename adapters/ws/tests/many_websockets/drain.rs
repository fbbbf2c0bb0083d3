//! Drains thousands of idle WebSockets: each of them is closed with 1001, and the drain ends.
//!
//! The process has both ends of each connection. So it opens half as many WebSockets as it may have
//! descriptors, and 9,000 at most. It prints the number to standard error.
use anyport_core::{Body, Server, serve_with};
use anyport_glommio::Glommio;
use anyport_monoio::Monoio;
use anyport_tcp::Tcp;
use anyport_testkit::{
    fixture::wait_until,
    requirements::{Tests, block_on, needs_start},
};
use anyport_ws::{self as ws, Config, WebSocket};
use http::{Request, Response};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::{
    convert::Infallible,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tower::service_fn;

const MOST: u64 = 9_000;
/// Descriptors for other purposes.
const OTHERS: u64 = 200;
/// Upper bound of every wait. Only a test that hangs reaches it.
const TIMEOUT: Duration = Duration::from_secs(120);

const LOCAL: &str = "127.0.0.1:0";
const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// 1001, masked by zeros.
const CLOSE: &[u8] = &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];

async fn app(mut request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let wait = |mut socket: WebSocket| async move { while socket.recv().await.is_some() {} };
    // The clients answer no ping while others are opened.
    let config = Config::default().without_heartbeat();
    Ok(ws::upgrade(&mut request, &config, wait))
}

type MakeServer = fn() -> Server;

pub(crate) fn tests(mut tests: Tests) -> Tests {
    let servers: [(&str, MakeServer); 3] = [
        ("tcp", || {
            serve_with(Tcp::bind(LOCAL).per_core().with_workers(2), service_fn(app))
        }),
        ("monoio", || {
            serve_with(Monoio::bind(LOCAL).with_workers(2), service_fn(app))
        }),
        ("glommio", || {
            serve_with(Glommio::bind(LOCAL).with_workers(2), service_fn(app))
        }),
    ];
    for (transport, server) in servers {
        let name = format!("websockets_over_{transport}_are_closed_with_1001");
        let test = move || {
            // Each test uses all descriptors of the process, so one test runs at a time.
            static ONE_BY_ONE: Mutex<()> = Mutex::new(());
            let _guard = ONE_BY_ONE.lock().unwrap_or_else(PoisonError::into_inner);
            block_on(are_closed(transport, server()));
        };
        tests = tests.unless(needs_start(server()), &name, test);
    }
    tests
}

/// How many WebSockets the process has descriptors for.
fn max_websockets() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    let most = getrlimit(Resource::Nofile)
        .current
        .map_or(MOST, |limit| limit.saturating_sub(OTHERS) / 2);
    usize::try_from(most.min(MOST)).unwrap()
}

async fn are_closed(transport: &str, server: Server) {
    let running = server.start().unwrap();
    let count = max_websockets();
    eprintln!("{count} WebSockets over {transport}");
    let addr = running.endpoints()[0].socket_addr().unwrap();
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = TcpStream::connect(addr).await.unwrap();
        client.write_all(REQUEST).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            assert_ne!(client.read_buf(&mut head).await.unwrap(), 0);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"));
        clients.push(client);
    }
    // A listener that is being polled counts, too.
    wait_until("each connection is counted", || {
        (running.connections(), running.open().upgraded) == (count, count)
    });
    let drained = running.shutdown(TIMEOUT);
    for mut client in clients {
        let mut head = [0; 4];
        client.read_exact(&mut head).await.unwrap();
        let [0x88, length, code @ ..] = head else {
            panic!("{head:?} is not a close");
        };
        assert_eq!(u16::from_be_bytes(code), 1001);
        let mut reason = vec![0; usize::from(length) - code.len()];
        client.read_exact(&mut reason).await.unwrap();
        client.write_all(CLOSE).await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }
    let report = timeout(TIMEOUT, drained).await.unwrap().unwrap();
    assert_eq!(
        (
            report.completed,
            report.upgraded,
            report.aborted,
            report.stalled
        ),
        (count, count, 0, 0),
        "{report}"
    );
}
