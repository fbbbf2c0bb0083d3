//! The accept queue, which the kernel has for TCP.
use crate::{MemoryConnection, MemoryStream, connection};
use anyport_core::{ConnInfo, Endpoint};
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// Tells the places of a process apart.
static PLACES: AtomicU64 = AtomicU64::new(1);

#[derive(Debug)]
pub(crate) struct Queue {
    endpoint: Endpoint,
    backlog: usize,
    clients: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    waiting: VecDeque<MemoryConnection>,
    /// One place for each worker's listener.
    workers: Vec<Option<Waker>>,
    /// How many listeners there still are.
    open: usize,
    /// How many of them let new clients in.
    letting_in: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Unbound,
    Listening,
    /// Every worker is draining.
    Stopped,
    Ended,
}

impl Queue {
    pub(crate) fn new(backlog: usize) -> Self {
        let place = PLACES.fetch_add(1, Ordering::Relaxed);
        Self {
            endpoint: Endpoint::custom(format!("memory:{place}")),
            backlog,
            clients: AtomicU64::new(1),
            state: Mutex::default(),
        }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, connection: MemoryConnection) -> io::Result<()> {
        let mut state = self.lock();
        let refused = |what: &str| {
            Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                format!("{}: {what}", self.endpoint),
            ))
        };
        match state.phase {
            Phase::Unbound => return refused("no server listens on it yet"),
            Phase::Stopped | Phase::Ended => return refused("the server has ended"),
            Phase::Listening if state.waiting.len() >= self.backlog => {
                return refused("too many connections wait to be accepted");
            }
            Phase::Listening => state.waiting.push_back(connection),
        }
        // Any one of the workers; each looks again before it waits again.
        let waker = state.workers.iter_mut().find_map(Option::take);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }
}

/// One worker's handle of the accept queue, before and while it listens.
#[derive(Debug)]
pub struct MemorySocket {
    queue: Arc<Queue>,
    worker: usize,
    stopped: bool,
}

impl MemorySocket {
    /// One for each worker; none, if somebody listens already. A place whose server has ended can
    /// be listened on again.
    pub(crate) fn open(queue: &Arc<Queue>, workers: usize) -> Option<Vec<Self>> {
        let mut state = queue.lock();
        if state.open > 0 {
            return None;
        }
        *state = State {
            phase: Phase::Listening,
            waiting: VecDeque::new(),
            workers: vec![None; workers],
            open: workers,
            letting_in: workers,
        };
        let socket = |worker| Self {
            queue: Arc::clone(queue),
            worker,
            stopped: false,
        };
        Some((0..workers).map(socket).collect())
    }

    pub(crate) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<MemoryConnection> {
        let mut state = self.queue.lock();
        if self.stopped && state.letting_in > 0 {
            // The others serve who waits, and who's still to come.
            return Poll::Pending;
        }
        match state.waiting.pop_front() {
            Some(connection) => {
                // A worker that may be full now isn't the one to wake for the next.
                state.workers[self.worker] = None;
                Poll::Ready(connection)
            }
            None => {
                state.workers[self.worker] = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// This worker takes nobody in any more; when the last one has stopped, nobody gets in.
    pub(crate) fn stop(&mut self) {
        if !std::mem::replace(&mut self.stopped, true) {
            let mut state = self.queue.lock();
            let woken = state.leave();
            drop(state);
            woken.into_iter().for_each(Waker::wake);
        }
    }
}

impl State {
    /// One worker less that lets clients in. Gives whom to wake, once the lock is released: what
    /// this worker was woken for may be still there.
    fn leave(&mut self) -> Vec<Waker> {
        self.letting_in -= 1;
        if self.letting_in == 0 {
            self.phase = Phase::Stopped;
        }
        self.workers.iter_mut().filter_map(Option::take).collect()
    }
}

impl Drop for MemorySocket {
    fn drop(&mut self) {
        self.stop();
        let mut state = self.queue.lock();
        state.open -= 1;
        let mut left = (state.workers[self.worker].take(), VecDeque::new());
        if state.open == 0 {
            state.phase = Phase::Ended;
            left.1 = std::mem::take(&mut state.waiting);
        }
        // Dropping a waker or a connection runs others' code, which may come back here.
        drop(state);
        drop(left);
    }
}

/// Connects to a [`Memory`](crate::Memory) transport. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connector {
    queue: Arc<Queue>,
    buffer: usize,
}

impl Connector {
    pub(crate) fn new(queue: Arc<Queue>, buffer: usize) -> Self {
        Self { queue, buffer }
    }

    /// Where it connects to: the server's endpoint.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.queue.endpoint()
    }

    /// Connects, at once: the connection waits to be accepted then.
    ///
    /// # Errors
    ///
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused), if no server listens yet, if it has
    /// ended, or if too many connections wait.
    pub fn connect(&self) -> io::Result<MemoryStream> {
        let number = self.queue.clients.fetch_add(1, Ordering::Relaxed);
        let peer = Endpoint::custom(format!("memory:client-{number}"));
        let info = ConnInfo::new(peer, self.queue.endpoint.clone());
        let (client, server) = connection::pair(self.buffer, info);
        self.queue.enqueue(server)?;
        Ok(client)
    }
}
