//! One timer per connection, made when it's first needed and re-armed as seldom as possible.
use crate::runtime::SharedTimer;
use hyper::rt::Sleep;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

/// A timer that follows a deadline lazily.
///
/// A deadline that moved further away costs nothing: the timer fires at the old one and is armed again then. Only an
/// earlier deadline, or another task, re-arms it at once.
#[derive(Default)]
pub(crate) struct Deadline {
    armed: Option<Armed>,
}

struct Armed {
    sleep: Pin<Box<dyn Sleep>>,
    at: Instant,
    waker: Waker,
}

impl Deadline {
    /// Ready when it's `at` or later. Otherwise the task will be woken by then.
    ///
    /// `None` is never. `now` is the timer's time.
    pub(crate) fn poll(
        &mut self,
        at: Option<Instant>,
        now: Instant,
        timer: &SharedTimer,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let Some(at) = at else { return Poll::Pending };
        if now >= at {
            return Poll::Ready(());
        }
        let armed = match &mut self.armed {
            // Still to come, not too late, and it wakes this very task.
            Some(a) if now < a.at && a.at <= at && a.waker.will_wake(cx.waker()) => return Poll::Pending,
            Some(a) => {
                timer.reset(&mut a.sleep, at);
                a.at = at;
                a.waker.clone_from(cx.waker());
                a
            }
            empty => empty.insert(Armed {
                sleep: timer.sleep_until(at),
                at,
                waker: cx.waker().clone(),
            }),
        };
        ready!(armed.sleep.as_mut().poll(cx));
        // It's used up.
        self.armed = None;
        Poll::Ready(())
    }
}

/// The moment after which `timeout` has passed since `start`; none if that's beyond what a clock can say.
pub(crate) fn after(start: Instant, timeout: Duration) -> Option<Instant> {
    start.checked_add(timeout)
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deadline")
            .field(&self.armed.as_ref().map(|a| a.at))
            .finish()
    }
}
