//! The accept queue: what a kernel is to TCP.
use crate::{MemoryConnection, MemoryStream};
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
use tokio::io::duplex;

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
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Unbound,
    Listening,
    /// Some worker is draining.
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
}

impl MemorySocket {
    /// One for each worker; none, if somebody listens already. A place whose server has ended can be listened on again.
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
        };
        let socket = |worker| Self {
            queue: Arc::clone(queue),
            worker,
        };
        Some((0..workers).map(socket).collect())
    }

    pub(crate) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<MemoryConnection> {
        let mut state = self.queue.lock();
        match state.waiting.pop_front() {
            Some(connection) => Poll::Ready(connection),
            None => {
                state.workers[self.worker] = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Nobody gets in any more.
    pub(crate) fn stop(&mut self) {
        self.queue.lock().phase = Phase::Stopped;
    }
}

impl Drop for MemorySocket {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.workers[self.worker] = None;
        state.open -= 1;
        if state.open > 0 {
            // What this worker was woken for may be still there.
            state
                .workers
                .iter_mut()
                .filter_map(Option::take)
                .for_each(Waker::wake);
            return;
        }
        state.phase = Phase::Ended;
        let refused = std::mem::take(&mut state.waiting);
        drop(state);
        drop(refused);
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
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused), if no server listens yet, if it has ended, or if too many connections wait.
    pub fn connect(&self) -> io::Result<MemoryStream> {
        let (client, server) = duplex(self.buffer);
        let number = self.queue.clients.fetch_add(1, Ordering::Relaxed);
        let peer = Endpoint::custom(format!("memory:client-{number}"));
        let info = ConnInfo::new(peer, self.queue.endpoint.clone());
        self.queue.enqueue(MemoryConnection::new(server, info))?;
        Ok(MemoryStream(client))
    }
}
