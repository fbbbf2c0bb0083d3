//! The three ways to run a server: `.await`, `.run()` and `.start()`.
use super::{Handle, Server, run, watch::Watch};
use crate::error::Result;
use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    task::{Context, Poll},
};

impl Server {
    /// Starts the server and returns its handle. By then the sockets are bound and listening.
    ///
    /// The calling thread waits some milliseconds until each worker has started. If a transport
    /// runs on an ambient runtime, call this inside that runtime.
    ///
    /// # Errors
    ///
    /// The configuration is contradictory, or something cannot be bound or started. All that was
    /// started is stopped, with two exceptions. The threads of a tokio that was started for the app
    /// end moments later. A transport that had been started on an ambient runtime ends when that
    /// runtime polls it next.
    pub fn start(mut self) -> Result<Handle> {
        let shutdown = self.shutdown.take().map(run::Background::new).transpose()?;
        let handle = self.launch()?;
        if let Some(shutdown) = shutdown
            && let Err(error) = shutdown.watch(handle.clone())
        {
            handle.shared().abort();
            return Err(error);
        }
        Ok(handle)
    }

    /// Runs the server until it ends, on a thread without a runtime, such as that of a plain
    /// `main`.
    ///
    /// With the feature `tokio`, it runs inside a new tokio runtime, which the shutdown future may
    /// use. Transports on the ambient tokio, such as `Tcp`, run on this runtime, which then has one
    /// thread per core.
    ///
    /// # Errors
    ///
    /// The errors of [`start`](Self::start). After the start, it fails if accepting fails
    /// permanently or a worker panics.
    pub fn run(self) -> Result<()> {
        let ambient = self.transports.iter().any(|transport| transport.ambient);
        run::to_end(self.into_future(), ambient)
    }
}

impl IntoFuture for Server {
    type Output = Result<()>;
    type IntoFuture = Serve;

    fn into_future(self) -> Serve {
        Serve::new(self)
    }
}

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
            watch.abort();
        }
    }
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").finish_non_exhaustive()
    }
}
