//! Implements hyper's I/O traits for both halves of a stream.
use crate::{deferred_release, reader::Reader, write_half::WriteHalf, writer::Writer};
use anyport_core::{
    runtime::local,
    socket,
    transport::{LocalStream, PeerState, Permit},
};
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

/// The time a peer has to receive pending bytes after its connection was dropped without a permit.
/// That happens if a wrapper does not forward `release`.
const LINGER: Duration = Duration::from_secs(10);

/// A monoio stream, whose operations own their buffers.
pub(crate) struct Stream<S: AsyncWriteRent + 'static> {
    pub(crate) descriptor: RawFd,
    reader: Option<Reader<S>>,
    /// `None` while `writer` has the write half. An idle connection does not keep the memory for
    /// sending.
    half: Option<WriteHalf<S>>,
    writer: Option<Rc<Writer<S>>>,
    /// The last poll of the connection's task that read or wrote.
    last_use: u64,
    /// Whether the connection has been checked for idleness since the latest write.
    is_idle_checked: bool,
}

/// The bounds on a monoio stream. `Split` promises that a read and a write may run at once.
pub(crate) trait Socket:
    CancelableAsyncReadRent + AsyncWriteRent + Split + AsRawFd + 'static
{
}

impl<S: CancelableAsyncReadRent + AsyncWriteRent + Split + AsRawFd + 'static> Socket for S {}

impl<S: Socket> Stream<S> {
    pub(crate) fn new(stream: S) -> Self {
        let descriptor = stream.as_raw_fd();
        // monoio splits its own streams in the same way: each half has one operation at a time.
        let stream = Rc::new(UnsafeCell::new(stream));
        Self {
            descriptor,
            reader: Some(Reader::new(Rc::clone(&stream))),
            half: Some(WriteHalf::new(stream, descriptor)),
            writer: None,
            last_use: 0,
            is_idle_checked: false,
        }
    }

    /// `None` once the connection is closed.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.reader.as_ref()?;
        // SAFETY: the reader owns the stream, which owns this descriptor and keeps it open. The
        // borrow of `self` lasts as long as the returned one.
        Some(unsafe { BorrowedFd::borrow_raw(self.descriptor) })
    }

    fn writer_mut(&mut self) -> io::Result<&Rc<Writer<S>>> {
        self.last_use = local::current_poll();
        self.is_idle_checked = false;
        if let Some(half) = self.half.take() {
            self.writer = Some(Writer::new(half));
        }
        self.writer
            .as_ref()
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl<S: Socket> LocalStream for Stream<S> {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A connection that is in use reads or writes in the same poll.
        let is_idle = self.last_use != local::current_poll();
        if is_idle && let Some(writer) = self.writer.take() {
            match writer.into_write_half() {
                Ok(half) => self.half = Some(half),
                Err(writer) => {
                    // The send in flight completes soon, but the connection may then stay idle for
                    // a long time.
                    writer.wake_when_idle(cx);
                    self.writer = Some(writer);
                }
            }
        }
        let Some(reader) = &mut self.reader else {
            return Poll::Ready(Ok(()));
        };
        let polled = reader.poll_readable(cx, is_idle);
        let holds_memory = self.writer.is_some() || reader.is_large();
        if polled.is_pending()
            && holds_memory
            && !is_idle
            && !mem::replace(&mut self.is_idle_checked, true)
        {
            // The connection may have become idle in this poll. Only the next poll shows that.
            cx.waker().wake_by_ref();
        }
        polled.map(Ok)
    }

    fn peer_state(&mut self) -> PeerState {
        self.socket().map_or(PeerState::Unknown, socket::peer_state)
    }

    /// Sends what the kernel takes at once: first the bytes that an operation left unsent, then
    /// `bufs`.
    fn poll_retry_write(
        &mut self,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &self.writer {
            Some(writer) => writer.poll_retry(bufs),
            None => Poll::Pending,
        }
    }

    fn reset(&mut self) {
        if let Some(socket) = self.socket() {
            socket::reset_at_close(socket);
        }
    }

    /// Pending bytes are still sent, unless the peer has disconnected or stalled. The permit is
    /// released when the descriptor is closed and the buffers are back.
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
        self.last_use = local::current_poll();
        match &mut self.reader {
            Some(reader) => reader.poll_read(cx, buf),
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
        self.last_use = local::current_poll();
        match &self.writer {
            Some(writer) => writer.poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer_mut()?.poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // After the peer's FIN, the kernel would move an operation that cannot complete at once to
        // an io-wq thread, and block that thread.
        let use_syscall = self.reader.as_ref().is_none_or(Reader::has_ended);
        self.writer_mut()?.poll_write(cx, bufs, use_syscall)
    }
}

impl<S: Socket> Unpin for Stream<S> {}

impl<S: AsyncWriteRent + 'static> Stream<S> {
    fn close(&mut self, permit: Option<Permit>) {
        // The reader goes first, so that the write half holds the last reference.
        self.reader = None;
        self.half = None;
        if let Some(writer) = self.writer.take().filter(|writer| writer.is_busy()) {
            if permit.as_ref().is_none_or(Permit::must_flush) {
                local::spawn(linger(writer, permit));
                return;
            }
            writer.abort();
        }
        if let Some(permit) = permit {
            deferred_release::defer(permit);
        }
    }
}

