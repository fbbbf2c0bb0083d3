//! A wrapper written by hand that does not forward one of the methods with a default.
use anyport_core::{
    ConnInfo, Connection, Listener, Result, Transport,
    runtime::{RuntimeOptions, Worker, Workers},
    transport::{
        AcceptErrorKind, ByteTransport, Connecting, Endpoint, MapConnection, MapFn, PeerState,
        Permit,
    },
};
use hyper::rt::{Read, ReadBufCursor, Write};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// A wrapper, and the method that it does not forward.
#[derive(Clone)]
pub(crate) struct Forgetful<T> {
    inner: MapConnection<T, Forgets>,
    forgets: Forgets,
}

/// The name of a method.
#[derive(Clone, Copy)]
pub(crate) struct Forgets(pub(crate) &'static str);

impl Forgets {
    fn is(self, method: &str) -> bool {
        self.0 == method
    }
}

impl<T: ByteTransport> Forgetful<T> {
    pub(crate) fn new(inner: T, forgets: &'static str) -> Self {
        let forgets = Forgets(forgets);
        let inner = MapConnection::new(inner, forgets);
        Self { inner, forgets }
    }
}

impl<T: ByteTransport> Transport for Forgetful<T> {
    type Runtime = T::Runtime;
    type Socket = T::Socket;
    type Listener = ForgetfulListener<<MapConnection<T, Forgets> as Transport>::Listener>;

    fn workers(&self) -> Workers {
        match self.forgets.is("workers") {
            true => <T::Runtime as anyport_core::Runtime>::WORKERS,
            false => self.inner.workers(),
        }
    }

    fn runtime_options(&self) -> Option<RuntimeOptions> {
        match self.forgets.is("runtime_options") {
            true => None,
            false => self.inner.runtime_options(),
        }
    }

    fn open(&self, workers: usize) -> Result<Vec<T::Socket>> {
        self.inner.open(workers)
    }

    fn endpoint(&self, socket: &T::Socket) -> io::Result<Endpoint> {
        self.inner.endpoint(socket)
    }

    fn listen(&self, socket: T::Socket, worker: &Worker) -> io::Result<Self::Listener> {
        Ok(ForgetfulListener {
            inner: self.inner.listen(socket, worker)?,
            forgets: self.forgets,
        })
    }
}

pub(crate) struct ForgetfulListener<L> {
    inner: L,
    forgets: Forgets,
}

impl<L: Listener> Listener for ForgetfulListener<L> {
    type Connection = L::Connection;
    type Handshake = L::Handshake;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        self.inner.poll_accept(cx)
    }

    fn stop(&mut self) -> Duration {
        match self.forgets.is("stop") {
            true => Duration::ZERO,
            false => self.inner.stop(),
        }
    }

    fn classify(&self, error: &io::Error) -> AcceptErrorKind {
        match self.forgets.is("classify") {
            true => AcceptErrorKind::of(error),
            false => self.inner.classify(error),
        }
    }
}

impl<C: Connection> MapFn<C> for Forgets {
    type Output = ForgetfulConnection<C>;

    fn map(&self, inner: C) -> Self::Output {
        let forgets = *self;
        ForgetfulConnection { inner, forgets }
    }
}

pub(crate) struct ForgetfulConnection<C> {
    inner: C,
    forgets: Forgets,
}

impl<C: Connection> Connection for ForgetfulConnection<C> {
    fn info(&self) -> &ConnInfo {
        self.inner.info()
    }

    fn poll_readable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.forgets.is("poll_readable") {
            true => Poll::Ready(Ok(())),
            false => Pin::new(&mut self.inner).poll_readable(cx),
        }
    }

    fn peer_state(&mut self) -> PeerState {
        match self.forgets.is("peer_state") {
            true => PeerState::Unknown,
            false => self.inner.peer_state(),
        }
    }

    fn poll_retry_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.forgets.is("poll_retry_write") {
            true => Poll::Pending,
            false => Pin::new(&mut self.inner).poll_retry_write(cx, bufs),
        }
    }

    fn bytes_sent(&self) -> Option<u64> {
        match self.forgets.is("bytes_sent") {
            true => None,
            false => self.inner.bytes_sent(),
        }
    }

    fn reset(&mut self) {
        if !self.forgets.is("reset") {
            self.inner.reset();
        }
    }

    fn release(mut self: Pin<&mut Self>, permit: Permit) {
        if !self.forgets.is("release") {
            Pin::new(&mut self.inner).release(permit);
        }
    }
}

impl<C: Connection> Read for ForgetfulConnection<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<C: Connection> Write for ForgetfulConnection<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        !self.forgets.is("is_write_vectored") && self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.forgets.is("poll_write_vectored") {
            true => Pin::new(&mut self.inner).poll_write(cx, &bufs[0]),
            false => Pin::new(&mut self.inner).poll_write_vectored(cx, bufs),
        }
    }
}
