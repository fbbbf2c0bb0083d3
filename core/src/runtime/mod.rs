//! Runtimes: an executor, a clock, and a way to start workers.
//!
//! This layer has tasks, threads, wakers and time. It does not know what the tasks do: it names no
//! connection, no transport and no server.
mod around;
pub mod local;
pub(crate) mod panics;
#[cfg(target_os = "linux")]
mod ring;
#[cfg(feature = "tokio")]
pub mod shutdown;
mod spawn;
pub mod thread_bound;
#[cfg(feature = "tokio")]
mod tokio;
mod waker;
mod worker;

#[cfg(target_os = "linux")]
pub use self::ring::{RingCall, RingNeeds};
#[cfg(feature = "tokio")]
pub use self::tokio::{Tokio, TokioPerCore};

pub(crate) use self::{
    around::Around,
    waker::{Registered, WakerSlot},
    worker::Warn,
};
pub use self::{
    spawn::{Background, Spawner, spawn},
    thread_bound::ThreadBound,
    worker::{RuntimeOptions, Worker, Workers},
};

use crate::error::{Error, ErrorKind, Result};
use hyper::rt::Timer;
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
};

/// Locks; what a mutex of this crate guards is consistent whenever a panic could happen.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A clock that's shared by all connections of a worker.
pub type SharedTimer = Arc<dyn Timer + Send + Sync>;

/// What polls connections: an executor, a clock, and how workers start.
///
/// A transport names its runtime; transports on tokio name [`Tokio`] or [`TokioPerCore`] and never
/// implement this.
///
/// # Contract
///
/// Besides this trait, a runtime implements two more, and the bounds on *their* parameters decide
/// what may run on it. A runtime that moves tasks between threads asks for `Send` there, one that
/// doesn't asks for nothing:
///
/// - [`hyper::rt::Executor<F>`](hyper::rt::Executor) spawns a connection (or an HTTP/2 stream) on
///   the current worker. A panic of the future must not end the worker.
/// - [`Launch<F>`] starts a worker and polls its accept loop to the end.
///
/// Its timer resolves deadlines of milliseconds and works from any task of the worker. Its `now` is
/// the clock that its sleeps follow (so that a paused clock pauses deadlines) and can be asked on
/// any thread. A sleep is never ready before `now` has reached its deadline, and one that is
/// pending has registered the waker, whatever else the task has done: it may not be polled again
/// before it fires.
pub trait Runtime: Clone + Unpin + 'static {
    /// How many workers a transport on this runtime has by default. [`Workers::Ambient`] says that
    /// the runtime is the one that the server is started in; any other value, that workers have
    /// threads of their own.
    const WORKERS: Workers;

    /// Whether its workers are in a tokio runtime by themselves. Default: no. With the feature
    /// `tokio`, their threads ([`Start::on_thread`]) are put into one then: the multi-threaded one
    /// that the server is started in, or else one that's started for it.
    const IS_TOKIO: bool = false;

    /// Whether a worker could be started by this thread: asked before anything is bound. Default:
    /// yes.
    ///
    /// # Errors
    ///
    /// What has to be different; for a runtime that the server is started in, that there's none.
    fn check() -> Result<()> {
        Ok(())
    }

    /// The runtime of the current worker; called on the worker, inside its runtime.
    fn current() -> Self;

    /// The worker's clock.
    fn timer(&self) -> SharedTimer;
}

/// Starts one worker, whose accept loop is `F`.
pub trait Launch<F>: Runtime {
    /// Starts the worker: runs [`Start::enter`] inside its runtime and polls what that gives to its
    /// end.
    ///
    /// A runtime other than tokio also says how [`spawn`](crate::runtime::spawn()) spawns on the
    /// worker's thread: [`Spawner::enter`].
    ///
    /// The starting thread waits for `enter`: a runtime that this thread itself has to poll calls
    /// it before it returns.
    ///
    /// # Errors
    ///
    /// The thread or the runtime could not be started.
    fn launch(start: Start<F>) -> Result<()>;
}

