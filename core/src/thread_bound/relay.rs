//! The task that relays the bytes of a stream to another thread.
use super::LocalStream;
use crate::{
    Permit,
    engine::{Registered, WakerSlot, lock},
    runtime::local,
};
use hyper::rt::{ReadBuf, Sleep};
use piper::{Reader, Writer};
use std::{
    future::Future,
    io, mem,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

/// How often, in one turn, something is moved in one direction.
const ROUNDS: usize = 8;
/// How long a peer may take for what was written before the stream was dropped, if nobody says how long (a wrapper doesn't forward `release`).
const LINGER: Duration = Duration::from_secs(10);

/// What both ends of a relay share, besides the pipes.
#[derive(Default)]
pub(super) struct Link {
    /// How many bytes the stream has sent; it wraps around.
    pub(super) sent: AtomicUsize,
    pub(super) is_to_be_shut_down: AtomicBool,
    pub(super) is_shut_down: AtomicBool,
    pub(super) is_to_be_reset: AtomicBool,
    /// The other end has been dropped.
    has_left: AtomicBool,
    /// The other end waits for a flush or a shutdown.
    pub(super) is_awaited: AtomicBool,
    /// Who does.
    pub(super) remote: WakerSlot,
    relay: WakerSlot,
    rest: Mutex<Rest>,
}

#[derive(Default)]
struct Rest {
    reading: End,
    writing: End,
    permit: Option<Permit>,
}

/// How a direction came to its end.
#[derive(Default)]
enum End {
    /// It hasn't, unless the pipe says so: then its worker has.
    #[default]
    None,
    /// The peer's.
    Clean,
    Failed(io::Error),
}

impl End {
    fn error(&mut self) -> io::Error {
        match self {
            Self::Failed(error) => {
                // The next one has the kind.
                let again = io::Error::from(error.kind());
                mem::replace(error, again)
            }
            Self::None | Self::Clean => io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the worker of this connection has ended",
            ),
        }
    }
}

impl Link {
    /// The pipe has come to its end.
    pub(super) fn end_of_reading(&self) -> io::Result<()> {
        match &mut lock(&self.rest).reading {
            End::Clean => Ok(()),
            end => Err(end.error()),
        }
    }

    pub(super) fn error_of_writing(&self) -> io::Error {
        lock(&self.rest).writing.error()
    }

    /// Whether nothing will be written any more.
    pub(super) fn has_failed(&self) -> bool {
        !matches!(lock(&self.rest).writing, End::None)
    }

    pub(super) fn hold(&self, permit: Permit) {
        lock(&self.rest).permit = Some(permit);
    }

    pub(super) fn leave(&self) {
        self.has_left.store(true, Ordering::Release);
        self.relay.wake();
    }

    fn wake_remote(&self) {
        if self.is_awaited.swap(false, Ordering::SeqCst) {
            self.remote.wake();
        }
    }
}

/// What begins a relay, at home.
pub(super) struct Relay {
    incoming: Option<Writer>,
    outgoing: Option<Reader>,
    link: Arc<Link>,
}

impl Relay {
    pub(super) fn new(incoming: Writer, outgoing: Reader, link: Arc<Link>) -> Self {
        Self {
            incoming: Some(incoming),
            outgoing: Some(outgoing),
            link,
        }
    }

    /// Relays, on this worker, until the other end has been dropped and what it wrote has been sent.
    pub(super) fn begin(self, stream: impl LocalStream) {
        local::spawn(Task {
            stream,
            relay: self,
            unsent: 0,
            is_closed: false,
            registered: Registered::default(),
            parting: None,
        });
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let mut rest = lock(&self.link.rest);
        if let End::None = rest.writing {
            // Its worker has ended.
            rest.writing = End::Clean;
        }
        drop(rest);
        self.link.wake_remote();
    }
}

struct Task<S> {
    stream: S,
    relay: Relay,
    /// How many bytes the stream has taken, and not flushed.
    unsent: usize,
    /// The other end writes no more.
    is_closed: bool,
    registered: Registered,
    parting: Option<Parting>,
}

/// What happens when the other end has been dropped: what it wrote is sent.
struct Parting {
    permit: Option<Permit>,
    end: Pin<Box<dyn Sleep>>,
}

