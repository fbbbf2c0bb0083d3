//! A dropped connection still sends the bytes that were written to it. It counts against the limits
//! until then, and no io-wq thread sleeps for it.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod fixture;

use anyport_core::{Limits, Timeouts, protocol::Accepted, serve_raw_with};
use anyport_monoio::{Driver, MonoioConnection};
use fixture::{DRIVERS, GRACE, TIMEOUT, connect, one_worker, wait_until};
use hyper::rt::Write as _;
use hyper_util::rt::TokioIo;
use std::{
    fs,
    future::poll_fn,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc,
    },
    task::Poll,
    time::Duration,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Small enough to be copied into an operation's buffer.
const CHUNK: usize = 100;
/// After this many pending polls, an operation that need not wait has completed. One that has to
/// wait has been given to an io-wq thread by then, which the kernel does after 128 attempts.
const PENDING_POLLS: usize = 1000;

/// Writes until neither the peer nor the kernel takes more, and returns how much was written.
async fn fill_send_buffer(io: &mut Accepted<MonoioConnection>) -> usize {
    let (mut written, mut pending) = (0, 0);
    poll_fn(|cx| {
        match Pin::new(&mut *io).poll_write(cx, &[7; CHUNK]) {
            Poll::Ready(taken) => {
                written += taken.unwrap();
                pending = 0;
            }
            Poll::Pending if pending == PENDING_POLLS => return Poll::Ready(()),
            Poll::Pending => pending += 1,
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    written
}

/// A client that has sent `bytes`.
fn client(handle: &anyport_core::Handle, bytes: &[u8]) -> TcpStream {
    let mut client = connect(handle);
    client.write_all(bytes).unwrap();
    client
}

/// Whether the server echoes a byte. Without `may_block`, whether it has done so already.
fn is_echoed(client: &mut TcpStream, may_block: bool) -> bool {
    client.set_nonblocking(!may_block).unwrap();
    match client.read_exact(&mut [0]) {
        Ok(()) => true,
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => false,
        Err(e) => panic!("{e}"),
    }
}

async fn dropped_connection_sends_its_pending_bytes_and_counts_until_then() {
    for driver in DRIVERS {
        let (tx, rx) = mpsc::channel();
        let handler = move |mut io: Accepted<MonoioConnection>| {
            let tx = tx.clone();
            async move {
                let mut byte = [0];
                let mut stream = TokioIo::new(&mut io);
                while stream.read_exact(&mut byte).await.is_ok() && byte != *b"f" {
                    stream.write_all(&byte).await.unwrap();
                }
                if byte == *b"f" {
                    tx.send(fill_send_buffer(&mut io).await).unwrap();
                }
            }
        };
        let handle = serve_raw_with(one_worker(driver), handler)
            .limits(Limits::default().with_connections(2))
            .start()
            .unwrap();
        let mut busy = client(&handle, b"e");
        assert!(is_echoed(&mut busy, true));
        let mut dropped = client(&handle, b"f");
        let written = rx.recv_timeout(TIMEOUT).unwrap();
        let mut next = client(&handle, b"e");
        for _ in 0..200 {
            busy.write_all(b"e").unwrap();
            assert!(is_echoed(&mut busy, true));
        }
        // With epoll, a write takes no more than the kernel does, so nothing is pending.
        if driver == Driver::IoUring {
            assert!(!is_echoed(&mut next, false), "served beyond the limit");
        }
        let mut received = Vec::new();
        dropped.read_to_end(&mut received).unwrap();
        assert_eq!(received.len(), written, "{driver}");
        assert!(is_echoed(&mut next, true), "{driver}");
        drop((busy, next));
        handle.shutdown(GRACE).await.unwrap();
    }
}

async fn write_stall_or_abort_discards_pending_bytes() {
    for (write_stall, aborts) in [(Duration::from_secs(1), false), (Duration::MAX, true)] {
        // On a busy machine, the kernel takes the pending bytes later. Then nothing is discarded.
        let mut tries = 0;
        while !are_pending_bytes_discarded(write_stall, aborts).await {
            tries += 1;
            assert!(tries < 10, "each time, the client got all bytes");
        }
    }
}

/// Whether the client got less than was written before the end of its connection.
async fn are_pending_bytes_discarded(write_stall: Duration, aborts: bool) -> bool {
    let (tx, rx) = mpsc::channel();
    let handler = move |mut io: Accepted<MonoioConnection>| {
        let tx = tx.clone();
        async move { tx.send(fill_send_buffer(&mut io).await).unwrap() }
    };
    let handle = serve_raw_with(one_worker(Driver::IoUring), handler)
        .timeouts(Timeouts::default().with_write_stall(write_stall))
        .start()
        .unwrap();
    let mut dropped = client(&handle, b"");
    let written = rx.recv_timeout(TIMEOUT).unwrap();
    if aborts {
        // A listener that is being polled counts, too.
        wait_until("one connection is open", || handle.connections() == 1);
        handle.clone().abort().await.unwrap();
    } else {
        wait_until("the connection is closed", || handle.connections() == 0);
        handle.shutdown(GRACE).await.unwrap();
    }
    let mut received = Vec::new();
    dropped.read_to_end(&mut received).unwrap();
    assert!(received.len() <= written, "{} of {written}", received.len());
    received.len() < written
}

/// Once the peer has sent its FIN, the kernel would hand each operation that has to wait to an
/// io-wq thread, which sleeps.
async fn sends_to_a_half_closed_peer_do_not_occupy_io_wq_threads() {
    const WRITERS: usize = 10;
    for driver in DRIVERS {
        let (tx, rx) = mpsc::channel();
        let all_shut_down = Arc::new(AtomicBool::new(false));
        let may_write = Arc::clone(&all_shut_down);
        let handler = move |mut io: Accepted<MonoioConnection>| {
            let (tx, may_write) = (tx.clone(), Arc::clone(&may_write));
            async move {
                poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    match may_write.load(SeqCst) {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    }
                })
                .await;
                tx.send(fill_send_buffer(&mut io).await).unwrap();
                poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx))
                    .await
                    .unwrap();
            }
        };
        let handle = serve_raw_with(one_worker(driver), handler).start().unwrap();
        let clients = [(); WRITERS].map(|()| client(&handle, b""));
        for client in &clients {
            client.shutdown(Shutdown::Write).unwrap();
        }
        all_shut_down.store(true, SeqCst);
        let written: usize = (0..WRITERS)
            .map(|_| rx.recv_timeout(TIMEOUT).unwrap())
            .sum();
        // Idle io-wq threads end after some seconds. A ring keeps one of them.
        wait_until("the io-wq threads have ended", || io_wq_threads() <= 1);
        let received = clients.into_iter().map(|mut client| {
            let mut received = Vec::new();
            client.read_to_end(&mut received).unwrap()
        });
        assert_eq!(received.sum::<usize>(), written, "{driver}");
        handle.shutdown(GRACE).await.unwrap();
    }
}

/// How many io-wq threads this process has, in which operations sleep.
fn io_wq_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    // A thread that has ended since has no name.
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("iou-wrk")).count()
}

anyport_testkit::tests_unless!(fixture::unavailable(); dropped_connection_sends_its_pending_bytes_and_counts_until_then, write_stall_or_abort_discards_pending_bytes, sends_to_a_half_closed_peer_do_not_occupy_io_wq_threads);