/// A worker about to start: goes to the worker's thread and is entered there.
///
/// Dropping it un-entered makes the server's start fail, so a worker can't get lost.
pub struct Start<F> {
    worker: Worker,
    make: Box<dyn FnOnce() -> Result<F> + Send>,
    report: Report,
    around: Around,
}

/// Tells the starting thread how it went, in any case.
struct Report(Option<mpsc::Sender<Result<()>>>);

impl<F> Start<F> {
    pub(crate) fn new(
        worker: Worker,
        make: impl FnOnce() -> Result<F> + Send + 'static,
        report: mpsc::Sender<Result<()>>,
        around: Around,
    ) -> Self {
        Self {
            worker,
            make: Box::new(make),
            report: Report(Some(report)),
            around,
        }
    }

    /// Which worker this is.
    #[must_use]
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Makes the worker's accept loop; call it on the worker, inside its runtime.
    ///
    /// `None` if that failed: the starting thread has been told, and there's nothing to poll.
    #[must_use]
    pub fn enter(mut self) -> Option<F> {
        let make = self.make;
        let made = panics::catch(make).unwrap_or_else(|panic| {
            let what = format!("{} panicked while it started: {panic}", self.worker);
            Err(Error::new(ErrorKind::Worker, what))
        });
        let (made, result) = match made {
            Ok(made) => (Some(made), Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.report.send(result);
        made
    }
}

impl<F: 'static> Start<F> {
    /// Runs the worker on a new thread, named for it and pinned to a core if that was asked for:
    /// `build` makes its runtime, `run` polls what [`enter`](Self::enter) gives on it.
    ///
    /// With the feature `tokio`, the thread is in a tokio runtime ([`Runtime::IS_TOKIO`]): what an
    /// app needs of tokio (`tokio::spawn`, timers, sockets, files) it finds there, whatever the
    /// worker runs on, and however the server was started.
    ///
    /// # Errors
    ///
    /// The thread could not be started, or not be pinned. An error of `build` makes the server's
    /// start fail, too.
    pub fn on_thread<R>(
        self,
        build: impl FnOnce() -> std::io::Result<R> + Send + 'static,
        run: impl FnOnce(R, Self) + Send + 'static,
    ) -> Result<()> {
        let index = self.worker.index;
        let core = if self.worker.pin {
            Some(core(index)?)
        } else {
            None
        };
        let (worker, here) = (self.worker.clone(), self.report.0.clone());
        let around = self.around.clone();
        let body = move || {
            // The last thing that this thread gives up.
            let _here = here;
            let around = around;
            let _entered = around.enter();
            if let Some(core) = core
                && !core_affinity::set_for_current(core)
            {
                let what = format!("cannot pin {} to core {}", self.worker, core.id);
                return self.fail(Error::new(ErrorKind::Start, what));
            }
            match build() {
                Ok(runtime) => run(runtime, self),
                Err(e) => {
                    let error =
                        Error::start(format_args!("start the runtime of {}", self.worker), e);
                    self.fail(error);
                }
            }
        };
        thread::Builder::new()
            .name(format!("anyport-{index}"))
            .spawn(body)
            .map(drop)
            .map_err(|e| Error::start(format_args!("start the thread of {worker}"), e))
    }

    fn fail(mut self, error: Error) {
        self.report.send(Err(error));
    }
}

/// The core of a pinned worker: workers take turns over the cores that this process may use.
fn core(index: usize) -> Result<core_affinity::CoreId> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    match cores.len() {
        0 => Err(Error::config(
            "workers can't be pinned here: the system doesn't tell which cores there are",
        )),
        n => Ok(cores[index % n]),
    }
}

impl Report {
    fn send(&mut self, result: Result<()>) {
        if let Some(report) = self.0.take() {
            // The starting thread has given up: another worker failed first.
            let _ = report.send(result);
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.send(Err(Error::new(
            ErrorKind::Start,
            "a runtime dropped a worker instead of starting it",
        )));
    }
}

impl<F> fmt::Debug for Start<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}
