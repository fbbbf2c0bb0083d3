//! Timers that are made when they are first needed, and re-armed as seldom as possible.
use super::WorkerState;
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
/// Postponing the deadline costs nothing: the timer fires at the old time and is armed again then.
/// Only an earlier deadline, or another task, re-arms it at once.
#[derive(Default)]
pub(crate) struct RearmableTimer {
    armed: Option<Armed>,
}

struct Armed {
    sleep: Pin<Box<dyn Sleep>>,
    at: Instant,
    waker: Waker,
}

impl RearmableTimer {
    /// Ready when it is `at` or later. Otherwise the task will be woken by then.
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
            // Armed for a time that is early enough, and for this task.
            Some(a) if now < a.at && a.at <= at && a.waker.will_wake(cx.waker()) => {
                return Poll::Pending;
            }
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
        // The timer has fired.
        self.armed = None;
        Poll::Ready(())
    }
}

/// A timeout for something that seldom has to wait. It costs nothing until the first wait.
///
/// If the process was paused, the timeout is extended ([`WorkerState::catch_up`]).
#[derive(Debug, Default)]
pub(crate) struct LazyTimeout(Option<Box<Wait>>);

#[derive(Debug, Default)]
struct Wait {
    since: Option<Instant>,
    deadline: RearmableTimer,
}

impl LazyTimeout {
    /// Ready when the wait, which began with the first of these polls, has taken longer than
    /// `timeout`.
    pub(crate) fn poll(
        &mut self,
        timeout: Duration,
        worker: &WorkerState,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if timeout == Duration::MAX {
            return Poll::Pending;
        }
        self.poll_until(worker, cx, |since| since.checked_add(timeout))
    }

    /// Like `poll`, with an end that is computed from the beginning of the wait. `None` is never.
    pub(crate) fn poll_until(
        &mut self,
        worker: &WorkerState,
        cx: &mut Context<'_>,
        end: impl FnOnce(Instant) -> Option<Instant>,
    ) -> Poll<()> {
        let now = worker.now();
        let wait = &mut **self.0.get_or_insert_default();
        let end = end(*wait.since.get_or_insert(now)).map(|end| worker.catch_up(end, now));
        wait.deadline.poll(end, now, worker.timer(), cx)
    }

    /// The wait is over. The timer is kept for the next wait.
    pub(crate) fn reset(&mut self) {
        if let Some(wait) = &mut self.0 {
            wait.since = None;
        }
    }
}

impl fmt::Debug for RearmableTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RearmableTimer")
            .field(&self.armed.as_ref().map(|a| a.at))
            .finish()
    }
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use super::*;
    use crate::runtime::{Runtime, Tokio};
    use std::future::poll_fn;
    use tokio::{task, time};

    #[tokio::test(start_paused = true)]
    async fn task_without_coop_budget_is_woken_at_its_deadline() {
        let timer = Tokio::current().timer();
        let (at, mut deadline) = (
            timer.now() + Duration::from_secs(60),
            RearmableTimer::default(),
        );
        let mut first = true;
        let waits = poll_fn(|cx| {
            while first && task::coop::has_budget_remaining() {
                if let Poll::Ready(unit) = task::coop::poll_proceed(cx) {
                    unit.made_progress();
                }
            }
            first = false;
            deadline.poll(Some(at), timer.now(), &timer, cx)
        });
        // Without a second timer, a paused clock would never advance.
        let _ = time::timeout(Duration::from_secs(3600), waits).await;
        let late = timer.now() - at;
        assert!(late < Duration::from_millis(10), "woken {late:?} late");
    }
}
