//! The raw handlers of the suite, which run at the server's end of a connection.
use super::{Boxed, cross_thread};
use crate::harness::watch;
use anyport_core::{
    Connection,
    protocol::{Accepted, Upgraded},
};
use hyper::rt::{Read, ReadBuf, Write};
use hyper_util::rt::TokioIo;
use std::{
    future::{Future, pending, poll_fn},
    io::IoSlice,
    pin::{Pin, pin},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A raw handler of the suite. A function pointer, because the type needs a name.
pub(crate) type Handler<C> = fn(Accepted<C>) -> Boxed<()>;

/// The thread on which raw handlers run and upgraded connections are served.
#[derive(Clone, Copy, Debug, Default)]
pub enum HandlerThread {
    /// The thread of the connection's worker.
    #[default]
    Worker,
    /// A thread that is not a worker.
    Other,
}

/// Number of bytes that [`Script::WriteAndShutDown`] writes.
pub(crate) const WRITTEN: usize = 300_000;

/// One of the suite's raw handlers.
#[derive(Clone, Copy, Debug)]
pub enum Script {
    /// Echoes everything until EOF.
    Echo,
    /// Polls a read, which is pending, and writes `ready`. Echoes the bytes once the read wakes the
    /// task. If the drain wakes the task, reads once more, and writes `late ` before the echo.
    EchoAlsoOnDrain,
    /// Echoes everything until EOF, with a buffer of three bytes.
    EchoInPieces,
    /// Echoes everything until EOF, on a thread without a runtime.
    EchoOnPlainThread,
    /// Writes `bye`, shuts down, and keeps the connection until the client has closed it.
    ShutDownAndStay,
    /// Reads until EOF, then reports the number of bytes.
    CountBytes,
    /// Writes [`WRITTEN`] bytes and shuts down, without a flush in between.
    WriteAndShutDown,
    /// Writes [`WRITTEN`] bytes without a flush, then reads until EOF.
    WriteWithoutFlush,
    /// Writes until a write fails.
    WriteUntilError,
    /// Reads until EOF, then once more; ends only if the second read returns EOF, too.
    ReadEofTwice,
    /// Writes `one two three` in vectored writes, and shuts down. Writes `no` if the connection has
    /// no vectored writes.
    VectoredWrite,
    /// Reads four bytes, writes them back, waits for EOF, and calls every method of the connection.
    CallAll,
    /// Writes its `ConnInfo` as text and shuts down.
    ReportInfo,
    /// Writes `hello`, and `bye` once the server drains. The drain future is polled only when its
    /// own waker was woken.
    ByeOnDrain,
}

impl Script {
    pub(crate) fn handler<C: Connection>(self, thread: HandlerThread) -> Handler<C> {
        macro_rules! handler {
            ($script:expr) => {
                match thread {
                    HandlerThread::Worker => |io| Box::pin($script(io)),
                    HandlerThread::Other => |io| Box::pin(cross_thread::run($script(io))),
                }
            };
        }
        match self {
            Self::Echo => handler!(|io| echo(TokioIo::new(io))),
            Self::EchoAlsoOnDrain => handler!(echo_also_on_drain),
            Self::EchoInPieces => handler!(|io| echo_with::<3>(TokioIo::new(io))),
            Self::EchoOnPlainThread => |io| Box::pin(echo_on_plain_thread(io)),
            Self::ShutDownAndStay => handler!(shut_down_and_stay),
            Self::CountBytes => handler!(count_bytes),
            Self::WriteAndShutDown => handler!(write_and_shut_down),
            Self::WriteWithoutFlush => handler!(write_without_flush),
            Self::WriteUntilError => handler!(write_until_error),
            Self::ReadEofTwice => handler!(read_eof_twice),
            Self::VectoredWrite => handler!(vectored_write),
            Self::CallAll => handler!(call_all),
            Self::ReportInfo => handler!(report_info),
            Self::ByeOnDrain => handler!(bye_on_drain),
        }
    }
}

/// Echoes everything until EOF.
pub(crate) async fn echo(io: impl AsyncReadExt + AsyncWriteExt + Unpin) {
    echo_with::<{ 16 * 1024 }>(io).await;
}

/// The same with a buffer of this size.
async fn echo_with<const SIZE: usize>(mut io: impl AsyncReadExt + AsyncWriteExt + Unpin) {
    let mut buf = vec![0; SIZE];
    loop {
        match io.read(&mut buf).await {
            Ok(0) => break,
            Ok(n) => {
                if io.write_all(&buf[..n]).await.is_err() || io.flush().await.is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
    let _ = io.shutdown().await;
}

async fn echo_also_on_drain<C: Connection>(io: Accepted<C>) {
    let (mut drain, mut io) = (pin!(io.drain()), TokioIo::new(io));
    let mut buf = [0; 16];
    // Only the waker that this poll registers may cause the next poll.
    let early = poll_fn(|cx| Poll::Ready(poll_read_some(&mut io, cx, &mut buf))).await;
    if early.is_ready() || io.write_all(b"ready").await.is_err() || io.flush().await.is_err() {
        return;
    }
    let mut is_first = true;
    let (n, is_late) = poll_fn(|cx| {
        let is_late = drain.as_mut().poll(cx).is_ready();
        if std::mem::take(&mut is_first) && !is_late {
            return Poll::Pending;
        }
        match poll_read_some(&mut io, cx, &mut buf) {
            Poll::Ready(n) => Poll::Ready((n, is_late)),
            Poll::Pending if is_late => Poll::Ready((0, true)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    if is_late && n > 0 {
        let _ = io.write_all(b"late ").await;
    }
    let _ = io.write_all(&buf[..n]).await;
    let _ = io.shutdown().await;
}

/// Reads the bytes that have arrived. An error counts as EOF.
fn poll_read_some(
    io: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    buf: &mut [u8],
) -> Poll<usize> {
    let mut space = tokio::io::ReadBuf::new(buf);
    let read = Pin::new(io).poll_read(cx, &mut space);
    read.map(|read| read.map_or(0, |()| space.filled().len()))
}

async fn echo_on_plain_thread<C: Connection>(io: Accepted<C>) {
    let named = thread::Builder::new().name("a thread without a runtime".to_owned());
    let spawned = named.spawn(watch::inherit(|| block_on(echo(TokioIo::new(io)))));
    spawned.expect("a thread can be spawned");
}

/// Runs a future on this thread, without a runtime.
fn block_on(future: impl Future<Output = ()>) {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut cx) = (pin!(future), Context::from_waker(&waker));
    while future.as_mut().poll(&mut cx).is_pending() {
        thread::park();
    }
}

async fn shut_down_and_stay<C: Connection>(io: Accepted<C>) {
    let mut io = TokioIo::new(io);
    if io.write_all(b"bye").await.is_ok() && io.shutdown().await.is_ok() {
        let _ = io.read_to_end(&mut Vec::new()).await;
    }
}

/// Waits until the connection is readable, without a buffer. Echoes the first five bytes with the
/// connection's id, and writes `bye` once the server drains.
pub(crate) async fn echo_with_info(mut upgraded: Upgraded) {
    assert!(!upgraded.drain().is_draining());
    if poll_fn(|cx| upgraded.poll_readable(cx)).await.is_err() {
        return;
    }
    let (drain, info) = (upgraded.drain(), upgraded.info().clone());
    let mut io = TokioIo::new(upgraded);
    let mut first = [0; 5];
    if io.read_exact(&mut first).await.is_err() {
        return;
    }
    let text = format!("{} on {}", String::from_utf8_lossy(&first), info.id());
    let sent = io.write_all(text.as_bytes()).await.is_ok() && io.flush().await.is_ok();
    if sent {
        drain.await;
        let _ = io.write_all(b"bye").await;
        let _ = io.shutdown().await;
    }
}

/// Waits for bytes. Writes `late` at its deadline, and `bye` when the server drains.
pub(crate) async fn report_deadline_and_drain(mut upgraded: Upgraded) {
    let begin = upgraded.now();
    upgraded.set_deadline(Some(DEADLINE));
    poll_fn(|cx| {
        // The pending read registers the waker, which the deadline wakes.
        let _ = poll_pending_read(&mut upgraded, cx);
        upgraded.poll_deadline(cx)
    })
    .await;
    if upgraded.now() < begin + DEADLINE || !write(&mut upgraded, b"late").await {
        return;
    }
    poll_fn(|cx| {
        let _ = poll_pending_read(&mut upgraded, cx);
        // The only deadline has passed.
        assert!(upgraded.poll_deadline(cx).is_pending());
        upgraded.poll_drain(cx)
    })
    .await;
    if write(&mut upgraded, b"bye").await {
        let _ = TokioIo::new(upgraded).shutdown().await;
    }
}

/// The deadline of [`report_deadline_and_drain`].
const DEADLINE: Duration = Duration::from_millis(50);

fn poll_pending_read(upgraded: &mut Upgraded, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
    let mut space = [0];
    let mut buf = ReadBuf::new(&mut space);
    Pin::new(upgraded).poll_read(cx, buf.unfilled())
}

async fn write(upgraded: &mut Upgraded, text: &[u8]) -> bool {
    let mut io = TokioIo::new(upgraded);
    io.write_all(text).await.is_ok() && io.flush().await.is_ok()
}

async fn count_bytes<C: Connection>(io: Accepted<C>) {
    let mut io = TokioIo::new(io);
    let mut all = Vec::new();
    let Ok(n) = io.read_to_end(&mut all).await else {
        return;
    };
    let _ = io.write_all(format!("got {n} bytes").as_bytes()).await;
    let _ = io.shutdown().await;
}

async fn write_and_shut_down<C: Connection>(io: Accepted<C>) {
    let mut io = TokioIo::new(io);
    let _ = io.write_all(&pattern(WRITTEN)).await;
    let _ = io.shutdown().await;
}

async fn write_without_flush<C: Connection>(io: Accepted<C>) {
    let mut io = TokioIo::new(io);
    if io.write_all(&pattern(WRITTEN)).await.is_ok() {
        let _ = io.read_to_end(&mut Vec::new()).await;
    }
}

async fn write_until_error<C: Connection>(io: Accepted<C>) {
    let mut io = TokioIo::new(io);
    while io.write_all(&[b'x'; 4096]).await.is_ok() && io.flush().await.is_ok() {}
}

async fn read_eof_twice<C: Connection>(io: Accepted<C>) {
    let mut io = TokioIo::new(io);
    let mut buf = [0; 1024];
    let mut ends = 0;
    while ends < 2 {
        match io.read(&mut buf).await {
            Ok(0) => ends += 1,
            Ok(_) if ends == 0 => {}
            Ok(_) | Err(_) => return pending().await,
        }
    }
}

async fn vectored_write<C: Connection>(io: Accepted<C>) {
    let mut io = TokioIo::new(io);
    let mut slices = [
        IoSlice::new(b"one "),
        IoSlice::new(b"two "),
        IoSlice::new(b"three"),
    ];
    let mut slices = &mut slices[..];
    if !io.is_write_vectored() {
        let _ = io.write_all(b"no").await;
        slices = &mut [];
    }
    while !slices.is_empty() {
        match io.write_vectored(slices).await {
            Ok(n) if n > 0 => IoSlice::advance_slices(&mut slices, n),
            _ => return,
        }
    }
    let _ = io.shutdown().await;
}

async fn call_all<C: Connection>(mut io: Accepted<C>) {
    let readable = poll_fn(|cx| Pin::new(io.io_mut()).poll_readable(cx)).await;
    let mut ping = [0; 4];
    let mut io = TokioIo::new(io);
    if readable.is_err() || io.read_exact(&mut ping).await.is_err() {
        return;
    }
    // Writes to the connection itself, because `Accepted` need not use vectored writes.
    let slices = [IoSlice::new(&ping[..2]), IoSlice::new(&ping[2..])];
    let connection = io.inner_mut().io_mut();
    let _ = connection.is_write_vectored();
    let written = poll_fn(|cx| Pin::new(&mut *connection).poll_write_vectored(cx, &slices)).await;
    if let Ok(n @ ..4) = written {
        let _ = io.write_all(&ping[n..]).await;
    }
    let _ = io.flush().await;
    let _ = io.read_to_end(&mut Vec::new()).await;
    let connection = io.inner_mut().io_mut();
    let (_, _) = (connection.peer_state(), connection.bytes_sent());
    let mut cx = Context::from_waker(Waker::noop());
    let _ = Pin::new(&mut *connection).poll_retry_write(&mut cx, &[]);
    connection.reset();
}

async fn report_info<C: Connection>(io: Accepted<C>) {
    let info = io.info().clone();
    let mut io = TokioIo::new(io);
    let text = format!("{} {} {}", info.id(), info.worker(), info.local());
    let _ = io.write_all(text.as_bytes()).await;
    let _ = io.shutdown().await;
}

async fn bye_on_drain<C: Connection>(io: Accepted<C>) {
    let mut drain = pin!(PollWhenWoken::new(io.drain()));
    let mut io = TokioIo::new(io);
    // The drain future is polled before the client receives anything.
    let early = poll_fn(|cx| Poll::Ready(drain.as_mut().poll(cx).is_ready())).await;
    if !early && io.write_all(b"hello").await.is_ok() && io.flush().await.is_ok() {
        drain.await;
    }
    let _ = io.write_all(b"bye").await;
    let _ = io.shutdown().await;
}

pin_project_lite::pin_project! {
    /// Polls a future only when its own waker was woken, as `FuturesUnordered` does.
    struct PollWhenWoken<F> {
        #[pin]
        inner: F,
        signal: Arc<Signal>,
    }
}

struct Signal {
    woken: AtomicBool,
    outer: Mutex<Waker>,
}

impl<F> PollWhenWoken<F> {
    fn new(inner: F) -> Self {
        let signal = Signal {
            woken: AtomicBool::new(true),
            outer: Mutex::new(Waker::noop().clone()),
        };
        Self {
            inner,
            signal: Arc::new(signal),
        }
    }
}

impl<F: Future> Future for PollWhenWoken<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let me = self.project();
        me.signal.outer.lock().unwrap().clone_from(cx.waker());
        if !me.signal.woken.swap(false, SeqCst) {
            return Poll::Pending;
        }
        let own = Waker::from(Arc::clone(me.signal));
        me.inner.poll(&mut Context::from_waker(&own))
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, SeqCst);
        self.outer.lock().unwrap().wake_by_ref();
    }
}

/// Bytes that reveal a lost, duplicated or reordered byte.
pub(crate) fn pattern(n: usize) -> Vec<u8> {
    /// A prime number, so that no buffer size is a multiple of it.
    const PERIOD: usize = 65_521;
    static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut state = 1_u32;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        (0..PERIOD).map(next).collect()
    });
    let mut bytes = PATTERN.repeat(n.div_ceil(PERIOD));
    bytes.truncate(n);
    bytes
}
