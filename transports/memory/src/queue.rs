//! The accept queue, which the kernel has for TCP.
use crate::MemoryConnection;
use anyport_core::transport::Endpoint;
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// Distinguishes the memory transports of a process.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

#[derive(Debug)]
pub(crate) struct Queue {
    endpoint: Endpoint,
    backlog: usize,
    clients: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    status: Status,
    waiting: VecDeque<MemoryConnection>,
    /// The waker of each worker's listener.
    workers: Vec<Option<Waker>>,
    /// How many listeners are open.
    open: usize,
    /// How many listeners still accept new clients.
    accepting: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Status {
    #[default]
    Unbound,
    Listening,
    /// Every worker is draining.
    Stopped,
    Ended,
}

impl Queue {
    pub(crate) fn new(backlog: usize) -> Self {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self {
            endpoint: Endpoint::custom(format!("memory:{id}")),
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

    /// The endpoint of the next client.
    pub(crate) fn next_client(&self) -> Endpoint {
        let number = self.clients.fetch_add(1, Ordering::Relaxed);
        Endpoint::custom(format!("memory:client-{number}"))
    }

    pub(crate) fn enqueue(&self, connection: MemoryConnection) -> io::Result<()> {
        let mut state = self.lock();
        let refused = |what: &str| {
            Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                format!("{}: {what}", self.endpoint),
            ))
        };
        match state.status {
            Status::Unbound => return refused("no server listens on it yet"),
            Status::Stopped | Status::Ended => return refused("the server has ended"),
            Status::Listening if state.waiting.len() >= self.backlog => {
                return refused("too many connections wait to be accepted");
            }
            Status::Listening => state.waiting.push_back(connection),
        }
        // Wakes any worker. Each worker polls the queue again before it waits.
        let waker = state.workers.iter_mut().find_map(Option::take);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }
}

/// One worker's end of the accept queue, before and while it listens.
#[derive(Debug)]
pub struct MemorySocket {
    queue: Arc<Queue>,
    worker: usize,
    stopped: bool,
}

impl MemorySocket {
    /// One socket per worker. `None` if a server listens already. After that server has ended, the
    /// queue can be opened again.
    pub(crate) fn open(queue: &Arc<Queue>, workers: usize) -> Option<Vec<Self>> {
        let mut state = queue.lock();
        if state.open > 0 {
            return None;
        }
        *state = State {
            status: Status::Listening,
            waiting: VecDeque::new(),
            workers: vec![None; workers],
            open: workers,
            accepting: workers,
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
        if self.stopped && state.accepting > 0 {
            // The other workers accept all waiting and later clients.
            return Poll::Pending;
        }
        match state.waiting.pop_front() {
            Some(connection) => {
                // This worker may be full now, so it is not woken for the next client.
                state.workers[self.worker] = None;
                Poll::Ready(connection)
            }
            None => {
                state.workers[self.worker] = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// This worker accepts no new client. When the last worker has stopped, connecting fails.
    pub(crate) fn stop(&mut self) {
        if !std::mem::replace(&mut self.stopped, true) {
            let mut state = self.queue.lock();
            let woken = state.stop_one();
            drop(state);
            woken.into_iter().for_each(Waker::wake);
        }
    }
}

impl State {
    /// Records that one worker has stopped accepting. Returns the wakers to wake after the lock is
    /// released: the event that woke this worker may still need another worker.
    fn stop_one(&mut self) -> Vec<Waker> {
        self.accepting -= 1;
        if self.accepting == 0 {
            self.status = Status::Stopped;
        }
        self.workers.iter_mut().filter_map(Option::take).collect()
    }
}

impl Drop for MemorySocket {
    fn drop(&mut self) {
        self.stop();
        let mut state = self.queue.lock();
        state.open -= 1;
        let mut dropped = (state.workers[self.worker].take(), VecDeque::new());
        if state.open == 0 {
            state.status = Status::Ended;
            dropped.1 = std::mem::take(&mut state.waiting);
        }
        // Dropping a waker or a connection may run any code, which may use this queue.
        drop(state);
        drop(dropped);
    }
}
