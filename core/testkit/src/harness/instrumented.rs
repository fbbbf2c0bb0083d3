//! A transport around another one, which counts events that no client sees: hibernations, polls and
//! the sizes of reads.
use crate::harness::watch::waiting;
use anyport_core::{
    Connection,
    transport::{ByteTransport, Intercept, Intercepted, MapConnection, MapFn, Writer},
};
use hyper::rt::ReadBufCursor;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
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
pub type Instrumented<T> = MapConnection<T, Count>;

/// Counts the connections of `inner`.
pub fn instrumented<T: ByteTransport>(inner: T, counters: Arc<Counters>) -> Instrumented<T> {
    MapConnection::new(inner, Count(counters))
}

/// Makes connections whose polls are counted.
#[derive(Clone, Debug)]
pub struct Count(Arc<Counters>);

impl<C: Connection> MapFn<C> for Count {
    type Output = Intercepted<C, Counted>;

    fn map(&self, inner: C) -> Self::Output {
        let counted = Counted {
            counters: Arc::clone(&self.0),
            has_written: false,
        };
        Intercepted::new(inner, counted)
    }
}

/// Counts the polls of a connection.
#[derive(Debug)]
pub struct Counted {
    counters: Arc<Counters>,
    /// Whether bytes were written since the last hibernation.
    has_written: bool,
}

impl<C: Connection> Intercept<C> for Counted {
    /// Hyper never calls this method. A call after a response was written means that the connection
    /// was taken from hyper: it hibernates. Calls before a response do not count.
    fn poll_readable(&mut self, inner: Pin<&mut C>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.counters.count_poll();
        if std::mem::take(&mut self.has_written) {
            self.counters.hibernated.add_permits(1);
        }
        inner.poll_readable(cx)
    }

    fn poll_read(
        &mut self,
        inner: Pin<&mut C>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.counters.count_poll();
        let capacity = buf.remaining();
        let read = inner.poll_read(cx, buf);
        if read.is_ready() {
            self.counters.capacities.lock().unwrap().push(capacity);
        }
        read
    }

    fn poll_write(
        &mut self,
        inner: Writer<'_, C>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.counters.count_poll();
        let written = inner.poll_write(cx, bufs);
        self.has_written |= matches!(written, Poll::Ready(Ok(1..)));
        written
    }

    fn poll_flush(&mut self, inner: Pin<&mut C>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.counters.count_poll();
        inner.poll_flush(cx)
    }
}
