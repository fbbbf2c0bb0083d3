//! HTTP/2 streams run in tasks of their own. Each is counted, and its panics are contained.
use crate::{
    engine::{ConnState, LazyTimeout},
    observe::TimedOut,
    runtime::panics,
};
use hyper::rt::Executor;
use std::{
    cell::Cell,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// The executor on which hyper spawns the streams of a connection: the worker's, with each stream
/// counted.
#[derive(Clone)]
pub struct Streams<R> {
    runtime: R,
    state: Arc<ConnState>,
}

impl<R> Streams<R> {
    pub(super) fn new(runtime: R, state: Arc<ConnState>) -> Self {
        Self { runtime, state }
    }
}

impl<R, F> Executor<F> for Streams<R>
where
    R: Executor<StreamTask<F>>,
    F: Future<Output = ()>,
{
    fn execute(&self, future: F) {
        self.state.begin_subtask();
        self.runtime.execute(StreamTask {
            future: Some(future),
            state: Arc::clone(&self.state),
            held: Held::default(),
            stall: LazyTimeout::default(),
        });
    }
}

impl<R> fmt::Debug for Streams<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}

thread_local! {
    /// The flow control of the stream that is being polled on this thread.
    static HELD: Cell<Held> = const { Cell::new(Held { frames: 0, held: false }) };
}

/// Whether a stream waits for the client's flow-control window. Hyper asks for window before it
/// polls the response's body again. So a body that returned a frame and was not polled since waits
/// for the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    frames: u32,
    held: bool,
}

/// The response's body is polled: its stream has window.
pub(super) fn asked_for_more() {
    HELD.set(Held {
        held: false,
        ..HELD.get()
    });
}

/// The response's body returned a frame.
pub(super) fn gave_a_frame() {
    HELD.set(Held {
        frames: HELD.get().frames.wrapping_add(1),
        held: true,
    });
}

pin_project_lite::pin_project! {
    /// One HTTP/2 stream. Two events end only this stream, and not its connection: a panic, and a
    /// client that accepts nothing for the write stall timeout.
    pub struct StreamTask<F> {
        #[pin]
        future: Option<F>,
        state: Arc<ConnState>,
        held: Held,
        // The timer of the write stall.
        stall: LazyTimeout,
    }

    impl<F> PinnedDrop for StreamTask<F> {
        fn drop(this: Pin<&mut Self>) {
            this.project().state.end_subtask();
        }
    }
}

impl<F: Future<Output = ()>> Future for StreamTask<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut me = self.project();
        let Some(future) = me.future.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        let state = &*me.state;
        let before = *me.held;
        HELD.set(before);
        let polled = panics::catch(|| state.in_span(|| future.poll(cx)));
        *me.held = HELD.get();
        match polled {
            Ok(Poll::Ready(())) => Poll::Ready(()),
            Ok(Poll::Pending) if !me.held.held => {
                me.stall.reset();
                Poll::Pending
            }
            Ok(Poll::Pending) => {
                if *me.held != before {
                    me.stall.reset();
                }
                let worker = &state.worker;
                ready!(me.stall.poll(worker.timeouts().write_stall, worker, cx));
                state.timed_out(TimedOut::WriteStall);
                // The client gets RST_STREAM.
                if let Err(message) = panics::catch(|| me.future.set(None)) {
                    state.panicked(&message);
                }
                Poll::Ready(())
            }
            Err(message) => {
                state.panicked(&message);
                Poll::Ready(())
            }
        }
    }
}

impl<F> fmt::Debug for StreamTask<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamTask").finish_non_exhaustive()
    }
}
