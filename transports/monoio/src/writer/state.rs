//! The state of a writer: the operation in flight, the bytes that it left unsent, and its error.
use crate::{
    buffer::Buffer,
    reusable_op::{ReusableOp, reusable_op},
    send_queue, tick,
    writability::Writability,
    write_half::WriteHalf,
};
use monoio::io::AsyncWriteRent;
use std::{
    io::{self, IoSlice},
    task::{Context, Poll, Waker},
};

pub(super) struct State<S: AsyncWriteRent> {
    /// None while an operation owns it.
    pub(super) half: Option<WriteHalf<S>>,
    pub(super) ops: Option<WriteOp<S>>,
    /// The bytes that an operation has left unsent. They are sent when the socket is writable.
    pub(super) unsent: Option<Buffer>,
    /// Created when the socket first is not writable.
    pub(super) writability: Option<Writability>,
    /// The send buffer has been full since the connection was last idle, so an operation might
    /// block.
    pub(super) has_been_full: bool,
    /// The task that drives the send: woken by the operation, or by a writable socket.
    pub(super) waker: Waker,
    pub(super) is_queued: bool,
    /// The tick in which the operation was started.
    pub(super) started: u64,
    /// A flush was ready while the operation was in flight. Later flushes need not wait for it.
    pub(super) is_flushed: bool,
    /// The task that waits until the operation has completed.
    pub(super) waiter: Option<Waker>,
    /// An error that no call has returned yet.
    pub(super) error: Option<io::Error>,
    pub(super) is_broken: bool,
}

/// The operation owns the write half while it is in flight.
type WriteOp<S> = ReusableOp<(WriteHalf<S>, Buffer), (WriteHalf<S>, io::Result<usize>, Buffer)>;

/// When the kernel is asked to take more.
#[derive(Clone, Copy)]
pub(super) enum Attempt {
    /// Only after an event has reported a writable socket.
    WhenWritable,
    /// At once.
    Always,
}

impl<S: AsyncWriteRent + 'static> State<S> {
    pub(super) fn is_busy(&self) -> bool {
        self.unsent.is_some() || self.is_in_flight()
    }

    pub(super) fn is_in_flight(&self) -> bool {
        self.ops.as_ref().is_some_and(|ops| ops.is_in_flight())
    }

    /// Sends `bufs` by a system call, without a copy.
    pub(super) fn poll_send(
        &mut self,
        cx: &Context<'_>,
        bufs: &[IoSlice<'_>],
        total: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            let Some(half) = &self.half else {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            };
            if let Some(writability) = self
                .writability
                .as_ref()
                .filter(|writability| writability.is_awaited())
            {
                writability.register(cx.waker())?;
                return Poll::Pending;
            }
            match half.try_send(bufs) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.has_been_full = true;
                    wait(&mut self.writability, half, cx.waker())?;
                    return Poll::Pending;
                }
                Err(e) => {
                    self.is_broken = true;
                    return Poll::Ready(Err(e));
                }
                Ok(n) => {
                    self.has_been_full |= n < total;
                    return Poll::Ready(Ok(n));
                }
            }
        }
    }

    /// Sends what an operation has left unsent. Pending while the socket is not writable, and
    /// `self.waker` is woken when it is.
    pub(super) fn poll_unsent(&mut self, attempt: Attempt) -> Poll<()> {
        while let (Some(unsent), Some(half)) = (&mut self.unsent, &self.half) {
            if let Some(writability) = self
                .writability
                .as_ref()
                .filter(|writability| writability.is_awaited())
                && matches!(attempt, Attempt::WhenWritable)
                && writability.register(&self.waker).is_ok()
            {
                return Poll::Pending;
            }
            let error = match half.try_send(&[IoSlice::new(unsent.remaining())]) {
                Ok(n) => {
                    unsent.advance(n);
                    if unsent.remaining().is_empty() {
                        break;
                    }
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    match wait(&mut self.writability, half, &self.waker) {
                        Ok(()) => return Poll::Pending,
                        Err(e) => e,
                    }
                }
                Err(e) => e,
            };
            self.fail(error);
            break;
        }
        self.unsent = None;
        Poll::Ready(())
    }

    pub(super) fn start(&mut self, buffer: Buffer) {
        let Some(half) = self.half.take() else {
            return;
        };
        let ops = self.ops.get_or_insert_with(|| {
            reusable_op(|(mut half, buffer): (WriteHalf<S>, Buffer)| async move {
                let (result, buffer) = half.write(buffer).await;
                (half, result, buffer)
            })
        });
        ops.as_mut().start((half, buffer));
        self.started = tick::current();
        if !self.is_queued {
            self.waker = send_queue::waker();
        }
    }

    /// Drives the operation, then its unsent bytes. `true` while they are in flight, `false` when
    /// all is sent.
    pub(super) fn drive(&mut self) -> io::Result<bool> {
        if let Some(ops) = self.ops.as_mut().filter(|ops| ops.is_in_flight()) {
            let mut cx = Context::from_waker(&self.waker);
            let Poll::Ready((half, result, mut buffer)) = ops.as_mut().poll(&mut cx) else {
                return Ok(true);
            };
            let half = self.half.insert(half);
            match result {
                Ok(0) => self.fail(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    buffer.advance(n);
                    self.unsent = Some(buffer).filter(|buffer| !buffer.remaining().is_empty());
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => self.unsent = Some(buffer),
                // SO_SNDTIMEO keeps the io-wq thread from sleeping long.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    half.has_blocked = true;
                    self.unsent = Some(buffer);
                }
                Err(e) => self.fail(e),
            }
        }
        if self.unsent.is_some() && self.poll_unsent(Attempt::WhenWritable).is_pending() {
            return Ok(true);
        }
        match self.error.take() {
            Some(error) => Err(error),
            None if self.is_broken => Err(io::ErrorKind::BrokenPipe.into()),
            None => Ok(false),
        }
    }

    pub(super) fn fail(&mut self, error: io::Error) {
        self.is_broken = true;
        self.error = Some(error);
    }

    /// Ready when nothing is in flight.
    pub(super) fn poll_done(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let driven = self.drive();
        if let Ok(true) = driven {
            match &mut self.waiter {
                Some(waiter) => waiter.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        self.waiter = None;
        Poll::Ready(driven.map(drop))
    }
}

/// Wakes `waker` when a socket that has just refused to take more is writable.
fn wait<S: AsyncWriteRent>(
    writability: &mut Option<Writability>,
    half: &WriteHalf<S>,
    waker: &Waker,
) -> io::Result<()> {
    let writability = match writability {
        Some(writability) => writability,
        none => none.insert(Writability::new(half.socket())?),
    };
    writability.register(waker)
}
