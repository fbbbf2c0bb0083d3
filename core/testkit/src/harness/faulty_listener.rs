//! A transport around the subject's whose listener fails in the way that the test chooses.
use crate::app::DELIBERATE;
use anyport_core::{
    Listener, Result, Transport,
    runtime::{RuntimeOptions, Worker, Workers},
    transport::{AcceptErrorKind, Connecting, Endpoint},
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

/// How many polls are [abandoned](ListenerFault::AbandonedPolls).
const POLLS: u32 = 1000;

/// The fault that a listener shows at the moment. The test can change it.
#[derive(Debug, Default)]
pub struct Mode {
    fault: Mutex<ListenerFault>,
    /// How many times the fault was shown.
    count: AtomicU32,
    /// How many workers have a listener.
    workers: AtomicU32,
}

/// A fault of a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ListenerFault {
    #[default]
    None,
    /// 1,000 polls come from a task that never polls again, as when an accept loses a race against
    /// another future.
    AbandonedPolls,
    /// Every other client has disconnected before it was accepted.
    AbortedConnections,
    /// No descriptor is left (EMFILE, accept(2)).
    OutOfDescriptors,
    /// Every accept fails with an error that is not temporary.
    Broken,
    /// `poll_accept` panics.
    Panics,
    /// Handshakes never complete.
    StalledHandshakes,
    /// Handshakes fail.
    FailedHandshakes,
    /// The last worker cannot listen.
    CannotListen,
    /// After `stop`, the server keeps polling the listener for as long as it can, so that a test
    /// sees whether clients still get in.
    StopsSlowly,
    /// The queue always holds one more client whose handshake fails, even after `stop`.
    EndlessQueue,
}

impl Mode {
    pub(crate) fn new(fault: ListenerFault) -> Arc<Self> {
        let mode = Self::default();
        mode.set(fault);
        Arc::new(mode)
    }

    pub(crate) fn set(&self, fault: ListenerFault) {
        *self.fault.lock().unwrap() = fault;
    }

    pub(crate) fn count(&self) -> u32 {
        self.count.load(Relaxed)
    }

    pub(crate) fn workers(&self) -> u32 {
        self.workers.load(Relaxed)
    }

    fn get(&self) -> ListenerFault {
        *self.fault.lock().unwrap()
    }

    /// Counts one more time, and returns the count before.
    fn increment(&self) -> u32 {
        self.count.fetch_add(1, Relaxed)
    }
}

/// Gives the listener of a transport a fault.
#[derive(Clone)]
pub(crate) struct Faulty<T> {
    inner: T,
    mode: Arc<Mode>,
}

impl<T> Faulty<T> {
    pub(crate) fn new(inner: T, mode: Arc<Mode>) -> Self {
        Self { inner, mode }
    }
}

impl<T: Transport> Transport for Faulty<T> {
    type Runtime = T::Runtime;
    type Socket = T::Socket;
    type Listener = FaultyListener<T::Listener>;

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
        if self.mode.get() == ListenerFault::CannotListen && worker.index() + 1 == worker.count() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.mode.workers.fetch_add(1, Relaxed);
        Ok(FaultyListener {
            inner: self.inner.listen(socket, worker)?,
            mode: Arc::clone(&self.mode),
        })
    }
}

/// A listener with a fault.
#[derive(Debug)]
pub(crate) struct FaultyListener<L> {
    inner: L,
    mode: Arc<Mode>,
}

impl<L: Listener> Listener for FaultyListener<L> {
    type Connection = L::Connection;
    type Handshake = FaultyHandshake<L::Handshake>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        let mode = &self.mode;
        // The mode is read once a client has arrived. A client that arrives after a change of mode
        // has a handshake of the new mode, although this poll began before.
        let with_mode = |incoming: Connecting<L::Handshake>| match mode.get() {
            ListenerFault::StalledHandshakes => incoming.map(|_| FaultyHandshake::stalls()),
            ListenerFault::FailedHandshakes => incoming.map(|_| FaultyHandshake::fails()),
            _ => incoming.map(FaultyHandshake::completes),
        };
        match mode.get() {
            ListenerFault::AbandonedPolls if self.mode.count() < POLLS => {
                self.mode.increment();
                // The listener must be polled again although no event follows.
                cx.waker().wake_by_ref();
                // A waker of a task that no longer exists.
                let polled = self
                    .inner
                    .poll_accept(&mut Context::from_waker(Waker::noop()));
                if polled.is_ready() {
                    return polled.map_ok(with_mode);
                }
            }
            ListenerFault::AbortedConnections if self.mode.increment().is_multiple_of(2) => {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            ListenerFault::OutOfDescriptors => {
                self.mode.increment();
                return Poll::Ready(Err(Errno::MFILE.into()));
            }
            ListenerFault::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidInput.into())),
            ListenerFault::Panics => panic!("{DELIBERATE} in poll_accept"),
            ListenerFault::EndlessQueue if self.mode.increment().is_multiple_of(2) => {
                // Without a pause, this queue would occupy a core.
                thread::sleep(Duration::from_millis(1));
                let gone =
                    Connecting::new(Endpoint::custom("disconnected"), FaultyHandshake::fails());
                return Poll::Ready(Ok(gone));
            }
            // The next client arrives once other tasks have run.
            ListenerFault::EndlessQueue => cx.waker().wake_by_ref(),
            ListenerFault::None
            | ListenerFault::AbandonedPolls
            | ListenerFault::AbortedConnections
            | ListenerFault::CannotListen
            | ListenerFault::StopsSlowly => {}
            ListenerFault::StalledHandshakes | ListenerFault::FailedHandshakes => {}
        }
        self.inner.poll_accept(cx).map_ok(with_mode)
    }

    fn stop(&mut self) -> Duration {
        let arriving = self.inner.stop();
        if self.mode.get() != ListenerFault::StopsSlowly {
            return arriving;
        }
        self.mode.increment();
        Duration::MAX
    }

    fn classify(&self, error: &io::Error) -> AcceptErrorKind {
        match self.mode.get() {
            ListenerFault::None | ListenerFault::AbandonedPolls => self.inner.classify(error),
            _ => AcceptErrorKind::of(error),
        }
    }
}

pin_project_lite::pin_project! {
    /// A handshake that completes, stalls or fails.
    pub(crate) struct FaultyHandshake<H> {
        #[pin]
        inner: Option<H>,
        stalls: bool,
    }
}

impl<H> FaultyHandshake<H> {
    fn completes(inner: H) -> Self {
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

impl<H: Future<Output = io::Result<C>>, C> Future for FaultyHandshake<H> {
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
