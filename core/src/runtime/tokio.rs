//! The two tokio runtimes: work-stealing, and one single-threaded runtime per core.
use super::{Launch, Runtime, SharedTimer, Start, Workers};
use crate::error::{Error, ErrorKind, Result};
use hyper::rt::{Executor, Sleep, Timer};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{
    runtime::{Builder, EnterGuard, Handle, LocalOptions},
    task,
    time::{self, sleep_until},
};

/// The tokio that the server is started in. Tasks move between its threads, so apps and their
/// futures must be `Send`.
#[cfg(feature = "tokio")] // For the badge on pages of other crates, which ignore the module's.
#[derive(Clone, Copy, Debug)]
pub struct Tokio(());

/// One single-threaded tokio per worker, each on a thread of its own. Tasks stay on their thread,
/// so nothing need be `Send`.
#[cfg(feature = "tokio")] // For the badge on pages of other crates, which ignore the module's.
#[derive(Clone, Copy, Debug)]
pub struct TokioPerCore(());

impl Runtime for Tokio {
    const WORKERS: Workers = Workers::Ambient;
    const IS_TOKIO: bool = true;

    fn check() -> Result<()> {
        match Handle::try_current() {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::new(
                ErrorKind::Start,
                "this transport runs on the tokio runtime that the server is started in, and this thread has none \
                 (use `.run()`, or `#[tokio::main]`, or a transport with threads of its own: `.per_core()`)",
            )),
        }
    }

    fn current() -> Self {
        Self(())
    }

    fn timer(&self) -> SharedTimer {
        Arc::new(Clock::new())
    }
}

impl<F> Executor<F> for Tokio
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        task::spawn(future);
    }
}

impl<F: Future<Output = ()> + Send + 'static> Launch<F> for Tokio {
    fn launch(start: Start<F>) -> Result<()> {
        if let Some(accept_loop) = start.enter() {
            task::spawn(accept_loop);
        }
        Ok(())
    }
}

impl Runtime for TokioPerCore {
    const WORKERS: Workers = Workers::PerCore;
    const IS_TOKIO: bool = true;

    fn current() -> Self {
        Self(())
    }

    fn timer(&self) -> SharedTimer {
        Arc::new(Clock::new())
    }
}

impl<F> Executor<F> for TokioPerCore
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        task::spawn_local(future);
    }
}

impl<F: Future<Output = ()> + 'static> Launch<F> for TokioPerCore {
    fn launch(start: Start<F>) -> Result<()> {
        let build = || {
            Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default())
        };
        start.on_thread(build, |runtime, start| {
            runtime.block_on(async move {
                if let Some(accept_loop) = start.enter() {
                    accept_loop.await;
                }
            });
        })
    }
}

/// The clock of one tokio, usable by tasks on any thread: an app may read a body on a thread
/// without tokio.
#[derive(Debug)]
struct Clock(Option<Handle>);

impl Clock {
    fn new() -> Self {
        Self(Handle::try_current().ok())
    }

    fn enter(&self) -> Option<EnterGuard<'_>> {
        self.0.as_ref().map(Handle::enter)
    }
}

impl Timer for Clock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        let _entered = self.enter();
        Box::pin(UnconstrainedSleep {
            sleep: time::sleep(duration),
        })
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        let _entered = self.enter();
        Box::pin(UnconstrainedSleep {
            sleep: sleep_until(deadline.into()),
        })
    }

    fn now(&self) -> Instant {
        time::Instant::now().into()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        if let Some(timer) = sleep.as_mut().downcast_mut_pin::<UnconstrainedSleep>() {
            timer.project().sleep.reset(deadline.into());
        }
    }
}

pin_project_lite::pin_project! {
    /// A sleep that registers its waker in every poll. A sleep of tokio does not register if its
    /// task has used up its budget, and connections poll their timers last.
    struct UnconstrainedSleep {
        #[pin]
        sleep: time::Sleep,
    }
}

impl Future for UnconstrainedSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut task::unconstrained(self.project().sleep)).poll(cx)
    }
}

impl Sleep for UnconstrainedSleep {}
