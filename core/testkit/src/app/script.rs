//! Scripts for raw handlers, which act on the server's end of a connection.
use super::{Boxed, cross_thread};
use anyport_core::{Accepted, Connection, Upgraded};
use hyper::rt::{Read, ReadBuf};
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
    time::Duration,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A raw handler of the suite: a function, so that its type has a name.
pub(crate) type Handler<C> = fn(Accepted<C>) -> Boxed<()>;

/// Where raw handlers run, and what becomes of upgraded connections.
#[derive(Clone, Copy, Debug, Default)]
pub enum Place {
    /// On its worker.
    #[default]
    Home,
    /// On a thread that's no worker's.
    Abroad,
}

/// How much [`Script::Burst`] writes.
pub(crate) const BURST: usize = 300_000;

/// One of the suite's raw handlers.
#[derive(Clone, Copy, Debug)]
pub enum Script {
    /// Sends everything back, until the end.
    Echo,
    /// Reads to the end, then answers how much it was.
    Answer,
    /// Writes [`BURST`] bytes, doesn't flush, and shuts down.
    Burst,
    /// Writes [`BURST`] bytes, doesn't flush, and reads to the end.
    Unflushed,
    /// Writes until that fails; ends only then.
    Firehose,
    /// Reads until it gets the end, twice; ends only then.
    UntilEnd,
    /// Writes `one two three` in one vectored write if that's offered, and `no` if not.
    Vectored,
    /// Gives its facts as text and shuts down.
    Facts,
    /// Says `hello`, and `bye` once the server drains; waits for that in one of several futures
    /// that are woken for themselves.
    Goodbye,
}

impl Script {
    pub(crate) fn handler<C: Connection>(self, place: Place) -> Handler<C> {
        macro_rules! handler {
            ($script:expr) => {
                match place {
                    Place::Home => |io| Box::pin($script(io)),
                    Place::Abroad => |io| Box::pin(cross_thread::run($script(io))),
                }
            };
        }
        match self {
            Self::Echo => handler!(|io| echo(TokioIo::new(io))),
            Self::Answer => handler!(answer),
            Self::Burst => handler!(burst),
            Self::Unflushed => handler!(unflushed),
            Self::Firehose => handler!(firehose),
            Self::UntilEnd => handler!(until_end),
            Self::Vectored => handler!(vectored),
            Self::Facts => handler!(facts),
            Self::Goodbye => handler!(goodbye),
        }
    }
}

/// Sends everything back, until the end.
pub(crate) async fn echo(mut io: impl AsyncReadExt + AsyncWriteExt + Unpin) {
    let mut buf = vec![0; 16 * 1024];
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

/// Waits for the first bytes without a buffer, and gives them back, with the connection's number;
/// then says `bye` when the server drains.
pub(crate) async fn tell_facts(mut upgraded: Upgraded) {
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
    let told = io.write_all(text.as_bytes()).await.is_ok() && io.flush().await.is_ok();
    if told {
        drain.await;
        let _ = io.write_all(b"bye").await;
        let _ = io.shutdown().await;
    }
}

/// Says `late` at its deadline, and `bye` when the server drains, while it waits for bytes.
pub(crate) async fn tell_times(mut upgraded: Upgraded) {
    let begin = upgraded.now();
    upgraded.set_deadline(Some(DEADLINE));
    poll_fn(|cx| {
        // In vain: without the read, nobody would be woken.
        let _ = poll_in_vain(&mut upgraded, cx);
        upgraded.poll_deadline(cx)
    })
    .await;
    if upgraded.now() < begin + DEADLINE || !say(&mut upgraded, b"late").await {
        return;
    }
    poll_fn(|cx| {
        let _ = poll_in_vain(&mut upgraded, cx);
        // There's one deadline, and it has passed.
        assert!(upgraded.poll_deadline(cx).is_pending());
        upgraded.poll_drain(cx)
    })
    .await;
    if say(&mut upgraded, b"bye").await {
        let _ = TokioIo::new(upgraded).shutdown().await;
    }
}

/// The deadline of [`tell_times`].
const DEADLINE: Duration = Duration::from_millis(50);

fn poll_in_vain(upgraded: &mut Upgraded, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
    let mut space = [0];
    let mut buf = ReadBuf::new(&mut space);
    Pin::new(upgraded).poll_read(cx, buf.unfilled())
}

async fn say(upgraded: &mut Upgraded, text: &[u8]) -> bool {
    let mut io = TokioIo::new(upgraded);
    io.write_all(text).await.is_ok() && io.flush().await.is_ok()
}

async fn answer<C: Connection>(io: Accepted<C>) {
    let mut io = TokioIo::new(io);
    let mut all = Vec::new();
    let Ok(n) = io.read_to_end(&mut all).await else {
        return;
    };
    let _ = io.write_all(format!("got {n} bytes").as_bytes()).await;
    let _ = io.shutdown().await;
}

async fn burst<C: Connection>(io: Accepted<C>) {
    let mut io = TokioIo::new(io);
    let _ = io.write_all(&pattern(BURST)).await;
    let _ = io.shutdown().await;
}

async fn unflushed<C: Connection>(io: Accepted<C>) {
    let mut io = TokioIo::new(io);
    if io.write_all(&pattern(BURST)).await.is_ok() {
        let _ = io.read_to_end(&mut Vec::new()).await;
    }
}

async fn firehose<C: Connection>(io: Accepted<C>) {
    let mut io = TokioIo::new(io);
    while io.write_all(&[b'x'; 4096]).await.is_ok() && io.flush().await.is_ok() {}
}

async fn until_end<C: Connection>(io: Accepted<C>) {
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

async fn vectored<C: Connection>(io: Accepted<C>) {
    let mut io = TokioIo::new(io);
    let slices = [
        IoSlice::new(b"one "),
        IoSlice::new(b"two "),
        IoSlice::new(b"three"),
    ];
    let offered = tokio::io::AsyncWrite::is_write_vectored(&io);
    let done = match offered {
        true => io.write_vectored(&slices).await.is_ok(),
        false => io.write_all(b"no").await.is_ok(),
    };
    if done {
        let _ = io.shutdown().await;
    }
}

async fn facts<C: Connection>(io: Accepted<C>) {
    let info = io.info().clone();
    let mut io = TokioIo::new(io);
    let text = format!("{} {} {}", info.id(), info.worker(), info.local());
    let _ = io.write_all(text.as_bytes()).await;
    let _ = io.shutdown().await;
}

async fn goodbye<C: Connection>(io: Accepted<C>) {
    let mut drain = pin!(WhenWoken::new(io.drain()));
    let mut io = TokioIo::new(io);
    // It's waited for before the client hears anything.
    let early = poll_fn(|cx| Poll::Ready(drain.as_mut().poll(cx).is_ready())).await;
    if !early && io.write_all(b"hello").await.is_ok() && io.flush().await.is_ok() {
        drain.await;
    }
    let _ = io.write_all(b"bye").await;
    let _ = io.shutdown().await;
}

pin_project_lite::pin_project! {
    /// Polls a future only if it was itself woken, as sets of futures do.
    struct WhenWoken<F> {
        #[pin]
        inner: F,
        signal: Arc<Signal>,
    }
}

struct Signal {
    woken: AtomicBool,
    outer: Mutex<Waker>,
}

impl<F> WhenWoken<F> {
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

impl<F: Future> Future for WhenWoken<F> {
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

/// Bytes in which a lost, doubled or swapped one shows.
pub(crate) fn pattern(n: usize) -> Vec<u8> {
    /// A prime, so that no buffer's size is a multiple of it.
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
