//! The stream itself: no byte is lost, doubled or out of place, whatever its operations go through.

use crate::scene::{DRIVERS, GRACE, connect, one};
use anyport_core::{Accepted, Connection, serve_raw_with};
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

/// Bytes that tell where they belong.
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

/// Polls once, and goes on in another turn.
async fn once<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T> + Unpin) -> Option<T> {
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

/// A connection that had a large buffer gives it back while it waits; what arrives meanwhile, is
/// kept.
pub(crate) async fn nothing_is_lost_while_a_large_buffer_is_given_back() {
    const MESSAGES: usize = 3000;
    /// More than a small buffer holds, so that each is followed by an operation with a large one.
    const SIZE: usize = 300;
    for driver in DRIVERS {
        let (tell, told) = mpsc::channel();
        let handler = move |mut io: Accepted<MonoioConnection>| {
            let tell = tell.clone();
            async move {
                let mut seen = 0;
                let mut waited = 0;
                while seen < MESSAGES * SIZE {
                    // Armed, perhaps; then given back, in a turn in which nothing else is asked
                    // for.
                    if let Some(read) = once(|cx| poll_read(&mut io, cx)).await {
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
                tell.send(waited).unwrap();
            }
        };
        let handle = serve_raw_with(one(driver), handler).start().unwrap();
        let mut client = connect(&handle);
        thread::spawn(move || {
            for n in 0..MESSAGES {
                client.write_all(&pattern(n * SIZE, SIZE)).unwrap();
                // Not to wait for anything: now and then, the server is to run dry.
                match n % 7 {
                    0 => thread::sleep(Duration::from_micros(50)),
                    1..4 => thread::yield_now(),
                    _ => {}
                }
            }
            client.read(&mut [0])
        });
        let waited = told.recv_timeout(crate::scene::PATIENCE).unwrap();
        assert!(
            waited > MESSAGES / 100,
            "{driver}: it waited {waited} times only"
        );
        handle.shutdown(GRACE).await.unwrap();
    }
}

/// What a write took, arrives, although the connection is dropped while the peer isn't reading.
pub(crate) async fn what_was_written_is_sent_although_its_connection_is_gone() {
    for driver in DRIVERS {
        let (tell, told) = mpsc::channel();
        let handler = move |mut io: Accepted<MonoioConnection>| {
            let tell = tell.clone();
            async move {
                let mut written = 0;
                // Until the peer's buffer and the kernel's are full, and an operation is waiting.
                for _ in 0..1000 {
                    let chunk = pattern(written, 100 * KIB);
                    match once(|cx| Pin::new(&mut io).poll_write(cx, &chunk)).await {
                        Some(taken) => written += taken.unwrap(),
                        // It's no more than under way, if that was too soon.
                        None if written > 8 * KIB * KIB => break,
                        None => {}
                    }
                }
                tell.send(written).unwrap();
            }
        };
        let handle = serve_raw_with(one(driver), handler).start().unwrap();
        let mut client = connect(&handle);
        let written = told.recv_timeout(crate::scene::PATIENCE).unwrap();
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        assert_eq!(received.len(), written, "{driver}");
        assert!(received == pattern(0, written), "{driver}: other bytes");
        handle.shutdown(GRACE).await.unwrap();
    }
}

/// Slices of all sizes, empty ones and too many for one operation among them.
pub(crate) async fn slices_arrive_in_order_however_many_are_taken_at_once() {
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
        let handle = serve_raw_with(one(driver), handler).start().unwrap();
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

/// An error of a send that nobody waited for shows at the next write, flush or shutdown, and again
/// after that.
pub(crate) async fn an_error_that_comes_late_is_told_and_stays() {
    for driver in DRIVERS {
        let (tell, told) = mpsc::channel();
        let handler = move |mut io: Accepted<MonoioConnection>| {
            let tell = tell.clone();
            async move {
                let mut first = None;
                for _ in 0..1_000_000 {
                    let polled = once(|cx| Pin::new(&mut io).poll_write(cx, &[7; 1000])).await;
                    if let Some(Err(error)) = polled {
                        first = Some(error);
                        break;
                    }
                }
                let flushed = poll_fn(|cx| Pin::new(&mut io).poll_flush(cx)).await;
                let again = poll_fn(|cx| Pin::new(&mut io).poll_write(cx, b"x")).await;
                let ended = poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx)).await;
                tell.send((first, flushed, again, ended)).unwrap();
            }
        };
        let handle = serve_raw_with(one(driver), handler).start().unwrap();
        let client = connect(&handle);
        // Closing resets it.
        socket2::SockRef::from(&client)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(client);
        let (first, flushed, again, ended) = told.recv_timeout(crate::scene::PATIENCE).unwrap();
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
