//! A transport that records which of its methods are called, to test what a wrapper forwards.
use anyport_core::{
    Connection, Listener, Result, Transport,
    runtime::{RuntimeOptions, Worker, Workers},
    transport::{
        AcceptErrorKind, ByteTransport, Connecting, Endpoint, Intercept, Intercepted,
        MapConnection, MapFn, PeerState, Permit, Writer,
    },
};
use std::{
    collections::BTreeSet,
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

/// The methods that have a default.
const METHODS: [&str; 12] = [
    "`Transport::workers`",
    "`Transport::runtime_options`",
    "`Listener::stop`",
    "`Listener::classify`",
    "`Connection::poll_readable`",
    "`Connection::peer_state`",
    "`Connection::poll_retry_write`",
    "`Connection::bytes_sent`",
    "`Connection::reset`",
    "`Connection::release`",
    "`Write::is_write_vectored`",
    "`Write::poll_write_vectored`",
];

/// The methods that were called.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<BTreeSet<&'static str>>);

impl Calls {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    fn record(&self, method: &'static str) -> bool {
        debug_assert!(METHODS.contains(&method), "{method}");
        self.0.lock().unwrap().insert(method)
    }

    /// The methods that were not called.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let called = self.0.lock().unwrap();
        let missing = METHODS.into_iter();
        missing.filter(|method| !called.contains(method)).collect()
    }
}

/// The inner transport of a wrapper under test:
/// [`Suite::with_wrapper`](crate::Suite::with_wrapper).
#[derive(Clone, Debug)]
pub struct Recorded<T> {
    inner: MapConnection<T, Record>,
    calls: Arc<Calls>,
}

impl<T: ByteTransport> Recorded<T> {
    pub(crate) fn new(inner: T, calls: Arc<Calls>) -> Self {
        Self {
            inner: MapConnection::new(inner, Record(Arc::clone(&calls))),
            calls,
        }
    }
}

impl<T: ByteTransport> Transport for Recorded<T> {
    type Runtime = T::Runtime;
    type Socket = T::Socket;
    type Listener = RecordedListener<<MapConnection<T, Record> as Transport>::Listener>;

    fn workers(&self) -> Workers {
        self.calls.record("`Transport::workers`");
        self.inner.workers()
    }

    fn runtime_options(&self) -> Option<RuntimeOptions> {
        self.calls.record("`Transport::runtime_options`");
        self.inner.runtime_options()
    }

    fn open(&self, workers: usize) -> Result<Vec<T::Socket>> {
        self.inner.open(workers)
    }

    fn endpoint(&self, socket: &T::Socket) -> io::Result<Endpoint> {
        self.inner.endpoint(socket)
    }

    fn listen(&self, socket: T::Socket, worker: &Worker) -> io::Result<Self::Listener> {
        Ok(RecordedListener {
            inner: self.inner.listen(socket, worker)?,
            calls: Arc::clone(&self.calls),
            has_failed: false,
        })
    }
}

/// The listener of [`Recorded`].
#[derive(Debug)]
pub struct RecordedListener<L> {
    inner: L,
    calls: Arc<Calls>,
    has_failed: bool,
}

impl<L: Listener> Listener for RecordedListener<L> {
    type Connection = L::Connection;
    type Handshake = L::Handshake;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        // The server asks what the error means, and tries again.
        if !std::mem::replace(&mut self.has_failed, true) {
            return Poll::Ready(Err(io::ErrorKind::Interrupted.into()));
        }
        self.inner.poll_accept(cx)
    }

    fn stop(&mut self) -> Duration {
        self.calls.record("`Listener::stop`");
        self.inner.stop()
    }

    fn classify(&self, error: &io::Error) -> AcceptErrorKind {
        self.calls.record("`Listener::classify`");
        self.inner.classify(error)
    }
}

/// Makes connections that record their calls.
#[derive(Clone, Debug)]
pub struct Record(Arc<Calls>);

impl<C: Connection> MapFn<C> for Record {
    type Output = Intercepted<C, Self>;

    fn map(&self, inner: C) -> Self::Output {
        Intercepted::new(inner, self.clone())
    }
}

impl<C: Connection> Intercept<C> for Record {
    fn poll_readable(&mut self, inner: Pin<&mut C>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.record("`Connection::poll_readable`");
        inner.poll_readable(cx)
    }

    fn poll_write(
        &mut self,
        inner: Writer<'_, C>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match bufs {
            [] => self.0.record("`Connection::poll_retry_write`"),
            [_] => false,
            _ => self.0.record("`Write::poll_write_vectored`"),
        };
        inner.poll_write(cx, bufs)
    }

    fn is_write_vectored(&self, _: &C) -> bool {
        self.0.record("`Write::is_write_vectored`");
        true
    }

    fn peer_state(&mut self, inner: &mut C) -> PeerState {
        self.0.record("`Connection::peer_state`");
        inner.peer_state()
    }

    fn bytes_sent(&self, inner: &C) -> Option<u64> {
        self.0.record("`Connection::bytes_sent`");
        inner.bytes_sent()
    }

    fn reset(&mut self, inner: &mut C) {
        self.0.record("`Connection::reset`");
        inner.reset();
    }

    fn release(&mut self, inner: Pin<&mut C>, permit: Permit) {
        self.0.record("`Connection::release`");
        inner.release(permit);
    }
}