impl<S: LocalStream> Task<S> {
    fn read(&mut self, cx: &mut Context<'_>) {
        for _ in 0..ROUNDS {
            let Some(incoming) = &mut self.relay.incoming else {
                return;
            };
            let end = match incoming.poll(cx) {
                Poll::Pending => return,
                // Nobody wants it any more.
                Poll::Ready(false) => End::Clean,
                Poll::Ready(true) => {
                    let mut buf = ReadBuf::new(incoming.write_buf(usize::MAX));
                    match Pin::new(&mut self.stream).poll_read(cx, buf.unfilled()) {
                        Poll::Pending => return,
                        Poll::Ready(Err(error)) => End::Failed(error),
                        Poll::Ready(Ok(())) => match buf.filled().len() {
                            0 => End::Clean,
                            n => {
                                incoming.produced(n);
                                continue;
                            }
                        },
                    }
                }
            };
            lock(&self.relay.link.rest).reading = end;
            self.relay.incoming = None;
            return;
        }
        cx.waker().wake_by_ref();
    }

    fn write(&mut self, cx: &mut Context<'_>) {
        for _ in 0..ROUNDS {
            let Some(outgoing) = &mut self.relay.outgoing else {
                return;
            };
            match outgoing.poll(cx) {
                Poll::Pending => return,
                Poll::Ready(false) => {
                    self.relay.outgoing = None;
                    self.is_closed = true;
                    return;
                }
                Poll::Ready(true) => {}
            }
            match Pin::new(&mut self.stream).poll_write(cx, outgoing.peek_buf()) {
                Poll::Pending => return,
                Poll::Ready(Ok(0)) => return self.fail(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => {
                    outgoing.consume(n);
                    self.unsent += n;
                }
                Poll::Ready(Err(error)) => return self.fail(error),
            }
        }
        cx.waker().wake_by_ref();
    }

    fn flush(&mut self, cx: &mut Context<'_>) {
        if self.unsent > 0 {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => {
                    self.relay.link.sent.fetch_add(self.unsent, Ordering::SeqCst);
                    self.unsent = 0;
                    self.relay.link.wake_remote();
                }
                Poll::Ready(Err(error)) => return self.fail(error),
            }
        }
        if self.is_closed && self.relay.link.is_to_be_shut_down.load(Ordering::Acquire) {
            match Pin::new(&mut self.stream).poll_shutdown(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => {
                    self.is_closed = false;
                    self.relay.link.is_shut_down.store(true, Ordering::SeqCst);
                    self.relay.link.wake_remote();
                }
                Poll::Ready(Err(error)) => self.fail(error),
            }
        }
    }

    fn fail(&mut self, error: io::Error) {
        lock(&self.relay.link.rest).writing = End::Failed(error);
        self.relay.outgoing = None;
        self.is_closed = false;
        self.unsent = 0;
        self.relay.link.wake_remote();
    }

    /// Ready when what the other end wrote has been taken by the stream, or won't be.
    fn poll_parting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let link = &self.relay.link;
        let parting = self.parting.get_or_insert_with(|| {
            let permit = lock(&link.rest).permit.take();
            let patience = permit.as_ref().map_or(LINGER, Permit::write_stall);
            Parting {
                permit,
                end: local::timer().sleep(patience),
            }
        });
        let is_owed = parting.permit.as_ref().is_none_or(Permit::is_owed);
        let is_to_be_shut_down = self.is_closed && link.is_to_be_shut_down.load(Ordering::Acquire);
        let is_over = self.relay.outgoing.is_none() && !is_to_be_shut_down;
        if is_over || !is_owed || parting.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match &mut parting.permit {
            Some(permit) => permit.poll_aborted(cx),
            None => Poll::Pending,
        }
    }
}

impl<S: LocalStream> Future for Task<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let task = &mut *self;
        let _ = task.registered.refresh(cx, &task.relay.link.relay);
        let has_left = task.relay.link.has_left.load(Ordering::Acquire);
        if has_left {
            task.relay.incoming = None;
        }
        task.read(cx);
        task.write(cx);
        task.flush(cx);
        if !has_left {
            return Poll::Pending;
        }
        ready!(task.poll_parting(cx));
        if task.relay.link.is_to_be_reset.load(Ordering::Acquire) {
            task.stream.reset();
        }
        if let Some(permit) = task.parting.take().and_then(|parting| parting.permit) {
            task.stream.release(permit);
        }
        Poll::Ready(())
    }
}
