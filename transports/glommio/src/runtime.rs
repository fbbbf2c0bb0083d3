//! The runtime: a thread with a glommio executor for each worker. Tasks stay on their thread.
use crate::{alarm::Alarm, requirements};
use anyport_core::{
    Result, Runtime, Workers,
    runtime::{
        Launch, SharedTimer, Start,
        local::{self, Tasks},
    },
};
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement, timer::Timer};
use hyper::rt::Executor;
use std::{
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

/// What a worker locks for storage, the least that glommio takes: a connection has no use for it,
/// and many workers have to share a small limit.
const IO_MEMORY: usize = 64 * 1024;
/// How often a task that wakes itself, or that a task woke, runs before the reactor has its turn:
/// glommio looks for events only when no task is ready.
const ROUNDS: usize = 4;
/// How many operations are handed to the kernel at once.
const RING_DEPTH: usize = 1024;
/// How long tasks may run before glommio's `need_preempt` says so; its default is a tenth. A worker
/// that stands still for as long at the wrong moment falls asleep although a task is ready
/// (`alarm.rs`), and containers stand still for a tenth of a second often.
const PREEMPT: Duration = Duration::from_secs(1);

/// One glommio executor per worker, on a thread of its own. Nothing moves, so nothing need be
/// `Send`.
///
/// A panic of a task ends that task only, and tasks run in turn. What's spawned by
/// `glommio::spawn_local` has neither promise.
#[derive(Clone, Debug)]
pub struct GlommioPerCore(PhantomData<Rc<()>>);

impl Runtime for GlommioPerCore {
    const WORKERS: Workers = Workers::PerCore;

    fn check() -> Result<()> {
        requirements::check()
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
    static ONE_BY_ONE: Mutex<()> = Mutex::new(());
    let _turn = ONE_BY_ONE.lock().unwrap_or_else(PoisonError::into_inner);
    requirements::descriptors()?;
    let builder = LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(IO_MEMORY)
        .ring_depth(RING_DEPTH)
        .preempt_timer(PREEMPT);
    match catch_unwind(AssertUnwindSafe(|| builder.make())) {
        Ok(made) => made.map_err(io::Error::from),
        Err(_) => Err(io::Error::other(
            "glommio panicked as it set up its rings; it won't start again in this process",
        )),
    }
}

/// The life of a worker.
fn run<F: Future<Output = ()> + 'static>(glommio: LocalExecutor, start: Start<F>) {
    let tasks = Tasks::enter();
    let life = async {
        if let Some(accept_loop) = start.enter() {
            let accept_loop = tasks.spawn(accept_loop);
            Run::new(&tasks, || accept_loop.is_finished()).await;
        }
        tasks.clear();
        // Sockets close when the kernel has been told that nobody waits for them any more, which
        // the reactor does before it sleeps.
        Timer::new(Duration::from_millis(1)).await;
    };
    // Should glommio give up its loop, the worker's tasks are dropped all the same, and the server
    // learns of it.
    let _ = catch_unwind(AssertUnwindSafe(|| glommio.run(life)));
    drop(tasks);
    drop(glommio);
}

/// Runs the tasks of a worker until something has happened; glommio is told when the next one is
/// due.
struct Run<'a, D> {
    tasks: &'a Tasks,
    is_done: D,
    alarm: Alarm,
    /// Ends when the reactor has had its turn.
    pause: Option<Timer>,
}

impl<'a, D: Fn() -> bool + Unpin> Run<'a, D> {
    fn new(tasks: &'a Tasks, is_done: D) -> Self {
        Self {
            tasks,
            is_done,
            alarm: Alarm::new(),
            pause: None,
        }
    }

    /// Has glommio run this task again, but not before it has looked for events: a task that wakes
    /// itself runs at once.
    fn pause(&mut self, cx: &mut Context<'_>) {
        loop {
            let pause = self.pause.insert(Timer::new(Duration::from_micros(1)));
            if Pin::new(pause).poll(cx).is_pending() {
                return;
            }
        }
    }
}

impl<D: Fn() -> bool + Unpin> Future for Run<'_, D> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let is_ready = this.tasks.run(cx, ROUNDS);
        if (this.is_done)() {
            return Poll::Ready(());
        }
        if this.alarm.poll(this.tasks.next_deadline(), cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        if is_ready {
            this.pause(cx);
        } else {
            this.pause = None;
        }
        Poll::Pending
    }
}
