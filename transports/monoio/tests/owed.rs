//! What a dropped connection owes its peer: it's sent, it counts against the limits until then, and
//! nothing sleeps in the kernel for it.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod scene;

use anyport_core::{Accepted, Limits, Timeouts, serve_raw_with};
use anyport_monoio::{Driver, MonoioConnection};
use hyper::rt::Write as _;
use hyper_util::rt::TokioIo;
use scene::{DRIVERS, GRACE, PATIENCE, connect, one, until};
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

/// A piece that's small enough to be copied, for an operation.
const PIECE: usize = 100;
/// In so many turns in a row, an operation is done that need not wait; and one that has to wait has
/// been given up on by the kernel, which tries 128 times before it lends it a thread.
const TURNS: usize = 1000;

/// Writes until the peer and its kernel take nothing more, and says how much that was.
async fn fill(io: &mut Accepted<MonoioConnection>) -> usize {
    let (mut written, mut pending) = (0, 0);
    poll_fn(|cx| {
        match Pin::new(&mut *io).poll_write(cx, &[7; PIECE]) {
            Poll::Ready(taken) => {
                written += taken.unwrap();
                pending = 0;
            }
            Poll::Pending if pending == TURNS => return Poll::Ready(()),
            Poll::Pending => pending += 1,
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    written
}

/// A client that said so.
fn client(handle: &anyport_core::Handle, say: &[u8]) -> TcpStream {
    let mut client = connect(handle);
    client.write_all(say).unwrap();
    client
}

/// Whether it's answered what it said; not yet, if that would have to be waited for.
fn is_answered(client: &mut TcpStream, waits: bool) -> bool {
    client.set_nonblocking(!waits).unwrap();
    match client.read_exact(&mut [0]) {
        Ok(()) => true,
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => false,
        Err(e) => panic!("{e}"),
    }
}

async fn what_is_owed_is_sent_and_counts_until_it_has_been() {
    for driver in DRIVERS {
        let (tell, told) = mpsc::channel();
        let handler = move |mut io: Accepted<MonoioConnection>| {
            let tell = tell.clone();
            async move {
                let mut said = [0];
                let mut stream = TokioIo::new(&mut io);
                while stream.read_exact(&mut said).await.is_ok() && said != *b"f" {
                    stream.write_all(&said).await.unwrap();
                }
                if said == *b"f" {
                    tell.send(fill(&mut io).await).unwrap();
                }
            }
        };
        let handle = serve_raw_with(one(driver), handler)
            .limits(Limits::default().with_connections(2))
            .start()
            .unwrap();
        let mut busy = client(&handle, b"e");
        assert!(is_answered(&mut busy, true));
        let mut owed = client(&handle, b"f");
        let written = told.recv_timeout(PATIENCE).unwrap();
        let mut next = client(&handle, b"e");
        for _ in 0..200 {
            busy.write_all(b"e").unwrap();
            assert!(is_answered(&mut busy, true));
        }
        // With epoll, a write takes no more than the kernel does: nothing is owed.
        if driver == Driver::IoUring {
            assert!(!is_answered(&mut next, false), "served beyond the limit");
        }
        let mut received = Vec::new();
        owed.read_to_end(&mut received).unwrap();
        assert_eq!(received.len(), written, "{driver}");
        assert!(is_answered(&mut next, true), "{driver}");
        drop((busy, next));
        handle.shutdown(GRACE).await.unwrap();
    }
}

async fn who_stalls_is_owed_nothing_more_and_neither_is_anybody_at_an_abort() {
    for (write_stall, aborts) in [(Duration::from_secs(1), false), (Duration::MAX, true)] {
        let (tell, told) = mpsc::channel();
        let handler = move |mut io: Accepted<MonoioConnection>| {
            let tell = tell.clone();
            async move { tell.send(fill(&mut io).await).unwrap() }
        };
        let handle = serve_raw_with(one(Driver::IoUring), handler)
            .timeouts(Timeouts::default().with_write_stall(write_stall))
            .start()
            .unwrap();
        let mut owed = client(&handle, b"");
        let written = told.recv_timeout(PATIENCE).unwrap();
        if aborts {
            assert_eq!(handle.connections(), 1);
            handle.clone().abort().await.unwrap();
        } else {
            until("it's owed nothing more", || handle.connections() == 0);
            handle.shutdown(GRACE).await.unwrap();
        }
        let mut received = Vec::new();
        owed.read_to_end(&mut received).unwrap();
        assert!(received.len() < written, "{} of {written}", received.len());
    }
}

/// A peer that has ended its sending half would have the kernel give each operation that has to
/// wait a thread to sleep in.
async fn no_operation_sleeps_for_long_in_a_thread_for_a_peer_that_only_reads() {
    const WRITERS: usize = 10;
    for driver in DRIVERS {
        let (tell, told) = mpsc::channel();
        let have_ended = Arc::new(AtomicBool::new(false));
        let may_begin = Arc::clone(&have_ended);
        let handler = move |mut io: Accepted<MonoioConnection>| {
            let (tell, may_begin) = (tell.clone(), Arc::clone(&may_begin));
            async move {
                poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    match may_begin.load(SeqCst) {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    }
                })
                .await;
                tell.send(fill(&mut io).await).unwrap();
                poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx))
                    .await
                    .unwrap();
            }
        };
        let handle = serve_raw_with(one(driver), handler).start().unwrap();
        let clients = [(); WRITERS].map(|()| client(&handle, b""));
        for client in &clients {
            client.shutdown(Shutdown::Write).unwrap();
        }
        have_ended.store(true, SeqCst);
        let written: usize = (0..WRITERS)
            .map(|_| told.recv_timeout(PATIENCE).unwrap())
            .sum();
        // Those that were lent end when they've had nothing to do for some seconds; a ring keeps
        // one of them.
        until("no thread sleeps for an operation", || lent() <= 1);
        let received = clients.into_iter().map(|mut client| {
            let mut received = Vec::new();
            client.read_to_end(&mut received).unwrap()
        });
        assert_eq!(received.sum::<usize>(), written, "{driver}");
        handle.shutdown(GRACE).await.unwrap();
    }
}

/// How many threads the kernel lends this process for operations that sleep.
fn lent() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    // One that ends meanwhile has no name any more.
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("iou-wrk")).count()
}

anyport_testkit::tests_unless!(scene::missing(); what_is_owed_is_sent_and_counts_until_it_has_been, who_stalls_is_owed_nothing_more_and_neither_is_anybody_at_an_abort, no_operation_sleeps_for_long_in_a_thread_for_a_peer_that_only_reads);
