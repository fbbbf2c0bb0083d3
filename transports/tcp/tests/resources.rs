//! What a server holds on to: bounded while a client takes nothing, and given back when clients
//! have left.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod scene;
mod stage;

use anyport_core::{Body, BoxError, Timeouts};
use anyport_testkit::process::Held;
use http::{Request, Response};
use scene::connect;
use stage::{Client, HELLO, Made, On, Stage, is, until};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};
use tower::service_fn;

const MIB: usize = 1024 * 1024;
const GIB: u64 = 1 << 30;

#[test]
fn a_stopped_download_costs_little_and_is_cut_off_on_the_ambient_tokio() {
    a_stopped_download_costs_little_and_is_cut_off(On::Ambient);
}

#[test]
fn a_stopped_download_costs_little_and_is_cut_off_per_core() {
    a_stopped_download_costs_little_and_is_cut_off(On::PerCore);
}

/// Clients that ask for a gibibyte each, read a little of it, and then nothing more: over HTTP/1,
/// and over HTTP/2 with a window for all of it.
fn a_stopped_download_costs_little_and_is_cut_off(on: On) {
    const STALL: Duration = Duration::from_millis(500);
    /// Far more than any scheduling takes, far less than any other deadline.
    const SLACK: Duration = Duration::from_secs(20);
    const EACH: usize = 4;
    let app =
        service_fn(|_: Request<Body>| async { Ok::<_, BoxError>(Response::new(Made(GIB).body())) });
    let timeouts = Timeouts::default().with_write_stall(STALL);
    let stage = Stage::serve(on, app, |server| server.timeouts(timeouts));
    let before = Held::now().memory;
    let requests = [
        b"GET / HTTP/1.1\r\nHost: test\r\n\r\n".to_vec(),
        h2_request(),
    ];
    let mut clients: Vec<TcpStream> = Vec::new();
    let mut stopped = Instant::now();
    for request in (0..EACH).flat_map(|_| &requests) {
        let mut client = connect(stage.addr()).unwrap();
        stopped = Instant::now();
        client.write_all(request).unwrap();
        client.read_exact(&mut vec![0; MIB]).unwrap();
        clients.push(client);
    }
    let mut most = 0;
    until("all are cut off", || {
        most = most.max(Held::now().memory);
        is(0, stage.handle.connections())
    });
    let elapsed = stopped.elapsed();
    // The last one stopped no sooner.
    assert!(
        (STALL * 9 / 10..STALL + SLACK).contains(&elapsed),
        "cut off after {elapsed:?}"
    );
    let grown = most.saturating_sub(before);
    assert!(grown < 64 * MIB, "{} MiB more", grown / MIB);
    for client in &mut clients {
        let mut rest = 0;
        let mut buf = vec![0; MIB];
        // What had been sent already, then an end or a reset.
        while let Ok(n @ 1..) = client.read(&mut buf) {
            rest += n as u64;
        }
        assert!(rest < GIB / 2, "{rest} bytes");
    }
    drop(clients);
    stage.ends();
}

/// A client's preface, settings with the largest window there is, as much for the connection, and a
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
fn ten_thousand_connections_leave_nothing_behind_on_the_ambient_tokio() {
    ten_thousand_connections_leave_nothing_behind(On::Ambient);
}

#[test]
fn ten_thousand_connections_leave_nothing_behind_per_core() {
    ten_thousand_connections_leave_nothing_behind(On::PerCore);
}

/// In batches; each client leaves in one of four ways.
fn ten_thousand_connections_leave_nothing_behind(on: On) {
    const BATCH: usize = 500;
    const BATCHES: usize = 20;
    /// After so many, the allocator has what it needs.
    const WARM: usize = 4;
    let app =
        service_fn(|_: Request<Body>| async { Ok::<_, BoxError>(Response::new(HELLO.to_owned())) });
    let stage = Stage::serve(on, app, |server| server);
    // Whatever is made at the first request, such as a thread's own data.
    assert_eq!(stage.client().get("/").unwrap(), HELLO);
    stage.settles(0);
    let before = Held::now();
    let mut warm = before;
    for batch in 1..=BATCHES {
        let mut clients: Vec<Client> = (0..BATCH).map(|_| stage.client()).collect();
        stage.settles(BATCH);
        for (n, client) in clients.iter_mut().enumerate() {
            match n % 4 {
                // Leaves without a word.
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
        stage.settles(0);
        if batch == WARM {
            warm = Held::now();
        }
    }
    let after = Held::now();
    println!("{on:?}: {before:?} before, {warm:?} warm, {after:?} after");
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
    stage.ends();
}
