//! Reads and writes on a stream: no byte is lost, doubled or out of place.

use crate::fixture::{GRACE, connect, one_worker};
use anyport_core::{Connection, protocol::Accepted, serve_raw_with};
use anyport_glommio::GlommioConnection;
use hyper::rt::{Read as _, ReadBuf, Write as _};
use std::{
    future::poll_fn,
    io::{self, IoSlice, Read, Write},
    net::Shutdown,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

const KIB: usize = 1024;

/// Bytes that depend on their position.
fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|n| (n * 31 % 251) as u8).collect()
}

fn poll_read(
    io: &mut Accepted<GlommioConnection>,
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

/// A pending read is abandoned again and again while bytes arrive.
pub(crate) async fn abandoned_pending_read_loses_no_bytes() {
    const MESSAGES: usize = 3000;
    const SIZE: usize = 300;
    let (tx, rx) = mpsc::channel();
    let handler = move |mut io: Accepted<GlommioConnection>| {
        let tx = tx.clone();
        async move {
            let mut seen = 0;
            let mut waited = 0;
            while seen < MESSAGES * SIZE {
                let read = match poll_once(|cx| poll_read(&mut io, cx)).await {
                    Some(read) => read,
                    None => {
                        waited += 1;
                        poll_fn(|cx| Pin::new(&mut io).poll_readable(cx))
                            .await
                            .unwrap();
                        poll_fn(|cx| poll_read(&mut io, cx)).await
                    }
                };
                let read = read.unwrap();
                assert_eq!(read, pattern(seen, read.len()), "after {seen} bytes");
                assert!(!read.is_empty(), "the end after {seen} bytes");
                seen += read.len();
            }
            tx.send(waited).unwrap();
        }
    };
    let handle = serve_raw_with(one_worker(), handler).start().unwrap();
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
    assert!(waited > MESSAGES / 100, "it waited {waited} times only");
    handle.shutdown(GRACE).await.unwrap();
}

/// The connection is dropped while the peer does not read.
pub(crate) async fn bytes_written_before_drop_are_sent() {
    let (tx, rx) = mpsc::channel();
    let handler = move |mut io: Accepted<GlommioConnection>| {
        let tx = tx.clone();
        async move {
            let mut written = 0;
            // Until both send buffers are full, and an operation waits.
            for _ in 0..1000 {
                let chunk = pattern(written, 100 * KIB);
                match poll_once(|cx| Pin::new(&mut io).poll_write(cx, &chunk)).await {
                    Some(taken) => written += taken.unwrap(),
                    // Pending with less written: the write may have been too early.
                    None if written > 8 * KIB * KIB => break,
                    None => {}
                }
            }
            tx.send(written).unwrap();
        }
    };
    let handle = serve_raw_with(one_worker(), handler).start().unwrap();
    let mut client = connect(&handle);
    let written = rx.recv_timeout(crate::fixture::TIMEOUT).unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert_eq!(received.len(), written);
    assert!(received == pattern(0, written), "other bytes");
    handle.shutdown(GRACE).await.unwrap();
}

/// Slices of all sizes, including empty ones and more than one operation takes.
pub(crate) async fn vectored_writes_arrive_in_order() {
    const TOTAL: usize = 1024 * KIB;
    let handler = move |mut io: Accepted<GlommioConnection>| async move {
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
    let handle = serve_raw_with(one_worker(), handler).start().unwrap();
    let mut received = Vec::new();
    connect(&handle).read_to_end(&mut received).unwrap();
    assert!(received == pattern(0, TOTAL), "{} bytes", received.len());
    handle.shutdown(GRACE).await.unwrap();
}

/// A task whose write was pending is woken, even if it polled again early and that write succeeded.
/// hyper relies on that wake.
///
/// A write is tried twice, by this crate and by glommio. glommio forgets the waker if its own
/// attempt succeeds. Space may appear at any moment, so some of the rounds take that path.
pub(crate) async fn pending_write_always_wakes_its_task() {
    const ROUNDS: usize = 200;
    struct Woken(AtomicUsize);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let (full, is_full) = mpsc::channel();
    let (tx, rx) = mpsc::channel();
    let handler = move |mut io: Accepted<GlommioConnection>| {
        let (full, tx) = (full.clone(), tx.clone());
        async move {
            for round in 0..ROUNDS {
                let woken = Arc::new(Woken(AtomicUsize::new(0)));
                let waker = Waker::from(Arc::clone(&woken));
                let mut cx = Context::from_waker(&waker);
                let mut sent = 0;
                while let Poll::Ready(n) = Pin::new(&mut io).poll_write(&mut cx, &[7; 16 * KIB]) {
                    sent += n.unwrap();
                }
                full.send(sent).unwrap();
                // The reactor does not run during this loop.
                let by = Instant::now() + crate::fixture::TIMEOUT;
                while Pin::new(&mut io).poll_write(&mut cx, b"x").is_pending() {
                    assert!(Instant::now() < by, "no space in round {round}");
                }
                while woken.0.load(SeqCst) == 0 {
                    let _ = poll_once(|_| Poll::<()>::Pending).await;
                }
                tx.send(round).unwrap();
            }
        }
    };
    let handle = serve_raw_with(one_worker(), handler).start().unwrap();
    let mut client = connect(&handle);
    for round in 0..ROUNDS {
        let sent = is_full.recv_timeout(crate::fixture::TIMEOUT).unwrap();
        client.read_exact(&mut vec![0; sent]).unwrap();
        let woken = rx.recv_timeout(crate::fixture::TIMEOUT);
        assert_eq!(woken.ok(), Some(round), "no wake in round {round}");
        client.read_exact(&mut [0]).unwrap();
    }
    handle.shutdown(GRACE).await.unwrap();
}

/// `poll_readable` may be polled repeatedly, and takes no byte.
pub(crate) async fn poll_readable_is_ready_only_with_data_or_eof() {
    let (tx, rx) = mpsc::channel();
    let handler = move |mut io: Accepted<GlommioConnection>| {
        let tx = tx.clone();
        async move {
            let is_readable = poll_once(|cx| Pin::new(&mut io).poll_readable(cx))
                .await
                .is_some();
            tx.send(format!("at first: {is_readable}")).unwrap();
            for expected in ["one", "two", ""] {
                for _ in 0..3 {
                    poll_fn(|cx| Pin::new(&mut io).poll_readable(cx))
                        .await
                        .unwrap();
                }
                let read = poll_fn(|cx| poll_read(&mut io, cx)).await.unwrap();
                assert_eq!(read, expected.as_bytes());
                // The read found less than it had space for, so the stream has waited since. After
                // the end it does not wait.
                let is_readable = poll_once(|cx| Pin::new(&mut io).poll_readable(cx))
                    .await
                    .is_some();
                tx.send(format!("after {expected:?}: {is_readable}"))
                    .unwrap();
            }
        }
    };
    let handle = serve_raw_with(one_worker(), handler).start().unwrap();
    let mut client = connect(&handle);
    let expect_report =
        |expected: &str| assert_eq!(rx.recv_timeout(crate::fixture::TIMEOUT).unwrap(), expected);
    expect_report("at first: false");
    client.write_all(b"one").unwrap();
    expect_report("after \"one\": false");
    client.write_all(b"two").unwrap();
    expect_report("after \"two\": false");
    client.shutdown(Shutdown::Write).unwrap();
    expect_report("after \"\": true");
    handle.shutdown(GRACE).await.unwrap();
}

/// The peer sends its FIN. What it sent before is read, then the end, repeatedly, and the peer
/// still gets its response.
pub(crate) async fn write_half_stays_open_after_peer_fin() {
    let handler = move |mut io: Accepted<GlommioConnection>| async move {
        let mut all = Vec::new();
        loop {
            let read = poll_fn(|cx| poll_read(&mut io, cx)).await.unwrap();
            if read.is_empty() {
                break;
            }
            all.extend(read);
        }
        assert!(
            poll_fn(|cx| poll_read(&mut io, cx))
                .await
                .unwrap()
                .is_empty()
        );
        let mut sent = 0;
        while sent < all.len() {
            sent += poll_fn(|cx| Pin::new(&mut io).poll_write(cx, &all[sent..]))
                .await
                .unwrap();
        }
        poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx))
            .await
            .unwrap();
        poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx))
            .await
            .unwrap();
        let error = poll_fn(|cx| Pin::new(&mut io).poll_write(cx, b"x"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    };
    let handle = serve_raw_with(one_worker(), handler).start().unwrap();
    let mut client = connect(&handle);
    client.write_all(&pattern(0, 40 * KIB)).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert!(received == pattern(0, 40 * KIB), "{} bytes", received.len());
    handle.shutdown(GRACE).await.unwrap();
}

/// A reset by the peer is returned by the next write, and by all later ones.
pub(crate) async fn peer_reset_error_is_returned_and_persists() {
    let (tx, rx) = mpsc::channel();
    let handler = move |mut io: Accepted<GlommioConnection>| {
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
            let again = poll_fn(|cx| Pin::new(&mut io).poll_write(cx, b"x")).await;
            let vectored = [IoSlice::new(b"x"), IoSlice::new(&[7; 5 * KIB])];
            let vectored = poll_fn(|cx| Pin::new(&mut io).poll_write_vectored(cx, &vectored)).await;
            tx.send((first, again, vectored)).unwrap();
        }
    };
    let handle = serve_raw_with(one_worker(), handler).start().unwrap();
    let client = connect(&handle);
    // A linger time of zero makes close(2) send a TCP RST.
    socket2::SockRef::from(&client)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    let (first, again, vectored) = rx.recv_timeout(crate::fixture::TIMEOUT).unwrap();
    let kind = first.unwrap().kind();
    assert!(
        matches!(
            kind,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        ),
        "{kind}"
    );
    assert_eq!(again.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(vectored.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    handle.shutdown(GRACE).await.unwrap();
}
