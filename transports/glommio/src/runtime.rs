//! The runtime: a thread with a glommio executor for each worker. Tasks stay on their thread.
use crate::{io_uring_support, worker_timer::WorkerTimer};
use anyport_core::{
    Result, Runtime,
    runtime::{
        Launch, SharedTimer, Start, Workers,
        local::{self, LocalTasks},
    },
};
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement, timer::Timer};
use hyper::rt::Executor;
use std::{
    cell::Cell,
    future::Future,
    io,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

/// The memory that a worker locks for storage I/O: the least that glommio accepts. Connections do
/// not use it, and many workers have to share a small limit.
const IO_MEMORY: usize = 64 * 1024;
/// How often a ready task may run before the reactor polls for events. glommio polls only when no
/// task is ready.
const RUNS_PER_REACTOR_POLL: usize = 4;
/// The entries of the submission queue.
const RING_DEPTH: usize = 1024;
/// How long tasks may run before glommio's `need_preempt` returns true; its default is 100 ms. A
/// worker that stalls this long at the wrong moment sleeps although a task is ready
/// (`worker_timer.rs`). In containers, stalls of 100 ms are common.
const PREEMPT: Duration = Duration::from_secs(1);

/// One glommio executor per worker, on a thread of its own. Tasks never move, so they need not be
/// `Send`.
///
/// A panic ends its own task only, and tasks are scheduled fairly. Tasks of `glommio::spawn_local`
/// have neither guarantee.
#[derive(Clone, Debug)]
pub struct GlommioPerCore(PhantomData<Rc<()>>);

thread_local! {
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is a worker, with an executor of glommio.
pub(crate) fn is_worker() -> bool {
    IS_WORKER.get()
}

impl Runtime for GlommioPerCore {
    const WORKERS: Workers = Workers::PerCore;

    fn check() -> Result<()> {
        io_uring_support::check()
    }

    fn current() -> Self {
        Self(PhantomData)
    }

    fn timer(&self) -> SharedTimer {
        local::timer()
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for GlommioPerCore {
    fn execute(&self, future: F) {
        local::spawn(future);
    }
}

impl<F: Future<Output = ()> + 'static> Launch<F> for GlommioPerCore {
    fn launch(start: Start<F>) -> Result<()> {
        start.on_thread(build, run)
    }
}

fn build() -> io::Result<LocalExecutor> {
    static BUILD: Mutex<()> = Mutex::new(());
    let _guard = BUILD.lock().unwrap_or_else(PoisonError::into_inner);
    io_uring_support::check_descriptors()?;
    let builder = LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(IO_MEMORY)
        .ring_depth(RING_DEPTH)
        .preempt_timer(PREEMPT);
    match catch_unwind(AssertUnwindSafe(|| builder.make())) {
        Ok(made) => made.map_err(io::Error::from),
        Err(_) => Err(io::Error::other(
            "glommio panicked as it set up its rings; it cannot start again in this process",
        )),
    }
}

fn run<F: Future<Output = ()> + 'static>(glommio: LocalExecutor, start: Start<F>) {
    IS_WORKER.set(true);
    let tasks = LocalTasks::enter();
    let worker = async {
        if let Some(accept_loop) = start.enter() {
            let accept_loop = tasks.spawn(accept_loop);
            RunTasks::new(&tasks, || accept_loop.is_finished()).await;
        }
        tasks.clear();
        // The reactor closes sockets when it has cancelled their polls, which it does before it
        // sleeps.
        Timer::new(Duration::from_millis(1)).await;
    };
    // Even if glommio's loop panics, the worker's tasks are dropped, and the server is notified.
    let _ = catch_unwind(AssertUnwindSafe(|| glommio.run(worker)));
    drop(tasks);
    drop(glommio);
}

/// Runs the worker's tasks until `is_done`, and sets the worker's timer to the next deadline.
struct RunTasks<'a, D> {
    tasks: &'a LocalTasks,
    is_done: D,
    timer: WorkerTimer,
    /// Ends when the reactor has polled for events.
    pause: Option<Timer>,
}

impl<'a, D: Fn() -> bool + Unpin> RunTasks<'a, D> {
    fn new(tasks: &'a LocalTasks, is_done: D) -> Self {
        Self {
            tasks,
            is_done,
            timer: WorkerTimer::new(),
            pause: None,
        }
    }

    /// Makes glommio run this task again, after it has polled for events. A task that only wakes
    /// itself would run before that.
    fn yield_to_reactor(&mut self, cx: &mut Context<'_>) {
        loop {
            let pause = self.pause.insert(Timer::new(Duration::from_micros(1)));
            if Pin::new(pause).poll(cx).is_pending() {
                return;
            }
        }
    }
}

impl<D: Fn() -> bool + Unpin> Future for RunTasks<'_, D> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let is_ready = this.tasks.run(cx, RUNS_PER_REACTOR_POLL);
        if (this.is_done)() {
            return Poll::Ready(());
        }
        if this.timer.poll(this.tasks.next_deadline(), cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        if is_ready {
            this.yield_to_reactor(cx);
        } else {
            this.pause = None;
        }
        Poll::Pending
    }
}
