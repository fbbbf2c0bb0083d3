//! Transports that wrap the subject's: one reports its endpoint, one has a faulty listener.
use crate::{app::DELIBERATE, harness::site::Told};
use anyport_core::{
    AcceptErrorKind, Endpoint, Incoming, Listener, Result, Transport, Worker, Workers,
    runtime::RuntimeOptions,
};
use rustix::io::Errno;
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

/// How often a listener is polled and [left](Trouble::Left).
const POLLS: u32 = 1000;

/// Tells its endpoint to somebody who has no handle of the server.
#[derive(Clone)]
pub(crate) struct Spied<T> {
    inner: T,
    told: Told,
}

impl<T> Spied<T> {
    pub(crate) fn new(inner: T, told: Told) -> Self {
        Self { inner, told }
    }
}

impl<T: Transport> Transport for Spied<T> {
    type Runtime = T::Runtime;
    type Socket = T::Socket;
    type Listener = T::Listener;

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
        let endpoint = self.inner.endpoint(socket)?;
        *self.told.lock().unwrap() = Some(endpoint.clone());
        Ok(endpoint)
    }

    fn listen(&self, socket: T::Socket, worker: &Worker) -> io::Result<T::Listener> {
        self.inner.listen(socket, worker)
    }
}

/// What's the matter with a listener; a test can change it.
#[derive(Debug, Default)]
pub struct Mood {
    trouble: Mutex<Trouble>,
    /// How often it has shown.
    times: AtomicU32,
}

/// What can be the matter with a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Trouble {
    #[default]
    None,
    /// It's polled by a task that then loses its interest, 1,000 times, as when an accept is raced
    /// against something else.
    Left,
    /// Every other client has gone before it was accepted.
    Aborted,
    /// There's no descriptor left (EMFILE, accept(2)).
    Exhausted,
    /// The socket is of no use any more.
    Broken,
    /// It's badly written.
    Panics,
    /// Handshakes never end.
    Stalls,
    /// Handshakes fail.
    Fails,
    /// The last worker can't listen.
    Deaf,
    /// There's always somebody more, of no use, even when new clients are to be kept out.
    Endless,
}

impl Mood {
    pub(crate) fn new(trouble: Trouble) -> Arc<Self> {
        let mood = Self::default();
        mood.set(trouble);
        Arc::new(mood)
    }

    pub(crate) fn set(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap() = trouble;
    }

    pub(crate) fn times(&self) -> u32 {
        self.times.load(Relaxed)
    }

    fn get(&self) -> Trouble {
        *self.trouble.lock().unwrap()
    }

    /// Shows once more, and for the how manyth time.
    fn show(&self) -> u32 {
        self.times.fetch_add(1, Relaxed)
    }
}

/// Makes the listener moody.
#[derive(Clone)]
pub(crate) struct Moody<T> {
    inner: T,
    mood: Arc<Mood>,
}

impl<T> Moody<T> {
    pub(crate) fn new(inner: T, mood: Arc<Mood>) -> Self {
        Self { inner, mood }
    }
}

impl<T: Transport> Transport for Moody<T> {
    type Runtime = T::Runtime;
    type Socket = T::Socket;
    type Listener = MoodyListener<T::Listener>;

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
        if self.mood.get() == Trouble::Deaf && worker.index() + 1 == worker.count() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(MoodyListener {
            inner: self.inner.listen(socket, worker)?,
            mood: Arc::clone(&self.mood),
        })
    }
}

/// A listener with its mood.
#[derive(Debug)]
pub(crate) struct MoodyListener<L> {
    inner: L,
    mood: Arc<Mood>,
}

impl<L: Listener> Listener for MoodyListener<L> {
    type Connection = L::Connection;
    type Handshake = MoodyHandshake<L::Handshake>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Self::Handshake>>> {
        let mood = &self.mood;
        // Looked at once somebody is there: who comes after the mood has changed has a handshake of
        // the new one, also if this began before.
        let as_mood = |incoming: Incoming<L::Handshake>| match mood.get() {
            Trouble::Stalls => incoming.map(|_| MoodyHandshake::stalls()),
            Trouble::Fails => incoming.map(|_| MoodyHandshake::fails()),
            _ => incoming.map(MoodyHandshake::fine),
        };
        match mood.get() {
            Trouble::Left if self.mood.times() < POLLS => {
                self.mood.show();
                // So that it's polled again although nothing happened.
                cx.waker().wake_by_ref();
                // A task that will never come back.
                let polled = self
                    .inner
                    .poll_accept(&mut Context::from_waker(Waker::noop()));
                if polled.is_ready() {
                    return polled.map_ok(as_mood);
                }
            }
            Trouble::Aborted if self.mood.show().is_multiple_of(2) => {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            Trouble::Exhausted => {
                self.mood.show();
                return Poll::Ready(Err(Errno::MFILE.into()));
            }
            Trouble::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidInput.into())),
            Trouble::Panics => panic!("{DELIBERATE} in poll_accept"),
            Trouble::Endless if self.mood.show().is_multiple_of(2) => {
                // There's no need to keep a core busy for it.
                thread::sleep(Duration::from_millis(1));
                let nobody = Incoming::new(Endpoint::custom("nobody"), MoodyHandshake::fails());
                return Poll::Ready(Ok(nobody));
            }
            // The next one comes as soon as others have had their turn.
            Trouble::Endless => cx.waker().wake_by_ref(),
            Trouble::None | Trouble::Left | Trouble::Aborted | Trouble::Deaf => {}
            Trouble::Stalls | Trouble::Fails => {}
        }
        self.inner.poll_accept(cx).map_ok(as_mood)
    }

    fn stop(&mut self) -> Duration {
        self.inner.stop()
    }

    fn classify(&self, error: &io::Error) -> AcceptErrorKind {
        match self.mood.get() {
            Trouble::None | Trouble::Left => self.inner.classify(error),
            _ => AcceptErrorKind::of(error),
        }
    }
}

pin_project_lite::pin_project! {
    /// A handshake that may be bound to fail.
    pub(crate) struct MoodyHandshake<H> {
        #[pin]
        inner: Option<H>,
        stalls: bool,
    }
}

impl<H> MoodyHandshake<H> {
    fn fine(inner: H) -> Self {
        Self {
            inner: Some(inner),
            stalls: false,
        }
    }

    fn stalls() -> Self {
        Self {
            inner: None,
            stalls: true,
        }
    }

    fn fails() -> Self {
        Self {
            inner: None,
            stalls: false,
        }
    }
}

impl<H: Future<Output = io::Result<C>>, C> Future for MoodyHandshake<H> {
    type Output = io::Result<C>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<C>> {
        let me = self.project();
        match me.inner.as_pin_mut() {
            Some(inner) => inner.poll(cx),
            None if *me.stalls => Poll::Pending,
            None => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
        }
    }
}
