//! The memory of a server is bounded while clients read nothing, and is released when they
//! disconnect.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod fixture;
mod test_server;

use anyport_core::{Body, Timeouts, error::BoxError};
use anyport_testkit::process::Resources;
use fixture::connect;
use http::{Request, Response};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};
use test_server::{Client, GeneratedBody, HELLO, TestServer, TokioFlavor, equals, wait_until};
use tower::service_fn;

const MIB: usize = 1024 * 1024;
const GIB: u64 = 1 << 30;

#[test]
fn stalled_downloads_use_little_memory_and_time_out_on_ambient_tokio() {
    check_stalled_downloads_use_little_memory_and_time_out(TokioFlavor::Ambient);
}

#[test]
fn stalled_downloads_use_little_memory_and_time_out_per_core() {
    check_stalled_downloads_use_little_memory_and_time_out(TokioFlavor::PerCore);
}

/// Clients that request a gibibyte each, read a little of it, and then stop. They use HTTP/1, and
/// HTTP/2 with a window for all of it.
fn check_stalled_downloads_use_little_memory_and_time_out(flavor: TokioFlavor) {
    const STALL: Duration = Duration::from_millis(500);
    /// Far longer than any scheduling delay, and far shorter than any other timeout.
    const SLACK: Duration = Duration::from_secs(20);
    const EACH: usize = 4;
    let app = service_fn(|_: Request<Body>| async {
        Ok::<_, BoxError>(Response::new(GeneratedBody(GIB).body()))
    });
    let timeouts = Timeouts::default().with_write_stall(STALL);
    let server = TestServer::serve(flavor, app, |server| server.timeouts(timeouts));
    let before = Resources::now().memory;
    let requests = [
        b"GET / HTTP/1.1\r\nHost: test\r\n\r\n".to_vec(),
        h2_request(),
    ];
    let mut clients: Vec<TcpStream> = Vec::new();
    let mut stopped = Instant::now();
    for request in (0..EACH).flat_map(|_| &requests) {
        let mut client = connect(server.addr()).unwrap();
        stopped = Instant::now();
        client.write_all(request).unwrap();
        client.read_exact(&mut vec![0; MIB]).unwrap();
        clients.push(client);
    }
    let mut most = 0;
    wait_until("all connections are closed", || {
        most = most.max(Resources::now().memory);
        equals(0, server.handle.connections())
    });
    let elapsed = stopped.elapsed();
    // The last client stopped at this moment or later.
    assert!(
        (STALL * 9 / 10..STALL + SLACK).contains(&elapsed),
        "closed after {elapsed:?}"
    );
    let grown = most.saturating_sub(before);
    assert!(grown < 64 * MIB, "{} MiB more", grown / MIB);
    for client in &mut clients {
        let mut remaining = 0;
        let mut buf = vec![0; MIB];
        // The bytes that had been sent already, then an end or a reset.
        while let Ok(n @ 1..) = client.read(&mut buf) {
            remaining += n as u64;
        }
        assert!(remaining < GIB / 2, "{remaining} bytes");
    }
    drop(clients);
    server.shut_down();
}

/// A client's preface, SETTINGS with the largest window, the same window for the connection, and a
/// GET (RFC 9113 3.4, 6.5, 6.9; RFC 7541 A).
fn h2_request() -> Vec<u8> {
    const WINDOW: &[u8] = b"\x7f\xff\xff\xff";
    const MORE: &[u8] = b"\x7f\xff\x00\x00";
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0\0\x06\x04\0\0\0\0\0\0\x04".as_slice(),
        WINDOW,
        b"\0\0\x04\x08\0\0\0\0\0",
        MORE,
        b"\0\0\x09\x01\x05\0\0\0\x01\x82\x86\x84\x01\x04test",
    ]
    .concat()
}

#[test]
fn ten_thousand_connections_leak_nothing_on_ambient_tokio() {
    check_ten_thousand_connections_leak_nothing(TokioFlavor::Ambient);
}

#[test]
fn ten_thousand_connections_leak_nothing_per_core() {
    check_ten_thousand_connections_leak_nothing(TokioFlavor::PerCore);
}

/// The clients connect in batches. Those of a batch disconnect in four different ways.
fn check_ten_thousand_connections_leak_nothing(flavor: TokioFlavor) {
    const BATCH: usize = 500;
    const BATCHES: usize = 20;
    /// After this many batches the allocator has what it needs.
    const WARM: usize = 4;
    let app =
        service_fn(|_: Request<Body>| async { Ok::<_, BoxError>(Response::new(HELLO.to_owned())) });
    // On a busy machine, it takes a while until all clients of a batch have sent a request.
    let timeouts = Timeouts::default().with_head(Duration::from_secs(3600));
    let server = TestServer::serve(flavor, app, |server| server.timeouts(timeouts));
    // The first request creates what exists once, such as thread-local data.
    assert_eq!(server.client().get("/").unwrap(), HELLO);
    server.wait_for_connections(0);
    let before = Resources::now();
    let mut warm = before;
    for batch in 1..=BATCHES {
        let mut clients: Vec<Client> = (0..BATCH).map(|_| server.client()).collect();
        server.wait_for_connections(BATCH);
        for (n, client) in clients.iter_mut().enumerate() {
            match n % 4 {
                // Disconnects without a request.
                0 => {}
                1 => client.send("GET / HTTP/1.1\r\nHo").unwrap(),
                _ => assert_eq!(client.get("/").unwrap(), HELLO),
            }
        }
        for (n, client) in clients.into_iter().enumerate() {
            match n % 4 {
                3 => client.reset(),
                _ => drop(client),
            }
        }
        server.wait_for_connections(0);
        if batch == WARM {
            warm = Resources::now();
        }
    }
    let after = Resources::now();
    println!("{flavor:?}: {before:?} before, {warm:?} warm, {after:?} after");
    assert!(
        after.descriptors <= before.descriptors && after.threads <= before.threads,
        "{before:?} before, {after:?} after"
    );
    assert!(
        after.memory <= warm.memory + 8 * MIB,
        "{warm:?} after {} connections, {after:?} after {}",
        WARM * BATCH,
        BATCHES * BATCH
    );
    server.shut_down();
}
