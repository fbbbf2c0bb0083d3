//! Reads and writes on a stream: no byte is lost, doubled or out of place.

use crate::fixture::{DRIVERS, GRACE, connect, one_worker};
use anyport_core::{Connection, protocol::Accepted, serve_raw_with};
use anyport_monoio::MonoioConnection;
use hyper::rt::{Read as _, ReadBuf, Write as _};
use std::{
    future::poll_fn,
    io::{self, IoSlice, Read, Write},
    pin::Pin,
    sync::mpsc,
    task::{Context, Poll},
    thread,
    time::Duration,
};

const KIB: usize = 1024;

/// Bytes that depend on their position.
fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|n| (n * 31 % 251) as u8).collect()
}

fn poll_read(
    io: &mut Accepted<MonoioConnection>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Vec<u8>>> {
    let mut space = [0; 8 * KIB];
    let mut buf = ReadBuf::new(&mut space);
    let polled = Pin::new(io).poll_read(cx, buf.unfilled());
    polled.map_ok(|()| buf.filled().to_vec())
}

/// Polls once, then yields to other tasks.
async fn poll_once<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T> + Unpin) -> Option<T> {
    let polled = poll_fn(|cx| match poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await;
    let mut yielded = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        match std::mem::replace(&mut yielded, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    polled
}

/// A connection that had a large buffer releases it while it waits. Bytes that arrive during that
/// are kept.
pub(crate) async fn releasing_a_large_buffer_loses_no_bytes() {
    const MESSAGES: usize = 3000;
    /// More than a small buffer holds, so that each message is followed by an operation with a
    /// large one.
    const SIZE: usize = 300;
    for driver in DRIVERS {
        let (tx, rx) = mpsc::channel();
        let handler = move |mut io: Accepted<MonoioConnection>| {
            let tx = tx.clone();
            async move {
                let mut seen = 0;
                let mut waited = 0;
                while seen < MESSAGES * SIZE {
                    // This read may start an operation, which `poll_readable` then cancels in a
                    // later poll.
                    if let Some(read) = poll_once(|cx| poll_read(&mut io, cx)).await {
                        let read = read.unwrap();
                        assert_eq!(read, pattern(seen, read.len()), "after {seen} bytes");
                        assert!(!read.is_empty(), "the end after {seen} bytes");
                        seen += read.len();
                        continue;
                    }
                    waited += 1;
                    poll_fn(|cx| Pin::new(&mut io).poll_readable(cx))
                        .await
                        .unwrap();
                }
                tx.send(waited).unwrap();
            }
        };
        let handle = serve_raw_with(one_worker(driver), handler).start().unwrap();
        let mut client = connect(&handle);
        thread::spawn(move || {
            for n in 0..MESSAGES {
                client.write_all(&pattern(n * SIZE, SIZE)).unwrap();
                // The pauses do not wait for an event: they let the server run out of bytes now and
                // then.
                match n % 7 {
                    0 => thread::sleep(Duration::from_micros(50)),
                    1..4 => thread::yield_now(),
                    _ => {}
                }
            }
            client.read(&mut [0])
        });
        let waited = rx.recv_timeout(crate::fixture::TIMEOUT).unwrap();
        assert!(
            waited > MESSAGES / 100,
            "{driver}: it waited {waited} times only"
        );
        handle.shutdown(GRACE).await.unwrap();
    }
}

/// The connection is dropped while the peer does not read.
pub(crate) async fn bytes_written_before_drop_are_sent() {
    for driver in DRIVERS {
        let (tx, rx) = mpsc::channel();
        let handler = move |mut io: Accepted<MonoioConnection>| {
            let tx = tx.clone();
            async move {
                let mut written = 0;
                // Until both send buffers are full, and an operation waits.
                for _ in 0..1000 {
                    let chunk = pattern(written, 100 * KIB);
                    match poll_once(|cx| Pin::new(&mut io).poll_write(cx, &chunk)).await {
                        Some(taken) => written += taken.unwrap(),
                        // Pending with less written: the previous operation has only not completed
                        // yet.
                        None if written > 8 * KIB * KIB => break,
                        None => {}
                    }
                }
                tx.send(written).unwrap();
            }
        };
        let handle = serve_raw_with(one_worker(driver), handler).start().unwrap();
        let mut client = connect(&handle);
        let written = rx.recv_timeout(crate::fixture::TIMEOUT).unwrap();
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        assert_eq!(received.len(), written, "{driver}");
        assert!(received == pattern(0, written), "{driver}: other bytes");
        handle.shutdown(GRACE).await.unwrap();
    }
}

/// Slices of all sizes, including empty ones and more than one operation takes.
pub(crate) async fn vectored_writes_arrive_in_order() {
    const TOTAL: usize = 1024 * KIB;
    for driver in DRIVERS {
        let handler = move |mut io: Accepted<MonoioConnection>| async move {
            let all = pattern(0, TOTAL);
            let sizes = [0, 1, 255, 256, 257, 4 * KIB, 70 * KIB, 3];
            let mut sent = 0;
            while sent < TOTAL {
                let mut at = sent;
                let slices: Vec<_> = sizes
                    .iter()
                    .cycle()
                    .skip(sent % sizes.len())
                    .take(20)
                    .map(|len| {
                        let slice = &all[at..TOTAL.min(at + len)];
                        at += slice.len();
                        IoSlice::new(slice)
                    })
                    .collect();
                assert!(io.is_write_vectored());
                sent += poll_fn(|cx| Pin::new(&mut io).poll_write_vectored(cx, &slices))
                    .await
                    .unwrap();
            }
            poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx))
                .await
                .unwrap();
        };
        let handle = serve_raw_with(one_worker(driver), handler).start().unwrap();
        let mut received = Vec::new();
        connect(&handle).read_to_end(&mut received).unwrap();
        assert!(
            received == pattern(0, TOTAL),
            "{driver}: {} bytes",
            received.len()
        );
        handle.shutdown(GRACE).await.unwrap();
    }
}

/// An error of a send in the background is returned by the next write, flush or shutdown, and by
/// all later ones.
pub(crate) async fn deferred_send_error_is_returned_and_persists() {
    for driver in DRIVERS {
        let (tx, rx) = mpsc::channel();
        let handler = move |mut io: Accepted<MonoioConnection>| {
            let tx = tx.clone();
            async move {
                let mut first = None;
                for _ in 0..1_000_000 {
                    let polled = poll_once(|cx| Pin::new(&mut io).poll_write(cx, &[7; 1000])).await;
                    if let Some(Err(error)) = polled {
                        first = Some(error);
                        break;
                    }
                }
                let flushed = poll_fn(|cx| Pin::new(&mut io).poll_flush(cx)).await;
                let again = poll_fn(|cx| Pin::new(&mut io).poll_write(cx, b"x")).await;
                let ended = poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx)).await;
                tx.send((first, flushed, again, ended)).unwrap();
            }
        };
        let handle = serve_raw_with(one_worker(driver), handler).start().unwrap();
        let client = connect(&handle);
        // A linger time of zero makes close(2) send a TCP RST.
        socket2::SockRef::from(&client)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(client);
        let (first, flushed, again, ended) = rx.recv_timeout(crate::fixture::TIMEOUT).unwrap();
        let kind = first.unwrap().kind();
        assert!(
            matches!(
                kind,
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
            ),
            "{driver}: {kind}"
        );
        assert!(
            flushed.is_err() && again.is_err() && ended.is_err(),
            "{driver}"
        );
        handle.shutdown(GRACE).await.unwrap();
    }
}
