//! The runtime: a thread with a monoio runtime for each worker. Tasks stay on their thread.
use crate::{
    Driver, buffer, closing,
    driver::{self, Built},
    postman,
    refusal::Refusal,
    room, round,
};
use anyport_core::{
    Result, Runtime, Workers,
    runtime::{
        Launch, SharedTimer, Start,
        local::{self, Tasks},
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

/// How long a worker that ends waits for the kernel to be done with its buffers.
const SETTLING: Duration = Duration::from_secs(1);

/// One monoio runtime per worker, on a thread of its own. Nothing moves, so nothing need be `Send`.
///
/// A panic of a task ends that task only, and tasks run in turn. What's spawned by `monoio::spawn`
/// has neither promise.
#[derive(Clone, Debug)]
pub struct MonoioPerCore(PhantomData<Rc<()>>);

thread_local! {
    static REFUSAL: RefCell<Option<Refusal>> = const { RefCell::new(None) };
}

/// Tells the server's observer that this thread's worker has no ring, although it was to have one.
/// All workers are alike: one warning is enough.
pub(crate) fn tell_refusal(worker: &anyport_core::Worker) {
    if worker.index() > 0 {
        return;
    }
    // An observer may do anything, so the refusal isn't lent to it.
    let warning = REFUSAL.with_borrow(|refusal| {
        let Refusal { why, advice } = refusal.as_ref()?;
        Some(format!(
            "io_uring is refused ({why}), so the workers wait with epoll: {advice}"
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

/// The life of a worker.
fn run<F: Future<Output = ()> + 'static>(built: Built, start: Start<F>) {
    let Built {
        mut runtime,
        driver,
        epoll,
        refused,
    } = built;
    REFUSAL.set(refused);
    driver::enter(driver);
    runtime.block_on(async {
        let tasks = Tasks::enter();
        local::spawn(postman::postman());
        local::spawn(closing::give_back());
        local::spawn(room::watch(epoll));
        if let Some(accept_loop) = start.enter() {
            let accept_loop = tasks.spawn(accept_loop);
            Run::new(&tasks, || accept_loop.is_finished()).await;
            // What connections wrote before they ended, is sent.
            until(&tasks, postman::is_idle).await;
        }
        postman::close();
        closing::clear();
        tasks.clear();
        // Their operations have been cancelled, but the kernel may write into their buffers until
        // it says so.
        until(&tasks, || buffer::in_use() == 0).await;
    });
    if buffer::in_use() > 0 {
        // It never happens; if it does, a little memory is less than what the kernel would write
        // into somebody else's.
        mem::forget(runtime);
    }
}

/// Runs the worker's tasks until something has happened, or for a while.
async fn until(tasks: &Tasks, mut is_done: impl FnMut() -> bool + Unpin) {
    let end = Instant::now() + SETTLING;
    while !is_done() && Instant::now() < end {
        let moment = monoio::time::sleep(Duration::from_millis(1));
        let mut moment = pin!(moment);
        let mut run = Run::new(tasks, || false);
        poll_fn(|cx| match Pin::new(&mut run).poll(cx) {
            Poll::Pending => moment.as_mut().poll(cx),
            ready => ready,
        })
        .await;
    }
}

/// Runs the tasks of a worker until something has happened; monoio is told when the next one is
/// due.
struct Run<'a, D> {
    tasks: &'a Tasks,
    is_done: D,
    alarm: Option<(Instant, Pin<Box<monoio::time::Sleep>>)>,
}

impl<'a, D: FnMut() -> bool + Unpin> Run<'a, D> {
    fn new(tasks: &'a Tasks, is_done: D) -> Self {
        Self {
            tasks,
            is_done,
            alarm: None,
        }
    }

    /// Has monoio wake this task at the next deadline.
    fn set_alarm(&mut self, cx: &mut Context<'_>) {
        let next = self.tasks.next_deadline();
        if self.alarm.as_ref().map(|(at, _)| *at) != next {
            match (&mut self.alarm, next) {
                (Some((at, sleep)), Some(next)) => {
                    *at = next;
                    sleep.as_mut().reset(next.into());
                }
                (alarm, next) => {
                    *alarm =
                        next.map(|next| (next, Box::pin(monoio::time::sleep_until(next.into()))));
                }
            }
        }
        if let Some((_, sleep)) = &mut self.alarm
            && sleep.as_mut().poll(cx).is_ready()
        {
            self.alarm = None;
            cx.waker().wake_by_ref();
        }
    }
}

impl<D: FnMut() -> bool + Unpin> Future for Run<'_, D> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        round::begin();
        // Those that are ready again after that, are so in the next round, when the driver has had
        // its turn.
        let is_ready = self.tasks.run(cx, 1);
        round::end(is_ready);
        if is_ready {
            cx.waker().wake_by_ref();
        }
        if (self.is_done)() {
            return Poll::Ready(());
        }
        self.set_alarm(cx);
        Poll::Pending
    }
}
