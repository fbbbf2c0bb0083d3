//! Closing a listening socket loses no connection. A client that completed the TCP handshake is
//! served, and a later one is refused.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{Server, protocol::Accepted, serve_raw_with};
use anyport_monoio::{Driver, Monoio, MonoioConnection};
use anyport_testkit::fixture::run_concurrently;
use hyper_util::rt::TokioIo;
use std::{
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd,
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
const LANES: usize = 5;
const ROUNDS: usize = 4;
const CLIENTS: usize = 8;
/// How many connections each client has had before the drain begins.
const WARM: usize = 10;
/// A refused client would retry its SYN after a second, which the test does not wait for.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(50);
/// Longer than any drain here takes.
const GRACE: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn closing_the_socket_loses_no_connection_on_io_uring() {
    run_concurrently(LANES, |_| {
        run_rounds(|| serve_raw_with(bind(Driver::IoUring).with_workers(1), echo_byte))
    });
}

pub(crate) fn closing_the_socket_loses_no_connection_on_epoll() {
    run_concurrently(LANES, |_| {
        run_rounds(|| serve_raw_with(bind(Driver::Epoll).with_workers(1), echo_byte))
    });
}

pub(crate) fn closing_the_sockets_of_two_workers_loses_no_connection() {
    run_concurrently(LANES, |_| {
        run_rounds(|| serve_raw_with(bind(Driver::Auto).with_workers(2), echo_byte))
    });
}

/// The other owners go on to accept, on a socket that has the blocking mode that they set.
pub(crate) async fn adopted_socket_stays_open_for_its_other_owners() {
    for driver in [Driver::IoUring, Driver::Epoll] {
        let owner = TcpListener::bind("127.0.0.1:0").unwrap();
        let monoio = Monoio::from_std(owner.try_clone().unwrap()).with_driver(driver);
        let server = serve_raw_with(monoio.with_workers(2), echo_byte);
        let handle = server.start().unwrap();
        let addr = handle.endpoints()[0].socket_addr().unwrap();
        exchange(&TcpStream::connect(addr).unwrap()).unwrap();
        let report = handle.shutdown(GRACE).await.unwrap();
        assert_eq!(report.aborted, 0, "{report}");
        let later = TcpStream::connect(addr).unwrap();
        owner.set_nonblocking(false).unwrap();
        assert_eq!(owner.accept().unwrap().1, later.local_addr().unwrap());
    }
}

/// The port is free as soon as `shutdown` returns.
pub(crate) async fn port_is_free_after_shutdown() {
    for driver in [Driver::IoUring, Driver::Epoll] {
        let first = serve_raw_with(bind(driver), echo_byte).start().unwrap();
        let addr = first.endpoints()[0].socket_addr().unwrap();
        first.shutdown(GRACE).await.unwrap();
        for _ in 0..20 {
            let again = Monoio::bind(addr).with_driver(driver).with_workers(2);
            let handle = serve_raw_with(again, echo_byte).start().unwrap();
            exchange(&TcpStream::connect(addr).unwrap()).unwrap();
            handle.abort().await.unwrap();
        }
    }
}

/// A child process must not inherit a connection and hold it open.
pub(crate) async fn accepted_sockets_are_close_on_exec() {
    for driver in [Driver::IoUring, Driver::Epoll] {
        let handler = |connection: Accepted<MonoioConnection>| async move {
            let flags =
                fs::read_to_string(format!("/proc/self/fdinfo/{}", connection.io().as_raw_fd()));
            let flags = flags.unwrap_or_default();
            let flags = flags.lines().find_map(|line| line.strip_prefix("flags:"));
            let octal = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
            let mut io = TokioIo::new(connection);
            let _ = io.write_u32(octal.unwrap_or_default()).await;
            let _ = io.shutdown().await;
        };
        let handle = serve_raw_with(bind(driver), handler).start().unwrap();
        let addr = handle.endpoints()[0].socket_addr().unwrap();
        let mut flags = [0; 4];
        TcpStream::connect(addr)
            .unwrap()
            .read_exact(&mut flags)
            .unwrap();
        const O_CLOEXEC: u32 = 0o2_000_000;
        assert_ne!(
            u32::from_be_bytes(flags) & O_CLOEXEC,
            0,
            "{driver}: {flags:?}"
        );
        handle.abort().await.unwrap();
    }
}

fn bind(driver: Driver) -> Monoio {
    Monoio::bind("127.0.0.1:0").with_driver(driver)
}

async fn echo_byte(connection: Accepted<MonoioConnection>) {
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
