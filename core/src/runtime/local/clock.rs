//! The clock of a worker. Its sleeps are `Send` and work on any thread, because an app may move a
//! request's body, and with it a timeout, to another thread.
use super::{super::SharedTimer, mailbox::Mailbox};
use hyper::rt::{Sleep, Timer};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// The clock of a worker.
#[derive(Debug)]
struct Clock(Arc<Mailbox>);

/// The clock of the worker that has this mailbox.
pub(super) fn clock(mailbox: Arc<Mailbox>) -> SharedTimer {
    Arc::new(Clock(mailbox))
}

impl Timer for Clock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        // A century stands for longer times, which could overflow.
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        self.sleep_until(Instant::now() + duration.min(century))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(TimerSleep {
            mailbox: Arc::clone(&self.0),
            deadline,
            number: None,
        })
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        if let Some(timer) = sleep.as_mut().downcast_mut_pin::<TimerSleep>() {
            let timer = timer.get_mut();
            timer.unregister();
            timer.deadline = deadline;
        }
    }
}

struct TimerSleep {
    mailbox: Arc<Mailbox>,
    deadline: Instant,
    /// Its number in the queue, while it is registered.
    number: Option<u64>,
}

impl TimerSleep {
    fn unregister(&mut self) {
        if let Some(number) = self.number.take() {
            let waker = self
                .mailbox
                .with_timers(|timers| timers.remove((self.deadline, number)));
            // The drop of a waker may run any code, so it happens outside of the lock.
            drop(waker);
        }
    }
}

impl Future for TimerSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.get_mut();
        if Instant::now() >= timer.deadline {
            timer.unregister();
            return Poll::Ready(());
        }
        let (deadline, known) = (timer.deadline, timer.number);
        let (number, old, is_next) = timer.mailbox.with_timers(|timers| {
            let number = known.unwrap_or_else(|| timers.next_number());
            let old = timers.insert((deadline, number), cx.waker().clone());
            let is_next = timers.next() == Some((deadline, number));
            (number, old, is_next && known.is_none())
        });
        drop(old);
        timer.number = Some(number);
        if is_next {
            timer.mailbox.check_timers();
        }
        Poll::Pending
    }
}

impl Sleep for TimerSleep {}

impl Drop for TimerSleep {
    fn drop(&mut self) {
        self.unregister();
    }
}
