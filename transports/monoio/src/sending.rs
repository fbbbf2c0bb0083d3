//! The sending side of a stream. It has one operation at a time, which owns a copy of the bytes and
//! is completed even if the connection is dropped. Large writes are system calls without a copy. No
//! operation waits for a slow peer if that is known beforehand: see [`Room`].
use crate::{
    Driver,
    buffer::{Buffer, LARGEST},
    half::Half,
    operation::{Operations, operations},
    postman::{self, Letter},
    room::Room,
    round::round,
};
use monoio::io::AsyncWriteRent;
use std::{
    cell::RefCell,
    io::{self, IoSlice},
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

/// The sending half of a stream.
pub(crate) struct Sending<S: AsyncWriteRent>(RefCell<State<S>>);

struct State<S: AsyncWriteRent> {
    /// Not there while an operation has it.
    half: Option<Half<S>>,
    ops: Option<Sends<S>>,
    /// What an operation has left: it's sent when there's room for it.
    rest: Option<Buffer>,
    /// There, once there was none.
    room: Option<Room>,
    /// The kernel's buffer has been full since the connection was idle: an operation might have to
    /// wait.
    has_been_full: bool,
    /// What the operation wakes, or room for the rest: whoever sees it through.
    carrier: Waker,
    is_posted: bool,
    /// The worker's round in which the operation was begun.
    since: u64,
    /// A flush has said that the operation was enough, and stands by it.
    is_flushed: bool,
    /// Who waits for the operation's end.
    waiting: Option<Waker>,
    /// What has not been told yet.
    error: Option<io::Error>,
    is_broken: bool,
}

/// Each borrows the half.
type Sends<S> = Operations<(Half<S>, Buffer), (Half<S>, io::Result<usize>, Buffer)>;

/// Whether the kernel is asked to take more.
#[derive(Clone, Copy)]
enum Despite {
    /// Once it has said that there's room.
    Nothing,
    /// In any case.
    NoRoom,
}

impl<S: AsyncWriteRent + 'static> Sending<S> {
    pub(crate) fn new(half: Half<S>) -> Rc<Self> {
        Rc::new(Self(RefCell::new(State {
            half: Some(half),
            ops: None,
            rest: None,
            room: None,
            has_been_full: false,
            carrier: Waker::noop().clone(),
            is_posted: false,
            since: 0,
            is_flushed: true,
            waiting: None,
            error: None,
            is_broken: false,
        })))
    }

    /// Sends it, or takes it for an operation, and begins that. Pending while there's one, and
    /// while there's no room.
    ///
    /// `by_call`: it's not to be an operation.
    pub(crate) fn poll_write(
        self: &Rc<Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
        by_call: bool,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.borrow_mut();
        ready!(state.poll_end(cx))?;
        let total = bufs
            .iter()
            .fold(0, |sum: usize, buf| sum.saturating_add(buf.len()));
        if total == 0 {
            return Poll::Ready(Ok(0));
        }
        let is_slow = state.half.as_ref().is_some_and(|half| half.is_slow);
        if by_call || is_slow || state.has_been_full || is_sent_now(total) {
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
        state.begin(buffer);
        if state.is_under_way()? && !state.is_posted {
            state.is_posted = true;
            drop(state);
            postman::post(Rc::clone(self) as Rc<dyn Letter>);
        }
        Poll::Ready(Ok(taken))
    }

    /// Ready if the kernel has what was written, or is about to be given it: an operation that it
    /// couldn't finish at once is waited for.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        if !state.is_flushed && state.since != round() {
            ready!(state.poll_end(cx))?;
        } else {
            state.is_under_way()?;
        }
        state.is_flushed = true;
        Poll::Ready(Ok(()))
    }

    /// Sends what the kernel takes at once, although nothing says that there's room: of what an
    /// operation has left, then of `bufs`.
    pub(crate) fn poll_retry(&self, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut state = self.0.borrow_mut();
        // That there's room is still waited for.
        if state.is_operating()
            || state.rest.is_some() && state.poll_rest(Despite::NoRoom).is_pending()
        {
            return Poll::Pending;
        }
        // Whoever sees it through has nothing to wait for any more.
        let carrier = state.is_posted.then(|| state.carrier.clone());
        let sent = match (&state.half, bufs) {
            (Some(half), [_, ..]) => half.send_now(bufs),
            _ => Ok(0),
        };
        drop(state);
        carrier.into_iter().for_each(Waker::wake);
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
        ready!(state.poll_end(cx))?;
        match &mut state.half {
            Some(half) => half.poll_shutdown(cx),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// The half alone, if that's all there is: nothing under way, and nothing to be told.
    pub(crate) fn into_half(self: Rc<Self>) -> Result<Half<S>, Rc<Self>> {
        let is_idle = {
            let state = self.0.borrow();
            state.half.is_some()
                && state.rest.is_none()
                && !state.is_broken
                && state.waiting.is_none()
        };
        if !is_idle || Rc::strong_count(&self) > 1 {
            return Err(self);
        }
        let mut state = self.0.borrow_mut();
        let half = state.half.take();
        drop(state);
        half.ok_or(self)
    }

    /// Whether something is on its way still.
    pub(crate) fn is_busy(&self) -> bool {
        self.0.borrow().is_busy()
    }

    /// Has somebody woken when nothing is on its way any more, unless somebody else waits for that.
    pub(crate) fn wake_when_idle(&self, cx: &Context<'_>) {
        let mut state = self.0.borrow_mut();
        if state.is_busy() && state.waiting.is_none() {
            state.waiting = Some(cx.waker().clone());
        }
    }

    /// Ready when nothing is on its way.
    pub(crate) fn poll_idle(&self, cx: &Context<'_>) -> Poll<()> {
        self.0.borrow_mut().poll_end(cx).map(drop)
    }

    /// What's on its way is taken back, as far as it hasn't been sent.
    pub(crate) fn give_up(&self) {
        let mut state = self.0.borrow_mut();
        state.is_broken = true;
        let gone = (
            state.ops.take(),
            state.rest.take(),
            state.room.take(),
            state.half.take(),
        );
        let carrier = state.carrier.clone();
        drop(state);
        drop(gone);
        // Whoever sees it through has nothing to wait for any more.
        carrier.wake();
    }
}

/// Has somebody woken when a socket that has just refused to take more has room.
fn wait<S: AsyncWriteRent>(
    room: &mut Option<Room>,
    half: &Half<S>,
    waker: &Waker,
) -> io::Result<()> {
    let room = match room {
        Some(room) => room,
        none => none.insert(Room::new(half.socket())?),
    };
    room.wait(waker)
}

/// Whether so many bytes are sent where they are. With epoll an operation is a system call as well;
/// with io_uring it saves one, but copies them.
fn is_sent_now(bytes: usize) -> bool {
    bytes > LARGEST || Driver::current() == Some(Driver::Epoll)
}

impl<S: AsyncWriteRent + 'static> State<S> {
    fn is_busy(&self) -> bool {
        self.rest.is_some() || self.is_operating()
    }

    fn is_operating(&self) -> bool {
        self.ops.as_ref().is_some_and(|ops| ops.is_under_way())
    }

    /// Sends it where it is.
    fn poll_send(
        &mut self,
        cx: &Context<'_>,
        bufs: &[IoSlice<'_>],
        total: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            let Some(half) = &self.half else {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            };
            if let Some(room) = self.room.as_ref().filter(|room| room.is_awaited()) {
                room.wait(cx.waker())?;
                return Poll::Pending;
            }
            match half.send_now(bufs) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.has_been_full = true;
                    wait(&mut self.room, half, cx.waker())?;
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

    /// Sends what an operation has left. Pending while there's no room; `carrier` is woken then.
    fn poll_rest(&mut self, despite: Despite) -> Poll<()> {
        while let (Some(rest), Some(half)) = (&mut self.rest, &self.half) {
            if let Some(room) = self.room.as_ref().filter(|room| room.is_awaited())
                && matches!(despite, Despite::Nothing)
                && room.wait(&self.carrier).is_ok()
            {
                return Poll::Pending;
            }
            let error = match half.send_now(&[IoSlice::new(rest.rest())]) {
                Ok(n) => {
                    rest.advance(n);
                    if rest.rest().is_empty() {
                        break;
                    }
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    match wait(&mut self.room, half, &self.carrier) {
                        Ok(()) => return Poll::Pending,
                        Err(e) => e,
                    }
                }
                Err(e) => e,
            };
            self.fail(error);
            break;
        }
        self.rest = None;
        Poll::Ready(())
    }

    fn begin(&mut self, buffer: Buffer) {
        let Some(half) = self.half.take() else {
            return;
        };
        let ops = self.ops.get_or_insert_with(|| {
            operations(|(mut half, buffer): (Half<S>, Buffer)| async move {
                let (result, buffer) = half.write(buffer).await;
                (half, result, buffer)
            })
        });
        ops.as_mut().begin((half, buffer));
        self.since = round();
        if !self.is_posted {
            self.carrier = postman::waker();
        }
    }

    /// Whether an operation is under way, or its rest is, or what has become of them.
    fn is_under_way(&mut self) -> io::Result<bool> {
        if let Some(ops) = self.ops.as_mut().filter(|ops| ops.is_under_way()) {
            let mut cx = Context::from_waker(&self.carrier);
            let Poll::Ready((half, result, mut buffer)) = ops.as_mut().poll(&mut cx) else {
                return Ok(true);
            };
            let half = self.half.insert(half);
            match result {
                Ok(0) => self.fail(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    buffer.advance(n);
                    self.rest = Some(buffer).filter(|buffer| !buffer.rest().is_empty());
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => self.rest = Some(buffer),
                // The thread that it was given doesn't sleep for long.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    half.is_slow = true;
                    self.rest = Some(buffer);
                }
                Err(e) => self.fail(e),
            }
        }
        if self.rest.is_some() && self.poll_rest(Despite::Nothing).is_pending() {
            return Ok(true);
        }
        match self.error.take() {
            Some(error) => Err(error),
            None if self.is_broken => Err(io::ErrorKind::BrokenPipe.into()),
            None => Ok(false),
        }
    }

    fn fail(&mut self, error: io::Error) {
        self.is_broken = true;
        self.error = Some(error);
    }

    /// Ready when nothing is under way.
    fn poll_end(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let is_under_way = self.is_under_way();
        if let Ok(true) = is_under_way {
            match &mut self.waiting {
                Some(waiting) => waiting.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        self.waiting = None;
        Poll::Ready(is_under_way.map(drop))
    }
}

impl<S: AsyncWriteRent + 'static> Letter for Sending<S> {
    fn poll_delivery(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.borrow_mut();
        state.carrier.clone_from(cx.waker());
        match state.is_under_way() {
            Ok(true) => return Poll::Pending,
            Ok(false) => {}
            // Told at the next write or flush.
            Err(error) => state.error = Some(error),
        }
        state.is_posted = false;
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
        Poll::Ready(())
    }
}
