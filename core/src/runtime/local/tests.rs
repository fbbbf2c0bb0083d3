use super::*;
use std::{
    future::poll_fn,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    task::Wake,
    thread,
    time::Duration,
};

/// The runtime's task, with a count of its wake-ups.
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

/// Runs the tasks until one has ended. It waits by parking, so a lost wake-up hangs the test.
fn run_until_finished(tasks: &LocalTasks, spawned: &Spawned, waker: &Waker) {
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

/// Runs a test as a worker of its own.
fn on_a_thread(f: impl FnOnce() + Send + 'static) {
    thread::spawn(f).join().unwrap();
}

#[test]
fn task_that_wakes_itself_is_scheduled_fairly() {
    on_a_thread(|| {
        let tasks = LocalTasks::enter();
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
            "one task is still ready"
        );
        assert_eq!((spins.get(), others.get(), current_poll()), (3, 1, 4));
        spawn(async {});
        assert_eq!(
            main.wakes.load(SeqCst),
            0,
            "the runtime runs it again without a wake-up"
        );
    });
}

#[test]
fn spawns_between_runs_wake_once() {
    on_a_thread(|| {
        let tasks = LocalTasks::enter();
        let (main, waker) = main_task();
        assert!(!tasks.run(&mut Context::from_waker(&waker), 1));
        spawn(async {});
        spawn(async {});
        assert_eq!(main.wakes.load(SeqCst), 1);
    });
}

#[test]
fn panic_in_a_poll_or_a_drop_ends_only_its_task() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("deliberate: in a drop");
        }
    }
    on_a_thread(|| {
        let tasks = LocalTasks::enter();
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
fn wake_from_another_thread_runs_the_task() {
    on_a_thread(|| {
        let tasks = LocalTasks::enter();
        let (_, waker) = main_task();
        let given = Arc::new(AtomicBool::new(false));
        let waiting = tasks.spawn(poll_fn(move |cx| {
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
        run_until_finished(&tasks, &waiting, &waker);
    });
}

#[test]
fn sleep_wakes_the_task_that_polls_it_on_any_thread() {
    on_a_thread(|| {
        let tasks = LocalTasks::enter();
        let (_, waker) = main_task();
        let mut sleep = timer().sleep(Duration::from_millis(20));
        let sleeper = thread::spawn(move || {
            let (_, waker) = main_task();
            while sleep
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
            {
                thread::park();
            }
        });
        // Until this worker has woken the sleeper.
        let waiting = tasks.spawn(poll_fn(move |cx| {
            if sleeper.is_finished() {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        run_until_finished(&tasks, &waiting, &waker);
    });
}

/// The end of a worker frees all it owns: wakers that outlive it hold a closed mailbox.
#[test]
fn wakers_that_outlive_a_worker_are_inert() {
    on_a_thread(|| {
        let tasks = LocalTasks::enter();
        let (main, waker) = main_task();
        let kept = Rc::new(RefCell::new(None));
        let keep = Rc::clone(&kept);
        spawn(poll_fn(move |cx| {
            keep.replace(Some(cx.waker().clone()));
            Poll::Pending
        }));
        assert!(!tasks.run(&mut Context::from_waker(&waker), 1));
        let mailbox = Arc::downgrade(tasks.local.queue.mailbox());
        drop(tasks);
        drop(waker);
        assert_eq!(Arc::strong_count(&main), 1, "the waker was released");
        let late = kept.take().unwrap();
        late.wake();
        assert!(mailbox.upgrade().is_none(), "the mailbox was freed");
        assert_eq!(main.wakes.load(SeqCst), 0);
    });
}

#[test]
fn cleared_worker_is_empty_and_can_be_run_again() {
    on_a_thread(|| {
        let tasks = LocalTasks::enter();
        let (main, waker) = main_task();
        let left = tasks.spawn(std::future::pending());
        let mut bound = crate::runtime::ThreadBound::new(7);
        assert!(!tasks.run(&mut Context::from_waker(&waker), 1));
        tasks.clear();
        assert!(left.is_finished());
        assert!(bound.with(|_| ()).is_err());
        spawn(async {});
        assert_eq!(main.wakes.load(SeqCst), 0, "the waker was released");
        let last = tasks.spawn(async {});
        run_until_finished(&tasks, &last, &waker);
    });
}

#[test]
fn app_spawns_on_its_worker_until_it_ends() {
    on_a_thread(|| {
        let tasks = LocalTasks::enter();
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
