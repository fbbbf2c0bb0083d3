//! The runtime: a thread with a monoio runtime for each worker. Tasks stay on their thread.
use crate::{
    Driver, buffer, deferred_release,
    driver::{self, BuiltRuntime},
    io_uring_support::Refusal,
    send_queue, tick, writability,
};
use anyport_core::{
    Result, Runtime,
    runtime::{
        Launch, SharedTimer, Start, Workers,
        local::{self, LocalTasks},
    },
};
use hyper::rt::Executor;
use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    marker::PhantomData,
    mem,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// How long a worker that ends waits until the kernel has released its buffers.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(1);

/// One monoio runtime per worker, on a thread of its own. Tasks never move, so they need not be
/// `Send`.
///
/// A panic ends its own task only, and tasks are scheduled fairly. Tasks of `monoio::spawn` have
/// neither guarantee.
#[derive(Clone, Debug)]
pub struct MonoioPerCore(PhantomData<Rc<()>>);

thread_local! {
    static REFUSAL: RefCell<Option<Refusal>> = const { RefCell::new(None) };
}

/// Warns the server's observer that this worker waits with epoll although io_uring was preferred.
/// All workers are alike, so one warning is enough.
pub(crate) fn warn_if_refused(worker: &anyport_core::runtime::Worker) {
    if worker.index() > 0 {
        return;
    }
    // An observer may run any code, so the cell is not borrowed while it runs.
    let warning = REFUSAL.with_borrow(|refusal| {
        let Refusal { reason, advice } = refusal.as_ref()?;
        Some(format!(
            "io_uring is refused ({reason}), so the workers wait with epoll: {advice}"
        ))
    });
    if let Some(warning) = warning {
        worker.warn(&warning);
    }
}

impl Runtime for MonoioPerCore {
    const WORKERS: Workers = Workers::PerCore;

    fn current() -> Self {
        Self(PhantomData)
    }

    fn timer(&self) -> SharedTimer {
        local::timer()
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for MonoioPerCore {
    fn execute(&self, future: F) {
        local::spawn(future);
    }
}

impl<F: Future<Output = ()> + 'static> Launch<F> for MonoioPerCore {
    fn launch(start: Start<F>) -> Result<()> {
        let driver = start.worker().runtime_options::<Driver>().copied();
        start.on_thread(move || driver::build(driver.unwrap_or_default()), run)
    }
}

fn run<F: Future<Output = ()> + 'static>(built: BuiltRuntime, start: Start<F>) {
    let BuiltRuntime {
        mut runtime,
        driver,
        epoll,
        refused,
    } = built;
    REFUSAL.set(refused);
    driver::set_current(driver);
    runtime.block_on(async {
        let tasks = LocalTasks::enter();
        local::spawn(send_queue::run());
        local::spawn(deferred_release::run());
        local::spawn(writability::watch(epoll));
        if let Some(accept_loop) = start.enter() {
            let accept_loop = tasks.spawn(accept_loop);
            RunTasks::new(&tasks, || accept_loop.is_finished()).await;
            // Bytes that connections wrote before they ended are still sent.
            run_until(&tasks, send_queue::is_empty).await;
        }
        send_queue::clear();
        deferred_release::clear();
        tasks.clear();
        // Their operations have been cancelled, but the kernel may write into the buffers until it
        // confirms that.
        run_until(&tasks, || buffer::in_use() == 0).await;
    });
    if buffer::in_use() > 0 {
        // No known case leads here. If one does, leaking a little memory is better than a kernel
        // that writes into freed memory.
        mem::forget(runtime);
    }
}

/// Runs the worker's tasks until `is_done`, for `SHUTDOWN_WAIT` at most.
async fn run_until(tasks: &LocalTasks, mut is_done: impl FnMut() -> bool + Unpin) {
    let end = Instant::now() + SHUTDOWN_WAIT;
    while !is_done() && Instant::now() < end {
        let sleep = monoio::time::sleep(Duration::from_millis(1));
        let mut sleep = pin!(sleep);
        let mut run = RunTasks::new(tasks, || false);
        poll_fn(|cx| match Pin::new(&mut run).poll(cx) {
            Poll::Pending => sleep.as_mut().poll(cx),
            ready => ready,
        })
        .await;
    }
}

/// Runs the worker's tasks until `is_done`, and sets monoio's timer to the next deadline.
struct RunTasks<'a, D> {
    tasks: &'a LocalTasks,
    is_done: D,
    timer: Option<(Instant, Pin<Box<monoio::time::Sleep>>)>,
}

impl<'a, D: FnMut() -> bool + Unpin> RunTasks<'a, D> {
    fn new(tasks: &'a LocalTasks, is_done: D) -> Self {
        Self {
            tasks,
            is_done,
            timer: None,
        }
    }

    /// Makes monoio wake this task at the next deadline.
    fn arm_timer(&mut self, cx: &mut Context<'_>) {
        let next = self.tasks.next_deadline();
        if self.timer.as_ref().map(|(at, _)| *at) != next {
            match (&mut self.timer, next) {
                (Some((at, sleep)), Some(next)) => {
                    *at = next;
                    sleep.as_mut().reset(next.into());
                }
                (timer, next) => {
                    *timer =
                        next.map(|next| (next, Box::pin(monoio::time::sleep_until(next.into()))));
                }
            }
        }
        if let Some((_, sleep)) = &mut self.timer
            && sleep.as_mut().poll(cx).is_ready()
        {
            self.timer = None;
            cx.waker().wake_by_ref();
        }
    }
}

impl<D: FnMut() -> bool + Unpin> Future for RunTasks<'_, D> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        tick::begin();
        // Tasks that are ready again after this call run in the next tick, after the driver has
        // polled for completions.
        let is_ready = self.tasks.run(cx, 1);
        tick::end(is_ready);
        if is_ready {
            cx.waker().wake_by_ref();
        }
        if (self.is_done)() {
            return Poll::Ready(());
        }
        self.arm_timer(cx);
        Poll::Pending
    }
}
