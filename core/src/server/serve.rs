//! The futures of a server: the one that users await, and the one that waits for the shutdown.
use super::{Handle, Server, Wait};
use crate::{error::Result, observe::DrainReport};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// Ready when the drain is to begin.
pub(super) type Shutdown = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The future of an `.await`ed [`Server`]: the server runs while it is polled. Dropping it aborts
/// the server.
///
/// It is `Send` for every transport, on every runtime.
#[must_use = "futures do nothing unless polled"]
pub struct Serve(State);

enum State {
    Unstarted(Option<Box<Server>>),
    Running(Watch),
}

impl Serve {
    pub(super) fn new(server: Server) -> Self {
        Self(State::Unstarted(Some(Box::new(server))))
    }
}

impl Future for Serve {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let State::Unstarted(server) = &mut self.0
            && let Some(mut server) = server.take()
        {
            // Polled before a client can connect, so that a signal is handled from then on.
            let mut shutdown = server.shutdown.take();
            let requested = shutdown
                .as_mut()
                .is_some_and(|s| s.as_mut().poll(cx).is_ready());
            let mut watch = Watch::new(shutdown, server.launch()?);
            if requested {
                watch.drain();
            }
            self.0 = State::Running(watch);
        }
        match &mut self.0 {
            State::Running(watch) => watch.poll_end(cx).map_ok(drop),
            // The future is polled again after its error.
            State::Unstarted(_) => Poll::Pending,
        }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        if let State::Running(watch) = &self.0 {
            watch.handle.shared().abort();
        }
    }
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").finish_non_exhaustive()
    }
}

/// Begins the drain when the shutdown future is ready. Ready when the server has ended.
pub(super) struct Watch {
    shutdown: Option<Shutdown>,
    handle: Handle,
    end: Wait,
}

impl Watch {
    pub(super) fn new(shutdown: Option<Shutdown>, handle: Handle) -> Self {
        let end = handle.wait();
        Self {
            shutdown,
            handle,
            end,
        }
    }

    pub(super) fn drain(&mut self) {
        self.shutdown = None;
        let shared = self.handle.shared();
        shared.drain(shared.config.timeouts.drain);
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<DrainReport>> {
        if let Some(shutdown) = &mut self.shutdown
            && shutdown.as_mut().poll(cx).is_ready()
        {
            self.drain();
        }
        Pin::new(&mut self.end).poll(cx)
    }
}

impl Future for Watch {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_end(cx).map(drop)
    }
}
