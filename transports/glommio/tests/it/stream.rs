//! The stream itself: no byte is lost, doubled or out of place, whatever its operations go through.

use crate::scene::{GRACE, connect, one};
use anyport_core::{Accepted, Connection, serve_raw_with};
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

/// Bytes that tell where they belong.
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

/// A read that's pending is left, again and again, while bytes come: what it waits with is kept.
pub(crate) async fn nothing_is_lost_when_a_pending_read_is_left() {
    const MESSAGES: usize = 3000;
    const SIZE: usize = 300;
    let (tell, told) = mpsc::channel();
    let handler = move |mut io: Accepted<GlommioConnection>| {
        let tell = tell.clone();
        async move {
            let mut seen = 0;
            let mut waited = 0;
            while seen < MESSAGES * SIZE {
                let read = match once(|cx| poll_read(&mut io, cx)).await {
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
            tell.send(waited).unwrap();
        }
    };
    let handle = serve_raw_with(one(), handler).start().unwrap();
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
    assert!(waited > MESSAGES / 100, "it waited {waited} times only");
    handle.shutdown(GRACE).await.unwrap();
}

/// What a write took, arrives, although the connection is dropped while the peer isn't reading.
pub(crate) async fn what_was_written_is_sent_although_its_connection_is_gone() {
    let (tell, told) = mpsc::channel();
    let handler = move |mut io: Accepted<GlommioConnection>| {
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
    let handle = serve_raw_with(one(), handler).start().unwrap();
    let mut client = connect(&handle);
    let written = told.recv_timeout(crate::scene::PATIENCE).unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert_eq!(received.len(), written);
    assert!(received == pattern(0, written), "other bytes");
    handle.shutdown(GRACE).await.unwrap();
}

/// Slices of all sizes, empty ones and too many for one operation among them.
pub(crate) async fn slices_arrive_in_order_however_many_are_taken_at_once() {
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
    let handle = serve_raw_with(one(), handler).start().unwrap();
    let mut received = Vec::new();
    connect(&handle).read_to_end(&mut received).unwrap();
    assert!(received == pattern(0, TOTAL), "{} bytes", received.len());
    handle.shutdown(GRACE).await.unwrap();
}

/// Whoever was told to wait is woken, also if it didn't wait, and wrote more: hyper, for one, goes
/// on only then.
///
/// A write is tried twice, here and by glommio, which forgets about the wake if it's the one that
/// succeeds. Some of the rounds end so, since room comes at any moment.
pub(crate) async fn a_write_that_was_pending_is_followed_by_a_wake() {
    const ROUNDS: usize = 200;
    struct Woken(AtomicUsize);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let (full, is_full) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let handler = move |mut io: Accepted<GlommioConnection>| {
        let (full, tell) = (full.clone(), tell.clone());
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
                // The reactor has no turn meanwhile.
                let by = Instant::now() + crate::scene::PATIENCE;
                while Pin::new(&mut io).poll_write(&mut cx, b"x").is_pending() {
                    assert!(Instant::now() < by, "no room in round {round}");
                }
                while woken.0.load(SeqCst) == 0 {
                    let _ = once(|_| Poll::<()>::Pending).await;
                }
                tell.send(round).unwrap();
            }
        }
    };
    let handle = serve_raw_with(one(), handler).start().unwrap();
    let mut client = connect(&handle);
    for round in 0..ROUNDS {
        let sent = is_full.recv_timeout(crate::scene::PATIENCE).unwrap();
        client.read_exact(&mut vec![0; sent]).unwrap();
        let woken = told.recv_timeout(crate::scene::PATIENCE);
        assert_eq!(woken.ok(), Some(round), "no wake in round {round}");
        client.read_exact(&mut [0]).unwrap();
    }
    handle.shutdown(GRACE).await.unwrap();
}

/// Asked again and again, it says so when there's something to be read, and takes nothing of it.
pub(crate) async fn a_stream_is_readable_when_there_is_something_to_be_read() {
    let (tell, told) = mpsc::channel();
    let handler = move |mut io: Accepted<GlommioConnection>| {
        let tell = tell.clone();
        async move {
            let is_readable = once(|cx| Pin::new(&mut io).poll_readable(cx))
                .await
                .is_some();
            tell.send(format!("at first: {is_readable}")).unwrap();
            for expected in ["one", "two", ""] {
                for _ in 0..3 {
                    poll_fn(|cx| Pin::new(&mut io).poll_readable(cx))
                        .await
                        .unwrap();
                }
                let read = poll_fn(|cx| poll_read(&mut io, cx)).await.unwrap();
                assert_eq!(read, expected.as_bytes());
                // It has waited since that read, which found less than it had room for; or not at
                // all, after the end.
                let is_readable = once(|cx| Pin::new(&mut io).poll_readable(cx))
                    .await
                    .is_some();
                tell.send(format!("after {expected:?}: {is_readable}"))
                    .unwrap();
            }
        }
    };
    let handle = serve_raw_with(one(), handler).start().unwrap();
    let mut client = connect(&handle);
    let hears =
        |expected: &str| assert_eq!(told.recv_timeout(crate::scene::PATIENCE).unwrap(), expected);
    hears("at first: false");
    client.write_all(b"one").unwrap();
    hears("after \"one\": false");
    client.write_all(b"two").unwrap();
    hears("after \"two\": false");
    client.shutdown(Shutdown::Write).unwrap();
    hears("after \"\": true");
    handle.shutdown(GRACE).await.unwrap();
}

/// The peer ends its half: what it sent is read, then the end, again and again, and it can still be
/// answered.
pub(crate) async fn a_half_that_ended_leaves_the_other_one_open() {
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
    let handle = serve_raw_with(one(), handler).start().unwrap();
    let mut client = connect(&handle);
    client.write_all(&pattern(0, 40 * KIB)).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert!(received == pattern(0, 40 * KIB), "{} bytes", received.len());
    handle.shutdown(GRACE).await.unwrap();
}

/// That the peer has reset the connection, shows at the next write or read, and stays so.
pub(crate) async fn the_error_of_a_peer_that_left_is_told_and_stays() {
    let (tell, told) = mpsc::channel();
    let handler = move |mut io: Accepted<GlommioConnection>| {
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
            let again = poll_fn(|cx| Pin::new(&mut io).poll_write(cx, b"x")).await;
            let vectored = [IoSlice::new(b"x"), IoSlice::new(&[7; 5 * KIB])];
            let vectored = poll_fn(|cx| Pin::new(&mut io).poll_write_vectored(cx, &vectored)).await;
            tell.send((first, again, vectored)).unwrap();
        }
    };
    let handle = serve_raw_with(one(), handler).start().unwrap();
    let client = connect(&handle);
    // Closing resets it.
    socket2::SockRef::from(&client)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    let (first, again, vectored) = told.recv_timeout(crate::scene::PATIENCE).unwrap();
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
