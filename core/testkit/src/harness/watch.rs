//! A transport that wraps another and records what clients cannot see: when a connection
//! hibernates, and how often it is polled.
use anyport_core::{
    AcceptErrorKind, ByteListener, ByteTransport, ConnInfo, Connection, Endpoint, Incoming,
    Listener, PeerState, Permit, Result, Transport, Worker, Workers, runtime::RuntimeOptions,
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

/// What was noted, of all connections together.
#[derive(Debug)]
pub struct Notes {
    /// A permit for each time that a connection fell asleep.
    asleep: Semaphore,
    /// How often any stream was asked for anything.
    polls: AtomicUsize,
    /// How much room each read had.
    rooms: Mutex<Vec<usize>>,
}

impl Default for Notes {
    fn default() -> Self {
        Self {
            asleep: Semaphore::new(0),
            polls: AtomicUsize::new(0),
            rooms: Mutex::default(),
        }
    }
}

impl Notes {
    /// Ready when a connection has fallen asleep once more.
    pub(crate) async fn asleep(&self) {
        self.asleep.acquire().await.unwrap().forget();
    }

    /// How often connections fell asleep that nobody has [waited](Self::asleep) for.
    pub(crate) fn sleeps(&self) -> usize {
        self.asleep.available_permits()
    }

    /// How often any stream was asked for anything.
    pub fn polls(&self) -> usize {
        self.polls.load(Relaxed)
    }

    /// How many reads that brought something had less room than this.
    pub(crate) fn reads_with_less_than(&self, room: usize) -> usize {
        self.rooms
            .lock()
            .unwrap()
            .iter()
            .filter(|&&had| had < room)
            .count()
    }

    fn count_poll(&self) {
        self.polls.fetch_add(1, Relaxed);
    }
}

/// A transport whose connections are watched.
#[derive(Clone, Debug)]
pub struct Watched<T> {
    inner: T,
    notes: Arc<Notes>,
}

impl<T> Watched<T> {
    /// Notes all about the connections of `inner`.
    pub fn new(inner: T, notes: Arc<Notes>) -> Self {
        Self { inner, notes }
    }
}

impl<T: ByteTransport> Transport for Watched<T> {
    type Runtime = T::Runtime;
    type Socket = T::Socket;
    type Listener = Watched<T::Listener>;

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
        Ok(Watched::new(listener, Arc::clone(&self.notes)))
    }
}

impl<L: ByteListener> Listener for Watched<L> {
    type Connection = WatchedConnection<L::Connection>;
    type Handshake = WatchedHandshake<L::Handshake>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Self::Handshake>>> {
        let notes = &self.notes;
        let polled = self.inner.poll_accept(cx);
        polled.map_ok(|incoming| {
            incoming.map(|inner| WatchedHandshake {
                inner,
                notes: Arc::clone(notes),
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
    /// A handshake that ends with a connection to be watched.
    #[derive(Debug)]
    pub struct WatchedHandshake<H> {
        #[pin]
        inner: H,
        notes: Arc<Notes>,
    }
}

impl<H: Future<Output = io::Result<C>>, C> Future for WatchedHandshake<H> {
    type Output = io::Result<WatchedConnection<C>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let me = self.project();
        let inner = ready!(me.inner.poll(cx))?;
        Poll::Ready(Ok(WatchedConnection {
            inner,
            notes: Arc::clone(me.notes),
            has_written: false,
        }))
    }
}

/// A connection that's watched.
#[derive(Debug)]
pub struct WatchedConnection<C> {
    inner: C,
    notes: Arc<Notes>,
    /// Since it was last asleep.
    has_written: bool,
}

impl<C: Connection> WatchedConnection<C> {
    fn note(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(1..)) = written {
            self.has_written = true;
        }
    }
}

impl<C: Connection> Connection for WatchedConnection<C> {
    fn info(&self) -> &ConnInfo {
        self.inner.info()
    }

    /// Hyper never asks for it. Who does after an answer was written, has taken the connection from
    /// hyper; it's asked for while there's no answer yet, too.
    fn poll_readable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.notes.count_poll();
        if std::mem::take(&mut self.has_written) {
            self.notes.asleep.add_permits(1);
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

impl<C: Connection> Read for WatchedConnection<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.notes.count_poll();
        let room = buf.remaining();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if read.is_ready() {
            self.notes.rooms.lock().unwrap().push(room);
        }
        read
    }
}

impl<C: Connection> Write for WatchedConnection<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.notes.count_poll();
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.note(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.notes.count_poll();
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
        self.notes.count_poll();
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.note(&written);
        written
    }
}
