//! Runs the future of a server on a thread without a runtime.
use super::{
    Handle,
    watch::{Shutdown, Watch},
};
use crate::error::{Error, Result};
use std::{
    future::Future,
    sync::mpsc::Receiver,
    task::{Context, Waker},
    time::{Duration, Instant},
};

/// Polls the server to its end on this thread. `ambient`: one of its transports needs a surrounding
/// runtime.
pub(super) fn to_end(serve: impl Future<Output = Result<()>>, ambient: bool) -> Result<()> {
    #[cfg(feature = "tokio")]
    {
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(Error::config(
                "`.run()` makes its own runtime, but this thread is inside one already: `.await` the server instead",
            ));
        }
        let mut builder = match ambient {
            true => tokio::runtime::Builder::new_multi_thread(),
            false => tokio::runtime::Builder::new_current_thread(),
        };
        let runtime = builder.enable_all().build().map_err(cannot_start)?;
        let result = runtime.block_on(serve);
        // Background tasks of handlers are not awaited.
        runtime.shutdown_background();
        result
    }
    #[cfg(not(feature = "tokio"))]
    {
        let _ = ambient;
        park::block_on(serve)
    }
}

/// A shutdown future that is polled in the background: on the tokio that this thread is in, or on a
/// thread of its own.
pub(super) struct Background {
    shutdown: Shutdown,
    requested: bool,
    /// The runtime of the thread that will be started.
    #[cfg(feature = "tokio")]
    runtime: Option<tokio::runtime::Runtime>,
}

impl Background {
    /// Polls the future once, so that a signal is handled even before the server starts.
    pub(super) fn new(mut shutdown: Shutdown) -> Result<Self> {
        let mut poll = || {
            shutdown
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        };
        #[cfg(feature = "tokio")]
        {
            let runtime = match tokio::runtime::Handle::try_current() {
                Ok(_) => None,
                Err(_) => Some(
                    tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .map_err(cannot_start)?,
                ),
            };
            let entered = runtime.as_ref().map(tokio::runtime::Runtime::enter);
            let requested = poll();
            drop(entered);
            Ok(Self {
                shutdown,
                requested,
                runtime,
            })
        }
        #[cfg(not(feature = "tokio"))]
        {
            let requested = poll();
            Ok(Self {
                shutdown,
                requested,
            })
        }
    }

    /// Drains this server when the future is ready.
    pub(super) fn watch(self, handle: Handle) -> Result<()> {
        let mut watch = Watch::new(Some(self.shutdown), handle);
        if self.requested {
            watch.drain();
        }
        #[cfg(feature = "tokio")]
        let Some(runtime) = self.runtime else {
            tokio::spawn(watch);
            return Ok(());
        };
        let thread = std::thread::Builder::new().name("anyport-shutdown".into());
        let block_on = move || {
            #[cfg(feature = "tokio")]
            runtime.block_on(watch);
            #[cfg(not(feature = "tokio"))]
            park::block_on(watch);
        };
        thread.spawn(block_on).map(drop).map_err(cannot_start)
    }
}

/// Waits for the threads of an aborted server, so that none outlives the error. They end within
/// milliseconds, and each holds a sender until then.
pub(super) fn wait_for_threads(reports: &Receiver<Result<()>>) {
    let by = Instant::now() + THREADS_END_WITHIN;
    while reports
        .recv_timeout(by.saturating_duration_since(Instant::now()))
        .is_ok()
    {}
}

const THREADS_END_WITHIN: Duration = Duration::from_secs(2);

fn cannot_start(error: std::io::Error) -> Error {
    Error::start("start a runtime or a thread for the server", error)
}

/// The smallest executor: a thread that sleeps between polls.
#[cfg(not(feature = "tokio"))]
mod park {
    use std::{
        future::Future,
        pin::pin,
        sync::Arc,
        task::{Context, Poll, Wake, Waker},
        thread::{self, Thread},
    };

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    pub(super) fn block_on<F: Future>(future: F) -> F::Output {
        let mut future = pin!(future);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    }
}
