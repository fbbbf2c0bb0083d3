//! A clock that stands still until nothing else can happen.
use anyport_core::runtime::SharedTimer;
use hyper::rt::{Sleep, Timer};
use std::{
    collections::BTreeMap,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

#[derive(Clone)]
pub(super) struct Clock(Arc<Mutex<State>>);

struct State {
    start: Instant,
    now: Instant,
    sleeps: BTreeMap<(Instant, u64), Waker>,
    last: u64,
}

impl Clock {
    pub(super) fn new() -> Self {
        let start = Instant::now();
        Self(Arc::new(Mutex::new(State {
            start,
            now: start,
            sleeps: BTreeMap::new(),
            last: 0,
        })))
    }

    pub(super) fn timer(&self) -> SharedTimer {
        Arc::new(self.clone())
    }

    /// Milliseconds since the start.
    pub(super) fn millis(&self) -> u64 {
        let state = self.0.lock().unwrap();
        u64::try_from((state.now - state.start).as_millis()).unwrap()
    }

    pub(super) fn pending_sleeps(&self) -> usize {
        self.0.lock().unwrap().sleeps.len()
    }

    /// Moves to the next deadline.
    pub(super) fn advance(&self) {
        let mut state = self.0.lock().unwrap();
        let ((at, _), waker) = state.sleeps.pop_first().expect("something to wait for");
        state.now = state.now.max(at);
        drop(state);
        waker.wake();
    }

    /// Polls a future to its end, and only when it was woken. Returns its output, or `None` after
    /// this many polls.
    pub(super) fn run_polls<F: Future>(&self, future: F, polls: usize) -> Option<F::Output> {
        let mut future = pin!(future);
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        for _ in 0..polls {
            while !woken.0.swap(false, SeqCst) {
                self.advance();
            }
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(output);
            }
        }
        None
    }

    pub(super) fn run<F: Future>(&self, future: F) -> F::Output {
        self.run_polls(future, 100_000).expect("it ends")
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

impl Timer for Clock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        let now = self.now();
        self.sleep_until(now + duration)
    }

    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(ClockSleep {
            clock: self.clone(),
            at,
            number: None,
        })
    }

    fn now(&self) -> Instant {
        self.0.lock().unwrap().now
    }
}

struct ClockSleep {
    clock: Clock,
    at: Instant,
    number: Option<u64>,
}

impl Future for ClockSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut state = clock.0.lock().unwrap();
        if state.now >= self.at {
            return Poll::Ready(());
        }
        let number = *self.number.get_or_insert_with(|| {
            state.last += 1;
            state.last
        });
        state.sleeps.insert((self.at, number), cx.waker().clone());
        Poll::Pending
    }
}

impl Sleep for ClockSleep {}

impl Drop for ClockSleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.clock
                .0
                .lock()
                .unwrap()
                .sleeps
                .remove(&(self.at, number));
        }
    }
}
