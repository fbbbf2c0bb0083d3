//! Runs a future on a worker without a server, for programs that only connect.
use super::{AmbientTokio, Launch, RuntimeOptions, Start, Worker, Workers};
use crate::error::{Error, ErrorKind, Result};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::mpsc,
    task::{Context, Poll, ready},
};

/// Runs a future on one worker of the runtime `R`, on a thread of its own, and waits for its
/// output.
///
/// It is for a program that connects and serves nothing. An app connects on the worker that serves
/// it. Everything of a worker works in the future: [`spawn`](super::spawn()), timers, connectors.
/// When the future is ready, its other tasks are dropped, and the thread ends before this function
/// returns.
///
/// `make` makes the future on the worker, so the future may be `!Send`. `options` are those of a
/// transport, such as monoio's `Driver`.
///
/// ```
/// # #[cfg(feature = "tokio")]
/// # fn main() -> anyport_core::Result<()> {
/// use anyport_core::runtime::{TokioPerCore, block_on};
/// use std::rc::Rc;
///
/// let answer = block_on::<TokioPerCore, _>(None, || async { *Rc::new(42) })?;
/// assert_eq!(answer, 42);
/// # Ok(()) }
/// # #[cfg(not(feature = "tokio"))]
/// # fn main() {}
/// ```
///
/// # Errors
///
/// The worker cannot start, or the future panics. [`Tokio`](super::Tokio) is an error too: it has
/// no thread of its own, so await the future there.
pub fn block_on<R, F>(
    options: Option<RuntimeOptions>,
    make: impl FnOnce() -> F + Send + 'static,
) -> Result<F::Output>
where
    R: Launch<Output<F>>,
    F: Future<Output: Send + 'static>,
{
    if R::WORKERS == Workers::Ambient {
        return Err(Error::config(
            "this runtime has no worker with a thread of its own: await the future in it, or use a runtime per core",
        ));
    }
    R::check()?;
    let ambient_tokio = match R::IS_TOKIO {
        true => AmbientTokio::default(),
        false => AmbientTokio::find()?,
    };
    let worker = Worker {
        runtime_options: options,
        ..Worker::new(0, 1)
    };
    let (sender, output) = mpsc::channel();
    let make = move || {
        Ok(Output {
            future: make(),
            sender,
        })
    };
    let (report, started) = mpsc::channel();
    R::launch(Start::new(worker, make, report, ambient_tokio))?;
    let lost = || {
        Error::new(
            ErrorKind::Worker,
            "the worker ended before its future was ready",
        )
    };
    started.recv().map_err(|_| lost())??;
    let output = output.recv();
    // The channel closes when the thread has ended.
    let _ = started.recv();
    output.map_err(|_| lost())
}

pin_project_lite::pin_project! {
    /// The future of [`block_on`], which passes its output to the waiting thread.
    pub struct Output<F: Future> {
        #[pin]
        future: F,
        sender: mpsc::Sender<F::Output>,
    }
}

impl<F: Future> Future for Output<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = self.project();
        let output = ready!(me.future.poll(cx));
        // The receiver waits until this sender is dropped.
        let _ = me.sender.send(output);
        Poll::Ready(())
    }
}

impl<F: Future> fmt::Debug for Output<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(feature = "tokio")]
mod tests {
    use super::*;
    use crate::runtime::{Tokio, TokioPerCore};
    use std::rc::Rc;

    #[test]
    fn future_may_be_not_send_and_its_thread_has_ended() {
        let name = block_on::<TokioPerCore, _>(None, || async {
            let one = Rc::new(1);
            tokio::task::yield_now().await;
            (*one, std::thread::current().name().map(str::to_owned))
        });
        assert_eq!(name.unwrap(), (1, Some("anyport-0".to_owned())));
    }

    #[test]
    fn panic_of_the_future_is_an_error() {
        let failed: Result<()> =
            block_on::<TokioPerCore, _>(None, || async { panic!("deliberate") });
        let error = failed.unwrap_err().to_string();
        assert_eq!(error, "the worker ended before its future was ready");
    }

    #[test]
    fn ambient_runtime_is_an_error() {
        let error = block_on::<Tokio, _>(None, || async {}).unwrap_err();
        assert!(
            error.to_string().contains("await the future in it"),
            "{error}"
        );
    }
}
