use super::*;
use crate::runtime::{local::LocalTasks, lock};
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use std::{
    cell::Cell,
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Wake, Waker, ready},
    thread,
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The bytes that a test's stream yields, and those written to it.
#[derive(Clone, Default)]
struct Ends {
    incoming: Arc<Mutex<VecDeque<io::Result<&'static [u8]>>>>,
    written: Arc<Mutex<Vec<u8>>>,
    /// The number of bytes written before the last flush.
    flushed: Arc<AtomicUsize>,
    is_shut_down: Arc<AtomicBool>,
    /// The number of bytes after which writes fail.
    fails_after: Option<usize>,
}

/// A `!Send` stream, each of whose directions is pending every other time.
struct Fake {
    ends: Ends,
    reads: Cell<bool>,
    writes: Cell<bool>,
    _not_send: Rc<()>,
}

fn every_other_time(was_pending: &Cell<bool>, cx: &Context<'_>) -> Poll<()> {
    if was_pending.replace(!was_pending.get()) {
        return Poll::Ready(());
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

impl Read for Fake {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(every_other_time(&self.reads, cx));
        match lock(&self.ends.incoming).pop_front() {
            Some(Ok(bytes)) => buf.put_slice(bytes),
            Some(Err(error)) => return Poll::Ready(Err(error)),
            // No further bytes, and no end of stream.
            None => return Poll::Pending,
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Fake {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(every_other_time(&self.writes, cx));
        let mut written = lock(&self.ends.written);
        if self
            .ends
            .fails_after
            .is_some_and(|most| written.len() >= most)
        {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "deliberate")));
        }
        let n = buf.len().min(1000);
        written.extend(&buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(every_other_time(&self.writes, cx));
        let written = lock(&self.ends.written).len();
        self.ends.flushed.store(written, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(every_other_time(&self.writes, cx));
        self.ends.is_shut_down.store(true, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }
}

impl LocalStream for Fake {}

/// A worker with a stream. It ends on request or when dropped.
struct Worker {
    ends: Arc<AtomicBool>,
    /// The number of runs of its tasks.
    runs: Arc<AtomicUsize>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Worker {
    fn start(ends: &Ends) -> (Self, TokioIo<ThreadBoundStream<Fake>>) {
        Self::start_with(ends, || None::<()>)
    }

    /// The worker makes a value with `make`, which this thread drops first.
    fn start_with<T: Send + 'static>(
        ends: &Ends,
        make: impl FnOnce() -> Option<T> + Send + 'static,
    ) -> (Self, TokioIo<ThreadBoundStream<Fake>>) {
        struct Unpark(thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let (give, given) = mpsc::channel();
        let (ends, is_over) = (ends.clone(), Arc::new(AtomicBool::new(false)));
        let until = Arc::clone(&is_over);
        let runs = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&runs);
        let thread = thread::spawn(move || {
            let tasks = LocalTasks::enter();
            let fake = Fake {
                ends,
                reads: Cell::default(),
                writes: Cell::default(),
                _not_send: Rc::new(()),
            };
            give.send((ThreadBoundStream::new(fake), make())).unwrap();
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            while !until.load(Ordering::SeqCst) {
                count.fetch_add(1, Ordering::SeqCst);
                if !tasks.run(&mut Context::from_waker(&waker), 1) {
                    thread::park();
                }
            }
        });
        let worker = Self {
            ends: is_over,
            runs,
            thread: Some(thread),
        };
        let (stream, made) = given.recv().unwrap();
        drop(made);
        (worker, TokioIo::new(stream))
    }

    fn end(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            thread.join().unwrap();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

/// More bytes than the pipe holds.
const MUCH: usize = 200_000;

#[tokio::test]
async fn bytes_written_on_another_thread_are_sent_after_a_drop() {
    let ends = Ends::default();
    let (_worker, mut io) = Worker::start(&ends);
    io.write_all(&[7; MUCH]).await.unwrap();
    drop(io);
    while lock(&ends.written).len() < MUCH {
        tokio::task::yield_now().await;
    }
    assert!(
        !ends.is_shut_down.load(Ordering::SeqCst),
        "it was only dropped"
    );
}

#[tokio::test]
async fn bytes_written_on_another_thread_are_flushed_without_a_call() {
    let ends = Ends::default();
    let (_worker, mut io) = Worker::start(&ends);
    for nth in 1..=50 {
        io.write_all(b"hello").await.unwrap();
        while ends.flushed.load(Ordering::SeqCst) < nth * 5 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn idle_relay_is_not_polled() {
    let ends = Ends::default();
    let (worker, mut io) = Worker::start(&ends);
    io.write_all(b"hello").await.unwrap();
    let runs = || worker.runs.load(Ordering::SeqCst);
    let by = Instant::now() + Duration::from_secs(20);
    loop {
        let before = runs();
        // This sleep does not wait for an event: the test counts runs that must not happen.
        tokio::time::sleep(Duration::from_millis(50)).await;
        if runs() == before {
            break;
        }
        assert!(
            Instant::now() < by,
            "it goes on: {before} runs, then {}",
            runs()
        );
    }
    assert_eq!(lock(&ends.written)[..], *b"hello");
}

#[tokio::test]
async fn panic_in_the_drop_of_a_value_does_not_affect_others() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("deliberate: in a drop");
        }
    }
    let ends = Ends::default();
    lock(&ends.incoming).push_back(Ok(b"one"));
    let (_worker, mut io) = Worker::start_with(&ends, || Some(ThreadBound::new(Bad)));
    let mut one = [0; 3];
    io.read_exact(&mut one).await.unwrap();
    assert_eq!(&one, b"one");
}

#[tokio::test]
async fn each_direction_ends_separately() {
    let ends = Ends::default();
    lock(&ends.incoming).extend([Ok(&b"one"[..]), Ok(b""), Ok(b"after the end")]);
    let (_worker, mut io) = Worker::start(&ends);
    let mut got = Vec::new();
    io.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"one");
    assert_eq!(io.read(&mut [0]).await.unwrap(), 0, "the end stays the end");
    io.write_all(b"still open").await.unwrap();
    io.shutdown().await.unwrap();
    assert!(ends.is_shut_down.load(Ordering::SeqCst));
    assert_eq!(lock(&ends.written)[..], *b"still open");
    let error = io.write_all(b"more").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn errors_reach_the_other_thread_unchanged() {
    let ends = Ends {
        fails_after: Some(MUCH),
        ..Ends::default()
    };
    lock(&ends.incoming).extend([Ok(&b"one"[..]), Err(Errno::CONNRESET.into())]);
    let (_worker, mut io) = Worker::start(&ends);
    let error = io.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(Errno::from_io_error(&error), Some(Errno::CONNRESET));
    assert_eq!(io.read(&mut [0]).await.unwrap_err().kind(), error.kind());
    io.write_all(&[7; MUCH]).await.unwrap();
    io.flush().await.unwrap();
    let error = io.write_all(&[7; MUCH]).await.unwrap_err();
    assert_eq!(
        (error.kind(), &*error.to_string()),
        (io::ErrorKind::TimedOut, "deliberate")
    );
    assert_eq!(
        io.flush().await.unwrap_err().kind(),
        io::ErrorKind::TimedOut
    );
}

#[tokio::test]
async fn end_of_the_worker_is_an_error_on_other_threads() {
    // The worker ends before the stream's first use on another thread, or after it.
    for is_used in [false, true] {
        let ends = Ends::default();
        lock(&ends.incoming).push_back(Ok(b"one"));
        let (mut worker, mut io) = Worker::start(&ends);
        if is_used {
            io.read_exact(&mut [0; 3]).await.unwrap();
        }
        worker.end();
        let aborted = io::ErrorKind::ConnectionAborted;
        assert_eq!(io.read(&mut [0]).await.unwrap_err().kind(), aborted);
        assert_eq!(io.write_all(b"in vain").await.unwrap_err().kind(), aborted);
        assert_eq!(io.flush().await.unwrap_err().kind(), aborted);
        assert_eq!(io.shutdown().await.unwrap_err().kind(), aborted);
    }
}
