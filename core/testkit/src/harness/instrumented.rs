//! A transport around another one, which counts events that no client sees: hibernations, polls and
//! the sizes of reads.
use crate::harness::watch::waiting;
use anyport_core::{
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
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::sync::Semaphore;

/// The counts of all connections together.
#[derive(Debug)]
pub struct Counters {
    /// One permit for each hibernation.
    hibernated: Semaphore,
    /// How many times any stream was polled.
    polls: AtomicUsize,
    /// The capacity of the buffer of each read.
    capacities: Mutex<Vec<usize>>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            hibernated: Semaphore::new(0),
            polls: AtomicUsize::new(0),
            capacities: Mutex::default(),
        }
    }
}

impl Counters {
    /// Waits for one more hibernation.
    pub(crate) async fn hibernated(&self) {
        let _wait = waiting("the connection to wait without a buffer (`poll_readable`)");
        self.hibernated.acquire().await.unwrap().forget();
    }

    /// Number of hibernations for which no test has [waited](Self::hibernated).
    pub(crate) fn hibernations(&self) -> usize {
        self.hibernated.available_permits()
    }

    /// How many times any stream was polled.
    pub fn polls(&self) -> usize {
        self.polls.load(Relaxed)
    }

    /// How many completed reads had a buffer smaller than this.
    pub(crate) fn reads_with_less_capacity_than(&self, capacity: usize) -> usize {
        self.capacities
            .lock()
            .unwrap()
            .iter()
            .filter(|&&had| had < capacity)
            .count()
    }

    fn count_poll(&self) {
        self.polls.fetch_add(1, Relaxed);
    }
}

/// A transport whose connections are counted.
#[derive(Clone, Debug)]
pub struct Instrumented<T> {
    inner: T,
    counters: Arc<Counters>,
}

impl<T> Instrumented<T> {
    /// Counts the connections of `inner`.
    pub fn new(inner: T, counters: Arc<Counters>) -> Self {
        Self { inner, counters }
    }
}

impl<T: ByteTransport> Transport for Instrumented<T> {
    type Runtime = T::Runtime;
    type Socket = T::Socket;
    type Listener = Instrumented<T::Listener>;

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
        let listener = self.inner.listen(socket, worker)?;
        Ok(Instrumented::new(listener, Arc::clone(&self.counters)))
    }
}

impl<L: ByteListener> Listener for Instrumented<L> {
    type Connection = InstrumentedConnection<L::Connection>;
    type Handshake = InstrumentedHandshake<L::Handshake>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        let counters = &self.counters;
        let polled = self.inner.poll_accept(cx);
        polled.map_ok(|incoming| {
            incoming.map(|inner| InstrumentedHandshake {
                inner,
                counters: Arc::clone(counters),
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

pin_project_lite::pin_project! {
    /// A handshake that results in an instrumented connection.
    #[derive(Debug)]
    pub struct InstrumentedHandshake<H> {
        #[pin]
        inner: H,
        counters: Arc<Counters>,
    }
}

impl<H: Future<Output = io::Result<C>>, C> Future for InstrumentedHandshake<H> {
    type Output = io::Result<InstrumentedConnection<C>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let me = self.project();
        let inner = ready!(me.inner.poll(cx))?;
        Poll::Ready(Ok(InstrumentedConnection {
            inner,
            counters: Arc::clone(me.counters),
            has_written: false,
        }))
    }
}

/// A connection whose polls are counted.
#[derive(Debug)]
pub struct InstrumentedConnection<C> {
    inner: C,
    counters: Arc<Counters>,
    /// Whether bytes were written since the last hibernation.
    has_written: bool,
}

impl<C: Connection> InstrumentedConnection<C> {
    fn record_write(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(1..)) = written {
            self.has_written = true;
        }
    }
}

impl<C: Connection> Connection for InstrumentedConnection<C> {
    fn info(&self) -> &ConnInfo {
        self.inner.info()
    }

    /// Hyper never calls this method. A call after a response was written means that the connection
    /// was taken from hyper: it hibernates. Calls before a response do not count.
    fn poll_readable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.counters.count_poll();
        if std::mem::take(&mut self.has_written) {
            self.counters.hibernated.add_permits(1);
        }
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
        Pin::new(&mut self.inner).poll_retry_write(cx, bufs)
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

impl<C: Connection> Read for InstrumentedConnection<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.counters.count_poll();
        let capacity = buf.remaining();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if read.is_ready() {
            self.counters.capacities.lock().unwrap().push(capacity);
        }
        read
    }
}

impl<C: Connection> Write for InstrumentedConnection<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.counters.count_poll();
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.record_write(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.counters.count_poll();
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.counters.count_poll();
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.record_write(&written);
        written
    }
}
