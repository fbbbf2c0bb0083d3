//! Running a server's future where there's no runtime yet.
use super::{DrainReport, serve::Watch};
use crate::{Error, Result};
use std::future::Future;

/// Polls the server to its end on this thread. `ambient`: one of its transports runs on the runtime around it.
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

/// Polls it to its end somewhere else: on the tokio that this thread is in, or on a thread of its own.
pub(super) fn in_background(watch: Watch) -> Result<()> {
    #[cfg(feature = "tokio")]
    if let Ok(tokio) = tokio::runtime::Handle::try_current() {
        tokio.spawn(watch);
        return Ok(());
    }
    #[cfg(feature = "tokio")]
    let block_on = {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(cannot_start)?;
        move || runtime.block_on(watch)
    };
    #[cfg(not(feature = "tokio"))]
    let block_on = move || park::block_on(watch);
    let thread = std::thread::Builder::new().name("anyport-shutdown".into());
    thread.spawn(block_on).map(drop).map_err(cannot_start)
}

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