/// Waits until the written bytes have been sent, at most for the write-stall timeout.
async fn linger<S: AsyncWriteRent + 'static>(writer: Rc<Writer<S>>, mut permit: Option<Permit>) {
    let timeout = permit.as_ref().map_or(LINGER, Permit::write_stall);
    let mut end = local::timer().sleep(timeout);
    poll_fn(|cx| {
        let permit = permit.as_mut();
        let is_aborted = permit.is_some_and(|permit| permit.poll_aborted(cx).is_ready());
        match is_aborted || end.as_mut().poll(cx).is_ready() {
            true => Poll::Ready(()),
            false => writer.poll_idle(cx),
        }
    })
    .await;
    writer.abort();
    drop(writer);
    if let Some(permit) = permit {
        deferred_release::defer(permit);
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
    use anyport_core::{protocol::Accepted, serve_raw_with};
    use hyper_util::rt::TokioIo;
    use socket2::SockRef;
    use std::{
        io::{IoSlice, Read, Write},
        net::{SocketAddr, TcpStream},
        thread,
        time::{Duration, Instant},
    };
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Runs the command in the client's first byte: reads or writes without end, or reports how
    /// many buffers are in use.
    async fn run_command(connection: Accepted<MonoioConnection>) {
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

    fn connect(addr: SocketAddr, command: &[u8]) -> TcpStream {
        let mut client = TcpStream::connect(addr).unwrap();
        client.write_all(command).unwrap();
        client
    }

    fn in_use(addr: SocketAddr) -> u16 {
        let mut count = [0; 2];
        connect(addr, b"?").read_exact(&mut count).unwrap();
        u16::from_be_bytes(count)
    }

    /// Writes more slices than the kernel takes at once, then sends how many buffers that took.
    async fn write_many_slices(connection: Accepted<MonoioConnection>) {
        let before = buffer::in_use();
        let mut io = TokioIo::new(connection);
        let written = io.write_vectored(&[IoSlice::new(&[7; 20]); 1100]).await;
        let buffers = u8::try_from(buffer::in_use() - before).unwrap();
        if written.is_ok() {
            let _ = io.write_u8(buffers).await;
        }
    }

    #[tokio::test]
    async fn large_write_is_sent_without_a_copy() {
        for driver in [Driver::IoUring, Driver::Epoll] {
            let monoio = Monoio::bind("127.0.0.1:0")
                .with_driver(driver)
                .with_workers(1);
            let handle = serve_raw_with(monoio, write_many_slices).start().unwrap();
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
    async fn aborted_connections_release_their_buffers() {
        const CLIENTS: usize = 250;
        for driver in [Driver::IoUring, Driver::Epoll] {
            let monoio = Monoio::bind("127.0.0.1:0")
                .with_driver(driver)
                .with_workers(1);
            let handle = serve_raw_with(monoio, run_command).start().unwrap();
            let addr = handle.endpoints()[0].socket_addr().unwrap();
            let before = in_use(addr);
            // A read with a small buffer, a read with a large one, and a write.
            for command in [&b"r"[..], &[b'r'; 1000], b"w", b""] {
                for linger in [None, Some(Duration::ZERO)] {
                    let clients: Vec<_> =
                        (0..CLIENTS / 2).map(|_| connect(addr, command)).collect();
                    let by = Instant::now() + Duration::from_secs(10);
                    while usize::from(in_use(addr)) < CLIENTS / 2 {
                        assert!(
                            Instant::now() < by,
                            "{driver}: the connections have no buffers"
                        );
                    }
                    for client in clients {
                        SockRef::from(&client).set_linger(linger).unwrap();
                    }
                    while in_use(addr) > before {
                        assert!(
                            Instant::now() < by,
                            "{driver}: {} buffers are still in use",
                            in_use(addr)
                        );
                        thread::yield_now();
                    }
                }
            }
            handle.shutdown(Duration::from_secs(1)).await.unwrap();
        }
    }
}
