//! Waits for the shutdown future and the end of a server.
use super::{Handle, Wait};
use crate::{error::Result, observe::DrainReport};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// Ready when the drain is to begin.
pub(super) type Shutdown = Pin<Box<dyn Future<Output = ()> + Send>>;

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

    pub(super) fn abort(&self) {
        self.handle.shared().abort();
    }

    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<DrainReport>> {
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
