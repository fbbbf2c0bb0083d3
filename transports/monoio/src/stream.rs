//! Implements hyper's I/O traits for both halves of a stream.
use crate::{closing, half::Half, receiving::Receiving, sending::Sending};
use anyport_core::{LocalStream, PeerState, Permit, runtime::local, socket};
use hyper::rt::{Read, ReadBufCursor, Write};
use monoio::io::{AsyncWriteRent, CancelableAsyncReadRent, Split};
use std::{
    cell::UnsafeCell,
    future::poll_fn,
    io::{self, IoSlice},
    mem,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

/// How long a peer may take for what was sent to it before its connection was dropped, if nobody
/// says how long (a wrapper doesn't forward `release`).
const LINGER: Duration = Duration::from_secs(10);

/// A stream of monoio's, by operations that own their buffers.
pub(crate) struct Stream<S: AsyncWriteRent + 'static> {
    descriptor: RawFd,
    receiving: Option<Receiving<S>>,
    /// None while `sending` has it: a connection that waits does without what sending needs.
    half: Option<Half<S>>,
    sending: Option<Rc<Sending<S>>>,
    /// The latest poll of a task in which somebody read or wrote.
    used: u64,
    /// Whether it has been looked, since the latest write, if the connection is idle.
    is_settled: bool,
}

/// What a stream of monoio's has to be; `Split` says that reading and writing don't get in each
/// other's way.
pub(crate) trait Socket:
    CancelableAsyncReadRent + AsyncWriteRent + Split + AsRawFd + 'static
{
}

impl<S: CancelableAsyncReadRent + AsyncWriteRent + Split + AsRawFd + 'static> Socket for S {}

impl<S: Socket> Stream<S> {
    pub(crate) fn new(stream: S) -> Self {
        let descriptor = stream.as_raw_fd();
        // As monoio itself makes two halves of a stream, each of which has one operation at a time.
        let stream = Rc::new(UnsafeCell::new(stream));
        Self {
            descriptor,
            receiving: Some(Receiving::new(Rc::clone(&stream))),
            half: Some(Half::new(stream, descriptor)),
            sending: None,
            used: 0,
            is_settled: false,
        }
    }

    /// None: it's closed.
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.receiving.as_ref()?;
        // SAFETY: whoever receives owns the stream, which owns this descriptor and keeps it open;
        // it's borrowed here for as long.
        Some(unsafe { BorrowedFd::borrow_raw(self.descriptor) })
    }

    fn sending(&mut self) -> io::Result<&Rc<Sending<S>>> {
        self.used = local::polls();
        self.is_settled = false;
        if let Some(half) = self.half.take() {
            self.sending = Some(Sending::new(half));
        }
        self.sending
            .as_ref()
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl<S: Socket> LocalStream for Stream<S> {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A connection that reads or writes does so in the same turn.
        let is_idle = self.used != local::polls();
        if is_idle && let Some(sending) = self.sending.take() {
            match sending.into_half() {
                Ok(half) => self.half = Some(half),
                Err(sending) => {
                    // What's on its way is sent in a moment, and the connection may wait for long.
                    sending.wake_when_idle(cx);
                    self.sending = Some(sending);
                }
            }
        }
        let Some(receiving) = &mut self.receiving else {
            return Poll::Ready(Ok(()));
        };
        let polled = receiving.poll_readable(cx, is_idle);
        let could_rest = self.sending.is_some() || receiving.is_large();
        if polled.is_pending()
            && could_rest
            && !is_idle
            && !mem::replace(&mut self.is_settled, true)
        {
            // The connection may have become idle in this very turn, which shows in the next one.
            cx.waker().wake_by_ref();
        }
        polled.map(Ok)
    }

    fn peer_state(&mut self) -> PeerState {
        self.socket().map_or(PeerState::Unknown, socket::peer_state)
    }

    /// Sends what the kernel takes at once, of what an operation has left, then of `bufs`.
    fn poll_retry_write(
        &mut self,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &self.sending {
            Some(sending) => sending.poll_retry(bufs),
            None => Poll::Pending,
        }
    }

    fn reset(&mut self) {
        if let Some(socket) = self.socket() {
            socket::reset_at_close(socket);
        }
    }

    /// What's on its way is seen through if its peer is owed it; the permit is given back when all
    /// of it is gone.
    fn release(&mut self, permit: Permit) {
        self.close(Some(permit));
    }
}

impl<S: Socket> Read for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.used = local::polls();
        match &mut self.receiving {
            Some(receiving) => receiving.poll_read(cx, buf),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl<S: Socket> Write for Stream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.used = local::polls();
        match &self.sending {
            Some(sending) => sending.poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sending()?.poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // The kernel would give an operation that has to wait a thread to sleep in.
        let by_call = self.receiving.as_ref().is_none_or(Receiving::has_ended);
        self.sending()?.poll_write(cx, bufs, by_call)
    }
}

impl<S: Socket> Unpin for Stream<S> {}

