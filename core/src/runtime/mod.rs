//! Runtimes: an executor, a clock, and a way to start workers.
//!
//! This layer has tasks, threads, wakers and time. It must not depend on the content of the tasks:
//! it names no connection, no transport and no server.
mod ambient_tokio;
mod block_on;
pub mod local;
pub(crate) mod panics;
#[cfg(target_os = "linux")]
mod ring;
#[cfg(feature = "shutdown")]
pub mod shutdown;
mod spawn;
pub mod thread_bound;
#[cfg(feature = "tokio")]
mod tokio;
mod waker;
mod worker;

#[cfg(target_os = "linux")]
pub use self::ring::{IoUringCall, IoUringRequirements};
#[cfg(feature = "tokio")]
pub use self::tokio::{Tokio, TokioPerCore};

pub(crate) use self::{
    ambient_tokio::AmbientTokio,
    waker::{Registered, WakerSlot},
    worker::Warn,
};
pub use self::{
    block_on::block_on,
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

/// Locks a mutex and ignores poisoning: data under this crate's mutexes is consistent at every
/// point that can panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A clock that all connections of a worker share.
pub type SharedTimer = Arc<dyn Timer + Send + Sync>;

/// The runtime of connections: an executor, a clock, and a way to start workers.
///
/// A transport names its runtime. Transports on tokio name [`Tokio`] or [`TokioPerCore`] and never
/// implement this trait.
///
/// # Contract
///
/// Besides this trait, a runtime implements two more, and the bounds on *their* parameters decide
/// what it can run. A runtime that moves tasks between threads requires `Send` there:
///
/// - [`hyper::rt::Executor<F>`](hyper::rt::Executor) spawns a connection (or an HTTP/2 stream) on
///   the current worker. A panic of the future must not end the worker.
/// - [`Launch<F>`] starts a worker and polls its accept loop to the end.
///
/// Its timer has a resolution of milliseconds and works in any task of the worker. Its `now` is the
/// clock of its sleeps, so a paused clock pauses timeouts, and works on any thread. A sleep is
/// never ready before `now` has reached its deadline. A pending sleep has registered the waker,
/// whatever else the task did in that poll: it may not be polled again before it fires.
pub trait Runtime: Clone + Unpin + 'static {
    /// The default number of workers of a transport. [`Workers::Ambient`] means that the runtime is
    /// the one that the server is started in. With any other value, workers have threads of their
    /// own.
    const WORKERS: Workers;

    /// Whether its workers run inside tokio. Default: no. With the feature `tokio`, the threads of
    /// other workers ([`Start::on_thread`]) enter a tokio. It is the multi-threaded one that the
    /// server is started in, or one that is started for the server.
    const IS_TOKIO: bool = false;

    /// Checks, before a socket is bound, whether the current thread can start workers. Default: it
    /// can.
    ///
    /// # Errors
    ///
    /// The error says what to change. For an ambient runtime, the thread is not inside one.
    fn check() -> Result<()> {
        Ok(())
    }

    /// The runtime of the current worker. Called on the worker, inside its runtime.
    fn current() -> Self;

    /// The clock of the worker.
    fn timer(&self) -> SharedTimer;
}

/// Starts a worker whose accept loop is `F`.
pub trait Launch<F>: Runtime {
    /// Starts the worker: runs [`Start::enter`] inside its runtime and polls the returned accept
    /// loop to its end.
    ///
    /// A runtime other than tokio also sets how [`spawn`](crate::runtime::spawn()) works on the
    /// worker's thread: [`Spawner::enter`].
    ///
    /// The starting thread waits for `enter`, so a runtime that this thread itself polls calls
    /// `enter` before it returns.
    ///
    /// # Errors
    ///
    /// The thread or the runtime could not be started.
    fn launch(start: Start<F>) -> Result<()>;
}

/// A worker that is about to start: moves to the worker's thread, which calls
/// [`enter`](Self::enter).
///
/// If it is dropped before, the server's start fails, so no worker is lost.
pub struct Start<F> {
    worker: Worker,
    make: Box<dyn FnOnce() -> Result<F> + Send>,
    report: Report,
    ambient_tokio: AmbientTokio,
}

/// Reports the result of the start exactly once, even if dropped.
struct Report(Option<mpsc::Sender<Result<()>>>);

impl<F> Start<F> {
    pub(crate) fn new(
        worker: Worker,
        make: impl FnOnce() -> Result<F> + Send + 'static,
        report: mpsc::Sender<Result<()>>,
        ambient_tokio: AmbientTokio,
    ) -> Self {
        Self {
            worker,
            make: Box::new(make),
            report: Report(Some(report)),
            ambient_tokio,
        }
    }

    /// The worker.
    #[must_use]
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Makes the worker's accept loop. Call it on the worker, inside its runtime.
    ///
    /// `None` if that failed: the error has been reported to the starting thread, and there is
    /// nothing to poll.
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
    /// Runs the worker on a new thread, with a name, and pinned to a core if the server is
    /// [`pinned`](crate::Server::pinned). `build` makes its runtime, and `run` polls the result of
    /// [`enter`](Self::enter) on it.
    ///
    /// With the feature `tokio`, the thread enters a tokio runtime ([`Runtime::IS_TOKIO`]). So
    /// `tokio::spawn`, timers, sockets and files work in an app on every runtime, however the
    /// server was started.
    ///
    /// # Errors
    ///
    /// The thread could not be started or pinned. An error of `build` also fails the server's
    /// start.
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
        let (worker, sender) = (self.worker.clone(), self.report.0.clone());
        let ambient_tokio = self.ambient_tokio.clone();
        let body = move || {
            // Dropped last: the report's channel closes at the end of the thread.
            let _sender = sender;
            let ambient_tokio = ambient_tokio;
            let _entered = ambient_tokio.enter();
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

/// The core of a pinned worker: round-robin over the cores that this process may use.
fn core(index: usize) -> Result<core_affinity::CoreId> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    match cores.len() {
        0 => Err(Error::config(
            "workers cannot be pinned: the system does not report its cores",
        )),
        n => Ok(cores[index % n]),
    }
}

impl Report {
    fn send(&mut self, result: Result<()>) {
        if let Some(report) = self.0.take() {
            // The starting thread no longer waits if another worker has failed before.
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
