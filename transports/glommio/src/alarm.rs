//! The timer that wakes a worker for its next deadline.
use crate::watch::Watch;
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

/// The longest that a worker sleeps. glommio may fall asleep with a task that's ready: its
/// preemption timer went off just before it would have run the task, it then looks for events,
/// finds none that wakes anybody, and doesn't look for tasks again (`LocalExecutor::run` in glommio
/// 0.9.0). Whatever happens next wakes it.
const LONGEST: Duration = Duration::from_secs(1);

/// Wakes the worker when the first of its timers is due, and from time to time in any case.
///
/// A timer of the kernel's (timerfd_create(2)), because one of glommio's costs two system calls
/// each time that the worker falls asleep, and a worker with connections always has a deadline
/// ahead. This one costs some when it's set to an earlier time, and when it goes off.
pub(crate) struct Alarm {
    timer: Option<OwnedFd>,
    watch: Watch,
    at: Option<Instant>,
    /// Where descriptors have run out.
    substitute: Option<Timer>,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self {
            timer: None,
            watch: Watch::default(),
            at: None,
            substitute: None,
        }
    }

    /// Pending until `next`, or the longest sleep, at the latest: earlier, if it was to go off
    /// earlier before.
    pub(crate) fn poll(&mut self, next: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let latest = self.at.unwrap_or_else(|| Instant::now() + LONGEST);
        let next = next.map_or(latest, |next| next.min(latest));
        if let Some(substitute) = &mut self.substitute {
            if Pin::new(substitute).poll(cx).is_ready() {
                // The kernel's timer, if there's one, may not have been set to what was waited for:
                // it's set anew.
                (self.substitute, self.at) = (None, None);
                return Poll::Ready(());
            }
            if self.at.is_some_and(|at| at <= next) {
                return Poll::Pending;
            }
        }
        match self.poll_timer(next, cx) {
            Ok(polled) => {
                self.substitute = None;
                polled
            }
            Err(_) => {
                self.at = Some(next);
                let substitute = self
                    .substitute
                    .insert(Timer::new(next.saturating_duration_since(Instant::now())));
                Pin::new(substitute).poll(cx).map(drop)
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
            let left = next.saturating_duration_since(Instant::now());
            timerfd_settime(&*timer, TimerfdTimerFlags::empty(), &once_in(left))?;
            self.at = Some(next);
        }
        if self.watch.poll_readable(&*timer, cx)?.is_pending() {
            return Ok(Poll::Pending);
        }
        self.at = None;
        // Else it would be readable still. It isn't, if it was set anew meanwhile.
        let _ = rustix::io::read(&*timer, &mut [0; 8]);
        Ok(Poll::Ready(()))
    }
}

fn once_in(left: Duration) -> Itimerspec {
    let zero = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut once = Itimerspec {
        it_interval: zero,
        it_value: zero,
    };
    // Zero would be never.
    let left = left.max(Duration::from_nanos(1));
    once.it_value.tv_sec = left.as_secs().try_into().unwrap_or(i64::MAX);
    once.it_value.tv_nsec = left.subsec_nanos().into();
    once
}
