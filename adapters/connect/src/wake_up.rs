//! The one timer of a connect: it sleeps until the next event or the deadline.
use anyport_core::runtime::SharedTimer;
use hyper::rt::Sleep;
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

pub(crate) struct WakeUp {
    timer: SharedTimer,
    sleep: Option<(Instant, Pin<Box<dyn Sleep>>)>,
    deadline: Option<Instant>,
}

impl WakeUp {
    /// A deadline beyond the range of [`Instant`] never passes.
    pub(crate) fn new(timer: SharedTimer, deadline: Duration) -> Self {
        let deadline = timer.now().checked_add(deadline);
        Self {
            timer,
            sleep: None,
            deadline,
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.timer.now()
    }

    pub(crate) fn is_past_deadline(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// Ready at this time or at the deadline.
    pub(crate) fn poll_until(&mut self, at: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = at.into_iter().chain(self.deadline).min() else {
            return Poll::Pending;
        };
        let (armed, sleep) = self
            .sleep
            .get_or_insert_with(|| (at, self.timer.sleep_until(at)));
        if *armed != at {
            self.timer.reset(sleep, at);
            *armed = at;
        }
        sleep.as_mut().poll(cx)
    }

    pub(crate) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_until(None, cx)
    }
}