impl<S: AsyncWriteRent + 'static> Stream<S> {
    fn close(&mut self, permit: Option<Permit>) {
        // First, so that the sending half is the last one.
        self.receiving = None;
        self.half = None;
        if let Some(sending) = self.sending.take().filter(|sending| sending.is_busy()) {
            if permit.as_ref().is_none_or(Permit::is_owed) {
                local::spawn(see_out(sending, permit));
                return;
            }
            sending.give_up();
        }
        if let Some(permit) = permit {
            closing::hold(permit);
        }
    }
}

/// Waits until what's on its way has been sent, for as long as the peer may take for it.
async fn see_out<S: AsyncWriteRent + 'static>(sending: Rc<Sending<S>>, mut permit: Option<Permit>) {
    let patience = permit.as_ref().map_or(LINGER, Permit::write_stall);
    let mut end = local::timer().sleep(patience);
    poll_fn(|cx| {
        let permit = permit.as_mut();
        let is_aborted = permit.is_some_and(|permit| permit.poll_aborted(cx).is_ready());
        match is_aborted || end.as_mut().poll(cx).is_ready() {
            true => Poll::Ready(()),
            false => sending.poll_idle(cx),
        }
    })
    .await;
    sending.give_up();
    drop(sending);
    if let Some(permit) = permit {
        closing::hold(permit);
    }
}

impl<S: AsyncWriteRent + 'static> Drop for Stream<S> {
    fn drop(&mut self) {
        self.close(None);
    }
}

#[cfg(test)]
mod tests {
    use crate::{Driver, Monoio, MonoioConnection, buffer};
    use anyport_core::{Accepted, serve_raw_with};
    use hyper_util::rt::TokioIo;
    use socket2::SockRef;
    use std::{
        io::{IoSlice, Read, Write},
        net::{SocketAddr, TcpStream},
        thread,
        time::{Duration, Instant},
    };
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Does what the first byte says: reads, or writes, without end; or tells how many buffers are
    /// in use.
    async fn obey(connection: Accepted<MonoioConnection>) {
        let mut io = TokioIo::new(connection);
        match io.read_u8().await {
            Ok(b'r') => while io.read(&mut [0; 8192]).await.is_ok_and(|n| n > 0) {},
            Ok(b'w') => while io.write_all(&[7; 100_000]).await.is_ok() {},
            Ok(_) => {
                let in_use = u16::try_from(buffer::in_use()).unwrap_or(u16::MAX);
                let _ = io.write_u16(in_use).await;
            }
            Err(_) => {}
        }
    }

    fn connect(addr: SocketAddr, say: &[u8]) -> TcpStream {
        let mut client = TcpStream::connect(addr).unwrap();
        client.write_all(say).unwrap();
        client
    }

    fn in_use(addr: SocketAddr) -> u16 {
        let mut count = [0; 2];
        connect(addr, b"?").read_exact(&mut count).unwrap();
        u16::from_be_bytes(count)
    }

    /// Writes more slices than the kernel takes at once, then how many buffers that took.
    async fn write_much(connection: Accepted<MonoioConnection>) {
        let before = buffer::in_use();
        let mut io = TokioIo::new(connection);
        let written = io.write_vectored(&[IoSlice::new(&[7; 20]); 1100]).await;
        let buffers = u8::try_from(buffer::in_use() - before).unwrap();
        if written.is_ok() {
            let _ = io.write_u8(buffers).await;
        }
    }

    #[tokio::test]
    async fn what_is_large_is_sent_without_a_copy() {
        for driver in [Driver::IoUring, Driver::Epoll] {
            let monoio = Monoio::bind("127.0.0.1:0")
                .with_driver(driver)
                .with_workers(1);
            let handle = serve_raw_with(monoio, write_much).start().unwrap();
            let mut client =
                TcpStream::connect(handle.endpoints()[0].socket_addr().unwrap()).unwrap();
            let mut received = Vec::new();
            client.read_to_end(&mut received).unwrap();
            assert_eq!(
                (received.len(), received.pop()),
                (20 * 1024 + 1, Some(0)),
                "{driver}"
            );
            handle.shutdown(Duration::from_secs(1)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_thousand_connections_that_are_cut_leave_no_buffer() {
        const CLIENTS: usize = 250;
        for driver in [Driver::IoUring, Driver::Epoll] {
            let monoio = Monoio::bind("127.0.0.1:0")
                .with_driver(driver)
                .with_workers(1);
            let handle = serve_raw_with(monoio, obey).start().unwrap();
            let addr = handle.endpoints()[0].socket_addr().unwrap();
            let before = in_use(addr);
            // A read with a small buffer, and with a large one; a write.
            for say in [&b"r"[..], &[b'r'; 1000], b"w", b""] {
                for linger in [None, Some(Duration::ZERO)] {
                    let clients: Vec<_> = (0..CLIENTS / 2).map(|_| connect(addr, say)).collect();
                    let by = Instant::now() + Duration::from_secs(10);
                    while usize::from(in_use(addr)) < CLIENTS / 2 {
                        assert!(Instant::now() < by, "{driver}: they have no buffers");
                    }
                    for client in clients {
                        SockRef::from(&client).set_linger(linger).unwrap();
                    }
                    while in_use(addr) > before {
                        assert!(Instant::now() < by, "{driver}: {} are left", in_use(addr));
                        thread::yield_now();
                    }
                }
            }
            handle.shutdown(Duration::from_secs(1)).await.unwrap();
        }
    }
}
