//! glommio as a runtime of anyport: a thread per worker, on which its tasks stay.
use crate::{
    alarm::Alarm,
    clock,
    executor::{self, Entered, Worker},
    requirements,
};
use anyport_core::{
    Result, Runtime, Workers,
    runtime::{Launch, SharedTimer, Spawner, Start},
    thread_bound,
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
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

/// What a worker locks for storage, the least that glommio takes: a connection has no use for it, and many workers have to share a small limit.
const IO_MEMORY: usize = 64 * 1024;
/// How many operations are handed to the kernel at once.
const RING_DEPTH: usize = 1024;

/// One glommio executor per worker, on a thread of its own. Nothing moves, so nothing need be `Send`.
///
/// A panic of a task ends that task only, and tasks run in turn. What's spawned by `glommio::spawn_local` has neither promise.
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
        let shared = executor::current(|worker| Arc::clone(worker.shared()));
        clock::clock(shared.unwrap_or_default())
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for GlommioPerCore {
    fn execute(&self, future: F) {
        executor::spawn(future);
    }
}

impl<F: Future<Output = ()> + 'static> Launch<F> for GlommioPerCore {
    fn launch(start: Start<F>) -> Result<()> {
        start.on_thread(build, run)
    }
}

fn build() -> io::Result<LocalExecutor> {
    static ONE_BY_ONE: Mutex<()> = Mutex::new(());
    let _turn = executor::lock(&ONE_BY_ONE);
    requirements::descriptors()?;
    let builder = LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(IO_MEMORY)
        .ring_depth(RING_DEPTH);
    match catch_unwind(AssertUnwindSafe(|| builder.make())) {
        Ok(made) => made.map_err(io::Error::from),
        Err(_) => Err(io::Error::other(
            "glommio panicked as it set up its rings; it won't start again in this process",
        )),
    }
}

/// The life of a worker.
fn run<F: Future<Output = ()> + 'static>(glommio: LocalExecutor, start: Start<F>) {
    let entered = Worker::enter();
    let Entered(worker) = &entered;
    let worker = Rc::clone(worker);
    let _spawner = Spawner::enter(executor::spawn);
    let life = async move {
        if let Some(accept_loop) = start.enter() {
            let done = Rc::new(Cell::new(false));
            executor::spawn(tell(accept_loop, Rc::clone(&done)));
            let is_done = move || done.get();
            Run::new(&worker, is_done).await;
        }
        worker.clear();
        thread_bound::drop_all();
        worker.leave();
        // Sockets close when the kernel has been told that nobody waits for them any more, which the reactor does before it sleeps.
        Timer::new(Duration::from_millis(1)).await;
    };
    // Should glommio give up its loop, the worker's tasks are dropped all the same, and the server learns of it.
    let _ = catch_unwind(AssertUnwindSafe(|| glommio.run(life)));
    drop(entered);
    thread_bound::drop_all();
    drop(glommio);
}

/// Polls a future, and tells when it's gone: done, or panicked.
async fn tell(future: impl Future<Output = ()>, done: Rc<Cell<bool>>) {
    struct Tell(Rc<Cell<bool>>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let _tell = Tell(done);
    future.await;
}

/// Runs the tasks of a worker until something has happened; glommio is told when the next one is due.
struct Run<'a, D> {
    worker: &'a Worker,
    is_done: D,
    alarm: Alarm,
    /// Ends when the reactor has had its turn.
    pause: Option<Timer>,
}

impl<'a, D: Fn() -> bool + Unpin> Run<'a, D> {
    fn new(worker: &'a Worker, is_done: D) -> Self {
        Self {
            worker,
            is_done,
            alarm: Alarm::new(),
            pause: None,
        }
    }

    /// Has glommio run this task again, but not before it has looked for events: a task that wakes itself runs at once.
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
        let is_ready = this.worker.run(cx);
        let _ = thread_bound::poll_returned(cx);
        if (this.is_done)() {
            return Poll::Ready(());
        }
        if is_ready {
            this.pause(cx);
            return Poll::Pending;
        }
        this.pause = None;
        if this.alarm.poll(this.worker.next_deadline(), cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
