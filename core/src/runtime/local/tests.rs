use super::*;
use std::{
    future::poll_fn,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    task::Wake,
    thread,
    time::Duration,
};

/// The runtime's task: how often it's woken.
struct Main {
    thread: thread::Thread,
    wakes: AtomicUsize,
}

impl Wake for Main {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, SeqCst);
        self.thread.unpark();
    }
}

fn main_task() -> (Arc<Main>, Waker) {
    let main = Arc::new(Main {
        thread: thread::current(),
        wakes: AtomicUsize::new(0),
    });
    (Arc::clone(&main), Waker::from(main))
}

/// Runs the tasks until one is over, and waits by parking; so a wake that's lost, hangs.
fn run_until_finished(tasks: &Tasks, spawned: &Spawned, waker: &Waker) {
    loop {
        let is_ready = tasks.run(&mut Context::from_waker(waker), 1);
        match tasks.next_deadline() {
            _ if spawned.is_finished() => break,
            _ if is_ready => {}
            Some(at) => thread::park_timeout(at.saturating_duration_since(Instant::now())),
            None => thread::park(),
        }
    }
}

/// Each test is a worker of its own.
fn on_a_thread(f: impl FnOnce() + Send + 'static) {
    thread::spawn(f).join().unwrap();
}

#[test]
fn a_task_that_wakes_itself_runs_once_a_round_and_so_do_others() {
    on_a_thread(|| {
        let tasks = Tasks::enter();
        let (spins, others) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let spun = Rc::clone(&spins);
        spawn(poll_fn(move |cx| {
            spun.set(spun.get() + 1);
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        let other = Rc::clone(&others);
        spawn(async move { other.set(other.get() + 1) });
        let (main, waker) = main_task();
        assert!(
            tasks.run(&mut Context::from_waker(&waker), 3),
            "one is ready still"
        );
        assert_eq!((spins.get(), others.get(), polls()), (3, 1, 4));
        spawn(async {});
        assert_eq!(main.wakes.load(SeqCst), 0, "it's run again in any case");
    });
}

#[test]
fn who_is_spawned_while_nobody_runs_wakes_once() {
    on_a_thread(|| {
        let tasks = Tasks::enter();
        let (main, waker) = main_task();
        assert!(!tasks.run(&mut Context::from_waker(&waker), 1));
        spawn(async {});
        spawn(async {});
        assert_eq!(main.wakes.load(SeqCst), 1);
    });
}

#[test]
fn a_panic_ends_its_task_alone_be_it_of_a_poll_or_of_a_drop() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("deliberate: in a drop");
        }
    }
    on_a_thread(|| {
        let tasks = Tasks::enter();
        let (_, waker) = main_task();
        let panics = tasks.spawn(async { panic!("deliberate: in a poll") });
        let bad = Bad;
        spawn(poll_fn(move |_| {
            let _bad = &bad;
            Poll::Ready(())
        }));
        let left = Bad;
        spawn(async move {
            let _left = left;
            std::future::pending().await
        });
        let good = tasks.spawn(async {});
        assert!(!tasks.run(&mut Context::from_waker(&waker), 1));
        assert!(panics.is_finished() && good.is_finished());
        tasks.clear();
    });
}

#[test]
fn another_thread_wakes_a_task() {
    on_a_thread(|| {
        let tasks = Tasks::enter();
        let (_, waker) = main_task();
        let given = Arc::new(AtomicBool::new(false));
        let waits = tasks.spawn(poll_fn(move |cx| {
            if given.load(SeqCst) {
                return Poll::Ready(());
            }
            let (given, waker) = (Arc::clone(&given), cx.waker().clone());
            thread::spawn(move || {
                given.store(true, SeqCst);
                waker.wake();
            });
            Poll::Pending
        }));
        run_until_finished(&tasks, &waits, &waker);
    });
}

#[test]
fn a_sleep_wakes_whoever_polls_it_on_whichever_thread() {
    on_a_thread(|| {
        let tasks = Tasks::enter();
        let (_, waker) = main_task();
        let mut nap = timer().sleep(Duration::from_millis(20));
        let sleeper = thread::spawn(move || {
            let (_, waker) = main_task();
            while nap
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
            {
                thread::park();
            }
        });
        // Until the sleeper has been woken, by this very worker.
        let waits = tasks.spawn(poll_fn(move |cx| {
            if sleeper.is_finished() {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        run_until_finished(&tasks, &waits, &waker);
    });
}

/// A worker's end frees all that belongs to it: wakers that outlive it hold a mailbox that's
/// closed.
#[test]
fn wakers_that_outlive_a_worker_wake_nobody_and_hold_nothing() {
    on_a_thread(|| {
        let tasks = Tasks::enter();
        let (main, waker) = main_task();
        let kept = Rc::new(RefCell::new(None));
        let keep = Rc::clone(&kept);
        spawn(poll_fn(move |cx| {
            keep.replace(Some(cx.waker().clone()));
            Poll::Pending
        }));
        assert!(!tasks.run(&mut Context::from_waker(&waker), 1));
        let mailbox = Arc::downgrade(&tasks.local.mailbox);
        drop(tasks);
        drop(waker);
        assert_eq!(Arc::strong_count(&main), 1, "let go of");
        let late = kept.take().unwrap();
        late.wake();
        assert!(mailbox.upgrade().is_none(), "nobody takes what's in it");
        assert_eq!(main.wakes.load(SeqCst), 0);
    });
}

#[test]
fn a_worker_that_was_cleared_is_empty_and_can_be_run_again() {
    on_a_thread(|| {
        let tasks = Tasks::enter();
        let (main, waker) = main_task();
        let left = tasks.spawn(std::future::pending());
        let mut bound = crate::runtime::ThreadBound::new(7);
        assert!(!tasks.run(&mut Context::from_waker(&waker), 1));
        tasks.clear();
        assert!(left.is_finished());
        assert!(bound.with(|_| ()).is_err());
        spawn(async {});
        assert_eq!(main.wakes.load(SeqCst), 0, "it was let go of");
        let last = tasks.spawn(async {});
        run_until_finished(&tasks, &last, &waker);
    });
}

#[test]
fn apps_spawn_on_their_worker_until_it_ends() {
    on_a_thread(|| {
        let tasks = Tasks::enter();
        let (_, waker) = main_task();
        let done = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&done);
        crate::runtime::spawn(async move { seen.store(true, SeqCst) }).unwrap();
        assert!(!tasks.run(&mut Context::from_waker(&waker), 1));
        assert!(done.load(SeqCst));
        drop(tasks);
        crate::runtime::spawn(async {}).unwrap_err();
    });
}
