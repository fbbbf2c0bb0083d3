//! Closing a listening socket loses no connection. A connected client is served, and a later one is
//! refused.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::fixture::{Fixture, TIMEOUT};
use anyport_core::{Server, protocol::Accepted, serve_raw_with};
use anyport_testkit::fixture::run_concurrently;
use anyport_unix::{Unix, UnixConnection};
use hyper_util::rt::TokioIo;
use std::{
    io::{self, Read, Write},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixStream},
    },
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
/// Longer than any drain here takes.
const GRACE: Duration = Duration::from_secs(20);

#[test]
fn removing_the_path_loses_no_connection() {
    run_concurrently(LANES, |_| async {
        let fixture = Fixture::new();
        let address = SocketAddr::from_pathname(&fixture.path).unwrap();
        run_rounds(&address, || serve_raw_with(fixture.unix(), echo_byte)).await;
    });
}

#[test]
fn removing_the_path_of_two_workers_loses_no_connection() {
    run_concurrently(LANES, |_| async {
        let fixture = Fixture::new();
        let address = SocketAddr::from_pathname(&fixture.path).unwrap();
        let unix = || fixture.unix().per_core().with_workers(2);
        run_rounds(&address, || serve_raw_with(unix(), echo_byte)).await;
    });
}

#[test]
fn closing_an_abstract_socket_loses_no_connection() {
    run_concurrently(LANES, |lane| async move {
        let name = format!("anyport-test-stop-{}-{lane}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let unix = || Unix::bind_abstract(&name).per_core().with_workers(2);
        run_rounds(&address, || serve_raw_with(unix(), echo_byte)).await;
    });
}

async fn echo_byte(connection: Accepted<UnixConnection>) {
    let mut io = TokioIo::new(connection);
    if let Ok(byte) = io.read_u8().await {
        // The write may fail, because the client may have disconnected.
        let _ = io.write_u8(byte).await;
    }
}

async fn run_rounds(address: &SocketAddr, server: impl Fn() -> Server) {
    let mut failures = Vec::new();
    for round in 1..=ROUNDS {
        let handle = server().start().unwrap();
        let draining = Arc::new(AtomicBool::new(false));
        let (warm, all_warm) = channel();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (address, draining, warm) =
                    (address.clone(), Arc::clone(&draining), warm.clone());
                thread::spawn(move || client(&address, &draining, warm))
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
fn client(address: &SocketAddr, draining: &AtomicBool, warm: Sender<()>) -> Result<(), String> {
    let mut warm = Some(warm);
    for nth in 1.. {
        let stream = match UnixStream::connect_addr(address) {
            Ok(stream) => stream,
            Err(_) if draining.load(SeqCst) => break,
            Err(e) => return Err(format!("connection {nth} failed before the drain: {e}")),
        };
        exchange(&stream).map_err(|e| format!("connection {nth} was made and then lost: {e}"))?;
        if nth == WARM {
            warm = None;
        }
    }
    drop(warm);
    Ok(())
}

fn exchange(mut stream: &UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"x")?;
    let mut byte = [0];
    stream.read_exact(&mut byte)
}
