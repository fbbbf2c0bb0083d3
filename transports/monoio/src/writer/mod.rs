//! The sending side of a stream. It has one operation at a time, which owns a copy of the bytes and
//! is completed even if the connection is dropped. Large writes are system calls without a copy. No
//! operation waits for a slow peer if that is known beforehand: see
//! [`Writability`](crate::writability::Writability).
use crate::{
    Driver,
    buffer::{Buffer, MAX_COPIED},
    send_queue::{self, PendingSend},
    tick,
    write_half::WriteHalf,
};
use monoio::io::AsyncWriteRent;
use std::{
    cell::RefCell,
    io::{self, IoSlice},
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

mod state;
use state::{Attempt, State};

pub(crate) struct Writer<S: AsyncWriteRent>(RefCell<State<S>>);

impl<S: AsyncWriteRent + 'static> Writer<S> {
    pub(crate) fn new(half: WriteHalf<S>) -> Rc<Self> {
        Rc::new(Self(RefCell::new(State {
            half: Some(half),
            ops: None,
            unsent: None,
            writability: None,
            has_been_full: false,
            waker: Waker::noop().clone(),
            is_queued: false,
            started: 0,
            is_flushed: true,
            waiter: None,
            error: None,
            is_broken: false,
        })))
    }

    /// Sends the bytes by a system call, or copies them into a buffer and starts an operation.
    /// Pending while an operation is in flight, and while the socket is not writable.
    ///
    /// `use_syscall` rules out an operation.
    pub(crate) fn poll_write(
        self: &Rc<Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
        use_syscall: bool,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.borrow_mut();
        ready!(state.poll_done(cx))?;
        let total = bufs
            .iter()
            .fold(0, |sum: usize, buf| sum.saturating_add(buf.len()));
        if total == 0 {
            return Poll::Ready(Ok(0));
        }
        let has_blocked = state.half.as_ref().is_some_and(|half| half.has_blocked);
        if use_syscall || has_blocked || state.has_been_full || prefers_syscall(total) {
            return state.poll_send(cx, bufs, total);
        }
        let mut buffer = Buffer::with_capacity(total);
        let mut taken = 0;
        for buf in bufs {
            let n = buffer.append(buf);
            taken += n;
            if n < buf.len() {
                break;
            }
        }
        state.is_flushed = false;
        state.start(buffer);
        if state.drive()? && !state.is_queued {
            state.is_queued = true;
            drop(state);
            send_queue::enqueue(Rc::clone(self) as Rc<dyn PendingSend>);
        }
        Poll::Ready(Ok(taken))
    }

    /// Ready if the kernel has the written bytes, or gets them in the next submission. Pending
    /// while an operation that could not complete at once is in flight.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        if !state.is_flushed && state.started != tick::current() {
            ready!(state.poll_done(cx))?;
        } else {
            state.drive()?;
        }
        state.is_flushed = true;
        Poll::Ready(Ok(()))
    }

    /// Sends what the kernel takes at once, even if no event has reported a writable socket. The
    /// bytes that an operation left unsent go first, then `bufs`.
    pub(crate) fn poll_retry(&self, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut state = self.0.borrow_mut();
        // The socket stays registered for writability.
        if state.is_in_flight()
            || state.unsent.is_some() && state.poll_unsent(Attempt::Always).is_pending()
        {
            return Poll::Pending;
        }
        // The task that drives the send has nothing left to wait for.
        let waker = state.is_queued.then(|| state.waker.clone());
        let sent = match (&state.half, bufs) {
            (Some(half), [_, ..]) => half.try_send(bufs),
            _ => Ok(0),
        };
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        match sent {
            Ok(0) if !bufs.is_empty() => Poll::Pending,
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                Poll::Pending
            }
            sent => Poll::Ready(sent),
        }
    }

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        ready!(state.poll_done(cx))?;
        match &mut state.half {
            Some(half) => half.poll_shutdown(cx),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// The write half alone, if nothing is in flight, no error is pending and no task waits.
    pub(crate) fn into_write_half(self: Rc<Self>) -> Result<WriteHalf<S>, Rc<Self>> {
        let is_idle = {
            let state = self.0.borrow();
            state.half.is_some()
                && state.unsent.is_none()
                && !state.is_broken
                && state.waiter.is_none()
        };
        if !is_idle || Rc::strong_count(&self) > 1 {
            return Err(self);
        }
        let mut state = self.0.borrow_mut();
        let half = state.half.take();
        drop(state);
        half.ok_or(self)
    }

    /// Whether some written bytes have not been sent.
    pub(crate) fn is_busy(&self) -> bool {
        self.0.borrow().is_busy()
    }

    /// Wakes the task when the send in flight is complete, unless another task waits for that.
    pub(crate) fn wake_when_idle(&self, cx: &Context<'_>) {
        let mut state = self.0.borrow_mut();
        if state.is_busy() && state.waiter.is_none() {
            state.waiter = Some(cx.waker().clone());
        }
    }

    pub(crate) fn poll_idle(&self, cx: &Context<'_>) -> Poll<()> {
        self.0.borrow_mut().poll_done(cx).map(drop)
    }

    /// Drops the operation in flight and the bytes that it has not sent.
    pub(crate) fn abort(&self) {
        let mut state = self.0.borrow_mut();
        state.is_broken = true;
        let gone = (
            state.ops.take(),
            state.unsent.take(),
            state.writability.take(),
            state.half.take(),
        );
        let waker = state.waker.clone();
        drop(state);
        drop(gone);
        // The task that drives the send has nothing left to wait for.
        waker.wake();
    }
}

/// Whether a write of this size is sent by a system call. With epoll an operation is a system call
/// as well. With io_uring it saves one, but copies the bytes.
fn prefers_syscall(bytes: usize) -> bool {
    bytes > MAX_COPIED || Driver::current() == Some(Driver::Epoll)
}

impl<S: AsyncWriteRent + 'static> PendingSend for Writer<S> {
    fn poll_complete(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.borrow_mut();
        state.waker.clone_from(cx.waker());
        match state.drive() {
            Ok(true) => return Poll::Pending,
            Ok(false) => {}
            // The next write or flush returns it.
            Err(error) => state.error = Some(error),
        }
        state.is_queued = false;
        let waiter = state.waiter.take();
        drop(state);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
        Poll::Ready(())
    }
}
