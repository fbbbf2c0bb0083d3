//! Runs the future of a server on a thread without a runtime.
use super::{
    Handle,
    serve::{Shutdown, Watch},
};
use crate::{
    error::{Error, Result},
    observe::DrainReport,
};
use std::{
    future::Future,
    sync::mpsc::Receiver,
    task::{Context, Waker},
    time::{Duration, Instant},
};

/// Polls the server to its end on this thread. `ambient`: one of its transports runs on the runtime
/// around it.
pub(super) fn to_the_end(
    serve: impl Future<Output = Result<DrainReport>>,
    ambient: bool,
) -> Result<DrainReport> {
    #[cfg(feature = "tokio")]
    {
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(Error::config(
                "`.run()` makes a runtime of its own, and this thread is in one already: `.await` the server instead",
            ));
        }
        let mut builder = match ambient {
            true => tokio::runtime::Builder::new_multi_thread(),
            false => tokio::runtime::Builder::new_current_thread(),
        };
        let runtime = builder.enable_all().build().map_err(cannot_start)?;
        let report = runtime.block_on(serve);
        // Nobody waits for what handlers left in the background.
        runtime.shutdown_background();
        report
    }
    #[cfg(not(feature = "tokio"))]
    {
        let _ = ambient;
        park::block_on(serve)
    }
}

/// A shutdown future that's watched in the background: on the tokio that this thread is in, or on a
/// thread of its own.
pub(super) struct Background {
    shutdown: Shutdown,
    asked: bool,
    /// The one of the thread to be.
    #[cfg(feature = "tokio")]
    runtime: Option<tokio::runtime::Runtime>,
}

impl Background {
    /// Polls the future once, so that a signal is heeded from before the server starts.
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
            let asked = poll();
            drop(entered);
            Ok(Self {
                shutdown,
                asked,
                runtime,
            })
        }
        #[cfg(not(feature = "tokio"))]
        {
            let asked = poll();
            Ok(Self { shutdown, asked })
        }
    }

    /// Begins the drain of this server when it's time.
    pub(super) fn watch(self, handle: Handle) -> Result<()> {
        let mut watch = Watch::new(Some(self.shutdown), handle);
        if self.asked {
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

/// Waits for the threads of a server that's been aborted, so that it leaves nothing behind; they
/// end within milliseconds. Each holds a sender until then.
pub(super) fn wait_briefly(reports: &Receiver<Result<()>>) {
    let by = Instant::now() + LEAVING;
    while reports
        .recv_timeout(by.saturating_duration_since(Instant::now()))
        .is_ok()
    {}
}

const LEAVING: Duration = Duration::from_secs(2);

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
