//! The task that relays a stream's bytes to another thread.
use super::{super::Permit, local_stream::LocalStream};
use crate::runtime::{Registered, WakerSlot, local, lock};
use hyper::rt::{ReadBuf, Sleep};
use piper::{Reader, Writer};
use std::{
    future::Future,
    io, mem,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

/// How many reads or writes one poll makes in each direction.
const OPERATIONS_PER_POLL: usize = 8;
/// How long a peer may take to receive the remaining bytes after a drop without `release`, which a
/// wrapper may not forward.
const LINGER: Duration = Duration::from_secs(10);

/// The state that both ends of a relay share, besides the pipes.
#[derive(Default)]
pub(super) struct Link {
    pub(super) is_to_be_shut_down: AtomicBool,
    pub(super) is_to_be_reset: AtomicBool,
    /// The other end has been dropped.
    is_dropped: AtomicBool,
    /// The task that waits for a shutdown at the other end.
    pub(super) remote: WakerSlot,
    relay: WakerSlot,
    ends: Mutex<Ends>,
}

#[derive(Default)]
struct Ends {
    reading: End,
    writing: End,
    permit: Option<Permit>,
}

/// How a direction ended.
#[derive(Default)]
enum End {
    /// Still open. If the pipe has ended nevertheless, the worker has ended.
    #[default]
    None,
    /// Cleanly: the peer's end of stream, or a requested shutdown.
    Clean,
    Failed(io::Error),
}

impl End {
    fn error(&mut self) -> io::Error {
        match self {
            Self::Failed(error) => {
                // Later errors have only the kind.
                let again = io::Error::from(error.kind());
                mem::replace(error, again)
            }
            Self::None | Self::Clean => worker_ended(),
        }
    }
}

fn worker_ended() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "the worker of this connection has ended or dropped it",
    )
}

impl Link {
    /// The result of reading at the end of the pipe.
    pub(super) fn end_of_reading(&self) -> io::Result<()> {
        match &mut lock(&self.ends).reading {
            End::Clean => Ok(()),
            end => Err(end.error()),
        }
    }

    pub(super) fn error_of_writing(&self) -> io::Error {
        lock(&self.ends).writing.error()
    }

    /// Ready when the stream has been shut down, or cannot be.
    pub(super) fn poll_shut_down(&self) -> Poll<io::Result<()>> {
        match &mut lock(&self.ends).writing {
            End::None => Poll::Pending,
            End::Clean => Poll::Ready(Ok(())),
            end => Poll::Ready(Err(end.error())),
        }
    }

    pub(super) fn hold(&self, permit: Permit) {
        lock(&self.ends).permit = Some(permit);
    }

    pub(super) fn set_dropped(&self) {
        self.is_dropped.store(true, Ordering::Release);
        self.relay.wake();
    }

    fn end_writing(&self, end: End) {
        let mut ends = lock(&self.ends);
        if let End::None = ends.writing {
            ends.writing = end;
        }
        drop(ends);
        self.remote.wake();
    }
}

/// The worker's end of a relay.
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

    /// Relays on this worker, until the other end has been dropped and its bytes have been sent.
    pub(super) fn spawn(self, stream: impl LocalStream) {
        local::spawn(Task {
            stream,
            relay: self,
            // Bytes may have been written directly before.
            is_unflushed: true,
            is_closed: false,
            registered: Registered::default(),
            closing: None,
        });
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // An end that was not reported before is the end of the worker.
        self.link.end_writing(End::Failed(worker_ended()));
    }
}

struct Task<S> {
    stream: S,
    relay: Relay,
    /// The stream has accepted bytes and not flushed them.
    is_unflushed: bool,
    /// The other end has stopped writing.
    is_closed: bool,
    registered: Registered,
    closing: Option<Closing>,
}

/// The state after the drop of the other end, while its bytes are sent.
struct Closing {
    permit: Option<Permit>,
    end: Pin<Box<dyn Sleep>>,
}

impl<S: LocalStream> Task<S> {
    fn read(&mut self, cx: &mut Context<'_>) {
        for _ in 0..OPERATIONS_PER_POLL {
            let Some(incoming) = &mut self.relay.incoming else {
                return;
            };
            let end = match incoming.poll(cx) {
                Poll::Pending => return,
                // The other end has been dropped.
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
            lock(&self.relay.link.ends).reading = end;
            self.relay.incoming = None;
            return;
        }
        cx.waker().wake_by_ref();
    }

    fn write(&mut self, cx: &mut Context<'_>) {
        for _ in 0..OPERATIONS_PER_POLL {
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
                    self.is_unflushed = true;
                }
                Poll::Ready(Err(error)) => return self.fail(error),
            }
        }
        cx.waker().wake_by_ref();
    }

    fn flush(&mut self, cx: &mut Context<'_>) {
        if self.is_unflushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => self.is_unflushed = false,
                Poll::Ready(Err(error)) => return self.fail(error),
            }
        }
        if self.is_closed && self.relay.link.is_to_be_shut_down.load(Ordering::Acquire) {
            match Pin::new(&mut self.stream).poll_shutdown(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => {
                    self.is_closed = false;
                    self.relay.link.end_writing(End::Clean);
                }
                Poll::Ready(Err(error)) => self.fail(error),
            }
        }
    }

    fn fail(&mut self, error: io::Error) {
        // Set before the pipe ends, because the other end reads the error then.
        self.relay.link.end_writing(End::Failed(error));
        self.relay.outgoing = None;
        self.is_closed = false;
        self.is_unflushed = false;
    }

    /// Ready when the stream has accepted the other end's bytes, or cannot.
    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let link = &self.relay.link;
        let closing = self.closing.get_or_insert_with(|| {
            let permit = lock(&link.ends).permit.take();
            let timeout = permit.as_ref().map_or(LINGER, Permit::write_stall);
            Closing {
                permit,
                end: local::timer().sleep(timeout),
            }
        });
        let must_flush = closing.permit.as_ref().is_none_or(Permit::must_flush);
        let is_to_be_shut_down = self.is_closed && link.is_to_be_shut_down.load(Ordering::Acquire);
        let is_over = self.relay.outgoing.is_none() && !self.is_unflushed && !is_to_be_shut_down;
        if is_over || !must_flush || closing.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match &mut closing.permit {
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
        let is_dropped = task.relay.link.is_dropped.load(Ordering::Acquire);
        if is_dropped {
            task.relay.incoming = None;
        }
        task.read(cx);
        task.write(cx);
        task.flush(cx);
        if !is_dropped {
            return Poll::Pending;
        }
        ready!(task.poll_closing(cx));
        if task.relay.link.is_to_be_reset.load(Ordering::Acquire) {
            task.stream.reset();
        }
        if let Some(permit) = task.closing.take().and_then(|closing| closing.permit) {
            task.stream.release(permit);
        }
        Poll::Ready(())
    }
}
