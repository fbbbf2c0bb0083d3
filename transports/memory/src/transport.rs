//! The transport: a place to listen inside the process.
use crate::{MemoryConnector, MemoryListener, MemorySocket, queue::Queue};
use anyport_core::{
    Error, Result, Runtime, Transport,
    error::ErrorKind,
    runtime::{Tokio, TokioPerCore, Worker, Workers},
    transport::Endpoint,
};
use std::{fmt, io, marker::PhantomData, sync::Arc};

/// How many bytes one side may write before the other reads.
const BUFFER: usize = 64 * 1024;
/// How many connections may wait to be accepted.
const BACKLOG: usize = 4096;

/// Connections inside one process, over pipes in memory.
///
/// It uses no network, no descriptor and no system call: a whole server fits into a unit test, even
/// under a paused clock. Each `Memory` has an endpoint of its own, and its
/// [`connector`](Self::connector) connects to it.
pub struct Memory<R = Tokio> {
    queue: Arc<Queue>,
    buffer: usize,
    workers: Workers,
    runtime: PhantomData<fn() -> R>,
}

impl Memory {
    /// A new transport on the tokio runtime that starts the server.
    #[must_use]
    pub fn new() -> Self {
        Self {
            queue: Arc::new(Queue::new(BACKLOG)),
            buffer: BUFFER,
            workers: Tokio::WORKERS,
            runtime: PhantomData,
        }
    }

    /// The same transport with a thread and a single-threaded tokio runtime for each worker. The
    /// default is one worker per core; see [`with_workers`](Memory::with_workers).
    #[must_use]
    pub fn per_core(self) -> Memory<TokioPerCore> {
        Memory {
            queue: self.queue,
            buffer: self.buffer,
            workers: TokioPerCore::WORKERS,
            runtime: PhantomData,
        }
    }
}

impl<R: Runtime> Memory<R> {
    /// The number of workers. Default: one on the ambient tokio, one per core with
    /// [`per_core`](Memory::per_core).
    #[must_use]
    pub fn with_workers(mut self, workers: impl Into<Workers>) -> Self {
        self.workers = workers.into();
        self
    }

    /// How many bytes one side may write before the other reads. Default: 64 KiB.
    #[must_use]
    pub fn with_buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes;
        self
    }

    /// A connector to this transport. It is cheap to clone, and works on any thread and any
    /// runtime.
    #[must_use]
    pub fn connector(&self) -> MemoryConnector {
        MemoryConnector::new(Arc::clone(&self.queue), self.buffer)
    }
}

impl<R: Runtime> Transport for Memory<R> {
    type Runtime = R;
    type Socket = MemorySocket;
    type Listener = MemoryListener;

    fn workers(&self) -> Workers {
        self.workers
    }

    fn open(&self, workers: usize) -> Result<Vec<MemorySocket>> {
        if self.buffer == 0 {
            return Err(Error::config(
                "Memory::with_buffer(0) could carry nothing: allow at least 1 byte",
            ));
        }
        let sockets = MemorySocket::open(&self.queue, workers);
        sockets.ok_or_else(|| {
            Error::new(
                ErrorKind::Bind,
                "cannot bind this memory transport: a server listens on it already (make another one by `Memory::new()`)",
            )
        })
    }

    fn endpoint(&self, _: &MemorySocket) -> io::Result<Endpoint> {
        Ok(self.queue.endpoint().clone())
    }

    fn listen(&self, socket: MemorySocket, _: &Worker) -> io::Result<MemoryListener> {
        Ok(MemoryListener::new(socket))
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> Clone for Memory<R> {
    fn clone(&self) -> Self {
        Self {
            queue: Arc::clone(&self.queue),
            buffer: self.buffer,
            workers: self.workers,
            runtime: PhantomData,
        }
    }
}

impl<R> fmt::Debug for Memory<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("endpoint", &self.queue.endpoint())
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}
