//! Counts the bytes that a server writes, over any transport.
use anyport::{
    ConnInfo, Connection, Listener, Result, Transport,
    runtime::{RuntimeOptions, Worker, Workers},
    transport::{
        AcceptErrorKind, ByteListener, ByteTransport, Connecting, Endpoint, PeerState, Permit,
    },
};
use hyper::rt::{Read, ReadBufCursor, Write};
use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

/// A transport whose connections count what they write.
#[derive(Clone, Debug)]
pub struct Counted<T> {
    inner: T,
    written: Arc<AtomicU64>,
}

impl<T: ByteTransport> Counted<T> {
    pub fn new(inner: T, written: Arc<AtomicU64>) -> Self {
        Self { inner, written }
    }
}

impl<T: ByteTransport> Transport for Counted<T> {
    type Runtime = T::Runtime;
    type Socket = T::Socket;
    type Listener = CountedListener<T::Listener>;

    fn workers(&self) -> Workers {
        self.inner.workers()
    }

    fn runtime_options(&self) -> Option<RuntimeOptions> {
        self.inner.runtime_options()
    }

    fn open(&self, workers: usize) -> Result<Vec<T::Socket>> {
        self.inner.open(workers)
    }

    fn endpoint(&self, socket: &T::Socket) -> io::Result<Endpoint> {
        self.inner.endpoint(socket)
    }

    fn listen(&self, socket: T::Socket, worker: &Worker) -> io::Result<Self::Listener> {
        Ok(CountedListener {
            inner: self.inner.listen(socket, worker)?,
            written: Arc::clone(&self.written),
        })
    }
}

#[derive(Debug)]
pub struct CountedListener<L> {
    inner: L,
    written: Arc<AtomicU64>,
}

impl<L: ByteListener> Listener for CountedListener<L> {
    type Connection = CountedConnection<L::Connection>;
    type Handshake = CountedHandshake<L::Handshake>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        let written = &self.written;
        self.inner.poll_accept(cx).map_ok(|connecting| {
            connecting.map(|handshake| CountedHandshake {
                inner: Box::pin(handshake),
                written: Arc::clone(written),
            })
        })
    }

    fn stop(&mut self) -> Duration {
        self.inner.stop()
    }

    fn classify(&self, error: &io::Error) -> AcceptErrorKind {
        self.inner.classify(error)
    }
}

/// The handshake of the inner transport, then the wrapped connection.
#[derive(Debug)]
pub struct CountedHandshake<H> {
    inner: Pin<Box<H>>,
    written: Arc<AtomicU64>,
}

impl<C, H: Future<Output = io::Result<C>>> Future for CountedHandshake<H> {
    type Output = io::Result<CountedConnection<C>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = self.inner.as_mut().poll(cx);
        inner.map_ok(|inner| CountedConnection {
            inner,
            written: Arc::clone(&self.written),
        })
    }
}

#[derive(Debug)]
pub struct CountedConnection<C> {
    inner: C,
    written: Arc<AtomicU64>,
}

impl<C: Connection> CountedConnection<C> {
    fn count(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.written.fetch_add(bytes as u64, Relaxed);
        }
        written
    }
}

impl<C: Connection> Read for CountedConnection<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<C: Connection> Write for CountedConnection<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<C: Connection> Connection for CountedConnection<C> {
    fn info(&self) -> &ConnInfo {
        self.inner.info()
    }

    fn poll_readable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_readable(cx)
    }

    fn peer_state(&mut self) -> PeerState {
        self.inner.peer_state()
    }

    fn poll_retry_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_retry_write(cx, bufs);
        self.count(written)
    }

    fn bytes_sent(&self) -> Option<u64> {
        self.inner.bytes_sent()
    }

    fn reset(&mut self) {
        self.inner.reset();
    }

    fn release(mut self: Pin<&mut Self>, permit: Permit) {
        Pin::new(&mut self.inner).release(permit);
    }
}
