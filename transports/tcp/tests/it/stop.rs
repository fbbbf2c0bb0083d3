//! Closing a listening socket loses no connection. A client that completed the TCP handshake is
//! served, and a later one is refused.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{Server, protocol::Accepted, serve_raw_with};
use anyport_tcp::{Tcp, TcpConnection};
use anyport_testkit::fixture::run_concurrently;
use hyper_util::rt::TokioIo;
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The servers of a test run at once, since most of a drain is its lame-duck stage.
const LANES: usize = 10;
const ROUNDS: usize = 5;
const CLIENTS: usize = 8;
/// How many connections each client has had before the drain begins.
const WARM: usize = 10;
/// A refused client would retry its SYN after a second, which the test does not wait for.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(50);
/// Longer than any drain here takes.
const GRACE: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(60);

#[test]
fn closing_the_socket_loses_no_connection() {
    run_concurrently(LANES, |_| {
        run_rounds(|| serve_raw_with(Tcp::bind("127.0.0.1:0"), echo_byte))
    });
}

#[test]
fn closing_the_sockets_of_two_workers_loses_no_connection() {
    let transport = || Tcp::bind("127.0.0.1:0").per_core().with_workers(2);
    run_concurrently(LANES, |_| {
        run_rounds(|| serve_raw_with(transport(), echo_byte))
    });
}

async fn echo_byte(connection: Accepted<TcpConnection>) {
    let mut io = TokioIo::new(connection);
    if let Ok(byte) = io.read_u8().await {
        // The write may fail, because the client may have disconnected.
        let _ = io.write_u8(byte).await;
    }
}

async fn run_rounds(server: impl Fn() -> Server) {
    let mut failures = Vec::new();
    for round in 1..=ROUNDS {
        let handle = server().start().unwrap();
        let addr = handle.endpoints()[0].socket_addr().unwrap();
        let draining = Arc::new(AtomicBool::new(false));
        let (warm, all_warm) = channel();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (draining, warm) = (Arc::clone(&draining), warm.clone());
                thread::spawn(move || client(addr, &draining, warm))
            })
            .collect();
        drop(warm);
        while all_warm.recv().is_ok() {}
        draining.store(true, SeqCst);
        let report = handle.shutdown(GRACE).await.unwrap();
        assert_eq!(report.aborted, 0, "{report}");
        for client in clients {
            if let Err(failure) = client.join().unwrap() {
                failures.push(format!("round {round}: {failure}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Makes one connection after another until one is refused.
fn client(addr: SocketAddr, draining: &AtomicBool, warm: Sender<()>) -> Result<(), String> {
    let mut warm = Some(warm);
    for nth in 1.. {
        let stream = match TcpStream::connect_timeout(&addr, CONNECT_TIMEOUT) {
            // A connect to a free local port may connect to itself (TCP simultaneous open).
            Ok(stream) if stream.local_addr().ok() == Some(addr) => break,
            Ok(stream) => stream,
            Err(_) if draining.load(SeqCst) => break,
            // The machine is busy.
            Err(e) if e.kind() == io::ErrorKind::TimedOut => continue,
            Err(e) => return Err(format!("connection {nth} failed before the drain: {e}")),
        };
        exchange(&stream).map_err(|e| format!("connection {nth} was made and then lost: {e}"))?;
        if nth >= WARM {
            warm = None;
        }
    }
    drop(warm);
    Ok(())
}

fn exchange(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"x")?;
    let mut byte = [0];
    stream.read_exact(&mut byte)
}
