//! The timer that wakes a worker for its next deadline.
use crate::readiness::Readiness;
use glommio::timer::Timer;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::{
    future::Future,
    io,
    os::fd::OwnedFd,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// The longest that a worker sleeps. glommio may sleep although a task is ready. That happens if
/// the preemption timer fires just before glommio would run the task. glommio then polls for
/// events, finds none that wakes a task, and does not check for ready tasks again
/// (`LocalExecutor::run` in glommio 0.9.0). Any later event wakes it.
const MAX_SLEEP: Duration = Duration::from_secs(1);

/// Wakes the worker when the first of its timers is due, and at least once per `MAX_SLEEP`.
///
/// This is a kernel timer (timerfd_create(2)). A timer of glommio costs two system calls each time
/// that the worker sleeps, and a worker with connections always has a deadline ahead. The kernel
/// timer costs system calls only when it is set to an earlier time, and when it fires.
pub(crate) struct WorkerTimer {
    timer: Option<OwnedFd>,
    readiness: Readiness,
    at: Option<Instant>,
    /// Used when no descriptor is left for the kernel timer.
    fallback: Option<Timer>,
}

impl WorkerTimer {
    pub(crate) fn new() -> Self {
        Self {
            timer: None,
            readiness: Readiness::default(),
            at: None,
            fallback: None,
        }
    }

    /// Ready at `next` or after `MAX_SLEEP`, at the latest. Ready earlier if a previous call has
    /// set the timer to an earlier time.
    pub(crate) fn poll(&mut self, next: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let latest = self.at.unwrap_or_else(|| Instant::now() + MAX_SLEEP);
        let next = next.map_or(latest, |next| next.min(latest));
        if let Some(fallback) = &mut self.fallback {
            if Pin::new(fallback).poll(cx).is_ready() {
                // The kernel timer, if it exists, may be set to another time than the fallback, so
                // it is set anew.
                (self.fallback, self.at) = (None, None);
                return Poll::Ready(());
            }
            if self.at.is_some_and(|at| at <= next) {
                return Poll::Pending;
            }
        }
        match self.poll_timer(next, cx) {
            Ok(polled) => {
                self.fallback = None;
                polled
            }
            Err(_) => {
                self.at = Some(next);
                let fallback = self
                    .fallback
                    .insert(Timer::new(next.saturating_duration_since(Instant::now())));
                Pin::new(fallback).poll(cx).map(drop)
            }
        }
    }

    fn poll_timer(&mut self, next: Instant, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        let timer = match &mut self.timer {
            Some(timer) => timer,
            none => none.insert(timerfd_create(
                TimerfdClockId::Monotonic,
                TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
            )?),
        };
        if self.at.is_none_or(|at| next < at) {
            let remaining = next.saturating_duration_since(Instant::now());
            timerfd_settime(
                &*timer,
                TimerfdTimerFlags::empty(),
                &one_shot_after(remaining),
            )?;
            self.at = Some(next);
        }
        if self.readiness.poll_readable(&*timer, cx)?.is_pending() {
            return Ok(Poll::Pending);
        }
        self.at = None;
        // Reading resets the timer's readability. The read fails if the timer was set again in
        // between.
        let _ = rustix::io::read(&*timer, &mut [0; 8]);
        Ok(Poll::Ready(()))
    }
}

fn one_shot_after(remaining: Duration) -> Itimerspec {
    let zero = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut one_shot = Itimerspec {
        it_interval: zero,
        it_value: zero,
    };
    // Zero would disarm the timer.
    let remaining = remaining.max(Duration::from_nanos(1));
    one_shot.it_value.tv_sec = remaining.as_secs().try_into().unwrap_or(i64::MAX);
    one_shot.it_value.tv_nsec = remaining.subsec_nanos().into();
    one_shot
}
