//! The sending half of a stream: one operation at a time, which owns a copy of the bytes and is seen through whatever becomes of its connection.
//! What's dearer to copy than to send is sent from where it is, by a system call.
use crate::{
    Driver,
    buffer::{Buffer, LARGEST, LARGEST_POOLED},
    operation::{Operations, operations},
    postman::{self, Letter},
    round::round,
};
use monoio::io::{AsyncWriteRent, OwnedReadHalf, OwnedWriteHalf};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use std::{
    cell::{RefCell, UnsafeCell},
    future::Future,
    io::{self, IoSlice},
    os::fd::{BorrowedFd, RawFd},
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

/// More of them the kernel refuses (UIO_MAXIOV).
const MOST_SLICES: usize = 1024;

/// The sending half of a stream.
pub(crate) struct Sending<S: AsyncWriteRent>(RefCell<State<S>>);

struct State<S: AsyncWriteRent> {
    /// Not there while an operation has it.
    half: Option<Half<S>>,
    ops: Option<Sends<S>>,
    /// What the operation wakes: whoever sees it through.
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

/// What's sent with.
pub(crate) struct Half<S: AsyncWriteRent> {
    half: Option<OwnedWriteHalf<S>>,
    /// The stream's.
    descriptor: RawFd,
}

impl<S: AsyncWriteRent> Half<S> {
    /// Of a stream with this descriptor.
    pub(crate) fn new(stream: Rc<UnsafeCell<S>>, descriptor: RawFd) -> Self {
        Self {
            half: Some(OwnedWriteHalf(stream)),
            descriptor,
        }
    }

    async fn write(&mut self, buffer: Buffer) -> (io::Result<usize>, Buffer) {
        match &mut self.half {
            Some(half) => half.write(buffer).await,
            None => (Err(io::ErrorKind::BrokenPipe.into()), buffer),
        }
    }

    /// Sends what the kernel takes at once; how much, or that it takes nothing.
    fn send_now(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        // SAFETY: `half` is there until `self` is dropped, and with it the stream, whose descriptor is open for as long as it lives.
        let socket = unsafe { BorrowedFd::borrow_raw(self.descriptor) };
        let bufs = &bufs[..bufs.len().min(MOST_SLICES)];
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        Ok(sendmsg(socket, bufs, &mut SendAncillaryBuffer::default(), flags)?)
    }
}

impl<S: AsyncWriteRent> Drop for Half<S> {
    fn drop(&mut self) {
        // A sending half that's dropped alone ends the sending by a system call; closing does that, too. Put together, the halves are just closed.
        if let Some(half) = self.half.take()
            && Rc::strong_count(&half.0) == 1
        {
            let other = OwnedReadHalf(Rc::clone(&half.0));
            drop(half.reunite(other));
        }
    }
}

impl<S: AsyncWriteRent + 'static> Sending<S> {
    pub(crate) fn new(half: Half<S>) -> Rc<Self> {
        Rc::new(Self(RefCell::new(State {
            half: Some(half),
            ops: None,
            carrier: Waker::noop().clone(),
            is_posted: false,
            since: 0,
            is_flushed: true,
            waiting: None,
            error: None,
            is_broken: false,
        })))
    }

    /// Sends it, or takes as much as an operation carries, and begins it. Pending while there's one.
    pub(crate) fn poll_write(
        self: &Rc<Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.borrow_mut();
        ready!(state.poll_end(cx))?;
        let total = bufs
            .iter()
            .fold(0, |sum: usize, buf| sum.saturating_add(buf.len()));
        if total == 0 {
            return Poll::Ready(Ok(0));
        }
        if let Some(half) = state.half.as_ref().filter(|_| is_sent_now(total)) {
            match half.send_now(bufs) {
                // The kernel's buffer is full: the operation waits for it.
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(e) => {
                    state.is_broken = true;
                    return Poll::Ready(Err(e));
                }
                sent => return Poll::Ready(sent),
            }
        }
        let mut buffer = Buffer::with_capacity(total.min(LARGEST));
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

    /// Ready if the kernel has what was written, or is about to be given it: an operation that it couldn't finish at once is waited for.
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

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        ready!(state.poll_end(cx))?;
        let Some(Half { half: Some(half), .. }) = &mut state.half else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        // monoio does it at once, by a system call.
        match pin!(half.shutdown()).poll(cx) {
            // The peer has reset the connection: there's nothing to be ended.
            Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            polled => polled,
        }
    }

    /// The half alone, if that's all there is: nothing under way, and nothing to be told.
    pub(crate) fn into_half(self: Rc<Self>) -> Result<Half<S>, Rc<Self>> {
        let is_idle = {
            let state = self.0.borrow();
            state.half.is_some() && !state.is_broken && state.waiting.is_none()
        };
        if !is_idle || Rc::strong_count(&self) > 1 {
            return Err(self);
        }
        let half = self.0.borrow_mut().half.take();
        half.ok_or(self)
    }

    /// Whether something is on its way still.
    pub(crate) fn is_busy(&self) -> bool {
        self.0.borrow().is_busy()
    }

    /// What's on its way is taken back, as far as it hasn't been sent.
    pub(crate) fn give_up(&self) {
        let ops = self.0.borrow_mut().ops.take();
        drop(ops);
    }
}

/// Whether so many bytes are sent where they are. With epoll an operation is a system call as well; with io_uring it saves one, but copies them.
fn is_sent_now(bytes: usize) -> bool {
    bytes > LARGEST_POOLED || Driver::current() == Some(Driver::Epoll)
}

impl<S: AsyncWriteRent + 'static> State<S> {
    fn is_busy(&self) -> bool {
        self.ops.as_ref().is_some_and(|ops| ops.is_under_way())
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

    /// Whether an operation is under way, or what has become of it.
    fn is_under_way(&mut self) -> io::Result<bool> {
        while let Some(ops) = self.ops.as_mut().filter(|ops| ops.is_under_way()) {
            let mut cx = Context::from_waker(&self.carrier);
            let Poll::Ready((half, result, mut buffer)) = ops.as_mut().poll(&mut cx) else {
                return Ok(true);
            };
            self.half = Some(half);
            match result {
                Ok(0) => self.fail(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    buffer.advance(n);
                    if !buffer.rest().is_empty() {
                        self.begin(buffer);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => self.begin(buffer),
                Err(e) => self.fail(e),
            }
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
